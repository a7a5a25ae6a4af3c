// SPDX-License-Identifier: MIT
// fault.c (posix) - who called, and being told when the program touches what it must not
//
// Whoever wanted to know of faults before us is told after us, and so is the system.
#include "platform/platform.h"
#include <errno.h>
#include <signal.h>
#include <stddef.h>

// libc's, where it has one.
extern int backtrace(void** frames, int count_max) __attribute__((weak));

uint32_t mii_platform_stack(void** frames, uint32_t count_max) {
  const int before = errno;
  const int count = backtrace != NULL ? backtrace(frames, (int)count_max) : 0;
  errno = before;
  return count > 0 ? (uint32_t)count : 0;
}

static void (*fault_function)(const void* address);  // const once the handler is there
static struct sigaction behind_us;                   // the same

// If nobody wants to know, the access is made again when we return, and ends the program.
static void tell_next(int number, siginfo_t* info, void* context) {
  if ((behind_us.sa_flags & SA_SIGINFO) != 0) {
    behind_us.sa_sigaction(number, info, context);
  } else if (behind_us.sa_handler == SIG_DFL || behind_us.sa_handler == SIG_IGN) {
    sigaction(number, &behind_us, NULL);
  } else {
    behind_us.sa_handler(number);
  }
}

static void handle_fault(int number, siginfo_t* info, void* context) {
  const int before = errno;
  fault_function(info->si_addr);
  tell_next(number, info, context);
  errno = before;
}

void mii_platform_on_fault(void (*on_fault)(const void* address)) {
  const int before = errno;
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  action.sa_sigaction = handle_fault;
  sigemptyset(&action.sa_mask);
  fault_function = on_fault;
  sigaction(SIGSEGV, NULL, &behind_us);
  sigaction(SIGSEGV, &action, NULL);
  errno = before;
}
