// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "platform/platform.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { ERRNO_BEFORE = 4242 };

extern char** environ;

static void tell_nothing(void) {}

static void check_variable(const char* name, const char* expected) {
  errno = ERRNO_BEFORE;
  const char* const value = mii_platform_environment(name);
  CHECK_EQ(errno, ERRNO_BEFORE);
  if (expected == NULL) {
    CHECK(value == NULL);
  } else {
    CHECK(value != NULL);
    CHECK_TEXT(value, expected);
  }
}

TEST(variables_are_found_whatever_the_case_of_their_names) {
  setenv("MIMALLOC_Test_1", "Value", 1);
  check_variable("MIMALLOC_TEST_1", "Value");
  check_variable("mimalloc_test_1", "Value");
  check_variable("MIMALLOC_Test_1", "Value");
}

TEST(only_the_whole_name_counts) {
  setenv("MIMALLOC_TEST_12", "x", 1);
  setenv("MIMALLOC_TES", "y", 1);
  check_variable("MIMALLOC_TEST_1", NULL);
  check_variable("MIMALLOC_TEST", NULL);
  check_variable("MALLOC_TEST_12", NULL);
  check_variable("MIMALLOC_TEST_12=", NULL);
}

TEST(values_may_be_empty_or_hold_an_equals_sign) {
  setenv("MIMALLOC_EMPTY", "", 1);
  setenv("MIMALLOC_EQUALS", "=a=b", 1);
  check_variable("MIMALLOC_EMPTY", "");
  check_variable("MIMALLOC_EQUALS", "=a=b");
}

TEST(there_may_be_no_environment_yet) {
  CHECK(mii_platform_has_environment());
  environ = NULL;
  CHECK(!mii_platform_has_environment());
  check_variable("PATH", NULL);
  CHECK(mii_platform_environment_entry(0) == NULL);
}

TEST(the_entries_are_those_of_the_environment) {
  setenv("MIMALLOC_LAST", "1", 1);
  size_t i = 0;
  bool found = false;
  for (const char* entry; (entry = mii_platform_environment_entry(i)) != NULL; i++) {
    CHECK_EQ(entry, environ[i]);
    found = found || strcmp(entry, "MIMALLOC_LAST=1") == 0;
  }
  CHECK(found);
  CHECK(environ[i] == NULL);
}

// Messages ---------------------------------------------------------------------------------------

typedef struct reader_s {
  int descriptor;
  size_t received;
  bool correct;
} reader_t;

static char expected_at(size_t i) { return (char)('a' + i % 23); }

static void wait_ms(long ms) {
  const struct timespec pause = {0, ms * 1000000};
  nanosleep(&pause, NULL);
}

