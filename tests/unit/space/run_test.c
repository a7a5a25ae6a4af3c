// SPDX-License-Identifier: MIT
// Looks into run areas, so it includes the source file.
#include "support/unit_test.h"
#include "space/run.c"
#include "runtime/option.h"
#include "space/limit.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include <pthread.h>
#include <unistd.h>

enum { RANGE_SEGMENTS = 16 };

static void start_with(uint32_t segments) {
  fake_facts.memory_bytes = (size_t)segments * SEGMENT_BYTES / 16;
  fake_space_start();
  CHECK_EQ(mii_range.segment_max, segments);
}

static void start(void) { start_with(RANGE_SEGMENTS); }

static uint8_t* take_zero(uint32_t count, bool* zero) {
  uint32_t segment = 0;
  uint8_t* const p = (uint8_t*)mii_run_take((run_request_t){.count = count}, &segment, zero);
  if (p != NULL) CHECK_EQ(segment, segment_of(p));
  return p;
}

static uint8_t* take(uint32_t count) {
  bool zero;
  uint8_t* const p = take_zero(count, &zero);
  CHECK(p != NULL);
  return p;
}

static uint8_t* take_where(uint32_t count, uint32_t segment) {
  bool zero;
  return (uint8_t*)mii_run_take((run_request_t){.count = count}, &segment, &zero);
}

static uint32_t area_count(void) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < mii_segment_count(); i++) count += mii_segment(i)->runs != NULL;
  return count;
}

static uint8_t* unit_start(const run_area_t* area, uint32_t unit) {
  return mii_slice_start(area->segment * SEGMENT_SLICES) + (size_t)unit * UNIT_BYTES;
}

// Fills the area that p lies in, up to the end.
static void fill_up(const uint8_t* p) {
  const uint32_t segment = segment_of(p);
  uint8_t* q;
  do {
    q = take_where(1, segment);
  } while (q != NULL && segment_of(q) == segment && area_of(p)->free_units > 0);
}

// Bits and bounds ---------------------------------------------------------------------------------

TEST(spans_of_bits_are_changed_across_words) {
  random_t random = {5};
  uint64_t words[AREA_WORDS] = {0};
  static bool model[AREA_UNITS];
  for (int n = 0; n < 3000; n++) {
    const uint32_t from = random_below(&random, AREA_UNITS);
    const uint32_t count = random_below(&random, (uint32_t)mii_min(AREA_UNITS - from, 300) + 1);
    const bool on = random_below(&random, 2) == 0;
    bool any = false;
    for (uint32_t i = from; i < from + count; i++) {
      any = any || model[i];
      model[i] = on;
    }
    CHECK_EQ(change_bits(words, from, count, on), any);
    for (uint32_t i = 0; i < AREA_UNITS; i++) CHECK_EQ(get_bit(words, i), model[i]);
  }
}

TEST(the_next_free_and_used_unit_is_found_across_words) {
  start();
  uint8_t* const p = take(200);
  const run_area_t* const area = area_of(p);
  take(70);
  mii_run_give(p);
  CHECK_EQ(next_unit(area, 0, true), 0);
  CHECK_EQ(next_unit(area, 3, false), 200);
  CHECK_EQ(next_unit(area, 200, true), 270);
  CHECK_EQ(next_unit(area, 270, false), AREA_UNITS);
  CHECK_EQ(next_unit(area, AREA_UNITS, true), AREA_UNITS);
  CHECK_EQ(free_begin(area, 200), 0);
  CHECK_EQ(free_begin(area, 270), 270);
  CHECK_EQ(free_begin(area, AREA_UNITS), 270);
}

TEST(words_are_told_by_their_bounds) {
  random_t random = {7};
  for (int n = 0; n < 3000; n++) {
    uint8_t bounds[8];
    for (int i = 0; i < 8; i++) bounds[i] = (uint8_t)random_below(&random, WORD_UNITS + 1);
    const uint32_t count = 1 + random_below(&random, WORD_UNITS);
    const uint64_t words = words_with(bounds, count);
    for (int i = 0; i < 8; i++) CHECK_EQ(words >> (8 * i) & 0xFF, bounds[i] >= count ? 0x80 : 0);
  }
}

// What follows a search that fails.
TEST(bounds_are_lowered_by_a_search_that_finds_less) {
  start();
  uint8_t* const p = take(100);
  const run_area_t* const area = area_of(p);
  fill_up(p);
  CHECK_EQ(area->longest, 0);
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    CHECK(!mii_hint_is_on((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment_of(p)));
  }
  mii_run_give(p);
  CHECK_EQ(area->longest, 100);
  CHECK_EQ(area->word_longest[0], 64);
  CHECK_EQ(area->word_longest[1], 36);
  CHECK(take_where(60, segment_of(p)) == p);
  CHECK(take_where(12, segment_of(p)) == p + 60 * UNIT_BYTES);  // word 0 has only 4 of them
  CHECK_EQ(area->word_longest[0], 11);
  take_where(40, segment_of(p));
  CHECK_EQ(area->longest, 28);
  CHECK(mii_hint_is_on((hint_t)(HINT_RUNS + 4 - RUN_HINT_FIRST), segment_of(p)));
  CHECK(!mii_hint_is_on((hint_t)(HINT_RUNS + 5 - RUN_HINT_FIRST), segment_of(p)));
  CHECK(fake_space_is_valid());
}

// Take -------------------------------------------------------------------------------------------

