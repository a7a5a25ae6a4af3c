// SPDX-License-Identifier: MIT
// canary.h - what stands behind the bytes that were asked for, so that writing over them is noticed
//
//     | the program's bytes: size | slack: one byte of the key, repeated | seal: 8 bytes |
//     p                           p + size                                             p + bytes
//
// The seal says how large the slack is, scrambled with a key and with the address. So it also is where we find
// the size that was asked for. Of a long slack only the beginning is filled: a block of many OS pages is not touched for
// it. Both ends of the filling lie anywhere: it is read and written 8 bytes at a time, and as all its bytes are the same,
// the last 8 of it may overlap those before.
//
// Tests: tests/unit/page/canary_test.c
#ifndef MI_CANARY_H
#define MI_CANARY_H

#include "base/bits.h"
#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CANARY_BYTES = sizeof(uint64_t), SLACK_FILLED_MAX = 64 };

// An odd constant (the golden ratio) spreads the address and the slack over all bits, so that no changed byte
// makes another slack of it; its inverse undoes that. The sum is enough: no two blocks have slack in the same place.
static const uint64_t CANARY_SPREAD = UINT64_C(0x9E3779B97F4A7C15);
static const uint64_t CANARY_GATHER = UINT64_C(0xF1DE83E19937733D);

MI_INLINE uint64_t mii_word_at(const uint8_t* p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

MI_INLINE void mii_word_put(uint8_t* p, uint64_t word) { memcpy(p, &word, sizeof word); }

// Both secret. No byte of the filler is 0: a string that is one byte too long overwrites the first one with 0.
typedef struct canary_s {
  uint64_t key;
  uint64_t filler;
} canary_t;

MI_INLINE canary_t mii_canary_of(uint64_t key) {
  return (canary_t){key, ((key >> 56) % 255 + 1) * UINT64_C(0x0101010101010101)};
}

// The block at p has `bytes` bytes, at least size + CANARY_BYTES. Returns p. The seal is written last: the filling may
// reach into it.
MI_INLINE void* mii_canary_set(void* p, size_t bytes, size_t size, canary_t canary) {
  const size_t slack = bytes - CANARY_BYTES - size;
  uint8_t* at = (uint8_t*)p + size;
  const uint64_t filler = canary.filler;
  mii_word_put(at, filler);
  if (slack > sizeof filler) {
    const uint8_t* const end = at + mii_min(slack, SLACK_FILLED_MAX);
    while ((at += sizeof filler) < end) mii_word_put(at, filler);
  }
  mii_word_put((uint8_t*)p + bytes - CANARY_BYTES,
               canary.key ^ ((uintptr_t)p + slack) * CANARY_SPREAD);
  return p;
}

// The size that the block was sealed with; 0 if the seal is broken.
MI_INLINE size_t mii_canary_size(const void* p, size_t bytes, canary_t canary) {
  const uint64_t seal = mii_word_at((const uint8_t*)p + bytes - CANARY_BYTES);
  const uint64_t slack = (seal ^ canary.key) * CANARY_GATHER - (uintptr_t)p;
  return MI_LIKELY(slack < bytes - CANARY_BYTES) ? bytes - CANARY_BYTES - (size_t)slack : 0;
}

// Of a word in memory, the bits of its first `count` bytes, less than all.
MI_INLINE uint64_t mii_bits_of_bytes(size_t count) {
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ~(~UINT64_C(0) << 8 * count)
                                                   : ~(~UINT64_C(0) >> 8 * count);
}

// The same, and 0 also if the slack was written to.
MI_INLINE size_t mii_canary_check(const void* p, size_t bytes, canary_t canary) {
  const size_t size = mii_canary_size(p, bytes, canary);
  if (MI_UNLIKELY(size == 0)) return 0;
  const uint8_t* at = (const uint8_t*)p + size;
  const size_t slack = bytes - CANARY_BYTES - size;
  const uint64_t filler = canary.filler;
  uint64_t wrong = mii_word_at(at) ^ filler;
  if (slack < sizeof filler) {
    wrong &= mii_bits_of_bytes(slack);
  } else if (slack > sizeof filler) {
    const uint8_t* const last = at + mii_min(slack, SLACK_FILLED_MAX) - sizeof filler;
    wrong |= mii_word_at(last) ^ filler;
    while ((at += sizeof filler) < last) wrong |= mii_word_at(at) ^ filler;
  }
  return MI_LIKELY(wrong == 0) ? size : 0;
}

// 16 bytes in a register.
typedef uint64_t pair_t __attribute__((vector_size(16)));

MI_INLINE pair_t mii_any_of_four(const pair_t* p) { return (p[0] | p[1]) | (p[2] | p[3]); }

// Of a block of a page, which begins and ends at multiples of 16: is all of it zero? Parts of what is small are looked at
// twice, which is shorter than to find out how many there are.
MI_INLINE bool mii_block_is_zero(const void* p, size_t bytes) {
  const pair_t* pair = p;
  const pair_t* const end = (const pair_t*)((uintptr_t)p + bytes);
  pair_t any;
  if (bytes >= 4 * sizeof *pair) {
    any = mii_any_of_four(end - 4);
    for (; pair < end - 4; pair += 4) any |= mii_any_of_four(pair);
  } else {
    any = pair[0] | pair[bytes / sizeof *pair / 2] | end[-1];
  }
  return (any[0] | any[1]) == 0;
}

// The same of any memory; bytes is a multiple of 8, and p of 16 if there are more of them.
MI_INLINE bool mii_bytes_are_zero(const void* p, size_t bytes) {
  const size_t pairs = bytes & ~(sizeof(pair_t) - 1);
  if (pairs < bytes && *(const uint64_t*)((uintptr_t)p + pairs) != 0) return false;
  return pairs == 0 || mii_block_is_zero(p, pairs);
}

// The block, as above, is about to be freed: all of it is zero, the seal first. From WIPE_LARGE bytes on libc's way is
// the shorter one.
enum { WIPE_LARGE = 512 };
MI_INLINE void mii_canary_wipe(void* p, size_t bytes) {
  const pair_t zero = {0, 0};
  pair_t* pair = p;
  pair_t* const end = (pair_t*)((uintptr_t)p + bytes);
  *(volatile uint64_t*)((uintptr_t)end - CANARY_BYTES) = 0;
  if (bytes >= WIPE_LARGE) {
    memset(p, 0, bytes);
  } else if (bytes >= 4 * sizeof *pair) {
    end[-4] = end[-3] = end[-2] = end[-1] = zero;
    for (; pair < end - 4; pair += 4) pair[0] = pair[1] = pair[2] = pair[3] = zero;
  } else {
    pair[0] = pair[bytes / sizeof *pair / 2] = end[-1] = zero;
  }
}

#endif
