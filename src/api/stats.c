// SPDX-License-Identifier: MIT
// stats.c - walk the records, and put what they say into the public struct
//
// A snapshot takes no lock and stops nobody. It visits what is in use only: free segments cost one load,
// free slices and those of run areas nothing.
//
// Tests: tests/api/stats_test.c
#include "api/stats.h"
#include "api/start.h"
#include "base/compiler.h"
#include "base/format.h"
#include "heap/apart.h"
#include "heap/ask.h"
#include "heap/guarded.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "page/page_remote.h"
#include "space/huge.h"
#include "space/lent.h"
#include "space/purge.h"
#include "space/run.h"
#include <string.h>

// The walk -------------------------------------------------------------------------------------------

static void add(amount_t* to, size_t count, size_t bytes) {
  to->count += count;
  to->bytes += bytes;
}

// The fields of a heap that has ended stay readable.
static bool is_in_scope(stats_scope_t scope, const heap_t* heap) {
  if (scope.heap != NULL) return scope.heap == heap;
  return scope.subproc == NULL || scope.subproc == mii_subproc_of(heap);
}

// The main heap has what belongs to no heap, too.
static bool has_memory(stats_scope_t scope) {
  return scope.owner == 0 && is_in_scope(scope, &mii_heap_main);
}

// A page.
static void count_blocks(stats_t* stats, uint32_t size_class, size_t live, size_t threaded) {
  stats->live_in_class[size_class] += live;
  stats->pages_of_class[size_class]++;
  stats->threaded += threaded;
}

// What is free of the `touched` bytes of a page.
static void count_free(stats_t* stats, bool has_thread, size_t live_bytes, size_t touched) {
  size_t* const free_of_thread = live_bytes == 0 ? &stats->free_empty : &stats->free_owned;
  *(has_thread ? free_of_thread : &stats->free_orphaned) += touched - mii_min(touched, live_bytes);
}

// Of a theap that waits in the pool nobody is the user.
static bool has_thread(uintptr_t owner) {
  const theap_t* const theap = (const theap_t*)owner;
  return owner != 0
         && (theap->is_apart || atomic_load_explicit(&theap->user, memory_order_relaxed) != 0);
}

static bool is_owner_in_scope(stats_scope_t scope, uintptr_t owner) {
  if (scope.owner != 0 && scope.owner != owner) return false;
  return scope.asked == 0 || (owner != 0 && mii_ask_is_missing((const theap_t*)owner, scope.asked));
}

// Reads other owners' fields without asking them, on purpose. A page knows how many of its blocks were threaded, and
// how much an earlier page had touched.
MI_NO_TSAN static void count_page(stats_t* stats, slice_t slice, stats_scope_t scope) {
  page_t* const page = mii_page_record(slice);
  const uint32_t c = page->size_class;
  const uintptr_t owner = mii_page_owner(page);
  const page_cold_t* const cold = mii_slice_cold(slice);
  if (c >= CLASS_COUNT || !is_in_scope(scope, cold->heap)) return;
  if (MI_UNLIKELY((scope.owner | scope.asked) != 0) && !is_owner_in_scope(scope, owner)) return;
  const size_t capacity = mii_page_capacity(page);
  const size_t live = mii_page_live_count(page);
  const size_t threaded = mii_align_up(capacity * mii_class_bytes(c), UNIT_BYTES);
  const size_t touched = mii_max(threaded, (size_t)cold->touched * UNIT_BYTES);
  if (owner == 0) stats->abandoned++;
  stats->touched_bytes += touched;
  count_blocks(stats, c, live, capacity);
  if (scope.with_parts) count_free(stats, has_thread(owner), live * mii_class_bytes(c), touched);
}

// No theap owns it: what its vault keeps, running threads can have.
static MI_COLD void count_hardened(stats_t* stats, size_t slice, stats_scope_t scope) {
  const hardened_count_t page = mii_vault_count(slice);
  const heap_t* const heap =
      atomic_load_explicit(&mii_slice_cold((slice_t)slice)->heap, memory_order_relaxed);
  if (page.size_class >= CLASS_COUNT || scope.owner != 0 || scope.asked != 0
      || !is_in_scope(scope, heap))
    return;
  const size_t bytes = mii_class_bytes(page.size_class);
  const size_t touched = page.touched_bytes;
  stats->touched_bytes += touched;
  count_blocks(stats, page.size_class, page.used, page.opened);
  if (scope.with_parts) count_free(stats, true, page.used * bytes, touched);
}

