// SPDX-License-Identifier: MIT
// canary.c - what stands behind the bytes that were asked for, so that writing over them is noticed
//
// Only the first bytes of a long slack are filled: a block of many OS pages is not touched for it.
//
// Tests: tests/unit/page/canary_test.c
#include "page/canary.h"
#include "base/bits.h"
#include <string.h>

enum { SLACK_FILLED_MAX = 64 };

// An odd constant (the golden ratio) spreads the address and the slack over all bits, so that no changed byte
// makes another slack of it; its inverse undoes that.
static const uint64_t SPREAD = UINT64_C(0x9E3779B97F4A7C15);
static const uint64_t GATHER = UINT64_C(0xF1DE83E19937733D);

static uint64_t mask_of(const void* p, uint64_t key) {
  return key ^ (uint64_t)(uintptr_t)p * SPREAD;
}

// Of each 8 bytes of the slack. No byte is 0: a string that is one byte too long overwrites it with 0.
static uint64_t filler_of(uint64_t key) { return key | UINT64_C(0x0101010101010101); }

static uint64_t* seal_at(const void* p, size_t bytes) {
  return (uint64_t*)((uintptr_t)p + bytes - CANARY_BYTES);
}

void mii_canary_set(void* p, size_t bytes, size_t size, uint64_t key) {
  const size_t slack = bytes - CANARY_BYTES - size;
  const uint64_t filler = filler_of(key);
  uint8_t* at = (uint8_t*)p + size;
  size_t left = mii_min(slack, SLACK_FILLED_MAX);
  for (; left >= sizeof filler; at += sizeof filler, left -= sizeof filler)
    memcpy(at, &filler, sizeof filler);
  if (left > 0) memcpy(at, &filler, left);
  *seal_at(p, bytes) = mask_of(p, key) ^ slack * SPREAD;
}

size_t mii_canary_size(const void* p, size_t bytes, uint64_t key) {
  const uint64_t slack = (*seal_at(p, bytes) ^ mask_of(p, key)) * GATHER;
  return slack < bytes - CANARY_BYTES ? bytes - CANARY_BYTES - (size_t)slack : 0;
}

size_t mii_canary_check(const void* p, size_t bytes, uint64_t key) {
  const size_t size = mii_canary_size(p, bytes, key);
  if (size == 0) return 0;
  const uint64_t filler = filler_of(key);
  const uint8_t* at = (const uint8_t*)p + size;
  size_t left = mii_min(bytes - CANARY_BYTES - size, SLACK_FILLED_MAX);
  for (; left >= sizeof filler; at += sizeof filler, left -= sizeof filler) {
    if (memcmp(at, &filler, sizeof filler) != 0) return 0;
  }
  return left == 0 || memcmp(at, &filler, left) == 0 ? size : 0;
}

void mii_canary_wipe(void* p, size_t bytes) {
  *(volatile uint64_t*)seal_at(p, bytes) = 0;
  memset(p, 0, bytes);
}

bool mii_bytes_are_zero(const void* p, size_t bytes) {
  const uint64_t* words = p;
  const uint64_t* const end = words + bytes / sizeof *words;
  uint64_t any = 0;
  for (; end - words >= 4; words += 4) any |= words[0] | words[1] | words[2] | words[3];
  for (; words < end; words++) any |= *words;
  return any == 0;
}
