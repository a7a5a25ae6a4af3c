// A correct program that uses much of what allocates, for runs beside other tools: tools.sh. Says whether
// malloc is ours, but with an argument, or compiled without mimalloc.h, only that all went well.

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef MI_ABSENT
#include "mimalloc.h"
#endif

static void stop(const char* what) {
  fprintf(stderr, "tools: %s\n", what);
  exit(1);
}

static void use(void* p, size_t size) {
  if (p == NULL || malloc_usable_size(p) < size) stop("a block");
  memset(p, 0x5a, size);
}

static void one_of_each(size_t size) {
  char* p = malloc(size);
  use(p, size);
  p = realloc(p, size * 3);
  if (p == NULL || p[size - 1] != 0x5a) stop("realloc");
  free(p);
  p = calloc(size, 1);
  if (p[0] != 0 || p[size - 1] != 0) stop("calloc");
  p = reallocarray(p, 2, size);
  use(p, 2 * size);
  free(p);
  p = aligned_alloc(128, (size + 127) & ~(size_t)127);
  use(p, size);
  free(p);
  void* q = NULL;
  if (posix_memalign(&q, 4096, size) != 0 || (uintptr_t)q % 4096 != 0) stop("posix_memalign");
  use(q, size);
  free(q);
  p = memalign(64, size);
  use(p, size);
  free(p);
}

static void texts(void) {
  char* copy = strdup("a text");
  char* part = strndup(copy, 3);
  if (strcmp(part, "a t") != 0) stop("strndup");
  free(part);
  char* text = NULL;
  if (asprintf(&text, "%0300d %s", 7, copy) != 307) stop("asprintf");
  free(text);
  text = NULL;
  size_t length = 0;
  FILE* file = open_memstream(&text, &length);
  for (int i = 0; i < 500; i++) fprintf(file, "%d,", i);
  fclose(file);
  free(text);
  char* path = realpath("/", NULL);
  free(path);
  free(copy);
}

static void* in_a_thread(void* arg) {
  one_of_each(40);
  free(arg);
  return strdup("from a thread");
}

#ifndef MI_ABSENT
static void by_name(void) {
  char* p = mi_zalloc(100);
  p = mi_rezalloc(p, 5000);
  if (p == NULL || p[4999] != 0) stop("mi_rezalloc");
  mi_free(p);
  p = mi_malloc_aligned(100, 1024);
  mi_free(p);
  mi_collect(true);
}

static int is_ours(void) {
  void* p = malloc(100);
  const int ours = mi_malloc_usable_size(p) >= 112;  // our class for 100, where others say less
  free(p);
  return ours;
}
#endif

int main(int argc, char** argv) {
  (void)argv;
  for (size_t size = 1; size < 5000000; size = size * 4 + 1) one_of_each(size);
  texts();
  for (int i = 0; i < 5; i++) {
    pthread_t thread;
    void* result;
    if (pthread_create(&thread, NULL, in_a_thread, malloc(1000)) != 0) abort();
    pthread_join(thread, &result);
    free(result);
  }
  malloc_trim(0);
#ifndef MI_ABSENT
  if (argc == 1) {
    by_name();
    if (is_ours()) {
      puts("malloc is ours");
      return 0;
    }
  }
#endif
  (void)argc;
  puts("malloc and free work");
  return 0;
}
