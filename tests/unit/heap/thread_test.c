// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include <pthread.h>

static void* blocks[4 * PER_PAGE];

static void** of_page(uint32_t i) { return &blocks[i * PER_PAGE]; }

static uint32_t theaps_made(void) {
  uint32_t count = 0;
  for (const theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) count++;
  return count;
}

// Starting and ending -------------------------------------------------------------------------------

static bool is_bare(const theap_t* theap) { return theap->slice_count == 0; }

// With all that the ticks of the housekeeping do later.
static void tick_pool(uint64_t now, uint64_t delay) {
  mii_thread_pool_tick(now, delay);
  for (int i = 0; i < 1000; i++) mii_thread_pool_dissolve_some();
}

TEST(a_thread_begins_without_a_theap_of_its_own) {
  CHECK(mii_theap_mine == &mii_theap_empty);
  CHECK(!mii_theap_mine->is_live);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) CHECK(mii_theap_empty.list[c] == NULL);
  CHECK(mii_thread_first_theap() == NULL);
}

TEST(the_first_call_starts_a_thread_and_later_ones_find_its_theap) {
  fake_space_start();
  theap_t* const theap = mii_thread_enter();
  CHECK(theap != NULL && theap == mii_theap_mine);
  mii_thread_leave(theap);
  CHECK(mii_theap_mine == theap);
  for (int i = 0; i < 3; i++) {
    CHECK(mii_thread_enter() == theap);
    mii_thread_leave(theap);
  }
  CHECK_EQ(mii_thread_started_count(), 1);
  CHECK_EQ(mii_thread_ended_count(), 0);
  CHECK_EQ(theaps_made(), 1);
}

TEST(two_threads_have_two_theaps) {
  theap_t* const first = start_heap();
  theap_t* const second = new_thread();
  CHECK(first != second);
  CHECK_EQ(mii_thread_started_count(), 2);
  CHECK(mii_thread_first_theap() == second && second->next_made == first);
  CHECK(first->next_made == NULL);
}

TEST(a_thread_can_end_and_start_again) {
  theap_t* const theap = start_heap();
  mii_thread_end(false);
  CHECK(mii_theap_mine == &mii_theap_empty);
  CHECK_EQ(mii_thread_ended_count(), 1);
  CHECK(mii_thread_enter() == theap);
  CHECK(mii_theap_mine == theap);
  CHECK_EQ(mii_thread_started_count(), 2);
}

TEST(ending_a_thread_that_never_started_does_nothing) {
  fake_space_start();
  mii_thread_end(false);
  CHECK(mii_theap_mine == &mii_theap_empty);
  CHECK_EQ(mii_thread_ended_count(), 0);
  CHECK(mii_thread_first_theap() == NULL);
}

TEST(ending_twice_ends_once) {
  theap_t* const theap = start_heap();
  mii_thread_end(true);
  mii_thread_end(true);
  mii_thread_end(false);
  CHECK(mii_theap_mine == &mii_theap_done);
  CHECK_EQ(mii_thread_ended_count(), 1);
  CHECK(new_thread() == theap);
  CHECK(new_thread() != theap);
}

TEST(setting_a_thread_that_never_started_in_a_pool_does_nothing) {
  fake_space_start();
  mii_thread_set_in_pool();
  mii_thread_end(true);
  mii_thread_set_in_pool();
  CHECK(!mii_theap_empty.keeps_nothing && !mii_theap_done.keeps_nothing);
}

// The pool ------------------------------------------------------------------------------------------

TEST(the_next_thread_gets_the_theap_with_its_pages) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(of_page(0), WAKE);
  void* const p = take(theap, 48);
  const block_t* const next = theap->list[mii_size_class(48)];
  const uint32_t pages = page_count();
  mii_thread_end(false);
  CHECK_EQ(page_count(), pages);
  CHECK_EQ(mii_page_owner(page_of(of_page(1)[0])), mii_theap_tag(theap));
  CHECK(new_thread() == theap);
  CHECK(take(theap, 48) == next);
  CHECK(page_of(take(theap, SIZE)) == page_of(of_page(0)[40]));
  CHECK_EQ(page_count(), pages);
  give(p);  // of the thread before: a local free
  CHECK_EQ(mii_page_hot(page_of(p))->local_free, p);
  CHECK(all_is_valid());
}

