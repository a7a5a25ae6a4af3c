// SPDX-License-Identifier: MIT
// stats_json.c - statistics for programs: JSON, and the text format of Prometheus
//
// Tests: tests/api/stats_test.c, tests/scripts/stats_text.sh
#include "api/stats.h"
#include "base/format.h"
#include "mimalloc.h"
#include "runtime/report.h"
#include <stdarg.h>
#include <string.h>

// JSON -------------------------------------------------------------------------------------------------

// A text that is cut off where there is no more room, but measured on.
typedef struct json_s {
  char* text;
  size_t room;  // with the NUL
  size_t length;
} json_t;

static void put_json(json_t* json, const char* format, ...) MI_PRINTF(2, 3);
static void put_json(json_t* json, const char* format, ...) {
  char piece[256];
  va_list args;
  va_start(args, format);
  const size_t length = mii_format_list(piece, sizeof piece, format, args);
  va_end(args);
  if (json->length + 1 < json->room) {
    const size_t fits = mii_min(length, json->room - 1 - json->length);
    memcpy(json->text + json->length, piece, fits);
    json->text[json->length + fits] = '\0';
  }
  json->length += length;
}

static void put_process(json_t* json, const process_info_t* info) {
  const platform_usage_t* const u = &info->usage;
  put_json(json, "  \"process\": {\n    \"elapsed_msecs\": %zu,\n    \"user_msecs\": %zu,\n",
           info->elapsed_ms, u->user_ms);
  put_json(json, "    \"system_msecs\": %zu,\n    \"page_faults\": %zu,\n", u->system_ms,
           u->page_faults_major);
  put_json(json, "    \"rss_current\": %zu,\n    \"rss_peak\": %zu,\n", u->rss_bytes,
           u->peak_rss_bytes);
  put_json(json, "    \"commit_current\": %zu,\n    \"commit_peak\": %zu\n  },\n",
           info->commit_bytes, info->peak_commit_bytes);
}

static void put_values(json_t* json, mi_stat_count_t count) {
  put_json(json, "{ \"total\": %lld, \"peak\": %lld, \"current\": %lld", (long long)count.total,
           (long long)count.peak, (long long)count.current);
}

static void put_count(json_t* json, const char* name, mi_stat_count_t count) {
  put_json(json, "  \"%s\": ", name);
  put_values(json, count);
  put_json(json, " },\n");
}

static void put_counter(json_t* json, const char* name, mi_stat_counter_t counter) {
  put_json(json, "  \"%s\": %lld,\n", name, (long long)counter.total);
}

static size_t page_bytes(size_t bin) {
  return bin < CLASS_COUNT ? (size_t)mii_class_slices((uint32_t)bin) * SLICE_BYTES : 0;
}

static void put_bins(json_t* json, const char* name, const mi_stat_count_t* bins) {
  put_json(json, "  \"%s\": [\n", name);
  for (size_t bin = 0; bin <= MI_BIN_HUGE; bin++) {
    put_json(json, "    ");
    put_values(json, bins[bin]);
    put_json(json, ", \"block_size\": %zu, \"page_size\": %zu }%s\n", mi_stats_get_bin_size(bin),
             page_bytes(bin), bin < MI_BIN_HUGE ? "," : "");
  }
  put_json(json, "  ],\n");
}

static void put_chunk_bins(json_t* json, const mi_stat_count_t* bins) {
  put_json(json, "  \"chunk_bins\": [\n");
  for (size_t bin = 0; bin < MI_CBIN_COUNT; bin++) {
    put_json(json, "    ");
    put_values(json, bins[bin]);
    put_json(json, ", \"bin\": \"%c\" }%s\n", "SXMLH "[bin], bin + 1 < MI_CBIN_COUNT ? "," : "");
  }
  put_json(json, "  ]\n");
}

static MI_COLD void put_all(json_t* json, const mi_stats_t* stats, const process_info_t* info) {
  put_json(json, "{\n  \"stat_version\": %d,\n  \"mimalloc_version\": %d,\n", MI_STAT_VERSION,
           MI_MALLOC_VERSION);
  put_process(json, info);
#define MI_STAT_COUNT(name)   put_count(json, #name, stats->name);
#define MI_STAT_COUNTER(name) put_counter(json, #name, stats->name);
  MI_STAT_FIELDS()
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER
  put_bins(json, "malloc_bins", stats->malloc_bins);
  put_bins(json, "page_bins", stats->page_bins);
  put_chunk_bins(json, stats->chunk_bins);
  put_json(json, "}\n");
}

// Measured first, so that a block of our own has the right size.
static char* json_of(const mi_stats_t* stats, size_t buf_size, char* buf) {
  if (buf != NULL && buf_size == 0) return NULL;
  mi_stats_t of_process;
  mii_stats_fill(&of_process, (stats_scope_t){0});
  const process_info_t info = mii_process_info(of_process.committed);
  if (buf == NULL) {
    json_t measure = {0};
    put_all(&measure, stats, &info);
    buf_size = measure.length + 1;
    buf = mi_malloc(buf_size);
    if (buf == NULL) return NULL;
  }
  json_t json = {.text = buf, .room = buf_size};
  buf[0] = '\0';
  put_all(&json, stats, &info);
  return buf;
}