TEST(the_first_run_makes_an_area_of_a_whole_segment) {
  start();
  uint8_t* const p = take(8);
  CHECK_EQ((uintptr_t)p % SEGMENT_BYTES, 0);
  CHECK_EQ(area_count(), 1);
  const uint32_t segment = segment_of(p);
  CHECK(segment != 0);  // its first slice is the range's guard
  CHECK_EQ(mii_segment(segment)->free, 0);
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++) {
    CHECK_EQ(mii_slice_kind(segment * SEGMENT_SLICES + i), SLICE_RUN);
  }
  CHECK_EQ(area_of(p)->free_units, AREA_UNITS - 8);
  CHECK_EQ(mii_run_bytes(p), 8 * UNIT_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(runs_share_an_area_until_it_is_full) {
  start();
  for (uint32_t units = 0; units < AREA_UNITS; units += 128) take(128);
  CHECK_EQ(area_count(), 1);
  take(1);
  CHECK_EQ(area_count(), 2);
  CHECK(fake_space_is_valid());
}

TEST(a_long_run_goes_where_it_fits_best) {
  start();
  uint8_t* const large = take(100);
  take(1);
  uint8_t* const small = take(20);
  take(1);
  uint8_t* const middle = take(50);
  take(1);
  mii_run_give(large);
  mii_run_give(small);
  mii_run_give(middle);
  CHECK_EQ(take(20), small);
  CHECK_EQ(take(40), middle);
  CHECK_EQ(take(90), large);
  CHECK(fake_space_is_valid());
}

TEST(a_short_run_goes_to_the_lowest_word_that_has_room) {
  start();
  take(60);
  uint8_t* const across = take(4);  // units 60 .. 63
  uint8_t* const behind = take(10);
  take(1);
  uint8_t* const low = take(20);
  take(1);
  uint8_t* const high = take(16);
  take(1);
  mii_run_give(across);
  mii_run_give(behind);
  mii_run_give(high);
  mii_run_give(low);
  CHECK_EQ(take(12), low);
  CHECK_EQ(take(10), across);  // the free run that reaches word 1
  CHECK_EQ(take(8), low + 12 * UNIT_BYTES);
  CHECK_EQ(take(4), behind + 6 * UNIT_BYTES);
  CHECK_EQ(take(16), high);
  CHECK(fake_space_is_valid());
}

TEST(short_runs_leave_nothing_behind_at_the_ends_of_words) {
  start();
  uint8_t* const first = take(10);
  for (uint32_t unit = 10; unit + 10 <= AREA_UNITS; unit += 10) {
    CHECK_EQ(take_where(10, segment_of(first)), first + (size_t)unit * UNIT_BYTES);
  }
  CHECK_EQ(area_count(), 1);
  CHECK(fake_space_is_valid());
}

TEST(a_short_run_lies_across_words_if_it_has_to) {
  start();
  uint8_t* const first = take(50);
  uint8_t* const p = take(14);  // units 50 .. 63
  uint8_t* const q = take(2);
  fill_up(first);
  mii_run_give(p);
  mii_run_give(q);
  CHECK(take_where(16, segment_of(p)) == p);
  CHECK_EQ(area_of(p)->free_units, 0);
  CHECK(fake_space_is_valid());
}

TEST(the_lowest_area_with_room_is_taken) {
  start();
  uint8_t* runs[12];
  for (int i = 0; i < 12; i++) runs[i] = take(256);
  CHECK_EQ(area_count(), 3);
  mii_run_give(runs[9]);
  mii_run_give(runs[5]);
  CHECK_EQ(take(200), runs[5]);
  CHECK_EQ(take(256), runs[9]);
}

TEST(the_area_of_last_time_is_looked_at_first) {
  start();
  uint8_t* runs[12];
  for (int i = 0; i < 12; i++) runs[i] = take(256);
  for (int i = 0; i < 12; i += 2) mii_run_give(runs[i]);
  const uint32_t second = segment_of(runs[4]);
  CHECK_EQ(segment_of(take_where(10, second)), second);
  CHECK_EQ(segment_of(take_where(10, 0)), segment_of(runs[0]));
  CHECK_EQ(segment_of(take_where(10, 1)), segment_of(runs[0]));  // need not be an area
}

TEST(alignment_and_phase_are_those_of_the_address) {
  start_with(128);
  for (uint32_t align = 1; align <= AREA_UNITS; align *= 2) {
    for (uint32_t phase = 0; phase < align; phase += 1 + align / 7) {
      for (uint32_t count = 1; count <= RUN_UNITS_MAX; count += 51) {
        if (phase + count > AREA_UNITS) continue;
        uint32_t segment = 0;
        bool zero;
        const run_request_t want = {count, align, phase};
        uint8_t* const p = (uint8_t*)mii_run_take(want, &segment, &zero);
        CHECK(p != NULL);
        CHECK_EQ((uintptr_t)p / UNIT_BYTES % align, phase);
        CHECK_EQ(mii_run_bytes(p), count * UNIT_BYTES);
        if (count % 2 == 0) mii_run_give(p);
      }
    }
    CHECK(fake_space_is_valid());
    mii_purge_all();
  }
}

TEST(a_run_that_no_area_can_hold_is_refused_without_making_areas) {
  start();
  uint32_t segment = 0;
  bool zero;
  CHECK(mii_run_take((run_request_t){100, AREA_UNITS, 1000}, &segment, &zero) == NULL);
  CHECK(area_count() <= 1);
}

TEST(without_memory_there_is_no_run_and_nothing_is_lost) {
  start();
  uint32_t taken = 0;
  bool zero;
  uint8_t* last = NULL;
  for (uint8_t* p; (p = take_zero(256, &zero)) != NULL; taken++) last = p;
  CHECK_EQ(taken, 4 * (RANGE_SEGMENTS - 1));
  CHECK_EQ(area_count(), RANGE_SEGMENTS - 1);
  CHECK(fake_space_is_valid());
  CHECK(mii_run_give(last));
  CHECK_EQ(take_zero(256, &zero), last);
}

TEST(what_fits_only_by_luck_is_found_when_no_area_can_be_made) {
  start();
  bool zero;
  while (take_zero(256, &zero) != NULL) {}
  run_area_t* const area = mii_segment(12)->runs;
  mii_run_give(unit_start(area, 256));
  take_where(156, 12);
  CHECK_EQ(segment_of(take_zero(100, &zero)), 12);
  CHECK(take_zero(100, &zero) == NULL);
}

// Give -------------------------------------------------------------------------------------------

TEST(free_runs_are_joined_with_their_neighbours) {
  static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  start();
  for (int i = 0; i < 6; i++) {
    uint8_t* const runs[3] = {take(10), take(20), take(30)};
    run_area_t* const area = area_of(runs[0]);
    for (int n = 0; n < 3; n++) {
      CHECK(mii_run_give(runs[orders[i][n]]));
      CHECK(fake_space_is_valid());
    }
    CHECK_EQ(area->free_units, AREA_UNITS);
    CHECK_EQ(area->longest, AREA_UNITS);
    CHECK_EQ(next_unit(area, 0, false), AREA_UNITS);
  }
}

TEST(a_run_that_is_given_twice_is_noticed) {
  start();
  uint8_t* const p = take(10);
  take(10);
  CHECK(mii_run_give(p));
  CHECK(!mii_run_give(p));
  CHECK_EQ(mii_run_bytes(p), 0);
  CHECK(fake_space_is_valid());
}

TEST(what_is_no_start_of_a_run_is_noticed) {
  start();
  uint8_t* const p = take(10);
  CHECK(!mii_run_give(p + UNIT_BYTES));
  CHECK(!mii_run_give(p + 10 * UNIT_BYTES));
  CHECK(!mii_run_give(mii_slice_start(1)));  // no area
  CHECK_EQ(mii_run_bytes(p + UNIT_BYTES), 0);
  CHECK_EQ(mii_run_bytes(p + 10 * UNIT_BYTES), 0);
  CHECK_EQ(mii_run_bytes(mii_slice_start(1)), 0);
  CHECK(fake_space_is_valid());
  CHECK(mii_run_give(p + UNIT_BYTES - 1));  // anywhere in the first unit
}

TEST(live_runs_are_counted) {
  start();
  CHECK(mii_range_grow(1));
  CHECK_EQ(mii_run_count(0).count, 0);
  uint8_t* const p = take(10);
  take(20);
  take(256);
  mii_run_give(p);
  const run_count_t count = mii_run_count(segment_of(p));
  CHECK_EQ(count.count, 2);
  CHECK_EQ(count.bytes, 276 * UNIT_BYTES);
}

// Resize -----------------------------------------------------------------------------------------

TEST(a_run_grows_into_the_free_units_behind_it) {
  start();
  uint8_t* const p = take(10);
  uint8_t* const behind = take(10);
  CHECK(!mii_run_resize(p, 11));
  CHECK_EQ(mii_run_bytes(p), 10 * UNIT_BYTES);
  uint8_t* const fence = take(1);
  mii_run_give(behind);
  CHECK(!mii_run_resize(p, 21));
  CHECK(mii_run_resize(p, 14));
  CHECK_EQ(mii_run_bytes(p), 14 * UNIT_BYTES);
  CHECK(fake_space_is_valid());
  CHECK(mii_run_resize(p, 20));
  CHECK_EQ(mii_run_bytes(p), 20 * UNIT_BYTES);
  CHECK(!mii_run_resize(p, 21));
  CHECK(mii_run_resize(p, 20));
  CHECK(fake_space_is_valid());
  CHECK(mii_run_give(fence));
  CHECK(mii_run_give(p));
  CHECK_EQ(area_of(p)->free_units, AREA_UNITS);
  CHECK(fake_space_is_valid());
}

TEST(a_run_shrinks_and_its_end_is_free) {
  start();
  uint8_t* const p = take(100);
  uint8_t* const fence = take(1);
  CHECK(mii_run_resize(p, 30));
  CHECK_EQ(mii_run_bytes(p), 30 * UNIT_BYTES);
  CHECK(fake_space_is_valid());
  CHECK_EQ(take(70), p + 30 * UNIT_BYTES);
  CHECK(mii_run_resize(fence, 256));
  CHECK(mii_run_resize(fence, 1));  // joined with what is free behind
  CHECK(fake_space_is_valid());
  CHECK(mii_hint_is_on(HINT_PURGE, segment_of(p)));
}

TEST(the_last_run_of_an_area_cannot_grow) {
  start();
  uint8_t* p = NULL;
  for (int i = 0; i < 4; i++) p = take(256);
  CHECK(mii_run_resize(p, 255));
  CHECK(mii_run_resize(p, 256));
  CHECK(!mii_run_resize(p, 257));
  CHECK(fake_space_is_valid());
}

// Zero -------------------------------------------------------------------------------------------

TEST(units_are_known_to_be_zero_until_they_are_used) {
  start();
  bool zero;
  uint8_t* const p = take_zero(10, &zero);
  CHECK(zero);
  take(1);
  mii_run_give(p);
  CHECK_EQ(take_zero(10, &zero), p);
  CHECK(!zero);
  take_zero(10, &zero);
  CHECK(zero);
}

TEST(units_that_a_run_grew_into_are_used) {
  start();
  bool zero;
  uint8_t* const p = take(10);
  CHECK(mii_run_resize(p, 20));
  CHECK(mii_run_resize(p, 10));
  take_zero(10, &zero);
  CHECK(!zero);
}

TEST(a_run_is_zero_only_if_all_of_it_is) {
  start();
  bool zero;
  uint8_t* const p = take(10);
  mii_run_give(p);
  CHECK_EQ(take_zero(11, &zero), p);
  CHECK(!zero);
}

TEST(a_segment_that_was_used_before_makes_an_area_that_is_not_zero) {
  start();
  bool zero;
  const slice_t slice = mii_segment_take((slice_request_t){.count = 64}, &zero);
  mii_segment_give(slice, 64);
  uint8_t* const p = take_zero(10, &zero);
  CHECK_EQ(mii_slice_of(p), slice);
  CHECK(!zero);
}

// Purge ------------------------------------------------------------------------------------------

TEST(purged_units_are_zero_and_known_to_be) {
  start();
  bool zero;
  uint8_t* const p = take(10);
  uint8_t* const fence = take(1);
  memset(p, 0xAB, 11 * UNIT_BYTES);
  mii_run_give(p);
  CHECK(mii_run_purge(segment_of(p)));
  CHECK_EQ(fake_calls(FAKE_PURGE), 1);
  CHECK_EQ(fake_latest(FAKE_PURGE).address, p);
  CHECK_EQ(fake_latest(FAKE_PURGE).size, 10 * UNIT_BYTES);
  CHECK(is_all(fence, UNIT_BYTES, 0xAB));
  CHECK(mii_run_purge(segment_of(p)));  // nothing is dirty any more
  CHECK_EQ(fake_calls(FAKE_PURGE), 1);
  CHECK_EQ(take_zero(10, &zero), p);
  CHECK(zero && is_zero(p, 10 * UNIT_BYTES));
  CHECK(fake_space_is_valid());
}

TEST(a_failing_purge_leaves_units_dirty) {
  start();
  bool zero;
  uint8_t* const p = take(10);
  take(1);
  mii_run_give(p);
  fake_fail_nth(FAKE_PURGE, 1);
  mii_run_purge(segment_of(p));
  CHECK(fake_space_is_valid());
  CHECK_EQ(take_zero(10, &zero), p);
  CHECK(!zero);
}

TEST(an_empty_area_is_retired_and_its_struct_used_again) {
  start();
  uint8_t* const p = take(10);
  run_area_t* const area = area_of(p);
  const uint32_t segment = segment_of(p);
  mii_run_give(p);
  mii_run_purge(segment);
  CHECK_EQ(mii_segment(segment)->runs, NULL);
  CHECK_EQ(mii_segment(segment)->free, ~UINT64_C(0));
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++) {
    CHECK_EQ(mii_slice_kind(segment * SEGMENT_SLICES + i), SLICE_FREE);
  }
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    CHECK(!mii_hint_is_on((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment));
  }
  CHECK(fake_space_is_valid());
  CHECK_EQ(mii_run_bytes(p), 0);
  CHECK(!mii_run_give(p));

  bool zero;
  const slice_t slice = mii_segment_take((slice_request_t){.count = 64}, &zero);
  CHECK_EQ(slice / SEGMENT_SLICES, segment);
  uint8_t* const q = take(10);
  CHECK(segment_of(q) != segment);
  CHECK_EQ(area_of(q), area);
  CHECK(fake_space_is_valid());
}

