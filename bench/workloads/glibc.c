// glibc: the two benchmarks that the C library measures its own malloc with (after their descriptions).
//
//   glibc simple [PAIRS]                 blocks of one size, then all freed, for 16 sizes and 4 counts
//   glibc thread [THREADS [PAIRS]]       each thread replaces random ones of 1024 blocks, small sizes most often
//
// `simple` asks for the fastest way for plain code: no threads, no mixture, nothing to search. `thread` asks
// whether threads with small working sets of their own stay out of each other's way.
#include <string.h>

#include "crew.h"

enum { COUNT_MAX = 1600, WORKING_SET = 1024, SIZE_SPAN = 4080 };

static const size_t sizes[] = {16,  32,  48,  64,  96,  128,  192,  256,
                               384, 512, 640, 768, 896, 1024, 2048, 4096};
static const size_t counts[] = {25, 100, 400, COUNT_MAX};

static uint64_t rounds_of(size_t size, size_t count, size_t pairs, rng_t* rng) {
  static block_t* blocks[COUNT_MAX];
  uint64_t checksum = 0;
  for (size_t done = 0; done < pairs; done += count) {
    for (size_t i = 0; i < count; i++) blocks[i] = block_make(rng, size);
    for (size_t i = 0; i < count; i++) checksum += block_end(blocks[i]);
  }
  return checksum;
}

static int simple(size_t pairs) {
  const size_t size_count = sizeof sizes / sizeof sizes[0];
  const size_t count_count = sizeof counts / sizeof counts[0];
  const size_t share = pairs / size_count / count_count + 1;
  rng_t rng = rng_seeded(0);
  uint64_t checksum = 0;
  for (size_t c = 0; c < count_count; c++) {
    for (size_t s = 0; s < size_count; s++) checksum += rounds_of(sizes[s], counts[c], share, &rng);
  }
  printf("glibc simple %zu: %016llx\n", pairs, (unsigned long long)checksum);
  return rest();
}

typedef struct worker {
  hand_t hand;
  size_t pairs;
} worker_t;

// The square of an even draw: half of the blocks are below a quarter of the span.
static size_t size_draw(rng_t* rng) {
  const size_t draw = rng_below(rng, SIZE_SPAN);
  return sizeof(block_t) + draw * draw / SIZE_SPAN;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->hand.index);
  block_t* blocks[WORKING_SET] = {NULL};
  uint64_t checksum = 0;
  for (size_t i = 0; i < own->pairs; i++) {
    block_t** const victim = &blocks[rng_below(&rng, WORKING_SET)];
    checksum += block_end(*victim);
    *victim = block_make(&rng, size_draw(&rng));
  }
  for (size_t i = 0; i < WORKING_SET; i++) checksum += block_end(blocks[i]);
  own->hand.checksum = checksum;
  return NULL;
}

static int thread(size_t threads, size_t pairs) {
  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++) workers[i] = (worker_t){.pairs = part_of(pairs, threads, i)};
  const uint64_t checksum = crew_work(workers, sizeof *workers, threads, work);
  free(workers);
  printf("glibc thread %zu threads, %zu: %016llx\n", threads, pairs, (unsigned long long)checksum);
  return rest();
}

int main(int argc, char** argv) {
  const char* const name = argc > 1 ? argv[1] : "simple";
  if (strcmp(name, "simple") == 0) return simple(argument(argc, argv, 2, 15000000));
  if (strcmp(name, "thread") == 0) {
    const size_t threads = argument(argc, argv, 2, default_threads());
    return thread(threads, argument(argc, argv, 3, 40000000));
  }
  fprintf(stderr, "usage: glibc simple [PAIRS] | glibc thread [THREADS [PAIRS]]\n");
  return 2;
}
