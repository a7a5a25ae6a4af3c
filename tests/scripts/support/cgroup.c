// cgroup.c - a load that would need more memory than there is, and does with what it gets
//
// usage: cgroup MIB ROUNDS THREADS: the threads together want MIB live, of blocks of all kinds, every byte
// written. Then half of it is freed, and so on. Or: cgroup pressure MIB: see below. The first prints how many allocations failed, and the largest live sum.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 16, BLOCKS_MAX = 1 << 16, FAILURES_PER_ROUND = 200 };

static size_t wanted;  // bytes, of each thread
static int rounds;
static atomic_size_t live_all, most_live, failed, unclean;

typedef struct block_s {
  unsigned char* p;
  size_t size;
} block_t;

static unsigned draw(unsigned* state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static size_t some_size(unsigned* state) {
  const unsigned kind = draw(state) % 1000;
  if (kind < 900) return 16 + draw(state) % 1000;
  if (kind < 980) return 1000 + draw(state) % 30000;
  if (kind < 998) return 32768 + draw(state) % 900000;
  return (1 << 20) + draw(state) % (6 << 20);
}

static void note_live(size_t size) {
  const size_t now = atomic_fetch_add(&live_all, size) + size;
  size_t most = most_live;
  while (now > most && !atomic_compare_exchange_weak(&most_live, &most, now)) {}
}

static void* work(void* arg) {
  unsigned state = 17 + (unsigned)(size_t)arg;
  block_t* const blocks = calloc(BLOCKS_MAX, sizeof *blocks);
  if (blocks == NULL) return NULL;
  size_t count = 0, live = 0;
  for (int round = 0; round < rounds; round++) {
    for (int failures = 0; live < wanted && count < BLOCKS_MAX && failures < FAILURES_PER_ROUND;) {
      const size_t size = some_size(&state);
      errno = 0;
      unsigned char* const p = malloc(size);
      if (p == NULL) {
        failures++;
        failed++;
        unclean += errno != ENOMEM;
        continue;
      }
      memset(p, (int)size, size);
      blocks[count++] = (block_t){p, size};
      live += size;
      note_live(size);
    }
    for (size_t to = count / 2; count > to;) {
      const size_t i = draw(&state) % count;
      for (size_t at = 0; at < blocks[i].size; at += 4096)
        unclean += blocks[i].p[at] != (unsigned char)blocks[i].size;
      live -= blocks[i].size;
      live_all -= blocks[i].size;
      free(blocks[i].p);
      blocks[i] = blocks[--count];
    }
  }
  while (count > 0) {
    live_all -= blocks[--count].size;
    free(blocks[count].p);
  }
  free(blocks);
  return NULL;
}

static size_t resident_mib(void) {
  size_t total = 0, resident = 0;
  FILE* const file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%zu %zu", &total, &resident) != 2) exit(4);
  fclose(file);
  return resident / 256;
}

// Touches and frees MIB, and waits for up to five seconds until less than a quarter of it is resident.
static int wait_for_pressure(size_t mib) {
  static void* blocks[4096];
  for (size_t i = 0; i < mib / 2; i++) memset(blocks[i] = malloc(2 << 20), 1, 2 << 20);
  for (size_t i = 0; i < mib / 2; i++) free(blocks[i]);
  const size_t before = resident_mib();
  puts("ready");
  fflush(stdout);
  for (int i = 0; i < 50 && resident_mib() >= mib / 4; i++) usleep(100 * 1000);
  printf("%zu MiB resident after all was freed, %zu MiB at the end\n", before, resident_mib());
  return resident_mib() < mib / 4 ? 0 : 5;
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "pressure") == 0)
    return wait_for_pressure((size_t)atol(argv[2]));
  if (argc < 4) return 2;
  const int threads = atoi(argv[3]) < THREADS_MAX ? atoi(argv[3]) : THREADS_MAX;
  wanted = ((size_t)atol(argv[1]) << 20) / (size_t)threads;
  rounds = atoi(argv[2]);
  pthread_t ids[THREADS_MAX];
  for (int i = 0; i < threads; i++) {
    if (pthread_create(&ids[i], NULL, work, (void*)(size_t)i) != 0) return 3;
  }
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  printf("%zu allocations failed, at most %zu MiB live, %zu unclean\n", (size_t)failed,
         (size_t)most_live >> 20, (size_t)unclean);
  return unclean == 0 ? 0 : 1;
}
