// A thread that is to be cancelled (a deferred request is pending) goes on through malloc, free, their
// slow ways, purges and reports, and is cancelled only where it asks for it. Reports are written without
// the write() of libc, and leave errno alone even when nobody can read them. See cancel.sh.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SENTINEL = 4711 };

static volatile int writes;
static volatile int stage;
static int failures;

// In the place of libc's, for the library, too.
ssize_t write(int descriptor, const void* text, size_t length) {
  writes++;
  pthread_testcancel();  // as libc's
  return syscall(SYS_write, descriptor, text, length);
}

static void expect(int good, const char* what) {
  if (good) return;
  fprintf(stderr, "cancel: %s (stage %d)\n", what, stage);
  failures++;
}

static void all_sizes(void) {
  enum { BLOCKS = 200 };
  static void* blocks[BLOCKS];
  for (size_t size = 1; size < (size_t)32 << 20; size = size * 2 + 3) {
    const int count = size > 100000 ? 3 : BLOCKS;
    errno = SENTINEL;
    for (int i = 0; i < count; i++) blocks[i] = calloc(1, size);
    for (int i = 0; i < count; i++) blocks[i] = realloc(blocks[i], size + size / 2);
    for (int i = 0; i < count; i++) free(blocks[i]);
    expect(errno == SENTINEL, "errno after blocks of one size");
  }
}

static void purges(void) {
  for (int i = 0; i < 3; i++) {
    void* large = malloc(20000000);
    memset(large, 1, 20000000);
    errno = SENTINEL;
    free(large);
    malloc_trim(0);
    expect(errno == SENTINEL, "errno after malloc_trim");
  }
}

// Each of them is one message with MIMALLOC_SHOW_ERRORS=1.
static void reports(void) {
  volatile size_t beyond = SIZE_MAX / 2 + 2;
  errno = SENTINEL;
  expect(malloc(beyond) == NULL && errno == ENOMEM, "malloc of too much");
  errno = SENTINEL;
  expect(memalign(3, 10) == NULL && errno == EINVAL, "memalign of 3");
  char* volatile run = malloc(500000);
  errno = SENTINEL;
  free(run + 100000);  // no block begins there
  expect(errno == SENTINEL, "errno after an invalid free");
  free(run);
}

static void* to_be_cancelled(void* arg) {
  (void)arg;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  pthread_cancel(pthread_self());
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);  // pending from now on
  stage = 1;
  all_sizes();
  stage = 2;
  purges();
  stage = 3;
  reports();
  stage = 4;
  pthread_testcancel();
  stage = 5;
  return NULL;
}

int main(void) {
  pthread_t thread;
  void* result;
  if (pthread_create(&thread, NULL, to_be_cancelled, NULL) != 0) abort();
  pthread_join(thread, &result);
  expect(result == PTHREAD_CANCELED && stage == 4, "cancelled at the wrong place");
  expect(writes == 0, "a report went through write()");

  close(STDERR_FILENO);  // reports fail now
  reports();
  all_sizes();
  if (failures == 0) puts("cancelled where it asked for it");
  return failures == 0 ? 0 : 1;
}
