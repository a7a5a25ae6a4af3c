// SPDX-License-Identifier: MIT
// limit.h - how much memory the process, or a heap, may have
//
// Memory is charged when it begins to be dirty, and no more when it has gone back to the system: what is freed and
// taken again within the purge delay costs nothing here. It is the memory of blocks, in slices and units; our
// own records are not charged.
#ifndef MI_LIMIT_H
#define MI_LIMIT_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct limit_s {
  _Atomic(size_t) hard;  // atomic: relaxed; bytes, no more than these. 0: no limit
  _Atomic(size_t)
      soft;  // atomic: relaxed; beyond them memory is purged before more is taken. 0: no limit
  _Atomic(size_t)
      purge_from;  // atomic: relaxed; of the soft limit: at so many bytes again. 0: at the limit
} limit_t;

extern limit_t mii_limit;                  // of the process
extern _Atomic(size_t) mii_charged_bytes;  // atomic: limit.c

static inline size_t mii_limit_charged(void) {
  return atomic_load_explicit(&mii_charged_bytes, memory_order_relaxed);
}

static inline bool mii_limit_is_set(const limit_t* limit) {
  return (atomic_load_explicit(&limit->hard, memory_order_relaxed)
          | atomic_load_explicit(&limit->soft, memory_order_relaxed))
         != 0;
}

// 0 is no limit.
void mii_limit_set(limit_t* limit, size_t soft, size_t hard);

// May there be `more` bytes, beside those that are in use?
bool mii_limit_allows(const limit_t* limit, size_t used, size_t more);

// Is it time to purge, because the soft limit is passed? Then one of those who ask is told so, and not
// again until a sixteenth more is in use.
bool mii_limit_is_to_purge(limit_t* limit, size_t used);

// Memory of the process begins to be dirty. False, and nothing is charged, if the hard limit forbids it.
bool mii_limit_charge_some(size_t bytes) MI_COLD;
MI_INLINE bool mii_limit_charge(size_t bytes) {
  return MI_LIKELY(bytes == 0) || mii_limit_charge_some(bytes);
}

// Memory has gone back; or is charged in any case.
void mii_limit_discharge(size_t bytes);
void mii_limit_charge_anyway(size_t bytes);

// In the child of a fork, where charges may have been caught half-way; and after the end: what is true.
void mii_limit_set_charged(size_t bytes);

#endif
