// SPDX-License-Identifier: MIT
// The geometry of blocks, for every size from 0 to 1 MiB.
#include "support/unit_test.h"
#include "base/size_class.h"

enum { RUN_BYTES_MAX = RUN_UNITS_MAX * UNIT_BYTES };

// The smallest class that holds `size` bytes aligned to `alignment`, by looking at all of them.
static uint32_t search_class(size_t size, size_t alignment) {
  uint32_t c = 0;
  while (c < CLASS_COUNT && (mii_class_bytes(c) < size || mii_class_bytes(c) % alignment != 0)) c++;
  return c;
}

TEST(blocks_grow_from_class_to_class_up_to_32_kib) {
  CHECK_EQ(mii_class_bytes(0), 8);
  for (uint32_t c = 1; c < CLASS_COUNT; c++) { CHECK(mii_class_bytes(c) > mii_class_bytes(c - 1)); }
  CHECK_EQ(mii_class_bytes(CLASS_COUNT - 1), MID_BLOCK_MAX);
  CHECK_EQ(mii_class_bytes(SMALL_CLASS_COUNT - 1), SMALL_BLOCK_MAX);
}

TEST(every_size_gets_the_smallest_class_that_holds_it) {
  for (size_t size = 0; size <= MID_BLOCK_MAX; size++) {
    const uint32_t c = mii_size_class(size);
    CHECK(c < CLASS_COUNT);
    CHECK(mii_class_bytes(c) >= size);
    CHECK(c == 0 || mii_class_bytes(c - 1) < size);
  }
}

TEST(at_most_an_eighth_of_a_block_is_wasted_above_128_bytes_up_to_1_mib) {
  for (size_t size = 129; size <= MID_BLOCK_MAX; size++) {
    const size_t bytes = mii_class_bytes(mii_size_class(size));
    CHECK((bytes - size) * 8 <= bytes);
  }
  for (size_t size = MID_BLOCK_MAX + 1; size <= RUN_BYTES_MAX; size++) {  // runs
    const size_t bytes = mii_divide_up(size, UNIT_BYTES) * UNIT_BYTES;
    CHECK(bytes >= size && bytes <= RUN_BYTES_MAX);
    CHECK((bytes - size) * 8 <= bytes);
  }
}

TEST(at_most_15_bytes_are_wasted_up_to_128_bytes) {
  for (size_t size = 1; size <= 128; size++) {
    CHECK(mii_class_bytes(mii_size_class(size)) - size <= 15);
  }
}

TEST(the_table_says_what_the_function_says) {
  for (size_t size = 0; size <= FAST_SIZE_MAX; size++) {
    CHECK_EQ(mii_size_class_fast(size), mii_size_class(size));
  }
}

TEST(blocks_of_16_bytes_and_more_are_aligned_to_16) {
  for (size_t size = 9; size <= MID_BLOCK_MAX; size++) {
    CHECK_EQ(mii_class_bytes(mii_size_class(size)) % 16, 0);
  }
}

TEST(a_size_that_is_a_power_of_two_has_blocks_of_its_size) {
  for (size_t size = 8; size <= MID_BLOCK_MAX; size *= 2) {
    CHECK_EQ(mii_class_bytes(mii_size_class(size)), size);
  }
}

// What the header promises: "aligned to the largest power of two that divides its size".
TEST(every_block_of_a_page_is_naturally_aligned) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const size_t bytes = mii_class_bytes(c);
    const size_t alignment = (size_t)1 << mii_lowest_bit(bytes);
    CHECK(alignment <= SLICE_BYTES);  // of the page's start
    for (uint32_t i = 0; i < mii_class_blocks(c); i++) { CHECK_EQ(i * bytes % alignment, 0); }
  }
}

TEST(a_page_holds_as_many_blocks_as_fit) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const size_t bytes = mii_class_bytes(c);
    const size_t page = (size_t)mii_class_slices(c) * SLICE_BYTES;
    CHECK_EQ(mii_class_slices(c), bytes <= SMALL_BLOCK_MAX ? 1 : MID_PAGE_SLICES);
    CHECK(mii_class_blocks(c) * bytes <= page);
    CHECK((mii_class_blocks(c) + 1) * bytes > page);
    CHECK(mii_class_blocks(c) >= 4);
    CHECK(mii_class_blocks(c) <= UINT16_MAX);  // page_t counts in 16 bits
  }
}

TEST(a_page_wakes_when_a_sixteenth_or_16_blocks_are_back) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t wake = mii_class_wake_count(c);
    const uint32_t blocks = mii_class_blocks(c);
    CHECK(wake >= 1 && wake <= 16);
    if (blocks >= 256) CHECK_EQ(wake, 16);
    if (blocks >= 16 && blocks < 256) CHECK_EQ(wake, blocks / 16);
  }
}

TEST(aligned_requests_get_the_smallest_class_whose_blocks_are_all_aligned) {
  for (size_t alignment = 1; alignment <= MID_BLOCK_MAX; alignment *= 2) {
    uint32_t expected = 0;  // grows with the size
    for (size_t size = 0; size <= MID_BLOCK_MAX; size++) {
      if (expected < CLASS_COUNT && mii_class_bytes(expected) < size) {
        expected = search_class(size, alignment);
      }
      if (size == 0) expected = search_class(0, alignment);
      CHECK_EQ(mii_size_class_aligned(size, alignment), expected);
    }
  }
}

TEST(what_no_class_can_hold_has_no_class) {
  CHECK_EQ(mii_size_class_aligned(MID_BLOCK_MAX, MID_BLOCK_MAX), CLASS_COUNT - 1);
  CHECK_EQ(mii_size_class_aligned(1, MID_BLOCK_MAX), CLASS_COUNT - 1);
  for (size_t alignment = 1; alignment != 0; alignment *= 2) {
    CHECK_EQ(mii_size_class_aligned(MID_BLOCK_MAX + 1, alignment), CLASS_COUNT);
    CHECK_EQ(mii_size_class_aligned(SIZE_MAX, alignment), CLASS_COUNT);
    CHECK_EQ(mii_size_class_aligned(PTRDIFF_MAX, alignment), CLASS_COUNT);
    if (alignment > MID_BLOCK_MAX) CHECK_EQ(mii_size_class_aligned(1, alignment), CLASS_COUNT);
  }
}

UNIT_TEST_MAIN
