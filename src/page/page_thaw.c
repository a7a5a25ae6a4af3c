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
#include "page/page_tally.h"

// The good blocks that the list begins with, followed by those of `rest`.
static block_t* keep_good(tally_t* tally, const page_t* page, block_t* list, block_t* rest) {
  block_t* last = NULL;
  for (block_t* block = list; block != NULL && mii_tally_meet(tally, page, block);
       block = block->next)
    last = block;
  if (last == NULL) return rest;
  last->next = rest;
  return list;
}

void mii_page_thaw(page_t* page) {
  if (mii_page_hot(page)->state != PAGE_FROZEN) return;
  tally_t tally = {0};
  block_t* const own = keep_good(&tally, page, mii_page_hot(page)->local_free, NULL);
  mii_page_hot(page)->local_free = keep_good(&tally, page, mii_page_detach_remote(page), own);
  mii_page_hot(page)->out = (uint16_t)(mii_page_capacity(page) - tally.count);
  mii_page_arm(page, 1);
  mii_page_hot(page)->state = PAGE_DISOWNED;
}
