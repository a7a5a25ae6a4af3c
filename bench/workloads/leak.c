// leak: threads that forget some of what they allocate, and a process that ends with all that in place. Each
// thread replaces blocks, drops one in 32 instead of freeing it, and leaves its last ones behind when it ends.
// This asks for pages with a few dead blocks to serve the next threads, for no search through
// them again and again, and for an end of the process that does not tidy up.
//
//   leak [THREADS [OPERATIONS [GENERATIONS]]]      THREADS: of one generation, at the same time
#include "crew.h"

enum { KEPT = 500, DROPPED_ONE_IN = 32, SIZE_MIN = sizeof(block_t), SIZE_SPAN = 1009 };

typedef struct worker {
  pthread_t thread;
  size_t index;
  size_t operations;
  uint64_t checksum;
} worker_t;

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->index);
  block_t* blocks[KEPT] = {NULL};
  uint64_t checksum = 0;
  for (size_t i = 0; i < own->operations; i++) {
    block_t** const victim = &blocks[rng_below(&rng, KEPT)];
    if (rng_below(&rng, DROPPED_ONE_IN) != 0) checksum += block_end(*victim);
    *victim = block_make(&rng, SIZE_MIN + rng_below(&rng, SIZE_SPAN));
  }
  own->checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 10000000);
  const size_t generations = argument(argc, argv, 3, 50);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  uint64_t checksum = 0;
  for (size_t g = 0; g < generations; g++) {
    for (size_t i = 0; i < threads; i++) {
      const size_t index = g * threads + i;
      workers[i] = (worker_t){.index = index};
      workers[i].operations = part_of(operations, threads * generations, index);
      workers[i].thread = start_thread(work, &workers[i]);
    }
    for (size_t i = 0; i < threads; i++) {
      pthread_join(workers[i].thread, NULL);
      checksum += workers[i].checksum;
    }
  }
  printf("leak %zu threads, %zu in %zu generations: %016llx\n", threads, operations, generations,
         (unsigned long long)checksum);
  return rest();  // the blocks that are left are the point; so `workers` may stay, too
}
