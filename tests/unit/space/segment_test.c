// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "space/segment.h"
#include "base/bits.h"
#include "runtime/option.h"
#include "space/hint.h"
#include "space/purge.h"
#include "space/range.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include <pthread.h>
#include <sys/mman.h>

enum { RANGE_SEGMENTS = 24, RANGE_SLICES = RANGE_SEGMENTS * SEGMENT_SLICES };

static void start_with(uint32_t segments) {
  fake_facts.memory_bytes = (size_t)segments * SEGMENT_BYTES / 16;
  fake_space_start();
  CHECK_EQ(mii_range.segment_max, segments);
}

static void start(void) { start_with(RANGE_SEGMENTS); }

static slice_t take(uint32_t count) {
  bool zero;
  return mii_segment_take((slice_request_t){.count = count}, &zero);
}

static bool take_is_zero(uint32_t count, slice_t* slice) {
  bool zero;
  *slice = mii_segment_take((slice_request_t){.count = count}, &zero);
  CHECK(*slice != 0);
  return zero;
}

static bool is_free(slice_t slice) {
  return (mii_segment(slice / SEGMENT_SLICES)->free >> (slice % SEGMENT_SLICES) & 1) != 0;
}

// Opens segments, with their hints, without taking anything.
static void open_segments(uint32_t count) {
  CHECK(mii_range_grow(count));
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    for (uint32_t k = 0; k < 7; k++) {
      const bool has = mii_bit_runs(mii_segment(i)->free, 1u << k) != 0;
      mii_hint_set((hint_t)(HINT_SLICES + k), i, has);
    }
  }
}

// Claims all that is open, so that a test can free what it wants.
static void take_all(void) {
  const uint32_t open = mii_segment_count();
  for (slice_t s = 1; s < open * SEGMENT_SLICES; s++) {
    bool zero;
    CHECK_EQ(mii_segment_try_claim(s, 1, &zero), true);
  }
  CHECK_EQ(mii_segment_count(), open);
}

// Take -------------------------------------------------------------------------------------------

TEST(the_first_slice_is_never_handed_out) {
  start();
  CHECK_EQ(take(1), 1);
  CHECK(!is_free(0));
}

TEST(the_lowest_segment_with_room_is_taken) {
  start();
  open_segments(5);
  take_all();
  mii_segment_give(3 * 64 + 7, 5);
  mii_segment_give(2 * 64 + 9, 2);
  mii_segment_give(4 * 64, 20);
  CHECK_EQ(take(2), 2 * 64 + 9);
  CHECK_EQ(take(2), 3 * 64 + 7);
  CHECK_EQ(take(4), 4 * 64);
  CHECK_EQ(take(3), 3 * 64 + 9);
  CHECK(fake_space_is_valid());
}

TEST(a_run_of_at_most_a_segment_lies_in_one) {
  start();
  open_segments(4);
  take_all();
  mii_segment_give(64 + 54, 20);  // ten slices in either of two segments
  CHECK_EQ(take(10), 64 + 54);
  CHECK_EQ(take(8), 2 * 64);
  CHECK_EQ(take(2), 2 * 64 + 8);
}

TEST(larger_runs_cross_segments) {
  start();
  open_segments(6);
  take_all();
  mii_segment_give(64 + 60, 4 + 2 * 64 + 1);
  CHECK_EQ(take(2 * 64 + 4), 64 + 60);
  mii_segment_give(64 + 60, 4 + 2 * 64);
  CHECK_EQ(take(2 * 64 + 5), 64 + 60);
  CHECK(fake_space_is_valid());
}

TEST(more_of_the_range_is_opened_when_needed) {
  start();
  CHECK_EQ(mii_segment_count(), 0);
  CHECK_EQ(take(63), 1);
  CHECK_EQ(mii_segment_count(), 1);
  CHECK_EQ(take(1), 64);
  CHECK_EQ(mii_segment_count(), 2);
  CHECK_EQ(take(3 * 64), 65);
  CHECK_EQ(mii_segment_count(), 5);
  CHECK(fake_space_is_valid());
}

