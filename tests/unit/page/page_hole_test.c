// SPDX-License-Identifier: MIT
// Parts of sparse pages go back to the system, and their blocks come back by extension: no block is lost, none is
// handed out twice, and no live one is touched.
#include "support/unit_test.h"
#include "unit/page/page_world.h"
#include "base/bits.h"
#include "runtime/option.h"
#include "runtime/secure.h"

static block_t* blocks[BLOCKS_MAX];
static block_t* again[BLOCKS_MAX];

static uint32_t class_of(uint32_t bytes) {
  const uint32_t size_class = mii_size_class(bytes);
  CHECK_EQ(mii_class_bytes(size_class), bytes);
  return size_class;
}

// A page of which every block lives whose number in the page is a multiple of `stride`; they are filled.
static page_t* sparse_page(uint32_t size_class, uint32_t stride) {
  if (mii_slice_count() == 0) fake_space_start();
  page_t* const page = full_page(size_class, blocks);
  const uint32_t bytes = mii_page_block_bytes(page);
  for (uint32_t i = 0; i < mii_class_blocks(size_class); i++) {
    const size_t number = (size_t)((uint8_t*)blocks[i] - mii_page_start(page)) / bytes;
    memset(blocks[i], 0xAB, bytes);
    if (number % stride != 0) mii_page_push_local(page, blocks[i]), blocks[i] = NULL;
  }
  mii_page_count_local(page);
  return page;
}

static void check_live(const page_t* page) {
  for (uint32_t i = 0; i < mii_class_blocks(page->size_class); i++)
    CHECK(blocks[i] == NULL || is_all(blocks[i], mii_page_block_bytes(page), 0xAB));
}

static size_t touched(const page_t* page) {
  return fake_touched_bytes(mii_page_start(page),
                            (size_t)mii_class_slices(page->size_class) * SLICE_BYTES);
}

// All free blocks: those in the list, then by extension. Returns how many; each is met once.
static uint32_t take_rest(page_t* page) {
  static bool met[BLOCKS_MAX];
  uint32_t count = 0;
  memset(met, 0, sizeof met);
  for (block_t* b = mii_page_hot(page)->local_free; b != NULL; b = b->next) again[count++] = b;
  mii_page_hot(page)->out = (uint16_t)(mii_page_hot(page)->out + count);
  mii_page_hot(page)->local_free = NULL;
  count += take_all(page, again + count);
  for (uint32_t i = 0; i < count; i++) {
    const size_t offset = (size_t)((uint8_t*)again[i] - mii_page_start(page));
    const size_t number = offset / mii_page_block_bytes(page);
    CHECK(offset % mii_page_block_bytes(page) == 0 && number < mii_class_blocks(page->size_class));
    CHECK(!met[number]);
    met[number] = true;
    for (uint32_t k = 0; k < mii_class_blocks(page->size_class); k++) CHECK(again[i] != blocks[k]);
  }
  return count;
}

TEST(os_pages_without_a_live_block_go_back) {
  page_t* const page = sparse_page(class_of(1024), 8);  // one in every other OS page
  mii_page_punch(page);
  CHECK_EQ(mii_page_holes(page), 0xAAAA);
  CHECK_EQ(mii_page_capacity(page), 32);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 24);
  CHECK_EQ(touched(page), 8 * UNIT_BYTES);
  CHECK(mii_page_is_valid(page));
  check_live(page);
}

TEST(neighbours_go_back_in_one_call) {
  page_t* const page = sparse_page(class_of(1024), 32);  // two of 16 OS pages have a live block
  mii_page_punch(page);
  CHECK_EQ(fake_calls(FAKE_PURGE), 2);
  CHECK_EQ(fake_bytes(FAKE_PURGE), 14 * UNIT_BYTES);
}

