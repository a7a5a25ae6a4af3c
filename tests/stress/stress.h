// SPDX-License-Identifier: MIT
// stress.h - what the stress tests share: blocks with stamps, places to leave them, the last account
//
// Every block says whose it is: its first bytes hold owner, serial number and size in plain, its ends
// and a few words between hold a pattern made from these three and the place in the block. Who frees
// or changes a block checks them, so memory that is handed out twice, cut short, or not copied is
// noticed by the next one who looks.
#ifndef STRESS_H
#define STRESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mimalloc-stats.h"
#include "walk.h"

static const size_t KIB = 1024;
static const size_t MIB = 1024 * 1024;

// Ending with a message -----------------------------------------------------------------------------

static uint64_t run_seed;

_Noreturn static inline void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "FAILED (seed %llu): ", (unsigned long long)run_seed);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  abort();
}

// Time and chance -----------------------------------------------------------------------------------

static inline double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void sleep_ms(long ms) {
  const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static inline uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

typedef struct chance_s {
  uint64_t state;
} chance_t;

static inline uint64_t draw(chance_t* chance) { return mix(chance->state++); }

// 0 <= result < below
static inline uint32_t draw_below(chance_t* chance, uint32_t below) {
  return (uint32_t)(draw(chance) >> 33) % below;
}

static inline bool one_in(chance_t* chance, uint32_t n) { return draw_below(chance, n) == 0; }

// Small sizes mostly; now and then any kind of block that there is, to 4 MiB.
static inline size_t draw_size(chance_t* chance) {
  const uint32_t kind = draw_below(chance, 1000);
  if (kind < 20) return draw_below(chance, 9);
  if (kind < 700) return 1 + draw_below(chance, 256);
  if (kind < 900) return 1 + draw_below(chance, 4 * 1024);
  if (kind < 970) return 1 + draw_below(chance, 64 * 1024);
  if (kind < 995) return 1 + draw_below(chance, 1024 * 1024);
  return 1 + draw_below(chance, 4 * 1024 * 1024);
}

// Stamps --------------------------------------------------------------------------------------------

// A block that somebody holds. All fields 0: none.
typedef struct held_s {
  uint8_t* p;
  uint32_t size;
  uint32_t serial;
  uint8_t owner;
  bool is_clear;  // all bytes behind `size` are zero
} held_t;

static inline uint64_t stamp_word(const held_t* held, size_t word) {
  const uint64_t plain = (uint64_t)held->owner << 56 | (uint64_t)held->size << 32 | held->serial;
  return word == 0 ? plain : mix(plain + word);
}

static inline uint8_t stamp_byte(const held_t* held, size_t offset) {
  return (uint8_t)(stamp_word(held, offset / 8) >> (offset % 8 * 8));
}

static inline void write_span(const held_t* held, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) held->p[i] = stamp_byte(held, i);
}

// `limit`: only the bytes below it are looked at.
static inline void check_span(const held_t* held, size_t from, size_t to, size_t limit,
                              const char* when) {
  for (size_t i = from; i < to && i < limit; i++) {
    if (held->p[i] == stamp_byte(held, i)) continue;
    uint64_t found = 0;
    memcpy(&found, held->p, held->size < 8 ? held->size : 8);
    fail("%s: block %p of %u bytes, owner %u, serial %u: byte %zu is %02x, not %02x; "
         "it begins with owner %u, size %u, serial %u",
         when, (void*)held->p, held->size, held->owner, held->serial, i, held->p[i],
         stamp_byte(held, i), (unsigned)(found >> 56), (unsigned)(found >> 32 & 0xFFFFFF),
         (unsigned)found);
  }
}

enum { END_BYTES = 16, INNER_WORDS = 4 };

// Calls visit(from, to) for each stamped span.
#define FOR_EACH_SPAN(held, visit)                                          \
  do {                                                                      \
    const size_t size_ = (held)->size;                                      \
    const size_t end_ = size_ < END_BYTES ? size_ : END_BYTES;              \
    visit(0, end_);                                                         \
    for (size_t i_ = 1; size_ > 2 * END_BYTES && i_ <= INNER_WORDS; i_++) { \
      const size_t from_ = size_ / (INNER_WORDS + 1) * i_;                  \
      visit(from_, from_ + 8 < size_ ? from_ + 8 : size_);                  \
    }                                                                       \
    visit(size_ - end_, size_);                                             \
  } while (0)

static inline void stamp(const held_t* held) {
#define WRITE(from, to) write_span(held, from, to)
  FOR_EACH_SPAN(held, WRITE);
#undef WRITE
}

static inline void check_below(const held_t* held, size_t limit, const char* when) {
#define CHECK(from, to) check_span(held, from, to, limit, when)
  FOR_EACH_SPAN(held, CHECK);
#undef CHECK
}

static inline void check(const held_t* held, const char* when) {
  check_below(held, held->size, when);
  if (mi_usable_size(held->p) < held->size) {
    fail("%s: block %p of %u bytes has %zu usable ones", when, (void*)held->p, held->size,
         mi_usable_size(held->p));
  }
}

