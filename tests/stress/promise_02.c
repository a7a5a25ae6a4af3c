// SPDX-License-Identifier: MIT
// promise_02.c - P2: one call gives back the memory of all threads
//
// 64 threads, half of which wait and half of which allocate and free, and some that have ended with all
// they had. Nothing is purged by itself. Then one thread calls mi_purge_all:
//
//   nobody's   at least 90 % of what no thread owns is back, but for what lies between blocks that the
//              waiting threads still hold: it is in the report
//   answers    the busy threads have answered, the waiting ones have not
//   held       what those hold is in the report, and is a few pages per size class
//   time       no busy thread spent more than 1 ms of its time in one call
//   trim       malloc_trim does the same, where malloc is ours
#include "promise.h"
#include <malloc.h>

enum { THREADS = 64, IDLE = THREADS / 2, ENDED = 8, WAIT_MS = 3000, TIMED_CALLS = 5 };

static const size_t LOAD = 4 * 1024 * 1024;

static _Atomic(bool) is_over;
static _Atomic(uint64_t) slowest_ns;
static pthread_barrier_t ready;

static void load_and_free(uint64_t seed, size_t bytes) {
  chance_t chance = {.state = mix(seed)};
  const size_t count = bytes / MARKED_MEAN;
  void** const blocks = mi_malloc(count * sizeof(void*));
  for (size_t i = 0; i < count; i++) blocks[i] = marked_block(&chance);
  for (size_t i = 0; i < count; i++) free_marked(blocks[i]);
  mi_free(blocks);
}

static uint64_t own_time_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_time(uint64_t ns) {
  uint64_t seen = atomic_load(&slowest_ns);
  while (seen < ns && !atomic_compare_exchange_weak(&slowest_ns, &seen, ns)) {}
}

static void* wait_until_over(void* arg) {
  load_and_free((uint64_t)(uintptr_t)arg, LOAD);
  pthread_barrier_wait(&ready);
  while (!is_over) sleep_ms(20);
  return NULL;
}

static void* work_until_over(void* arg) {
  chance_t chance = {.state = mix((uint64_t)(uintptr_t)arg)};
  void* own[20] = {NULL};
  load_and_free((uint64_t)(uintptr_t)arg, LOAD);
  pthread_barrier_wait(&ready);
  while (!is_over) {
    for (int i = 0; i < 2000; i++) {
      void** const slot = &own[draw_below(&chance, COUNT_OF(own))];
      const uint64_t begin = own_time_ns();
      mi_free(*slot);
      *slot = mi_malloc(16 + draw_below(&chance, 300));
      note_time(own_time_ns() - begin);
    }
    sleep_ms(1);
  }
  for (size_t i = 0; i < COUNT_OF(own); i++) mi_free(own[i]);
  return NULL;
}

static void* load_and_end(void* arg) {
  load_and_free((uint64_t)(uintptr_t)arg, 4 * LOAD);
  return NULL;
}

static mi_memory_t memory_now(void) {
  mi_memory_t memory;
  mi_memory_init(&memory);
  if (!mi_memory_get(&memory)) fail("no figures");
  return memory;
}

static void start_threads(pthread_t* threads) {
  pthread_barrier_init(&ready, NULL, THREADS + 1);
  for (uintptr_t i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, i < IDLE ? wait_until_over : work_until_over, (void*)i)
        != 0)
      fail("no thread");
  }
  pthread_barrier_wait(&ready);
  pthread_t ended[ENDED];
  for (uintptr_t i = 0; i < ENDED; i++) {
    if (pthread_create(&ended[i], NULL, load_and_end, (void*)i) != 0) fail("no thread");
  }
  for (uintptr_t i = 0; i < ENDED; i++) pthread_join(ended[i], NULL);
}

static size_t nobodys(const mi_memory_t* m) { return m->orphaned + m->to_purge; }

// The system's own work counts for whom it interrupts: the best of a few purges.
static uint64_t least_slowest(void) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < TIMED_CALLS; i++) {
    atomic_store(&slowest_ns, 0);
    mi_purge_all(MI_PURGE_ASK, 100, NULL);
    const uint64_t slowest = atomic_load(&slowest_ns);
    if (slowest < least) least = slowest;
  }
  return least;
}

static void run_purge(const promise_plan_t* plan) {
  (void)plan;
  pthread_t threads[THREADS];
  mi_option_set(mi_option_purge_delay, -1);
  start_threads(threads);
  atomic_store(&slowest_ns, 0);
  const mi_memory_t before = memory_now();
  const size_t resident = resident_bytes();
  mi_purge_report_t report = {.size = sizeof report, .version = MI_PURGE_REPORT_VERSION};
  const bool done = mi_purge_all(MI_PURGE_ASK, WAIT_MS, &report);
  const mi_memory_t after = memory_now();
  const size_t less = above(resident, resident_bytes());
  const size_t free_before = nobodys(&before);
  memory_row(done && report.waiting <= free_before / 10
                 && less + report.pinned >= free_before / 10 * 9,
             "nobody's %5.1f MiB before, %4.1f MiB wait after it (<= 10 %%); %.1f MiB pinned",
             in_mib(free_before), in_mib(report.waiting), in_mib(report.pinned));
  memory_row(above(after.orphaned, report.pinned) <= 2 * MIB,
             "nobody's resident memory fell by %.1f MiB", in_mib(less));
  row(report.threads >= THREADS && report.missing >= IDLE
          && report.missing <= IDLE + (IS_SLOW ? 4 : 0),
      "answers  %zu of %zu threads are missing (%d)", report.missing, report.threads, IDLE);
  row(report.held > 0 && report.held <= (size_t)IDLE * 4 * MIB,
      "held     %.2f MiB by those, %.0f KiB each (<= 4 MiB)", in_mib(report.held),
      (double)report.held / (double)KIB / IDLE);
  const uint64_t slowest = least_slowest();
  row(IS_SLOW || slowest < 1000 * 1000,
      "time     %.3f ms in the slowest call of a busy thread (< 1 ms)", (double)slowest / 1e6);
  atomic_store(&is_over, true);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void run_trim(const promise_plan_t* plan) {
  (void)plan;
  void* const p = malloc(100);
  const bool is_ours = mi_malloc_size(p) != 0;
  free(p);
  if (!is_ours) {
    row(true, "trim     malloc is not ours here");
    return;
  }
  mi_option_set(mi_option_purge_delay, -1);
  pthread_t thread;
  for (uintptr_t i = 0; i < ENDED; i++) {
    if (pthread_create(&thread, NULL, load_and_end, (void*)i) != 0) fail("no thread");
    pthread_join(thread, NULL);
  }
  const mi_memory_t before = memory_now();
  const int status = malloc_trim(0);
  const mi_memory_t after = memory_now();
  memory_row(status == 1 && nobodys(&after) <= nobodys(&before) / 10,
             "trim     %.1f MiB before, %.1f MiB after (<= 10 %%)", in_mib(nobodys(&before)),
             in_mib(nobodys(&after)));
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {{"purge", run_purge}, {"trim", run_trim}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
