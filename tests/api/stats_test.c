// SPDX-License-Identifier: MIT
// stats_test.c - statistics as numbers, JSON and text; what the process uses
#include "api_test.h"

#include "mimalloc-stats.h"
#include <sys/prctl.h>

enum { BIN_COUNT = MI_BIN_HUGE + 1, SOME = 300 };

static mi_stats_t snapshot(void) {
  mi_stats_t_decl(stats);
  if (!mi_stats_get(&stats)) abort();
  return stats;
}

// Exact: this thread holds nothing ready.
static mi_stats_t snapshot_after_collect(void) {
  mi_collect(false);
  return snapshot();
}

// Of blocks of the size, which have a canary at level 4.
static size_t bin_of(size_t size) {
  size_t bin = 0;
  if (sizes_are_exact()) size += 8;
  while (mi_stats_get_bin_size(bin) < size) bin++;
  return bin;
}

static int64_t live_change(const mi_stats_t* before, const mi_stats_t* after, size_t bin) {
  return after->malloc_bins[bin].current - before->malloc_bins[bin].current;
}

// --- the struct ---

static void the_struct_is_laid_out_as_in_mimalloc(void** state) {
  (void)state;
  if (sizeof(void*) == 8) assert_int_equal(sizeof(mi_stats_t), 4368);
  assert_int_equal(sizeof(mi_stat_count_t), 24);
  assert_int_equal(sizeof(mi_stat_counter_t), 8);
  assert_int_equal(offsetof(mi_stats_t, pages), 2 * sizeof(size_t));
  assert_int_equal(offsetof(mi_stats_t, malloc_bins) % 8, 0);
  assert_int_equal(MI_STAT_VERSION, 5);
  assert_int_equal(MI_BIN_HUGE, 73);
  assert_int_equal(MI_CBIN_COUNT, 6);
}

static void there_are_36_fields(void** state) {
  (void)state;
  size_t counts = 0;
  size_t counters = 0;
#define MI_STAT_COUNT(name)   counts++;
#define MI_STAT_COUNTER(name) counters++;
  MI_STAT_FIELDS()
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER
  assert_int_equal(counts, 15);
  assert_int_equal(counters, 21);
}

static void init_sets_size_and_version_and_clears_the_rest(void** state) {
  (void)state;
  mi_stats_t stats;
  memset(&stats, 0xA5, sizeof(stats));
  mi_stats_header_init(&stats);
  assert_int_equal(stats.size, sizeof(stats));
  assert_int_equal(stats.version, MI_STAT_VERSION);
  assert_int_not_equal(stats.pages.current, 0);
  mi_stats_init(&stats);
  assert_int_equal(stats.size, sizeof(stats));
  assert_int_equal(stats.version, MI_STAT_VERSION);
  assert_true(is_zero(&stats.pages, sizeof(stats) - offsetof(mi_stats_t, pages)));
}

static void a_wrong_header_is_refused_and_nothing_written(void** state) {
  (void)state;
  assert_false(mi_stats_get(opaque_pointer(NULL)));
  assert_false(mi_heap_stats_get(NULL, opaque_pointer(NULL)));
  mi_stats_t_decl(stats);
  stats.size--;
  assert_false(mi_stats_get(&stats));
  assert_false(mi_heap_stats_get(NULL, &stats));
  assert_null(mi_stats_as_json(&stats, 0, NULL));
  mi_stats_init(&stats);
  stats.version++;
  assert_false(mi_stats_get(&stats));
  assert_false(mi_heap_stats_get(NULL, &stats));
  assert_null(mi_stats_as_json(&stats, 0, NULL));
  assert_true(is_zero(&stats.pages, sizeof(stats) - offsetof(mi_stats_t, pages)));
}

static void bin_sizes_are_those_of_blocks(void** state) {
  (void)state;
  for (size_t bin = 0; bin < MI_BIN_HUGE; bin++) {
    const size_t size = mi_stats_get_bin_size(bin);
    assert_int_equal(expected_block_size(size), size);
    assert_int_equal(mi_good_size(size), size);
    if (sizes_are_exact()) continue;
    if (bin > 0) assert_int_equal(mi_good_size(mi_stats_get_bin_size(bin - 1) + 1), size);
  }
  assert_int_equal(mi_stats_get_bin_size(MI_BIN_HUGE), PTRDIFF_MAX);
  assert_int_equal(mi_stats_get_bin_size(MI_BIN_HUGE + 1), 0);
  assert_int_equal(mi_stats_get_bin_size(SIZE_MAX), 0);
}

