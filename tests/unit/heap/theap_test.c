// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"

static void* blocks[8 * PER_PAGE];

// The block k of page i.
static void** of_page(uint32_t i) { return &blocks[i * PER_PAGE]; }

// Lists and pages ---------------------------------------------------------------------------------

TEST(a_new_theap_has_nothing) {
  theap_t* const theap = start_heap();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    CHECK(theap->list[c] == NULL);
    CHECK_EQ(theap->pages[c].owned | theap->pages[c].awake | theap->pages[c].growing, 0);
  }
  CHECK(theap->heap == &mii_heap_main);
  CHECK(theap->is_live);
  CHECK(mii_theap_is_valid(theap));
  CHECK_EQ(page_count(), 0);
}

TEST(the_first_list_is_the_first_4_KiB_of_a_page) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, SIZE);
  CHECK_EQ(list_length_of(theap, CLASS), PER_STEP - 1);
  CHECK_EQ(state_of(p), PAGE_ASLEEP);
  CHECK_EQ(mii_page_hot(page_of(p))->out, PER_STEP);
  CHECK_EQ(theap->pages[CLASS].owned, mii_page_slice(page_of(p)));
  CHECK_EQ(theap->pages[CLASS].growing, mii_page_slice(page_of(p)));
  CHECK_EQ(theap->blocks_handed, PER_STEP);
  CHECK_EQ(theap->bytes_handed, PER_STEP * SIZE);
  CHECK(all_is_valid());
}

TEST(a_list_is_handed_out_in_the_order_of_addresses) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  for (uint32_t i = 1; i < PER_PAGE; i++) {
    const bool wraps = (uint8_t*)blocks[i] == mii_page_start(page_of(blocks[i]));
    CHECK(wraps || (uint8_t*)blocks[i] == (uint8_t*)blocks[i - 1] + SIZE);
  }
}

TEST(a_page_without_a_free_block_sleeps) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  for (uint32_t i = 0; i < 3; i++) CHECK_EQ(state_of(of_page(i)[0]), PAGE_ASLEEP);
  CHECK_EQ(owned_count(theap), 3);
  CHECK_EQ(theap->pages[CLASS].awake, 0);
  CHECK(all_is_valid());
}

TEST(a_page_grows_until_it_is_complete) {
  theap_t* const theap = start_heap();
  take_many(theap, SIZE, blocks, PER_PAGE - PER_STEP);
  CHECK_EQ(theap->pages[CLASS].growing, mii_page_slice(page_of(blocks[0])));
  take(theap, SIZE);
  CHECK_EQ(theap->pages[CLASS].growing, 0);
  CHECK(all_is_valid());
}

TEST(a_page_that_ends_does_not_grow_on) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, MID_SIZE);
  have_no_room(theap);
  give(p);
  CHECK_EQ(theap->pages[mii_size_class(MID_SIZE)].growing, 0);
  take_many(theap, SIZE, blocks, PER_STEP);
  give_many(blocks, PER_STEP);
  mii_theap_give_kept(theap);
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(theap->pages[CLASS].growing, 0);
  CHECK(all_is_valid());
}

// Waking ------------------------------------------------------------------------------------------

TEST(a_sleeper_of_any_class_wakes_up_when_enough_is_free) {
  theap_t* const theap = start_heap();
  static void* all[SLICE_BYTES / 8 + 1];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t count = mii_class_blocks(c);
    take_many(theap, mii_class_bytes(c), all, count + 1);
    have_no_room(theap);
    // One less if the first blocks that were threaded, when it was set, were so few.
    const uint32_t wake = mii_page_hot(page_of(all[0]))->needed;
    CHECK(wake == mii_class_wake_count(c) || wake + 1 == mii_class_wake_count(c));
    CHECK_EQ(state_of(all[0]), PAGE_ASLEEP);
    CHECK(page_of(all[count]) != page_of(all[0]));
    for (uint32_t i = 0; i < wake; i++) {
      CHECK_EQ(state_of(all[0]), PAGE_ASLEEP);
      give(all[i]);
    }
    CHECK_EQ(state_of(all[wake]), PAGE_AWAKE);
    CHECK_EQ(mii_page_free_count(page_of(all[wake])), wake);
    CHECK_EQ(theap->pages[c].awake, mii_page_slice(page_of(all[wake])));
    CHECK_EQ(mii_slice_cold(theap->pages[c].awake)->awake_next, 0);
    CHECK(mii_theap_is_valid(theap));
  }
}

