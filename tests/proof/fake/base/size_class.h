// SPDX-License-Identifier: MIT
// size_class.h - in place of src/base/size_class.h for the proof: one class, as the scenario wants it
#ifndef MI_SIZE_CLASS_H
#define MI_SIZE_CLASS_H

#include "base/bits.h"
#include "base/compiler.h"
#include "base/config.h"

enum { CLASS_COUNT = 1, SMALL_CLASS_COUNT = 1, MID_PAGE_SLICES = 2 };

extern uint32_t proof_blocks;  // in a page, at most SLICE_BLOCKS
extern uint32_t proof_wake;    // free blocks that wake the owner

static inline uint32_t mii_class_bytes(uint32_t size_class) {
  return (void)size_class, BLOCK_BYTES;
}
static inline uint32_t mii_class_slices(uint32_t size_class) { return (void)size_class, 1; }
static inline uint32_t mii_class_blocks(uint32_t size_class) {
  return (void)size_class, proof_blocks;
}
static inline uint32_t mii_class_wake_count(uint32_t size_class) {
  return (void)size_class, proof_wake;
}
// Small blocks never go straight onto a list.
static inline uint32_t mii_class_loose_count(uint32_t size_class) { return (void)size_class, 0; }

#endif
