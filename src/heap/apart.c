// SPDX-License-Identifier: MIT
// apart.c - first-class heaps: apart from the main one, and from each other
//
//     thread's home (theap of the main heap) -- others[slot] --> its theap of that heap
//     heap -- theaps --> all its theaps;  waiting --> those whose threads ended
//
//   H1  pages of a heap that is apart always belong to one of its theaps: they are never disowned, so they
//       are all found from there
//   H2  their blocks are pushed at once by who frees them, the thread of the theap included (unless malloc
//       uses it), and are never loose or in an outbox: once the free has returned, nobody is about to write
//       into them. So a heap may be destroyed while other threads run
//   H3  larger blocks are whole slices, in a circle of the heap
//   H4  others[slot] of a live heap is NULL or a theap whose home it is
//
// The lock is held by who begins to use a heap, makes or ends one, ends a thread that used any, or takes or
// frees one of H3: not by those who allocate and free in pages.
//
// Tests: tests/unit/heap/apart_test.c, tests/api/heap_test.c, tests/stress/promise_17.c
#include "heap/apart.h"
#include "base/assert.h"
#include "heap/outbox.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "page/page_remote.h"
#include "runtime/lock.h"
#include "space/arena.h"
#include "space/huge.h"
#include "space/lent.h"
#include "space/purge.h"
#include <string.h>

enum { OTHERS_MIN = 8 };

subproc_t mii_subproc_main = {.main = &mii_heap_main, .heaps = &mii_heap_main};

static lock_t apart = {.rank = LOCK_APART};
static heap_t* unused_heaps;             // lock(apart): linked by next
static uint32_t heap_count;              // lock(apart): ever made
static _Atomic(size_t) heaps_alive = 1;  // atomic: relaxed; the main one is

void mii_apart_lock(void) { mii_lock_enter(&apart); }
void mii_apart_unlock(void) { mii_lock_leave(&apart); }

// Heaps --------------------------------------------------------------------------------------------

size_t mii_heap_count(void) { return atomic_load_explicit(&heaps_alive, memory_order_relaxed); }

// Lock held.
static heap_t* take_heap(void) {
  heap_t* heap = unused_heaps;
  if (heap != NULL) {
    unused_heaps = heap->next;
    return heap;
  }
  heap = mii_meta_take(sizeof *heap);
  if (heap == NULL) return NULL;
  heap->is_apart = true;
  heap->slot = ++heap_count;
  return heap;
}

static void link_heap(heap_t* heap, subproc_t* subproc) {
  heap->subproc = subproc;
  heap->prev = NULL;
  heap->next = subproc->heaps;
  if (heap->next != NULL) heap->next->prev = heap;
  subproc->heaps = heap;
}

static void unlink_heap(heap_t* heap) {
  if (heap->next != NULL) heap->next->prev = heap->prev;
  if (heap->prev != NULL) {
    heap->prev->next = heap->next;
  } else {
    heap->subproc->heaps = heap->next;
  }
}

// Lock held.
static subproc_t* begin_subproc(heap_t* main) {
  main->begun.main = main;
  main->begun.heaps = NULL;
  atomic_store_explicit(&main->begun.users, 0, memory_order_relaxed);
  return &main->begun;
}

MI_COLD heap_t* mii_heap_new(subproc_t* subproc, arena_t* arena) {
  mii_apart_lock();
  heap_t* const heap = take_heap();
  if (heap != NULL) {
    heap->arena = arena;
    heap->bounds = arena != NULL ? arena->bounds : (segment_bounds_t){0, 0};
    heap->lent = arena != NULL ? arena->lent : NULL;
    if (arena != NULL) atomic_fetch_add_explicit(&arena->users, 1, memory_order_relaxed);
    atomic_store_explicit(&heap->near, 0, memory_order_relaxed);
    mii_limit_set(&heap->limit, 0, 0);
    link_heap(heap, subproc != NULL ? subproc : begin_subproc(heap));
    atomic_fetch_add_explicit(&heaps_alive, 1, memory_order_relaxed);
  }
  mii_apart_unlock();
  return heap;
}

// Exclusive arenas, and memory of the program, are for their own heaps.
static bool is_near(const arena_t* arena, int numa_node) {
  return arena->numa_node == numa_node && !arena->is_exclusive && arena->lent == NULL
         && !atomic_load_explicit(&arena->is_gone, memory_order_relaxed);
}

