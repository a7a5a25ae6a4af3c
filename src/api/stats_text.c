// SPDX-License-Identifier: MIT
// stats_text.c - statistics for people: a table with a section per subject
//
// A row is a label of 10 characters and up to five columns of 12: peak, total, current, the size of a block,
// and how many were handed out. One call of the output function is one line.
//
// Tests: tests/api/stats_test.c
#include "api/stats.h"
#include "base/format.h"
#include "mimalloc.h"
#include "runtime/report.h"
#include <stdio.h>
#include <string.h>

typedef struct cell_s {
  char text[24];
} cell_t;

// 1536 -> "1.5 KiB": one decimal, cut off. Units are steps of 1024 for bytes, of 1000 for counts.
static cell_t scaled(uint64_t value, uint64_t step, const char* const units[], int last) {
  uint64_t tenths = value * 10;
  int unit = 0;
  for (; tenths >= step * 10 && unit < last; unit++) tenths /= step;
  cell_t cell;
  if (unit == 0) {
    mii_format(cell.text, sizeof cell.text, "%llu%s", (unsigned long long)value,
               value == 0 ? "" : units[0]);
  } else {
    mii_format(cell.text, sizeof cell.text, "%llu.%llu%s", (unsigned long long)(tenths / 10),
               (unsigned long long)(tenths % 10), units[unit]);
  }
  return cell;
}

static cell_t bytes_text(int64_t bytes) {
  static const char* const units[] = {" B", " KiB", " MiB", " GiB"};
  return scaled((uint64_t)bytes, 1024, units, 3);
}

static cell_t count_text(int64_t count) {
  static const char* const units[] = {"", " K", " M", " G"};
  return scaled((uint64_t)count, 1000, units, 3);
}

static void print_header(output_t o, const char* section) {
  mii_print(o.out, o.arg, "%-10s%12s%12s%12s%12s%12s\n", section, "peak", "total", "current",
            "block", "total#");
}

typedef cell_t cell_text_t(int64_t value);

static void print_row(output_t o, const char* label, cell_text_t* as_text, mi_stat_count_t count) {
  mii_print(o.out, o.arg, "  %-8s%12s%12s%12s\n", label, as_text(count.peak).text,
            as_text(count.total).text, as_text(count.current).text);
}

static void print_total(output_t o, const char* label, cell_t total) {
  mii_print(o.out, o.arg, "  %-8s%12s%12s\n", label, "", total.text);
}

// Blocks -----------------------------------------------------------------------------------------------

// Rows of what may be freed end in whether it is.
static void print_blocks(output_t o, const char* label, mi_stat_count_t bytes, cell_t block,
                         cell_t total) {
  mii_print(o.out, o.arg, "%-10s%12s%12s%12s%12s%12s  %s\n", label, bytes_text(bytes.peak).text,
            bytes_text(bytes.total).text, bytes_text(bytes.current).text, block.text, total.text,
            bytes.current == 0 ? "ok" : "not all freed");
}

static mi_stat_count_t times(mi_stat_count_t count, size_t size) {
  const int64_t by = (int64_t)size;
  return (mi_stat_count_t){count.total * by, count.peak * by, count.current * by};
}

static mi_stat_count_t sum(mi_stat_count_t a, mi_stat_count_t b) {
  return (mi_stat_count_t){a.total + b.total, a.peak + b.peak, a.current + b.current};
}

static void print_bins(output_t o, const mi_stats_t* stats) {
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const mi_stat_count_t bin = stats->malloc_bins[c];
    if (bin.total == 0) continue;
    char label[16];
    mii_format(label, sizeof label, "  bin %c %2u", c < SMALL_CLASS_COUNT ? 'S' : 'M', c);
    const size_t size = mii_class_bytes(c);
    print_blocks(o, label, times(bin, size), bytes_text((int64_t)size), count_text(bin.total));
  }
}

static void print_all_blocks(output_t o, const mi_stats_t* stats) {
  const mi_stat_count_t all = sum(stats->malloc_normal, stats->malloc_huge);
  if (all.total == 0) return;
  const int64_t count = stats->malloc_normal_count.total + stats->malloc_huge_count.total;
  const cell_t none = {""};
  print_header(o, "blocks");
  print_bins(o, stats);
  print_blocks(o, "  binned", stats->malloc_normal, none,
               count_text(stats->malloc_normal_count.total));
  print_blocks(o, "  huge", stats->malloc_huge, none, count_text(stats->malloc_huge_count.total));
  print_blocks(o, "  total", all, none, count_text(count));
  mii_print(o.out, o.arg,
            "  current includes what threads hold ready, at most a list per bin and thread, until"
            " they collect\n");
}

