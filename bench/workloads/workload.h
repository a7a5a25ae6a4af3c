// What the workloads share: a random stream that is the same everywhere, and their arguments.
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// xorshift64*: a few instructions per draw, so that the allocator is what is timed.
typedef struct rng {
  uint64_t state;
} rng_t;

static inline rng_t rng_seeded(uint64_t seed) {
  return (rng_t){.state = (seed + 1) * 0x9E3779B97F4A7C15u | 1};
}

static inline uint64_t rng_next(rng_t* rng) {
  rng->state ^= rng->state >> 12;
  rng->state ^= rng->state << 25;
  rng->state ^= rng->state >> 27;
  return rng->state * 0x2545F4914F6CDD1Du;
}

// Uniform in 0 .. bound-1; the upper half of the product, no division.
static inline size_t rng_below(rng_t* rng, size_t bound) {
  return (size_t)(((rng_next(rng) >> 32) * (uint64_t)bound) >> 32);
}

// A block or the end of the program: a workload that cannot have its memory proves nothing.
static inline void* must_malloc(size_t size) {
  void* const block = malloc(size);
  if (block == NULL) {
    fprintf(stderr, "malloc(%zu) failed\n", size);
    exit(2);
  }
  return block;
}

// The last thing that `main` calls: the work is done and its memory is free. With BENCH_QUIET=SECONDS
// the program stays for that long and does nothing, so that one can see what its allocator keeps.
// Returns the exit status.
static inline int rest(void) {
  const char* const quiet = getenv("BENCH_QUIET");
  fflush(stdout);
  if (quiet != NULL) sleep((unsigned)strtoul(quiet, NULL, 10));
  return 0;
}

// The number in `argv[index]`, at least 1, or `fallback` when it is not given.
static inline size_t argument(int argc, char** argv, int index, size_t fallback) {
  if (index >= argc) return fallback;
  char* end = NULL;
  const unsigned long long value = strtoull(argv[index], &end, 10);
  if (*end != 0 || value == 0) {
    fprintf(stderr, "%s: argument %d, `%s`, is not a positive number\n", argv[0], index,
            argv[index]);
    exit(2);
  }
  return (size_t)value;
}

#endif
