// SPDX-License-Identifier: MIT
// nouns.h - the main types by name only: the glossary as code
#ifndef MI_NOUNS_H
#define MI_NOUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t slice_t;                // number of a 64 KiB slice of the range; 0 is none
typedef struct block_s block_t;          // a free block: the link of a free list
typedef struct page_s page_t;            // record of a page: what every free() reads
typedef struct page_hot_s page_hot_t;    // and what only its owner touches
typedef struct page_cold_s page_cold_t;  // record of a page, cold part: links, remote word
typedef struct segment_s segment_t;      // 4 MiB of the range: 64 slices in a few bit words
typedef struct run_area_s run_area_t;    // a segment shared by runs of 4 KiB units
typedef struct arena_s arena_t;          // segments in a row that the user set apart
typedef struct lent_s lent_t;            // memory of the user, outside of the range, as an arena
typedef struct theap_s theap_t;          // one thread's lists and pages of one heap
typedef struct heap_s heap_t;            // a first-class heap: theaps and disowned pages
typedef struct subproc_s subproc_t;      // a sub-process: heaps that belong together
typedef struct hardened_s hardened_t;    // record of a hardened page: bits instead of links
typedef struct guarded_s guarded_t;      // record of a block between guard pages
typedef struct sampler_s sampler_t;      // which blocks of a theap are to be guarded
typedef struct vault_s vault_t;          // hardened pages of a heap, behind a lock

struct block_s {
  block_t* next;
};

#endif
