// SPDX-License-Identifier: MIT
// theap.h - one thread's lists and pages of one heap
//
// Who may touch a field: the thread that uses the theap (owner), unless said otherwise. A theap whose
// thread ended waits in a pool, with its pages, for the next thread (thread.h).
#ifndef MI_THEAP_H
#define MI_THEAP_H

#include "base/compiler.h"
#include "base/handle_stack.h"
#include "heap/heap.h"
#include "mimalloc.h"
#include "page/hardened.h"
#include "runtime/secure.h"

// The owned pages of a class, linked in their cold records.
typedef struct class_pages_s {
  slice_t owned;    // all, in a circle; named by where the next look at them begins
  slice_t awake;    // a stack of those of which enough is free
  slice_t growing;  // the one whose blocks are not all threaded yet; 0 if there is none
} class_pages_t;

// Blocks of one page that somebody else owns: outbox.h. As large as a record of a page, so that finding one
// costs no multiplication.
typedef struct parcel_s {
  block_t* first;
  page_t* page;    // NULL: the parcel is empty
  uint32_t last;   // offset of the last block in its page, in units of block_t
  uint32_t room;   // blocks that can still be added
  uint32_t limit;  // blocks it can hold; kept here, because the page may have ended meanwhile
  uint32_t epoch;  // of the page when the parcel was begun
} parcel_t;

enum { OUTBOX_PARCELS = 16 };

// What a theap has besides in a hardened process. Owner only.
typedef struct stock_s {
  rng_t rng;
  hardened_t* held[CLASS_COUNT];  // the page that malloc takes from, or NULL: vault.c
} stock_t;

struct theap_s {
  block_t* list[CLASS_COUNT];        // owner: what malloc pops, per class
  class_pages_t pages[CLASS_COUNT];  // owner
  _Atomic(uint32_t) woken;     // atomic: queued pages, linked by stack_link; pushes and take-alls
  slice_t draining;            // owner: those taken from there and not looked at yet
  uint32_t run_segment;        // owner: where the last run was found
  _Atomic(uint32_t) answered;  // atomic: ask.h; the owner writes, of a home
  uint32_t other_count;        // owner, of a home: entries of others
  heap_t* heap;                // owner: changes only where no thread uses the theap
  theap_t* home;               // owner: the thread's theap of the main heap, perhaps this one; or
                               // lock(apart), and NULL while no thread uses it
  _Atomic(theap_t*)* others;   // owner, of a home: theaps of other heaps by their slot
  uint64_t heartbeat;          // owner: refills so far
  uint64_t next_sweep_ms;      // owner
  // Blocks and bytes are not neighbours: compilers would pack both sums into a vector, in twice the instructions.
  uint64_t blocks_handed;         // owner, read racily for statistics: blocks put into list[]
  uint64_t large_handed;          // owner, read racily for statistics: runs and huge blocks
  uint64_t bytes_handed;          // owner, read racily for statistics
  uint64_t large_bytes;           // owner, read racily for statistics
  parcel_t* outbox;               // owner: its parcels; mii_no_outbox until it needs one
  uint32_t parcels;               // owner: bit i: outbox[i] is not empty
  uint8_t room[CLASS_COUNT];      // owner: blocks that may still go straight onto the list
  uint8_t arrivals[CLASS_COUNT];  // owner: pages of the class that came so far, modulo 256
  uint32_t slice_count;           // owner: of the pages it has
  uint8_t remote_wakes;           // owner: of the last wakes, how many were others', of 255
  uint8_t loosened;               // owner: own blocks that went onto a list, modulo 256
  uint32_t punched_at;            // owner, of a home: in ms, modulo 2^32 (memory_api.c)
  uint32_t sweep_class;           // owner: where the next look at sleepers begins
  uint32_t loose_class;           // owner: where the next look for loose blocks begins
  uint32_t sparse;               // owner: pages that became sparse, less those that were used since
  slice_t sparse_from;           // owner: where the latest look for sparse pages ended
  bool in_deferred_free;         // owner
  bool keeps_nothing;            // owner: mi_thread_set_in_threadpool
  bool is_apart;                 // owner: the heap is not the main one
  bool is_live;                  // const: not one of the empty ones that threads begin and end with
  uint64_t pooled_at_ms;         // owner, or who popped it from the pool
  _Atomic(uint32_t) stack_link;  // atomic: handle_stack.h, the pool
  _Atomic(uint32_t) user;        // atomic: thread.c; who uses it, or 0
  theap_t* next_made;            // const: the list of all theaps
  theap_t* next_of_heap;         // lock(apart)
  theap_t* next_waiting;         // lock(apart)
  sampler_t* sampler;            // owner; NULL: nothing was sampled yet
  stock_t* stock;                // owner; NULL: it was not needed yet
  hardened_t** straight;         // owner: its pages at SECURE_VAULT, and ...
  hardened_t** sealed;  // owner: ... above; NULL if it samples: then malloc asks for the level
  subproc_t* subproc;   // owner, of a home: where its thread was added; NULL: the main one
};
// P17: the price of one theap per thread and heap.
static_assert(sizeof(void*) != 8 || sizeof(theap_t) <= 2048, "a theap costs at most 2 KiB");

// Empty parcels, for who has none of its own. Nobody writes there.
extern const parcel_t mii_no_outbox[OUTBOX_PARCELS];

// What every thread begins with: no list, so that the first call of each kind takes the slow path.
extern const theap_t mii_theap_empty;

// The running thread's theap, never NULL: the one that malloc uses. Its home is that of the main heap.
extern MI_TLS theap_t* mii_theap_mine;