static inline void check_zero(const uint8_t* p, size_t from, size_t to, const char* when) {
  for (size_t i = from; i < to; i++) {
    if (p[i] != 0) fail("%s: byte %zu of %p is %02x, not 0", when, i, (const void*)p, p[i]);
  }
}

// The block becomes this holder's.
static inline void take_over(held_t* held, void* p, size_t size, uint8_t owner, uint32_t serial) {
  held->p = p;
  held->size = (uint32_t)size;
  held->owner = owner;
  held->serial = serial;
  stamp(held);
}

static inline void check_and_free(held_t* held) {
  if (held->p == NULL) return;
  check(held, "free");
  mi_free(held->p);
  *held = (held_t){0};
}

// Places to leave a block for another thread ----------------------------------------------------------
// Each has its own word, so that only the two threads that meet there are ordered: a lock would order
// everything for everyone, and hide orders that the allocator lacks.

typedef struct place_s {
  _Atomic(int) state;  // EMPTY -> BUSY -> FULL -> BUSY -> EMPTY
  held_t held;
} place_t;

enum { PLACE_EMPTY, PLACE_BUSY, PLACE_FULL };

static inline bool place_change(place_t* place, int from) {
  return atomic_compare_exchange_strong_explicit(&place->state, &from, PLACE_BUSY,
                                                 memory_order_acquire, memory_order_relaxed);
}

static inline bool place_leave(place_t* place, held_t* held) {
  if (!place_change(place, PLACE_EMPTY)) return false;
  place->held = *held;
  *held = (held_t){0};
  atomic_store_explicit(&place->state, PLACE_FULL, memory_order_release);
  return true;
}

static inline bool place_fetch(place_t* place, held_t* held) {
  if (!place_change(place, PLACE_FULL)) return false;
  *held = place->held;
  atomic_store_explicit(&place->state, PLACE_EMPTY, memory_order_release);
  return true;
}

// The account -----------------------------------------------------------------------------------------

typedef struct account_s {
  size_t in_pages;
  size_t larger;
  size_t threads_started;
  size_t threads_ended;
} account_t;

static inline account_t account_now(void) {
  mi_stats_t_decl(stats);
  if (!mi_stats_get(&stats)) fail("no statistics");
  account_t account = {
      .larger = (size_t)stats.malloc_bins[MI_BIN_HUGE].current,
      .threads_started = (size_t)stats.threads.total,
      .threads_ended = (size_t)(stats.threads.total - stats.threads.current),
  };
  for (size_t bin = 0; bin < MI_BIN_HUGE; bin++)
    account.in_pages += (size_t)stats.malloc_bins[bin].current;
  return account;
}

// When the program's own malloc comes from the library under test, libc's blocks are in the account.
static inline bool malloc_is_counted(void) {
  void* volatile p = malloc(40);
  const bool counted = mi_malloc_size(p) != 0;
  free(p);
  return counted;
}

// All blocks are freed and all threads but ours have ended, which has not allocated: nothing may live.
static inline void check_nothing_lives(account_t before) {
  mi_collect(true);
  uint32_t segments;
  const char* const broken = walk_heap(&segments);
  if (broken != NULL) fail("%s is not valid", broken);
  const account_t after = account_now();
  const bool counted = malloc_is_counted();
  // libc keeps a few blocks for each stack that it may use again, and lists are counted whole.
  const size_t pages_slack = counted ? 8192 : 0;
  const size_t larger_slack = counted ? 4 : 0;
  if (after.in_pages > before.in_pages + pages_slack
      || after.larger > before.larger + larger_slack) {
    fail("still live: %zu blocks in pages, %zu larger ones (before: %zu, %zu)", after.in_pages,
         after.larger, before.in_pages, before.larger);
  }
  if (after.threads_started != after.threads_ended + 1) {
    fail("%zu threads started, %zu ended", after.threads_started, after.threads_ended);
  }
}

// What the arguments ask for ----------------------------------------------------------------------------

typedef struct plan_s {
  bool is_short;
  double seconds;  // if not short
} plan_t;

// short | SECONDS, then perhaps a seed.
static inline plan_t read_arguments(int argc, char** argv) {
  plan_t plan = {.is_short = argc < 2 || strcmp(argv[1], "short") == 0};
  plan.seconds = plan.is_short ? 0 : strtod(argv[1], NULL);
  if (!plan.is_short && plan.seconds <= 0) {
    fprintf(stderr, "usage: %s short|SECONDS [SEED]\n", argv[0]);
    exit(2);
  }
  run_seed = plan.is_short ? 1 : (uint64_t)time(NULL);
  if (argc > 2) run_seed = strtoull(argv[2], NULL, 10);
  printf("%s: seed %llu\n", argv[0], (unsigned long long)run_seed);
  fflush(stdout);
  return plan;
}

static inline uint32_t cores(void) {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : count > 16 ? 16 : (uint32_t)count;
}

static inline pthread_t start_thread(void* (*body)(void*), void* arg) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, arg) != 0) fail("a thread could not be created");
  return thread;
}

#endif
