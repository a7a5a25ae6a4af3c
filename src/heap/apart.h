// SPDX-License-Identifier: MIT
// apart.h - first-class heaps: apart from the main one, and from each other
//
// Any thread may use any heap: its theap of the heap is made on demand. A heap that is deleted or destroyed
// is used by nobody else meanwhile, with one exception: blocks of a heap that is deleted may be freed.
// docs/heaps.md is the contract, docs/design/006-heaps.md says why it is built so.
#ifndef MI_APART_H
#define MI_APART_H

#include "heap/theap.h"
#include "mimalloc.h"

extern subproc_t mii_subproc_main;

// The running thread's; the main one for threads that were not added to another.
static inline subproc_t* mii_subproc_mine(void) {
  subproc_t* const subproc = mii_theap_mine->home->subproc;
  return subproc != NULL ? subproc : &mii_subproc_main;
}

// NULL when out of memory.
subproc_t* mii_subproc_new(void);

// With all its heaps and their blocks. False, and nothing happens, if a thread is in it.
bool mii_subproc_destroy(subproc_t* subproc);

// The running thread allocates there from now on. False if it is in another already, or out of memory.
bool mii_subproc_enter(subproc_t* subproc);

// Call for each heap, until it returns false. Nobody makes or ends heaps meanwhile.
bool mii_subproc_visit(subproc_t* subproc, mi_heap_visit_fun* visit, void* arg);

static inline const subproc_t* mii_subproc_of(const heap_t* heap) {
  return heap == NULL || !heap->is_apart ? &mii_subproc_main : heap->subproc;
}

// The one that a public function is asked about: NULL stands for the running thread's main heap.
static inline heap_t* mii_heap_or_main(const mi_heap_t* heap) {
  return heap != NULL ? (heap_t*)(uintptr_t)heap : mii_subproc_mine()->main;
}

// How many heaps there are, in all sub-processes.
size_t mii_heap_count(void);

// A new heap, with its memory in the arena, or anywhere if that is NULL; the main one of a new sub-process if that is
// NULL. NULL when out of memory.
heap_t* mii_heap_new(subproc_t* subproc, arena_t* arena);

// New memory comes from an arena on the NUMA node, as long as one has room; -1, or there is none: from anywhere.
void mii_heap_set_node(heap_t* heap, int numa_node);

// The heap ends. Its blocks end with it, or go on as blocks of its sub-process's main heap. Not for main heaps.
void mii_heap_destroy(heap_t* heap);
void mii_heap_delete(heap_t* heap);

// Give free memory of the heap back: the running thread's part, and `all`: of threads that ended, too.
void mii_heap_collect(heap_t* heap, bool all);

// The same for what threads that ended have left in all heaps.
void mii_apart_collect_waiting(void);

// The heap of the block that p points into; NULL if there is none.
heap_t* mii_heap_of(const void* p);

// The running thread's theap of the heap, or NULL if there is none yet; perhaps one that is not live.
static inline theap_t* mii_heap_theap(const heap_t* heap) {
  theap_t* const mine = mii_theap_mine;
  if (mine->heap == heap) return mine;
  const theap_t* const home = mine->home;
  if (heap->slot >= home->other_count) return NULL;
  return atomic_load_explicit(&home->others[heap->slot], memory_order_relaxed);
}

// The same for a slow path: it is made if need be, or borrowed by a thread past its end. NULL when out of
// memory. Pair with mii_heap_leave.
theap_t* mii_heap_enter(heap_t* heap);
void mii_heap_leave(theap_t* theap);

// The heap of a huge block.
heap_t* mii_heap_of_huge(slice_t slice);

// A huge block begins in the slice, or ends there.
// Bytes of its pages and huge blocks. Any thread; others allocate meanwhile.
size_t mii_heap_used_bytes(heap_t* heap);

// May the theap's heap have so many bytes more? Beyond its soft limit what is empty goes back first. The limits are
// looked at before memory is taken: threads that take some at the same time may pass them by that.
bool mii_heap_check_limit(theap_t* theap, size_t more) MI_COLD;
static inline bool mii_heap_may_grow(theap_t* theap, size_t more) {
  return MI_LIKELY(!mii_limit_is_set(&theap->heap->limit)) || mii_heap_check_limit(theap, more);
}

void mii_heap_add_huge(heap_t* heap, slice_t slice);
void mii_heap_remove_huge(slice_t slice);

// The thread ends whose theap of the main heap this is.
void mii_apart_leave(theap_t* home);

// Taken by fork. In its child, after mii_thread_forget_others: theaps of threads that are gone wait.
void mii_apart_lock(void);
void mii_apart_unlock(void);
void mii_apart_forget_others(void);

#endif