TEST(what_is_free_when_a_list_runs_empty_counts_towards_waking) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  give_many(of_page(0), WAKE - 2);
  take_many(theap, SIZE, of_page(1),
            PER_PAGE);  // nothing is awake: the sleeper first, then a new page
  CHECK(page_of(of_page(1)[WAKE - 3]) == page_of(blocks[20]));
  CHECK(page_of(of_page(1)[WAKE - 2]) != page_of(blocks[20]));
  give_many(of_page(1), WAKE - 2);
  give(of_page(0)[WAKE - 2]);
  CHECK_EQ(state_of(of_page(0)[20]), PAGE_ASLEEP);
  give(of_page(0)[WAKE - 1]);
  CHECK_EQ(state_of(of_page(0)[20]), PAGE_AWAKE);
  CHECK(all_is_valid());
}

TEST(a_page_can_wake_while_its_list_is_in_use) {
  theap_t* const theap = start_heap();
  take_pages(theap, of_page(1), 1);
  take_many(theap, SIZE, blocks, PER_PAGE - 2);  // two are left in the list
  give_many(blocks, WAKE);
  CHECK_EQ(state_of(blocks[50]), PAGE_AWAKE);
  take_many(theap, SIZE, blocks, 2);
  CHECK_EQ(state_of(blocks[50]), PAGE_AWAKE);
  CHECK(page_of(take(theap, SIZE)) == page_of(blocks[50]));  // the next refill takes it
  CHECK_EQ(list_length_of(theap, CLASS), WAKE - 1);
  CHECK_EQ(state_of(blocks[50]), PAGE_ASLEEP);
  CHECK(all_is_valid());
}

TEST(the_only_page_of_a_class_stays_awake_while_enough_is_freed) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  give_many(blocks, WAKE);
  for (int i = 0; i < 3; i++) {
    take_many(theap, SIZE, blocks, WAKE);
    CHECK(theap->list[CLASS] == NULL);
    CHECK_EQ(state_of(blocks[0]), PAGE_AWAKE);
    CHECK_EQ(mii_page_hot(page_of(blocks[0]))->out, PER_PAGE);
    give_many(blocks, WAKE);
    CHECK(all_is_valid());
  }
  take_many(theap, SIZE, blocks, WAKE);
  give_many(blocks, WAKE - 1);
  CHECK(page_of(take(theap, SIZE)) == page_of(blocks[0]));  // a sleeper, before a new page is made
  CHECK_EQ(list_length_of(theap, CLASS), WAKE - 2);
  CHECK_EQ(state_of(blocks[0]), PAGE_ASLEEP);
  CHECK(all_is_valid());
}

TEST(the_only_page_of_a_class_grows_if_not_enough_is_freed) {
  theap_t* const theap = start_heap();
  take_many(theap, SIZE, blocks, 2 * PER_STEP);
  give_many(blocks, WAKE);
  take_many(theap, SIZE, blocks, WAKE);
  give_many(blocks, WAKE - 1);
  const void* const p = take(theap, SIZE);
  for (int i = 0; i < WAKE - 1; i++) CHECK(p != blocks[i]);
  CHECK_EQ(mii_page_capacity(page_of(p)), 3 * PER_STEP);
  CHECK_EQ(state_of(p), PAGE_ASLEEP);
  give(blocks[WAKE - 1]);  // and wakes as ever
  CHECK_EQ(state_of(p), PAGE_AWAKE);
  CHECK(all_is_valid());
}

TEST(the_only_page_of_a_class_can_become_empty) {
  theap_t* const theap = start_heap();
  take_many(theap, MID_SIZE, blocks, PER_MID_PAGE);
  const uint32_t room = mii_class_loose_count(mii_size_class(MID_SIZE));
  give_many(blocks, room + 2);  // the first are loose
  take_many(theap, MID_SIZE, blocks, room + 2);
  CHECK_EQ(state_of(blocks[0]), PAGE_AWAKE);
  give_many(blocks, PER_MID_PAGE);
  CHECK(is_gone(blocks[0]));
  CHECK_EQ(theap->slice_count, 0);
  CHECK(all_is_valid());
}

TEST(a_page_without_a_free_block_cannot_be_activated) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  CHECK(!mii_theap_activate(theap, page_of(of_page(0)[0])));
  CHECK(theap->list[CLASS] == NULL);
  CHECK(all_is_valid());
  CHECK(page_of(take(theap, SIZE)) != page_of(of_page(0)[0]));
}

// Empty pages -------------------------------------------------------------------------------------

TEST(one_empty_page_of_a_small_class_is_kept) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  give_many(of_page(0), PER_PAGE);
  CHECK_EQ(state_of(of_page(0)[0]), PAGE_AWAKE);
  CHECK_EQ(mii_page_hot(page_of(of_page(0)[0]))->out, 0);
  for (uint32_t i = 1; i < 4; i++) {
    give_many(of_page(i), PER_PAGE);
    CHECK(is_gone(of_page(i)[0]));
  }
  CHECK_EQ(page_count(), 1);
  CHECK(all_is_valid());
}

