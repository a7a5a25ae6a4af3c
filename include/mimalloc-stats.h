// SPDX-License-Identifier: MIT
// mimalloc-stats.h - statistics as numbers: structs, JSON and Prometheus text
//
// In every build, always on: nothing is counted when blocks are allocated or freed. A snapshot walks the
// records of the pages in use, without a lock and without stopping anybody, so
//
//   current  is exact once all threads have called `mi_collect` and none has allocated since. Otherwise
//            blocks count as live that a thread holds ready or on its way back: per thread and size at
//            most one list (the blocks of one page), and 16 small batches
//   peak     is the largest `current` that any snapshot of the whole process has seen so far
//   total    is everything since the start where a comment says so, elsewhere the peak
//
// What does not exist here, or is not counted, is 0. Sizes are bytes.
#ifndef MIMALLOC_STATS_H
#define MIMALLOC_STATS_H

#include "mimalloc.h"
#include <stdint.h>
#include <string.h>

// The layout of `mi_stats_t`.
#define MI_STAT_VERSION 5

// The bin of all blocks above 32 KiB. The bins below it are the size classes.
#define MI_BIN_HUGE (73U)

#if defined(__GNUC__) || defined(__clang__)
#define mi_decl_align(a) __attribute__((aligned(a)))
#elif defined(_MSC_VER)
#define mi_decl_align(a) __declspec(align(a))
#else
#define mi_decl_align(a)
#endif

// What rises and falls.
typedef struct mi_stat_count_s {
  int64_t total;
  int64_t peak;
  int64_t current;
} mi_stat_count_t;

// What only rises.
typedef struct mi_stat_counter_s {
  int64_t total;
} mi_stat_counter_t;

// Of `chunk_bins`: parts of an arena by what is in them. There are none here.
typedef enum mi_chunkbin_e {
  MI_CBIN_SMALL,
  MI_CBIN_OTHER,
  MI_CBIN_MEDIUM,
  MI_CBIN_LARGE,
  MI_CBIN_HUGE,
  MI_CBIN_NONE,
  MI_CBIN_COUNT
} mi_chunkbin_t;

// The fields. Define MI_STAT_COUNT(name) and MI_STAT_COUNTER(name), and each is called with one of its kind.
//
//   pages                 pages: 64 KiB of blocks of one size, or 128 KiB; and huge blocks
//   reserved              addresses
//   committed             memory that the system has given us and not got back, as we know it
//   purged                total: memory given back
//   page_committed        the part of it that is in pages
//   pages_abandoned       pages without a thread
//   threads               total: started
//   malloc_normal         blocks to 32 KiB; total: handed out
//   malloc_huge           blocks above; total: handed out
//   malloc_normal_count   } total: how many of them
//   malloc_huge_count     }
//   purge_calls           total: calls of the system that give memory back
//   arena_count           ranges of addresses
//   segments              4 MiB of addresses each, opened so far
//   heaps, theaps         theaps: threads' parts of heaps; total: made
#define MI_STAT_FIELDS()                     \
  MI_STAT_COUNT(pages)                       \
  MI_STAT_COUNT(reserved)                    \
  MI_STAT_COUNT(committed)                   \
  MI_STAT_COUNTER(reset)                     \
  MI_STAT_COUNTER(purged)                    \
  MI_STAT_COUNT(page_committed)              \
  MI_STAT_COUNT(pages_abandoned)             \
  MI_STAT_COUNT(threads)                     \
  MI_STAT_COUNT(malloc_normal)               \
  MI_STAT_COUNT(malloc_huge)                 \
  MI_STAT_COUNT(malloc_requested)            \
  MI_STAT_COUNTER(mmap_calls)                \
  MI_STAT_COUNTER(commit_calls)              \
  MI_STAT_COUNTER(reset_calls)               \
  MI_STAT_COUNTER(purge_calls)               \
  MI_STAT_COUNTER(arena_count)               \
  MI_STAT_COUNTER(malloc_normal_count)       \
  MI_STAT_COUNTER(malloc_huge_count)         \
  MI_STAT_COUNTER(malloc_guarded_count)      \
  MI_STAT_COUNTER(arena_rollback_count)      \
  MI_STAT_COUNTER(arena_purges)              \
  MI_STAT_COUNTER(pages_extended)            \
  MI_STAT_COUNTER(pages_retire)              \
  MI_STAT_COUNTER(page_searches)             \
  MI_STAT_COUNTER(page_searches_count)       \
  MI_STAT_COUNT(segments)                    \
  MI_STAT_COUNT(segments_abandoned)          \
  MI_STAT_COUNT(segments_cache)              \
  MI_STAT_COUNT(_segments_reserved)          \
  MI_STAT_COUNTER(pages_reclaim_on_alloc)    \
  MI_STAT_COUNTER(pages_reclaim_on_free)     \
  MI_STAT_COUNTER(pages_reabandon_full)      \
  MI_STAT_COUNTER(pages_unabandon_busy_wait) \
  MI_STAT_COUNTER(heaps_delete_wait)         \
  MI_STAT_COUNT(heaps)                       \
  MI_STAT_COUNT(theaps)

#define MI_STAT_COUNT(name)   mi_stat_count_t name;
#define MI_STAT_COUNTER(name) mi_stat_counter_t name;

