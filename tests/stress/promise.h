// SPDX-License-Identifier: MIT
// promise.h - what the programs named promise_* share: resident memory, two lengths, rows with a figure
//
// usage of each: promise_NN short|long [SEED [PART]]
//
// One row per figure: what was done, what was reached, what is allowed. A row that fails does not stop
// the others.
#ifndef STRESS_PROMISE_H
#define STRESS_PROMISE_H

#include "stress.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// With a sanitizer, what the process uses says little about us. In slow builds less is done.
#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifndef HAS_TSAN
#define HAS_TSAN 0
#endif
#if HAS_TSAN || defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif
#define IS_SLOW (HAS_SANITIZER || MI_TEST_ASSERT_LEVEL > 0)

typedef struct promise_plan_s {
  bool is_long;
  const char* part;  // NULL: all
} promise_plan_t;

static inline promise_plan_t read_promise_arguments(int argc, char** argv) {
  const bool is_long = argc > 1 && strcmp(argv[1], "long") == 0;
  if (argc > 1 && !is_long && strcmp(argv[1], "short") != 0) {
    fprintf(stderr, "usage: %s short|long [SEED [PART]]\n", argv[0]);
    exit(2);
  }
  run_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : is_long ? (uint64_t)time(NULL) : 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  return (promise_plan_t){.is_long = is_long, .part = argc > 3 ? argv[3] : NULL};
}

// Rows ----------------------------------------------------------------------------------------------

static _Atomic(int) rows_failed;

__attribute__((format(printf, 2, 0))) static inline void print_row(const char* verdict,
                                                                   const char* format,
                                                                   va_list args) {
  char text[240];
  vsnprintf(text, sizeof text, format, args);
  printf("%-4s %s\n", verdict, text);
}

__attribute__((format(printf, 2, 3))) static inline void row(bool good, const char* format, ...) {
  va_list args;
  va_start(args, format);
  print_row(good ? "ok" : "FAIL", format, args);
  va_end(args);
  if (!good) atomic_fetch_add(&rows_failed, 1);
}

// Of memory: with a sanitizer it is not ours alone, and the figure is only shown.
__attribute__((format(printf, 2, 3))) static inline void memory_row(bool good, const char* format,
                                                                    ...) {
  va_list args;
  va_start(args, format);
  print_row(good ? "ok" : HAS_SANITIZER ? "note" : "FAIL", format, args);
  va_end(args);
  if (!good && !HAS_SANITIZER) atomic_fetch_add(&rows_failed, 1);
}

static inline int promise_status(void) { return atomic_load(&rows_failed) == 0 ? 0 : 1; }

// Runs this program again for one part, so that its figures begin with a fresh process.
static inline void run_part(const promise_plan_t* plan, const char* part) {
  char seed[24];
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)run_seed);
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", part, plan->is_long ? "long" : "short", seed, part, (char*)NULL);
    _exit(127);
  }
  int status = 1;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    atomic_fetch_add(&rows_failed, 1);
    if (WIFSIGNALED(status)) printf("FAIL %s: signal %d\n", part, WTERMSIG(status));
  }
}

// Resident memory -----------------------------------------------------------------------------------

static inline size_t read_text(const char* path, char* text, size_t size) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  size_t length = 0;
  for (ssize_t got; length < size - 1; length += (size_t)got) {
    got = read(file, text + length, size - 1 - length);
    if (got <= 0) break;
  }
  close(file);
  text[length] = '\0';
  return length;
}

// The exact figure; the one in statm is late by some pages per thread. Does not allocate.
static inline size_t resident_bytes(void) {
  char text[2048];
  if (read_text("/proc/self/smaps_rollup", text, sizeof text) > 0) {
    const char* const line = strstr(text, "\nRss:");
    if (line != NULL) return (size_t)strtoull(line + 5, NULL, 10) * KIB;
  }
  unsigned long total = 0;
  unsigned long resident = 0;
  read_text("/proc/self/statm", text, sizeof text);
  if (sscanf(text, "%lu %lu", &total, &resident) != 2) fail("/proc is missing");
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

// A field of smaps, summed over the mappings without a file that lie side by side around `p`: ours. Does not
// allocate.
static inline size_t smaps_bytes(const void* p, const char* field) {
  static char text[1 << 20];
  read_text("/proc/self/smaps", text, sizeof text);
  unsigned long end = 0, from, to, inode;
  const size_t length = strlen(field);
  size_t sum = 0;
  bool found = false;
  bool counts = false;
  for (char *line = text, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
    if (sscanf(line, "%lx-%lx %*s %*x %*s %lu", &from, &to, &inode) == 3) {
      if (from != end || inode != 0) {
        if (found) break;
        sum = 0;
      }
      counts = inode == 0;
      found = found || (from <= (uintptr_t)p && (uintptr_t)p < to);
      end = to;
    } else if (counts && strncmp(line, field, length) == 0 && line[length] == ':') {
      sum += (size_t)strtoull(line + length + 1, NULL, 10) * KIB;
    }
  }
  return sum;
}

static inline size_t above(size_t value, size_t base) { return value > base ? value - base : 0; }

static inline double in_mib(size_t bytes) { return (double)bytes / (double)MIB; }

// Blocks that know their size -------------------------------------------------------------------------
// The first word and its complement at the end: who frees a block sees if it was cut or handed out twice.

enum { MARKED_MIN = 16, MARKED_MAX = 1024, MARKED_MEAN = (MARKED_MIN + MARKED_MAX) / 2 };

static inline void* marked_block(chance_t* chance) {
  const size_t size = MARKED_MIN + draw_below(chance, MARKED_MAX - MARKED_MIN + 1);
  uint8_t* const p = mi_malloc(size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  const uint64_t word = draw(chance) << 16 | size;
  const uint64_t complement = ~word;
  memcpy(p, &word, 8);
  memcpy(p + size - 8, &complement, 8);
  return p;
}

static inline void check_marked(const void* p) {
  uint64_t word, complement;
  memcpy(&word, p, 8);
  const size_t size = (size_t)(word & 0xFFFF);
  if (size < MARKED_MIN || size > MARKED_MAX) fail("block %p has lost its size", p);
  memcpy(&complement, (const uint8_t*)p + size - 8, 8);
  if (complement != ~word) fail("block %p of %zu bytes has lost its end", p, size);
}

static inline void free_marked(void* p) {
  if (p == NULL) return;
  check_marked(p);
  mi_free(p);
}

// Parts -----------------------------------------------------------------------------------------------

typedef struct promise_part_s {
  const char* name;
  void (*run)(const promise_plan_t* plan);
} promise_part_t;

// The part that is asked for, or all, each in a process of its own. Returns what main is to return.
static inline int run_promise(const promise_plan_t* plan, const promise_part_t* parts,
                              size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (plan->part == NULL) {
      run_part(plan, parts[i].name);
    } else if (strcmp(plan->part, parts[i].name) == 0) {
      parts[i].run(plan);
    }
  }
  return promise_status();
}

#endif