// Else what went back already would count as committed once more.
TEST(an_area_is_retired_when_all_of_it_went_back) {
  start();
  const size_t before = mii_limit_charged();
  uint8_t* const p = take(100);
  const uint32_t segment = segment_of(p);
  mii_run_give(p);
  CHECK(!mii_run_purge_some(segment, 64, 1));
  CHECK(mii_segment(segment)->runs != NULL);
  CHECK_EQ(mii_limit_charged(), before + 36 * UNIT_BYTES);
  CHECK(mii_run_purge_some(segment, AREA_UNITS, 1));
  CHECK_EQ(mii_segment(segment)->runs, NULL);
  CHECK_EQ(mii_segment(segment)->dirty, 0);
  CHECK_EQ(mii_limit_charged(), before);
  CHECK(fake_space_is_valid());
}

TEST(an_area_in_use_is_not_retired) {
  start();
  uint8_t* const p = take(10);
  mii_run_purge(segment_of(p));
  CHECK_EQ(area_count(), 1);
  CHECK_EQ(mii_run_bytes(p), 10 * UNIT_BYTES);
}

TEST(a_struct_is_kept_when_no_segment_can_be_had) {
  start();
  fake_limit_open(2 * MiB);  // metadata, but no segment
  bool zero;
  for (int i = 0; i < 10; i++) CHECK(take_zero(10, &zero) == NULL);
  const size_t meta = mii_meta_open_bytes();
  fake_fail_never();
  CHECK(take_zero(10, &zero) != NULL);
  CHECK(made_areas->next_made == NULL);  // one struct was made, and is the one in use now
  CHECK(mii_meta_open_bytes() <= meta + 600 * KiB);
  CHECK(fake_space_is_valid());
}

