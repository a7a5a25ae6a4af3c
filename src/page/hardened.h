// SPDX-License-Identifier: MIT
// hardened.h - a hardened page: a slice of blocks of one size that has no links, only bits
//
// Which blocks live is said by two bits each in its record, which lies with our metadata: nothing that the
// program writes into a block, freed or not, changes what we do next. No theap owns such a page (its slice has
// a kind of its own, and in place of an owner there is its record), so neither fast path ever meets it. But one
// theap at a time may hold it: only the holder gives out blocks, and takes them back, without a lock or an
// atomic step. Anybody else takes them back in one such step, which says who was first.
//
//   live freed
//    0    0     free
//    1    0     the program has the block
//    1    1     another thread has freed it: free as soon as the holder looks
//    0    1     not opened yet; or its holder and another thread have freed it at the same moment, so that
//               neither could know: then this page does not give it out again
//
//   B2  only the holder writes `live`, and clears `freed`: what is free for it stays free
//   B3  who frees a block of a page that nobody holds is told to look at it when `needed` more are free, and
//       when all are
#ifndef MI_HARDENED_H
#define MI_HARDENED_H

#include "base/compiler.h"
#include "base/handle_stack.h"
#include "base/rng.h"
#include "base/size_class.h"
#include "page/canary.h"
#include "space/range.h"
#include "space/segment.h"

typedef struct links_s {
  struct links_s* next;
  struct links_s* prev;
} links_t;

// Of 64 blocks.
typedef struct hardened_word_s {
  _Atomic(uint64_t) live;   // atomic: relaxed; the holder writes
  _Atomic(uint64_t) freed;  // atomic: this file
} hardened_word_t;

// The holder chooses among some blocks that were free when it looked; as only it gives out blocks, they still are. They
// are taken from the end. What it has freed since comes from the other end of the array, as far as there is room.
enum { CHOICES_MAX = 64 };

struct hardened_s {
  links_t in_circle;  // lock(vault): of pages that have room, or next is NULL
  links_t in_vault;   // lock(vault): of all its pages
  _Atomic(vault_t*)
      vault;  // atomic: vault.c; NULL: the record is not in use. Changes with the lock held
  handle_link_t spare_link;  // atomic: handle_stack.h
  slice_t slice;             // lock(vault)
  _Atomic(uint32_t) opened;  // atomic: relaxed; the holder writes: blocks that were ever free
  _Atomic(int32_t) needed;   // atomic: seq_cst; B3, positive while it counts
  uint32_t step;             // const: bytes, of how much blocks are opened at a time
  uint16_t block_count;      // const
  uint8_t size_class;        // const
  uint8_t room_log2;         // const: of the words that there is room for
  // What each call reads lies in one cache line.
  _Atomic(uintptr_t) holder;      // atomic: seq_cst; a theap, or 0; changes with the lock held
  uintptr_t start;                // const: of block 0; 0: the page has ended
  canary_t canary;                // const
  uint32_t inverse;               // const: 2^32 / block_bytes, rounded up
  uint32_t block_bytes;           // const
  bool is_sealed;                 // const: its blocks have canaries
  uint8_t spared;                 // holder: so many choices are not given out
  uint8_t count;                  // holder: of the choices
  uint8_t fresh;                  // holder: choices[fresh] and on were freed since the last look
  uint8_t luck;                   // holder: random bits that the last look has left
  uint16_t choices[CHOICES_MAX];  // holder: numbers of blocks, in random order
  hardened_word_t words[];
};

// A new page, which is in no vault yet, so that nobody meets it. NULL when out of memory.
hardened_t* mii_hardened_make(uint32_t size_class, segment_bounds_t bounds, heap_t* heap,
                              uint64_t key);

// It may be met from now on. Held.
void mii_hardened_publish(hardened_t* page, vault_t* vault, uintptr_t holder);

// Give the slice back. Lock held.
void mii_hardened_unmake(hardened_t* page);

// The page whose record of a slice it is; NULL if it is none, of the first form if it was none. To be looked at again with
// the lock held. Acquire pairs with the release in publish: who was given a block sees its record anyhow, but not who
// follows a wild pointer.
static inline hardened_t* mii_hardened_of(const page_t* record) {
  return (hardened_t*)atomic_load_explicit(&record->owner, memory_order_acquire);
}
static inline hardened_t* mii_hardened_in(size_t slice) {
  const page_t* const record = mii_page_record(slice);
  return mii_record_kind(record) == SLICE_HARDENED ? mii_hardened_of(record) : NULL;
}

// Of a page that has a taken block, or whose vault is locked ---------------------------------------

static inline uint8_t* mii_hardened_block(const hardened_t* page, uint32_t index) {
  return (uint8_t*)(page->start + (size_t)index * page->block_bytes);
}

static inline uint32_t mii_hardened_opened(const hardened_t* page) {
  return atomic_load_explicit(&page->opened, memory_order_relaxed);
}

