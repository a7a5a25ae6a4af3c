// SPDX-License-Identifier: MIT
//
// Pages as a fork may have caught them: whatever the lists look like, no block is free twice, none outside
// of the page, and what is found is a valid page.
#include "support/unit_test.h"
#include "unit/page/page_world.h"

static block_t* blocks[BLOCKS_MAX];

enum { CLASS_64_BLOCKS = 32, CLAIM = 8, PER_PAGE = 64 };

static page_t* start_page(void) {
  if (mii_slice_count() == 0) fake_space_start();
  return full_page(CLASS_64_BLOCKS, blocks);
}

// The owner frees these, and they are counted.
static void free_locally(page_t* page, uint32_t from, uint32_t to) {
  mii_page_arm(page, PER_PAGE);
  for (uint32_t i = from; i < to; i++) mii_page_push_local(page, blocks[i]);
  mii_page_count_local(page);
}

static void push_blocks(page_t* page, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) push_one(page, blocks[i]);
}

// Freezes the page as the child does, and thaws it as who takes it does.
static void freeze_and_thaw(page_t* page) {
  mii_page_freeze(page);
  CHECK_EQ(mii_page_owner(page), 0);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_FROZEN);
  mii_page_thaw(page);
  CHECK_EQ(mii_page_hot(page)->state, PAGE_DISOWNED);
  CHECK(mii_page_is_valid(page));
}

TEST(a_page_at_rest_keeps_its_blocks) {
  page_t* const page = start_page();
  free_locally(page, 0, 20);
  push_blocks(page, 20, 23);
  freeze_and_thaw(page);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE - 23);
  CHECK_EQ(remote_count(page), 0);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 23);
}

TEST(a_page_that_is_not_frozen_is_not_counted) {
  page_t* const page = start_page();
  free_locally(page, 0, 20);
  mii_page_hot(page)->out = 7;
  mii_page_thaw(page);
  CHECK_EQ(mii_page_hot(page)->out, 7);
}

TEST(a_page_worth_claiming_is_to_be_published) {
  page_t* page = start_page();
  free_locally(page, 0, CLAIM - 1);
  CHECK(!mii_page_freeze(page));
  CHECK(!mii_page_is_queued(page));
  page = start_page();
  free_locally(page, 0, CLAIM - 2);
  push_blocks(page, CLAIM - 2, CLAIM);
  CHECK(mii_page_freeze(page));
  CHECK(mii_page_is_queued(page));
}

TEST(a_page_whose_numbers_make_no_sense_is_to_be_published) {
  page_t* const page = start_page();
  mii_page_hot(page)->armed = 60;  // caught between the two stores of arming
  mii_page_hot(page)->needed = 1;
  mii_page_hot(page)->out = 3;
  CHECK(mii_page_freeze(page));
}

TEST(a_frozen_page_is_published_by_the_push_that_reaches_the_mark) {
  page_t* const page = start_page();
  CHECK(!mii_page_freeze(page));
  for (uint32_t i = 0; i < CLAIM - 1; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(push_one(page, blocks[CLAIM - 1]), PUSH_PUBLISH);
  mii_page_thaw(page);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE - CLAIM);
  mii_page_claim(page, 0x1000);
  CHECK(mii_page_is_valid(page));
}

TEST(a_count_that_was_not_taken_yet_is_found_by_the_walk) {
  page_t* const page = start_page();
  free_locally(page, 0, 5);
  mii_page_hot(page)->local_free = blocks[9];  // freed, but neither counted nor armed for
  blocks[9]->next = blocks[4];
  freeze_and_thaw(page);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE - 6);
}

TEST(a_list_ends_at_a_link_that_leads_out_of_the_page) {
  page_t* const page = start_page();
  free_locally(page, 0, 10);
  blocks[4]->next = (block_t*)((uint8_t*)blocks[4] + 8);  // in the page, but no block
  freeze_and_thaw(page);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 6);
  page_t* const other = start_page();
  free_locally(other, 0, 10);
  mii_page_hot(other)->local_free = (block_t*)(uintptr_t)0x5a5a5a5a5a5a5a5aull;
  freeze_and_thaw(other);
  CHECK(mii_page_hot(other)->local_free == NULL);
  CHECK_EQ(mii_page_hot(other)->out, PER_PAGE);
}

TEST(a_list_that_goes_round_ends) {
  page_t* const page = start_page();
  free_locally(page, 0, 10);
  blocks[0]->next = blocks[9];
  freeze_and_thaw(page);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 10);
}

TEST(a_block_that_is_on_both_lists_is_free_once) {
  page_t* const page = start_page();
  free_locally(page, 0, 10);
  push_blocks(page, 20, 25);
  blocks[20]->next = blocks[9];  // the tail of the remote list
  freeze_and_thaw(page);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 15);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE - 15);
}

TEST(a_page_caught_between_two_owners_is_nobodys) {
  page_t* const page = start_page();
  bool publish;
  CHECK(mii_page_try_disown(page, &publish));
  push_blocks(page, 0, CLAIM);  // published, but nobody has linked it yet
  freeze_and_thaw(page);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE - CLAIM);
  CHECK(mii_page_is_queued(page));
}

TEST(the_running_threads_own_page_forgets_that_it_is_queued) {
  page_t* const page = start_page();
  push_blocks(page, 0, 4);
  CHECK(mii_page_is_queued(page));
  mii_page_forget_queued(page);
  CHECK(!mii_page_is_queued(page));
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 4);
  for (uint32_t i = 4; i < 7; i++) CHECK_EQ(push_one(page, blocks[i]), PUSH_QUIET);
  CHECK_EQ(push_one(page, blocks[7]), PUSH_WAKE_OWNER);
}

UNIT_TEST_MAIN
