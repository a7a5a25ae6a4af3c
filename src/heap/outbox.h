// SPDX-License-Identifier: MIT
// outbox.h - blocks of pages that others own, parked until a push is worth its price
//
// A push is a compare-exchange on a line that several threads write; a parcel of up to 16 blocks of one
// page costs one, too. At most OUTBOX_PARCELS parcels of PARCEL_BYTES wait in a theap, and none once its
// thread takes a slow path of malloc, collects, or ends.
#ifndef MI_OUTBOX_H
#define MI_OUTBOX_H

#include "heap/theap.h"

static inline parcel_t* mii_outbox_parcel(theap_t* theap, const page_t* page) {
  return &theap->outbox[(uintptr_t)page / sizeof *page % OUTBOX_PARCELS];
}

// The parcel of the page is full, or for another page, or the thread has no outbox yet.
void mii_outbox_add_slow(theap_t* theap, page_t* page, block_t* block);

// Put a block into the parcel of its page. A thread without a theap has a constant one, with empty parcels.
static inline void mii_outbox_add(theap_t* theap, page_t* page, block_t* block) {
  parcel_t* const parcel = mii_outbox_parcel(theap, page);
  if (MI_UNLIKELY(parcel->page != page || parcel->room == 0)) {
    mii_outbox_add_slow(theap, page, block);
    return;
  }
  block->next = parcel->first;
  parcel->first = block;
  parcel->room--;
}

// Free a block of a page that the running thread, whose theap it is, does not own.
static inline void mii_outbox_free(theap_t* theap, page_t* page, block_t* block) {
  if (!mii_theap_keep_loose(theap, page, block)) mii_outbox_add(theap, page, block);
}

// The same without waiting for more, and whoever the running thread is.
void mii_outbox_push(page_t* page, block_t* block);

// Push all parcels. The running thread's theap.
void mii_outbox_send_all(theap_t* theap);

static inline void mii_outbox_send(theap_t* theap) {
  if (MI_UNLIKELY(theap->parcels != 0)) mii_outbox_send_all(theap);
}

#endif
