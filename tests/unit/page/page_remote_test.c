// SPDX-License-Identifier: MIT
//
// The table of page_remote.c, cell by cell, then its invariants W1 to W7, then with real threads.
#include "support/unit_test.h"
#include "unit/page/page_world.h"
#include <pthread.h>

static block_t* blocks[BLOCKS_MAX];

// A class with 64 blocks per page: the owner wakes at 4 blocks, and a page of nobody can be claimed at 8.
enum { CLASS_64_BLOCKS = 32, WAKE = 4, CLAIM = 8 };

static page_t* start_page(void) {
  fake_space_start();
  CHECK_EQ(mii_class_blocks(CLASS_64_BLOCKS), 64);
  CHECK_EQ(mii_class_wake_count(CLASS_64_BLOCKS), WAKE);
  return full_page(CLASS_64_BLOCKS, blocks);
}

static void push_blocks(page_t* page, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) push_one(page, blocks[i]);
}

// Lets go of a page that is not queued.
static bool disown(page_t* page) {
  bool publish = false;
  mii_page_count_local(page);
  CHECK(mii_page_try_disown(page, &publish));
  CHECK(!is_owned(page));
  CHECK_EQ(mii_page_is_queued(page), publish);
  return publish;
}

// Owned, not queued ---------------------------------------------------------------------------------

TEST(a_push_to_an_owned_page_leaves_it_to_its_owner) {
  page_t* const page = start_page();
  CHECK_EQ(push_one(page, blocks[0]), PUSH_QUIET);
  CHECK(is_owned(page));
  CHECK(!mii_page_is_queued(page));
  CHECK_EQ(remote_count(page), 1);
  CHECK_EQ(mii_page_owner(page), ME);
  CHECK(mii_page_hot(page)->local_free == NULL);
}

TEST(the_push_that_reaches_the_wake_count_queues_an_owned_page) {
  page_t* const page = start_page();
  for (uint32_t i = 0; i < WAKE - 1; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK(!mii_page_is_queued(page));
  CHECK_EQ(push_one(page, blocks[WAKE - 1]), PUSH_WAKE_OWNER);
  CHECK(mii_page_is_queued(page));
  CHECK(is_owned(page));
}

TEST(collecting_takes_the_list_of_an_owned_page) {
  page_t* const page = start_page();
  push_blocks(page, 0, 5);
  mii_page_collect_remote(page);
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 59);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 5);
  CHECK(is_owned(page));
  mii_page_count_local(page), mii_page_arm(page, 1);
  CHECK(mii_page_is_valid(page));
}

TEST(collecting_nothing_changes_nothing) {
  page_t* const page = start_page();
  const uint64_t before = word_of_page(page);
  mii_page_collect_remote(page);
  CHECK_EQ(word_of_page(page), before);
  CHECK_EQ(mii_page_hot(page)->out, 64);
  CHECK(mii_page_hot(page)->local_free == NULL);
}

TEST(a_full_page_is_disowned_unpublished) {
  page_t* const page = start_page();
  CHECK(!disown(page));
  CHECK_EQ(mii_page_owner(page), 0);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_DISOWNED);
}

TEST(a_page_with_enough_free_blocks_is_published_when_disowned) {
  page_t* const page = start_page();
  for (uint32_t i = 0; i < 16; i++) mii_page_push_local(page, blocks[i]);
  CHECK(disown(page));
  CHECK_EQ(mii_page_owner(page), 0);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 16);
}

TEST(disowning_collects_what_waits) {
  page_t* const page = start_page();
  push_blocks(page, 0, WAKE - 1);
  for (uint32_t i = 40; i < 40 + CLAIM - WAKE + 1; i++) mii_page_push_local(page, blocks[i]);
  CHECK(disown(page));  // together an eighth
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 64 - CLAIM);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), CLAIM);
}

TEST(blocks_that_were_never_threaded_count_as_free_when_disowning) {
  fake_space_start();
  page_t* const page = new_page(mii_size_class(64));
  CHECK_EQ(take_next(page, blocks), 64);  // of 1024
  mii_page_arm(page, 64);
  CHECK(disown(page));
}

