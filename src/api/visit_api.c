// SPDX-License-Identifier: MIT
// visit_api.c - look at blocks: which there are, and how well the memory around one is used
//
// Tests: tests/api/visit_test.c
#include "api/start.h"
#include "heap/apart.h"
#include "heap/vault.h"
#include "heap/visit.h"
#include "heap/block.h"
#include "mimalloc.h"
#include "page/page_remote.h"
#include "runtime/report.h"
#include <errno.h>

static const heap_t* heap_of(const mi_heap_t* heap) {
  return heap != NULL ? (const heap_t*)heap : &mii_heap_main;
}

static bool visit_as(visit_t want) {
  return want.visitor != NULL && mii_start() && mii_visit(&want);
}

bool mi_heap_visit_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor,
                          void* arg) {
  return visit_as(
      (visit_t){.heap = heap_of(heap), .blocks = visit_blocks, .visitor = visitor, .arg = arg});
}

bool mi_heap_visit_abandoned_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor,
                                    void* arg) {
  return visit_as((visit_t){.heap = heap_of(heap),
                            .abandoned_only = true,
                            .blocks = visit_blocks,
                            .visitor = visitor,
                            .arg = arg});
}

bool mi_theap_visit_blocks(const mi_theap_t* theap, bool visit_blocks, mi_block_visit_fun* visitor,
                           void* arg) {
  const theap_t* const of = theap != NULL ? (const theap_t*)theap : mii_theap_mine;
  return visit_as((visit_t){.heap = of->heap,
                            .owner = mii_theap_tag(of),
                            .blocks = visit_blocks,
                            .visitor = visitor,
                            .arg = arg});
}

static bool visit_heap(mi_heap_t* heap, void* arg) {
  visit_t* const want = arg;
  want->heap = heap_of(heap);
  return visit_as(*want);
}

bool mi_abandoned_visit_blocks(mi_subproc_id_t subproc_id, int heap_tag, bool visit_blocks,
                               mi_block_visit_fun* visitor, void* arg) {
  (void)heap_tag;
  visit_t want = {.abandoned_only = true, .blocks = visit_blocks, .visitor = visitor, .arg = arg};
  return subproc_id.subproc != NULL && mii_subproc_visit(subproc_id.subproc, visit_heap, &want);
}

// On demand ------------------------------------------------------------------------------------------

bool mi_check_heap(void) {
  if (!mii_start()) return false;
  theap_t* const home = mii_theap_mine->home;
  const bool good = !home->is_live || mii_theap_is_valid(home);
  if (!good) mii_misuse(EFAULT, "check: a list of free blocks is damaged\n");
  return mii_vault_check_all() && good;
}

// How well a page is used ------------------------------------------------------------------------------

static double utilization(const page_t* page) {
  return (double)mii_page_live_count(page) / mii_class_blocks(page->size_class);
}

// 0 if it is no hardened page.
static double hardened_utilization(const void* address) {
  if (!mii_range_has(address)) return 0;
  const hardened_count_t page = mii_vault_count(mii_slice_of(address));
  if (page.size_class == CLASS_COUNT) return 0;
  return (double)page.used * mii_class_bytes(page.size_class) / SLICE_BYTES;
}

double mi_block_utilization(const void* address) {
  const page_t* const page = mii_page_around(address);
  if (page != NULL) return utilization(page);
  const double of_hardened = hardened_utilization(address);
  if (of_hardened > 0) return of_hardened;
  return mii_block_bytes(address) > 0 ? 1.0 : 0.0;
}

// The pages that the running thread takes blocks from now and next: moving a block from there to there would
// gain nothing.
static bool is_being_filled(const page_t* page) {
  const theap_t* const mine = mii_theap_mine;
  const uint32_t size_class = page->size_class;
  return mii_page_around(mine->list[size_class]) == page
         || mine->pages[size_class].growing == mii_page_slice(page);
}

bool mi_should_move(const void* address, double ratio) {
  const page_t* const page = mii_page_around(address);
  if (page != NULL) return utilization(page) < ratio && !is_being_filled(page);
  const double of_hardened = hardened_utilization(address);
  return of_hardened > 0 && of_hardened < ratio;
}

MI_COLD bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* address,
                                                   size_t perc_threshold) {
  page_t* const page = mii_page_around(address);
  if (page == NULL || mii_page_owner(page) != mii_theap_tag(mii_theap_mine)) return false;
  const heap_t* const of_page = mii_slice_cold(mii_page_slice(page))->heap;
  if (heap != NULL && (const heap_t*)heap != of_page) return false;
  const uint32_t live = mii_page_live_count(page);
  const uint32_t count = mii_class_blocks(page->size_class);
  return mii_page_is_complete(page) && !is_being_filled(page) && live < count
         && (uint64_t)live * 100 <= (uint64_t)perc_threshold * count;
}
