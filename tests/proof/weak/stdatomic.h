// SPDX-License-Identifier: MIT
// stdatomic.h - for relacy.cpp: the atomics of C11 as Relacy's, and plain fields that notice data races
//
// The sources are compiled as C++. Relacy's variables live for one execution, ours for the whole program;
// so ours are handles, and parts_renew() gives all of them a new variable before each execution.
#ifndef WEAK_STDATOMIC_H
#define WEAK_STDATOMIC_H

#include "part.h"

#define _Atomic(T) atom_t<T>
#define _Alignas(n) alignas(n)
#define _Noreturn
#define static_assert(...) static_assert(true)  // sizes differ here

enum : int {
  memory_order_relaxed = rl::mo_relaxed,
  memory_order_acquire = rl::mo_acquire,
  memory_order_release = rl::mo_release,
  memory_order_acq_rel = rl::mo_acq_rel,
  memory_order_seq_cst = rl::mo_seq_cst,
};

#define SITE(order, role)                                     \
  ({                                                          \
    static site_t site_here(__FILE__, __LINE__, role, order); \
    &site_here;                                               \
  })

#define atomic_load_explicit(p, order)         (p)->load(SITE(order, ""))
#define atomic_store_explicit(p, v, order)     (p)->store(v, SITE(order, ""))
#define atomic_exchange_explicit(p, v, order)  (p)->exchange(v, SITE(order, ""))
#define atomic_fetch_add_explicit(p, v, order) (p)->fetch_add(v, SITE(order, ""))
#define atomic_fetch_or_explicit(p, v, order)  (p)->fetch_or(v, SITE(order, ""))
#define atomic_fetch_and_explicit(p, v, order) (p)->fetch_and(v, SITE(order, ""))
#define atomic_compare_exchange_weak_explicit(p, seen, v, order, fail_order) \
  (p)->compare_exchange(seen, v, SITE(order, ""), SITE(fail_order, " if it fails"), true)
#define atomic_compare_exchange_strong_explicit(p, seen, v, order, fail_order) \
  (p)->compare_exchange(seen, v, SITE(order, ""), SITE(fail_order, " if it fails"), false)

#include "base/compiler.h"
#undef MI_TLS
#define MI_TLS

#endif
