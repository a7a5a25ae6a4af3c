// SPDX-License-Identifier: MIT
// Threads that are asked give back what they keep, at their next slow path and not before.
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "heap/ask.h"

static void* blocks[2 * PER_PAGE];

// The theap keeps an empty page of the class.
static void keep_a_page(theap_t* theap) {
  take_pages(theap, blocks, 1);
  give_many(blocks, PER_PAGE);
  CHECK_EQ(awake_count(theap), 1);
  CHECK_EQ(page_count(), 1);
}

TEST(nobody_answers_before_anybody_asks) {
  theap_t* const theap = start_heap();
  CHECK(!mii_ask_is_open(theap));
  uint32_t threads;
  CHECK_EQ(mii_ask_count_missing(0, &threads), 0);
  CHECK_EQ(threads, 1);
}

TEST(who_asks_has_answered) {
  theap_t* const theap = start_heap();
  keep_a_page(theap);
  const uint32_t number = mii_ask_all();
  uint32_t threads;
  CHECK_EQ(mii_ask_count_missing(number, &threads), 0);
  CHECK_EQ(page_count(), 0);
  CHECK(!mii_ask_is_open(theap));
  CHECK(all_is_valid());
}

TEST(others_answer_at_their_next_beat_and_not_before) {
  theap_t* const first = start_heap();
  keep_a_page(first);
  new_thread();
  const uint32_t number = mii_ask_all();
  uint32_t threads;
  CHECK_EQ(mii_ask_count_missing(number, &threads), 1);
  CHECK_EQ(threads, 2);
  CHECK(mii_ask_is_missing(first, number));
  CHECK_EQ(page_count(), 1);  // nobody touches what is another's
  run_as(first);
  mii_theap_beat(first);
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(mii_ask_count_missing(number, &threads), 0);
  CHECK(all_is_valid());
}

TEST(a_refill_answers_and_goes_on) {
  theap_t* const first = start_heap();
  keep_a_page(first);
  theap_t* const second = new_thread();
  const uint32_t number = mii_ask_all();
  run_as(first);
  void* const p = take(first, 48);
  CHECK(!mii_ask_is_missing(first, number));
  CHECK_EQ(page_count(), 1);
  give(p);
  run_as(second);
  CHECK(all_is_valid());
}

TEST(a_later_answer_counts_for_earlier_questions) {
  theap_t* const first = start_heap();
  new_thread();
  const uint32_t one = mii_ask_all();
  const uint32_t two = mii_ask_all();
  CHECK(two != one);
  run_as(first);
  mii_theap_beat(first);
  uint32_t threads;
  CHECK_EQ(mii_ask_count_missing(one, &threads), 0);
  CHECK_EQ(mii_ask_count_missing(two, &threads), 0);
}

TEST(threads_that_have_ended_are_not_missing) {
  start_heap();
  new_thread();
  mii_thread_end(false);
  new_thread();
  mii_thread_end(false);
  uint32_t threads;
  const uint32_t number = mii_ask_all();
  CHECK_EQ(mii_ask_count_missing(number, &threads), 1);
  CHECK_EQ(threads, 1);
}

TEST(loose_blocks_go_back) {
  theap_t* const first = start_heap();
  void* mid[2 * PER_MID_PAGE];
  take_many(first, MID_SIZE, mid, PER_MID_PAGE);
  theap_t* const second = new_thread();
  give(take(second, MID_SIZE));  // its refill makes room for loose blocks
  give_many(mid, PER_MID_PAGE);
  const uint32_t c = mii_size_class(MID_SIZE);
  const uint32_t before = list_length_of(second, c);
  const uint32_t loose = mii_class_loose_count(c);
  CHECK(loose > 0 && before >= loose);
  mii_ask_all();
  CHECK_EQ(list_length_of(second, c), before - loose);
  CHECK(all_is_valid());
}

UNIT_TEST_MAIN
