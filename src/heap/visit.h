// SPDX-License-Identifier: MIT
// visit.h - walk the pages and blocks of a heap, of whatever thread
//
// No other thread may use the heap meanwhile. What it does all the same makes the answer wrong, but it is
// looked at with care.
#ifndef MI_VISIT_H
#define MI_VISIT_H

#include "mimalloc.h"
#include "page/page.h"

typedef struct visit_s {
  const heap_t* heap;           // pages of this heap
  uintptr_t owner;              // 0: of whatever theap
  bool abandoned_only;          // pages without a thread only
  bool blocks;                  // each live block, too
  mi_block_visit_fun* visitor;  // may free the block that it is shown
  void* arg;
} visit_t;

// False if the visitor said so, or there is no memory to note which blocks are free.
bool mii_visit(const visit_t* visit);

// The page that p lies in; NULL if that is in none.
page_t* mii_page_around(const void* p);

#endif
