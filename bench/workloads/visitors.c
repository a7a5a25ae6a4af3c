// visitors: threads that come, allocate and leave, some at the same time, a hundred in all. A
// visitor replaces random blocks of its own; when it leaves it frees most of them, and an eighth
// goes to a later visitor, who frees it. This asks for a start and an end of threads that take no
// turns at a lock, and for the memory of the dead to be found by the newly born.
//
//   visitors [THREADS [OPERATIONS [VISITORS]]]      THREADS: at the same time
#include "crew.h"

enum { KEPT = 1000, LEFT_ONE_IN = 8, SIZE_MIN = sizeof(block_t), SIZE_SPAN = 1009 };

typedef struct visitor {
  pthread_t thread;
  size_t index;
  size_t operations;
  box_t* box;
  uint64_t checksum;
} visitor_t;

static void* visit(void* argument_of_thread) {
  visitor_t* const own = argument_of_thread;
  rng_t rng = rng_seeded(own->index);
  uint64_t checksum = 0;
  block_t* blocks[KEPT] = {NULL};
  for (size_t i = 0; i < own->operations; i++) {
    block_t** const victim = &blocks[rng_below(&rng, KEPT)];
    checksum += block_end(*victim);
    *victim = block_make(&rng, SIZE_MIN + rng_below(&rng, SIZE_SPAN));
  }
  block_t* list = NULL;
  for (size_t i = 0; i < KEPT; i++) {
    if (i % LEFT_ONE_IN != 0 || blocks[i] == NULL) {
      checksum += block_end(blocks[i]);
    } else {
      blocks[i]->next = list;
      list = blocks[i];
    }
  }
  own->checksum = checksum + list_end(box_exchange(own->box, list));
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 60000000);
  const size_t visitors = argument(argc, argv, 3, 100);

  visitor_t* const guests = must_malloc(visitors * sizeof(visitor_t));
  box_t box = NULL;
  for (size_t i = 0; i < visitors; i++) {
    if (i >= threads) pthread_join(guests[i - threads].thread, NULL);
    guests[i] = (visitor_t){.index = i, .box = &box};
    guests[i].operations = part_of(operations, visitors, i);
    guests[i].thread = start_thread(visit, &guests[i]);
  }
  uint64_t checksum = 0;
  for (size_t i = 0; i < visitors; i++) {
    if (i + threads >= visitors) pthread_join(guests[i].thread, NULL);
    checksum += guests[i].checksum;
  }
  checksum += list_end(box_exchange(&box, NULL));
  free(guests);
  printf("visitors %zu of %zu at a time, %zu: %016llx\n", threads, visitors, operations,
         (unsigned long long)checksum);
  return rest();
}
