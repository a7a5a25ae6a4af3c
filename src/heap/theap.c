// SPDX-License-Identifier: MIT
// theap.c - one thread's lists and pages of one heap
//
//   T1  every owned page is in the circle of its class, and in the stack of the awake ones exactly if that
//       is its state
//   T2  list[c] holds blocks of class c, which count as out in their pages: those of one page that the theap
//       owns, and before them loose ones of any page
//   T3  the blocks of list[c] are not in any page's local_free
//   T4  a page that was seen to be empty is not owned, but for one per small class that was its only awake
//       page then, kept because the class was in use lately, and for queued ones (W3)
//   T5  the growing page of a class is owned and not complete
//
// Tests: tests/unit/heap/theap_test.c
#include "heap/theap.h"
#include "base/assert.h"
#include "heap/outbox.h"
#include "heap/theap_fast.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "page/page_fast.h"
#include "page/page_remote.h"
#include "runtime/option.h"
#include "space/purge.h"

enum {
  BLOCKS_PER_PAGE = 16,   // of lists that are given back, where pages are counted
  SPARSE_MUCH = 256,      // pages, 16 MiB
  SPARSE_PART = 16,       // or one of so many pages of the theap, if that is more
  LOOKS_PER_SPARSE = 16,  // slices looked at, for each page that becomes sparse
};

const parcel_t mii_no_outbox[OUTBOX_PARCELS];
const theap_t mii_theap_empty = {
    .heap = &mii_heap_main,
    .home = (theap_t*)&mii_theap_empty,
    .outbox = (parcel_t*)mii_no_outbox,
};
MI_TLS theap_t* mii_theap_mine = (theap_t*)&mii_theap_empty;

// Where a page is ----------------------------------------------------------------------------------

static void circle_add(class_pages_t* pages, slice_t slice) {
  page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t first = pages->owned;
  if (first == 0) {
    cold->next = cold->prev = slice;
    pages->owned = slice;
    return;
  }
  page_cold_t* const first_cold = mii_slice_cold(first);
  const slice_t last = first_cold->prev;
  first_cold->prev = slice;
  cold->next = first;
  cold->prev = last;
  mii_slice_cold(last)->next = slice;
}

static void circle_remove(class_pages_t* pages, slice_t slice) {
  const page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t next = cold->next;
  const slice_t prev = cold->prev;
  mii_slice_cold(prev)->next = next;
  mii_slice_cold(next)->prev = prev;
  if (pages->owned == slice) pages->owned = next != slice ? next : 0;
}

static class_pages_t* pages_of(theap_t* theap, const page_t* page) {
  return &theap->pages[page->size_class];
}

static void let_go(theap_t* theap, page_t* page) {
  class_pages_t* const pages = pages_of(theap, page);
  const slice_t slice = mii_page_slice(page);
  if (mii_page_hot(page)->state == PAGE_AWAKE) mii_awake_remove(pages, slice);
  if (pages->growing == slice) pages->growing = 0;
  circle_remove(pages, slice);
  theap->slice_count = theap->slice_count - mii_class_slices(page->size_class);
  mii_page_hot(page)->state = PAGE_NONE;
}

// The owner looks again after this many local frees. Never 0: an empty page has none to come.
static void arm_for(page_t* page, uint32_t frees) {
  mii_page_arm(page, (uint32_t)mii_max(1, mii_min(frees, mii_page_hot(page)->out)));
}

// T4. An empty page of a small class stays if it would be the only usable one.
static bool is_to_keep(const theap_t* theap, const page_t* page) {
  const slice_t awake = theap->pages[page->size_class].awake;
  return page->size_class < SMALL_CLASS_COUNT && !theap->keeps_nothing
         && (awake == 0
             || (awake == mii_page_slice(page) && mii_slice_cold(awake)->awake_next == 0));
}

static void hold_ready(theap_t* theap, page_t* page) {
  if (mii_page_hot(page)->state != PAGE_AWAKE)
    mii_awake_push(pages_of(theap, page), mii_page_slice(page));
  mii_page_hot(page)->state = PAGE_AWAKE;
  arm_for(page, mii_page_hot(page)->out);
}

static void end_page(theap_t* theap, page_t* page) {
  let_go(theap, page);
  mii_page_unmake(page);
}

// A counted page of which enough is free.
static void hold_ready_or_end(theap_t* theap, page_t* page) {
  if (mii_page_hot(page)->out == 0 && !mii_page_is_queued(page) && !is_to_keep(theap, page)) {
    end_page(theap, page);
  } else {
    hold_ready(theap, page);
  }
}

