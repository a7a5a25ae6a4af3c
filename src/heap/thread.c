// SPDX-License-Identifier: MIT
// thread.c - a thread starts, a thread ends; from the running thread to its theap
//
//     thread without a theap --enter--> its own --end--> in the pool, with its pages --enter--> another's
//                                                            |
//                                                            +--after a purge delay--> bare, in the pool
//
// A pooled theap keeps its address, hence its tag: frees into its pages go on as before, and who takes it
// drains what came meanwhile. A theap in the pool belongs to who pops it, so pushing and popping it are
// the only synchronisation its plain fields need (handle_stack.h).
//
// Calls after our own end of the thread (destructors that run later), and those of a thread made by a raw
// clone, borrow a theap from the pool for the time of the call.
//
// Nobody ends a thread whose first call comes after its last destructors (libc frees the records of other
// threads there). Its theap is found by asking, now and then, whether the threads still run.
//
// Tests: tests/unit/heap/thread_test.c, tests/stress/
#include "heap/thread.h"
#include "base/assert.h"
#include "base/track.h"
#include "heap/apart.h"
#include "heap/outbox.h"
#include "heap/refill_fast.h"
#include "heap/vault.h"
#include "platform/platform.h"

const theap_t mii_theap_done = {
    .heap = &mii_heap_main,
    .home = (theap_t*)&mii_theap_done,
    .outbox = (parcel_t*)mii_no_outbox,
};

static handle_stack_t pool;          // atomic: handle_stack.h; theaps with pages, the last on top
static handle_stack_t next_in_pool;  // atomic: handle_stack.h; the same, the longest waiting on top
static handle_stack_t dissolving;    // atomic: handle_stack.h; theaps that are due
static handle_stack_t bare_pool;     // atomic: handle_stack.h; theaps without pages
static _Atomic(theap_t*) made;       // atomic: release to add, acquire to walk
static _Atomic(uint64_t) started;    // atomic: relaxed, a count of its own
static _Atomic(uint64_t) ended;      // atomic: relaxed, a count of its own
static _Atomic(theap_t*)
    asked_last;                // atomic: release, acquire, as for `made`; where to go on asking
static uintptr_t main_thread;  // const once exits are armed
static _Atomic(bool) exits_are_armed;  // atomic: release to set, acquire to use the platform's key

enum {
  USERS_PER_TICK = 4,     // threads that are asked for per tick of the pool
  RELEASED_PER_TICK = 8,  // pages that a theap which is due lets go of per call
};
static const uint32_t SOME_USER = UINT32_MAX;  // a thread that need not be asked for, or cannot

static handle_link_t* theap_link(uint32_t handle) {
  return &((theap_t*)mii_meta_pointer(handle))->stack_link;
}

static void pool_push(theap_t* theap) {
  MI_ASSERT(theap->parcels == 0);
  mii_stack_push(theap->slice_count == 0 ? &bare_pool : &pool, mii_meta_handle(theap), theap_link);
}

// In the order of their coming, so that none lies here with what others have freed since; a stack of the
// last ones does without the first. Returns the one that came first.
static uint32_t turn_pool(void) {
  uint32_t handle = mii_stack_take_all(&pool);
  for (uint32_t next; handle != 0; handle = next) {
    next = atomic_load_explicit(theap_link(handle), memory_order_relaxed);
    if (next == 0) break;
    mii_stack_push(&next_in_pool, handle, theap_link);
  }
  return handle;
}

static theap_t* pool_pop(void) {
  uint32_t handle = mii_stack_pop(&next_in_pool, theap_link);
  if (handle == 0) handle = turn_pool();
  if (handle == 0) handle = mii_stack_pop(&dissolving, theap_link);
  if (handle == 0) handle = mii_stack_pop(&bare_pool, theap_link);
  return handle != 0 ? mii_meta_pointer(handle) : NULL;
}

theap_t* mii_thread_first_theap(void) { return atomic_load_explicit(&made, memory_order_acquire); }

static theap_t* make_theap(void) {
  theap_t* const theap = mii_meta_take(sizeof *theap);
  if (theap == NULL) return NULL;
  theap->heap = &mii_heap_main;
  theap->home = theap;
  theap->outbox = (parcel_t*)mii_no_outbox;
  theap->is_live = true;
  theap->remote_wakes = UINT8_MAX;  // until its own frees tell otherwise
  if (mii_secure_level() >= SECURE_RANDOM) mii_beats_will_do_more();
  theap_t* first = atomic_load_explicit(&made, memory_order_relaxed);
  do {
    theap->next_made = first;
  } while (!atomic_compare_exchange_weak_explicit(&made, &first, theap, memory_order_release,
                                                  memory_order_relaxed));
  return theap;
}

