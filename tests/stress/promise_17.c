// SPDX-License-Identifier: MIT
// promise_17.c - P17: 64 threads in 1000 heaps, while others delete and destroy them
//
// A heap in an even place is always deleted: its blocks are in a table of all, and anybody frees them at any
// time, also while their heap is being deleted. One in an odd place is always destroyed: its blocks are in a
// table of the place, and are used by who is in there only. Nobody ends a heap that somebody is in; the
// counter `users` is the program's own synchronisation. Threads end and begin all the time, and some set a heap
// of theirs as the default while they live. Every block is stamped at both ends.
#include "stress.h"

enum {
  THREADS = 64,
  HEAPS = 1000,
  KEPT = 16,      // blocks per place
  SHARED = 4096,  // blocks in the table of all
  STEPS = 150,    // of a thread's life
  SHORT_LIVES = 1500,
  ENDING = -1,
};

typedef struct place_of_heap_s {
  _Alignas(64) _Atomic(int) users;  // ENDING: by one who makes a new heap
  mi_heap_t* heap;
  _Atomic(uint64_t*) kept[KEPT];
} place_of_heap_t;

static place_of_heap_t heaps[HEAPS];
static _Atomic(uint64_t*) shared[SHARED];
static _Atomic(uint32_t) lives;
static _Atomic(uint64_t) ended[2];
static uint32_t lives_max;
static double end_time;

static const uint64_t MARK = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t* last_word(uint64_t* block) { return block + block[1] / 8 - 1; }

static uint64_t* stamped_block(mi_heap_t* heap, chance_t* chance) {
  uint32_t size = 24 + 8 * draw_below(chance, one_in(chance, 64) ? 16000 : 100);
  uint64_t* const block = heap != NULL ? mi_heap_malloc(heap, size) : mi_malloc(size);
  if (block == NULL) fail("out of memory");
  if (heap != NULL && mi_heap_of(block) != heap) fail("a block is in another heap");
  block[0] = (uintptr_t)block ^ MARK;
  block[1] = size;
  *last_word(block) = (uintptr_t)block + MARK;
  return block;
}

static void check_block(uint64_t* block) {
  if (block[0] != ((uintptr_t)block ^ MARK) || *last_word(block) != (uintptr_t)block + MARK)
    fail("a block has been written to");
}

static void check_and_release(uint64_t* block) {
  if (block == NULL) return;
  check_block(block);
  block[0] = 0;
  mi_free(block);
}

static uint64_t* put(_Atomic(uint64_t*)* table, uint32_t count, uint64_t* block, chance_t* chance) {
  return atomic_exchange_explicit(&table[draw_below(chance, count)], block, memory_order_acq_rel);
}

static bool try_enter(place_of_heap_t* place) {
  int users = atomic_load_explicit(&place->users, memory_order_relaxed);
  while (users != ENDING) {
    if (atomic_compare_exchange_weak_explicit(&place->users, &users, users + 1,
                                              memory_order_acquire, memory_order_relaxed))
      return true;
  }
  return false;
}

static void leave(place_of_heap_t* place) {
  atomic_fetch_sub_explicit(&place->users, 1, memory_order_acq_rel);
}

static bool is_destroyed(const place_of_heap_t* place) { return (place - heaps) % 2 != 0; }

static void use(place_of_heap_t* place, chance_t* chance) {
  if (!try_enter(place)) return;
  const bool destroyed = is_destroyed(place);
  for (uint32_t i = draw_below(chance, 20); i > 0; i--) {
    uint64_t* const block = stamped_block(place->heap, chance);
    check_and_release(destroyed ? put(place->kept, KEPT, block, chance)
                                : put(shared, SHARED, block, chance));
  }
  if (one_in(chance, 50)) mi_heap_collect(place->heap, one_in(chance, 4));
  leave(place);
}

static void renew(place_of_heap_t* place) {
  int nobody = 0;
  if (!atomic_compare_exchange_strong_explicit(&place->users, &nobody, ENDING, memory_order_acquire,
                                               memory_order_relaxed))
    return;
  const bool destroyed = is_destroyed(place);
  for (uint32_t i = 0; i < KEPT; i++) {
    uint64_t* const block = atomic_exchange(&place->kept[i], NULL);
    if (block != NULL) check_block(block);
  }
  if (destroyed) {
    mi_heap_destroy(place->heap);
  } else {
    mi_heap_delete(place->heap);
  }
  place->heap = mi_heap_new();
  if (place->heap == NULL) fail("no heap");
  atomic_fetch_add_explicit(&ended[destroyed], 1, memory_order_relaxed);
  atomic_store_explicit(&place->users, 0, memory_order_release);
}

static void step(chance_t* chance) {
  place_of_heap_t* const place = &heaps[draw_below(chance, HEAPS)];
  switch (draw_below(chance, 8)) {
    case 0: renew(place); break;
    case 1: check_and_release(put(shared, SHARED, stamped_block(NULL, chance), chance)); break;
    case 2: check_and_release(put(shared, SHARED, NULL, chance)); break;
    default: use(place, chance); break;
  }
}

static void* live(void* arg) {
  chance_t chance = {mix(run_seed ^ (uintptr_t)arg)};
  mi_heap_t* own = NULL;
  if (one_in(&chance, 4)) {
    own = mi_heap_new();
    mi_theap_set_default(mi_heap_theap(own));
  }
  for (uint32_t i = 0; i < STEPS; i++) step(&chance);
  if (own != NULL) mi_heap_delete(own);
  return NULL;
}

// One after the other.
static void* line_of_lives(void* arg) {
  (void)arg;
  for (;;) {
    const uint32_t number = atomic_fetch_add_explicit(&lives, 1, memory_order_relaxed);
    if (number >= lives_max || (end_time != 0 && now_seconds() > end_time)) return NULL;
    pthread_join(start_thread(live, (void*)(uintptr_t)(number + 1)), NULL);
  }
}

int main(int argc, char** argv) {
  const plan_t plan = read_arguments(argc, argv);
  lives_max = plan.is_short ? SHORT_LIVES : UINT32_MAX / 2;
  const double begin = now_seconds();
  end_time = begin + (plan.is_short ? 4 : plan.seconds);
  for (uint32_t i = 0; i < HEAPS; i++) heaps[i].heap = mi_heap_new();
  pthread_t lines[THREADS];
  for (uint32_t i = 0; i < THREADS; i++) lines[i] = start_thread(line_of_lives, NULL);
  for (uint32_t i = 0; i < THREADS; i++) pthread_join(lines[i], NULL);
  for (uint32_t i = 0; i < SHARED; i++) check_and_release(atomic_exchange(&shared[i], NULL));
  for (uint32_t i = 0; i < HEAPS; i++) mi_heap_destroy(heaps[i].heap);
  printf("%u lives, %llu heaps deleted, %llu destroyed, %.1f s\n", atomic_load(&lives) - THREADS,
         (unsigned long long)ended[0], (unsigned long long)ended[1], now_seconds() - begin);
  return 0;
}
