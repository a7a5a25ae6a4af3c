// SPDX-License-Identifier: MIT
// page_remote.c - blocks freed by threads that do not own their page
//
// A page has one owner, which allocates and frees with plain loads and stores. Everyone else meets it in
// one atomic word:
//
//     remote = [ epoch:16 | - | queued:1 | owned:1 | count:14 | tail:14 | head:14 ]
//
// head and tail are offsets of blocks in units of 8 bytes, so the owner takes a list, its end and its
// length in one step and never walks it. Pushes and take-alls only, so an old head that comes again is
// right again (no ABA).
//
//                 not queued                            queued
//     owned       quiet: the owner collects when it     on its owner's wake list, or its pusher is
//                 likes                                 about to put it there
//     not owned   waiting for more frees                published for claiming, or about to be
//
//   W1  the push that makes count reach the page's mark, and only it, sets queued. The mark is the wake
//       count of the class while owned, an eighth of its blocks otherwise
//   W2  only who took the page off the list it was queued on clears queued
//   W3  a queued page keeps its owner and is not unmade: so the pusher may read `owner` after its push
//   W4  owned is cleared by the owner, and set by who took the page off the published ones
//   W5  a block in the word counts in mii_page_hot(page)->out, so the page cannot go away under it
//   W6  a page that is disowned unpublished has more than 7/8 of its blocks out (those not threaded yet
//       count as free), so pushes alone reach its mark
//   W7  epoch changes when the page ends; a push for another epoch than the page has now does nothing
//
// Orders: a push releases (the pusher's last writes to the blocks happen before the collect, which
// acquires; pushes are read-modify-writes, so all of a list form one release sequence) and acquires (it
// must see the `owner` that belongs to the word, W3: claim writes owner before it clears queued).
// Disowning releases, claiming acquires: the next owner sees the page's plain fields.
//
// Tests: tests/unit/page/page_remote_test.c, tests/stress/
#include "page/page_remote.h"
#include "base/assert.h"

enum {
  OFFSET_BITS = 14,
  OFFSET_UNIT = 8,
  TAIL_SHIFT = OFFSET_BITS,
  COUNT_SHIFT = 2 * OFFSET_BITS,
  OWNED_SHIFT = 3 * OFFSET_BITS,
  QUEUED_SHIFT = OWNED_SHIFT + 1,
  EPOCH_SHIFT = 48,
};
static_assert((1 << OFFSET_BITS) * OFFSET_UNIT >= MID_PAGE_SLICES * SLICE_BYTES,
              "offsets reach every block");
static_assert((1 << OFFSET_BITS) > SLICE_BYTES / 8, "and count every block");

static_assert(MI_REMOTE_COUNT == ((UINT64_C(1) << OFFSET_BITS) - 1) << COUNT_SHIFT,
              "as in the header");

static const uint64_t OFFSET_MASK = (UINT64_C(1) << OFFSET_BITS) - 1;
static const uint64_t LIST_MASK = (UINT64_C(1) << OWNED_SHIFT) - 1;
static const uint64_t OWNED = UINT64_C(1) << OWNED_SHIFT;
static const uint64_t QUEUED = UINT64_C(1) << QUEUED_SHIFT;

static _Atomic(uint64_t)* remote_of(const page_t* page) {
  return &mii_slice_cold(mii_page_slice(page))->remote;
}

static uint32_t word_count(uint64_t word) { return (uint32_t)(word >> COUNT_SHIFT & OFFSET_MASK); }

static block_t* word_head(const page_t* page, uint64_t word) {
  return (block_t*)(mii_page_start(page) + (word & OFFSET_MASK) * OFFSET_UNIT);
}

static block_t* word_tail(const page_t* page, uint64_t word) {
  return (block_t*)(mii_page_start(page) + (word >> TAIL_SHIFT & OFFSET_MASK) * OFFSET_UNIT);
}

static uint64_t offset_of(const page_t* page, const block_t* block) {
  return (uint64_t)((uintptr_t)block - (uintptr_t)mii_page_start(page)) / OFFSET_UNIT;
}