TEST(an_empty_page_goes_when_another_is_usable) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_many(of_page(0), WAKE);
  CHECK_EQ(state_of(of_page(0)[40]), PAGE_AWAKE);
  give_many(of_page(1), PER_PAGE);
  CHECK(is_gone(of_page(1)[0]));
  CHECK(all_is_valid());
}

TEST(an_empty_page_of_a_mid_class_goes_at_once) {
  theap_t* const theap = start_heap();
  take_many(theap, MID_SIZE, blocks, 2 * PER_MID_PAGE);
  have_no_room(theap);
  give_many(blocks, PER_MID_PAGE);
  CHECK(is_gone(blocks[0]));
  give_many(blocks + PER_MID_PAGE, PER_MID_PAGE);
  CHECK(is_gone(blocks[PER_MID_PAGE]));
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

TEST(a_page_of_which_little_is_threaded_is_looked_at_when_that_is_free) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, MID_SIZE);  // one block of 12
  CHECK_EQ(mii_page_hot(page_of(p))->out, 1);
  have_no_room(theap);
  give(p);
  CHECK(is_gone(p));
  CHECK_EQ(used_slices(), 0);
}

TEST(a_mid_page_with_a_list_is_not_empty) {
  theap_t* const theap = start_heap();
  const uint32_t c = mii_size_class(MID_SIZE);
  take_many(theap, MID_SIZE, blocks, PER_MID_PAGE);
  have_no_room(theap);
  give_many(blocks, PER_MID_PAGE - 1);
  void* const p = take(theap, MID_SIZE);
  CHECK(page_of(p) == page_of(blocks[PER_MID_PAGE - 1]));
  CHECK(theap->list[c] != NULL);
  give(blocks[PER_MID_PAGE - 1]);
  give(p);
  CHECK(theap->list[c] != NULL);
  CHECK_EQ(page_count(), 1);
  CHECK(all_is_valid());
}

TEST(a_thread_of_a_thread_pool_keeps_no_empty_page) {
  theap_t* const theap = start_heap();
  mii_thread_set_in_pool();
  take_pages(theap, blocks, 2);
  give_many(of_page(0), PER_PAGE);
  CHECK(is_gone(of_page(0)[0]));
  CHECK(all_is_valid());
}

TEST(a_kept_page_can_be_given_back) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(of_page(0), PER_PAGE);
  CHECK_EQ(page_count(), 2);
  mii_theap_give_kept(theap);
  CHECK(is_gone(of_page(0)[0]));
  CHECK_EQ(theap->pages[CLASS].awake, 0);
  CHECK_EQ(owned_count(theap), 1);
  CHECK(all_is_valid());
  CHECK(page_of(take(theap, SIZE)) != page_of(of_page(1)[0]));
}

TEST(giving_back_what_is_kept_leaves_pages_with_blocks) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(of_page(0), PER_PAGE - 1);
  give_many(of_page(1), PER_PAGE - 1);
  mii_theap_give_kept(theap);
  CHECK_EQ(page_count(), 2);
  CHECK_EQ(state_of(of_page(0)[PER_PAGE - 1]), PAGE_AWAKE);
  CHECK_EQ(state_of(of_page(1)[PER_PAGE - 1]), PAGE_AWAKE);
}

TEST(giving_back_what_is_kept_sees_what_other_threads_freed) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  give_many(blocks, PER_PAGE - 3);
  give_remotely(blocks + PER_PAGE - 3, 3);
  mii_theap_give_kept(theap);
  CHECK_EQ(page_count(), 0);
  CHECK(all_is_valid());
}

// Collecting --------------------------------------------------------------------------------------

TEST(collecting_gives_all_empty_pages_back) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  void* const mid = take(theap, MID_SIZE);
  give_many(of_page(0), PER_PAGE);
  give_many(of_page(3), PER_PAGE);
  give(mid);
  mii_theap_collect(theap);
  CHECK(is_gone(of_page(0)[0]));
  CHECK(is_gone(of_page(3)[0]));
  CHECK(is_gone(mid));
  CHECK_EQ(page_count(), 2);
  CHECK(all_is_valid());
}

TEST(collecting_makes_every_page_with_a_free_block_usable) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  give(of_page(0)[7]);
  give_remotely(of_page(1), 1);
  mii_theap_collect(theap);
  CHECK_EQ(state_of(of_page(0)[0]), PAGE_AWAKE);
  CHECK_EQ(state_of(of_page(1)[1]), PAGE_AWAKE);
  CHECK_EQ(state_of(of_page(2)[0]), PAGE_ASLEEP);
  CHECK(all_is_valid());
  void* const first = take(theap, SIZE);
  void* const second = take(theap, SIZE);
  CHECK(first == of_page(0)[7] || second == of_page(0)[7]);
  CHECK(first == of_page(1)[0] || second == of_page(1)[0]);
  CHECK(all_is_valid());
}

