// SPDX-License-Identifier: MIT
// theap.c - one thread's lists and pages of one heap
//
//   T1  every owned page is active, or on the ring of its class and state
//   T2  list[c] holds blocks of one page of class c, which the theap owns; they count as out there
//   T3  the blocks of list[c] are not in any page's local_free
//   T4  a page that was seen to be empty is not owned, but for the active page and at most one other per
//       small class, kept because the class was in use lately, and for queued ones (W3)
//
// Tests: tests/unit/heap/theap_test.c
#include "heap/theap.h"
#include "base/assert.h"
#include "page/page_remote.h"

const theap_t mii_theap_empty = {.heap = &mii_heap_main};
MI_TLS theap_t* mii_theap_mine = (theap_t*)&mii_theap_empty;

// Rings of pages -----------------------------------------------------------------------------------

static void ring_add_last(slice_t* ring, slice_t slice) {
  page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t first = *ring;
  if (first == 0) {
    cold->next = cold->prev = slice;
    *ring = slice;
    return;
  }
  page_cold_t* const first_cold = mii_slice_cold(first);
  const slice_t last = first_cold->prev;
  first_cold->prev = slice;
  cold->next = first;
  cold->prev = last;
  mii_slice_cold(last)->next = slice;
}

static void ring_add_first(slice_t* ring, slice_t slice) {
  ring_add_last(ring, slice);
  *ring = slice;
}

static void ring_remove(slice_t* ring, slice_t slice) {
  const page_cold_t* const cold = mii_slice_cold(slice);
  const slice_t next = cold->next;
  const slice_t prev = cold->prev;
  mii_slice_cold(prev)->next = next;
  mii_slice_cold(next)->prev = prev;
  if (*ring == slice) *ring = next != slice ? next : 0;
}

// Where a page is ----------------------------------------------------------------------------------

// Take the page off wherever it is.
static void unplace(theap_t* theap, page_t* page) {
  class_pages_t* const pages = &theap->pages[page->size_class];
  const slice_t slice = mii_page_slice(page);
  if (page->state == PAGE_ACTIVE) {
    pages->active = 0;
  } else if (page->state == PAGE_ASLEEP || page->state == PAGE_AWAKE) {
    ring_remove(page->state == PAGE_AWAKE ? &pages->awake : &pages->asleep, slice);
  }
  page->state = PAGE_NONE;
}

// The owner looks again after this many local frees. Never 0: an empty page has none to come.
static void arm_for(page_t* page, uint32_t frees) {
  mii_page_arm(page, (uint32_t)mii_max(1, mii_min(frees, page->out)));
}

static inline void place_awake(theap_t* theap, page_t* page) {
  ring_add_first(&theap->pages[page->size_class].awake, mii_page_slice(page));
  page->state = PAGE_AWAKE;
  arm_for(page, page->out);
}

static void place_asleep(theap_t* theap, page_t* page) {
  slice_t* const ring = &theap->pages[page->size_class].asleep;
  if (mii_page_is_complete(page)) {
    ring_add_last(ring, mii_page_slice(page));
  } else {
    ring_add_first(ring, mii_page_slice(page));
  }
  page->state = PAGE_ASLEEP;
}

// T4. An empty page of a small class stays if it would be the only usable one.
static bool is_to_keep(const theap_t* theap, page_t* page) {
  return page->size_class < SMALL_CLASS_COUNT && !theap->keeps_nothing
         && theap->pages[page->size_class].awake == 0;
}

// A page of which enough is free, on no ring: hold it ready, or end it.
static bool place_usable(theap_t* theap, page_t* page) {
  if (page->out == 0 && !mii_page_is_queued(page) && !is_to_keep(theap, page)) {
    mii_page_unmake(page);
    return false;
  }
  place_awake(theap, page);
  return true;
}

static void count_frees(page_t* page) {
  mii_page_count_local(page);
  mii_page_collect_remote(page);
}

bool mii_theap_review(theap_t* theap, page_t* page) {
  count_frees(page);
  if (page->out > 0 && mii_page_free_count(page) == 0)
    return true;  // we took them before: it stays
  unplace(theap, page);
  return place_usable(theap, page);
}

// The active page stays where it is: the next refill looks at it first. Only an empty one of a mid class
// is too large to be kept.
void mii_theap_wake(theap_t* theap, page_t* page) {
  if (page->state != PAGE_ACTIVE) {
    mii_theap_review(theap, page);
    return;
  }
  mii_page_count_local(page);
  if (page->out == 0 && page->size_class >= SMALL_CLASS_COUNT) {
    unplace(theap, page);
    place_usable(theap, page);
  } else {
    arm_for(page, page->out);
  }
}

