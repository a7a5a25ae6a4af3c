// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "platform/platform.h"
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

enum { ERRNO_BEFORE = 4242, THREADS = 8 };

static void join(pthread_t thread) { CHECK_EQ(pthread_join(thread, NULL), 0); }

static pthread_t start(void* (*function)(void* arg), void* arg) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, function, arg), 0);
  return thread;
}

static pthread_barrier_t barrier;

static void* note_id(void* arg) {
  uintptr_t* const id = (uintptr_t*)arg;
  errno = ERRNO_BEFORE;
  *id = mii_platform_thread_id();
  CHECK_EQ(errno, ERRNO_BEFORE);
  pthread_barrier_wait(&barrier);
  CHECK_EQ(mii_platform_thread_id(), *id);
  return NULL;
}

TEST(running_threads_have_different_numbers) {
  uintptr_t ids[THREADS];
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (int i = 1; i < THREADS; i++) threads[i] = start(note_id, &ids[i]);
  note_id(&ids[0]);
  for (int i = 1; i < THREADS; i++) join(threads[i]);
  for (int i = 0; i < THREADS; i++) {
    for (int j = 0; j < i; j++) CHECK(ids[i] != ids[j]);
  }
}

// Thread exit ------------------------------------------------------------------------------------

static int exits;
static void* exit_value;
static uintptr_t exit_thread;
static bool local_was_destroyed, local_was_destroyed_first;

static void at_exit(void* value) {
  exits++;
  exit_value = value;
  exit_thread = mii_platform_thread_id();
  local_was_destroyed_first = local_was_destroyed;
}

static void register_exit(void) {
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_on_thread_exit(at_exit), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

static void* arm(void* value) {
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_thread_arm(value), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  return NULL;
}

static void* arm_twice(void* value) {
  arm(&exits);
  return arm(value);
}

static void* arm_and_exit(void* value) {
  arm(value);
  pthread_exit(NULL);
}

static void* do_nothing(void* arg) { return arg; }

TEST(an_armed_thread_tells_when_it_ends) {
  register_exit();
  uintptr_t id = 0;
  pthread_barrier_init(&barrier, NULL, 1);
  const pthread_t thread = start(arm, &id);
  join(thread);
  CHECK_EQ(exits, 1);
  CHECK_EQ(exit_value, &id);
  CHECK(exit_thread != mii_platform_thread_id());
}

TEST(a_thread_that_is_not_armed_ends_silently) {
  register_exit();
  join(start(do_nothing, NULL));
  CHECK_EQ(exits, 0);
}

TEST(the_last_value_counts) {
  register_exit();
  join(start(arm_twice, &exit_value));
  CHECK_EQ(exits, 1);
  CHECK_EQ(exit_value, &exit_value);
}

TEST(pthread_exit_ends_a_thread_too) {
  register_exit();
  join(start(arm_and_exit, &exits));
  CHECK_EQ(exits, 1);
}

// What the compiler calls for a C++ thread_local object with a destructor.
int __cxa_thread_atexit_impl(void (*destructor)(void* object), void* object, void* module);
extern void* __dso_handle;

static void destroy_local(void* object) {
  (void)object;
  local_was_destroyed = true;
}

static void* arm_before_local(void* value) {
  arm(value);
  __cxa_thread_atexit_impl(destroy_local, NULL, &__dso_handle);
  return NULL;
}

TEST(the_function_runs_after_the_destructors_of_thread_local_objects) {
  register_exit();
  join(start(arm_before_local, &exits));
  CHECK_EQ(exits, 1);
  CHECK(local_was_destroyed_first);
}

// Fork -------------------------------------------------------------------------------------------

static char fork_trace[16];
static void trace(char c) { fork_trace[strlen(fork_trace)] = c; }
static void before_fork(void) { trace('b'); }
static void in_parent(void) { trace('p'); }
static void in_child(void) { trace('c'); }

static void check_child_trace(void* arg) { CHECK_TEXT(fork_trace, (const char*)arg); }

TEST(fork_calls_the_functions_around_it) {
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_at_fork(before_fork, in_parent, in_child), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK_EQ(status_of_child(check_child_trace, "bc"), 0);
  CHECK_TEXT(fork_trace, "bp");
  CHECK_EQ(status_of_child(check_child_trace, "bpbc"), 0);
  CHECK_TEXT(fork_trace, "bpbp");
}

static uint32_t number_of_other;

static void* ask_whether_known(void* arg) {
  errno = ERRNO_BEFORE;
  *(bool*)arg = mii_platform_thread_is_known(&number_of_other) && errno == ERRNO_BEFORE;
  return NULL;
}

TEST(threads_of_libc_are_known) {
  uint32_t number = 0;
  CHECK(mii_platform_thread_is_known(&number) && number != 0);
  bool known = false;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, ask_whether_known, &known), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(known && number_of_other != number);
}

static bool is_gone_soon(uint32_t number) {
  for (int tries = 0; tries < 5000;
       tries++) {  // libc does not wait for the system to be done with it
    if (mii_platform_thread_is_gone(number)) return true;
    usleep(1000);
  }
  return false;
}

TEST(threads_that_have_ended_are_gone) {
  uint32_t number;
  mii_platform_thread_is_known(&number);
  errno = ERRNO_BEFORE;
  CHECK(!mii_platform_thread_is_gone(number));
  bool known;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, ask_whether_known, &known), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(is_gone_soon(number_of_other));
  CHECK_EQ(errno, ERRNO_BEFORE);
}

static void check_known(void* arg) {
  uint32_t number;
  CHECK_EQ(mii_platform_thread_is_known(&number), *(bool*)arg);
  CHECK(!mii_platform_thread_is_gone(number));
}

TEST(a_forked_thread_is_known) {
  bool known = true;
  CHECK_EQ(status_of_child(check_known, &known), 0);
}

TEST(yielding_keeps_errno) {
  errno = ERRNO_BEFORE;
  for (int i = 0; i < 100; i++) mii_platform_yield();
  CHECK_EQ(errno, ERRNO_BEFORE);
}

UNIT_TEST_MAIN
