// large: blocks of 5 to 25 MiB, up to 20 of them at a time, as programs have them that work on pictures or matrices.
// Random ones are replaced, and each is written to, one byte in 4 KiB. This asks for large memory that is used
// again while it is warm: who maps and unmaps each block pays for all its page faults, who keeps too much, in RSS.
//
//   large [OPERATIONS [LIVE]]
#include "crew.h"

enum { MIB = 1 << 20, SIZE_MIN = 5 * MIB, SIZE_SPAN = 20 * MIB };

int main(int argc, char** argv) {
  const size_t operations = argument(argc, argv, 1, 300);
  const size_t live = argument(argc, argv, 2, 20);
  block_t** const blocks = must_malloc(live * sizeof(block_t*));
  for (size_t i = 0; i < live; i++) blocks[i] = NULL;

  rng_t rng = rng_seeded(live);
  uint64_t checksum = 0;
  for (size_t i = 0; i < operations; i++) {
    block_t** const victim = &blocks[rng_below(&rng, live)];
    checksum += block_end(*victim);
    *victim = block_make(&rng, SIZE_MIN + rng_below(&rng, SIZE_SPAN));
  }
  for (size_t i = 0; i < live; i++) checksum += block_end(blocks[i]);
  free(blocks);
  printf("large %zu of %zu: %016llx\n", operations, live, (unsigned long long)checksum);
  return rest();
}