MI_COLD void mii_heap_set_node(heap_t* heap, int numa_node) {
  arena_t* arena = numa_node >= 0 && heap->arena == NULL ? mii_arena_first() : NULL;
  while (arena != NULL && !is_near(arena, numa_node)) arena = arena->next;
  const segment_bounds_t near = arena != NULL ? arena->bounds : (segment_bounds_t){0, 0};
  atomic_store_explicit(&heap->near, near.from | (uint64_t)near.end << 32, memory_order_relaxed);
}

// Theaps -------------------------------------------------------------------------------------------

// Lock held. So that others[slot] exists; others[0] is for the main heap.
static bool make_room(theap_t* home, uint32_t slot) {
  if (slot < home->other_count) return true;
  const uint32_t count =
      (uint32_t)mii_max(mii_max(OTHERS_MIN, (size_t)2 * home->other_count), (size_t)slot + 1);
  _Atomic(theap_t*)* const others = mii_meta_take(count * sizeof *others);
  if (others == NULL) return false;
  for (uint32_t i = 0; i < home->other_count; i++)
    atomic_store_explicit(&others[i], home->others[i], memory_order_relaxed);
  atomic_store_explicit(&others[0], home, memory_order_relaxed);
  home->others = others;
  home->other_count = count;
  return true;
}

// Lock held.
static void add_theap(heap_t* heap, theap_t* theap) {
  theap->next_of_heap = heap->theaps;
  heap->theaps = theap;
}
static void add_waiting(heap_t* heap, theap_t* theap) {
  theap->home = theap;
  theap->next_waiting = heap->waiting;
  heap->waiting = theap;
}

// Lock held.
static theap_t* take_theap_of(heap_t* heap) {
  theap_t* theap = heap->waiting;
  if (theap != NULL) {
    heap->waiting = theap->next_waiting;
    return theap;
  }
  theap = mii_thread_take_bare();
  if (theap == NULL) return NULL;
  theap->heap = heap;
  theap->is_apart = true;
  memset(theap->room, 0, sizeof theap->room);
  add_theap(heap, theap);
  return theap;
}

static theap_t* begin_use(heap_t* heap, theap_t* home) {
  mii_apart_lock();
  theap_t* const theap = make_room(home, heap->slot) ? take_theap_of(heap) : NULL;
  if (theap != NULL) {
    theap->home = home;
    theap->keeps_nothing = home->keeps_nothing;
    atomic_store_explicit(&home->others[heap->slot], theap, memory_order_relaxed);
  }
  mii_apart_unlock();
  return theap;
}

static theap_t* borrow(heap_t* heap) {
  mii_apart_lock();
  theap_t* const theap = take_theap_of(heap);
  mii_apart_unlock();
  return theap;
}

theap_t* mii_heap_enter(heap_t* heap) {
  theap_t* const known = mii_heap_theap(heap);
  if (known != NULL && known->is_live) return known;
  theap_t* const entered = mii_thread_enter();
  if (entered == NULL || entered->heap == heap) return entered;
  theap_t* const home = mii_theap_mine->home;
  mii_thread_leave(entered);
  if (!home->is_live) return borrow(heap);
  return heap->is_apart ? begin_use(heap, home) : home;
}

MI_COLD void mii_heap_leave(theap_t* theap) {
  if (mii_theap_is_mine(theap)) return;
  if (!theap->is_apart) {
    mii_thread_leave(theap);
    return;
  }
  mii_apart_lock();
  add_waiting(theap->heap, theap);
  mii_apart_unlock();
}

// With the lock, so that nobody ends the heap meanwhile.
static void leave_slot(theap_t* home, uint32_t slot) {
  if (atomic_load_explicit(&home->others[slot], memory_order_relaxed) == NULL) return;
  mii_apart_lock();
  theap_t* const theap = atomic_load_explicit(&home->others[slot], memory_order_relaxed);
  if (theap != NULL) {
    mii_theap_collect(theap);
    theap->keeps_nothing = false;
    atomic_store_explicit(&home->others[slot], NULL, memory_order_relaxed);
    add_waiting(theap->heap, theap);
  }
  mii_apart_unlock();
}

