// SPDX-License-Identifier: MIT
// promise_10.c - P10: threads end, in whatever order their destructors run, and leave nothing behind
//
//   passes   malloc, calloc, realloc and free in every pass of destructors, of a key that was made before
//            the library's and of one made after it; the first call of the thread is in its body or in
//            any one pass, the last included; blocks go from pass to pass
//   calls    mi_thread_init, mi_thread_done and mi_thread_set_in_threadpool do what they say
//   churn    threads allocate, free and end: 20 000 in the short form, 1 M in the long one; RSS stays
//
// tests/scripts/late_threads.sh has what needs no table: objects with destructors, and raw clones.
#include "promise.h"
#include <limits.h>

// ThreadSanitizer leaves a thread in the last pass. A first call in the pass before it would make the
// library's own destructor run in the last.
enum { PASSES = PTHREAD_DESTRUCTOR_ITERATIONS, PASSES_USED = HAS_TSAN ? PASSES - 2 : PASSES };

// Passes --------------------------------------------------------------------------------------------

static pthread_key_t early_key, late_key;

typedef struct late_s {
  pthread_key_t key;
  int first_pass;  // of its first call; 0: in the body
  int pass;
  uint8_t* kept;  // from the pass before
  size_t kept_bytes;
  uint8_t* from_main;
} late_t;

static void expect_filled(const uint8_t* p, size_t size, uint8_t byte, const char* what) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != byte)
      fail("%s: byte %zu of %p is %02x, not %02x", what, i, (const void*)p, p[i], byte);
  }
}

static uint8_t* filled(size_t size, uint8_t byte) {
  uint8_t* const p = mi_malloc(size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  memset(p, byte, size);
  return p;
}

// Of all kinds: in pages of one and two slices, a run, a huge block.
static void use_everything(int pass) {
  static const size_t sizes[] = {1, 16, 100, 1000, 9000, 30000, 100 * 1024, 2 * 1024 * 1024};
  uint8_t* blocks[COUNT_OF(sizes)];
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    blocks[i] = mi_zalloc(sizes[i]);
    check_zero(blocks[i], 0, sizes[i] < 200000 ? sizes[i] : 100, "zalloc in a destructor");
    blocks[i][0] = blocks[i][sizes[i] - 1] = (uint8_t)(pass + 1);
  }
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    blocks[i] = mi_realloc(blocks[i], sizes[i] * 2 + 40);
    if (blocks[i][0] != pass + 1 || blocks[i][sizes[i] - 1] != pass + 1)
      fail("realloc: not copied");
  }
  for (size_t i = 0; i < COUNT_OF(sizes); i++) mi_free(blocks[i]);
}

static void keep_another(late_t* late) {
  if (late->kept != NULL) {
    expect_filled(late->kept, late->kept_bytes, (uint8_t)(late->pass - 1), "kept for a pass");
    late->kept = mi_realloc(late->kept, late->kept_bytes + 3000);
    expect_filled(late->kept, late->kept_bytes, (uint8_t)(late->pass - 1), "kept, and resized");
    mi_free(late->kept);
  }
  late->kept_bytes = (size_t)late->pass * 500 + 1;
  late->kept = filled(late->kept_bytes, (uint8_t)late->pass);
}

static void work_late(late_t* late) {
  if (late->from_main != NULL) {
    expect_filled(late->from_main, 700, 0x77, "allocated by another thread");
    mi_free(late->from_main);
    late->from_main = NULL;
  }
  keep_another(late);
  use_everything(late->pass);
}

static void in_destructor(void* arg) {
  late_t* const late = arg;
  late->pass++;
  if (late->pass >= late->first_pass) work_late(late);
  if (late->pass < PASSES_USED) pthread_setspecific(late->key, late);
}

static void* begin_late(void* arg) {
  late_t* const late = arg;
  if (late->first_pass == 0) work_late(late);
  pthread_setspecific(late->key, late);
  return NULL;
}

static void run_late_thread(pthread_key_t key, int first_pass) {
  late_t late = {.key = key, .first_pass = first_pass, .from_main = filled(700, 0x77)};
  pthread_join(start_thread(begin_late, &late), NULL);
  if (late.pass != PASSES_USED) fail("%d passes of destructors", late.pass);
  expect_filled(late.kept, late.kept_bytes, (uint8_t)late.pass, "left by an ended thread");
  mi_free(late.kept);
}

static void run_passes(int rounds) {
  for (int i = 0; i < rounds; i++) {
    for (int first_pass = 0; first_pass <= PASSES_USED; first_pass++) {
      run_late_thread(early_key, first_pass);
      run_late_thread(late_key, first_pass);
    }
  }
}

