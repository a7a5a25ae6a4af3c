// SPDX-License-Identifier: MIT
// canary.c - what stands behind the bytes that were asked for, so that writing over them is noticed
//
// Only the first words of a long slack are filled: a block of many OS pages is not touched for it.
//
// Tests: tests/unit/page/canary_test.c
#include "page/canary.h"
#include "base/compiler.h"
#include <string.h>

enum { SLACK_WORDS_MAX = 9 };  // the first one may be the program's but for a byte

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

// Of a word whose first `count` bytes, less than all, are the program's: the bits of these.
static uint64_t bits_before(size_t count) {
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ~(~UINT64_C(0) << 8 * count)
                                                   : ~(~UINT64_C(0) >> 8 * count);
}

// The word in which the program's bytes end. Words are those of memory: a block with an odd offset begins anywhere.
static uint64_t* last_word(const void* p, size_t size) {
  return (uint64_t*)(((uintptr_t)p + size) & ~(uintptr_t)(sizeof(uint64_t) - 1));
}

static uint64_t bits_of_program(const void* p, size_t size) {
  return bits_before(((uintptr_t)p + size) % sizeof(uint64_t));
}

// The words of the slack that are filled end here; the first of them is that in which the program's bytes end.
static uint64_t* filled_end(uint64_t* first, uint64_t* seal) {
  return seal - first > SLACK_WORDS_MAX ? first + SLACK_WORDS_MAX : seal;
}

void* mii_canary_set(void* p, size_t bytes, size_t size, uint64_t key) {
  const uint64_t filler = filler_of(key);
  uint64_t* const seal = seal_at(p, bytes);
  uint64_t* word = last_word(p, size);
  uint64_t* const end = filled_end(word, seal);
  *seal = mask_of(p, key) ^ (bytes - CANARY_BYTES - size) * SPREAD;
  if (word == end) return p;
  const uint64_t kept = bits_of_program(p, size);
  *word = (*word & kept) | (filler & ~kept);
  while (++word < end) *word = filler;
  return p;
}

size_t mii_canary_size(const void* p, size_t bytes, uint64_t key) {
  const uint64_t slack = (*seal_at(p, bytes) ^ mask_of(p, key)) * GATHER;
  return slack < bytes - CANARY_BYTES ? bytes - CANARY_BYTES - (size_t)slack : 0;
}

size_t mii_canary_check(const void* p, size_t bytes, uint64_t key) {
  const size_t size = mii_canary_size(p, bytes, key);
  if (MI_UNLIKELY(size == 0)) return 0;
  const uint64_t filler = filler_of(key);
  const uint64_t* word = last_word(p, size);
  const uint64_t* const end = filled_end(last_word(p, size), seal_at(p, bytes));
  if (word == end) return size;
  uint64_t wrong = (*word ^ filler) & ~bits_of_program(p, size);
  while (++word < end) wrong |= *word ^ filler;
  return wrong == 0 ? size : 0;
}

void mii_canary_wipe(void* p, size_t bytes) {
  *(volatile uint64_t*)seal_at(p, bytes) = 0;
  memset(p, 0, bytes);
}

typedef uint64_t pair_t __attribute__((vector_size(16)));

bool mii_bytes_are_zero(const void* p, size_t bytes) {
  const pair_t* pair = p;
  const pair_t* const end = pair + bytes / sizeof *pair;
  const pair_t* const end_of_fours = pair + bytes / sizeof *pair / 4 * 4;
  pair_t any = {0, 0};
  for (; pair < end_of_fours; pair += 4) {
    any |= pair[0];
    any |= pair[1];
    any |= pair[2];
    any |= pair[3];
  }
  for (; pair < end; pair++) any |= *pair;
  const uint64_t last = bytes % sizeof any != 0 ? *(const uint64_t*)end : 0;
  return (any[0] | any[1] | last) == 0;
}
