// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include "page/hardened.h"
#include "runtime/option.h"
#include "runtime/secure.h"

enum { CLASS = 32, BYTES = 1024, BLOCKS = 64, HOLDER = 4096, OTHER = 8192 };  // addresses of theaps

static rng_t rng;

static hardened_t* start(int level, uint32_t size_class) {
  fake_reset();
  fake_space_start();
  mii_option_set(mi_option_secure, level);
  mii_secure_fix();
  CHECK_EQ(mii_secure_level(), level);
  mii_secure_seed(&rng);
  hardened_t* const page = mii_hardened_make(size_class, (segment_bounds_t){0, 0}, NULL, 42);
  CHECK(page != NULL);
  mii_hardened_publish(page, (vault_t*)&rng, HOLDER);
  return page;
}

static uint32_t index_of_block(const hardened_t* page, const void* p) {
  uint32_t index;
  CHECK(mii_hardened_index(page, p, &index));
  return index;
}

// Opens more only if nothing is free.
static void* take_live(hardened_t* page) {
  if (page->count == 0) CHECK(mii_hardened_look(page, 0, &rng));
  void* const p = mii_hardened_take(page);
  CHECK(mii_hardened_is_live(page, index_of_block(page, p)));
  return p;
}

static uint32_t live_count(const hardened_t* page) {
  return mii_hardened_opened(page) - mii_hardened_free_count(page);
}

static void give_as(uintptr_t theap, hardened_t* page, void* p) {
  const uint32_t index = index_of_block(page, p);
  CHECK(mii_hardened_is_live(page, index));
  CHECK_EQ(mii_hardened_end(page, index, theap), END_DONE);
  CHECK(!mii_hardened_is_live(page, index));
  CHECK(mii_hardened_is_valid(page));
  if (theap == OTHER) CHECK_EQ(mii_hardened_end(page, index, theap), END_NOT_LIVE);
}

static void give(hardened_t* page, void* p) { give_as(HOLDER, page, p); }

static void take_all_blocks(int level, uint32_t size_class) {
  hardened_t* const page = start(level, size_class);
  void* blocks[SLICE_BYTES / 8];
  const uint32_t count = page->block_count;
  CHECK_EQ(count, (SLICE_BYTES - (level == 5 ? 4096 : 0)) / mii_class_bytes(size_class));
  for (uint32_t round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < count; i++) {
      CHECK_EQ(live_count(page), i);
      blocks[i] = take_live(page);
    }
    CHECK(!mii_hardened_look(page, 0, &rng));
    CHECK_EQ(live_count(page), count);
    CHECK(mii_hardened_is_valid(page));
    for (uint32_t i = 0; i < count; i++) give_as(i % 3 == round ? OTHER : HOLDER, page, blocks[i]);
    CHECK_EQ(live_count(page), 0);
  }
  mii_hardened_unmake(page);
  CHECK(fake_space_is_valid());
}

TEST(each_block_is_given_out_once) {
  static const uint32_t classes[] = {1, 2, 8, CLASS, 56, 57, 72};
  for (size_t i = 0; i < COUNT_OF(classes); i++) {
    for (int level = 3; level <= 5; level++) {
      fflush(NULL);
      const pid_t child = fork();
      if (child == 0) {
        take_all_blocks(level, classes[i]);
        _exit(0);
      }
      int status;
      CHECK_EQ(waitpid(child, &status, 0), child);
      CHECK_EQ(status, 0);
    }
  }
}

TEST(blocks_begin_at_multiples_of_their_size_only) {
  hardened_t* const page = start(4, CLASS);
  uint32_t index;
  uint8_t* const first = mii_hardened_block(page, 0);
  CHECK(mii_hardened_index(page, first, &index) && index == 0);
  CHECK(mii_hardened_index(page, first + (size_t)5 * BYTES, &index) && index == 5);
  CHECK(!mii_hardened_index(page, first + 1, &index));
  CHECK(!mii_hardened_index(page, first + BYTES - 8, &index));
}

// 4 KiB at a time.
TEST(what_is_not_needed_is_not_opened) {
  hardened_t* const page = start(3, CLASS);
  for (uint32_t i = 0; i < 4; i++) take_live(page);
  CHECK_EQ(page->opened, 4);
  take_live(page);
  CHECK_EQ(page->opened, 8);
}

TEST(a_block_that_was_never_opened_does_not_live) {
  hardened_t* const page = start(3, CLASS);
  take_live(page);
  for (uint32_t i = 4; i < BLOCKS; i++) CHECK(!mii_hardened_is_live(page, i));
}

TEST(a_block_is_not_taken_again_before_it_is_free) {
  hardened_t* const page = start(3, CLASS);
  void* const p = take_live(page);
  for (uint32_t i = 1; i < BLOCKS; i++) CHECK(take_live(page) != p);
  CHECK(!mii_hardened_look(page, 0, &rng));
  give(page, p);
  CHECK(take_live(page) == p);
}

TEST(the_last_free_blocks_are_spared_if_they_were_freed_lately) {
  hardened_t* const page = start(3, CLASS);
  void* blocks[BLOCKS];
  for (uint32_t i = 0; i < BLOCKS; i++) {
    CHECK(page->count > page->spared || mii_hardened_look(page, 5, &rng));
    blocks[i] = mii_hardened_take(page);
  }
  CHECK(!mii_hardened_look(page, 5, &rng));
  for (uint32_t i = 0; i < 5; i++) give(page, blocks[i]);
  CHECK(!mii_hardened_look(page, 5, &rng));
  CHECK_EQ(page->count, 5);
  give(page, blocks[5]);
  CHECK(mii_hardened_look(page, 5, &rng));
  CHECK_EQ(page->spared, 5);
}

