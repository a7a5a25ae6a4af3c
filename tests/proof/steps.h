// SPDX-License-Identifier: MIT
// steps.h - included before everything by the explorer's build: atomic operations that first let the
// scheduler choose who goes on
//
// The orders are ignored: every operation is sequentially consistent (relacy.h is for the weak ones).
#ifndef STEPS_H
#define STEPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// The running thread is about to do `what`. With `may_fail` the scheduler also tries the case that it fails
// for no reason: then the result is true.
bool proof_step(const char* file, int line, const char* what, bool may_fail);

#define STEP(what, operation)                      \
  ({                                               \
    proof_step(__FILE__, __LINE__, what, false);   \
    __auto_type step_result = (operation);         \
    proof_step(__FILE__, __LINE__, "then", false); \
    step_result;                                   \
  })
#define MI_CAS(p, seen, v) \
  __atomic_compare_exchange_n(p, seen, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong_explicit

#define atomic_load_explicit(p, order)     STEP("load", *(p))
#define atomic_store_explicit(p, v, order) ((void)STEP("store", *(p) = (v)))
#define atomic_exchange_explicit(p, v, order) \
  STEP("exchange", __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_add_explicit(p, v, order) \
  STEP("fetch_add", __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_or_explicit(p, v, order) \
  STEP("fetch_or", __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_and_explicit(p, v, order) \
  STEP("fetch_and", __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_strong_explicit(p, seen, v, order, fail_order) \
  STEP("compare_exchange", MI_CAS(p, seen, v))
#define atomic_compare_exchange_weak_explicit(p, seen, v, order, fail_order)          \
  (proof_step(__FILE__, __LINE__, "compare_exchange", true) ? (*(seen) = *(p), false) \
                                                            : MI_CAS(p, seen, v))

// One variable, which the scheduler swaps with the threads.
#include "base/compiler.h"
#undef MI_TLS
#define MI_TLS

#endif
