// SPDX-License-Identifier: MIT
// run.h - blocks of 32 KiB to 1 MiB, as runs of 4 KiB units in shared segments
#ifndef MI_RUN_H
#define MI_RUN_H

#include "space/record.h"

// A request for `count` units in a row (1 .. RUN_UNITS_MAX). The address of the first is `phase`
// units past a multiple of `align` units (a power of two up to AREA_UNITS; phase < align).
// Zero-filled fields mean: no wish.
typedef struct run_request_s {
  uint32_t count;
  uint32_t align;
  uint32_t phase;
} run_request_t;

// Take a run. `*segment` is where to look first (0: nowhere), and where the run was found. *zero tells
// whether the memory is known to be zero. NULL when out of memory. Any thread.
void* mii_run_take(run_request_t want, uint32_t* segment, bool* zero);

// Give a run back; p lies in its first unit. False if no run begins there. Any thread.
bool mii_run_give(void* p);

// Bytes of the live run that p lies in the first unit of, from the start of that unit; 0 if no run
// begins there.
size_t mii_run_bytes(const void* p);

// Make the live run of p `count` units long without moving it. False if the units behind it are in
// use. Any thread that may free the block.
bool mii_run_resize(void* p, uint32_t count);

// Give free units of the segment back to the system, if it is a run area: all, or at most `unit_max` by at most
// `call_max` system calls. False if somebody else is busy with it, or there may be more.
bool mii_run_purge(uint32_t segment);
bool mii_run_purge_some(uint32_t segment, uint32_t unit_max, uint32_t call_max);

// Live runs of the segment, if it is a run area, and how much of it may be resident.
typedef struct run_count_s {
  size_t count;
  size_t bytes;
  size_t dirty_bytes;
} run_count_t;
run_count_t mii_run_count(uint32_t segment);
size_t mii_run_used_bytes(uint32_t segment);  // of live runs, at once

// The first live run of a run area that begins at `unit` or later; its units are in *count. Units are numbered
// in the segment. NO_RUN if there is none.
static const uint32_t NO_RUN = UINT32_MAX;
uint32_t mii_run_next(uint32_t segment, uint32_t unit, uint32_t* count);

// Taken by fork, after mii_range_lock: every area there is.
void mii_run_lock_all(void);
void mii_run_unlock_all(void);

// No thread changes the area meanwhile.
bool mii_run_area_is_valid(uint32_t segment);

#endif