static size_t grown_by(int rounds) {
  const size_t rss = resident_bytes();
  run_passes(rounds);
  return above(resident_bytes(), rss);
}

static void passes(const promise_plan_t* plan) {
  run_passes(20);
  const account_t before = account_now();
  const int rounds = plan->is_long ? 5000 : IS_SLOW ? 100 : 400;
  size_t grown = grown_by(rounds);
  // On a busy machine the system may say for a moment that a thread exists which has been joined: then the next
  // one gets memory of its own, once. What is lost with each thread is lost again.
  if (grown > 2 * MIB) grown = grown_by(rounds);
  memory_row(
      grown <= 2 * MIB,
      "P10 passes: %d threads, first calls in body and passes 1 to %d: RSS grew by %.2f MiB, at most 2",
      rounds * 2 * (PASSES_USED + 1), PASSES_USED, in_mib(grown));
  check_nothing_lives(before);
}

// Before the library's own key: with a sanitizer only what is statically linked can be that early.
static void make_early_key(void) {
  if (pthread_key_create(&early_key, in_destructor) != 0) abort();
}
#if HAS_SANITIZER
__attribute__((constructor(101))) static void make_it_early(void) { make_early_key(); }
#else
__attribute__((section(".preinit_array"),
               used)) static void (*const make_it_early)(void) = make_early_key;
#endif

