// SPDX-License-Identifier: MIT
// block_entries.h - every exported function that is given a block, in a table
//
// tests/scripts/misuse_entries.sh compares the table with the exported symbols: a new function that takes a
// block and is not here makes it fail. `call_entry` calls any of them with a pointer and sizes that every
// block has room for.
#ifndef BLOCK_ENTRIES_H
#define BLOCK_ENTRIES_H

#include "api_test.h"

// What a function does with the block.
typedef enum deed_e {
  FREES,
  FREES_OURS,   // what is not ours is silently ignored
  MEASURES,     // 0 and a report for what is no block
  TELLS_SIZE,   // 0 for what is no block
  EXPANDS,      // in place or NULL; not fitting is no failure
  RESIZES,      // NULL and EINVAL for what is no block
  RESIZES_NEW,  // the same, as operator new fails: an exception, or the end of a C program
} deed_t;

typedef enum shape_e {
  POINTER,               // (p)
  POINTER_SIZE,          // (p, size)
  POINTER_ALIGN,         // (p, alignment)
  POINTER_SIZE_ALIGN,    // (p, size, alignment)
  POINTER_TAG,           // (p, tag)
  POINTER_ALIGN_TAG,     // (p, alignment, tag)
  POINTER_OUT,           // (p, &size)
  POINTER_COUNT_SIZE,    // (p, count, size)
  POINTER_COUNT_ALIGN,   // (p, count, size, alignment)
  POINTER_COUNT_OFFSET,  // (p, count, size, alignment, offset)
  POINTER_SIZE_OFFSET,   // (p, size, alignment, offset)
  POINTER_SIZE_OUT,      // (p, size, &before, &after)
  SLOT_COUNT_SIZE,       // (&p, count, size)
} shape_t;

typedef void any_fun_t(void);

typedef struct block_entry_s {
  const char* name;
  any_fun_t* fun;  // NULL: a name that only the overriding library has
  deed_t deed;
  shape_t shape;
} block_entry_t;