// The list -----------------------------------------------------------------------------------------

static void hand_out(theap_t* theap, page_t* page, block_t* first, uint32_t count) {
  MI_ASSERT(theap->list[page->size_class] == NULL);  // T2
  theap->list[page->size_class] = first;
  theap->blocks_handed += count;
  theap->bytes_handed += (uint64_t)count * mii_page_block_bytes(page);
}

// The page is not active any more: its list has run empty and another takes its place.
static void replace_active(theap_t* theap, slice_t slice) {
  page_t* const page = mii_page_record(slice);
  mii_page_count_local(page);
  page->state = PAGE_NONE;
  // What is already free counts towards waking up.
  const uint32_t wake_count = mii_class_wake_count(page->size_class);
  const uint32_t free_count = mii_page_free_count(page);
  if (free_count >= wake_count || page->out == 0) {
    place_usable(theap, page);
  } else {
    place_asleep(theap, page);
    arm_for(page, wake_count - free_count);
  }
}

static void become_active(theap_t* theap, page_t* page) {
  class_pages_t* const pages = &theap->pages[page->size_class];
  const slice_t before = pages->active;
  unplace(theap, page);
  pages->active = mii_page_slice(page);
  page->state = PAGE_ACTIVE;
  if (before != 0) replace_active(theap, before);
}

bool mii_theap_activate(theap_t* theap, page_t* page) {
  count_frees(page);
  if (page->state != PAGE_ACTIVE) become_active(theap, page);
  block_t* first = page->local_free;
  uint32_t count = mii_page_free_count(page);
  page->local_free = NULL;
  page->out = (uint16_t)mii_page_capacity(page);
  if (count == 0) count = mii_page_extend(page, &first);
  arm_for(page, mii_class_wake_count(page->size_class));
  if (count == 0) return false;
  hand_out(theap, page, first, count);
  return true;
}

bool mii_theap_extend(theap_t* theap, uint32_t size_class) {
  const slice_t slice = theap->pages[size_class].active;
  if (slice == 0) return false;
  page_t* const page = mii_page_record(slice);
  block_t* first;
  const uint32_t count = mii_page_extend(page, &first);
  if (count == 0) return false;
  hand_out(theap, page, first, count);
  return true;
}

// Give the rest of a list back to its page: one walk.
static void return_list(theap_t* theap, uint32_t size_class) {
  block_t* const first = theap->list[size_class];
  if (first == NULL) return;
  slice_t slice = (slice_t)mii_slice_of(first);
  if (mii_slice_kind(slice) == SLICE_FOLLOW) slice--;
  page_t* const page = mii_page_record(slice);
  uint32_t count = 1;
  block_t* last = first;
  for (; last->next != NULL; last = last->next) count++;
  mii_page_count_local(page);
  last->next = page->local_free;
  page->local_free = first;
  page->out = (uint16_t)(page->out - count);
  theap->list[size_class] = NULL;
  theap->blocks_handed -= count;
  theap->bytes_handed -= (uint64_t)count * mii_page_block_bytes(page);
  mii_page_arm(page, 1);
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

void mii_theap_drain(theap_t* theap) {
  if (atomic_load_explicit(&theap->woken, memory_order_relaxed) == 0) return;
  slice_t slice = atomic_exchange_explicit(&theap->woken, 0, memory_order_acquire);
  while (slice != 0) {
    // Read the link first: once unqueued, the page may be queued again.
    const slice_t below =
        atomic_load_explicit(&mii_slice_cold(slice)->stack_link, memory_order_relaxed);
    page_t* const page = mii_page_record(slice);
    mii_page_unqueue(page);
    mii_theap_review(theap, page);
    slice = below;
  }
}

// All pages ----------------------------------------------------------------------------------------

// Calls `visit` for every page of the class; it may remove the page.
static void visit_pages(theap_t* theap, uint32_t size_class, void (*visit)(theap_t*, page_t*)) {
  class_pages_t* const pages = &theap->pages[size_class];
  const slice_t active = pages->active;
  if (active != 0) visit(theap, mii_page_record(active));
  slice_t* const rings[] = {&pages->awake, &pages->asleep};
  for (int r = 0; r < 2; r++) {
    uint32_t left = 0;
    if (*rings[r] != 0) {
      left = 1;
      for (slice_t s = mii_slice_cold(*rings[r])->next; s != *rings[r]; s = mii_slice_cold(s)->next)
        left++;
    }
    for (slice_t s = *rings[r]; left > 0; left--) {
      const slice_t next = mii_slice_cold(s)->next;
      visit(theap, mii_page_record(s));
      s = next;
    }
  }
}

void mii_theap_review_if_free(theap_t* theap, page_t* page, uint32_t free_min) {
  count_frees(page);
  if (mii_page_free_count(page) >= free_min) {
    mii_theap_review(theap, page);
  } else if (page->state == PAGE_AWAKE) {
    arm_for(page, page->out);  // what other threads freed is not awaited any more
  }
}

static void collect_page(theap_t* theap, page_t* page) { mii_theap_review_if_free(theap, page, 1); }

static void give_if_empty(theap_t* theap, page_t* page) {
  count_frees(page);
  if (page->out != 0 || mii_page_is_queued(page)) return;
  unplace(theap, page);
  mii_page_unmake(page);
}

void mii_theap_give_kept(theap_t* theap) {
  for (uint32_t c = 0; c < SMALL_CLASS_COUNT; c++) {
    const slice_t active = theap->pages[c].active;
    if (active != 0) give_if_empty(theap, mii_page_record(active));
    const slice_t slice = theap->pages[c].awake;
    if (slice != 0)
      give_if_empty(theap, mii_page_record(mii_slice_cold(slice)->prev));  // the oldest
  }
}

void mii_theap_collect(theap_t* theap) {
  mii_theap_drain(theap);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) visit_pages(theap, c, collect_page);
  mii_theap_give_kept(theap);
  MI_ASSERT_VALID(mii_theap_is_valid(theap));
}

