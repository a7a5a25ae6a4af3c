// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "space/purge.h"
#include "runtime/option.h"
#include "space/hint.h"
#include "space/huge.h"
#include "space/range.h"
#include "space/run.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { RANGE_SEGMENTS = 16, DELAY = 100, BEGIN = 5000 };

static void start(long delay) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  fake_space_start();
  mii_option_set(mi_option_purge_delay, delay);
  fake_set_clock(BEGIN);
}

static slice_t take(uint32_t slices) {
  bool zero;
  const slice_t slice = mii_segment_take((slice_request_t){.count = slices}, &zero);
  CHECK(slice != 0);
  memset(mii_slice_start(slice), 0xAB, (size_t)slices * SLICE_BYTES);
  return slice;
}

static uint8_t* take_run(uint32_t units) {
  uint32_t segment = 0;
  bool zero;
  uint8_t* const p = (uint8_t*)mii_run_take((run_request_t){.count = units}, &segment, &zero);
  CHECK(p != NULL);
  memset(p, 0xAB, (size_t)units * UNIT_BYTES);
  return p;
}

static size_t purged_by_one_tick(uint64_t now) {
  const size_t before = fake_bytes(FAKE_PURGE);
  fake_set_clock(now);
  mii_purge_tick(now);
  CHECK(fake_space_is_valid());
  return fake_bytes(FAKE_PURGE) - before;
}

// By as many ticks as it takes.
static size_t purged_by_ticks(uint64_t now) {
  size_t total = 0;
  for (size_t more = 1; more > 0; total += more) more = purged_by_one_tick(now);
  return total;
}

static size_t purged_by_all(void) {
  const size_t before = fake_bytes(FAKE_PURGE);
  mii_purge_all();
  CHECK(fake_space_is_valid());
  return fake_bytes(FAKE_PURGE) - before;
}

// When -------------------------------------------------------------------------------------------

TEST(memory_is_purged_when_its_delay_is_over) {
  start(DELAY);
  const slice_t a = take(8);
  mii_segment_give(a, 4);
  CHECK_EQ(purged_by_ticks(BEGIN), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY - 1), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 4 * SLICE_BYTES);
  CHECK(is_zero(mii_slice_start(a), 4 * SLICE_BYTES));
  CHECK(is_all(mii_slice_start(a + 4), 4 * SLICE_BYTES, 0xAB));
  CHECK_EQ(purged_by_ticks(BEGIN + 10 * DELAY), 0);
}

TEST(memory_that_is_taken_again_meanwhile_stays_warm) {
  start(DELAY);
  const slice_t a = take(8);
  mii_segment_give(a, 8);
  CHECK_EQ(take(8), a);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 0);
  CHECK(is_all(mii_slice_start(a), 8 * SLICE_BYTES, 0xAB));
}

TEST(each_segment_has_its_own_time) {
  start(DELAY);
  const slice_t a = take(63);
  const slice_t b = take(64);
  const slice_t c = take(64);
  mii_segment_give(a, 1);
  fake_advance_clock(30);
  mii_segment_give(b, 2);
  fake_advance_clock(30);
  mii_segment_give(c, 3);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 1 * SLICE_BYTES);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY + 29), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY + 30), 2 * SLICE_BYTES);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY + 1000), 3 * SLICE_BYTES);
}

TEST(what_is_freed_after_a_purge_waits_again) {
  start(DELAY);
  const slice_t a = take(8);
  mii_segment_give(a, 1);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), SLICE_BYTES);
  fake_set_clock(BEGIN + 2 * DELAY);
  mii_segment_give(a + 1, 1);
  CHECK_EQ(purged_by_ticks(BEGIN + 3 * DELAY - 1), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + 3 * DELAY), SLICE_BYTES);
}

