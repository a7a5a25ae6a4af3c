// SPDX-License-Identifier: MIT
// huge.c - blocks of more than 1 MiB, as whole slices
//
// Only the first slice is marked: a block of 1 GiB costs no more than one of 2 MiB.
//
// Tests: tests/unit/space/huge_test.c
#include "space/huge.h"
#include "base/assert.h"
#include "space/range.h"

// Statistics look at other threads' blocks, too.
static uint32_t slices_of(const page_cold_t* cold) {
  return atomic_load_explicit(&cold->slice_count, memory_order_relaxed);
}

static void set_slices(page_cold_t* cold, uint32_t count) {
  atomic_store_explicit(&cold->slice_count, count, memory_order_relaxed);
}

void* mii_huge_take(slice_request_t want, bool* zero) {
  const slice_t slice = mii_segment_take(want, zero);
  if (slice == 0) return NULL;
  set_slices(mii_slice_cold(slice), want.count);
  mii_slice_set_kind(slice, SLICE_HUGE);
  return mii_slice_start(slice);
}

void mii_huge_give(void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  MI_ASSERT(mii_slice_kind(slice) == SLICE_HUGE);
  const uint32_t count = slices_of(mii_slice_cold(slice));
  mii_slice_set_kind(slice, SLICE_FREE);
  mii_segment_give(slice, count);
}

size_t mii_huge_bytes(const void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  return (size_t)slices_of(mii_slice_cold(slice)) * SLICE_BYTES;
}

bool mii_huge_resize(void* p, uint32_t count) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  page_cold_t* const cold = mii_slice_cold(slice);
  const uint32_t before = slices_of(cold);
  if (count > before) {
    bool zero;
    if (!mii_segment_try_claim(slice + before, count - before, &zero)) return false;
  } else if (count < before) {
    mii_segment_give(slice + count, before - count);
  }
  set_slices(cold, count);
  return true;
}
