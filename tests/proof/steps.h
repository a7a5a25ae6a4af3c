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

typedef enum access_e { ACCESS_READ, ACCESS_WRITE } access_t;

// The running thread is about to access `place`, or has just done so. With `may_fail` the scheduler also tries the
// case that it fails for no reason: then the result is true.
bool proof_step(const char* file, int line, const char* what, const volatile void* place,
                access_t access, bool may_fail);

#define STEP_AT(what, p, access, may_fail) proof_step(__FILE__, __LINE__, what, p, access, may_fail)

// There is a choice behind the operation, too: what a thread does next with plain loads and stores may come too late.
#define STEP(what, p, access, operation)   \
  ({                                       \
    STEP_AT(what, p, access, false);       \
    __auto_type step_result = (operation); \
    STEP_AT("then", p, access, false);     \
    step_result;                           \
  })
#define READ_STEP(p)                   STEP("load", p, ACCESS_READ, *(p))
#define WRITE_STEP(what, p, operation) STEP(what, p, ACCESS_WRITE, operation)
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

#define atomic_load_explicit(p, order)     READ_STEP(p)
#define atomic_store_explicit(p, v, order) ((void)WRITE_STEP("store", p, *(p) = (v)))
#define atomic_exchange_explicit(p, v, order) \
  WRITE_STEP("exchange", p, __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_add_explicit(p, v, order) \
  WRITE_STEP("fetch_add", p, __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_or_explicit(p, v, order) \
  WRITE_STEP("fetch_or", p, __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#define atomic_fetch_and_explicit(p, v, order) \
  WRITE_STEP("fetch_and", p, __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_strong_explicit(p, seen, v, order, fail_order) \
  WRITE_STEP("compare_exchange", p, MI_CAS(p, seen, v))
#define atomic_compare_exchange_weak_explicit(p, seen, v, order, fail_order)    \
  (STEP_AT("compare_exchange", p, ACCESS_WRITE, true) ? (*(seen) = *(p), false) \
                                                      : MI_CAS(p, seen, v))

// One variable, which the scheduler swaps with the threads.
#include "base/compiler.h"
#undef MI_TLS
#define MI_TLS

#endif
