// SPDX-License-Identifier: MIT
// reference_counting.c - a runtime that counts references, and never pauses for long
//
// When the last reference to a list of a million nodes goes, all of them have to be freed, and each may
// free others. Doing it at once is a pause that grows with the list. So this runtime only puts the dead
// onto a stack, and lets the allocator call it now and then, when a thread has taken so much memory that a
// list of free blocks ran empty: then it frees a hundred. The work is spread over later allocations, in
// step with them: who allocates much, frees much. `mi_collect(true)` asks for the rest (force).
//
//     cc reference_counting.c -lmimalloc -o reference_counting
#include <mimalloc.h>

#include <stdio.h>
#include <stdlib.h>

enum { FREED_PER_BEAT = 100, NODES = 100 * 1000, MORE_NODES = 10 * NODES };

typedef struct object_s {
  size_t references;
  struct object_s* held;       // the one reference that an object here can hold
  struct object_s* next_dead;  // on the stack of the dead
  char payload[24];
} object_t;

// One thread here; a runtime with several has one stack per thread.
static struct {
  object_t* dead;
  size_t live;           // objects that exist
  size_t longest_pause;  // objects freed in one go while the program runs
  unsigned long long last_heartbeat;
  size_t beats;
} runtime;

static object_t* object_new(object_t* held) {
  object_t* const object = mi_malloc_tp(object_t);
  if (object == NULL) abort();
  object->references = 1;
  object->held = held;
  runtime.live++;
  return object;
}

// Drop a reference. This is all that a program waits for: what the object holds is released when it is freed.
static void object_release(object_t* object) {
  if (object == NULL || --object->references > 0) return;
  object->next_dead = runtime.dead;
  runtime.dead = object;
}

static size_t free_dead(size_t at_most) {
  size_t count = 0;
  while (runtime.dead != NULL && count < at_most) {
    object_t* const object = runtime.dead;
    runtime.dead = object->next_dead;
    object_release(object->held);
    mi_free(object);
    count++;
  }
  runtime.live -= count;
  return count;
}

// Called by the allocator. The heartbeat goes up by the thread's work, not by time.
static void on_beat(bool force, unsigned long long heartbeat, void* arg) {
  (void)arg;
  const size_t freed = free_dead(force ? (size_t)-1 : FREED_PER_BEAT);
  if (force) return;
  runtime.beats++;
  if (freed > runtime.longest_pause) runtime.longest_pause = freed;
  if (heartbeat < runtime.last_heartbeat) abort();
  runtime.last_heartbeat = heartbeat;
}

static object_t* make_list(size_t length) {
  object_t* list = NULL;
  for (size_t i = 0; i < length; i++) list = object_new(list);
  return list;
}

int main(void) {
  mi_register_deferred_free(on_beat, NULL);
  object_t* const list = make_list(NODES);
  object_release(list);
  const size_t left_at_once = runtime.live;

  // The program goes on to work, and the list goes away in the meantime.
  object_t* const other = make_list(MORE_NODES);
  const size_t left_in_passing = runtime.live - MORE_NODES;
  object_release(other);
  mi_collect(true);

  printf("a list of %d objects: %zu left when the program went on, %zu after %d more allocations\n",
         NODES, left_at_once, left_in_passing, MORE_NODES);
  printf("longest pause: %zu objects; beats: %zu; left in the end: %zu\n", runtime.longest_pause,
         runtime.beats, runtime.live);
  mi_register_deferred_free(NULL, NULL);

  const bool good = left_at_once == NODES && left_in_passing < NODES && runtime.live == 0
                    && runtime.longest_pause == FREED_PER_BEAT;
  return good ? 0 : 1;
}