static void make_late_key(void) {
  if (pthread_key_create(&late_key, in_destructor) != 0) fail("no thread key");
  if (!HAS_SANITIZER && late_key < early_key + 2) fail("the library's key is not between ours");
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct threads_s {
  size_t started, ended;
} threads_t;

static threads_t threads_counted(void) {
  const account_t now = account_now();
  return (threads_t){now.threads_started, now.threads_ended};
}

static void expect_threads(threads_t before, size_t started, size_t ended, const char* when) {
  const threads_t now = threads_counted();
  row(now.started - before.started == started && now.ended - before.ended == ended,
      "P10 calls: %s: %zu started, %zu ended; expected %zu and %zu", when,
      now.started - before.started, now.ended - before.ended, started, ended);
}

static void* init_and_done(void* arg) {
  (void)arg;
  threads_t before = threads_counted();
  mi_thread_init();
  mi_thread_init();
  expect_threads(before, 1, 0, "mi_thread_init, twice");
  before = threads_counted();
  uint8_t* const p = filled(3000, 5);
  expect_threads(before, 0, 0, "malloc after it");
  mi_thread_done();
  mi_thread_done();
  expect_threads(before, 0, 1, "mi_thread_done, twice");
  expect_filled(p, 3000, 5, "block of a thread that is done");
  before = threads_counted();
  mi_free(filled(10, 1));
  expect_threads(before, 1, 0, "malloc after that");
  mi_free(p);
  return NULL;
}

enum { SHARED_BYTES = 24 * 1024 * 1024, SHARED_BLOCKS = SHARED_BYTES / 256 };

static uint8_t* shared_blocks[SHARED_BLOCKS];

// One block in sixteen stays, so that whole pages are never free.
static void allocate_and_free_most(int residue) {
  for (int i = 0; i < SHARED_BLOCKS; i++) {
    if (shared_blocks[i] == NULL) shared_blocks[i] = filled(256, 1);
  }
  for (int i = 0; i < SHARED_BLOCKS; i++) {
    if (i % 16 == residue) continue;
    mi_free(shared_blocks[i]);
    shared_blocks[i] = NULL;
  }
}

static pthread_barrier_t steps;

static void step(void) { pthread_barrier_wait(&steps); }

// It lives on, and makes no call: not even by making a thread.
static void* ends_but_stays(void* arg) {
  allocate_and_free_most(0);
  mi_thread_done();
  step();
  step();
  step();
  return arg;
}

static void* allocates_after_it(void* arg) {
  step();
  step();
  allocate_and_free_most(0);
  step();
  return arg;
}

static void memory_of_one_that_is_done(void) {
  pthread_barrier_init(&steps, NULL, 3);
  const pthread_t first = start_thread(ends_but_stays, NULL);
  const pthread_t second = start_thread(allocates_after_it, NULL);
  step();
  const size_t before = resident_bytes();
  step();
  step();
  const size_t grown = above(resident_bytes(), before);
  memory_row(
      grown <= SHARED_BYTES / 8,
      "P10 calls: after mi_thread_done another thread allocates %d MiB: RSS grew by %.2f MiB, at most %d",
      SHARED_BYTES >> 20, in_mib(grown), SHARED_BYTES >> 23);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
  for (int i = 0; i < SHARED_BLOCKS; i++) mi_free(shared_blocks[i]);
}

// Use a page's worth of each small size and free it.
static void use_small_sizes(void) {
  enum { ALL = 64 * 1024 };
  for (size_t size = 16; size <= 8192; size = size < 128 ? size + 16 : size + size / 8) {
    void* blocks[ALL / 16];
    const size_t count = ALL / size;
    for (size_t i = 0; i < count; i++) blocks[i] = filled(size, 1);
    for (size_t i = 0; i < count; i++) mi_free(blocks[i]);
  }
}

static pthread_barrier_t halted;

static void* idle_of_a_pool(void* arg) {
  if (arg != NULL) mi_thread_set_in_threadpool();
  use_small_sizes();
  pthread_barrier_wait(&halted);  // measured here
  pthread_barrier_wait(&halted);
  return NULL;
}

// What stays resident with an idle thread after others have given back all they can.
static size_t held_by_idle_thread(bool in_pool) {
  mi_collect(true);
  const size_t before = resident_bytes();
  pthread_barrier_init(&halted, NULL, 2);
  const pthread_t thread = start_thread(idle_of_a_pool, in_pool ? &halted : NULL);
  pthread_barrier_wait(&halted);
  mi_collect(true);
  const size_t held = above(resident_bytes(), before);
  pthread_barrier_wait(&halted);
  pthread_join(thread, NULL);
  return held;
}

static void in_threadpool(void) {
  held_by_idle_thread(false);  // its stack and its theap are there for the next
  const size_t usual = held_by_idle_thread(false);
  const size_t pooled = held_by_idle_thread(true);
  memory_row(pooled * 2 <= usual,
             "P10 calls: an idle thread keeps %.2f MiB, one in a pool %.2f MiB, at most half",
             in_mib(usual), in_mib(pooled));
  // The next thread takes over what belonged to it, but not that it is one of a pool.
  const size_t after = held_by_idle_thread(false);
  memory_row(after * 2 > usual, "P10 calls: a usual thread after it keeps %.2f MiB again",
             in_mib(after));
}

static void calls(const promise_plan_t* plan) {
  (void)plan;
  mi_collect(true);
  in_threadpool();
  pthread_join(start_thread(init_and_done, NULL), NULL);
  memory_of_one_that_is_done();
}

// Churn ---------------------------------------------------------------------------------------------

enum { AT_A_TIME = 8, BLOCKS_OF_LIFE = 24 };

static _Atomic(void*) handed_on[64];

// Each frees what others left, and leaves a few blocks for the next.
static void* short_life(void* arg) {
  chance_t chance = {mix(run_seed + (uintptr_t)arg)};
  void* blocks[BLOCKS_OF_LIFE];
  for (int i = 0; i < BLOCKS_OF_LIFE; i++) blocks[i] = marked_block(&chance);
  for (int i = 0; i < BLOCKS_OF_LIFE; i++) {
    void* block = blocks[i];
    if (i % 4 == 0) {
      block = atomic_exchange_explicit(&handed_on[draw_below(&chance, COUNT_OF(handed_on))], block,
                                       memory_order_acq_rel);
    }
    free_marked(block);
  }
  return NULL;
}

static void churn_lives(uint32_t lives) {
  pthread_t threads[AT_A_TIME];
  for (uint32_t i = 0; i < lives; i++) {
    if (i >= AT_A_TIME) pthread_join(threads[i % AT_A_TIME], NULL);
    threads[i % AT_A_TIME] = start_thread(short_life, (void*)(uintptr_t)i);
  }
  for (uint32_t i = 0; i < AT_A_TIME; i++) pthread_join(threads[i], NULL);
}

static void churn(const promise_plan_t* plan) {
  const uint32_t lives = plan->is_long ? 1000 * 1000 : 20 * 1000;
  enum { LOOKS = 20 };
  churn_lives(2000);
  const account_t before = account_now();
  const size_t first = resident_bytes();
  size_t most = first;
  for (int i = 0; i < LOOKS; i++) {
    churn_lives(lives / LOOKS);
    const size_t rss = resident_bytes();
    if (rss > most) most = rss;
  }
  memory_row(most - first <= 2 * MIB,
             "P10 churn: %u threads: RSS %.2f MiB at first, at most %.2f more; 2 are allowed",
             lives, in_mib(first), in_mib(most - first));
  for (size_t i = 0; i < COUNT_OF(handed_on); i++)
    free_marked(atomic_exchange(&handed_on[i], NULL));
  check_nothing_lives(before);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  static const promise_part_t parts[] = {{"passes", passes}, {"calls", calls}, {"churn", churn}};
  make_late_key();
  return run_promise(&plan, parts, COUNT_OF(parts));
}
