// giveback: does memory come back? One question at a time, asked of whatever malloc there is.
//
//   giveback QUESTION
//
//   quiet    four threads fill 256 MiB with blocks of 16 to 1024 bytes, free them, and wait (promise 1)
//   alone    the same by the only thread
//   sparse   150 000 blocks of 512 bytes, 100 000 of 1 KiB, 50 000 of 2 KiB; 1 of 20 survives (promise 4)
//   trim     the first question, and then malloc_trim(0) (promise 2)
//   grow     one block grows from 16 MiB to 2 GiB by half each time, all of it written (promise 13)
//   calloc   1000 times a gigabyte that nobody touches (promise 14)
//   maps     ten seconds of blocks of 16 bytes to 2 MiB that come and go at random (promise 5)
//   random   reads at random in 8 GiB of blocks of 1 KiB, and in as much memory of large OS pages throughout (promise 7)
//
// Prints `QUESTION NAME=VALUE...`. base, full, freed, rest: MiB that are resident before, when all is there, right after the
// frees, and after two seconds without any call. peak: MiB above base at the most. ms, faults: of the question's calls. maps:
// the most mappings above those before. ns, large: ns of a read in blocks, and in memory of large OS pages; huge: MiB of the
// blocks in large OS pages.
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "workloads/workload.h"

enum {
  THREADS = 4,
  MIB = 1 << 20,
  QUIET_BYTES = 256 * MIB,
  LEAST = 16,
  MOST = 1024,
  QUIET_SECONDS = 2
};

typedef struct load {
  void** blocks;  // not by malloc
  size_t count;
  uint64_t seed;
} load_t;

// ---- what the system says, without malloc

