// SPDX-License-Identifier: MIT
// range.h - the range of addresses that all our memory lies in: reserve once, open in steps
//
//   reserved in one piece, without access:
//
//   | guard | meta  <- grows | segments  grows -> | guard | hots  -> | pages  -> | slice 0 | slice 1 ..  grows ->
//                            ^                            ^          ^           ^
//                         segments                      hots       pages       base
//
// Each growing part is opened from its fixed end on, by one call of the system for many megabytes, so
// the process has a handful of mappings however large the heap is. Slice 0 is never opened: it guards
// the records against a block that is written at a negative index. The page records of the whole
// range can be read from the start, so any pointer into the range may be looked up.
//
// With 32 bits addresses are scarce, and others need them, too. Only the first segments are reserved at
// the start. The range is all the rest of the address space nevertheless, from the base up and, because
// addresses wrap around, on from 0 to our own records: so any pointer is looked up by the same arithmetic.
// Growing reserves what is free; segments in which others have memory are foreign.
#ifndef MI_RANGE_H
#define MI_RANGE_H

#include "base/compiler.h"
#include "platform/platform.h"
#include "space/record.h"

typedef struct range_s {
  // Read by every free().
  uintptr_t base;          // const after start: address of slice 0; 4 MiB aligned
  size_t slice_max;        // const after start: slices that have a page record; 0 before
  page_t* pages;           // const after start: the records of all slices
  page_hot_t* hots;        // const after start: what only the owners of pages touch
  uintptr_t hot_distance;  // const after start: from the one to the other, the same for all
  // Read by slow paths.
  _Atomic(size_t) slice_count;  // atomic: opened slices; grows, release
  segment_t* segments;          // const after start
  uint32_t segment_max;         // const after start: as many there may be
  size_t slice_reserved;        // const after start: later slices may be foreign
  size_t os_page_size;          // const after start
} range_t;

extern range_t mii_range;

// Reserve the range: as much as `facts` allow, less when the system refuses. Nothing is open yet.
// False if not even the smallest range can be had. Not thread-safe.
bool mii_range_start(const platform_facts_t* facts);

// Give everything back. Every pointer into the range becomes invalid.
void mii_range_stop(void);

// Open at least `segment_count` more segments, in a row, if the range has them. False if it has not, or
// the system refuses. Several threads may call it: then one opens. Mostly they are the last ones then;
// where addresses are scarce, foreign segments may have become ours.
bool mii_range_grow(uint32_t segment_count);

// Open exactly `count` segments, in a row, for an arena (arena.h); or as many GiB in huge OS pages as are to be
// had: then `count` and `huge_bytes` say how many. The first one's number, or NO_ARENA_SEGMENT.
#define NO_ARENA_SEGMENT UINT32_MAX
typedef struct arena_growth_s {
  uint32_t count;
  bool is_exclusive;
  bool may_be_large;
  uint32_t huge_pages;
  int numa_node;
  uint64_t deadline_ms;
  size_t huge_bytes;
} arena_growth_t;
uint32_t mii_range_grow_arena(arena_growth_t* arena);

// Memory for our own structures: zeroed, 64-byte aligned, never freed. NULL when out of memory.
void* mii_meta_take(size_t size);

// A 32-bit name for what mii_meta_take returned; 0 is none.
uint32_t mii_meta_handle(const void* p);
void* mii_meta_pointer(uint32_t handle);

// Is p any address of ours, be it a block's, that of our own records, or a guard's? Slow paths only.
bool mii_range_reserves(const void* p);

// Bytes of address space reserved; bytes of metadata in use; bytes opened for it, in steps.
size_t mii_range_reserved_bytes(void);
size_t mii_meta_used_bytes(void);
size_t mii_meta_open_bytes(void);

// The part of these that is resident: a question to the system.
size_t mii_meta_resident_bytes(void);

// Bytes by which the heap could still grow if the system lets us; 0 if it had no addresses for the latest step.
size_t mii_range_room(void);

// Taken by fork.
void mii_range_lock(void);
void mii_range_unlock(void);

// If somebody holds the lock, wait until it is free; true if somebody did.
bool mii_range_wait(void);

bool mii_range_is_valid(void);

// Slice and segment numbers ----------------------------------------------------------------------

MI_INLINE size_t mii_slice_count(void) {
  return atomic_load_explicit(&mii_range.slice_count, memory_order_relaxed);
}

static inline uint32_t mii_segment_count(void) {
  // Acquire pairs with the release in mii_range_grow: the new segments are filled in.
  const size_t slices = atomic_load_explicit(&mii_range.slice_count, memory_order_acquire);
  return (uint32_t)(slices / SEGMENT_SLICES);
}

// Any number for a pointer outside of the range, but never one below mii_range.slice_max.
MI_INLINE size_t mii_slice_of(const void* p) {
  return ((uintptr_t)p - mii_range.base) >> SLICE_SHIFT;
}

// The pointers that have a page record, perhaps one that says SLICE_FREE.
MI_INLINE bool mii_range_has(const void* p) { return mii_slice_of(p) < mii_range.slice_max; }

// The pointers into what is reserved for us: the same where addresses are plentiful.
bool mii_range_owns(const void* p);

static inline uint8_t* mii_slice_start(slice_t slice) {
  return (uint8_t*)(mii_range.base + ((uintptr_t)slice << SLICE_SHIFT));
}

MI_INLINE page_t* mii_page_record(size_t slice) { return &mii_range.pages[slice]; }

static inline slice_t mii_page_slice(const page_t* page) {
  return (slice_t)(((uintptr_t)page - (uintptr_t)mii_range.pages) / sizeof *page);
}

MI_INLINE page_hot_t* mii_hot_record(size_t slice) { return &mii_range.hots[slice]; }

MI_INLINE page_hot_t* mii_page_hot(const page_t* page) {
  return (page_hot_t*)((uintptr_t)page + mii_range.hot_distance);
}

MI_INLINE slice_t mii_hot_slice(const page_hot_t* hot) {
  return (slice_t)(((uintptr_t)hot - (uintptr_t)mii_range.hots) / sizeof *hot);
}

static inline segment_t* mii_segment(uint32_t index) { return &mii_range.segments[index]; }

static inline bool mii_segment_is_exclusive(uint32_t index) {
  return atomic_load_explicit(&mii_segment(index)->is_exclusive, memory_order_relaxed);
}

static inline bool mii_segment_is_foreign(uint32_t index) {
  return atomic_load_explicit(&mii_segment(index)->is_foreign, memory_order_relaxed);
}

// &mii_segment(slice / 64)->cold[slice % 64], without the multiplication: a segment is 65 lines.
static inline page_cold_t* mii_slice_cold(slice_t slice) {
  return (page_cold_t*)mii_range.segments + ((size_t)slice + slice / SEGMENT_SLICES + 1);
}

static inline slice_kind_t mii_record_kind(const page_t* record) {
  return (slice_kind_t)atomic_load_explicit(&record->kind, memory_order_relaxed);
}

static inline slice_kind_t mii_slice_kind(size_t slice) {
  return mii_record_kind(mii_page_record(slice));
}

static inline void mii_slice_set_kind(slice_t slice, slice_kind_t kind) {
  atomic_store_explicit(&mii_page_record(slice)->kind, (uint8_t)kind, memory_order_relaxed);
}

#endif