// --- what is counted ---

static void* blocks[SOME];

// Blocks of the bin, canaries included.
static size_t bin_request(size_t bin) {
  return mi_stats_get_bin_size(bin) - (sizes_are_exact() ? 8 : 0);
}

static void allocate(size_t size) {
  for (size_t i = 0; i < SOME; i++) blocks[i] = mi_malloc(size);
}

static void release(void) {
  for (size_t i = 0; i < SOME; i++) mi_free(blocks[i]);
}

static void live_blocks_are_exact_after_collecting(void** state) {
  (void)state;
  for (size_t bin = sizes_are_exact(); bin < MI_BIN_HUGE; bin++) {
    const mi_stats_t before = snapshot_after_collect();
    allocate(bin_request(bin));
    const mi_stats_t full = snapshot_after_collect();
    assert_int_equal(live_change(&before, &full, bin), SOME);
    assert_int_equal(full.malloc_normal.current - before.malloc_normal.current,
                     SOME * mi_stats_get_bin_size(bin));
    assert_true(full.page_bins[bin].current > 0);
    release();
    const mi_stats_t after = snapshot_after_collect();
    assert_int_equal(live_change(&before, &after, bin), 0);
    assert_int_equal(after.malloc_normal.current, before.malloc_normal.current);
  }
}

// Without collecting: one list, at most the blocks of a page (2 slices from 8 KiB on).
static void live_blocks_are_known_within_a_list(void** state) {
  (void)state;
  for (size_t bin = sizes_are_exact(); bin < MI_BIN_HUGE; bin++) {
    const size_t size = bin_request(bin);
    const int64_t list = (int64_t)((size <= 8 * KiB ? 64 * KiB : 128 * KiB) / size) + 8;
    const mi_stats_t before = snapshot_after_collect();
    allocate(size);
    const mi_stats_t full = snapshot();
    assert_true(live_change(&before, &full, bin) >= SOME);
    assert_true(live_change(&before, &full, bin) <= SOME + list);
    release();
  }
}

static void larger_blocks_are_in_the_last_bin(void** state) {
  (void)state;
  static const size_t sizes[] = {32 * KiB + 1, 100 * KiB, MiB, MiB + 1, 10 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const mi_stats_t before = snapshot();
    void* const p = mi_malloc(sizes[i]);
    const size_t usable = mi_usable_size(p);
    const mi_stats_t full = snapshot();
    mi_free(p);
    const mi_stats_t after = snapshot();
    assert_int_equal(live_change(&before, &full, MI_BIN_HUGE), 1);
    const size_t counted = (size_t)(full.malloc_huge.current - before.malloc_huge.current);
    if (sizes_are_exact()) {  // counted are whole pieces, with the canary and perhaps a guard
      assert_in_range(counted, usable + 8, expected_block_size(usable) + 64 * KiB);
    } else {
      assert_int_equal(counted, usable);
    }
    assert_int_equal(full.malloc_huge_count.total - before.malloc_huge_count.total, 1);
    assert_true(full.malloc_huge.total - before.malloc_huge.total >= (int64_t)sizes[i]);
    assert_int_equal(live_change(&before, &after, MI_BIN_HUGE), 0);
    assert_int_equal(after.malloc_huge.current, before.malloc_huge.current);
  }
}

static void totals_count_what_was_handed_out(void** state) {
  (void)state;
  enum { ROUNDS = 50 };
  const mi_stats_t before = snapshot_after_collect();
  for (int i = 0; i < ROUNDS; i++) {
    allocate(100);
    release();
  }
  const mi_stats_t after = snapshot_after_collect();
  const int64_t count = after.malloc_normal_count.total - before.malloc_normal_count.total;
  assert_true(count >= ROUNDS * SOME);
  assert_true(count <= ROUNDS * SOME * 11 / 10);
  assert_true(after.malloc_normal.total - before.malloc_normal.total >= ROUNDS * SOME * 112);
}