TEST(a_full_range_has_nothing) {
  start();
  while (take(1) != 0) {}
  CHECK_EQ(mii_segment_count(), RANGE_SEGMENTS);
  CHECK_EQ(take(64), 0);
  CHECK_EQ(take(100), 0);
  mii_segment_give(500, 1);
  CHECK_EQ(take(2), 0);
  CHECK_EQ(take(1), 500);
  CHECK_EQ(take(1), 0);
  CHECK(fake_space_is_valid());
}

TEST(more_than_the_range_has_is_refused_without_opening_it) {
  start();
  CHECK_EQ(take(RANGE_SLICES + 1), 0);
  CHECK_EQ(take(RANGE_SLICES * 10), 0);
  CHECK_EQ(mii_segment_count(), 0);
  CHECK_EQ(take(RANGE_SLICES - 1), 1);
  CHECK_EQ(take(1), 0);
}

TEST(what_the_system_refuses_is_tried_again_next_time) {
  start();
  CHECK_EQ(take(10), 1);
  fake_fail_from(FAKE_OPEN, 1);
  CHECK_EQ(take(64), 0);
  CHECK_EQ(take(5), 11);  // there is still room in what is open
  CHECK(fake_space_is_valid());
  fake_fail_never();
  CHECK_EQ(take(64), 64);
}

static bool is_placed(slice_t slice, uint32_t align, uint32_t phase) {
  return ((uintptr_t)mii_slice_start(slice) >> SLICE_SHIFT) % align == phase;
}

TEST(alignment_and_phase_are_those_of_the_address) {
  start_with(64);
  for (uint32_t align = 1; align <= 1024; align *= 2) {
    for (uint32_t phase = 0; phase < align; phase += 1 + align / 5) {
      for (uint32_t count = 1; count <= 200; count += count < 4 ? 1 : 17) {
        bool zero;
        const slice_request_t want = {.count = count, .align = align, .phase = phase};
        const slice_t slice = mii_segment_take(want, &zero);
        CHECK(slice != 0);
        CHECK(is_placed(slice, align, phase));
        for (uint32_t i = 0; i < count; i++) CHECK(!is_free(slice + i));
        mii_segment_give(slice, count);
      }
    }
  }
  CHECK(fake_space_is_valid());
}

// A run that begins late in its 4 MiB does not fit one segment.
TEST(a_run_that_no_single_segment_can_hold_crosses_two) {
  start();
  bool zero;
  const slice_t slice =
      mii_segment_take((slice_request_t){.count = 32, .align = 64, .phase = 48}, &zero);
  CHECK_EQ(slice, 48);
  CHECK(mii_segment_count() <= 3);
  const slice_t second =
      mii_segment_take((slice_request_t){.count = 60, .align = 16, .phase = 8}, &zero);
  CHECK(second != 0 && is_placed(second, 16, 8));
  CHECK(mii_segment_count() <= 5);
  CHECK(fake_space_is_valid());
}

// Only every ninth segment has the run that the request needs, and no more can be opened.
TEST(a_full_range_is_searched_completely) {
  start();
  open_segments(RANGE_SEGMENTS);
  take_all();
  for (slice_t s = 1; s < 12; s++) mii_segment_give(s * 64 + 10, 2);
  mii_segment_give(12 * 64 + 10, 3);
  CHECK_EQ(take(3), 12 * 64 + 10);
}

TEST(a_full_range_is_searched_completely_for_aligned_runs) {
  start();
  open_segments(RANGE_SEGMENTS);
  take_all();
  for (slice_t s = 1; s < 12; s++) mii_segment_give(s * 64 + 9, 2);
  mii_segment_give(12 * 64 + 10, 2);
  bool zero;
  CHECK_EQ(mii_segment_take((slice_request_t){.count = 2, .align = 2, .phase = 0}, &zero),
           12 * 64 + 10);
}

