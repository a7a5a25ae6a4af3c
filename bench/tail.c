// tail: how long single calls of malloc and free take, all of them, by the processor's time stamp counter.
//
//   tail [CALLS [HEAP_MIB]]
//
// Random blocks of mixed sizes (16 bytes to 60 KB, a few to 1 MB) are replaced; a slow program sees the mean, its users see the
// slowest calls. A call that had a page fault is told apart: the kernel's time is not the allocator's, but that there was
// a fault is. Whatever takes longer than FAULT_CYCLES may have had one, so only then are the thread's faults counted.
//
// The kind `malloc+use` is a malloc with the first read of its block: who hands out a block without having looked at
// it leaves that cache miss to the program.
//
// Prints two lines per kind and class (`malloc all`, `malloc nofault`, `free all`, ...): first the number
// of calls and p50, p99, p99.9, p99.99 and the maximum in ns; then a line `curve` of pairs NS:CALLS.
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <x86intrin.h>

#include "workloads/workload.h"

enum {
  MEAN = 1750,  // bytes per block, about
  FAULT_CYCLES = 400,
  SUB_BITS = 5,  // a bucket is 3 % wide
  BUCKETS = 64 << SUB_BITS,
  EMPTY_CALLS = 10000,
};

typedef struct histogram {
  uint64_t calls[BUCKETS];
  uint64_t total;
  uint64_t highest;
} histogram_t;

typedef struct kind {
  const char* name;
  histogram_t all;
  histogram_t nofault;
} kind_t;

typedef struct held {
  unsigned char* block;
  size_t size;
} held_t;

static kind_t mallocs = {.name = "malloc"};
static kind_t uses = {.name = "malloc+use"};
static kind_t frees = {.name = "free"};
static long faults_seen;
static uint64_t clock_cycles;  // what reading the clock takes
static double ns_per_cycle;

static size_t draw_size(rng_t* rng) {
  const size_t kind = rng_below(rng, 10000);
  if (kind < 7000) return 16 + rng_below(rng, 500);
  if (kind < 9700) return 16 + rng_below(rng, 4000);
  if (kind < 9990) return 16 + rng_below(rng, 60 * 1000);
  return 16 + rng_below(rng, 1000 * 1000);
}

static long faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

// Did something that took so long have a page fault? Says so once for each.
static bool had_fault(uint64_t cycles) {
  if (cycles < FAULT_CYCLES) return false;
  const long before = faults_seen;
  faults_seen = faults();
  return faults_seen != before;
}

// In order, and not before what comes before it is done.
static uint64_t cycles_now(void) {
  _mm_lfence();
  const uint64_t cycles = __rdtsc();
  _mm_lfence();
  return cycles;
}

// The powers of two are cut into 2^SUB_BITS parts.
static size_t bucket_of(uint64_t cycles) {
  if (cycles < (1u << SUB_BITS)) return (size_t)cycles;
  const unsigned shift = 63 - (unsigned)__builtin_clzll(cycles) - SUB_BITS;
  return ((size_t)shift << SUB_BITS) + (size_t)(cycles >> shift);
}

// The highest value in a bucket.
static uint64_t bucket_end(size_t bucket) {
  if (bucket < (2u << SUB_BITS)) return bucket;
  const unsigned shift = (unsigned)(bucket >> SUB_BITS) - 1;
  const uint64_t mantissa = bucket - ((size_t)shift << SUB_BITS);
  return ((mantissa + 1) << shift) - 1;
}

static void add(histogram_t* histogram, uint64_t cycles) {
  histogram->calls[bucket_of(cycles)]++;
  histogram->total++;
  if (cycles > histogram->highest) histogram->highest = cycles;
}

static void note(kind_t* kind, uint64_t cycles, bool fault) {
  const uint64_t its = cycles > clock_cycles ? cycles - clock_cycles : 0;
  add(&kind->all, its);
  if (!fault) add(&kind->nofault, its);
}

static void touch(held_t* held, unsigned char* block, size_t size) {
  const uint64_t begin = cycles_now();
  for (size_t i = 0; i < size; i += 4096) block[i] = 1;
  block[size - 1] = 1;
  *held = (held_t){block, size};
  had_fault(cycles_now() - begin);  // these are not the next call's
}

static void replace(held_t* held, size_t size) {
  uint64_t begin = cycles_now();
  free(held->block);
  uint64_t spent = cycles_now() - begin;
  note(&frees, spent, had_fault(spent));

  begin = cycles_now();
  unsigned char* const block = malloc(size);
  spent = cycles_now() - begin;
  if (block == NULL) exit(2);
  const bool fault = had_fault(spent);
  begin = cycles_now();
  (void)*(volatile unsigned char*)block;
  const uint64_t used = cycles_now() - begin;
  note(&mallocs, spent, fault);
  note(&uses, spent + used - clock_cycles, had_fault(used) || fault);
  touch(held, block, size);
}

static uint64_t clock_itself(void) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < EMPTY_CALLS; i++) {
    const uint64_t begin = cycles_now();
    const uint64_t spent = cycles_now() - begin;
    if (spent < least) least = spent;
  }
  return least;
}

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double quantile_ns(const histogram_t* histogram, double part) {
  uint64_t below = 0;
  const uint64_t wanted = (uint64_t)((double)histogram->total * part);
  for (size_t i = 0; i < BUCKETS; i++) {
    below += histogram->calls[i];
    if (below > wanted) return (double)bucket_end(i) * ns_per_cycle;
  }
  return (double)histogram->highest * ns_per_cycle;
}

static void print_class(const char* kind, const char* class, const histogram_t* histogram) {
  printf("%s %s %llu %.1f %.1f %.1f %.1f %.1f\n", kind, class, (unsigned long long)histogram->total,
         quantile_ns(histogram, 0.5), quantile_ns(histogram, 0.99), quantile_ns(histogram, 0.999),
         quantile_ns(histogram, 0.9999), (double)histogram->highest * ns_per_cycle);
  printf("curve");
  for (size_t i = 0; i < BUCKETS; i++) {
    if (histogram->calls[i] == 0) continue;
    printf(" %.1f:%llu", (double)bucket_end(i) * ns_per_cycle,
           (unsigned long long)histogram->calls[i]);
  }
  printf("\n");
}

static void print(const kind_t* kind) {
  print_class(kind->name, "all", &kind->all);
  print_class(kind->name, "nofault", &kind->nofault);
}

int main(int argc, char** argv) {
  const size_t calls = argument(argc, argv, 1, 1500000);
  const size_t held_count = argument(argc, argv, 2, 64) * 1024 * 1024 / MEAN;
  rng_t rng = rng_seeded(16);
  held_t* const held = must_malloc(held_count * sizeof *held);
  clock_cycles = clock_itself();
  for (size_t i = 0; i < held_count; i++) {
    const size_t size = draw_size(&rng);
    touch(&held[i], must_malloc(size), size);
  }
  faults_seen = faults();

  const double start = seconds_now();
  const uint64_t start_cycles = cycles_now();
  for (size_t i = 0; i < calls; i++) replace(&held[rng_below(&rng, held_count)], draw_size(&rng));
  ns_per_cycle = (seconds_now() - start) * 1e9 / (double)(cycles_now() - start_cycles);

  print(&mallocs);
  print(&uses);
  print(&frees);
  return 0;
}
