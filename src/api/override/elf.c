// SPDX-License-Identifier: MIT
// elf.c - the system allocator's names, on ELF systems
//
// In the one-file build (what we ship) a name is an alias where the types agree: the same address as the
// function it stands for. Compiled on its own, a file cannot alias what another defines, so there, and
// where the types differ, it is a jump.
//
// Tests: tests/scripts/, tests/programs/
#include "api/allocate.h"
#include "base/config.h"
#include "mimalloc.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if MI_CFG_OVERRIDE

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
#pragma GCC visibility push(default)

// clang-format off

#if MI_CFG_ONE_FILE
#define MI_SAME(type, name, target, parameters, arguments) \
  extern type name parameters __attribute__((alias(#target)));
#else
#define MI_SAME(type, name, target, parameters, arguments) \
  extern type name parameters;                             \
  type name parameters { return target arguments; }
#endif
#define MI_SAME_FREE(name, target, parameters, arguments) \
  extern void name parameters;                            \
  void name parameters { target arguments; }

// C, POSIX, BSD
MI_SAME(void*, malloc, mi_malloc, (size_t size), (size))
MI_SAME(void*, calloc, mi_calloc, (size_t count, size_t size), (count, size))
MI_SAME(void*, realloc, mi_realloc, (void* p, size_t size), (p, size))
MI_SAME(char*, strdup, mi_strdup, (const char* s), (s))
MI_SAME(char*, strndup, mi_strndup, (const char* s, size_t n), (s, n))
MI_SAME(void*, aligned_alloc, mi_aligned_alloc, (size_t alignment, size_t size), (alignment, size))
MI_SAME(int, posix_memalign, mi_posix_memalign, (void** p, size_t alignment, size_t size), (p, alignment, size))
MI_SAME(void*, memalign, mi_memalign, (size_t alignment, size_t size), (alignment, size))
MI_SAME(void*, valloc, mi_valloc, (size_t size), (size))
MI_SAME(void*, pvalloc, mi_pvalloc, (size_t size), (size))
MI_SAME(void*, reallocf, mi_reallocf, (void* p, size_t size), (p, size))
MI_SAME(size_t, malloc_size, mi_malloc_size, (const void* p), (p))
MI_SAME(size_t, malloc_good_size, mi_malloc_good_size, (size_t size), (size))
MI_SAME(void*, _aligned_malloc, mi_malloc_aligned, (size_t size, size_t alignment), (size, alignment))

#if MI_CFG_ONE_FILE
extern void free(void* p) __attribute__((alias("mi_free")));
extern void cfree(void* p) __attribute__((alias("mi_free")));
extern void vfree(void* p) __attribute__((alias("mi_free")));
extern void __libc_free(void* p) __attribute__((alias("mi_free")));
extern void __libc_cfree(void* p) __attribute__((alias("mi_free")));
#else
MI_SAME_FREE(free, mi_free, (void* p), (p))
MI_SAME_FREE(cfree, mi_free, (void* p), (p))
MI_SAME_FREE(vfree, mi_free, (void* p), (p))
MI_SAME_FREE(__libc_free, mi_free, (void* p), (p))
MI_SAME_FREE(__libc_cfree, mi_free, (void* p), (p))
#endif

extern size_t malloc_usable_size(void* p);
size_t malloc_usable_size(void* p) { return mi_malloc_usable_size(p); }

extern int reallocarr(void* p, size_t count, size_t size) __attribute__((weak));
int reallocarr(void* p, size_t count, size_t size) { return mi_reallocarr(p, count, size); }

// As glibc: ENOMEM for an overflow, where the BSDs and mi_reallocarray say EOVERFLOW.
extern void* reallocarray(void* p, size_t count, size_t size);
void* reallocarray(void* p, size_t count, size_t size) { return mi_reallocn(p, count, size); }

// What parts of glibc and musl call among themselves
MI_SAME(void*, __libc_malloc, mi_malloc, (size_t size), (size))
MI_SAME(void*, __libc_calloc, mi_calloc, (size_t count, size_t size), (count, size))
MI_SAME(void*, __libc_realloc, mi_realloc, (void* p, size_t size), (p, size))
MI_SAME(void*, __libc_memalign, mi_memalign, (size_t alignment, size_t size), (alignment, size))
MI_SAME(void*, __libc_valloc, mi_valloc, (size_t size), (size))
MI_SAME(void*, __libc_pvalloc, mi_pvalloc, (size_t size), (size))
MI_SAME(int, __posix_memalign, mi_posix_memalign, (void** p, size_t alignment, size_t size), (p, alignment, size))

// C++: the mangled size_t is m where it is a long, j where it is an int.
#if UINTPTR_MAX > UINT32_MAX
#define MI_MANGLED(before, after) before##m##after
#else
#define MI_MANGLED(before, after) before##j##after
#endif

MI_SAME(void*, MI_MANGLED(_Znw, ), mi_new, (size_t size), (size))
MI_SAME(void*, MI_MANGLED(_Zna, ), mi_new, (size_t size), (size))
MI_SAME(void*, MI_MANGLED(_Znw, St11align_val_t), mi_new_aligned, (size_t size, size_t alignment), (size, alignment))
MI_SAME(void*, MI_MANGLED(_Zna, St11align_val_t), mi_new_aligned, (size_t size, size_t alignment), (size, alignment))

// The nothrow forms have an argument that says nothing.
#define MI_NEW_NOTHROW(name)                    \
  extern void* name(size_t size, const void* tag); \
  void* name(size_t size, const void* tag) {    \
    (void)tag;                                  \
    return mi_new_nothrow(size);                \
  }
#define MI_NEW_ALIGNED_NOTHROW(name)                                 \
  extern void* name(size_t size, size_t alignment, const void* tag); \
  void* name(size_t size, size_t alignment, const void* tag) {       \
    (void)tag;                                                       \
    return mi_new_aligned_nothrow(size, alignment);                  \
  }
MI_NEW_NOTHROW(MI_MANGLED(_Znw, RKSt9nothrow_t))
MI_NEW_NOTHROW(MI_MANGLED(_Zna, RKSt9nothrow_t))
MI_NEW_ALIGNED_NOTHROW(MI_MANGLED(_Znw, St11align_val_tRKSt9nothrow_t))
MI_NEW_ALIGNED_NOTHROW(MI_MANGLED(_Zna, St11align_val_tRKSt9nothrow_t))

#if MI_CFG_ONE_FILE
extern void _ZdlPv(void* p) __attribute__((alias("mi_free")));
extern void _ZdaPv(void* p) __attribute__((alias("mi_free")));
#else
MI_SAME_FREE(_ZdlPv, mi_free, (void* p), (p))
MI_SAME_FREE(_ZdaPv, mi_free, (void* p), (p))
#endif
MI_SAME_FREE(MI_MANGLED(_ZdlPv, ), mi_free_size, (void* p, size_t size), (p, size))
MI_SAME_FREE(MI_MANGLED(_ZdaPv, ), mi_free_size, (void* p, size_t size), (p, size))
MI_SAME_FREE(_ZdlPvSt11align_val_t, mi_free_aligned, (void* p, size_t alignment), (p, alignment))
MI_SAME_FREE(_ZdaPvSt11align_val_t, mi_free_aligned, (void* p, size_t alignment), (p, alignment))
MI_SAME_FREE(MI_MANGLED(_ZdlPv, St11align_val_t), mi_free_size_aligned, (void* p, size_t size, size_t alignment), (p, size, alignment))
MI_SAME_FREE(MI_MANGLED(_ZdaPv, St11align_val_t), mi_free_size_aligned, (void* p, size_t size, size_t alignment), (p, size, alignment))

#define MI_DELETE_NOTHROW(name)           \
  extern void name(void* p, const void* tag); \
  void name(void* p, const void* tag) {   \
    (void)tag;                            \
    mi_free(p);                           \
  }
#define MI_DELETE_ALIGNED_NOTHROW(name)                         \
  extern void name(void* p, size_t alignment, const void* tag); \
  void name(void* p, size_t alignment, const void* tag) {       \
    (void)tag;                                                  \
    mi_free_aligned(p, alignment);                              \
  }
MI_DELETE_NOTHROW(_ZdlPvRKSt9nothrow_t)
MI_DELETE_NOTHROW(_ZdaPvRKSt9nothrow_t)
MI_DELETE_ALIGNED_NOTHROW(_ZdlPvSt11align_val_tRKSt9nothrow_t)
MI_DELETE_ALIGNED_NOTHROW(_ZdaPvSt11align_val_tRKSt9nothrow_t)

// clang-format on

#pragma GCC visibility pop
#pragma GCC diagnostic pop

#endif
