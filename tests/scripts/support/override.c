// Is malloc really ours in this program? Linked statically and dynamically by static_link.sh.
//
// mi_usable_size knows only our own blocks, so malloc_usable_size agreeing with it shows that both
// the block and the function are ours. The rest makes libc and threads allocate through us.

#define _GNU_SOURCE
#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <mimalloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(int good, const char* what) {
  if (good) return;
  fprintf(stderr, "override: %s\n", what);
  failures++;
}

static int is_ours(void* p) {
  const size_t size = mi_usable_size(p);
  return p != NULL && size > 0 && size == malloc_usable_size(p);
}

static void expect_ours(void* p, const char* what) {
  expect(is_ours(p), what);
  free(p);
}

static void* in_a_thread(void* arg) {
  (void)arg;
  expect_ours(malloc(40), "malloc in a thread");
  return strdup("made by a thread that ended");
}

static int by_value(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }

int main(void) {
  expect(mi_version() > 0, "mi_version");

  expect_ours(malloc(1), "malloc(1)");
  expect_ours(malloc(100000), "malloc(100000)");
  expect_ours(malloc(40000000), "malloc(40000000)");
  expect_ours(calloc(10, 100), "calloc");
  expect_ours(realloc(NULL, 100), "realloc(NULL, n)");
  expect_ours(realloc(malloc(10), 10000), "realloc");
  expect_ours(reallocarray(NULL, 10, 10), "reallocarray");
  expect_ours(memalign(256, 1000), "memalign");
  expect_ours(aligned_alloc(4096, 8192), "aligned_alloc");
  expect_ours(valloc(100), "valloc");
  expect_ours(pvalloc(100), "pvalloc");
  void* p = NULL;
  expect(posix_memalign(&p, 1024, 10) == 0 && (uintptr_t)p % 1024 == 0, "posix_memalign");
  expect_ours(p, "posix_memalign");
  free(mi_malloc(100));
  mi_free(malloc(100));

  // What libc allocates for its callers.
  expect_ours(strdup("text"), "strdup");
  expect_ours(strndup("text", 2), "strndup");
  char* text = NULL;
  expect(asprintf(&text, "%0500d", 7) == 500, "asprintf");
  expect_ours(text, "asprintf");
  text = NULL;
  size_t length = 0;
  FILE* memory = open_memstream(&text, &length);
  for (int i = 0; i < 1000; i++) fprintf(memory, "%d,", i);
  fclose(memory);
  expect_ours(text, "open_memstream");
  expect(setlocale(LC_ALL, "C") != NULL, "setlocale");
  static int numbers[5000];
  for (int i = 0; i < 5000; i++) numbers[i] = (i * 7919) % 5000;
  qsort(numbers, 5000, sizeof(int), by_value);
  expect(numbers[0] == 0 && numbers[4999] == 4999, "qsort");

  pthread_t thread;
  expect(pthread_create(&thread, NULL, in_a_thread, NULL) == 0, "pthread_create");
  pthread_join(thread, &p);
  expect_ours(p, "strdup in a thread");

  // glibc's <malloc.h>: they must link, and not crash.
  malloc_trim(0);
  (void)mallinfo2();
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);

  if (failures == 0) puts("malloc is ours");
  return failures == 0 ? 0 : 1;
}
