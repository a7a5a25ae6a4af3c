// Rounds of P17: a heap, 100 blocks of 16 to 64 bytes in it, the end of both. The argument: how many rounds.
#include <stdlib.h>
#include "mimalloc.h"

static void round_of_a_heap(void) {
  mi_heap_t* const heap = mi_heap_new();
  if (heap == NULL) exit(1);
  for (size_t i = 0; i < 100; i++) {
    char* const p = mi_heap_malloc(heap, 16 + i * 7 % 49);
    if (p == NULL) exit(1);
    *p = 1;
  }
  mi_heap_destroy(heap);
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < rounds; i++) round_of_a_heap();
  return 0;
}
