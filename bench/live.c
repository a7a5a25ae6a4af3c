// live: how many bytes a program has asked for and not freed, at the most. No allocator can do with less memory
// for them; so this is the limit that peak RSS is held against (the program's own code and data come on top).
//
// Preloaded, it counts and passes each call on to the C library's allocator. The highest count of each process
// is left in a file LIVE_DIRECTORY/PID, which is mapped: it is there however the process ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* p);

typedef _Atomic(uint64_t) counter_t;

static counter_t live;
static counter_t early_peak;  // until there is a file
static counter_t* peak = &early_peak;

// In front of each block.
typedef struct header {
  _Alignas(16) size_t size;
  void* start;  // what the C library gave us
} header_t;

static void count(size_t size) {
  const uint64_t now = atomic_fetch_add_explicit(&live, size, memory_order_relaxed) + size;
  uint64_t highest = atomic_load_explicit(peak, memory_order_relaxed);
  while (now > highest
         && !atomic_compare_exchange_weak_explicit(peak, &highest, now, memory_order_relaxed,
                                                   memory_order_relaxed)) {
    continue;
  }
}

static void map_file(void) {
  char name[512];
  const char* const directory = getenv("LIVE_DIRECTORY");
  if (directory == NULL) return;
  snprintf(name, sizeof name, "%s/%d", directory, (int)getpid());
  const int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return;
  if (ftruncate(file, sizeof(counter_t)) == 0) {
    void* const mapped = mmap(NULL, sizeof(counter_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) {
      peak = mapped;
      count(0);
    }
  }
  close(file);
}

__attribute__((constructor)) static void start(void) {
  map_file();
  pthread_atfork(NULL, NULL, map_file);  // a child counts on by itself, in a file of its own
}

void* memalign(size_t alignment, size_t size) {
  if (alignment < sizeof(header_t)) alignment = sizeof(header_t);
  if (size > PTRDIFF_MAX - 2 * alignment) {
    errno = ENOMEM;
    return NULL;
  }
  char* const start_of_block = __libc_memalign(alignment, size + alignment);
  if (start_of_block == NULL) return NULL;
  header_t* const block = (header_t*)(void*)(start_of_block + alignment);
  block[-1] = (header_t){size, start_of_block};
  count(size);
  return block;
}

size_t malloc_usable_size(void* p) { return p == NULL ? 0 : ((header_t*)p)[-1].size; }

void* malloc(size_t size) { return memalign(sizeof(header_t), size); }

void free(void* p) {
  if (p == NULL) return;
  const header_t header = ((header_t*)p)[-1];
  atomic_fetch_sub_explicit(&live, header.size, memory_order_relaxed);
  __libc_free(header.start);
}

void* calloc(size_t number, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(number, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  void* const p = malloc(bytes);
  return p == NULL ? NULL : memset(p, 0, bytes);
}

// The old block is freed first in the count, as if it had grown where it is.
void* realloc(void* p, size_t size) {
  if (p == NULL) return malloc(size);
  const size_t old_size = malloc_usable_size(p);
  atomic_fetch_sub_explicit(&live, old_size, memory_order_relaxed);
  void* const moved = malloc(size);
  atomic_fetch_add_explicit(&live, old_size, memory_order_relaxed);
  if (moved == NULL) return NULL;
  memcpy(moved, p, old_size < size ? old_size : size);
  free(p);
  return moved;
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
void* valloc(size_t size) { return memalign(4096, size); }
void* pvalloc(size_t size) { return memalign(4096, (size + 4095) & ~(size_t)4095); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  void* const block = memalign(alignment, size);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}