TEST(a_theap_in_the_pool_goes_on_receiving_frees) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  mii_thread_end(false);
  run_as_stranger();
  give_many(of_page(0), PER_PAGE);
  give_many(of_page(1), WAKE);
  CHECK(mii_page_is_queued(page_of(of_page(0)[0])));
  CHECK(new_thread() == theap);
  CHECK(page_of(take(theap, SIZE)) == page_of(of_page(1)[40]));
  CHECK_EQ(atomic_load(&theap->woken), 0);
  CHECK(all_is_valid());
}

TEST(ending_gives_empty_pages_back) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(blocks, 2 * PER_PAGE);
  CHECK_EQ(page_count(), 1);
  mii_thread_end(false);
  CHECK_EQ(page_count(), 0);
}

TEST(the_wish_to_keep_nothing_ends_with_the_thread) {
  theap_t* const theap = start_heap();
  mii_thread_set_in_pool();
  CHECK(theap->keeps_nothing);
  mii_thread_end(false);
  CHECK(new_thread() == theap);
  CHECK(!theap->keeps_nothing);
}

TEST(a_theap_is_dissolved_after_it_has_waited_for_the_delay) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  fake_set_clock(1000);
  mii_thread_end(false);
  tick_pool(1000, 50);
  tick_pool(1049, 50);
  CHECK(!is_bare(theap));
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), mii_theap_tag(theap));
  tick_pool(1050, 50);
  CHECK(is_bare(theap));
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), 0);
  CHECK_EQ(mii_page_owner(page_of(of_page(1)[0])), 0);
  CHECK(new_thread() == theap);
  CHECK(all_is_valid());
}

TEST(a_tick_looks_at_every_theap_in_the_pool) {
  enum { THREADS = 30 };
  start_heap();
  theap_t* theaps[THREADS];
  for (uint32_t i = 0; i < THREADS; i++) {
    theaps[i] = new_thread();
    blocks[i] = take(theaps[i], SIZE);
  }
  for (uint32_t i = 0; i < THREADS; i++) {
    run_as(theaps[i]);
    fake_set_clock(i);
    mii_thread_end(false);
  }
  tick_pool(29, 10);  // those that ended at 0 .. 19 are due
  for (uint32_t i = 0; i < THREADS; i++) {
    CHECK_EQ(is_bare(theaps[i]), i < 20);
    CHECK_EQ(mii_page_owner(page_of(blocks[i])), i < 20 ? 0 : mii_theap_tag(theaps[i]));
  }
  tick_pool(1000, 10);
  for (uint32_t i = 0; i < THREADS; i++) CHECK(is_bare(theaps[i]));
  CHECK(all_is_valid());
}

TEST(threads_take_the_theap_that_has_waited_longest) {
  start_heap();
  theap_t* theaps[4];
  for (uint32_t i = 0; i < 4; i++) {
    theaps[i] = new_thread();
    take(theaps[i], SIZE);
  }
  for (uint32_t i = 0; i < 3; i++) {
    run_as(theaps[i]);
    mii_thread_end(false);
  }
  CHECK(new_thread() == theaps[0]);
  run_as(theaps[3]);
  mii_thread_end(false);
  for (uint32_t i = 1; i < 4; i++) CHECK(new_thread() == theaps[i]);
}

TEST(a_theap_that_is_due_is_dissolved_a_few_pages_at_a_time) {
  static void* many[32 * PER_PAGE];
  theap_t* const theap = start_heap();
  take_pages(theap, many, 32);
  mii_thread_end(false);
  mii_thread_pool_tick(1000 * 1000, 50);
  mii_thread_pool_dissolve_some();
  CHECK_EQ(theap->slice_count, 32 - 8);
  CHECK(new_thread() == theap);  // may be taken meanwhile
  take(theap, SIZE);
  CHECK(all_is_valid());
  mii_thread_end(false);
  mii_thread_pool_dissolve_some();
  CHECK_EQ(theap->slice_count, 32 - 8 + 1);  // it has begun to wait again
  tick_pool(1000 * 1000 * 1000, 50);
  CHECK(is_bare(theap));
}

