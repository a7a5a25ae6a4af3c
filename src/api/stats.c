// SPDX-License-Identifier: MIT
// stats.c - walk the records, and print what they say
//
// Tests: tests/api/callbacks_test.c
#include "api/stats.h"
#include "base/compiler.h"
#include "base/format.h"
#include "heap/thread.h"
#include "mimalloc.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include "space/huge.h"
#include "space/purge.h"
#include "space/run.h"
#include <stdio.h>
#include <string.h>

static void add(amount_t* to, size_t count, size_t bytes) {
  to->count += count;
  to->bytes += bytes;
}

// Reads other owners' counts without asking them, on purpose.
MI_NO_TSAN static void count_page(stats_t* stats, const page_t* page) {
  const uint32_t c = page->size_class;
  if (c >= CLASS_COUNT) return;
  const size_t frees = (size_t)page->armed - page->needed;
  const size_t live = page->out >= frees ? page->out - frees : 0;
  add(&stats->live_in_class[c], live, live * mii_class_bytes(c));
  add(&stats->threaded_in_class[c], mii_page_capacity(page),
      (size_t)mii_page_capacity(page) * mii_class_bytes(c));
  add(&stats->pages_of_class[c], 1, (size_t)mii_class_slices(c) * SLICE_BYTES);
}

static void count_slices(stats_t* stats) {
  const size_t slices = mii_slice_count();
  for (size_t slice = 1; slice < slices; slice++) {
    switch (mii_slice_kind(slice)) {
      case SLICE_PAGE: count_page(stats, mii_page_record(slice)); break;
      case SLICE_HUGE: add(&stats->huge, 1, mii_huge_bytes(mii_slice_start((slice_t)slice))); break;
      case SLICE_FREE:
      case SLICE_FOLLOW:
      case SLICE_RUN: break;
    }
  }
}

MI_NO_TSAN static void count_handed(stats_t* stats) {
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    stats->handed.count += theap->blocks_handed;
    stats->handed.bytes += theap->bytes_handed;
  }
}

static void count_segments(stats_t* stats) {
  const uint32_t segments = mii_segment_count();
  for (uint32_t i = 0; i < segments; i++) {
    const uint64_t dirty = atomic_load_explicit(&mii_segment(i)->dirty, memory_order_relaxed);
    add(&stats->dirty_slices, mii_count_bits(dirty), (size_t)mii_count_bits(dirty) * SLICE_BYTES);
    const run_count_t runs = mii_run_count(i);
    add(&stats->runs, runs.count, runs.bytes);
    if (!mii_segment_is_foreign(i)) stats->opened_bytes += SEGMENT_BYTES;
  }
}

static void add_up(stats_t* stats) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    add(&stats->live_in_pages, stats->live_in_class[c].count, stats->live_in_class[c].bytes);
    add(&stats->threaded, stats->threaded_in_class[c].count, stats->threaded_in_class[c].bytes);
    add(&stats->pages, stats->pages_of_class[c].count, stats->pages_of_class[c].bytes);
  }
}

void mii_stats_collect(stats_t* stats) {
  memset(stats, 0, sizeof *stats);
  if (mii_slice_count() == 0) return;
  count_slices(stats);
  count_segments(stats);
  count_handed(stats);
  add_up(stats);
  stats->reserved_bytes = mii_range_reserved_bytes();
  stats->meta_bytes = mii_meta_open_bytes();
}

// Text -----------------------------------------------------------------------------------------------

typedef struct output_s {
  mi_output_fun* out;
  void* arg;
} output_t;

typedef struct amount_text_s {
  char text[24];
} amount_text_t;

static amount_text_t bytes_text(uint64_t bytes) {
  static const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  unsigned long long tenths = bytes * 10;
  int unit = 0;
  if (bytes > UINT64_MAX / 10) tenths = bytes / 1024 * 10, unit = 1;
  for (; tenths >= 10240 && unit < 4; unit++) tenths /= 1024;
  amount_text_t t;
  if (unit == 0) {
    mii_format(t.text, sizeof t.text, "%u %s", (unsigned)bytes, units[0]);
  } else {
    mii_format(t.text, sizeof t.text, "%llu.%llu %s", tenths / 10, tenths % 10, units[unit]);
  }
  return t;
}

static void print_total(output_t o, const char* label, total_t total) {
  mii_print(o.out, o.arg, "  %-22s %12s in %llu\n", label, bytes_text(total.bytes).text,
            (unsigned long long)total.count);
}

static void print_amount(output_t o, const char* label, amount_t amount) {
  print_total(o, label, (total_t){amount.count, amount.bytes});
}

static void print_bytes(output_t o, const char* label, size_t bytes) {
  mii_print(o.out, o.arg, "  %-22s %12s\n", label, bytes_text(bytes).text);
}

static void print_classes(output_t o, const stats_t* stats) {
  mii_print(o.out, o.arg, "  %-10s %10s %12s %12s %10s\n", "block", "live", "live bytes",
            "threaded", "pages");
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    if (stats->pages_of_class[c].count == 0) continue;
    mii_print(o.out, o.arg, "  %-10s %10zu %12s %12s %10zu\n", bytes_text(mii_class_bytes(c)).text,
              stats->live_in_class[c].count, bytes_text(stats->live_in_class[c].bytes).text,
              bytes_text(stats->threaded_in_class[c].bytes).text, stats->pages_of_class[c].count);
  }
}

static void print_memory(output_t o, const stats_t* stats) {
  print_amount(o, "blocks in pages, live", stats->live_in_pages);
  print_amount(o, "  of threaded blocks", stats->threaded);
  print_amount(o, "  in pages", stats->pages);
  print_amount(o, "runs, live", stats->runs);
  print_amount(o, "huge blocks, live", stats->huge);
  print_total(o, "handed out in pages", stats->handed);
  print_amount(o, "slices in use or warm", stats->dirty_slices);
  print_bytes(o, "opened", stats->opened_bytes);
  print_bytes(o, "metadata opened", stats->meta_bytes);
  print_bytes(o, "addresses reserved", stats->reserved_bytes);
}

static void print_process(output_t o) {
  const purge_count_t purged = mii_purge_count();
  print_total(o, "purged", (total_t){purged.calls, purged.bytes});
  mii_print(o.out, o.arg, "  %-22s %12zu started, %zu ended\n", "threads",
            (size_t)mii_thread_started_count(), (size_t)mii_thread_ended_count());
  platform_usage_t usage;
  mii_platform_usage(&usage);
  print_bytes(o, "peak rss of process", usage.peak_rss_bytes);
  mii_print(o.out, o.arg, "  %-22s %12zu minor, %zu major\n", "page faults",
            usage.page_faults_minor, usage.page_faults_major);
  mii_print(o.out, o.arg, "  %-22s %9zu ms user, %zu ms system\n", "cpu time", usage.user_ms,
            usage.system_ms);
}

void mi_stats_print_out(mi_output_fun* out, void* arg) {
  const output_t o = {out, arg};
  stats_t stats;
  mii_stats_collect(&stats);
  mii_print(out, arg, "mimalloc statistics\n");
  print_classes(o, &stats);
  print_memory(o, &stats);
  print_process(o);
}

void mi_stats_print(void* out) {
  const bool is_default = out == NULL || out == (void*)stdout || out == (void*)stderr;
  mi_output_fun* function = NULL;
  if (!is_default) memcpy(&function, &out, sizeof function);  // ISO C has no such cast
  mi_stats_print_out(function, NULL);
}
