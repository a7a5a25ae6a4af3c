// Runs one program and reports what it used.
//
//   measure REPORT_FD SECONDS LIBRARY|- PROGRAM [ARGUMENT ...]
//
// LIBRARY is preloaded into the program alone, which SIGALRM ends after SECONDS. One line goes to
// the file descriptor REPORT_FD:
//   wall seconds, user seconds, system seconds, peak RSS in KiB, minor faults, exit status (128 +
//   signal)
//
// Why not from the script: Linux lets a process begin with the peak RSS of the one that started it,
// so what python starts never seems to need less than python, about 10 MiB. This program is smaller
// than all it measures.
#define _DEFAULT_SOURCE  // wait4
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static _Noreturn void become(unsigned limit, const char* library, char** program) {
  if (strcmp(library, "-") != 0) setenv("LD_PRELOAD", library, 1);
  alarm(limit);  // lasts through the exec
  execv(program[0], program);
  perror(program[0]);
  _exit(127);
}

int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: measure REPORT_FD SECONDS LIBRARY|- PROGRAM [ARGUMENT ...]\n");
    return 2;
  }
  const int report = atoi(argv[1]);
  fcntl(report, F_SETFD, FD_CLOEXEC);

  const double begin = now();
  const pid_t child = fork();
  if (child == 0) become((unsigned)atoi(argv[2]), argv[3], argv + 4);
  int status = 0;
  struct rusage used;
  if (child < 0 || wait4(child, &status, 0, &used) != child) {
    perror("measure");
    return 1;
  }
  const double wall = now() - begin;

  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  dprintf(report, "%.6f %.6f %.6f %ld %ld %d\n", wall, seconds(used.ru_utime),
          seconds(used.ru_stime), used.ru_maxrss, used.ru_minflt, code);
  return 0;
}
