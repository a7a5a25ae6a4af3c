// SPDX-License-Identifier: MIT
// outbox.c - blocks of pages that others own, parked until a push is worth its price
//
//   O1  a parcel holds blocks of one page, linked from first to last; they count in page->out, so the
//       page cannot end meanwhile (W5), unless its heap is destroyed as a whole: then the epoch differs
//       and the parcel is dropped
//   O2  bit i of `parcels` is set if parcel i holds any block
//
// Tests: tests/unit/heap/outbox_test.c
#include "heap/outbox.h"
#include "heap/quiet.h"
#include "base/assert.h"
#include "heap/thread.h"
#include "page/page_remote.h"
#include "space/purge.h"
#include "space/range.h"

enum { PARCEL_BLOCKS = 16, PARCEL_BYTES = 2048 };

static void push(page_t* page, block_t* first, block_t* last, uint32_t count, uint32_t epoch) {
  switch (mii_page_push_remote(page, first, last, count, epoch)) {
    case PUSH_QUIET: break;
    case PUSH_WAKE_OWNER: mii_theap_page_queued(page); break;
    case PUSH_PUBLISH: mii_heap_publish(page); break;
  }
}

void mii_outbox_push(page_t* page, block_t* block) {
  push(page, block, block, 1, mii_page_epoch(page));
}

static uint32_t parcel_limit(const page_t* page) {
  return (uint32_t)mii_max(1, mii_min(PARCEL_BLOCKS, PARCEL_BYTES / mii_page_block_bytes(page)));
}

static void send(theap_t* theap, parcel_t* parcel) {
  page_t* const page = parcel->page;
  block_t* const last = (block_t*)(mii_page_start(page) + (size_t)parcel->last * sizeof(block_t));
  push(page, parcel->first, last, parcel->limit - parcel->room, parcel->epoch);
  parcel->page = NULL;
  theap->parcels &= ~(1u << (parcel - theap->outbox));
}

static void begin(theap_t* theap, parcel_t* parcel, page_t* page, block_t* block) {
  const size_t offset = (size_t)((uint8_t*)block - mii_page_start(page));
  const uint32_t limit = parcel_limit(page);
  block->next = NULL;
  *parcel = (parcel_t){
      .first = block,
      .page = page,
      .last = (uint32_t)(offset / sizeof(block_t)),
      .room = limit - 1,
      .limit = limit,
      .epoch = mii_page_epoch(page),
  };
  theap->parcels |= 1u << (parcel - theap->outbox);
}

// Made at the first need, and kept: most threads free what is their own, and theaps of other heaps need none.
MI_COLD static bool make_outbox(theap_t* home) {
  parcel_t* const outbox = mii_meta_take(OUTBOX_PARCELS * sizeof *outbox);
  if (outbox == NULL) return false;
  home->outbox = outbox;
  return true;
}

// A thread that only frees has an outbox, too, so it begins here. One that can only borrow a theap goes
// without, and so does everyone when there is no memory for one. Only theaps of the main heap have one.
static theap_t* theap_with_outbox(theap_t* theap) {
  if (theap == &mii_theap_empty) {
    theap_t* const entered = mii_thread_enter();
    if (entered != NULL) mii_thread_leave(entered);
  }
  theap_t* const home = mii_theap_mine->home;
  if (!home->is_live) return NULL;
  return home->outbox != mii_no_outbox || make_outbox(home) ? home : NULL;
}

MI_NOINLINE void mii_outbox_add_slow(theap_t* theap, page_t* page, block_t* block) {
  // A heap that is apart may end while a parcel waits.
  theap = mii_page_is_apart(page) || parcel_limit(page) == 1 ? NULL : theap_with_outbox(theap);
  if (theap == NULL) {
    mii_outbox_push(page, block);
    return;
  }
  parcel_t* const parcel = mii_outbox_parcel(theap, page);
  if (parcel->page == page && parcel->room > 0) {  // malloc uses the theap of another heap
    mii_outbox_add(theap, page, block);
    return;
  }
  if (parcel->page != NULL) send(theap, parcel);
  begin(theap, parcel, page, block);
  if (MI_UNLIKELY(mii_purge_may_be_much())) mii_quiet_look();
}

void mii_outbox_send_all(theap_t* theap) {
  for (uint32_t i = 0; theap->parcels != 0; i++) {
    if ((theap->parcels >> i & 1) != 0) send(theap, &theap->outbox[i]);
  }
}