TEST(with_delay_0_memory_goes_back_at_once) {
  start();
  mii_option_set(mi_option_purge_delay, 0);
  uint8_t* const p = take(10);
  uint8_t* const q = take(10);
  mii_run_give(p);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 10 * UNIT_BYTES);
  mii_run_give(q);
  CHECK_EQ(area_count(), 0);
  CHECK_EQ(mii_segment(segment_of(p))->dirty, 0);
  CHECK(fake_space_is_valid());
}

static uint8_t* take_ragged(uint32_t from, uint32_t count) {  // units [from, from + count) are free
  uint8_t* const front = from > 0 ? take(from) : NULL;
  uint8_t* const p = take(count);
  CHECK(front == NULL || p == front + (size_t)from * UNIT_BYTES);
  take(1);
  return p;
}

TEST(only_whole_pages_of_the_system_are_purged) {
  fake_facts.os_page_size = 64 * KiB;  // 16 units
  start();
  uint8_t* const p = take_ragged(5, 45);
  memset(p, 0xAB, 45 * UNIT_BYTES);
  mii_run_give(p);
  mii_run_purge(segment_of(p));
  CHECK_EQ(fake_calls(FAKE_PURGE), 1);
  CHECK_EQ(fake_latest(FAKE_PURGE).address, p + 11 * UNIT_BYTES);
  CHECK_EQ(fake_latest(FAKE_PURGE).size, 2 * 64 * KiB);
  CHECK(is_all(p, 11 * UNIT_BYTES, 0xAB));
  CHECK(is_all(p + 43 * UNIT_BYTES, 2 * UNIT_BYTES, 0xAB));
  const uint64_t* const dirty = area_of(p)->dirty;
  for (uint32_t unit = 0; unit < 51; unit++)
    CHECK_EQ(get_bit(dirty, unit), unit < 16 || unit >= 48);
  bool zero;
  CHECK_EQ(take_zero(45, &zero), p);
  CHECK(!zero);
}

