// The process has no mappings left (vm.max_map_count; the program itself uses them up, so nobody else is
// concerned). The allocator needs none to grow and to purge.
//
// usage: mappings [N]    N: all but N are used up before the allocator starts, else after it

#include "early.h"
#include "workout.h"
#include <pthread.h>
#include <sys/mman.h>

enum {
  ENOUGH = (sizeof(void*) == 8 ? 64 : 32) * MIB
};  // with 32 bits less is reserved at the start
static const size_t PAGE = 4096;
static const size_t PAGES = 400 * 1000;
static unsigned char* comb;  // every second page of it is a mapping of its own, as far as it goes
static size_t teeth;

static void use_up_mappings(size_t but) {
  comb = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (comb == MAP_FAILED) die("mmap: errno %d\n", errno);
  while (2 * teeth < PAGES && mprotect(comb + 2 * teeth * PAGE, PAGE, PROT_READ) == 0) teeth++;
  if (2 * teeth >= PAGES) _exit(77);  // vm.max_map_count is too large for us
  while (but >= 2 && teeth > 0) {
    teeth--;
    mprotect(comb + 2 * teeth * PAGE, PAGE, PROT_NONE);
    but -= 2;
  }
}

static void early(int argc, char** argv) {
  if (argc == 2) use_up_mappings(strtoul(argv[1], NULL, 10));
}

static void* use_some_classes(void* nothing) {
  for (size_t size = 16; size < 16 * KIB; size *= 2) {
    void* const p = malloc(size);
    if (p != NULL) memset(p, 1, size);
    free(p);
  }
  return nothing;
}

// Threads that end must be noticed, however late the allocator could start.
static void make_threads(void) {
  for (int i = 0; i < 500; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_some_classes, NULL) == 0) pthread_join(thread, NULL);
  }
}

int main(int argc, char** argv) {
  (void)argv;
  bool started = true;
  if (argc == 1) {
    if (!workout(8 * MIB, 1)) die("no 8 MiB at first\n");
    use_up_mappings(0);
  } else {
    void* const p = malloc(1000);
    started = p != NULL;
    if (!started && errno != ENOMEM) die("no memory, but errno is %d\n", errno);
    free(p);
  }
  if (started && !workout(ENOUGH, 2)) die("no %d MiB without more mappings\n", ENOUGH / MIB);
  if (status_kib("VmRSS:") > 16 * KIB) die("%zu KiB were not purged\n", status_kib("VmRSS:"));
  munmap(comb, PAGES * PAGE);
  make_threads();
  const size_t before = status_kib("VmRSS:");
  make_threads();
  const size_t more = status_kib("VmRSS:") - before;
  if (more > 2 * KIB && more < SIZE_MAX / 2) die("500 threads leave %zu KiB behind\n", more);
  if (!workout(80 * MIB, 1)) die("there are mappings again, but no memory\n");
  printf("%zu mappings: the allocator %s without more\n", 2 * teeth,
         started ? "works" : "waits, and says so,");
  return 0;
}