TEST(a_full_range_is_searched_completely_for_large_alignments) {
  start();
  open_segments(RANGE_SEGMENTS);
  take_all();
  const slice_t past = 128 - (slice_t)((mii_range.base >> SLICE_SHIFT) % 128);  // a multiple of 128
  mii_segment_give(past + 8, 4);
  bool zero;
  CHECK_EQ(mii_segment_take((slice_request_t){.count = 4, .align = 128, .phase = 8}, &zero),
           past + 8);
}

// What is free at the end of the open part counts when the rest of the range is opened.
TEST(a_run_may_begin_in_what_is_open_and_end_where_the_range_ends) {
  start();
  CHECK_EQ(take(1), 1);
  CHECK_EQ(take(RANGE_SLICES - 2), 2);
}

// Try to claim -----------------------------------------------------------------------------------

TEST(exactly_these_slices_are_claimed_or_none) {
  start();
  open_segments(4);
  bool zero;
  CHECK(mii_segment_try_claim(60, 2 * 64, &zero));
  CHECK(zero);
  CHECK(is_free(59) && is_free(60 + 2 * 64));
  for (slice_t s = 60; s < 60 + 2 * 64; s++) CHECK(!is_free(s));

  CHECK(!mii_segment_try_claim(50, 11, &zero));
  CHECK(!mii_segment_try_claim(60 + 2 * 64 - 1, 30, &zero));
  CHECK(!mii_segment_try_claim(1, 3 * 64, &zero));
  for (slice_t s = 1; s < 4 * 64; s++) CHECK_EQ(is_free(s), s < 60 || s >= 60 + 2 * 64);
  CHECK(fake_space_is_valid());
  CHECK(mii_segment_try_claim(50, 10, &zero));
  CHECK(mii_segment_try_claim(60 + 2 * 64, 64, &zero));
  CHECK(fake_space_is_valid());
}

TEST(a_claim_that_fails_in_a_later_segment_changes_nothing) {
  start();
  open_segments(4);
  CHECK_EQ(take(3), 1);
  mii_segment_give(1, 3);
  bool zero;
  CHECK(mii_segment_try_claim(3 * 64 + 5, 1, &zero));
  const uint64_t purgeable = mii_segment(0)->purgeable;
  CHECK(!mii_segment_try_claim(1, 3 * 64 + 10, &zero));
  CHECK_EQ(mii_segment(0)->free, ~UINT64_C(1));
  CHECK_EQ(mii_segment(1)->free, ~UINT64_C(0));
  CHECK_EQ(mii_segment(0)->purgeable, purgeable);
  CHECK_EQ(mii_segment(1)->dirty, 0);
  CHECK(fake_space_is_valid());
}

TEST(what_is_not_open_cannot_be_claimed) {
  start();
  bool zero;
  CHECK(!mii_segment_try_claim(1, 1, &zero));
  open_segments(1);
  CHECK(!mii_segment_try_claim(0, 1, &zero));
  CHECK(!mii_segment_try_claim(63, 2, &zero));
  CHECK(!mii_segment_try_claim(64, 1, &zero));
  CHECK(!mii_segment_try_claim(63, UINT32_MAX, &zero));
  CHECK(mii_segment_try_claim(63, 1, &zero));
}

// Zero -------------------------------------------------------------------------------------------

TEST(memory_is_known_to_be_zero_until_it_was_handed_out) {
  start();
  slice_t a, b;
  CHECK(take_is_zero(4, &a));
  CHECK(take_is_zero(4, &b));
  mii_segment_give(a, 4);
  CHECK(!take_is_zero(2, &a));
  mii_segment_give(a, 2);
  mii_segment_give(b, 4);
  CHECK(!take_is_zero(20, &a));  // the first 8 of them are not
}

