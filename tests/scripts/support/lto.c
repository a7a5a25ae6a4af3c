// What an optimiser that sees malloc and free could get wrong: stores into blocks just freed (our links),
// memory taken to be new, zeros taken to be there already. Compiled with link-time optimisation, and
// without -fno-builtin, by compilers.sh.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mimalloc.h"

enum { BLOCKS = 2000, ROUNDS = 50 };

typedef struct node_s {
  struct node_s* next;
  uint64_t stamp[3];
} node_t;

static void stop(const char* what) {
  fprintf(stderr, "lto: %s\n", what);
  exit(1);
}

static node_t* make(node_t* next, uint64_t stamp) {
  node_t* const node = malloc(sizeof *node);
  node->next = next;
  for (int i = 0; i < 3; i++) node->stamp[i] = stamp + (uint64_t)i;
  return node;
}

// The last thing done to a block before it is freed is a store that nobody reads.
static node_t* unmake(node_t* node, uint64_t stamp) {
  node_t* const next = node->next;
  for (int i = 0; i < 3; i++) {
    if (node->stamp[i] != stamp + (uint64_t)i) stop("a block holds something else");
  }
  memset(node, 0xff, sizeof *node);
  free(node);
  return next;
}

static void lists(void) {
  for (int round = 0; round < ROUNDS; round++) {
    node_t* list = NULL;
    for (uint64_t i = 0; i < BLOCKS; i++) list = make(list, i);
    for (uint64_t i = BLOCKS; i-- > 0;) list = unmake(list, i);
    if (list != NULL) stop("a list is longer");
  }
}

static void zeros(void) {
  for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
    unsigned char* dirty[20];
    for (int i = 0; i < 20; i++) {
      dirty[i] = malloc(size);
      memset(dirty[i], 0xee, size);
    }
    for (int i = 0; i < 20; i++) free(dirty[i]);
    for (int i = 0; i < 20; i++) {
      dirty[i] = i % 2 == 0 ? calloc(size, 1) : malloc(size);
      if (i % 2 != 0) memset(dirty[i], 0, size);
      for (size_t k = 0; k < size; k++) {
        if (dirty[i][k] != 0) stop("calloc gives dirty memory");
      }
    }
    for (int i = 0; i < 20; i++) free(dirty[i]);
  }
}

// The same pointer comes back: the optimiser must not think that it cannot.
static void reuse(void) {
  for (int i = 0; i < 1000; i++) {
    volatile uint64_t* a = malloc(64);
    *a = (uint64_t)i;
    free((void*)a);
    volatile uint64_t* b = malloc(64);
    *b = 7;
    volatile uint64_t* c = malloc(64);
    *c = 8;
    if (b == c || *b != 7 || *c != 8) stop("a block was given twice");
    free((void*)b);
    free((void*)c);
  }
}

int main(void) {
  void* p = malloc(100);
  if (mi_usable_size(p) < 100) stop("malloc is not ours");
  free(p);
  lists();
  zeros();
  reuse();
  puts("ours, and as it should be");
  return 0;
}
