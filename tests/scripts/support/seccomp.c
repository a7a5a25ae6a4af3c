// The allocator behind a filter, from before its start on, that lets only mmap, munmap, madvise and
// mprotect pass, and what any program needs: read, write, exit, exit_group, and rt_sigreturn for our own
// handler.
//
// usage: seccomp MODE
//   enosys, eperm    the other calls fail with this error
//   count            they fail with ENOSYS, and each may be tried once only
//   advice           like eperm, and madvise fails, too
//   kill             the filter is installed in main, and the first other call ends the program

#define _GNU_SOURCE  // REG_RAX, REG_EAX
#include "early.h"
#include "workout.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

// libc asks for limits by LIMIT, we for LIMITS of them at the start.
#ifdef __x86_64__
enum { RESULT = REG_RAX, MAP = SYS_mmap, LIMIT = SYS_prlimit64, LIMITS = 1 };
#else
enum { RESULT = REG_EAX, MAP = SYS_mmap2, LIMIT = SYS_ugetrlimit, LIMITS = 2 };  // the stack's, too
#endif
enum { CALLS = 512 };
static volatile int refused[CALLS];

// Every call that is allowed is two instructions: is it this one? then let it pass.
#define ALLOW(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void install(uint32_t answer, bool may_advise) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(MAP),
      ALLOW(SYS_munmap),
      ALLOW(SYS_mprotect),
      ALLOW(SYS_read),
      ALLOW(SYS_write),
      ALLOW(SYS_exit),
      ALLOW(SYS_exit_group),
      ALLOW(SYS_rt_sigreturn),
      ALLOW(may_advise ? SYS_madvise : MAP),
      BPF_STMT(BPF_RET | BPF_K, answer),
  };
  const struct sock_fprog filter = {sizeof program / sizeof program[0], program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
      || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    _exit(77);
}

static void count_refused(int signal, siginfo_t* info, void* context) {
  (void)signal;
  if (info->si_syscall >= 0 && info->si_syscall < CALLS) refused[info->si_syscall]++;
  ((ucontext_t*)context)->uc_mcontext.gregs[RESULT] = -ENOSYS;
}

static void install_counting(void) {
  struct sigaction action = {.sa_sigaction = count_refused, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, NULL);
  install(SECCOMP_RET_TRAP, true);
}

static bool is(const char* mode, const char* name) { return strcmp(mode, name) == 0; }

static void early(int argc, char** argv) {
  if (argc != 2) _exit(2);
  if (is(argv[1], "count")) install_counting();
  if (is(argv[1], "enosys")) install(SECCOMP_RET_ERRNO | ENOSYS, true);
  if (is(argv[1], "eperm")) install(SECCOMP_RET_ERRNO | EPERM, true);
  if (is(argv[1], "advice")) install(SECCOMP_RET_ERRNO | EPERM, false);
}

static void say(const char* text) {
  if (write(1, text, strlen(text)) < 0) _exit(2);
}

// At the start; and where errors are shown, two limits are asked for again to name them in the report of a
// failed allocation, of which there is one here.
static int allowed_tries(int call) { return call == LIMIT ? LIMITS + 2 : 1; }

static void tell_refused(void) {
  char text[100];
  for (int i = 0; i < CALLS; i++) {
    if (refused[i] == 0) continue;
    snprintf(text, sizeof text, "system call %d refused %d times\n", i, refused[i]);
    say(text);
  }
  for (int i = 0; i < CALLS; i++) {
    if (refused[i] > allowed_tries(i)) die("system call %d was tried %d times\n", i, refused[i]);
  }
}

// Half of all addresses; with 32 bits they may be there, but not twice.
static void expect_too_much(void) {
  volatile size_t half = PTRDIFF_MAX;
  for (int i = 0; i < 2; i++) {
    errno = 0;
    if (malloc(half) != NULL) continue;
    if (errno != ENOMEM) die("too much: NULL, but errno is %d\n", errno);
    return;
  }
  die("all addresses in two blocks\n");
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (is(argv[1], "kill")) install(SECCOMP_RET_KILL_PROCESS, true);
  if (!workout(64 * MIB, 4)) die("malloc said no\n");
  expect_too_much();
  tell_refused();
  say("worked\n");
  return 0;
}
