// SPDX-License-Identifier: MIT
// rng.h - random numbers that nobody can guess: the stream of ChaCha20
#ifndef MI_RNG_H
#define MI_RNG_H

#include <stddef.h>
#include <stdint.h>

enum { RNG_KEY_WORDS = 8, RNG_BLOCK_WORDS = 16 };

// Who may touch it: whoever holds the lock of what it is a part of.
typedef struct rng_s {
  uint32_t key[RNG_KEY_WORDS];
  uint64_t counter;                 // blocks made so far
  uint32_t block[RNG_BLOCK_WORDS];  // of which the last `left` halves of a word were not given yet
  uint32_t left;
} rng_t;

void mii_rng_seed(rng_t* rng, const uint32_t key[RNG_KEY_WORDS]);

// 16 random bits.
uint32_t mii_rng_16(rng_t* rng);

// 0 .. bound - 1; bound is at most 65536.
static inline uint32_t mii_rng_below(rng_t* rng, uint32_t bound) {
  return (uint32_t)((uint64_t)mii_rng_16(rng) * bound >> 16);
}

static inline uint64_t mii_rng_64(rng_t* rng) {
  uint64_t bits = 0;
  for (int i = 0; i < 4; i++) bits = bits << 16 | mii_rng_16(rng);
  return bits;
}

#endif
