// SPDX-License-Identifier: MIT
// config.h - every build switch: what it means, its default, and the legal combinations
#ifndef MI_CONFIG_H
#define MI_CONFIG_H

#include <assert.h>
#include <stdint.h>

// Export malloc, free, operator new and the other names of the system allocator beside `mi_*`.
#ifndef MI_CFG_OVERRIDE
#define MI_CFG_OVERRIDE 0
#endif

// The libmimalloc-secure build: processes are hardened unless the option `secure` says otherwise.
#ifndef MI_CFG_SECURE
#define MI_CFG_SECURE 0
#endif

// 0: without the doors to hardened and sampled blocks, which shows that they cost the fast paths nothing
// (tests/scripts/doors.sh). Nobody ships that.
#ifndef MI_CFG_DOORS
#define MI_CFG_DOORS 1
#endif

// Errors are printed without an option saying so, as in a build with assertions.
#ifndef MI_CFG_SHOW_ERRORS
#define MI_CFG_SHOW_ERRORS 0
#endif

// Memory that is out, or a size that is too large, stops a program that does not handle errors.
#ifndef MI_CFG_XMALLOC
#define MI_CFG_XMALLOC 0
#endif

// Tell a tool which bytes belong to the program (track.h). No fast paths then: every call tells.
#define MI_TRACK_MEMCHECK 1  // valgrind's
#define MI_TRACK_ASAN     2
#ifndef MI_CFG_TRACK
#define MI_CFG_TRACK 0
#endif

// 0: none; 1: O(1) assertions; 2: also the validators, which walk lists.
#ifndef MI_ASSERT_LEVEL
#define MI_ASSERT_LEVEL 0
#endif

// Every function that is given a block first looks whether one begins there. The fast paths of the
// release build do not.
#define MI_CFG_CHECK_POINTERS (MI_CFG_TRACK == 0 && MI_ASSERT_LEVEL > 0)

// New and freed memory gets patterns (api/fill.h). Not where a tool watches: it sees more.
#ifndef MI_CFG_FILL
#ifdef __SANITIZE_THREAD__
#define MI_CFG_FILL 0
#else
#define MI_CFG_FILL MI_CFG_CHECK_POINTERS
#endif
#endif

// Set by mi.c: all sources are compiled as one file.
#ifndef MI_CFG_ONE_FILE
#define MI_CFG_ONE_FILE 0
#endif

static_assert(MI_CFG_OVERRIDE == 0 || MI_CFG_OVERRIDE == 1, "MI_CFG_OVERRIDE is 0 or 1");
static_assert(MI_CFG_SECURE == 0 || MI_CFG_SECURE == 1, "MI_CFG_SECURE is 0 or 1");
static_assert(MI_CFG_DOORS == 0 || MI_CFG_DOORS == 1, "MI_CFG_DOORS is 0 or 1");
static_assert(MI_CFG_SHOW_ERRORS == 0 || MI_CFG_SHOW_ERRORS == 1, "MI_CFG_SHOW_ERRORS is 0 or 1");
static_assert(MI_CFG_XMALLOC == 0 || MI_CFG_XMALLOC == 1, "MI_CFG_XMALLOC is 0 or 1");
static_assert(MI_CFG_TRACK >= 0 && MI_CFG_TRACK <= 2, "MI_CFG_TRACK is 0, 1 or 2");
static_assert(MI_ASSERT_LEVEL >= 0 && MI_ASSERT_LEVEL <= 2, "MI_ASSERT_LEVEL is 0, 1 or 2");

// The geometry (docs/design/001-geometry.md).
enum {
  SLICE_SHIFT = 16,  // 64 KiB: the unit of the page records
  SLICE_BYTES = 1 << SLICE_SHIFT,
  SEGMENT_SLICES = 64,  // one bit each in a 64-bit word
  SEGMENT_BYTES = SEGMENT_SLICES * SLICE_BYTES,
  UNIT_SHIFT = 12,  // 4 KiB: the unit of runs, and of threading a page
  UNIT_BYTES = 1 << UNIT_SHIFT,
  AREA_UNITS = SEGMENT_BYTES / UNIT_BYTES,  // a run area is a whole segment
  RUN_UNITS_MAX = 256,                      // runs end at 1 MiB, huge blocks begin
};

#endif
