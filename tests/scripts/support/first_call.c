// One exported symbol, called first: before constructors, in a thread, in its destructors. See first_call.sh.
//
// first_call list                 the symbols of the table
// first_call SYMBOL SITUATION     call it there; says "called" and ends with 0 if all is as it should be
//
// The program and (with -DFIRST_CALL_EARLY) a shared library whose constructor runs before the allocator's
// are built from this file; -DFIRST_CALL_WEAK is for a program that gets the allocator by LD_PRELOAD,
// -DFIRST_CALL_STATIC for a static one.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>
#include "mimalloc-stats.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // mallinfo

extern char** environ;

// What no header declares
extern void cfree(void* p);
extern void vfree(void* p);
extern void* reallocf(void* p, size_t size);
extern int reallocarr(void* p, size_t count, size_t size);
extern size_t malloc_size(const void* p);
extern size_t malloc_good_size(size_t size);
extern void* _aligned_malloc(size_t size, size_t alignment);
extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* p, size_t size);
extern void __libc_free(void* p);
extern void __libc_cfree(void* p);
extern void* __libc_memalign(size_t alignment, size_t size);
extern void* __libc_valloc(size_t size);
extern void* __libc_pvalloc(size_t size);
extern int __posix_memalign(void** p, size_t alignment, size_t size);
// size_t is an m in the names of the table, as with 64 bits; with 32 it is a j.
#if UINTPTR_MAX == UINT32_MAX
#define _Znwm                              _Znwj
#define _Znam                              _Znaj
#define _ZnwmRKSt9nothrow_t                _ZnwjRKSt9nothrow_t
#define _ZnamRKSt9nothrow_t                _ZnajRKSt9nothrow_t
#define _ZnwmSt11align_val_t               _ZnwjSt11align_val_t
#define _ZnamSt11align_val_t               _ZnajSt11align_val_t
#define _ZnwmSt11align_val_tRKSt9nothrow_t _ZnwjSt11align_val_tRKSt9nothrow_t
#define _ZnamSt11align_val_tRKSt9nothrow_t _ZnajSt11align_val_tRKSt9nothrow_t
#define _ZdlPvm                            _ZdlPvj
#define _ZdaPvm                            _ZdaPvj
#define _ZdlPvmSt11align_val_t             _ZdlPvjSt11align_val_t
#define _ZdaPvmSt11align_val_t             _ZdaPvjSt11align_val_t
#endif
extern void* _Znwm(size_t size);
extern void* _Znam(size_t size);
extern void* _ZnwmRKSt9nothrow_t(size_t size, const void* tag);
extern void* _ZnamRKSt9nothrow_t(size_t size, const void* tag);
extern void* _ZnwmSt11align_val_t(size_t size, size_t alignment);
extern void* _ZnamSt11align_val_t(size_t size, size_t alignment);
extern void* _ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void* tag);
extern void* _ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void* tag);
extern void _ZdlPv(void* p);
extern void _ZdaPv(void* p);
extern void _ZdlPvm(void* p, size_t size);
extern void _ZdaPvm(void* p, size_t size);
extern void _ZdlPvRKSt9nothrow_t(void* p, const void* tag);
extern void _ZdaPvRKSt9nothrow_t(void* p, const void* tag);
extern void _ZdlPvSt11align_val_t(void* p, size_t alignment);
extern void _ZdaPvSt11align_val_t(void* p, size_t alignment);
extern void _ZdlPvmSt11align_val_t(void* p, size_t size, size_t alignment);
extern void _ZdaPvmSt11align_val_t(void* p, size_t size, size_t alignment);
extern void _ZdlPvSt11align_val_tRKSt9nothrow_t(void* p, size_t alignment, const void* tag);
extern void _ZdaPvSt11align_val_tRKSt9nothrow_t(void* p, size_t alignment, const void* tag);
extern int __cxa_thread_atexit_impl(void (*destructor)(void*), void* object, void* dso);
extern char __dso_handle[] __attribute__((visibility("hidden")));

#ifdef FIRST_CALL_WEAK
#define PRAGMA(text)       _Pragma(#text)
#define ENTRY(symbol, ...) PRAGMA(weak symbol)
#include "first_call_table.h"
#undef ENTRY
#endif

// Nothing here may allocate before the call: raw writes only.
static void say(int descriptor, const char* words) {
  if (write(descriptor, words, strlen(words)) < 0) _exit(3);
}