TEST(unqueueing_what_is_not_queued_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  page_t* const page = start_page();
  CHECK(stops_the_process((void (*)(void*))mii_page_unqueue, page));
}

static void claim_for_other(void* page) { mii_page_claim(page, OTHER); }
static void ask_whether_empty(void* page) { mii_page_is_empty_unowned(page); }

TEST(claiming_what_is_owned_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  page_t* const page = start_page();
  CHECK(stops_the_process(claim_for_other, page));
  CHECK(stops_the_process(ask_whether_empty, page));
}

// Owned, queued ---------------------------------------------------------------------------------------

static page_t* start_queued_page(void) {
  page_t* const page = start_page();
  push_blocks(page, 0, WAKE);
  CHECK(mii_page_is_queued(page));
  return page;
}

TEST(a_push_to_a_queued_page_signals_nobody) {
  page_t* const page = start_queued_page();
  for (uint32_t i = WAKE; i < 64; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(remote_count(page), 64);
  CHECK(mii_page_is_queued(page));
}

TEST(collecting_leaves_a_page_queued) {  // W2
  page_t* const page = start_queued_page();
  mii_page_collect_remote(page);
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 64 - WAKE);
  CHECK(mii_page_is_queued(page));
  for (uint32_t i = WAKE; i < 2 * WAKE + 1; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
}

TEST(disowning_fails_while_a_page_is_queued) {  // W2, W3
  page_t* const page = start_queued_page();
  const uint64_t before = word_of_page(page);
  mii_page_count_local(page);
  bool publish = false;
  CHECK(!mii_page_try_disown(page, &publish));
  CHECK(!publish);
  CHECK_EQ(word_of_page(page), before);
  CHECK_EQ(mii_page_owner(page), ME);
  CHECK_EQ(mii_page_hot(page)->out, 64);
  mii_page_collect_remote(page);
  mii_page_count_local(page);
  CHECK(!mii_page_try_disown(page, &publish));
  CHECK(mii_page_is_queued(page));
  CHECK_EQ(mii_page_owner(page), ME);
}

TEST(unqueueing_takes_the_list_and_lets_pushes_queue_again) {
  page_t* const page = start_queued_page();
  push_blocks(page, WAKE, WAKE + 3);
  mii_page_unqueue(page);
  CHECK(!mii_page_is_queued(page));
  CHECK(is_owned(page));
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 64 - WAKE - 3);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), WAKE + 3);
  uint32_t i = WAKE + 3;
  for (; i < 2 * WAKE + 2; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(push_one(page, blocks[i]), PUSH_WAKE_OWNER);
}

// Not owned, not queued -------------------------------------------------------------------------------

static page_t* start_disowned_page(void) {
  page_t* const page = start_page();
  CHECK(!disown(page));
  return page;
}

TEST(the_push_that_frees_an_eighth_publishes_a_page_of_nobody) {
  page_t* const page = start_disowned_page();
  for (uint32_t i = 0; i < CLAIM - 1; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK(!mii_page_is_queued(page));
  CHECK_EQ(push_one(page, blocks[CLAIM - 1]), PUSH_PUBLISH);
  CHECK(mii_page_is_queued(page));
  CHECK(!is_owned(page));
  CHECK_EQ(mii_page_hot(page)->out, 64);
}

TEST(claiming_what_was_not_published_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  page_t* const page = start_disowned_page();
  CHECK(stops_the_process(claim_for_other, page));
}

// Not owned, queued -----------------------------------------------------------------------------------

static page_t* start_published_page(void) {
  page_t* const page = start_disowned_page();
  push_blocks(page, 0, 16);
  CHECK(mii_page_is_queued(page));
  return page;
}

TEST(a_push_to_a_published_page_signals_nobody) {
  page_t* const page = start_published_page();
  for (uint32_t i = 16; i < 64; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(remote_count(page), 64);
}

TEST(claiming_makes_a_published_page_ours_with_its_list) {
  page_t* const page = start_published_page();
  push_blocks(page, 16, 20);
  mii_page_claim(page, OTHER);
  CHECK_EQ(mii_page_owner(page), OTHER);
  CHECK(is_owned(page));
  CHECK(!mii_page_is_queued(page));
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 44);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 20);
  CHECK(mii_page_is_valid(page));
}