static void count_frees(page_t* page) {
  mii_page_count_local(page);
  mii_page_collect_remote(page);
}

void mii_theap_review(theap_t* theap, page_t* page, uint32_t free_min) {
  count_frees(page);
  if (mii_page_hot(page)->out == 0 || mii_page_free_count(page) >= free_min) {
    hold_ready_or_end(theap, page);
  } else if (mii_page_hot(page)->state == PAGE_AWAKE) {
    arm_for(page, mii_page_hot(page)->out);  // what other threads freed is not awaited any more
  }
}

// The list -----------------------------------------------------------------------------------------

// Thread more of the page, and remember it while there is more to come.
static uint32_t grow(theap_t* theap, page_t* page, block_t** first) {
  class_pages_t* const pages = pages_of(theap, page);
  const uint32_t count = mii_page_extend(page, first, mii_theap_rng(theap));
  pages->growing = mii_page_is_complete(page) ? 0 : mii_page_slice(page);
  return count;
}

static void arrive(theap_t* theap, page_t* page) {
  const slice_t slice = mii_page_slice(page);
  mii_slice_cold(slice)->arrival = ++theap->arrivals[page->size_class];
  circle_add(pages_of(theap, page), slice);
  theap->slice_count = theap->slice_count + mii_class_slices(page->size_class);
}

static void fall_asleep(theap_t* theap, page_t* page) {
  if (mii_page_hot(page)->state == PAGE_NONE) arrive(theap, page);
  if (mii_page_hot(page)->state == PAGE_AWAKE)
    mii_awake_remove(pages_of(theap, page), mii_page_slice(page));
  mii_page_hot(page)->state = PAGE_ASLEEP;
}

// All that is free in a page goes to the list, and more of it if nothing is.
static bool use(theap_t* theap, page_t* page, uint32_t size_class) {
  mii_page_collect_remote(page);
  block_t* first = mii_page_hot(page)->local_free;
  uint32_t count = mii_theap_empty_page(page, mii_page_hot(page), mii_class_wake_count(size_class));
  if (count == 0) {
    count = grow(theap, page, &first);
    arm_for(page, mii_class_wake_count(size_class));
  }
  if (count == 0) return false;
  mii_theap_hand_out(theap, size_class, first, count);
  return true;
}

bool mii_theap_activate(theap_t* theap, page_t* page) {
  fall_asleep(theap, page);
  return use(theap, page, page->size_class);
}

// As mii_theap_take_awake chooses.
static slice_t best_awake(const class_pages_t* pages) {
  const slice_t first = pages->awake;
  const slice_t second = mii_slice_cold(first)->awake_next;
  if (second == 0) return first;
  return mii_awake_is_fuller(mii_hot_record(second), mii_hot_record(first)) ? second : first;
}

// The only page of a class stays awake when it is used. If not enough has been freed since, it falls asleep now.
static bool lull(theap_t* theap, page_t* page) {
  count_frees(page);
  const uint32_t wake_count = mii_class_wake_count(page->size_class);
  const uint32_t free_count = mii_page_free_count(page);
  if (free_count >= wake_count) return false;
  fall_asleep(theap, page);
  arm_for(page, wake_count - free_count);
  return true;
}

bool mii_theap_use_awake(theap_t* theap, uint32_t size_class) {
  class_pages_t* const pages = &theap->pages[size_class];
  if (pages->awake == 0) return false;
  const slice_t slice = best_awake(pages);
  page_t* const page = mii_page_record(slice);
  if (mii_slice_cold(slice)->next == slice && lull(theap, page)) return false;
  mii_awake_remove(pages, slice);
  mii_page_hot(page)->state = PAGE_ASLEEP;
  return use(theap, page, size_class);
}

bool mii_theap_extend(theap_t* theap, uint32_t size_class) {
  class_pages_t* const pages = &theap->pages[size_class];
  if (pages->growing == 0) return false;
  page_t* const page = mii_page_record(pages->growing);
  block_t* first;
  const uint32_t count = grow(theap, page, &first);
  if (count == 0) return false;
  mii_theap_hand_out(theap, size_class, first, count);
  return true;
}

// The longest list: a page's blocks, and loose ones.
static uint32_t list_max(uint32_t size_class) {
  return mii_class_blocks(size_class) + mii_class_loose_count(size_class);
}

