// bump: an allocator that does nothing but advance a pointer, and never frees. Preloaded into a workload it shows
// how much of the time is malloc and free at all: no allocator that finds memory again can do with
// fewer instructions. (It can be slower all the same: fresh memory costs page faults and cache misses. Then the
// row shows what using memory again is worth.)
//
// Each thread has a chunk of its own. After BYTES_MAX there is no memory any more.
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES_MAX ((size_t)4 << 30)
enum { CHUNK_BYTES = 1 << 20, HEADER = 16 };

#define OWN static _Thread_local __attribute__((tls_model("initial-exec")))
OWN uintptr_t next;
OWN uintptr_t end;

static _Atomic(size_t) mapped;

static int refill(size_t bytes) {
  if (bytes < CHUNK_BYTES) bytes = CHUNK_BYTES;
  if (atomic_fetch_add_explicit(&mapped, bytes, memory_order_relaxed) + bytes > BYTES_MAX) return 0;
  void* const chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (chunk == MAP_FAILED) return 0;
  next = (uintptr_t)chunk;
  end = next + bytes;
  return 1;
}

// The size lies in front of the block, for realloc.
static void* take(size_t alignment, size_t size) {
  for (;;) {
    const uintptr_t block = (next + HEADER + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (next != 0 && block <= end && size <= end - block) {
      next = block + size;
      ((size_t*)block)[-1] = size;
      return (void*)block;
    }
    if (size > BYTES_MAX || alignment > BYTES_MAX || !refill(size + alignment + HEADER)) break;
  }
  errno = ENOMEM;
  return NULL;
}

void* malloc(size_t size) { return take(HEADER, size); }
void free(void* p) { (void)p; }

void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  return malloc(bytes);  // fresh memory is zero
}

size_t malloc_usable_size(void* p) { return p == NULL ? 0 : ((size_t*)p)[-1]; }

void* realloc(void* p, size_t size) {
  const size_t old_size = malloc_usable_size(p);
  if (p != NULL && size <= old_size) return p;
  void* const moved = malloc(size);
  if (p == NULL || moved == NULL) return moved;
  return memcpy(moved, p, old_size);
}

void* memalign(size_t alignment, size_t size) {
  return take(alignment < HEADER ? HEADER : alignment, size);
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
