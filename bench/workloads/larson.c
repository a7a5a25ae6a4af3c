// larson: a server that hands its connections on (after Larson and Krishnan, "Memory Allocation for
// Long-Running Server Applications", 1998). Each thread keeps an array of blocks and replaces
// random ones by blocks of random sizes; after a while it starts a successor, leaves it the whole
// array and ends. This asks for blocks that outlive their threads without memory that dies with
// them: almost every block is freed by a descendant of the thread that allocated it.
//
//   larson [THREADS [OPERATIONS [BLOCKS [LIFE]]]]     LIFE: operations of one thread
//
// A thread ends while its successor already works, as in a server; it is joined by that successor.
#include <semaphore.h>

#include "crew.h"

enum { SIZE_MIN = sizeof(block_t), SIZE_MAX_OF_BLOCK = 1000 };

// Threads that follow each other. Touched by the running one alone, and by the main thread before
// the first and after the last.
typedef struct line {
  rng_t rng;
  uint64_t checksum;
  size_t operations;  // left for this thread and its successors
  size_t life;
  size_t block_count;
  block_t** blocks;
  bool has_elder;
  pthread_t elder;  // who came before
  sem_t ended;
} line_t;

static block_t* block_draw(rng_t* rng) {
  return block_make(rng, SIZE_MIN + rng_below(rng, SIZE_MAX_OF_BLOCK - SIZE_MIN + 1));
}

static uint64_t replace(block_t** blocks, size_t block_count, size_t operations, rng_t* rng) {
  uint64_t checksum = 0;
  for (size_t i = 0; i < operations; i++) {
    block_t** const victim = &blocks[rng_below(rng, block_count)];
    checksum += block_end(*victim);
    *victim = block_draw(rng);
  }
  return checksum;
}

static void* serve(void* argument_of_thread) {
  line_t* const line = argument_of_thread;
  const size_t operations = line->operations < line->life ? line->operations : line->life;
  rng_t rng = line->rng;
  line->checksum += replace(line->blocks, line->block_count, operations, &rng);
  line->rng = rng;
  line->operations -= operations;

  if (line->has_elder) pthread_join(line->elder, NULL);
  line->has_elder = true;
  line->elder = pthread_self();
  if (line->operations > 0) {
    start_thread(serve, line);
  } else {
    sem_post(&line->ended);
  }
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 30000000);
  const size_t blocks = argument(argc, argv, 3, 20000);
  const size_t life = argument(argc, argv, 4, 50000);

  line_t* const lines = must_malloc(threads * sizeof(line_t));
  for (size_t i = 0; i < threads; i++) {
    line_t* const line = &lines[i];
    *line = (line_t){.rng = rng_seeded(i), .life = life};
    line->operations = part_of(operations, threads, i);
    line->block_count = part_of(blocks, threads, i) + 1;
    line->blocks = must_malloc(line->block_count * sizeof(block_t*));
    for (size_t k = 0; k < line->block_count; k++) line->blocks[k] = block_draw(&line->rng);
    sem_init(&line->ended, 0, 0);
  }
  for (size_t i = 0; i < threads; i++) start_thread(serve, &lines[i]);

  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    line_t* const line = &lines[i];
    while (sem_wait(&line->ended) != 0) continue;
    pthread_join(line->elder, NULL);
    for (size_t k = 0; k < line->block_count; k++) checksum += block_end(line->blocks[k]);
    checksum += line->checksum;
    sem_destroy(&line->ended);
    free(line->blocks);
  }
  free(lines);
  printf("larson %zu threads, %zu in %zu, life %zu: %016llx\n", threads, operations, blocks, life,
         (unsigned long long)checksum);
  return rest();
}
