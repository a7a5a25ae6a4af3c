// SPDX-License-Identifier: MIT
// lock.h - a lock for rare paths
//
// It is held for a few instructions or a system call, never while the program is called back. Nobody
// takes one in the fast paths. Who holds a lock waits for those of a higher rank only, so nobody waits in
// a circle; debug builds check it. Trying is allowed in any order.
#ifndef MI_LOCK_H
#define MI_LOCK_H

#include "base/assert.h"
#include "base/compiler.h"
#include "platform/platform.h"
#include <stdatomic.h>

// In the order of waiting, which is also the order in which fork takes them all.
typedef enum lock_rank_e {
  LOCK_START = 1,
  LOCK_REPORT = 2,
  LOCK_APART = 4,
  LOCK_LENT = 8,
  LOCK_GROWTH = 16,
  LOCK_AREA = 32,  // of which a thread may hold several: fork does
} lock_rank_t;

typedef struct lock_s {
  _Atomic(uint32_t) taken;  // atomic: this file
  uint32_t rank;            // const: a lock_rank_t
} lock_t;

// Debug builds: the sum of the ranks of the locks that the running thread holds. It is less than the rank
// of any lock that it may wait for.
extern MI_TLS uint32_t mii_lock_held;

static inline void mii_lock_note(uint32_t change) {
  if (MI_ASSERT_LEVEL > 0) mii_lock_held += change;
}

// As it was a moment ago.
static inline bool mii_lock_is_taken(lock_t* lock) {
  return atomic_load_explicit(&lock->taken, memory_order_relaxed) != 0;
}

// Returns at once; true if the lock is now ours. Acquire pairs with the release in mii_lock_give.
static inline bool mii_lock_try(lock_t* lock) {
  if (mii_lock_is_taken(lock)) return false;
  if (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) != 0) return false;
  mii_lock_note(lock->rank);
  return true;
}

// The thread that is between its fork handlers, or 0. It holds every lock that mii_lock_enter() takes, so
// for it these are no locks: the handlers of others, which may run after our first and before our second,
// may allocate.
extern _Atomic(uintptr_t)
    mii_lock_forker;  // atomic: relaxed; only the thread itself compares equal

static inline void mii_lock_wait(lock_t* lock) {
  MI_ASSERT(lock->rank == LOCK_AREA || mii_lock_held < lock->rank);
  for (uint32_t spins = 0; !mii_lock_try(lock); spins++) {
    if (spins % 64 == 63) {
      mii_platform_yield();
    } else {
      MI_SPIN_HINT();
    }
  }
}

static inline bool mii_lock_is_mine_by_fork(void) {
  const uintptr_t forker = atomic_load_explicit(&mii_lock_forker, memory_order_relaxed);
  return forker != 0 && forker == mii_platform_thread_id();
}

static inline void mii_lock_give(lock_t* lock) {
  MI_ASSERT(atomic_load_explicit(&lock->taken, memory_order_relaxed) == 1);
  mii_lock_note(0 - lock->rank);
  atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

// For the locks that fork holds.
static inline void mii_lock_enter(lock_t* lock) {
  if (!mii_lock_is_mine_by_fork()) mii_lock_wait(lock);
}

static inline void mii_lock_leave(lock_t* lock) {
  if (!mii_lock_is_mine_by_fork()) mii_lock_give(lock);
}

#endif