TEST(collecting_leaves_lists_alone) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, SIZE);
  const block_t* const next = theap->list[CLASS];
  mii_theap_collect(theap);
  CHECK(theap->list[CLASS] == next);
  give(p);
  mii_theap_collect(theap);
  CHECK(theap->list[CLASS] == next);
  CHECK_EQ(mii_page_hot(page_of(next))->out, PER_STEP - 1);
  CHECK(take(theap, SIZE) == next);
  CHECK(all_is_valid());
}

TEST(collecting_takes_queued_pages_off_the_wake_list) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_remotely(of_page(0), WAKE);
  give_remotely(of_page(1), PER_PAGE);
  CHECK(mii_page_is_queued(page_of(of_page(0)[0])));
  mii_theap_collect(theap);
  CHECK_EQ(atomic_load(&theap->woken), 0);
  CHECK(!mii_page_is_queued(page_of(of_page(0)[0])));
  CHECK(is_gone(of_page(1)[0]));
  CHECK(all_is_valid());
}

TEST(a_review_counts_frees_and_looks_at_the_minimum) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  page_t* const page = page_of(of_page(0)[0]);
  give_many(of_page(0), 3);
  give_remotely(of_page(0) + 3, 2);
  mii_theap_review(theap, page, 6);
  CHECK_EQ(mii_page_free_count(page), 5);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_ASLEEP);
  mii_theap_review(theap, page, 5);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_AWAKE);
  CHECK_EQ(mii_page_hot(page)->needed, PER_PAGE - 5);
  give_remotely(of_page(0) + 5, 1);
  mii_theap_review(theap, page, PER_PAGE);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_AWAKE);
  CHECK_EQ(mii_page_hot(page)->needed, PER_PAGE - 6);  // or the last local free would wake nobody
  give_many(of_page(0) + 6, PER_PAGE - 6);
  CHECK_EQ(mii_page_hot(page)->out, 0);
  CHECK(all_is_valid());
}

// Other threads' frees --------------------------------------------------------------------------------

TEST(frees_of_other_threads_wake_a_page_when_its_owner_drains) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_remotely(of_page(0), WAKE - 1);
  CHECK_EQ(atomic_load(&theap->woken), 0);
  give_remotely(of_page(0) + WAKE - 1, 1);
  CHECK_EQ(atomic_load(&theap->woken), mii_page_slice(page_of(of_page(0)[40])));
  CHECK_EQ(state_of(of_page(0)[40]), PAGE_ASLEEP);
  mii_theap_drain(theap);
  CHECK_EQ(state_of(of_page(0)[40]), PAGE_AWAKE);
  CHECK_EQ(mii_page_free_count(page_of(of_page(0)[40])), WAKE);
  CHECK_EQ(atomic_load(&theap->woken), 0);
  CHECK(all_is_valid());
}

TEST(draining_takes_all_queued_pages) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 6);
  for (uint32_t i = 0; i < 5; i++) give_remotely(of_page(i), WAKE + i);
  mii_theap_drain(theap);
  for (uint32_t i = 0; i < 5; i++) {
    CHECK_EQ(state_of(of_page(i)[40]), PAGE_AWAKE);
    CHECK(!mii_page_is_queued(page_of(of_page(i)[40])));
  }
  CHECK_EQ(awake_count(theap), 5);
  CHECK(all_is_valid());
}

TEST(a_drained_page_can_be_queued_again) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_remotely(of_page(0), WAKE);
  mii_theap_drain(theap);
  give_remotely(of_page(0) + WAKE, WAKE);
  CHECK_EQ(atomic_load(&theap->woken), mii_page_slice(page_of(of_page(0)[40])));
  mii_theap_drain(theap);
  CHECK_EQ(mii_page_free_count(page_of(of_page(0)[40])), 2 * WAKE);
}

TEST(a_page_that_other_threads_empty_ends_when_drained) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_remotely(of_page(0), PER_PAGE);
  give_remotely(of_page(1), PER_PAGE);
  mii_theap_drain(theap);
  CHECK(is_gone(of_page(0)[0]) != is_gone(of_page(1)[0]));  // one is kept
  give_remotely(of_page(2), PER_PAGE);
  mii_theap_drain(theap);
  CHECK_EQ(page_count(), 1);
  CHECK(all_is_valid());
}

