// xmalloc: one half of the threads only allocates, the other half only frees (after Lever and
// Boreham, "malloc() Performance in a Multithreaded Linux Environment", 2000). Blocks travel in
// batches through a bounded queue. This asks for memory to find its way back to the threads that
// allocate, in bulk, without a lock around each block.
//
//   xmalloc [THREADS [OPERATIONS]]      2: a pair of a producer and a consumer
//
// The queue is a ring of boxes: the n-th batch goes through box n mod BOXES. Who must wait yields:
// a lock in the queue would sleep and wake more than any allocator does.
#include <sched.h>

#include "crew.h"

enum { BATCH = 256, BOXES = 64, SIZE_MIN = sizeof(block_t), SIZE_MAX_OF_BLOCK = 256, LINE = 64 };

typedef struct worker {
  pthread_t thread;
  size_t index;
  size_t batches;  // to produce, or of all producers together
  uint64_t checksum;
} worker_t;

// Written by all threads, each on cache lines of its own.
static struct {
  _Alignas(LINE) atomic_size_t sent;
  _Alignas(LINE) atomic_size_t received;
  _Alignas(LINE) box_t box[BOXES];
} queue;

static void send(block_t* list) {
  box_t* const box = &queue.box[atomic_fetch_add(&queue.sent, 1) % BOXES];
  for (;;) {
    void* empty = NULL;
    // Release: for the exchange in `receive`.
    if (atomic_compare_exchange_weak_explicit(box, &empty, list, memory_order_release,
                                              memory_order_relaxed)) {
      return;
    }
    sched_yield();
  }
}

// NULL after the last batch.
static block_t* receive(size_t batches) {
  const size_t number = atomic_fetch_add(&queue.received, 1);
  if (number >= batches) return NULL;
  box_t* const box = &queue.box[number % BOXES];
  for (;;) {
    block_t* const list = box_exchange(box, NULL);
    if (list != NULL) return list;
    sched_yield();
  }
}

static void* produce(void* argument_of_thread) {
  const worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->index);
  for (size_t batch = 0; batch < own->batches; batch++) {
    block_t* list = NULL;
    block_t** last = &list;
    for (size_t i = 0; i < BATCH; i++) {
      *last = block_make(&rng, SIZE_MIN + rng_below(&rng, SIZE_MAX_OF_BLOCK - SIZE_MIN + 1));
      last = &(*last)->next;
    }
    send(list);
  }
  return NULL;
}

static void* consume(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  uint64_t checksum = 0;
  for (block_t* list; (list = receive(own->batches)) != NULL;) checksum += list_end(list);
  own->checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 20000000);
  const size_t batches = operations / BATCH + 1;
  const size_t consumers = threads / 2;
  const size_t producers = threads - consumers;
  if (consumers == 0) {
    fprintf(stderr, "xmalloc: at least 2 threads\n");
    return 2;
  }

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++) {
    const bool producer = i < producers;
    workers[i] =
        (worker_t){.index = i, .batches = producer ? part_of(batches, producers, i) : batches};
    workers[i].thread = start_thread(producer ? produce : consume, &workers[i]);
  }
  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    checksum += workers[i].checksum;
  }
  free(workers);
  printf("xmalloc %zu -> %zu threads, %zu batches of %d: %016llx\n", producers, consumers, batches,
         BATCH, (unsigned long long)checksum);
  return rest();
}
