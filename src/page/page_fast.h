// SPDX-License-Identifier: MIT
// page_fast.h - the two list operations that are inlined into malloc and free
#ifndef MI_PAGE_FAST_H
#define MI_PAGE_FAST_H

#include "base/compiler.h"
#include "space/range.h"

// Take the first block off a list; NULL if it is empty.
MI_INLINE void* mii_list_pop(block_t** list) {
  block_t* const block = *list;
  if (MI_UNLIKELY(block == NULL)) return NULL;
  *list = block->next;
  return block;
}

// Owner only. True when the owner has to look at the page: mii_theap_wake.
MI_INLINE bool mii_hot_push_local(page_hot_t* hot, block_t* block) {
  block->next = hot->local_free;
  hot->local_free = block;
  return --hot->needed == 0;
}
static inline bool mii_page_push_local(page_t* page, block_t* block) {
  return mii_hot_push_local(mii_page_hot(page), block);
}

#endif
