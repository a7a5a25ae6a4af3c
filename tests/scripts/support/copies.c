// Several copies of the library in one process, and copies that come and go. See promise_11.sh.
//
//   copies many FOLDER COUNT     FOLDER/0.so ... are loaded and used by several threads, all at once
//   copies reload LIBRARY TIMES  load, use, unload; other threads live on, and end after it
//   copies alive LIBRARY         the same with blocks that live: they stay readable
//   copies quiet LIBRARY TIMES   load, free so much that it starts a thread, unload: the thread is gone
//
// The program's own malloc is libc's all the time.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void fail(const char* what) {
  fprintf(stderr, "copies: %s\n", what);
  abort();
}

// A copy --------------------------------------------------------------------------------------------

typedef struct copy_s {
  void* handle;
  void* (*malloc)(size_t);
  void* (*zalloc)(size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  size_t (*usable_size)(const void*);
  void (*collect)(bool);
} copy_t;

static void* function_of(void* handle, const char* name) {
  void* const function = dlsym(handle, name);
  if (function == NULL) fail(name);
  return function;
}

static copy_t load(const char* path) {
  void* const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) fail(dlerror());
  copy_t copy = {.handle = handle};
  *(void**)&copy.malloc = function_of(handle, "mi_malloc");
  *(void**)&copy.zalloc = function_of(handle, "mi_zalloc");
  *(void**)&copy.realloc = function_of(handle, "mi_realloc");
  *(void**)&copy.free = function_of(handle, "mi_free");
  *(void**)&copy.usable_size = function_of(handle, "mi_usable_size");
  *(void**)&copy.collect = function_of(handle, "mi_collect");
  return copy;
}

// Blocks ----------------------------------------------------------------------------------------------

// In pages of one and of two slices, a run, a huge block.
static const size_t sizes[] = {1, 24, 100, 700, 5000, 20000, 150 * 1000, 3 * 1000 * 1000};
enum { BLOCKS = 4 * COUNT_OF(sizes) };

typedef struct blocks_s {
  unsigned char* p[BLOCKS];
  unsigned char stamp;
} blocks_t;

static size_t size_of(size_t i) { return sizes[i % COUNT_OF(sizes)]; }

static void allocate(const copy_t* copy, blocks_t* blocks, int stamp) {
  blocks->stamp = (unsigned char)stamp;
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks->p[i] = i % 2 == 0 ? copy->malloc(size_of(i)) : copy->zalloc(size_of(i));
    if (blocks->p[i] == NULL) fail("no memory");
    if (copy->usable_size(blocks->p[i]) < size_of(i)) fail("a block is too small");
    if (i % 2 != 0 && blocks->p[i][size_of(i) - 1] != 0) fail("zalloc: not zero");
    blocks->p[i][0] = blocks->p[i][size_of(i) - 1] = blocks->stamp;
  }
}

static void check(const blocks_t* blocks) {
  for (size_t i = 0; i < BLOCKS; i++) {
    if (blocks->p[i][0] != blocks->stamp || blocks->p[i][size_of(i) - 1] != blocks->stamp)
      fail("a block lost its content");
  }
}

static void give(const copy_t* copy, blocks_t* blocks) {
  check(blocks);
  for (size_t i = 0; i < BLOCKS; i++) copy->free(blocks->p[i]);
}

static void use(const copy_t* copy, int stamp) {
  blocks_t blocks;
  allocate(copy, &blocks, stamp);
  for (size_t i = 0; i < BLOCKS; i += 3) {
    blocks.p[i] = copy->realloc(blocks.p[i], size_of(i) * 2);
    if (blocks.p[i] == NULL) fail("realloc");
  }
  give(copy, &blocks);
}

// The process -----------------------------------------------------------------------------------------

typedef struct process_s {
  int mappings;
  size_t rss_kib;
} process_t;