// The word after pushing, but for queued.
static uint64_t word_with(const page_t* page, uint64_t seen, const block_t* head,
                          const block_t* tail, uint32_t count) {
  const uint64_t last =
      word_count(seen) > 0 ? seen >> TAIL_SHIFT & OFFSET_MASK : offset_of(page, tail);
  const uint64_t list = offset_of(page, head) | last << TAIL_SHIFT
                        | (uint64_t)(word_count(seen) + count) << COUNT_SHIFT;
  return (seen & ~LIST_MASK) | list;
}

// W1. An eighth of the blocks, at least one.
static uint32_t claim_count(const page_t* page) {
  return (uint32_t)mii_max(1, mii_class_blocks(page->size_class) / 8);
}

static bool reaches_mark(const page_t* page, uint64_t word) {
  if ((word & QUEUED) != 0) return false;
  const uint32_t mark =
      (word & OWNED) != 0 ? mii_class_wake_count(page->size_class) : claim_count(page);
  return word_count(word) >= mark;
}

uint32_t mii_page_epoch(const page_t* page) {
  return (uint32_t)(atomic_load_explicit(remote_of(page), memory_order_relaxed) >> EPOCH_SHIFT);
}

push_event_t mii_page_push_remote(page_t* page, block_t* head, block_t* tail, uint32_t count,
                                  uint32_t epoch) {
  _Atomic(uint64_t)* const remote = remote_of(page);
  uint64_t seen = atomic_load_explicit(remote, memory_order_relaxed);
  uint64_t want;
  bool queue;
  do {
    if (MI_UNLIKELY(seen >> EPOCH_SHIFT != epoch)) return PUSH_QUIET;
    MI_ASSERT(mii_page_has_block(page, head) && mii_page_has_block(page, tail) && count > 0);
    tail->next = word_count(seen) > 0 ? word_head(page, seen) : NULL;
    want = word_with(page, seen, head, tail, count);
    queue = reaches_mark(page, want);
    if (queue) want |= QUEUED;
  } while (!atomic_compare_exchange_weak_explicit(remote, &seen, want, memory_order_acq_rel,
                                                  memory_order_relaxed));
  if (!queue) return PUSH_QUIET;
  return (want & OWNED) != 0 ? PUSH_WAKE_OWNER : PUSH_PUBLISH;
}

static void take_list(page_t* page, uint64_t word) {
  const uint32_t count = word_count(word);
  if (count == 0) return;
  MI_ASSERT(count <= mii_page_hot(page)->out);
  word_tail(page, word)->next = mii_page_hot(page)->local_free;
  mii_page_hot(page)->local_free = word_head(page, word);
  mii_page_hot(page)->out = (uint16_t)(mii_page_hot(page)->out - count);
}

void mii_page_take_remote(page_t* page) {
  take_list(page, atomic_fetch_and_explicit(remote_of(page), ~LIST_MASK, memory_order_acquire));
}

// Untried: a walk takes nothing; the blocks are read as those of mii_page_take_remote are.
block_t* mii_page_peek_remote(const page_t* page) {
  const uint64_t word = atomic_load_explicit(remote_of(page), memory_order_acquire);
  return word_count(word) > 0 ? word_head(page, word) : NULL;
}

// Untried: the heap ends, and nobody pushes any more.
block_t* mii_page_detach_remote(page_t* page) {
  const uint64_t word =
      atomic_fetch_and_explicit(remote_of(page), ~LIST_MASK, memory_order_acquire);
  return word_count(word) > 0 ? word_head(page, word) : NULL;
}

void mii_page_unqueue(page_t* page) {
  const uint64_t word =
      atomic_fetch_and_explicit(remote_of(page), ~(LIST_MASK | QUEUED), memory_order_acq_rel);
  MI_ASSERT((word & QUEUED) != 0 && (word & OWNED) != 0);  // W2
  take_list(page, word);
}

bool mii_page_is_queued(page_t* page) {
  return (atomic_load_explicit(remote_of(page), memory_order_relaxed) & QUEUED) != 0;
}

// W6: what is free or was never threaded.
static uint32_t room_of(const page_t* page) {
  return mii_class_blocks(page->size_class) - mii_page_hot(page)->out;
}

