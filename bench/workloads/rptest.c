// rptest: blocks of 16 to 8000 bytes, small ones more often, a share of them freed by other threads
// (after the description of rpmalloc's benchmark). In each loop a thread replaces blocks of its
// own, scattered over all it has; one victim in five is not freed but put on a list, and at the end
// of the loop the list is left for another thread, and the list found there is freed. This asks for
// many size classes at once in every thread, and for remote frees that are a part of the life, not
// the whole of it.
//
//   rptest [THREADS [OPERATIONS [BLOCKS]]]
#include "crew.h"

enum { SIZE_MIN = sizeof(block_t), SIZE_SPAN = 7985, LOOP = 1000, FOREIGN_ONE_IN = 5 };

typedef struct worker {
  pthread_t thread;
  size_t index;
  size_t threads;
  size_t operations;
  size_t block_count;
  uint64_t checksum;
} worker_t;

static box_t* boxes;  // one for each thread

// The smaller of two draws: the larger the rarer.
static block_t* block_draw(rng_t* rng) {
  const size_t a = rng_below(rng, SIZE_SPAN);
  const size_t b = rng_below(rng, SIZE_SPAN);
  return block_make(rng, SIZE_MIN + (a < b ? a : b));
}

// Returns the list for another thread.
static block_t* loop(block_t** blocks, size_t block_count, size_t operations, rng_t* rng,
                     uint64_t* checksum) {
  block_t* list = NULL;
  for (size_t i = 0; i < operations; i++) {
    block_t** const victim = &blocks[rng_below(rng, block_count)];
    if (*victim != NULL && rng_below(rng, FOREIGN_ONE_IN) == 0) {
      (*victim)->next = list;
      list = *victim;
    } else {
      *checksum += block_end(*victim);
    }
    *victim = block_draw(rng);
  }
  return list;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->index);
  uint64_t checksum = 0;
  block_t** const blocks = must_malloc(own->block_count * sizeof(block_t*));
  for (size_t i = 0; i < own->block_count; i++) blocks[i] = NULL;

  size_t box = own->index;
  for (size_t done = 0; done < own->operations; done += LOOP) {
    const size_t left = own->operations - done;
    block_t* const list =
        loop(blocks, own->block_count, left < LOOP ? left : LOOP, &rng, &checksum);
    box = (box + 1) % own->threads;
    checksum += list_end(box_exchange(&boxes[box], list));
  }
  for (size_t i = 0; i < own->block_count; i++) checksum += block_end(blocks[i]);
  free(blocks);
  own->checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 15000000);
  const size_t blocks = argument(argc, argv, 3, 10000);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  boxes = must_malloc(threads * sizeof(box_t));
  for (size_t i = 0; i < threads; i++) atomic_init(&boxes[i], NULL);
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.index = i, .threads = threads};
    workers[i].operations = part_of(operations, threads, i);
    workers[i].block_count = part_of(blocks, threads, i) + 1;
    workers[i].thread = start_thread(work, &workers[i]);
  }
  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    checksum += workers[i].checksum;
  }
  for (size_t i = 0; i < threads; i++) checksum += list_end(box_exchange(&boxes[i], NULL));
  free(boxes);
  free(workers);
  printf("rptest %zu threads, %zu in %zu: %016llx\n", threads, operations, blocks,
         (unsigned long long)checksum);
  return 0;
}
