// mlockall must not make us lock what is only reserved.
//
// usage: memory_lock early|late current|future|both|onfault    early: before the allocator starts

#include "early.h"
#include "workout.h"
#include <sys/mman.h>

static int flags_of(const char* name) {
  if (strcmp(name, "current") == 0) return MCL_CURRENT;
  if (strcmp(name, "future") == 0) return MCL_FUTURE;
  if (strcmp(name, "both") == 0) return MCL_CURRENT | MCL_FUTURE;
  return MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
}

static int early_errno;

static void early(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "early") == 0 && mlockall(flags_of(argv[2])) != 0)
    early_errno = errno;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const bool is_late = strcmp(argv[1], "late") == 0;
  int code = early_errno;
  free(malloc(100));
  if (is_late && mlockall(flags_of(argv[2])) != 0) code = errno;
  const size_t start = status_kib("VmRSS:");
  const size_t locked = status_kib("VmLck:");

  const bool enough = workout(24 * MIB, 3);
  const size_t after = status_kib("VmRSS:");
  printf("%-5s %-8s mlockall: %-20s RSS %5zu KiB, locked of it %9zu, after 24 MiB %6zu, %s\n",
         argv[1], argv[2], code == 0 ? "done" : strerror(code), start, locked, after,
         enough ? "enough memory" : "malloc said no");
  if (start > 16 * KIB) die("%zu KiB of RSS in a program that has done nothing\n", start);
  if (after > 80 * KIB) die("%zu KiB of RSS after 24 MiB\n", after);
  return enough ? 0 : 3;
}
