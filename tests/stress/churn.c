// SPDX-License-Identifier: MIT
// churn.c - many short lives: threads come and go, and their blocks outlive them
//
// A thread frees blocks that dead threads left, allocates some, leaves most of them behind, starts its
// successor, and ends. Threads are detached and start each other, so nothing orders the end of one with
// what others do later but the allocator itself. Some allocate and free in destructors that run after
// the allocator's own, some say that they are done and go on. The main thread collects meanwhile, so
// the heaps that ended threads left are taken apart while new threads take them.
//
// usage: churn short|SECONDS [SEED]
#include "stress.h"

// ThreadSanitizer leaves a thread in the last of the four rounds of destructors. A destructor of ours in
// the third may make the allocator's own run in the fourth.
#if defined(__SANITIZE_THREAD__)
#define LATE_ROUNDS 2
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_ROUNDS 2
#endif
#endif
#ifndef LATE_ROUNDS
#define LATE_ROUNDS 3
#endif

enum {
  PLACES = 2048,
  BLOCKS_MAX = 120,  // of one life
  SHORT_LIVES = 4000,
};

static place_t places[PLACES];
static _Atomic(uint32_t) lives_begun;
static _Atomic(uint32_t) lines_alive;
static _Atomic(bool) time_is_up;
static uint32_t lives_max;
static pthread_key_t late_key;

// Blocks of a life, allocated one after another.
typedef struct life_s {
  chance_t chance;
  uint8_t id;
  uint32_t serial;
} life_t;

static void allocate(life_t* life, held_t* held) {
  const size_t size = draw_size(&life->chance);
  void* const p = one_in(&life->chance, 8) ? mi_zalloc(size) : mi_malloc(size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  take_over(held, p, size, life->id, life->serial++);
}

// Leave the block somewhere, or free it if a few places are taken.
static void leave(life_t* life, held_t* held) {
  for (int tries = 0; tries < 4; tries++) {
    if (place_leave(&places[draw_below(&life->chance, PLACES)], held)) return;
  }
  check_and_free(held);
}

static void free_some_of_the_dead(life_t* life, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    held_t found;
    if (place_fetch(&places[draw_below(&life->chance, PLACES)], &found)) check_and_free(&found);
  }
}

static void leave_blocks(life_t* life, uint32_t count) {
  held_t held[BLOCKS_MAX] = {0};
  for (uint32_t i = 0; i < count; i++) allocate(life, &held[i]);
  for (uint32_t i = 0; i < count; i++) {
    if (one_in(&life->chance, 3)) {
      check_and_free(&held[i]);
    } else {
      leave(life, &held[i]);
    }
  }
}

// Runs in a later round than the allocator's destructor, because it asks for that.
static void be_late(void* arg) {
  const uintptr_t rounds_left = (uintptr_t)arg & 3;
  const uint32_t life_number = (uint32_t)((uintptr_t)arg >> 2);
  if (rounds_left > 1) {
    pthread_setspecific(late_key, (void*)((uintptr_t)arg - 1));
    return;
  }
  life_t life = {.chance = {mix(run_seed + life_number)}, .id = 255};
  leave_blocks(&life, 5);
  free_some_of_the_dead(&life, 5);
}

static void* live(void* arg);

static bool begin_life(void) {
  const uint32_t number = atomic_fetch_add_explicit(&lives_begun, 1, memory_order_relaxed);
  if (number >= lives_max || atomic_load_explicit(&time_is_up, memory_order_relaxed)) return false;
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int failure = pthread_create(&thread, &detached, live, (void*)(uintptr_t)number);
  pthread_attr_destroy(&detached);
  if (failure != 0) fail("a thread could not be created: error %d", failure);
  return true;
}

static void* live(void* arg) {
  const uint32_t number = (uint32_t)(uintptr_t)arg;
  life_t life = {.chance = {mix(run_seed * 1000003 + number)}, .id = (uint8_t)(1 + number % 254)};
  if (one_in(&life.chance, 4)) {
    const uintptr_t rounds = 1 + draw_below(&life.chance, LATE_ROUNDS);
    pthread_setspecific(late_key, (void*)((uintptr_t)number << 2 | rounds));
  }
  if (one_in(&life.chance, 16)) mi_thread_set_in_threadpool();
  const uint32_t blocks = one_in(&life.chance, 8) ? 0 : draw_below(&life.chance, BLOCKS_MAX);
  const uint32_t half = blocks / 2;
  free_some_of_the_dead(&life, half);
  leave_blocks(&life, half);
  const bool goes_on = begin_life();
  free_some_of_the_dead(&life, blocks);
  if (one_in(&life.chance, 8)) mi_thread_done();
  leave_blocks(&life, blocks - half);
  if (!goes_on) atomic_fetch_sub_explicit(&lines_alive, 1, memory_order_relaxed);
  return NULL;
}

static unsigned threads_now(void) {
  FILE* const file = fopen("/proc/self/status", "r");
  if (file == NULL) fail("/proc is missing");
  char line[128];
  unsigned threads = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Threads: %u", &threads) == 1) break;
  }
  fclose(file);
  return threads;
}

static void* do_nothing(void* arg) { return arg; }

// How many threads there are without ours: ThreadSanitizer has one, from the first that we start on.
static unsigned threads_of_others(void) {
  pthread_join(start_thread(do_nothing, NULL), NULL);
  sleep_ms(50);
  return threads_now();
}

static void free_everything(void) {
  for (uint32_t i = 0; i < PLACES; i++) {
    held_t held;
    if (place_fetch(&places[i], &held)) check_and_free(&held);
  }
}

int main(int argc, char** argv) {
  const plan_t plan = read_arguments(argc, argv);
  static const long purge_delays[] = {1000, 0, 1, 20};
  mi_option_set(mi_option_purge_delay, purge_delays[run_seed % 4]);
  mi_option_set(mi_option_purge_thread, 0);  // threads are counted here: none of the allocator's
  lives_max = plan.is_short ? SHORT_LIVES : UINT32_MAX / 2;
  if (pthread_key_create(&late_key, be_late) != 0) fail("no thread key");

  const unsigned others = threads_of_others();
  const account_t before = account_now();
  const double begin = now_seconds();
  const uint32_t lines = 3 * cores();
  for (uint32_t i = 0; i < lines; i++) {
    if (begin_life()) atomic_fetch_add_explicit(&lines_alive, 1, memory_order_relaxed);
  }
  while (atomic_load_explicit(&lines_alive, memory_order_relaxed) > 0) {
    sleep_ms(5);
    mi_collect(true);
    if (!plan.is_short && now_seconds() - begin > plan.seconds) {
      atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    }
  }
  while (threads_now() > others) sleep_ms(1);  // detached threads end when they are gone
  // ThreadSanitizer does not know that the threads have ended; their last words were these.
  atomic_thread_fence(memory_order_acquire);
  free_everything();
  check_nothing_lives(before);
  printf("%u threads at a time, %u in all, %.1f s\n", lines, atomic_load(&lives_begun),
         now_seconds() - begin);
  return 0;
}
