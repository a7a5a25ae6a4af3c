// SPDX-License-Identifier: MIT
// promise_12.c - P12: fork from any thread at any time
//
//   forks    64 threads allocate, free, hand blocks to each other, and purge; any of them forks at any
//            time, several at once. Each child allocates, frees blocks of all threads of its parent, makes
//            a thread, and ends; one in eight forks again first. None may hang, none may use 50 ms of CPU.
//   vanished the memory that the parent's other threads had freed serves the child: by whole pages, and by
//            single blocks
//
// tests/scripts/fork.sh has blocks of all sizes, with fewer threads, and handlers that allocate.
#include "promise.h"

enum {
  THREADS = 64,
  AT_ONCE = 12,  // children
  GIFTS = 24,    // of each thread to every child
  LIVE = 60,     // of each thread, for itself
  HANGS_AFTER_S = 10,
  CPU_MS_MAX = 50,
};

// ThreadSanitizer cannot start threads in the child of a process with threads.
#if HAS_TSAN
const char* __tsan_default_options(void);
const char* __tsan_default_options(void) { return "die_after_fork=0"; }
#endif

// What the threads do ---------------------------------------------------------------------------------

static void* gifts[THREADS][GIFTS];  // const once all have begun
static _Atomic(void*) handed_on[256];
static _Atomic(int) threads_ready;
static _Atomic(int) forks_begun;
static _Atomic(int) children_now;
static _Atomic(int) hung, ended_badly;
static _Atomic(long) cpu_us_most;
static _Atomic(long) seconds_most;  // until a child was over
static _Atomic(bool) failed;
static int forks_max;

static void hand_on(chance_t* chance) {
  void* const block = marked_block(chance);
  free_marked(atomic_exchange_explicit(&handed_on[draw_below(chance, COUNT_OF(handed_on))], block,
                                       memory_order_acq_rel));
}

// Now and then a run or a huge block.
static void use_large(chance_t* chance) {
  const size_t size = one_in(chance, 4) ? 2 * MIB : 16 * KIB + draw_below(chance, 200 * 1024);
  uint8_t* const p = mi_malloc(size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  p[0] = p[size - 1] = 1;
  mi_free(p);
}

static void work(chance_t* chance, void** live, int steps) {
  for (int i = 0; i < steps; i++) {
    void** const block = &live[draw_below(chance, LIVE)];
    free_marked(*block);
    *block = marked_block(chance);
    if (i % 4 == 0) hand_on(chance);
    if (one_in(chance, 100)) use_large(chance);
  }
}

// A child ---------------------------------------------------------------------------------------------

static void* thread_of_child(void* arg) {
  chance_t chance = {mix((uintptr_t)arg)};
  void* live[LIVE] = {0};
  work(&chance, live, 50);
  for (int i = 1; i < LIVE; i++) free_marked(live[i]);
  return live[0] != NULL ? live[0] : marked_block(&chance);
}

static void start_thread_of_child(uint64_t number) {
  void* left = NULL;
  pthread_join(start_thread(thread_of_child, (void*)(uintptr_t)number), &left);
  free_marked(left);
}

static int fork_and_wait(uint64_t number, void** live, bool is_child);

static void be_child(uint64_t number, void** live, bool may_fork) {
  chance_t chance = {mix(run_seed * 7919 + number)};
  work(&chance, live, 100);
  for (int t = 0; t < THREADS; t++) {
    for (int i = 0; i < GIFTS; i++) free_marked(gifts[t][i]);
  }
  if (!HAS_TSAN) start_thread_of_child(number);
  if (number % 16 == 0) mi_collect(true);
  if (may_fork && number % 8 == 0) {
    // The gifts are gone here: the grandchild gets others.
    for (int t = 0; t < THREADS; t++) {
      for (int i = 0; i < GIFTS; i++) gifts[t][i] = i % 8 == 0 ? marked_block(&chance) : NULL;
    }
    if (fork_and_wait(number + 1, live, true) != 0) _exit(3);
  }
  for (int i = 0; i < LIVE; i++) free_marked(live[i]);
  if (number % 4 == 1 && may_fork) exit(0);
  _exit(0);
}

static void raise_to(_Atomic(long)* most, long value) {
  long seen = atomic_load(most);
  while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) {}
}

static long micros(struct timeval t) { return (long)t.tv_sec * 1000000 + (long)t.tv_usec; }