TEST(a_free_run_without_a_whole_page_of_the_system_is_left_alone) {
  fake_facts.os_page_size = 16 * KiB;  // 4 units
  start();
  uint8_t* const p = take_ragged(1, 6);  // units 1 .. 6
  mii_run_give(p);
  mii_run_purge(segment_of(p));
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
  bool zero;
  CHECK_EQ(take_zero(6, &zero), p);
  CHECK(!zero);
}

// While somebody holds the lock ------------------------------------------------------------------

TEST(nobody_waits_for_a_busy_area) {
  start();
  uint8_t* const p = take(10);
  uint8_t* const q = take(10);
  run_area_t* const area = area_of(p);
  CHECK(mii_lock_try(&area->lock));
  mii_lock_note(0 - (uint32_t)LOCK_AREA);  // it is another thread that has it

  CHECK(segment_of(take_where(10, segment_of(p))) != segment_of(p));
  CHECK(!mii_run_resize(p, 5));
  CHECK(!mii_run_purge(segment_of(p)));
  CHECK_EQ(mii_run_bytes(p), 10 * UNIT_BYTES);

  CHECK(mii_run_give(p));  // left for the holder
  CHECK(mii_run_give(q));
  CHECK(!mii_run_give(p));
  CHECK_EQ(mii_run_bytes(p), 0);
  CHECK_EQ(area->pending, unit_of(q) + 1);
  CHECK_EQ(area->free_units, AREA_UNITS - 20);

  mii_lock_note(LOCK_AREA);
  unlock(area);
  CHECK_EQ(area->pending, 0);
  CHECK_EQ(area->free_units, AREA_UNITS);
  CHECK(mii_hint_is_on(HINT_PURGE, segment_of(p)));
  CHECK(fake_space_is_valid());
}

TEST(who_locks_next_finds_what_is_pending) {
  start();
  uint8_t* const p = take(10);
  run_area_t* const area = area_of(p);
  fill_up(p);
  CHECK(mii_lock_try(&area->lock));
  CHECK(mii_run_give(p));
  mii_lock_give(&area->lock);  // as if the holder had not looked yet
  CHECK_EQ(take_where(10, segment_of(p)), p);
  CHECK(fake_space_is_valid());
}

// Given back while the purge holds the lock.
static void give_meanwhile(void* p) {
  CHECK(mii_run_give(p));
  CHECK(area_of(p)->pending != 0);
}

TEST(a_run_that_is_given_back_during_a_purge_is_free_after_it) {
  start();
  uint8_t* const p = take(10);
  uint8_t* const q = take(10);
  take(1);
  mii_run_give(p);
  fake_on_call(FAKE_PURGE, give_meanwhile, q);
  mii_run_purge(segment_of(p));
  CHECK_EQ(fake_bytes(FAKE_PURGE), 10 * UNIT_BYTES);
  CHECK_EQ(area_of(p)->pending, 0);
  CHECK_EQ(area_of(p)->free_units, AREA_UNITS - 1);
  CHECK(fake_space_is_valid());
  bool zero;
  CHECK_EQ(take_zero(20, &zero), p);
  CHECK(!zero);
}

TEST(who_locks_an_area_that_was_retired_leaves_it) {
  start();
  uint8_t* const p = take(10);
  run_area_t* const area = area_of(p);
  const uint32_t segment = segment_of(p);
  mii_run_give(p);
  mii_run_purge(segment);
  mii_segment(segment)->runs = area;  // what a thread saw that was slow
  CHECK(try_lock_area(segment) == NULL);
  CHECK_EQ(area->lock.taken, 0);
  mii_segment(segment)->runs = NULL;
  CHECK(fake_space_is_valid());
}

