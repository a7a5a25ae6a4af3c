// SPDX-License-Identifier: MIT
// statistics_json.c - the allocator's statistics as JSON, for a monitoring endpoint
//
// The text goes to standard output; `statistics_json | python3 -m json.tool` shows it.
//
//     cc statistics_json.c -lmimalloc -o statistics_json
#include <mimalloc.h>
#include <mimalloc-stats.h>

#include <stdio.h>
#include <string.h>

enum { BLOCKS = 1000 };

int main(void) {
  void* blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) blocks[i] = mi_malloc(i * 10);

  // Into a buffer of the program's, which never allocates; too small a one is cut off, but terminated.
  char small[100];
  const bool cut =
      mi_stats_get_json(sizeof(small), small) == small && strlen(small) == sizeof(small) - 1;

  // Or into a new block, as long as it needs to be.
  char* const json = mi_stats_get_json(0, NULL);
  if (json == NULL) return 1;
  puts(json);
  mi_free(json);
  for (size_t i = 0; i < BLOCKS; i++) mi_free(blocks[i]);
  return cut ? 0 : 1;
}
