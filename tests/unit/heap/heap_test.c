// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include <pthread.h>

static void* blocks[40 * PER_PAGE];

static void** of_page(uint32_t i) { return &blocks[i * PER_PAGE]; }

static page_t* record_of(uint32_t i) { return page_of(of_page(i)[PER_PAGE - 1]); }

enum { ME = 0x1000 };

static page_t* claim(void) { return mii_heap_claim(&mii_heap_main, CLASS, ME); }

// Pages of nobody, of each of which `out` blocks are live.
static void leave_pages(uint32_t pages, uint32_t out) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, pages);
  for (uint32_t i = 0; i < pages; i++) give_many(of_page(i), PER_PAGE - out);
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  for (uint32_t i = 0; i < pages; i++) CHECK_EQ(mii_page_owner(record_of(i)), 0);
}

TEST(there_is_nothing_to_claim_at_first) {
  start_heap();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) CHECK(!mii_heap_claim(&mii_heap_main, c, ME));
}

TEST(a_published_page_can_be_claimed_once) {
  leave_pages(1, 20);
  page_t* const page = claim();
  CHECK(page == record_of(0));
  CHECK_EQ(mii_page_owner(page), ME);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_NONE);
  CHECK_EQ(mii_page_hot(page)->out, 20);
  CHECK(!mii_page_is_queued(page));
  CHECK(mii_page_is_valid(page));
  CHECK(claim() == NULL);
}

TEST(a_page_is_claimed_for_its_class_only) {
  leave_pages(1, 20);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    if (c != CLASS) CHECK(mii_heap_claim(&mii_heap_main, c, ME) == NULL);
  }
  CHECK(claim() != NULL);
}

TEST(claiming_counts_what_was_freed_since_the_page_was_published) {
  leave_pages(1, 30);
  give_many(of_page(0) + PER_PAGE - 30, 25);
  page_t* const page = claim();
  CHECK_EQ(mii_page_hot(page)->out, 5);
  CHECK_EQ(mii_page_free_count(page), PER_PAGE - 5);
  CHECK(mii_page_is_valid(page));
}

TEST(a_page_of_nobody_is_published_by_the_free_that_makes_it_worth_it) {
  leave_pages(2, PER_PAGE);
  CHECK(claim() == NULL);
  give_many(of_page(1), CLAIM - 1);
  CHECK(claim() == NULL);
  give(of_page(1)[CLAIM - 1]);
  CHECK(claim() == record_of(1));
  CHECK(claim() == NULL);
}

TEST(the_page_published_last_is_claimed_first) {
  leave_pages(3, PER_PAGE);
  static const uint32_t order[] = {1, 2, 0};
  for (size_t i = 0; i < COUNT_OF(order); i++) give_many(of_page(order[i]), CLAIM);
  for (size_t i = COUNT_OF(order); i > 0; i--) CHECK(claim() == record_of(order[i - 1]));
}

TEST(a_thread_goes_on_with_a_claimed_page) {
  leave_pages(2, 10);
  theap_t* const theap = new_thread();
  void* rest[2 * (PER_PAGE - 10)];
  take_many(theap, SIZE, rest, COUNT_OF(rest));
  CHECK_EQ(page_count(), 2);
  for (uint32_t i = 0; i < 2; i++) CHECK_EQ(mii_page_owner(record_of(i)), mii_theap_tag(theap));
  CHECK(all_is_valid());
  give_many(rest, COUNT_OF(rest));
  for (uint32_t i = 0; i < 2; i++) give_many(of_page(i) + PER_PAGE - 10, 10);
  mii_theap_collect(theap);
  CHECK_EQ(page_count(), 0);
  CHECK(all_is_valid());
}

// Releasing -----------------------------------------------------------------------------------------

// An owned page on no list, with blocks 0 .. out - 1 out.
static page_t* loose_page(uint32_t out) {
  page_t* const page = mii_page_make(CLASS, &mii_heap_main, ME);
  block_t* list;
  uint32_t count = 0;
  for (uint32_t n; (n = mii_page_extend(page, &list, NULL)) > 0;) {
    for (uint32_t i = 0; i < n; i++, list = list->next) blocks[count++] = list;
  }
  mii_page_arm(page, PER_PAGE);
  for (uint32_t i = out; i < PER_PAGE; i++) {
    block_t* const block = blocks[i];
    block->next = mii_page_hot(page)->local_free;
    mii_page_hot(page)->local_free = block;
    mii_page_hot(page)->needed--;
  }
  mii_page_count_local(page);
  if (mii_page_hot(page)->needed == 0) mii_page_arm(page, 1);
  return page;
}

TEST(releasing_an_empty_page_ends_it) {
  start_heap();
  page_t* const page = loose_page(0);
  CHECK(mii_heap_try_release(page));
  CHECK(is_gone(mii_page_start(page)));
  CHECK(claim() == NULL);
  CHECK(fake_space_is_valid());
}