TEST(all_blocks_come_back_by_extension) {
  page_t* const page = sparse_page(class_of(1024), 8);
  mii_page_punch(page);
  CHECK(!mii_page_is_complete(page));
  CHECK_EQ(take_rest(page), 56);
  CHECK(mii_page_is_complete(page));
  CHECK_EQ(mii_page_holes(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 64);
  check_live(page);
}

TEST(a_hole_is_filled_at_a_time) {
  page_t* const page = sparse_page(class_of(1024), 8);
  mii_page_punch(page);
  mii_page_hot(page)->local_free = NULL;
  mii_page_hot(page)->out = (uint16_t)(mii_page_hot(page)->out + 24);
  block_t* taken[BLOCKS_MAX];
  CHECK_EQ(take_next(page, taken), 4);
  CHECK_EQ(mii_page_holes(page), 0xAAA8);
  CHECK_EQ(mii_page_capacity(page), 36);
  CHECK(mii_page_is_valid(page));
}

// Blocks that lie in two OS pages, or in more, or have none of their own; and pages of two slices.
TEST(every_class_keeps_its_blocks) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    for (uint32_t stride = 2; stride < 400; stride = stride * 2 + 1) {
      page_t* const page = sparse_page(c, stride);
      const uint32_t out = mii_page_hot(page)->out;
      const size_t before = touched(page);
      mii_page_punch(page);
      CHECK(mii_page_is_valid(page));
      CHECK(touched(page) <= before);
      const size_t threaded = (size_t)mii_class_blocks(c) * mii_class_bytes(c);
      CHECK(mii_page_holes(page) >> 15 == 0 || threaded > 15 * mii_page_part_bytes(page));
      check_live(page);
      CHECK_EQ(take_rest(page), mii_class_blocks(c) - out);
      CHECK(mii_page_is_complete(page) && mii_page_is_valid(page));
      check_live(page);
      mii_page_hot(page)->out = 0;
      mii_page_arm(page, 1);
      mii_page_unmake(page);
    }
  }
}

TEST(what_is_freed_later_can_go_back_too) {
  page_t* const page = sparse_page(class_of(1024), 8);
  mii_page_punch(page);
  mii_page_arm(page, mii_page_hot(page)->out);
  for (uint32_t i = 0; i < 64; i++) {
    if (blocks[i] != NULL
        && mii_page_hot(page)->out - (mii_page_hot(page)->armed - mii_page_hot(page)->needed) > 1)
      mii_page_push_local(page, blocks[i]), blocks[i] = NULL;
  }
  mii_page_count_local(page);
  mii_page_punch(page);
  CHECK_EQ(mii_count_bits(mii_page_holes(page)), 15);
  CHECK(mii_page_is_valid(page));
  CHECK_EQ(take_rest(page), 63);
}

TEST(a_page_that_is_half_full_or_growing_is_left_alone) {
  page_t* const full = sparse_page(class_of(1024), 1);
  mii_page_punch(full);
  CHECK_EQ(mii_page_holes(full), 0);
  page_t* const growing = new_page(class_of(1024));
  CHECK_EQ(take_next(growing, blocks), 4);
  mii_page_arm(growing, 4);
  for (uint32_t i = 0; i < 3; i++) mii_page_push_local(growing, blocks[i]);
  mii_page_count_local(growing);
  mii_page_punch(growing);
  CHECK_EQ(mii_page_holes(growing), 0);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
}

TEST(where_the_order_is_secret_no_page_has_holes) {
  fake_space_start();
  mii_option_set(mi_option_secure, SECURE_RANDOM);
  mii_secure_fix();
  page_t* const page = sparse_page(class_of(1024), 8);
  mii_page_punch(page);
  CHECK_EQ(mii_page_holes(page), 0);
}

TEST(a_list_that_is_broken_is_left_alone) {
  page_t* const page = sparse_page(class_of(1024), 8);
  block_t* last = mii_page_hot(page)->local_free;
  while (last->next != NULL) last = last->next;
  last->next = mii_page_hot(page)->local_free;
  mii_page_punch(page);
  CHECK_EQ(mii_page_holes(page), 0);
}

TEST(a_refused_purge_costs_nothing_but_the_memory) {
  page_t* const page = sparse_page(class_of(1024), 8);
  fake_fail_from(FAKE_PURGE, 1);
  mii_page_punch(page);
  fake_fail_never();
  CHECK(mii_page_is_valid(page));
  CHECK_EQ(take_rest(page), 56);
}

// As the child of a fork finds it, at any moment: the word says what is threaded.
TEST(a_frozen_page_with_holes_thaws) {
  page_t* const page = sparse_page(class_of(1024), 8);
  mii_page_punch(page);
  mii_page_freeze(page);
  mii_page_thaw(page);
  CHECK(mii_page_is_valid(page));
  CHECK_EQ(mii_page_hot(page)->out, 8);
  CHECK_EQ(take_rest(page), 56);
}

static page_t* frozen_meanwhile;

static void freeze_and_thaw(void* arg) {
  (void)arg;
  mii_page_freeze(frozen_meanwhile);
  mii_page_thaw(frozen_meanwhile);
  CHECK(mii_page_is_valid(frozen_meanwhile));
  CHECK_EQ(take_rest(frozen_meanwhile), 56);
  check_live(frozen_meanwhile);
  _exit(0);
}

TEST(a_fork_during_a_punch_loses_no_live_block) {
  frozen_meanwhile = sparse_page(class_of(1024), 8);
  fake_on_call(FAKE_PURGE, freeze_and_thaw, NULL);
  mii_page_punch(frozen_meanwhile);
  CHECK(false);
}

UNIT_TEST_MAIN
