// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "runtime/lock.h"
#include "support/fake_platform.h"
#include <pthread.h>
#include <time.h>

static lock_t lock = {.rank = LOCK_AREA};

TEST(a_lock_is_taken_once_until_it_is_given) {
  CHECK(mii_lock_try(&lock));
  CHECK(!mii_lock_try(&lock));
  mii_lock_give(&lock);
  mii_lock_wait(&lock);
  CHECK(!mii_lock_try(&lock));
  mii_lock_give(&lock);
  CHECK(mii_lock_try(&lock));
}

static void give_it(void* arg) {
  (void)arg;
  if (fake_calls(FAKE_YIELD) == 3) mii_lock_give(&lock);
}

TEST(who_waits_lets_others_run) {
  mii_lock_wait(&lock);
  fake_on_call(FAKE_YIELD, give_it, NULL);
  mii_lock_wait(&lock);  // the hook gives it in the fourth yield
  CHECK_EQ(fake_calls(FAKE_YIELD), 4);
  CHECK(!mii_lock_try(&lock));
}

TEST(who_does_not_wait_does_not_yield) {
  for (int i = 0; i < 1000; i++) {
    mii_lock_wait(&lock);
    mii_lock_give(&lock);
  }
  CHECK_EQ(fake_calls(FAKE_YIELD), 0);
}

static void give_lock(void* arg) { mii_lock_give((lock_t*)arg); }

TEST(giving_what_is_not_taken_is_noticed_in_debug_builds) {
  CHECK_EQ(stops_the_process(give_lock, &lock), MI_ASSERT_LEVEL >= 1);
}

static lock_t outer = {.rank = LOCK_START};
static lock_t inner = {.rank = LOCK_GROWTH};

static void wait_for(void* arg) {
  lock_t** const order = arg;
  mii_lock_wait(order[0]);
  mii_lock_wait(order[1]);
}

TEST(waiting_against_the_ranks_is_noticed_in_debug_builds) {
  lock_t* upwards[] = {&outer, &inner};
  lock_t* downwards[] = {&inner, &outer};
  CHECK(!stops_the_process(wait_for, upwards));
  CHECK_EQ(stops_the_process(wait_for, downwards), MI_ASSERT_LEVEL >= 1);
}

TEST(what_is_given_back_is_not_held) {
  mii_lock_wait(&inner);
  mii_lock_give(&inner);
  mii_lock_wait(&outer);
  CHECK(mii_lock_try(&inner));
  mii_lock_give(&outer);  // in any order
  mii_lock_give(&inner);
  mii_lock_wait(&outer);
}

TEST(entering_is_waiting_and_leaving_is_giving) {
  mii_lock_enter(&lock);
  CHECK(!mii_lock_try(&lock));
  mii_lock_leave(&lock);
  mii_lock_wait(&lock);
  fake_on_call(FAKE_YIELD, give_it, NULL);
  mii_lock_enter(&lock);
  CHECK_EQ(fake_calls(FAKE_YIELD), 4);
}

static _Atomic(bool) has_asked;

static void* try_to_enter(void* arg) {
  CHECK(!mii_lock_is_mine_by_fork());
  has_asked = true;
  mii_lock_enter(&lock);
  mii_lock_leave(&lock);
  return arg;
}

TEST(for_the_forking_thread_its_locks_are_no_locks) {
  CHECK(!mii_lock_is_mine_by_fork());
  mii_lock_wait(&lock);
  mii_lock_forker = mii_platform_thread_id();
  CHECK(mii_lock_is_mine_by_fork());
  mii_lock_enter(&lock);
  mii_lock_enter(&lock);
  mii_lock_leave(&lock);
  CHECK(!mii_lock_try(&lock));  // still taken, for the others
  pthread_t thread;
  pthread_create(&thread, NULL, try_to_enter, NULL);
  while (!has_asked) mii_platform_yield();
  mii_lock_forker = 0;
  mii_lock_leave(&lock);
  pthread_join(thread, NULL);
  CHECK(mii_lock_try(&lock));
}

enum { THREADS = 4, DURATION_MS = 200 };
static uint64_t plain_count, inside;  // the lock's
static pthread_barrier_t barrier;

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void* count_up(void* arg) {
  pthread_barrier_wait(&barrier);
  const uint64_t end = now_ms() + DURATION_MS;
  uint64_t own_count = 0;
  for (; own_count % 256 != 0 || now_ms() < end; own_count++) {
    if (own_count % 3 != 0 || !mii_lock_try(&lock)) mii_lock_wait(&lock);
    CHECK_EQ(inside++, 0);
    plain_count++;
    CHECK_EQ(--inside, 0);
    mii_lock_give(&lock);
  }
  *(uint64_t*)arg = own_count;
  return NULL;
}

TEST(threads_exclude_each_other) {
  pthread_t threads[THREADS];
  uint64_t counts[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, count_up, &counts[i]);
  uint64_t total = 0;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    total += counts[i];
  }
  CHECK_EQ(plain_count, total);
}

UNIT_TEST_MAIN
