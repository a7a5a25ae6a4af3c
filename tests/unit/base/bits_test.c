// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/bits.h"

// Words with few, many, and regular bits.
static uint64_t some_word(random_t* random) {
  const uint64_t a = random_next(random);
  switch (random_below(random, 5)) {
    case 0: return a;
    case 1: return a & random_next(random) & random_next(random);
    case 2: return a | random_next(random) | random_next(random);
    case 3: return ~UINT64_C(0) << (a % 64);
    default: return ~UINT64_C(0) >> (a % 64);
  }
}

TEST(only_one_bit_makes_a_power_of_two) {
  CHECK(!mii_is_power_of_two(0));
  for (uint32_t i = 0; i < 8 * sizeof(size_t); i++) {
    CHECK(mii_is_power_of_two((size_t)1 << i));
    for (uint32_t j = 0; j < i; j++) CHECK(!mii_is_power_of_two((size_t)1 << i | (size_t)1 << j));
  }
}

TEST(aligning_goes_up_to_the_next_multiple) {
  for (size_t align = 1; align <= 4096; align *= 2) {
    for (size_t x = 0; x < 3 * align && x < 5000; x++) {
      const size_t up = mii_align_up(x, align);
      CHECK(up >= x && up - x < align && up % align == 0);
    }
  }
  CHECK_EQ(mii_align_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
}

TEST(dividing_up_never_overflows) {
  for (size_t by = 1; by < 70; by++) {
    for (size_t x = 0; x < 500; x++) CHECK_EQ(mii_divide_up(x, by), (x + by - 1) / by);
  }
  CHECK_EQ(mii_divide_up(SIZE_MAX, 1), SIZE_MAX);
  CHECK_EQ(mii_divide_up(SIZE_MAX, SIZE_MAX), 1);
  CHECK_EQ(mii_divide_up(SIZE_MAX, 2), SIZE_MAX / 2 + 1);
}

TEST(min_and_max_compare_unsigned) {
  CHECK_EQ(mii_min(1, SIZE_MAX), 1);
  CHECK_EQ(mii_max(1, SIZE_MAX), SIZE_MAX);
  CHECK_EQ(mii_min(7, 7), 7);
  CHECK_EQ(mii_max(7, 7), 7);
}

TEST(scanning_and_counting_agree_with_looking_at_each_bit) {
  random_t random = {1};
  for (int n = 0; n < 20000; n++) {
    const uint64_t x = some_word(&random);
    if (x == 0) continue;
    uint32_t lowest = 64, highest = 0, count = 0;
    for (uint32_t i = 0; i < 64; i++) {
      if ((x >> i & 1) == 0) continue;
      if (lowest == 64) lowest = i;
      highest = i;
      count++;
    }
    CHECK_EQ(mii_lowest_bit(x), lowest);
    CHECK_EQ(mii_highest_bit(x), highest);
    CHECK_EQ(mii_count_bits(x), count);
  }
  CHECK_EQ(mii_count_bits(0), 0);
}

TEST(the_logarithm_rounds_up) {
  for (uint64_t x = 1; x < 70000; x++) {
    uint32_t k = 0;
    while ((UINT64_C(1) << k) < x) k++;
    CHECK_EQ(mii_log2_up(x), k);
  }
  CHECK_EQ(mii_log2_up(UINT64_C(1) << 63), 63);
  CHECK_EQ(mii_log2_up((UINT64_C(1) << 63) + 1), 64);
  CHECK_EQ(mii_log2_up(UINT64_MAX), 64);
}

TEST(a_span_has_its_bits_and_no_others) {
  for (uint32_t from = 0; from < 64; from++) {
    for (uint32_t count = 0; from + count <= 64; count++) {
      uint64_t expected = 0;
      for (uint32_t i = from; i < from + count; i++) expected |= UINT64_C(1) << i;
      CHECK_EQ(mii_bit_span(from, count), expected);
    }
  }
}

TEST(runs_begin_where_enough_set_bits_follow) {
  random_t random = {2};
  for (int n = 0; n < 3000; n++) {
    const uint64_t x = some_word(&random);
    for (uint32_t count = 1; count <= 64; count++) {
      uint64_t expected = 0;
      for (uint32_t from = 0; from + count <= 64; from++) {
        if ((~x & mii_bit_span(from, count)) == 0) expected |= UINT64_C(1) << from;
      }
      CHECK_EQ(mii_bit_runs(x, count), expected);
    }
  }
  CHECK_EQ(mii_bit_runs(~UINT64_C(0), 64), 1);
}

TEST(multiplication_notices_overflow) {
  size_t total = 0;
  CHECK(mii_multiply(0, SIZE_MAX, &total));
  CHECK_EQ(total, 0);
  CHECK(mii_multiply(SIZE_MAX, 1, &total));
  CHECK_EQ(total, SIZE_MAX);
  const size_t half_the_bits = (size_t)1 << 4 * sizeof(size_t);
  CHECK(mii_multiply(half_the_bits / 2, half_the_bits, &total));
  CHECK_EQ(total, SIZE_MAX / 2 + 1);
  CHECK(!mii_multiply(half_the_bits, half_the_bits, &total));
  CHECK(!mii_multiply(SIZE_MAX / 3 + 1, 3, &total));
  CHECK(!mii_multiply(SIZE_MAX, SIZE_MAX, &total));
}

UNIT_TEST_MAIN
