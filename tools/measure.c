// Run a command and write down what it took: one line
//     WALL_SECONDS USER_SECONDS SYSTEM_SECONDS PEAK_RSS_KIB MINOR_FAULTS EXIT_STATUS
// at the end of a file. A command that a signal ends has exit status 128 + signal.
//
// usage: measure [-p LIBRARY] [-t SECONDS] FILE COMMAND [ARGUMENT...]
//   -p LIBRARY  preload it into the command (and not into this program)
//   -t SECONDS  SIGALRM ends the command then
//
// Peak RSS is that of the largest process among the command and its children. Two traps of Linux:
// - What a process had before exec counts into its peak. So this program must be smaller than anything
//   it measures: link it statically.
// - The peak in rusage is made of counters that each CPU adds to in batches of up to 128 KiB, so it can be
//   1 MiB off; /proc/PID/status adds them up exactly. So we stop the command (not its children) when it
//   is about to exit, by ptrace, and read what it has then; the larger of the two is the peak. Where
//   ptrace is forbidden, rusage has to do.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
  exit(2);
}

// Waits until the parent has attached itself and closed the pipe.
static _Noreturn void become(int gate, unsigned limit, const char* library, char** command) {
  char c;
  while (read(gate, &c, 1) < 0 && errno == EINTR) continue;
  close(gate);
  if (library != NULL) setenv("LD_PRELOAD", library, 1);
  alarm(limit);  // lasts through the exec; 0 is none
  execvp(command[0], command);
  fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
  _exit(127);
}

// In KiB; 0 if it cannot be read.
static long peak_of(pid_t pid) {
  char name[64], line[256];
  long peak = 0;
  snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
  FILE* const file = fopen(name, "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmHWM: %ld", &peak) == 1) break;
  }
  fclose(file);
  return peak;
}

// The command has stopped: let it go on, with the signal that stopped it, if that was it.
static void go_on(pid_t pid, int status) {
  const int event = status >> 16;
  const int signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    ptrace(PTRACE_LISTEN, pid, NULL, NULL);  // SIGSTOP and its like: it stays stopped
  } else {
    ptrace(PTRACE_CONT, pid, NULL, (void*)(long)(event == 0 ? signal : 0));
  }
}

// Returns the wait status of the command that ended.
static int watch(pid_t pid, struct rusage* used, long* peak_kib) {
  for (;;) {
    int status;
    if (wait4(pid, &status, __WALL, used) < 0) {
      if (errno == EINTR) continue;
      fail("wait");
    }
    if (!WIFSTOPPED(status)) return status;
    if (status >> 16 == PTRACE_EVENT_EXIT) *peak_kib = peak_of(pid);
    go_on(pid, status);
  }
}

int main(int argc, char** argv) {
  const char* library = NULL;
  unsigned limit = 0;
  for (int option; (option = getopt(argc, argv, "+p:t:")) != -1;) {
    if (option == 'p') library = optarg;
    if (option == 't') limit = (unsigned)atoi(optarg);
    if (option == '?') argc = 0;
  }
  if (argc - optind < 2) {
    fputs("usage: measure [-p LIBRARY] [-t SECONDS] FILE COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  FILE* const file = fopen(argv[optind], "ae");
  if (file == NULL) fail(argv[optind]);
  int gate[2];
  if (pipe(gate) < 0) fail("pipe");

  const double start = now();
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    close(gate[1]);
    become(gate[0], limit, library, argv + optind + 1);
  }
  ptrace(PTRACE_SEIZE, pid, NULL, (void*)(long)PTRACE_O_TRACEEXIT);
  close(gate[1]);

  struct rusage used;
  long peak = 0;
  const int how = watch(pid, &used, &peak);
  const double wall = now() - start;
  if (peak < used.ru_maxrss) peak = used.ru_maxrss;
  const int status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
  fprintf(file, "%.6f %.6f %.6f %ld %ld %d\n", wall, seconds(used.ru_utime),
          seconds(used.ru_stime), peak, used.ru_minflt, status);
  return fclose(file) == 0 ? status : 2;
}
