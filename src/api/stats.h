// SPDX-License-Identifier: MIT
// stats.h - what the process has and what it did, counted when asked
//
// Nothing is counted on malloc and free: this walks the records of what is in use. While other threads
// run, each figure is that of some moment during the walk; live blocks include those that a thread holds
// ready (at most one list per class) or on their way back.
#ifndef MI_STATS_H
#define MI_STATS_H

#include "base/size_class.h"
#include "mimalloc-stats.h"
#include "platform/platform.h"
#include "space/record.h"

typedef struct amount_s {
  size_t count;
  size_t bytes;
} amount_t;

// What was done since the start: more than fits the address space.
typedef struct total_s {
  uint64_t count;
  uint64_t bytes;
} total_t;

typedef struct stats_s {
  size_t live_in_class[CLASS_COUNT];  // blocks in pages
  size_t pages_of_class[CLASS_COUNT];
  amount_t live_in_pages;  // sums of the above
  size_t pages;
  size_t threaded;       // blocks ever used of these pages
  size_t abandoned;      // the pages among them that no thread owns
  size_t touched_bytes;  // of the pages
  size_t free_owned;  // the part of it that is free: in pages of running threads with live blocks,
  size_t free_empty;  // without,
  size_t free_orphaned;  // and in the others
  size_t class_waste;    // of the live blocks in pages, about
  amount_t runs;
  size_t run_bytes;  // that may be resident, of run areas
  amount_t huge;
  total_t handed;        // blocks of pages handed out since the start, by lists
  total_t handed_large;  // runs and huge blocks
  size_t theaps_made;
  size_t theaps_used;
  size_t heaps;
  size_t warm_bytes;    // of slices: free, and may be resident
  size_t dirty_slices;  // the same of all, in use or not
  size_t segments;
  size_t reserved_bytes;
  size_t meta_bytes;
} stats_t;

// What of it is wanted. Zero-filled: all.
typedef struct stats_scope_s {
  const heap_t* heap;        // pages and huge blocks of this heap
  const subproc_t* subproc;  // of all heaps of this sub-process
  uintptr_t owner;           // pages that this theap owns
  uint32_t asked;            // pages of threads that have not answered this question (heap/ask.h)
  bool with_parts;  // also free_owned, free_empty and free_orphaned; nothing in lent memory
  bool no_blocks;   // only what belongs to no heap
} stats_scope_t;

void mii_stats_collect(stats_t* stats, stats_scope_t scope);

// Memory that the system has given us, as far as it was used.
size_t mii_stats_committed(const stats_t* stats);

// The public struct, with size and version; peaks are those of all snapshots if the scope is all.
void mii_stats_fill(mi_stats_t* public_stats, stats_scope_t scope);

bool mii_stats_header_fits(const mi_stats_t* public_stats);

typedef struct process_info_s {
  size_t elapsed_ms;
  size_t commit_bytes;
  size_t peak_commit_bytes;
  platform_usage_t usage;
} process_info_t;

// `committed` is what the snapshot says.
process_info_t mii_process_info(mi_stat_count_t committed);

// Note the time.
void mii_stats_start(void);

// A block of the class was asked for with this size: one of some, for the estimate of what is wasted.
void mii_stats_note_request(uint32_t size_class, size_t size);

// Where the memory is; size and version are left alone.
void mii_memory_collect(mi_memory_t* memory);

// Where text goes.
typedef struct output_s {
  mi_output_fun* out;
  void* arg;
} output_t;

// Print as text; the first line says what it is about.
void mii_stats_print(mi_output_fun* out, void* arg, const char* about, const mi_stats_t* stats);

#endif