TEST(threads_take_theaps_with_pages_before_bare_ones) {
  start_heap();
  theap_t* const first = new_thread();
  take(first, SIZE);
  theap_t* const second = new_thread();
  take(second, SIZE);
  run_as(first);
  mii_thread_end(false);
  mii_thread_pool_dissolve_all();
  run_as(second);
  mii_thread_end(false);
  CHECK(is_bare(first) && !is_bare(second));
  CHECK(new_thread() == second);
  CHECK(new_thread() == first);
  CHECK_EQ(theaps_made(), 3);
}

TEST(a_theap_that_was_bare_is_not_after_its_next_thread) {
  theap_t* const theap = start_heap();
  mii_thread_end(false);
  mii_thread_pool_dissolve_all();
  CHECK(is_bare(theap));
  CHECK(new_thread() == theap);
  blocks[0] = take(theap, SIZE);
  mii_thread_end(false);
  CHECK(!is_bare(theap));
  mii_thread_pool_dissolve_all();
  CHECK_EQ(mii_page_owner(page_of(blocks[0])), 0);
}

TEST(a_theap_held_by_a_free_under_way_is_dissolved_later) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  for (uint32_t i = 0; i < WAKE - 1; i++) begin_push(of_page(0)[i]);
  CHECK_EQ(begin_push(of_page(0)[WAKE - 1]), PUSH_WAKE_OWNER);
  mii_thread_end(false);
  mii_thread_pool_dissolve_all();
  CHECK(!is_bare(theap));
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), mii_theap_tag(theap));
  finish_push(of_page(0)[0], PUSH_WAKE_OWNER);
  mii_thread_pool_dissolve_all();
  CHECK(is_bare(theap));
  CHECK(all_is_valid());
}

TEST(dissolving_the_pool_leaves_running_threads_alone) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  run_as(new_thread());
  mii_thread_pool_dissolve_all();
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), mii_theap_tag(theap));
}

// After the end ---------------------------------------------------------------------------------------

TEST(a_thread_past_its_end_borrows_a_theap) {
  theap_t* const theap = start_heap();
  blocks[0] = take(theap, SIZE);
  mii_thread_end(true);
  CHECK(mii_theap_mine == &mii_theap_done);
  theap_t* const borrowed = mii_thread_enter();
  CHECK(borrowed == theap);
  CHECK(mii_theap_mine == &mii_theap_done);
  void* const p = take(borrowed, SIZE);
  mii_thread_leave(borrowed);
  CHECK(mii_theap_mine == &mii_theap_done);
  CHECK_EQ(mii_thread_started_count(), 1);
  give(p);  // not as the owner
  CHECK(mii_page_hot(page_of(p))->local_free == NULL);
  CHECK(new_thread() == theap);  // it was put back
}

TEST(a_thread_past_its_end_borrows_one_theap_per_call) {
  theap_t* const theap = start_heap();
  mii_thread_end(true);
  theap_t* const outer = mii_thread_enter();
  theap_t* const inner = mii_thread_enter();  // a callback within the first call
  CHECK(outer == theap && inner != theap && inner != NULL);
  mii_thread_leave(inner);
  mii_thread_leave(outer);
  CHECK_EQ(theaps_made(), 2);
}

TEST(what_was_borrowed_can_be_dissolved) {
  start_heap();
  mii_thread_end(true);
  mii_thread_pool_dissolve_all();
  theap_t* const borrowed = mii_thread_enter();
  blocks[0] = take(borrowed, SIZE);
  mii_thread_leave(borrowed);
  mii_thread_pool_dissolve_all();
  CHECK_EQ(mii_page_owner(page_of(blocks[0])), 0);
  give(blocks[0]);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 0);
}

