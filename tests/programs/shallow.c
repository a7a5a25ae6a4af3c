// Preloaded after an allocator, this lets php run with its extensions:
//
//     LD_PRELOAD="libmimalloc.so shallow.so" php script.php
//
// php loads them with RTLD_DEEPBIND. A library so loaded finds the malloc and free of libc, its own
// dependency, before those that were preloaded, and then frees with the one what was allocated with the
// other. Without the flag it finds what everyone else finds. The call of the next dlopen is a jump
// (-O2), so that it still sees who called, and looks where that library says (RUNPATH).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

void* dlopen(const char* file, int mode) {
  static void* (*next)(const char*, int);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "dlopen");
  return next(file, mode & ~RTLD_DEEPBIND);
}
