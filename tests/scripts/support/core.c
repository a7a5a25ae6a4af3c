// core.c - memory for a core dump
//
// usage: core MIB KEPT: takes MIB of small blocks, and 20 MiB that nobody touches, frees all but one of KEPT,
// gives everything free back, says what is resident, in KiB, and aborts.
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 200 };

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const size_t bytes = (size_t)atol(argv[1]) << 20, kept = (size_t)atol(argv[2]);
  const size_t count = bytes / SIZE;
  char** const blocks = malloc(count * sizeof *blocks);
  char* const untouched = calloc(20, 1 << 20);
  if (blocks == NULL || untouched == NULL) return 3;
  untouched[0] = 1;
  for (size_t i = 0; i < count; i++) memset(blocks[i] = malloc(SIZE), (int)i, SIZE);
  for (size_t i = count / kept; i < count; i++) free(blocks[i]);
  mi_collect(true);
  FILE* const file = fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  unsigned long kib = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Rss: %lu", &kib) == 1) break;
  }
  printf("%lu\n", kib);
  fflush(stdout);
  abort();
}
