// SPDX-License-Identifier: MIT
// heap.h - a heap: where its theaps' pages go when nobody owns them
//
// There is one heap today, the main one; first-class heaps come with the rest of the API.
#ifndef MI_HEAP_H
#define MI_HEAP_H

#include "base/handle_stack.h"
#include "base/size_class.h"
#include "page/page.h"

struct heap_s {
  // Disowned pages with enough free blocks: those on which no trim has looked since, and the others.
  handle_stack_t claimable[CLASS_COUNT];  // atomic: handle_stack.h
  handle_stack_t looked_at[CLASS_COUNT];  // atomic: handle_stack.h
  _Atomic(uint32_t) trim_class;           // atomic: relaxed; where the next trim begins
};

extern heap_t mii_heap_main;

// Put a page where any thread can claim it: after PUSH_PUBLISH or a disowning that says so.
void mii_heap_publish(page_t* page);

// Claim a page of the class for `owner`, in state PAGE_NONE and counted. NULL if there is none.
page_t* mii_heap_claim(heap_t* heap, uint32_t size_class, uintptr_t owner);

// Give back the empty ones among the claimable pages; among a few of them.
void mii_heap_trim(heap_t* heap);
void mii_heap_trim_some(heap_t* heap);

// In the child of a fork: no page is claimable until it is published again.
void mii_heap_forget_claimable(heap_t* heap);

// Let go of a page that the caller owns and that is on no list. False if it is queued: then the caller
// keeps it.
bool mii_heap_try_release(page_t* page);

#endif