TEST(all_areas_are_locked_around_a_fork) {
  start();
  uint8_t* runs[12];
  for (int i = 0; i < 12; i++) runs[i] = take(256);
  mii_run_lock_all();
  for (int i = 0; i < 12; i++) CHECK(!mii_lock_try(&area_of(runs[i])->lock));
  CHECK(mii_run_give(runs[5]));
  CHECK_EQ(area_of(runs[5])->free_units, 0);
  mii_run_unlock_all();
  CHECK_EQ(area_of(runs[5])->free_units, 256);
  CHECK_EQ(take(256), runs[5]);
  CHECK(fake_space_is_valid());
}

// The validator ----------------------------------------------------------------------------------

static run_area_t* some_area(void) {
  start();
  take(10);                     // 0 .. 9
  uint8_t* const p = take(20);  // 10 .. 29 free
  take(5);                      // 30 .. 34
  uint8_t* const q = take(21);  // 35 .. 55 free
  take(6);                      // 56 .. 61, then free to the end
  mii_run_give(p);
  mii_run_give(q);
  hush();
  run_area_t* const area = area_of(p);
  CHECK(mii_run_area_is_valid(area->segment));
  return area;
}

static void put_integer(void* field, size_t size, uint64_t value) {
  if (size == sizeof(uint64_t)) *(uint64_t*)field = value;
  if (size == sizeof(uint32_t)) *(uint32_t*)field = (uint32_t)value;
  if (size == sizeof(uint16_t)) *(uint16_t*)field = (uint16_t)value;
  if (size == sizeof(uint8_t)) *(uint8_t*)field = (uint8_t)value;
}

#define CHECK_BROKEN(area, field, value)                                \
  do {                                                                  \
    const uint64_t before = (area)->field;                              \
    put_integer((void*)&(area)->field, sizeof((area)->field), (value)); \
    CHECK(!mii_run_area_is_valid((area)->segment));                     \
    put_integer((void*)&(area)->field, sizeof((area)->field), before);  \
    CHECK(mii_run_area_is_valid((area)->segment));                      \
  } while (0)

TEST(the_validator_sees_units_that_do_not_add_up) {
  run_area_t* const area = some_area();
  CHECK_BROKEN(area, length[0], 9);   // a unit of nobody's
  CHECK_BROKEN(area, length[0], 11);  // a free unit in a run
  CHECK_BROKEN(area, length[0], 0);
  CHECK_BROKEN(area, length[30], 4);
  CHECK_BROKEN(area, length[56], AREA_UNITS);
  CHECK_BROKEN(area, free_units, area->free_units - 1);
}

TEST(the_validator_sees_wrong_bits) {
  run_area_t* const area = some_area();
  CHECK_BROKEN(area, starts[0], area->starts[0] & ~UINT64_C(1));       // a run without a start
  CHECK_BROKEN(area, starts[0], area->starts[0] | UINT64_C(1) << 10);  // used and free
  CHECK_BROKEN(area, starts[0], area->starts[0] | UINT64_C(1) << 3);   // in a used run
  CHECK_BROKEN(area, starts[0], area->starts[0] | UINT64_C(1) << 15);  // in a free run
  CHECK_BROKEN(area, free[0], area->free[0] | 1);
  CHECK_BROKEN(area, free[0], area->free[0] & ~(UINT64_C(1) << 10));
  CHECK_BROKEN(area, free[0], area->free[0] | UINT64_C(1) << 34);
}

TEST(the_validator_sees_bounds_that_promise_too_little) {
  run_area_t* const area = some_area();
  CHECK_BROKEN(area, longest, AREA_UNITS - 63);
  CHECK_BROKEN(area, word_longest[0], 20);
  CHECK_BROKEN(area, word_longest[15], 63);
}

TEST(the_validator_sees_wrong_hints) {
  run_area_t* const area = some_area();
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    const hint_t hint = (hint_t)(HINT_RUNS + k - RUN_HINT_FIRST);
    CHECK(mii_hint_is_on(hint, area->segment));
    mii_hint_set(hint, area->segment, false);
    CHECK(!mii_run_area_is_valid(area->segment));
    mii_hint_set(hint, area->segment, true);
    CHECK(mii_run_area_is_valid(area->segment));
  }
}

TEST(a_segment_without_an_area_is_valid) {
  start();
  CHECK(mii_range_grow(2));
  CHECK(mii_run_area_is_valid(1));
}

// Against a model --------------------------------------------------------------------------------

enum { MODEL_UNITS = RANGE_SEGMENTS * AREA_UNITS, RUNS_MAX = 400 };

typedef struct live_s {
  uint32_t unit;  // from the start of the range
  uint32_t count;
} live_t;

static live_t runs[RUNS_MAX];
static uint32_t run_total;
static uint16_t owner_of[MODEL_UNITS];  // 0: free, or not of an area
static bool was_used[MODEL_UNITS];      // since the last purge
static uint16_t stamp;

static uint16_t* stamp_at(uint32_t unit) {
  return (uint16_t*)(mii_range.base + (size_t)unit * UNIT_BYTES);
}
static uint32_t unit_in_range(const void* p) {
  return (uint32_t)(((uintptr_t)p - mii_range.base) >> UNIT_SHIFT);
}

static void own_units(uint32_t from, uint32_t count, uint16_t owner) {
  for (uint32_t u = from; u < from + count; u++) {
    CHECK_EQ(owner_of[u], 0);
    if (!was_used[u]) CHECK_EQ(*stamp_at(u), 0);
    owner_of[u] = owner;
    was_used[u] = true;
    *stamp_at(u) = owner;
  }
}

