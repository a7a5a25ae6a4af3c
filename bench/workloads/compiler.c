// compiler: a heap that grows and stays, as that of a compiler with a large unit: by default 1.25 GiB of small
// nodes, which would fill 20 000 pages of 64 KiB. After each of them come short-lived lists, as for the passes over
// one function, freed before the next. This asks for never looking again at pages that are full and stay full.
//
//   compiler [MIB [FUNCTION_KIB]]        FUNCTION_KIB: nodes that stay, per function
#include "crew.h"

enum { SIZE_MIN = sizeof(block_t), SIZE_SPAN = 177, LIST = 300, TEMPORARY_SPAN = 1009 };

// Nodes that stay, linked behind `nodes`.
static block_t* declare(block_t* nodes, size_t bytes, rng_t* rng) {
  for (size_t made = 0; made < bytes;) {
    const size_t size = SIZE_MIN + rng_below(rng, SIZE_SPAN);
    block_t* const node = block_make(rng, size);
    node->next = nodes;
    nodes = node;
    made += size;
  }
  return nodes;
}

static uint64_t pass(rng_t* rng) {
  block_t* list = NULL;
  for (size_t i = 0; i < LIST; i++) {
    block_t* const block = block_make(rng, SIZE_MIN + rng_below(rng, TEMPORARY_SPAN));
    block->next = list;
    list = block;
  }
  return list_end(list);
}

int main(int argc, char** argv) {
  const size_t bytes = argument(argc, argv, 1, 1280) << 20;
  const size_t function = argument(argc, argv, 2, 64) << 10;
  rng_t rng = rng_seeded(0);
  block_t* nodes = NULL;
  uint64_t checksum = 0;
  for (size_t made = 0; made < bytes; made += function) {
    nodes = declare(nodes, function, &rng);
    checksum += pass(&rng);
  }
  checksum += list_end(nodes);
  printf("compiler %zu MiB: %016llx\n", bytes >> 20, (unsigned long long)checksum);
  return rest();
}