static void fail(const char* words) {
  say(STDERR_FILENO, words);
  say(STDERR_FILENO, "\n");
  _exit(1);
}

static const char* situation = "";

static bool is_in(const char* name) { return strcmp(situation, name) == 0; }

// --- what the table is made of -------------------------------------------------------------------

enum {
  MAX_WARNINGS_SET = 77,
  MAX_WARNINGS_DEFAULT = 32,
  OLD_BYTES = 100,
  FILL = 0x5a,
  UNTOUCHED = 4711  // errno
};

static void* volatile none;  // NULL, and the compiler does not know it
static const char* const text = "four and more";
static void* out;
static char* word;
static size_t size;
static void* to_free;
static int calls;
static mi_memory_t memory = {.size = sizeof(mi_memory_t), .version = MI_MEMORY_VERSION};
static mi_stats_t stats = {.size = sizeof(mi_stats_t), .version = MI_STAT_VERSION};
static char buffer[PATH_MAX];

#define DONE(call) ((call), true)

static bool freed(void* p) {
  free(p);
  return p != none;
}

// Memory of the program, for an arena.
static void* lent_memory(void) {
  return mmap(NULL, 34 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
}

static bool wrong(const char* words) {
  say(STDERR_FILENO, words);
  say(STDERR_FILENO, "\n");
  return false;
}

static bool is_filled(const unsigned char* p, size_t count, unsigned char value) {
  return count == 0 || (p[0] == value && memcmp(p, p + 1, count - 1) == 0);
}

enum { END_BYTES = 48 << 10 };  // of a larger block only as much at either end is looked at

static size_t end_of(size_t bytes) { return bytes < END_BYTES ? bytes : END_BYTES; }

static bool ends_are_filled(const unsigned char* p, size_t bytes, unsigned char value) {
  const size_t end = end_of(bytes);
  return is_filled(p, end, value) && is_filled(p + bytes - end, end, value);
}

static void fill_ends(unsigned char* p, size_t bytes, unsigned char value) {
  const size_t end = end_of(bytes);
  memset(p, value, end);
  memset(p + bytes - end, value, end);
}

// A block of so many bytes, aligned at the offset, that can be written and read. Frees it.
static bool block_at(void* p, size_t bytes, size_t alignment, size_t offset) {
  if (p == NULL) return wrong("no block");
  if (((uintptr_t)p + offset) % alignment != 0) return wrong("not aligned");
  if (mi_usable_size(p) < bytes) return wrong("too small");
  fill_ends(p, bytes, 0xa7);
  if (!ends_are_filled(p, bytes, 0xa7)) return wrong("not written");
  free(p);
  return true;
}

static bool block(void* p, size_t bytes, size_t alignment) {
  return block_at(p, bytes, alignment, 0);
}

static bool zeros_at(void* p, size_t bytes, size_t alignment, size_t offset) {
  if (p != NULL && !ends_are_filled(p, bytes, 0)) return wrong("not zero");
  return block_at(p, bytes, alignment, offset);
}

static bool zeros(void* p, size_t bytes, size_t alignment) {
  return zeros_at(p, bytes, alignment, 0);
}

static void* old(void) {
  void* const p = malloc(OLD_BYTES);
  return p != NULL ? memset(p, FILL, OLD_BYTES) : NULL;
}

static void* old_aligned(void) {
  void* const p = memalign(256, OLD_BYTES);
  return p != NULL ? memset(p, FILL, OLD_BYTES) : NULL;
}

// What became of an old block: its contents are there.
static bool grown(void* p, size_t bytes, size_t alignment) {
  if (p != NULL && !is_filled(p, OLD_BYTES, FILL)) return wrong("contents lost");
  return block(p, bytes, alignment);
}

static bool grown_by_reallocarr(int (*resize)(void*, size_t, size_t)) {
  void* p = old();
  return resize(&p, 50, 100) == 0 && grown(p, 5000, 16);
}

// Remembers a block, to free it after the call that looks at it.
static void* given(void* p) { return to_free = p; }

static bool enough(size_t bytes) {
  free(to_free);
  to_free = NULL;
  return (bytes >= OLD_BYTES && bytes <= 3 * OLD_BYTES) || wrong("wrong size");
}

static bool text_is(char* p, const char* expected) {
  return p != NULL && strcmp(p, expected) == 0 && block(p, strlen(expected) + 1, 1);
}

// The call failed as expected, with this errno.
static bool refused(bool condition, int code) {
  const bool told = errno == code;
  errno = UNTOUCHED;
  return condition && (told || wrong("wrong errno"));
}

// Then the thread has no theap of its own.
static bool has_ended(void) { return is_in("late") || is_in("last"); }
static bool heap_works(mi_heap_t* heap) {
  const bool works = heap != NULL && mi_heap_of(mi_heap_malloc(heap, 100)) == heap;
  mi_heap_destroy(heap);
  return works;
}

static bool boolean(int value) { return value == 0 || value == 1; }

static size_t uordblks_by_mallinfo(void) { return (size_t)mallinfo().uordblks; }
static size_t uordblks_by_mallinfo2(void) { return mallinfo2().uordblks; }

static bool counts_up(size_t (*live_bytes)(void)) {
  const size_t before = live_bytes();
  void* const p = malloc(3 << 20);
  const size_t with = live_bytes();
  free(p);
  return with >= before + (3 << 20);
}

static bool on_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t bytes,
                     void* arg) {
  (void)block, (void)arg;
  return heap != NULL && area != NULL && bytes > 0;
}