// 0: the child ended as it should. Polled: an alarm clock in the child would not see what hangs in fork.
static int wait_for(pid_t child) {
  const double begin = now_seconds();
  int status = 0;
  struct rusage used;
  for (long ms = 1;; ms = ms < 16 ? ms * 2 : ms) {
    const pid_t got = wait4(child, &status, WNOHANG, &used);
    if (got == child) break;
    if (got < 0) fail("wait4: %s", strerror(errno));
    if (now_seconds() - begin > HANGS_AFTER_S) {
      kill(child, SIGKILL);
      wait4(child, &status, 0, &used);
      atomic_fetch_add(&hung, 1);
      return 1;
    }
    sleep_ms(ms);
  }
  raise_to(&cpu_us_most, micros(used.ru_utime) + micros(used.ru_stime));
  raise_to(&seconds_most, (long)(now_seconds() - begin + 0.5));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  fprintf(stderr, "child: %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  atomic_fetch_add(&ended_badly, 1);
  return 1;
}

static int fork_and_wait(uint64_t number, void** live, bool is_child) {
  const pid_t child = fork();
  if (child < 0) fail("fork: %s", strerror(errno));
  if (child == 0) be_child(number, live, !is_child);
  return wait_for(child);
}

// Forks -----------------------------------------------------------------------------------------------

// Any thread, when it is its turn and there are not too many children.
static void maybe_fork(chance_t* chance, void** live) {
  if (!one_in(chance, 3)) return;
  if (atomic_fetch_add(&children_now, 1) < AT_ONCE) {
    const int number = atomic_fetch_add(&forks_begun, 1);
    if (number < forks_max && fork_and_wait((uint64_t)number, live, false) != 0)
      atomic_store(&failed, true);
  }
  atomic_fetch_sub(&children_now, 1);
}

static void* allocate_and_fork(void* arg) {
  const int id = (int)(intptr_t)arg;
  chance_t chance = {mix(run_seed * 1000003 + (uint64_t)id)};
  void* live[LIVE] = {0};
  for (int i = 0; i < GIFTS; i++) gifts[id][i] = marked_block(&chance);
  atomic_fetch_add(&threads_ready, 1);
  while (atomic_load(&threads_ready) < THREADS) sleep_ms(1);
  while (atomic_load(&forks_begun) < forks_max && !atomic_load(&failed)) {
    work(&chance, live, 100);
    if (one_in(&chance, 10)) mi_collect(one_in(&chance, 2));
    maybe_fork(&chance, live);
    sleep_ms(1 + draw_below(&chance, 8));  // the children need the cores, too
  }
  for (int i = 0; i < LIVE; i++) free_marked(live[i]);
  return NULL;
}

static void forks(const promise_plan_t* plan) {
  forks_max = plan->is_long ? 10000 : HAS_SANITIZER ? 50 : 200;
  mi_option_set(mi_option_purge_delay, 10);  // so that there are purges at any time
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) threads[i] = start_thread(allocate_and_fork, (void*)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  const int done = atomic_load(&forks_begun) < forks_max ? atomic_load(&forks_begun) : forks_max;
  const double cpu_ms = (double)atomic_load(&cpu_us_most) / 1000;
  row(hung == 0 && ended_badly == 0,
      "P12 forks: %d, from %d threads: %d hung, %d ended badly; the slowest was over in %ld s",
      done, THREADS, hung, ended_badly, seconds_most);
  row(IS_SLOW || cpu_ms < CPU_MS_MAX,
      "P12 forks: a child uses at most %.1f ms of CPU; %d are allowed", cpu_ms, CPU_MS_MAX);
}

// The memory of threads that have vanished ----------------------------------------------------------------

enum { OWNERS = 16, OWNER_BYTES = 4 * 1024 * 1024, OWNER_BLOCKS = OWNER_BYTES / MARKED_MEAN };

static void* of_owner[OWNERS][OWNER_BLOCKS];
static int keep_every;  // block that does not die; 0: none
static pthread_barrier_t all_freed;

static void* free_and_stay(void* arg) {
  const int id = (int)(intptr_t)arg;
  chance_t chance = {mix(run_seed + (uint64_t)id)};
  for (int i = 0; i < OWNER_BLOCKS; i++) of_owner[id][i] = marked_block(&chance);
  pthread_barrier_wait(&all_freed);  // so that all of it is there at once
  for (int i = 0; i < OWNER_BLOCKS; i++) {
    if (keep_every != 0 && i % keep_every == 0) continue;
    free_marked(of_owner[id][i]);
    of_owner[id][i] = NULL;
  }
  pthread_barrier_wait(&all_freed);  // main forks between these two
  pthread_barrier_wait(&all_freed);
  for (int i = 0; i < OWNER_BLOCKS; i++) free_marked(of_owner[id][i]);
  return NULL;
}

// Allocates as much as had been freed. Its exit status says whether its memory grew too much.
static void allocate_what_was_freed(const char* what) {
  chance_t chance = {mix(run_seed + 99)};
  const size_t before = resident_bytes();
  size_t blocks = 0;
  for (int t = 0; t < OWNERS; t++) {
    for (int i = 0; i < OWNER_BLOCKS; i++) {
      if (of_owner[t][i] != NULL) continue;
      of_owner[t][i] = marked_block(&chance);
      blocks++;
    }
  }
  const size_t freed = blocks * MARKED_MEAN;
  const size_t grown = above(resident_bytes(), before);
  memory_row(
      grown <= freed / 4,
      "P12 vanished: %s: %.1f MiB freed by %d threads, allocated again by the child: RSS grew by %.1f "
      "MiB = %.0f %%, at most 25 %%",
      what, in_mib(freed), OWNERS, in_mib(grown), 100.0 * (double)grown / (double)freed);
  for (int t = 0; t < OWNERS; t++) {
    for (int i = 0; i < OWNER_BLOCKS; i++) free_marked(of_owner[t][i]);
  }
  fflush(stdout);
  _exit(promise_status());
}

static void run_vanished(const char* what, int every) {
  keep_every = every;
  pthread_barrier_init(&all_freed, NULL, OWNERS + 1);
  pthread_t threads[OWNERS];
  for (intptr_t i = 0; i < OWNERS; i++) threads[i] = start_thread(free_and_stay, (void*)i);
  pthread_barrier_wait(&all_freed);
  pthread_barrier_wait(&all_freed);
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) allocate_what_was_freed(what);
  if (wait_for(child) != 0) atomic_fetch_add(&rows_failed, 1);
  pthread_barrier_wait(&all_freed);
  for (int i = 0; i < OWNERS; i++) pthread_join(threads[i], NULL);
}

static void vanished(const promise_plan_t* plan) {
  (void)plan;
  run_vanished("everything freed", 0);
  run_vanished("1 of 8 blocks lives", 8);
  run_vanished("1 of 2 blocks lives", 2);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  static const promise_part_t parts[] = {{"forks", forks}, {"vanished", vanished}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