// The platform's thread exit ----------------------------------------------------------------------------

TEST(threads_that_start_after_arming_end_by_themselves) {
  fake_space_start();
  mii_thread_arm_exits();
  theap_t* const theap = mii_thread_enter();
  CHECK(fake_thread_is_armed());
  take(theap, SIZE);
  fake_thread_exit();
  CHECK(mii_theap_mine == &mii_theap_done);
  CHECK_EQ(mii_thread_ended_count(), 1);
  CHECK(new_thread() == theap);
}

TEST(threads_that_started_before_arming_do_not) {
  start_heap();
  CHECK_EQ(fake_calls(FAKE_THREAD_ARM), 0);
  mii_thread_arm_exits();
  CHECK(!fake_thread_is_armed());
  CHECK_EQ(fake_calls(FAKE_ON_THREAD_EXIT), 1);
}

TEST(without_thread_exits_threads_work_but_are_not_armed) {
  fake_fail_nth(FAKE_ON_THREAD_EXIT, 1);
  fake_space_start();
  mii_thread_arm_exits();
  theap_t* const theap = mii_thread_enter();
  CHECK_EQ(fake_calls(FAKE_THREAD_ARM), 0);
  take(theap, SIZE);
}

TEST(a_thread_that_cannot_be_armed_works) {
  fake_space_start();
  mii_thread_arm_exits();
  fake_fail_nth(FAKE_THREAD_ARM, 1);
  theap_t* const theap = mii_thread_enter();
  CHECK(theap != NULL && mii_theap_mine == theap);
  take(theap, SIZE);
}

static theap_t* seen_while_arming;

// Setting a thread-specific value may allocate.
static void allocate_while_arming(void* arg) {
  (void)arg;
  seen_while_arming = mii_thread_enter();
  take(seen_while_arming, 100);
  mii_thread_leave(seen_while_arming);
}

TEST(arming_a_thread_may_allocate) {
  fake_space_start();
  mii_thread_arm_exits();
  fake_on_call(FAKE_THREAD_ARM, allocate_while_arming, NULL);
  theap_t* const theap = mii_thread_enter();
  CHECK(seen_while_arming == theap);
  CHECK_EQ(theaps_made(), 1);
}

// Threads that end without a word --------------------------------------------------------------------

static theap_t* start_as(uint32_t number) {
  fake_set_thread_number(number);
  return new_thread();
}

TEST(the_theap_of_a_thread_that_is_gone_is_found) {
  fake_space_start();
  mii_thread_arm_exits();
  theap_t* const main_theap = new_thread();
  fake_new_thread_id();
  theap_t* const silent = start_as(7);
  theap_t* const other = start_as(8);
  void* const p = take(silent, SIZE);
  run_as(silent);
  void* const of_other = take(other, SIZE);
  have_no_room(silent);
  give(of_other);  // parked
  CHECK(silent->parcels != 0);
  run_as(main_theap);
  tick_pool(1, 1000);
  CHECK_EQ(mii_thread_ended_count(), 0);
  fake_end_thread_number(7);
  for (int ticks = 0; ticks < 3; ticks++) tick_pool(2, 1000);
  CHECK_EQ(mii_thread_ended_count(), 1);
  CHECK_EQ(silent->parcels, 0);
  CHECK(start_as(9) == silent);
  CHECK(page_of(p) == page_of(take(silent, SIZE)));
  CHECK(all_is_valid());
}

TEST(dissolving_all_asks_for_every_thread) {
  fake_space_start();
  mii_thread_arm_exits();
  new_thread();
  fake_new_thread_id();
  theap_t* const silent = start_as(7);
  blocks[0] = take(silent, SIZE);
  for (uint32_t i = 0; i < 20; i++) start_as(8 + i);
  fake_end_thread_number(7);
  mii_thread_pool_dissolve_all();
  CHECK_EQ(mii_thread_ended_count(), 1);
  CHECK_EQ(mii_page_owner(page_of(blocks[0])), 0);
}