TEST(an_empty_page_that_is_queued_stays_until_it_is_drained) {  // W3
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  push_event_t event = PUSH_QUIET;
  uint32_t teller = 0;
  for (uint32_t i = 0; i < WAKE; i++) {
    const push_event_t each = begin_push(of_page(0)[i]);
    if (each != PUSH_QUIET) event = each, teller = i;
  }
  CHECK_EQ(event, PUSH_WAKE_OWNER);
  give_many(of_page(0) + WAKE, PER_PAGE - WAKE);
  give_many(of_page(1), PER_PAGE);
  mii_theap_collect(theap);
  mii_theap_give_kept(theap);
  CHECK_EQ(state_of(of_page(0)[0]), PAGE_AWAKE);
  CHECK_EQ(mii_page_hot(page_of(of_page(0)[0]))->out, 0);
  CHECK(is_gone(of_page(1)[0]));
  finish_push(of_page(0)[teller], event);
  mii_theap_drain(theap);
  mii_theap_give_kept(theap);
  CHECK(is_gone(of_page(0)[0]));
  CHECK(all_is_valid());
}

TEST(draining_a_page_that_was_taken_meanwhile_leaves_it_where_it_is) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  for (uint32_t i = 0; i < WAKE - 1; i++) CHECK_EQ(begin_push(of_page(0)[i]), PUSH_QUIET);
  CHECK_EQ(begin_push(of_page(0)[WAKE - 1]), PUSH_WAKE_OWNER);
  // The owner finds the blocks by itself, and hands them all out again.
  mii_theap_collect(theap);
  take_many(theap, SIZE, of_page(0), WAKE);
  CHECK_EQ(state_of(of_page(0)[0]), PAGE_ASLEEP);
  finish_push(of_page(0)[0], PUSH_WAKE_OWNER);
  mii_theap_drain(theap);
  CHECK_EQ(state_of(of_page(0)[0]), PAGE_ASLEEP);
  CHECK(!mii_page_is_queued(page_of(of_page(0)[0])));
  CHECK(all_is_valid());
}

TEST(the_last_blocks_of_a_page_may_come_from_anywhere) {
  theap_t* const theap = start_heap();
  for (uint32_t local = 0; local <= PER_PAGE; local++) {
    take_pages(theap, blocks, 2);
    give_many(of_page(0), local);
    give_remotely(of_page(0) + local, PER_PAGE - local);
    give_many(of_page(1), PER_PAGE);
    mii_theap_collect(theap);
    CHECK_EQ(page_count(), 0);
    CHECK(all_is_valid());
  }
}

// Dissolving --------------------------------------------------------------------------------------

TEST(dissolving_an_unused_theap_gives_everything_back) {
  theap_t* const theap = start_heap();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) give(take(theap, mii_class_bytes(c)));
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  CHECK_EQ(theap->slice_count, 0);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    CHECK(theap->list[c] == NULL);
    CHECK_EQ(theap->pages[c].owned | theap->pages[c].awake | theap->pages[c].growing, 0);
  }
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

TEST(dissolving_returns_lists_to_their_pages_and_to_the_account) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, SIZE);
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  CHECK_EQ(mii_page_hot(page_of(p))->out, 1);
  CHECK_EQ(theap->blocks_handed, 1);
  CHECK_EQ(theap->bytes_handed, SIZE);
  CHECK_EQ(mii_page_hot(page_of(p))->state, PAGE_DISOWNED);
  CHECK_EQ(mii_page_owner(page_of(p)), 0);
}

TEST(dissolving_publishes_the_pages_that_have_room) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  give_many(of_page(0), CLAIM - 1);
  give_many(of_page(1), CLAIM);
  give_many(of_page(2), PER_PAGE);
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  CHECK(!mii_page_is_queued(page_of(of_page(0)[0])));
  CHECK(mii_page_is_queued(page_of(of_page(1)[0])));
  CHECK(is_gone(of_page(2)[0]));
  CHECK(!mii_page_is_queued(page_of(of_page(3)[0])));
  theap_t* const other = new_thread();
  page_t* const claimed = mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(other));
  CHECK(claimed == page_of(of_page(1)[0]));
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(other)) == NULL);
}

TEST(a_page_in_the_middle_of_a_free_keeps_its_theap_from_dissolving) {  // W3
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  for (uint32_t i = 0; i < WAKE - 1; i++) begin_push(of_page(0)[i]);
  CHECK_EQ(begin_push(of_page(0)[WAKE - 1]), PUSH_WAKE_OWNER);
  run_as_stranger();
  CHECK(!mii_theap_dissolve(theap));
  CHECK(theap->slice_count > 0);
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), mii_theap_tag(theap));
  CHECK_EQ(mii_page_owner(page_of(of_page(1)[0])), 0);
  CHECK(all_is_valid());
  CHECK(!mii_theap_dissolve(theap));
  finish_push(of_page(0)[WAKE - 1], PUSH_WAKE_OWNER);
  CHECK(mii_theap_dissolve(theap));
  CHECK_EQ(theap->slice_count, 0);
  CHECK_EQ(mii_page_owner(page_of(of_page(0)[0])), 0);
  CHECK(all_is_valid());
}