static void count_huge(stats_t* stats, slice_t slice, size_t bytes, stats_scope_t scope) {
  const heap_t* const heap = mii_heap_of_huge(slice);
  if (scope.owner == 0 && is_in_scope(scope, heap)) add(&stats->huge, 1, bytes);
}

// What begins at the slice. Returns how many slices it has.
static size_t count_slice(stats_t* stats, size_t slice, stats_scope_t scope) {
  switch (mii_slice_kind(slice)) {
    case SLICE_PAGE: count_page(stats, (slice_t)slice, scope); return 1;
    case SLICE_HUGE: {
      const size_t bytes = mii_huge_bytes(mii_slice_start((slice_t)slice));
      count_huge(stats, (slice_t)slice, bytes, scope);
      return mii_max(1, bytes / SLICE_BYTES);
    }
    case SLICE_HARDENED: count_hardened(stats, slice, scope); return 1;
    case SLICE_GUARDED: {
      size_t bytes = 0;
      if (mii_guarded_block(slice, &bytes) != NULL) count_huge(stats, (slice_t)slice, bytes, scope);
      return mii_max(1, mii_huge_bytes(mii_slice_start((slice_t)slice)) / SLICE_BYTES);
    }
    case SLICE_FREE:
    case SLICE_FOLLOW:
    case SLICE_RUN: break;
  }
  return 1;
}

// Runs are the main heap's.
static void count_runs(stats_t* stats, uint32_t segment, stats_scope_t scope) {
  if (!has_memory(scope)) return;
  const run_count_t runs = mii_run_count(segment);
  add(&stats->runs, runs.count, runs.bytes);
  stats->run_bytes += runs.dirty_bytes;
}

// From a slice on, of what is in use in its segment, or a huge block beyond it. Returns where to go on.
static size_t count_from(stats_t* stats, size_t slice, stats_scope_t scope) {
  const uint32_t index = (uint32_t)(slice / SEGMENT_SLICES);
  const size_t next = (index + (size_t)1) * SEGMENT_SLICES;
  const segment_t* const segment = mii_segment(index);
  if (mii_segment_is_foreign(index)) return next;
  if (atomic_load_explicit(&segment->runs, memory_order_relaxed) != NULL) {
    count_runs(stats, index, scope);
    return next;
  }
  // Later slices of a huge block are looked at, too, up to the end of the segment: nothing begins there.
  const uint64_t free = atomic_load_explicit(&segment->free, memory_order_relaxed);
  uint64_t used = ~free & ~UINT64_C(0) << slice % SEGMENT_SLICES;
  size_t end = next;
  for (; used != 0; used &= used - 1) {
    const size_t begin = next - SEGMENT_SLICES + mii_lowest_bit(used);
    const size_t slices = count_slice(stats, begin, scope);
    if (slices > 1) end = mii_max(end, begin + slices);
  }
  return end;
}

// Memory knows no heap: it is the main one's.
static void count_memory(stats_t* stats) {
  const uint32_t segments = mii_segment_count();
  for (uint32_t i = 0; i < segments; i++) {
    const uint64_t free = atomic_load_explicit(&mii_segment(i)->free, memory_order_relaxed);
    const uint64_t dirty = atomic_load_explicit(&mii_segment(i)->dirty, memory_order_relaxed);
    stats->warm_bytes += mii_count_bits(free & dirty) * (size_t)SLICE_BYTES;
    stats->dirty_slices += mii_count_bits(dirty);
    stats->segments += !mii_segment_is_foreign(i);
  }
  stats->reserved_bytes = mii_range_reserved_bytes();
  stats->meta_bytes = mii_meta_used_bytes();
}

MI_NO_TSAN static void count_theaps(stats_t* stats, stats_scope_t scope) {
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (scope.owner != 0 && scope.owner != mii_theap_tag(theap)) continue;
    if (!is_in_scope(scope, theap->heap)) continue;
    stats->theaps_made++;
    stats->theaps_used += atomic_load_explicit(&theap->user, memory_order_relaxed) != 0;
    stats->handed.count += theap->blocks_handed;
    stats->handed.bytes += theap->bytes_handed;
    stats->handed_large.count += theap->large_handed;
    stats->handed_large.bytes += theap->large_bytes;
  }
}

// Waste ----------------------------------------------------------------------------------------------