TEST(purged_memory_is_known_to_be_zero) {
  start();
  slice_t a, b;
  take_is_zero(6, &a);
  take_is_zero(2, &b);
  memset(mii_slice_start(a), 0xAB, 6 * SLICE_BYTES);
  mii_segment_give(a, 6);
  mii_segment_purge(0);
  CHECK(take_is_zero(6, &a));
  CHECK(is_zero(mii_slice_start(a), 6 * SLICE_BYTES));
  mii_segment_give(b, 2);
  CHECK(!take_is_zero(2, &b));
}

TEST(a_run_over_segments_is_zero_only_if_all_of_it_is) {
  start();
  slice_t a;
  open_segments(4);
  CHECK(take_is_zero(3 * 64, &a));
  mii_segment_give(a, 3 * 64);
  for (uint32_t i = 0; i < 3; i++) mii_segment_purge(i);
  CHECK(!take_is_zero(3 * 64, &a));  // the last slice lies in segment 3
  mii_segment_give(a, 3 * 64);
  for (uint32_t i = 0; i < 4; i++) mii_segment_purge(i);
  CHECK(take_is_zero(3 * 64, &a));
  bool zero;
  mii_segment_give(a, 1);
  CHECK(mii_segment_try_claim(a, 1, &zero));
  CHECK(!zero);
  CHECK(mii_segment_try_claim(a + 3 * 64, 5, &zero));
  CHECK(zero);
}

// Purge ------------------------------------------------------------------------------------------

TEST(neighbours_are_purged_in_one_call) {
  start();
  slice_t a;
  take_is_zero(63, &a);
  mii_segment_give(10, 3);
  mii_segment_give(13, 1);
  mii_segment_give(40, 24);  // to the end
  mii_segment_purge(0);
  CHECK_EQ(fake_calls(FAKE_PURGE), 2);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 28 * SLICE_BYTES);
  CHECK_EQ(fake_latest(FAKE_PURGE).address, mii_slice_start(40));
  CHECK_EQ(fake_latest(FAKE_PURGE).size, 24 * SLICE_BYTES);
  CHECK_EQ(mii_segment(0)->purgeable, 0);
  CHECK_EQ(mii_segment(0)->dirty, ~UINT64_C(1) & ~mii_bit_span(10, 4) & ~mii_bit_span(40, 24));
  CHECK(fake_space_is_valid());
  mii_segment_purge(0);
  CHECK_EQ(fake_calls(FAKE_PURGE), 2);
}

