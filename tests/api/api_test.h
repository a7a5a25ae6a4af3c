// SPDX-License-Identifier: MIT
// api_test.h - what the tests of the public functions share
//
// Each `*_test.c` is a program of its own, linked with cmocka and with the library: the one that
// overrides malloc or the one that does not; `malloc_is_ours` tells. Include this header first.
#ifndef API_TEST_H
#define API_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
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

#include "mimalloc.h"

#if defined(__GNUC__) || defined(__clang__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

// With a sanitizer, what the process uses says little about us.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define KiB             ((size_t)1024)
#define MiB             (1024 * KiB)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// Larger than any size that is allowed, without an overflow.
#define TOO_LARGE     ((size_t)PTRDIFF_MAX + 1)
#define HALF_THE_BITS ((size_t)1 << 4 * sizeof(size_t))  // its square overflows by one bit

// A value the compiler cannot see through: keeps it from judging our sizes and from removing calls.
MAYBE_UNUSED static size_t opaque(size_t value) {
  volatile size_t hidden = value;
  return hidden;
}

MAYBE_UNUSED static void* opaque_pointer(void* value) {
  void* volatile hidden = value;
  return hidden;
}

// --- contents ---

static uint8_t pattern_byte(size_t i, unsigned seed) {
  return (uint8_t)(1 + (i * 7 + (i >> 8) * 13 + seed * 31) % 255);  // never 0
}

MAYBE_UNUSED static void fill(void* p, size_t size, unsigned seed) {
  uint8_t* const bytes = (uint8_t*)p;
  for (size_t i = 0; i < size; i++) bytes[i] = pattern_byte(i, seed);
}

MAYBE_UNUSED static bool holds(const void* p, size_t size, unsigned seed) {
  const uint8_t* const bytes = (const uint8_t*)p;
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != pattern_byte(i, seed)) return false;
  }
  return true;
}