static void the_peak_is_that_of_all_snapshots_until_it_is_reset(void** state) {
  (void)state;
  const size_t bin = bin_of(700);
  allocate(700);
  const mi_stats_t full = snapshot_after_collect();
  release();
  const mi_stats_t after = snapshot_after_collect();
  assert_true(after.malloc_bins[bin].current < full.malloc_bins[bin].current);
  assert_true(after.malloc_bins[bin].peak >= full.malloc_bins[bin].current);
  assert_true(after.malloc_bins[bin].total >= after.malloc_bins[bin].peak);
  mi_stats_reset();
  const mi_stats_t again = snapshot_after_collect();
  assert_int_equal(again.malloc_bins[bin].peak, again.malloc_bins[bin].current);
  assert_true(again.malloc_normal.total >= after.malloc_normal.total);
}

static void every_count_has_current_at_most_peak_at_most_total(void** state) {
  (void)state;
  const mi_stats_t s = snapshot();
#define MI_STAT_COUNT(name)                                          \
  assert_true(0 <= s.name.current && s.name.current <= s.name.peak); \
  assert_true(s.name.peak <= s.name.total);
#define MI_STAT_COUNTER(name) assert_true(0 <= s.name.total);
  MI_STAT_FIELDS()
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER
  for (size_t bin = 0; bin < BIN_COUNT; bin++) {
    assert_true(s.malloc_bins[bin].current <= s.malloc_bins[bin].peak);
    assert_true(s.page_bins[bin].peak <= s.page_bins[bin].total);
  }
  assert_true(s.reserved.current >= s.segments.current * (int64_t)(4 * MiB));
  assert_true(s.committed.current >= s.page_committed.current);
  assert_int_equal(s.heaps.current, 1);
  assert_int_equal(s.arena_count.total, 1);
}

static void* allocate_and_collect(void* arg) {
  allocate(*(const size_t*)arg);
  mi_collect(false);
  return NULL;
}

static void blocks_that_another_thread_frees_are_not_live_after_both_collected(void** state) {
  (void)state;
  size_t size = 200;
  const mi_stats_t before = snapshot_after_collect();
  result_of_thread(&allocate_and_collect, &size);
  const mi_stats_t full = snapshot_after_collect();
  assert_int_equal(live_change(&before, &full, bin_of(size)), SOME);
  assert_true(full.threads.total > before.threads.total);
  release();
  const mi_stats_t after = snapshot_after_collect();
  assert_int_equal(live_change(&before, &after, bin_of(size)), 0);
}

static void the_main_heap_has_it_all(void** state) {
  (void)state;
  allocate(300);
  mi_stats_t_decl(heap);
  mi_collect(false);
  const mi_stats_t all = snapshot();
  assert_true(mi_heap_stats_get(NULL, &heap));
  assert_int_equal(heap.malloc_normal.current, all.malloc_normal.current);
  assert_int_equal(heap.malloc_huge.current, all.malloc_huge.current);
  assert_int_equal(heap.pages.current, all.pages.current);
  assert_int_equal(heap.size, sizeof(heap));  // so it can be asked for again
  assert_true(mi_heap_stats_get(NULL, &heap));
  mi_heap_stats_merge_to_subproc(NULL);
  mi_stats_merge();
  assert_true(mi_heap_stats_get(NULL, &heap));
  assert_int_equal(heap.malloc_normal.current, all.malloc_normal.current);
  release();
}

// --- heaps and sub-processes ---

static mi_stats_t heap_snapshot(mi_heap_t* heap) {
  mi_stats_t_decl(stats);
  mi_heap_collect(heap, false);
  if (!mi_heap_stats_get(heap, &stats)) abort();
  return stats;
}

static void* use_a_heap(void* arg) {
  for (int i = 0; i < 70; i++) {
    if (mi_heap_malloc(arg, 100) == NULL) return NULL;
  }
  mi_heap_collect(arg, false);
  return arg;
}

