// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/rng.h"

// The key stream of ChaCha20 for a key, counter and nonce of zeros: known since its publication.
TEST(the_stream_is_that_of_chacha20) {
  static const uint8_t first[64] = {
      0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53,
      0x86, 0xbd, 0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36,
      0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7, 0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48,
      0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4,
      0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86};
  static const uint32_t key[RNG_KEY_WORDS] = {0};
  rng_t rng;
  mii_rng_seed(&rng, key);
  for (size_t i = 0; i < 64; i += 2) CHECK_EQ(mii_rng_16(&rng), first[i] | first[i + 1] << 8);
  CHECK_EQ(mii_rng_16(&rng), 0x079f);  // the second block: 9f 07 e7 be ..
}

// What is left of a word that was begun is not used.
TEST(words_are_those_of_the_stream) {
  static const uint32_t key[RNG_KEY_WORDS] = {4, 5, 6};
  rng_t rng;
  rng_t same;
  mii_rng_seed(&rng, key);
  mii_rng_seed(&same, key);
  for (int i = 0; i < 100; i++) {
    const uint32_t low = mii_rng_16(&same);
    CHECK_EQ(mii_rng_32(&rng), low | mii_rng_16(&same) << 16);
    if (i % 7 != 0) continue;
    CHECK_EQ(mii_rng_8(&rng), mii_rng_8(&same));
    for (int left = 0; left < 3; left++) mii_rng_8(&same);
  }
}

TEST(numbers_below_a_bound_reach_all_and_no_more) {
  static const uint32_t key[RNG_KEY_WORDS] = {1, 2, 3};
  static const uint32_t bounds[] = {1, 2, 3, 7, 64, 1000};
  rng_t rng;
  mii_rng_seed(&rng, key);
  for (size_t b = 0; b < COUNT_OF(bounds); b++) {
    bool seen[1000] = {false};
    for (int i = 0; i < 20000; i++) {
      const uint32_t n = mii_rng_below(&rng, bounds[b]);
      CHECK(n < bounds[b]);
      seen[n] = true;
    }
    for (uint32_t i = 0; i < bounds[b]; i++) CHECK(seen[i]);
  }
}

UNIT_TEST_MAIN
