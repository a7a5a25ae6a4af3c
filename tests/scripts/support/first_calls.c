// libc calls us back. Before our constructor has run, the program has taken many thread keys (so that
// ours is a high one, for which libc allocates), registered many fork handlers (so that their list is
// reallocated for ours), printed, made a thread, and called dlsym. Later: foreign pointers are freed
// without another dlsym, fork handlers allocate, new threads start with a high key. See libc_calls_back.sh.

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 100, HANDLERS = 120 };

static int early_calls;
static int failures;
static int prepared, in_parent, in_child;
static pthread_key_t keys[KEYS];

static void expect(int good, const char* what) {
  if (good) return;
  fprintf(stderr, "first_calls: %s\n", what);
  failures++;
}

static void churn(void) {
  static const size_t sizes[] = {1, 40, 1000, 5000, 40000, 300000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char* p = realloc(calloc(1, sizes[i]), sizes[i] + 100);
    if (p == NULL || p[sizes[i] - 1] != 0) abort();
    free(p);
  }
}

static void before(void) {
  prepared++;
  churn();
}
static void after_in_parent(void) {
  in_parent++;
  churn();
}
static void after_in_child(void) {
  in_child++;
  churn();
}

static void* in_a_thread(void* arg) {
  churn();
  for (int i = 0; i < KEYS; i++) {
    if (pthread_setspecific(keys[i], malloc(20)) != 0) abort();  // freed by free
  }
  return arg;
}

static void make_a_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, in_a_thread, NULL) != 0) abort();
  pthread_join(thread, NULL);
}

// Before every constructor.
static void early(void) {
  early_calls++;
  for (int i = 0; i < KEYS; i++) {
    if (pthread_key_create(&keys[i], free) != 0) abort();
  }
  for (int i = 0; i < HANDLERS; i++) {
    if (pthread_atfork(before, after_in_parent, after_in_child) != 0) abort();
  }
  printf("%s", "");
  char* text = NULL;
  if (asprintf(&text, "%01000d", 7) != 1000) abort();
  free(text);
  churn();
  make_a_thread();
#ifndef STATIC_PROGRAM
  (void)dlsym(RTLD_DEFAULT, "no_such_function");
  (void)dlerror();
#endif
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = early;

#ifdef COUNT_DLSYM
// Of the functions that libc has always had
#if UINTPTR_MAX == UINT32_MAX
#define FIRST_VERSION "GLIBC_2.0"
#else
#define FIRST_VERSION "GLIBC_2.2.5"
#endif

// In the place of libc's, for the library, too.
static int lookups;
void* dlsym(void* handle, const char* name) {
  lookups++;
  (void)handle;
  return dlvsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), name, FIRST_VERSION);
}

static void free_foreign(void) {
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* (*libc_malloc)(size_t);
  *(void**)&libc_malloc = dlvsym(libc, "malloc", FIRST_VERSION);
  expect(libc_malloc != malloc, "libc's malloc is not libc's");
  expect(lookups > 0, "the next free was not looked up at start");
  const int before_free = lookups;
  for (int i = 0; i < 100; i++) {
    free(libc_malloc(100));
    free(realloc(libc_malloc(50), 5000));
  }
  expect(lookups == before_free, "dlsym inside free");
}
#endif

int main(void) {
  pthread_key_t after;
  expect(early_calls == 1 && pthread_key_create(&after, NULL) == 0, "an early start");
  expect(after > KEYS, "our key is a high one");
  make_a_thread();
  for (int i = 0; i < 3; i++) {
    const pid_t child = fork();
    if (child == 0) {
      churn();
      make_a_thread();
      _exit(in_child == HANDLERS ? 0 : 3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    expect(status == 0, "a child");
  }
  expect(prepared == 3 * HANDLERS && in_parent == 3 * HANDLERS, "fork handlers");
#ifdef COUNT_DLSYM
  free_foreign();
#endif
  if (failures == 0) puts("called back and forth");
  return failures == 0 ? 0 : 1;
}
