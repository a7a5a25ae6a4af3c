// SPDX-License-Identifier: MIT
// process.c (posix) - environment, a place for messages, and the definitions behind ours
#include "base/format.h"
#include "platform/platform.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern char** environ;

bool mii_platform_has_environment(void) { return environ != NULL; }

const char* mii_platform_environment(const char* name) {
  if (environ == NULL) return NULL;  // before libc has started
  for (char** entry = environ; *entry != NULL; entry++) {
    const char* const end = mii_match_name(*entry, name);
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

// The C++ ABI's functions, under a name of our own: what a library registers under its usual one is called
// when it is unloaded, too.
int __cxa_atexit(void (*function)(void* arg), void* arg, void* owner);
void __cxa_finalize(void* owner);
static char exit_owner;

int mii_platform_on_exit(void (*at_exit)(void* arg)) {
  const int before = errno;
  const int code = __cxa_atexit(at_exit, NULL, &exit_owner);
  errno = before;
  return code == 0 ? 0 : ENOMEM;
}

void mii_platform_forget_exit(void) { __cxa_finalize(&exit_owner); }

// A static program may come without dlsym; then nobody is behind us.
#pragma weak dlsym

static platform_function_t* find_function(void* library, const char* name) {
  void* const symbol = dlsym != NULL ? dlsym(library, name) : NULL;
  platform_function_t* function;
  memcpy(&function, &symbol, sizeof function);  // POSIX makes them the same, ISO C does not
  return function;
}

platform_function_t* mii_platform_next_function(const char* name) {
  const int before = errno;
  platform_function_t* const function = find_function(RTLD_NEXT, name);
  errno = before;
  return function;
}

// In the library, if it is loaded, in whatever scope: who loaded it keeps it, so we need not. NULL: in what
// everyone sees. dlopen is looked up, because the linker warns of static programs that mention it.
static platform_function_t* find_in_loaded(const char* library_name, const char* name) {
  typedef void* dlopen_t(const char* file, int flags);
  dlopen_t* const open_library = (dlopen_t*)find_function(RTLD_DEFAULT, "dlopen");
  void* const library =
      open_library != NULL ? open_library(library_name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (library == NULL) return NULL;
  typedef int dlclose_t(void* library);
  dlclose_t* const close_library = (dlclose_t*)find_function(RTLD_DEFAULT, "dlclose");
  platform_function_t* const function = find_function(library, name);
  if (close_library != NULL) close_library(library);
  return function;
}

// RTLD_DEFAULT would find ours in the scope of our own library, too.
bool mii_platform_is_first_function(const char* name, platform_function_t* function) {
  const int before = errno;
  const bool first = find_in_loaded(NULL, name) == function;
  errno = before;
  return first;
}

platform_function_t* mii_platform_cxx_function(const char* name) {
  const int before = errno;
  platform_function_t* function = find_in_loaded("libstdc++.so.6", name);
  if (function == NULL) function = find_in_loaded("libc++.so.1", name);
  errno = before;
  return function;
}
