// Allocates until malloc says no, under a limit that limits.sh sets; frees; must be able to go on.
//
// usage: limits SIZE AT_LEAST_MIB    blocks of about SIZE bytes, this much must be possible

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// All blocks are in one list, threaded through the blocks.
typedef struct block {
  struct block* next;
  size_t size;
  unsigned char last[];
} block_t;

static block_t* take(block_t* list, size_t size) {
  block_t* b = malloc(size);
  if (b == NULL) return NULL;
  b->next = list;
  b->size = size;
  for (size_t at = sizeof *b; at < size; at += 4096) ((unsigned char*)b)[at] = (unsigned char)size;
  return b;
}

// Checks and frees every n-th block of the list; the others stay.
static block_t* drop(block_t* list, int n) {
  block_t* kept = NULL;
  for (int i = 0; list != NULL; i++) {
    block_t* next = list->next;
    for (size_t at = sizeof *list; at < list->size; at += 4096) {
      if (((unsigned char*)list)[at] != (unsigned char)list->size) {
        fputs("limits: a block lost its content\n", stderr);
        abort();
      }
    }
    if (i % n == 0) {
      free(list);
    } else {
      list->next = kept;
      kept = list;
    }
    list = next;
  }
  return kept;
}

// Fills the memory with blocks of size bytes, or of seven sizes from there up if mixed; returns how
// many bytes were to be had.
static size_t fill(block_t** list, size_t size, bool mixed) {
  size_t total = 0;
  for (size_t i = 0;; i++) {
    const size_t some = mixed ? size + i % 7 * (size / 16) : size;
    errno = 0;
    block_t* b = take(*list, some);
    if (b == NULL) {
      if (errno != ENOMEM) {
        fprintf(stderr, "limits: malloc(%zu) fails with errno %d\n", some, errno);
        exit(1);
      }
      return total;
    }
    *list = b;
    total += some;
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const size_t size = strtoul(argv[1], NULL, 0);
  const size_t least = strtoul(argv[2], NULL, 0) << 20;

  block_t* list = NULL;
  const size_t first = fill(&list, size, false);
  volatile size_t absurd = (size_t)1 << (sizeof(size_t) == 8 ? 40 : 31);
  errno = 0;
  if (realloc(list, absurd) != NULL || errno != ENOMEM) {
    fputs("limits: realloc to 1 TiB\n", stderr);
    return 1;
  }
  list = drop(list, 2);
  const size_t half = fill(&list, size, false);
  list = drop(list, 1);
  const size_t again = fill(&list, size, false);
  list = drop(list, 1);
  const size_t others = fill(&list, size * 3 + 500, true);  // from the same memory
  drop(list, 1);

  printf("%8zu bytes: %5zu MiB, after freeing half %5zu, all %5zu, in other sizes %5zu\n", size,
         first >> 20, half >> 20, again >> 20, others >> 20);
  fflush(stdout);
  if (first < least || half < first / 5 * 2 || again < first / 10 * 9 || others < first / 2) {
    fprintf(stderr, "limits: too little; expected %zu MiB, then 2/5, 9/10, 1/2 of the first\n",
            least >> 20);
    return 1;
  }
  return 0;
}
