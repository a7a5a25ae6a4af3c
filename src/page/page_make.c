// SPDX-License-Identifier: MIT
// page_make.c - slices -> page -> slices, and threading more blocks
//
// Tests: tests/unit/page/page_make_test.c
#include "base/assert.h"
#include "page/page.h"
#include "page/page_remote.h"
#include "space/limit.h"
#include "space/segment.h"

// Threaded at a time: memory that was never touched is not to be touched early; touched memory costs nothing, so there it
// is a number of blocks that a refill is worth.
enum {
  STEP_FRESH = UNIT_BYTES,
  STEP_TOUCHED = 4 * UNIT_BYTES,  // at least, and
  STEP_BLOCKS = 128,              // at least so many
  SHUFFLED_MAX = 256,
};

static size_t threaded_bytes(const page_t* page) {
  return (size_t)mii_page_capacity(page) * mii_page_block_bytes(page);
}

page_t* mii_page_make_in(uint32_t size_class, const page_home_t* home, uintptr_t owner) {
  const uint32_t slices = mii_class_slices(size_class);
  bool zero;
  const slice_t slice =
      mii_segment_take((slice_request_t){.count = slices, .bounds = home->bounds}, &zero);
  if (slice == 0) return NULL;

  page_t* const page = mii_page_record(slice);
  mii_page_hot(page)->local_free = NULL;
  mii_page_set_capacity(page, 0);
  mii_page_hot(page)->out = 0;
  page->size_class = mii_page_hot(page)->size_class = (uint8_t)size_class;
  mii_page_hot(page)->state = PAGE_NONE;
  mii_page_arm(page, 1);
  mii_page_set_heap(page, home->heap, home->is_apart);
  if (zero) mii_slice_cold(slice)->touched = 0;
  mii_page_own_new(page);
  atomic_store_explicit(&page->owner, owner, memory_order_relaxed);
  mii_slice_set_kind(slice, SLICE_PAGE);
  if (slices > 1) mii_slice_set_kind(slice + 1, SLICE_FOLLOW);
  return page;
}

page_t* mii_page_make(uint32_t size_class, heap_t* heap, uintptr_t owner) {
  return mii_page_make_in(size_class, &(page_home_t){.heap = heap}, owner);
}

void mii_page_unmake(page_t* page) {
  MI_ASSERT(mii_page_hot(page)->out == 0);
  const slice_t slice = mii_page_slice(page);
  const uint32_t slices = mii_class_slices(page->size_class);
  page_cold_t* const cold = mii_slice_cold(slice);
  cold->touched = (uint8_t)mii_max(cold->touched, mii_divide_up(threaded_bytes(page), UNIT_BYTES));
  if (MI_UNLIKELY(mii_page_holes(page) != 0)) mii_limit_charge_anyway(mii_page_hole_bytes(page));
  mii_page_retire_word(page);
  atomic_store_explicit(&page->owner, 0, memory_order_relaxed);
  mii_page_hot(page)->local_free = NULL;
  mii_page_hot(page)->state = PAGE_NONE;
  for (uint32_t i = 0; i < slices; i++) mii_slice_set_kind(slice + i, SLICE_FREE);
  mii_segment_give(slice, slices);
}

void mii_page_discard(page_t* page) {
  mii_page_detach_remote(page);
  mii_page_hot(page)->out = 0;
  mii_page_unmake(page);
}

// Bytes that an earlier page has touched and this one can thread next. Many heaps are small, and end soon: their pages
// begin with a little.
static size_t touched_ahead(const page_t* page) {
  const size_t threaded = threaded_bytes(page);
  const size_t touched = (size_t)mii_slice_cold(mii_page_slice(page))->touched * UNIT_BYTES;
  if (mii_page_is_apart(page) && threaded < STEP_TOUCHED) return 0;
  return touched > threaded ? touched - threaded : 0;
}

// How many blocks to thread from the one at `index` on: if that is not touched, up to the end of the OS page in which
// it ends, or of the page. Not over those threaded first.
static uint32_t blocks_in_step(const page_t* page, uint32_t index) {
  const uint32_t bytes = mii_page_block_bytes(page);
  const uint32_t blocks = mii_class_blocks(page->size_class);
  const size_t ahead = touched_ahead(page);
  const size_t reached = mii_align_up((index + (size_t)1) * bytes, STEP_FRESH) / bytes;
  size_t count = mii_min(reached, blocks) - index;
  if (ahead >= STEP_TOUCHED)
    count =
        mii_max(count, mii_min(ahead, mii_max(STEP_TOUCHED, (size_t)STEP_BLOCKS * bytes)) / bytes);
  return (uint32_t)mii_min(count, blocks - mii_page_capacity(page));
}

static block_t* link_in_order(uint8_t* block, uint32_t bytes, uint32_t count) {
  block_t* const first = (block_t*)block;
  uint8_t* const last = block + (size_t)(count - 1) * bytes;
  while (block != last) {
    block += bytes;
    ((block_t*)(block - bytes))->next = (block_t*)block;
  }
  ((block_t*)last)->next = NULL;
  return first;
}

// From `index` on; behind the last block of the page comes its first.
static block_t* link_around(const page_t* page, uint32_t index, uint32_t count) {
  const uint32_t bytes = mii_page_block_bytes(page);
  const uint32_t behind = mii_class_blocks(page->size_class) - index;
  uint8_t* const start = mii_page_start(page) + (size_t)index * bytes;
  block_t* const first = link_in_order(start, bytes, (uint32_t)mii_min(count, behind));
  if (count > behind) {
    block_t* const last = (block_t*)(start + (size_t)(behind - 1) * bytes);
    last->next = link_in_order(mii_page_start(page), bytes, count - behind);
  }
  return first;
}

// All orders are as likely (Fisher and Yates).
static block_t* link_shuffled(uint8_t* start, uint32_t bytes, uint32_t count, rng_t* rng) {
  uint8_t left[SHUFFLED_MAX];
  block_t* first = NULL;
  for (uint32_t i = 0; i < count; i++) left[i] = (uint8_t)i;
  for (; count > 0; count--) {
    const uint32_t chosen = mii_rng_below(rng, count);
    block_t* const block = (block_t*)(start + (size_t)left[chosen] * bytes);
    left[chosen] = left[count - 1];
    block->next = first;
    first = block;
  }
  return first;
}

uint32_t mii_page_extend(page_t* page, block_t** first, rng_t* rng) {
  if (mii_page_is_complete(page)) return 0;
  if (MI_UNLIKELY(mii_page_holes(page) != 0)) return mii_page_fill_hole(page, first);
  const uint32_t index = mii_page_index(page, mii_page_capacity(page));
  uint32_t count = blocks_in_step(page, index);
  if (MI_LIKELY(rng == NULL)) {
    *first = link_around(page, index, count);
  } else {
    const uint32_t bytes = mii_page_block_bytes(page);
    const uint32_t behind = mii_class_blocks(page->size_class) - index;
    count = (uint32_t)mii_min(mii_min(count, behind), SHUFFLED_MAX);
    *first = link_shuffled(mii_page_start(page) + (size_t)index * bytes, bytes, count, rng);
  }
  mii_page_set_capacity(page, mii_page_capacity(page) + count);
  mii_page_hot(page)->out = (uint16_t)(mii_page_hot(page)->out + count);
  return count;
}
