// SPDX-License-Identifier: MIT
// unit_test.h - how a unit test is written
//
//     TEST(a_new_page_has_no_blocks) {
//       CHECK(page->capacity == 0);
//       CHECK_EQ(mii_page_extend(page, &first, NULL), 64);
//     }
//
//     UNIT_TEST_MAIN
//
// PENDING_TEST shows a bug that is not fixed yet: it is skipped unless MI_TEST_PENDING is set.
//
// Every test runs in a process of its own, so it begins with fresh statics and may leave anything
// behind. With MI_TEST_NO_FORK set the tests run in one process, for a debugger; then run one, named
// by MI_TEST_ONLY. Include this header first.
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAYBE_UNUSED __attribute__((unused))

#define KiB             ((size_t)1024)
#define MiB             (1024 * KiB)
#define GiB             (1024 * MiB)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// A data race ends the process, so that it is noticed also in a child.
#if defined(__SANITIZE_THREAD__)
#define UNIT_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNIT_TEST_TSAN 1
#endif
#endif
#if defined(UNIT_TEST_TSAN)
const char* __tsan_default_options(void);
__attribute__((weak)) const char* __tsan_default_options(void) { return "halt_on_error=1"; }
#endif

// --- checks: end the process with a message ---

#define CHECK(c) ((c) ? (void)0 : unit_test_fail(__FILE__, __LINE__, #c))

// Compares integers or pointers, and shows both when they differ. A pointer becomes an integer of its own
// size first: a wider one would have its sign.
#define UNIT_TEST_POINTER_CLASS 5
#define UNIT_TEST_NUMBER(a)                     \
  ((uint64_t)(__typeof__(__builtin_choose_expr( \
      __builtin_classify_type(a) == UNIT_TEST_POINTER_CLASS, (uintptr_t)0, ((void)0, (a)))))(a))
#define CHECK_EQ(a, b) \
  unit_test_equal(__FILE__, __LINE__, #a " == " #b, UNIT_TEST_NUMBER(a), UNIT_TEST_NUMBER(b))

#define CHECK_TEXT(a, b)     unit_test_text(__FILE__, __LINE__, #a, (a), (b), false)
#define CHECK_HAS_TEXT(a, b) unit_test_text(__FILE__, __LINE__, #a, (a), (b), true)

enum { UNIT_TEST_FAILED = 99 };

// From here on messages are thrown away, except those of failed checks: for tests that break things.
static int hushed_stderr = -1;

MAYBE_UNUSED static void hush(void) {
  fflush(stderr);
  hushed_stderr = dup(STDERR_FILENO);
  if (freopen("/dev/null", "w", stderr) == NULL) _exit(UNIT_TEST_FAILED);
}

MAYBE_UNUSED static void speak_again(void) {
  fflush(stderr);
  if (hushed_stderr >= 0) dup2(hushed_stderr, STDERR_FILENO);
}

_Noreturn MAYBE_UNUSED static void unit_test_fail(const char* file, int line, const char* what) {
  speak_again();
  fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
  fflush(NULL);
  _exit(UNIT_TEST_FAILED);
}

MAYBE_UNUSED static void unit_test_equal(const char* file, int line, const char* what, uint64_t a,
                                         uint64_t b) {
  if (a == b) return;
  speak_again();
  fprintf(stderr, "%s:%d: %llu (0x%llx) and %llu (0x%llx)\n", file, line, (unsigned long long)a,
          (unsigned long long)a, (unsigned long long)b, (unsigned long long)b);
  unit_test_fail(file, line, what);
}

MAYBE_UNUSED static void unit_test_text(const char* file, int line, const char* what,
                                        const char* text, const char* expected, bool part) {
  if (part ? strstr(text, expected) != NULL : strcmp(text, expected) == 0) return;
  speak_again();
  fprintf(stderr, "%s:%d: \"%s\" %s \"%s\"\n", file, line, text, part ? "lacks" : "is not",
          expected);
  unit_test_fail(file, line, what);
}

// --- processes ---

// The harness of cmocka catches these to go on with the next test; a child must end instead.
MAYBE_UNUSED static void let_signals_kill(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
  for (size_t i = 0; i < COUNT_OF(signals); i++) signal(signals[i], SIG_DFL);
}

// Runs body(arg) in a child. Returns its exit status: 0 if it returned; 128 + the signal that ended it.
MAYBE_UNUSED static int status_of_child(void (*body)(void* arg), void* arg) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    let_signals_kill();
    body(arg);
    fflush(NULL);
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return UNIT_TEST_FAILED;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The same with its messages thrown away: for what is expected to fail.
typedef struct quiet_body_s {
  void (*body)(void* arg);
  void* arg;
} quiet_body_t;

MAYBE_UNUSED static void run_quietly(void* arg) {
  const quiet_body_t* const quiet = (const quiet_body_t*)arg;
  if (freopen("/dev/null", "w", stderr) == NULL) _exit(UNIT_TEST_FAILED);
  quiet->body(quiet->arg);
}

// True if body(arg) does not come back: an assertion, a failed check, a crash.
MAYBE_UNUSED static bool stops_the_process(void (*body)(void* arg), void* arg) {
  quiet_body_t quiet = {body, arg};
  return status_of_child(run_quietly, &quiet) != 0;
}

// --- random numbers: the same in every run ---

typedef struct random_s {
  uint64_t state;
} random_t;

MAYBE_UNUSED static uint64_t random_next(random_t* random) {  // splitmix64
  uint64_t x = random->state += UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
  return x ^ (x >> 31);
}

// 0 .. limit - 1
MAYBE_UNUSED static uint32_t random_below(random_t* random, uint32_t limit) {
  return (uint32_t)(random_next(random) % limit);
}

// --- contents ---

MAYBE_UNUSED static bool is_all(const void* p, size_t size, uint8_t byte) {
  const uint8_t* const bytes = (const uint8_t*)p;
  return size == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, size - 1) == 0);
}

