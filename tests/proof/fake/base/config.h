// SPDX-License-Identifier: MIT
// config.h - in place of src/base/config.h for the proof: a geometry that is small enough to explore
#ifndef MI_CONFIG_H
#define MI_CONFIG_H

#include <assert.h>
#include <stdint.h>

#define MI_CFG_OVERRIDE       0
#define MI_CFG_SECURE         0
#define MI_TRACK_MEMCHECK     1
#define MI_TRACK_ASAN         2
#define MI_CFG_TRACK          0
#define MI_ASSERT_LEVEL       2
#define MI_CFG_CHECK_POINTERS 0
#define MI_CFG_DOORS          1
#define MI_CFG_ONE_FILE       1

enum {
  BLOCK_BYTES = 8,
  SLICE_BLOCKS = 4,
  SLICE_BYTES = SLICE_BLOCKS * BLOCK_BYTES,
  SEGMENT_SLICES = 64,
  UNIT_BYTES = 2 * BLOCK_BYTES,  // a page is threaded two blocks at a time
};

#endif