// Its lists may hold blocks of others.
MI_COLD theap_t* mii_thread_take_bare(void) {
  const uint32_t handle = mii_stack_pop(&bare_pool, theap_link);
  theap_t* const theap = handle != 0 ? mii_meta_pointer(handle) : make_theap();
  if (theap != NULL) mii_theap_dissolve(theap);
  return theap;
}

void mii_thread_give_theap(theap_t* theap) {
  theap->keeps_nothing = false;
  theap->pooled_at_ms = mii_platform_clock_ms();
  pool_push(theap);
}

// The thread has ended, or has said so: its theap waits for another one.
static void retire(theap_t* theap) {
  mii_apart_leave(theap);
  mii_outbox_send(theap);
  theap->keeps_nothing = false;
  theap->in_deferred_free = false;
  theap->pooled_at_ms = mii_platform_clock_ms();
  pool_push(theap);
  atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
}

// A thread that is gone has done its last store; the system's answer comes after it. Of those that find
// this out at the same time one gets the theap.
// Untried: no thread of a scenario ends unseen.
static void retire_if_user_is_gone(theap_t* theap) {
  uint32_t user = atomic_load_explicit(&theap->user, memory_order_relaxed);
  if (user == 0 || user == SOME_USER || !mii_platform_thread_is_gone(user)) return;
  if (atomic_compare_exchange_strong_explicit(&theap->user, &user, 0, memory_order_acquire,
                                              memory_order_relaxed))
    retire(theap);
}

// Unnoticed: it takes three threads, one to make a theap, one to stop at it, one to go on from there; the load
// and the store hand on its next_made.
static void ask_for_users(uint32_t count) {
  theap_t* theap = atomic_load_explicit(&asked_last, memory_order_acquire);
  for (; count > 0; count--) {
    theap = theap != NULL ? theap->next_made : mii_thread_first_theap();
    if (theap != NULL) retire_if_user_is_gone(theap);
  }
  // Unnoticed: see above.
  atomic_store_explicit(&asked_last, theap, memory_order_release);
}

// Before one is made, a few threads are asked for: most of those that come late end unseen.
static theap_t* take_theap(void) {
  theap_t* theap = pool_pop();
  if (theap != NULL) return theap;
  ask_for_users(USERS_PER_TICK);
  theap = pool_pop();
  return theap != NULL ? theap : make_theap();
}

static theap_t* start_thread(uint32_t user) {
  theap_t* const theap = take_theap();
  if (theap == NULL) return NULL;
  atomic_store_explicit(&theap->user, user, memory_order_relaxed);
  mii_theap_mine = theap;
  atomic_fetch_add_explicit(&started, 1, memory_order_relaxed);
  // Last: the platform may allocate, and finds everything in place.
  if (atomic_load_explicit(&exits_are_armed, memory_order_acquire)) mii_platform_thread_arm(theap);
  return theap;
}

// Nobody would tell us when the others end. They borrow, and are asked again each time: one that runs on
// the memory of a thread that waits for it (as vfork's child) must not leave a trace there. The main
// thread is not asked, because that is a system call.
static bool will_end(uint32_t* user) {
  *user = SOME_USER;
  if (!atomic_load_explicit(&exits_are_armed, memory_order_acquire)
      || mii_platform_thread_id() == main_thread)
    return true;
  uint32_t number;
  const bool known = mii_platform_thread_is_known(&number);
  if (number != 0) *user = number;
  return known;
}

static theap_t* enter_first(void) {
  uint32_t user;
  return will_end(&user) ? start_thread(user) : take_theap();
}

theap_t* mii_thread_enter(void) {
  if (mii_theap_mine == &mii_theap_empty) return enter_first();
  if (mii_theap_mine == &mii_theap_done) return take_theap();
  return mii_theap_mine;
}

void mii_thread_leave(theap_t* theap) {
  if (mii_theap_is_mine(theap)) return;
  pool_push(theap);
}

MI_COLD void mii_thread_end(bool for_good) {
  theap_t* const theap = mii_theap_mine->home;
  if (theap->is_live) {
    mii_track_enter();
    mii_theap_collect(theap);
    mii_track_leave();
    mii_theap_mine = (theap_t*)(for_good ? &mii_theap_done : &mii_theap_empty);
    atomic_store_explicit(&theap->user, 0, memory_order_relaxed);
    retire(theap);
  } else if (for_good) {
    mii_theap_mine = (theap_t*)&mii_theap_done;
  }
}