TEST(with_delay_0_memory_goes_back_at_once) {
  start(0);
  const slice_t a = take(8);
  mii_segment_give(a, 8);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 8 * SLICE_BYTES);
  CHECK(fake_space_is_valid());
  CHECK_EQ(purged_by_ticks(BEGIN), 0);
}

TEST(with_delay_0_the_end_of_a_shrunk_run_goes_back_with_the_next_tick) {
  start(0);
  uint8_t* const p = take_run(20);
  CHECK(mii_run_resize(p, 5));
  purged_by_ticks(BEGIN);
  CHECK_EQ(fake_touched_bytes(p, 20 * UNIT_BYTES), 5 * UNIT_BYTES);
}

TEST(with_delay_minus_1_memory_is_kept_until_it_is_asked_for) {
  start(-1);
  const slice_t a = take(8);
  uint8_t* const p = take_run(20);
  take_run(1);
  mii_segment_give(a, 8);
  mii_run_give(p);
  CHECK_EQ(purged_by_ticks(BEGIN + 1000000), 0);
  CHECK_EQ(purged_by_ticks(UINT64_MAX - 1), 0);
  CHECK_EQ(purged_by_all(), 8 * SLICE_BYTES + 20 * UNIT_BYTES);
}

TEST(a_delay_that_is_set_later_counts_from_then) {
  start(-1);
  const slice_t a = take(8);
  mii_segment_give(a, 4);
  mii_option_set(mi_option_purge_delay, DELAY);
  mii_segment_give(a + 4, 1);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 5 * SLICE_BYTES);
}

TEST(a_tick_purges_a_bounded_part_of_what_is_due) {
  start(DELAY);
  const slice_t a = take(60), b = take(60);
  mii_segment_give(a, 60);
  for (uint32_t i = 0; i < 60; i += 2) mii_segment_give(b + i, 1);
  const size_t most = PURGE_PER_CALL.slice_max * SLICE_BYTES;
  size_t total = 0;
  for (size_t one = 1; one > 0; total += one) {
    one = purged_by_one_tick(BEGIN + DELAY);
    CHECK(one <= most);
  }
  CHECK_EQ(total, 90 * SLICE_BYTES);
}

TEST(a_tick_purges_few_of_many_small_runs) {
  enum { RUNS = 128 };
  start(DELAY);
  uint8_t* runs[RUNS];
  for (int i = 0; i < RUNS; i++) runs[i] = take_run(2);
  for (int i = 0; i < RUNS; i += 2) mii_run_give(runs[i]);
  size_t total = 0;
  for (size_t one = 1; one > 0; total += one) {
    const size_t calls = fake_calls(FAKE_PURGE);
    one = purged_by_one_tick(BEGIN + DELAY);
    CHECK(fake_calls(FAKE_PURGE) - calls <= 16);
  }
  CHECK_EQ(total, RUNS / 2 * 2 * UNIT_BYTES);
}

TEST(an_expected_time_makes_the_next_tick_look) {
  start(DELAY);
  const slice_t a = take(8);
  mii_segment_give(a, 1);
  mii_purge_expect(BEGIN + 10);
  mii_purge_expect(BEGIN + 50);              // does not make it later
  CHECK_EQ(purged_by_ticks(BEGIN + 10), 0);  // nothing is due, and what will be is not forgotten
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), SLICE_BYTES);
}

// The delay adapts itself --------------------------------------------------------------------------

static uint64_t clock_now = BEGIN;

// Free slices, which go back when they are due. Returns so much later.
static void free_and_purge(uint32_t slices, uint64_t later) {
  mii_segment_give(take(slices), slices);
  CHECK_EQ(purged_by_ticks(clock_now + mii_purge_delay() - 1), 0);
  clock_now += mii_purge_delay();
  CHECK_EQ(purged_by_ticks(clock_now), slices * SLICE_BYTES);
  clock_now += later;
  fake_set_clock(clock_now);
}

