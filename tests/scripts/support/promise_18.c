// 64 threads with blocks of many sizes, all alive; then one snapshot of the statistics, which callgrind counts.
#include <pthread.h>
#include <stdio.h>
#include "mimalloc-stats.h"

enum { THREADS = 64, BLOCKS = 200 };

static pthread_barrier_t filled, over;

static void* fill(void* arg) {
  void* blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) blocks[i] = mi_malloc(16 + i % 20 * 100);
  pthread_barrier_wait(&filled);
  pthread_barrier_wait(&over);
  for (size_t i = 0; i < BLOCKS; i++) mi_free(blocks[i]);
  return arg;
}

int main(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&filled, NULL, THREADS + 1);
  pthread_barrier_init(&over, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, fill, NULL) != 0) return 1;
  }
  pthread_barrier_wait(&filled);
  mi_stats_t_decl(stats);
  const bool got = mi_stats_get(&stats);
  pthread_barrier_wait(&over);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("%lld threads, %lld pages\n", (long long)stats.threads.current,
         (long long)stats.pages.current);
  return !got || stats.threads.current < THREADS;
}
