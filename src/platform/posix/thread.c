// SPDX-License-Identifier: MIT
// thread.c (posix) - thread exit by a pthread key, fork by pthread_atfork
#include "platform/platform.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

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

enum { STACK_BYTES = 256 * 1024 };

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

int mii_platform_thread_start(void (*run)(void), bool is_to_be_joined) {
  if (pthread_create == NULL) return ENOSYS;
  const int before = errno;
  pthread_attr_t attributes;
  int code = pthread_attr_init(&attributes);
  if (code == 0) {
    const int state = is_to_be_joined ? PTHREAD_CREATE_JOINABLE : PTHREAD_CREATE_DETACHED;
    pthread_t detached;
    pthread_attr_setdetachstate(&attributes, state);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    thread_function = run;
    code = create_thread(&attributes, is_to_be_joined ? &thread_to_join : &detached);
    pthread_attr_destroy(&attributes);
  }
  errno = before;
  return code;
}

void mii_platform_thread_join(void) {
  const int before = errno;
  pthread_join(thread_to_join, NULL);
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