TEST(what_is_soon_wanted_again_waits_longer_up_to_the_option) {
  start(DELAY);
  CHECK_EQ(mii_purge_delay(), DELAY);
  for (int i = 0; i < 9; i++) free_and_purge(32, 10 * DELAY);
  CHECK_EQ(mii_purge_delay(), DELAY / 2);
  for (int i = 0; i < 5; i++) free_and_purge(32, DELAY / 4 - 1);
  CHECK_EQ(mii_purge_delay(), DELAY);
  for (int i = 0; i < 40; i++) free_and_purge(32, 0);
  CHECK_EQ(mii_purge_delay(), DELAY);
}

TEST(what_is_not_wanted_again_waits_less_down_to_a_quarter) {
  start(DELAY);
  for (int i = 0; i < 9; i++) free_and_purge(32, 10 * DELAY);
  CHECK_EQ(mii_purge_delay(), DELAY / 2);
  for (int i = 0; i < 40; i++) free_and_purge(32, 10 * DELAY);
  CHECK_EQ(mii_purge_delay(), DELAY / 4);
}

TEST(a_delay_at_its_longest_comes_back) {
  start(DELAY);
  for (int i = 0; i < 40; i++) free_and_purge(32, 0);
  for (int i = 0; i < 20; i++) free_and_purge(32, 10 * DELAY);
  CHECK(mii_purge_delay() < DELAY);
}

TEST(what_is_wanted_again_after_half_a_delay_is_not_wanted_soon) {
  start(DELAY);
  for (int i = 0; i < 7; i++) free_and_purge(32, mii_purge_delay() / 2);
  CHECK_EQ(mii_purge_delay(), DELAY);
  free_and_purge(32, mii_purge_delay() / 2);
  CHECK_EQ(mii_purge_delay(), DELAY / 2);
}

TEST(one_burst_changes_the_delay_once) {
  enum { SEGMENTS = 5, SLICES = 60 };
  start(DELAY);
  slice_t all[SEGMENTS];
  for (uint32_t i = 0; i < SEGMENTS; i++) all[i] = take(SLICES);
  for (uint32_t i = 0; i < SEGMENTS; i++) mii_segment_give(all[i], SLICES);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), SEGMENTS * SLICES * SLICE_BYTES);
  CHECK_EQ(mii_purge_delay(), DELAY / 2);
  for (uint32_t i = 0; i < SEGMENTS; i++) take(SLICES);
  CHECK_EQ(mii_purge_delay(), DELAY / 2);
}

TEST(one_reuse_in_eight_does_not_make_the_delay_longer) {
  start(DELAY);
  for (int i = 0; i < 80; i++) free_and_purge(32, i % 8 == 0 ? 0 : 10 * DELAY);
  CHECK_EQ(mii_purge_delay(), DELAY / 4);
}

TEST(what_goes_back_before_it_is_due_says_nothing) {
  start(DELAY);
  for (int i = 0; i < 40; i++) {
    mii_segment_give(take(32), 32);
    CHECK_EQ(purged_by_all(), 32 * SLICE_BYTES);
  }
  CHECK_EQ(mii_purge_delay(), DELAY);
}

TEST(a_delay_of_1_ms_never_becomes_0) {
  start(1);
  for (int i = 0; i < 40; i++) free_and_purge(32, 10 * DELAY);
  CHECK_EQ(mii_purge_delay(), 1);
}

TEST(a_delay_of_0_or_less_stays) {
  start(0);
  for (int i = 0; i < 40; i++) mii_segment_give(take(32), 32);
  CHECK_EQ(mii_purge_delay(), 0);
  mii_option_set(mi_option_purge_delay, -1);
  CHECK_EQ(mii_purge_delay(), 0);
  mii_option_set(mi_option_purge_delay, LONG_MAX);
  CHECK_EQ(mii_purge_delay(), LONG_MAX);
}

// In pieces ----------------------------------------------------------------------------------------

