// SPDX-License-Identifier: MIT
// limit.c - how much memory the process, or a heap, may have
//
//   L1  mii_charged_bytes is the sum over all segments: the dirty units of a run area, the dirty slices of
//       the others, once all calls have returned
//   L2  it is never more than the hard limit, unless that was set to less than there was; only while a run area
//       ends, all of it counts for a moment
//
// Tests: tests/unit/space/limit_test.c, tests/api/limit_test.c, tests/scripts/cgroup.sh
#include "space/limit.h"
#include "base/bits.h"

limit_t mii_limit;
_Alignas(64) _Atomic(size_t)
    mii_charged_bytes;  // written where memory is touched for the first time

static size_t bytes_in(const _Atomic(size_t)* value) {
  return atomic_load_explicit(value, memory_order_relaxed);
}

void mii_limit_set(limit_t* limit, size_t soft, size_t hard) {
  atomic_store_explicit(&limit->soft, soft, memory_order_relaxed);
  atomic_store_explicit(&limit->purge_from, 0, memory_order_relaxed);
  atomic_store_explicit(&limit->hard, hard, memory_order_relaxed);
}

bool mii_limit_allows(const limit_t* limit, size_t used, size_t more) {
  const size_t hard = bytes_in(&limit->hard);
  return hard == 0 || (used <= hard && more <= hard - used);
}

bool mii_limit_is_to_purge(limit_t* limit, size_t used) {
  const size_t soft = bytes_in(&limit->soft);
  size_t from = bytes_in(&limit->purge_from);
  if (soft == 0 || used <= soft) {
    if (from != 0) atomic_store_explicit(&limit->purge_from, 0, memory_order_relaxed);
    return false;
  }
  return used > from
         && atomic_compare_exchange_strong_explicit(&limit->purge_from, &from, used + used / 16,
                                                    memory_order_relaxed, memory_order_relaxed);
}

bool mii_limit_charge_some(size_t bytes) {
  size_t seen = mii_limit_charged();
  do {
    if (!mii_limit_allows(&mii_limit, seen, bytes)) return false;
  } while (!atomic_compare_exchange_weak_explicit(&mii_charged_bytes, &seen, seen + bytes,
                                                  memory_order_relaxed, memory_order_relaxed));
  return true;
}

void mii_limit_discharge(size_t bytes) {
  atomic_fetch_sub_explicit(&mii_charged_bytes, bytes, memory_order_relaxed);
}

void mii_limit_charge_anyway(size_t bytes) {
  atomic_fetch_add_explicit(&mii_charged_bytes, bytes, memory_order_relaxed);
}

void mii_limit_set_charged(size_t bytes) {
  atomic_store_explicit(&mii_charged_bytes, bytes, memory_order_relaxed);
}
