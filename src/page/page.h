// SPDX-License-Identifier: MIT
// page.h - a page: blocks of one size in one slice (to 8 KiB) or two (to 32 KiB)
//
// A page has at most one owner, a theap, whose thread allocates and frees with plain loads and stores.
// Everyone else meets it in one atomic word (page_remote.h). Its blocks are threaded 4 KiB at a time, so
// what was never needed is never touched.
//
//   P1  every threaded block is in exactly one place: with the user, in the owner's list, in local_free,
//       or in the remote word. `out` counts the first two and the last, once the frees since the last
//       look (armed - needed) are taken off
//   P2  so local_free holds capacity - out + (armed - needed) blocks
//   P3  needed is never 0 between calls, and never more than armed
//   P4  if the page has holes (page_hole.c), exactly the blocks that lie in none are threaded
//
// The states, and who moves a page between them:
//
//   state     its blocks                               entered by
//   asleep    few are free, or they are the theap's    refill takes what is free
//             current list (not of the only page of a class)
//   awake     enough are free, or all ("kept")         a free, or a look at its remote word
//   disowned  nobody's; claimed by any thread once     thread exit (the theap waited in the pool for a
//             enough are free                          purge delay); full, and the theap has many such
//   frozen    the same, and not to be believed: who    the child of a fork
//             takes it thaws it first
#ifndef MI_PAGE_H
#define MI_PAGE_H

#include "base/rng.h"
#include "base/size_class.h"
#include "space/range.h"
#include "space/segment.h"

typedef enum page_state_e {
  PAGE_NONE,  // not a page
  PAGE_ASLEEP,
  PAGE_AWAKE,
  PAGE_DISOWNED,
  PAGE_FROZEN,
} page_state_t;

// Where a page is to belong, and where its memory may lie.
typedef struct page_home_s {
  heap_t* heap;
  bool is_apart;            // the heap is not the main one
  segment_bounds_t bounds;  // zero: anywhere
} page_home_t;

// A new page of the class, owned by `owner` (a theap's address), without a block yet. NULL when out of
// memory. The first form is for the main heap.
page_t* mii_page_make(uint32_t size_class, heap_t* heap, uintptr_t owner);
page_t* mii_page_make_in(uint32_t size_class, const page_home_t* home, uintptr_t owner);

// Give the page's slices back. The caller owns it, no block is out, and it is not queued.
void mii_page_unmake(page_t* page);

// The page's heap ends with all its blocks: the same, whatever is out. The caller owns it, it is not queued,
// and no free of one of its blocks is under way.
void mii_page_discard(page_t* page);

// Thread the next blocks: up to the end of the next 4 KiB, at least one, more in memory that was used before; in random
// order if there is an rng. Returns their list in *first, and their number: 0 if the page is complete. They count as out.
uint32_t mii_page_extend(page_t* page, block_t** first, rng_t* rng);

// Any thread may ask; the owner sets it. A page with holes has less than it had.
static inline uint32_t mii_page_capacity(const page_t* page) {
  return atomic_load_explicit(&page->capacity, memory_order_relaxed) & UINT16_MAX;
}
static inline uint32_t mii_page_holes(const page_t* page) {
  return atomic_load_explicit(&page->capacity, memory_order_relaxed) >> 16;
}
static inline void mii_page_set_threaded(page_t* page, uint32_t capacity, uint32_t holes) {
  atomic_store_explicit(&page->capacity, holes << 16 | capacity, memory_order_relaxed);
}
static inline void mii_page_set_capacity(page_t* page, uint32_t capacity) {
  mii_page_set_threaded(page, capacity, 0);
}

// Local frees since the last look.
static inline uint32_t mii_hot_frees(const page_hot_t* hot) {
  return (uint32_t)hot->armed - hot->needed;
}

// What `out` would be after counting.
static inline uint32_t mii_hot_used(const page_hot_t* hot) { return hot->out - mii_hot_frees(hot); }
static inline uint32_t mii_page_used(const page_t* page) {
  return mii_hot_used(mii_page_hot(page));
}

