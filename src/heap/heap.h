// SPDX-License-Identifier: MIT
// heap.h - a heap: where its theaps' pages go when nobody owns them
//
// Pages of the main heap only are ever disowned; the other heaps, which are "apart", are in apart.h.
#ifndef MI_HEAP_H
#define MI_HEAP_H

#include "base/handle_stack.h"
#include "base/size_class.h"
#include "page/page.h"
#include "space/limit.h"

// Heaps that belong together; blocks of those that are deleted go to `main`.
struct subproc_s {
  heap_t* main;             // const while it lives
  heap_t* heaps;            // lock(apart): linked by next and prev; the last one is `main`
  _Atomic(uint32_t) users;  // atomic: relaxed; threads that were added
};

struct heap_s {
  // Disowned pages with enough free blocks: those on which no trim has looked since, and the others.
  handle_stack_t claimable[CLASS_COUNT];  // atomic: handle_stack.h
  handle_stack_t looked_at[CLASS_COUNT];  // atomic: handle_stack.h
  _Atomic(uint32_t) trim_class;           // atomic: relaxed; where the next trim begins
  _Atomic(vault_t*) vault;                // atomic: vault.c; NULL: not made yet
  // Of heaps that are apart.
  bool is_apart;            // const
  uint32_t slot;            // const: index into theap_t.others
  subproc_t* subproc;       // const while the heap lives
  subproc_t begun;          // what it is if the heap is the main one of a sub-process
  heap_t* next;             // lock(apart): of the sub-process, or of those not in use
  heap_t* prev;             // lock(apart)
  theap_t* theaps;          // lock(apart): linked by next_of_heap
  theap_t* waiting;         // lock(apart): those without a thread, linked by next_waiting
  slice_t huge;             // lock(apart): circle of its blocks of whole slices, by next and prev
  arena_t* arena;           // const while the heap lives: NULL: none
  segment_bounds_t bounds;  // const while the heap lives: those of its arena
  lent_t* lent;            // const while the heap lives: its arena is the program's memory; or NULL
  limit_t limit;           // of a heap that is apart, without what is lent
  _Atomic(uint64_t) near;  // atomic: relaxed; bounds where new memory is looked for first; or 0
};

static inline segment_bounds_t mii_heap_near(const heap_t* heap) {
  const uint64_t near = atomic_load_explicit(&heap->near, memory_order_relaxed);
  return (segment_bounds_t){(uint32_t)near, (uint32_t)(near >> 32)};
}

extern heap_t mii_heap_main;

// Put a page where any thread can claim it: after PUSH_PUBLISH or a disowning that says so.
void mii_heap_publish(page_t* page);

// Claim a page of the class for `owner`, in state PAGE_NONE and counted. NULL if there is none.
page_t* mii_heap_claim(heap_t* heap, uint32_t size_class, uintptr_t owner);

// Bytes of the pages that wait to be claimed, in all heaps. Empty ones among them are found by trims only.
size_t mii_heap_claimable_bytes(void);

// Give back the empty ones among the claimable pages; among a few of them. If `now` (ms) is not 0, parts of those
// that nobody has claimed for a purge delay go back, too.
void mii_heap_trim(heap_t* heap);
void mii_heap_trim_some(heap_t* heap, uint64_t now);

// Give back what can be given back of the claimable pages, old or not (page/page_hole.c).
void mii_heap_punch(heap_t* heap);

// In the child of a fork: no page is claimable until it is published again.
void mii_heap_forget_claimable(heap_t* heap);

// Let go of a page that the caller owns and that is on no list. False if it is queued: then the caller
// keeps it.
bool mii_heap_try_release(page_t* page);

#endif
