// SPDX-License-Identifier: MIT
// huge.c - blocks of more than 1 MiB, as whole slices
//
// Only the first slice is marked: a block of 1 GiB costs no more than one of 2 MiB.
//
// Tests: tests/unit/space/huge_test.c
#include "space/huge.h"
#include "base/assert.h"
#include "space/range.h"

void* mii_huge_take(slice_request_t want, bool* zero) {
  const slice_t slice = mii_segment_take(want, zero);
  if (slice == 0) return NULL;
  mii_slice_cold(slice)->slice_count = want.count;
  mii_slice_set_kind(slice, SLICE_HUGE);
  return mii_slice_start(slice);
}

void mii_huge_give(void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  MI_ASSERT(mii_slice_kind(slice) == SLICE_HUGE);
  const uint32_t count = mii_slice_cold(slice)->slice_count;
  mii_slice_set_kind(slice, SLICE_FREE);
  mii_segment_give(slice, count);
}

size_t mii_huge_bytes(const void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  return (size_t)mii_slice_cold(slice)->slice_count * SLICE_BYTES;
}

bool mii_huge_resize(void* p, uint32_t count) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  page_cold_t* const cold = mii_slice_cold(slice);
  const uint32_t before = cold->slice_count;
  if (count > before) {
    bool zero;
    if (!mii_segment_try_claim(slice + before, count - before, &zero)) return false;
  } else if (count < before) {
    mii_segment_give(slice + count, before - count);
  }
  cold->slice_count = count;
  return true;
}
