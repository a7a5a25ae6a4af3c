// SPDX-License-Identifier: MIT
// hint.h - which segments are worth a look, for each of a few questions
//
// One bit per segment and question, with a summary above: finding the lowest segment that answers
// "yes" takes a few loads however large the heap is. A hint may be out of date for a moment; who
// follows it checks the segment itself.
#ifndef MI_HINT_H
#define MI_HINT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum hint_e {
  HINT_SLICES = 0,  // + k, k = 0..6: has 2^k free slices in a row
  HINT_RUNS = 7,    // + k - 3, k = 3..8: is a run area with 2^k free units in a row
  HINT_PURGE = 13,  // has memory to purge
  HINT_COUNT = 14,
} hint_t;

static const uint32_t NO_SEGMENT = UINT32_MAX;

// For segments below `segment_max`. False when out of memory.
bool mii_hint_start(uint32_t segment_max);

// Any thread.
void mii_hint_set(hint_t hint, uint32_t segment, bool on);

// The lowest segment >= from whose hint is on, or NO_SEGMENT.
uint32_t mii_hint_next(hint_t hint, uint32_t from);

bool mii_hint_is_on(hint_t hint, uint32_t segment);

#endif
