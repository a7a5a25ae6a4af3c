// SPDX-License-Identifier: MIT
// fork.c - the child of a fork goes on with the memory of threads that do not exist there
//
// Those threads were caught anywhere, in the middle of a fast path, too, and what they had begun nobody
// ends. So nothing is believed that they alone wrote, or that is linked from several places:
//
//   their theaps       are emptied, and wait in the pool for the threads of the child
//   their pages        are nobody's, and frozen: who claims one counts its blocks (page_thaw.c)
//   pages of nobody    the same: somebody may have been about to take one, or to publish it
//   our own pages      are on no wake list: who queued one may not have come to link it
//   slices             are in use if their kind says what for, and no others: they were taken and not made
//                      anything yet, or held by a purge
//
// What they had taken off a list, or parked in an outbox, at that moment stays in use.
//
// Tests: tests/unit/heap/fork_test.c, tests/scripts/fork.sh
#include "heap/fork.h"
#include "base/assert.h"
#include "heap/thread.h"
#include "page/page_remote.h"
#include "space/purge.h"
#include "space/segment.h"

static void recover_page(page_t* page) {
  if (mii_page_owner(page) == mii_theap_tag(mii_theap_mine)) {
    mii_page_forget_queued(page);
  } else if (mii_page_freeze(page)) {
    mii_heap_publish(page);
  }
}

// How many slices belong to the one that begins here; 0 if it is free.
static uint32_t recover_slice(slice_t slice) {
  page_t* const record = mii_page_record(slice);
  switch (mii_slice_kind(slice)) {
    case SLICE_PAGE:
      recover_page(record);
      for (uint32_t i = 1; i < mii_class_slices(record->size_class); i++)
        mii_slice_set_kind(slice + i, SLICE_FOLLOW);
      return mii_class_slices(record->size_class);
    case SLICE_HUGE:
      return atomic_load_explicit(&mii_slice_cold(slice)->slice_count, memory_order_relaxed);
    case SLICE_RUN: return 1;
    case SLICE_FOLLOW:  // of a page that was about to end
      mii_slice_set_kind(slice, SLICE_FREE);
      return 0;
    case SLICE_FREE: break;
  }
  return 0;
}

// All slices before `end` belong to what began before the segment. Returns the next such end.
static slice_t recover_segment(uint32_t index, slice_t end) {
  const slice_t first = index * SEGMENT_SLICES;
  uint64_t used = 0;
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++) {
    if (first + i >= end) end = first + i + recover_slice(first + i);
    if (first + i < end) used |= UINT64_C(1) << i;
  }
  mii_segment_reclaim(index, used);
  return end;
}

void mii_fork_recover(void) {
  if (!mii_thread_forget_others()) return;
  if (mii_theap_mine->is_live)
    atomic_store_explicit(&mii_theap_mine->woken, 0, memory_order_relaxed);
  mii_heap_forget_claimable(&mii_heap_main);
  slice_t end = 1;  // slice 0 is nobody's
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (mii_segment_is_foreign(i)) continue;
    end = recover_segment(i, end);
  }
  mii_purge_forget_others();
}