TEST(a_claimed_page_wakes_its_new_owner) {
  page_t* const page = start_published_page();
  mii_page_claim(page, OTHER);
  for (uint32_t i = 16; i < 16 + WAKE - 1; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(push_one(page, blocks[31]), PUSH_WAKE_OWNER);
  CHECK_EQ(mii_page_owner(page), OTHER);
}

TEST(a_page_of_nobody_is_empty_when_all_its_blocks_are_back) {
  page_t* const page = start_published_page();
  for (uint32_t i = 16; i < 64; i++) {
    CHECK(!mii_page_is_empty_unowned(page));
    push_one(page, blocks[i]);
  }
  CHECK(mii_page_is_empty_unowned(page));
  mii_page_claim(page, OTHER);
  CHECK_EQ(mii_page_hot(page)->out, 0);
  mii_page_unmake(page);
  CHECK(fake_space_is_valid());
}

TEST(a_page_that_was_empty_when_disowned_is_empty) {
  page_t* const page = start_page();
  for (uint32_t i = 0; i < 63; i++) mii_page_push_local(page, blocks[i]);
  mii_page_count_local(page);
  push_one(page, blocks[63]);
  CHECK(disown(page));
  CHECK_EQ(mii_page_hot(page)->out, 0);
  CHECK(mii_page_is_empty_unowned(page));
}

// The list ----------------------------------------------------------------------------------------

TEST(the_list_comes_back_last_in_first_out_before_the_local_frees) {
  page_t* const page = start_page();
  mii_page_push_local(page, blocks[0]);
  mii_page_push_local(page, blocks[1]);
  push_blocks(page, 2, 5);
  mii_page_collect_remote(page);
  static const int order[] = {4, 3, 2, 1, 0};
  const block_t* block = mii_page_hot(page)->local_free;
  for (size_t i = 0; i < COUNT_OF(order); i++, block = block->next)
    CHECK(block == blocks[order[i]]);
  CHECK(block == NULL);
}

TEST(a_batch_goes_in_front_as_a_whole) {
  page_t* const page = start_page();
  push_one(page, blocks[9]);
  link_blocks(blocks, 0, 4);
  blocks[3]->next = (block_t*)(uintptr_t)1;  // whatever it was
  CHECK_EQ(push_list(page, blocks[0], blocks[3], 4), PUSH_WAKE_OWNER);
  CHECK_EQ(remote_count(page), 5);
  mii_page_collect_remote(page);
  static const int order[] = {0, 1, 2, 3, 9};
  const block_t* block = mii_page_hot(page)->local_free;
  for (size_t i = 0; i < COUNT_OF(order); i++, block = block->next)
    CHECK(block == blocks[order[i]]);
  CHECK(block == NULL);
  CHECK_EQ(mii_page_hot(page)->out, 59);
}

TEST(a_batch_onto_an_empty_word_ends_with_its_tail) {
  page_t* const page = start_page();
  mii_page_push_local(page, blocks[20]);
  link_blocks(blocks, 0, 3);
  push_list(page, blocks[0], blocks[2], 3);
  mii_page_collect_remote(page);
  CHECK(mii_page_hot(page)->local_free == blocks[0]);
  CHECK(blocks[2]->next == blocks[20]);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 4);
}

TEST(every_block_of_every_class_fits_the_word) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = full_page(c, blocks);
    const uint32_t count = page->capacity;
    for (uint32_t i = 0; i < count; i++) push_one(page, blocks[i]);
    CHECK_EQ(remote_count(page), count);
    mii_page_collect_remote(page);
    CHECK_EQ(mii_page_hot(page)->out, 0);
    const block_t* block = mii_page_hot(page)->local_free;
    for (uint32_t i = count; i > 0; i--, block = block->next) CHECK(block == blocks[i - 1]);
    CHECK(block == NULL);
    CHECK_EQ(remote_count(page), 0);
  }
}

// The invariants --------------------------------------------------------------------------------------

