// SPDX-License-Identifier: MIT
// page_hole.c - one live block keeps a page, but not all of its memory
//
// Where few blocks of a page live, most of its parts have none. They are given back to the system, and are holes from
// then on: a block that lies in one, if only with one byte, is threaded no more (P4), so it is on no list and nobody
// touches it. mii_page_extend brings the blocks back, a hole at a time, before a new page is needed.
//
// Only complete pages have holes. So one word says which blocks are threaded: all but those in holes, or, where there
// are none, the first `capacity` ones. Whoever looks from outside, a walk or the child of a fork, sees one or the
// other, and takes no live block for one that was never handed out.
//
// Tests: tests/unit/page/page_hole_test.c, tests/stress/promise_04.c
#include "base/bits.h"
#include "page/page.h"
#include "page/page_remote.h"
#include "page/page_tally.h"
#include "runtime/secure.h"
#include "space/limit.h"
#include "space/purge.h"

// The blocks that lie in a part, if only with one byte.
typedef struct part_blocks_s {
  uint32_t first;
  uint32_t end;
} part_blocks_t;

static part_blocks_t blocks_in(const page_t* page, uint32_t part) {
  const uint32_t bytes = mii_page_block_bytes(page);
  const size_t begin = part * mii_page_part_bytes(page);
  const size_t end = mii_divide_up(begin + mii_page_part_bytes(page), bytes);
  return (part_blocks_t){(uint32_t)(begin / bytes),
                         (uint32_t)mii_min(end, mii_class_blocks(page->size_class))};
}

// Punching -----------------------------------------------------------------------------------------

// Below half it costs more than it brings.
static bool is_sparse(const page_t* page) {
  const bool was_complete = mii_page_is_complete(page) || mii_page_holes(page) != 0;
  return was_complete && 2 * mii_page_hot(page)->out <= mii_class_blocks(page->size_class);
}

// False if the list is not what it should be.
static bool meet_free(tally_t* tally, const page_t* page) {
  for (const block_t* block = mii_page_hot(page)->local_free; block != NULL; block = block->next) {
    if (!mii_tally_meet(tally, page, block)) return false;
  }
  return true;
}

static bool is_part_free(const tally_t* tally, const page_t* page, uint32_t part) {
  const part_blocks_t blocks = blocks_in(page, part);
  bool all = blocks.first < blocks.end;
  for (uint32_t i = blocks.first; all && i < blocks.end; i++)
    all = mii_tally_has(tally, i) || mii_page_is_in_holes(page, i, mii_page_holes(page));
  return all;
}

// Take the blocks that lie in the holes off the list. Returns how many.
static uint32_t unlink_blocks(page_t* page, uint32_t holes) {
  uint32_t count = 0;
  for (block_t** link = &mii_page_hot(page)->local_free; *link != NULL;) {
    const size_t offset = (size_t)((uint8_t*)*link - mii_page_start(page));
    const uint32_t index = (uint32_t)(offset / mii_page_block_bytes(page));
    if (mii_page_is_in_holes(page, index, holes)) {
      *link = (*link)->next;
      count++;
    } else {
      link = &(*link)->next;
    }
  }
  return count;
}

static void purge_parts(const page_t* page, uint32_t parts) {
  const size_t bytes = mii_page_part_bytes(page);
  while (parts != 0) {
    const uint32_t first = mii_lowest_bit(parts);
    const uint32_t count = mii_lowest_bit(~(uint64_t)(parts >> first));
    mii_purge_memory(mii_page_start(page) + first * bytes, count * bytes);
    parts &= ~(uint32_t)mii_bit_span(first, count);
  }
}

MI_COLD void mii_page_punch(page_t* page) {
  tally_t tally = {0};
  if (MI_CFG_TRACK != 0 || mii_secure_level() >= SECURE_RANDOM) return;
  if (!is_sparse(page) || !meet_free(&tally, page)) return;
  const uint32_t before = mii_page_holes(page);
  uint32_t holes = before;
  for (uint32_t part = 0; part < PAGE_PARTS; part++) {
    if ((before >> part & 1) == 0 && is_part_free(&tally, page, part)) holes |= 1u << part;
  }
  if (holes == before) return;
  const uint32_t count = unlink_blocks(page, holes);
  mii_page_set_threaded(page, mii_page_capacity(page) - count, holes);
  mii_slice_cold(mii_page_slice(page))->touched = 0;
  purge_parts(page, holes & ~before);
  mii_limit_discharge(mii_count_bits(holes & ~before) * mii_page_part_bytes(page));
}

// Filling ------------------------------------------------------------------------------------------

// Large blocks come back when the last of their holes is filled.
uint32_t mii_page_fill_hole(page_t* page, block_t** first) {
  const size_t before = mii_page_hole_bytes(page);
  uint32_t holes = mii_page_holes(page);
  uint32_t count = 0;
  *first = NULL;
  while (holes != 0 && count == 0) {
    const part_blocks_t blocks = blocks_in(page, mii_lowest_bit(holes));
    const uint32_t rest = holes & (holes - 1);
    for (uint32_t i = blocks.end; i-- > blocks.first;) {
      if (mii_page_is_in_holes(page, i, rest)) continue;
      block_t* const block =
          (block_t*)(mii_page_start(page) + (size_t)i * mii_page_block_bytes(page));
      block->next = *first;
      *first = block;
      count++;
    }
    holes = rest;
  }
  mii_page_set_threaded(page, mii_page_capacity(page) + count, holes);
  mii_page_hot(page)->out = (uint16_t)(mii_page_hot(page)->out + count);
  mii_limit_charge_anyway(before - mii_page_hole_bytes(page));
  return count;
}
