// SPDX-License-Identifier: MIT
// size_class.c - the tables of the classes, and the search for an aligned one
#include "base/size_class.h"

// The class of a multiple of 8 up to 8192, as a constant expression: mii_size_class() again, which
// the unit test compares.
#define MI_STEP(n, top) (9 + 8 * ((top)-7) + ((((n)-1) >> ((top)-3)) & 7))
#define MI_CLASS(n)                          \
  ((uint8_t)((n) <= 8      ? 0               \
             : (n) <= 128  ? ((n) + 15) / 16 \
             : (n) <= 256  ? MI_STEP(n, 7)   \
             : (n) <= 512  ? MI_STEP(n, 8)   \
             : (n) <= 1024 ? MI_STEP(n, 9)   \
             : (n) <= 2048 ? MI_STEP(n, 10)  \
             : (n) <= 4096 ? MI_STEP(n, 11)  \
                           : MI_STEP(n, 12)))
#define MI_CLASS_4(n) MI_CLASS(n), MI_CLASS((n) + 8), MI_CLASS((n) + 16), MI_CLASS((n) + 24)
#define MI_CLASS_16(n) \
  MI_CLASS_4(n), MI_CLASS_4((n) + 32), MI_CLASS_4((n) + 64), MI_CLASS_4((n) + 96)
#define MI_CLASS_64(n) \
  MI_CLASS_16(n), MI_CLASS_16((n) + 128), MI_CLASS_16((n) + 256), MI_CLASS_16((n) + 384)
#define MI_CLASS_256(n) \
  MI_CLASS_64(n), MI_CLASS_64((n) + 512), MI_CLASS_64((n) + 1024), MI_CLASS_64((n) + 1536)

const uint8_t mii_size_class_table[FAST_SIZE_MAX / 8 + 1] = {
    MI_CLASS_256(0), MI_CLASS_256(2048), MI_CLASS_256(4096), MI_CLASS_256(6144), MI_CLASS(8192),
};

#define MI_SLICES(bytes) ((bytes) <= SMALL_BLOCK_MAX ? 1 : MID_PAGE_SLICES)
#define MI_BLOCKS(bytes) (MI_SLICES(bytes) * SLICE_BYTES / (bytes))
#define MI_WAKE(blocks)  ((uint8_t)((blocks) < 16 ? 1 : (blocks) > 256 ? 16 : (blocks) / 16))
#define MI_LOOSE(bytes) \
  ((uint8_t)((bytes) < 128 ? 0 : (bytes) < 2048 ? 8 : (bytes) > 16384 ? 1 : 16384 / (bytes)))
#define MI_INFO(bytes) \
  { (bytes), MI_BLOCKS(bytes), MI_WAKE(MI_BLOCKS(bytes)), MI_LOOSE(bytes) }
// The eight classes from 9/8 of `base` to twice `base`.
#define MI_DOUBLING(base)                                                           \
  MI_INFO((base) / 8 * 9), MI_INFO((base) / 8 * 10), MI_INFO((base) / 8 * 11),      \
      MI_INFO((base) / 8 * 12), MI_INFO((base) / 8 * 13), MI_INFO((base) / 8 * 14), \
      MI_INFO((base) / 8 * 15), MI_INFO((base)*2)

const class_info_t mii_class_table[CLASS_COUNT] = {
    MI_INFO(8),        MI_INFO(16),        MI_INFO(32),       MI_INFO(48),       MI_INFO(64),
    MI_INFO(80),       MI_INFO(96),        MI_INFO(112),      MI_INFO(128),      MI_DOUBLING(128),
    MI_DOUBLING(256),  MI_DOUBLING(512),   MI_DOUBLING(1024), MI_DOUBLING(2048), MI_DOUBLING(4096),
    MI_DOUBLING(8192), MI_DOUBLING(16384),
};

uint32_t mii_size_class_aligned(size_t size, size_t alignment) {
  if (size > MID_BLOCK_MAX || alignment > MID_BLOCK_MAX) return CLASS_COUNT;
  const size_t wanted = mii_align_up(mii_max(size, 1), alignment);
  if (wanted > MID_BLOCK_MAX) return CLASS_COUNT;
  uint32_t size_class = mii_size_class(wanted);
  while (size_class < CLASS_COUNT && mii_class_bytes(size_class) % alignment != 0) size_class++;
  return size_class;
}
