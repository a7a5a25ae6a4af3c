// SPDX-License-Identifier: MIT
// hardened.h - a hardened page: a slice of blocks of one size that has no links, only bits
//
// Which blocks live is said by a bitmap in its record, which lies with our metadata: nothing that the program
// writes into a block, freed or not, changes what we do next. No theap owns such a page (its slice has a kind
// of its own), so neither fast path ever meets it. But one theap at a time may hold it: only the holder gives
// out blocks, without a lock. Anybody takes them back, in one step that says who was first.
//
//   B1  bit i of `live` is set: the program has block i, or it is not opened yet
//   B2  only the holder sets bits and opens blocks, so a clear bit stays clear for it
//   B3  who frees a block of a page that nobody holds is told to look at it when `needed` more are free, and
//       when all are
#ifndef MI_HARDENED_H
#define MI_HARDENED_H

#include "base/handle_stack.h"
#include "base/rng.h"
#include "base/size_class.h"
#include "space/range.h"
#include "space/segment.h"

typedef struct links_s {
  struct links_s* next;
  struct links_s* prev;
} links_t;

struct hardened_s {
  links_t in_circle;  // lock(vault): of pages that have room, or next is NULL
  links_t in_vault;   // lock(vault): of all its pages
  _Atomic(vault_t*)
      vault;  // atomic: vault.c; NULL: the record is not in use. Changes with the lock held
  handle_link_t spare_link;  // atomic: handle_stack.h
  slice_t slice;             // lock(vault)
  uint32_t block_bytes;      // const, as all up to `key`
  uint32_t inverse;          // 2^32 / block_bytes, rounded up
  uint16_t block_count;
  uint8_t size_class;
  uint8_t room_log2;         // of the words that the bitmap has room for
  uint64_t key;              // of the canaries
  _Atomic(uint32_t) opened;  // atomic: relaxed; the holder writes: blocks that were ever free
  _Atomic(bool) is_held;     // atomic: seq_cst; changes with the lock held
  _Atomic(int32_t) needed;   // atomic: seq_cst; B3, positive while it counts
  _Atomic(uint64_t) live[];  // atomic: this file
};

// A new page, which is in no vault yet, so that nobody meets it. NULL when out of memory.
hardened_t* mii_hardened_make(uint32_t size_class, segment_bounds_t bounds, heap_t* heap,
                              uint64_t key);

// It may be met from now on. Held.
void mii_hardened_publish(hardened_t* page, vault_t* vault);

// Give the slice back. Lock held.
void mii_hardened_unmake(hardened_t* page);

// The page that the slice is; NULL if it is none, of the first form if it was none. To be looked at again with the lock held.
// Acquire pairs with the release in publish: who was given a block sees its record anyhow, but not who follows a
// wild pointer.
static inline hardened_t* mii_hardened_of(size_t slice) {
  return atomic_load_explicit(&mii_slice_cold((slice_t)slice)->hardened, memory_order_acquire);
}
static inline hardened_t* mii_hardened_in(size_t slice) {
  return mii_slice_kind(slice) == SLICE_HARDENED ? mii_hardened_of(slice) : NULL;
}

// Of a page that has a taken block, or whose vault is locked ---------------------------------------

static inline uint8_t* mii_hardened_start(const hardened_t* page) {
  return mii_slice_start(page->slice);
}

static inline uint32_t mii_hardened_opened(const hardened_t* page) {
  return atomic_load_explicit(&page->opened, memory_order_relaxed);
}

// Is p where a block begins? Its number is in *index. The product is exact, because offsets have 16 bits.
static inline bool mii_hardened_index(const hardened_t* page, const void* p, uint32_t* index) {
  const uint32_t offset = (uintptr_t)p & (SLICE_BYTES - 1);
  *index = (uint32_t)((uint64_t)offset * page->inverse >> 32);
  return *index * page->block_bytes == offset && *index < page->block_count;
}

// Any thread.
static inline bool mii_hardened_is_live(const hardened_t* page, uint32_t index) {
  const uint64_t word = atomic_load_explicit(&page->live[index / 64], memory_order_relaxed);
  return index < mii_hardened_opened(page) && (word >> index % 64 & 1) != 0;
}
uint32_t mii_hardened_free_count(const hardened_t* page);  // opened ones

// Who holds a page chooses among some blocks that were free when he looked; as only he gives out blocks, they still are.
enum { CHOICES_MAX = 32 };
typedef struct hold_s {
  hardened_t* page;
  uint16_t spared;  // so many choices are not given out
  uint16_t count;
  uint16_t choices[CHOICES_MAX];
} hold_t;

// Look which blocks are free, from a random place on; more are opened if no more than `spared` are. True if there are
// more than these, or none was freed since the last look.
bool mii_hardened_look(hold_t* hold, uint32_t spared, rng_t* rng);

// A random one of the choices. Acquire pairs with the release of who freed it.
static inline void* mii_hardened_take(hold_t* hold, rng_t* rng) {
  hardened_t* const page = hold->page;
  uint16_t* const place = &hold->choices[mii_rng_8(rng) * hold->count >> 8];
  const uint32_t index = *place;
  *place = hold->choices[--hold->count];
  atomic_fetch_or_explicit(&page->live[index / 64], UINT64_C(1) << index % 64,
                           memory_order_acquire);
  return mii_hardened_start(page) + (size_t)index * page->block_bytes;
}

// The program gives the block back.
typedef enum hardened_end_e {
  END_DONE,
  END_LOOK,      // B3
  END_NOT_LIVE,  // it does not have it
} hardened_end_t;
// Nobody holds the page, and a block of word i was freed.
bool mii_hardened_is_to_be_looked_at(hardened_t* page, uint32_t i);

static inline hardened_end_t mii_hardened_end(hardened_t* page, uint32_t index) {
  const uint32_t i = index / 64;
  const uint64_t bit = UINT64_C(1) << index % 64;
  if ((atomic_fetch_and_explicit(&page->live[i], ~bit, memory_order_seq_cst) & bit) == 0)
    return END_NOT_LIVE;
  if (MI_LIKELY(atomic_load_explicit(&page->is_held, memory_order_seq_cst))) return END_DONE;
  return mii_hardened_is_to_be_looked_at(page, i) ? END_LOOK : END_DONE;
}

bool mii_hardened_is_valid(const hardened_t* page);

#endif