MI_COLD void mii_apart_leave(theap_t* home) {
  for (uint32_t slot = 1; slot < home->other_count; slot++) leave_slot(home, slot);
  if (home->subproc != NULL)
    atomic_fetch_sub_explicit(&home->subproc->users, 1, memory_order_relaxed);
  home->subproc = NULL;
}

void mii_apart_forget_others(void) {
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    if (t->is_apart) t->heap->waiting = NULL;
  }
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    if (t->is_apart && !mii_theap_is_mine(t)) add_waiting(t->heap, t);
  }
}

// Collect ------------------------------------------------------------------------------------------

// With the lock: who wants to use one waits.
static void collect_waiting(heap_t* heap) {
  mii_apart_lock();
  for (theap_t* t = heap->waiting; t != NULL; t = t->next_waiting) mii_theap_collect(t);
  mii_apart_unlock();
}

MI_COLD void mii_heap_collect(heap_t* heap, bool all) {
  theap_t* const theap = mii_heap_enter(heap);
  if (theap == NULL) return;
  mii_theap_give_lists(theap);
  mii_theap_collect(theap);
  mii_heap_leave(theap);
  if (all && heap->is_apart) collect_waiting(heap);
}

MI_COLD void mii_apart_collect_waiting(void) {
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    mii_apart_lock();
    if (t->is_apart && t->home == t) mii_theap_collect(t);
    mii_apart_unlock();
  }
}

// Huge blocks --------------------------------------------------------------------------------------

static void circle_link(heap_t* heap, slice_t slice) {
  page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t first = heap->huge != 0 ? heap->huge : slice;
  const slice_t last = heap->huge != 0 ? mii_slice_cold(first)->prev : slice;
  cold->next = first;
  cold->prev = last;
  mii_slice_cold(first)->prev = slice;
  mii_slice_cold(last)->next = slice;
  heap->huge = slice;
}

static void circle_unlink(heap_t* heap, slice_t slice) {
  const page_cold_t* const cold = mii_slice_cold(slice);
  mii_slice_cold(cold->prev)->next = cold->next;
  mii_slice_cold(cold->next)->prev = cold->prev;
  if (heap->huge == slice) heap->huge = cold->next != slice ? cold->next : 0;
}

static heap_t* heap_of_huge(slice_t slice) {
  return atomic_load_explicit(&mii_slice_cold(slice)->heap, memory_order_relaxed);
}

heap_t* mii_heap_of_huge(slice_t slice) {
  heap_t* const heap = heap_of_huge(slice);
  return heap != NULL ? heap : &mii_heap_main;
}

// NULL: it is the main one, which keeps no list of them.
static void set_heap_of_huge(slice_t slice, heap_t* heap) {
  atomic_store_explicit(&mii_slice_cold(slice)->heap, heap, memory_order_relaxed);
}

MI_COLD void mii_heap_add_huge(heap_t* heap, slice_t slice) {
  if (!heap->is_apart) {
    set_heap_of_huge(slice, NULL);
    return;
  }
  mii_apart_lock();
  set_heap_of_huge(slice, heap);
  circle_link(heap, slice);
  mii_apart_unlock();
}

MI_COLD void mii_heap_remove_huge(slice_t slice) {
  if (heap_of_huge(slice) == NULL) return;
  mii_apart_lock();
  heap_t* const heap = heap_of_huge(slice);  // it may have moved
  if (heap != NULL) circle_unlink(heap, slice);
  mii_apart_unlock();
}

// Lock held.
static void move_huge(heap_t* heap, heap_t* to) {
  while (heap->huge != 0) {
    const slice_t slice = heap->huge;
    circle_unlink(heap, slice);
    set_heap_of_huge(slice, to->is_apart ? to : NULL);
    if (to->is_apart) circle_link(to, slice);
  }
}

// From SECURE_CANARY on free memory is zero, and nowhere guarded.
static void wipe_huge(slice_t slice) {
  if (mii_secure_level() < SECURE_CANARY) return;
  uint8_t* const start = mii_slice_start(slice);
  const size_t bytes = mii_huge_bytes(start);
  mii_secure_unguard(start, bytes);
  if (!mii_purge_memory(start, bytes)) memset(start, 0, bytes);
}

static void discard_huge(heap_t* heap) {
  while (heap->huge != 0) {
    const slice_t slice = heap->huge;
    circle_unlink(heap, slice);
    wipe_huge(slice);
    mii_huge_give(mii_slice_start(slice));
  }
}

