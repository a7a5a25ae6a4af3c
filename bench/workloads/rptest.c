// rptest: blocks of 16 to 8000 bytes, small ones more often, a share of them freed by other threads
// (after the description of rpmalloc's benchmark). In each loop a thread replaces blocks of its
// own, scattered over all it has; one victim in five is not freed but put on a list, and at the end
// of the loop the list goes to the next thread of a ring, which frees it. This asks for many size
// classes at once in every thread, and for remote frees that are a part of the life, not the whole
// of it.
//
//   rptest [THREADS [OPERATIONS [BLOCKS]]]
#include "ring.h"

enum { SIZE_MIN = sizeof(block_t), SIZE_SPAN = 7985, LOOP = 1000, FOREIGN_ONE_IN = 5 };

typedef struct worker {
  hand_t hand;
  size_t operations;
  size_t block_count;
  place_t place;
} worker_t;

static uint64_t list_free(void* list) { return list_end(list); }

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
  rng_t rng = rng_seeded(own->hand.index);
  place_t place = own->place;
  block_t** const blocks = must_malloc(own->block_count * sizeof(block_t*));
  for (size_t i = 0; i < own->block_count; i++) blocks[i] = NULL;

  for (size_t done = 0; done < own->operations; done += LOOP) {
    const size_t left = own->operations - done;
    block_t* const list =
        loop(blocks, own->block_count, left < LOOP ? left : LOOP, &rng, &place.checksum);
    place_give(&place, list);
  }
  place_leave(&place);
  for (size_t i = 0; i < own->block_count; i++) place.checksum += block_end(blocks[i]);
  free(blocks);
  own->hand.checksum = place.checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 10000000);
  const size_t blocks = argument(argc, argv, 3, 10000);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  box_t* const boxes = ring_make(threads);
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.operations = part_of(operations, threads, i)};
    workers[i].place = place_make(boxes, threads, i, list_free);
    workers[i].block_count = part_of(blocks, threads, i) + 1;
  }
  const uint64_t checksum = crew_work(workers, sizeof *workers, threads, work);
  free(boxes);
  free(workers);
  printf("rptest %zu threads, %zu in %zu: %016llx\n", threads, operations, blocks,
         (unsigned long long)checksum);
  return rest();
}
