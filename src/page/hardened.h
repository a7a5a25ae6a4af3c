// SPDX-License-Identifier: MIT
// hardened.h - a hardened page: a slice of blocks of one size that has no links, only bits
//
// Which blocks are free is said by two bitmaps in its record, which lies with our metadata: nothing that the
// program writes into a block, freed or not, changes what we do next. No theap owns such a page (its slice
// has a kind of its own), so neither fast path ever meets it. Whether a block lives is changed by anybody, in
// one step; all else is done under the lock of the vault (heap/vault.h) that the page is in.
//
//   B1  bit i of `live` is set: the program has block i
//   B2  bit i of `taken` is clear: block i may be taken. Set, and not live: it is in a magazine, or not opened yet
//   B3  free = opened blocks that may be taken
#ifndef MI_HARDENED_H
#define MI_HARDENED_H

#include "base/handle_stack.h"
#include "base/rng.h"
#include "base/size_class.h"
#include "space/range.h"
#include "space/segment.h"

struct hardened_s {
  _Atomic(vault_t*)
      vault;  // atomic: vault.c; NULL: the record is not in use. Changes with the lock held
  handle_link_t spare_link;  // atomic: handle_stack.h
  slice_t slice;             // lock(vault)
  uint32_t block_bytes;      // const, as all up to `key`
  uint16_t block_count;
  uint8_t size_class;
  uint8_t room_log2;  // of the words that each bitmap has room for
  uint64_t key;       // of the canaries
  uint16_t opened;    // lock(vault), as all below: blocks that were ever given out or may be now
  uint16_t free;
  hardened_t* next;  // in the circle of pages of the vault that have room
  hardened_t* prev;
  hardened_t* next_of_vault;
  hardened_t* prev_of_vault;
  _Atomic(uint64_t) live[];  // atomic: hardened.c; as many words are `taken` behind them
};

// A new page, which is in no vault yet, so that nobody meets it. NULL when out of memory.
hardened_t* mii_hardened_make(uint32_t size_class, segment_bounds_t bounds, heap_t* heap,
                              uint64_t key);

// It may be met from now on.
void mii_hardened_publish(hardened_t* page, vault_t* vault);

// Give the slice back. Lock held.
void mii_hardened_unmake(hardened_t* page);

// The page that the slice is; NULL if it is none. To be looked at again with the lock held.
// Acquire pairs with the release in publish: who was given a block sees its record anyhow, but not who follows a
// wild pointer.
static inline hardened_t* mii_hardened_in(size_t slice) {
  if (mii_slice_kind(slice) != SLICE_HARDENED) return NULL;
  return atomic_load_explicit(&mii_slice_cold((slice_t)slice)->hardened, memory_order_acquire);
}

// Of a page that has a taken block, or whose vault is locked ---------------------------------------

static inline uint8_t* mii_hardened_start(const hardened_t* page) {
  return mii_slice_start(page->slice);
}

static inline bool mii_hardened_has_room(const hardened_t* page) {
  return page->free > 0 || page->opened < page->block_count;
}

// Is p where a block begins? Its number is in *index.
static inline bool mii_hardened_index(const hardened_t* page, const void* p, uint32_t* index) {
  const uint32_t offset = (uintptr_t)p & (SLICE_BYTES - 1);
  *index = offset / page->block_bytes;
  return offset % page->block_bytes == 0 && *index < page->block_count;
}

// Any thread.
bool mii_hardened_is_live(const hardened_t* page, uint32_t index);
uint32_t mii_hardened_live_count(const hardened_t* page);

// The program gets the block, which was taken; and gives it back: false if it does not have it. Relaxed: who hands a
// block on, to the program or back, synchronises otherwise. That a bit is cleared once is all.
static inline void mii_hardened_begin(hardened_t* page, uint32_t index) {
  atomic_fetch_or_explicit(&page->live[index / 64], UINT64_C(1) << index % 64,
                           memory_order_relaxed);
}
static inline bool mii_hardened_end(hardened_t* page, uint32_t index) {
  const uint64_t bit = UINT64_C(1) << index % 64;
  return (atomic_fetch_and_explicit(&page->live[index / 64], ~bit, memory_order_relaxed) & bit)
         != 0;
}

// Take a random block of a page that has room; and bring it back.
void* mii_hardened_take(hardened_t* page, rng_t* rng);
void mii_hardened_release(hardened_t* page, uint32_t index);

bool mii_hardened_is_taken(const hardened_t* page, uint32_t index);

bool mii_hardened_is_valid(const hardened_t* page);

#endif