MAYBE_UNUSED static bool is_zero(const void* p, size_t size) { return is_all(p, size, 0); }

// --- the list of tests ---

enum { UNIT_TESTS_MAX = 128 };

typedef struct unit_test_s {
  const char* name;
  void (*body)(void);
  bool pending;
} unit_test_t;

static unit_test_t unit_tests[UNIT_TESTS_MAX];
static size_t unit_test_count;

MAYBE_UNUSED static void unit_test_add(unit_test_t test) {
  if (unit_test_count == UNIT_TESTS_MAX) abort();
  unit_tests[unit_test_count++] = test;
}

#define TEST_OF_KIND(name, pending)                           \
  static void name(void);                                     \
  __attribute__((constructor)) static void add_##name(void) { \
    unit_test_add((unit_test_t){#name, name, pending});       \
  }                                                           \
  static void name(void)
#define TEST(name)         TEST_OF_KIND(name, false)
#define PENDING_TEST(name) TEST_OF_KIND(name, true)

MAYBE_UNUSED static void unit_test_body(void* arg) { ((const unit_test_t*)arg)->body(); }

MAYBE_UNUSED static void unit_test_run(void** state) {
  unit_test_t* const test = (unit_test_t*)*state;
  if (test->pending && getenv("MI_TEST_PENDING") == NULL) skip();
  if (getenv("MI_TEST_NO_FORK") != NULL) {
    test->body();
  } else if (status_of_child(unit_test_body, test) != 0) {
    fail_msg("%s", test->name);
  }
}

MAYBE_UNUSED static int unit_test_main(void) {
  static struct CMUnitTest group[UNIT_TESTS_MAX];  // those without a name are skipped
  const char* const only = getenv("MI_TEST_ONLY");
  size_t count = 0;
  for (size_t i = 0; i < unit_test_count; i++) {
    if (only != NULL && strcmp(only, unit_tests[i].name) != 0) continue;
    group[count++] = (struct CMUnitTest){
        .name = unit_tests[i].name, .test_func = unit_test_run, .initial_state = &unit_tests[i]};
  }
  return cmocka_run_group_tests(group, NULL, NULL);
}

#define UNIT_TEST_MAIN \
  int main(void) { return unit_test_main(); }

#endif
