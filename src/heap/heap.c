// SPDX-License-Identifier: MIT
// heap.c - pages without an owner: published, claimed, trimmed
//
// A disowned page with few free blocks is on no list at all; the free that makes it worth claiming
// publishes it (W1 in page_remote.c). Empty pages are found here by the purge tick.
//
// Tests: tests/unit/heap/heap_test.c
#include "heap/heap.h"
#include "base/assert.h"
#include "page/page_remote.h"
#include "space/purge.h"

enum {
  LOOKS_PER_TRIM = 8,                                    // pages
  TURNS_PER_TRIM = CLASS_COUNT < 16 ? CLASS_COUNT : 16,  // from one size class to the next
};

heap_t mii_heap_main;

static _Atomic(uint32_t) claimable_slices;  // atomic: relaxed; of the pages on all stacks

size_t mii_heap_claimable_bytes(void) {
  return (size_t)atomic_load_explicit(&claimable_slices, memory_order_relaxed) * SLICE_BYTES;
}

static void count_claimable(const page_t* page) {
  atomic_fetch_add_explicit(&claimable_slices, mii_class_slices(page->size_class),
                            memory_order_relaxed);
}

static void uncount_claimable(const page_t* page) {
  atomic_fetch_add_explicit(&claimable_slices, 0u - mii_class_slices(page->size_class),
                            memory_order_relaxed);
}

static void set_idle_since(page_t* page, uint32_t ms) {
  atomic_store_explicit(&mii_slice_cold(mii_page_slice(page))->idle_since, ms,
                        memory_order_relaxed);
}

static handle_link_t* page_link(uint32_t slice) { return &mii_slice_cold(slice)->stack_link; }

static void push_claimable(page_t* page) {
  const slice_t slice = mii_page_slice(page);
  mii_stack_push(&mii_page_heap(page)->claimable[page->size_class], slice, page_link);
}

// Its blocks may all be freed without another signal, so all of it counts.
void mii_heap_publish(page_t* page) {
  set_idle_since(page, 0);
  count_claimable(page);
  push_claimable(page);
  mii_purge_note_freed((size_t)mii_class_slices(page->size_class) * SLICE_BYTES);
}

static slice_t pop(handle_stack_t* stack) {
  return mii_stack_is_empty(stack) ? 0 : mii_stack_pop(stack, page_link);
}

static slice_t pop_claimable(heap_t* heap, uint32_t size_class) {
  const slice_t slice = pop(&heap->claimable[size_class]);
  return slice != 0 ? slice : pop(&heap->looked_at[size_class]);
}

page_t* mii_heap_claim(heap_t* heap, uint32_t size_class, uintptr_t owner) {
  const slice_t slice = pop_claimable(heap, size_class);
  if (slice == 0) return NULL;
  page_t* const page = mii_page_record(slice);
  uncount_claimable(page);
  mii_page_thaw(page);
  mii_page_claim(page, owner);
  mii_page_hot(page)->state = PAGE_NONE;
  MI_ASSERT_VALID(mii_page_is_valid(page));
  return page;
}

bool mii_heap_try_release(page_t* page) {
  if (mii_page_hot(page)->out == 0 && !mii_page_is_queued(page)) {
    mii_page_unmake(page);
    return true;
  }
  bool publish;
  if (!mii_page_try_disown(page, &publish)) return false;
  if (publish) mii_heap_publish(page);
  return true;
}

// A page that we have popped but not claimed is still queued: frees into it go on and signal nobody. If
// it is empty, no free can come any more, and we may own it to end it.
static bool unmake_if_empty(page_t* page) {
  mii_page_thaw(page);
  if (!mii_page_is_empty_unowned(page)) return false;
  uncount_claimable(page);
  mii_page_claim(page, 0);
  mii_page_unmake(page);
  return true;
}

void mii_heap_forget_claimable(heap_t* heap) {
  atomic_store_explicit(&claimable_slices, 0, memory_order_relaxed);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    mii_stack_clear(&heap->claimable[c]);
    mii_stack_clear(&heap->looked_at[c]);
  }
}

static void look_again(page_t* page) {
  const slice_t slice = mii_page_slice(page);
  mii_stack_push(&mii_page_heap(page)->looked_at[page->size_class], slice, page_link);
}

// A page that we have popped, and that lives on: like unmake_if_empty, but its frees stay without a signal, and who
// pops it next finds it queued.
static void punch(page_t* page) {
  mii_page_collect_remote(page);
  mii_page_punch(page);
}

// One on which others have freed nothing since it was punched is left alone.
static void punch_if_old(page_t* page, uint64_t now) {
  const uint32_t since =
      atomic_load_explicit(&mii_slice_cold(mii_page_slice(page))->idle_since, memory_order_relaxed);
  if (since != 0 && (uint32_t)now - since < mii_purge_delay()) return;
  set_idle_since(page, (uint32_t)mii_max((uint32_t)now, 1));
  if (since != 0 && (mii_page_holes(page) == 0 || mii_page_remote_count(page) > 0)) punch(page);
}

// Take all first, so that every page is looked at; who wants one meanwhile makes a new page.
static void trim_stack(handle_stack_t* stack, bool is_to_punch) {
  slice_t slice = mii_stack_take_all(stack);
  while (slice != 0) {
    page_t* const page = mii_page_record(slice);
    slice = atomic_load_explicit(page_link(slice), memory_order_relaxed);
    if (unmake_if_empty(page)) continue;
    if (is_to_punch) punch(page);
    look_again(page);
  }
}

void mii_heap_trim(heap_t* heap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    trim_stack(&heap->looked_at[c], false);
    trim_stack(&heap->claimable[c], false);
  }
}

MI_COLD void mii_heap_punch(heap_t* heap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    trim_stack(&heap->looked_at[c], true);
    trim_stack(&heap->claimable[c], true);
  }
}

// False if there is none on which no trim has looked.
static bool trim_one(heap_t* heap, uint32_t size_class, uint64_t now) {
  const slice_t slice = pop(&heap->claimable[size_class]);
  if (slice == 0) return false;
  page_t* const page = mii_page_record(slice);
  if (unmake_if_empty(page)) return true;
  if (now != 0) punch_if_old(page, now);
  look_again(page);
  return true;
}

// The next round begins.
static void turn(heap_t* heap, uint32_t size_class) {
  slice_t slice = mii_stack_take_all(&heap->looked_at[size_class]);
  if (slice == 0 || mii_stack_try_fill(&heap->claimable[size_class], slice)) return;
  while (slice != 0) {  // somebody has published a page meanwhile
    page_t* const page = mii_page_record(slice);
    slice = atomic_load_explicit(page_link(slice), memory_order_relaxed);
    push_claimable(page);
  }
}

MI_COLD void mii_heap_trim_some(heap_t* heap, uint64_t now) {
  uint32_t size_class = atomic_load_explicit(&heap->trim_class, memory_order_relaxed);
  uint32_t turns = 0;
  for (uint32_t looks = 0; looks < LOOKS_PER_TRIM && turns < TURNS_PER_TRIM;) {
    if (trim_one(heap, size_class, now)) {
      looks++;
      continue;
    }
    turn(heap, size_class);
    if (++size_class == CLASS_COUNT) size_class = 0;
    turns++;
  }
  atomic_store_explicit(&heap->trim_class, size_class, memory_order_relaxed);
}