TEST(only_the_push_that_reaches_the_mark_signals_in_every_class) {  // W1
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = full_page(c, blocks);
    const uint32_t mark = mii_class_wake_count(c);
    for (uint32_t i = 0; i < page->capacity; i++) {
      CHECK_EQ(push_one(page, blocks[i]), i + 1 == mark ? PUSH_WAKE_OWNER : PUSH_QUIET);
    }
    page_t* const unowned = full_page(c, blocks);
    CHECK(!disown(unowned));
    for (uint32_t i = 0; i < unowned->capacity; i++) {
      CHECK_EQ(push_one(unowned, blocks[i]), i + 1 == claim_mark(c) ? PUSH_PUBLISH : PUSH_QUIET);
    }
  }
}

TEST(a_batch_that_crosses_the_mark_signals_once) {  // W1
  page_t* const page = start_page();
  link_blocks(blocks, 0, WAKE - 1);
  CHECK_EQ(push_list(page, blocks[0], blocks[WAKE - 2], WAKE - 1), PUSH_QUIET);
  link_blocks(blocks, 20, 40);
  CHECK_EQ(push_list(page, blocks[20], blocks[39], 20), PUSH_WAKE_OWNER);
  link_blocks(blocks, 40, 60);
  CHECK_EQ(push_list(page, blocks[40], blocks[59], 20), PUSH_QUIET);
  CHECK_EQ(remote_count(page), WAKE - 1 + 40);
}

TEST(blocks_in_the_word_count_as_out) {  // W5
  page_t* const page = start_page();
  for (uint32_t i = 0; i < 64; i++) {
    push_one(page, blocks[i]);
    CHECK_EQ(mii_page_hot(page)->out, 64);
  }
  mii_page_unqueue(page);
  CHECK_EQ(mii_page_hot(page)->out, 0);
}

// A complete page of the class, disowned, with blocks 0 .. out - 1 out.
static page_t* page_with_out(uint32_t size_class, uint32_t out, bool* publish) {
  page_t* const page = full_page(size_class, blocks);
  for (uint32_t i = out; i < page->capacity; i++) mii_page_push_local(page, blocks[i]);
  *publish = disown(page);
  return page;
}

// Pushes the `out` blocks; true if exactly one push publishes the page.
static bool pushes_publish(page_t* page, uint32_t out) {
  uint32_t published = 0;
  for (uint32_t i = 0; i < out; i++) published += push_one(page, blocks[i]) == PUSH_PUBLISH;
  return published == 1 && mii_page_is_empty_unowned(page);
}

static void end_page(page_t* page) {
  mii_page_claim(page, ME);
  mii_page_unmake(page);
}

TEST(pushes_alone_publish_what_was_disowned_unpublished) {  // W6
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t all = mii_class_blocks(c);
    const uint32_t step = all > 512 ? all / 97 : 1;
    for (uint32_t out = 1; out <= all; out += step) {
      bool publish;
      page_t* const page = page_with_out(c, out, &publish);
      CHECK_EQ(publish, all - out >= claim_mark(c));
      if (publish) push_blocks(page, 0, out);
      if (!publish) CHECK(pushes_publish(page, out));
      CHECK(mii_page_is_empty_unowned(page));
      end_page(page);
    }
  }
}

TEST(pushes_alone_publish_a_page_that_is_not_complete) {  // W6
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    for (uint32_t steps = 1; steps <= 16; steps++) {
      page_t* const page = new_page(c);
      uint32_t total = 0;
      for (uint32_t i = 0; i < steps; i++) total += take_next(page, blocks + total);
      mii_page_arm(page, total);
      const bool publish = disown(page);
      CHECK_EQ(publish, mii_class_blocks(c) - total >= claim_mark(c));
      if (publish) push_blocks(page, 0, total);
      if (!publish) CHECK(pushes_publish(page, total));
      end_page(page);
    }
  }
}

TEST(the_epoch_changes_when_a_page_ends) {  // W7
  fake_space_start();
  for (uint32_t i = 1; i <= 3; i++) {
    page_t* const page = new_page(5);
    const uint32_t epoch = epoch_of(page);
    mii_page_unmake(page);
    CHECK_EQ(epoch_of(page), (epoch + 1) & 0xFFFF);
    CHECK_EQ(word_of_page(page) & 0xFFFFFFFFFFFFu, 0);
  }
}

