// SPDX-License-Identifier: MIT
// Looks at the summary, so it includes the source file.
#include "support/unit_test.h"
#include "space/hint.c"
#include "support/fake_platform.h"
#include <pthread.h>

enum { MODEL_MAX = 1 << 18 };

static bool model[HINT_COUNT][MODEL_MAX];
static uint32_t segment_max;

// Hints for this many segments, as large as the range may be.
static void start(uint32_t segments) {
  fake_facts.memory_bytes = (size_t)64 << 30;
  CHECK(mii_range_start(&fake_facts));
  segment_max = segments;
  CHECK(mii_hint_start(segments));
}

static void set(hint_t hint, uint32_t segment, bool on) {
  mii_hint_set(hint, segment, on);
  model[hint][segment] = on;
}

static uint32_t model_next(hint_t hint, uint32_t from) {
  while (from < segment_max && !model[hint][from]) from++;
  return from < segment_max ? from : NO_SEGMENT;
}

static void check_walk(hint_t hint) {
  uint32_t expected = model_next(hint, 0);
  uint32_t at = mii_hint_next(hint, 0);
  while (expected != NO_SEGMENT) {
    CHECK_EQ(at, expected);
    expected = model_next(hint, expected + 1);
    at = mii_hint_next(hint, at + 1);
  }
  CHECK_EQ(at, NO_SEGMENT);
}

// H1, and that a summary bit is off when it may be.
static void check_summary(void) {
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) {
    for (uint32_t g = 0; g < group_count; g++) {
      CHECK_EQ(summary[hint][g / 64] >> (g % 64) & 1, groups[g].word[hint] != 0);
    }
  }
}

TEST(at_first_all_hints_are_off) {
  start(1000);
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) {
    CHECK_EQ(mii_hint_next((hint_t)hint, 0), NO_SEGMENT);
    for (uint32_t i = 0; i < 1000; i++) CHECK(!mii_hint_is_on((hint_t)hint, i));
  }
}

TEST(a_hint_is_of_one_segment_and_one_question) {
  start(1000);
  set(HINT_RUNS, 700, true);
  CHECK(mii_hint_is_on(HINT_RUNS, 700));
  CHECK(!mii_hint_is_on(HINT_RUNS, 699) && !mii_hint_is_on(HINT_RUNS, 701));
  CHECK(!mii_hint_is_on((hint_t)(HINT_RUNS + 1), 700));
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) check_walk((hint_t)hint);
  set(HINT_RUNS, 700, true);
  set(HINT_RUNS, 700, false);
  set(HINT_RUNS, 700, false);
  CHECK(!mii_hint_is_on(HINT_RUNS, 700));
  check_walk(HINT_RUNS);
  check_summary();
}

TEST(the_search_begins_with_the_segment_it_is_given) {
  start(20000);
  static const uint32_t places[] = {0, 1, 62, 63, 64, 127, 128, 4095, 4096, 4097, 8191, 19999};
  for (size_t i = 0; i < COUNT_OF(places); i++) set(HINT_SLICES, places[i], true);
  for (uint32_t from = 0; from < segment_max; from++) {
    CHECK_EQ(mii_hint_next(HINT_SLICES, from), model_next(HINT_SLICES, from));
  }
  CHECK_EQ(mii_hint_next(HINT_SLICES, 20000), NO_SEGMENT);
  CHECK_EQ(mii_hint_next(HINT_SLICES, 1000000), NO_SEGMENT);
  CHECK_EQ(mii_hint_next(HINT_SLICES, NO_SEGMENT), NO_SEGMENT);
}

TEST(the_last_segment_of_the_largest_range_is_found) {
  start(MODEL_MAX);
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) set((hint_t)hint, MODEL_MAX - 1, true);
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) {
    CHECK_EQ(mii_hint_next((hint_t)hint, 0), MODEL_MAX - 1);
  }
  check_summary();
}

// Sets and clears in places that are sometimes close together and sometimes far apart.
static void play(uint32_t segments, uint64_t seed) {
  start(segments);
  random_t random = {seed};
  for (int round = 0; round < 40; round++) {
    const uint32_t center = random_below(&random, segments);
    const uint32_t width = 1 + random_below(&random, round % 4 == 0 ? segments : 200);
    for (int i = 0; i < 500; i++) {
      const hint_t hint = (hint_t)random_below(&random, HINT_COUNT);
      const uint32_t segment = (center + random_below(&random, width)) % segments;
      set(hint, segment, random_below(&random, 10) < (round % 2 == 0 ? 6u : 2u));
      const uint32_t from = (center + random_below(&random, width)) % segments;
      if (i % 10 == 0) CHECK_EQ(mii_hint_next(hint, from), model_next(hint, from));
      CHECK_EQ(mii_hint_is_on(hint, from), model[hint][from]);
    }
  }
  for (uint32_t hint = 0; hint < HINT_COUNT; hint++) check_walk((hint_t)hint);
  check_summary();
}

TEST(a_small_range_agrees_with_a_naive_model) { play(17, 1); }
TEST(a_range_of_one_group_agrees_with_a_naive_model) { play(64, 2); }
TEST(a_range_of_odd_size_agrees_with_a_naive_model) { play(4099, 3); }
TEST(a_large_range_agrees_with_a_naive_model) { play(100000, 4); }

TEST(a_start_turns_all_hints_off) {
  start(5000);
  for (uint32_t i = 0; i < 5000; i += 3) mii_hint_set(HINT_PURGE, i, true);
  mii_range_stop();
  CHECK(mii_range_start(&fake_facts));
  CHECK(mii_hint_start(5000));
  CHECK_EQ(mii_hint_next(HINT_PURGE, 0), NO_SEGMENT);
  check_summary();
}

TEST(without_memory_there_is_no_start) {
  CHECK(mii_range_start(&fake_facts));
  fake_fail_from(FAKE_OPEN, 1);
  CHECK(!mii_hint_start(mii_range.segment_max));
  fake_fail_never();
  CHECK(mii_hint_start(mii_range.segment_max));
}

// Threads that share words and summary bits: each changes segments of its own.
enum { THREADS = 4, SHARED = 128, ROUNDS = 30000 };

static void* change_own(void* arg) {
  const uint32_t me = (uint32_t)(uintptr_t)arg;
  random_t random = {me};
  for (int n = 0; n < ROUNDS; n++) {
    const uint32_t segment = random_below(&random, SHARED / THREADS) * THREADS + me;
    set(HINT_SLICES, segment, random_below(&random, 4) == 0);
    CHECK_EQ(mii_hint_is_on(HINT_SLICES, segment), model[HINT_SLICES][segment]);
  }
  return NULL;
}

TEST(threads_do_not_lose_each_others_hints) {
  for (int round = 0; round < 5; round++) {
    if (round == 0) start(SHARED);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
      CHECK_EQ(pthread_create(&threads[i], NULL, change_own, (void*)i), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    check_walk(HINT_SLICES);
    check_summary();
  }
}

UNIT_TEST_MAIN
