// SPDX-License-Identifier: MIT
// record.h - the out-of-line records of slices and segments, found by arithmetic
//
// Who may touch a field:  const = set before the memory is handed out;  owner = the thread that uses
// the owning theap, with plain loads and stores;  atomic = any thread, by the protocol of the file
// named;  lock(x) = under x.
#ifndef MI_RECORD_H
#define MI_RECORD_H

#include "base/config.h"
#include "base/nouns.h"
#include <stdatomic.h>

// What a slice is. Stable as long as a block in it lives.
typedef enum slice_kind_e {
  SLICE_FREE,      // nobody's, or not the first slice of a huge block
  SLICE_PAGE,      // the first slice of a page: blocks of one size
  SLICE_FOLLOW,    // the second slice of a page: look at the one before
  SLICE_RUN,       // part of a run area
  SLICE_HUGE,      // the first slice of a huge block
  SLICE_HARDENED,  // a hardened page
  SLICE_GUARDED,   // the first slice of a block between guard pages
} slice_kind_t;

// What every free() reads of a slice: 16 bytes, in an array. It changes only when pages come, go, grow or move, so
// the threads that free each other's blocks all have it in their caches.
struct page_s {
  _Alignas(16) _Atomic(uintptr_t)
      owner;  // atomic: the address of the owning theap, or 0. Only the owner sets and
              // clears its own, so a relaxed load is never wrong about `me`. Of a hardened
              // page that of its record (page/hardened.h), which is no theap's
  _Atomic(uint32_t) capacity;  // atomic: relaxed; blocks threaded so far, in the lower half; in the
                               // upper one bit i: part i is a hole (page_hole.c). The owner writes
  uint8_t size_class;          // const
  _Atomic(uint8_t) kind;       // atomic: relaxed, a slice_kind_t
  _Atomic(bool) is_apart;      // atomic: relaxed; its heap is not the main one (heap/apart.h)
};
static_assert(sizeof(page_t) == 16, "mii_page_record() counts on it");

// The hot part of a page: what its owner reads and writes, in an array of its own. If it lay in the record, each free
// by another thread would take the line away from the owner, who writes to it with every free.
// `needed` and `armed` are not neighbours: compilers would store them as one vector.
struct page_hot_s {
  _Alignas(16) block_t* local_free;  // owner: blocks freed by the owner, not yet handed out again
  uint16_t needed;     // owner: local frees until the owner looks; never 0 between calls
  uint16_t out;        // owner: blocks with the user, in the theap's list, or in the remote word
  uint16_t armed;      // owner: what `needed` was when the frees were last counted
  uint8_t state;       // owner: a page_state_t
  uint8_t size_class;  // const: the same as in the record
};
static_assert(sizeof(page_hot_t) == 16, "mii_page_hot() counts on it");

// The cold part: 64 bytes, so that the word that other threads write shares no line with the others.
struct page_cold_s {
  _Alignas(64) _Atomic(uint64_t) remote;  // atomic: page_remote.c
  _Atomic(uint32_t) stack_link;   // atomic: the next page of a wake list or of the claimable pages
  slice_t next;                   // owner: in the circle of the theap's pages of the class
  slice_t prev;                   // owner: the same
  slice_t awake_next;             // owner: in the stack of those that are awake
  slice_t awake_prev;             // owner: the same
  _Atomic(uint32_t) slice_count;  // atomic: relaxed; extent of a huge block, written by its user
  _Atomic(heap_t*) heap;  // atomic: relaxed; of a page or huge block. Changes when it is deleted
  _Atomic(guarded_t*) guarded;  // atomic: guarded.c; of a guarded block, else NULL
  uint8_t arrival;              // owner: the theap's count of arrivals when the page came
  uint8_t touched;  // owner: OS pages from its begin on that an earlier page has threaded
  bool is_moved;    // owner: the user of a huge block; it is in a mapping of its own (huge.c)
  bool is_emptied;  // owner: the user of a huge block; it reads as zero, and is about to end
  _Atomic(uint32_t) idle_since;  // atomic: relaxed; in ms, modulo 2^32: nobody has claimed it since
                                 // then; 0: not known (heap.c)
};
static_assert(sizeof(page_cold_t) == 64, "one cache line");

// A segment: bit i of a word speaks of slice i. First cache line.
struct segment_s {
  _Atomic(uint64_t) free;       // atomic: segment.c; 1 = nobody's, to be claimed
  _Atomic(uint64_t) dirty;      // atomic: segment.c; 1 = may hold other bytes than zero
  _Atomic(uint64_t) purgeable;  // atomic: segment.c; 1 = free and not yet given back to the system
  _Atomic(uint64_t) purge_at;   // atomic: relaxed; in ms, when the oldest of them is due
  _Atomic(uint64_t) purged;  // atomic: relaxed; 1 = was due and went back, and nobody took it since
  _Atomic(run_area_t*) runs;   // atomic: run.c; the area whose units this segment holds, or NULL
  _Atomic(bool) is_foreign;    // atomic: range.c; 1 = not our memory, all other fields are 0
  _Atomic(bool) is_exclusive;  // atomic: relaxed; before its slices are free: for who names it only
  _Atomic(uint8_t) os_pages;   // atomic: large.c
  uint8_t reserved[64 - 5 * sizeof(uint64_t) - sizeof(void*) - 3 - 4];
  _Atomic(uint32_t) purged_at;  // atomic: relaxed; in ms, modulo 2^32, when the latest of them did
  page_cold_t cold[SEGMENT_SLICES];
};
static_assert(sizeof(segment_t) == 65 * sizeof(page_cold_t), "mii_slice_cold() counts on it");

#endif
