// SPDX-License-Identifier: MIT
//
// What mii_fork_recover finds is set up by hand: other threads' theaps and pages in all states, and caught in
// the middle of things.
#include "support/unit_test.h"
#include "heap/fork.h"
#include "heap/outbox.h"
#include "space/hint.h"
#include "space/purge.h"
#include "unit/heap/heap_world.h"

static void* blocks[8 * PER_PAGE];

static theap_t* mine;
static theap_t* other;

// Two threads; the first one forks.
static void start_two(void) {
  mine = start_heap();
  other = new_thread();
  run_as(mine);
}

static void recover(void) {
  mii_fork_recover();
  CHECK(all_is_valid());
}

// All blocks of the class that can be had without a new page.
static uint32_t blocks_to_be_had(void) {
  const uint32_t pages = page_count();
  uint32_t count = 0;
  while (page_count() == pages) {
    take(mine, SIZE);
    count++;
  }
  return count - 1;
}

TEST(a_lone_thread_recovers_nothing) {
  mine = start_heap();
  blocks[0] = take(mine, SIZE);
  const slice_t owned = mine->pages[CLASS].owned;
  recover();
  CHECK_EQ(mine->pages[CLASS].owned, owned);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
}

TEST(the_running_thread_keeps_its_pages_and_lists) {
  start_two();
  take_many(mine, SIZE, blocks, 10);
  const uint32_t length = list_length_of(mine, CLASS);
  recover();
  CHECK_EQ(mii_page_owner(page_of(blocks[0])), mii_theap_tag(mine));
  CHECK_EQ(list_length_of(mine, CLASS), length);
  give_many(blocks, 10);
  CHECK(all_is_valid());
}

TEST(blocks_of_threads_that_are_gone_can_be_freed) {
  start_two();
  take_pages(other, blocks, 2);
  recover();
  CHECK_EQ(mii_page_owner(page_of(blocks[0])), 0);
  give_many(blocks, 2 * PER_PAGE);
  mii_outbox_send(mine);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 0);
}

TEST(free_blocks_of_threads_that_are_gone_are_used) {
  start_two();
  take_pages(other, blocks, 1);
  run_as(other);
  give_many(blocks, 30);
  run_as(mine);
  recover();
  CHECK_EQ(blocks_to_be_had(), 30);
}

TEST(the_list_of_a_thread_that_is_gone_goes_back_to_its_page) {
  start_two();
  take_many(other, SIZE, blocks, PER_PAGE - PER_STEP + 1);
  CHECK_EQ(list_length_of(other, CLASS), PER_STEP - 1);
  run_as(other);
  give_many(blocks, CLAIM);
  run_as(mine);
  recover();
  CHECK_EQ(blocks_to_be_had(), CLAIM + PER_STEP - 1);
}

TEST(a_loose_block_in_the_list_of_a_thread_that_is_gone_is_its_page_s) {
  start_two();
  take_pages(other, blocks, 1);
  theap_t* const third = new_thread();
  take(third, SIZE);
  give_many(blocks, CLAIM);  // loose in the third's list
  CHECK_EQ(list_length_of(third, CLASS), PER_STEP - 1 + CLAIM);
  run_as(mine);
  recover();
  CHECK_EQ(blocks_to_be_had(), CLAIM + PER_PAGE - 1);
}

TEST(a_loose_block_of_our_own_page_in_the_list_of_a_thread_that_is_gone_stays_in_use) {
  start_two();
  take_pages(mine, blocks, 1);
  run_as(other);
  take(other, SIZE);
  give_many(blocks, 2);
  run_as(mine);
  recover();
  CHECK_EQ(mii_page_hot(page_of(blocks[0]))->out, PER_PAGE);
  CHECK(mii_page_hot(page_of(blocks[0]))->local_free == NULL);
}

TEST(a_list_with_a_bad_link_stays_in_use) {
  start_two();
  take_many(other, SIZE, blocks, PER_PAGE - PER_STEP + 1);
  other->list[CLASS]->next->next = (block_t*)(uintptr_t)0x1234;
  run_as(other);
  give_many(blocks, CLAIM);
  run_as(mine);
  recover();
  CHECK_EQ(blocks_to_be_had(), CLAIM);
}

TEST(a_list_that_leads_nowhere_is_dropped) {
  start_two();
  other->list[CLASS] = (block_t*)(uintptr_t)0x1234;
  recover();
  CHECK(other->list[CLASS] == NULL);
}

TEST(theaps_of_threads_that_are_gone_are_taken_by_those_that_start) {
  start_two();
  take_pages(other, blocks, 1);
  mii_theap_mine = other;
  have_no_room(other);
  give(take(mine, SIZE));  // parked in its outbox
  run_as(mine);
  CHECK(other->parcels != 0);
  recover();
  CHECK(other->slice_count == 0 && other->parcels == 0);
  CHECK(new_thread() == other);
}

TEST(theaps_that_waited_in_the_pool_wait_in_it_once) {
  start_two();
  run_as(other);
  mii_thread_end(true);
  run_as(mine);
  recover();
  CHECK(new_thread() == other);
  CHECK(new_thread() != other);
}