static size_t purged_within(purge_limit_t limit, uint64_t now) {
  const size_t before = fake_bytes(FAKE_PURGE);
  mii_purge_tick_within(now, limit);
  CHECK(fake_space_is_valid());
  return fake_bytes(FAKE_PURGE) - before;
}

TEST(a_tick_of_one_slice_purges_one_slice_and_the_next_goes_on) {
  start(DELAY);
  mii_segment_give(take(20), 20);
  fake_set_clock(BEGIN + DELAY);
  for (int i = 0; i < 20; i++) CHECK_EQ(purged_within(PURGE_ONE_SLICE, BEGIN + DELAY), SLICE_BYTES);
  CHECK_EQ(purged_within(PURGE_ONE_SLICE, BEGIN + DELAY), 0);
}

TEST(a_tick_of_one_slice_purges_64_kib_of_runs_and_the_next_goes_on) {
  start(DELAY);
  uint8_t* const p = take_run(40);
  take_run(1);
  uint8_t* const q = take_run(10);
  take_run(1);
  mii_run_give(p);
  mii_run_give(q);
  fake_set_clock(BEGIN + DELAY);
  for (int i = 0; i < 4; i++) {
    const size_t bytes = purged_within(PURGE_ONE_SLICE, BEGIN + DELAY);
    CHECK(bytes > 0 && bytes <= SLICE_BYTES);
  }
  CHECK_EQ(fake_touched_bytes(p, 52 * UNIT_BYTES), 2 * UNIT_BYTES);
}

TEST(pieces_are_whole_pages_of_the_system) {
  fake_facts.os_page_size = 64 * KiB;
  start(DELAY);
  take_run(1);
  uint8_t* const p = take_run(60);
  take_run(1);
  mii_run_give(p);  // units 1 .. 60
  fake_set_clock(BEGIN + DELAY);
  CHECK_EQ(purged_within(PURGE_ONE_SLICE, BEGIN + DELAY), SLICE_BYTES);
  CHECK_EQ(purged_within(PURGE_ONE_SLICE, BEGIN + DELAY), SLICE_BYTES);
  CHECK_EQ(purged_within(PURGE_ONE_SLICE, BEGIN + DELAY), 0);
}

// Of each of the first `count` segments 2 slices wait.
static void free_in_segments(uint32_t count) {
  const slice_t first = take(63);
  for (uint32_t i = 1; i < count; i++) take(64);
  for (uint32_t i = 0; i < count; i++) mii_segment_give(i == 0 ? first : i * SEGMENT_SLICES, 2);
}

TEST(a_survey_counts_what_waits_a_few_segments_at_a_time) {
  start(DELAY);
  free_in_segments(10);
  purge_survey_t survey = {0};
  CHECK(!mii_purge_survey(&survey, SIZE_MAX));
  CHECK_EQ(survey.bytes, 4 * 2 * SLICE_BYTES);
  CHECK(!mii_purge_survey(&survey, SIZE_MAX));
  CHECK_EQ(survey.bytes, 8 * 2 * SLICE_BYTES);
  CHECK(mii_purge_survey(&survey, SIZE_MAX));
  CHECK_EQ(survey.bytes, 10 * 2 * SLICE_BYTES);
}

TEST(a_survey_looks_at_one_run_area_at_a_time) {
  start(DELAY);
  uint8_t* runs[4];
  for (int i = 0; i < 4; i++) {
    runs[i] = take_run(RUN_UNITS_MAX);
    for (int k = 0; k < 3; k++) take_run(RUN_UNITS_MAX);
  }
  for (int i = 0; i < 4; i++) mii_run_give(runs[i]);
  purge_survey_t survey = {0};
  CHECK(!mii_purge_survey(&survey, SIZE_MAX));
  CHECK_EQ(survey.bytes, RUN_UNITS_MAX * UNIT_BYTES);
  CHECK_EQ(mii_purge_waiting(SIZE_MAX), (size_t)4 * RUN_UNITS_MAX * UNIT_BYTES);
}

