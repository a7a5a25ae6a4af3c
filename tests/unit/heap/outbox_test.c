// SPDX-License-Identifier: MIT
#include "heap/outbox.h"
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"

enum { TINY = 64, TINY_PER_PARCEL = 16, PAGES = 40 };

static void* blocks[PAGES * PER_PAGE];
static theap_t* owner;   // of the blocks
static theap_t* sender;  // the running thread

// `count` blocks of the size, by another thread than the running one.
static void start_with(size_t size, uint32_t count) {
  owner = start_heap();
  take_many(owner, size, blocks, count);
  sender = new_thread();
}

static uint32_t waiting(const page_t* page) {
  const uint64_t word = atomic_load(&mii_slice_cold(mii_page_slice(page))->remote);
  return (uint32_t)((word & MI_REMOTE_COUNT) >> 28);
}

static uint32_t parcel_count(const theap_t* theap) {
  return (uint32_t)mii_count_bits(theap->parcels);
}

// A parcel -------------------------------------------------------------------------------------------

TEST(a_block_waits_in_the_outbox) {
  start_with(TINY, 3);
  give_many(blocks, 3);
  CHECK_EQ(waiting(page_of(blocks[0])), 0);
  CHECK_EQ(parcel_count(sender), 1);
  CHECK_EQ(mii_page_hot(page_of(blocks[0]))->out, 64);  // O1
  CHECK(all_is_valid());
}

TEST(a_full_parcel_is_sent_when_the_next_block_comes) {
  start_with(TINY, TINY_PER_PARCEL + 1);
  give_many(blocks, TINY_PER_PARCEL);
  CHECK_EQ(waiting(page_of(blocks[0])), 0);
  give(blocks[TINY_PER_PARCEL]);
  CHECK_EQ(waiting(page_of(blocks[0])), TINY_PER_PARCEL);
  CHECK_EQ(parcel_count(sender), 1);
  mii_outbox_send(sender);
  CHECK_EQ(waiting(page_of(blocks[0])), TINY_PER_PARCEL + 1);
  CHECK_EQ(parcel_count(sender), 0);
}

TEST(a_parcel_has_at_most_2_KiB) {
  start_with(TINY, 1);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const size_t size = mii_class_bytes(c);
    const uint32_t limit = size > 1024 ? 1 : size > 128 ? 2048 / (uint32_t)size : 16;
    run_as(owner);
    take_many(owner, size, blocks, 40);
    run_as(sender);
    uint32_t given = 0;
    while (waiting(page_of(blocks[0])) == 0) give(blocks[given++]);
    CHECK_EQ(given, limit == 1 ? 1 : limit + 1);
    CHECK_EQ(waiting(page_of(blocks[0])), limit);
  }
}

TEST(what_arrives_is_what_was_sent) {
  start_with(TINY, 10);
  page_t* const page = page_of(blocks[0]);
  give_many(blocks, 10);
  mii_outbox_send(sender);
  run_as(owner);
  mii_theap_collect(owner);
  CHECK_EQ(mii_page_hot(page)->out, 64 - 10);
  CHECK(mii_page_is_valid(page));
  const block_t* block = mii_page_hot(page)->local_free;
  for (uint32_t i = 10; i-- > 0; block = block->next) CHECK(block == blocks[i]);
  CHECK(block == NULL);
}

TEST(pages_do_not_share_a_parcel) {
  start_with(SIZE, 2 * PER_PAGE);
  give(blocks[0]);
  give(blocks[PER_PAGE]);
  mii_outbox_send(sender);
  CHECK_EQ(waiting(page_of(blocks[1])), 1);
  CHECK_EQ(waiting(page_of(blocks[PER_PAGE + 1])), 1);
}

TEST(a_parcel_makes_room_for_another_page) {
  start_with(SIZE, PAGES * PER_PAGE);
  for (uint32_t i = 0; i < PAGES; i++) give(blocks[i * PER_PAGE]);
  CHECK_EQ(parcel_count(sender), OUTBOX_PARCELS);
  uint32_t sent = 0;
  for (uint32_t i = 0; i < PAGES; i++) sent += waiting(page_of(blocks[i * PER_PAGE + 1]));
  CHECK_EQ(sent, PAGES - OUTBOX_PARCELS);
  mii_outbox_send(sender);
  for (uint32_t i = 0; i < PAGES; i++) CHECK_EQ(waiting(page_of(blocks[i * PER_PAGE + 1])), 1);
}

// When it is sent ------------------------------------------------------------------------------------

TEST(every_refill_sends) {
  start_with(TINY, 3);
  give_many(blocks, 3);
  take(sender, 8);
  CHECK_EQ(parcel_count(sender), 0);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
}

TEST(a_request_that_no_list_serves_sends) {
  start_with(TINY, 3);
  give_many(blocks, 3);
  take(sender, 2 * MiB);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
}

TEST(collecting_sends) {
  start_with(TINY, 3);
  give_many(blocks, 3);
  mii_theap_collect(sender);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
}

TEST(the_end_of_the_thread_sends) {
  start_with(TINY, 3);
  give_many(blocks, 3);
  mii_thread_end(true);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
  CHECK_EQ(parcel_count(sender), 0);
}

TEST(a_parcel_may_wake_the_owner) {
  start_with(SIZE, 2 * PER_PAGE);
  give_many(blocks, WAKE);  // two parcels of 2 blocks
  CHECK_EQ(atomic_load(&owner->woken), 0);
  mii_outbox_send(sender);
  CHECK_EQ(atomic_load(&owner->woken), mii_page_slice(page_of(blocks[40])));
}

