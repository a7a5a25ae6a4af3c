// What the workloads with several threads share: how many there are and what each does of the work,
// blocks that show whether they arrive whole, and boxes in which threads leave blocks for others.
//
// Everything is counted for all threads together (operations, live blocks), so another number of
// threads is the same work. What is allocated depends on the random streams alone, never on who
// meets whom, and every block is counted once, when it is freed: the sum is the same for every
// schedule and every allocator, unless a block is lost or damaged.
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "workload.h"

typedef struct block {
  struct block* next;  // in a list, on its way to another thread
  uint32_t stamp;
  uint32_t size;
} block_t;

enum { TOUCH_STEP = 4096 };

// Two for each core: some thread always waits for a core, with blocks in its hands.
static inline size_t default_threads(void) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? 2 * (size_t)cores : 2;
}

// The part of worker `index` in an amount of work.
static inline size_t part_of(size_t total, size_t workers, size_t index) {
  return total / workers + (index < total % workers);
}

static inline pthread_t start_thread(void* (*run)(void*), void* argument_of_thread) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument_of_thread) != 0) {
    fprintf(stderr, "cannot start a thread\n");
    exit(2);
  }
  return thread;
}

// What every worker has; its first member.
typedef struct hand {
  pthread_t thread;
  size_t index;
  uint64_t checksum;  // what it returns
} hand_t;

// Let each of the workers, of `size` bytes each, do its work; the sum of what they return.
static inline uint64_t crew_work(void* workers, size_t size, size_t count, void* (*work)(void*)) {
  unsigned char* const first = workers;
  for (size_t i = 0; i < count; i++) {
    hand_t* const hand = (hand_t*)(first + i * size);
    hand->index = i;
    hand->thread = start_thread(work, hand);
  }
  uint64_t checksum = 0;
  for (size_t i = 0; i < count; i++) {
    const hand_t* const hand = (const hand_t*)(first + i * size);
    pthread_join(hand->thread, NULL);
    checksum += hand->checksum;
  }
  return checksum;
}

// How blocks come and go: by malloc and free, or with SIZED as C++ does it, where `delete` says the size.
#if defined(SIZED) && SIZE_MAX == UINT32_MAX
void* operator_new(size_t size) __asm__("_Znwj");
void operator_delete(void* block, size_t size) __asm__("_ZdlPvj");
#elif defined(SIZED)
void* operator_new(size_t size) __asm__("_Znwm");
void operator_delete(void* block, size_t size) __asm__("_ZdlPvm");
#else
static inline void* operator_new(size_t size) { return must_malloc(size); }
static inline void operator_delete(void* block, size_t size) {
  (void)size;
  free(block);
}
#endif

// Of `size` bytes, at least sizeof(block_t). It is written to at both ends and in each 4 KiB.
static inline block_t* block_make(rng_t* rng, size_t size) {
  block_t* const block = operator_new(size);
  unsigned char* const bytes = (unsigned char*)block;
  *block = (block_t){.stamp = (uint32_t)(rng_next(rng) >> 32), .size = (uint32_t)size};
  for (size_t at = TOUCH_STEP; at < size; at += TOUCH_STEP) bytes[at] = 1;
  if (size > sizeof(block_t)) bytes[size - 1] = (unsigned char)block->stamp;
  return block;
}

// Frees the block, if it is one; its contribution to the checksum.
static inline uint64_t block_end(block_t* block) {
  if (block == NULL) return 0;
  const uint32_t size = block->size;
  const uint32_t stamp = block->stamp;
  if (size > sizeof(block_t) && ((unsigned char*)block)[size - 1] != (unsigned char)stamp) {
    fprintf(stderr, "a block of %u bytes is damaged\n", size);
    exit(1);
  }
  operator_delete(block, size);
  return (uint64_t)stamp * size;
}

static inline uint64_t list_end(block_t* list) {
  uint64_t sum = 0;
  while (list != NULL) {
    block_t* const block = list;
    list = block->next;
    sum += block_end(block);
  }
  return sum;
}

// A place for one block, list or batch; whoever puts something in takes what lay there before, so boxes
// hold a bounded amount. The exchange releases what goes in, for the acquire of the exchange that
// takes it out: its contents are then seen by the thread that frees it.
typedef _Atomic(void*) box_t;

static inline void* box_exchange(box_t* box, void* in) {
  return atomic_exchange_explicit(box, in, memory_order_acq_rel);
}

#endif
