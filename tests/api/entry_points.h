// SPDX-License-Identifier: MIT
// entry_points.h - every allocating function in one of three shapes, so that one test can try all
//
// The functions of C++ that throw are not here: a failure of theirs stops a program in C.
#ifndef ENTRY_POINTS_H
#define ENTRY_POINTS_H

#include "api_test.h"

// --- one size ---

typedef struct sized_entry_s {
  const char* name;
  void* (*call)(size_t size);
  bool zeroed;
} sized_entry_t;

static void* sized_malloc(size_t n) { return mi_malloc(n); }
static void* sized_calloc(size_t n) { return mi_calloc(1, n); }
static void* sized_realloc(size_t n) { return mi_realloc(NULL, n); }
static void* sized_mallocn(size_t n) { return mi_mallocn(1, n); }
static void* sized_reallocn(size_t n) { return mi_reallocn(NULL, 1, n); }
static void* sized_reallocf(size_t n) { return mi_reallocf(NULL, n); }
static void* sized_zalloc(size_t n) { return mi_zalloc(n); }
static void* sized_rezalloc(size_t n) { return mi_rezalloc(NULL, n); }
static void* sized_recalloc(size_t n) { return mi_recalloc(NULL, 1, n); }
static void* sized_umalloc(size_t n) { return mi_umalloc(n, NULL); }
static void* sized_ucalloc(size_t n) { return mi_ucalloc(1, n, NULL); }
static void* sized_urealloc(size_t n) { return mi_urealloc(NULL, n, NULL, NULL); }
static void* sized_valloc(size_t n) { return mi_valloc(n); }
static void* sized_pvalloc(size_t n) { return mi_pvalloc(n); }
static void* sized_reallocarray(size_t n) { return mi_reallocarray(NULL, 1, n); }
static void* sized_new_nothrow(size_t n) { return mi_new_nothrow(n); }

static const sized_entry_t sized_entries[] = {
    {"mi_malloc", &sized_malloc, false},
    {"mi_calloc", &sized_calloc, true},
    {"mi_realloc", &sized_realloc, false},
    {"mi_mallocn", &sized_mallocn, false},
    {"mi_reallocn", &sized_reallocn, false},
    {"mi_reallocf", &sized_reallocf, false},
    {"mi_zalloc", &sized_zalloc, true},
    {"mi_rezalloc", &sized_rezalloc, true},
    {"mi_recalloc", &sized_recalloc, true},
    {"mi_umalloc", &sized_umalloc, false},
    {"mi_ucalloc", &sized_ucalloc, true},
    {"mi_urealloc", &sized_urealloc, false},
    {"mi_valloc", &sized_valloc, false},
    {"mi_pvalloc", &sized_pvalloc, false},
    {"mi_reallocarray", &sized_reallocarray, false},
    {"mi_new_nothrow", &sized_new_nothrow, false},
};

// --- count * size; `p` is the block to resize, for the functions that do ---

typedef struct counted_entry_s {
  const char* name;
  void* (*call)(void* p, size_t count, size_t size);
  bool resizes;
  int overflow_errno;
} counted_entry_t;

static void* counted_calloc(void* p, size_t c, size_t n) { return (void)p, mi_calloc(c, n); }
static void* counted_mallocn(void* p, size_t c, size_t n) { return (void)p, mi_mallocn(c, n); }
static void* counted_ucalloc(void* p, size_t c, size_t n) {
  return (void)p, mi_ucalloc(c, n, NULL);
}
static void* counted_calloc_aligned(void* p, size_t c, size_t n) {
  return (void)p, mi_calloc_aligned(c, n, 64);
}
static void* counted_calloc_aligned_at(void* p, size_t c, size_t n) {
  return (void)p, mi_calloc_aligned_at(c, n, 64, 8);
}
static void* counted_reallocn(void* p, size_t c, size_t n) { return mi_reallocn(p, c, n); }
static void* counted_recalloc(void* p, size_t c, size_t n) { return mi_recalloc(p, c, n); }
static void* counted_recalloc_aligned(void* p, size_t c, size_t n) {
  return mi_recalloc_aligned(p, c, n, 64);
}
static void* counted_recalloc_aligned_at(void* p, size_t c, size_t n) {
  return mi_recalloc_aligned_at(p, c, n, 64, 8);
}
static void* counted_aligned_recalloc(void* p, size_t c, size_t n) {
  return mi_aligned_recalloc(p, c, n, 64);
}
static void* counted_aligned_offset_recalloc(void* p, size_t c, size_t n) {
  return mi_aligned_offset_recalloc(p, c, n, 64, 8);
}
static void* counted_reallocarray(void* p, size_t c, size_t n) { return mi_reallocarray(p, c, n); }
static void* counted_reallocarr(void* p, size_t c, size_t n) {
  const int code = mi_reallocarr(&p, c, n);
  return (code == 0) ? p : NULL;
}