// All statistics of a process, a heap or a sub-process; `size` and `version` first, so that it may grow.
typedef struct mi_decl_align(8) mi_stats_s {
  size_t size;     // sizeof(mi_stats_t), set by the caller
  size_t version;  // MI_STAT_VERSION, set by the caller

  MI_STAT_FIELDS()

  mi_stat_count_t _stat_reserved[4];
  mi_stat_counter_t _stat_counter_reserved[4];

  mi_stat_count_t malloc_bins[MI_BIN_HUGE + 1];  // blocks per size class; the last: above 32 KiB
  mi_stat_count_t page_bins[MI_BIN_HUGE + 1];    // pages per size class; the last: huge blocks
  mi_stat_count_t chunk_bins[MI_CBIN_COUNT];
}
mi_stats_t;

#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER

// The layout of `mi_memory_t`.
#define MI_MEMORY_VERSION 1

// The resident memory of the process: where is it? The parts from `live` to `metadata` do not overlap, and
// `ours` is their sum. What a block was asked for is not noted, so `class_waste` is an estimate from some of
// the requests of each size class. Memory of live blocks that the program has not touched is counted, too,
// although it is not resident. (Our own addition)
typedef struct mi_decl_align(8) mi_memory_s {
  size_t size;           // sizeof(mi_memory_t), set by the caller
  size_t version;        // MI_MEMORY_VERSION, set by the caller
  size_t live;           // what the program asked for and has not freed
  size_t class_waste;    // by how much these blocks are larger
  size_t free_in_pages;  // free blocks between live ones, in pages of running threads
  size_t cached;         // of running threads: what they hold ready, and empty pages
  size_t orphaned;       // free blocks in pages that no running thread has
  size_t to_purge;       // free; goes back to the OS when it has been so for a while
  size_t metadata;       // our own records
  size_t ours;           // the sum of all these
  size_t rest;           // what else the process has: code, stacks, files, other allocators
  size_t resident;       // all of it
}
mi_memory_t;

// Fill in size and version, which the functions below look at; and set all else to 0.
static inline void mi_stats_header_init(mi_stats_t* stats) {
  stats->size = sizeof(mi_stats_t);
  stats->version = MI_STAT_VERSION;
}
static inline void mi_stats_init(mi_stats_t* stats) {
  memset(stats, 0, sizeof(mi_stats_t));
  mi_stats_header_init(stats);
}

// The same for a `mi_memory_t`.
static inline void mi_memory_init(mi_memory_t* memory) {
  memset(memory, 0, sizeof(mi_memory_t));
  memory->size = sizeof(mi_memory_t);
  memory->version = MI_MEMORY_VERSION;
}

// A variable in a function, ready for `mi_stats_get`.
#define mi_stats_t_decl(name) \
  mi_stats_t name;            \
  mi_stats_init(&name)

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off

// The statistics of the process. False, and nothing written, if `stats` is NULL or its size or version is
// not what this library has.
mi_decl_export bool mi_stats_get(mi_stats_t* stats) mi_attr_noexcept;

// The same of one heap (NULL: the main one), as far as it is about its pages and blocks; threads and memory are
// the main heap's. Here peak and total are what is there now.
mi_decl_export bool mi_heap_stats_get(mi_heap_t* heap, mi_stats_t* stats) mi_attr_noexcept;

// The same of all heaps of a sub-process; and without them, which leaves what belongs to no heap: for the main
// sub-process threads and memory, for the others nothing. False also if the id is NULL.
mi_decl_export bool mi_subproc_stats_get(mi_subproc_id_t subproc_id, mi_stats_t* stats) mi_attr_noexcept;
mi_decl_export bool mi_subproc_stats_get_exclusive(mi_subproc_id_t subproc_id, mi_stats_t* stats)
    mi_attr_noexcept;

// The statistics as JSON text. `buf` gets it, cut off to `buf_size` bytes with the NUL, and is the
// result; NULL if `buf_size` is 0. If `buf` is NULL the result is a new block, to be freed with
// `mi_free`, and NULL when out of memory. About 14 KiB.
mi_decl_nodiscard mi_decl_export char* mi_stats_get_json(size_t buf_size, char* buf) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf)
    mi_attr_noexcept;

// The same of a sub-process; NULL also for a NULL id.
mi_decl_nodiscard mi_decl_export char* mi_subproc_stats_get_json(
        mi_subproc_id_t subproc_id, size_t buf_size, char* buf)
    mi_attr_noexcept;

// The same of `stats`, and of the process as it is now; NULL if that is NULL or its size or version is
// not what this library has.
mi_decl_nodiscard mi_decl_export char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf)
    mi_attr_noexcept;

// The size of the blocks of a bin; PTRDIFF_MAX for MI_BIN_HUGE, and 0 above it.
mi_decl_nodiscard mi_decl_export size_t mi_stats_get_bin_size(size_t bin) mi_attr_noexcept;

// Where the resident memory of the process is: see `mi_memory_t`, which `mi_memory_init` prepares. Slower than
// a snapshot: the lists of all threads are looked at, and the OS is asked. False, and nothing written, if
// `memory` is NULL or its size or version is not what this library has. (Our own addition)
mi_decl_export bool mi_memory_get(mi_memory_t* memory) mi_attr_noexcept;

// Print the statistics of the process in the text format of Prometheus, version 0.0.4, to `out`, or if
// that is NULL to the registered output. (Our own addition)
mi_decl_export void mi_stats_print_prometheus(mi_output_fun* out, void* arg) mi_attr_noexcept;

// clang-format on

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_STATS_H
