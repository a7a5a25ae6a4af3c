// SPDX-License-Identifier: MIT
// calls.c - the public functions by their kind
#include "fuzz/calls.h"
#include "fuzz/model.h"
#include "mimalloc.h"
#include <errno.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// clang-format off
#define ALLOC(name, expression) \
  static void* call_##name(want_t* w) { return expression; }
#define RESIZE(name, expression) \
  static void* call_##name(void* p, want_t* w) { return expression; }

ALLOC(malloc,            mi_malloc(w->size))
ALLOC(zalloc,            mi_zalloc(w->size))
ALLOC(calloc,            mi_calloc(w->count, w->size))
ALLOC(mallocn,           mi_mallocn(w->count, w->size))
ALLOC(malloc_small,      mi_malloc_small(w->size))
ALLOC(zalloc_small,      mi_zalloc_small(w->size))
ALLOC(umalloc,           mi_umalloc(w->size, &w->told))
ALLOC(ucalloc,           mi_ucalloc(w->count, w->size, &w->told))
ALLOC(umalloc_small,     mi_umalloc_small(w->size, &w->told))
ALLOC(uzalloc_small,     mi_uzalloc_small(w->size, &w->told))
ALLOC(malloc_aligned,    mi_malloc_aligned(w->size, w->alignment))
ALLOC(zalloc_aligned,    mi_zalloc_aligned(w->size, w->alignment))
ALLOC(calloc_aligned,    mi_calloc_aligned(w->count, w->size, w->alignment))
ALLOC(malloc_aligned_at, mi_malloc_aligned_at(w->size, w->alignment, w->offset))
ALLOC(zalloc_aligned_at, mi_zalloc_aligned_at(w->size, w->alignment, w->offset))
ALLOC(calloc_aligned_at, mi_calloc_aligned_at(w->count, w->size, w->alignment, w->offset))
ALLOC(umalloc_aligned,   mi_umalloc_aligned(w->size, w->alignment, &w->told))
ALLOC(uzalloc_aligned,   mi_uzalloc_aligned(w->size, w->alignment, &w->told))
ALLOC(memalign,          mi_memalign(w->alignment, w->size))
ALLOC(aligned_alloc,     mi_aligned_alloc(w->alignment, w->size))
ALLOC(valloc,            mi_valloc(w->size))
ALLOC(pvalloc,           mi_pvalloc(w->size))
ALLOC(new_nothrow,       mi_new_nothrow(w->size))
ALLOC(new_aligned_nothrow, mi_new_aligned_nothrow(w->size, w->alignment))

RESIZE(realloc,            mi_realloc(p, w->size))
RESIZE(reallocn,           mi_reallocn(p, w->count, w->size))
RESIZE(reallocf,           mi_reallocf(p, w->size))
RESIZE(rezalloc,           mi_rezalloc(p, w->size))
RESIZE(recalloc,           mi_recalloc(p, w->count, w->size))
RESIZE(urealloc,           mi_urealloc(p, w->size, &w->told_before, &w->told))
RESIZE(realloc_aligned,    mi_realloc_aligned(p, w->size, w->alignment))
RESIZE(realloc_aligned_at, mi_realloc_aligned_at(p, w->size, w->alignment, w->offset))
RESIZE(rezalloc_aligned,   mi_rezalloc_aligned(p, w->size, w->alignment))
RESIZE(rezalloc_aligned_at, mi_rezalloc_aligned_at(p, w->size, w->alignment, w->offset))
RESIZE(recalloc_aligned,   mi_recalloc_aligned(p, w->count, w->size, w->alignment))
RESIZE(recalloc_aligned_at, mi_recalloc_aligned_at(p, w->count, w->size, w->alignment, w->offset))
RESIZE(aligned_recalloc,   mi_aligned_recalloc(p, w->count, w->size, w->alignment))
RESIZE(aligned_offset_recalloc,
       mi_aligned_offset_recalloc(p, w->count, w->size, w->alignment, w->offset))
RESIZE(reallocarray,       mi_reallocarray(p, w->count, w->size))
// clang-format on

static void* call_posix_memalign(want_t* w) {
  void* p = NULL;
  w->code = mi_posix_memalign(&p, w->alignment, w->size);
  if ((w->code == 0) != (p != NULL)) model_fail("posix_memalign: %d and %p", w->code, p);
  return p;
}

// It has an errno of its own for a size of 0.
static void* call_reallocarr(void* p, want_t* w) {
  if (w->size == 0) return mi_realloc(p, 0);
  void* slot = p;
  const int code = mi_reallocarr(&slot, w->count, w->size);
  if (code != 0 && slot != p) model_fail("reallocarr fails, and changes the pointer");
  return code == 0 ? slot : NULL;
}

static void* call_strndup(want_t* w) {
  static char text[4096];
  memset(text, 'x', sizeof text);
  char* const copy = mi_strndup(text, w->size - 1);
  if (copy != NULL && (strlen(copy) != w->size - 1 || memcmp(copy, text, w->size - 1) != 0))
    model_fail("strndup: not a copy");
  return copy;
}

