// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/page/page_world.h"

static size_t area_of(uint32_t size_class) {
  return (size_t)mii_class_slices(size_class) * SLICE_BYTES;
}

static bool is_slice_free(slice_t slice) {
  const uint64_t free = atomic_load(&mii_segment(slice / SEGMENT_SLICES)->free);
  return (free >> (slice % SEGMENT_SLICES) & 1) != 0;
}

TEST(a_new_page_is_owned_and_has_no_block) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    heap_t* const heap = (heap_t*)(uintptr_t)64;  // never looked at
    page_t* const page = mii_page_make(c, heap, ME);
    CHECK(page != NULL);
    CHECK_EQ(mii_page_owner(page), ME);
    CHECK_EQ(page->size_class, c);
    CHECK_EQ(mii_page_hot(page)->state, PAGE_NONE);
    CHECK_EQ(mii_page_capacity(page), 0);
    CHECK_EQ(mii_page_hot(page)->out, 0);
    CHECK(mii_page_hot(page)->local_free == NULL);
    CHECK(mii_slice_cold(mii_page_slice(page))->heap == heap);
    CHECK(is_owned(page));
    CHECK(!mii_page_is_queued(page));
    CHECK_EQ(remote_count(page), 0);
    CHECK(mii_page_is_valid(page));
  }
  CHECK(fake_space_is_valid());
}

TEST(a_page_is_one_slice_to_8_KiB_and_two_above) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    const slice_t slice = mii_page_slice(page);
    CHECK_EQ(mii_class_slices(c), mii_class_bytes(c) <= 8 * KiB ? 1 : 2);
    CHECK(mii_page_record(slice) == page);
    CHECK(!is_slice_free(slice));
    CHECK_EQ(mii_slice_kind(slice), SLICE_PAGE);
    CHECK_EQ((uintptr_t)mii_page_start(page) % SLICE_BYTES, 0);
    CHECK(fake_is_all(mii_page_start(page), area_of(c), FAKE_OPENED));
    if (mii_class_slices(c) == 1) continue;
    CHECK(!is_slice_free(slice + 1));
    CHECK_EQ(mii_slice_kind(slice + 1), SLICE_FOLLOW);
  }
}

TEST(a_complete_page_has_all_blocks_that_fit) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    const size_t bytes = mii_page_block_bytes(page);
    const uint32_t count = take_all(page, blocks);
    CHECK_EQ(count, area_of(c) / bytes);
    CHECK_EQ(mii_page_capacity(page), count);
    CHECK(mii_page_is_complete(page));
    for (uint32_t i = 0; i < count; i++) {
      CHECK((uint8_t*)blocks[i] == mii_page_start(page) + mii_page_index(page, i) * bytes);
    }
    block_t* first;
    CHECK_EQ(mii_page_extend(page, &first, NULL), 0);
    CHECK_EQ(mii_page_capacity(page), count);
  }
}

TEST(blocks_are_aligned_to_the_power_of_two_in_their_size) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    const uint32_t bytes = mii_page_block_bytes(page);
    const uint32_t count = take_all(page, blocks);
    for (uint32_t i = 0; i < count; i++) CHECK_EQ((uintptr_t)blocks[i] % (bytes & (0 - bytes)), 0);
  }
}

TEST(extending_threads_the_blocks_to_the_end_of_the_4_KiB_in_which_the_next_one_ends) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    const size_t bytes = mii_page_block_bytes(page);
    while (!mii_page_is_complete(page)) {
      const size_t before = page->capacity;
      const uint32_t index = mii_page_index(page, (uint32_t)before);
      const size_t border = ((index + 1u) * bytes + 4095) / 4096 * 4096;
      const uint32_t count = take_next(page, blocks);
      CHECK(count > 0);
      CHECK_EQ(mii_page_capacity(page), before + count);
      CHECK((uint8_t*)blocks[0] == mii_page_start(page) + index * bytes);
      CHECK((index + count) * bytes <= border);
      const bool at_end = index + count == mii_class_blocks(c);
      CHECK((index + count + 1u) * bytes > border || at_end || mii_page_is_complete(page));
      CHECK(blocks[count - 1]->next == NULL);
    }
  }
}

TEST(pages_begin_at_16_different_places_each_at_the_start_of_an_OS_page_or_in_its_first_block) {
  fake_space_start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t bytes = mii_class_bytes(c);
    uint32_t seen = 0;
    for (int i = 0; i < 16; i++) {
      page_t* const page = new_page(c);
      const uint32_t begin = mii_page_index(page, 0) * bytes;
      CHECK(mii_page_index(page, 0) < mii_class_blocks(c));
      CHECK(begin % 4096 < bytes);
      seen |= 1u << (begin / 4096 % 16);
    }
    if (bytes <= 1024) CHECK(mii_count_bits(seen) >= 15);
  }
}