// Take the local frees since the last look off `out`. Owner only.
static inline void mii_page_count_local(page_t* page) {
  page_hot_t* const hot = mii_page_hot(page);
  hot->out = (uint16_t)mii_hot_used(hot);
  hot->armed = hot->needed;
}

// Look again after `needed` local frees (at least 1). Owner only, after counting.
static inline void mii_hot_arm(page_hot_t* hot, uint32_t needed) {
  hot->needed = (uint16_t)needed;
  hot->armed = (uint16_t)needed;
}
static inline void mii_page_arm(page_t* page, uint32_t needed) {
  mii_hot_arm(mii_page_hot(page), needed);
}

// Blocks in local_free, after counting.
static inline uint32_t mii_page_free_count(const page_t* page) {
  return mii_page_capacity(page) - mii_page_hot(page)->out;
}

static inline bool mii_page_is_complete(const page_t* page) {
  return mii_page_capacity(page) == mii_class_blocks(page->size_class);
}

static inline uint8_t* mii_page_start(const page_t* page) {
  return mii_slice_start(mii_page_slice(page));
}

static inline uint32_t mii_page_block_bytes(const page_t* page) {
  return mii_class_bytes(page->size_class);
}

// Where in the page the block is that is threaded as number `order` (0: the first). Pages begin at multiples
// of 64 KiB, so the first blocks of all of them would share a few sets of the cache: each page begins at
// another OS page, and goes on at its start.
static inline uint32_t mii_page_index(const page_t* page, uint32_t order) {
  const size_t begin = (size_t)(mii_page_slice(page) * 5 % 16) * UNIT_BYTES;
  const size_t first = mii_divide_up(begin, mii_page_block_bytes(page));
  return (uint32_t)((first + order) % mii_class_blocks(page->size_class));
}

// Parts of the page that can be holes; a bit each.
enum { PAGE_PARTS = 16 };
static inline size_t mii_page_part_bytes(const page_t* page) {
  return (size_t)mii_class_slices(page->size_class) * SLICE_BYTES / PAGE_PARTS;
}
static inline size_t mii_page_hole_bytes(const page_t* page) {
  return mii_count_bits(mii_page_holes(page)) * mii_page_part_bytes(page);
}
static inline bool mii_page_is_in_holes(const page_t* page, uint32_t index, uint32_t holes) {
  const size_t begin = (size_t)index * mii_page_block_bytes(page);
  const size_t last = begin + mii_page_block_bytes(page) - 1;
  const uint32_t from = (uint32_t)(begin / mii_page_part_bytes(page));
  const uint32_t to = (uint32_t)(last / mii_page_part_bytes(page));
  return (holes >> from & ((2u << (to - from)) - 1)) != 0;
}

// Give parts of the page back to the system if few of its blocks live. The owner, or who took it from where it was
// published; after counting.
void mii_page_punch(page_t* page);

// As mii_page_extend, of a page with holes.
uint32_t mii_page_fill_hole(page_t* page, block_t** first);

// Is p the address of a threaded block of the page?
bool mii_page_has_block(const page_t* page, const void* p);

// The page moves to another heap. Any thread may ask; the owner sets it.
static inline bool mii_page_is_apart(const page_t* page) {
  return atomic_load_explicit(&page->is_apart, memory_order_relaxed);
}
static inline heap_t* mii_page_heap(const page_t* page) {
  return atomic_load_explicit(&mii_slice_cold(mii_page_slice(page))->heap, memory_order_relaxed);
}
static inline void mii_page_set_heap(page_t* page, heap_t* heap, bool is_apart) {
  atomic_store_explicit(&mii_slice_cold(mii_page_slice(page))->heap, heap, memory_order_relaxed);
  atomic_store_explicit(&page->is_apart, is_apart, memory_order_relaxed);
}

static inline uintptr_t mii_page_owner(page_t* page) {
  return atomic_load_explicit(&page->owner, memory_order_relaxed);
}

// Owner only, between calls. O(capacity).
bool mii_page_is_valid(page_t* page);

#endif