// clang-format off
const alloc_call_t alloc_calls[] = {
  {"malloc", call_malloc, 0},
  {"zalloc", call_zalloc, ZEROES},
  {"calloc", call_calloc, ZEROES | COUNTS},
  {"mallocn", call_mallocn, COUNTS},
  {"malloc_small", call_malloc_small, SMALL},
  {"zalloc_small", call_zalloc_small, SMALL | ZEROES},
  {"umalloc", call_umalloc, TELLS},
  {"ucalloc", call_ucalloc, TELLS | ZEROES | COUNTS},
  {"umalloc_small", call_umalloc_small, TELLS | SMALL},
  {"uzalloc_small", call_uzalloc_small, TELLS | SMALL | ZEROES},
  {"malloc_aligned", call_malloc_aligned, ALIGNS},
  {"zalloc_aligned", call_zalloc_aligned, ALIGNS | ZEROES},
  {"calloc_aligned", call_calloc_aligned, ALIGNS | ZEROES | COUNTS},
  {"malloc_aligned_at", call_malloc_aligned_at, ALIGNS | SHIFTS},
  {"zalloc_aligned_at", call_zalloc_aligned_at, ALIGNS | SHIFTS | ZEROES},
  {"calloc_aligned_at", call_calloc_aligned_at, ALIGNS | SHIFTS | ZEROES | COUNTS},
  {"umalloc_aligned", call_umalloc_aligned, TELLS | ALIGNS},
  {"uzalloc_aligned", call_uzalloc_aligned, TELLS | ALIGNS | ZEROES},
  {"posix_memalign", call_posix_memalign, ALIGNS | CODES},
  {"memalign", call_memalign, ALIGNS},
  {"aligned_alloc", call_aligned_alloc, ALIGNS},
  {"valloc", call_valloc, BY_OS},
  {"pvalloc", call_pvalloc, BY_OS},
  {"strndup", call_strndup, COPIES},
  {"new_nothrow", call_new_nothrow, 0},
  {"new_aligned_nothrow", call_new_aligned_nothrow, ALIGNS},
};

const resize_call_t resize_calls[] = {
  {"realloc", call_realloc, 0, 0},
  {"rezalloc", call_rezalloc, ZEROES, 0},
  {"reallocn", call_reallocn, COUNTS, ENOMEM},
  {"reallocf", call_reallocf, FREES, 0},
  {"recalloc", call_recalloc, ZEROES | COUNTS, ENOMEM},
  {"urealloc", call_urealloc, TELLS, 0},
  {"realloc_aligned", call_realloc_aligned, ALIGNS, 0},
  {"realloc_aligned_at", call_realloc_aligned_at, ALIGNS | SHIFTS, 0},
  {"rezalloc_aligned", call_rezalloc_aligned, ALIGNS | ZEROES, 0},
  {"rezalloc_aligned_at", call_rezalloc_aligned_at, ALIGNS | SHIFTS | ZEROES, 0},
  {"recalloc_aligned", call_recalloc_aligned, ALIGNS | ZEROES | COUNTS, ENOMEM},
  {"recalloc_aligned_at", call_recalloc_aligned_at, ALIGNS | SHIFTS | ZEROES | COUNTS, ENOMEM},
  {"aligned_recalloc", call_aligned_recalloc, ALIGNS | ZEROES | COUNTS, ENOMEM},
  {"aligned_offset_recalloc", call_aligned_offset_recalloc, ALIGNS | SHIFTS | ZEROES | COUNTS,
   ENOMEM},
  {"reallocarray", call_reallocarray, COUNTS, EOVERFLOW},
  {"reallocarr", call_reallocarr, COUNTS, EOVERFLOW},
};
// clang-format on

const size_t alloc_call_count = COUNT_OF(alloc_calls);
const size_t resize_call_count = COUNT_OF(resize_calls);

static void free_by_array(void* p) {
  if (mi_reallocarr(&p, 0, 8) != 0 || p != NULL) model_fail("reallocarr does not free");
}

static void free_and_compare(void* p, size_t usable) {
  size_t told = 0;
  mi_ufree(p, &told);
  if (told != usable) model_fail("ufree tells %zu, not %zu", told, usable);
}

void free_call(unsigned choice, void* p, size_t size, size_t usable, size_t alignment, bool small) {
  switch (choice % 8) {
    case 0: mi_free_size(p, size); break;
    case 1: mi_free_size_aligned(p, size, alignment); break;
    case 2: mi_free_aligned(p, alignment); break;
    case 3: free_and_compare(p, usable); break;
    case 4: mi_cfree(p); break;
    case 5: free_by_array(p); break;
    case 6:
      if (small) {
        mi_free_small(p);
        break;
      }
      mi_free(p);
      break;
    default: mi_free(p); break;
  }
}