static page_t* page_of(const block_t* block) {
  const slice_t slice = (slice_t)mii_slice_of(block);
  return mii_page_record(mii_slice_kind(slice) == SLICE_FOLLOW ? slice - 1 : slice);
}

// Give up to `count_max` blocks of a list back to their pages. Returns how many.
static uint32_t return_blocks(theap_t* theap, uint32_t size_class, uint32_t count_max) {
  uint32_t count = 0;
  for (; theap->list[size_class] != NULL && count < count_max; count++) {
    block_t* const block = mii_list_pop(&theap->list[size_class]);
    page_t* const page = page_of(block);
    if (mii_page_owner(page) != mii_theap_tag(theap)) {
      mii_outbox_push(page, block);
    } else if (mii_page_push_local(page, block)) {
      mii_page_count_local(page);
      hold_ready_or_end(theap, page);
    }
  }
  theap->blocks_handed -= count;
  theap->bytes_handed -= (uint64_t)count * mii_class_bytes(size_class);
  return count;
}

// Sparse pages: where nearly all blocks of many pages are freed, and few pages end. A thread that is not alone disowns its
// pages, and our thread punches them. Who is alone may free them and make no other call. So its page of many blocks, once
// awake, is looked at also when few are left. If more pages become so than are used again, the heap shrinks; then each of
// them has some slices looked at, in turn, the first that is sparse is punched, and a free one goes back, due or not.
static bool punch_if_sparse(theap_t* theap, slice_t slice) {
  page_t* const page = mii_page_record(slice);
  if (mii_record_kind(page) != SLICE_PAGE || mii_page_owner(page) != mii_theap_tag(theap))
    return false;
  mii_page_count_local(page);
  const bool is_punched = 2 * mii_page_free_count(page) < mii_class_blocks(page->size_class);
  if (mii_page_hot(page)->out == 0 || mii_page_hot(page)->out > mii_sparse_max(page->size_class)
      || is_punched)
    return false;
  mii_page_punch(page);
  return true;
}

// A bounded work: at most one page, and one slice.
static void punch_some(theap_t* theap) {
  bool punched = false;
  for (uint32_t i = 0; i < LOOKS_PER_SPARSE && !punched; i++) {
    theap->sparse_from = theap->sparse_from + 1 < mii_slice_count() ? theap->sparse_from + 1 : 1;
    punched = punch_if_sparse(theap, theap->sparse_from);
  }
  uint32_t segment = theap->sparse_from / SEGMENT_SLICES;
  mii_purge_step(&segment, UINT64_MAX, PURGE_ONE_SLICE);
}

static MI_COLD void note_sparse(theap_t* theap, page_t* page) {
  mii_page_count_local(page);
  arm_for(page, mii_page_hot(page)->out);
  theap->sparse = theap->sparse + 1;
  if (theap->sparse < mii_max(SPARSE_MUCH, theap->slice_count / SPARSE_PART)) return;
  if (mii_thread_is_alone() && mii_option_get(mi_option_purge_delay) >= 0) punch_some(theap);
}

static bool is_sparse_now(const page_t* page) {
  return mii_page_hot(page)->state == PAGE_AWAKE && mii_page_used(page) > 0;
}

static void hold_until_sparse(theap_t* theap, page_t* page) {
  const uint32_t few = mii_sparse_max(page->size_class);
  if (mii_page_hot(page)->out > few) {
    hold_ready(theap, page);
    arm_for(page, mii_page_hot(page)->out - few);
  } else {
    hold_ready_or_end(theap, page);
  }
}

// A thread that frees each block before it takes the next one would never refill, and its heart not beat: once
// in 256 times the list goes back.
void mii_theap_wake(theap_t* theap, page_t* page) {
  if (mii_theap_wake_at_once(theap, mii_page_hot(page))) return;
  const uint32_t size_class = page->size_class;
  if (is_sparse_now(page)) {
    note_sparse(theap, page);
    return;
  }
  mii_theap_note_wake(theap, false);
  mii_page_count_local(page);
  hold_until_sparse(theap, page);
  if (mii_class_wake_count(size_class) == 1 && theap->loosened == UINT8_MAX) {
    theap->loosened = 0;
    return_blocks(theap, size_class, UINT32_MAX);
  }
}

// The loose blocks are the first of a list; of others' there are at most as many as room was taken.
static void give_loose_of(theap_t* theap, uint32_t size_class) {
  const uint32_t most = mii_class_loose_count(size_class);
  if (theap->list[size_class] == NULL || most == 0) return;
  const uint32_t taken = most - theap->room[size_class];
  const bool has_own = mii_class_wake_count(size_class) == 1;
  return_blocks(theap, size_class, has_own ? most : taken);
  theap->room[size_class] = mii_theap_loose_room(theap, size_class);
}