TEST(threads_without_a_number_are_not_asked_for) {
  fake_space_start();
  mii_thread_arm_exits();
  start_as(7);  // the main thread
  fake_new_thread_id();
  start_as(0);
  fake_end_thread_number(7);
  mii_thread_pool_dissolve_all();
  CHECK_EQ(mii_thread_ended_count(), 0);
}

// Without memory --------------------------------------------------------------------------------------

TEST(no_thread_starts_without_memory_for_a_theap) {
  fake_space_start();
  fake_fail_from(FAKE_OPEN, 1);
  uint32_t made = 0;
  theap_t* last = NULL;
  for (;; made++) {
    run_as_newcomer();
    theap_t* const theap = mii_thread_enter();
    if (theap == NULL) break;
    last = theap;
  }
  CHECK(made > 0);
  CHECK(mii_theap_mine == &mii_theap_empty);
  CHECK_EQ(mii_thread_started_count(), made);
  run_as(last);
  mii_thread_end(false);
  CHECK(new_thread() == last);  // the pool needs none
  run_as_newcomer();
  fake_fail_never();
  CHECK(mii_thread_enter() != NULL);
}

TEST(a_thread_past_its_end_may_find_no_theap) {
  start_heap();
  mii_thread_end(true);
  fake_fail_from(FAKE_OPEN, 1);
  do { run_as_newcomer(); } while (mii_thread_enter() != NULL);
  run_as((theap_t*)(uintptr_t)&mii_theap_done);
  CHECK(mii_thread_enter() == NULL);
  CHECK(mii_theap_mine == &mii_theap_done);
}

// With threads ----------------------------------------------------------------------------------------
// Threads start and end all the time, others past their end borrow, one dissolves: no theap may ever be
// in two hands.

enum { WORKERS = 4, LIVES = 3000, THEAPS_MAX = 64 };

static _Atomic(theap_t*) in_hand[WORKERS];

static void hold(uintptr_t worker, theap_t* theap) {
  for (uintptr_t i = 0; i < WORKERS; i++) CHECK(atomic_load(&in_hand[i]) != theap);
  atomic_store(&in_hand[worker], theap);
}

static void live_once(uintptr_t worker, random_t* random) {
  theap_t* const theap = mii_thread_enter();
  CHECK(theap != NULL);
  hold(worker, theap);
  void* p[20];
  for (uint32_t i = 0; i < COUNT_OF(p); i++) {
    p[i] = take(theap, 1 + random_below(random, 2000));
    memset(p[i], (int)worker, 1);
  }
  const uint32_t rest = random_below(random, COUNT_OF(p));
  give_many(p, rest);
  atomic_store(&in_hand[worker], NULL);
  mii_thread_leave(theap);
  if (theap == mii_theap_mine) mii_thread_end(random_below(random, 10) == 0);
  give_many(p + rest,
            COUNT_OF(p) - rest);  // which starts the thread again if it is not past its end
  if (mii_theap_mine->is_live) mii_thread_end(false);
  if (mii_theap_mine == &mii_theap_done && random_below(random, 4) == 0) run_as_newcomer();
}

static void* live(void* arg) {
  const uintptr_t worker = (uintptr_t)arg;
  random_t random = {worker};
  for (uint32_t i = 0; i < LIVES; i++) {
    live_once(worker, &random);
    if (i % 64 == worker) mii_thread_pool_dissolve_all();
    if (i % 64 == worker + 32) mii_heap_trim(&mii_heap_main);
  }
  return NULL;
}

TEST(no_theap_is_ever_in_two_hands) {
  fake_space_start();
  pthread_t threads[WORKERS];
  for (uintptr_t i = 0; i < WORKERS; i++) {
    CHECK_EQ(pthread_create(&threads[i], NULL, live, (void*)i), 0);
  }
  for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
  CHECK(theaps_made() <= THEAPS_MAX);
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  CHECK(all_is_valid());
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
}

UNIT_TEST_MAIN