TEST(a_whole_segment_is_purged_in_one_call) {
  start();
  open_segments(2);
  bool zero;
  CHECK(mii_segment_try_claim(64, 64, &zero));
  mii_segment_give(64, 64);
  mii_segment_purge(1);
  CHECK_EQ(fake_calls(FAKE_PURGE), 1);
  CHECK_EQ(fake_bytes(FAKE_PURGE), SEGMENT_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(what_was_never_used_is_not_purged) {
  start();
  slice_t a;
  take_is_zero(2, &a);
  mii_segment_purge(0);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
  mii_segment_give(a, 1);
  mii_segment_purge(0);
  CHECK_EQ(fake_bytes(FAKE_PURGE), SLICE_BYTES);
}

TEST(what_is_taken_again_is_not_purged) {
  start();
  slice_t a, b;
  take_is_zero(4, &a);
  mii_segment_give(a, 4);
  take_is_zero(2, &b);
  CHECK_EQ(b, a);
  memset(mii_slice_start(b), 0xAB, 2 * SLICE_BYTES);
  mii_segment_purge(0);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 2 * SLICE_BYTES);
  CHECK(is_all(mii_slice_start(b), 2 * SLICE_BYTES, 0xAB));
}

TEST(a_failing_purge_leaves_the_memory_free_and_dirty) {
  start();
  slice_t a;
  take_is_zero(4, &a);
  mii_segment_give(a, 4);
  fake_fail_nth(FAKE_PURGE, 1);
  mii_segment_purge(0);
  CHECK(fake_space_is_valid());
  CHECK_EQ(mii_segment(0)->dirty, mii_bit_span(a, 4));
  CHECK(!take_is_zero(4, &a));
}

// While the memory goes back, it is nobody's: others find it taken, give back around it, and take
// elsewhere.
static void use_segment_meanwhile(void* arg) {
  bool zero;
  CHECK(!mii_segment_try_claim(5, 1, &zero));
  CHECK(mii_segment_try_claim(12, 3, &zero));
  mii_segment_give(20, 2);
  *(slice_t*)arg = take(4);
}

TEST(the_segment_can_be_used_while_it_is_purged) {
  start();
  slice_t a, other = 0;
  take_is_zero(8, &a);
  CHECK_EQ(take(3), 9);
  bool zero;
  CHECK(mii_segment_try_claim(20, 2, &zero));
  mii_segment_give(a, 8);
  fake_on_call(FAKE_PURGE, use_segment_meanwhile, &other);
  mii_segment_purge(0);
  CHECK_EQ(other, 15);
  CHECK(is_free(a) && is_free(20) && is_free(21) && !is_free(12));
  CHECK_EQ(mii_segment(0)->purgeable, mii_bit_span(20, 2));
  CHECK(fake_space_is_valid());
}

TEST(what_becomes_free_is_noted_for_the_purge_with_the_delay) {
  start();
  mii_option_set(mi_option_purge_delay, 50);
  fake_set_clock(1000);
  CHECK_EQ(take(10), 1);
  CHECK(!mii_hint_is_on(HINT_PURGE, 0));
  mii_segment_give(1, 5);
  CHECK(mii_hint_is_on(HINT_PURGE, 0));
  CHECK_EQ(mii_segment(0)->purge_at, 1050);
  fake_advance_clock(30);
  mii_segment_give(6, 5);
  CHECK_EQ(mii_segment(0)->purge_at, 1050);  // of the oldest
}

TEST(nothing_is_noted_when_memory_is_never_purged) {
  start();
  mii_option_set(mi_option_purge_delay, -1);
  CHECK_EQ(take(10), 1);
  mii_segment_give(1, 10);
  CHECK(!mii_hint_is_on(HINT_PURGE, 0));
  CHECK_EQ(fake_calls(FAKE_CLOCK), 0);
  CHECK(fake_space_is_valid());
}

// The validator ----------------------------------------------------------------------------------

static void expect_broken(_Atomic(uint64_t)* word, uint64_t value) {
  const uint64_t before = *word;
  CHECK(mii_segment_is_valid(0));
  *word = value;
  CHECK(!mii_segment_is_valid(0));
  *word = before;
  CHECK(mii_segment_is_valid(0));
}

TEST(the_validator_sees_what_is_broken) {
  start();
  open_segments(2);
  CHECK_EQ(take(20), 1);
  mii_segment_give(1, 5);
  hush();
  segment_t* const segment = mii_segment(0);
  expect_broken(&segment->purgeable, segment->purgeable | mii_bit_span(10, 1));  // in use
  expect_broken(&segment->purgeable, segment->purgeable | mii_bit_span(50, 1));  // not dirty
  expect_broken(&segment->dirty, segment->dirty & ~mii_bit_span(1, 1));          // purgeable
  expect_broken(&segment->free, segment->free | 1);                              // the guard
  expect_broken(&segment->free, mii_bit_span(1, 5));                             // hints say more
  mii_slice_set_kind(3, SLICE_PAGE);
  CHECK(!mii_segment_is_valid(0));
  mii_slice_set_kind(3, SLICE_FREE);
  for (uint32_t k = 0; k < 7; k++) {
    const hint_t hint = (hint_t)(HINT_SLICES + k);
    const bool on = mii_hint_is_on(hint, 0);
    mii_hint_set(hint, 0, !on);
    CHECK(!mii_segment_is_valid(0));
    mii_hint_set(hint, 0, on);
  }
  CHECK(mii_segment_is_valid(0));
}

// Against a model --------------------------------------------------------------------------------

typedef struct claim_s {
  slice_t first;
  uint32_t count;
} claim_t;

enum { CLAIMS_MAX = 300 };

static claim_t claims[CLAIMS_MAX];
static uint32_t claim_count;
static uint8_t owner_of[RANGE_SLICES];  // 0: free
static bool was_used[RANGE_SLICES];     // since the last purge
static uint8_t stamp;

static bool is_free_in_model(slice_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (first + i >= mii_slice_count() || owner_of[first + i] != 0) return false;
  }
  return true;
}