TEST(what_another_thread_frees_is_free_when_the_holder_looks) {
  hardened_t* const page = start(3, CLASS);
  void* const p = take_live(page);
  for (uint32_t i = 1; i < BLOCKS; i++) take_live(page);
  give_as(OTHER, page, p);
  CHECK_EQ(live_count(page), BLOCKS - 1);
  CHECK(take_live(page) == p);
  give(page, p);
  CHECK(take_live(page) == p);
  CHECK(!mii_hardened_look(page, 0, &rng));
}

// Returns the number of the first block.
static uint32_t take_all(hardened_t* page) {
  const uint32_t index = index_of_block(page, take_live(page));
  for (uint32_t i = 1; i < BLOCKS; i++) take_live(page);
  return index;
}

// Neither has seen the other's.
TEST(what_two_threads_free_at_the_same_moment_is_not_given_out_again) {
  hardened_t* const page = start(3, CLASS);
  const uint32_t index = take_all(page);
  CHECK_EQ(mii_hardened_end(page, index, OTHER), END_DONE);
  CHECK_EQ(mii_hardened_end(page, index, HOLDER), END_DONE);
  CHECK(!mii_hardened_is_live(page, index));
  CHECK_EQ(mii_hardened_end(page, index, OTHER), END_NOT_LIVE);
  CHECK(!mii_hardened_look(page, 0, &rng) || mii_hardened_take(page) == NULL);
  CHECK(!mii_hardened_look(page, 0, &rng));
}

// The holder has looked meanwhile: what he has chosen is looked at again.
TEST(what_another_thread_frees_too_late_is_not_given_out_again) {
  hardened_t* const page = start(3, CLASS);
  const uint32_t index = take_all(page);
  CHECK_EQ(mii_hardened_end(page, index, HOLDER), END_DONE);
  CHECK(mii_hardened_look(page, 0, &rng));
  CHECK_EQ(page->count, 1);
  CHECK_EQ(mii_hardened_end(page, index, OTHER), END_DONE);
  CHECK(mii_hardened_take(page) == NULL);
  CHECK(!mii_hardened_look(page, 0, &rng));
}

// Three more frees, and then the last.
TEST(who_frees_a_block_of_a_page_that_nobody_holds_is_told_to_look) {
  hardened_t* const page = start(3, CLASS);
  void* blocks[9];
  for (uint32_t i = 0; i < 9; i++) blocks[i] = take_live(page);
  page->needed = 3;
  page->holder = 0;
  for (uint32_t i = 0; i < 9; i++) {
    const uint32_t index = index_of_block(page, blocks[i]);
    CHECK_EQ(mii_hardened_end(page, index, OTHER), END_UNHELD);
    CHECK_EQ(mii_hardened_is_due(page, index), i == 2 || i == 8);
  }
}

// Of the first four blocks taken from a page, the first is each of the four about as often.
TEST(the_order_is_random) {
  uint32_t firsts[4] = {0};
  hardened_t* const page = start(3, CLASS);
  for (int round = 0; round < 400; round++) {
    void* const p = take_live(page);  // of four that are open
    firsts[index_of_block(page, p) % 4]++;
    give(page, p);
  }
  for (int i = 0; i < 4; i++) CHECK(firsts[i] > 40);
}

// Which of all the choices comes next, and which last.
TEST(each_choice_is_as_likely_as_the_others) {
  enum { ROUNDS = 12800 };
  hardened_t* const page = start(3, 4);  // 64 bytes: 64 blocks in 4 KiB
  uint32_t firsts[CHOICES_MAX] = {0};
  uint32_t lasts[CHOICES_MAX] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    void* blocks[CHOICES_MAX];
    page->count = 0;
    while (page->count < CHOICES_MAX) CHECK(mii_hardened_look(page, 0, &rng));
    for (uint32_t i = 0; i < CHOICES_MAX; i++) blocks[i] = mii_hardened_take(page);
    firsts[index_of_block(page, blocks[0]) % CHOICES_MAX]++;
    lasts[index_of_block(page, blocks[CHOICES_MAX - 1]) % CHOICES_MAX]++;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) give(page, blocks[i]);
  }
  for (int i = 0; i < CHOICES_MAX; i++) {
    CHECK(firsts[i] > ROUNDS / CHOICES_MAX / 2 && firsts[i] < ROUNDS / CHOICES_MAX * 2);
    CHECK(lasts[i] > ROUNDS / CHOICES_MAX / 2 && lasts[i] < ROUNDS / CHOICES_MAX * 2);
  }
}

TEST(a_page_that_has_ended_is_none) {
  hardened_t* const page = start(4, CLASS);
  const slice_t slice = page->slice;
  CHECK(mii_hardened_in(slice) == page);
  mii_hardened_unmake(page);
  CHECK(mii_hardened_in(slice) == NULL);
  CHECK(page->vault == NULL);
}

TEST(records_are_used_again_for_pages_of_as_many_blocks) {
  hardened_t* const page = start(4, CLASS);
  mii_hardened_unmake(page);
  hardened_t* const other = mii_hardened_make(1, (segment_bounds_t){0, 0}, NULL, 1);
  CHECK(other != page);
  CHECK(mii_hardened_make(CLASS, (segment_bounds_t){0, 0}, NULL, 1) == page);
}

TEST(without_memory_there_is_no_page) {
  start(4, CLASS);
  fake_fail_from(FAKE_OPEN, 1);
  hardened_t* last = (hardened_t*)&rng;
  for (int i = 0; i < 200 && last != NULL; i++)
    last = mii_hardened_make(CLASS, (segment_bounds_t){0, 0}, NULL, 1);
  CHECK(last == NULL);
}

UNIT_TEST_MAIN
