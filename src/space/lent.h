// SPDX-License-Identifier: MIT
// lent.h - memory that the program lends us: an arena outside of the range
//
// It may lie anywhere, so nothing about a pointer into it can be computed: who asks looks for it in a list, on slow
// paths only. It never belongs to a theap, and is not for speed. Blocks to 32 KiB share slices by size, larger
// ones are whole slices. Our records lie elsewhere, and what is free in it is not written to.
#ifndef MI_LENT_H
#define MI_LENT_H

#include "space/segment.h"

typedef struct lent_request_s {
  void* start;
  size_t size;
  bool is_committed;  // all of it can be used already
  bool is_pinned;     // what is free is never given back
  bool is_zero;
  bool is_exclusive;
  int numa_node;
  // The program opens its memory, or gives it back; NULL: the system does the former. Called without a lock.
  bool (*commit)(bool commit, void* start, size_t size, bool* is_zero, void* arg);
  void* commit_arg;
} lent_request_t;

// Whole slices of it as an arena. NULL when out of memory for our records, or if a part is ours already.
arena_t* mii_lent_new(lent_request_t want);

// Its memory is the program's again. False if a block lives in it.
bool mii_lent_release(arena_t* arena);

// Take a block of the class, or whole slices (bounds do not matter), for the heap. From NULL: of any arena that is
// for everyone. NULL when it is full, or the program refuses.
void* mii_lent_take(lent_t* from, heap_t* heap, uint32_t size_class);
void* mii_lent_take_slices(lent_t* from, heap_t* heap, slice_request_t want, bool* zero);

typedef enum lent_give_e {
  LENT_GIVEN,
  LENT_FOREIGN,   // nobody lent us that
  LENT_NO_BLOCK,  // no block begins there
} lent_give_t;
lent_give_t mii_lent_give(void* p);

// Does p point into lent memory?
bool mii_lent_has(const void* p);

// Bytes usable from p on; 0 if no block begins there.
size_t mii_lent_bytes(const void* p);

// The heap of the block around p; NULL if there is none.
heap_t* mii_lent_heap(const void* p);

// All blocks of the heap are those of another one from now on; NULL: they end.
void mii_lent_move(const heap_t* heap, heap_t* to);

// Let the program take back what is free, where it wants to.
void mii_lent_purge(void);

// No block lives in any.
bool mii_lent_is_unused(void);

// With the range our records end: nothing is lent from now on.
void mii_lent_stop(void);

// Blocks have at least 16 bytes here.
enum { LENT_BLOCK_MIN = 16, LENT_WORDS = (SLICE_BYTES / LENT_BLOCK_MIN + 63) / 64 };

// What begins at a slice: copied, so that it may change meanwhile.
typedef struct lent_piece_s {
  uint8_t* start;
  heap_t* heap;
  size_t slices;
  uint32_t size_class;  // CLASS_COUNT: one block
  uint32_t live;
  uint64_t used[LENT_WORDS];  // bit i: block i is in use; of shared slices
} lent_piece_t;

// Look at all pieces with a block in them. False if the visitor said so.
bool mii_lent_visit(bool (*visit)(const lent_piece_t* piece, void* arg), void* arg);

// Taken by fork.
void mii_lent_lock(void);
void mii_lent_unlock(void);

#endif