static void a_heap_has_its_blocks_and_nobody_elses(void** state) {
  (void)state;
  const mi_stats_t before = snapshot_after_collect();
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const empty = mi_heap_new();
  for (int i = 0; i < 100; i++) assert_non_null(mi_heap_malloc(heap, 100));
  for (int i = 0; i < 3; i++) assert_non_null(mi_heap_malloc(heap, 128 * KiB));
  assert_non_null(result_of_thread(&use_a_heap, heap));
  const mi_stats_t its = heap_snapshot(heap);
  assert_int_equal(its.malloc_bins[bin_of(100)].current, 170);
  assert_int_equal(its.malloc_normal.current, 170 * (int64_t)mi_stats_get_bin_size(bin_of(100)));
  assert_int_equal(its.malloc_bins[MI_BIN_HUGE].current, 3);
  // In a heap they are whole slices: a canary needs one more.
  const int64_t huge = 3 * (sizes_are_exact() ? 192 : 128) * KiB;
  assert_int_equal(its.malloc_huge.current, huge);
  assert_true(its.malloc_normal_count.total >= 170 && its.malloc_huge_count.total == 3);
  assert_int_equal(its.theaps.total, 2);
  assert_int_equal(its.reserved.current, 0);  // memory belongs to no heap
  const mi_stats_t none = heap_snapshot(empty);
  assert_int_equal(none.malloc_normal.current + none.malloc_huge.current, 0);
  const mi_stats_t all = snapshot_after_collect();
  const mi_stats_t of_main = heap_snapshot(NULL);
  assert_int_equal(live_change(&before, &all, bin_of(100)), 170);
  assert_int_equal(all.malloc_normal.current - of_main.malloc_normal.current,
                   its.malloc_normal.current);
  assert_int_equal(all.malloc_huge.current - of_main.malloc_huge.current, huge);
  assert_int_equal(all.heaps.current, 3);
  mi_heap_delete(heap);
  const mi_stats_t after = heap_snapshot(NULL);
  assert_int_equal(live_change(&of_main, &after, bin_of(100)), 170);
  mi_heap_destroy(empty);
  assert_int_equal(snapshot().heaps.current, 1);
}

typedef struct subproc_s {
  mi_subproc_id_t id;
  mi_heap_t* heap;
} subproc_t;

static void* live_in_subproc(void* arg) {
  subproc_t* const shared = (subproc_t*)arg;
  mi_subproc_add_current_thread(shared->id);
  shared->heap = mi_heap_new();
  for (int i = 0; i < 50; i++) {
    if (mi_malloc(100) == NULL || mi_heap_malloc(shared->heap, 100) == NULL) return NULL;
  }
  if (mi_malloc(3 * MiB) == NULL) return NULL;
  mi_heap_collect(shared->heap, false);
  mi_collect(false);
  return arg;
}

static void a_subprocess_has_the_blocks_of_its_heaps(void** state) {
  (void)state;
  subproc_t shared = {.id = mi_subproc_new()};
  mi_stats_t_decl(main_before);
  mi_collect(false);
  assert_true(mi_subproc_stats_get(mi_subproc_main(), &main_before));
  assert_non_null(result_of_thread(&live_in_subproc, &shared));
  mi_stats_t_decl(its);
  assert_true(mi_subproc_stats_get(shared.id, &its));
  assert_int_equal(its.malloc_bins[bin_of(100)].current, 100);
  assert_int_equal(its.malloc_huge.current, 3 * MiB + (sizes_are_exact() ? 64 * KiB : 0));
  assert_int_equal(its.heaps.current, 2);
  assert_int_equal(its.reserved.current, 0);
  mi_stats_t_decl(of_main);
  assert_true(mi_subproc_stats_get(mi_subproc_main(), &of_main));
  assert_int_equal(live_change(&main_before, &of_main, bin_of(100)), 0);
  assert_int_equal(of_main.malloc_huge.current, main_before.malloc_huge.current);
  assert_true(of_main.reserved.current > 0 && of_main.threads.total > 0);
  assert_int_equal(of_main.heaps.current, 1);

  assert_true(mi_subproc_stats_get_exclusive(shared.id, &its));
  assert_int_equal(its.malloc_normal.current + its.malloc_huge.current + its.heaps.current, 0);
  assert_true(mi_subproc_stats_get_exclusive(mi_subproc_main(), &of_main));
  assert_int_equal(of_main.malloc_normal.current, 0);
  assert_true(of_main.reserved.current > 0);

  char* const json = mi_subproc_stats_get_json(shared.id, 0, NULL);
  assert_non_null(
      strstr(json, sizes_are_exact() ? "\"current\": 3211264" : "\"current\": 3145728"));
  mi_free(json);
  char small[20];
  assert_ptr_equal(mi_subproc_stats_get_json(mi_subproc_main(), sizeof small, small), small);
  assert_int_equal(strlen(small), sizeof small - 1);

  output_clear();
  mi_subproc_stats_print_out(shared.id, &note_output, &output);
  assert_memory_equal(output.text, "subproc ", 8);
  assert_int_equal(count_lines_with(output.text, "heap "), 0);
  assert_int_equal(count_lines_with(output.text, "  bin S"), 1);
  output_clear();
  mi_subproc_heap_stats_print_out(shared.id, &note_output, &output);
  assert_memory_equal(output.text, "heap ", 5);
  assert_int_equal(count_lines_with(output.text, "  bin S"), 3);  // two heaps, and their sum
  assert_non_null(strstr(output.text, "\nsubproc "));
  mi_subproc_destroy(shared.id);
}