static void stamp_slice(slice_t slice, uint8_t value) {
  mii_slice_start(slice)[0] = value;
  mii_slice_start(slice)[SLICE_BYTES / 2] = value;
  mii_slice_start(slice)[SLICE_BYTES - 1] = value;
}

static bool has_stamp(slice_t slice, uint8_t value) {
  return mii_slice_start(slice)[0] == value && mii_slice_start(slice)[SLICE_BYTES / 2] == value
         && mii_slice_start(slice)[SLICE_BYTES - 1] == value;
}

static void note_claim(slice_t first, uint32_t count, bool zero) {
  CHECK(first != 0 && is_free_in_model(first, count));
  bool expected = true;
  stamp = (uint8_t)(stamp % 255 + 1);
  for (slice_t s = first; s < first + count; s++) {
    expected = expected && !was_used[s];
    if (!was_used[s]) CHECK(has_stamp(s, 0));
    CHECK_EQ(mii_slice_kind(s), SLICE_FREE);
    was_used[s] = true;
    owner_of[s] = stamp;
    stamp_slice(s, stamp);
  }
  CHECK_EQ(zero, expected);
  claims[claim_count++] = (claim_t){first, count};
}

static uint32_t some_count(random_t* random) {
  switch (random_below(random, 6)) {
    case 0: return 1;
    case 1: return 2;
    case 2: return 1 + random_below(random, 8);
    case 3: return 1 + random_below(random, 40);
    case 4: return 64 - random_below(random, 4);
    default: return 60 + random_below(random, 150);
  }
}

// Is there a run of free slices, within one segment, as long as a power of two >= length?
static bool has_long_run_in_a_segment(uint32_t length) {
  const uint32_t sure = mii_log2_up(length) > 6 ? 64 : 1u << mii_log2_up(length);
  for (slice_t begin = 0; begin < mii_slice_count(); begin += 64) {
    for (slice_t s = begin == 0 ? 1 : begin; s + sure <= begin + 64; s++) {
      if (is_free_in_model(s, sure)) return true;
    }
  }
  return false;
}

static bool has_place_across_segments(slice_request_t want) {
  for (slice_t s = 1; s + want.count <= mii_slice_count(); s++) {
    if (want.align > 1 && !is_placed(s, want.align, want.phase)) continue;
    if (is_free_in_model(s, want.count)) return true;
  }
  return false;
}

static void model_take(random_t* random) {
  slice_request_t want = {.count = some_count(random)};
  if (random_below(random, 3) == 0) {
    want.align = 1u << random_below(random, 9);
    want.phase = random_below(random, 2) == 0 ? 0 : random_below(random, want.align);
  }
  const bool in_one = want.align <= 64 && want.phase + want.count <= 64;
  const uint32_t slack = want.align > 1 ? want.align - 1 : 0;
  const bool must_fit = in_one ? has_long_run_in_a_segment(want.count + slack)
                               : (want.align <= 64 && has_place_across_segments(want));
  const uint32_t open = mii_segment_count();
  bool zero;
  const slice_t slice = mii_segment_take(want, &zero);
  if (must_fit) CHECK(slice != 0 && mii_segment_count() == open);
  if (slice == 0) return;
  if (want.align > 1) CHECK(is_placed(slice, want.align, want.phase));
  note_claim(slice, want.count, zero);
}

