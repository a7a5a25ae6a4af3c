// SPDX-License-Identifier: MIT
// canary.c - what stands behind the bytes that were asked for, so that writing over them is noticed
//
// Only the first bytes of a long slack are filled: a block of many OS pages is not touched for it.
//
// Tests: tests/unit/page/canary_test.c
#include "page/canary.h"
#include "base/bits.h"

enum { SLACK_FILLED_MAX = 64 };

// An odd constant (the golden ratio) spreads the address and the slack over all bits, so that no changed byte
// makes another slack of it; its inverse undoes that.
static const uint64_t SPREAD = UINT64_C(0x9E3779B97F4A7C15);
static const uint64_t GATHER = UINT64_C(0xF1DE83E19937733D);

static uint64_t mask_of(const void* p, uint64_t key) {
  return key ^ (uint64_t)(uintptr_t)p * SPREAD;
}

// Of the i-th byte of the slack. Never 0: a string that is one byte too long overwrites it with 0.
static uint8_t filler_of(uint64_t key, size_t i) { return (uint8_t)(key >> i % 8 * 8 | 1); }

static uint64_t* seal_at(const void* p, size_t bytes) {
  return (uint64_t*)((uintptr_t)p + bytes - CANARY_BYTES);
}

void mii_canary_set(void* p, size_t bytes, size_t size, uint64_t key) {
  const size_t slack = bytes - CANARY_BYTES - size;
  uint8_t* const filled = (uint8_t*)p + size;
  for (size_t i = 0; i < mii_min(slack, SLACK_FILLED_MAX); i++) filled[i] = filler_of(key, i);
  *seal_at(p, bytes) = mask_of(p, key) ^ slack * SPREAD;
}

size_t mii_canary_size(const void* p, size_t bytes, uint64_t key) {
  const uint64_t slack = (*seal_at(p, bytes) ^ mask_of(p, key)) * GATHER;
  return slack < bytes - CANARY_BYTES ? bytes - CANARY_BYTES - (size_t)slack : 0;
}

size_t mii_canary_check(const void* p, size_t bytes, uint64_t key) {
  const size_t size = mii_canary_size(p, bytes, key);
  if (size == 0) return 0;
  const uint8_t* const slack = (const uint8_t*)p + size;
  const size_t filled = mii_min(bytes - CANARY_BYTES - size, SLACK_FILLED_MAX);
  for (size_t i = 0; i < filled; i++) {
    if (slack[i] != filler_of(key, i)) return 0;
  }
  return size;
}

bool mii_bytes_are_zero(const void* p, size_t bytes) {
  const uint64_t* const words = p;
  uint64_t any = 0;
  for (size_t i = 0; i < bytes / sizeof *words; i++) any |= words[i];
  return any == 0;
}
