// SPDX-License-Identifier: MIT
// Who frees much gives it back, or has our thread do so. The fake platform starts no thread: the test runs
// what was to be run, and sees the time go by.
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "heap/fork.h"
#include "heap/quiet.h"
#include "space/hint.h"
#include "space/purge.h"

enum { DELAY = 800, BEGIN = 5000, MEGABYTES = 48, THREAD_WAITS_MAX = 200 };

static void* blocks[MEGABYTES];

static void start(long option) {
  fake_facts.memory_bytes = 16 * MiB;  // the range has 256 MiB
  start_heap();
  mii_option_set(mi_option_purge_delay, DELAY);
  mii_option_set(mi_option_purge_thread, option);
  mii_quiet_allow(false);
  fake_set_clock(BEGIN);
}

static void take_untouched(uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) blocks[i] = take(mii_theap_mine, MiB + 1);  // whole slices
}

static void take_megabytes(uint32_t from, uint32_t to) {
  take_untouched(from, to);
  for (uint32_t i = from; i < to; i++) memset(blocks[i], 0xAB, MiB);
}

// As mi_free does.
static void free_megabytes(uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    give(blocks[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
}

static size_t resident(void) {
  return fake_touched_bytes(mii_slice_start(0), mii_slice_count() * SLICE_BYTES);
}

// Our thread -----------------------------------------------------------------------------------------

static uint64_t resident_was_small_at;
static uint32_t waits;

static void note_wait(void* arg) {
  (void)arg;
  if (resident_was_small_at == 0 && resident() < 2 * MiB)
    resident_was_small_at = mii_platform_clock_ms();
  CHECK(++waits < THREAD_WAITS_MAX);
}

// Until it waits for ever.
static void run_started_thread(void) {
  CHECK(fake_started_thread() != NULL);
  theap_t* const mine = mii_theap_mine;
  run_as_newcomer();
  waits = 0;
  resident_was_small_at = 0;
  fake_on_call(FAKE_WAIT, note_wait, NULL);
  fake_started_thread()();
  CHECK(mii_theap_mine == &mii_theap_empty);  // it owns nothing
  run_as(mine);
}

TEST(a_process_with_threads_gets_one_that_purges_what_is_due) {
  start(1);
  fake_have_threads(true);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);  // it is warm, and nobody purges before the delay is over
  run_started_thread();
  CHECK(resident() < 2 * MiB);
  CHECK(resident_was_small_at >= BEGIN + DELAY);
  CHECK(resident_was_small_at <= BEGIN + DELAY + DELAY / 4);
  CHECK(waits <= 4);
  CHECK(all_is_valid());
}

TEST(less_than_16_mib_is_not_worth_a_thread) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 13);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  free_megabytes(13, 20);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
}

TEST(memory_that_is_taken_again_is_not_worth_a_thread) {
  start(2);
  take_megabytes(0, 10);
  for (int i = 0; i < 50; i++) {
    free_megabytes(0, 10);
    take_megabytes(0, 10);
  }
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
}

TEST(runs_count_too) {
  start(2);
  void* runs[100];
  for (int i = 0; i < 100; i++) memset(runs[i] = take(mii_theap_mine, 300 * KiB), 1, 300 * KiB);
  for (int i = 0; i < 100; i++) {
    give(runs[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  run_started_thread();
  CHECK(resident() < 2 * MiB);
}

static void free_more_once(void* arg) {
  (void)arg;
  if (mii_platform_clock_ms() < BEGIN + DELAY) return;
  fake_on_call(FAKE_WAIT, note_wait, NULL);
  free_megabytes(24, MEGABYTES);
}

TEST(what_is_freed_while_it_works_is_done_in_the_same_go) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 24);
  CHECK(fake_started_thread() != NULL);
  theap_t* const mine = mii_theap_mine;
  fake_on_call(FAKE_WAIT, free_more_once, NULL);
  fake_started_thread()();
  run_as(mine);
  CHECK(resident() < 2 * MiB);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
}

// Pressure -------------------------------------------------------------------------------------------

// 8 MiB are freed, too little to be looked at; then time goes by, and later memory is short.
static size_t before_pressure, after_little, after_much;

static void live_under_pressure(void* arg) {
  (void)arg;
  switch (++waits) {
    case 3: free_megabytes(0, 8); break;
    case 6: before_pressure = resident(); break;
    case 7: fake_pressure += 9000; break;
    case 9: after_little = resident(); break;
    case 10: fake_pressure += 11000; break;
    case 12: after_much = resident(); break;
    case 13: mii_quiet_stop(); break;
    default: break;
  }
}

TEST(when_memory_is_short_all_that_is_free_goes_back) {
  fake_facts.memory_bytes = 16 * MiB;
  fake_pressure = 123456789;  // what was before does not count
  start_heap();
  fake_set_clock(BEGIN);
  mii_option_set(mi_option_purge_delay, 60 * 1000);
  CHECK(mii_option_set(mi_option_memory_pressure, 1));
  take_megabytes(0, 10);
  mii_quiet_allow(false);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);  // it has no threads, and has freed nothing
  theap_t* const mine = mii_theap_mine;
  waits = 0;
  fake_on_call(FAKE_WAIT, live_under_pressure, NULL);
  fake_started_thread()();
  run_as(mine);
  CHECK_EQ(waits, 13);
  CHECK(before_pressure >= 10 * MiB && after_little >= 10 * MiB);
  CHECK(after_much >= 2 * MiB && after_much < 3 * MiB);
  CHECK(mii_platform_clock_ms() < BEGIN + 5000);
}

