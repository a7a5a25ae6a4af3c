// SPDX-License-Identifier: MIT
// ask.c - ask all threads to give back what they keep
//
// Tests: tests/unit/heap/ask_test.c, tests/stress/promise_02.c
#include "heap/ask.h"
#include "heap/thread.h"
#include "heap/vault.h"

enum { DRAINED_PER_ANSWER = 64 };  // pages that others have queued

_Atomic(uint32_t) mii_ask_number;

static void give_back(theap_t* theap) {
  mii_theap_drain_some(theap, DRAINED_PER_ANSWER);
  mii_theap_give_loose(theap, CLASS_COUNT);
  mii_theap_give_kept(theap);
  mii_vault_unload(theap);
}

MI_COLD void mii_ask_answer(theap_t* home) {
  const uint32_t number = atomic_load_explicit(&mii_ask_number, memory_order_relaxed);
  give_back(home);
  for (uint32_t i = 0; i < home->other_count; i++) {
    theap_t* const other = atomic_load_explicit(&home->others[i], memory_order_relaxed);
    if (other != NULL && other != home) give_back(other);
  }
  // Release pairs with the acquire in mii_ask_is_missing: who sees the answer sees the slices free.
  atomic_store_explicit(&home->answered, number, memory_order_release);
}

uint32_t mii_ask_all(void) {
  const uint32_t number = atomic_fetch_add_explicit(&mii_ask_number, 1, memory_order_relaxed) + 1;
  if (mii_theap_mine->home->is_live) mii_ask_answer(mii_theap_mine->home);
  return number;
}

bool mii_ask_is_missing(const theap_t* theap, uint32_t number) {
  if (theap->is_apart || atomic_load_explicit(&theap->user, memory_order_relaxed) == 0)
    return false;
  const uint32_t answered = atomic_load_explicit(&theap->answered, memory_order_acquire);
  return (int32_t)(answered - number) < 0;  // a later one answers this one, too
}

MI_COLD uint32_t mii_ask_count_missing(uint32_t number, uint32_t* threads) {
  uint32_t missing = 0;
  *threads = 0;
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    *threads += !theap->is_apart && atomic_load_explicit(&theap->user, memory_order_relaxed) != 0;
    missing += mii_ask_is_missing(theap, number);
  }
  return missing;
}
