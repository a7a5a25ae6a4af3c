// SPDX-License-Identifier: MIT
// page_make.c - slices -> page -> slices, and threading more blocks
//
// Tests: tests/unit/page/page_make_test.c
#include "base/assert.h"
#include "page/page.h"
#include "page/page_remote.h"
#include "space/segment.h"

page_t* mii_page_make(uint32_t size_class, heap_t* heap, uintptr_t owner) {
  const uint32_t slices = mii_class_slices(size_class);
  bool zero;
  const slice_t slice = mii_segment_take((slice_request_t){.count = slices}, &zero);
  if (slice == 0) return NULL;

  page_t* const page = mii_page_record(slice);
  page->local_free = NULL;
  mii_page_set_capacity(page, 0);
  page->out = 0;
  page->size_class = (uint8_t)size_class;
  page->state = PAGE_NONE;
  mii_page_arm(page, 1);
  mii_slice_cold(slice)->heap = heap;
  mii_page_own_new(page);
  atomic_store_explicit(&page->owner, owner, memory_order_relaxed);
  mii_slice_set_kind(slice, SLICE_PAGE);
  if (slices > 1) mii_slice_set_kind(slice + 1, SLICE_FOLLOW);
  return page;
}

void mii_page_unmake(page_t* page) {
  MI_ASSERT(page->out == 0);
  const slice_t slice = mii_page_slice(page);
  const uint32_t slices = mii_class_slices(page->size_class);
  mii_page_retire_word(page);
  atomic_store_explicit(&page->owner, 0, memory_order_relaxed);
  page->local_free = NULL;
  page->state = PAGE_NONE;
  for (uint32_t i = 0; i < slices; i++) mii_slice_set_kind(slice + i, SLICE_FREE);
  mii_segment_give(slice, slices);
}

// How many blocks there are once the 4 KiB in which the next one ends are threaded.
static uint32_t next_capacity(const page_t* page) {
  const uint32_t bytes = mii_page_block_bytes(page);
  const size_t end_of_next = (mii_page_capacity(page) + (size_t)1) * bytes;
  const size_t reached = mii_align_up(end_of_next, UNIT_BYTES) / bytes;
  return (uint32_t)mii_min(reached, mii_class_blocks(page->size_class));
}

uint32_t mii_page_extend(page_t* page, block_t** first) {
  const uint32_t bytes = mii_page_block_bytes(page);
  const uint32_t from = mii_page_capacity(page);
  const uint32_t to = next_capacity(page);
  if (to == from) return 0;
  uint8_t* const start = mii_page_start(page);
  block_t* block = (block_t*)(start + (size_t)from * bytes);
  *first = block;
  for (uint32_t i = from + 1; i < to; i++) {
    block_t* const next = (block_t*)((uint8_t*)block + bytes);
    block->next = next;
    block = next;
  }
  block->next = NULL;
  mii_page_set_capacity(page, to);
  page->out = (uint16_t)(page->out + (to - from));
  return to - from;
}
