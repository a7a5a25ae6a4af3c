// SPDX-License-Identifier: MIT
// heap_world.h - for the tests of heap/: several threads' theaps in one thread, blocks by the page
//
// Most tests use one class whose pages have 64 blocks: a refill gives 4 of them while a page is not
// complete, a sleeper wakes up at 4 free ones, and a page of nobody can be claimed at 8.
#ifndef HEAP_WORLD_H
#define HEAP_WORLD_H

#include "support/unit_test.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include "heap/block.h"
#include "heap/heap.h"
#include "heap/theap.h"
#include "heap/thread.h"
#include "mimalloc.h"
#include "page/page.h"
#include "page/page_remote.h"
#include "runtime/option.h"
#include "space/segment.h"

enum {
  SIZE = 1024,
  CLASS = 32,
  PER_PAGE = 64,
  PER_STEP = 4,  // blocks in 4 KiB
  WAKE = 4,
  CLAIM = 8,
  MID_SIZE = 10240,  // a class of pages of two slices, 12 blocks each
  PER_MID_PAGE = 12,
};

// The theap of a thread that begins now and is the running one from here on.
MAYBE_UNUSED static theap_t* new_thread(void) {
  mii_theap_mine = (theap_t*)(uintptr_t)&mii_theap_empty;
  theap_t* const theap = mii_thread_enter();
  CHECK(theap != NULL && theap == mii_theap_mine);
  return theap;
}

MAYBE_UNUSED static void run_as(theap_t* theap) { mii_theap_mine = theap; }

// A thread past its end: it has no theap, hence no outbox, and begins none.
MAYBE_UNUSED static void run_as_stranger(void) {
  mii_theap_mine = (theap_t*)(uintptr_t)&mii_theap_done;
}

// A thread that has not called us yet.
MAYBE_UNUSED static void run_as_newcomer(void) {
  mii_theap_mine = (theap_t*)(uintptr_t)&mii_theap_empty;
}

// From here on no freed block goes straight onto a list.
MAYBE_UNUSED static void have_no_room(theap_t* theap) {
  theap->keeps_nothing = true;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) theap->room[c] = 0;
}

MAYBE_UNUSED static theap_t* start_heap(void) {
  fake_space_start();
  CHECK_EQ(mii_size_class(SIZE), CLASS);
  CHECK_EQ(mii_class_blocks(CLASS), PER_PAGE);
  CHECK_EQ(mii_class_wake_count(CLASS), WAKE);
  CHECK_EQ(mii_class_blocks(mii_size_class(MID_SIZE)), PER_MID_PAGE);
  return new_thread();
}

MAYBE_UNUSED static void* try_take(theap_t* theap, size_t size) {
  bool zero;
  return mii_block_take(theap, (block_request_t){.size = size}, &zero);
}

MAYBE_UNUSED static void* take(theap_t* theap, size_t size) {
  void* const p = try_take(theap, size);
  CHECK(p != NULL);
  return p;
}

MAYBE_UNUSED static void give(void* p) { CHECK_EQ(mii_block_give(p), GIVE_DONE); }

MAYBE_UNUSED static page_t* page_of(const void* p) {
  slice_t slice = (slice_t)mii_slice_of(p);
  if (mii_slice_kind(slice) == SLICE_FOLLOW) slice--;
  CHECK_EQ(mii_slice_kind(slice), SLICE_PAGE);
  return mii_page_record(slice);
}

// Takes `count` blocks of the size.
MAYBE_UNUSED static void take_many(theap_t* theap, size_t size, void** blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) blocks[i] = take(theap, size);
}

MAYBE_UNUSED static void give_many(void** blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) give(blocks[i]);
}

// All blocks of `pages` new pages of the class: blocks[i * PER_PAGE + k] lies in page i.
MAYBE_UNUSED static void take_pages(theap_t* theap, void** blocks, uint32_t pages) {
  take_many(theap, SIZE, blocks, pages * PER_PAGE);
  for (uint32_t i = 0; i < pages * PER_PAGE; i++) {
    CHECK(page_of(blocks[i]) == page_of(blocks[i / PER_PAGE * PER_PAGE]));
  }
}

MAYBE_UNUSED static page_state_t state_of(const void* p) {
  return (page_state_t)mii_page_hot(page_of(p))->state;
}

// Is the slice no page any more?
MAYBE_UNUSED static bool is_gone(const void* p) {
  return mii_slice_kind(mii_slice_of(p)) == SLICE_FREE;
}

MAYBE_UNUSED static uint32_t owned_count(const theap_t* theap) {
  const slice_t first = theap->pages[CLASS].owned;
  if (first == 0) return 0;
  uint32_t count = 1;
  for (slice_t s = mii_slice_cold(first)->next; s != first; s = mii_slice_cold(s)->next) count++;
  return count;
}

MAYBE_UNUSED static uint32_t awake_count(const theap_t* theap) {
  uint32_t count = 0;
  for (slice_t s = theap->pages[CLASS].awake; s != 0; s = mii_slice_cold(s)->awake_next) count++;
  return count;
}

MAYBE_UNUSED static uint32_t list_length_of(const theap_t* theap, uint32_t size_class) {
  uint32_t length = 0;
  for (const block_t* b = theap->list[size_class]; b != NULL; b = b->next) length++;
  return length;
}

// Pages there are, whoever owns them.
MAYBE_UNUSED static uint32_t page_count(void) {
  uint32_t count = 0;
  for (size_t s = 1; s < mii_slice_count(); s++) count += mii_slice_kind(s) == SLICE_PAGE;
  return count;
}

// Slices that are in use for anything.
MAYBE_UNUSED static uint32_t used_slices(void) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    count += SEGMENT_SLICES - mii_count_bits(atomic_load(&mii_segment(i)->free));
  }
  return count - 1;  // slice 0 is nobody's
}

// Everything that can be checked.
MAYBE_UNUSED static bool all_is_valid(void) {
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    if (!mii_theap_is_valid(t)) return false;
  }
  return fake_space_is_valid();
}

// Another thread frees the block, but stops short of telling anybody. Finish with finish_push.
MAYBE_UNUSED static push_event_t begin_push(void* p) {
  return mii_page_push_remote(page_of(p), p, p, 1, mii_page_epoch(page_of(p)));
}

MAYBE_UNUSED static void finish_push(void* p, push_event_t event) {
  if (event == PUSH_WAKE_OWNER) mii_theap_page_queued(page_of(p));
  if (event == PUSH_PUBLISH) mii_heap_publish(page_of(p));
}

// Another thread frees the blocks.
MAYBE_UNUSED static void give_remotely(void** blocks, uint32_t count) {
  theap_t* const mine = mii_theap_mine;
  run_as_stranger();
  give_many(blocks, count);
  run_as(mine);
}

#endif