static void no_subprocess_has_no_statistics(void** state) {
  (void)state;
  const mi_subproc_id_t none = {NULL};
  mi_stats_t_decl(stats);
  assert_false(mi_subproc_stats_get(none, &stats));
  assert_false(mi_subproc_stats_get_exclusive(none, &stats));
  assert_null(mi_subproc_stats_get_json(none, 0, NULL));
  stats.size = 0;
  assert_false(mi_subproc_stats_get(mi_subproc_main(), &stats));
  assert_false(mi_subproc_stats_get_exclusive(mi_subproc_main(), &stats));
  assert_false(mi_subproc_stats_get(mi_subproc_main(), opaque_pointer(NULL)));
  output_clear();
  mi_subproc_stats_print_out(none, &note_output, &output);
  mi_subproc_heap_stats_print_out(none, &note_output, &output);
  assert_int_equal(output.calls, 0);
}

// --- while others work ---

static _Atomic(bool) is_over;

static void* churn(void* arg) {
  (void)arg;
  void* mine[64] = {NULL};
  for (size_t i = 0; !is_over; i++) {
    mi_free(mine[i % 64]);
    mine[i % 64] = mi_malloc(8 + i * 37 % 5000 + (i % 1000 == 0 ? MiB : 0));
  }
  for (size_t i = 0; i < 64; i++) mi_free(mine[i]);
  return NULL;
}

static void snapshots_are_sane_while_threads_allocate(void** state) {
  (void)state;
  enum { THREADS = 4, SNAPSHOTS = 500 };
  pthread_t threads[THREADS];
  is_over = false;
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, &churn, NULL), 0);
  bool sane = true;
  for (int i = 0; i < SNAPSHOTS; i++) {
    const mi_stats_t s = snapshot();
    sane = sane && s.malloc_normal.current >= 0 && s.malloc_huge.current >= 0
           && s.malloc_normal.current <= s.pages.current * (int64_t)(128 * KiB)
           && s.threads.current <= s.threads.total;
  }
  is_over = true;
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_true(sane);
}

static void statistics_leave_errno_alone(void** state) {
  (void)state;
  output_begin();
  errno = 4711;
  snapshot();
  mi_stats_print_out(NULL, NULL);
  mi_stats_print_prometheus(NULL, NULL);
  mi_process_info_print();
  size_t rss = 0;
  mi_process_info(NULL, NULL, NULL, &rss, NULL, NULL, NULL, NULL);
  char* const json = mi_stats_get_json(0, NULL);
  mi_free(json);
  const int now = errno;
  mi_register_output(NULL, NULL);
  assert_int_equal(now, 4711);
}

// --- the process ---

// Without transparent huge pages: another test (scripts/hello_rss) may have switched them on for all processes.
static void process_info_knows_the_resident_memory(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  mi_collect(true);  // so that the large block is not made of what waits to be purged
  size_t rss = 0;
  size_t peak = 0;
  mi_process_info(NULL, NULL, NULL, &rss, &peak, NULL, NULL, NULL);
  const size_t expected = resident_bytes();
  assert_true(rss + 2 * MiB > expected && rss < expected + 2 * MiB);
  assert_true(peak >= rss);
  enum { BYTES = 40 * 1024 * 1024 };
  void* const p = mi_malloc(BYTES);
  memset(p, 1, BYTES);
  size_t more = 0;
  mi_process_info(NULL, NULL, NULL, &more, NULL, NULL, NULL, NULL);
  mi_free(p);
  prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
  assert_true(more > rss + BYTES - MiB && more < rss + BYTES + 2 * MiB);
}

