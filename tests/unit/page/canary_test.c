// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "page/canary.h"

enum { KEY = 0x5AC3 };
static const uint64_t key = UINT64_C(0x0123456789ABCDEF) ^ KEY;
#define canary mii_canary_of(key)
static _Alignas(16) uint8_t block[4096];

TEST(the_size_is_found_again) {
  for (size_t bytes = 16; bytes <= sizeof block; bytes *= 2) {
    for (size_t size = 1; size + CANARY_BYTES <= bytes; size++) {
      mii_canary_set(block, bytes, size, canary);
      CHECK_EQ(mii_canary_size(block, bytes, canary), size);
      CHECK_EQ(mii_canary_check(block, bytes, canary), size);
    }
  }
}

// Of a long slack the first 64 bytes are watched, and the seal.
TEST(every_byte_behind_the_block_is_watched) {
  for (size_t size = 1; size + CANARY_BYTES <= 64; size++) {
    for (size_t at = size; at < 64; at++) {
      for (int value = 0; value < 256; value += 51) {
        mii_canary_set(block, 64, size, canary);
        if (block[at] == (uint8_t)value) continue;
        block[at] = (uint8_t)value;
        CHECK_EQ(mii_canary_check(block, 64, canary), 0);
      }
    }
  }
  mii_canary_set(block, 4096, 100, canary);
  block[163] = 0;
  CHECK_EQ(mii_canary_check(block, 4096, canary), 0);
}

// As blocks that were asked for with an odd offset.
TEST(a_block_may_begin_anywhere) {
  for (size_t shift = 1; shift < 8; shift++) {
    uint8_t* const p = block + shift;
    const size_t bytes = 64 - shift;
    for (size_t size = 1; size + CANARY_BYTES <= bytes; size++) {
      memset(block, 0x77, 64);
      mii_canary_set(p, bytes, size, canary);
      for (size_t i = 0; i < shift + size; i++) CHECK_EQ(block[i], 0x77);
      CHECK_EQ(mii_canary_size(p, bytes, canary), size);
      for (size_t at = size; at < bytes; at++) {
        CHECK_EQ(mii_canary_check(p, bytes, canary), size);
        p[at] ^= 0x10;
        CHECK_EQ(mii_canary_check(p, bytes, canary), 0);
        p[at] ^= 0x10;
      }
    }
  }
}

TEST(the_bytes_of_the_block_are_not_watched) {
  mii_canary_set(block, 64, 40, canary);
  memset(block, 0x77, 40);
  CHECK_EQ(mii_canary_check(block, 64, canary), 40);
}

TEST(a_seal_is_of_no_use_elsewhere) {
  mii_canary_set(block, 64, 40, canary);
  memcpy(block + 64, block, 64);
  CHECK_EQ(mii_canary_check(block + 64, 64, canary), 0);
  CHECK_EQ(mii_canary_check(block, 64, mii_canary_of(key + 1)), 0);
}

TEST(zero_is_zero) {
  memset(block, 0, sizeof block);
  CHECK(mii_bytes_are_zero(block, 4096));
  for (size_t i = 0; i < 4096; i += 61) {
    block[i] = 1;
    CHECK(!mii_bytes_are_zero(block, 4096));
    CHECK(mii_bytes_are_zero(block, i & ~(size_t)7));
    block[i] = 0;
  }
}

TEST(every_byte_is_looked_at) {
  memset(block, 0, sizeof block);
  for (size_t bytes = 8; bytes <= 200; bytes += 8) {
    for (size_t i = 0; i < bytes; i++) {
      block[i] = 0x80;
      CHECK(!mii_bytes_are_zero(block, bytes));
      block[i] = 0;
    }
    block[bytes] = 1;
    CHECK(mii_bytes_are_zero(block, bytes));
    block[bytes] = 0;
  }
}

TEST(a_wiped_block_is_zero_and_its_neighbours_are_not) {
  for (size_t bytes = 16; bytes <= 1024; bytes += 16) {
    memset(block, 0x77, sizeof block);
    mii_canary_wipe(block + 16, bytes);
    CHECK_EQ(block[15], 0x77);
    CHECK(mii_bytes_are_zero(block + 16, bytes));
    CHECK_EQ(block[16 + bytes], 0x77);
  }
}

UNIT_TEST_MAIN
