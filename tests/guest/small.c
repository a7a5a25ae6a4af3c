// What a small program has in memory, in KiB, exactly: VmRSS is not exact in older kernels. With an argument: a service that
// takes so many megabytes, frees half of them, and is idle for some seconds.
#include "../scripts/support/workout.h"

static void serve(size_t mib) {
  enum { SIZE = 100 };
  const size_t count = mib * 1024 * 1024 / SIZE;
  char** const blocks = malloc(count * sizeof *blocks);
  for (size_t i = 0; i < count; i++) memset(blocks[i] = malloc(SIZE), 1, SIZE);
  for (size_t i = count / 4; i < count * 3 / 4; i++) free(blocks[i]);
  for (int i = 0; i < 30; i++) {
    usleep(100 * 1000);
    for (size_t j = 0; j < 1000; j++) blocks[j][0] = 2;
    free(malloc(2 << 20));
  }
}

int main(int argc, char** argv) {
  if (argc > 1) serve((size_t)atol(argv[1]));
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
