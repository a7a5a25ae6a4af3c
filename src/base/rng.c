// SPDX-License-Identifier: MIT
// rng.c - the stream of ChaCha20 (D. J. Bernstein, 2008): 64 bits of counter, no nonce
//
// Tests: tests/unit/base/rng_test.c
#include "base/rng.h"
#include <string.h>

enum { DOUBLE_ROUNDS = 10 };

// The state is four rows of four words. What is done to its columns is done to whole rows at once.
typedef uint32_t row_t __attribute__((vector_size(16)));

static inline void mix(row_t* sum, const row_t* with, row_t* word, uint32_t by) {
  *sum += *with;
  *word ^= *sum;
  *word = *word << by | *word >> (32 - by);
}

static inline void mix_columns(row_t* x) {
  mix(&x[0], &x[1], &x[3], 16);
  mix(&x[2], &x[3], &x[1], 12);
  mix(&x[0], &x[1], &x[3], 8);
  mix(&x[2], &x[3], &x[1], 7);
}

// Words of the row in another order. Spelled so that compilers see one instruction.
#define TURNED(row, a, b, c, d) ((row_t){(row)[a], (row)[b], (row)[c], (row)[d]})

static inline void mix_diagonals(row_t* x) {
  x[1] = TURNED(x[1], 1, 2, 3, 0);
  x[2] = TURNED(x[2], 2, 3, 0, 1);
  x[3] = TURNED(x[3], 3, 0, 1, 2);
  mix_columns(x);
  x[1] = TURNED(x[1], 3, 0, 1, 2);
  x[2] = TURNED(x[2], 2, 3, 0, 1);
  x[3] = TURNED(x[3], 1, 2, 3, 0);
}

void mii_rng_refill(rng_t* rng) {
  static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  const uint32_t last[4] = {(uint32_t)rng->counter, (uint32_t)(rng->counter >> 32), 0, 0};
  row_t start[4], x[4];
  memcpy(&start[0], constants, sizeof constants);
  memcpy(&start[1], rng->key, sizeof rng->key);
  memcpy(&start[3], last, sizeof last);
  memcpy(x, start, sizeof x);
  rng->counter++;
  for (int i = 0; i < DOUBLE_ROUNDS; i++) {
    mix_columns(x);
    mix_diagonals(x);
  }
  for (int i = 0; i < 4; i++) x[i] += start[i];
  memcpy(rng->block.words, x, sizeof x);
  rng->left = sizeof rng->block;
}

void mii_rng_seed(rng_t* rng, const uint32_t key[RNG_KEY_WORDS]) {
  memset(rng, 0, sizeof *rng);
  memcpy(rng->key, key, sizeof rng->key);
}