static void on_text(const char* message, void* arg) {
  if (message != NULL) ++*(int*)arg;
}
static void on_error(int code, void* arg) {
  if (code != 0) ++*(int*)arg;
}
static void on_deferred(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)heartbeat;
  free(malloc(20));
  ++*(int*)arg;
}

static void collect(void) { mi_collect(true); }
static void fail_to_allocate(void) {
  volatile size_t beyond = (size_t)PTRDIFF_MAX + 1;
  if (!refused(mi_malloc(beyond) == NULL, ENOMEM)) calls = 0;
}

static bool was_called_by(void (*function)(void)) {
  calls = 0;
  function();
  return calls > 0;
}

// The value from the environment, or the default as long as libc has none.
static bool is_max_warnings(long value) {
  return value == MAX_WARNINGS_SET || (environ == NULL && value == MAX_WARNINGS_DEFAULT);
}

// What is written to standard error while a condition is evaluated, in a pipe: it fits.
static int pipe_ends[2];
static int real_stderr;

static bool redirect_stderr(void) {
  real_stderr = dup(STDERR_FILENO);
  return pipe(pipe_ends) == 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0;
}

static bool was_said(bool condition, const char* words) {
  static char said[64 << 10];
  dup2(real_stderr, STDERR_FILENO);
  close(pipe_ends[1]);
  size_t length = 0;
  ssize_t got;
  while ((got = read(pipe_ends[0], said + length, sizeof said - 1 - length)) > 0)
    length += (size_t)got;
  close(pipe_ends[0]);
  close(real_stderr);
  return condition && (strstr(said, words) != NULL || wrong("not printed"));
}
#define says(condition, words) was_said(redirect_stderr() && (condition), words)

// --- the table ---------------------------------------------------------------------------------

// With 32 bits arenas share the 64 MiB that are reserved at the start: a second one does not fit.
#define NO_ARENA (sizeof(void*) == 4)

#define ENTRY(symbol, ...) \
  static bool call_##symbol(void) { return __VA_ARGS__; }
#include "first_call_table.h"
#undef ENTRY

typedef struct entry_s {
  const char* symbol;
  bool (*call)(void);
} entry_t;

#define ENTRY(symbol, ...) {#symbol, &call_##symbol},
static const entry_t entries[] = {
#include "first_call_table.h"
};
#undef ENTRY
enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

// --- one call ------------------------------------------------------------------------------------

static const entry_t* wanted;

// A static program's libc allocates before any function of the program runs.
#ifdef FIRST_CALL_STATIC
enum { LIBC_IS_FIRST = 1 };
#else
enum { LIBC_IS_FIRST = 0 };
#endif

// Has the allocator reserved its addresses? Then somebody has called it: more than 1 GiB is mapped, with 32
// bits more than 64 MiB.
static bool is_started(void) {
  char pages[32] = "";
  const int file = open("/proc/self/statm", O_RDONLY);
  if (file < 0 || read(file, pages, sizeof pages - 1) <= 0) fail("no /proc/self/statm");
  close(file);
  size_t count = 0;
  for (const char* c = pages; *c >= '0' && *c <= '9'; c++) count = count * 10 + (size_t)(*c - '0');
  return count > ((size_t)1 << (sizeof(void*) == 8 ? 30 : 26)) / 4096;
}