// P6, as far as it is about touched memory: within 2 % or 2 MiB.
static bool commit_grows_like_rss(void) {
  enum { COUNT = 4000 };
  static void* many[COUNT];
  mi_collect(true);
  size_t commit = 0;
  const size_t rss = resident_bytes();
  mi_process_info(NULL, NULL, NULL, NULL, NULL, &commit, NULL, NULL);
  uint32_t random = 7;
  for (size_t i = 0; i < COUNT; i++) {
    random = random * 1664525u + 1013904223u;
    const size_t size = 16 + (random >> 8) % (i % 100 == 0 ? 2 * MiB : 32 * KiB);
    many[i] = mi_malloc(size);
    memset(many[i], 1, size);
  }
  size_t commit_full = 0;
  size_t peak = 0;
  const size_t rss_full = resident_bytes();
  mi_process_info(NULL, NULL, NULL, NULL, NULL, &commit_full, &peak, NULL);
  for (size_t i = 0; i < COUNT; i++) mi_free(many[i]);
  const double grown = (double)(rss_full - rss);
  const double told = (double)commit_full - (double)commit;
  const double slack = 0.02 * grown > 2.0 * MiB ? 0.02 * grown : 2.0 * MiB;
  const bool good = told > grown - slack && told < grown + slack;
  if (!good) print_message("%.0f bytes resident, %.0f committed\n", grown, told);
  return good && peak >= commit_full;
}

// The system may take pages of files away meanwhile, which count as resident, too: three attempts.
static void commit_is_what_is_resident_when_all_is_touched(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();
  assert_true(commit_grows_like_rss() || commit_grows_like_rss() || commit_grows_like_rss());
}

static void process_info_takes_nulls_and_counts_time(void** state) {
  (void)state;
  mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  size_t elapsed = 0, user = SIZE_MAX, system = SIZE_MAX, rss = 0, peak = 0, commit = 0, most = 0;
  size_t faults = SIZE_MAX;
  mi_process_info(&elapsed, &user, &system, &rss, &peak, &commit, &most, &faults);
  assert_true(user < SIZE_MAX && system < SIZE_MAX && faults < SIZE_MAX);
  assert_true(rss > 0 && peak > 0 && commit > 0 && most >= commit);
  usleep(30 * 1000);
  size_t later = 0;
  mi_process_info(&later, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  assert_true(later >= elapsed + 10);
  assert_true(later < 3600 * 1000);
}

// --- JSON ---

// The end of the JSON value that begins at `at`, or NULL. No escapes: there are none.
static const char* after_value(const char* at);

static const char* after_space(const char* at) { return at + strspn(at, " \n"); }

static const char* after_list(const char* at, char end, bool has_names) {
  for (at = after_space(at + 1); *at != end;) {
    if (has_names) {
      at = *at == '"' ? strchr(at + 1, '"') : NULL;
      if (at == NULL || at[1] != ':') return NULL;
      at = after_space(at + 2);
    }
    at = after_value(at);
    if (at == NULL) return NULL;
    at = after_space(at);
    if (*at != ',' && *at != end) return NULL;
    if (*at == ',') at = after_space(at + 1);
  }
  return at + 1;
}

static const char* after_value(const char* at) {
  if (*at == '{') return after_list(at, '}', true);
  if (*at == '[') return after_list(at, ']', false);
  if (*at == '"') {
    const char* const end = strchr(at + 1, '"');
    return end != NULL ? end + 1 : NULL;
  }
  const size_t digits = strspn(at, "-0123456789");
  return digits > 0 ? at + digits : NULL;
}

static bool is_json(const char* text) {
  const char* const end = after_value(text);
  return end != NULL && *after_space(end) == 0;
}

static void assert_has_key(const char* json, const char* key) {
  char quoted[64];
  snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
  if (count_lines_with(json, quoted) != 1) fail_msg("no %s in the JSON", key);
}

static void json_has_all_fields_and_is_a_block_of_ours(void** state) {
  (void)state;
  char* const json = mi_stats_get_json(0, NULL);
  assert_non_null(json);
  assert_true(is_json(json));
  assert_true(mi_usable_size(json) > strlen(json));
#define MI_STAT_COUNT(name)   assert_has_key(json, #name);
#define MI_STAT_COUNTER(name) assert_has_key(json, #name);
  MI_STAT_FIELDS()
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER
  static const char* const others[] = {"stat_version",  "mimalloc_version", "process",
                                       "elapsed_msecs", "rss_current",      "commit_peak",
                                       "malloc_bins",   "page_bins",        "chunk_bins"};
  for (size_t i = 0; i < COUNT_OF(others); i++) assert_has_key(json, others[i]);
  assert_int_equal(count_lines_with(json, "\"block_size\": 48,"), 2);
  assert_int_equal(count_lines_with(json, "\"block_size\":"), 2 * BIN_COUNT);
  assert_int_equal(count_lines_with(json, "\"bin\":"), 6);
  mi_free(json);
}

static void json_is_cut_off_to_the_buffer(void** state) {
  (void)state;
  mi_stats_t stats = snapshot();
  char* const whole = mi_stats_as_json(&stats, 0, NULL);
  assert_true(is_json(whole));
  static char buf[64 * 1024];
  static const size_t sizes[] = {1, 2, 3, 100, 255, 256, 257, 4000};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    memset(buf, 'x', sizeof(buf));
    assert_ptr_equal(mi_stats_as_json(&stats, sizes[i], buf), buf);
    assert_int_equal(strlen(buf), sizes[i] - 1);
    assert_int_equal(buf[sizes[i]], 'x');
    if (sizes[i] < 20) assert_memory_equal(buf, whole, sizes[i] - 1);
  }
  buf[0] = 'x';
  assert_null(mi_stats_as_json(&stats, 0, buf));
  assert_null(mi_stats_get_json(0, buf));
  assert_int_equal(buf[0], 'x');
  assert_ptr_equal(mi_stats_get_json(sizeof(buf), buf), buf);
  assert_true(is_json(buf));
  assert_ptr_equal(mi_heap_stats_get_json(NULL, sizeof(buf), buf), buf);
  assert_true(is_json(buf));
  mi_free(whole);
}