TEST(a_survey_is_over_when_enough_is_found) {
  start(DELAY);
  free_in_segments(10);
  purge_survey_t survey = {0};
  CHECK(mii_purge_survey(&survey, 3 * SLICE_BYTES));
  CHECK_EQ(survey.bytes, 4 * SLICE_BYTES);
}

TEST(a_step_purges_a_few_runs_of_one_segment_and_the_next_goes_on) {
  start(DELAY);
  const slice_t a = take(63);
  for (uint32_t i = 0; i < 12; i += 2) mii_segment_give(a + i, 1);
  take(64);
  mii_segment_give(SEGMENT_SLICES, 1);
  uint32_t from = 0;
  CHECK(mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL));
  CHECK_EQ(fake_bytes(FAKE_PURGE), 4 * SLICE_BYTES);
  CHECK_EQ(from, 0);
  CHECK(mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL));
  CHECK_EQ(fake_bytes(FAKE_PURGE), 6 * SLICE_BYTES);
  CHECK_EQ(from, 1);
  CHECK(mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL));
  CHECK_EQ(fake_bytes(FAKE_PURGE), 7 * SLICE_BYTES);
  CHECK(!mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL));
  CHECK(fake_space_is_valid());
}

TEST(a_step_leaves_what_is_not_due) {
  start(DELAY);
  free_in_segments(3);
  uint32_t from = 0;
  while (mii_purge_step(&from, BEGIN + DELAY - 1, PURGE_PER_CALL)) {}
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
  from = 0;
  while (mii_purge_step(&from, BEGIN + DELAY, PURGE_PER_CALL)) {}
  CHECK_EQ(fake_bytes(FAKE_PURGE), 6 * SLICE_BYTES);
}

TEST(steps_come_to_an_end_when_the_system_refuses) {
  start(DELAY);
  free_in_segments(3);
  fake_fail_from(FAKE_PURGE, 1);
  uint32_t from = 0;
  uint32_t steps = 0;
  while (mii_purge_step(&from, UINT64_MAX, PURGE_PER_CALL)) CHECK(++steps <= 4);
}

// What -------------------------------------------------------------------------------------------

TEST(all_that_is_free_is_purged_due_or_not) {
  start(DELAY);
  const slice_t a = take(63);
  const slice_t b = take(64);
  uint8_t* const p = take_run(20);
  take_run(10);
  mii_segment_give(a + 3, 5);
  mii_segment_give(b + 10, 6);
  mii_run_give(p);
  CHECK_EQ(purged_by_all(), 11 * SLICE_BYTES + 20 * UNIT_BYTES);
  CHECK_EQ(purged_by_all(), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 0);
}

TEST(free_units_of_runs_are_purged_and_others_are_not) {
  start(DELAY);
  uint8_t* const p = take_run(20);
  uint8_t* const q = take_run(10);
  mii_run_give(p);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY - 1), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 20 * UNIT_BYTES);
  CHECK(is_zero(p, 20 * UNIT_BYTES));
  CHECK(is_all(q, 10 * UNIT_BYTES, 0xAB));
  CHECK_EQ(purged_by_ticks(BEGIN + 10 * DELAY), 0);
}

TEST(an_area_without_runs_is_a_free_segment_in_the_end) {
  start(DELAY);
  uint8_t* const p = take_run(20);
  const slice_t slice = (slice_t)mii_slice_of(p);
  mii_run_give(p);
  purged_by_ticks(BEGIN + DELAY);
  CHECK_EQ(mii_slice_kind(slice), SLICE_FREE);
  purged_by_ticks(BEGIN + 2 * DELAY);
  purged_by_ticks(BEGIN + 3 * DELAY);
  CHECK_EQ(mii_segment(slice / 64)->free, ~UINT64_C(0));
  CHECK_EQ(mii_segment(slice / 64)->dirty, 0);
  CHECK_EQ(fake_touched_bytes(p, SEGMENT_BYTES), 0);
}