void mii_thread_set_in_pool(void) {
  theap_t* const home = mii_theap_mine->home;
  if (!home->is_live) return;
  home->keeps_nothing = mii_theap_mine->keeps_nothing = true;
  mii_vault_unload(home);
  mii_vault_unload(mii_theap_mine);
}

static void at_exit(void* value) {
  (void)value;
  mii_thread_end(true);
}

void mii_thread_arm_exits(void) {
  if (mii_platform_on_thread_exit(at_exit) != 0)
    return;  // then threads are not ended, and we leak pages
  main_thread = mii_platform_thread_id();
  atomic_store_explicit(&exits_are_armed, true, memory_order_release);
}

bool mii_thread_forget_others(void) {
  mii_stack_clear(&pool);
  mii_stack_clear(&next_in_pool);
  mii_stack_clear(&dissolving);
  mii_stack_clear(&bare_pool);
  bool any = false;
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (mii_theap_is_mine(theap)) continue;
    any = true;
    mii_theap_forget(theap);
    if (theap->is_apart) continue;
    for (uint32_t i = 0; i < theap->other_count; i++)
      atomic_store_explicit(&theap->others[i], i == 0 ? theap : NULL, memory_order_relaxed);
    theap->home = theap;
    if (atomic_exchange_explicit(&theap->user, 0, memory_order_relaxed) != 0)
      atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
    pool_push(theap);
  }
  mii_apart_forget_others();
  // The running thread is the main one here, and has another number.
  theap_t* const home = mii_theap_mine->home;
  if (home->is_live) atomic_store_explicit(&home->user, SOME_USER, memory_order_relaxed);
  return any;
}

bool mii_thread_is_alone(void) { return mii_thread_started_count() - mii_thread_ended_count() < 2; }

void mii_thread_disarm_exits(void) {
  if (atomic_exchange_explicit(&exits_are_armed, false, memory_order_relaxed))
    mii_platform_forget_thread_exit();
}

// All parcels first: they are for pages of each other.
void mii_thread_dissolve_everyone(void) {
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    mii_outbox_send(theap);
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    mii_theap_dissolve(theap);
}

uint64_t mii_thread_started_count(void) {
  return atomic_load_explicit(&started, memory_order_relaxed);
}
uint64_t mii_thread_ended_count(void) { return atomic_load_explicit(&ended, memory_order_relaxed); }

// The pool -----------------------------------------------------------------------------------------

static bool is_due(const theap_t* theap, uint64_t now, uint64_t delay) {
  return now >= theap->pooled_at_ms + delay;
}

// Take all first, so that every one is looked at however many there are; a thread that starts meanwhile
// makes a new theap.
static void find_due(handle_stack_t* stack, uint64_t now, uint64_t delay) {
  uint32_t handle = mii_stack_take_all(stack);
  while (handle != 0) {
    theap_t* const theap = mii_meta_pointer(handle);
    const uint32_t next = atomic_load_explicit(&theap->stack_link, memory_order_relaxed);
    if (is_due(theap, now, delay)) {
      mii_stack_push(&dissolving, handle, theap_link);
    } else {
      pool_push(theap);
    }
    handle = next;
  }
}

static void find_all_due(uint64_t now, uint64_t delay) {
  find_due(&next_in_pool, now, delay);
  find_due(&pool, now, delay);
}

void mii_thread_pool_tick(uint64_t now, uint64_t delay) {
  ask_for_users(USERS_PER_TICK);
  find_all_due(now, delay);
}

// A theap whose last pages are being queued goes round once more.
bool mii_thread_pool_dissolve_some(void) {
  const uint32_t handle = mii_stack_pop(&dissolving, theap_link);
  if (handle == 0) return false;
  theap_t* const theap = mii_meta_pointer(handle);
  if (mii_theap_dissolve_some(theap, RELEASED_PER_TICK)) {
    pool_push(theap);
  } else {
    mii_stack_push(&dissolving, handle, theap_link);
  }
  return true;
}

bool mii_thread_pool_is_empty(void) {
  return mii_stack_is_empty(&pool) && mii_stack_is_empty(&next_in_pool)
         && mii_stack_is_empty(&dissolving);
}

MI_COLD void mii_thread_pool_dissolve_all(void) {
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    retire_if_user_is_gone(theap);
  find_all_due(UINT64_MAX, 0);
  uint32_t handle = mii_stack_take_all(&dissolving);
  while (handle != 0) {
    theap_t* const theap = mii_meta_pointer(handle);
    handle = atomic_load_explicit(&theap->stack_link, memory_order_relaxed);
    mii_theap_dissolve(theap);
    pool_push(theap);
  }
}