TEST(releasing_publishes_a_page_with_room) {
  start_heap();
  page_t* const page = loose_page(PER_PAGE - CLAIM);
  CHECK(mii_heap_try_release(page));
  CHECK_EQ(mii_page_owner(page), 0);
  CHECK(claim() == page);
}

TEST(releasing_leaves_a_full_page_alone) {
  start_heap();
  page_t* const page = loose_page(PER_PAGE - CLAIM + 1);
  CHECK(mii_heap_try_release(page));
  CHECK_EQ(mii_page_owner(page), 0);
  CHECK(claim() == NULL);
  run_as_stranger();
  for (uint32_t i = 0; i < CLAIM; i++) give(blocks[i]);
  CHECK(claim() == page);
}

TEST(a_queued_page_cannot_be_released) {  // W3
  start_heap();
  page_t* const page = loose_page(PER_PAGE);
  for (uint32_t i = 0; i < CLAIM; i++) begin_push(blocks[i]);
  CHECK(mii_page_is_queued(page));
  CHECK(!mii_heap_try_release(page));
  CHECK_EQ(mii_page_owner(page), ME);
  for (uint32_t i = CLAIM; i < PER_PAGE; i++) begin_push(blocks[i]);
  mii_page_collect_remote(page);
  CHECK_EQ(mii_page_hot(page)->out, 0);
  CHECK(!mii_heap_try_release(page));  // nor when it is empty
  mii_page_unqueue(page);
  CHECK(mii_heap_try_release(page));
  CHECK(is_gone(mii_page_start(page)));
}

// Trimming --------------------------------------------------------------------------------------------

TEST(trimming_ends_the_empty_pages_and_keeps_the_others) {
  leave_pages(40, 20);
  for (uint32_t i = 0; i < 40; i += 2) give_many(of_page(i) + PER_PAGE - 20, 20);
  give_many(of_page(1) + PER_PAGE - 20, 19);
  CHECK_EQ(page_count(), 40);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 20);
  for (uint32_t i = 0; i < 40; i += 2) CHECK(is_gone(of_page(i)[0]));
  bool seen[40] = {false};
  for (uint32_t i = 0; i < 20; i++) {
    page_t* const page = claim();
    CHECK(page != NULL);
    uint32_t k = 1;
    while (k < 40 && record_of(k) != page) k += 2;
    CHECK(k < 40 && !seen[k]);
    seen[k] = true;
  }
  CHECK(claim() == NULL);
  CHECK(fake_space_is_valid());
}

TEST(trimming_looks_at_every_class) {
  theap_t* const theap = start_heap();
  void* live[CLASS_COUNT];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) live[c] = take(theap, mii_class_bytes(c));
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  CHECK_EQ(page_count(), CLASS_COUNT);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), CLASS_COUNT);
  give_many(live, CLASS_COUNT);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
  CHECK(fake_space_is_valid());
}

TEST(a_page_that_no_free_has_published_yet_is_not_trimmed) {
  leave_pages(1, PER_PAGE);
  push_event_t event = PUSH_QUIET;
  for (uint32_t i = 0; i < PER_PAGE; i++) {
    const push_event_t each = begin_push(blocks[i]);
    if (each != PUSH_QUIET) event = each;
  }
  CHECK_EQ(event, PUSH_PUBLISH);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 1);
  finish_push(blocks[0], event);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(page_count(), 0);
}

// Holes -----------------------------------------------------------------------------------------------

static void trim_at(uint64_t now) {
  fake_set_clock(now);
  for (int i = 0; i < 20; i++) mii_heap_trim_some(&mii_heap_main, now);
}

static uint32_t pages_with_holes(uint32_t pages) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < pages; i++) count += mii_page_holes(record_of(i)) != 0;
  return count;
}

enum { DELAY = 100, BEGIN = 5000 };

// The last 8 blocks of each live: two OS pages.
static void leave_sparse_pages(uint32_t pages) {
  fake_set_clock(BEGIN);
  leave_pages(pages, 8);
  mii_option_set(mi_option_purge_delay, DELAY);
}

TEST(parts_of_pages_that_nobody_claims_go_back_after_a_delay) {
  leave_sparse_pages(4);
  const size_t before = fake_bytes(FAKE_PURGE);
  trim_at(BEGIN);
  trim_at(BEGIN + DELAY - 1);
  CHECK_EQ(pages_with_holes(4), 0);
  trim_at(BEGIN + DELAY + 1);
  CHECK_EQ(pages_with_holes(4), 4);
  CHECK(fake_bytes(FAKE_PURGE) - before >= (size_t)4 * 13 * UNIT_BYTES);
  CHECK(fake_space_is_valid());
}

TEST(a_page_that_was_claimed_meanwhile_is_not_old) {
  leave_sparse_pages(1);
  trim_at(BEGIN);
  page_t* const page = claim();
  CHECK(mii_heap_try_release(page));
  trim_at(BEGIN + DELAY + 1);
  CHECK_EQ(pages_with_holes(1), 0);
  trim_at(BEGIN + 3 * DELAY);
  CHECK_EQ(pages_with_holes(1), 1);
}

