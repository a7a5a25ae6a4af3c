// SPDX-License-Identifier: MIT
// range.h - in place of src/space/range.h for the proof: a handful of slices in one array
#ifndef MI_RANGE_H
#define MI_RANGE_H

#include "base/compiler.h"
#include "space/record.h"

enum { SLICE_MAX = 4 };  // slice 0 is none, so up to three pages

typedef struct fake_space_s {
  page_t pages[SLICE_MAX];
  page_hot_t hots[SLICE_MAX];
  page_cold_t cold[SLICE_MAX];
  block_t memory[SLICE_MAX][SLICE_BLOCKS];
  _Atomic(uint64_t) free;  // atomic: world.c; bit i: slice i is nobody's
} fake_space_t;

extern fake_space_t proof_space;

void* mii_meta_take(size_t size);
uint32_t mii_meta_handle(const void* p);
void* mii_meta_pointer(uint32_t handle);

static inline uint32_t mii_segment_count(void) { return 0; }
static inline bool mii_segment_is_foreign(uint32_t index) { return (void)index, false; }
static inline size_t mii_slice_count(void) { return SLICE_MAX; }
static inline size_t mii_slice_of(const void* p) {
  return ((uintptr_t)p - (uintptr_t)proof_space.memory) / SLICE_BYTES;
}
static inline bool mii_range_has(const void* p) { return mii_slice_of(p) < SLICE_MAX; }
static inline uint8_t* mii_slice_start(slice_t slice) {
  return (uint8_t*)proof_space.memory[slice];
}
static inline page_t* mii_page_record(size_t slice) { return &proof_space.pages[slice]; }
static inline slice_t mii_page_slice(const page_t* page) {
  return (slice_t)(page - proof_space.pages);
}
static inline page_hot_t* mii_hot_record(size_t slice) { return &proof_space.hots[slice]; }
static inline page_hot_t* mii_page_hot(const page_t* page) {
  return mii_hot_record(mii_page_slice(page));
}
static inline slice_t mii_hot_slice(const page_hot_t* hot) {
  return (slice_t)(hot - proof_space.hots);
}
static inline page_cold_t* mii_slice_cold(slice_t slice) { return &proof_space.cold[slice]; }
static inline slice_kind_t mii_record_kind(const page_t* record) {
  return (slice_kind_t)atomic_load_explicit(&record->kind, memory_order_relaxed);
}
static inline slice_kind_t mii_slice_kind(size_t slice) {
  return mii_record_kind(&proof_space.pages[slice]);
}
static inline void mii_slice_set_kind(slice_t slice, slice_kind_t kind) {
  atomic_store_explicit(&proof_space.pages[slice].kind, (uint8_t)kind, memory_order_relaxed);
}

#endif