static const counted_entry_t counted_entries[] = {
    {"mi_calloc", &counted_calloc, false, ENOMEM},
    {"mi_mallocn", &counted_mallocn, false, ENOMEM},
    {"mi_ucalloc", &counted_ucalloc, false, ENOMEM},
    {"mi_calloc_aligned", &counted_calloc_aligned, false, ENOMEM},
    {"mi_calloc_aligned_at", &counted_calloc_aligned_at, false, ENOMEM},
    {"mi_reallocn", &counted_reallocn, true, ENOMEM},
    {"mi_recalloc", &counted_recalloc, true, ENOMEM},
    {"mi_recalloc_aligned", &counted_recalloc_aligned, true, ENOMEM},
    {"mi_recalloc_aligned_at", &counted_recalloc_aligned_at, true, ENOMEM},
    {"mi_aligned_recalloc", &counted_aligned_recalloc, true, ENOMEM},
    {"mi_aligned_offset_recalloc", &counted_aligned_offset_recalloc, true, ENOMEM},
    {"mi_reallocarray", &counted_reallocarray, true, EOVERFLOW},
    {"mi_reallocarr", &counted_reallocarr, true, EOVERFLOW},
};

// --- size, alignment, offset; `p` as above ---

typedef struct aligned_entry_s {
  const char* name;
  void* (*call)(void* p, size_t size, size_t alignment, size_t offset);
  bool resizes;
  bool zeroed;
  bool has_offset;
  size_t least_alignment;
} aligned_entry_t;

#define ALIGNED_ENTRY(name, expression)                                                \
  static void* aligned_##name(void* p, size_t size, size_t alignment, size_t offset) { \
    (void)p;                                                                           \
    (void)offset;                                                                      \
    return expression;                                                                 \
  }

ALIGNED_ENTRY(malloc, mi_malloc_aligned(size, alignment))
ALIGNED_ENTRY(malloc_at, mi_malloc_aligned_at(size, alignment, offset))
ALIGNED_ENTRY(zalloc, mi_zalloc_aligned(size, alignment))
ALIGNED_ENTRY(zalloc_at, mi_zalloc_aligned_at(size, alignment, offset))
ALIGNED_ENTRY(calloc, mi_calloc_aligned(1, size, alignment))
ALIGNED_ENTRY(calloc_at, mi_calloc_aligned_at(1, size, alignment, offset))
ALIGNED_ENTRY(realloc, mi_realloc_aligned(p, size, alignment))
ALIGNED_ENTRY(realloc_at, mi_realloc_aligned_at(p, size, alignment, offset))
ALIGNED_ENTRY(rezalloc, mi_rezalloc_aligned(p, size, alignment))
ALIGNED_ENTRY(rezalloc_at, mi_rezalloc_aligned_at(p, size, alignment, offset))
ALIGNED_ENTRY(recalloc, mi_recalloc_aligned(p, 1, size, alignment))
ALIGNED_ENTRY(recalloc_at, mi_recalloc_aligned_at(p, 1, size, alignment, offset))
ALIGNED_ENTRY(ms_recalloc, mi_aligned_recalloc(p, 1, size, alignment))
ALIGNED_ENTRY(ms_recalloc_at, mi_aligned_offset_recalloc(p, 1, size, alignment, offset))
ALIGNED_ENTRY(umalloc, mi_umalloc_aligned(size, alignment, NULL))
ALIGNED_ENTRY(uzalloc, mi_uzalloc_aligned(size, alignment, NULL))
ALIGNED_ENTRY(memalign, mi_memalign(alignment, size))
ALIGNED_ENTRY(aligned_alloc, mi_aligned_alloc(alignment, size))
ALIGNED_ENTRY(new_nothrow, mi_new_aligned_nothrow(size, alignment))

ALIGNED_ENTRY(heap_malloc_aligned, mi_heap_malloc_aligned(NULL, size, alignment))
ALIGNED_ENTRY(heap_malloc_aligned_at, mi_heap_malloc_aligned_at(NULL, size, alignment, offset))
ALIGNED_ENTRY(heap_zalloc_aligned, mi_heap_zalloc_aligned(NULL, size, alignment))
ALIGNED_ENTRY(heap_zalloc_aligned_at, mi_heap_zalloc_aligned_at(NULL, size, alignment, offset))
ALIGNED_ENTRY(heap_calloc_aligned, mi_heap_calloc_aligned(NULL, 1, size, alignment))
ALIGNED_ENTRY(heap_calloc_aligned_at, mi_heap_calloc_aligned_at(NULL, 1, size, alignment, offset))
ALIGNED_ENTRY(heap_realloc_aligned, mi_heap_realloc_aligned(NULL, p, size, alignment))
ALIGNED_ENTRY(heap_realloc_aligned_at, mi_heap_realloc_aligned_at(NULL, p, size, alignment, offset))
ALIGNED_ENTRY(heap_rezalloc_aligned, mi_heap_rezalloc_aligned(NULL, p, size, alignment))
ALIGNED_ENTRY(heap_rezalloc_aligned_at,
              mi_heap_rezalloc_aligned_at(NULL, p, size, alignment, offset))
