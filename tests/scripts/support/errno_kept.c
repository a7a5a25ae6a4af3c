// errno: kept by free and by a malloc that succeeds, set by one that fails. See errno_kept.sh.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SENTINEL = 4711 };

static int failures;

static void expect_at(int line, int good, const char* what) {
  if (good) return;
  fprintf(stderr, "errno_kept.c:%d: %s (errno %d)\n", line, what, errno);
  failures++;
}
#define EXPECT(condition) expect_at(__LINE__, condition, #condition)

// Evaluates a call that must fail: NULL, and this errno.
#define EXPECT_FAILS(call, error)     \
  do {                                \
    errno = SENTINEL;                 \
    void* result = (call);            \
    const int seen = errno;           \
    EXPECT(result == NULL);           \
    EXPECT(seen == (error));          \
    if (result != NULL) free(result); \
  } while (0)

// Small to huge, so that every way through malloc and free is taken; twice, for what was kept.
static void kept_by_all_sizes(void) {
  enum { BLOCKS = 300 };
  static void* blocks[BLOCKS];
  for (size_t size = 1; size < (size_t)64 << 20; size = size * 3 / 2 + 1) {
    const int count = size > (1 << 20) ? 3 : BLOCKS;
    for (int round = 0; round < 2; round++) {
      errno = SENTINEL;
      for (int i = 0; i < count; i++) blocks[i] = malloc(size);
      EXPECT(errno == SENTINEL);
      for (int i = 0; i < count; i++) memset(blocks[i], 1, size < 100 ? size : 100);
      errno = SENTINEL;
      for (int i = 0; i < count; i++) blocks[i] = realloc(blocks[i], size + size / 2);
      EXPECT(errno == SENTINEL);
      for (int i = 0; i < count; i++) free(blocks[i]);
      EXPECT(errno == SENTINEL);
    }
  }
  errno = SENTINEL;
  free(NULL);
  EXPECT(errno == SENTINEL);
}

// Long enough for delayed work (purging) to come due inside malloc and free.
static void kept_by_delayed_work(void) {
  enum { BLOCKS = 2000 };
  static void* blocks[BLOCKS];
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < BLOCKS; i++) blocks[i] = calloc(1, 4000);
    errno = SENTINEL;
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    EXPECT(errno == SENTINEL);
    usleep(30 * 1000);
    errno = SENTINEL;
    for (int i = 0; i < 100; i++) free(malloc((size_t)i * 50));
    EXPECT(errno == SENTINEL);
  }
}

static void* free_all(void* arg) {
  void** blocks = arg;
  errno = SENTINEL;
  for (int i = 0; i < 5000; i++) free(blocks[i]);
  EXPECT(errno == SENTINEL);
  return NULL;
}

static void kept_by_frees_of_other_threads(void) {
  static void* blocks[5000];
  for (int i = 0; i < 5000; i++) blocks[i] = malloc((size_t)(i % 50) * 40 + 1);
  pthread_t thread;
  if (pthread_create(&thread, NULL, free_all, blocks) != 0) abort();
  pthread_join(thread, NULL);
}

static void set_by_what_fails(void) {
  volatile size_t beyond = (size_t)PTRDIFF_MAX + 1;
  volatile size_t most = SIZE_MAX;
  volatile size_t half = SIZE_MAX / 2 + 1;
  EXPECT_FAILS(malloc(beyond), ENOMEM);
  EXPECT_FAILS(malloc(most), ENOMEM);
  EXPECT_FAILS(calloc(beyond, 1), ENOMEM);
  EXPECT_FAILS(calloc(half, 2), ENOMEM);
  EXPECT_FAILS(calloc(most, most), ENOMEM);
  EXPECT_FAILS(realloc(NULL, beyond), ENOMEM);
  EXPECT_FAILS(reallocarray(NULL, half, 2), ENOMEM);
  EXPECT_FAILS(memalign(64, beyond), ENOMEM);
  EXPECT_FAILS(aligned_alloc(64, beyond), ENOMEM);
  EXPECT_FAILS(valloc(beyond), ENOMEM);
  EXPECT_FAILS(pvalloc(most), ENOMEM);

  void* untouched = &failures;
  EXPECT(posix_memalign(&untouched, 0, 8) == EINVAL);
  EXPECT(posix_memalign(&untouched, 2, 8) == EINVAL);
  EXPECT(posix_memalign(&untouched, sizeof(void*) + 1, 8) == EINVAL);
  EXPECT(posix_memalign(&untouched, 3 * sizeof(void*), 8) == EINVAL);
  EXPECT(posix_memalign(&untouched, 64, beyond) == ENOMEM);
  EXPECT(untouched == &failures);
}

static void block_survives_failed_realloc(void) {
  volatile size_t beyond = (size_t)PTRDIFF_MAX + 1;
  // Through a pointer, so that the compiler does not take p for freed.
  void* (*volatile resize)(void*, size_t, size_t) = reallocarray;
  for (size_t size = 10; size < 20000000; size *= 11) {
    unsigned char* p = malloc(size);
    memset(p, 0x5a, size);
    errno = SENTINEL;
    EXPECT(resize(p, beyond, 1) == NULL);
    EXPECT(errno == ENOMEM);
    errno = SENTINEL;
    EXPECT(resize(p, beyond, 4) == NULL);
    EXPECT(errno == ENOMEM);
    size_t intact = 0;
    while (intact < size && p[intact] == 0x5a) intact++;
    EXPECT(intact == size);
    EXPECT(malloc_usable_size(p) >= size);
    free(p);
  }
}

static void zero_sizes_are_blocks(void) {
  void* a = malloc(0);
  void* b = malloc(0);
  void* c = calloc(0, 10);
  void* d = calloc(10, 0);
  EXPECT(a != NULL && b != NULL && c != NULL && d != NULL);
  EXPECT(a != b && b != c && c != d && a != c && a != d && b != d);
  free(a);
  free(b);
  free(c);
  free(d);
}

int main(void) {
  kept_by_all_sizes();
  kept_by_delayed_work();
  kept_by_frees_of_other_threads();
  set_by_what_fails();
  block_survives_failed_realloc();
  zero_sizes_are_blocks();
  kept_by_all_sizes();  // and after failures, too
  if (failures == 0) puts("errno as it should be");
  return failures == 0 ? 0 : 1;
}