// Memory and process -------------------------------------------------------------------------------------

static void print_pages(output_t o, const mi_stats_t* stats) {
  if (stats->pages.total == 0) return;
  print_header(o, "pages");
  print_row(o, "touched", bytes_text, stats->page_committed);
  print_row(o, "pages", count_text, stats->pages);
  print_row(o, "abandoned", count_text, stats->pages_abandoned);
}

static void print_arenas(output_t o, const mi_stats_t* stats) {
  if (stats->reserved.current == 0) return;
  print_header(o, "arenas");
  print_row(o, "reserved", bytes_text, stats->reserved);
  print_row(o, "committed", bytes_text, stats->committed);
  print_total(o, "purged", bytes_text(stats->purged.total));
  print_total(o, "arenas", count_text(stats->arena_count.total));
  print_row(o, "segments", count_text, stats->segments);
  print_total(o, "purges", count_text(stats->purge_calls.total));
  print_row(o, "theaps", count_text, stats->theaps);
  print_row(o, "heaps", count_text, stats->heaps);
}

static void print_times(output_t o, const process_info_t* info) {
  const platform_usage_t* const u = &info->usage;
  mii_print(o.out, o.arg, "  %-8s%5zu.%03zu s\n", "elapsed", info->elapsed_ms / 1000,
            info->elapsed_ms % 1000);
  mii_print(o.out, o.arg,
            "  %-8s user: %zu.%03zu s, system: %zu.%03zu s, faults: %zu, rss: %s, peak rss: %s, "
            "peak commit: %s\n",
            "process", u->user_ms / 1000, u->user_ms % 1000, u->system_ms / 1000,
            u->system_ms % 1000, u->page_faults_major, bytes_text((int64_t)u->rss_bytes).text,
            bytes_text((int64_t)u->peak_rss_bytes).text,
            bytes_text((int64_t)info->peak_commit_bytes).text);
}

static void print_memory(output_t o) {
  mi_memory_t m;
  mii_memory_collect(&m);
  mii_print(o.out, o.arg,
            "  %-8slive: %s, waste: %s, free in pages: %s, cached: %s, orphaned: %s, to purge: %s, "
            "metadata: %s, rest of the process: %s\n",
            "memory", bytes_text((int64_t)m.live).text, bytes_text((int64_t)m.class_waste).text,
            bytes_text((int64_t)m.free_in_pages).text, bytes_text((int64_t)m.cached).text,
            bytes_text((int64_t)m.orphaned).text, bytes_text((int64_t)m.to_purge).text,
            bytes_text((int64_t)m.metadata).text, bytes_text((int64_t)m.rest).text);
}

static void print_process(output_t o, const mi_stats_t* stats) {
  if (stats->threads.total == 0) return;
  print_header(o, "process");
  print_row(o, "threads", count_text, stats->threads);
  const process_info_t info = mii_process_info(stats->committed);
  print_times(o, &info);
  print_memory(o);
}

MI_COLD void mii_stats_print(mi_output_fun* out, void* arg, const char* about,
                             const mi_stats_t* stats) {
  const output_t o = {out, arg};
  mii_print(out, arg, "%s\n", about);
  print_all_blocks(o, stats);
  print_pages(o, stats);
  print_arenas(o, stats);
  print_process(o, stats);
}

void mi_stats_print(void* out) {
  const bool is_default = out == NULL || out == (void*)stdout || out == (void*)stderr;
  mi_output_fun* function = NULL;
  if (!is_default) memcpy(&function, &out, sizeof function);  // ISO C has no such cast
  mi_stats_print_out(function, NULL);
}

void mi_process_info_print_out(mi_output_fun* out, void* arg) {
  mi_stats_t stats;
  mii_stats_fill(&stats, (stats_scope_t){0});
  const process_info_t info = mii_process_info(stats.committed);
  print_times((output_t){out, arg}, &info);
}

void mi_process_info_print(void) { mi_process_info_print_out(NULL, NULL); }
