// SPDX-License-Identifier: MIT
// visit.c - walk the pages and blocks of a heap
//
// A block is live if it is on no list: neither its page's own, nor that of blocks freed by others, nor a
// theap's list or outbox. Those are marked first, one bit per 8 bytes, in memory of its own that the system
// gives and takes back. So whatever the visitor frees changes nothing for the blocks to come.
//
// Tests: tests/api/visit_test.c
#include "heap/visit.h"
#include "heap/apart.h"
#include "heap/guarded.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "page/page_remote.h"
#include "space/huge.h"
#include "space/lent.h"
#include "space/run.h"

enum { MARK_BYTES = 8 };  // the smallest block

typedef struct marks_s {
  uint64_t* bits;
  size_t slices;  // of the range that they speak of
} marks_t;

static size_t marks_size(const marks_t* marks) {
  return mii_align_up(marks->slices * (SLICE_BYTES / MARK_BYTES / 8), mii_range.os_page_size);
}

static bool begin_marks(marks_t* marks) {
  void* memory = NULL;
  marks->slices = mii_slice_count();
  if (marks->slices == 0) return false;
  if (mii_platform_reserve(marks_size(marks), &memory) != 0) return false;
  if (mii_platform_open(memory, marks_size(marks)) != 0) {
    mii_platform_release(memory, marks_size(marks));
    return false;
  }
  marks->bits = memory;
  return true;
}

static void end_marks(const marks_t* marks) {
  mii_platform_release(marks->bits, marks_size(marks));
}

static size_t mark_of(const void* block) {
  return ((uintptr_t)block - mii_range.base) / MARK_BYTES;
}

static bool is_marked(const marks_t* marks, const void* block) {
  const size_t i = mark_of(block);
  return (marks->bits[i / 64] >> i % 64 & 1) != 0;
}

page_t* mii_page_around(const void* p) {
  if (!mii_range_has(p)) return NULL;
  const size_t slice = mii_slice_of(p);
  const slice_kind_t kind = mii_slice_kind(slice);
  if (kind == SLICE_PAGE) return mii_page_record(slice);
  return kind == SLICE_FOLLOW ? mii_page_record(slice - 1) : NULL;
}

// Follows a list as long as it leads to blocks of pages that are not marked yet.
MI_NO_TSAN static void mark_list(const marks_t* marks, const block_t* block) {
  for (; block != NULL; block = block->next) {
    const page_t* const page = mii_page_around(block);
    if (page == NULL || mii_slice_of(block) >= marks->slices) return;
    if (!mii_page_has_block(page, block) || is_marked(marks, block)) return;
    const size_t i = mark_of(block);
    marks->bits[i / 64] |= UINT64_C(1) << i % 64;
  }
}

MI_NO_TSAN static void mark_theap(const marks_t* marks, const theap_t* theap) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    mark_list(marks, theap->list[c]);
    mark_list(marks, mii_sampler_rest(theap, c));
  }
  for (uint32_t i = 0; i < OUTBOX_PARCELS; i++) {
    const parcel_t* const parcel = &theap->outbox[i];
    if (parcel->page != NULL && mii_page_epoch(parcel->page) == parcel->epoch)
      mark_list(marks, parcel->first);
  }
}

MI_NO_TSAN static void mark_page(const marks_t* marks, const page_t* page) {
  mark_list(marks, mii_page_hot(page)->local_free);
  mark_list(marks, mii_page_peek_remote(page));
}

static void mark_all(const marks_t* marks) {
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    mark_theap(marks, theap);
  for (size_t slice = 1; slice < marks->slices; slice++) {
    if (mii_slice_kind(slice) == SLICE_PAGE) mark_page(marks, mii_page_record(slice));
  }
}

// Visiting ---------------------------------------------------------------------------------------------

static bool show_area(const visit_t* visit, const mi_heap_area_t* area, void* block) {
  return visit->visitor((const mi_heap_t*)visit->heap, area, block, area->block_size, visit->arg);
}

static bool show_blocks(const visit_t* visit, const marks_t* marks, const page_t* page,
                        const mi_heap_area_t* area) {
  const uint32_t count = mii_class_blocks(page->size_class);
  for (uint32_t i = 0; i < count; i++) {
    void* const block = (uint8_t*)area->blocks + i * area->block_size;
    if (!mii_page_has_block(page, block) || is_marked(marks, block)) continue;
    if (!show_area(visit, area, block)) return false;
    if (mii_page_around(block) != page) return true;  // the visitor has freed the last one
  }
  return true;
}

MI_NO_TSAN static bool is_wanted(const visit_t* visit, page_t* page) {
  const uintptr_t owner = mii_page_owner(page);
  return mii_slice_cold(mii_page_slice(page))->heap == visit->heap
         && (visit->owner == 0 || visit->owner == owner) && (!visit->abandoned_only || owner == 0);
}

static bool visit_page(const visit_t* visit, const marks_t* marks, page_t* page) {
  if (!is_wanted(visit, page)) return true;
  const size_t bytes = mii_page_block_bytes(page);
  const mi_heap_area_t area = {
      .blocks = mii_page_start(page),
      .reserved = (size_t)mii_class_slices(page->size_class) * SLICE_BYTES,
      .committed = mii_page_capacity(page) * bytes,
      .used = mii_page_live_count(page),
      .block_size = bytes,
      .full_block_size = bytes,
      .reserved1 = NULL,
  };
  return show_area(visit, &area, NULL)
         && (!visit->blocks || show_blocks(visit, marks, page, &area));
}

