// Runs every symbol in every situation, each in a process of its own, and prints a line for the program and
// one for each failure. See first_call.sh.
//
// first_call_run LABEL PROGRAM NAME=VALUE... SITUATION... <symbols      the environment, the situations

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 256, SYMBOLS_MAX = 1000, SECONDS_MAX = 10 };

static char symbols[SYMBOLS_MAX][LINE_BYTES];
static int symbol_count;
static char said[LINE_BYTES];       // by the process that ran last, on standard output
static char complaint[LINE_BYTES];  // on standard error
static pid_t child;

static void on_alarm(int signal_number) {
  (void)signal_number;
  kill(child, SIGKILL);
}

static void read_symbols(void) {
  while (symbol_count < SYMBOLS_MAX && fgets(symbols[symbol_count], LINE_BYTES, stdin) != NULL) {
    symbols[symbol_count][strcspn(symbols[symbol_count], "\n")] = '\0';
    symbol_count++;
  }
}

static void die(const char* what) {
  perror(what);
  exit(2);
}

static void read_back(int file, char* line) {
  const ssize_t got = pread(file, line, LINE_BYTES - 1, 0);
  line[got > 0 ? got : 0] = '\0';
  if (ftruncate(file, 0) != 0) die("ftruncate");
  line[strcspn(line, "\n")] = '\0';
}

static int scratch_file(const char* name) {
  const int file = open(name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) die(name);
  return file;
}

// Returns how the process ended.
static int run(char** command, char** environment) {
  static int output = -1;
  static int errors = -1;
  if (output < 0) output = scratch_file("run.out"), errors = scratch_file("run.err");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  if (posix_spawn(&child, command[0], &actions, NULL, command, environment) != 0) die(command[0]);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  alarm(SECONDS_MAX);
  while (waitpid(child, &status, 0) < 0) continue;
  alarm(0);
  read_back(output, said);
  read_back(errors, complaint);
  return status;
}

static void print_failure(const char* label, char** command, int status) {
  printf("FAIL  %s: %s, %s: %s %d: %s\n", label, command[1], command[2],
         WIFSIGNALED(status) ? "signal" : "status",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), complaint);
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const char* const label = argv[1];
  char** first = &argv[3];
  while (*first != NULL && strchr(*first, '=') != NULL) first++;
  char** const environment = calloc((size_t)(first - argv), sizeof(char*));
  memcpy(environment, &argv[3], (size_t)(first - &argv[3]) * sizeof(char*));
  read_symbols();
  signal(SIGALRM, on_alarm);
  int failures = 0;
  char line[2 * LINE_BYTES] = "";
  for (char** situation = first; *situation != NULL; situation++) {
    int good = 0;
    for (int i = 0; i < symbol_count; i++) {
      char* command[] = {argv[2], symbols[i], *situation, NULL};
      const int status = run(command, environment);
      if (status == 0 && strcmp(said, "called") == 0) {
        good++;
      } else {
        failures++;
        print_failure(label, command, status);
      }
    }
    const size_t length = strlen(line);
    snprintf(line + length, sizeof line - length, "  %s %d/%d", *situation, good, symbol_count);
  }
  printf("%-18s%s\n", label, line);
  return failures > 0;
}