static void json_of_a_struct_says_what_is_in_it(void** state) {
  (void)state;
  mi_stats_t_decl(stats);
  stats.pages = (mi_stat_count_t){INT64_MAX, 5, 4};
  stats.purged.total = 1234567;
  char* const json = mi_stats_as_json(&stats, 0, NULL);
  assert_true(is_json(json));
  assert_int_equal(count_lines_with(json,
                                    "\"pages\": { \"total\": 9223372036854775807, \"peak\": 5, "
                                    "\"current\": 4 }"),
                   1);
  assert_int_equal(count_lines_with(json, "\"purged\": 1234567,"), 1);
  mi_free(json);
  assert_null(mi_stats_as_json(NULL, 0, NULL));
}

// --- text ---

static void mi_cdecl check_line(const char* line, void* arg) {
  const char* const end = strchr(line, '\n');
  if (end == NULL || end[1] != 0) *(bool*)arg = false;
}

static void each_call_of_the_output_is_one_line(void** state) {
  (void)state;
  bool good = true;
  mi_stats_print_out(&check_line, &good);
  mi_heap_stats_print_out(NULL, &check_line, &good);
  mi_thread_stats_print_out(&check_line, &good);
  mi_stats_print_prometheus(&check_line, &good);
  mi_process_info_print_out(&check_line, &good);
  mi_options_print_out(&check_line, &good);
  assert_true(good);
}

static void the_text_has_sections_and_a_row_per_used_class(void** state) {
  (void)state;
  void* const p = mi_malloc(5000);
  output_clear();
  mi_stats_print_out(&note_output, &output);
  mi_free(p);
  assert_memory_equal(output.text, "subproc 0\n", 10);
  static const char* const rows[] = {
      "blocks ",    "  binned ",    "  huge ",   "  total ",    "pages ",       "  touched ",
      "  pages ",   "  abandoned ", "arenas ",   "  reserved ", "  committed ", "  purged ",
      "  arenas ",  "  purges ",    "  theaps ", "  heaps ",    "process ",     "  threads ",
      "  elapsed ", "  process ",   "peak rss: "};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    if (count_lines_with(output.text, rows[i]) == 0) fail_msg("no %s in: %s", rows[i], output.text);
  }
  assert_int_equal(count_lines_with(output.text, "  bin S 50"), 1);  // 5 KiB
  const char* const row = strstr(output.text, "  bin S 50");
  assert_non_null(strstr(row, "     5.0 KiB"));
  assert_true(strstr(row, "not all freed") < strchr(row, '\n'));
  output_clear();
  mi_heap_stats_print_out(NULL, &note_output, &output);
  assert_memory_equal(output.text, "heap 0\n", 7);
}