TEST(the_epoch_of_a_page_stays_through_its_life) {
  page_t* const page = start_published_page();
  const uint32_t epoch = epoch_of(page);
  mii_page_claim(page, OTHER);
  push_blocks(page, 16, 40);
  mii_page_unqueue(page);
  mii_page_count_local(page);
  disown(page);
  CHECK_EQ(epoch_of(page), epoch);
}

TEST(the_epoch_wraps_around) {
  fake_space_start();
  page_t* const page = new_page(5);
  atomic_fetch_or(&mii_slice_cold(mii_page_slice(page))->remote, UINT64_C(0xFFFF) << 48);
  mii_page_unmake(page);
  CHECK_EQ(word_of_page(page), 0);
  CHECK(new_page(5) == page);
  CHECK_EQ(epoch_of(page), 0);
  CHECK(is_owned(page));
}

static void push_no_block(void* page) { push_one(page, (block_t*)((uint8_t*)blocks[0] + 8)); }

TEST(pushing_what_is_no_block_of_the_page_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  page_t* const page = start_page();
  CHECK(stops_the_process(push_no_block, page));
}

// With threads ----------------------------------------------------------------------------------------

enum { PUSHERS = 3, ROUNDS = 60 };

typedef struct pusher_s {
  page_t* page;
  uint32_t first;  // pushes blocks first, first + PUSHERS, .. to count
  uint32_t count;
  uint32_t wakes;
  uint32_t publishes;
} pusher_t;

static pthread_barrier_t barrier;

static void* push_mine(void* arg) {
  pusher_t* const pusher = arg;
  pthread_barrier_wait(&barrier);
  for (uint32_t i = pusher->first; i < pusher->count; i += PUSHERS) {
    switch (push_one(pusher->page, blocks[i])) {
      case PUSH_QUIET: break;
      case PUSH_WAKE_OWNER: pusher->wakes++; break;
      case PUSH_PUBLISH: pusher->publishes++; break;
    }
  }
  return NULL;
}

typedef struct race_s {
  pusher_t pushers[PUSHERS];
  pthread_t threads[PUSHERS];
} race_t;

// Threads that push the blocks from `first` on, once race_begin() lets them.
static void race_prepare(race_t* race, page_t* page, uint32_t first) {
  *race = (race_t){0};
  CHECK_EQ(pthread_barrier_init(&barrier, NULL, PUSHERS + 1), 0);
  for (uint32_t i = 0; i < PUSHERS; i++) {
    race->pushers[i] = (pusher_t){.page = page, .first = first + i, .count = page->capacity};
    CHECK_EQ(pthread_create(&race->threads[i], NULL, push_mine, &race->pushers[i]), 0);
  }
}

static void race_begin(void) { pthread_barrier_wait(&barrier); }

// Returns how often an owner was to be woken; *publishes: how often the page was to be published.
static uint32_t race_end(race_t* race, uint32_t* publishes) {
  uint32_t wakes = 0;
  *publishes = 0;
  for (uint32_t i = 0; i < PUSHERS; i++) {
    pthread_join(race->threads[i], NULL);
    wakes += race->pushers[i].wakes;
    *publishes += race->pushers[i].publishes;
  }
  pthread_barrier_destroy(&barrier);
  return wakes;
}

TEST(no_block_is_lost_while_the_owner_collects) {
  fake_space_start();
  for (uint32_t round = 0; round < ROUNDS; round++) {
    page_t* const page = full_page(round % CLASS_COUNT, blocks);
    race_t race;
    race_prepare(&race, page, 0);
    race_begin();
    for (uint32_t i = 0; i < 2000 && mii_page_hot(page)->out > 0; i++)
      mii_page_collect_remote(page);
    uint32_t publishes;
    const uint32_t wakes = race_end(&race, &publishes);
    mii_page_collect_remote(page);
    CHECK_EQ(mii_page_hot(page)->out, 0);
    CHECK_EQ(length_of(mii_page_hot(page)->local_free), mii_page_capacity(page));
    CHECK(wakes <= 1);  // W2: nobody unqueued it
    CHECK_EQ(wakes, mii_page_is_queued(page));
    CHECK_EQ(publishes, 0);
    mii_page_arm(page, 1);
    CHECK(mii_page_is_valid(page));
    if (wakes > 0) mii_page_unqueue(page);
    mii_page_unmake(page);
  }
}