static void release_page(theap_t* theap, page_t* page) {
  count_frees(page);
  unplace(theap, page);
  if (mii_heap_try_release(page)) return;
  theap->is_bare = false;
  if (mii_page_free_count(page) > 0) {
    place_awake(theap, page);
  } else {
    place_asleep(theap, page);
    arm_for(page, mii_class_wake_count(page->size_class));
  }
}

bool mii_theap_dissolve(theap_t* theap) {
  mii_theap_drain(theap);
  theap->is_bare = true;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    return_list(theap, c);
    visit_pages(theap, c, release_page);
  }
  return theap->is_bare;
}

// Validator ----------------------------------------------------------------------------------------

static bool page_belongs(theap_t* theap, slice_t slice, uint32_t size_class, page_state_t state) {
  page_t* const page = mii_page_record(slice);
  return MI_HOLDS(mii_page_owner(page) == mii_theap_tag(theap))
         && MI_HOLDS(page->size_class == size_class) && MI_HOLDS(page->state == state)
         && mii_page_is_valid(page);
}

static bool ring_is_valid(theap_t* theap, slice_t ring, uint32_t size_class, page_state_t state) {
  if (ring == 0) return true;
  slice_t slice = ring;
  size_t steps = 0;
  do {
    const slice_t next = mii_slice_cold(slice)->next;
    if (!page_belongs(theap, slice, size_class, state)) return false;
    if (!MI_HOLDS(next != 0 && mii_slice_cold(next)->prev == slice)) return false;
    if (!MI_HOLDS(++steps <= mii_slice_count())) return false;
    slice = next;
  } while (slice != ring);
  return true;
}

static bool list_is_valid(theap_t* theap, uint32_t size_class) {
  const block_t* block = theap->list[size_class];
  if (block == NULL) return true;
  slice_t slice = (slice_t)mii_slice_of(block);
  if (mii_slice_kind(slice) == SLICE_FOLLOW) slice--;
  page_t* const page = mii_page_record(slice);
  uint32_t count = 0;
  for (; block != NULL; block = block->next) {
    if (!MI_HOLDS(mii_page_has_block(page, block))) return false;
    if (!MI_HOLDS(++count <= page->out)) return false;
  }
  return MI_HOLDS(mii_page_owner(page) == mii_theap_tag(theap))
         && MI_HOLDS(page->size_class == size_class);
}

bool mii_theap_is_valid(theap_t* theap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const class_pages_t pages = theap->pages[c];
    if (pages.active != 0 && !page_belongs(theap, pages.active, c, PAGE_ACTIVE))
      return false;  // T1
    if (!ring_is_valid(theap, pages.awake, c, PAGE_AWAKE)) return false;
    if (!ring_is_valid(theap, pages.asleep, c, PAGE_ASLEEP)) return false;
    if (!list_is_valid(theap, c)) return false;  // T2
  }
  return true;
}
