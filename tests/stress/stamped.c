// SPDX-License-Identifier: MIT
// stamped.c - threads allocate, change, hand over and free stamped blocks of all kinds
//
// Each worker has a table of blocks. It fills, changes and empties entries, leaves blocks in places
// where others find them, and frees what it finds there. Workers end while their blocks live on: the
// next worker gets another one's table. There are more workers than cores.
//
// usage: stamped short|SECONDS [SEED]
#include "stress.h"

enum {
  WORKERS_MAX = 40,
  SPARE_TABLES = 3,
  TABLE_SIZE = 400,
  PLACES = 512,
  STEPS = 10000,  // of one life, on average
  SHORT_LIVES = 100,
};

typedef struct table_s {
  held_t held[TABLE_SIZE];
} table_t;

typedef struct worker_s {
  table_t* table;
  chance_t chance;
  uint32_t serial;
  uint32_t steps;
  uint8_t id;
} worker_t;

static table_t tables[WORKERS_MAX + SPARE_TABLES];
static worker_t workers[WORKERS_MAX];
static place_t places[PLACES];
static _Atomic(uint64_t) steps_done;

// Allocating --------------------------------------------------------------------------------------

static size_t draw_alignment(chance_t* chance) {
  if (one_in(chance, 50)) return (size_t)1 << (16 + draw_below(chance, 7));  // to 4 MiB
  return (size_t)1 << draw_below(chance, 14);
}

static void check_aligned(const uint8_t* p, size_t alignment, size_t offset) {
  if ((((uintptr_t)p + offset) & (alignment - 1)) == 0) return;
  fail("%p, asked for with an alignment of %zu at offset %zu, is not aligned", (const void*)p,
       alignment, offset);
}

static void* allocate_aligned(worker_t* worker, size_t size) {
  const size_t alignment = draw_alignment(&worker->chance);
  size_t offset = 0;
  void* p;
  if (one_in(&worker->chance, 3)) {
    offset = draw_below(&worker->chance, 5000);
    p = mi_malloc_aligned_at(size, alignment, offset);
  } else {
    p = mi_malloc_aligned(size, alignment);
  }
  if (p != NULL) check_aligned(p, alignment, offset);
  return p;
}

static void* allocate_clear(worker_t* worker, size_t size) {
  void* p;
  switch (draw_below(&worker->chance, 4)) {
    case 0: p = mi_calloc(1, size); break;
    case 1: p = mi_calloc(size, 1); break;
    case 2: p = mi_zalloc_aligned(size, draw_alignment(&worker->chance)); break;
    default: p = mi_zalloc(size); break;
  }
  if (p != NULL) check_zero(p, 0, mi_usable_size(p), "clear");
  return p;
}

static void allocate(worker_t* worker, held_t* held) {
  const size_t size = draw_size(&worker->chance);
  const uint32_t way = draw_below(&worker->chance, 10);
  void* const p = way < 6   ? mi_malloc(size)
                  : way < 8 ? allocate_clear(worker, size)
                            : allocate_aligned(worker, size);
  if (p == NULL) fail("%zu bytes could not be allocated", size);
  held->is_clear = way >= 6 && way < 8;
  take_over(held, p, size, worker->id, worker->serial++);
}

// Changing ----------------------------------------------------------------------------------------

static size_t draw_new_size(chance_t* chance, size_t size) {
  switch (draw_below(chance, 4)) {
    case 0: return draw_size(chance);
    case 1: return size + size / 2 + 1;
    case 2: return size - size / 8;
    default: return size / 3;
  }
}

static void change(worker_t* worker, held_t* held) {
  check(held, "change");
  size_t size = draw_new_size(&worker->chance, held->size);
  if (size > 5 * MIB) size = 1;
  void* p;
  const bool clear = held->is_clear && size > held->size && one_in(&worker->chance, 2);
  if (clear) {
    p = mi_rezalloc(held->p, size);
  } else if (one_in(&worker->chance, 5)) {
    const size_t alignment = draw_alignment(&worker->chance);
    p = mi_realloc_aligned(held->p, size, alignment);
    if (p != NULL) check_aligned(p, alignment, 0);
  } else {
    p = mi_realloc(held->p, size);
  }
  if (p == NULL) fail("%zu bytes could not be reallocated", size);
  held->p = p;
  check_below(held, size < held->size ? size : held->size, "changed");
  if (clear) check_zero(p, held->size, size, "rezalloc");
  held->is_clear = clear;
  take_over(held, p, size, worker->id, worker->serial++);
}

