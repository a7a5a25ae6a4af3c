// SPDX-License-Identifier: MIT
// guarded.h - one of many blocks, chosen at random, lies between guard pages
//
// Sampling costs malloc nothing: the list that a refill has handed out is cut where the sample falls, so malloc
// comes to the door just there. The rest of the list waits in the sampler of the theap.
#ifndef MI_GUARDED_H
#define MI_GUARDED_H

#include "heap/block.h"

// Does any theap sample?
extern _Atomic(bool) mii_sampling_is_on;  // atomic: relaxed; set once
MI_INLINE bool mii_is_sampling(void) {
  return MI_CFG_DOORS && atomic_load_explicit(&mii_sampling_is_on, memory_order_relaxed);
}

// What the options say holds for theaps that have not been told otherwise. Before the first allocation.
void mii_sampling_start(void);

// One of `rate` blocks of the theap: 0 none, 1 all. Seed 0: a random one. And of these sizes only. False when out of
// memory.
bool mii_sampler_set_rate(theap_t* theap, size_t rate, size_t seed);
bool mii_sampler_set_bounds(theap_t* theap, size_t min, size_t max);

// The list of the class, or no list (CLASS_COUNT), has brought a thread to the door: is this block a sample?
bool mii_sampler_hits(theap_t* theap, uint32_t size_class);

// `count` more blocks of the class were handed out since: cut the list where the next sample falls.
void mii_sampler_cut(theap_t* theap, uint32_t size_class, uint64_t count);

// Put the rests of all lists back behind them.
void mii_sampler_join(theap_t* theap);

// In the child of a fork, first of all: what waits in samplers of other threads stays in use. It goes on with other
// random numbers.
void mii_sampling_forget_others(void);
block_t* mii_sampler_rest(const theap_t* theap, uint32_t size_class);

// A block between guard pages; NULL if the request is none for that, or memory is short.
void* mii_guarded_take(theap_t* theap, block_request_t want);

// The block at p, which lies in a slice of kind SLICE_GUARDED: its size, or 0 if it is not live or begins elsewhere.
size_t mii_guarded_bytes(const void* p);

// The live block of the slice; NULL if there is none. Any thread.
void* mii_guarded_block(size_t slice, size_t* bytes);

// Free it; what is no live block is reported. It cannot be touched until many others have been freed.
void mii_guarded_give(void* p);

// Make all freed ones ordinary memory again.
void mii_guarded_collect(void);

// Once libc is ready, and if an option says so: note who allocates and frees guarded blocks, and report accesses to
// their guards.
void mii_guarded_start_reports(void);

// Taken by fork.
void mii_guarded_lock(void);
void mii_guarded_unlock(void);

#endif