static void disown_units(uint32_t from, uint32_t count) {
  for (uint32_t u = from; u < from + count; u++) {
    CHECK_EQ(*stamp_at(u), owner_of[u]);
    owner_of[u] = 0;
  }
}

static void note_take(const void* p, uint32_t count, bool zero) {
  const uint32_t unit = unit_in_range(p);
  bool expected = true;
  for (uint32_t u = unit; u < unit + count; u++) expected = expected && !was_used[u];
  CHECK_EQ(zero, expected);
  CHECK(unit / AREA_UNITS == (unit + count - 1) / AREA_UNITS);
  stamp = (uint16_t)(stamp == UINT16_MAX ? 1 : stamp + 1);
  own_units(unit, count, stamp);
  runs[run_total++] = (live_t){unit, count};
}

static uint32_t longest_free_run(uint32_t segment) {
  uint32_t longest = 0;
  uint32_t length = 0;
  for (uint32_t u = segment * AREA_UNITS; u < (segment + 1) * AREA_UNITS; u++) {
    length = owner_of[u] == 0 ? length + 1 : 0;
    longest = (uint32_t)mii_max(longest, length);
  }
  return longest;
}

static bool some_area_has(uint32_t length) {
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (mii_segment(i)->runs != NULL && longest_free_run(i) >= length) return true;
  }
  return false;
}

static void model_take(random_t* random, uint32_t* segment) {
  run_request_t want = {.count = 1 + random_below(random, random_below(random, 3) == 0 ? 256 : 24)};
  if (random_below(random, 4) == 0) {
    want.align = 1u << random_below(random, 9);
    want.phase = random_below(random, 2) == 0 ? 0 : random_below(random, want.align);
  }
  const uint32_t sure = (uint32_t)mii_max(8, (size_t)1 << mii_log2_up(want.count));
  const bool must_fit = want.align <= 1 && some_area_has(sure);
  const uint32_t areas = area_count();
  bool zero;
  const void* const p = mii_run_take(want, segment, &zero);
  if (must_fit) CHECK(p != NULL && area_count() == areas);
  if (p == NULL) return;
  CHECK_EQ(*segment, segment_of(p));
  if (want.align > 1) CHECK_EQ((uintptr_t)p / UNIT_BYTES % want.align, want.phase);
  note_take(p, want.count, zero);
}

static void model_give(random_t* random) {
  const uint32_t i = random_below(random, run_total);
  uint16_t* const p = stamp_at(runs[i].unit);
  CHECK_EQ(mii_run_bytes(p), (size_t)runs[i].count * UNIT_BYTES);
  disown_units(runs[i].unit, runs[i].count);
  CHECK(mii_run_give(p));
  CHECK(!mii_run_give(p));
  runs[i] = runs[--run_total];
}

static bool is_room_behind(const live_t* run, uint32_t count) {
  for (uint32_t u = run->unit + run->count; u < run->unit + count; u++) {
    if (u % AREA_UNITS == 0 || owner_of[u] != 0) return false;
  }
  return true;
}

static void model_resize(random_t* random) {
  live_t* const run = &runs[random_below(random, run_total)];
  const uint32_t count = 1 + random_below(random, 2 * run->count + 3) % RUN_UNITS_MAX;
  const bool fits = is_room_behind(run, count);
  const uint16_t owner = owner_of[run->unit];
  CHECK_EQ(mii_run_resize(stamp_at(run->unit), count), fits);
  if (!fits) return;
  if (count > run->count) own_units(run->unit + run->count, count - run->count, owner);
  if (count < run->count) disown_units(run->unit + count, run->count - count);
  run->count = count;
}

// Which units are dirty after a purge that may have failed in part, the area says; the memory tells.
static void note_purge(uint32_t segment) {
  const run_area_t* const area = mii_segment(segment)->runs;
  for (uint32_t u = segment * AREA_UNITS; u < (segment + 1) * AREA_UNITS; u++) {
    const uint32_t slice = u / (SLICE_BYTES / UNIT_BYTES);
    const bool is_dirty = area != NULL ? get_bit(area->dirty, u % AREA_UNITS)
                                       : (mii_segment(segment)->dirty >> (slice % 64) & 1) != 0;
    if (owner_of[u] == 0 && slice != 0) was_used[u] = is_dirty;
    if (!is_dirty && slice != 0) CHECK_EQ(*stamp_at(u), 0);
  }
}

static void model_purge(random_t* random) {
  const uint32_t segment = random_below(random, mii_segment_count());
  if (random_below(random, 4) == 0) fake_fail_from(FAKE_PURGE, 1 + random_below(random, 3));
  if (random_below(random, 2) == 0) mii_segment_purge(segment);
  CHECK(mii_run_purge(segment));
  fake_fail_never();
  note_purge(segment);
}

static void check_counts(void) {
  run_count_t total = {0};
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    const run_count_t here = mii_run_count(i);
    total.count += here.count;
    total.bytes += here.bytes;
  }
  size_t bytes = 0;
  for (uint32_t i = 0; i < run_total; i++) bytes += (size_t)runs[i].count * UNIT_BYTES;
  CHECK_EQ(total.count, run_total);
  CHECK_EQ(total.bytes, bytes);
}

