// The longest malloc and the longest free, in time (P16): the same calls are made in 20 processes; what a
// call takes at least is its own, the rest is the machine's. Calls with a page fault in every process are
// left out.
//
//   worst [HEAP_MIB [CALLS]]
//
// Prints: most ns of a malloc and its size, most ns of a free and its size, calls left out.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workloads/workload.h"

enum { RUNS = 20, MEAN = 3000 };

typedef struct call {
  uint32_t ns;    // at least; UINT32_MAX: it had a page fault whenever it was made
  uint32_t size;  // of its block
} call_t;

typedef struct held {
  unsigned char* block;
  size_t size;
} held_t;

static call_t* calls;  // even: free, odd: malloc; shared by all processes
static size_t call_count;

// Mostly small; half of the memory is in blocks of more than 32 KiB.
static size_t draw_size(rng_t* rng) {
  const size_t kind = rng_below(rng, 10000);
  if (kind < 7000) return 16 + rng_below(rng, 500);
  if (kind < 9700) return 16 + rng_below(rng, 4000);
  if (kind < 9980) return 16 + rng_below(rng, 60 * 1000);
  if (kind < 9999) return 16 + rng_below(rng, 1000 * 1000);
  return 1000 * 1000 + rng_below(rng, 3 * 1000 * 1000);
}

static held_t touched(unsigned char* block, size_t size) {
  for (size_t i = 0; i < size; i += 4096) block[i] = 1;
  block[size - 1] = 1;
  return (held_t){block, size};
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static long faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

static void note(size_t call, uint64_t ns, size_t size, long faults_before) {
  calls[call].size = (uint32_t)size;
  if (faults() == faults_before && ns < calls[call].ns) calls[call].ns = (uint32_t)ns;
}

static void replace(held_t* held, size_t size, size_t call) {
  long before = faults();
  uint64_t begin = now_ns();
  free(held->block);
  note(call, now_ns() - begin, held->size, before);
  before = faults();
  begin = now_ns();
  unsigned char* const block = malloc(size);
  note(call + 1, now_ns() - begin, size, before);
  if (block == NULL) exit(2);
  *held = touched(block, size);
}

static void run(size_t held_count) {
  rng_t rng = rng_seeded(16);
  held_t* const held = calloc(held_count, sizeof *held);
  if (held == NULL) exit(2);
  for (size_t i = 0; i < held_count; i++) {
    const size_t size = draw_size(&rng);
    held[i] = touched(must_malloc(size), size);
  }
  for (size_t i = 0; i + 1 < call_count; i += 2) {
    held_t* const victim = &held[rng_below(&rng, held_count)];
    replace(victim, draw_size(&rng), i);
  }
}

int main(int argc, char** argv) {
  const size_t held_count = argument(argc, argv, 1, 100) * 1024 * 1024 / MEAN;
  call_count = argument(argc, argv, 2, 200000);
  calls = mmap(NULL, call_count * sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
               -1, 0);
  if (calls == MAP_FAILED) return 2;
  memset(calls, 0xFF, call_count * sizeof *calls);
  for (int i = 0; i < RUNS; i++) {
    const pid_t child = fork();
    if (child == 0) {
      volatile uint32_t sum = 0;  // the table's page faults are not those of a call
      for (size_t k = 0; k < call_count; k++) sum += calls[k].size;
      (void)sum;
      run(held_count);
      _exit(0);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
  }
  call_t worst[2] = {{0, 0}, {0, 0}};
  size_t left_out = 0;
  for (size_t i = 0; i < call_count; i++) {
    if (calls[i].ns == UINT32_MAX) {
      left_out++;
    } else if (calls[i].ns > worst[i % 2].ns) {
      worst[i % 2] = calls[i];
    }
  }
  printf("%u %u %u %u %zu\n", worst[1].ns, worst[1].size, worst[0].ns, worst[0].size, left_out);
  return 0;
}