TEST(a_theap_that_was_being_taken_from_the_pool_is_not_lost) {
  start_two();
  run_as(other);
  mii_thread_end(true);
  run_as_stranger();
  CHECK(mii_thread_enter() == other);  // borrowed by a thread that is gone
  run_as(mine);
  recover();
  CHECK(new_thread() == other);
}

TEST(a_page_whose_wake_was_under_way_wakes_again) {
  start_two();
  take_pages(mine, blocks, 2);
  run_as_stranger();
  for (uint32_t i = 0; i < WAKE - 1; i++) begin_push(blocks[i]);
  CHECK_EQ(begin_push(blocks[WAKE - 1]), PUSH_WAKE_OWNER);  // and is gone
  run_as(mine);
  recover();
  CHECK(!mii_page_is_queued(page_of(blocks[0])));
  give_remotely(&blocks[WAKE], WAKE);
  mii_theap_drain(mine);
  CHECK_EQ(state_of(blocks[0]), PAGE_AWAKE);
  CHECK(all_is_valid());
}

TEST(a_page_on_the_wake_list_wakes_again) {
  start_two();
  take_pages(mine, blocks, 2);
  give_remotely(blocks, WAKE);
  CHECK(atomic_load(&mine->woken) != 0);
  recover();
  CHECK_EQ(atomic_load(&mine->woken), 0);
  give_remotely(blocks + WAKE, WAKE);
  mii_theap_drain(mine);
  CHECK_EQ(mii_page_free_count(page_of(blocks[0])), 2 * WAKE);
}

TEST(a_published_page_is_claimed_once) {
  start_two();
  take_pages(other, blocks, 1);
  run_as(other);
  give_many(blocks, 20);
  run_as(mine);
  CHECK(mii_theap_dissolve(other));
  recover();
  recover();
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(mine)) != NULL);
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(mine)) == NULL);
}

TEST(a_page_that_was_being_claimed_is_not_lost) {
  start_two();
  take_pages(other, blocks, 1);
  run_as(other);
  give_many(blocks, 20);
  CHECK(mii_theap_dissolve(other));
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(other)) != NULL);  // and is gone
  run_as(mine);
  recover();
  CHECK_EQ(blocks_to_be_had(), 20);
}

TEST(slices_that_were_taken_and_not_used_yet_are_free) {
  start_two();
  blocks[0] = take(mine, SIZE);
  const uint32_t used = used_slices();
  bool zero = false;
  CHECK(mii_segment_take((slice_request_t){.count = 5}, &zero) != 0);
  recover();
  CHECK_EQ(used_slices(), used);
}

TEST(slices_of_every_kind_stay_in_use) {
  start_two();
  void* const small = take(mine, SIZE);
  void* const mid = take(mine, MID_SIZE);
  void* const run = take(mine, 100 * 1024);
  void* const huge = take(mine, 9 * 1024 * 1024);
  void* const of_other = take(other, MID_SIZE);
  const uint32_t used = used_slices();
  recover();
  CHECK_EQ(used_slices(), used);
  give(small), give(mid), give(run), give(huge), give(of_other);
  CHECK(mii_theap_dissolve(mine));
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

TEST(a_page_of_two_slices_that_was_half_made_is_whole) {
  start_two();
  void* const mid = take(other, MID_SIZE);
  const slice_t slice = mii_page_slice(page_of(mid));
  mii_slice_set_kind(slice + 1, SLICE_FREE);
  recover();
  CHECK_EQ(mii_slice_kind(slice + 1), SLICE_FOLLOW);
}

TEST(a_page_of_two_slices_that_was_half_gone_is_gone) {
  start_two();
  void* const mid = take(other, MID_SIZE);
  const slice_t slice = mii_page_slice(page_of(mid));
  const uint32_t used = used_slices();
  mii_slice_set_kind(slice, SLICE_FREE);
  recover();
  CHECK_EQ(mii_slice_kind(slice + 1), SLICE_FREE);
  CHECK_EQ(used_slices(), used - 2);
}

TEST(a_slice_whose_record_says_more_than_its_segment_is_in_use) {
  start_two();
  blocks[0] = take(other, SIZE);
  const slice_t slice = mii_page_slice(page_of(blocks[0]));
  mii_segment_give(slice, 1);  // the system copied the word before the thread took the slice
  recover();
  CHECK_EQ(used_slices(), 1);
}

TEST(a_purge_that_was_under_way_is_not_waited_for) {
  start_two();
  mii_purge_begin();
  const uint32_t epoch = mii_purge_epoch();
  recover();
  purge_patience_t patience = {0};
  CHECK(!mii_purge_may_have_hidden(epoch + 1, &patience));
}

TEST(memory_that_somebody_was_about_to_purge_is_purged) {
  start_two();
  void* const huge = take(mine, 9 * 1024 * 1024);
  give(huge);
  mii_hint_set(HINT_PURGE, 0, false);
  mii_hint_set(HINT_PURGE, 1, false);
  mii_hint_set(HINT_PURGE, 2, false);
  recover();
  const size_t before = fake_bytes(FAKE_PURGE);
  fake_advance_clock(100 * 1000);
  for (int ticks = 0; ticks < 100; ticks++) mii_purge_tick(mii_platform_clock_ms());
  CHECK(fake_bytes(FAKE_PURGE) - before >= 9 * 1024 * 1024);
}

UNIT_TEST_MAIN