static void play(uint64_t seed, size_t os_page, uint32_t fullness) {
  fake_facts.os_page_size = os_page;
  start();
  random_t random = {seed};
  uint32_t segment = 0;
  for (int n = 0; n < 6000; n++) {
    const uint32_t what = random_below(&random, 100);
    if (run_total == 0 || (what < fullness && run_total < RUNS_MAX)) {
      model_take(&random, &segment);
    } else if (what < 85) {
      model_give(&random);
    } else if (what < 97) {
      model_resize(&random);
    } else {
      model_purge(&random);
    }
    if (n % 25 == 0) {
      CHECK(fake_space_is_valid());
      check_counts();
    }
  }
  while (run_total > 0) model_give(&random);
  for (uint32_t i = 0; i < mii_segment_count(); i++) mii_run_purge(i);
  CHECK_EQ(area_count(), 0);
  CHECK(fake_space_is_valid());
}

TEST(a_few_runs_agree_with_a_model) { play(1, 4 * KiB, 45); }
TEST(many_runs_agree_with_a_model) { play(2, 4 * KiB, 60); }
TEST(a_full_range_agrees_with_a_model) { play(3, 4 * KiB, 80); }
TEST(runs_on_16_kib_pages_agree_with_a_model) { play(4, 16 * KiB, 50); }
TEST(runs_on_64_kib_pages_agree_with_a_model) { play(5, 64 * KiB, 50); }

// Threads ----------------------------------------------------------------------------------------

enum { THREADS = 4, ROUNDS = 4000, HELD = 16 };

static _Atomic(void*) exchange[8];  // runs that whoever comes gives back

static bool check_stamps(const uint8_t* p) {
  const size_t bytes = mii_run_bytes(p);
  for (size_t i = 0; i < bytes; i += UNIT_BYTES) {
    if (memcmp(p + i, &p, sizeof p) != 0) return false;
  }
  return bytes > 0;
}

static void* take_and_give(void* arg) {
  random_t random = {(uintptr_t)arg};
  uint32_t segment = 0;
  for (int n = 0; n < ROUNDS; n++) {
    bool zero;
    const uint32_t count = 1 + random_below(&random, 30);
    uint8_t* p = (uint8_t*)mii_run_take((run_request_t){.count = count}, &segment, &zero);
    CHECK(p != NULL);
    for (size_t i = 0; i < count; i++) {
      if (zero) CHECK(is_zero(p + i * UNIT_BYTES, sizeof p));
      memcpy(p + i * UNIT_BYTES, &p, sizeof p);
    }
    if (random_below(&random, 4) == 0) mii_run_resize(p, 1 + random_below(&random, count));
    p = (uint8_t*)atomic_exchange(&exchange[random_below(&random, COUNT_OF(exchange))], p);
    if (p != NULL) {
      CHECK(check_stamps(p));
      CHECK(mii_run_give(p));
    }
    if (n % 16 == 0) mii_run_purge(random_below(&random, mii_segment_count()));
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
  for (size_t i = 0; i < COUNT_OF(exchange); i++) {
    if (exchange[i] != NULL) CHECK(mii_run_give(exchange[i]));
  }
  CHECK(fake_space_is_valid());
  for (uint32_t i = 0; i < mii_segment_count(); i++) mii_run_purge(i);
  CHECK_EQ(area_count(), 0);
}

static void* take_one(void* arg) {
  uint32_t segment = 0;
  bool zero;
  *(void**)arg = mii_run_take((run_request_t){.count = 10}, &segment, &zero);
  return NULL;
}

TEST(who_finds_all_areas_held_by_a_fork_waits_and_makes_no_area) {
  start();
  uint8_t* const p = take(10);
  mii_range_lock();
  mii_run_lock_all();
  pthread_t thread;
  void* taken = NULL;
  CHECK_EQ(pthread_create(&thread, NULL, take_one, &taken), 0);
  usleep(20 * 1000);  // so that it has found them held
  mii_run_unlock_all();
  mii_range_unlock();
  pthread_join(thread, NULL);
  CHECK(taken != NULL);
  CHECK_EQ(segment_of(taken), segment_of(p));
  CHECK_EQ(area_count(), 1);
}

// Faults -----------------------------------------------------------------------------------------

static void take_give_purge(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  if (!mii_range_start(&fake_facts)) return;
  if (!mii_hint_start(mii_range.segment_max)) return;
  random_t random = {11};
  uint32_t segment = 0;
  for (int n = 0; n < 60; n++) {
    const uint32_t what = random_below(&random, 10);
    if (run_total == 0 || what < 6) {
      bool zero;
      const uint32_t count = 100 + random_below(&random, 157);
      const void* const p = mii_run_take((run_request_t){.count = count}, &segment, &zero);
      if (p != NULL) note_take(p, count, zero);
    } else {
      model_give(&random);
    }
    if (what == 9) {
      for (uint32_t i = 0; i < mii_segment_count(); i++) {
        mii_segment_purge(i);
        mii_run_purge(i);
        note_purge(i);
      }
    }
    CHECK(fake_space_is_valid());
  }
  fake_fail_never();
  while (run_total > 0) model_give(&random);
  take(256);
  CHECK(fake_space_is_valid());
}

TEST(every_fault_leaves_areas_that_work_on) {
  CHECK(fake_try_every_fault(FAKE_ANY, take_give_purge) > 20);
}

// Once an area was made of the free slices of two segments, with the wrong records.
TEST(an_area_is_one_segment_in_a_full_range_too) {
  start_with(2);
  CHECK(mii_range_grow(2));
  bool zero;
  CHECK(mii_segment_try_claim(2 * SEGMENT_SLICES - 10, 1, &zero));
  CHECK(take_where(20, 0) == NULL);
  CHECK_EQ(area_count(), 0);
}

UNIT_TEST_MAIN