TEST(a_parcel_may_publish_a_page) {
  start_with(SIZE, PER_PAGE);
  run_as_stranger();
  CHECK(mii_theap_dissolve(owner));
  run_as(sender);
  give_many(blocks, CLAIM);
  mii_outbox_send(sender);
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(sender)) == page_of(blocks[40]));
}

TEST(a_parcel_for_a_page_that_is_ours_by_now_arrives) {
  start_with(SIZE, PER_PAGE);
  run_as_stranger();
  CHECK(mii_theap_dissolve(owner));
  run_as(sender);
  give_many(blocks, CLAIM + 1);  // the last one waits
  page_t* const page = mii_heap_claim(&mii_heap_main, CLASS, mii_theap_tag(sender));
  CHECK(mii_theap_activate(sender, page));
  have_no_room(sender);
  CHECK_EQ(parcel_count(sender), 1);
  mii_theap_collect(sender);
  mii_page_count_local(page);
  CHECK_EQ(list_length_of(sender, CLASS) + mii_page_free_count(page), CLAIM + 1);
  CHECK(all_is_valid());
}

// Who has none ---------------------------------------------------------------------------------------

TEST(a_thread_that_only_frees_has_an_outbox) {
  start_with(TINY, 3);
  run_as_newcomer();
  give_many(blocks, 3);
  CHECK(mii_theap_mine->is_live);
  CHECK_EQ(parcel_count(mii_theap_mine), 1);
  CHECK_EQ(waiting(page_of(blocks[0])), 0);
}

TEST(a_thread_past_its_end_frees_at_once) {
  start_with(TINY, 3);
  run_as_stranger();
  give_many(blocks, 3);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
  CHECK(mii_theap_mine == &mii_theap_done);
}

TEST(without_memory_for_a_theap_blocks_are_freed_at_once) {
  start_with(TINY, 3);
  fake_fail_from(FAKE_OPEN, 1);
  do run_as_newcomer();
  while (mii_thread_enter() != NULL);
  give_many(blocks, 3);
  CHECK(mii_theap_mine == &mii_theap_empty);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
}

// A theap costs at most 2 KiB (P17), because those that need no outbox have none.
TEST(an_outbox_is_made_when_the_first_block_waits) {
  start_with(TINY, 3);
  run_as(owner);
  give(blocks[0]);
  run_as(sender);
  CHECK(owner->outbox == mii_no_outbox);
  CHECK(sender->outbox == mii_no_outbox);
  give(blocks[1]);
  const parcel_t* const outbox = sender->outbox;
  CHECK(outbox != mii_no_outbox);
  mii_outbox_send(sender);
  give(blocks[2]);
  CHECK(sender->outbox == outbox);
  mii_thread_end(false);
  CHECK(new_thread() == sender);
  CHECK(sender->outbox == outbox);  // it stays with the theap
  for (uint32_t i = 0; i < OUTBOX_PARCELS; i++) CHECK(mii_no_outbox[i].page == NULL);
  CHECK(all_is_valid());
}

TEST(without_memory_for_an_outbox_blocks_are_freed_at_once) {
  start_with(TINY, 3);
  fake_fail_from(FAKE_OPEN, 1);
  while (mii_meta_take(1) != NULL) continue;
  give_many(blocks, 3);
  CHECK(sender->outbox == mii_no_outbox);
  CHECK_EQ(parcel_count(sender), 0);
  CHECK_EQ(waiting(page_of(blocks[0])), 3);
}

// O1: a page cannot end while its blocks wait, unless its heap is destroyed; this does what that will do.
TEST(a_parcel_for_a_page_that_has_ended_is_dropped) {
  start_with(TINY, 4);
  page_t* const page = page_of(blocks[0]);
  give_many(blocks, 3);
  run_as(owner);
  owner->list[page->size_class] = NULL;
  mii_page_count_local(page);
  mii_page_hot(page)->out = 0;
  mii_theap_review(owner, page, 1);
  mii_theap_give_kept(owner);
  CHECK(is_gone(blocks[0]));
  void* const p = take(owner, TINY);
  CHECK(p == blocks[0]);  // the same page again
  run_as(sender);
  mii_outbox_send(sender);
  CHECK_EQ(waiting(page), 0);
  CHECK_EQ(parcel_count(sender), 0);
  CHECK(all_is_valid());
}

// A long random life -----------------------------------------------------------------------------------

enum { THREADS = 4, HELD = 2000, STEPS = 60000 };

TEST(blocks_wander_between_threads_and_none_is_lost) {
  start_heap();
  static void* held[HELD];
  theap_t* threads[THREADS] = {mii_theap_mine};
  for (uint32_t i = 1; i < THREADS; i++) threads[i] = new_thread();
  random_t random = {11};
  for (uint32_t step = 0; step < STEPS; step++) {
    theap_t** const thread = &threads[random_below(&random, THREADS)];
    run_as(*thread);
    const uint32_t i = random_below(&random, HELD);
    if (held[i] != NULL) {
      give(held[i]);
      held[i] = NULL;
    } else {
      held[i] =
          take(*thread, 1 + random_below(&random, random_below(&random, 8) == 0 ? 5000 : 200));
    }
    if (random_below(&random, 3000) == 0) {
      mii_thread_end(false);
      *thread = new_thread();
    }
    if (step % 2000 == 0) CHECK(all_is_valid());
  }
  for (uint32_t i = 0; i < HELD; i++) {
    run_as(threads[i % THREADS]);
    if (held[i] != NULL) give(held[i]);
  }
  for (uint32_t i = 0; i < THREADS; i++) {
    run_as(threads[i]);
    mii_thread_end(true);
  }
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

UNIT_TEST_MAIN
