// SPDX-License-Identifier: MIT
// replay.c - run the target on files, or on those of folders, each in a process of its own
// usage: replay FILE|FOLDER...
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static int passed;
static int failed;

static void run(const char* path) {
  static uint8_t data[64 * 1024];
  FILE* const file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  const size_t size = fread(data, 1, sizeof data, file);
  fclose(file);
  LLVMFuzzerTestOneInput(data, size);
}

static void run_apart(const char* path) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    run(path);
    exit(0);
  }
  int status = 1;
  if (child > 0 && waitpid(child, &status, 0) == child && status == 0) {
    passed++;
    return;
  }
  failed++;
  printf("FAIL %s: %s %d\n", path, WIFSIGNALED(status) ? "signal" : "status",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void run_folder(const char* path) {
  struct dirent** entries;
  const int count = scandir(path, &entries, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.') run_apart(name);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    struct stat info;
    if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
      run_folder(argv[i]);
    } else {
      run_apart(argv[i]);
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
