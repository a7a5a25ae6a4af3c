// SPDX-License-Identifier: MIT
// page_remote.h - blocks freed by threads that do not own their page; owning and disowning
#ifndef MI_PAGE_REMOTE_H
#define MI_PAGE_REMOTE_H

#include "page/page.h"

// The bits of the remote word that count its blocks; the rest of the layout is page_remote.c's.
#define MI_REMOTE_COUNT (UINT64_C(0x3FFF) << 28)

// What the thread that pushed has to do next.
typedef enum push_event_e {
  PUSH_QUIET,       // nothing. The page may be gone by now: do not touch it, nor the blocks
  PUSH_WAKE_OWNER,  // put the page on the wake list of its owner
  PUSH_PUBLISH,     // put the page, which nobody owns, where it can be claimed
} push_event_t;

// Changes when a page ends, so it tells whether a page is still the one it was.
uint32_t mii_page_epoch(const page_t* page);

// Give a list of `count` blocks of the page back from a thread that does not own it. They are dropped if
// the page's epoch is not the one given any more: then the page has ended, with them.
push_event_t mii_page_push_remote(page_t* page, block_t* head, block_t* tail, uint32_t count,
                                  uint32_t epoch);

// Owner: move the remotely freed blocks to local_free, and off `out`. May miss a push that is happening
// right now; the next collect sees it.
void mii_page_take_remote(page_t* page);
static inline void mii_page_collect_remote(page_t* page) {
  const _Atomic(uint64_t)* const remote = &mii_slice_cold(mii_page_slice(page))->remote;
  const uint64_t word = atomic_load_explicit(remote, memory_order_relaxed);
  if (MI_UNLIKELY((word & MI_REMOTE_COUNT) != 0)) mii_page_take_remote(page);
}

// How many blocks others have freed that the owner has not taken yet. Any thread.
static inline uint32_t mii_cold_remote_count(const page_cold_t* cold) {
  const uint64_t word = atomic_load_explicit(&cold->remote, memory_order_relaxed);
  return (uint32_t)((word & MI_REMOTE_COUNT) / (MI_REMOTE_COUNT & (0 - MI_REMOTE_COUNT)));
}
static inline uint32_t mii_page_remote_count(const page_t* page) {
  return mii_cold_remote_count(mii_slice_cold(mii_page_slice(page)));
}

// How many blocks of the page are neither free nor freed by others, as far as is known. Those that a theap
// holds in a list count. Any thread.
// (The exemption does not extend to what is called, hence no mii_hot_frees.)
MI_NO_TSAN static inline uint32_t mii_page_live_count(const page_t* page) {
  const page_hot_t* const hot = mii_page_hot(page);
  const uint32_t back = (uint32_t)hot->armed - hot->needed + mii_page_remote_count(page);
  const uint32_t out = hot->out;
  return out >= back && out <= mii_page_capacity(page) ? out - back : 0;
}

// The first of the blocks that others have freed and the owner has not taken yet; they stay where they are.
block_t* mii_page_peek_remote(const page_t* page);

// As mii_page_take_remote, without a look at the blocks: their list, not counted. For page_thaw.c.
block_t* mii_page_detach_remote(page_t* page);

// Owner, which has taken the page off its wake list: the same, and from now on pushes may queue the
// page again.
void mii_page_unqueue(page_t* page);

// A queued page stands on a wake list or is about to: it must keep its owner and must not be unmade.
bool mii_page_is_queued(page_t* page);

// Owner: let go of the page. Fails if it is queued, and the caller keeps it. If *publish becomes true,
// the caller puts it where it can be claimed.
bool mii_page_try_disown(page_t* page, bool* publish);

// The thread that took the page from where it was published: own it.
void mii_page_claim(page_t* page, uintptr_t owner);

// The thread that took the page from where it was published, before claiming it: are all blocks back?
bool mii_page_is_empty_unowned(page_t* page);

// In the child of a fork, where no other thread runs --------------------------------------------------

// Who queued the page of the running thread may be gone: its blocks are taken, and it is on no list.
void mii_page_forget_queued(page_t* page);

// The owner of the page is gone, or who moved it between owners. True if the caller is to put it where it
// can be claimed.
bool mii_page_freeze(page_t* page);

// The same for a page that is not to be claimed: it is counted, and owned by `owner`, in state PAGE_NONE.
void mii_page_recover(page_t* page, uintptr_t owner);

// The thread that took a page from where it was published, before anything else: if it is frozen, count its
// blocks. O(capacity).
void mii_page_thaw(page_t* page);

// For page_make.c: the word of a page that begins and ends.
void mii_page_own_new(page_t* page);
void mii_page_retire_word(page_t* page);

#endif
