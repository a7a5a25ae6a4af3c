// Calls of malloc and free that are worth a look: callgrind writes down the instructions of each single
// one. See promise_16.sh.
//
//   worst_call PART HEAP_MIB CALLS
//
//   mixed   blocks of all sizes to 4 MiB are replaced at random; memory is purged meanwhile
//   remote  other threads have freed half of the heap
//   ended   threads have ended that had half of the heap
//   falls   the heap is freed, block by block: pages end, and much becomes due to be purged at once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

static void* measured_malloc(size_t size) {
  CALLGRIND_ZERO_STATS;
  void* const p = malloc(size);
  CALLGRIND_DUMP_STATS_AT("malloc");
  return p;
}

static void measured_free(void* p) {
  CALLGRIND_ZERO_STATS;
  free(p);
  CALLGRIND_DUMP_STATS_AT("free");
}

// The heap --------------------------------------------------------------------------------------------

typedef struct held_s {
  unsigned char* p;
  size_t size;
} held_t;

enum { MEAN = 3000, HELD_MAX = 400 * 1024 * 1024 / MEAN };

static held_t held[HELD_MAX];
static uint32_t held_count;

static uint64_t random_state = 88172645463325252u;

static uint32_t draw_below(uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 33) % below;
}

// Mostly small; half of the memory is in blocks of more than 32 KiB.
static size_t draw_size(void) {
  const uint32_t kind = draw_below(10000);
  if (kind < 7000) return 16 + draw_below(500);
  if (kind < 9700) return 16 + draw_below(4000);
  if (kind < 9980) return 16 + draw_below(60 * 1000);
  if (kind < 9999) return 16 + draw_below(1000 * 1000);
  return 1000 * 1000 + draw_below(3 * 1000 * 1000);
}

static void fill(held_t* one, void* p, size_t size) {
  if (p == NULL) abort();
  *one = (held_t){p, size};
  one->p[0] = one->p[size - 1] = 1;  // only what is needed to have the pages
}

static void fill_heap(uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    const size_t size = draw_size();
    fill(&held[i], malloc(size), size);
  }
}

static void replace(held_t* one) {
  measured_free(one->p);
  const size_t size = draw_size();
  fill(one, measured_malloc(size), size);
}

static void nap_ms(long ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void replace_many(uint32_t calls) {
  for (uint32_t i = 0; i < calls / 2; i++) {
    if (i % 500 == 499) nap_ms(3);  // purges become due
    replace(&held[draw_below(held_count)]);
  }
}

// Parts -----------------------------------------------------------------------------------------------

static void* run_thread(void* (*body)(void*), void* arg) {
  pthread_t thread;
  void* result = NULL;
  if (pthread_create(&thread, NULL, body, arg) != 0) abort();
  pthread_join(thread, &result);
  return result;
}

static void* free_every_other(void* arg) {
  for (uint32_t i = 0; i < held_count; i += 2) {
    free(held[i].p);
    held[i] = (held_t){0};
  }
  return arg;
}

static void refill_measured(uint32_t calls) {
  for (uint32_t i = 0; i < held_count; i++) {
    if (held[i].p != NULL) continue;
    const size_t size = draw_size();
    fill(&held[i], calls > 0 ? measured_malloc(size) : malloc(size), size);
    if (calls > 0) calls--;
  }
}

static void mixed(uint32_t calls) {
  fill_heap(0, held_count);
  replace_many(calls);
}

static void remote(uint32_t calls) {
  fill_heap(0, held_count);
  run_thread(free_every_other, NULL);
  nap_ms(3);
  refill_measured(calls / 2);
  run_thread(free_every_other, NULL);
  refill_measured(0);
  replace_many(calls / 2);
}

static void* fill_lower_half(void* arg) {
  fill_heap(0, held_count / 2);
  return arg;
}

// What they left is not taken over, because the main thread has its own, and waits to be let go.
static void ended(uint32_t calls) {
  const uint32_t half = held_count / 2;
  fill_heap(half, half + held_count / 8);
  run_thread(fill_lower_half, NULL);
  nap_ms(60);
  for (uint32_t i = half + held_count / 8; i < held_count; i++) {
    const size_t size = draw_size();
    const bool is_measured = i < half + held_count / 8 + calls;
    fill(&held[i], is_measured ? measured_malloc(size) : malloc(size), size);
  }
  replace_many(calls);
}

static void falls(uint32_t calls) {
  fill_heap(0, held_count);
  uint32_t left = calls;
  for (uint32_t i = 0; i < held_count; i++) {
    if (i % (held_count / 8) == 0) left = calls / 8;  // some of every eighth of the heap
    if (left > 0) {
      measured_free(held[i].p);
      left--;
    } else {
      free(held[i].p);
    }
    if (i % 5000 == 4999) nap_ms(3);
  }
  nap_ms(30);  // everything is due now
  for (uint32_t i = 0; i < calls / 4; i++) {
    const size_t size = draw_size();
    void* const p = measured_malloc(size);
    measured_free(p);
  }
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(uint32_t calls);
  } parts[] = {{"mixed", mixed}, {"remote", remote}, {"ended", ended}, {"falls", falls}};
  if (argc != 4) return 2;
  held_count = (uint32_t)((uint64_t)atoi(argv[2]) * 1024 * 1024 / MEAN);
  if (held_count > HELD_MAX) held_count = HELD_MAX;
  free(malloc(1));  // the first call starts the library
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    if (strcmp(argv[1], parts[i].name) == 0) parts[i].run((uint32_t)atoi(argv[3]));
  }
  return 0;
}