// Limits -------------------------------------------------------------------------------------------

// Reads the counts of other threads' theaps without asking them, on purpose.
MI_NO_TSAN MI_COLD size_t mii_heap_used_bytes(heap_t* heap) {
  size_t bytes = 0;
  mii_apart_lock();
  for (const theap_t* t = heap->theaps; t != NULL; t = t->next_of_heap)
    bytes += (size_t)t->slice_count * SLICE_BYTES;
  slice_t slice = heap->huge;
  while (slice != 0) {
    bytes += mii_huge_bytes(mii_slice_start(slice));
    slice = mii_slice_cold(slice)->next;
    if (slice == heap->huge) break;
  }
  mii_apart_unlock();
  return bytes;
}

bool mii_heap_check_limit(theap_t* theap, size_t more) {
  heap_t* const heap = theap->heap;
  if (mii_limit_is_to_purge(&heap->limit, mii_heap_used_bytes(heap) + more)) {
    mii_theap_collect(theap);
    mii_purge_all();
  }
  return mii_limit_allows(&heap->limit, mii_heap_used_bytes(heap), more);
}

// The end of a heap --------------------------------------------------------------------------------

static void stop_using(const heap_t* heap) {
  if (mii_theap_mine->heap != heap) return;
  theap_t* const home = mii_theap_mine->home;
  heap_t* const main = mii_subproc_mine()->main;
  mii_theap_mine = home;
  if (heap == main || !main->is_apart) return;
  theap_t* const theap = mii_heap_enter(main);
  if (theap != NULL) mii_theap_mine = theap;
}

// Lock held. Its theaps, linked by next_of_heap: from now on they belong to the caller.
static theap_t* detach_theaps(heap_t* heap) {
  theap_t* const theaps = heap->theaps;
  for (theap_t* t = theaps; t != NULL; t = t->next_of_heap) {
    if (t->home != t)
      atomic_store_explicit(&t->home->others[heap->slot], NULL, memory_order_relaxed);
    t->home = t;
    t->heap = &mii_heap_main;
    t->is_apart = false;
  }
  heap->theaps = heap->waiting = NULL;
  return theaps;
}

static void forget_heap(heap_t* heap) {
  if (heap->arena != NULL) atomic_fetch_sub_explicit(&heap->arena->users, 1, memory_order_relaxed);
  mii_apart_lock();
  heap->next = unused_heaps;
  unused_heaps = heap;
  atomic_fetch_sub_explicit(&heaps_alive, 1, memory_order_relaxed);
  mii_apart_unlock();
}

static MI_COLD void destroy_any(heap_t* heap) {
  stop_using(heap);
  mii_apart_lock();
  unlink_heap(heap);
  theap_t* theap = detach_theaps(heap);
  mii_apart_unlock();
  for (theap_t* next; theap != NULL; theap = next) {
    next = theap->next_of_heap;
    mii_theap_discard(theap);
    mii_thread_give_theap(theap);
  }
  mii_vault_discard(heap);
  discard_huge(heap);
  // A main heap has what its sub-process's other heaps left.
  if (heap->lent != NULL || heap->subproc->main == heap) mii_lent_move(heap, NULL);
  forget_heap(heap);
}

// Its pages are anyone's who uses the main heap; or it waits in the other heap with them.
static void move_theap(theap_t* theap, heap_t* to) {
  mii_theap_collect(theap);
  mii_theap_move(theap, to);
  if (!to->is_apart) {
    mii_theap_dissolve(theap);
    mii_thread_give_theap(theap);
    return;
  }
  mii_apart_lock();
  add_theap(to, theap);
  add_waiting(to, theap);
  mii_apart_unlock();
}

static void move_theaps(theap_t* theap, heap_t* to) {
  for (theap_t* next; theap != NULL; theap = next) {
    next = theap->next_of_heap;
    move_theap(theap, to);
  }
}

MI_COLD void mii_heap_delete(heap_t* heap) {
  MI_ASSERT(heap->is_apart && heap->subproc->main != heap);
  heap_t* const to = heap->subproc->main;
  stop_using(heap);
  if (heap->arena != NULL && heap->arena->is_isolated) return;  // its blocks must not meet others
  mii_apart_lock();
  unlink_heap(heap);
  theap_t* const theaps = detach_theaps(heap);
  move_huge(heap, to);
  mii_apart_unlock();
  move_theaps(theaps, to);
  if (heap->lent != NULL) mii_lent_move(heap, to);
  mii_vault_move(heap, to);
  forget_heap(heap);
}

