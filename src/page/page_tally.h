// SPDX-License-Identifier: MIT
// page_tally.h - which blocks of a page were met so far
#ifndef MI_PAGE_TALLY_H
#define MI_PAGE_TALLY_H

#include "page/page.h"

enum { TALLY_BLOCKS = SLICE_BYTES / 8 };  // of the page that has most

typedef struct tally_s {
  uint64_t met[(TALLY_BLOCKS + 63) / 64];  // bit i: block i
  uint32_t count;
} tally_t;

// False if the page has no such block, or it was met before.
static inline bool mii_tally_meet(tally_t* tally, const page_t* page, const block_t* block) {
  if (!mii_page_has_block(page, block)) return false;
  const size_t offset = (size_t)((const uint8_t*)block - mii_page_start(page));
  const size_t index = offset / mii_page_block_bytes(page);
  const uint64_t bit = UINT64_C(1) << index % 64;
  if ((tally->met[index / 64] & bit) != 0) return false;
  tally->met[index / 64] |= bit;
  tally->count++;
  return true;
}

static inline bool mii_tally_has(const tally_t* tally, uint32_t index) {
  return (tally->met[index / 64] >> index % 64 & 1) != 0;
}

#endif
