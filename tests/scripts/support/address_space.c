// How much of the address space of a 32-bit process is to be had in blocks of 1 MiB.
//
// usage: address_space AT_LEAST_PERCENT

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { MiB = 1 << 20 };

typedef struct block {
  struct block* next;
} block_t;

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "address_space: %s\n", what);
  exit(1);
}

// Adds blocks of 1 MiB to the list until there are no more; says how many.
static size_t take_all(block_t** list) {
  size_t count = 0;
  for (;; count++) {
    errno = 0;
    block_t* const b = malloc(MiB);
    if (b == NULL) break;
    b->next = *list;
    *list = b;
  }
  expect(errno == ENOMEM, "errno is not ENOMEM");
  return count;
}

static void give_all(block_t** list) {
  while (*list != NULL) {
    block_t* const b = *list;
    *list = b->next;
    free(b);
  }
}

// Uses stack that was never used before, down to the limit.
static char use_stack(size_t bytes) {
  volatile char page[4096];  // one at each end
  page[0] = page[4095] = 1;
  return bytes > sizeof page ? (char)(use_stack(bytes - sizeof page) & page[0]) : page[4095];
}

static void* start(void* arg) {
  free(malloc(100));
  return arg;
}

int main(int argc, char** argv) {
  const size_t least = argc > 1 ? (size_t)atoi(argv[1]) : 0;
  const size_t giga =
      ((uintptr_t)&argc >> 30) + 1;  // the stack lies at the end: 4, or the kernel has the last
  void* const theirs = mmap(NULL, 256 * MiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(theirs != MAP_FAILED, "no 256 MiB to begin with");

  block_t* list = NULL;
  size_t count = take_all(&list);
  expect(count > 2000, "almost nothing");
  munmap(theirs, 256 * MiB);
  const size_t more = take_all(&list);
  count += more;
  printf("%zu blocks, of them %zu where somebody else was: %zu %% of %zu GiB\n", count, more,
         count * 100 / (giga * 1024), giga);
  expect(more >= 240, "what others no longer need is not used");
  expect(count * 100 >= least * giga * 1024, "too little");

  // The stack can still grow.
  struct rlimit limit;
  getrlimit(RLIMIT_STACK, &limit);
  const size_t stack = limit.rlim_cur < 100 * MiB ? (size_t)limit.rlim_cur : 100 * MiB;
  expect(use_stack(stack - MiB) == 1, "no stack");

  give_all(&list);
  void* const one = malloc(1000 * MiB);
  expect(one != NULL, "no 1000 MiB, although everything is free");
  free(one);
  pthread_t thread;
  pthread_attr_t small;  // the usual size is that of the stack limit
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, MiB);
  expect(pthread_create(&thread, &small, start, NULL) == 0, "no thread");
  pthread_join(thread, NULL);
  return 0;
}
