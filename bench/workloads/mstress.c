// mstress: rounds of threads with a buffer of blocks between them (after the description of
// mimalloc's stress test). A thread replaces random blocks of its own and exchanges one in four of
// the new ones for what lies in a random place of the shared buffer. At the end of a round it frees
// what it has and ends; the shared blocks live on, a quarter of them until the main thread frees
// it, and the next round begins with new threads. This asks for quick starts and ends of threads,
// and for sizes to be mixed: one block in 64 has up to 8 KiB, one in 2048 up to 256 KiB.
//
//   mstress [THREADS [OPERATIONS [ROUNDS]]]
#include "crew.h"

enum {
  SHARED = 1000,  // places in the buffer
  KEPT = 8000,    // blocks of all threads together
  SIZE_MIN = sizeof(block_t),
  SIZE_SPAN = 497,  // sizes to 512
};

typedef struct worker {
  pthread_t thread;
  rng_t rng;
  size_t operations;  // in a round
  size_t kept;
  uint64_t checksum;
} worker_t;

static box_t shared[SHARED];

static size_t size_draw(rng_t* rng) {
  const size_t rarity = rng_below(rng, 2048);
  const size_t unit = rarity == 0 ? 512 : rarity % 64 == 0 ? 16 : 1;
  return (SIZE_MIN + rng_below(rng, SIZE_SPAN)) * unit;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = own->rng;
  uint64_t checksum = 0;
  block_t** const blocks = must_malloc(own->kept * sizeof(block_t*));
  for (size_t i = 0; i < own->kept; i++) blocks[i] = NULL;

  for (size_t i = 0; i < own->operations; i++) {
    block_t** const victim = &blocks[rng_below(&rng, own->kept)];
    checksum += block_end(*victim);
    *victim = block_make(&rng, size_draw(&rng));
    const size_t draw = rng_below(&rng, 4 * SHARED);
    if (draw < SHARED) *victim = box_exchange(&shared[draw], *victim);
  }
  for (size_t i = 0; i < own->kept; i++) checksum += block_end(blocks[i]);
  free(blocks);
  own->rng = rng;
  own->checksum += checksum;
  return NULL;
}

static uint64_t shared_end(size_t first, size_t step) {
  uint64_t checksum = 0;
  for (size_t i = first; i < SHARED; i += step)
    checksum += block_end(box_exchange(&shared[i], NULL));
  return checksum;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 30000000);
  const size_t rounds = argument(argc, argv, 3, 20);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.rng = rng_seeded(i), .kept = part_of(KEPT, threads, i) + 1};
  }
  uint64_t checksum = 0;
  for (size_t round = 0; round < rounds; round++) {
    const size_t in_round = part_of(operations, rounds, round);
    for (size_t i = 0; i < threads; i++) {
      workers[i].operations = part_of(in_round, threads, i);
      workers[i].thread = start_thread(work, &workers[i]);
    }
    for (size_t i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);
    checksum += shared_end(round % 4, 4);
  }
  checksum += shared_end(0, 1);
  for (size_t i = 0; i < threads; i++) checksum += workers[i].checksum;
  free(workers);
  printf("mstress %zu threads, %zu in %zu rounds: %016llx\n", threads, operations, rounds,
         (unsigned long long)checksum);
  return rest();
}
