// replace: an array of live blocks; a random victim is freed and replaced by a block of a random
// size, without end. Sizes, ages and neighbours mix until the heap is in its steady state, so this
// asks how well freed blocks are found again (time) and how dense the heap stays (peak RSS).
//
//   replace [MIX [OPERATIONS [LIVE]]]
//     small   16-128 B, 100 000 live   more pages than the cache holds: page reuse decides
//     middle  8-508 B, 5 000 live      fits the cache: the length of the paths decides
//     skewed  16 B-32 KiB, 20 000 live each doubling rarer than the one below: fragmentation
//     decides
//
// A block carries its serial number and size at its start, and one byte of the serial at its end
// and in each 4 KiB; they are checked when it is freed and summed up to the line that is printed.
#include <stdbool.h>
#include <string.h>

#include "workload.h"

typedef struct block {
  uint32_t serial;
  uint32_t size;
} block_t;

typedef struct mix {
  const char* name;
  size_t live;
  size_t operations;
  size_t (*draw_size)(rng_t*);
} mix_t;

enum { TOUCH_STEP = 4096 };

static size_t small_size(rng_t* rng) { return 16 + rng_below(rng, 113); }
static size_t middle_size(rng_t* rng) { return 8 + rng_below(rng, 501); }

// The smaller of two random doublings between 16 B and 16 KiB, then uniform within the doubling.
static size_t skewed_size(rng_t* rng) {
  const size_t a = rng_below(rng, 11);
  const size_t b = rng_below(rng, 11);
  const size_t low = (size_t)16 << (a < b ? a : b);
  return low + rng_below(rng, low + 1);
}

static const mix_t mixes[] = {
    {"small", 100000, 25000000, small_size},
    {"middle", 5000, 80000000, middle_size},
    {"skewed", 20000, 20000000, skewed_size},
};

static block_t* block_make(uint32_t serial, size_t size) {
  block_t* const block = must_malloc(size);
  unsigned char* const bytes = (unsigned char*)block;
  *block = (block_t){.serial = serial, .size = (uint32_t)size};
  for (size_t at = TOUCH_STEP; at < size; at += TOUCH_STEP) bytes[at] = (unsigned char)serial;
  if (size > sizeof(block_t)) bytes[size - 1] = (unsigned char)serial;
  return block;
}

// The contribution of a block to the checksum. Ends the program if the block was written over.
static uint64_t block_check(const block_t* block) {
  const unsigned char* const bytes = (const unsigned char*)block;
  const unsigned char stamp = (unsigned char)block->serial;
  bool whole = block->size <= sizeof(block_t) || bytes[block->size - 1] == stamp;
  for (size_t at = TOUCH_STEP; at < block->size; at += TOUCH_STEP) whole &= bytes[at] == stamp;
  if (!whole) {
    fprintf(stderr, "block %u of %u bytes is damaged\n", block->serial, block->size);
    exit(1);
  }
  return (uint64_t)block->serial * block->size;
}

static uint64_t replace(const mix_t* mix, size_t operations, size_t live) {
  rng_t rng = rng_seeded(live);
  block_t** const blocks = must_malloc(live * sizeof(block_t*));
  uint64_t checksum = 0;
  uint32_t serial = 0;

  for (size_t i = 0; i < live; i++) blocks[i] = block_make(serial++, mix->draw_size(&rng));
  for (size_t i = 0; i < operations; i++) {
    block_t** const victim = &blocks[rng_below(&rng, live)];
    checksum += block_check(*victim);
    free(*victim);
    *victim = block_make(serial++, mix->draw_size(&rng));
  }
  for (size_t i = 0; i < live; i++) {
    checksum += block_check(blocks[i]);
    free(blocks[i]);
  }
  free(blocks);
  return checksum;
}

int main(int argc, char** argv) {
  const char* const name = argc > 1 ? argv[1] : "small";
  for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
    const mix_t* const mix = &mixes[i];
    if (strcmp(mix->name, name) != 0) continue;
    const size_t operations = argument(argc, argv, 2, mix->operations);
    const size_t live = argument(argc, argv, 3, mix->live);
    const uint64_t checksum = replace(mix, operations, live);
    printf("replace %s %zu of %zu: %016llx\n", name, operations, live,
           (unsigned long long)checksum);
    return rest();
  }
  fprintf(stderr, "usage: replace [small|middle|skewed [OPERATIONS [LIVE]]]\n");
  return 2;
}
