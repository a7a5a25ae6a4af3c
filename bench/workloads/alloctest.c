// alloctest: random blocks in random slots (after the description of the "alloc-test" by S. Ignatchenko
// and others, 2018). Each thread draws slots, a few of them far more often than the others; what is in the
// slot is read and freed, an empty slot gets a block, which is written. All powers of two are
// equally likely, so small blocks are many and large ones most of the memory. This asks for malloc and
// free as a program sees them that also uses its memory: the fewer cache lines the allocator needs, the better.
//
//   alloctest [THREADS [OPERATIONS [SLOTS]]]
#include <string.h>

#include "crew.h"

enum { SIZE_LOG_MIN = 4, SIZE_LOG_SPAN = 7, HOT_PERCENT = 80, HOT_SLOTS_PERCENT = 20 };

typedef struct worker {
  hand_t hand;
  size_t operations;
  size_t slot_count;
} worker_t;

// 16 .. 2047 bytes: first the power of two, then the place between it and the next.
static size_t size_draw(rng_t* rng) {
  const size_t power = (size_t)1 << (SIZE_LOG_MIN + rng_below(rng, SIZE_LOG_SPAN));
  return power + rng_below(rng, power);
}

static size_t slot_draw(rng_t* rng, size_t slot_count) {
  const size_t hot = slot_count * HOT_SLOTS_PERCENT / 100 + 1;
  return rng_below(rng, rng_below(rng, 100) < HOT_PERCENT ? hot : slot_count);
}

static block_t* filled(rng_t* rng) {
  const size_t size = size_draw(rng);
  block_t* const block = block_make(rng, size);
  memset(block + 1, (int)(block->stamp & 0xFF), size - sizeof(block_t));
  return block;
}

// The sum of its bytes; then it is freed.
static uint64_t used_up(block_t* block) {
  uint64_t sum = 0;
  const unsigned char* const bytes = (const unsigned char*)block;
  for (size_t i = sizeof(block_t); i < block->size; i++) sum += bytes[i];
  return sum + block_end(block);
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  block_t** const slots = must_malloc(own->slot_count * sizeof(block_t*));
  memset(slots, 0, own->slot_count * sizeof(block_t*));
  rng_t rng = rng_seeded(own->hand.index);
  uint64_t checksum = 0;
  for (size_t i = 0; i < own->operations; i++) {
    block_t** const slot = &slots[slot_draw(&rng, own->slot_count)];
    if (*slot == NULL) {
      *slot = filled(&rng);
    } else {
      checksum += used_up(*slot);
      *slot = NULL;
    }
  }
  for (size_t i = 0; i < own->slot_count; i++) {
    if (slots[i] != NULL) checksum += used_up(slots[i]);
  }
  free(slots);
  own->hand.checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const size_t threads = argument(argc, argv, 1, default_threads());
  const size_t operations = argument(argc, argv, 2, 12000000);
  const size_t slots = argument(argc, argv, 3, 40000);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.operations = part_of(operations, threads, i)};
    workers[i].slot_count = part_of(slots, threads, i) + 1;
  }
  const uint64_t checksum = crew_work(workers, sizeof *workers, threads, work);
  free(workers);
  printf("alloctest %zu threads, %zu in %zu: %016llx\n", threads, operations, slots,
         (unsigned long long)checksum);
  return rest();
}
