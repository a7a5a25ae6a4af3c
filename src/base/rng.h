// SPDX-License-Identifier: MIT
// rng.h - random numbers that nobody can guess: the stream of ChaCha20
#ifndef MI_RNG_H
#define MI_RNG_H

#include <stddef.h>
#include <stdint.h>

enum { RNG_KEY_WORDS = 8, RNG_BLOCK_WORDS = 16 };

// Who may touch it: whoever may touch what it is a part of.
typedef struct rng_s {
  uint32_t key[RNG_KEY_WORDS];
  uint64_t counter;  // blocks made so far
  union {
    uint32_t words[RNG_BLOCK_WORDS];
    uint8_t bytes[RNG_BLOCK_WORDS * 4];
  } block;
  uint32_t left;  // of its bytes, the last ones
} rng_t;

void mii_rng_seed(rng_t* rng, const uint32_t key[RNG_KEY_WORDS]);

// Make the next block.
void mii_rng_refill(rng_t* rng);

// 8 random bits. What was given is not kept.
static inline uint32_t mii_rng_8(rng_t* rng) {
  if (rng->left == 0) mii_rng_refill(rng);
  uint8_t* const at = &rng->block.bytes[sizeof rng->block - rng->left--];
  const uint8_t bits = *at;
  *at = 0;
  return bits;
}

// 32 of them, a whole word.
static inline uint32_t mii_rng_32(rng_t* rng) {
  if (rng->left < sizeof(uint32_t)) mii_rng_refill(rng);
  const uint32_t words = rng->left / sizeof(uint32_t);
  uint32_t* const at = &rng->block.words[RNG_BLOCK_WORDS - words];
  const uint32_t bits = *at;
  *at = 0;
  rng->left = (words - 1) * (uint32_t)sizeof(uint32_t);
  return bits;
}

static inline uint32_t mii_rng_16(rng_t* rng) {
  const uint32_t low = mii_rng_8(rng);
  return low | mii_rng_8(rng) << 8;
}

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
