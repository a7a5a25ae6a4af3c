// Run a command and write down what it took: one line
//     SECONDS PEAK_RSS_KIB MINOR_FAULTS EXIT_STATUS
// at the end of a file. Peak RSS is that of the largest process among the command and its children.
//
// usage: measure [-p LIBRARY] FILE COMMAND [ARGUMENT...]
//   -p LIBRARY  preload it into the command (and not into this program)
//
// The kernel counts what a process had before exec into its peak. So this program must be smaller
// than anything it measures: link it statically. Used by tools/run.sh and tests/scripts.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char** argv) {
  const char* library = NULL;
  if (argc > 2 && strcmp(argv[1], "-p") == 0) {
    library = argv[2];
    argv += 2;
    argc -= 2;
  }
  if (argc < 3) {
    fputs("usage: measure [-p LIBRARY] FILE COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  const double start = now();
  const pid_t pid = fork();
  if (pid < 0) {
    perror("measure: fork");
    return 2;
  }
  if (pid == 0) {
    if (library != NULL) setenv("LD_PRELOAD", library, 1);
    execvp(argv[2], argv + 2);
    fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
    _exit(127);
  }
  int how = 0;
  struct rusage usage;
  while (wait4(pid, &how, 0, &usage) < 0) {
    if (errno != EINTR) return 2;
  }
  const double seconds = now() - start;
  const int status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
  FILE* file = fopen(argv[1], "a");
  if (file == NULL) {
    perror(argv[1]);
    return 2;
  }
  fprintf(file, "%.4f %ld %ld %d\n", seconds, usage.ru_maxrss, usage.ru_minflt, status);
  fclose(file);
  return status;
}