// Is p, which lies in the slice, where a block begins? Its number is in *index. An offset has 16 bits: so the product is
// exact, and the fraction is less than one inverse if nothing was left over. There are bits for each number.
static inline bool mii_hardened_index(const hardened_t* page, const void* p, uint32_t* index) {
  const uint64_t product = (uint64_t)((uintptr_t)p % SLICE_BYTES) * page->inverse;
  *index = (uint32_t)(product >> 32);
  return (uint32_t)product < page->inverse;
}

// Who follows a bad pointer may hold a record that is of another slice by now; not who holds the page.
static inline bool mii_hardened_is_around(const hardened_t* page, const void* p) {
  return (uintptr_t)p - (uintptr_t)p % SLICE_BYTES == page->start;
}

// Where the bits of the block are. Spelled so that compilers see two instructions.
static_assert(sizeof(hardened_word_t) == 16, "mii_hardened_word() counts on it");
MI_INLINE hardened_word_t* mii_hardened_word(const hardened_t* page, uint32_t index) {
  return (hardened_word_t*)((uintptr_t)page->words + (index / 4 & ~15u));
}

// Of the 64 blocks those that the program has. Any thread. In this order: a block that another thread has freed stops
// living before it counts as taken in.
MI_INLINE uint64_t mii_hardened_live(const hardened_word_t* word) {
  const uint64_t freed = atomic_load_explicit(&word->freed, memory_order_seq_cst);
  return atomic_load_explicit(&word->live, memory_order_seq_cst) & ~freed;
}
MI_INLINE bool mii_hardened_is_live(const hardened_t* page, uint32_t index) {
  return (mii_hardened_live(mii_hardened_word(page, index)) >> index % 64 & 1) != 0;
}
uint32_t mii_hardened_free_count(const hardened_t* page);  // opened ones
size_t mii_hardened_touched(const hardened_t* page);  // bytes; all where memory was used before
bool mii_hardened_is_empty(const hardened_t* page);   // no block lives

// By the holder only ---------------------------------------------------------------------------------

// Find choices: what was freed since the last look, or what is free from a random place on; more blocks are opened if
// there are no more than `spared`. True if there are more than these, or none was freed.
bool mii_hardened_look(hardened_t* page, uint32_t spared, rng_t* rng);

// Nobody holds the page any more.
static inline void mii_hardened_forget(hardened_t* page) {
  page->count = page->spared = 0;
  page->fresh = CHOICES_MAX;
}

static inline uint32_t mii_hardened_choices(const hardened_t* page) {
  return (uint32_t)page->count - page->spared;
}

MI_INLINE void mii_hardened_turn(hardened_word_t* word, size_t index) {
  const uint64_t before = atomic_load_explicit(&word->live, memory_order_relaxed);
  atomic_store_explicit(&word->live, before ^ UINT64_C(1) << index % 64, memory_order_relaxed);
}

// The next of the choices. NULL if there is none; or if another thread has freed it since the look, at the moment when
// the holder did: a double free, and the block is not given out again.
MI_INLINE void* mii_hardened_take(hardened_t* page) {
  if (MI_UNLIKELY(page->count <= page->spared)) return NULL;
  const uint32_t index = page->choices[--page->count];
  hardened_word_t* const word = mii_hardened_word(page, index);
  const uint64_t freed = atomic_load_explicit(&word->freed, memory_order_relaxed);
  if (MI_UNLIKELY((freed >> index % 64 & 1) != 0)) return NULL;
  mii_hardened_turn(word, index);
  return mii_hardened_block(page, index);
}

// A live block is free.
MI_INLINE void mii_hardened_give(hardened_t* page, uint32_t index) {
  mii_hardened_turn(mii_hardened_word(page, index), index);
  if (MI_LIKELY(page->fresh > page->count)) page->choices[--page->fresh] = (uint16_t)index;
}

// By anybody -----------------------------------------------------------------------------------------

// The program gives a block back that was live a moment ago. Its page is not held by the caller's theap.
typedef enum hardened_end_e {
  END_DONE,
  END_UNHELD,    // nobody holds the page
  END_NOT_LIVE,  // another thread was faster
} hardened_end_t;

MI_INLINE hardened_end_t mii_hardened_end_unheld(hardened_t* page, uint32_t index) {
  const uint64_t bit = UINT64_C(1) << index % 64;
  _Atomic(uint64_t)* const freed = &mii_hardened_word(page, index)->freed;
  if ((atomic_fetch_or_explicit(freed, bit, memory_order_seq_cst) & bit) != 0) return END_NOT_LIVE;
  return atomic_load_explicit(&page->holder, memory_order_seq_cst) != 0 ? END_DONE : END_UNHELD;
}

// Nobody holds the page, and this block was freed: is the page to be looked at (B3)?
bool mii_hardened_is_due(hardened_t* page, uint32_t index);

static inline bool mii_hardened_is_held_by(const hardened_t* page, uintptr_t theap) {
  return atomic_load_explicit(&page->holder, memory_order_relaxed) == theap;
}

// The same, whoever holds it.
static inline hardened_end_t mii_hardened_end(hardened_t* page, uint32_t index, uintptr_t theap) {
  if (!mii_hardened_is_held_by(page, theap)) return mii_hardened_end_unheld(page, index);
  mii_hardened_give(page, index);
  return END_DONE;
}

bool mii_hardened_is_valid(const hardened_t* page);

#endif
