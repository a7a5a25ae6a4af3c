// SPDX-License-Identifier: MIT
// stats.h - what the process has and what it did, counted when asked
//
// Nothing is counted on malloc and free: this walks the page records. While other threads run, each
// figure is that of some moment during the walk; live blocks include the unfinished list that a thread
// holds per class.
#ifndef MI_STATS_H
#define MI_STATS_H

#include "base/size_class.h"

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
  amount_t live_in_class[CLASS_COUNT];  // blocks in pages
  amount_t pages_of_class[CLASS_COUNT];
  amount_t threaded_in_class[CLASS_COUNT];  // blocks ever used of those pages
  amount_t live_in_pages;                   // sums of the above
  amount_t pages;
  amount_t threaded;
  amount_t runs;
  amount_t huge;
  total_t handed;         // blocks of pages handed out since the start, by lists
  amount_t dirty_slices;  // slices that may be resident
  size_t reserved_bytes;
  size_t opened_bytes;
  size_t meta_bytes;
} stats_t;

void mii_stats_collect(stats_t* stats);

#endif