TEST(without_a_time_no_page_is_old) {
  leave_sparse_pages(1);
  fake_set_clock(BEGIN + 10 * DELAY);
  for (int i = 0; i < 20; i++) mii_heap_trim_some(&mii_heap_main, 0);
  CHECK_EQ(pages_with_holes(1), 0);
  mii_heap_punch(&mii_heap_main);
  CHECK_EQ(pages_with_holes(1), 1);
}

// What others freed while nobody owned the page counts; and what they free afterwards comes back.
TEST(a_page_with_holes_is_claimed_freed_and_ended_like_any_other) {
  leave_pages(2, 40);
  give_many(of_page(0) + PER_PAGE - 40, 36);
  give_many(of_page(1) + PER_PAGE - 40, 36);
  mii_heap_punch(&mii_heap_main);
  CHECK_EQ(pages_with_holes(2), 2);
  give_many(of_page(0) + PER_PAGE - 4, 4);
  mii_heap_trim(&mii_heap_main);
  CHECK(is_gone(of_page(0)[0]));
  CHECK_EQ(page_count(), 1);
  give(of_page(1)[PER_PAGE - 1]);
  theap_t* const theap = new_thread();
  void* rest[PER_PAGE - 3];
  take_many(theap, SIZE, rest, PER_PAGE - 3);  // all of it, before a new page is made
  for (uint32_t i = 0; i < PER_PAGE - 3; i++)
    CHECK(page_of(rest[i]) == page_of(of_page(1)[63 - 1]));
  CHECK_EQ(page_count(), 1);
  CHECK(all_is_valid());
  give_many(rest, PER_PAGE - 3);
  give_many(of_page(1) + PER_PAGE - 4, 3);
  mii_theap_collect(theap);
  CHECK_EQ(page_count(), 0);
}

TEST(a_thread_can_punch_its_own_pages) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 6);
  for (uint32_t i = 0; i < 6; i++) give_many(of_page(i), PER_PAGE - 4);
  mii_theap_collect(theap);
  mii_theap_punch(theap);
  CHECK_EQ(pages_with_holes(6), 6);
  CHECK(all_is_valid());
  void* rest[6 * (PER_PAGE - 4)];
  take_many(theap, SIZE, rest, COUNT_OF(rest));
  CHECK(page_count() <= 8);
  CHECK(all_is_valid());
  give_many(rest, COUNT_OF(rest));
  for (uint32_t i = 0; i < 6; i++) give_many(of_page(i) + PER_PAGE - 4, 4);
  mii_theap_collect(theap);
  CHECK_EQ(page_count(), 0);
}

// With threads ----------------------------------------------------------------------------------------
// Workers claim pages, take what is free, free some of it and of what others left, and let go. At the
// same time one of them trims. No page may ever have two owners.

enum { WORKERS = 4, TURNS = 400, LEFT = 2048 };

static _Atomic(void*) left[LEFT];

static void leave_somewhere(void* p, random_t* random) {
  void* const before = atomic_exchange(&left[random_below(random, LEFT)], p);
  if (before != NULL) give(before);
}

static void* work(void* arg) {
  random_t random = {(uintptr_t)arg};
  for (uint32_t turn = 0; turn < TURNS; turn++) {
    theap_t* const theap = mii_thread_enter();
    CHECK(theap != NULL);
    uint32_t* owners[PER_PAGE * 2];
    for (uint32_t i = 0; i < COUNT_OF(owners); i++) {
      owners[i] = take(theap, SIZE);
      *owners[i] = (uint32_t)(uintptr_t)arg;
    }
    for (uint32_t i = 0; i < COUNT_OF(owners); i++) {
      CHECK_EQ(*owners[i], (uintptr_t)arg);
      if (i % 3 == 0)
        give(owners[i]);
      else
        leave_somewhere(owners[i], &random);
    }
    if (random_below(&random, 8) == 0) {
      mii_heap_trim(&mii_heap_main);
    } else if (random_below(&random, 2) == 0) {
      mii_theap_dissolve(theap);
    }
  }
  mii_thread_end(false);
  return NULL;
}

TEST(threads_claim_release_and_trim_at_the_same_time) {
  start_heap();
  run_as_stranger();
  pthread_t threads[WORKERS];
  for (uintptr_t i = 0; i < WORKERS; i++) {
    CHECK_EQ(pthread_create(&threads[i], NULL, work, (void*)(i + 1)), 0);
  }
  for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
  for (uint32_t i = 0; i < LEFT; i++) {
    if (left[i] != NULL) give(left[i]);
  }
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  CHECK(all_is_valid());
  CHECK_EQ(page_count(), 0);
  CHECK_EQ(used_slices(), 0);
}

UNIT_TEST_MAIN
