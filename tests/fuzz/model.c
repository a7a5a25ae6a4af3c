// SPDX-License-Identifier: MIT
// model.c - the blocks by age and by address, and their patterns
#include "fuzz/model.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void model_fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("fuzz: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  abort();
}

// Which blocks there are ---------------------------------------------------------------------------

static held_t blocks[HELD_MAX];
static held_t* unused[HELD_MAX];
static held_t* by_age[HELD_MAX];
static held_t* by_address[HELD_MAX];
static size_t count;
static size_t bytes_out;
static uint32_t next_seed;

void model_clear(void) {
  for (size_t i = 0; i < HELD_MAX; i++) unused[i] = &blocks[HELD_MAX - 1 - i];
  count = 0;
  bytes_out = 0;
  next_seed = 1;
}

size_t model_count(void) { return count; }
size_t model_bytes(void) { return bytes_out; }

held_t* model_pick(size_t i) { return count > 0 ? by_age[i % count] : NULL; }

// The first block whose address is at or above p.
static size_t place_of(const void* p) {
  size_t low = 0;
  size_t high = count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if ((uintptr_t)by_address[middle]->p < (uintptr_t)p) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static void insert(held_t** list, size_t at, held_t* held) {
  memmove(&list[at + 1], &list[at], (count - at) * sizeof *list);
  list[at] = held;
}

static void take_out(held_t** list, size_t at) {
  memmove(&list[at], &list[at + 1], (count - 1 - at) * sizeof *list);
}

static void check_apart(const held_t* low, const held_t* high) {
  if ((uintptr_t)low->p + low->usable > (uintptr_t)high->p)
    model_fail("blocks overlap: %p with %zu bytes, %p with %zu", (void*)low->p, low->usable,
               (void*)high->p, high->usable);
}

held_t* model_add(void* p, size_t size, size_t usable) {
  if (count == HELD_MAX) model_fail("the model is full");
  held_t* const held = unused[HELD_MAX - 1 - count];
  *held = (held_t){.p = p, .size = size, .usable = usable, .alignment = 1, .seed = next_seed++};
  const size_t at = place_of(p);
  if (at > 0) check_apart(by_address[at - 1], held);
  if (at < count) check_apart(held, by_address[at]);
  insert(by_address, at, held);
  insert(by_age, count, held);
  count++;
  bytes_out += usable;
  return held;
}

void model_remove(held_t* held) {
  take_out(by_address, place_of(held->p));
  size_t age = 0;
  while (by_age[age] != held) age++;
  take_out(by_age, age);
  count--;
  bytes_out -= held->usable;
  unused[HELD_MAX - 1 - count] = held;
}

// What they hold -----------------------------------------------------------------------------------

typedef struct span_s {
  size_t from;
  size_t to;
} span_t;

enum { WHOLE_MAX = 1024, EDGE = 64, STEP = 4096, PROBE = 16, PROBES = 16, SPANS_MAX = PROBES + 3 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// The parts of a block of this size that we write and look at.
static size_t spans_of(size_t size, span_t spans[SPANS_MAX]) {
  if (size <= WHOLE_MAX) {
    spans[0] = (span_t){0, size};
    return 1;
  }
  size_t n = 0;
  spans[n++] = (span_t){0, EDGE};
  const size_t step = (size / PROBES / STEP + 1) * STEP;
  for (size_t at = step; at < size; at += step) spans[n++] = (span_t){at, least(at + PROBE, size)};
  spans[n++] = (span_t){size - EDGE, size};
  return n;
}

static uint8_t pattern(uint32_t seed, size_t i) { return (uint8_t)(seed * 31 + i * 7 + (i >> 8)); }

void model_fill(held_t* held) {
  span_t spans[SPANS_MAX];
  held->filled = held->zeroed ? held->size : held->usable;
  const size_t n = spans_of(held->filled, spans);
  for (size_t s = 0; s < n; s++) {
    for (size_t i = spans[s].from; i < spans[s].to; i++) held->p[i] = pattern(held->seed, i);
  }
}

void model_check_contents(const held_t* held, const void* p, size_t bytes) {
  span_t spans[SPANS_MAX];
  const size_t n = spans_of(held->filled, spans);
  for (size_t s = 0; s < n; s++) {
    const size_t end = least(spans[s].to, bytes);
    for (size_t i = spans[s].from; i < end; i++) {
      if (((const uint8_t*)p)[i] != pattern(held->seed, i))
        model_fail("byte %zu of the block at %p (%zu bytes at %p before) was overwritten", i, p,
                   held->usable, (void*)held->p);
    }
  }
}

void model_check(const held_t* held) { model_check_contents(held, held->p, held->filled); }

static bool span_is_zero(const uint8_t* p, span_t span) {
  for (size_t i = span.from; i < span.to; i++) {
    if (p[i] != 0) return false;
  }
  return true;
}

bool model_is_zero(const void* p, size_t bytes) {
  if (bytes <= 32 * 1024) return span_is_zero(p, (span_t){0, bytes});
  span_t spans[SPANS_MAX];
  const size_t n = spans_of(bytes, spans);
  for (size_t s = 0; s < n; s++) {
    if (!span_is_zero(p, spans[s])) return false;
  }
  return true;
}
