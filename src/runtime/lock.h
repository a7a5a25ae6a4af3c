// SPDX-License-Identifier: MIT
// lock.h - a lock for rare paths
//
// It is held for a few instructions or a system call, never while the program is called back. Nobody
// takes one in the fast paths. Where several are held, the order is that of start.c.
#ifndef MI_LOCK_H
#define MI_LOCK_H

#include "base/assert.h"
#include "base/compiler.h"
#include "platform/platform.h"
#include <stdatomic.h>

typedef struct lock_s {
  _Atomic(uint32_t) taken;  // atomic: this file
} lock_t;

// Returns at once; true if the lock is now ours. Acquire pairs with the release in mii_lock_give.
static inline bool mii_lock_try(lock_t* lock) {
  return atomic_load_explicit(&lock->taken, memory_order_relaxed) == 0
         && atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) == 0;
}

// The thread that is between its fork handlers, or 0. It holds every lock that mii_lock_enter() takes, so
// for it these are no locks: the handlers of others, which may run after our first and before our second,
// may allocate.
extern _Atomic(uintptr_t)
    mii_lock_forker;  // atomic: relaxed; only the thread itself compares equal

static inline void mii_lock_wait(lock_t* lock) {
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
