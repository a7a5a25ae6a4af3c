// SPDX-License-Identifier: MIT
// thread.c (posix) - thread exit by a pthread key, fork by pthread_atfork
#include "platform/platform.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>

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
