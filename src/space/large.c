// SPDX-License-Identifier: MIT
// large.c - where large OS pages (2 MiB) are wanted, and where not
//
// They save faults and misses of the TLB, and cost memory where only a part is used. So each 4 MiB segment
// has one of three states:
//
//   as the system    wherever nothing else is said: run areas, huge blocks
//   small            the first 64 MiB of the heap, so that small programs never have them; and where a part of a
//                    large segment was purged, so that the system does not fill the hole again
//   large            an empty segment that pages begin to fill when 64 MiB of the heap are in use: the lower ones
//                    are full then. What is not filled within the purge delay goes back, and it is small again.
//                    Not if most of the pages before it have hardly begun: many threads have one of each class
//
// Segments side by side in the same state share a mapping; at most SEAMS_MAX times the state changes from one to
// the next.
//
// Tests: tests/unit/space/large_test.c, tests/stress/promise_07.c
#include "space/large.h"
#include "base/bits.h"
#include "base/size_class.h"
#include "runtime/option.h"
#include "space/limit.h"
#include "space/range.h"

enum { SMALL_SEGMENTS = 16, SEAMS_MAX = 128 };
typedef enum os_pages_e { OS_PAGES_ANY, OS_PAGES_SMALL, OS_PAGES_LARGE } os_pages_t;

static _Atomic(int) seams;       // atomic: relaxed; about so many
static uint32_t small_segments;  // const after start: below, none is ever large

static MI_COLD bool may_be_large(void) {
  return mii_option_is_on(mi_option_allow_thp) || mii_option_is_on(mi_option_allow_large_os_pages);
}

static os_pages_t state_of(uint32_t segment) {
  if (segment < small_segments) return OS_PAGES_SMALL;
  if (segment >= mii_segment_count()) return OS_PAGES_ANY;
  return (os_pages_t)atomic_load_explicit(&mii_segment(segment)->os_pages, memory_order_relaxed);
}

static MI_COLD void tell_system(os_pages_t state, void* start, size_t bytes) {
  if (state == OS_PAGES_LARGE) mii_platform_prefer_large(start, bytes);
  if (state == OS_PAGES_SMALL) mii_platform_refuse_large(start, bytes);
}

MI_COLD void mii_large_start(void) {
  const uint32_t reserved = (uint32_t)(mii_range.slice_reserved / SEGMENT_SLICES);
  const bool from_begin = mii_option_is_on(mi_option_allow_large_os_pages);
  small_segments = from_begin ? 0 : (uint32_t)mii_min(SMALL_SEGMENTS, reserved);
  if (!may_be_large()) small_segments = reserved;
  atomic_store_explicit(&seams, small_segments > 0, memory_order_relaxed);
  if (small_segments > 0)
    mii_platform_refuse_large(mii_slice_start(0), small_segments * (size_t)SEGMENT_BYTES);
}

// Is at least half of the pages that begin in the segment threaded? True if there are none.
static MI_COLD MI_NO_TSAN bool is_filled(uint32_t segment) {
  size_t bytes = 0;
  size_t threaded_bytes = 0;
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++) {
    const page_t* const page = mii_page_record((size_t)segment * SEGMENT_SLICES + i);
    if (mii_record_kind(page) != SLICE_PAGE) continue;
    const uint32_t blocks =
        atomic_load_explicit(&page->capacity, memory_order_relaxed) & UINT16_MAX;
    bytes += mii_class_slices(page->size_class) * (size_t)SLICE_BYTES;
    threaded_bytes += blocks * (size_t)mii_class_bytes(page->size_class);
  }
  return 2 * threaded_bytes >= bytes;
}

MI_COLD bool mii_large_is_worth(uint32_t segment) {
  return segment >= small_segments && may_be_large()
         && mii_limit_charged() >= small_segments * (size_t)SEGMENT_BYTES
         && (segment == 0 || is_filled(segment - 1));
}

// By how many more seams the segment would have.
static MI_COLD int more_seams(uint32_t segment, os_pages_t from, os_pages_t to) {
  const os_pages_t above = state_of(segment + 1);
  int more = (to != above) - (from != above);
  if (segment > 0) {
    const os_pages_t below = state_of(segment - 1);
    more += (to != below) - (from != below);
  }
  return more;
}

static MI_COLD bool change(uint32_t segment, os_pages_t to) {
  const int more = more_seams(segment, state_of(segment), to);
  if (more > 0 && atomic_load_explicit(&seams, memory_order_relaxed) + more > SEAMS_MAX)
    return false;
  atomic_fetch_add_explicit(&seams, more, memory_order_relaxed);
  atomic_store_explicit(&mii_segment(segment)->os_pages, (uint8_t)to, memory_order_relaxed);
  tell_system(to, mii_slice_start(segment * SEGMENT_SLICES), SEGMENT_BYTES);
  return true;
}

MI_COLD bool mii_large_begin(uint32_t segment) { return change(segment, OS_PAGES_LARGE); }

void mii_large_end(uint32_t segment) {
  if (MI_UNLIKELY(state_of(segment) == OS_PAGES_LARGE)) change(segment, OS_PAGES_SMALL);
}

MI_COLD void mii_large_renew(slice_t first, uint32_t count) {
  while (count > 0) {
    const uint32_t here = (uint32_t)mii_min(count, SEGMENT_SLICES - first % SEGMENT_SLICES);
    tell_system(state_of(first / SEGMENT_SLICES), mii_slice_start(first),
                here * (size_t)SLICE_BYTES);
    first += here;
    count -= here;
  }
}
