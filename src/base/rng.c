// SPDX-License-Identifier: MIT
// rng.c - the stream of ChaCha20 (D. J. Bernstein, 2008): 64 bits of counter, no nonce
//
// Tests: tests/unit/base/rng_test.c
#include "base/rng.h"
#include <string.h>

enum { DOUBLE_ROUNDS = 10 };

static uint32_t rotate_left(uint32_t x, uint32_t by) { return x << by | x >> (32 - by); }

static void quarter_round(uint32_t* a, uint32_t* b, uint32_t* c, uint32_t* d) {
  *a += *b, *d = rotate_left(*d ^ *a, 16);
  *c += *d, *b = rotate_left(*b ^ *c, 12);
  *a += *b, *d = rotate_left(*d ^ *a, 8);
  *c += *d, *b = rotate_left(*b ^ *c, 7);
}

// Columns, then diagonals.
static void double_round(uint32_t* x) {
  for (uint32_t i = 0; i < 4; i++) quarter_round(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
  for (uint32_t i = 0; i < 4; i++)
    quarter_round(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4], &x[12 + (i + 3) % 4]);
}

void mii_rng_refill(rng_t* rng) {
  uint32_t start[RNG_BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  uint32_t* const words = rng->block.words;
  memcpy(&start[4], rng->key, sizeof rng->key);
  start[12] = (uint32_t)rng->counter;
  start[13] = (uint32_t)(rng->counter >> 32);
  rng->counter++;
  memcpy(words, start, sizeof start);
  for (int i = 0; i < DOUBLE_ROUNDS; i++) double_round(words);
  for (uint32_t i = 0; i < RNG_BLOCK_WORDS; i++) words[i] += start[i];
  rng->left = sizeof rng->block;
}

void mii_rng_seed(rng_t* rng, const uint32_t key[RNG_KEY_WORDS]) {
  memset(rng, 0, sizeof *rng);
  memcpy(rng->key, key, sizeof rng->key);
}
