// sh8: nothing is freed by the thread that allocated it (after the descriptions of MicroQuill's
// sh6bench and sh8bench). Threads make batches of blocks, runs of one size, and hand each whole
// batch to the next thread of a ring, which frees its first half in the order of allocation, its
// second half in reverse. This asks for cheap remote frees in both orders, without luck: no block
// ever comes back the short way.
//
//   sh8 [THREADS [OPERATIONS]]
#include "ring.h"

enum { BATCH = 1000, RUN = 16, SIZE_MIN = sizeof(block_t), SIZE_SPAN = 985 };

typedef struct batch {
  block_t* block[BATCH];
} batch_t;

typedef struct worker {
  hand_t hand;
  size_t batches;
  place_t place;
} worker_t;

// The smaller of two draws: the larger the rarer.
static size_t size_draw(rng_t* rng) {
  const size_t a = rng_below(rng, SIZE_SPAN);
  const size_t b = rng_below(rng, SIZE_SPAN);
  return SIZE_MIN + (a < b ? a : b);
}

static batch_t* batch_make(rng_t* rng) {
  batch_t* const batch = must_malloc(sizeof(batch_t));
  size_t size = 0;
  for (size_t i = 0; i < BATCH; i++) {
    if (i % RUN == 0) size = size_draw(rng);
    batch->block[i] = block_make(rng, size);
  }
  return batch;
}

static uint64_t batch_end(void* thing) {
  batch_t* const batch = thing;
  uint64_t checksum = 0;
  for (size_t i = 0; i < BATCH / 2; i++) checksum += block_end(batch->block[i]);
  for (size_t i = BATCH; i-- > BATCH / 2;) checksum += block_end(batch->block[i]);
  free(batch);
  return checksum;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->hand.index);
  place_t place = own->place;
  for (size_t i = 0; i < own->batches; i++) place_give(&place, batch_make(&rng));
  place_leave(&place);
  own->hand.checksum = place.checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 20000000);
  const size_t batches = operations / BATCH + 1;

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  box_t* const boxes = ring_make(threads);
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.batches = part_of(batches, threads, i)};
    workers[i].place = place_make(boxes, threads, i, batch_end);
  }
  const uint64_t checksum = crew_work(workers, sizeof *workers, threads, work);
  free(boxes);
  free(workers);
  printf("sh8 %zu threads, %zu batches of %d: %016llx\n", threads, batches, BATCH,
         (unsigned long long)checksum);
  return rest();
}