void mii_theap_give_loose(theap_t* theap, uint32_t class_max) {
  for (; class_max > 0; class_max--) {
    theap->loose_class = (theap->loose_class + 1) % CLASS_COUNT;
    give_loose_of(theap, theap->loose_class);
  }
}

void mii_theap_give_lists(theap_t* theap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) return_blocks(theap, c, UINT32_MAX);
}

// The length of a list that others may change: a link is followed if a block of the class begins there.
MI_NO_TSAN static uint32_t guess_length(const block_t* block, uint32_t size_class) {
  const uint32_t bytes = mii_class_bytes(size_class);
  uint32_t length = 0;
  for (; block != NULL && length < list_max(size_class) && mii_range_has(block); length++) {
    page_t* const page = page_of(block);
    const uintptr_t offset = (uintptr_t)block - (uintptr_t)mii_page_start(page);
    if (mii_record_kind(page) != SLICE_PAGE || page->size_class != size_class) break;
    if (offset % bytes != 0 || offset / bytes >= mii_class_blocks(size_class)) break;
    block = block->next;
  }
  return length;
}

MI_COLD MI_NO_TSAN size_t mii_theap_held_bytes(const theap_t* theap) {
  size_t bytes = 0;
  for (uint32_t c = 0; c < CLASS_COUNT; c++)
    bytes += (size_t)guess_length(theap->list[c], c) * mii_class_bytes(c);
  for (uint32_t i = 0; i < OUTBOX_PARCELS; i++) {
    const parcel_t* const parcel = &theap->outbox[i];
    const page_t* const page = parcel->page;
    const uint32_t c = page != NULL ? page->size_class : CLASS_COUNT;
    if (c < CLASS_COUNT && parcel->room <= parcel->limit)
      bytes += (size_t)(parcel->limit - parcel->room) * mii_class_bytes(c);
  }
  return bytes;
}

// Other threads ------------------------------------------------------------------------------------

// The page is frozen (W3), so its owner and its link are ours to use.
void mii_theap_page_queued(page_t* page) {
  theap_t* const theap = (theap_t*)mii_page_owner(page);
  const slice_t slice = mii_page_slice(page);
  uint32_t seen = atomic_load_explicit(&theap->woken, memory_order_relaxed);
  do {
    atomic_store_explicit(&mii_slice_cold(slice)->stack_link, seen, memory_order_relaxed);
  } while (!atomic_compare_exchange_weak_explicit(&theap->woken, &seen, slice, memory_order_release,
                                                  memory_order_relaxed));
}

void mii_theap_drain_some(theap_t* theap, uint32_t page_max) {
  slice_t slice = theap->draining;
  if (slice == 0) slice = atomic_exchange_explicit(&theap->woken, 0, memory_order_acquire);
  for (; slice != 0 && page_max > 0; page_max--) {
    page_t* const page = mii_page_record(slice);
    // Read the link first: once unqueued, the page may be queued again.
    slice = atomic_load_explicit(&mii_slice_cold(slice)->stack_link, memory_order_relaxed);
    mii_page_unqueue(page);
    mii_theap_note_wake(theap, true);
    mii_theap_review(theap, page, 1);  // we may have taken them before
  }
  theap->draining = slice;
}

void mii_theap_drain(theap_t* theap) {
  if (theap->draining != 0) mii_theap_drain_some(theap, UINT32_MAX);
  mii_theap_drain_some(theap, UINT32_MAX);
}

// All pages ----------------------------------------------------------------------------------------

static MI_NOINLINE uint32_t visit_circle(theap_t* theap, slice_t first,
                                         void (*visit)(theap_t*, page_t*), uint32_t page_max) {
  const slice_t last = mii_slice_cold(first)->prev;
  slice_t slice = first;
  for (uint32_t count = 1;; count++) {
    const slice_t next = mii_slice_cold(slice)->next;
    visit(theap, mii_page_record(slice));
    if (slice == last || count == page_max) return count;
    slice = next;
  }
}

// Calls `visit` for every page of the class, but at most `page_max`; it may remove the page. Returns how many.
// A theap that has just begun has pages of few classes.
MI_INLINE uint32_t visit_pages(theap_t* theap, uint32_t size_class,
                               void (*visit)(theap_t*, page_t*), uint32_t page_max) {
  const slice_t first = theap->pages[size_class].owned;
  return first != 0 ? visit_circle(theap, first, visit, page_max) : 0;
}

