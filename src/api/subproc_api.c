// SPDX-License-Identifier: MIT
// subproc_api.c - sub-processes
//
// Tests: tests/api/subproc_test.c
#include "api/start.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include "runtime/report.h"

static mi_subproc_id_t id_of(subproc_t* subproc) { return (mi_subproc_id_t){subproc}; }

mi_subproc_id_t mi_subproc_main(void) { return id_of(&mii_subproc_main); }
mi_subproc_id_t mi_subproc_current(void) { return id_of(mii_subproc_mine()); }
mi_subproc_id_t mi_subproc_new(void) {
  return id_of(mii_start_to_allocate() ? mii_subproc_new() : NULL);
}

MI_COLD void mi_subproc_destroy(mi_subproc_id_t id) {
  subproc_t* const subproc = id.subproc;
  if (subproc == NULL || subproc == &mii_subproc_main) return;
  if (!mii_subproc_destroy(subproc))
    mii_warn("a sub-process cannot be destroyed while threads are in it: %p\n", id.subproc);
}
MI_COLD void mi_subproc_delete(mi_subproc_id_t id) { mi_subproc_destroy(id); }

void mi_subproc_add_current_thread(mi_subproc_id_t id) {
  if (id.subproc == NULL || !mii_start_to_allocate()) return;
  if (!mii_subproc_enter(id.subproc))
    mii_warn("the thread cannot be added to sub-process %p: it is in %p\n", id.subproc,
             (void*)mii_subproc_mine());
}

bool mi_subproc_visit_heaps(mi_subproc_id_t id, mi_heap_visit_fun* visitor, void* arg) {
  return id.subproc != NULL && visitor != NULL && mii_subproc_visit(id.subproc, visitor, arg);
}
