// SPDX-License-Identifier: MIT
// page_verify.c - is this page what page.h says?
//
// Compiled in every build, called in debug builds and by the tests, on broken pages too.
#include "base/assert.h"
#include "page/page.h"
#include "page/page_remote.h"

bool mii_page_has_block(const page_t* page, const void* p) {
  const uintptr_t start = (uintptr_t)mii_page_start(page);
  const uint32_t bytes = mii_page_block_bytes(page);
  if ((uintptr_t)p < start) return false;
  const uintptr_t offset = (uintptr_t)p - start;
  const uint32_t blocks = mii_class_blocks(page->size_class);
  if (offset % bytes != 0 || offset / bytes >= blocks) return false;
  const uint32_t holes = mii_page_holes(page);
  if (holes != 0) return !mii_page_is_in_holes(page, (uint32_t)(offset / bytes), holes);
  const uint32_t order = (uint32_t)(offset / bytes) + blocks - mii_page_index(page, 0);
  return (order < blocks ? order : order - blocks) < mii_page_capacity(page);
}

static bool holes_are_right(const page_t* page) {
  const uint32_t holes = mii_page_holes(page);
  uint32_t threaded = 0;
  for (uint32_t i = 0; holes != 0 && i < mii_class_blocks(page->size_class); i++)
    threaded += !mii_page_is_in_holes(page, i, holes);
  return holes == 0 || threaded == mii_page_capacity(page);
}

// capacity + 1 if the list leaves the page or does not end.
static uint32_t list_length(const page_t* page, const block_t* block) {
  uint32_t length = 0;
  for (; block != NULL; block = block->next) {
    if (!mii_page_has_block(page, block) || length == mii_page_capacity(page))
      return mii_page_capacity(page) + 1u;
    length++;
  }
  return length;
}

MI_COLD bool mii_page_is_valid(page_t* page) {
  const slice_t slice = mii_page_slice(page);
  const uint32_t seen_frees = mii_hot_frees(mii_page_hot(page));
  return MI_HOLDS(mii_slice_kind(slice) == SLICE_PAGE) && MI_HOLDS(page->size_class < CLASS_COUNT)
         && MI_HOLDS(mii_page_capacity(page) <= mii_class_blocks(page->size_class))
         && MI_HOLDS(holes_are_right(page))  // P4
         && MI_HOLDS(mii_page_hot(page)->needed > 0
                     && mii_page_hot(page)->needed <= mii_page_hot(page)->armed)  // P3
         && MI_HOLDS(mii_page_hot(page)->out <= mii_page_capacity(page))
         && MI_HOLDS(seen_frees <= mii_page_hot(page)->out)
         && MI_HOLDS(list_length(page, mii_page_hot(page)->local_free)
                     == mii_page_free_count(page) + seen_frees);  // P2
}