ALIGNED_ENTRY(heap_recalloc_aligned, mi_heap_recalloc_aligned(NULL, p, 1, size, alignment))
ALIGNED_ENTRY(heap_recalloc_aligned_at,
              mi_heap_recalloc_aligned_at(NULL, p, 1, size, alignment, offset))
ALIGNED_ENTRY(theap_malloc, mi_theap_malloc_aligned(NULL, size, alignment))

// The code is the result; errno is made to agree with it, so that all entries fail alike.
static void* aligned_posix_memalign(void* p, size_t size, size_t alignment, size_t offset) {
  (void)offset;
  p = NULL;
  const int code = mi_posix_memalign(&p, alignment, size);
  if (code != 0) errno = code;
  return p;
}

static const aligned_entry_t aligned_entries[] = {
    {"mi_malloc_aligned", &aligned_malloc, false, false, false, 1},
    {"mi_malloc_aligned_at", &aligned_malloc_at, false, false, true, 1},
    {"mi_zalloc_aligned", &aligned_zalloc, false, true, false, 1},
    {"mi_zalloc_aligned_at", &aligned_zalloc_at, false, true, true, 1},
    {"mi_calloc_aligned", &aligned_calloc, false, true, false, 1},
    {"mi_calloc_aligned_at", &aligned_calloc_at, false, true, true, 1},
    {"mi_realloc_aligned", &aligned_realloc, true, false, false, 1},
    {"mi_realloc_aligned_at", &aligned_realloc_at, true, false, true, 1},
    {"mi_rezalloc_aligned", &aligned_rezalloc, true, true, false, 1},
    {"mi_rezalloc_aligned_at", &aligned_rezalloc_at, true, true, true, 1},
    {"mi_recalloc_aligned", &aligned_recalloc, true, true, false, 1},
    {"mi_recalloc_aligned_at", &aligned_recalloc_at, true, true, true, 1},
    {"mi_aligned_recalloc", &aligned_ms_recalloc, true, true, false, 1},
    {"mi_aligned_offset_recalloc", &aligned_ms_recalloc_at, true, true, true, 1},
    {"mi_umalloc_aligned", &aligned_umalloc, false, false, false, 1},
    {"mi_uzalloc_aligned", &aligned_uzalloc, false, true, false, 1},
    {"mi_posix_memalign", &aligned_posix_memalign, false, false, false, sizeof(void*)},
    {"mi_memalign", &aligned_memalign, false, false, false, 1},
    {"mi_aligned_alloc", &aligned_aligned_alloc, false, false, false, 1},
    {"mi_new_aligned_nothrow", &aligned_new_nothrow, false, false, false, 1},
    {"mi_heap_malloc_aligned", &aligned_heap_malloc_aligned, false, false, false, 1},
    {"mi_heap_malloc_aligned_at", &aligned_heap_malloc_aligned_at, false, false, true, 1},
    {"mi_heap_zalloc_aligned", &aligned_heap_zalloc_aligned, false, true, false, 1},
    {"mi_heap_zalloc_aligned_at", &aligned_heap_zalloc_aligned_at, false, true, true, 1},
    {"mi_heap_calloc_aligned", &aligned_heap_calloc_aligned, false, true, false, 1},
    {"mi_heap_calloc_aligned_at", &aligned_heap_calloc_aligned_at, false, true, true, 1},
    {"mi_heap_realloc_aligned", &aligned_heap_realloc_aligned, true, false, false, 1},
    {"mi_heap_realloc_aligned_at", &aligned_heap_realloc_aligned_at, true, false, true, 1},
    {"mi_heap_rezalloc_aligned", &aligned_heap_rezalloc_aligned, true, true, false, 1},
    {"mi_heap_rezalloc_aligned_at", &aligned_heap_rezalloc_aligned_at, true, true, true, 1},
    {"mi_heap_recalloc_aligned", &aligned_heap_recalloc_aligned, true, true, false, 1},
    {"mi_heap_recalloc_aligned_at", &aligned_heap_recalloc_aligned_at, true, true, true, 1},
    {"mi_theap_malloc_aligned", &aligned_theap_malloc, false, false, false, 1},
};

// `ASSERT_FAILS` that names the entry.
#define ASSERT_FAILS_FOR(entry, expression, errno_expected, code_expected)           \
  do {                                                                               \
    reports_begin();                                                                 \
    errno = UNTOUCHED;                                                               \
    const bool failed_ = !(expression);                                              \
    const int errno_ = errno;                                                        \
    if (!failed_) fail_msg("%s: succeeds: %s", (entry)->name, #expression);          \
    if (errno_ != (errno_expected))                                                  \
      fail_msg("%s: errno %d: %s", (entry)->name, errno_, #expression);              \
    if (reports.count != 1)                                                          \
      fail_msg("%s: %d reports: %s", (entry)->name, reports.count, #expression);     \
    if (reports.last_code != (code_expected)) {                                      \
      fail_msg("%s: reports %d: %s", (entry)->name, reports.last_code, #expression); \
    }                                                                                \
  } while (0)

#endif  // ENTRY_POINTS_H
