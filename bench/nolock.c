// nolock: an allocator that waits for nobody. Preloaded into a workload it shows how often the
// program and the C library themselves call futex; what another allocator adds to that is its own.
//
// Each thread has lists for each power of two, and frees into its own. What becomes long goes to a
// stack that all threads share; it is taken whole, so there is no ABA. Lists of a thread that ended
// are lost, and nothing goes back to the system: this is for counting, not for use.
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { CLASS_COUNT = 64, FREED_MAX = 1024, CHUNK_BYTES = 1 << 20, ALIGNMENT = 16 };

// In front of each block.
typedef struct header {
  _Alignas(ALIGNMENT) size_t class;  // header and block have 2^class bytes
  struct header* next;               // in a list of free ones
} header_t;

typedef struct lists {
  header_t* ready;        // for malloc
  header_t* freed;        // since `ready` was filled
  header_t* freed_first;  // the last one in that list
  size_t freed_count;
} lists_t;

#define OWN static _Thread_local __attribute__((tls_model("initial-exec")))
OWN lists_t own[CLASS_COUNT];
OWN char* chunk;
OWN size_t chunk_left;

static _Atomic(header_t*) shared[CLASS_COUNT];

static void* map(size_t bytes) {
  void* const p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

static header_t* carve(size_t bytes) {
  if (bytes > CHUNK_BYTES / 4) return map(bytes);
  if (bytes > chunk_left) {
    chunk = map(CHUNK_BYTES);
    chunk_left = chunk == NULL ? 0 : CHUNK_BYTES;
    if (chunk == NULL) return NULL;
  }
  chunk_left -= bytes;
  return (header_t*)(void*)(chunk + chunk_left);
}

static void share(lists_t* lists, _Atomic(header_t*)* stack) {
  header_t* top = atomic_load_explicit(stack, memory_order_relaxed);
  do {
    lists->freed_first->next = top;
    // Release: for the exchange in `take`.
  } while (!atomic_compare_exchange_weak_explicit(stack, &top, lists->freed, memory_order_release,
                                                  memory_order_relaxed));
  lists->freed = NULL;
  lists->freed_count = 0;
}

static header_t* take(size_t class) {
  lists_t* const lists = &own[class];
  if (lists->ready == NULL) {
    lists->ready = lists->freed;
    lists->freed = NULL;
    lists->freed_count = 0;
  }
  if (lists->ready == NULL) {
    lists->ready = atomic_exchange_explicit(&shared[class], NULL, memory_order_acquire);
  }
  header_t* block = lists->ready;
  if (block != NULL) {
    lists->ready = block->next;
    return block;
  }
  block = carve((size_t)1 << class);
  if (block != NULL) block->class = class;
  return block;
}

void* malloc(size_t size) {
  if (size > PTRDIFF_MAX / 2) return NULL;
  const size_t last_byte = size + sizeof(header_t) - 1;
  const size_t class = CLASS_COUNT - (size_t)__builtin_clzll(last_byte);
  header_t* const block = take(class);
  return block == NULL ? NULL : block + 1;
}

void free(void* p) {
  if (p == NULL) return;
  header_t* const block = (header_t*)p - 1;
  lists_t* const lists = &own[block->class];
  if (lists->freed == NULL) lists->freed_first = block;
  block->next = lists->freed;
  lists->freed = block;
  if (++lists->freed_count == FREED_MAX) share(lists, &shared[block->class]);
}

void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void* const p = malloc(bytes);
  return p == NULL ? NULL : memset(p, 0, bytes);
}

void* realloc(void* p, size_t size) {
  void* const moved = malloc(size);
  if (p == NULL || moved == NULL) return moved;
  const size_t old_size = ((size_t)1 << ((header_t*)p - 1)->class) - sizeof(header_t);
  memcpy(moved, p, old_size < size ? old_size : size);
  free(p);
  return moved;
}