TEST(without_the_option_nobody_looks_at_the_pressure) {
  start(1);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
}

TEST(nobody_ticks_while_the_thread_works) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 24);
  fake_advance_clock(2 * DELAY);
  mii_purge_tick(BEGIN + 2 * DELAY);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
  run_started_thread();
  CHECK(fake_bytes(FAKE_PURGE) >= 24 * MiB);
}

TEST(with_purge_delay_minus_1_nothing_happens) {
  start(2);
  mii_option_set(mi_option_purge_delay, -1);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
}

TEST(before_libc_is_ready_no_thread_is_started) {
  fake_facts.memory_bytes = 16 * MiB;
  start_heap();
  mii_option_set(mi_option_purge_thread, 2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 24);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  mii_quiet_allow(true);
  free_megabytes(24, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  CHECK(fake_started_to_be_joined());
}

static size_t pages_of_pool_at_end;

TEST(it_ends_pages_of_threads_that_have_ended) {
  start(2);
  theap_t* const first = mii_theap_mine;
  new_thread();
  static void* small[20 * 1024];
  take_many(mii_theap_mine, SIZE, small, COUNT_OF(small));
  mii_thread_end(false);
  run_as(first);
  give_remotely(small, COUNT_OF(small));
  take_megabytes(0, 20);
  free_megabytes(0, 20);
  run_started_thread();
  pages_of_pool_at_end = page_count();
  CHECK(pages_of_pool_at_end <= 2);
}

// A thread that is not alone lets go of its full pages; then nobody owns them, and who frees the last block of
// one does not know.
TEST(it_ends_pages_of_nobody) {
  start(2);
  new_thread();
  static void* small[24 * 1024];
  take_many(mii_theap_mine, SIZE, small, COUNT_OF(small));
  CHECK(mii_heap_claimable_bytes() == 0);
  const uint32_t pages = page_count();
  for (size_t i = 0; i < COUNT_OF(small); i++) {
    give(small[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
  mii_theap_collect(mii_theap_mine);
  CHECK(mii_heap_claimable_bytes() >= (pages - 40) * SLICE_BYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  run_started_thread();
  CHECK(page_count() <= 40);
  CHECK(mii_heap_claimable_bytes() <= 4 * SLICE_BYTES);
  CHECK(resident_was_small_at == 0 || resident_was_small_at <= BEGIN + DELAY + 1000);
  CHECK(resident() < 4 * MiB);
  CHECK(waits < 20);
}

// Pages of nobody with live blocks are looked at less and less often, and then no more.
TEST(it_does_not_look_at_pages_with_live_blocks_for_ever) {
  start(2);
  new_thread();
  static void* small[24 * 1024];
  take_many(mii_theap_mine, SIZE, small, COUNT_OF(small));
  for (size_t i = 0; i < COUNT_OF(small); i++) {
    if (i % 2 == 0) give(small[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  run_started_thread();
  CHECK(waits <= 12);
  CHECK(mii_platform_clock_ms() < BEGIN + 200 * DELAY);
}

// Sparse pages ---------------------------------------------------------------------------------------

enum { SPARSE_PAGES = 1000 };

static void* small_blocks[SPARSE_PAGES * PER_PAGE];

static void take_small(void) {
  take_many(mii_theap_mine, SIZE, small_blocks, COUNT_OF(small_blocks));
}

// All but two blocks of each of these pages.
static void thin_out(uint32_t from, uint32_t to) {
  for (uint32_t i = from * PER_PAGE; i < to * PER_PAGE; i++) {
    if (i % (PER_PAGE / 2) != 0) give(small_blocks[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
}

TEST(who_is_alone_punches_sparse_pages_when_there_are_many) {
  start(1);
  take_small();
  thin_out(0, 250);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
  thin_out(250, SPARSE_PAGES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(resident() < 28 * MiB);  // of 63
  CHECK(all_is_valid());
}

TEST(sparse_pages_that_are_used_again_are_not_punched) {
  start(1);
  take_small();
  for (uint32_t i = 0; i < SPARSE_PAGES; i++) {
    thin_out(i, i + 1);
    for (uint32_t k = 0; k < PER_PAGE; k++) {
      if (k % (PER_PAGE / 2) != 0) small_blocks[i * PER_PAGE + k] = take(mii_theap_mine, SIZE);
    }
  }
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
}

TEST(with_purge_delay_minus_1_sparse_pages_stay) {
  start(1);
  mii_option_set(mi_option_purge_delay, -1);
  take_small();
  thin_out(0, SPARSE_PAGES);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
}

// Too little for the thread --------------------------------------------------------------------------

TEST(a_heap_that_falls_is_purged_where_the_thread_is_not_worth_it) {
  start(1);
  fake_have_threads(true);
  take_megabytes(0, 12);
  fake_advance_clock(DELAY);
  free_megabytes(0, 12);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(resident() < 4 * MiB);
  CHECK(all_is_valid());
}

TEST(a_heap_that_has_just_begun_is_not) {
  start(1);
  fake_have_threads(true);
  take_megabytes(0, 12);
  fake_advance_clock(DELAY / 8);
  free_megabytes(0, 12);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 0);
}

// As much as PURGE_MUCH per delay, and one at the end of a pause.
TEST(a_heap_that_falls_and_grows_again_is_purged_rarely) {
  enum { ROUNDS = 400, ROUND_MS = 50, DELAYS = ROUNDS * ROUND_MS / DELAY };
  start(1);
  fake_have_threads(true);
  for (int i = 0; i < ROUNDS; i++) {
    take_untouched(0, 10);
    free_megabytes(0, 10);
    fake_advance_clock(ROUND_MS);
  }
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(fake_bytes(FAKE_PURGE) >= 10 * MiB);
  CHECK(fake_bytes(FAKE_PURGE) <= (DELAYS + 1) * PURGE_MUCH);
}

// It waits for ever the second time.
static void free_little_once(void* arg) {
  (void)arg;
  if (resident() > 9 * MiB || waits++ > 0) return;
  free_megabytes(20, 28);
  CHECK_EQ(fake_wakes(), 1);
}

TEST(the_thread_that_is_there_is_woken_for_it) {
  start(2);
  take_megabytes(0, 28);
  free_megabytes(0, 20);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  theap_t* const mine = mii_theap_mine;
  waits = 0;
  fake_on_call(FAKE_WAIT, free_little_once, NULL);
  fake_started_thread()();
  run_as(mine);
  CHECK(resident() < 2 * MiB);
}

// Fork and unload --------------------------------------------------------------------------------------

TEST(the_child_of_a_fork_starts_its_own) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 20);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  mii_fork_recover();
  free_megabytes(20, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 2);
  run_started_thread();
  CHECK(resident() < 2 * MiB);
}

TEST(the_child_of_a_fork_has_no_threads_whatever_libc_says) {
  start(1);
  fake_have_threads(true);
  take_megabytes(0, MEGABYTES);
  mii_fork_recover();
  free_megabytes(0, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(resident() < 17 * MiB);
}

static void fork_meanwhile(void* arg) {
  (void)arg;
  fake_on_call(FAKE_PURGE, NULL, NULL);
  *(bool*)arg = true;
  mii_fork_recover();
  CHECK_EQ(used_slices(), 0);
  CHECK(fake_space_is_valid());
  _exit(0);
}

// The thread is no theap's, so that nothing but itself shows that it was there.
TEST(slices_that_the_thread_held_when_another_forked_are_free_in_the_child) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  bool forked = false;
  fake_on_call(FAKE_PURGE, fork_meanwhile, &forked);
  run_started_thread();
  CHECK(forked);
}

TEST(stopping_wakes_and_joins_it) {
  start(2);
  mii_quiet_allow(true);
  take_megabytes(0, 20);
  free_megabytes(0, 20);
  mii_quiet_stop();
  CHECK_EQ(fake_wakes(), 1);
  CHECK_EQ(fake_joins(), 1);
  run_started_thread();  // ends at its first wait
  CHECK(waits <= 1);
}

TEST(stopping_without_a_thread_joins_nobody) {
  start(2);
  mii_quiet_stop();
  CHECK_EQ(fake_joins(), 0);
}

// Without a thread -------------------------------------------------------------------------------------

TEST(a_process_without_threads_purges_much_at_once) {
  start(1);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(resident() < 17 * MiB);  // 16 MiB may wait
  CHECK(fake_bytes(FAKE_PURGE) >= 31 * MiB);
}

TEST(where_no_thread_can_be_made_the_rest_works) {
  start(2);
  fake_fail_from(FAKE_THREAD_START, 1);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  CHECK(fake_calls(FAKE_THREAD_START) > 0);
  CHECK(resident() < 17 * MiB);
  CHECK(all_is_valid());
}

TEST(where_the_thread_cannot_wait_it_ends_and_the_rest_works) {
  start(2);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 20);
  fake_fail_from(FAKE_WAIT, 1);
  run_started_thread();
  CHECK(waits == 1);
  free_megabytes(20, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 1);
  CHECK(resident() < 17 * MiB);
}

TEST(with_the_option_off_no_thread_is_made) {
  start(0);
  fake_have_threads(true);
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, MEGABYTES);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);
  CHECK(resident() < 17 * MiB);
}

// What goes up and down all the time is purged once a pause, and the pauses become longer; besides, what is due.
TEST(memory_that_is_wanted_again_each_time_is_purged_rarely) {
  start(1);
  enum { ROUNDS = 400, ROUND_MS = 50 };
  for (int i = 0; i < ROUNDS; i++) {
    take_untouched(0, MEGABYTES);
    free_megabytes(0, MEGABYTES);
    fake_advance_clock(ROUND_MS);
  }
  // 25 delays.
  CHECK(fake_bytes(FAKE_PURGE) > MEGABYTES * MiB);
  CHECK(fake_bytes(FAKE_PURGE) < 80 * MEGABYTES * MiB);
}

// As much is in use at each purge, but what went back is not free any more.
TEST(memory_that_changes_places_is_purged_rarely) {
  start(1);
  enum { ROUNDS = 400, ROUND_MS = 50, HALF = MEGABYTES / 2 };
  take_megabytes(0, HALF);
  for (uint32_t i = 0; i < ROUNDS; i++) {
    const uint32_t from = i % 2 == 0 ? 0 : HALF;
    take_megabytes(HALF - from, HALF - from + HALF);
    free_megabytes(from, from + HALF);
    fake_advance_clock(ROUND_MS);
  }
  CHECK(fake_bytes(FAKE_PURGE) > HALF * MiB);
  CHECK(fake_bytes(FAKE_PURGE) < 80 * HALF * MiB);
}

TEST(after_a_quiet_time_a_purge_is_not_put_off) {
  start(1);
  for (int i = 0; i < 40; i++) {
    take_megabytes(0, MEGABYTES);
    free_megabytes(0, MEGABYTES);
    fake_advance_clock(50);
  }
  take_megabytes(0, MEGABYTES);
  fake_advance_clock(1000 * DELAY);
  free_megabytes(0, MEGABYTES);
  CHECK(resident() < 17 * MiB);
}

// Ticks ------------------------------------------------------------------------------------------------

static size_t purged_by_one_tick(void) {
  const size_t before = fake_bytes(FAKE_PURGE);
  mii_quiet_tick(mii_platform_clock_ms());
  return fake_bytes(FAKE_PURGE) - before;
}

TEST(where_the_thread_is_to_come_a_tick_purges_64_kib_at_most) {
  start(1);
  fake_have_threads(true);
  take_megabytes(0, 12);
  free_megabytes(0, 12);
  CHECK_EQ(fake_calls(FAKE_THREAD_START), 0);  // too little for it
  fake_advance_clock(DELAY - 1);
  CHECK_EQ(purged_by_one_tick(), 0);
  fake_advance_clock(1);
  size_t total = 0;
  for (size_t most = 0; total < 12 * MiB; total += most) {
    most = purged_by_one_tick();
    CHECK(most > 0 && most <= SLICE_BYTES);
  }
}

TEST(without_a_thread_a_tick_purges_more_than_a_slice) {
  start(0);
  take_megabytes(0, 12);
  free_megabytes(0, 12);
  fake_advance_clock(DELAY);
  CHECK_EQ(purged_by_one_tick(), PURGE_PER_CALL.slice_max * SLICE_BYTES);
}

static theap_t* owner;
static size_t purged_by_waker = SIZE_MAX;
static uint32_t woken;

// While our thread works nobody counts what is freed.
static void tick_when_it_waits(void* arg) {
  (void)arg;
  const size_t before = mii_purge_freed;
  mii_purge_note_freed(1);
  CHECK(++waits < THREAD_WAITS_MAX);
  if (mii_purge_freed == before) return;
  fake_on_call(FAKE_WAIT, NULL, NULL);
  run_as(owner);
  take_megabytes(0, 4);
  free_megabytes(0, 4);
  fake_advance_clock(4 * DELAY);
  const uint32_t wakes = fake_wakes();
  purged_by_waker = purged_by_one_tick();
  woken = fake_wakes() - wakes;
  run_as_newcomer();
}

TEST(where_the_thread_waits_a_tick_wakes_it_and_purges_nothing) {
  start(2);
  owner = mii_theap_mine;
  take_megabytes(0, MEGABYTES);
  free_megabytes(0, 20);
  run_as_newcomer();
  fake_on_call(FAKE_WAIT, tick_when_it_waits, NULL);
  fake_started_thread()();
  CHECK_EQ(purged_by_waker, 0);
  CHECK_EQ(woken, 1);
}

// Others meanwhile -------------------------------------------------------------------------------------

static size_t purged_by_others = SIZE_MAX;
static uint32_t freed_by_others;

static void free_during_a_purge(void* arg) {
  (void)arg;
  fake_on_call(FAKE_PURGE, NULL, NULL);
  const size_t before = fake_bytes(FAKE_PURGE);
  free_megabytes(MEGABYTES - freed_by_others, MEGABYTES);
  purged_by_others = fake_bytes(FAKE_PURGE) - before;
}

// The first one is in the middle of its purge while others free so many megabytes.
static void free_while_somebody_purges(uint32_t megabytes) {
  start(0);
  take_megabytes(0, MEGABYTES);
  freed_by_others = megabytes;
  fake_on_call(FAKE_PURGE, free_during_a_purge, NULL);
  free_megabytes(0, MEGABYTES - megabytes);
  CHECK(all_is_valid());
}

TEST(who_finds_somebody_at_it_goes_on) {
  free_while_somebody_purges(12);
  CHECK_EQ(purged_by_others, 0);
}

TEST(who_has_freed_much_more_meanwhile_helps) {
  free_while_somebody_purges(24);
  CHECK(purged_by_others > 0 && purged_by_others <= 24 * 4 * MiB);
}

TEST(what_a_round_has_found_is_forgotten_after_a_delay) {
  start(0);
  take_megabytes(0, MEGABYTES);
  uint32_t count = 0;
  while (fake_bytes(FAKE_PURGE) == 0) free_megabytes(count, count + 1), count++;
  CHECK(count < MEGABYTES);
  mii_purge_look_after(PURGE_MUCH);  // so that nobody goes on with the round while we take
  take_untouched(0, count);          // nothing waits any more
  fake_advance_clock(2 * DELAY);
  for (int i = 0; i < 10; i++) mii_purge_tick(BEGIN + 2 * DELAY);  // nor is anything due
  mii_purge_note_freed(PURGE_MUCH);
  const size_t before = fake_bytes(FAKE_PURGE);
  free_megabytes(count - 3, count);  // where the round had not been yet
  CHECK_EQ(fake_bytes(FAKE_PURGE), before);
}

// Faults -------------------------------------------------------------------------------------------------

static void free_much_and_run(void) {
  fake_facts.memory_bytes = 16 * MiB;
  if (!mii_range_start(&fake_facts) || !mii_hint_start(mii_range.segment_max)) return;
  mii_theap_mine = (theap_t*)(uintptr_t)&mii_theap_empty;
  theap_t* const theap = mii_thread_enter();
  if (theap == NULL) return;
  mii_option_set(mi_option_purge_thread, 2);
  mii_option_set(mi_option_purge_delay, DELAY);
  mii_quiet_allow(false);
  for (uint32_t i = 0; i < 24; i++) {
    blocks[i] = try_take(theap, MiB + 1);
    if (blocks[i] != NULL) memset(blocks[i], 1, MiB);
  }
  for (uint32_t i = 0; i < 24; i++) {
    if (blocks[i] != NULL) give(blocks[i]);
    if (mii_purge_may_be_much()) mii_quiet_look();
  }
  if (fake_started_thread() != NULL) fake_started_thread()();
  CHECK(all_is_valid());
  CHECK_EQ(used_slices(), 0);
}

TEST(every_fault_leaves_memory_that_can_be_used) {
  CHECK(fake_try_every_fault(FAKE_PURGE, free_much_and_run) > 4);
  CHECK(fake_try_every_fault(FAKE_WAIT, free_much_and_run) > 1);
  CHECK(fake_try_every_fault(FAKE_THREAD_START, free_much_and_run) > 1);
}

UNIT_TEST_MAIN