static void model_try_claim(random_t* random) {
  const claim_t claim = claims[random_below(random, claim_count)];
  const slice_t first =
      random_below(random, 3) != 0 ? claim.first + claim.count : random_below(random, RANGE_SLICES);
  const uint32_t count = some_count(random);
  const bool fits = first != 0 && is_free_in_model(first, count);
  bool zero;
  CHECK_EQ(mii_segment_try_claim(first, count, &zero), fits);
  if (fits) note_claim(first, count, zero);
}

// Give a claim back, or the end of it.
static void model_give(random_t* random) {
  const uint32_t i = random_below(random, claim_count);
  claim_t* const claim = &claims[i];
  const uint32_t keep = random_below(random, 4) == 0 ? random_below(random, claim->count) : 0;
  for (uint32_t s = keep; s < claim->count; s++) {
    CHECK(has_stamp(claim->first + s, owner_of[claim->first + s]));
    owner_of[claim->first + s] = 0;
  }
  mii_segment_give(claim->first + keep, claim->count - keep);
  claim->count = keep;
  if (keep == 0) claims[i] = claims[--claim_count];
}

// What is dirty after a purge that may have failed in part is up to the words; the memory tells.
static void note_purge(uint32_t segment) {
  for (slice_t s = segment == 0 ? 1 : segment * 64; s < (segment + 1) * 64; s++) {
    if (owner_of[s] != 0) continue;
    was_used[s] = (mii_segment(segment)->dirty >> (s % 64) & 1) != 0;
    if (!was_used[s]) CHECK(has_stamp(s, 0));
  }
}

static void model_purge(random_t* random) {
  if (mii_segment_count() == 0) return;
  const uint32_t segment = random_below(random, mii_segment_count());
  if (random_below(random, 5) == 0) fake_fail_from(FAKE_PURGE, 1 + random_below(random, 2));
  mii_segment_purge(segment);
  fake_fail_never();
  note_purge(segment);
}

static void check_words(void) {
  for (slice_t s = 1; s < mii_slice_count(); s++) CHECK_EQ(is_free(s), owner_of[s] == 0);
}

static void play(uint64_t seed, uint32_t fullness) {
  start();
  random_t random = {seed};
  for (int n = 0; n < 4000; n++) {
    const uint32_t what = random_below(&random, 100);
    if (claim_count == 0 || (what < fullness && claim_count < CLAIMS_MAX)) {
      model_take(&random);
    } else if (what < 90) {
      model_give(&random);
    } else if (what < 96 && claim_count < CLAIMS_MAX) {
      model_try_claim(&random);
    } else {
      model_purge(&random);
    }
    if (n % 20 == 0) {
      CHECK(fake_space_is_valid());
      check_words();
    }
  }
  while (claim_count > 0) model_give(&random);
  check_words();
  CHECK(fake_space_is_valid());
}

TEST(a_sparse_range_agrees_with_a_model) { play(1, 46); }
TEST(a_busy_range_agrees_with_a_model) { play(2, 55); }
TEST(a_full_range_agrees_with_a_model) { play(3, 75); }

// Threads ----------------------------------------------------------------------------------------

enum { THREADS = 4, ROUNDS = 3000, HELD = 12 };

static void* take_and_give(void* arg) {
  const uint8_t me = (uint8_t)(uintptr_t)arg;
  random_t random = {me};
  claim_t held[HELD] = {{0, 0}};
  for (int n = 0; n < ROUNDS; n++) {
    claim_t* const claim = &held[random_below(&random, HELD)];
    for (uint32_t i = 0; i < claim->count; i++) CHECK(has_stamp(claim->first + i, me));
    if (claim->count > 0) mii_segment_give(claim->first, claim->count);
    bool zero;
    claim->count = 1 + random_below(&random, n % 50 == 0 ? 100 : 6);
    claim->first = mii_segment_take((slice_request_t){.count = claim->count}, &zero);
    if (claim->first == 0) claim->count = 0;
    for (uint32_t i = 0; i < claim->count; i++) {
      if (zero) CHECK(has_stamp(claim->first + i, 0));
      stamp_slice(claim->first + i, me);
    }
    if (n % 10 == 0) mii_segment_purge(random_below(&random, mii_segment_count()));
  }
  for (uint32_t i = 0; i < HELD; i++) {
    if (held[i].count > 0) mii_segment_give(held[i].first, held[i].count);
  }
  return NULL;
}

