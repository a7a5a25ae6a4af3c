// Threads in a ring: what one makes, the next one frees. Things are handed over in order, through
// INBOX boxes per thread. Who gives one frees one; who finds the boxes full frees, or yields. So
// nobody runs far ahead of the next, and no schedule makes a thread free its own (except in a ring
// of one).
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <sched.h>

#include "crew.h"

enum { INBOX = 4 };

// One thread's place. Its own alone, but for the boxes.
typedef struct place {
  box_t* in;                      // from the one before
  box_t* out;                     // of the next one
  size_t given, taken;            // the n-th thing goes through box n mod INBOX
  bool ended;                     // nothing more comes in
  uint64_t (*free_thing)(void*);  // returns what it adds to the checksum
  uint64_t checksum;
} place_t;

static char last_thing;  // its address says that nothing more comes

// The boxes of all places, for `threads` of them.
static inline box_t* ring_make(size_t threads) {
  box_t* const boxes = must_malloc(threads * INBOX * sizeof(box_t));
  for (size_t i = 0; i < threads * INBOX; i++) atomic_init(&boxes[i], NULL);
  return boxes;
}

static inline place_t place_make(box_t* boxes, size_t threads, size_t index,
                                 uint64_t (*free_thing)(void*)) {
  return (place_t){.in = boxes + index * INBOX,
                   .out = boxes + (index + 1) % threads * INBOX,
                   .free_thing = free_thing};
}

// Frees one thing, if there is one.
static inline bool place_take(place_t* place) {
  void* const thing = box_exchange(&place->in[place->taken % INBOX], NULL);
  if (thing == NULL) return false;
  place->taken++;
  if (thing == &last_thing) {
    place->ended = true;
  } else {
    place->checksum += place->free_thing(thing);
  }
  return true;
}

// Hands a thing on, and frees one.
static inline void place_give(place_t* place, void* thing) {
  if (thing == NULL) return;
  box_t* const box = &place->out[place->given++ % INBOX];
  while (atomic_load_explicit(box, memory_order_relaxed) != NULL) {
    if (!place_take(place)) sched_yield();
  }
  atomic_store_explicit(box, thing, memory_order_release);  // for the exchange in place_take
  place_take(place);
}

// The last call: returns when the one before has given its last thing, too.
static inline void place_leave(place_t* place) {
  place_give(place, &last_thing);
  while (!place->ended) {
    if (!place_take(place)) sched_yield();
  }
}

#endif