TEST(one_call_gives_back_areas_without_runs_too) {
  start(DELAY);
  uint8_t* const p = take_run(20);
  mii_run_give(p);
  purged_by_all();
  CHECK_EQ(fake_touched_bytes(p, SEGMENT_BYTES), 0);
}

TEST(purges_are_counted) {
  start(DELAY);
  const slice_t a = take(20);
  mii_segment_give(a + 1, 3);
  mii_segment_give(a + 10, 4);
  mii_purge_all();
  const purge_count_t count = mii_purge_count();
  CHECK_EQ(count.calls, 2);
  CHECK_EQ(count.bytes, 7 * SLICE_BYTES);
}

TEST(a_refused_purge_is_not_counted_and_the_memory_stays_dirty) {
  start(DELAY);
  const slice_t a = take(20);
  mii_segment_give(a, 3);
  fake_fail_from(FAKE_PURGE, 1);
  CHECK(!mii_purge_memory(mii_slice_start(a), SLICE_BYTES));
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 0);
  CHECK_EQ(mii_purge_count().calls, 0);
  CHECK_EQ(mii_purge_count().bytes, 0);
  fake_fail_never();
  bool zero;
  CHECK_EQ(mii_segment_take((slice_request_t){.count = 3}, &zero), a);
  CHECK(!zero);
}

TEST(only_whole_pages_of_the_system_go_back) {
  fake_facts.os_page_size = 16 * KiB;
  start(DELAY);
  uint8_t* const p = mii_slice_start(take(4));
  CHECK(mii_purge_memory(p + 4 * KiB, 40 * KiB));
  CHECK_EQ(fake_latest(FAKE_PURGE).address, p + 16 * KiB);
  CHECK_EQ(fake_latest(FAKE_PURGE).size, 16 * KiB);
  CHECK(is_all(p, 16 * KiB, 0xAB));
  CHECK(is_all(p + 32 * KiB, 16 * KiB, 0xAB));
  CHECK(!mii_purge_memory(p + 4 * KiB, 24 * KiB));
  CHECK(!mii_purge_memory(p + 4 * KiB, 4 * KiB));
  CHECK(!mii_purge_memory(p + 16 * KiB, 0));
  CHECK_EQ(fake_calls(FAKE_PURGE), 1);
  CHECK_EQ(mii_purge_count().bytes, 16 * KiB);
}

TEST(slices_and_runs_go_back_on_64_kib_pages) {
  fake_facts.os_page_size = 64 * KiB;
  start(DELAY);
  const slice_t a = take(20);
  mii_segment_give(a + 1, 3);
  take_run(1);
  uint8_t* const p = take_run(40);
  take_run(1);
  mii_run_give(p);                                      // units 1 .. 40
  const size_t first = purged_by_ticks(BEGIN + DELAY);  // a segment at a time
  CHECK_EQ(first + purged_by_ticks(BEGIN + DELAY), 3 * SLICE_BYTES + 64 * KiB);
}

// Meanwhile --------------------------------------------------------------------------------------

static slice_t given_meanwhile;

static void give_meanwhile(void* arg) {
  (void)arg;
  fake_on_call(FAKE_PURGE, NULL, NULL);
  mii_segment_give(given_meanwhile, 2);
  mii_purge_tick(BEGIN + DELAY);  // somebody else is at it
}

TEST(what_is_freed_during_a_purge_is_purged_later) {
  start(DELAY);
  const slice_t a = take(20);
  given_meanwhile = a + 10;
  mii_segment_give(a, 3);
  fake_on_call(FAKE_PURGE, give_meanwhile, NULL);
  CHECK_EQ(purged_by_ticks(BEGIN + DELAY), 3 * SLICE_BYTES);
  CHECK_EQ(purged_by_ticks(BEGIN + 2 * DELAY - 1), 0);
  CHECK_EQ(purged_by_ticks(BEGIN + 2 * DELAY), 2 * SLICE_BYTES);
}