// Once the allocation after this failed, with memory for everyone: the page is complete and has no free
// block, but stood where usable ones stand.
TEST(a_full_page_in_the_middle_of_a_free_is_not_mistaken_for_a_usable_one) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  for (uint32_t i = 0; i < WAKE - 1; i++) begin_push(blocks[i]);
  CHECK_EQ(begin_push(blocks[WAKE - 1]), PUSH_WAKE_OWNER);
  mii_theap_collect(theap);
  take_many(theap, SIZE, blocks, WAKE);  // all out again, and still queued
  run_as_stranger();
  CHECK(!mii_theap_dissolve(theap));
  CHECK_EQ(state_of(blocks[0]), PAGE_ASLEEP);
  run_as(theap);
  CHECK(all_is_valid());
  void* const p = take(theap, SIZE);
  CHECK(page_of(p) != page_of(blocks[0]));
  finish_push(blocks[0], PUSH_WAKE_OWNER);
  give_many(blocks, PER_PAGE);
  give(p);
  mii_theap_collect(theap);
  CHECK(all_is_valid());
}

// The validator -------------------------------------------------------------------------------------

static theap_t* start_lively_heap(void) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 5);
  give_many(of_page(0), WAKE);
  give_many(of_page(1), WAKE);
  take(theap, MID_SIZE);
  take(theap, 8);
  CHECK_EQ(awake_count(theap), 2);
  CHECK_EQ(owned_count(theap), 5);
  CHECK(mii_theap_is_valid(theap));
  return theap;
}

static bool quietly_valid(void* theap) { return mii_theap_is_valid(theap); }

static void exit_unless_valid(void* theap) {
  if (!quietly_valid(theap)) _exit(1);
}

static bool is_noticed(theap_t* theap) { return stops_the_process(exit_unless_valid, theap); }

TEST(the_validator_sees_a_page_of_another_owner) {
  theap_t* const theap = start_lively_heap();
  atomic_store(&page_of(of_page(4)[0])->owner, 4096);
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_page_in_a_wrong_state) {
  theap_t* const theap = start_lively_heap();
  mii_page_hot(page_of(of_page(0)[40]))->state = PAGE_ASLEEP;
  CHECK(is_noticed(theap));
  mii_page_hot(page_of(of_page(0)[40]))->state = PAGE_AWAKE;
  CHECK(!is_noticed(theap));
  mii_page_hot(page_of(of_page(2)[0]))->state = PAGE_AWAKE;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_page_of_another_class) {
  theap_t* const theap = start_lively_heap();
  theap->pages[CLASS + 1].owned = theap->pages[CLASS].owned;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_stack_with_a_page_of_another_class) {
  theap_t* const theap = start_lively_heap();
  theap->pages[CLASS + 1].awake = theap->pages[CLASS].awake;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_broken_stack) {
  theap_t* const theap = start_lively_heap();
  const slice_t first = theap->pages[CLASS].awake;
  const slice_t second = mii_slice_cold(first)->awake_next;
  mii_slice_cold(second)->awake_prev = second;
  CHECK(is_noticed(theap));
  mii_slice_cold(second)->awake_prev = first;
  CHECK(!is_noticed(theap));
  mii_slice_cold(second)->awake_next = first;
  CHECK(is_noticed(theap));
  mii_slice_cold(second)->awake_next = 0;
  theap->pages[CLASS].awake = second;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_complete_page_that_grows) {
  theap_t* const theap = start_lively_heap();
  CHECK_EQ(theap->pages[CLASS].growing, 0);
  theap->pages[CLASS].growing = mii_page_slice(page_of(of_page(2)[0]));
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_growing_page_of_another_class) {
  theap_t* const theap = start_lively_heap();
  theap->pages[CLASS].growing = theap->pages[0].growing;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_broken_circle) {
  theap_t* const theap = start_lively_heap();
  page_cold_t* const cold = mii_slice_cold(theap->pages[CLASS].owned);
  const slice_t next = cold->next;
  cold->next = 0;
  CHECK(is_noticed(theap));
  cold->next = next;
  CHECK(!is_noticed(theap));
  mii_slice_cold(next)->prev = next;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_circle_that_does_not_close) {
  theap_t* const theap = start_lively_heap();
  const slice_t first = theap->pages[CLASS].owned;
  const slice_t second = mii_slice_cold(first)->next;
  mii_slice_cold(second)->next = second;
  mii_slice_cold(second)->prev = second;
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_list_without_end) {
  theap_t* const theap = start_lively_heap();
  theap->list[0]->next = theap->list[0];
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_list_that_leaves_its_page) {
  theap_t* const theap = start_lively_heap();
  theap->list[0]->next = of_page(2)[0];
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_list_of_another_class) {
  theap_t* const theap = start_lively_heap();
  theap->list[CLASS] = theap->list[0];
  CHECK(is_noticed(theap));
}

