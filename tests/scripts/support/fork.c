// Threads allocate while the process forks: every child must find a usable heap, free what its
// parent allocated, start a thread, and end. None may hang.
//
// usage: fork [CHILDREN]

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, GIFTS = 400, LIVE = 256, AT_ONCE = 4, SECONDS = 10 };

static _Atomic(bool) done;
static _Atomic(int) ready;
static unsigned char* gifts[THREADS][GIFTS];  // made by the threads, freed by every child

static uint32_t next_random(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

// Mostly small, now and then large or huge.
static size_t some_size(uint32_t* state) {
  const uint32_t kind = next_random(state) % 100;
  if (kind < 80) return 1 + next_random(state) % 500;
  if (kind < 97) return 1 + next_random(state) % 20000;
  if (kind < 99) return 1 + next_random(state) % 300000;
  return 1 + next_random(state) % 3000000;
}

static size_t gift_size(int thread, int gift) {
  uint32_t state = (uint32_t)(thread * GIFTS + gift);
  return some_size(&state);
}

// The first and last byte of a block carry a stamp.
static unsigned char* stamped(size_t size, unsigned char stamp) {
  unsigned char* p = malloc(size);
  if (p == NULL) abort();
  p[0] = stamp;
  p[size - 1] = stamp;
  return p;
}

static void check(const unsigned char* p, size_t size, unsigned char stamp) {
  if (p[0] != stamp || p[size - 1] != stamp) {
    fputs("fork: a block lost its content\n", stderr);
    abort();
  }
}

static void churn(uint32_t seed, int rounds) {
  struct {
    unsigned char* p;
    size_t size;
  } live[LIVE] = {0};
  for (int i = 0; i != rounds && !(rounds < 0 && atomic_load(&done)); i++) {
    const uint32_t k = next_random(&seed) % LIVE;
    if (live[k].p != NULL) {
      check(live[k].p, live[k].size, (unsigned char)k);
      free(live[k].p);
    }
    live[k].size = some_size(&seed);
    live[k].p = stamped(live[k].size, (unsigned char)k);
  }
  for (int k = 0; k < LIVE; k++) free(live[k].p);
}

static void* allocate_until_done(void* arg) {
  const int thread = (int)(intptr_t)arg;
  for (int i = 0; i < GIFTS; i++)
    gifts[thread][i] = stamped(gift_size(thread, i), (unsigned char)i);
  atomic_fetch_add(&ready, 1);
  churn((uint32_t)thread + 1, -1);
  return NULL;
}

static void* thread_of_child(void* arg) {
  churn((uint32_t)(intptr_t)arg, 500);
  return stamped(1000, 7);
}

static void child(int number, unsigned char* of_main) {
  alarm(SECONDS);
  churn((uint32_t)number, 1000);
  for (int t = 0; t < THREADS; t++) {
    for (int i = 0; i < GIFTS; i++) {
      check(gifts[t][i], gift_size(t, i), (unsigned char)i);
      free(gifts[t][i]);
    }
  }
  check(of_main, 5000, 3);
  of_main = realloc(of_main, 200000);
  pthread_t thread;
  void* left = NULL;
  if (pthread_create(&thread, NULL, thread_of_child, (void*)(intptr_t)(number + 1000)) != 0)
    abort();
  churn((uint32_t)number + 500, 500);
  pthread_join(thread, &left);
  check(left, 1000, 7);
  free(left);
  free(of_main);
  if (number % 2 == 0) exit(0);
  _exit(0);
}

// Waits for one child; 1 if it did not end well.
static int reap(void) {
  int status = 0;
  const pid_t pid = wait(&status);
  if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "fork: child %ld: %s\n", (long)pid,
            WTERMSIG(status) == SIGALRM ? "hung" : strsignal(WTERMSIG(status)));
  } else {
    fprintf(stderr, "fork: child %ld: status %d\n", (long)pid, WEXITSTATUS(status));
  }
  return 1;
}

int main(int argc, char** argv) {
  const int children = argc > 1 ? atoi(argv[1]) : 200;
  pthread_t threads[THREADS];
  for (intptr_t t = 0; t < THREADS; t++) {
    if (pthread_create(&threads[t], NULL, allocate_until_done, (void*)t) != 0) abort();
  }
  while (atomic_load(&ready) < THREADS) usleep(1000);

  unsigned char* of_main = stamped(5000, 3);
  int bad = 0, running = 0;
  for (int n = 0; n < children; n++) {
    free(stamped((size_t)n * 50 + 1, 1));
    const pid_t pid = fork();
    if (pid < 0) {
      perror("fork");
      return 2;
    }
    if (pid == 0) child(n, of_main);
    if (++running == AT_ONCE) {
      bad += reap();
      running--;
    }
  }
  while (running-- > 0) bad += reap();

  atomic_store(&done, true);
  for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
  for (int t = 0; t < THREADS; t++) {
    for (int i = 0; i < GIFTS; i++) {
      check(gifts[t][i], gift_size(t, i), (unsigned char)i);
      free(gifts[t][i]);
    }
  }
  check(of_main, 5000, 3);
  free(of_main);
  printf("%d children, %d ended badly\n", children, bad);
  return bad == 0 ? 0 : 1;
}