// Without allocating, so that the figures are not our own.
static process_t look(void) {
  static char text[1 << 20];
  process_t now = {0};
  int file = open("/proc/self/maps", O_RDONLY);
  for (ssize_t got; (got = read(file, text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < got; i++) now.mappings += text[i] == '\n';
  }
  close(file);
  file = open("/proc/self/smaps_rollup", O_RDONLY);
  const ssize_t got = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[got < 0 ? 0 : got] = 0;
  const char* const line = strstr(text, "\nRss:");
  if (line != NULL) now.rss_kib = strtoull(line + 5, NULL, 10);
  return now;
}

static pthread_t start(void* (*body)(void*), void* arg) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, arg) != 0) fail("no thread");
  return thread;
}

// Many at once ----------------------------------------------------------------------------------------
// Each thread allocates from every copy; the blocks of one are freed by the next, to where they came from.

enum {
  COPIES_MAX = 64,
  THREADS =
      sizeof(void*) == 8 ? 6 : 2,  // 13 MB each with every copy: 32 bits have no room for 6 of 32
  ROUNDS = 4,
};

static copy_t copies[COPIES_MAX];
static int copy_count;
static blocks_t of_thread[THREADS][COPIES_MAX];
static pthread_barrier_t all;

static void* use_all_copies(void* arg) {
  const int id = (int)(intptr_t)arg;
  const int next = (id + 1) % THREADS;
  for (int round = 0; round < ROUNDS; round++) {
    for (int c = 0; c < copy_count; c++) allocate(&copies[c], &of_thread[id][c], id * 40 + c);
    pthread_barrier_wait(&all);
    for (int c = 0; c < copy_count; c++) give(&copies[c], &of_thread[next][c]);
    pthread_barrier_wait(&all);
  }
  return NULL;
}

static void expect_separate(void) {
  for (int a = 0; a < copy_count; a++) {
    for (int b = 0; b < a; b++) {
      if (copies[a].malloc == copies[b].malloc) fail("two copies are one");
    }
  }
}

static int many(const char* folder, int count) {
  char path[4096];
  copy_count = count < COPIES_MAX ? count : COPIES_MAX;
  for (int c = 0; c < copy_count; c++) {
    snprintf(path, sizeof path, "%s/%d.so", folder, c);
    copies[c] = load(path);
  }
  expect_separate();
  pthread_barrier_init(&all, NULL, THREADS);
  for (int again = 0; again < 2; again++) {  // the second time in the place of threads that ended
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) threads[i] = start(use_all_copies, (void*)i);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  }
  for (int c = 0; c < copy_count; c++) use(&copies[c], c);
  printf("ok   %d copies, %d threads: all served\n", copy_count, 2 * THREADS);
  return 0;
}

// Coming and going ------------------------------------------------------------------------------------
// Four threads stay while copies come and go: two call into each copy, two into none. In each round one
// of them ends after the copy has gone, and a new one takes its place.

enum { FOREIGN = 4 };

typedef struct foreign_s {
  pthread_t thread;
  bool calls;
  bool is_to_end;
  blocks_t blocks;
} foreign_t;

static foreign_t foreign[FOREIGN];
static copy_t current;
static pthread_barrier_t step;

static void* be_foreign(void* arg) {
  foreign_t* const me = arg;
  for (;;) {
    pthread_barrier_wait(&step);
    if (me->calls) use(&current, 7);
    if (me->calls) allocate(&current, &me->blocks, 8);
    pthread_barrier_wait(&step);  // main frees these blocks, or leaves them, and unloads
    pthread_barrier_wait(&step);
    if (me->is_to_end) return NULL;
  }
}

static void* use_and_end(void* arg) {
  use(&current, 9);
  return arg;
}

static void start_foreign(int i) {
  foreign[i] = (foreign_t){.calls = i % 2 == 0};
  foreign[i].thread = start(be_foreign, &foreign[i]);
}

static void end_foreign(int i) { pthread_join(foreign[i].thread, NULL); }

// One round; `kept`: blocks of main that live on, with those of the other threads.
static void come_and_go(const char* library, int number, blocks_t* kept) {
  current = load(library);
  use(&current, 1);
  if (kept != NULL) allocate(&current, kept, 3);
  pthread_join(start(use_and_end, NULL), NULL);
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step);
  for (int i = 0; i < FOREIGN && kept == NULL; i++) {
    if (foreign[i].calls) give(&current, &foreign[i].blocks);
  }
  if (dlclose(current.handle) != 0) fail(dlerror());
  for (int i = 0; i < FOREIGN && kept != NULL; i++) {
    if (foreign[i].calls) check(&foreign[i].blocks);
  }
  if (kept != NULL) check(kept);
  const int ends = number % FOREIGN;
  foreign[ends].is_to_end = true;
  pthread_barrier_wait(&step);
  end_foreign(ends);
  if (kept != NULL) check(kept);
  start_foreign(ends);
}