TEST(memory_that_an_earlier_page_has_touched_is_threaded_faster) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  page_t* const first = new_page(mii_size_class(64));
  for (int i = 0; i < 5; i++) CHECK_EQ(take_next(first, blocks), 64);
  mii_page_hot(first)->local_free = NULL;
  mii_page_hot(first)->out = 0;
  mii_page_unmake(first);
  page_t* const second = new_page(mii_size_class(64));
  CHECK(second == first);
  CHECK_EQ(mii_slice_cold(mii_page_slice(second))->touched, 5);
  CHECK(take_next(second, blocks) >= 3 * 64);  // to a multiple of 16 KiB
  CHECK_EQ(take_next(second, blocks), 64);
  CHECK_EQ(take_next(second, blocks), 64);
}

TEST(extending_touches_no_memory_behind_the_threaded_blocks) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = new_page(c);
    uint8_t* const start = mii_page_start(page);
    CHECK_EQ(fake_touched_bytes(start, area_of(c)), 0);
    while (!mii_page_is_complete(page)) {
      const uint32_t count = take_next(page, blocks);
      const size_t end = mii_align_up((size_t)((uint8_t*)(blocks[count - 1] + 1) - start), 4096);
      const size_t border = mii_page_index(page, 0) * mii_page_block_bytes(page) / 4096 * 4096;
      const bool wrapped = mii_page_index(page, page->capacity - 1u) < mii_page_index(page, 0);
      const size_t until = wrapped ? border : area_of(c);
      if (end < until) CHECK_EQ(fake_touched_bytes(start + end, until - end), 0);
    }
  }
}

TEST(extending_counts_the_blocks_as_out) {
  fake_space_start();
  page_t* const page = new_page(mii_size_class(64));
  block_t* first;
  CHECK_EQ(mii_page_extend(page, &first, NULL), 64);
  CHECK_EQ(mii_page_hot(page)->out, 64);
  CHECK_EQ(mii_page_free_count(page), 0);
  CHECK_EQ(mii_page_extend(page, &first, NULL), 64);
  CHECK_EQ(mii_page_hot(page)->out, 128);
  CHECK(mii_page_hot(page)->local_free == NULL);
  CHECK(mii_page_is_valid(page));
}

TEST(extending_leaves_local_frees_alone) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  page_t* const page = new_page(mii_size_class(64));
  const uint32_t count = take_next(page, blocks);
  mii_page_arm(page, 10);
  CHECK(!mii_page_push_local(page, blocks[0]));
  CHECK(!mii_page_push_local(page, blocks[1]));
  CHECK(take_next(page, blocks + count) > 0);
  CHECK(mii_page_hot(page)->local_free == blocks[1] && blocks[1]->next == blocks[0]);
  CHECK(mii_page_is_valid(page));
}

TEST(a_push_tells_when_the_owner_has_to_look) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  page_t* const page = new_page(mii_size_class(64));
  take_next(page, blocks);
  mii_page_arm(page, 3);
  CHECK(!mii_page_push_local(page, blocks[0]));
  CHECK(!mii_page_push_local(page, blocks[1]));
  CHECK_EQ(mii_page_hot(page)->out, 64);  // until counted
  CHECK(mii_page_push_local(page, blocks[2]));
  mii_page_count_local(page);
  CHECK_EQ(mii_page_hot(page)->out, 61);
  CHECK_EQ(mii_page_free_count(page), 3);
  CHECK_EQ(length_of(mii_page_hot(page)->local_free), 3);
}

TEST(counting_twice_counts_once) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  page_t* const page = full_page(mii_size_class(48), blocks);
  const uint32_t all = mii_page_hot(page)->out;
  for (uint32_t i = 0; i < 5; i++) mii_page_push_local(page, blocks[i]);
  mii_page_count_local(page);
  mii_page_count_local(page);
  CHECK_EQ(mii_page_hot(page)->out, all - 5);
  CHECK_EQ(mii_page_hot(page)->needed, all - 5);
  CHECK(mii_page_is_valid(page));
  mii_page_push_local(page, blocks[5]);
  mii_page_count_local(page);
  CHECK_EQ(mii_page_hot(page)->out, all - 6);
}