TEST(the_validator_sees_a_broken_page) {
  theap_t* const theap = start_lively_heap();
  mii_page_hot(page_of(of_page(2)[0]))->out--;
  CHECK(is_noticed(theap));
}

// Loose blocks -----------------------------------------------------------------------------------------

enum { ROOM = 8 };

// `theap`, which has refilled the class, frees `count` blocks of another thread's page. Returns the page.
static page_t* free_of_another(theap_t* theap, uint32_t count) {
  theap_t* const other = new_thread();
  take_pages(other, blocks, 1);
  run_as(theap);
  give_many(blocks, count);
  return page_of(blocks[0]);
}

TEST(blocks_of_others_go_straight_onto_the_list_while_there_is_room) {
  theap_t* const theap = start_heap();
  take(theap, SIZE);
  CHECK_EQ(theap->room[CLASS], ROOM);
  page_t* const page = free_of_another(theap, ROOM + 1);
  CHECK_EQ(list_length_of(theap, CLASS), PER_STEP - 1 + ROOM);
  CHECK(theap->list[CLASS] == blocks[ROOM - 1]);
  CHECK(theap->parcels != 0);  // the last one
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE);
  CHECK(all_is_valid());
  for (uint32_t i = ROOM; i > 0; i--) CHECK(take(theap, SIZE) == blocks[i - 1]);
}

TEST(a_refill_makes_room_again) {
  theap_t* const theap = start_heap();
  take(theap, SIZE);
  free_of_another(theap, ROOM);
  CHECK_EQ(theap->room[CLASS], 0);
  take_many(theap, SIZE, blocks, PER_STEP - 1 + ROOM);
  CHECK_EQ(theap->room[CLASS], 0);
  take(theap, SIZE);
  CHECK_EQ(theap->room[CLASS], ROOM);
}

TEST(a_thread_that_only_frees_keeps_nothing) {
  theap_t* const theap = start_heap();
  free_of_another(theap, 1);
  CHECK(theap->list[CLASS] == NULL);
  CHECK(theap->parcels != 0);
}

TEST(a_thread_in_a_pool_keeps_nothing) {
  theap_t* const theap = start_heap();
  theap->keeps_nothing = true;
  take(theap, SIZE);
  CHECK_EQ(theap->room[CLASS], 0);
}

TEST(small_blocks_share_cache_lines_and_go_home) {
  start_heap();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t bytes = mii_class_bytes(c);
    CHECK_EQ(mii_class_loose_count(c) == 0, bytes < 128);
    CHECK(mii_class_loose_count(c) == 1 || mii_class_loose_count(c) * bytes <= 16 * 1024);
    CHECK(mii_class_loose_count(c) <= ROOM);
  }
}

TEST(a_block_of_an_own_page_of_few_blocks_is_the_next_that_is_taken) {
  theap_t* const theap = start_heap();
  take_many(theap, MID_SIZE, blocks, 5);
  page_t* const page = page_of(blocks[2]);
  const uint16_t out = mii_page_hot(page)->out;
  give(blocks[2]);
  CHECK_EQ(mii_page_hot(page)->out, out);
  CHECK_EQ(mii_page_hot(page)->needed, 1);
  CHECK(mii_page_hot(page)->local_free == NULL);
  CHECK_EQ(state_of(blocks[2]), PAGE_ASLEEP);
  CHECK(mii_theap_is_valid(theap));
  CHECK(take(theap, MID_SIZE) == blocks[2]);
}

TEST(once_in_256_frees_loose_blocks_go_back) {
  theap_t* const theap = start_heap();
  const uint32_t size_class = mii_size_class(MID_SIZE);
  take_many(theap, MID_SIZE, blocks, 2 * PER_MID_PAGE);
  for (int i = 1; i < 256; i++) {
    give(blocks[2]);
    CHECK_EQ(state_of(blocks[2]), PAGE_ASLEEP);
    CHECK(take(theap, MID_SIZE) == blocks[2]);
  }
  give(blocks[2]);
  CHECK_EQ(state_of(blocks[2]), PAGE_AWAKE);
  CHECK(theap->list[size_class] == NULL);
  CHECK(take(theap, MID_SIZE) == blocks[2]);
  give(blocks[2]);
  CHECK_EQ(state_of(blocks[2]), PAGE_ASLEEP);
  CHECK(all_is_valid());
}