// A step ------------------------------------------------------------------------------------------

static void release(worker_t* worker, held_t* held) {
  check(held, "free");
  switch (draw_below(&worker->chance, 3)) {
    case 0: mi_free_size(held->p, held->size); break;
    case 1: mi_cfree(held->p); break;
    default: mi_free(held->p); break;
  }
  *held = (held_t){0};
}

static void ignore_text(const char* message, void* arg) {
  (void)message;
  (void)arg;
}

static void seldom(chance_t* chance) {
  switch (draw_below(chance, 8)) {
    case 0: mi_collect(true); break;
    case 1: mi_stats_print_out(ignore_text, NULL); break;
    case 2: mi_thread_done(); break;  // and goes on: it starts again
    default: mi_collect(false); break;
  }
}

static void step(worker_t* worker) {
  chance_t* const chance = &worker->chance;
  held_t* const held = &worker->table->held[draw_below(chance, TABLE_SIZE)];
  place_t* const place = &places[draw_below(chance, PLACES)];
  if (held->p == NULL) {
    if (one_in(chance, 4) && place_fetch(place, held)) return;  // keep what somebody left
    allocate(worker, held);
    return;
  }
  const uint32_t what = draw_below(chance, 100);
  if (what < 45) {
    release(worker, held);
  } else if (what < 65) {
    change(worker, held);
  } else if (!place_leave(place, held)) {
    held_t found;
    if (place_fetch(place, &found)) release(worker, &found);
  }
  if (one_in(chance, 3000)) seldom(chance);
}

static void* work(void* arg) {
  worker_t* const worker = arg;
  for (uint32_t i = 0; i < worker->steps; i++) step(worker);
  atomic_fetch_add_explicit(&steps_done, worker->steps, memory_order_relaxed);
  return NULL;
}

// All lives -----------------------------------------------------------------------------------------

static uint32_t worker_count;

// The next life in slot i, with the table that was left longest ago.
static pthread_t begin_life(uint32_t i, uint32_t life) {
  static uint32_t next_table;
  worker_t* const worker = &workers[i];
  chance_t chance = {mix(run_seed * 1000003 + life)};
  worker->table = &tables[next_table++ % (worker_count + SPARE_TABLES)];
  worker->id = (uint8_t)(1 + life % 255);
  worker->steps = STEPS / 2 + draw_below(&chance, STEPS);
  worker->chance = chance;
  return start_thread(work, worker);
}

// At any time all slots are in use, and so are as many tables; the spare ones wait with their blocks.
static uint32_t live(plan_t plan) {
  const double end = now_seconds() + plan.seconds;
  static pthread_t threads[WORKERS_MAX];
  uint32_t lives = 0;
  for (; lives < worker_count; lives++) threads[lives] = begin_life(lives, lives);
  while (plan.is_short ? lives < SHORT_LIVES : now_seconds() < end) {
    const uint32_t i = lives % worker_count;
    pthread_join(threads[i], NULL);
    threads[i] = begin_life(i, lives++);
  }
  for (uint32_t i = 0; i < worker_count; i++) pthread_join(threads[i], NULL);
  return lives;
}

static void free_everything(void) {
  for (uint32_t t = 0; t < worker_count + SPARE_TABLES; t++) {
    for (uint32_t i = 0; i < TABLE_SIZE; i++) check_and_free(&tables[t].held[i]);
  }
  for (uint32_t i = 0; i < PLACES; i++) {
    held_t held;
    if (place_fetch(&places[i], &held)) check_and_free(&held);
  }
}

static void* do_nothing(void* arg) { return arg; }

int main(int argc, char** argv) {
  const plan_t plan = read_arguments(argc, argv);
  static const long purge_delays[] = {0, 10, 100, 1000};
  mi_option_set(mi_option_purge_delay, purge_delays[run_seed % 4]);
  worker_count = 2 * cores() + 3;

  pthread_join(start_thread(do_nothing, NULL), NULL);  // what libc allocates for threads
  const account_t before = account_now();
  const double begin = now_seconds();
  const uint32_t lives = live(plan);
  free_everything();
  check_nothing_lives(before);
  printf("%u workers at a time, %u in all, %llu steps, %.1f s\n", worker_count, lives,
         (unsigned long long)steps_done, now_seconds() - begin);
  return 0;
}
