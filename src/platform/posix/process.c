// SPDX-License-Identifier: MIT
// process.c (posix) - environment, a place for messages, and the definitions behind ours
#include "platform/platform.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern char** environ;

// The end of `name` in an entry that begins with it, or NULL. ASCII only: no locale is read.
static const char* match_name(const char* entry, const char* name) {
  for (; *name != '\0'; entry++, name++) {
    const char a = *entry >= 'a' && *entry <= 'z' ? (char)(*entry - 32) : *entry;
    const char b = *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name;
    if (a != b) return NULL;
  }
  return entry;
}

bool mii_platform_has_environment(void) { return environ != NULL; }

const char* mii_platform_environment(const char* name) {
  if (environ == NULL) return NULL;  // before libc has started
  for (char** entry = environ; *entry != NULL; entry++) {
    const char* const end = match_name(*entry, name);
    if (end != NULL && *end == '=') return end + 1;
  }
  return NULL;
}

const char* mii_platform_environment_entry(size_t i) { return environ != NULL ? environ[i] : NULL; }

int mii_platform_keep_stderr(void) {
  const int before = errno;
  const int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);  // away from the program's own
  errno = before;
  return copy >= 0 ? copy : STDERR_FILENO;
}

// A static program may come without dlsym; then nobody is behind us.
#pragma weak dlsym

platform_function_t* mii_platform_next_function(const char* name) {
  const int before = errno;
  void* const symbol = dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
  errno = before;
  platform_function_t* function;
  memcpy(&function, &symbol, sizeof function);  // POSIX makes them the same, ISO C does not
  return function;
}
