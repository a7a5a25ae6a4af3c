// sh6: threads that need nobody (after the description of MicroQuill's sh6bench). Each thread makes batches
// of blocks in runs of one size, small ones most often. Half of a batch is freed at once, in the order of
// allocation; the other half outlives the next batch and is then freed in reverse. This asks for threads that
// do not get in each other's way, and for batches that find the memory of the batch before the last.
//
//   sh6 [THREADS [OPERATIONS]]
#include "crew.h"

enum { BATCH = 4000, RUN = 20, SIZE_MIN = sizeof(block_t), SIZE_SPAN = 985 };

typedef struct worker {
  hand_t hand;
  size_t batches;
} worker_t;

// The smallest of three draws.
static size_t size_draw(rng_t* rng) {
  size_t smallest = SIZE_SPAN;
  for (int i = 0; i < 3; i++) {
    const size_t size = rng_below(rng, SIZE_SPAN);
    if (size < smallest) smallest = size;
  }
  return SIZE_MIN + smallest;
}

static void batch_fill(block_t** batch, rng_t* rng) {
  size_t size = 0;
  for (size_t i = 0; i < BATCH; i++) {
    if (i % RUN == 0) size = size_draw(rng);
    batch[i] = block_make(rng, size);
  }
}

// Every second block, in order.
static uint64_t end_even(block_t** batch) {
  uint64_t checksum = 0;
  for (size_t i = 0; i < BATCH; i += 2) checksum += block_end(batch[i]);
  return checksum;
}

// The others, in reverse.
static uint64_t end_odd(block_t** batch) {
  uint64_t checksum = 0;
  for (size_t i = BATCH; i > 0; i -= 2) checksum += block_end(batch[i - 1]);
  return checksum;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->hand.index);
  block_t** const batches = must_malloc(2 * BATCH * sizeof(block_t*));
  uint64_t checksum = 0;
  for (size_t i = 0; i < own->batches; i++) {
    block_t** const batch = batches + i % 2 * BATCH;
    if (i >= 2) checksum += end_odd(batch);
    batch_fill(batch, &rng);
    checksum += end_even(batch);
  }
  for (size_t i = 0; i < 2 && i < own->batches; i++) checksum += end_odd(batches + i * BATCH);
  free(batches);
  own->hand.checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 40000000);
  const size_t batches = operations / BATCH + 1;

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++)
    workers[i] = (worker_t){.batches = part_of(batches, threads, i)};
  const uint64_t checksum = crew_work(workers, sizeof *workers, threads, work);
  free(workers);
  printf("sh6 %zu threads, %zu batches of %d: %016llx\n", threads, batches, BATCH,
         (unsigned long long)checksum);
  return rest();
}