TEST(threads_take_and_give_without_getting_into_each_others_way) {
  start();
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) {
    CHECK_EQ(pthread_create(&threads[i], NULL, take_and_give, (void*)(i + 1)), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK(fake_space_is_valid());
  for (slice_t s = 1; s < mii_slice_count(); s++) CHECK(is_free(s));
}

// Where addresses are scarce -----------------------------------------------------------------------

static bool any_is_foreign(slice_t first, uint32_t count) {
  for (slice_t s = first; s < first + count; s++) {
    if (mii_segment_is_foreign(s / SEGMENT_SLICES)) return true;
  }
  return false;
}

TEST(foreign_segments_are_passed_over_and_taken_once_they_are_ours) {
  fake_facts.scarce_end = sizeof(void*) == 8 ? ((uintptr_t)1 << 47) - GiB : (uintptr_t)&fake_facts;
  fake_space_start();
  static slice_t taken[200];
  static const uint32_t counts[] = {64, 100, 3, 200, 64, 64};
  size_t n = 0;
  for (; n < 60; n++) {
    const uint32_t count = counts[n % COUNT_OF(counts)];
    taken[n] = take(count);
    CHECK(taken[n] != 0 && !any_is_foreign(taken[n], count));
    *mii_slice_start(taken[n]) = 1;
  }
  CHECK(fake_space_is_valid());

  // The last segment becomes foreign; then its owner leaves.
  const uint32_t last = mii_segment_count();
  void* const theirs = mii_slice_start(last * SEGMENT_SLICES);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(theirs, 4096, PROT_READ, flags, -1, 0) != theirs) return;  // others had it before us
  while (mii_segment_count() <= last) CHECK(take(64) != 0);
  CHECK(mii_segment_is_foreign(last));
  mii_range.segment_max = mii_segment_count();
  while (take(1) != 0) {}
  munmap(theirs, 4096);
  CHECK_EQ(take(1), last * SEGMENT_SLICES);
  CHECK_EQ(take(40), last * SEGMENT_SLICES + 1);
  CHECK(fake_space_is_valid());
  for (size_t i = 0; i < n; i++) mii_segment_give(taken[i], counts[i % COUNT_OF(counts)]);
  CHECK(fake_space_is_valid());
}

// Faults -----------------------------------------------------------------------------------------

static void take_give_purge(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  if (!mii_range_start(&fake_facts)) return;
  if (!mii_hint_start(mii_range.segment_max)) return;
  random_t random = {9};
  for (int n = 0; n < 60; n++) {
    if (claim_count == 0 || random_below(&random, 3) != 0) {
      bool zero;
      const uint32_t count = some_count(&random);
      const slice_t slice = mii_segment_take((slice_request_t){.count = count}, &zero);
      if (slice != 0) note_claim(slice, count, zero);
    } else {
      model_give(&random);
    }
    if (n % 7 == 0 && mii_segment_count() > 0) {
      const uint32_t segment = random_below(&random, mii_segment_count());
      mii_segment_purge(segment);
      note_purge(segment);
    }
    CHECK(fake_space_is_valid());
  }
  check_words();
  fake_fail_never();
  CHECK(take(64) != 0 || mii_range.segment_max < RANGE_SEGMENTS);  // a refused start is smaller
}

TEST(every_fault_leaves_segments_that_work_on) {
  CHECK(fake_try_every_fault(FAKE_ANY, take_give_purge) > 20);
}

UNIT_TEST_MAIN
