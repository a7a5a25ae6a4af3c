// Gives pointers that another allocator made to free, realloc and malloc_usable_size. They must go
// to that allocator (the next one: libc's), and the program must carry on. See preload_foreign.sh.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void* (*libc_malloc)(size_t);
static void* (*libc_memalign)(size_t, size_t);
static struct mallinfo2 (*libc_mallinfo2)(void);

static int failures;

static void expect(int good, const char* what, size_t size) {
  if (good) return;
  fprintf(stderr, "foreign: %s, size %zu\n", what, size);
  failures++;
}

static void* libc_symbol(void* libc, const char* name) {
  void* found = dlsym(libc, name);
  if (found == NULL) {
    fprintf(stderr, "foreign: libc has no %s\n", name);
    exit(77);
  }
  return found;
}

static unsigned char* foreign_block(size_t size) {
  unsigned char* p = libc_malloc(size);
  if (p == NULL) abort();
  memset(p, (int)(size % 251), size);
  return p;
}

static int holds(const unsigned char* p, size_t size, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (p[i] != size % 251) return 0;
  }
  return 1;
}

static const size_t sizes[] = {1, 24, 100, 1000, 5000, 70000, 1000000, 5000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void one_of_each(void) {
  for (int i = 0; i < SIZES; i++) {
    const size_t size = sizes[i];
    errno = 4711;
    free(foreign_block(size));
    expect(errno == 4711, "free changed errno", size);

    unsigned char* p = foreign_block(size);
    expect(malloc_usable_size(p) >= size, "malloc_usable_size", size);
    p = realloc(p, size * 2 + 100);
    expect(p != NULL && holds(p, size, size), "content after growing by realloc", size);
    p = realloc(p, size / 2 + 1);
    expect(p != NULL && holds(p, size, size / 2 + 1), "content after shrinking by realloc", size);
    free(p);

    p = foreign_block(size);
    volatile size_t too_much = SIZE_MAX / 2 + 10;
    expect(realloc(p, too_much) == NULL, "realloc to more than PTRDIFF_MAX", size);
    expect(holds(p, size, size), "content after a failed realloc", size);
    free(p);
    free(libc_memalign(4096, size));
  }
}

// What libc has handed out must go back to it: freed for good, not dropped.
static void expect_forwarded(void) {
  enum { BLOCKS = 2000, SIZE = 3000 };
  static void* blocks[BLOCKS];
  const size_t before = libc_mallinfo2().uordblks;
  for (int i = 0; i < BLOCKS; i++) blocks[i] = foreign_block(SIZE);
  const size_t during = libc_mallinfo2().uordblks;
  for (int i = 0; i < BLOCKS; i++) {
    if (i % 2 == 0) {
      free(blocks[i]);
    } else {
      free(realloc(blocks[i], 2 * SIZE));
    }
  }
  const size_t after = libc_mallinfo2().uordblks;
  expect(during >= before + (size_t)BLOCKS * SIZE, "libc's count of its blocks", during);
  expect(after <= before + 64 * 1024, "libc did not get its blocks back", after - before);
}

static void* in_a_thread(void* arg) {
  for (int i = 0; i < 500; i++) {
    unsigned char* own = malloc(100);
    unsigned char* foreign = foreign_block(100);
    own[0] = foreign[0];
    free(foreign);
    free(own);
  }
  unsigned char* from_main = arg;
  expect(holds(from_main, 777, 777), "a foreign block from another thread", 777);
  free(from_main);
  return foreign_block(333);
}

int main(void) {
  void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  if (libc == NULL) return 77;
  libc_malloc = (void* (*)(size_t))libc_symbol(libc, "malloc");
  libc_memalign = (void* (*)(size_t, size_t))libc_symbol(libc, "memalign");
  libc_mallinfo2 = (struct mallinfo2(*)(void))libc_symbol(libc, "mallinfo2");
  if (libc_malloc == malloc) {
    fputs("foreign: malloc is libc's own: nothing is preloaded\n", stderr);
    return 2;
  }

  free(NULL);
  expect(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL)", 0);
  free(realloc(NULL, 100));
  one_of_each();
  expect_forwarded();

  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    if (pthread_create(&threads[i], NULL, in_a_thread, foreign_block(777)) != 0) abort();
  }
  for (int i = 0; i < 4; i++) {
    void* left = NULL;
    pthread_join(threads[i], &left);
    expect(holds(left, 333, 333), "a foreign block from a thread that ended", 333);
    free(left);
  }
  one_of_each();
  if (failures == 0) puts("went on after foreign pointers");
  return failures == 0 ? 0 : 1;
}