// By how many bytes blocks are larger than what was asked for: a mean in which old requests count less and less.
enum { WASTE_UNIT = 64 };  // parts of a byte
static _Atomic(uint32_t)
    waste_of_class[CLASS_COUNT];  // atomic: relaxed; a lost request does not matter

void mii_stats_note_request(uint32_t size_class, size_t size) {
  const size_t more = mii_class_bytes(size_class) - mii_max(size, 1);
  const uint32_t now = (uint32_t)more * WASTE_UNIT;
  const uint32_t mean = atomic_load_explicit(&waste_of_class[size_class], memory_order_relaxed);
  const uint32_t next = mean == 0 ? now : mean - mean / 16 + now / 16;
  atomic_store_explicit(&waste_of_class[size_class], next, memory_order_relaxed);
}

static void add_up(stats_t* stats) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const size_t live = stats->live_in_class[c];
    const uint32_t mean = atomic_load_explicit(&waste_of_class[c], memory_order_relaxed);
    stats->pages += stats->pages_of_class[c];
    stats->class_waste += (size_t)((uint64_t)live * mean / WASTE_UNIT);
    add(&stats->live_in_pages, live, live * mii_class_bytes(c));
  }
}

// Blocks in the program's own memory, which is not counted itself.
typedef struct count_lent_s {
  stats_t* stats;
  stats_scope_t scope;
} count_lent_t;

static bool count_lent(const lent_piece_t* piece, void* arg) {
  const count_lent_t* const into = arg;
  if (into->scope.owner != 0 || !is_in_scope(into->scope, piece->heap)) return true;
  if (piece->size_class == CLASS_COUNT) {
    add(&into->stats->runs, 1, piece->slices * SLICE_BYTES);
  } else {
    count_blocks(into->stats, piece->size_class, piece->live, piece->live);
  }
  return true;
}

static bool count_heap(mi_heap_t* heap, void* arg) {
  (void)heap;
  ++*(size_t*)arg;
  return true;
}

static size_t heaps_in(stats_scope_t scope) {
  if (scope.heap != NULL || scope.owner != 0) return 1;
  if (scope.subproc == NULL) return mii_heap_count();
  size_t count = 0;
  mii_subproc_visit((subproc_t*)(uintptr_t)scope.subproc, count_heap, &count);
  return count;
}

static void count_all_blocks(stats_t* stats, stats_scope_t scope) {
  const size_t slices = mii_slice_count();
  for (size_t slice = 1; slice < slices;) slice = count_from(stats, slice, scope);
  if (!scope.with_parts) mii_lent_visit(count_lent, &(count_lent_t){stats, scope});
  count_theaps(stats, scope);
  add_up(stats);
  stats->heaps = heaps_in(scope);
}

void mii_stats_collect(stats_t* stats, stats_scope_t scope) {
  memset(stats, 0, sizeof *stats);
  if (!scope.no_blocks) count_all_blocks(stats, scope);
  if (has_memory(scope)) count_memory(stats);
}

size_t mii_stats_committed(const stats_t* stats) {
  return stats->touched_bytes + stats->run_bytes + stats->huge.bytes + stats->warm_bytes
         + stats->meta_bytes;
}

// Peaks ----------------------------------------------------------------------------------------------

enum { PEAK_COUNT = 15 + 2 * (MI_BIN_HUGE + 1) };
static _Atomic(int64_t) peaks[PEAK_COUNT];  // atomic: relaxed, numbers of their own

static void note_peak(mi_stat_count_t* count, size_t number) {
  int64_t seen = atomic_load_explicit(&peaks[number], memory_order_relaxed);
  while (seen < count->current
         && !atomic_compare_exchange_weak_explicit(&peaks[number], &seen, count->current,
                                                   memory_order_relaxed, memory_order_relaxed)) {}
  count->peak = seen < count->current ? count->current : seen;
}

void mi_stats_reset(void) {
  for (size_t i = 0; i < PEAK_COUNT; i++) atomic_store_explicit(&peaks[i], 0, memory_order_relaxed);
}

void mi_stats_merge(void) {}

void mi_heap_stats_merge_to_subproc(mi_heap_t* heap) { (void)heap; }

// The public struct ------------------------------------------------------------------------------------

static void complete(mi_stat_count_t* count, size_t number) {
  (void)number;
  if (count->peak < count->current) count->peak = count->current;
  if (count->total < count->peak) count->total = count->peak;
}

