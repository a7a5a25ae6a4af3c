// Crimes to order, on blocks of every kind, and a correct program: for track_valgrind.sh and
// track_asan.sh. Built twice: on mi_malloc and mi_free, and (-DBY_NAME=0) on malloc and free.
//
// planted CRIME SIZE

#include <mimalloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BY_NAME
#define BY_NAME 1
#endif
#if BY_NAME
#define MALLOC    mi_malloc
#define CALLOC    mi_calloc
#define REALLOC   mi_realloc
#define ALIGNED   mi_aligned_alloc
#define DUPLICATE mi_strdup
#define FREE      mi_free
#else
#define MALLOC    malloc
#define CALLOC    calloc
#define REALLOC   realloc
#define ALIGNED   aligned_alloc
#define DUPLICATE strdup
#define FREE      free
#endif

static volatile unsigned char sink;
static unsigned char* volatile kept;

// What a program may do, with blocks of this size. Every byte asked for is written and read.
static void use(unsigned char* p, size_t size) {
  if (p == NULL) abort();
  memset(p, 0x5a, size);
  sink = p[0];
  sink = p[size - 1];
}

static void expect_zero(const unsigned char* p, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != 0) abort();
  }
}

static void one_of_each(size_t size) {
  unsigned char* p = MALLOC(size);
  use(p, size);
  if (mi_usable_size(p) < size) abort();
  p = REALLOC(p, size * 2);
  if (p == NULL || p[size - 1] != 0x5a) abort();
  use(p, size * 2);
  p = REALLOC(p, size / 2 + 1);
  use(p, size / 2 + 1);
  FREE(p);
  p = CALLOC(1, size);
  expect_zero(p, size);
  p = mi_rezalloc(p, 3 * size);
  if (p == NULL) abort();
  expect_zero(p, 3 * size);
  FREE(p);
  p = ALIGNED(256, size);
  use(p, size);
  if ((uintptr_t)p % 256 != 0) abort();
  FREE(p);
  char* text = DUPLICATE("fifteen letters");
  if (strcmp(text, "fifteen letters") != 0) abort();
  FREE(text);
  FREE(MALLOC(0));
  FREE(NULL);
}

enum { BLOCKS = 400 };

static void* free_them(void* arg) {
  unsigned char** blocks = arg;
  for (int i = 0; i < BLOCKS; i++) {
    FREE(blocks[i]);
    blocks[i] = MALLOC((size_t)i + 1);
    use(blocks[i], (size_t)i + 1);
  }
  return NULL;
}

static void correct(void) {
  for (size_t size = 1; size < 3000000; size = size * 5 / 3 + 1) one_of_each(size);
  static unsigned char* blocks[BLOCKS];
  for (int round = 0; round < 6; round++) {
    for (int i = 0; i < BLOCKS; i++) use(blocks[i] = MALLOC((size_t)i * 7 + 1), (size_t)i * 7 + 1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_them, blocks) != 0) abort();
    pthread_join(thread, NULL);
    for (int i = 0; i < BLOCKS; i++) FREE(blocks[i]);
    mi_collect(round % 2 == 0);
  }
}

static __attribute__((noinline)) void lose(size_t size) {
  unsigned char* volatile p = MALLOC(size);
  p[0] = 1;
  p = NULL;
}

// The frames of the calls above are overwritten, so that no pointer is found there.
static __attribute__((noinline)) int clean_stack(void) {
  volatile unsigned char bytes[4096];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = 0;
  return bytes[7];
}

int main(int argc, char** argv) {
  const char* crime = argc > 1 ? argv[1] : "none";
  const size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 40;
  if (strcmp(crime, "none") == 0) {
    correct();
  } else if (strcmp(crime, "leak") == 0) {
    for (int i = 0; i < 3; i++) lose(size);
    return clean_stack();
  } else {
    unsigned char* volatile p = MALLOC(size);
    if (strcmp(crime, "write-past-end") == 0) p[size] = 1;
    if (strcmp(crime, "read-past-end") == 0) sink = p[size];
    if (strcmp(crime, "uninitialised") == 0 && p[size / 2] == 7) sink = 1;
    FREE(p);
    if (strcmp(crime, "write-after-free") == 0) p[size / 2] = 1;
    if (strcmp(crime, "read-after-free") == 0) sink = p[0];
    if (strcmp(crime, "double-free") == 0) FREE(p);
    if (strcmp(crime, "read-after-realloc") == 0) {
      p = MALLOC(size);
      kept = p;
      p = REALLOC(p, size + 1);
      sink = kept[0];
      FREE(p);
    }
  }
  puts("did it");
  return 0;
}
