// SPDX-License-Identifier: MIT
// fork.c - the child of a fork goes on with the memory of threads that do not exist there
//
// Those threads were caught anywhere, in the middle of a fast path, too, and what they had begun nobody
// ends. So nothing is believed that they alone wrote, or that is linked from several places:
//
//   their theaps       are emptied, and wait in the pool for the threads of the child
//   their pages        are nobody's, and frozen: who claims one counts its blocks (page_thaw.c)
//   of another heap    the same, but they are counted at once, and stay with its theap
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
#include "heap/apart.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "page/page_remote.h"
#include "space/limit.h"
#include "space/purge.h"
#include "space/segment.h"

static void recover_page(page_t* page) {
  theap_t* const owner = (theap_t*)mii_page_owner(page);
  if (mii_theap_is_mine(owner)) {
    mii_page_forget_queued(page);
  } else if (owner != NULL && owner->is_apart) {
    mii_page_recover(page, mii_theap_tag(owner));
    mii_theap_adopt(owner, page);
  } else {
    mii_page_set_heap(page, &mii_heap_main, false);  // its heap was about to end
    if (mii_page_freeze(page)) mii_heap_publish(page);
  }
}

// Nobody is about to wake us.
static void forget_wakes(void) {
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (mii_theap_is_mine(theap)) atomic_store_explicit(&theap->woken, 0, memory_order_relaxed);
  }
}

static size_t hole_bytes;  // of all pages that were recovered

// How many slices belong to the one that begins here; 0 if it is free.
static uint32_t recover_slice(slice_t slice) {
  page_t* const record = mii_page_record(slice);
  switch (mii_slice_kind(slice)) {
    case SLICE_PAGE:
      hole_bytes += mii_page_hole_bytes(record);
      recover_page(record);
      for (uint32_t i = 1; i < mii_class_slices(record->size_class); i++)
        mii_slice_set_kind(slice + i, SLICE_FOLLOW);
      return mii_class_slices(record->size_class);
    case SLICE_HUGE:
    case SLICE_GUARDED:
      return atomic_load_explicit(&mii_slice_cold(slice)->slice_count, memory_order_relaxed);
    case SLICE_RUN:
    case SLICE_HARDENED: return 1;  // fork held their locks
    case SLICE_FOLLOW:              // of a page that was about to end
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

MI_COLD void mii_fork_recover(void) {
  const bool had_thread = mii_quiet_forget();
  if (!mii_thread_forget_others() && !had_thread) return;
  forget_wakes();
  mii_heap_forget_claimable(&mii_heap_main);
  hole_bytes = 0;
  slice_t end = 1;  // slice 0 is nobody's
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (mii_segment_is_foreign(i)) continue;
    end = recover_segment(i, end);
  }
  mii_limit_set_charged(mii_segments_dirty_bytes() - hole_bytes);
  mii_purge_forget_others();
  mii_purge_watch(false);  // what was published here is no reason to begin with a thread
}
