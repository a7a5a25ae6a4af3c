// SPDX-License-Identifier: MIT
// size_class.h - size -> class -> block size. Pure arithmetic, tested for every size.
//
//   class 0        8 bytes
//   class 1..8     16, 32, .. 128
//   class 9..72    8 classes per doubling up to 32 KiB: at most 12.5 % of a block is wasted
//
// A block is aligned to the largest power of two that divides its size (pages are 64 KiB aligned).
#ifndef MI_SIZE_CLASS_H
#define MI_SIZE_CLASS_H

#include "base/bits.h"
#include "base/compiler.h"
#include "base/config.h"

enum {
  CLASS_COUNT = 73,
  SMALL_CLASS_COUNT = 57,  // blocks to 8 KiB live in pages of one slice ...
  SMALL_BLOCK_MAX = 8 * 1024,
  MID_BLOCK_MAX = 32 * 1024,  // ... the others in pages of two
  MID_PAGE_SLICES = 2,
  FAST_SIZE_MAX = SMALL_BLOCK_MAX,  // sizes that find their class in the table
};

extern const uint8_t mii_size_class_table[FAST_SIZE_MAX / 8 + 1];

// The class of a size up to FAST_SIZE_MAX.
MI_INLINE uint32_t mii_size_class_fast(size_t size) { return mii_size_class_table[(size + 7) / 8]; }

// The class of a size up to MID_BLOCK_MAX.
static inline uint32_t mii_size_class(size_t size) {
  if (size <= 8) return 0;
  if (size <= 128) return (uint32_t)((size + 15) / 16);
  const uint32_t top = mii_highest_bit(size - 1);  // 7 for 129..256
  const uint32_t step = (uint32_t)((size - 1) >> (top - 3)) & 7;
  return 9 + 8 * (top - 7) + step;
}

typedef struct class_info_s {
  uint32_t block_bytes;
  uint16_t block_count;  // blocks in a page
  // Blocks that must be free before a page is worth looking at: a sixteenth of it, at least 1, at most
  // 16 (docs/design/002).
  uint8_t wake_count;
  // Freed blocks that may go straight onto a thread's list between two refills: 16 KiB, at most 8, at least 1. None of
  // the small ones, which share cache lines (docs/design/002).
  uint8_t loose_count;
} class_info_t;

extern const class_info_t mii_class_table[CLASS_COUNT];

static inline uint32_t mii_class_bytes(uint32_t size_class) {
  return mii_class_table[size_class].block_bytes;
}
static inline uint32_t mii_class_slices(uint32_t size_class) {
  return size_class < SMALL_CLASS_COUNT ? 1 : MID_PAGE_SLICES;
}
static inline uint32_t mii_class_blocks(uint32_t size_class) {
  return mii_class_table[size_class].block_count;
}
static inline uint32_t mii_class_wake_count(uint32_t size_class) {
  return mii_class_table[size_class].wake_count;
}
static inline uint32_t mii_class_loose_count(uint32_t size_class) {
  return mii_class_table[size_class].loose_count;
}

// The smallest class for `size` whose blocks are all aligned to `alignment` (a power of two);
// CLASS_COUNT if there is none.
uint32_t mii_size_class_aligned(size_t size, size_t alignment);

#endif