// Either the owner cannot disown, because a pusher was faster; then that pusher is to wake it. Or it can,
// and then exactly one publishes the page: the owner, or the pusher that freed the eighth.
TEST(exactly_one_publishes_a_page_that_is_disowned_during_pushes) {
  fake_space_start();
  uint32_t disowned = 0;
  for (uint32_t round = 0; round < 4 * ROUNDS; round++) {
    page_t* const page = full_page(round % 40, blocks);
    race_t race;
    race_prepare(&race, page, 0);
    if (round % 8 != 0) race_begin();
    for (volatile uint32_t i = 0; i < round % 8 * 100; i++) {}
    bool publish = false;
    mii_page_count_local(page);
    const bool done = mii_page_try_disown(page, &publish);
    if (round % 8 == 0) race_begin();  // too late to hinder us
    uint32_t publishes;
    const uint32_t wakes = race_end(&race, &publishes);
    CHECK(mii_page_is_queued(page));
    if (done) {
      CHECK_EQ(wakes, 0);
      CHECK_EQ(publishes + publish, 1);
      CHECK(mii_page_is_empty_unowned(page));
      mii_page_claim(page, OTHER);
    } else {
      CHECK_EQ(wakes, 1);
      CHECK_EQ(publishes, 0);
      CHECK_EQ(mii_page_owner(page), ME);
      mii_page_unqueue(page);
    }
    CHECK_EQ(mii_page_hot(page)->out, 0);
    mii_page_unmake(page);
    disowned += done;
  }
  CHECK(disowned >= 4 * ROUNDS / 8);
}

TEST(no_block_is_lost_while_a_page_is_claimed) {
  fake_space_start();
  for (uint32_t round = 0; round < ROUNDS; round++) {
    const uint32_t c = round % 50;
    page_t* const page = full_page(c, blocks);
    for (uint32_t i = 0; i < claim_mark(c); i++) mii_page_push_local(page, blocks[i]);
    CHECK(disown(page));
    race_t race;
    race_prepare(&race, page, claim_mark(c));
    race_begin();
    mii_page_claim(page, OTHER);
    CHECK_EQ(mii_page_owner(page), OTHER);
    uint32_t publishes;
    const uint32_t wakes = race_end(&race, &publishes);
    CHECK_EQ(publishes, 0);
    CHECK_EQ(wakes, mii_page_is_queued(page));
    if (wakes > 0) mii_page_unqueue(page);
    mii_page_collect_remote(page);
    CHECK_EQ(mii_page_hot(page)->out, 0);
    CHECK_EQ(length_of(mii_page_hot(page)->local_free), mii_page_capacity(page));
    mii_page_unmake(page);
  }
}

// The owner lets go and takes the page again, as often as it can, while others push. Whoever is to wake
// the owner or to publish the page is done with that when `queued` is set, as nobody links it here.
TEST(no_block_is_lost_while_a_page_changes_hands) {
  fake_space_start();
  uint32_t disowned = 0;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    page_t* const page = full_page(round % 2 * 6, blocks);  // many blocks
    race_t race;
    race_prepare(&race, page, 0);
    race_begin();
    while (mii_page_hot(page)->out > 0) {
      bool publish;
      mii_page_count_local(page);
      if (!mii_page_try_disown(page, &publish)) {
        mii_page_unqueue(page);
        continue;
      }
      disowned++;
      while (!mii_page_is_queued(page)) {}  // W6: it will be
      mii_page_claim(page, round % 3 == 0 ? ME : OTHER);
    }
    uint32_t publishes;
    race_end(&race, &publishes);
    CHECK_EQ(remote_count(page), 0);
    CHECK_EQ(length_of(mii_page_hot(page)->local_free), mii_page_capacity(page));
    if (mii_page_is_queued(page)) mii_page_unqueue(page);
    mii_page_unmake(page);
  }
  CHECK(disowned > ROUNDS);
}

UNIT_TEST_MAIN
