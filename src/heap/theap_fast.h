// SPDX-License-Identifier: MIT
// theap_fast.h - the usual ways through the two doors, inlined into them
//
// Most empty lists are filled from a page that is awake, and most wakes put a page onto that stack, or a block
// onto the list. These ways call nothing, so that no register has to be saved. They refuse, before anything is
// changed, where there is more to do: theap.c and refill.c do that.
//
// Tests: tests/unit/heap/theap_test.c
#ifndef MI_THEAP_FAST_H
#define MI_THEAP_FAST_H

#include "base/assert.h"
#include "heap/ask.h"
#include "page/page_remote.h"
#include "space/purge.h"

// The page woken last is the fullest, and its record is in the cache: hence a stack. awake_prev of the
// first is not used, so that pushing and popping touch as few records as they can.
MI_INLINE void mii_awake_push(class_pages_t* pages, slice_t slice) {
  const slice_t first = pages->awake;
  mii_slice_cold(slice)->awake_next = first;
  if (first != 0) mii_slice_cold(first)->awake_prev = slice;
  pages->awake = slice;
}

MI_INLINE void mii_awake_remove(class_pages_t* pages, slice_t slice) {
  const page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t next = cold->awake_next;
  if (pages->awake == slice) {
    pages->awake = next;
    return;
  }
  mii_slice_cold(cold->awake_prev)->awake_next = next;
  if (next != 0) mii_slice_cold(next)->awake_prev = cold->awake_prev;
}

// Old wakes count for less and less.
MI_INLINE void mii_theap_note_wake(theap_t* theap, bool by_others) {
  const uint8_t seen = theap->remote_wakes;
  theap->remote_wakes = (uint8_t)(by_others ? seen + (UINT8_MAX - seen) / 16 : seen - seen / 16);
}

// A theap that is apart takes in no blocks of others: their heaps may live longer.
MI_INLINE uint8_t mii_theap_loose_room(const theap_t* theap, uint32_t size_class) {
  return (uint8_t)((theap->keeps_nothing | theap->is_apart) != 0
                       ? 0
                       : mii_class_loose_count(size_class));
}

// `first` and what is linked to it becomes the list; `count` blocks leave their page.
MI_INLINE void mii_theap_hand_out(theap_t* theap, uint32_t size_class, block_t* first,
                                  uint32_t count) {
  MI_ASSERT(theap->list[size_class] == NULL);  // T2
  theap->list[size_class] = first;
  theap->room[size_class] = mii_theap_loose_room(theap, size_class);
  theap->blocks_handed += count;
  theap->bytes_handed += (uint64_t)count * mii_class_bytes(size_class);
}

// All that is free in a page goes to the (empty) list, and the page waits for `needed` more. Returns how many blocks that
// are.
MI_INLINE uint32_t mii_theap_empty_page(const page_t* page, page_hot_t* hot, size_t needed) {
  const uint32_t capacity = mii_page_capacity(page);
  const uint32_t count = capacity - mii_hot_used(hot);
  hot->local_free = NULL;
  hot->out = (uint16_t)capacity;
  mii_hot_arm(hot, (uint32_t)mii_min(needed, capacity));
  return count;
}

MI_INLINE bool mii_awake_is_fuller(const page_hot_t* page, const page_hot_t* than) {
  return mii_hot_used(page) > mii_hot_used(than);
}

// Is something free in the page, and have others freed nothing?
MI_INLINE bool mii_page_has_own_frees(const page_hot_t* hot, const page_cold_t* cold) {
  return hot->local_free != NULL && mii_cold_remote_count(cold) == 0;
}

// Its first block; the page sleeps until enough has been freed again.
MI_INLINE void* mii_theap_take_from(theap_t* theap, slice_t slice, page_hot_t* hot,
                                    uint32_t size_class) {
  block_t* const block = hot->local_free;
  hot->state = PAGE_ASLEEP;
  const page_t* const page = mii_page_record(slice);
  const uint32_t count = mii_theap_empty_page(page, hot, mii_class_wake_count(size_class));
  mii_theap_hand_out(theap, size_class, block->next, count);
  return block;
}