static void* read_all(void* arg) {
  reader_t* const reader = (reader_t*)arg;
  char text[5000];
  wait_ms(10);  // let the writer wait for room
  for (ssize_t n; (n = read(reader->descriptor, text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < n; i++) {
      reader->correct = reader->correct && text[i] == expected_at(reader->received++);
    }
  }
  return NULL;
}

static void write_long_text(void) {
  const size_t length = MiB + 17;  // more than a pipe holds
  char* const text = (char*)malloc(length);
  for (size_t i = 0; i < length; i++) text[i] = expected_at(i);
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  reader_t reader = {ends[0], 0, true};
  pthread_t thread;
  sigset_t alarm, before;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, &before);  // for the writer only
  CHECK_EQ(pthread_create(&thread, NULL, read_all, &reader), 0);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = ERRNO_BEFORE;
  mii_platform_write(ends[1], text, length);
  mii_platform_write(ends[1], text, 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  close(ends[1]);
  pthread_join(thread, NULL);
  CHECK(reader.correct);
  CHECK_EQ(reader.received, length);
  free(text);
}

TEST(texts_of_any_length_are_written_completely) { write_long_text(); }

static void do_nothing(int signal_number) { (void)signal_number; }

// A signal ends a write early, or before its first byte.
TEST(signals_do_not_cut_texts) {
  struct sigaction action = {.sa_handler = do_nothing};  // without SA_RESTART
  CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
  const struct itimerval every_2_ms = {{0, 2000}, {0, 2000}};
  CHECK_EQ(setitimer(ITIMER_REAL, &every_2_ms, NULL), 0);
  write_long_text();
  const struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
}

TEST(writing_to_nowhere_does_no_harm) {
  errno = ERRNO_BEFORE;
  mii_platform_write(-1, "text", 4);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

TEST(a_full_descriptor_takes_what_it_can) {
  int ends[2];
  CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
  static char text[256 * 1024];
  errno = ERRNO_BEFORE;
  mii_platform_write(ends[1], text, sizeof text);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(read(ends[0], text, sizeof text) > 0);
}

static int receive_stderr(void) {
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
  close(ends[1]);
  return ends[0];
}

TEST(the_kept_standard_error_survives_its_closing) {
  const int end = receive_stderr();
  errno = ERRNO_BEFORE;
  const int kept = mii_platform_keep_stderr();
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(kept > STDERR_FILENO);
  CHECK((fcntl(kept, F_GETFD) & FD_CLOEXEC) != 0);
  close(STDERR_FILENO);
  mii_platform_write(kept, "late\n", 5);
  char text[6] = {0};
  CHECK_EQ(read(end, text, 5), 5);
  CHECK(strcmp(text, "late\n") == 0);
}

TEST(without_a_standard_error_nothing_is_kept) {
  close(STDERR_FILENO);
  errno = ERRNO_BEFORE;
  if (mii_platform_keep_stderr() != STDERR_FILENO || errno != ERRNO_BEFORE) _exit(1);
}

// Functions --------------------------------------------------------------------------------------

static void* as_pointer(platform_function_t* function) {
  void* p;
  memcpy(&p, &function, sizeof p);
  return p;
}

TEST(the_next_definition_is_the_one_behind_ours) {
  errno = ERRNO_BEFORE;
  platform_function_t* const next = mii_platform_next_function("fputs");
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(next != NULL);
  CHECK_EQ(as_pointer(next), dlsym(RTLD_NEXT, "fputs"));
}

TEST(what_nobody_defines_has_no_next_definition) {
  errno = ERRNO_BEFORE;
  CHECK(mii_platform_next_function("mimalloc_no_such_function") == NULL);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

TEST(the_first_function_of_a_name_is_known) {
  errno = ERRNO_BEFORE;
  platform_function_t* const getpid_of_libc = (platform_function_t*)dlsym(RTLD_DEFAULT, "getpid");
  CHECK(mii_platform_is_first_function("getpid", getpid_of_libc));
  CHECK(!mii_platform_is_first_function("getpid", (platform_function_t*)tell_nothing));
  CHECK(!mii_platform_is_first_function("no_such_function", (platform_function_t*)tell_nothing));
  CHECK_EQ(errno, ERRNO_BEFORE);
}

// Exit ---------------------------------------------------------------------------------------------------

static int exits;
static void count_exit(void* arg) {
  CHECK(arg == NULL);
  exits++;
}
__attribute__((destructor)) static void tell_exits(void) {
  if (exits != 0) _exit(40 + exits);
}

static void exit_told(void* arg) {
  errno = 77;
  CHECK_EQ(mii_platform_on_exit(count_exit), 0);
  CHECK_EQ(errno, 77);
  if (*(bool*)arg) mii_platform_forget_exit();
  exit(0);
}

TEST(an_exit_is_told_once_before_the_destructors) {
  bool forget = false;
  CHECK_EQ(status_of_child(exit_told, &forget), 41);
  forget = true;
  CHECK_EQ(status_of_child(exit_told, &forget), 41);  // called by forgetting, and not again
}

UNIT_TEST_MAIN
