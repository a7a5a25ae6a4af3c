// SPDX-License-Identifier: MIT
// fill.c - patterns in memory that the program has not written, in a debug build
//
// A block has its pattern before the next layer gets it, and after that has handed it out: links and canaries
// are never written over.
//
// Tests: tests/api/fill_test.c
#include "api/fill.h"
#include "base/bits.h"
#include "heap/block.h"
#include "runtime/secure.h"
#include <string.h>

enum { FILL_NEW = 0xD0, FILL_BEHIND = 0xDE, FILL_FREED = 0xDF };

// 0 if the block at p gets no pattern, or none begins there.
static size_t bytes_to_fill(const void* p) {
  const size_t bytes = mii_block_bytes(p);
  return bytes <= SLICE_BYTES ? bytes : 0;
}

void mii_fill_from(void* p, size_t from, size_t size) {
  const size_t bytes = bytes_to_fill(p);
  const size_t end = mii_max(from, size);
  if (bytes < end) return;
  memset((uint8_t*)p + from, FILL_NEW, end - from);
  memset((uint8_t*)p + end, FILL_BEHIND, bytes - end);
}

// From SECURE_CANARY on it becomes zero.
void mii_fill_freed(void* p) {
  const size_t bytes = mii_secure_level() < SECURE_CANARY ? bytes_to_fill(p) : 0;
  if (bytes > 0) memset(p, FILL_FREED, bytes);
}
