// SPDX-License-Identifier: MIT
// promise_01.c - P1: a process that frees its memory and then goes quiet gives it back
//
// 256 MiB of blocks of 16 to 1024 bytes are allocated and freed, and then nothing is called. At least
// 90 % of what they took is back within the purge delay and a second, with the default settings:
//
//   threads   by 4 threads, which then wait
//   ended     by 4 threads, which then end, while the first one waits
//   late      the same blocks are freed by another thread than the one that allocated them
//   large     blocks of 100 KiB to 4 MiB by 4 threads
//   single    by a process without threads: at the free itself, and no thread is made
//   off       without our thread, by option: more than half of it goes back all the same, at the free
//   forked    in the child of a fork, by its own threads
//   idle      40 MiB at a time by a thread that calls mi_on_thread_idle, our thread switched off
//
// The figure is the resident memory that is left, of what the blocks took.
#include "promise.h"
#include <dirent.h>
#include <sys/mman.h>

enum { THREADS = 4, MEGABYTES = 256, LARGE_MIN = 100 * 1024, LARGE_MAX = 4 * 1024 * 1024 };

typedef struct load_s {
  void** blocks;
  size_t count;
} load_t;

static load_t loads[THREADS];
static pthread_barrier_t filled, may_free, freed, over;

static void* new_large(chance_t* chance) {
  const size_t size = LARGE_MIN + draw_below(chance, LARGE_MAX - LARGE_MIN);
  void* const p = mi_malloc(size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  memset(p, 1, size);
  return p;
}

// The table of blocks is not ours: it comes from the system, and stays.
static void make_tables(void) {
  for (int i = 0; i < THREADS; i++) {
    const size_t room = (size_t)MEGABYTES * MIB / THREADS / 64;
    loads[i].blocks = mmap(NULL, room * sizeof(void*), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (loads[i].blocks == MAP_FAILED) fail("no table");
  }
}

static void fill_load(load_t* load, bool is_large, size_t bytes, uint64_t seed) {
  chance_t chance = {.state = mix(seed)};
  const size_t mean = is_large ? (LARGE_MIN + LARGE_MAX) / 2 : MARKED_MEAN;
  load->count = bytes / mean;
  for (size_t i = 0; i < load->count; i++)
    load->blocks[i] = is_large ? new_large(&chance) : marked_block(&chance);
}

static void free_load(load_t* load) {
  for (size_t i = 0; i < load->count; i++) mi_free(load->blocks[i]);
}

// Rows -------------------------------------------------------------------------------------------------

static size_t tasks_listed(void) {
  DIR* const folder = opendir("/proc/self/task");
  size_t count = 0;
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;)
    count += entry->d_name[0] != '.';
  if (folder != NULL) closedir(folder);
  return count;
}

// A thread that was joined may be listed for a moment longer: the kernel tells who joins before it forgets the task.
// Ours never ends by itself, so waiting hides none.
static bool has_threads(size_t wanted) {
  for (int i = 0; i < 2000 && tasks_listed() != wanted; i++) usleep(1000);
  const size_t count = tasks_listed();
  if (count != wanted) printf("     %zu threads, not %zu\n", count, wanted);
  return count == wanted;
}

static size_t wait_and_look(long delay_ms) {
  usleep((useconds_t)(delay_ms + 1000) * 1000);
  return resident_bytes();
}

static void tell(const char* what, size_t base, size_t full, size_t quiet, int percent) {
  const double taken = (double)above(full, base);
  const double left = (double)above(quiet, base);
  memory_row(100 * left <= percent * taken, "%-8s %5.1f MiB left of %5.1f MiB: %4.1f %% (<= %d %%)",
             what, left / (double)MIB, taken / (double)MIB, taken > 0 ? 100 * left / taken : 0,
             percent);
}

// Parts ------------------------------------------------------------------------------------------------

typedef struct worker_s {
  int number;
  bool is_large;
  bool frees_others;
  bool ends;
} worker_t;

static void* work(void* arg) {
  const worker_t* const worker = arg;
  load_t* const own = &loads[worker->number];
  load_t* const next = &loads[(worker->number + 1) % THREADS];
  fill_load(own, worker->is_large, (size_t)MEGABYTES * MIB / THREADS,
            run_seed + (uint64_t)worker->number);
  pthread_barrier_wait(&filled);
  pthread_barrier_wait(&may_free);
  free_load(worker->frees_others ? next : own);
  if (worker->frees_others) mi_collect(false);
  pthread_barrier_wait(&freed);
  if (worker->frees_others) mi_collect(false);
  if (!worker->ends) pthread_barrier_wait(&over);
  return NULL;
}

static void run_threads(const char* name, worker_t kind, bool is_to_end) {
  pthread_t threads[THREADS];
  worker_t workers[THREADS];
  const size_t base = resident_bytes();
  kind.ends = is_to_end;
  for (int i = 0; i < THREADS; i++) {
    workers[i] = kind;
    workers[i].number = i;
    if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) fail("no thread");
  }
  pthread_barrier_wait(&filled);
  const size_t full = resident_bytes();
  pthread_barrier_wait(&may_free);
  pthread_barrier_wait(&freed);
  const size_t quiet = wait_and_look(mi_option_get(mi_option_purge_delay));
  tell(name, base, full, quiet, mi_option_get(mi_option_purge_thread) == 0 ? 50 : 10);
  if (!is_to_end) pthread_barrier_wait(&over);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void prepare(void) {
  make_tables();
  pthread_barrier_init(&filled, NULL, THREADS + 1);
  pthread_barrier_init(&may_free, NULL, THREADS + 1);
  pthread_barrier_init(&freed, NULL, THREADS + 1);
  pthread_barrier_init(&over, NULL, THREADS + 1);
  mi_free(mi_malloc(1));
}

static void run_plain(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  run_threads("threads", (worker_t){0}, false);
}

static void run_ended(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  run_threads("ended", (worker_t){0}, true);
}

static void run_late(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  run_threads("late", (worker_t){.frees_others = true}, false);
}

static void run_large(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  run_threads("large", (worker_t){.is_large = true}, false);
}

static void run_single(const promise_plan_t* plan) {
  (void)plan;
  make_tables();
  mi_free(mi_malloc(1));
  const size_t base = resident_bytes();
  fill_load(&loads[0], false, (size_t)MEGABYTES / THREADS * MIB, run_seed);
  const size_t full = resident_bytes();
  free_load(&loads[0]);
  // A quarter of the load: up to 16 MiB may wait here.
  const double left = (double)above(resident_bytes(), base);
  memory_row(left <= 18.0 * (double)MIB, "%-8s %5.1f MiB left of %5.1f MiB at once (<= 18 MiB)",
             "single", left / (double)MIB, (double)above(full, base) / (double)MIB);
  row(HAS_SANITIZER || has_threads(1), "%-8s no thread is made", "single");
}

static void run_off(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  mi_option_set(mi_option_purge_thread, 0);
  run_threads("off", (worker_t){0}, false);
  row(HAS_SANITIZER || has_threads(1), "%-8s no thread is made", "off");
}

static void run_forked(const promise_plan_t* plan) {
  (void)plan;
  if (HAS_TSAN) return;  // it allows no threads in the child
  prepare();
  run_threads("before", (worker_t){0}, false);
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    row(HAS_SANITIZER || has_threads(1), "%-8s the child has one thread", "forked");
    run_threads("forked", (worker_t){0}, false);
    row(HAS_SANITIZER || has_threads(2), "%-8s the child has a thread of ours", "forked");
    fflush(NULL);
    _exit(promise_status());
  }
  int status = 1;
  row(waitpid(child, &status, 0) == child && status == 0, "%-8s the child is well", "forked");
}

static void* idle_now_and_then(void* arg) {
  size_t* const most = arg;
  for (int round = 0; round < 10; round++) {
    fill_load(&loads[0], false, (size_t)12 * MIB, run_seed);
    free_load(&loads[0]);
    usleep(120 * 1000);
    mi_on_thread_idle();
    const size_t now = resident_bytes();
    if (now > *most) *most = now;
  }
  return NULL;
}

static void run_idle(const promise_plan_t* plan) {
  (void)plan;
  make_tables();
  mi_option_set(mi_option_purge_thread, 0);
  mi_option_set(mi_option_purge_delay, 100);
  mi_free(mi_malloc(1));
  const size_t base = resident_bytes();
  size_t most = 0;
  idle_now_and_then(&most);
  const double left = (double)above(most, base);
  memory_row(left <= 2.0 * (double)MIB, "%-8s %5.1f MiB left after each idle call (<= 2 MiB)",
             "idle", left / (double)MIB);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {
      {"threads", run_plain}, {"ended", run_ended}, {"late", run_late},     {"large", run_large},
      {"single", run_single}, {"off", run_off},     {"forked", run_forked}, {"idle", run_idle}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