static void collect_page(theap_t* theap, page_t* page) { mii_theap_review(theap, page, 1); }

static void give_if_empty(theap_t* theap, page_t* page) {
  count_frees(page);
  if (mii_page_hot(page)->out == 0 && !mii_page_is_queued(page)) end_page(theap, page);
}

MI_COLD void mii_theap_give_kept(theap_t* theap) {
  for (uint32_t c = 0; c < SMALL_CLASS_COUNT; c++) {
    const slice_t slice = theap->pages[c].awake;
    if (slice != 0) give_if_empty(theap, mii_page_record(slice));
  }
}

MI_COLD void mii_theap_collect(theap_t* theap) {
  mii_vault_unload(theap);
  mii_theap_give_loose(theap, CLASS_COUNT);
  mii_outbox_send(theap->home);
  mii_theap_drain(theap);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) visit_pages(theap, c, collect_page, UINT32_MAX);
  mii_theap_give_kept(theap);
  MI_ASSERT_VALID(mii_theap_is_valid(theap));
}

static void punch_page(theap_t* theap, page_t* page) {
  (void)theap;
  if (mii_page_hot(page)->out > 0) mii_page_punch(page);
}

MI_COLD void mii_theap_punch(theap_t* theap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) visit_pages(theap, c, punch_page, UINT32_MAX);
  MI_ASSERT_VALID(mii_theap_is_valid(theap));
}

MI_COLD void mii_theap_adopt(theap_t* theap, page_t* page) {
  fall_asleep(theap, page);
  if (mii_page_free_count(page) > 0) {
    hold_ready(theap, page);
  } else {
    arm_for(page, mii_class_wake_count(page->size_class));
  }
}

void mii_theap_release(theap_t* theap, page_t* page) {
  count_frees(page);
  let_go(theap, page);
  if (!mii_heap_try_release(page)) mii_theap_adopt(theap, page);
}

static void discard_page(theap_t* theap, page_t* page) {
  let_go(theap, page);
  mii_page_discard(page);
}

void mii_theap_discard(theap_t* theap) {
  mii_vault_unload(theap);
  mii_theap_drain(theap);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    theap->list[c] = NULL;
    visit_pages(theap, c, discard_page, UINT32_MAX);
  }
  MI_ASSERT(theap->slice_count == 0);
}

static void move_page(theap_t* theap, page_t* page) {
  mii_page_set_heap(page, theap->heap, theap->is_apart);
}

void mii_theap_move(theap_t* theap, heap_t* to) {
  theap->heap = to;
  theap->is_apart = to->is_apart;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) visit_pages(theap, c, move_page, UINT32_MAX);
}

// A page that is queued stays, and one whose blocks are in the list.
MI_COLD bool mii_theap_dissolve_some(theap_t* theap, uint32_t page_max) {
  mii_vault_unload(theap);
  mii_theap_drain_some(theap, page_max);
  uint32_t pages = page_max;
  uint32_t blocks =
      page_max < UINT32_MAX / BLOCKS_PER_PAGE ? page_max * BLOCKS_PER_PAGE : UINT32_MAX;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    if (theap->list[c] != NULL) blocks -= return_blocks(theap, c, blocks);
    if (theap->list[c] != NULL) return false;
    if (pages > 0) pages -= visit_pages(theap, c, mii_theap_release, pages);
  }
  return theap->slice_count == 0;
}

bool mii_theap_dissolve(theap_t* theap) {
  mii_theap_drain(theap);
  return mii_theap_dissolve_some(theap, UINT32_MAX);
}

// The page of what may be a block of the class; NULL if it is none.
static page_t* page_of_suspect(const block_t* block, uint32_t size_class) {
  if (!mii_range_has(block)) return NULL;
  page_t* const page = page_of(block);
  const bool fits = mii_record_kind(page) == SLICE_PAGE && page->size_class == size_class;
  return fits && mii_page_has_block(page, block) ? page : NULL;
}

static bool list_is_good(const block_t* block, uint32_t size_class) {
  uint32_t steps = 0;
  for (; block != NULL; block = block->next) {
    if (page_of_suspect(block, size_class) == NULL || steps++ == list_max(size_class)) return false;
  }
  return true;
}