TEST(popping_a_list_takes_its_blocks_in_order) {
  block_t third = {NULL};
  block_t second = {&third};
  block_t first = {&second};
  block_t* list = &first;
  CHECK(mii_list_pop(&list) == &first);
  CHECK(mii_list_pop(&list) == &second);
  CHECK(mii_list_pop(&list) == &third);
  CHECK(mii_list_pop(&list) == NULL);
  CHECK(mii_list_pop(&list) == NULL);
}

// Frees all blocks of a full page, so that it may end.
static void empty_page(page_t* page, block_t** blocks) {
  for (uint32_t i = 0; i < page->capacity; i++) mii_page_push_local(page, blocks[i]);
  mii_page_count_local(page);
  CHECK_EQ(mii_page_hot(page)->out, 0);
}

TEST(unmaking_gives_the_slices_back) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    page_t* const page = full_page(c, blocks);
    const slice_t slice = mii_page_slice(page);
    empty_page(page, blocks);
    mii_page_unmake(page);
    for (uint32_t i = 0; i < mii_class_slices(c); i++) {
      CHECK(is_slice_free(slice + i));
      CHECK_EQ(mii_slice_kind(slice + i), SLICE_FREE);
    }
    CHECK_EQ(mii_page_owner(page), 0);
    CHECK_EQ(mii_page_hot(page)->state, PAGE_NONE);
    CHECK(!is_owned(page));
    CHECK(fake_space_is_valid());
    CHECK_EQ(mii_page_slice(new_page(c)), slice);  // the same slices again
    mii_page_unmake(page);
  }
}

TEST(a_page_without_blocks_can_be_unmade) {
  fake_space_start();
  page_t* const page = new_page(10);
  mii_page_unmake(page);
  CHECK(is_slice_free(mii_page_slice(page)));
  CHECK(fake_space_is_valid());
}

TEST(a_page_in_used_slices_is_like_a_new_one) {
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  page_t* const before = full_page(mii_size_class(8), blocks);
  empty_page(before, blocks);
  memset(mii_page_start(before), 0xA5, SLICE_BYTES);
  mii_page_unmake(before);
  page_t* const page = new_page(mii_size_class(1024));
  CHECK(page == before);
  CHECK_EQ(mii_page_capacity(page), 0);
  CHECK_EQ(mii_page_hot(page)->out, 0);
  CHECK(mii_page_hot(page)->local_free == NULL);
  CHECK_EQ(take_all(page, blocks), 64);
  CHECK(mii_page_is_valid(page));
}

TEST(unmaking_a_page_with_blocks_out_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  fake_space_start();
  page_t* const page = new_page(10);
  block_t* first;
  mii_page_extend(page, &first, NULL);
  CHECK(stops_the_process((void (*)(void*))mii_page_unmake, page));
}

TEST(unmaking_a_queued_page_is_a_bug) {
  if (MI_ASSERT_LEVEL == 0) return;
  fake_space_start();
  static block_t* blocks[BLOCKS_MAX];
  const uint32_t c = mii_size_class(32 * KiB);
  page_t* const page = full_page(c, blocks);
  for (uint32_t i = 0; i < mii_class_blocks(c); i++) push_one(page, blocks[i]);
  mii_page_collect_remote(page);
  CHECK_EQ(mii_page_hot(page)->out, 0);
  CHECK(mii_page_is_queued(page));
  CHECK(stops_the_process((void (*)(void*))mii_page_unmake, page));
  mii_page_unqueue(page);
  mii_page_unmake(page);
}

TEST(no_page_is_made_when_the_range_is_used_up) {
  fake_facts.memory_bytes = 4 * MiB;  // a range of 64 MiB
  fake_space_start();
  uint32_t pages = 0;
  while (mii_page_make(0, NULL, ME) != NULL) pages++;
  CHECK_EQ(pages, mii_range.slice_max - 1);
  CHECK(mii_page_make(CLASS_COUNT - 1, NULL, ME) == NULL);
  CHECK(fake_space_is_valid());
  mii_page_unmake(mii_page_record(77));
  page_t* const page = mii_page_make(3, NULL, ME);
  CHECK(page != NULL && mii_page_slice(page) == 77);
}

TEST(no_page_is_made_when_the_system_refuses) {
  fake_space_start();
  fake_fail_from(FAKE_OPEN, 1);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) CHECK(mii_page_make(c, NULL, ME) == NULL);
  fake_fail_never();
  CHECK(mii_page_make(0, NULL, ME) != NULL);
  CHECK(fake_space_is_valid());
}

UNIT_TEST_MAIN