#define MI_ENTRY(name, deed, shape) \
  { #name, (any_fun_t*)&name, deed, shape }
#define OVERRIDE_ENTRY(name, deed, shape) \
  { #name, NULL, deed, shape }

#define HEAP_ENTRY(name, in_main_heap, deed, shape) \
  { #name, (any_fun_t*)&in_main_heap, deed, shape }

// In the main heap.
static void* main_heap_realloc(void* p, size_t n) { return mi_heap_realloc(NULL, p, n); }
static void* main_heap_reallocf(void* p, size_t n) { return mi_heap_reallocf(NULL, p, n); }
static void* main_heap_rezalloc(void* p, size_t n) { return mi_heap_rezalloc(NULL, p, n); }
static void* main_theap_realloc(void* p, size_t n) { return mi_theap_realloc(NULL, p, n); }
static void* main_heap_reallocn(void* p, size_t c, size_t n) {
  return mi_heap_reallocn(NULL, p, c, n);
}
static void* main_heap_recalloc(void* p, size_t c, size_t n) {
  return mi_heap_recalloc(NULL, p, c, n);
}
static void* main_heap_realloc_aligned(void* p, size_t n, size_t a) {
  return mi_heap_realloc_aligned(NULL, p, n, a);
}
static void* main_heap_rezalloc_aligned(void* p, size_t n, size_t a) {
  return mi_heap_rezalloc_aligned(NULL, p, n, a);
}
static void* main_heap_realloc_aligned_at(void* p, size_t n, size_t a, size_t o) {
  return mi_heap_realloc_aligned_at(NULL, p, n, a, o);
}
static void* main_heap_rezalloc_aligned_at(void* p, size_t n, size_t a, size_t o) {
  return mi_heap_rezalloc_aligned_at(NULL, p, n, a, o);
}
static void* main_heap_recalloc_aligned(void* p, size_t c, size_t n, size_t a) {
  return mi_heap_recalloc_aligned(NULL, p, c, n, a);
}
static void* main_heap_recalloc_aligned_at(void* p, size_t c, size_t n, size_t a, size_t o) {
  return mi_heap_recalloc_aligned_at(NULL, p, c, n, a, o);
}

static const block_entry_t block_entries[] = {
    MI_ENTRY(mi_free, FREES, POINTER),
    MI_ENTRY(mi_free_small, FREES, POINTER),
    MI_ENTRY(mi_free_size, FREES, POINTER_SIZE),
    MI_ENTRY(mi_free_aligned, FREES, POINTER_ALIGN),
    MI_ENTRY(mi_free_size_aligned, FREES, POINTER_SIZE_ALIGN),
    MI_ENTRY(mi_ufree, FREES, POINTER_OUT),
    MI_ENTRY(mi_cfree, FREES_OURS, POINTER),
    MI_ENTRY(mi_usable_size, MEASURES, POINTER),
    MI_ENTRY(mi_malloc_size, TELLS_SIZE, POINTER),
    MI_ENTRY(mi_malloc_usable_size, TELLS_SIZE, POINTER),
    MI_ENTRY(mi_expand, EXPANDS, POINTER_SIZE),
    MI_ENTRY(mi__expand, EXPANDS, POINTER_SIZE),
    MI_ENTRY(mi_realloc, RESIZES, POINTER_SIZE),
    MI_ENTRY(mi_reallocf, RESIZES, POINTER_SIZE),
    MI_ENTRY(mi_reallocn, RESIZES, POINTER_COUNT_SIZE),
    MI_ENTRY(mi_reallocarray, RESIZES, POINTER_COUNT_SIZE),
    MI_ENTRY(mi_reallocarr, RESIZES, SLOT_COUNT_SIZE),
    MI_ENTRY(mi_urealloc, RESIZES, POINTER_SIZE_OUT),
    MI_ENTRY(mi_rezalloc, RESIZES, POINTER_SIZE),
    MI_ENTRY(mi_recalloc, RESIZES, POINTER_COUNT_SIZE),
    MI_ENTRY(mi_realloc_aligned, RESIZES, POINTER_SIZE_ALIGN),
    MI_ENTRY(mi_realloc_aligned_at, RESIZES, POINTER_SIZE_OFFSET),
    MI_ENTRY(mi_rezalloc_aligned, RESIZES, POINTER_SIZE_ALIGN),
    MI_ENTRY(mi_rezalloc_aligned_at, RESIZES, POINTER_SIZE_OFFSET),
    MI_ENTRY(mi_recalloc_aligned, RESIZES, POINTER_COUNT_ALIGN),
    MI_ENTRY(mi_recalloc_aligned_at, RESIZES, POINTER_COUNT_OFFSET),
    MI_ENTRY(mi_aligned_recalloc, RESIZES, POINTER_COUNT_ALIGN),
    MI_ENTRY(mi_aligned_offset_recalloc, RESIZES, POINTER_COUNT_OFFSET),
    MI_ENTRY(mi_new_realloc, RESIZES_NEW, POINTER_SIZE),
    MI_ENTRY(mi_new_reallocn, RESIZES_NEW, POINTER_COUNT_SIZE),
    HEAP_ENTRY(mi_heap_realloc, main_heap_realloc, RESIZES, POINTER_SIZE),
    HEAP_ENTRY(mi_heap_reallocf, main_heap_reallocf, RESIZES, POINTER_SIZE),
    HEAP_ENTRY(mi_heap_rezalloc, main_heap_rezalloc, RESIZES, POINTER_SIZE),
    HEAP_ENTRY(mi_theap_realloc, main_theap_realloc, RESIZES, POINTER_SIZE),
    HEAP_ENTRY(mi_heap_reallocn, main_heap_reallocn, RESIZES, POINTER_COUNT_SIZE),
    HEAP_ENTRY(mi_heap_recalloc, main_heap_recalloc, RESIZES, POINTER_COUNT_SIZE),
    HEAP_ENTRY(mi_heap_realloc_aligned, main_heap_realloc_aligned, RESIZES, POINTER_SIZE_ALIGN),
    HEAP_ENTRY(mi_heap_rezalloc_aligned, main_heap_rezalloc_aligned, RESIZES, POINTER_SIZE_ALIGN),
    HEAP_ENTRY(mi_heap_realloc_aligned_at, main_heap_realloc_aligned_at, RESIZES,
               POINTER_SIZE_OFFSET),
    HEAP_ENTRY(mi_heap_rezalloc_aligned_at, main_heap_rezalloc_aligned_at, RESIZES,
               POINTER_SIZE_OFFSET),
    HEAP_ENTRY(mi_heap_recalloc_aligned, main_heap_recalloc_aligned, RESIZES, POINTER_COUNT_ALIGN),
    HEAP_ENTRY(mi_heap_recalloc_aligned_at, main_heap_recalloc_aligned_at, RESIZES,
               POINTER_COUNT_OFFSET),
    OVERRIDE_ENTRY(free, FREES, POINTER),
    OVERRIDE_ENTRY(cfree, FREES, POINTER),
    OVERRIDE_ENTRY(vfree, FREES, POINTER),
    OVERRIDE_ENTRY(__libc_free, FREES, POINTER),
    OVERRIDE_ENTRY(__libc_cfree, FREES, POINTER),
    OVERRIDE_ENTRY(malloc_size, TELLS_SIZE, POINTER),
    OVERRIDE_ENTRY(malloc_usable_size, TELLS_SIZE, POINTER),
    OVERRIDE_ENTRY(realloc, RESIZES, POINTER_SIZE),
    OVERRIDE_ENTRY(__libc_realloc, RESIZES, POINTER_SIZE),
    OVERRIDE_ENTRY(reallocf, RESIZES, POINTER_SIZE),
    OVERRIDE_ENTRY(reallocarray, RESIZES, POINTER_COUNT_SIZE),
    OVERRIDE_ENTRY(reallocarr, RESIZES, SLOT_COUNT_SIZE),
    OVERRIDE_ENTRY(_ZdlPv, FREES, POINTER),
    OVERRIDE_ENTRY(_ZdaPv, FREES, POINTER),
    OVERRIDE_ENTRY(_ZdlPvm, FREES, POINTER_SIZE),
    OVERRIDE_ENTRY(_ZdaPvm, FREES, POINTER_SIZE),
    OVERRIDE_ENTRY(_ZdlPvRKSt9nothrow_t, FREES, POINTER_TAG),
    OVERRIDE_ENTRY(_ZdaPvRKSt9nothrow_t, FREES, POINTER_TAG),
    OVERRIDE_ENTRY(_ZdlPvSt11align_val_t, FREES, POINTER_ALIGN),
    OVERRIDE_ENTRY(_ZdaPvSt11align_val_t, FREES, POINTER_ALIGN),
    OVERRIDE_ENTRY(_ZdlPvmSt11align_val_t, FREES, POINTER_SIZE_ALIGN),
    OVERRIDE_ENTRY(_ZdaPvmSt11align_val_t, FREES, POINTER_SIZE_ALIGN),
    OVERRIDE_ENTRY(_ZdlPvSt11align_val_tRKSt9nothrow_t, FREES, POINTER_ALIGN_TAG),
    OVERRIDE_ENTRY(_ZdaPvSt11align_val_tRKSt9nothrow_t, FREES, POINTER_ALIGN_TAG),
};

// NULL if the library under test does not have it.
MAYBE_UNUSED static any_fun_t* entry_function(const block_entry_t* entry) {
  if (entry->fun != NULL) return entry->fun;
  void* const address = malloc_is_ours() ? override_address(entry->name) : NULL;
  any_fun_t* fun = NULL;
  memcpy(&fun, &address, sizeof(fun));
  return fun;
}

typedef struct outcome_s {
  void* p;       // of those that resize or expand
  size_t bytes;  // of those that measure
  int error;     // errno
} outcome_t;

enum { SMALL = 1, NEW_SIZE = 100 };  // what a caller claims of the block; what it asks for

static outcome_t call_freeing(const block_entry_t* entry, any_fun_t* fun, void* p) {
  outcome_t out = {NULL, 0, 0};
  size_t bytes = 0;
  switch (entry->shape) {
    case POINTER: ((void (*)(void*))fun)(p); break;
    case POINTER_SIZE: ((void (*)(void*, size_t))fun)(p, SMALL); break;
    case POINTER_ALIGN: ((void (*)(void*, size_t))fun)(p, 1); break;
    case POINTER_SIZE_ALIGN: ((void (*)(void*, size_t, size_t))fun)(p, SMALL, 1); break;
    case POINTER_TAG: ((void (*)(void*, const void*))fun)(p, ""); break;
    case POINTER_ALIGN_TAG: ((void (*)(void*, size_t, const void*))fun)(p, 1, ""); break;
    case POINTER_OUT: ((void (*)(void*, size_t*))fun)(p, &bytes); break;
    default: abort();
  }
  return out;
}

static outcome_t call_resizing(const block_entry_t* entry, any_fun_t* fun, void* p) {
  outcome_t out = {NULL, 0, 0};
  const size_t n = NEW_SIZE;
  size_t before = 0;
  size_t after = 0;
  int code = 0;
  switch (entry->shape) {
    case POINTER_SIZE: out.p = ((void* (*)(void*, size_t))fun)(p, n); break;
    case POINTER_COUNT_SIZE: out.p = ((void* (*)(void*, size_t, size_t))fun)(p, 1, n); break;
    case POINTER_SIZE_ALIGN: out.p = ((void* (*)(void*, size_t, size_t))fun)(p, n, 1); break;
    case POINTER_SIZE_OFFSET:
      out.p = ((void* (*)(void*, size_t, size_t, size_t))fun)(p, n, 1, 0);
      break;
    case POINTER_COUNT_ALIGN:
      out.p = ((void* (*)(void*, size_t, size_t, size_t))fun)(p, 1, n, 1);
      break;
    case POINTER_COUNT_OFFSET:
      out.p = ((void* (*)(void*, size_t, size_t, size_t, size_t))fun)(p, 1, n, 1, 0);
      break;
    case POINTER_SIZE_OUT:
      out.p = ((void* (*)(void*, size_t, size_t*, size_t*))fun)(p, n, &before, &after);
      break;
    case SLOT_COUNT_SIZE:
      code = ((int (*)(void*, size_t, size_t))fun)(&p, 1, n);
      out.p = code == 0 ? p : NULL;
      break;
    default: abort();
  }
  return out;
}

MAYBE_UNUSED static outcome_t call_entry(const block_entry_t* entry, void* p) {
  any_fun_t* const fun = entry_function(entry);
  outcome_t out = {NULL, 0, 0};
  errno = UNTOUCHED;
  switch (entry->deed) {
    case FREES:
    case FREES_OURS: out = call_freeing(entry, fun, p); break;
    case MEASURES:
    case TELLS_SIZE: out.bytes = ((size_t(*)(const void*))fun)(p); break;
    case EXPANDS: out.p = ((void* (*)(void*, size_t))fun)(p, SMALL); break;
    case RESIZES:
    case RESIZES_NEW: out = call_resizing(entry, fun, p); break;
  }
  out.error = errno;
  return out;
}

#endif  // BLOCK_ENTRIES_H