// The blocks from `first` to `last` lie in the page, unless it is ours: nobody thaws it, so they stay in use.
static void salvage(page_t* page, block_t* first, block_t* last, uint32_t count) {
  if (mii_theap_is_mine((theap_t*)mii_page_owner(page))) return;
  last->next = mii_page_hot(page)->local_free;
  mii_page_hot(page)->local_free = first;
  mii_page_hot(page)->out =
      (uint16_t)(mii_page_hot(page)->out - count);  // whether the page is published depends on it
}

// Blocks are in the page's list twice if the thread was caught in between: thawing finds them. All of a list
// with a bad link stays in use. As few blocks as possible are written to: the child would copy their OS pages.
static void salvage_list(block_t* block, uint32_t size_class) {
  if (!list_is_good(block, size_class)) return;
  while (block != NULL) {
    page_t* const page = page_of(block);
    block_t* last = block;
    uint32_t count = 1;
    for (; last->next != NULL && page_of(last->next) == page; last = last->next) count++;
    block_t* const rest = last->next;
    salvage(page, block, last, count);
    block = rest;
  }
}

MI_COLD void mii_theap_forget(theap_t* theap) {
  mii_vault_unload(theap);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    salvage_list(theap->list[c], c);
    theap->list[c] = NULL;
    theap->pages[c].owned = theap->pages[c].awake = theap->pages[c].growing = 0;
  }
  atomic_store_explicit(&theap->woken, 0, memory_order_relaxed);
  theap->draining = 0;
  theap->run_segment = 0;
  theap->slice_count = 0;
  theap->parcels = 0;
  for (uint32_t i = 0; i < OUTBOX_PARCELS; i++) {
    if (theap->outbox[i].page != NULL) theap->outbox[i].page = NULL;
  }
  theap->in_deferred_free = theap->keeps_nothing = false;
}

// Validator ----------------------------------------------------------------------------------------

static bool page_belongs(theap_t* theap, slice_t slice, uint32_t size_class) {
  page_t* const page = mii_page_record(slice);
  return MI_HOLDS(mii_page_owner(page) == mii_theap_tag(theap))
         && MI_HOLDS(page->size_class == size_class)
         && MI_HOLDS(mii_page_hot(page)->state == PAGE_ASLEEP
                     || mii_page_hot(page)->state == PAGE_AWAKE)
         && mii_page_is_valid(page);
}

static bool owned_is_valid(theap_t* theap, uint32_t size_class, uint32_t* awake) {
  const slice_t first = theap->pages[size_class].owned;
  size_t steps = 0;
  for (slice_t slice = first; slice != 0;) {
    const slice_t next = mii_slice_cold(slice)->next;
    if (!page_belongs(theap, slice, size_class)) return false;
    if (!MI_HOLDS(next != 0 && mii_slice_cold(next)->prev == slice)) return false;
    if (!MI_HOLDS(++steps <= mii_slice_count())) return false;
    if (mii_page_hot(mii_page_record(slice))->state == PAGE_AWAKE) ++*awake;
    slice = next != first ? next : 0;
  }
  return true;
}

// The pages in state awake, all of them and no other.
static bool awake_is_valid(theap_t* theap, uint32_t size_class, uint32_t count) {
  slice_t before = 0;
  for (slice_t slice = theap->pages[size_class].awake; slice != 0;) {
    const page_cold_t* const cold = mii_slice_cold(slice);
    if (!MI_HOLDS(mii_page_owner(mii_page_record(slice)) == mii_theap_tag(theap))) return false;
    if (!MI_HOLDS(mii_page_hot(mii_page_record(slice))->state == PAGE_AWAKE && count-- > 0))
      return false;
    if (!MI_HOLDS(before == 0 || cold->awake_prev == before)) return false;
    before = slice;
    slice = cold->awake_next;
  }
  return MI_HOLDS(count == 0);
}

static bool growing_is_valid(theap_t* theap, uint32_t size_class) {
  const slice_t slice = theap->pages[size_class].growing;
  return slice == 0
         || (page_belongs(theap, slice, size_class)
             && MI_HOLDS(!mii_page_is_complete(mii_page_record(slice))));
}

MI_COLD bool mii_theap_is_valid(theap_t* theap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    uint32_t awake = 0;
    if (!owned_is_valid(theap, c, &awake) || !awake_is_valid(theap, c, awake)) return false;  // T1
    if (!growing_is_valid(theap, c)) return false;                                            // T5
    if (!MI_HOLDS(list_is_good(theap->list[c], c))) return false;                             // T2
  }
  return true;
}