MAYBE_UNUSED static bool is_zero(const void* p, size_t size) {
  const uint8_t* const bytes = (const uint8_t*)p;
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

MAYBE_UNUSED static bool is_aligned_at(const void* p, size_t alignment, size_t offset) {
  return (((uintptr_t)p + offset) & (alignment - 1)) == 0;
}

MAYBE_UNUSED static bool is_aligned(const void* p, size_t alignment) {
  return is_aligned_at(p, alignment, 0);
}

// Is `p` aligned as every block of this size is?
MAYBE_UNUSED static bool is_block_aligned(const void* p, size_t size) {
  return is_aligned(p, size <= 8 ? 8 : 16);
}

// Leave freed memory of this size behind that is full of rubbish.
MAYBE_UNUSED static void make_dirty(size_t size) {
  enum { MOST = 64 };
  void* blocks[MOST];
  const size_t count = (size > MiB) ? 2 : (size > 32 * KiB) ? 8 : MOST;
  for (size_t i = 0; i < count; i++) {
    blocks[i] = mi_malloc(size);
    assert_non_null(blocks[i]);
    memset(opaque_pointer(blocks[i]), 0xA5, opaque(mi_usable_size(blocks[i])));
  }
  for (size_t i = 0; i < count; i++) mi_free(blocks[i]);
}

// How hardened the process is (MIMALLOC_SECURE): some of what follows from the ordinary way of doing things is
// otherwise then, and the tests say how. From 3 on blocks come from vaults, which belong to no thread and accept no
// bad pointer; from 4 on a block is as large as it was asked for.
MAYBE_UNUSED static long secure_level(void) { return mi_option_get(mi_option_secure); }
MAYBE_UNUSED static bool has_vaults(void) { return secure_level() >= 3; }
MAYBE_UNUSED static bool sizes_are_exact(void) { return secure_level() >= 4; }

// The size of the block that serves `size` bytes: 8, steps of 16 to 128, 8 classes per doubling to
// 32 KiB, whole 4 KiB to 1 MiB, whole 64 KiB above.
MAYBE_UNUSED static size_t expected_block_size(size_t size) {
  size_t step = 64 * KiB;
  if (size <= 8) return 8;
  if (size <= 128) {
    step = 16;
  } else if (size <= 32 * KiB) {
    step = 16;
    for (size_t top = 256; size > top; top *= 2) step *= 2;
  } else if (size <= MiB) {
    step = 4 * KiB;
  }
  return (size + step - 1) / step * step;
}

// How much of it may be used.
MAYBE_UNUSED static size_t expected_good_size(size_t size) {
  return sizes_are_exact() ? size + (size == 0) : expected_block_size(size);
}

// --- reports: what the error function received since `reports_begin` ---

typedef struct reports_s {
  int count;
  int last_code;
} reports_t;

static reports_t reports;

static void mi_cdecl note_report(int err, void* arg) {
  reports_t* const into = (reports_t*)arg;
  into->count++;
  into->last_code = err;
}

MAYBE_UNUSED static void reports_begin(void) {
  mi_register_error(&note_report, &reports);
  memset(&reports, 0, sizeof(reports));
}

// --- errno ---

enum { UNTOUCHED = 7531 };  // no error number

// `expression` is a call that fails: NULL or false, this errno, one report of this code.
#define ASSERT_FAILS(expression, errno_expected, code_expected) \
  do {                                                          \
    reports_begin();                                            \
    errno = UNTOUCHED;                                          \
    const bool failed_ = !(expression);                         \
    const int errno_ = errno;                                   \
    assert_true(failed_);                                       \
    assert_int_equal(errno_, (errno_expected));                 \
    assert_int_equal(reports.count, 1);                         \
    assert_int_equal(reports.last_code, (code_expected));       \
  } while (0)

// `statement` leaves errno alone and reports nothing.
#define ASSERT_QUIET(statement)          \
  do {                                   \
    reports_begin();                     \
    errno = UNTOUCHED;                   \
    statement;                           \
    const int errno_ = errno;            \
    assert_int_equal(errno_, UNTOUCHED); \
    assert_int_equal(reports.count, 0);  \
  } while (0)

// Say which entry a failing assertion was about.
#define ASSERT_FOR(entry, condition)                                 \
  do {                                                               \
    if (!(condition)) fail_msg("%s: %s", (entry)->name, #condition); \
  } while (0)

// --- output: what the output function received since `output_begin` ---

typedef struct output_s {
  char text[64 * 1024];
  size_t length;
  int calls;
} output_t;

static output_t output;

static void mi_cdecl note_output(const char* msg, void* arg) {
  output_t* const into = (output_t*)arg;
  const size_t room = sizeof(into->text) - 1 - into->length;
  const size_t add = strnlen(msg, room);
  memcpy(into->text + into->length, msg, add);
  into->length += add;
  into->text[into->length] = 0;
  into->calls++;
}

static void output_clear(void) {
  output.text[0] = 0;
  output.length = 0;
  output.calls = 0;
}

// Registration delivers what was said before; that is not what the test asks for.
MAYBE_UNUSED static void output_begin(void) {
  mi_register_output(&note_output, &output);
  output_clear();
}

MAYBE_UNUSED static size_t count_lines_with(const char* text, const char* part) {
  size_t count = 0;
  for (const char* line = text; *line != 0;) {
    const char* const end = strchrnul(line, '\n');
    const char* const seen = strstr(line, part);
    if (seen != NULL && seen < end) count++;
    line = (*end == 0) ? end : end + 1;
  }
  return count;
}

// --- the process ---

// Does this program's malloc come from the library under test?
MAYBE_UNUSED static bool malloc_is_ours(void) {
  void* const p = malloc(opaque(40));
  const bool ours = mi_malloc_size(p) != 0;
  free(p);
  return ours;
}

// The function of this name in a library that replaces malloc. size_t is an m in the C++ names of our tables,
// as with 64 bits; with 32 it is a j.
MAYBE_UNUSED static void* override_address(const char* name) {
  char symbol[64];
  snprintf(symbol, sizeof(symbol), "%s", name);
  char* const size = symbol + (strncmp(name, "_Zn", 3) == 0 ? strlen("_Znw") : strlen("_ZdlPv"));
  if (sizeof(size_t) == 4 && strncmp(name, "_Z", 2) == 0 && *size == 'm') *size = 'j';
  void* const address = dlsym(RTLD_DEFAULT, symbol);
  assert_non_null(address);
  return address;
}

MAYBE_UNUSED static size_t os_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

// Resident memory in bytes; always 0 with a sanitizer.
MAYBE_UNUSED static size_t resident_bytes(void) {
  if (HAS_SANITIZER) return 0;
  unsigned long total = 0;
  unsigned long resident = 0;
  FILE* const file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  const int fields = fscanf(file, "%lu %lu", &total, &resident);
  fclose(file);
  return (fields == 2) ? resident * os_page_size() : 0;
}

// The exit status of `run` in a child process; 1000 + the signal if one killed it.
MAYBE_UNUSED static int status_of_child(int (*run)(void)) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) _exit(run());
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Run `start` in a thread and wait for its end; the assertions of cmocka do not work in there.
MAYBE_UNUSED static void* result_of_thread(void* (*start)(void*), void* arg) {
  pthread_t thread;
  void* result = NULL;
  assert_int_equal(pthread_create(&thread, NULL, start, arg), 0);
  assert_int_equal(pthread_join(thread, &result), 0);
  return result;
}

// Messages of failures that a test provokes are not for the terminal.
MAYBE_UNUSED static int be_silent(void** state) {
  (void)state;
  mi_option_set(mi_option_show_errors, 0);
  mi_option_set(mi_option_verbose, 0);
  return 0;
}

// Back to the defaults, whatever a test registered.
MAYBE_UNUSED static int unregister_all(void** state) {
  (void)state;
  mi_register_error(NULL, NULL);
  mi_register_output(NULL, NULL);
  mi_register_deferred_free(NULL, NULL);
  return 0;
}

#endif  // API_TEST_H