TEST(an_area_that_is_busy_is_purged_later) {
  start(DELAY);
  uint8_t* const p = take_run(20);
  take_run(1);
  mii_run_give(p);
  mii_run_lock_all();
  fake_set_clock(BEGIN + DELAY);
  mii_purge_tick(BEGIN + DELAY);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
  mii_run_unlock_all();
  CHECK_EQ(purged_by_ticks(BEGIN + 2 * DELAY), 20 * UNIT_BYTES);
}

static bool tried;

static void give_and_tick_meanwhile(void* arg) {
  (void)arg;
  fake_on_call(FAKE_CLOCK, NULL, NULL);
  tried = true;
  mii_purge_tick(BEGIN + 10 * DELAY);
}

TEST(a_tick_between_freeing_and_noting_loses_nothing) {
  start(DELAY);
  const slice_t a = take(20);
  fake_on_call(FAKE_CLOCK, give_and_tick_meanwhile, NULL);
  mii_segment_give(a, 3);
  CHECK(tried);
  CHECK_EQ(purged_by_ticks(BEGIN + 20 * DELAY), 3 * SLICE_BYTES);
}

// Memory that a purge holds is free for who waits a moment.
static _Atomic(bool) purge_is_running;

static void purge_until_somebody_waits(void* arg) {
  (void)arg;
  purge_is_running = true;
  while (fake_calls(FAKE_YIELD) == 0) sched_yield();
}

// The search gives up after PURGE_TRIES yields, which on a busy machine may be before the purging
// thread has run at all: that is not what these tests are about.
static void nap(void* arg) {
  (void)arg;
  const struct timespec pause = {0, 200000};
  nanosleep(&pause, NULL);
}

static void* purge_segment_0(void* arg) {
  mii_segment_purge(0);
  return arg;
}

static void* purge_area(void* p) {
  CHECK(mii_run_purge((uint32_t)(mii_slice_of(p) / SEGMENT_SLICES)));
  return NULL;
}

static pthread_t start_purge(void* (*purge)(void* arg), void* arg) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, purge, arg), 0);
  while (!purge_is_running) sched_yield();
  return thread;
}

TEST(slices_that_a_purge_holds_are_waited_for_when_nothing_else_is_free) {
  start(DELAY);
  take(RANGE_SEGMENTS * 64 - 1);
  mii_segment_give(10, 3);
  fake_on_call(FAKE_PURGE, purge_until_somebody_waits, NULL);
  fake_on_call(FAKE_YIELD, nap, NULL);
  const pthread_t thread = start_purge(purge_segment_0, NULL);
  CHECK_EQ(take(3), 10);
  pthread_join(thread, NULL);
  CHECK(fake_space_is_valid());
}

static void purge_for_20_ms(void* arg) {
  (void)arg;
  purge_is_running = true;
  const struct timespec pause = {0, 20000000};  // a time slice of somebody else
  nanosleep(&pause, NULL);
}

TEST(slices_are_waited_for_also_when_the_purging_thread_has_to_wait_for_a_core) {
  start(DELAY);
  take(RANGE_SEGMENTS * 64 - 1);
  mii_segment_give(10, 3);
  fake_on_call(FAKE_PURGE, purge_for_20_ms, NULL);
  const pthread_t thread = start_purge(purge_segment_0, NULL);
  CHECK_EQ(take(3), 10);
  pthread_join(thread, NULL);
}

