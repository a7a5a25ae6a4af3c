// SPDX-License-Identifier: MIT
// promise_14.c - P14: huge blocks of zeros cost what is touched of them, and no more
//
//   calloc    1000 times calloc(1e9) and free: a bounded number of page faults and system calls; the time is shown
//   fresh     memory that comes from the system is zero, and calloc does not touch it
//   again     memory that was used is given back to the system rather than written: it reads as zero, and no more of
//             it is resident than is touched
//   replaced  buffers of 5 to 25 MiB are replaced in random order: page faults as with memory that stays warm
//
// From secure level 4 on huge blocks go back to the system when they are freed; the first 64 KiB are looked at before they
// are used again, and a seal is written at the end; at level 5 a guard is set and removed: then the bounds are what
// that takes.
#include "promise.h"
#include <sys/ptrace.h>

static const size_t HUGE_BYTES = 1000000000;
// A few calls give back what a gigabyte may hold, because we do not know that nothing was touched.
enum { ROUNDS = 1000, FAULTS_MAX = 64, CALLS_PER_ROUND = 12, CALLS_MORE = 64 };
enum { FAULTS_PER_SEALED = 16 + 2 };

static bool is_sealed(void) { return mi_option_get(mi_option_secure) >= 4; }
static bool is_guarded(void) { return mi_option_get(mi_option_secure) >= 5; }

static long faults_now(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// With 32 bits there may be no room for as much.
static size_t huge_bytes(void) {
  void* const p = mi_calloc(1, HUGE_BYTES);
  mi_free(p);
  return p != NULL ? HUGE_BYTES : HUGE_BYTES / 10;
}

static void calloc_often(size_t bytes) {
  for (int i = 0; i < ROUNDS; i++) {
    void* const p = mi_calloc(1, bytes);
    if (p == NULL) fail("no memory");
    mi_free(p);
  }
}

// Counts the system calls of the loop, in a child that stops at each of them; between two calls of getppid. -1 if
// that is not allowed here.
static long system_calls(size_t bytes) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(77);
    raise(SIGSTOP);
    calloc_often(bytes);
    _exit(0);
  }
  int status = 0;
  long stops = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return -1;
  while (ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0 && waitpid(child, &status, 0) == child
         && WIFSTOPPED(status))
    stops++;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? stops / 2 : -1;
}

static void run_calloc(const promise_plan_t* plan) {
  (void)plan;
  const size_t bytes = huge_bytes();
  const long before = faults_now();
  const double begin = now_seconds();
  calloc_often(bytes);
  const double seconds = now_seconds() - begin;
  const long faults = faults_now() - before;
  const long most = FAULTS_MAX + (is_sealed() ? ROUNDS * FAULTS_PER_SEALED : 0);
  memory_row(faults <= most, "calloc   %d x %zu bytes: %ld page faults (<= %ld), %.1f ms", ROUNDS,
             bytes, faults, most, 1000 * seconds);
  const long calls = HAS_SANITIZER ? -1 : system_calls(bytes);
  const long calls_most = (CALLS_PER_ROUND + (is_guarded() ? 2 : 0)) * ROUNDS + CALLS_MORE;
  row(calls <= calls_most, "calloc   %ld system calls (<= %ld)", calls, calls_most);
}

static bool reads_as_zero(const uint8_t* p, size_t bytes, size_t step) {
  for (size_t at = 0; at < bytes; at += step) {
    if (p[at] != 0) return false;
  }
  return true;
}

static void run_fresh(const promise_plan_t* plan) {
  (void)plan;
  enum { BYTES = 64 * 1024 * 1024 };
  mi_free(mi_malloc(1));
  const size_t base = resident_bytes();
  uint8_t* const p = mi_calloc(1, BYTES);
  const size_t touched = above(resident_bytes(), base);
  memory_row(touched <= MIB, "fresh    %zu KiB touched by calloc of 64 MiB (<= 1 MiB)",
             touched / KIB);
  row(reads_as_zero(p, BYTES, 4096), "fresh    it reads as zero");
  mi_free(p);
}

static void run_again(const promise_plan_t* plan) {
  (void)plan;
  enum { BYTES = 64 * 1024 * 1024 };
  uint8_t* p = mi_malloc(BYTES);
  memset(p, 0xAB, BYTES);
  mi_free(p);
  p = mi_calloc(1, BYTES);
  memset(p, 0xAB, MIB);
  mi_free(p);
  const size_t base = resident_bytes();
  p = mi_calloc(1, BYTES);
  const size_t touched = above(resident_bytes(), base);
  memory_row(touched <= MIB, "again    %zu KiB touched by calloc of 64 MiB (<= 1 MiB)",
             touched / KIB);
  row(reads_as_zero(p, BYTES, 1), "again    every byte of it is zero");
  mi_free(p);
}

static void run_replaced(const promise_plan_t* plan) {
  (void)plan;
  enum { BUFFERS = 8, LEAST = 5 * 1024 * 1024, MOST = 25 * 1024 * 1024, REPLACED = 200 };
  uint8_t* buffers[BUFFERS] = {NULL};
  chance_t chance = {.state = mix(run_seed)};
  size_t pages = 0;
  const long before = faults_now();
  for (int i = 0; i < (IS_SLOW ? REPLACED / 4 : REPLACED); i++) {
    uint8_t** const buffer = &buffers[draw_below(&chance, BUFFERS)];
    const size_t size = LEAST + draw_below(&chance, MOST - LEAST);
    mi_free(*buffer);
    *buffer = mi_malloc(size);
    if (*buffer == NULL) fail("no memory");
    for (size_t at = 0; at < size; at += 4096) (*buffer)[at] = 1, pages++;
  }
  const long faults = faults_now() - before;
  for (int i = 0; i < BUFFERS; i++) mi_free(buffers[i]);
  const size_t most = is_sealed() ? pages + REPLACED * FAULTS_PER_SEALED : pages / 2;
  memory_row(faults <= (long)most, "replaced %ld page faults for %zu OS pages touched (<= %zu)",
             faults, pages, most);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {{"calloc", run_calloc},
                                  {"fresh", run_fresh},
                                  {"again", run_again},
                                  {"replaced", run_replaced}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