MI_INLINE void for_each_count(mi_stats_t* stats,
                              void (*fun)(mi_stat_count_t* count, size_t number)) {
  size_t n = 0;
#define MI_STAT_COUNT(name) fun(&stats->name, n++);
#define MI_STAT_COUNTER(name)
  MI_STAT_FIELDS()
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER
  for (size_t bin = 0; bin <= MI_BIN_HUGE; bin++) fun(&stats->malloc_bins[bin], n++);
  for (size_t bin = 0; bin <= MI_BIN_HUGE; bin++) fun(&stats->page_bins[bin], n++);
}

static void fill_blocks(mi_stats_t* to, const stats_t* from) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    to->malloc_bins[c].current = (int64_t)from->live_in_class[c];
    to->page_bins[c].current = (int64_t)from->pages_of_class[c];
  }
  to->malloc_bins[MI_BIN_HUGE].current = (int64_t)(from->runs.count + from->huge.count);
  to->malloc_bins[MI_BIN_HUGE].total = (int64_t)from->handed_large.count;
  to->page_bins[MI_BIN_HUGE].current = (int64_t)from->huge.count;
  to->malloc_normal.current = (int64_t)from->live_in_pages.bytes;
  to->malloc_normal.total = (int64_t)from->handed.bytes;
  to->malloc_normal_count.total = (int64_t)from->handed.count;
  to->malloc_huge.current = (int64_t)(from->runs.bytes + from->huge.bytes);
  to->malloc_huge.total = (int64_t)from->handed_large.bytes;
  to->malloc_huge_count.total = (int64_t)from->handed_large.count;
  to->pages.current = (int64_t)(from->pages + from->huge.count);
  to->pages_abandoned.current = (int64_t)from->abandoned;
  to->page_committed.current = (int64_t)from->touched_bytes;
  to->theaps.current = (int64_t)from->theaps_used;
  to->theaps.total = (int64_t)from->theaps_made;
  to->heaps.current = (int64_t)from->heaps;
}

static void fill_memory(mi_stats_t* to, const stats_t* from) {
  to->reserved.current = (int64_t)from->reserved_bytes;
  to->committed.current = (int64_t)mii_stats_committed(from);
  to->segments.current = (int64_t)from->segments;
  to->arena_count.total = from->reserved_bytes > 0;
}

static void fill_process(mi_stats_t* to) {
  const purge_count_t purged = mii_purge_count();
  to->purged.total = (int64_t)purged.bytes;
  to->purge_calls.total = (int64_t)purged.calls;
  to->threads.current = -(int64_t)mii_thread_ended_count();  // first: never more than started
  to->threads.total = (int64_t)mii_thread_started_count();
  to->threads.current += to->threads.total;
}

static bool is_all(stats_scope_t scope) {
  return scope.heap == NULL && scope.subproc == NULL && scope.owner == 0;
}

MI_COLD void mii_stats_fill(mi_stats_t* public_stats, stats_scope_t scope) {
  stats_t stats;
  mii_start();
  mii_stats_collect(&stats, scope);
  mi_stats_init(public_stats);
  fill_blocks(public_stats, &stats);
  fill_memory(public_stats, &stats);
  if (scope.heap == NULL && has_memory(scope)) fill_process(public_stats);
  if (is_all(scope)) for_each_count(public_stats, note_peak);
  for_each_count(public_stats, complete);
}

bool mii_stats_header_fits(const mi_stats_t* public_stats) {
  return public_stats != NULL && public_stats->size == sizeof(mi_stats_t)
         && public_stats->version == MI_STAT_VERSION;
}

static stats_scope_t scope_of_subproc(mi_subproc_id_t id) {
  return (stats_scope_t){.subproc = id.subproc};
}

static stats_scope_t scope_of(const mi_heap_t* heap) {
  return (stats_scope_t){.heap = heap != NULL ? (const heap_t*)heap : &mii_heap_main};
}

static bool get_stats(mi_stats_t* stats, stats_scope_t scope) {
  if (!mii_stats_header_fits(stats)) return false;
  mii_stats_fill(stats, scope);
  return true;
}

bool mi_stats_get(mi_stats_t* stats) { return get_stats(stats, (stats_scope_t){0}); }

bool mi_heap_stats_get(mi_heap_t* heap, mi_stats_t* stats) {
  return get_stats(stats, scope_of(heap));
}

bool mi_subproc_stats_get(mi_subproc_id_t id, mi_stats_t* stats) {
  return id.subproc != NULL && get_stats(stats, scope_of_subproc(id));
}

