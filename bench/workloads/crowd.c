// crowd: hundreds of threads that are alive at the same time and own little: 100 blocks of small sizes each, replaced
// a few at a time between waits. This asks for what a thread costs that hardly allocates:
// whoever gives each its own caches, arenas or pages pays for them all at once.
//
//   crowd [THREADS [OPERATIONS [TURNS]]]       OPERATIONS: of all threads together
#define _POSIX_C_SOURCE 200809L  // pthread_barrier
#include "crew.h"

enum { KEPT = 100, SIZE_MIN = sizeof(block_t), SIZE_SPAN = 497 };

typedef struct worker {
  pthread_t thread;
  size_t index;
  size_t operations;
  size_t turns;
  pthread_barrier_t* all_here;
  uint64_t checksum;
} worker_t;

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->index);
  block_t* blocks[KEPT] = {NULL};
  uint64_t checksum = 0;
  for (size_t turn = 0; turn < own->turns; turn++) {
    const size_t operations = part_of(own->operations, own->turns, turn);
    for (size_t i = 0; i < operations; i++) {
      block_t** const victim = &blocks[rng_below(&rng, KEPT)];
      checksum += block_end(*victim);
      *victim = block_make(&rng, SIZE_MIN + rng_below(&rng, SIZE_SPAN));
    }
    pthread_barrier_wait(own->all_here);
  }
  for (size_t i = 0; i < KEPT; i++) checksum += block_end(blocks[i]);
  own->checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, 400);
  const size_t operations = argument(argc, argv, 2, 20000000);
  const size_t turns = argument(argc, argv, 3, 20);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  pthread_barrier_t all_here;
  pthread_barrier_init(&all_here, NULL, (unsigned)threads);
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.index = i, .turns = turns, .all_here = &all_here};
    workers[i].operations = part_of(operations, threads, i);
    workers[i].thread = start_thread(work, &workers[i]);
  }
  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    checksum += workers[i].checksum;
  }
  pthread_barrier_destroy(&all_here);
  free(workers);
  printf("crowd %zu threads, %zu in %zu turns: %016llx\n", threads, operations, turns,
         (unsigned long long)checksum);
  return rest();
}
