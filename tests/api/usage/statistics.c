// SPDX-License-Identifier: MIT
// statistics.c - statistics as a struct and as JSON, and what the process uses
#include <mimalloc-stats.h>
#include <mimalloc.h>

#include <string.h>

int main(void) {
  void* const p = mi_malloc(1000 * 1000);
  mi_stats_t stats;
  mi_stats_init(&stats);
  if (!mi_stats_get(&stats) || stats.reserved.current <= 0) return 1;
  char* const json = mi_stats_get_json(0, NULL);
  if (json == NULL || json[0] != '{' || strstr(json, "\"process\"") == NULL) return 2;
  mi_free(json);

  size_t rss = 0, peak_rss = 0, commit = 0;
  mi_process_info(NULL, NULL, NULL, &rss, &peak_rss, &commit, NULL, NULL);
  mi_free(p);
  return rss > 0 && peak_rss >= rss && commit >= 1000 * 1000 ? 0 : 3;
}