bool mi_subproc_stats_get_exclusive(mi_subproc_id_t id, mi_stats_t* stats) {
  return id.subproc != NULL
         && get_stats(stats, (stats_scope_t){.subproc = id.subproc, .no_blocks = true});
}

size_t mi_stats_get_bin_size(size_t bin) {
  if (bin < CLASS_COUNT) return mii_class_bytes((uint32_t)bin);
  return bin == MI_BIN_HUGE ? PTRDIFF_MAX : 0;
}
static_assert(MI_BIN_HUGE == CLASS_COUNT, "a bin per class, and one for all larger blocks");

// The process ------------------------------------------------------------------------------------------

static _Atomic(uint64_t) started_at;  // atomic: relaxed; ms; 0 before our constructor

void mii_stats_start(void) {
  atomic_store_explicit(&started_at, mii_platform_clock_ms(), memory_order_relaxed);
}

// A system that does not tell what is resident has at least not more than we know of.
MI_COLD process_info_t mii_process_info(mi_stat_count_t committed) {
  process_info_t info;
  mii_platform_usage(&info.usage);
  const uint64_t since = atomic_load_explicit(&started_at, memory_order_relaxed);
  info.elapsed_ms = since != 0 ? (size_t)(mii_platform_clock_ms() - since) : 0;
  info.commit_bytes = (size_t)committed.current;
  info.peak_commit_bytes = (size_t)committed.peak;
  if (info.usage.rss_bytes == 0) info.usage.rss_bytes = info.commit_bytes;
  if (info.usage.peak_rss_bytes < info.usage.rss_bytes)
    info.usage.peak_rss_bytes = info.usage.rss_bytes;
  return info;
}

static void tell(size_t* to, size_t value) {
  if (to != NULL) *to = value;
}

void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs,
                     size_t* current_rss, size_t* peak_rss, size_t* current_commit,
                     size_t* peak_commit, size_t* page_faults) {
  mi_stats_t stats;
  mii_stats_fill(&stats, (stats_scope_t){0});
  const process_info_t info = mii_process_info(stats.committed);
  tell(elapsed_msecs, info.elapsed_ms);
  tell(user_msecs, info.usage.user_ms);
  tell(system_msecs, info.usage.system_ms);
  tell(current_rss, info.usage.rss_bytes);
  tell(peak_rss, info.usage.peak_rss_bytes);
  tell(current_commit, info.commit_bytes);
  tell(peak_commit, info.peak_commit_bytes);
  tell(page_faults, info.usage.page_faults_major);
}

// Printing ---------------------------------------------------------------------------------------------

static void print(mi_output_fun* out, void* arg, const char* about, stats_scope_t scope) {
  mi_stats_t stats;
  mii_stats_fill(&stats, scope);
  mii_stats_print(out, arg, about, &stats);
}

void mi_stats_print_out(mi_output_fun* out, void* arg) {
  print(out, arg, "subproc 0", (stats_scope_t){0});
}

void mi_heap_stats_print_out(mi_heap_t* heap, mi_output_fun* out, void* arg) {
  const stats_scope_t scope = scope_of(heap);
  char about[32];
  mii_format(about, sizeof about, "heap %u", scope.heap->slot);
  print(out, arg, about, scope);
}

void mi_subproc_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg) {
  const subproc_t* const subproc = subproc_id.subproc;
  if (subproc == NULL) return;
  char about[32];
  mii_format(about, sizeof about, "subproc %u", subproc->main->slot);
  print(out, arg, about, scope_of_subproc(subproc_id));
}

static bool print_heap(mi_heap_t* heap, void* arg) {
  const output_t* const to = arg;
  mi_heap_stats_print_out(heap, to->out, to->arg);
  return true;
}

MI_COLD void mi_subproc_heap_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out,
                                             void* arg) {
  if (subproc_id.subproc == NULL) return;
  output_t to = {out, arg};
  mii_subproc_visit(subproc_id.subproc, print_heap, &to);
  mi_subproc_stats_print_out(subproc_id, out, arg);
}

void mi_thread_stats_print_out(mi_output_fun* out, void* arg) {
  mi_thread_init();
  print(out, arg, "theap", (stats_scope_t){.owner = mii_theap_tag(mii_theap_mine)});
}

void mi_thread_stats_print(mi_output_fun* out) { mi_thread_stats_print_out(out, NULL); }