TEST(runs_that_a_purge_holds_are_waited_for_when_nothing_else_is_free) {
  start(DELAY);
  uint8_t* const p = take_run(256);
  take((RANGE_SEGMENTS - 2) * 64);
  take(63);
  for (int i = 0; i < 3; i++) take_run(256);
  CHECK(mii_run_give(p));
  fake_on_call(FAKE_PURGE, purge_until_somebody_waits, NULL);
  fake_on_call(FAKE_YIELD, nap, NULL);
  const pthread_t thread = start_purge(purge_area, p);
  CHECK_EQ(take_run(256), p);
  pthread_join(thread, NULL);
  CHECK(fake_space_is_valid());
}

TEST(only_a_purge_at_the_time_makes_a_search_uncertain) {
  start(DELAY);
  purge_patience_t patience = {0};
  CHECK(!mii_purge_may_have_hidden(mii_purge_epoch(), &patience));
  mii_purge_begin();
  const uint32_t during = mii_purge_epoch();
  CHECK(mii_purge_may_have_hidden(during, &patience));
  mii_purge_begin();
  mii_purge_end();
  CHECK(mii_purge_may_have_hidden(mii_purge_epoch(), &patience));
  mii_purge_end();
  CHECK(mii_purge_may_have_hidden(during, &patience));  // it ended meanwhile
  const uint32_t after = mii_purge_epoch();
  CHECK(!mii_purge_may_have_hidden(after, &patience));
  mii_purge_begin();
  mii_purge_end();
  CHECK(mii_purge_may_have_hidden(after, &patience));  // one came and went
}

static void end_memory(void* slices) {
  bool zero;
  CHECK_EQ(mii_segment_take((slice_request_t){.count = *(uint32_t*)slices}, &zero), 0);
}

TEST(a_purge_that_does_not_end_is_not_waited_for_for_ever) {
  start(DELAY);
  uint32_t count = 3;
  take(RANGE_SEGMENTS * 64 - 1);
  mii_segment_give(10, 3);
  fake_on_call(FAKE_PURGE, end_memory, &count);
  mii_segment_purge(0);
  CHECK(fake_calls(FAKE_YIELD) > 1);
  CHECK(fake_space_is_valid());
}

// Faults -----------------------------------------------------------------------------------------

static void purge_now_and_then(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  mii_option_set(mi_option_purge_delay, DELAY);
  if (!mii_range_start(&fake_facts)) return;
  if (!mii_hint_start(mii_range.segment_max)) return;
  random_t random = {13};
  slice_t slices[8] = {0};
  uint8_t* runs[8] = {NULL};
  for (uint64_t n = 0; n < 60; n++) {
    const uint32_t i = random_below(&random, 8);
    uint32_t segment = 0;
    bool zero;
    if (slices[i] != 0) mii_segment_give(slices[i], 4 * (i + 1));
    slices[i] =
        slices[i] != 0 ? 0 : mii_segment_take((slice_request_t){.count = 4 * (i + 1)}, &zero);
    if (slices[i] != 0) memset(mii_slice_start(slices[i]), 0xAB, SLICE_BYTES);
    if (runs[i] != NULL) CHECK(mii_run_give(runs[i]));
    runs[i] = runs[i] != NULL
                  ? NULL
                  : (uint8_t*)mii_run_take((run_request_t){.count = 20 * (i + 1)}, &segment, &zero);
    fake_set_clock(n * 40);
    mii_purge_tick(n * 40);
    CHECK(fake_space_is_valid());
  }
  fake_fail_never();
  for (uint32_t i = 0; i < 8; i++) {
    if (slices[i] != 0) mii_segment_give(slices[i], 4 * (i + 1));
    if (runs[i] != NULL) CHECK(mii_run_give(runs[i]));
  }
  mii_purge_all();
  mii_purge_all();
  CHECK(fake_space_is_valid());
}

TEST(every_fault_leaves_memory_that_can_be_used) {
  CHECK(fake_try_every_fault(FAKE_PURGE, purge_now_and_then) > 10);
  CHECK(fake_try_every_fault(FAKE_OPEN, purge_now_and_then) > 2);
}

UNIT_TEST_MAIN