// Does the running thread use the theap, for malloc or for another heap?
static inline bool mii_theap_is_mine(const theap_t* theap) {
  return theap != NULL && theap->home == mii_theap_mine->home;
}

MI_INLINE uintptr_t mii_theap_tag(const theap_t* theap) { return (uintptr_t)theap; }

stock_t* mii_theap_make_stock(theap_t* theap) MI_COLD;

// What decides about the order of blocks. NULL: nothing does, below SECURE_RANDOM.
static inline rng_t* mii_theap_rng(theap_t* theap) {
  if (MI_LIKELY(mii_secure_level() < SECURE_RANDOM)) return NULL;
  stock_t* const stock = theap->stock != NULL ? theap->stock : mii_theap_make_stock(theap);
  return stock != NULL ? &stock->rng : NULL;
}

// Take a block of the class when list[size_class] has run empty: the cadence point, see refill.c. NULL
// when out of memory.
void* mii_theap_refill(theap_t* theap, uint32_t size_class);

// A request that no list can serve: one more beat, which may be followed by deferred free and
// housekeeping.
void mii_theap_beat(theap_t* theap);

// Loose blocks. Where a free would cost a signal, to the owner of the page or because our own page has few
// blocks, the block goes straight onto our list, and our next malloc of the class finds it in the cache. As
// far as its page knows it is still out.
static inline void mii_theap_add_loose(theap_t* theap, uint32_t size_class, block_t* block) {
  block->next = theap->list[size_class];
  theap->list[size_class] = block;
  theap->blocks_handed++;
  theap->bytes_handed += mii_class_bytes(size_class);
}

// Only a few blocks of others do so between two refills: nothing piles up in a thread that only frees. False
// if there is no room, or the block's heap may end before ours.
static inline bool mii_theap_keep_loose(theap_t* theap, const page_t* page, block_t* block) {
  const uint32_t size_class = page->size_class;
  if (theap->room[size_class] == 0 || MI_UNLIKELY(mii_page_is_apart(page))) return false;
  theap->room[size_class]--;
  mii_theap_add_loose(theap, size_class, block);
  return true;
}

// Give all lists back to their pages, so that nothing is held ready.
void mii_theap_give_lists(theap_t* theap);

// Bytes of the blocks in the lists and parcels. Any thread, without asking: what changes meanwhile is counted
// as far as it looks like a list.
size_t mii_theap_held_bytes(const theap_t* theap);

// Give the loose blocks of the next `class_max` classes back to their pages.
void mii_theap_give_loose(theap_t* theap, uint32_t class_max);

// A page of the theap needs a look: mii_page_push_local said so.
void mii_theap_wake(theap_t* theap, page_t* page);

// A page that we do not own was pushed to, and says so. Any thread.
void mii_theap_page_queued(page_t* page);

// Count everything, and give empty pages back. Pages with any free block become usable at once.
void mii_theap_collect(theap_t* theap);

// Parts of its pages in which no block lives go back to the system (page/page_hole.c). After collecting.
void mii_theap_punch(theap_t* theap);

// Let go of all pages, or of at most `page_max`: the lists go back to their pages, which become claimable or
// end. False if there are more, or one is held by a free that is under way: then call again later.
bool mii_theap_dissolve(theap_t* theap);
bool mii_theap_dissolve_some(theap_t* theap, uint32_t page_max);

// The theap's heap ends: all its blocks at once, or they go on in another heap. No thread uses it, nor frees
// a block of it if they end.
void mii_theap_discard(theap_t* theap);
void mii_theap_move(theap_t* theap, heap_t* to);

// Take in a page that the caller owns for the theap, in state PAGE_NONE and counted.
void mii_theap_adopt(theap_t* theap, page_t* page);

// In the child of a fork: the theap's thread does not exist here. Nothing is left in it; what is good of
// its lists goes back to their pages, which other functions freeze.
void mii_theap_forget(theap_t* theap);

// Called at every heartbeat; NULL stops it.
void mii_deferred_free_set(mi_deferred_free_fun* fun, void* arg);
void mii_deferred_free_call(theap_t* theap, bool force);

// Owner only, between calls.
bool mii_theap_is_valid(theap_t* theap);

// Used by refill.c -------------------------------------------------------------------------------

// Put the free blocks of a page that is owned, or just claimed or made, into the (empty) list of its class.
// False if the page is complete and has no free block, so the list is still empty.
bool mii_theap_activate(theap_t* theap, page_t* page);

// The same for the best of the pages of which enough is free.
bool mii_theap_use_awake(theap_t* theap, uint32_t size_class);

// Thread more blocks of the growing page into the (empty) list. False if there is none.
bool mii_theap_extend(theap_t* theap, uint32_t size_class);

// How many pages of its class have come since the page did, modulo 256.
static inline uint32_t mii_theap_page_age(const theap_t* theap, const page_t* page) {
  const page_cold_t* const cold = mii_slice_cold(mii_page_slice(page));
  return (uint8_t)(theap->arrivals[page->size_class] - cold->arrival);
}

// Let go of a page none of whose blocks is in a list. If it is just being queued it stays.
void mii_theap_release(theap_t* theap, page_t* page);

// Count the page's frees: if at least `free_min` blocks are free it is awake from now on, or ends.
void mii_theap_review(theap_t* theap, page_t* page, uint32_t free_min);

// Take the pages that other threads have queued: all, or not more than `page_max` now.
void mii_theap_drain(theap_t* theap);
void mii_theap_drain_some(theap_t* theap, uint32_t page_max);
static inline bool mii_theap_is_woken(const theap_t* theap) {
  return (theap->draining | atomic_load_explicit(&theap->woken, memory_order_relaxed)) != 0;
}

void mii_theap_give_kept(theap_t* theap);

#endif
