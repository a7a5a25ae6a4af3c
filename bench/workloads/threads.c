// threads: several threads replace random blocks of their own; a share of the blocks is freed by
// others. A victim of that share is put into a mailbox, and whoever lay there before, most often a
// block of another thread, is freed instead. After a while each thread ends and leaves all its live
// blocks to a new one, which goes on replacing them. This asks for frees from other threads without
// waiting, for free memory to find its way back to a thread that allocates, and for nothing to be
// lost when threads end.
//
//   threads [THREADS [GENERATIONS [OPERATIONS [SHARE_PERCENT]]]]     operations: per thread
//
// What is allocated depends on the random streams alone, never on who meets whom in the mailbox;
// every block is counted once, when it is freed, so the sum is the same for every schedule.
#include <pthread.h>
#include <stdatomic.h>

#include "workload.h"

typedef struct block {
  uint64_t stamp;
  uint64_t size;
} block_t;

enum { LIVE_PER_THREAD = 5000, MAILBOX_COUNT = 1024 };

// One line of threads, each the heir of the one before. Touched by the running thread alone, and by
// the main thread between two of them.
typedef struct dynasty {
  pthread_t thread;
  rng_t rng;
  uint64_t checksum;
  size_t operations;
  size_t share_percent;
  block_t* blocks[LIVE_PER_THREAD];
} dynasty_t;

// Written by all threads. An exchange releases the block that goes in, for the acquire of the
// exchange that takes it out: its contents are then seen by the thread that frees it.
static _Atomic(block_t*) mailbox[MAILBOX_COUNT];

// 17-256 bytes, and every 64th block up to 4 KiB. The last byte, behind the header, is 0xA5.
static block_t* block_make(rng_t* rng) {
  const uint64_t draw = rng_next(rng);
  const size_t span = (draw >> 32) % 64 == 0 ? 4096 - sizeof(block_t) : 240;
  const size_t size = sizeof(block_t) + 1 + (size_t)(draw & 0xFFFFFF) % span;
  block_t* const block = must_malloc(size);
  *block = (block_t){.stamp = draw, .size = size};
  ((unsigned char*)block)[size - 1] = 0xA5;
  return block;
}

// Frees the block, if it is one; its contribution to the checksum.
static uint64_t block_end(block_t* block) {
  if (block == NULL) return 0;
  const uint64_t sum = block->stamp ^ block->size ^ ((unsigned char*)block)[block->size - 1];
  free(block);
  return sum;
}

static void* live(void* argument_of_thread) {
  dynasty_t* const own = argument_of_thread;
  for (size_t i = 0; i < own->operations; i++) {
    const uint64_t draw = rng_next(&own->rng);
    block_t** const victim = &own->blocks[(draw >> 32) % LIVE_PER_THREAD];
    block_t* dying = *victim;
    if (draw % 128 * 100 < own->share_percent * 128) {
      const size_t box = (draw >> 8) % MAILBOX_COUNT;
      dying = atomic_exchange_explicit(&mailbox[box], dying, memory_order_acq_rel);
    }
    own->checksum += block_end(dying);
    *victim = block_make(&own->rng);
  }
  return NULL;
}

static void start(dynasty_t* dynasty) {
  if (pthread_create(&dynasty->thread, NULL, live, dynasty) != 0) {
    fprintf(stderr, "cannot start a thread\n");
    exit(2);
  }
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, 4);
  const size_t generations = argument(argc, argv, 2, 40);
  const size_t operations = argument(argc, argv, 3, 250000);
  const size_t share_percent = argument(argc, argv, 4, 25);

  dynasty_t** const dynasties = must_malloc(threads * sizeof(dynasty_t*));
  for (size_t i = 0; i < threads; i++) {
    dynasty_t* const dynasty = dynasties[i] = must_malloc(sizeof(dynasty_t));
    *dynasty =
        (dynasty_t){.rng = rng_seeded(i), .operations = operations, .share_percent = share_percent};
    start(dynasty);
  }

  // Joined in turn: all threads do the same amount of work, so none waits long for its heir.
  for (size_t generation = 1; generation < generations; generation++) {
    for (size_t i = 0; i < threads; i++) {
      pthread_join(dynasties[i]->thread, NULL);
      start(dynasties[i]);
    }
  }

  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(dynasties[i]->thread, NULL);
    for (size_t k = 0; k < LIVE_PER_THREAD; k++) checksum += block_end(dynasties[i]->blocks[k]);
    checksum += dynasties[i]->checksum;
    free(dynasties[i]);
  }
  for (size_t i = 0; i < MAILBOX_COUNT; i++) {
    checksum += block_end(atomic_exchange_explicit(&mailbox[i], NULL, memory_order_acquire));
  }
  free(dynasties);
  printf("threads %zu x %zu x %zu, %zu %% shared: %016llx\n", threads, generations, operations,
         share_percent, (unsigned long long)checksum);
  return rest();
}
