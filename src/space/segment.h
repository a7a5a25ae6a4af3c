// SPDX-License-Identifier: MIT
// segment.h - claim and release slices
#ifndef MI_SEGMENT_H
#define MI_SEGMENT_H

#include "space/record.h"

// Segments from..end-1. An end of 0: anywhere, but not where memory is set apart for others.
typedef struct segment_bounds_s {
  uint32_t from;
  uint32_t end;
} segment_bounds_t;

// A request for `count` slices in a row. The address of the first is `phase` slices past a multiple of
// `align` slices (a power of two; phase < align). Zero-filled fields mean: no wish.
typedef struct slice_request_s {
  uint32_t count;
  uint32_t align;
  uint32_t phase;
  segment_bounds_t bounds;
} slice_request_t;

// Claim slices; opens more of the range when needed. *zero tells whether the memory is known to be
// zero. Returns the first slice, or 0 when the range is full or the system refuses. Any thread.
slice_t mii_segment_take(slice_request_t want, bool* zero);

// Claim exactly these slices if all are free. Any thread.
bool mii_segment_try_claim(slice_t first, uint32_t count, bool* zero);

// The same, wherever they lie: what is set apart is not respected.
bool mii_segment_claim_all(slice_t first, uint32_t count, bool* zero);

// Segments from..end-1 have been opened.
void mii_segments_refresh(uint32_t from, uint32_t end);

// Release claimed slices; their memory is purged when it has been free for a while. Any thread.
void mii_segment_give(slice_t first, uint32_t count);

// The same of slices that read as zero: there is nothing to purge.
void mii_segment_give_zero(slice_t first, uint32_t count);

// How much of a segment is purged by a call: at most so many slices, in at most so many runs; of units as much. A call
// of the program's own may take 50 us in all (promise 16), in which the system takes back about 300 KiB.
typedef struct purge_limit_s {
  uint32_t run_max;
  uint32_t slice_max;
} purge_limit_t;
static const purge_limit_t PURGE_NO_LIMIT = {UINT16_MAX, SEGMENT_SLICES};
static const purge_limit_t PURGE_PER_CALL = {4, 4};
static const purge_limit_t PURGE_ONE_SLICE = {1, 1};

// Give free memory of segment `index` back to the system: all, or some; the rest is looked for later. `now` (ms) if
// its delay is over, so that it counts whether it is soon wanted again (mii_purge_delay); else 0. Any thread.
void mii_segment_purge(uint32_t index);
void mii_segment_purge_some(uint32_t index, purge_limit_t limit, uint64_t now);

// Is no slice of any segment in use?
bool mii_segments_are_unused(void);

// Bytes of slices and runs that are in use and may be resident, about: large heaps are sampled.
size_t mii_segments_used_bytes(void);

// Note that the segment has memory to purge, from now on if it had none.
void mii_segment_note_purgeable(uint32_t index);

// In the child of a fork, where no other thread runs: the slices of `used` are in use, no others; and the
// hints are not to be believed.
void mii_segment_reclaim(uint32_t index, uint64_t used);

// What is to be charged (limit.h), found by a walk: dirty slices, and dirty units of run areas.
size_t mii_segments_dirty_bytes(void);

// No thread changes the segment meanwhile.
bool mii_segment_is_valid(uint32_t index);

#endif