// Queued first, by us: from then on no push signals, so nobody reads `owner` while we clear it (W3).
bool mii_page_try_disown(page_t* page, bool* publish) {
  MI_ASSERT(mii_page_hot(page)->armed == mii_page_hot(page)->needed);
  _Atomic(uint64_t)* const remote = remote_of(page);
  if ((atomic_fetch_or_explicit(remote, QUEUED, memory_order_relaxed) & QUEUED) != 0) return false;
  atomic_store_explicit(&page->owner, 0, memory_order_relaxed);
  mii_page_hot(page)->state = PAGE_DISOWNED;
  for (;;) {
    mii_page_collect_remote(page);
    uint64_t seen = atomic_load_explicit(remote, memory_order_relaxed);
    *publish = room_of(page) >= claim_count(page);
    const uint64_t want = (seen & ~(LIST_MASK | OWNED | QUEUED)) | (*publish ? QUEUED : 0);
    if (word_count(seen) == 0
        && atomic_compare_exchange_strong_explicit(remote, &seen, want, memory_order_release,
                                                   memory_order_relaxed)) {
      return true;
    }
  }
}

// In three steps, so that nobody wakes an owner who has not moved in: owned, but still queued; the new
// home; then the list, and queued off. The last step acquires, before anything plain of the page is touched.
void mii_page_claim(page_t* page, uintptr_t owner) {
  const uint64_t word = atomic_fetch_or_explicit(remote_of(page), OWNED, memory_order_relaxed);
  MI_ASSERT((word & QUEUED) != 0 && (word & OWNED) == 0);  // W4
  (void)word;
  atomic_store_explicit(&page->owner, owner, memory_order_relaxed);
  mii_page_unqueue(page);
}

// Relaxed: `out` came with the page from where it was published; claiming acquires the last push.
bool mii_page_is_empty_unowned(page_t* page) {
  const uint64_t word = atomic_load_explicit(remote_of(page), memory_order_relaxed);
  MI_ASSERT((word & QUEUED) != 0 && (word & OWNED) == 0);
  return word_count(word) == mii_page_hot(page)->out;
}

void mii_page_forget_queued(page_t* page) {
  if (mii_page_is_queued(page)) mii_page_unqueue(page);
}

// Published if in doubt: then somebody looks.
bool mii_page_freeze(page_t* page) {
  const uint64_t word = atomic_load_explicit(remote_of(page), memory_order_relaxed);
  const uint32_t blocks = mii_class_blocks(page->size_class);
  const uint32_t used = mii_page_used(page) - word_count(word);  // wraps around if it was caught
  const bool publish = used <= blocks - claim_count(page) || used > blocks;
  atomic_store_explicit(&page->owner, 0, memory_order_relaxed);
  mii_page_hot(page)->state = PAGE_FROZEN;
  atomic_store_explicit(remote_of(page), (word & ~(OWNED | QUEUED)) | (publish ? QUEUED : 0),
                        memory_order_relaxed);
  return publish;
}

void mii_page_recover(page_t* page, uintptr_t owner) {
  mii_page_freeze(page);
  atomic_fetch_or_explicit(remote_of(page), QUEUED, memory_order_relaxed);
  mii_page_thaw(page);
  mii_page_claim(page, owner);
  mii_page_hot(page)->state = PAGE_NONE;
}

void mii_page_own_new(page_t* page) {
  const uint64_t word = atomic_load_explicit(remote_of(page), memory_order_relaxed);
  MI_ASSERT((word & (LIST_MASK | OWNED | QUEUED)) == 0);
  atomic_store_explicit(remote_of(page), word | OWNED, memory_order_relaxed);
}

void mii_page_retire_word(page_t* page) {
  const uint64_t word = atomic_load_explicit(remote_of(page), memory_order_relaxed);
  MI_ASSERT((word & (LIST_MASK | QUEUED)) == 0 && (word & OWNED) != 0);
  const uint64_t next = ((word >> EPOCH_SHIFT) + 1) << EPOCH_SHIFT;  // W7; wraps around
  atomic_store_explicit(remote_of(page), next, memory_order_relaxed);
}
