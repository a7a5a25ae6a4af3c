// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/page/page_world.h"

// What is written to the standard error meanwhile -----------------------------------------------------

static char message[4096];
static int real_stderr;
static FILE* capture;

static void capture_begin(void) {
  fflush(stderr);
  capture = tmpfile();
  CHECK(capture != NULL);
  real_stderr = dup(STDERR_FILENO);
  CHECK(dup2(fileno(capture), STDERR_FILENO) >= 0);
}

static void capture_end(void) {
  fflush(stderr);
  CHECK(dup2(real_stderr, STDERR_FILENO) >= 0);
  close(real_stderr);
  rewind(capture);
  message[fread(message, 1, sizeof message - 1, capture)] = '\0';
  fclose(capture);
}

// The validator says no, and says why when assertions are on.
static void expect_broken(page_t* page, const char* clause) {
  capture_begin();
  const bool valid = mii_page_is_valid(page);
  capture_end();
  if (valid) fprintf(stderr, "not noticed: %s\n", clause);
  CHECK(!valid);
  if (MI_ASSERT_LEVEL > 0) CHECK_HAS_TEXT(message, clause);
}

// A page with blocks out, 5 counted local frees and 2 that are not counted yet, all in local_free.
static block_t* blocks[BLOCKS_MAX];

static page_t* lively_page(void) {
  fake_space_start();
  page_t* const page = new_page(mii_size_class(64));
  take_next(page, blocks);
  mii_page_arm(page, 20);
  for (uint32_t i = 0; i < 5; i++) mii_page_push_local(page, blocks[i]);
  mii_page_count_local(page);
  mii_page_arm(page, 20);
  for (uint32_t i = 5; i < 7; i++) mii_page_push_local(page, blocks[i]);
  CHECK(mii_page_is_valid(page));
  return page;
}

TEST(sound_pages_of_all_classes_are_valid) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    uint32_t total = 0;
    for (uint32_t count; (count = take_next(page, blocks + total)) > 0;) {
      total += count;
      CHECK(mii_page_is_valid(page));
    }
    mii_page_arm(page, total);
    for (uint32_t i = 0; i < total; i++) {
      mii_page_push_local(page, blocks[i]);
      if (i + 1 == total) mii_page_count_local(page), mii_page_arm(page, 1);
      if (i % 97 == 0 || i + 1 == total) CHECK(mii_page_is_valid(page));
    }
  }
}

TEST(the_validator_sees_that_a_slice_is_no_page) {
  page_t* const page = lively_page();
  mii_slice_set_kind(mii_page_slice(page), SLICE_FREE);
  expect_broken(page, "SLICE_PAGE");
}

TEST(the_validator_sees_a_class_that_there_is_not) {
  page_t* const page = lively_page();
  page->size_class = CLASS_COUNT;
  expect_broken(page, "page->size_class < CLASS_COUNT");
}

TEST(the_validator_sees_more_blocks_than_fit) {
  page_t* const page = lively_page();
  page->capacity = (uint16_t)(mii_class_blocks(page->size_class) + 1);
  expect_broken(page, "mii_page_capacity(page) <=");
}

TEST(the_validator_sees_that_nobody_would_look_again) {
  page_t* const page = lively_page();
  mii_page_hot(page)->needed = 0;
  expect_broken(page, "mii_page_hot(page)->needed > 0");
}

TEST(the_validator_sees_more_needed_than_armed) {
  page_t* const page = lively_page();
  mii_page_hot(page)->needed = mii_page_hot(page)->armed + 1u;
  expect_broken(page, "mii_page_hot(page)->needed <= mii_page_hot(page)->armed");
}

TEST(the_validator_sees_more_blocks_out_than_there_are) {
  page_t* const page = lively_page();
  mii_page_hot(page)->out = (uint16_t)(page->capacity + 1);
  expect_broken(page, "mii_page_hot(page)->out <= mii_page_capacity(page)");
}

TEST(the_validator_sees_more_frees_than_blocks_out) {
  page_t* const page = lively_page();
  mii_page_hot(page)->out = 1;  // two were freed since the last look
  expect_broken(page, "seen_frees <= mii_page_hot(page)->out");
}

TEST(the_validator_sees_a_lost_block) {
  page_t* const page = lively_page();
  mii_page_hot(page)->local_free = mii_page_hot(page)->local_free->next;
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_block_too_many) {
  page_t* const page = lively_page();
  blocks[20]->next = mii_page_hot(page)->local_free;
  mii_page_hot(page)->local_free = blocks[20];
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_wrong_count) {
  page_t* const page = lively_page();
  mii_page_hot(page)->out--;
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_list_without_end) {
  page_t* const page = lively_page();
  blocks[0]->next = mii_page_hot(page)->local_free;
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_list_that_leaves_the_page) {
  page_t* const page = lively_page();
  static block_t elsewhere;
  blocks[0]->next = &elsewhere;
  expect_broken(page, "list_length(");
  mii_page_hot(page)->local_free->next = (block_t*)(mii_page_start(page) + SLICE_BYTES);
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_link_into_a_block) {
  page_t* const page = lively_page();
  mii_page_hot(page)->local_free = (block_t*)((uint8_t*)mii_page_hot(page)->local_free + 8);
  expect_broken(page, "list_length(");
}

TEST(the_validator_sees_a_link_to_a_block_that_is_not_threaded_yet) {
  page_t* const page = lively_page();
  CHECK(!mii_page_is_complete(page));
  mii_page_hot(page)->local_free = (block_t*)(mii_page_start(page) + page->capacity * 64u);
  expect_broken(page, "list_length(");
}

TEST(a_page_has_its_threaded_blocks_and_nothing_else) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    uint8_t* const start = mii_page_start(page);
    const uint32_t bytes = mii_page_block_bytes(page);
    CHECK(!mii_page_has_block(page, start + (size_t)mii_page_index(page, 0) * bytes));
    take_next(page, blocks);
    for (uint32_t i = 0; i < mii_class_blocks(c); i++) {
      const uint8_t* const block = start + (size_t)mii_page_index(page, i) * bytes;
      CHECK(mii_page_has_block(page, block) == (i < page->capacity));
      CHECK(!mii_page_has_block(page, block + 1));
      CHECK(!mii_page_has_block(page, block + bytes - 1));
    }
    CHECK(!mii_page_has_block(page, start + (size_t)mii_class_blocks(c) * bytes));
    CHECK(!mii_page_has_block(page, start - bytes));
    CHECK(!mii_page_has_block(page, NULL));
    CHECK(!mii_page_has_block(page, &page));
    CHECK(!mii_page_has_block(page, (void*)UINTPTR_MAX));
  }
}

UNIT_TEST_MAIN