// All of a small file of /proc; its length.
static size_t read_file(const char* name, char* text, size_t room) {
  const int file = open(name, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  if (file < 0) return 0;
  for (ssize_t n; length < room - 1 && (n = read(file, text + length, room - 1 - length)) > 0;)
    length += (size_t)n;
  close(file);
  text[length] = 0;
  return length;
}

// MiB; the page tables are added up, so it is exact.
static double added_up(const char* what) {
  char text[4096];
  read_file("/proc/self/smaps_rollup", text, sizeof text);
  const char* const line = strstr(text, what);
  return line != NULL ? (double)strtoul(line + strlen(what), NULL, 10) / 1024 : 0;
}

static double resident(void) { return added_up("Rss:"); }

static size_t mappings(void) {
  static char text[MIB];
  size_t lines = 0;
  const size_t length = read_file("/proc/self/maps", text, sizeof text);
  for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
  return lines;
}

static long faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void* mapped(size_t bytes, int flags) {
  void* const p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (p == MAP_FAILED) exit(2);
  return p;
}

static void** table(size_t count) { return mapped(count * sizeof(void*), MAP_POPULATE); }

static void* written(size_t size) { return memset(must_malloc(size), 1, size); }

// ---- questions

static load_t loads[THREADS];
static pthread_barrier_t steps;

static void fill(load_t* load) {
  rng_t rng = rng_seeded(load->seed);
  for (size_t i = 0; i < load->count; i++)
    load->blocks[i] = written(LEAST + rng_below(&rng, MOST - LEAST));
}

static void empty(load_t* load) {
  for (size_t i = 0; i < load->count; i++) free(load->blocks[i]);
}

static void* fill_and_empty(void* load) {
  fill(load);
  pthread_barrier_wait(&steps);  // all is there
  pthread_barrier_wait(&steps);  // it was looked at
  empty(load);
  pthread_barrier_wait(&steps);  // it is freed
  pthread_barrier_wait(&steps);  // the end
  return NULL;
}

static void rest_and_tell(const char* question, double base, double full) {
  const double freed = resident();
  sleep(QUIET_SECONDS);
  printf("%s base=%.1f full=%.1f freed=%.1f rest=%.1f\n", question, base, full, freed, resident());
}

static void make_loads(size_t count) {
  const size_t blocks = QUIET_BYTES / ((LEAST + MOST) / 2) / count;
  for (size_t i = 0; i < count; i++) loads[i] = (load_t){table(blocks), blocks, i};
}

static void quiet(const char* question, int trims) {
  pthread_t threads[THREADS];
  make_loads(THREADS);
  pthread_barrier_init(&steps, NULL, THREADS + 1);
  const double base = resident();
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, fill_and_empty, &loads[i]);
  pthread_barrier_wait(&steps);
  const double full = resident();
  pthread_barrier_wait(&steps);
  pthread_barrier_wait(&steps);
  if (trims) malloc_trim(0);
  rest_and_tell(question, base, full);
  pthread_barrier_wait(&steps);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void alone(const char* question) {
  make_loads(1);
  const double base = resident();
  fill(&loads[0]);
  const double full = resident();
  empty(&loads[0]);
  rest_and_tell(question, base, full);
}

static void sparse(const char* question) {
  static const size_t counts[] = {150000, 100000, 50000}, sizes[] = {512, 1024, 2048};
  size_t total = 0;
  for (int kind = 0; kind < 3; kind++) total += counts[kind];
  void** const blocks = table(total);
  rng_t rng = rng_seeded(0);
  const double base = resident();
  for (size_t kind = 0, i = 0; kind < 3; kind++) {
    for (size_t end = i + counts[kind]; i < end; i++) blocks[i] = written(sizes[kind]);
  }
  const double full = resident();
  for (size_t i = 0; i < total; i++) {
    if (rng_below(&rng, 20) != 0) free(blocks[i]);
  }
  rest_and_tell(question, base, full);
}

static double peak_now(void) {
  char text[8192];
  read_file("/proc/self/status", text, sizeof text);
  const char* const line = strstr(text, "VmHWM:");
  return line != NULL ? (double)strtoul(line + 6, NULL, 10) / 1024 : 0;
}

static void grow(const char* question) {
  const size_t end = (size_t)2048 * MIB;
  const double base = resident(), start = now_ms();
  size_t size = (size_t)16 * MIB;
  char* block = written(size);
  while (size < end) {
    const size_t next = size + size / 2 < end ? size + size / 2 : end;
    block = realloc(block, next);
    if (block == NULL) exit(2);
    memset(block + size, 1, next - size);
    size = next;
  }
  printf("%s base=%.1f full=%.1f peak=%.1f ms=%.0f\n", question, base, resident(),
         peak_now() - base, now_ms() - start);
  free(block);
}

static void huge_calloc(const char* question) {
  const long before = faults();
  const double start = now_ms();
  for (int i = 0; i < 1000; i++) {
    char* volatile block = calloc(1000, 1000 * 1000);
    if (block == NULL) exit(2);
    free(block);
  }
  printf("%s ms=%.1f faults=%ld\n", question, now_ms() - start, faults() - before);
}

// The larger the rarer: 16 bytes to 2 MiB, each power of two half as often.
static size_t draw_size(rng_t* rng) {
  const unsigned power = 4 + (unsigned)__builtin_ctzll(rng_next(rng) | 1u << 16);
  const size_t least = (size_t)1 << power;
  return least + rng_below(rng, least);
}

static void maps(const char* question) {
  enum { BLOCKS = 20000, BETWEEN_LOOKS = 20000 };
  void** const blocks = table(BLOCKS);
  const size_t before = mappings();
  const double base = resident(), start = now_ms();
  rng_t rng = rng_seeded(0);
  size_t most = before;
  while (now_ms() - start < 10000) {
    for (int i = 0; i < BETWEEN_LOOKS; i++) {
      void** const victim = &blocks[rng_below(&rng, BLOCKS)];
      free(*victim);
      const size_t size = draw_size(&rng);
      *victim = must_malloc(size);
      memset(*victim, 1, 1);
    }
    const size_t now = mappings();
    if (now > most) most = now;
  }
  printf("%s maps=%zu full=%.1f base=%.1f\n", question, most - before, resident(), base);
}

// ns per read: each block says where the next one is, in an order that is random.
static double walk(void** blocks, size_t count) {
  enum { READS = 20 * 1000 * 1000 };
  rng_t rng = rng_seeded(0);
  for (size_t i = count - 1; i > 0; i--) {
    const size_t other = rng_below(&rng, i + 1);
    void* const block = blocks[i];
    blocks[i] = blocks[other];
    blocks[other] = block;
  }
  for (size_t i = 0; i < count; i++) *(void**)blocks[i] = blocks[(i + 1) % count];
  void** volatile block = blocks[0];
  const double start = now_ms();
  for (size_t i = 0; i < READS; i++) block = *block;
  return (now_ms() - start) * 1e6 / READS;
}

static void random_reads(const char* question) {
  enum { SIZE = 1024, COUNT = 8 * 1024 * 1024 };
  const size_t bytes = (size_t)SIZE * COUNT;
  void** const blocks = table(COUNT);
  char* const large = mapped(bytes, 0);
  madvise(large, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < COUNT; i++) blocks[i] = memset(large + i * SIZE, 1, SIZE);
  const double large_ns = walk(blocks, COUNT);
  munmap(large, bytes);
  for (size_t i = 0; i < COUNT; i++) blocks[i] = written(SIZE);
  printf("%s huge=%.1f large=%.1f ns=%.1f\n", question, added_up("AnonHugePages:"), large_ns,
         walk(blocks, COUNT));
}

int main(int argc, char** argv) {
  const char* const question = argc == 2 ? argv[1] : "";
  if (strcmp(question, "quiet") == 0)
    quiet(question, 0);
  else if (strcmp(question, "trim") == 0)
    quiet(question, 1);
  else if (strcmp(question, "alone") == 0)
    alone(question);
  else if (strcmp(question, "sparse") == 0)
    sparse(question);
  else if (strcmp(question, "grow") == 0)
    grow(question);
  else if (strcmp(question, "calloc") == 0)
    huge_calloc(question);
  else if (strcmp(question, "maps") == 0)
    maps(question);
  else if (strcmp(question, "random") == 0)
    random_reads(question);
  else {
    fputs("usage: giveback quiet|alone|sparse|trim|grow|calloc|maps|random\n", stderr);
    return 2;
  }
  return 0;
}