// Whatever was called first, all goes on to work.
static bool works(void) {
  static const size_t sizes[] = {0, 1, 100, 5000, 40000, 3 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    if (!block(malloc(sizes[i]), sizes[i], 8)) return false;
    if (!zeros(calloc(1, sizes[i]), sizes[i], 8)) return false;
    if (!block(mi_malloc_aligned(sizes[i], 4096), sizes[i], 4096)) return false;
  }
  return grown(realloc(old(), 100000), 100000, 16);
}

static void call_it(void) {
  errno = UNTOUCHED;
  const size_t count = is_in("rotation") ? ENTRY_COUNT : 1;
  for (size_t i = 0; i < count; i++) {
    const entry_t* const entry = &entries[((size_t)(wanted - entries) + i) % ENTRY_COUNT];
    if (!entry->call()) fail(entry->symbol);
  }
  if (!works()) fail("malloc does not work after the call");
  if (errno != UNTOUCHED) fail("errno is changed");
  say(STDOUT_FILENO, "called\n");
}

// Another's thread key is there before the allocator's, and keeps its value.
static void call_it_as_first_of_process(void) {
  static pthread_key_t other;
  if (pthread_key_create(&other, NULL) != 0 || pthread_setspecific(other, &other) != 0)
    fail("no key");
  if (!LIBC_IS_FIRST && is_started()) fail("the allocator is in use before the first call");
  call_it();
  if (!is_started()) fail("the allocator cannot be told to be in use");
  if (pthread_getspecific(other) != &other) fail("the value of another's key is changed");
}

static void read_arguments(int argc, char** argv) {
  if (argc != 3) return;
  situation = argv[2];
  for (size_t i = 0; i < ENTRY_COUNT; i++) {
    if (strcmp(entries[i].symbol, argv[1]) == 0) wanted = &entries[i];
  }
  if (wanted == NULL) fail("no such symbol");
}

// In a library that is initialised before the allocator's; in a static program, whose objects come first
// among those of one priority, in the program itself.
#if defined(FIRST_CALL_EARLY) || defined(FIRST_CALL_STATIC)

__attribute__((constructor(101))) static void in_constructor(int argc, char** argv) {
  read_arguments(argc, argv);
  if (is_in("constructor")) call_it_as_first_of_process();
}

__attribute__((destructor(101))) static void in_destructor(void) {
  if (is_in("destructor")) call_it();
}

#endif
#ifndef FIRST_CALL_EARLY

static void before_constructors(int argc, char** argv) {
  read_arguments(argc, argv);
  if (is_in("preinit") || is_in("rotation")) call_it_as_first_of_process();
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char**) = before_constructors;

// --- threads ---------------------------------------------------------------------------------------

static pthread_key_t key;  // made after the allocator's, so its destructor runs after theirs

static void in_key_destructor(void* value) {
  static int passes;
  if (++passes < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(key, value);
  } else {
    call_it();
  }
}

static void in_cxx_destructor(void* object) {
  (void)object;
  call_it();
}

static void* thread(void* arg) {
  if (is_in("thread")) call_it();
  if (is_in("late")) free(malloc(100));
  if (is_in("late") || is_in("last")) pthread_setspecific(key, arg);
  if (is_in("thread_local")) {
    __cxa_thread_atexit_impl(in_cxx_destructor, arg, __dso_handle);  // allocates
    mi_thread_done();
  }
  return NULL;
}

static void run_thread(void) {
  pthread_t id;
  if (pthread_create(&id, NULL, thread, &key) != 0) fail("no thread");
  pthread_join(id, NULL);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (size_t i = 0; i < ENTRY_COUNT; i++) puts(entries[i].symbol);
    return 0;
  }
  if (wanted == NULL) fail("usage: first_call SYMBOL SITUATION");
  if (pthread_key_create(&key, in_key_destructor) != 0) fail("no key");
  run_thread();
  if (!works()) fail("malloc does not work in main");
  if (mi_option_get(mi_option_max_warnings) != MAX_WARNINGS_SET)
    fail("the option in the environment was not read");
  return 0;
}

#endif