// The same of the only page of its class, which stays awake: nobody has to be told that enough is free again, because the
// next refill looks. NULL if it is not. It counts as a wake if enough of it are frees of our own: what others have freed a
// look may have taken in meanwhile.
MI_INLINE void* mii_theap_take_from_only(theap_t* theap, slice_t slice, page_hot_t* hot,
                                         uint32_t size_class) {
  block_t* const block = hot->local_free;
  const uint32_t capacity = mii_page_capacity(mii_page_record(slice));
  const uint32_t count = capacity - mii_hot_used(hot);
  const uint32_t enough = (uint32_t)mii_class_wake_count(size_class);
  if (count < enough) return NULL;
  if (mii_hot_frees(hot) >= enough) mii_theap_note_wake(theap, false);
  hot->local_free = NULL;
  hot->out = (uint16_t)capacity;
  mii_hot_arm(hot, capacity);
  mii_theap_hand_out(theap, size_class, block->next, count);
  return block;
}

// A block of a page that is awake (there is one); the rest of what is free in it becomes the list. NULL if others have
// freed blocks of it, or it has to be extended. The fuller of the two woken last, so that the others may become empty.
// They are the fullest anyway: a page wakes when a few blocks are free, and has more the longer it lies on the stack.
MI_INLINE void* mii_theap_take_awake(theap_t* theap, uint32_t size_class) {
  class_pages_t* const pages = &theap->pages[size_class];
  const slice_t first = pages->awake;
  page_hot_t* const page = mii_hot_record(first);
  page_cold_t* const cold = mii_slice_cold(first);
  const slice_t second = cold->awake_next;
  page_hot_t* const other = mii_hot_record(second);
  if (second != 0 && mii_awake_is_fuller(other, page)) {
    const page_cold_t* const other_cold = mii_slice_cold(second);
    if (MI_UNLIKELY(!mii_page_has_own_frees(other, other_cold))) return NULL;
    const slice_t third = other_cold->awake_next;
    cold->awake_next = third;
    if (third != 0) mii_slice_cold(third)->awake_prev = first;
    return mii_theap_take_from(theap, second, other, size_class);
  }
  if (MI_UNLIKELY(!mii_page_has_own_frees(page, cold))) return NULL;
  if (second == 0 && cold->next == first)
    return mii_theap_take_from_only(theap, first, page, size_class);
  pages->awake = second;
  return mii_theap_take_from(theap, first, page, size_class);
}

enum {
  SPARSE_SHARE = 8,     // a page is sparse if it uses at most one of so many blocks
  SPARSE_BLOCKS = 256,  // of larger pages the walk is too long for one call
};

// A page that uses at most so many blocks is sparse (theap.c); 0: never, few blocks or very many.
MI_INLINE uint32_t mii_sparse_max(uint32_t size_class) {
  const uint32_t blocks = mii_class_blocks(size_class);
  return mii_class_wake_count(size_class) > 1 && blocks <= SPARSE_BLOCKS ? blocks / SPARSE_SHARE
                                                                         : 0;
}

MI_INLINE bool mii_list_is_shorter(const block_t* list, uint32_t length) {
  for (; list != NULL && length > 0; length--) list = list->next;
  return length > 0;
}

// A page of few blocks would wake for each of them. True if the block just freed is loose now: not if the list
// is long enough without it.
MI_INLINE bool mii_theap_loosen(theap_t* theap, page_hot_t* hot, uint32_t size_class) {
  if (theap->keeps_nothing
      || !mii_list_is_shorter(theap->list[size_class], mii_class_loose_count(size_class)))
    return false;
  block_t* const block = hot->local_free;
  hot->local_free = block->next;
  hot->needed = 1;
  theap->loosened++;
  mii_theap_add_loose(theap, size_class, block);
  return true;
}

// What mii_theap_wake does, if the page sleeps and goes on. Who is asked something answers at the other wakes.
MI_INLINE bool mii_theap_wake_at_once(theap_t* theap, page_hot_t* hot) {
  if (hot->state != PAGE_ASLEEP) return false;
  const uint32_t size_class = hot->size_class;
  if (mii_class_wake_count(size_class) == 1) {
    if (MI_UNLIKELY(theap->loosened == UINT8_MAX)) return false;
    if (mii_theap_loosen(theap, hot, size_class)) return true;
  }
  const uint32_t used = mii_hot_used(hot);
  if (MI_UNLIKELY(used == 0 || mii_ask_is_open(theap->home) || mii_purge_may_be_much()))
    return false;
  mii_theap_note_wake(theap, false);
  mii_awake_push(&theap->pages[size_class], mii_hot_slice(hot));
  hot->state = PAGE_AWAKE;
  hot->out = (uint16_t)used;
  const uint32_t few = mii_sparse_max(size_class);
  mii_hot_arm(hot, used > few ? used - few : used);
  return true;
}

#endif
