// SPDX-License-Identifier: MIT
// thread.h - a thread starts, a thread ends; from the running thread to its theap
#ifndef MI_THREAD_H
#define MI_THREAD_H

#include "heap/theap.h"

// What a thread has after its end: nothing, and it is not started again.
extern const theap_t mii_theap_done;

// The theap for a slow path of the running thread, which is started if need be. A thread past its end
// borrows one. NULL when out of memory. Pair with mii_thread_leave.
theap_t* mii_thread_enter(void);
void mii_thread_leave(theap_t* theap);

// Have threads that start from now on ended automatically. Once, when the platform is ready.
void mii_thread_arm_exits(void);

// End the running thread: its theap waits, with its pages, for the next thread. `for_good`: later calls
// do not start it again.
void mii_thread_end(bool for_good);

// They are not ended any more. What they hold is dissolved; no thread may be in one of our functions.
void mii_thread_disarm_exits(void);
void mii_thread_dissolve_everyone(void);

// The running thread, which has a theap, keeps nothing that is empty.
void mii_thread_set_in_pool(void);

// Note which theaps have waited in the pool for `delay` ms at `now`. They are dissolved, some pages at a
// call; but all of them, due or not, at once.
void mii_thread_pool_tick(uint64_t now, uint64_t delay);
bool mii_thread_pool_dissolve_some(void);  // false if none is due
bool mii_thread_pool_is_empty(void);       // of theaps with pages
void mii_thread_pool_dissolve_all(void);

// In the child of a fork: no other thread uses a theap, all are bare and in the pool. True if there was any.
bool mii_thread_forget_others(void);

// For heaps that are apart: a theap of the main heap that nobody uses and that has no pages and no lists; NULL
// when out of memory. And back, without pages of theirs.
theap_t* mii_thread_take_bare(void);
void mii_thread_give_theap(theap_t* theap);

// All theaps ever made, newest first; for statistics and tests.
theap_t* mii_thread_first_theap(void);

// Does only one thread use a theap?
bool mii_thread_is_alone(void);

// Threads started and ended so far.
uint64_t mii_thread_started_count(void);
uint64_t mii_thread_ended_count(void);

#endif
