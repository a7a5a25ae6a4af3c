// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/size_class.h"
#include "runtime/option.h"
#include "runtime/secure.h"
#include "space/hint.h"
#include "space/huge.h"
#include "space/large.h"
#include "space/limit.h"
#include "space/purge.h"
#include "space/range.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"

enum { RANGE_SEGMENTS = 256, SMALL_BYTES = 16 * SEGMENT_BYTES };

static void start(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  fake_space_start();
}

static slice_t take(uint32_t count) {
  bool zero;
  const slice_t slice = mii_segment_take((slice_request_t){.count = count}, &zero);
  CHECK(slice != 0);
  return slice;
}

static void fill(uint32_t segments) {
  while (mii_limit_charged() < segments * (size_t)SEGMENT_BYTES - SLICE_BYTES) take(1);
}

static size_t new_large_bytes(void) {
  static size_t before;
  const size_t now = fake_large_bytes();
  const size_t more = now - before;
  before = now;
  return more;
}

TEST(the_first_segments_are_never_large) {
  start();
  CHECK_EQ(fake_small_bytes(), SMALL_BYTES);
  fill(16);
  CHECK_EQ(new_large_bytes(), 0);
  CHECK(fake_space_is_valid());
}

TEST(segments_that_pages_begin_to_fill_later_are_large) {
  start();
  fill(16);
  CHECK_EQ(new_large_bytes(), 0);
  const slice_t first = take(1);
  CHECK_EQ(first % SEGMENT_SLICES, 0);
  CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);
  CHECK_EQ(mii_limit_charged(), 17 * (size_t)SEGMENT_BYTES - SLICE_BYTES);  // all may be resident
  for (uint32_t i = 1; i < SEGMENT_SLICES; i++) CHECK_EQ(take(1), first + i);
  CHECK_EQ(new_large_bytes(), 0);
  take(2);
  CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);
  CHECK(fake_space_is_valid());
}

// As if each slice of the segment were a page of which so many blocks of 64 bytes are threaded.
static void pretend_pages(uint32_t segment, uint32_t blocks) {
  for (slice_t slice = segment * SEGMENT_SLICES; slice < (segment + 1) * SEGMENT_SLICES; slice++) {
    page_t* const page = mii_page_record(slice);
    page->size_class = (uint8_t)mii_size_class(64);
    atomic_store(&page->capacity, blocks);
    mii_slice_set_kind(slice, blocks > 0 ? SLICE_PAGE : SLICE_FREE);
  }
}

TEST(pages_that_have_hardly_begun_do_not_fill_a_segment) {
  start();
  fill(16);
  pretend_pages(15, SLICE_BYTES / 64 / 2 - 1);
  const slice_t first = take(1);
  CHECK_EQ(first, 16 * SEGMENT_SLICES);
  CHECK_EQ(new_large_bytes(), 0);
  fill(17);
  pretend_pages(16, SLICE_BYTES / 64 / 2);
  CHECK_EQ(take(1), 17 * SEGMENT_SLICES);
  CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);
  pretend_pages(15, 0);
  pretend_pages(16, 0);
  CHECK(fake_space_is_valid());
}

// Wherever its first page lies.
TEST(at_level_1_segments_that_pages_begin_to_fill_are_large_too) {
  start();
  mii_option_set(mi_option_secure, 1);
  mii_secure_fix();
  fill(16);
  CHECK_EQ(new_large_bytes(), 0);
  uint32_t at_begin = 0;
  for (uint32_t k = 0; k < 6; k++) {
    const slice_t first = take(1);
    CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);
    CHECK_EQ(mii_limit_charged(), (17 + k) * (size_t)SEGMENT_BYTES - SLICE_BYTES);
    for (uint32_t i = 1; i < SEGMENT_SLICES; i++)
      CHECK_EQ(take(1) / SEGMENT_SLICES, first / SEGMENT_SLICES);
    CHECK_EQ(new_large_bytes(), 0);
    at_begin += first % SEGMENT_SLICES == 0;
  }
  CHECK(at_begin < 6);
  CHECK(fake_space_is_valid());
}

TEST(huge_blocks_and_areas_are_as_the_system_likes) {
  start();
  fill(16);
  take(3);
  take(64);
  take(200);
  CHECK_EQ(new_large_bytes(), 0);
}

TEST(what_is_not_filled_goes_back_and_is_small_again) {
  start();
  fill(16);
  const slice_t first = take(1);
  const size_t small = fake_small_bytes();
  mii_purge_all();
  CHECK_EQ(fake_small_bytes(), small + SEGMENT_BYTES);
  CHECK_EQ(mii_limit_charged(), 16 * (size_t)SEGMENT_BYTES);
  CHECK(take(1) == first + 1);
  CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);
  mii_segment_give(first, 2);
  mii_purge_all();
  CHECK_EQ(fake_small_bytes(), small + SEGMENT_BYTES);  // it is small
  take(1);
  CHECK_EQ(new_large_bytes(), SEGMENT_BYTES);  // empty, and begun again
  CHECK(fake_space_is_valid());
}

TEST(there_are_not_more_seams_than_mappings_allow) {
  start();
  fill(16);
  slice_t first[200];
  new_large_bytes();
  for (uint32_t i = 0; i < 200; i++) {  // a large one, one of a huge block, and so on
    first[i] = take(1);
    if (first[i] % SEGMENT_SLICES == 0 && new_large_bytes() == 0) break;
    while (take(1) % SEGMENT_SLICES != SEGMENT_SLICES - 1) {}
    if (mii_segment_count() > 200) break;
    take(64);
  }
  CHECK(fake_large_bytes() >= 30 * (size_t)SEGMENT_BYTES);
  CHECK(fake_large_bytes() <= 64 * (size_t)SEGMENT_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(an_option_forbids_all) {
  CHECK(mii_option_set(mi_option_allow_thp, 0));
  start();
  CHECK_EQ(fake_small_bytes(), mii_range.segment_max * (size_t)SEGMENT_BYTES);
  fill(20);
  CHECK_EQ(fake_large_bytes(), 0);
}

TEST(an_option_wants_them_from_the_start) {
  CHECK(mii_option_set(mi_option_allow_large_os_pages, 1));
  start();
  CHECK_EQ(fake_small_bytes(), 0);
  fill(3);
  CHECK(fake_large_bytes() >= 2 * SEGMENT_BYTES);
  CHECK(fake_space_is_valid());
}

UNIT_TEST_MAIN
