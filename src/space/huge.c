// SPDX-License-Identifier: MIT
// huge.c - blocks of more than 1 MiB, as whole slices
//
// Only the first slice is marked: a block of 1 GiB costs no more than one of 2 MiB.
//
// Moved contents lie in a mapping of their own until the memory is renewed, when its block ends. The system
// allows a process so many mappings, so few blocks may be moved at a time; the others are copied, and so is one
// that has since grown beyond its mapping, once.
//
// Tests: tests/unit/space/huge_test.c
#include "space/huge.h"
#include "base/assert.h"
#include "space/large.h"
#include "space/range.h"

// Statistics look at other threads' blocks, too.
static uint32_t slices_of(const page_cold_t* cold) {
  return atomic_load_explicit(&cold->slice_count, memory_order_relaxed);
}

static void set_slices(page_cold_t* cold, uint32_t count) {
  atomic_store_explicit(&cold->slice_count, count, memory_order_relaxed);
}

enum { MOVED_MAX = 64, MOVED_SLICES_MIN = 16 };  // 1 MiB: below, copying costs no more

static _Atomic(uint32_t) moved_count;  // atomic: relaxed

uint32_t mii_huge_moved_count(void) {
  return atomic_load_explicit(&moved_count, memory_order_relaxed);
}

void* mii_huge_take(slice_request_t want, bool* zero) {
  const slice_t slice = mii_segment_take(want, zero);
  if (slice == 0) return NULL;
  set_slices(mii_slice_cold(slice), want.count);
  mii_slice_cold(slice)->is_moved = mii_slice_cold(slice)->is_emptied = false;
  mii_slice_set_kind(slice, SLICE_HUGE);
  return mii_slice_start(slice);
}

// Slices of the block that begins at `block`, which ends if they are its first. If they cannot be renewed they
// stay as they are: the process has a few mappings more.
static void end_slices(slice_t block, slice_t first, uint32_t count) {
  const page_cold_t* const cold = mii_slice_cold(block);
  bool zero = cold->is_emptied;
  if (cold->is_moved) {
    if (first == block) atomic_fetch_sub_explicit(&moved_count, 1, memory_order_relaxed);
    zero |= mii_platform_renew(mii_slice_start(first), (size_t)count * SLICE_BYTES) == 0;
    mii_large_renew(first, count);
  }
  if (zero) {
    mii_segment_give_zero(first, count);
  } else {
    mii_segment_give(first, count);
  }
}

// One more if there may be.
static bool count_moved(void) {
  if (atomic_fetch_add_explicit(&moved_count, 1, memory_order_relaxed) < MOVED_MAX) return true;
  atomic_fetch_sub_explicit(&moved_count, 1, memory_order_relaxed);
  return false;
}

MI_COLD bool mii_huge_move(void* from, void* to) {
  page_cold_t* const cold = mii_slice_cold((slice_t)mii_slice_of(to));
  const size_t bytes = mii_huge_bytes(from);
  MI_ASSERT(bytes <= mii_huge_bytes(to) && !cold->is_moved);
  if (bytes < MOVED_SLICES_MIN * (size_t)SLICE_BYTES || !count_moved()) return false;
  uint8_t* const source = mii_slice_start((slice_t)mii_slice_of(from));
  cold->is_moved =
      mii_platform_move(source, mii_slice_start((slice_t)mii_slice_of(to)), bytes) == 0;
  if (!cold->is_moved) atomic_fetch_sub_explicit(&moved_count, 1, memory_order_relaxed);
  mii_slice_cold((slice_t)mii_slice_of(from))->is_emptied = cold->is_moved;
  return cold->is_moved;
}

void mii_huge_give(void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  MI_ASSERT(mii_slice_kind(slice) == SLICE_HUGE);
  const uint32_t count = slices_of(mii_slice_cold(slice));
  mii_slice_set_kind(slice, SLICE_FREE);
  end_slices(slice, slice, count);
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
    end_slices(slice, slice + count, before - count);
  }
  set_slices(cold, count);
  return true;
}
