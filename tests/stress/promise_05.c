// SPDX-License-Identifier: MIT
// promise_05.c - P5: few mappings, however large the heap is and whatever is done with it
//
// 4 threads allocate, free, resize and hand on blocks of all sizes to 32 MiB for some seconds (10 minutes in the long
// form), with a short purge delay. As they work, the mappings of the process are counted again and again: at most 64
// are ours, and two for each of at most 64 blocks that live where mremap has moved them. When all is freed those are
// gone, too.
#include "promise.h"

enum {
  THREADS = 4,
  HELD = 400,
  LARGE_HELD = 12,
  SHORT_MS = 4000,
  LONG_MS = 10 * 60 * 1000,
  OURS_MAX = 64,
  MOVED_MAX = 2 * 64,
  LEFT_MAX = 64,
};

// The first and the last byte say whose a block is.
typedef struct owned_s {
  uint8_t* p;
  size_t size;
  uint8_t mark;
} owned_t;

typedef struct swap_s {
  _Atomic(int) state;
  owned_t owned;
} swap_t;

static _Atomic(bool) is_over;
static swap_t swaps[THREADS];

static void check_and_drop(owned_t* one) {
  if (one->p == NULL) return;
  if (one->p[0] != one->mark || one->p[one->size - 1] != one->mark) fail("a block has changed");
  mi_free(one->p);
  one->p = NULL;
}

// A block of `one` grows or shrinks, if it has one.
static void resize(owned_t* one, size_t size) {
  const bool is_new = one->p == NULL;
  uint8_t* const p = mi_realloc(one->p, size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  if (!is_new && p[0] != one->mark) fail("a block has lost its begin");
  p[0] = p[size - 1] = one->mark;
  one->p = p;
  one->size = size;
}

static bool try_swap(swap_t* swap, int from) {
  return atomic_compare_exchange_strong(&swap->state, &from, PLACE_BUSY);
}

// Of everything: what was there before we worked is taken off.
static size_t mapping_count(void) {
  static char text[1 << 20];
  const size_t length = read_text("/proc/self/maps", text, sizeof text);
  size_t count = 0;
  for (size_t i = 0; i < length; i++) count += text[i] == '\n';
  return count;
}

static size_t draw_large(chance_t* chance) {
  return MIB + draw_below(chance, one_in(chance, 8) ? 31 * 1024 * 1024 : 4 * 1024 * 1024);
}

static void churn_large(owned_t* one, chance_t* chance) {
  if (one->p == NULL || one_in(chance, 2)) {
    resize(one, draw_large(chance));
  } else {
    check_and_drop(one);
  }
}

// Leaves the block for another thread, or takes what another has left.
static void pass_on(swap_t* swap, owned_t* one) {
  if (try_swap(swap, PLACE_EMPTY)) {
    swap->owned = *one;
    one->p = NULL;
    atomic_store(&swap->state, PLACE_FULL);
  } else if (try_swap(swap, PLACE_FULL)) {
    check_and_drop(&swap->owned);
    atomic_store(&swap->state, PLACE_EMPTY);
  }
}

static void* work(void* arg) {
  const uint8_t mark = (uint8_t)(uintptr_t)arg;
  chance_t chance = {.state = mix(run_seed + mark)};
  owned_t held[HELD] = {{0}};
  owned_t large[LARGE_HELD] = {{0}};
  for (uint32_t round = 1; !atomic_load_explicit(&is_over, memory_order_relaxed); round++) {
    owned_t* const one = &held[draw_below(&chance, HELD)];
    check_and_drop(one);
    one->mark = mark;
    resize(one, 1 + draw_size(&chance));
    if (round % 16 == 0) pass_on(&swaps[draw_below(&chance, THREADS)], one);
    if (round % 256 == 0) churn_large(&large[draw_below(&chance, LARGE_HELD)], &chance);
  }
  for (int i = 0; i < HELD; i++) check_and_drop(&held[i]);
  for (int i = 0; i < LARGE_HELD; i++) check_and_drop(&large[i]);
  return NULL;
}

static void* end_at_once(void* arg) { return mi_free(mi_malloc(100)), arg; }

static void run_threads(void* (*run)(void* arg), pthread_t* threads) {
  for (uintptr_t i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, run, (void*)(i + 1)) != 0) fail("no thread");
  }
}

static void join(const pthread_t* threads) {
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void run_churn(const promise_plan_t* plan) {
  pthread_t threads[THREADS];
  mi_option_set(mi_option_purge_delay, 20);
  run_threads(end_at_once, threads);  // their stacks stay mapped
  join(threads);
  const size_t base = mapping_count();
  size_t most = 0;
  run_threads(work, threads);
  const long end = plan->is_long ? LONG_MS : SHORT_MS;
  for (long ms = 0; ms < end; ms += 20) {
    sleep_ms(20);
    const size_t now = above(mapping_count(), base);
    if (now > most) most = now;
  }
  atomic_store(&is_over, true);
  join(threads);
  for (int i = 0; i < THREADS; i++) check_and_drop(&swaps[i].owned);
  mi_purge_all(0, 0, NULL);
  const size_t left = above(mapping_count(), base);
  // Stacks of the threads, with their guards, count as ours if libc has let go of the first ones.
  memory_row(most <= OURS_MAX + MOVED_MAX,
             "churn    %zu mappings at most while 4 threads work (<= %d)", most,
             OURS_MAX + MOVED_MAX);
  memory_row(left <= LEFT_MAX, "churn    %zu when all is freed (<= %d)", left, LEFT_MAX);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {{"churn", run_churn}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
