// SPDX-License-Identifier: MIT
// page_world.h - for the tests of page/: a started range, pages, all their blocks, the remote word
#ifndef PAGE_WORLD_H
#define PAGE_WORLD_H

#include "support/unit_test.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include "page/page.h"
#include "page/page_fast.h"
#include "page/page_remote.h"
#include "space/segment.h"

enum {
  BLOCKS_MAX = SLICE_BYTES / 8,
  ME = 0x1000,  // the tags of two theaps: nobody looks behind them here
  OTHER = 0x2000,
};

MAYBE_UNUSED static page_t* new_page(uint32_t size_class) {
  page_t* const page = mii_page_make(size_class, NULL, ME);
  CHECK(page != NULL);
  return page;
}

// Takes the next blocks of the page, in order. Returns how many.
MAYBE_UNUSED static uint32_t take_next(page_t* page, block_t** blocks) {
  block_t* block = NULL;
  const uint32_t count = mii_page_extend(page, &block, NULL);
  for (uint32_t i = 0; i < count; i++) {
    CHECK(block != NULL);
    blocks[i] = block;
    block = block->next;
  }
  CHECK(block == NULL);
  return count;
}

// Takes all blocks of a new page.
MAYBE_UNUSED static uint32_t take_all(page_t* page, block_t** blocks) {
  uint32_t total = 0;
  for (uint32_t count; (count = take_next(page, blocks + total)) > 0;) total += count;
  return total;
}

// A page of the class whose blocks are all out. Arms it so that no local free wakes anybody.
MAYBE_UNUSED static page_t* full_page(uint32_t size_class, block_t** blocks) {
  page_t* const page = new_page(size_class);
  CHECK_EQ(take_all(page, blocks), mii_class_blocks(size_class));
  mii_page_arm(page, mii_page_hot(page)->out);
  return page;
}

// The blocks from .. to - 1 as a list that ends with blocks[to - 1].
MAYBE_UNUSED static void link_blocks(block_t** blocks, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i + 1 < to; i++) blocks[i]->next = blocks[i + 1];
}

MAYBE_UNUSED static push_event_t push_list(page_t* page, block_t* head, block_t* tail,
                                           uint32_t count) {
  return mii_page_push_remote(page, head, tail, count, mii_page_epoch(page));
}

MAYBE_UNUSED static push_event_t push_one(page_t* page, block_t* block) {
  return mii_page_push_remote(page, block, block, 1, mii_page_epoch(page));
}

MAYBE_UNUSED static uint32_t length_of(const block_t* list) {
  uint32_t length = 0;
  for (; list != NULL; list = list->next) length++;
  return length;
}

// The remote word, as page_remote.c describes it ---------------------------------------------------

MAYBE_UNUSED static uint64_t word_of_page(const page_t* page) {
  return atomic_load(&mii_slice_cold(mii_page_slice(page))->remote);
}

MAYBE_UNUSED static uint32_t remote_count(const page_t* page) {
  return (uint32_t)(word_of_page(page) >> 28 & 0x3FFF);
}

MAYBE_UNUSED static bool is_owned(const page_t* page) {
  return (word_of_page(page) >> 42 & 1) != 0;
}

MAYBE_UNUSED static uint32_t epoch_of(const page_t* page) {
  return (uint32_t)(word_of_page(page) >> 48);
}

// Nobody owns a page before it can be claimed: `mark` pushes publish it.
MAYBE_UNUSED static uint32_t claim_mark(uint32_t size_class) {
  const uint32_t eighth = mii_class_blocks(size_class) / 8;
  return eighth > 0 ? eighth : 1;
}

#endif