// Which blocks live is asked anew for each, because the visitor may free some.
static bool visit_hardened(const visit_t* visit, size_t slice) {
  const hardened_count_t page = mii_vault_count(slice);
  const heap_t* const heap =
      atomic_load_explicit(&mii_slice_cold((slice_t)slice)->heap, memory_order_relaxed);
  if (page.size_class >= CLASS_COUNT || heap != visit->heap) return true;
  const size_t bytes = mii_class_bytes(page.size_class);
  uint8_t* const start = mii_slice_start((slice_t)slice);
  const mi_heap_area_t area = {start, SLICE_BYTES, page.opened * bytes, page.used, bytes,
                               bytes, NULL};
  if (!show_area(visit, &area, NULL)) return false;
  for (uint32_t i = 0; visit->blocks && i < page.opened; i++) {
    uint8_t* const block = start + i * bytes;
    if (mii_vault_bytes(block) > 0 && !show_area(visit, &area, block)) return false;
  }
  return true;
}

// A block that is its own area.
static bool visit_large(const visit_t* visit, uint8_t* start, size_t bytes) {
  const mi_heap_area_t area = {start, bytes, bytes, 1, bytes, bytes, NULL};
  return show_area(visit, &area, NULL) && (!visit->blocks || show_area(visit, &area, start));
}

static bool visit_runs(const visit_t* visit, uint32_t segment) {
  uint8_t* const start = mii_slice_start(segment * SEGMENT_SLICES);
  uint32_t count;
  for (uint32_t unit = 0; (unit = mii_run_next(segment, unit, &count)) != NO_RUN; unit += count) {
    if (!visit_large(visit, start + (size_t)unit * UNIT_BYTES, (size_t)count * UNIT_BYTES))
      return false;
  }
  return true;
}

static bool visit_slices(const visit_t* visit, const marks_t* marks, size_t slices) {
  const bool larger = visit->owner == 0 && !visit->abandoned_only;  // no thread owns them
  for (size_t slice = 1; slice < slices; slice++) {
    page_t* const page = mii_page_record(slice);
    const slice_kind_t kind = mii_record_kind(page);
    if (kind == SLICE_PAGE && !visit_page(visit, marks, page)) return false;
    if (kind == SLICE_HARDENED && visit->owner == 0 && !visit->abandoned_only
        && !visit_hardened(visit, slice))
      return false;
    if (!larger) continue;
    uint8_t* const start = mii_slice_start((slice_t)slice);
    size_t bytes;
    uint8_t* const guarded = kind == SLICE_GUARDED ? mii_guarded_block(slice, &bytes) : NULL;
    if (guarded != NULL && mii_heap_of_huge((slice_t)slice) == visit->heap
        && !visit_large(visit, guarded, bytes))
      return false;
    const bool huge = kind == SLICE_HUGE && mii_heap_of_huge((slice_t)slice) == visit->heap;
    if (huge && !visit_large(visit, start, mii_huge_bytes(start))) return false;
    const bool first_of_runs = kind == SLICE_RUN && slice % SEGMENT_SLICES == 0;
    if (first_of_runs && visit->heap == &mii_heap_main
        && !visit_runs(visit, (uint32_t)(slice / SEGMENT_SLICES)))
      return false;
  }
  return true;
}

// Blocks in memory that was lent belong to no thread. The visitor may free what it is shown: the piece is a copy.
MI_COLD static bool visit_lent(const lent_piece_t* piece, void* arg) {
  const visit_t* const visit = arg;
  const size_t bytes = piece->slices * SLICE_BYTES;
  if (piece->heap != visit->heap) return true;
  if (piece->size_class == CLASS_COUNT) return visit_large(visit, piece->start, bytes);
  const size_t size = mii_class_bytes(piece->size_class);
  const mi_heap_area_t area = {piece->start, bytes, bytes, piece->live, size, size, NULL};
  if (!show_area(visit, &area, NULL)) return false;
  for (uint32_t i = 0; visit->blocks && i < bytes / size; i++) {
    const bool used = (piece->used[i / 64] >> i % 64 & 1) != 0;
    if (used && !show_area(visit, &area, piece->start + i * size)) return false;
  }
  return true;
}

static bool visit_all(const visit_t* visit, const marks_t* marks, size_t slices) {
  const bool lent = visit->owner == 0 && !visit->abandoned_only;
  return visit_slices(visit, marks, slices)
         && (!lent || mii_lent_visit(visit_lent, (void*)(uintptr_t)visit));
}

MI_COLD bool mii_visit(const visit_t* visit) {
  if (!visit->blocks) return visit_all(visit, NULL, mii_slice_count());
  marks_t marks = {0};
  if (mii_slice_count() == 0) return visit_all(visit, NULL, 0);
  if (!begin_marks(&marks)) return false;
  mark_all(&marks);
  const bool all = visit_all(visit, &marks, marks.slices);
  end_marks(&marks);
  return all;
}
