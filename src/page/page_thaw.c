// SPDX-License-Identifier: MIT
// page_thaw.c - which blocks of a page are free, if nothing about it can be believed
//
// A fork leaves the pages of other threads as they were caught, and not even that: the parent goes on while
// the system copies its memory, so what lies in different OS pages may be from different moments. A link
// may lead anywhere, and a block may be on two lists. So a list is followed as long as its links lead to
// blocks of the page that were not met before; the rest of it counts as in use.
//
// Tests: tests/unit/page/page_thaw_test.c
#include "base/assert.h"
#include "page/page.h"
#include "page/page_remote.h"

enum { BLOCKS_MAX = SLICE_BYTES / 8 };

typedef struct tally_s {
  uint64_t met[(BLOCKS_MAX + 63) / 64];  // bit i: block i
  uint32_t count;
} tally_t;

static bool meet(tally_t* tally, const page_t* page, const block_t* block) {
  if (!mii_page_has_block(page, block)) return false;
  const size_t offset = (size_t)((const uint8_t*)block - mii_page_start(page));
  const size_t index = offset / mii_page_block_bytes(page);
  const uint64_t bit = UINT64_C(1) << index % 64;
  if ((tally->met[index / 64] & bit) != 0) return false;
  tally->met[index / 64] |= bit;
  tally->count++;
  return true;
}

// The good blocks that the list begins with, followed by those of `rest`.
static block_t* keep_good(tally_t* tally, const page_t* page, block_t* list, block_t* rest) {
  block_t* last = NULL;
  for (block_t* block = list; block != NULL && meet(tally, page, block); block = block->next)
    last = block;
  if (last == NULL) return rest;
  last->next = rest;
  return list;
}

void mii_page_thaw(page_t* page) {
  if (page->state != PAGE_FROZEN) return;
  tally_t tally = {0};
  block_t* const own = keep_good(&tally, page, page->local_free, NULL);
  page->local_free = keep_good(&tally, page, mii_page_detach_remote(page), own);
  page->out = (uint16_t)(mii_page_capacity(page) - tally.count);
  mii_page_arm(page, 1);
  page->state = PAGE_DISOWNED;
}