static void* print_own(void* arg) {
  (void)arg;
  void* const p = mi_malloc(5000);
  output_clear();
  mi_thread_stats_print_out(&note_output, &output);
  mi_free(p);
  return NULL;
}

static void a_thread_prints_the_statistics_of_its_own_pages(void** state) {
  (void)state;
  allocate(48);
  result_of_thread(&print_own, NULL);
  release();
  assert_memory_equal(output.text, "theap\n", 6);
  // Vaults belong to no thread.
  assert_int_equal(count_lines_with(output.text, "  bin S 50"), has_vaults() ? 0 : 1);
  const char* const row = strstr(output.text, "  bin S  3");
  assert_true(row == NULL || strstr(row, "14.0 KiB") == NULL);
  output_begin();
  mi_thread_stats_print(NULL);  // the registered output
  assert_memory_equal(output.text, "theap\n", 6);
  mi_register_output(NULL, NULL);
}

static void prometheus_metrics_have_help_and_type(void** state) {
  (void)state;
  allocate(48);
  output_clear();
  mi_stats_print_prometheus(&note_output, &output);
  release();
  const size_t metrics = count_lines_with(output.text, "# TYPE mimalloc_");
  assert_true(metrics >= 10);
  assert_int_equal(count_lines_with(output.text, "# HELP mimalloc_"), metrics);
  assert_int_equal(count_lines_with(output.text, "mimalloc_live_blocks{block_size=\"48\"} "), 1);
  assert_int_equal(count_lines_with(output.text, "mimalloc_live_blocks{block_size=\"larger\"} "),
                   1);
  output_begin();
  mi_stats_print_prometheus(NULL, NULL);
  assert_true(output.length > 100);
  mi_process_info_print();
  assert_non_null(strstr(output.text, "elapsed"));
  mi_register_output(NULL, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_struct_is_laid_out_as_in_mimalloc),
      cmocka_unit_test(there_are_36_fields),
      cmocka_unit_test(init_sets_size_and_version_and_clears_the_rest),
      cmocka_unit_test(a_wrong_header_is_refused_and_nothing_written),
      cmocka_unit_test(bin_sizes_are_those_of_blocks),
      cmocka_unit_test(live_blocks_are_exact_after_collecting),
      cmocka_unit_test(live_blocks_are_known_within_a_list),
      cmocka_unit_test(larger_blocks_are_in_the_last_bin),
      cmocka_unit_test(totals_count_what_was_handed_out),
      cmocka_unit_test(the_peak_is_that_of_all_snapshots_until_it_is_reset),
      cmocka_unit_test(every_count_has_current_at_most_peak_at_most_total),
      cmocka_unit_test(blocks_that_another_thread_frees_are_not_live_after_both_collected),
      cmocka_unit_test(the_main_heap_has_it_all),
      cmocka_unit_test(a_heap_has_its_blocks_and_nobody_elses),
      cmocka_unit_test(a_subprocess_has_the_blocks_of_its_heaps),
      cmocka_unit_test(no_subprocess_has_no_statistics),
      cmocka_unit_test(snapshots_are_sane_while_threads_allocate),
      cmocka_unit_test(statistics_leave_errno_alone),
      cmocka_unit_test(process_info_knows_the_resident_memory),
      cmocka_unit_test(commit_is_what_is_resident_when_all_is_touched),
      cmocka_unit_test(process_info_takes_nulls_and_counts_time),
      cmocka_unit_test(json_has_all_fields_and_is_a_block_of_ours),
      cmocka_unit_test(json_is_cut_off_to_the_buffer),
      cmocka_unit_test(json_of_a_struct_says_what_is_in_it),
      cmocka_unit_test(each_call_of_the_output_is_one_line),
      cmocka_unit_test(the_text_has_sections_and_a_row_per_used_class),
      cmocka_unit_test(a_thread_prints_the_statistics_of_its_own_pages),
      cmocka_unit_test(prometheus_metrics_have_help_and_type),
  };
  return cmocka_run_group_tests_name("api/stats", tests, be_silent, unregister_all);
}