// Where a tool watches all blocks, they live on.
void mii_heap_destroy(heap_t* heap) {
  MI_ASSERT(heap->is_apart && heap->subproc->main != heap);
  if (MI_CFG_TRACK) {
    mii_heap_delete(heap);
  } else {
    destroy_any(heap);
  }
}

// Which heap ---------------------------------------------------------------------------------------

static heap_t* heap_of_page(const page_t* page) {
  return mii_page_is_apart(page) ? mii_page_heap(page) : &mii_heap_main;
}

static bool is_free_slice(slice_t slice) {
  const segment_t* const segment = mii_segment(slice / SEGMENT_SLICES);
  const uint64_t free = atomic_load_explicit(&segment->free, memory_order_relaxed);
  return (free >> slice % SEGMENT_SLICES & 1) != 0;
}

static bool huge_reaches(slice_t first, slice_t slice) {
  const page_cold_t* const cold = mii_slice_cold(first);
  return atomic_load_explicit(&cold->slice_count, memory_order_relaxed) > slice - first;
}

// In use, but nothing begins there: perhaps a huge block does before.
static heap_t* heap_of_later_slice(slice_t slice) {
  if (slice == 0 || slice >= mii_slice_count() || is_free_slice(slice)) return NULL;
  slice_t first = slice - 1;
  while (first > 0 && mii_slice_kind(first) == SLICE_FREE) first--;
  const slice_kind_t kind = mii_slice_kind(first);
  const bool large = kind == SLICE_HUGE || kind == SLICE_GUARDED;
  return large && huge_reaches(first, slice) ? mii_heap_of_huge(first) : NULL;
}

heap_t* mii_heap_of(const void* p) {
  if (!mii_range_owns(p)) return mii_lent_heap(p);
  const slice_t slice = (slice_t)mii_slice_of(p);
  switch (mii_slice_kind(slice)) {
    case SLICE_PAGE: return heap_of_page(mii_page_record(slice));
    case SLICE_FOLLOW: return heap_of_page(mii_page_record(slice - 1));
    case SLICE_RUN: return &mii_heap_main;
    case SLICE_HARDENED:
    case SLICE_GUARDED:
    case SLICE_HUGE: return mii_heap_of_huge(slice);
    case SLICE_FREE: break;
  }
  return heap_of_later_slice(slice);
}

// Sub-processes ------------------------------------------------------------------------------------

MI_COLD subproc_t* mii_subproc_new(void) {
  heap_t* const main = mii_heap_new(NULL, NULL);
  return main != NULL ? main->subproc : NULL;
}

// It is a part of its main heap, which ends last.
MI_COLD bool mii_subproc_destroy(subproc_t* subproc) {
  MI_ASSERT(subproc != &mii_subproc_main);
  if (atomic_load_explicit(&subproc->users, memory_order_relaxed) != 0) return false;
  heap_t* const main = subproc->main;
  while (subproc->heaps != main) destroy_any(subproc->heaps);
  destroy_any(main);
  return true;
}

bool mii_subproc_enter(subproc_t* subproc) {
  if (mii_subproc_mine() == subproc) return true;
  theap_t* const theap = mii_heap_enter(subproc->main);
  if (theap == NULL) return false;
  theap_t* const home = mii_theap_mine->home;
  if (!mii_theap_is_mine(theap) || home->subproc != NULL) {
    mii_heap_leave(theap);
    return false;
  }
  atomic_fetch_add_explicit(&subproc->users, 1, memory_order_relaxed);
  home->subproc = subproc;
  mii_theap_mine = theap;
  return true;
}

MI_COLD bool mii_subproc_visit(subproc_t* subproc, mi_heap_visit_fun* visit, void* arg) {
  bool go_on = true;
  mii_apart_lock();
  heap_t* heap = subproc->heaps;
  mii_apart_unlock();
  while (heap != NULL && go_on) {
    heap_t* const next = heap->next;
    go_on = visit((mi_heap_t*)heap, arg);
    heap = next;
  }
  return go_on;
}
