// A limit is lowered below what is mapped while the program runs. What is open can still be used; when
// malloc says no, free and reuse go on; and when the limit is lifted, so does growth.
//
// usage: limits_later as|data

#include "workout.h"
#include <sys/resource.h>

static struct rlimit limit_of(int which) {
  struct rlimit limit;
  if (getrlimit(which, &limit) != 0) die("getrlimit: errno %d\n", errno);
  return limit;
}

static void set_limit(int which, struct rlimit limit) {
  if (setrlimit(which, &limit) != 0) die("setrlimit: errno %d\n", errno);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int which = strcmp(argv[1], "data") == 0 ? RLIMIT_DATA : RLIMIT_AS;
  if (!fill(32 * MIB)) die("no 32 MiB before any limit\n");

  const struct rlimit before = limit_of(which);
  set_limit(which, (struct rlimit){.rlim_cur = MIB, .rlim_max = before.rlim_max});
  const bool unlimited = fill(128 * MIB);  // opening is not mapping: RLIMIT_AS does not forbid it
  const size_t most = live;
  if (which == RLIMIT_DATA && unlimited) die("RLIMIT_DATA is not kept\n");

  empty(2);
  fill(most);
  if (live < most / 4 * 3) die("freed memory is lost: %zu MiB of %zu\n", live / MIB, most / MIB);
  empty(1);
  if (!workout(16 * MIB, 3)) die("no 16 MiB of %zu that were had\n", most / MIB);

  set_limit(which, before);
  if (!fill(128 * MIB)) die("the limit is lifted, memory is not\n");
  empty(1);
  printf("%s lowered to 1 MiB: went on to %zu MiB\n", argv[1], most / MIB);
  return 0;
}
