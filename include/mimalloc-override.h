// SPDX-License-Identifier: MIT
// mimalloc-override.h - malloc and friends of one source file become calls of mimalloc
//
// For programs that cannot, or do not want to, replace malloc as a whole at link time or by
// preloading: include this header, as the last one, in *every* source file. A pointer from a file
// that does not include it must not be freed in one that does, nor the other way round; results of
// library functions that allocate (getline, asprintf, ...) are such pointers.
//
// The names become macros with arguments. So `f = malloc` stays the C library's; but a member
// function `pool.free(p)` and the qualified `std::malloc(n)` are rewritten too and will not
// compile. C++ `new` and `delete` are not touched: see mimalloc-new-delete.h.
#ifndef MIMALLOC_OVERRIDE_H
#define MIMALLOC_OVERRIDE_H

// First the headers that declare these names, so that they are not rewritten when included later.
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#if defined(__has_include)
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#endif
#ifdef __cplusplus
#include <cstdlib>
#include <cstring>
#include <cwchar>
#endif

#include "mimalloc.h"

// clang-format off

// C and POSIX
#undef  malloc
#undef  calloc
#undef  realloc
#undef  free
#undef  strdup
#undef  strndup
#undef  realpath
#define malloc(n)                            mi_malloc(n)
#define calloc(n, c)                         mi_calloc(n, c)
#define realloc(p, n)                        mi_realloc(p, n)
#define free(p)                              mi_free(p)
#define strdup(s)                            mi_strdup(s)
#define strndup(s, n)                        mi_strndup(s, n)
#define realpath(f, n)                       mi_realpath(f, n)

// Microsoft
#undef  _expand
#undef  _msize
#undef  _recalloc
#undef  _strdup
#undef  _strndup
#undef  _wcsdup
#undef  _mbsdup
#undef  _dupenv_s
#undef  _wdupenv_s
#define _expand(p, n)                        mi__expand(p, n)
#define _msize(p)                            mi_usable_size(p)
#define _recalloc(p, n, c)                   mi_recalloc(p, n, c)
#define _strdup(s)                           mi_strdup(s)
#define _strndup(s, n)                       mi_strndup(s, n)
#define _wcsdup(s)                           mi_wcsdup(s)
#define _mbsdup(s)                           mi_mbsdup(s)
#define _dupenv_s(b, n, v)                   mi_dupenv_s(b, n, v)
#define _wdupenv_s(b, n, v)                  mi_wdupenv_s(b, n, v)

// Unix
#undef  reallocf
#undef  malloc_size
#undef  malloc_usable_size
#undef  malloc_good_size
#undef  cfree
#undef  valloc
#undef  pvalloc
#undef  reallocarray
#undef  reallocarr
#undef  memalign
#undef  aligned_alloc
#undef  posix_memalign
#undef  _posix_memalign
#define reallocf(p, n)                       mi_reallocf(p, n)
#define malloc_size(p)                       mi_usable_size(p)
#define malloc_usable_size(p)                mi_usable_size(p)
#define malloc_good_size(n)                  mi_malloc_good_size(n)
#define cfree(p)                             mi_free(p)
#define valloc(n)                            mi_valloc(n)
#define pvalloc(n)                           mi_pvalloc(n)
#define reallocarray(p, n, c)                mi_reallocarray(p, n, c)
#define reallocarr(p, n, c)                  mi_reallocarr(p, n, c)
#define memalign(a, n)                       mi_memalign(a, n)
#define aligned_alloc(a, n)                  mi_aligned_alloc(a, n)
#define posix_memalign(p, a, n)              mi_posix_memalign(p, a, n)
#define _posix_memalign(p, a, n)             mi_posix_memalign(p, a, n)

// Microsoft, aligned: the size comes before the alignment, and `o` is the offset
#undef  _aligned_malloc
#undef  _aligned_realloc
#undef  _aligned_recalloc
#undef  _aligned_msize
#undef  _aligned_free
#undef  _aligned_offset_malloc
#undef  _aligned_offset_realloc
#undef  _aligned_offset_recalloc
#define _aligned_malloc(n, a)                   mi_malloc_aligned(n, a)
#define _aligned_realloc(p, n, a)               mi_realloc_aligned(p, n, a)
#define _aligned_recalloc(p, n, c, a)           mi_recalloc_aligned(p, n, c, a)
#define _aligned_msize(p, a, o)                 mi_usable_size(p)
#define _aligned_free(p)                        mi_free(p)
#define _aligned_offset_malloc(n, a, o)         mi_malloc_aligned_at(n, a, o)
#define _aligned_offset_realloc(p, n, a, o)     mi_realloc_aligned_at(p, n, a, o)
#define _aligned_offset_recalloc(p, n, c, a, o) mi_recalloc_aligned_at(p, n, c, a, o)

// clang-format on

#endif  // MIMALLOC_OVERRIDE_H
