// SPDX-License-Identifier: MIT
// thread.c (posix) - thread exit by a pthread key, fork by pthread_atfork
#include "base/compiler.h"
#include "platform/platform.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

static pthread_key_t exit_key;

uintptr_t mii_platform_thread_id(void) { return (uintptr_t)pthread_self(); }

int mii_platform_on_thread_exit(void (*at_exit)(void* value)) {
  const int before = errno;
  const int code = pthread_key_create(&exit_key, at_exit);
  errno = before;
  return code;
}

void mii_platform_forget_thread_exit(void) { pthread_key_delete(exit_key); }

int mii_platform_thread_arm(void* value) {
  const int before = errno;
  const int code = pthread_setspecific(exit_key, value);
  errno = before;
  return code;
}

// A static program without threads comes without it. Everything of libc that the program may call in its
// signal handlers must not happen in our thread: it has all signals blocked, but for those of libc itself,
// which pthread_sigmask leaves alone, because setuid waits for them.
#pragma weak pthread_create

enum { STACK_BYTES = 256 * 1024, STACK_GUARD_BYTES = 64 * 1024 };

static void (*thread_function)(void);
static pthread_t thread_to_join;

static void* thread_main(void* unused) {
  thread_function();
  return unused;
}

static int create_thread(const pthread_attr_t* attributes, pthread_t* thread) {
  sigset_t all, before;
  sigfillset(&all);
  int code = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (code != 0) return code;
  code = pthread_create(thread, attributes, thread_main, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

// Who is to be joined has a stack of our own, which goes when the library does: libc would keep its for later. In
// the child of a fork the thread is not there, but its stack is, for the next one.
static uint8_t* own_stack;

static int give_own_stack(pthread_attr_t* attributes) {
  if (own_stack == NULL) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    void* const memory = mmap(NULL, STACK_GUARD_BYTES + STACK_BYTES, PROT_NONE, flags, -1, 0);
    if (memory == MAP_FAILED) return errno;
    own_stack = (uint8_t*)memory + STACK_GUARD_BYTES;
  }
  if (mprotect(own_stack, STACK_BYTES, PROT_READ | PROT_WRITE) != 0) return errno;
  return pthread_attr_setstack(attributes, own_stack, STACK_BYTES);
}

static int set_attributes(pthread_attr_t* attributes, bool is_to_be_joined) {
  if (is_to_be_joined) return give_own_stack(attributes);
  pthread_attr_setdetachstate(attributes, PTHREAD_CREATE_DETACHED);
  return pthread_attr_setstacksize(attributes, STACK_BYTES);
}

MI_COLD int mii_platform_thread_start(void (*run)(void), bool is_to_be_joined) {
  if (pthread_create == NULL) return ENOSYS;
  const int before = errno;
  pthread_attr_t attributes;
  int code = pthread_attr_init(&attributes);
  if (code == 0) {
    pthread_t detached;
    thread_function = run;
    code = set_attributes(&attributes, is_to_be_joined);
    if (code == 0) code = create_thread(&attributes, is_to_be_joined ? &thread_to_join : &detached);
    pthread_attr_destroy(&attributes);
  }
  errno = before;
  return code;
}

void mii_platform_thread_join(void) {
  const int before = errno;
  if (pthread_join(thread_to_join, NULL) == 0) {
    munmap(own_stack - STACK_GUARD_BYTES, STACK_GUARD_BYTES + STACK_BYTES);
    own_stack = NULL;
  }
  errno = before;
}

int mii_platform_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  const int before = errno;
  const int code = pthread_atfork(prepare, parent, child);
  errno = before;
  return code;
}

void mii_platform_yield(void) {
  const int before = errno;
  sched_yield();
  errno = before;
}