static void* do_nothing(void* arg) { return arg; }

// One thread more than stays, so that libc has a stack for it from now on.
static void begin_foreign(void) {
  pthread_barrier_init(&step, NULL, FOREIGN + 1);
  const pthread_t one_more = start(do_nothing, NULL);
  for (int i = 0; i < FOREIGN; i++) start_foreign(i);
  pthread_join(one_more, NULL);
}

static bool is_loaded(const char* library) {
  void* const handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  if (handle != NULL) dlclose(handle);
  return handle != NULL;
}

static int reload(const char* library, int times) {
  enum { MAPPINGS_MORE = 0, KIB_MORE = 1024 };
  begin_foreign();
  const process_t untouched = look();
  come_and_go(library, 0, NULL);
  if (is_loaded(library)) printf("note: the library stays loaded after dlclose\n");
  const process_t once = look();
  for (int i = 1; i < times; i++) come_and_go(library, i, NULL);
  const process_t after = look();
  const bool good = after.mappings <= untouched.mappings + MAPPINGS_MORE
                    && after.rss_kib <= untouched.rss_kib + KIB_MORE;
  printf("%s loaded %d times: mappings %d, then %d, in the end %d (at most %d more); "
         "RSS %zu KiB, %zu, %zu (at most %d more)\n",
         good ? "ok  " : "FAIL", times, untouched.mappings, once.mappings, after.mappings,
         MAPPINGS_MORE, untouched.rss_kib, once.rss_kib, after.rss_kib, KIB_MORE);
  return good ? 0 : 1;
}

static int alive(const char* library) {
  enum { TIMES = 5 };
  static blocks_t kept[TIMES];
  begin_foreign();
  for (int i = 0; i < TIMES; i++) come_and_go(library, i, &kept[i]);
  for (int i = 0; i < TIMES; i++) check(&kept[i]);
  printf("ok   unloaded %d times with live blocks: all are readable\n", TIMES);
  return 0;
}

// A thread of theirs ------------------------------------------------------------------------------------

static int count_threads(void) {
  static char text[4096];
  const int file = open("/proc/self/status", O_RDONLY);
  const ssize_t got = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[got < 0 ? 0 : got] = 0;
  const char* const line = strstr(text, "\nThreads:");
  return line != NULL ? atoi(line + 9) : 0;
}

static void free_megabytes(const copy_t* copy) {
  enum { COUNT = 20, BYTES = 2 << 20 };
  void* p[COUNT];
  for (int i = 0; i < COUNT; i++) {
    p[i] = copy->malloc(BYTES);
    if (p[i] == NULL) fail("no memory");
    memset(p[i], 1, BYTES);
  }
  for (int i = 0; i < COUNT; i++) copy->free(p[i]);
}

static int quiet(const char* library, int times) {
  begin_foreign();
  const int before = count_threads();
  for (int i = 0; i < times; i++) {
    const copy_t copy = load(library);
    free_megabytes(&copy);
    const int during = count_threads();
    if (during != before + 1) fail("no thread was started");
    if (i % 4 == 3) usleep(20 * 1000);  // others are unloaded when their thread has hardly begun
    if (dlclose(copy.handle) != 0) fail(dlerror());
    if (count_threads() != before) fail("the thread has stayed");
  }
  printf("ok   %d times loaded, with a thread of its own, and unloaded\n", times);
  fflush(stdout);
  _exit(0);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int count = argc > 3 ? atoi(argv[3]) : 1;
  if (strcmp(argv[1], "many") == 0) return many(argv[2], count);
  if (strcmp(argv[1], "quiet") == 0) return quiet(argv[2], count);
  if (strcmp(argv[1], "reload") == 0) return reload(argv[2], count);
  return alive(argv[2]);
}
