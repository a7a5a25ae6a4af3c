// What a small program has in memory, in KiB, exactly: VmRSS is not exact in older kernels.
#include "../scripts/support/workout.h"

int main(void) {
  puts("hello");  // stdio allocates
  free(malloc(100));
  static char text[4096];
  const int file = open("/proc/self/smaps_rollup", O_RDONLY);
  if (file < 0 || read(file, text, sizeof text - 1) <= 0) die("no smaps_rollup\n");
  const char* const rss = strstr(text, "Rss:");
  if (rss == NULL) die("no RSS in smaps_rollup\n");
  printf("%lu\n", strtoul(rss + 4, NULL, 10));
  return workout(0, 0) ? 0 : 1;
}