TEST(a_page_of_few_blocks_that_is_awake_collects_its_own) {
  theap_t* const theap = start_heap();
  const uint32_t room = mii_class_loose_count(mii_size_class(MID_SIZE));
  take_many(theap, MID_SIZE, blocks, PER_MID_PAGE);
  give_many(blocks, room + 1);
  CHECK_EQ(state_of(blocks[0]), PAGE_AWAKE);
  page_t* const page = page_of(blocks[0]);
  CHECK_EQ(list_length_of(theap, mii_size_class(MID_SIZE)), room);
  CHECK(mii_page_hot(page)->local_free == blocks[room]);
  CHECK(mii_theap_is_valid(theap));
}

TEST(loose_blocks_go_back_to_their_pages_class_by_class) {
  theap_t* const theap = start_heap();
  take(theap, SIZE);
  page_t* const page = free_of_another(theap, 3);
  take_many(theap, MID_SIZE, blocks, PER_MID_PAGE);
  give(blocks[0]);
  mii_theap_give_loose(theap, CLASS_COUNT - 1);
  mii_theap_give_loose(theap, 1);
  CHECK_EQ(list_length_of(theap, CLASS), PER_STEP - 1);
  CHECK(theap->list[mii_size_class(MID_SIZE)] == NULL);
  CHECK_EQ(theap->room[CLASS], ROOM);
  mii_page_collect_remote(page);
  CHECK_EQ(mii_page_free_count(page), 3);
  mii_page_count_local(page_of(blocks[0]));
  CHECK_EQ(mii_page_free_count(page_of(blocks[0])), 1);
  CHECK(all_is_valid());
}

TEST(collecting_gives_loose_blocks_back) {
  theap_t* const theap = start_heap();
  take(theap, SIZE);
  page_t* const page = free_of_another(theap, 3);
  mii_theap_collect(theap);
  CHECK_EQ(list_length_of(theap, CLASS), PER_STEP - 1);
  mii_page_collect_remote(page);
  CHECK_EQ(mii_page_free_count(page), 3);
  CHECK(all_is_valid());
}

TEST(dissolving_gives_loose_blocks_back) {
  theap_t* const theap = start_heap();
  take(theap, SIZE);
  page_t* const page = free_of_another(theap, 3);
  CHECK(mii_theap_dissolve(theap));
  CHECK(theap->list[CLASS] == NULL);
  mii_page_collect_remote(page);
  CHECK_EQ(mii_page_free_count(page), 3);
  CHECK(all_is_valid());
}

TEST(a_long_list_goes_back_in_parts) {
  theap_t* const theap = start_heap();
  take(theap, 8);
  const uint32_t before = list_length_of(theap, 0);
  CHECK(!mii_theap_dissolve_some(theap, 1));
  CHECK_EQ(list_length_of(theap, 0), before - 16);
  while (!mii_theap_dissolve_some(theap, 1)) continue;
  CHECK_EQ(theap->slice_count, 0);
  CHECK(all_is_valid());
}

TEST(what_is_handed_out_counts_loose_blocks_each_time) {
  theap_t* const theap = start_heap();
  void* const p = take(theap, MID_SIZE);
  const uint64_t before = theap->blocks_handed;
  const uint64_t bytes = theap->bytes_handed;
  give(p);
  CHECK_EQ(theap->blocks_handed, before + 1);
  CHECK_EQ(theap->bytes_handed, bytes + MID_SIZE);
  mii_theap_give_loose(theap, CLASS_COUNT);
  CHECK_EQ(theap->blocks_handed, before);
}

// A long random life ----------------------------------------------------------------------------------

enum { RANDOM_BLOCKS = 3000, RANDOM_STEPS = 60000 };

TEST(a_theap_stays_valid_through_a_random_life) {
  theap_t* const theap = start_heap();
  static void* held[RANDOM_BLOCKS];
  random_t random = {7};
  for (uint32_t step = 0; step < RANDOM_STEPS; step++) {
    const uint32_t i = random_below(&random, RANDOM_BLOCKS);
    if (held[i] == NULL) {
      const size_t max = random_below(&random, 8) == 0 ? 32 * KiB : 600;
      held[i] = take(theap, 1 + random_below(&random, (uint32_t)max));
    } else {
      if (random_below(&random, 3) == 0)
        give_remotely(&held[i], 1);
      else
        give(held[i]);
      held[i] = NULL;
    }
    // Whole generations end, so that pages wake up, empty, and end.
    if (random_below(&random, 4000) == 0) {
      for (uint32_t k = 0; k < RANDOM_BLOCKS; k++) {
        if (held[k] != NULL && random_below(&random, 10) != 0) give(held[k]), held[k] = NULL;
      }
    }
    if (step % 1000 == 0) CHECK(mii_theap_is_valid(theap));
    if (random_below(&random, 5000) == 0) mii_theap_collect(theap);
  }
  for (uint32_t i = 0; i < RANDOM_BLOCKS; i++) {
    if (held[i] != NULL) give(held[i]);
  }
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

UNIT_TEST_MAIN
