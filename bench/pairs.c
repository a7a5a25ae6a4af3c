// pairs: instructions (under callgrind, see `icount.sh`) or nanoseconds per malloc+free pair.
//
//   pairs PATTERN SIZE ROUNDS        ROUNDS of 1000 pairs
//     none     no pair at all: what the loop itself costs
//     lifo1    one block, freed at once
//     batch    1000 blocks, then all of them freed in the same order
//     random   1000 live blocks, a random one replaced by one of the same size
//     mixed    1000 live blocks, a random one replaced by one of 8 .. SIZE+7 bytes
//     remote   1000 blocks, freed by another thread that is started for it
#define _POSIX_C_SOURCE 200809L  // clock_gettime
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAIRS_PER_ROUND = 1000 };

static void* box[PAIRS_PER_ROUND];
static void* volatile sink;  // keeps the compiler from seeing that a block is not used

static uint64_t rnd(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(size_t size) {
  for (int i = 0; i < PAIRS_PER_ROUND; i++) box[i] = malloc(size);
}

static void* empty(void* unused) {
  for (int i = 0; i < PAIRS_PER_ROUND; i++) free(box[i]);
  return unused;
}

static void none(size_t size) {
  (void)size;
  for (int i = 0; i < PAIRS_PER_ROUND; i++) sink = box;
}

static void lifo1(size_t size) {
  for (int i = 0; i < PAIRS_PER_ROUND; i++) {
    void* const block = malloc(size);
    sink = block;
    free(block);
  }
}

static void batch(size_t size) {
  fill(size);
  empty(NULL);
}

static void replace_random(size_t size) {
  for (int i = 0; i < PAIRS_PER_ROUND; i++) {
    void** const victim = &box[rnd() % PAIRS_PER_ROUND];
    free(*victim);
    *victim = malloc(size);
  }
}

static void replace_mixed(size_t size) {
  for (int i = 0; i < PAIRS_PER_ROUND; i++) {
    const uint64_t draw = rnd();
    void** const victim = &box[draw % PAIRS_PER_ROUND];
    free(*victim);
    *victim = malloc(8 + (draw >> 32) % size);
  }
}

static void remote(size_t size) {
  fill(size);
  pthread_t thread;
  if (pthread_create(&thread, NULL, empty, NULL) != 0) exit(2);
  pthread_join(thread, NULL);
}

typedef struct pattern {
  const char* name;
  void (*round)(size_t size);
  int starts_full;
} pattern_t;

static const pattern_t patterns[] = {
    {"none", none, 0},           {"lifo1", lifo1, 0},
    {"batch", batch, 0},         {"random", replace_random, 1},
    {"mixed", replace_mixed, 1}, {"remote", remote, 0},
};

int main(int argc, char** argv) {
  const size_t size = argc == 4 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
  const long rounds = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0] && size > 0 && rounds > 0; i++) {
    const pattern_t* const pattern = &patterns[i];
    if (strcmp(pattern->name, argv[1]) != 0) continue;
    if (pattern->starts_full) fill(size);
    const double begin = now();
    for (long round = 0; round < rounds; round++) pattern->round(size);
    const double spent = now() - begin;
    const long pairs = rounds * PAIRS_PER_ROUND;
    printf("%.2f ns/pair %ld\n", spent * 1e9 / (double)pairs, pairs);
    return 0;
  }
  fprintf(stderr, "usage: pairs none|lifo1|batch|random|mixed|remote SIZE ROUNDS\n");
  return 2;
}
