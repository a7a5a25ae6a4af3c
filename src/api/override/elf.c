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

#define MI_JUMP(type, name, parameters, body) \
  extern type name parameters;                \
  type name parameters { body; }
#if MI_CFG_ONE_FILE
#define MI_SAME(type, name, target, parameters, arguments) \
  extern type name parameters __attribute__((alias(#target)));
#define MI_SAME_FREE(name) extern void name(void* p) __attribute__((alias("mi_free")));
#else
#define MI_SAME(type, name, target, parameters, arguments) \
  MI_JUMP(type, name, parameters, return target arguments)
#define MI_SAME_FREE(name) MI_JUMP(void, name, (void* p), mi_free(p))
#endif

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

MI_SAME_FREE(free)
MI_SAME_FREE(cfree)
MI_SAME_FREE(vfree)
MI_SAME_FREE(__libc_free)
MI_SAME_FREE(__libc_cfree)

MI_JUMP(size_t, malloc_usable_size, (void* p), return mi_malloc_usable_size(p))
MI_JUMP(__attribute__((weak)) int, reallocarr, (void* p, size_t count, size_t size), return mi_reallocarr(p, count, size))

// As glibc: ENOMEM for an overflow, where the BSDs and mi_reallocarray say EOVERFLOW.
MI_JUMP(void*, reallocarray, (void* p, size_t count, size_t size), return mi_reallocn(p, count, size))

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
MI_JUMP(void*, MI_MANGLED(_Znw, RKSt9nothrow_t), (size_t size, const void* tag), (void)tag; return mi_new_nothrow(size))
MI_JUMP(void*, MI_MANGLED(_Zna, RKSt9nothrow_t), (size_t size, const void* tag), (void)tag; return mi_new_nothrow(size))
MI_JUMP(void*, MI_MANGLED(_Znw, St11align_val_tRKSt9nothrow_t), (size_t size, size_t alignment, const void* tag), (void)tag; return mi_new_aligned_nothrow(size, alignment))
MI_JUMP(void*, MI_MANGLED(_Zna, St11align_val_tRKSt9nothrow_t), (size_t size, size_t alignment, const void* tag), (void)tag; return mi_new_aligned_nothrow(size, alignment))

MI_SAME_FREE(_ZdlPv)
MI_SAME_FREE(_ZdaPv)
MI_JUMP(void, MI_MANGLED(_ZdlPv, ), (void* p, size_t size), mi_free_size(p, size))
MI_JUMP(void, MI_MANGLED(_ZdaPv, ), (void* p, size_t size), mi_free_size(p, size))
MI_JUMP(void, _ZdlPvSt11align_val_t, (void* p, size_t alignment), mi_free_aligned(p, alignment))
MI_JUMP(void, _ZdaPvSt11align_val_t, (void* p, size_t alignment), mi_free_aligned(p, alignment))
MI_JUMP(void, MI_MANGLED(_ZdlPv, St11align_val_t), (void* p, size_t size, size_t alignment), mi_free_size_aligned(p, size, alignment))
MI_JUMP(void, MI_MANGLED(_ZdaPv, St11align_val_t), (void* p, size_t size, size_t alignment), mi_free_size_aligned(p, size, alignment))
MI_JUMP(void, _ZdlPvRKSt9nothrow_t, (void* p, const void* tag), (void)tag; mi_free(p))
MI_JUMP(void, _ZdaPvRKSt9nothrow_t, (void* p, const void* tag), (void)tag; mi_free(p))
MI_JUMP(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void* p, size_t alignment, const void* tag), (void)tag; mi_free_aligned(p, alignment))
MI_JUMP(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void* p, size_t alignment, const void* tag), (void)tag; mi_free_aligned(p, alignment))

// clang-format on

#pragma GCC visibility pop
#pragma GCC diagnostic pop

#endif