char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf) {
  return mii_stats_header_fits(stats) ? json_of(stats, buf_size, buf) : NULL;
}

char* mi_stats_get_json(size_t buf_size, char* buf) {
  mi_stats_t stats;
  mii_stats_fill(&stats, (stats_scope_t){0});
  return json_of(&stats, buf_size, buf);
}

char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf) {
  mi_stats_t stats;
  mi_stats_init(&stats);
  return mi_heap_stats_get(heap, &stats) ? json_of(&stats, buf_size, buf) : NULL;
}

char* mi_subproc_stats_get_json(mi_subproc_id_t subproc_id, size_t buf_size, char* buf) {
  mi_stats_t stats;
  mi_stats_init(&stats);
  return mi_subproc_stats_get(subproc_id, &stats) ? json_of(&stats, buf_size, buf) : NULL;
}

// Prometheus -------------------------------------------------------------------------------------------

static void begin_metric(output_t m, const char* name, const char* type, const char* help) {
  mii_print(m.out, m.arg, "# HELP mimalloc_%s %s\n", name, help);
  mii_print(m.out, m.arg, "# TYPE mimalloc_%s %s\n", name, type);
}

static void put_metric(output_t m, const char* name, const char* type, int64_t value,
                       const char* help) {
  begin_metric(m, name, type, help);
  mii_print(m.out, m.arg, "mimalloc_%s %lld\n", name, (long long)value);
}

static void put_bin_metric(output_t m, const char* name, const mi_stat_count_t* bins,
                           const char* help) {
  begin_metric(m, name, "gauge", help);
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    if (bins[c].total == 0) continue;
    mii_print(m.out, m.arg, "mimalloc_%s{block_size=\"%zu\"} %lld\n", name,
              mi_stats_get_bin_size(c), (long long)bins[c].current);
  }
  mii_print(m.out, m.arg, "mimalloc_%s{block_size=\"larger\"} %lld\n", name,
            (long long)bins[MI_BIN_HUGE].current);
}

static void put_block_metrics(output_t m, const mi_stats_t* s) {
  put_bin_metric(m, "live_blocks", s->malloc_bins, "Live blocks, by their size in bytes.");
  put_bin_metric(m, "pages", s->page_bins, "Pages in use, by the size of their blocks in bytes.");
  put_metric(m, "live_bytes", "gauge", s->malloc_normal.current + s->malloc_huge.current,
             "Bytes in live blocks.");
  put_metric(m, "allocated_bytes_total", "counter", s->malloc_normal.total + s->malloc_huge.total,
             "Bytes in blocks handed out.");
  put_metric(m, "allocated_blocks_total", "counter",
             s->malloc_normal_count.total + s->malloc_huge_count.total, "Blocks handed out.");
  put_metric(m, "abandoned_pages", "gauge", s->pages_abandoned.current, "Pages without a thread.");
}

static void put_memory_metrics(output_t m, const mi_stats_t* s) {
  put_metric(m, "committed_bytes", "gauge", s->committed.current,
             "Memory that the system has given and not got back.");
  put_metric(m, "committed_bytes_peak", "gauge", s->committed.peak,
             "The largest committed_bytes of all snapshots.");
  put_metric(m, "reserved_bytes", "gauge", s->reserved.current, "Reserved addresses.");
  put_metric(m, "purged_bytes_total", "counter", s->purged.total, "Memory given back.");
  put_metric(m, "purges_total", "counter", s->purge_calls.total, "System calls that gave it back.");
  put_metric(m, "threads", "gauge", s->threads.current, "Threads that allocate.");
  put_metric(m, "threads_total", "counter", s->threads.total, "Threads started.");
}

MI_COLD static void put_parts(output_t m) {
  mi_memory_t memory;
  mii_memory_collect(&memory);
  const struct {
    const char* name;
    size_t bytes;
  } parts[] = {{"live", memory.live},         {"class_waste", memory.class_waste},
               {"cached", memory.cached},     {"free_in_pages", memory.free_in_pages},
               {"orphaned", memory.orphaned}, {"to_purge", memory.to_purge},
               {"metadata", memory.metadata}, {"rest", memory.rest}};
  begin_metric(m, "memory_bytes", "gauge", "Where the resident memory of the process is.");
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    mii_print(m.out, m.arg, "mimalloc_memory_bytes{part=\"%s\"} %zu\n", parts[i].name,
              parts[i].bytes);
}

MI_COLD void mi_stats_print_prometheus(mi_output_fun* out, void* arg) {
  const output_t m = {out, arg};
  mi_stats_t stats;
  mii_stats_fill(&stats, (stats_scope_t){0});
  put_block_metrics(m, &stats);
  put_memory_metrics(m, &stats);
  const process_info_t info = mii_process_info(stats.committed);
  put_metric(m, "process_resident_bytes", "gauge", (int64_t)info.usage.rss_bytes,
             "Resident memory of the process.");
  put_parts(m);
}
