// SPDX-License-Identifier: MIT
// ask.h - ask all threads to give back what they keep
//
// Nobody touches what another thread owns: it may come back from a wait at any instruction. So one thread
// puts a question, and each of the others answers at its next slow path.
#ifndef MI_ASK_H
#define MI_ASK_H

#include "heap/theap.h"

extern _Atomic(uint32_t) mii_ask_number;  // atomic: relaxed; of the latest question; 0: none yet

// Ask all threads; the running one has answered. Returns the question's number.
uint32_t mii_ask_all(void);

// Is the running thread, whose home it is, to answer?
static inline bool mii_ask_is_open(const theap_t* home) {
  return atomic_load_explicit(&mii_ask_number, memory_order_relaxed)
         != atomic_load_explicit(&home->answered, memory_order_relaxed);
}

// Give back empty pages and loose blocks, in all theaps of the running thread: bounded, not all there is.
void mii_ask_answer(theap_t* home) MI_NOINLINE;

// Has the theap a running thread, and that has not answered?
bool mii_ask_is_missing(const theap_t* theap, uint32_t number);

// How many such threads there are, and how many there are in all.
uint32_t mii_ask_count_missing(uint32_t number, uint32_t* threads);

#endif
