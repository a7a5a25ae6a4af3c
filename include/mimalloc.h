// SPDX-License-Identifier: MIT
// mimalloc.h - the public interface: allocate, resize and free memory; options; callbacks
//
// What holds for every function below unless its comment says otherwise.
//
//   Threads    Any function may be called from any thread at any time, also before main and in
//              destructors. A block may be resized and freed by any thread, not only by the one
//              that allocated it.
//   Blocks     Uninitialised. Aligned to 8 bytes when the size is at most 8, to 16 otherwise. A
//              block may be used up to `mi_usable_size`. Every block of this library is freed with
//              `mi_free` (or a relative), however it was allocated.
//   Size 0     is a valid request: the result is a block of its own, not NULL, to be freed.
//   Units      Sizes, alignments and offsets are bytes. Arrays are (count, size of one element).
//   Alignment  A power of two, at least 1; anything up to 16 MiB and beyond. A size need not be a
//              multiple of its alignment.
//   Failure    The result is NULL, arguments keep their blocks, and errno says why:
//                ENOMEM   out of memory; the size is above PTRDIFF_MAX; count * size overflows
//                EINVAL   the alignment is 0 or not a power of two
//              One failure is one report: the error function (`mi_register_error`) gets ENOMEM
//              when memory is out, EOVERFLOW for a size above PTRDIFF_MAX or an overflow of
//              count * size, EINVAL for an alignment or a pointer that is not valid.
//   Success    A call that succeeds, and every free, leaves errno as it was.
//   C++        All functions are noexcept but the `mi_new` group, which may throw, and (for
//              compatibility of their types) `mi_posix_memalign` and `mi_register_error`.
#ifndef MIMALLOC_H
#define MIMALLOC_H

// The API level: major * 10000 + minor * 100 + patch. `mi_version` is the library's.
#define MI_MALLOC_VERSION 30403

// ---------------------------------------------------------------------------------------------
// What compilers call their attributes
// ---------------------------------------------------------------------------------------------

// mi_attr_noexcept    the function throws no C++ exception
// mi_decl_nodiscard   warn if the result is not used
#ifdef __cplusplus
#if (__cplusplus >= 201103L) || (defined(_MSC_VER) && _MSC_VER >= 1900)
#define mi_attr_noexcept noexcept
#else
#define mi_attr_noexcept throw()
#endif
#else
#define mi_attr_noexcept
#endif

#if defined(__cplusplus) \
    && ((__cplusplus >= 201703L) || (defined(_MSVC_LANG) && _MSVC_LANG >= 201703L))
#define mi_decl_nodiscard [[nodiscard]]
#elif defined(__GNUC__) || defined(__clang__)
#define mi_decl_nodiscard __attribute__((warn_unused_result))
#elif defined(_MSC_VER) && (_MSC_VER >= 1700)
#define mi_decl_nodiscard _Check_return_
#else
#define mi_decl_nodiscard
#endif

// mi_decl_export           visible outside the library. A program that uses the DLL on Windows
//                          defines MI_SHARED_LIB; MI_SHARED_LIB_EXPORT is for the library's build.
// mi_decl_restrict         } the result is fresh memory: no pointer to it, or in it, exists yet
// mi_attr_malloc           }
// mi_attr_alloc_size(s)    the block has as many bytes as argument number s says
// mi_attr_alloc_size2(s,n) the block has as many bytes as the product of two arguments says
// mi_attr_alloc_align(a)   argument number a is the alignment of the result
// mi_cdecl                 calling convention of the user's functions
#if defined(_MSC_VER) || (defined(_WIN32) && defined(__GNUC__))
#if !defined(MI_SHARED_LIB)
#define mi_decl_export
#elif defined(MI_SHARED_LIB_EXPORT)
#define mi_decl_export __declspec(dllexport)
#else
#define mi_decl_export __declspec(dllimport)
#endif
#elif defined(__GNUC__) || defined(__clang__)
#define mi_decl_export __attribute__((visibility("default")))
#else
#define mi_decl_export
#endif

#if defined(_WIN32)
#define mi_cdecl __cdecl
#else
#define mi_cdecl
#endif

#if defined(_MSC_VER) && (_MSC_VER >= 1900) && !defined(__clang__)
#define mi_decl_restrict __declspec(allocator) __declspec(restrict)
#elif defined(_MSC_VER)
#define mi_decl_restrict __declspec(restrict)
#else
#define mi_decl_restrict
#endif

#if defined(__GNUC__) || defined(__clang__)
#define mi_attr_malloc              __attribute__((malloc))
#define mi_attr_alloc_size(s)       __attribute__((alloc_size(s)))
#define mi_attr_alloc_size2(s1, s2) __attribute__((alloc_size(s1, s2)))
#define mi_attr_alloc_align(p)      __attribute__((alloc_align(p)))
#else
#define mi_attr_malloc
#define mi_attr_alloc_size(s)
#define mi_attr_alloc_size2(s1, s2)
#define mi_attr_alloc_align(p)
#endif

#include <stddef.h>  // size_t, wchar_t
#ifndef __cplusplus
#include <stdbool.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off

// ---------------------------------------------------------------------------------------------
// Basic allocation
// ---------------------------------------------------------------------------------------------

// Allocate `size` bytes. (C: malloc)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_malloc(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// Allocate `count` elements of `size` bytes, all zero. (C: calloc)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_calloc(size_t count, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(1, 2);

// Resize block `p` to `newsize` bytes, in place or by moving it; the contents are kept up to the
// smaller size, what is added is uninitialised. `p` may be NULL: then as `mi_malloc`. If `newsize`
// is 0, `p` is freed and the result is a block of the smallest size whose first byte is 0. If the
// result is NULL, `p` is untouched. (C: realloc, with a defined size 0)
mi_decl_nodiscard mi_decl_export void* mi_realloc(void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(2);

// Resize `p` without moving it: `p` if `newsize` fits the block, otherwise NULL and nothing
// changed. NULL for a NULL `p`. Not fitting is no failure: no report.
mi_decl_export void* mi_expand(void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(2);

// Free block `p`; NULL does nothing. A pointer into memory that is not ours is never followed: in a
// library that overrides malloc it goes on to the next allocator, elsewhere it is reported (EINVAL)
// and ignored. So is a pointer into memory of ours that holds no block; the debug build notices all
// pointers at which no block begins. A block that is freed twice is noticed if it has more than 32 KiB. A
// hardened process (`mi_option_secure`) notices all of these, and stops. (C: free)
mi_decl_export void mi_free(void* p) mi_attr_noexcept;

// `mi_free`, only for a block of `mi_malloc_small`, `mi_zalloc_small`, or their `u` forms.
mi_decl_export void mi_free_small(void* p) mi_attr_noexcept;

// Copy the string `s`; NULL for a NULL `s`, which is no failure. (POSIX: strdup)
mi_decl_nodiscard mi_decl_export mi_decl_restrict char* mi_strdup(const char* s)
    mi_attr_noexcept mi_attr_malloc;

// Copy at most `n` characters of `s` and terminate them; `s` needs no terminator if it has `n`
// characters. NULL for a NULL `s`. (POSIX: strndup)
mi_decl_nodiscard mi_decl_export mi_decl_restrict char* mi_strndup(const char* s, size_t n)
    mi_attr_noexcept mi_attr_malloc;

// Resolve a path to an absolute one without links, "." or "..". The result is `resolved_name`,
// which has room for PATH_MAX characters, or if that is NULL a new block. NULL with the system's
// errno if the path cannot be resolved (ENOENT, EACCES, ELOOP, ...; EINVAL for a NULL `fname`),
// which is not reported. (POSIX: realpath)
mi_decl_nodiscard mi_decl_export char* mi_realpath(const char* fname, char* resolved_name)
    mi_attr_noexcept;

// The largest size for the functions named small, in words and in bytes.
#define MI_SMALL_WSIZE_MAX (128)
#define MI_SMALL_SIZE_MAX  (MI_SMALL_WSIZE_MAX * sizeof(void*))

// `mi_malloc` for a `size` of at most MI_SMALL_SIZE_MAX. The caller sees to that.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_malloc_small(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// Allocate `count` elements of `size` bytes: `mi_calloc` without the zeros.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_mallocn(size_t count, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(1, 2);

// `mi_realloc` to `count` elements of `size` bytes.
mi_decl_nodiscard mi_decl_export void* mi_reallocn(void* p, size_t count, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);

// `mi_realloc`, but a failure frees `p`. (BSD: reallocf)
mi_decl_nodiscard mi_decl_export void* mi_reallocf(void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(2);

// How many bytes of block `p` may be used: at least what was asked for, constant until the block is
// resized. 0 for NULL. (A compiler under _FORTIFY_SOURCE=3 goes by what was asked for; there, use
// the functions with `u` below, which tell both.)
mi_decl_nodiscard mi_decl_export size_t mi_usable_size(const void* p) mi_attr_noexcept;

// The usable size that `mi_malloc` of `size` would give; when memory is short a block above 32 KiB may be
// larger. A `size` above PTRDIFF_MAX, which can only
// fail, is returned as it is.
mi_decl_nodiscard mi_decl_export size_t mi_good_size(size_t size) mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Zeroed memory
//
// The functions with `re` resize, and what they add is zero - if the block was allocated zeroed,
// was resized by this group only, was never made smaller, and was not used beyond the size asked
// for. (The library does not know which bytes of a block are yours.) A NULL `p` allocates.
// Otherwise they are `mi_realloc` and its relatives.
// ---------------------------------------------------------------------------------------------

// Allocate `size` bytes, all zero, and so is the rest of the block.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_zalloc(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// `mi_zalloc` for a `size` of at most MI_SMALL_SIZE_MAX. The caller sees to that.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_zalloc_small(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// `mi_realloc` that zeroes what it adds.
mi_decl_nodiscard mi_decl_export void* mi_rezalloc(void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(2);

// `mi_rezalloc` to `newcount` elements of `size` bytes.
mi_decl_nodiscard mi_decl_export void* mi_recalloc(void* p, size_t newcount, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);

// `mi_rezalloc` to a block that is aligned.
mi_decl_nodiscard mi_decl_export void* mi_rezalloc_aligned(
        void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(2) mi_attr_alloc_align(3);

// `mi_rezalloc` to a block that is aligned at `offset`.
mi_decl_nodiscard mi_decl_export void* mi_rezalloc_aligned_at(
        void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(2);

// `mi_recalloc` to a block that is aligned.
mi_decl_nodiscard mi_decl_export void* mi_recalloc_aligned(
        void* p, size_t newcount, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3) mi_attr_alloc_align(4);

// `mi_recalloc` to a block that is aligned at `offset`.
mi_decl_nodiscard mi_decl_export void* mi_recalloc_aligned_at(
        void* p, size_t newcount, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);

// ---------------------------------------------------------------------------------------------
// Aligned memory
//
// The size comes before the alignment. The functions with `_at` align not the block but the address
// `offset` bytes after it; `offset` may be anything, also more than the size, and the block itself
// is then aligned as far as `offset` is.
// ---------------------------------------------------------------------------------------------

// `mi_malloc` of a block that is aligned.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_malloc_aligned(
        size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);

// `mi_malloc` of a block that is aligned at `offset`.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_malloc_aligned_at(
        size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// `mi_zalloc` of a block that is aligned.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_zalloc_aligned(
        size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);

// `mi_zalloc` of a block that is aligned at `offset`.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_zalloc_aligned_at(
        size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// `mi_calloc` of a block that is aligned.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_calloc_aligned(
        size_t count, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(1, 2) mi_attr_alloc_align(3);

// `mi_calloc` of a block that is aligned at `offset`.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_calloc_aligned_at(
        size_t count, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(1, 2);

// `mi_realloc` to a block that is aligned like this, whether `p` was or not.
mi_decl_nodiscard mi_decl_export void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(2) mi_attr_alloc_align(3);

// `mi_realloc` to a block that is aligned at `offset`, whether `p` was or not.
mi_decl_nodiscard mi_decl_export void* mi_realloc_aligned_at(
        void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(2);

// ---------------------------------------------------------------------------------------------
// Allocation that also tells the usable size of the block
//
// `*block_size` becomes what `mi_usable_size` of the block would say. The pointer may be NULL; it
// is written only on success. (No mi_attr_alloc_size here: who asks for it may use all of it.)
// ---------------------------------------------------------------------------------------------

// `mi_malloc` and the size of the block.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_umalloc(size_t size, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc;

// `mi_calloc` and the size of the block.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_ucalloc(
        size_t count, size_t size, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc;

// `mi_realloc`; the sizes are those of `p` before (0 for NULL) and of the result.
mi_decl_nodiscard mi_decl_export void* mi_urealloc(
        void* p, size_t newsize, size_t* block_size_pre, size_t* block_size_post)
    mi_attr_noexcept;

// `mi_free`; the size is that of the freed block (0 for NULL).
mi_decl_export void mi_ufree(void* p, size_t* block_size) mi_attr_noexcept;

// `mi_malloc_aligned` and the size of the block.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_umalloc_aligned(
        size_t size, size_t alignment, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_align(2);

// `mi_zalloc_aligned` and the size of the block.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_uzalloc_aligned(
        size_t size, size_t alignment, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_align(2);

// `mi_malloc_small` and the size of the block, for a `size` of at most MI_SMALL_SIZE_MAX. The caller
// sees to that.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_umalloc_small(
        size_t size, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc;

// `mi_umalloc_small` of memory that is all zero.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_uzalloc_small(
        size_t size, size_t* block_size)
    mi_attr_noexcept mi_attr_malloc;

// ---------------------------------------------------------------------------------------------
// Names of other libraries
// ---------------------------------------------------------------------------------------------

// Free `p` if it is a block of ours; anything else is silently ignored. (SunOS, old glibc: cfree)
mi_decl_export void mi_cfree(void* p) mi_attr_noexcept;

// `mi_expand`, but NULL comes with errno ENOMEM. (Microsoft: _expand)
mi_decl_export void* mi__expand(void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(2);

// `mi_usable_size`, and silently 0 for a pointer that is not ours; a library that overrides malloc asks
// the next allocator about it. (macOS: malloc_size; glibc: malloc_usable_size)
mi_decl_nodiscard mi_decl_export size_t mi_malloc_size(const void* p)        mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export size_t mi_malloc_usable_size(const void* p) mi_attr_noexcept;

// `mi_good_size`. (macOS: malloc_good_size)
mi_decl_nodiscard mi_decl_export size_t mi_malloc_good_size(size_t size) mi_attr_noexcept;

// Allocate `size` bytes into `*p`. Returns 0; EINVAL if `p` is NULL or `alignment` is not a power
// of two or not a multiple of sizeof(void*); ENOMEM. The code is the result, do not look at errno.
// `*p` is written only on success. (POSIX: posix_memalign)
mi_decl_export int mi_posix_memalign(void** p, size_t alignment, size_t size);

// `mi_malloc_aligned` with the alignment first. (SunOS, glibc: memalign)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_memalign(size_t alignment, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(1);

// Aligned to an OS page. (BSD: valloc)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_valloc(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// Aligned to an OS page, and `size` is rounded up to whole OS pages. (glibc: pvalloc)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_pvalloc(size_t size)
    mi_attr_noexcept mi_attr_malloc;

// `mi_malloc_aligned` with the alignment first; `size` need not be a multiple of it. (C11:
// aligned_alloc)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_aligned_alloc(
        size_t alignment, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(1);

// `mi_reallocn`, but errno is EOVERFLOW if count * size overflows. (BSD: reallocarray)
mi_decl_nodiscard mi_decl_export void* mi_reallocarray(void* p, size_t count, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);

// `ptrp` is the address of a pointer to a block, or to NULL: resize that block to `count` elements
// of `size` bytes and store where it is now. A `count` of 0 frees it and stores NULL. Returns 0;
// EINVAL if `ptrp` is NULL or `size` is 0; EOVERFLOW if count * size overflows; ENOMEM. The code is
// also put into errno, and then the pointer and its block are untouched. (NetBSD: reallocarr)
mi_decl_nodiscard mi_decl_export int mi_reallocarr(void* ptrp, size_t count, size_t size)
    mi_attr_noexcept;

// `mi_recalloc_aligned`. (Microsoft: _aligned_recalloc)
mi_decl_nodiscard mi_decl_export void* mi_aligned_recalloc(
        void* p, size_t newcount, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3) mi_attr_alloc_align(4);

// `mi_recalloc_aligned_at`. (Microsoft: _aligned_offset_recalloc)
mi_decl_nodiscard mi_decl_export void* mi_aligned_offset_recalloc(
        void* p, size_t newcount, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);

// `mi_free` by a caller who knows the size, or the alignment, that the block was allocated with.
// Both must be right: the library may rely on them. (C23: free_sized, free_aligned_sized)
mi_decl_export void mi_free_size(void* p, size_t size)                           mi_attr_noexcept;
mi_decl_export void mi_free_size_aligned(void* p, size_t size, size_t alignment) mi_attr_noexcept;
mi_decl_export void mi_free_aligned(void* p, size_t alignment)                   mi_attr_noexcept;

// Copy the environment variable `name` into a new block `*buf`, and its length with the terminator
// into `*size`, if that is not NULL. Returns 0; EINVAL if `buf` or `name` is NULL; ENOMEM. A
// variable that is not set gives 0, with `*buf` NULL and `*size` 0. Like getenv, not to be called
// while another thread changes the environment. (Microsoft: _dupenv_s)
mi_decl_export int mi_dupenv_s(char** buf, size_t* size, const char* name) mi_attr_noexcept;

// The same for wide characters, on Windows only; elsewhere `*buf` becomes NULL, `*size` 0, and the
// result is EINVAL. (Microsoft: _wdupenv_s)
mi_decl_export int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) mi_attr_noexcept;

// `mi_strdup` for wide and for unsigned characters; NULL for NULL. (POSIX: wcsdup; Microsoft:
// _mbsdup)
mi_decl_nodiscard mi_decl_export mi_decl_restrict wchar_t* mi_wcsdup(const wchar_t* s)
    mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export mi_decl_restrict unsigned char* mi_mbsdup(const unsigned char* s)
    mi_attr_noexcept mi_attr_malloc;

// ---------------------------------------------------------------------------------------------
// Allocation as by C++ operator new
//
// On a failure, after its report, the installed new_handler is called and the request tried again,
// until there is memory, the handler throws, or no handler is installed. Then std::bad_alloc is
// thrown (in a program without C++: abort), or for the nothrow forms NULL returned; with those the
// handler itself must not throw.
// ---------------------------------------------------------------------------------------------

// operator new(size)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_new(size_t size)
    mi_attr_malloc mi_attr_alloc_size(1);

// operator new(size, std::align_val_t)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_new_aligned(
        size_t size, size_t alignment)
    mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);

// operator new(size, std::nothrow)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_new_nothrow(size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);

// operator new(size, std::align_val_t, std::nothrow)
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_new_aligned_nothrow(
        size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);

// `count` elements of `size` bytes. No handler can help if count * size overflows, so it is called
// once at most.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_new_n(size_t count, size_t size)
    mi_attr_malloc mi_attr_alloc_size2(1, 2);

// `mi_realloc` and `mi_reallocn` that fail like `mi_new`; `p` is untouched if they throw.
mi_decl_nodiscard mi_decl_export void* mi_new_realloc(void* p, size_t newsize)
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_new_reallocn(void* p, size_t newcount, size_t size)
    mi_attr_alloc_size2(2, 3);

// ---------------------------------------------------------------------------------------------
// Callbacks
//
// One function of each kind for the whole process; NULL restores the default. `arg` is passed on to
// each call. The functions may be called by any thread, by several at once; they may allocate and
// free. Set them while no other thread can be about to call them, or keep old functions working.
// ---------------------------------------------------------------------------------------------

// A user's function that frees what the program has put off. `force`: free all of it. `heartbeat`
// counts up per thread, going on from that of an ended thread whose memory it took over.
typedef void (mi_cdecl mi_deferred_free_fun)(bool force, unsigned long long heartbeat, void* arg);

// Have `deferred_free` called with each beat: from allocations that cannot be served at once, and
// from each `mi_collect`. A thread that goes on allocating meets a beat at the latest with its
// 8192nd allocation of one block size in a row, or its 40 000th of any sizes, and with each one of
// more than 32 KiB. It is not called again from within itself on the same thread, nor on a thread
// that has ended (in its last destructors). Default: none.
mi_decl_export void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg)
    mi_attr_noexcept;

// A user's function that takes text. A message may come in pieces: join them, add no newline.
typedef void (mi_cdecl mi_output_fun)(const char* msg, void* arg);

// Send all text of the library to `out`. Default: standard error. Text from before the first
// registration is kept (the first 16 KiB) and delivered at once.
mi_decl_export void mi_register_output(mi_output_fun* out, void* arg) mi_attr_noexcept;

// A user's function that takes an error number: ENOMEM, EOVERFLOW, EINVAL as said at the top of
// this file; EAGAIN for a block that was freed twice; EFAULT for memory that was overwritten.
typedef void (mi_cdecl mi_error_fun)(int err, void* arg);

// Have `fun` called once for each failure, after its message was printed (if
// `mi_option_show_errors` or `mi_option_verbose` say so). It may return. Default: a
// pointer that is not what it should be stops a hardened process, all other errors end in the result of the
// call.
mi_decl_export void mi_register_error(mi_error_fun* fun, void* arg);

// ---------------------------------------------------------------------------------------------
// Process and threads. Start and end are automatic; to call these is never needed.
// ---------------------------------------------------------------------------------------------

// Free what the calling thread keeps for reuse; `force`: give it back to the OS now, with all that
// no thread uses. Blocks are not affected.
mi_decl_export void mi_collect(bool force) mi_attr_noexcept;

// The layout of `mi_purge_report_t`.
#define MI_PURGE_REPORT_VERSION 1

// What `mi_purge_all` has done. (Our own addition)
typedef struct mi_purge_report_s {
  size_t size;     // sizeof(mi_purge_report_t), set by the caller
  size_t version;  // MI_PURGE_REPORT_VERSION, set by the caller
  size_t purged;   // bytes given back to the OS meanwhile
  size_t waiting;  // free bytes that are left, because the OS refused, or freed just now
  size_t pinned;   // free bytes of pages that no thread owns, between blocks that are in use or held
  size_t threads;  // that have memory of ours, if they were asked
  size_t missing;  // those of them that have not answered: they wait, or compute without allocating
  size_t held;     // what these hold: free blocks in their pages, empty pages, and blocks held ready
} mi_purge_report_t;

// For `mi_purge_all`: ask the other threads, too.
#define MI_PURGE_ASK 1u

// Give back to the OS whatever is free and no thread owns, and what the calling thread keeps. With the flag
// MI_PURGE_ASK every other thread is asked for the empty pages and blocks that it keeps: it gives them back at
// its next slow path, and the call waits for that, but not longer than `wait_ms`. Nobody takes memory away from
// a thread, which may go on at any time; what those hold that do not answer is in the report. `report` may be
// NULL. False, and nothing done, if its size or version is not what this library has. (Our own addition)
mi_decl_export bool mi_purge_all(unsigned flags, size_t wait_ms, mi_purge_report_t* report) mi_attr_noexcept;

// The calling thread will wait for something, perhaps for long: free what it keeps for reuse, and give back to
// the OS what is due (mi_option_purge_delay). For the idle hook of a program's event loop. It costs a look at
// each page of the thread; memory that is wanted again soon stays warm. (Our own addition)
mi_decl_export void mi_on_thread_idle(void) mi_attr_noexcept;

// Deprecated, use `mi_collect`. The same, for a thread that wants to keep at most about
// `target_thread_owned` bytes; a hint.
mi_decl_export void mi_collect_reduce(size_t target_thread_owned) mi_attr_noexcept;

// MI_MALLOC_VERSION of the library that runs.
mi_decl_export int mi_version(void) mi_attr_noexcept;

// Start the library; has an effect only if it is the first call into it.
mi_decl_export void mi_process_init(void) mi_attr_noexcept;

// End the library as at exit: print statistics if an option asks for them. Has an effect only once.
// Blocks stay valid, and allocation goes on to work.
mi_decl_export void mi_process_done(void) mi_attr_noexcept;

// Start the calling thread; has an effect only if it has not called into the library yet.
mi_decl_export void mi_thread_init(void) mi_attr_noexcept;

// End the calling thread as at its exit: its blocks stay valid, its unused memory serves other
// threads. Should it go on to allocate, it starts again.
mi_decl_export void mi_thread_done(void) mi_attr_noexcept;

// Tell that the calling thread is one of a pool, which takes turns with others: it keeps less
// unused memory for itself. A hint.
mi_decl_export void mi_thread_set_in_threadpool(void) mi_attr_noexcept;

// Is malloc redirected to this library by the redirection module of Windows? Elsewhere false.
mi_decl_nodiscard mi_decl_export bool mi_is_redirected(void) mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Statistics. As numbers, JSON and for Prometheus: mimalloc-stats.h, which says what they mean.
//
// Text goes to `out`, or if that is NULL to the registered output; a call of `out` gets one line.
// ---------------------------------------------------------------------------------------------

// A set of blocks that belong together, whatever threads allocate them: see the section about heaps.
typedef struct mi_heap_s mi_heap_t;

// Print the statistics of the process, or of one heap (NULL: the main one).
mi_decl_export void mi_stats_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;
mi_decl_export void mi_heap_stats_print_out(mi_heap_t* heap, mi_output_fun* out, void* arg)
    mi_attr_noexcept;

// Deprecated, use `mi_stats_print_out`. `out` is NULL, stdout or stderr, which all mean the
// registered output, or a `mi_output_fun*` that gets a NULL `arg`.
mi_decl_export void mi_stats_print(void* out) mi_attr_noexcept;

// Deprecated. Print the statistics of the calling thread: of the pages that it owns.
mi_decl_export void mi_thread_stats_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;
mi_decl_export void mi_thread_stats_print(mi_output_fun* out)                mi_attr_noexcept;

// Deprecated. The peaks begin again with the next snapshot. What was counted since the start stays.
mi_decl_export void mi_stats_reset(void) mi_attr_noexcept;

// These have nothing to do: statistics are counted when they are asked for. (They add a thread's
// figures to the process, and a heap's.)
mi_decl_export void mi_stats_merge(void)                           mi_attr_noexcept;
mi_decl_export void mi_heap_stats_merge_to_subproc(mi_heap_t* heap) mi_attr_noexcept;

// About the process: milliseconds since the start of the library and of CPU, resident bytes as the
// system says, memory that the library has from the system and its peak (of all snapshots), and page
// faults that had to wait for a disk. Each pointer may be NULL.
mi_decl_export void mi_process_info(
        size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs, size_t* current_rss,
        size_t* peak_rss, size_t* current_commit, size_t* peak_commit, size_t* page_faults)
    mi_attr_noexcept;

// Print the same.
mi_decl_export void mi_process_info_print(void)                               mi_attr_noexcept;
mi_decl_export void mi_process_info_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Introspection
// ---------------------------------------------------------------------------------------------

// A piece of memory with blocks of one size.
typedef struct mi_heap_area_s {
  void* blocks;            // where it begins
  size_t reserved;         // bytes
  size_t committed;        // bytes that were used so far
  size_t used;             // live blocks; those that threads hold ready count
  size_t block_size;       // bytes of a block that may be used ...
  size_t full_block_size;  // ... and all bytes of it
  void* reserved1;
} mi_heap_area_t;

// A user's function that sees an area (then `block` is NULL) or a live block of it. Returns whether to go
// on. It may free the block that it is shown, and no other.
typedef bool (mi_cdecl mi_block_visit_fun)(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                           size_t block_size, void* arg);

// Show all areas of `heap` (NULL: the main one) to `visitor`, whatever thread they belong to, and with
// `visit_blocks` each live block after its area. No other thread may use the heap meanwhile. Blocks
// above 32 KiB are areas of their own; where one was aligned with an offset, `block` is the start of
// its memory. False if the visitor stopped it, if it is NULL, or when out of memory.
mi_decl_export bool mi_heap_visit_blocks(
        mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg)
    mi_attr_noexcept;

// The same for the areas that no thread owns: those of threads that ended a while ago, or that a
// thread has let go of. No option is needed.
mi_decl_export bool mi_heap_visit_abandoned_blocks(
        mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg)
    mi_attr_noexcept;

// Look at what the calling thread and, in a hardened process, everyone has: for damaged lists, bytes behind
// blocks that were overwritten, and free blocks that were written to. What is found is reported as it would be later, by
// a free or an allocation, and a hardened process stops. False if anything was found. (Our own addition)
mi_decl_nodiscard mi_decl_export bool mi_check_heap(void) mi_attr_noexcept;

// How much of the memory around the block at `address`, which it shares with others of its size, is live: above 0
// and at most 1. Blocks that threads hold ready count as live. 1 for a block above 32 KiB, which shares
// nothing; 0 for a pointer that is not ours. Takes a few instructions, on any thread. (Our own addition)
mi_decl_nodiscard mi_decl_export double mi_block_utilization(const void* address) mi_attr_noexcept;

// For programs that can move their objects: would memory come back if the calling thread replaced the block,
// and all its neighbours, by new blocks? True if less than `ratio` of the memory around it is live, and
// that is not where the thread's next blocks come from. (Our own addition)
mi_decl_nodiscard mi_decl_export bool mi_should_move(const void* address, double ratio) mi_attr_noexcept;

// Older form of the same question: is the page of `address` complete, not full, not the one that blocks come
// from, and at most `perc_threshold` percent of it live? False if the calling thread does not own it, or
// it is not of `heap` (NULL: any).
mi_decl_export bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* address, size_t perc_threshold)
    mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Options
//
// The environment variable of `mi_option_verbose` is MIMALLOC_VERBOSE, and so on (letter case does
// not matter). Read at the start of the process, unless the program has set the option before; not
// read at all by a setuid program.
//
//   Values   a decimal number, or (empty), 1, TRUE, YES, ON for 1 and 0, FALSE, NO, OFF for 0
//   Sizes    a number of bytes, which is rounded up to KiB, or a number with a unit: K, M, G or T,
//            alone or followed by B or iB, all of them powers of 1024. `mi_option_get` and
//            `mi_option_set` count in KiB, `mi_option_get_size` in bytes
//   Invalid  values are ignored with a warning
//   Names    of older versions work as long as the new one is not there, with a warning that tells
//            the new one. A MIMALLOC_ variable that is no option gets one, too
//
// All options of mimalloc 3 can be set and read. Those marked [none] have no effect here, because
// the library has no such mechanism or decides by itself; `mi_options_print` says why, and with
// `mi_option_verbose` so does the start. Those marked [start] are used at the start of the process
// and cannot be set after it. Further defaults are those of mimalloc.
// ---------------------------------------------------------------------------------------------

typedef enum mi_option_e {
  // Print errors and warnings: 0 (the default of a release build) or 1 (of a debug build).
  mi_option_show_errors = 0,
  // Print statistics at the end of the process: 0 (default) or 1.
  mi_option_show_stats = 1,
  // 1: print also what is no error, and statistics at the end; 2 and up: print more. Default 0.
  mi_option_verbose = 2,
  mi_option_deprecated_eager_commit = 3,  // [none]
  // Commit arenas when they are reserved: 0, 1, or 2 (default) if that costs nothing. [none]
  mi_option_arena_eager_commit = 4,
  // Purge by decommit (1, default) or by reset (0). [none]: always the first
  mi_option_purge_decommits = 5,
  // Use large OS pages (2 MiB) also in the first 64 MiB of the heap, where they are never used otherwise: 0 (default)
  // or 1. Looked at when the first memory is reserved.
  mi_option_allow_large_os_pages = 6,
  // Reserve that many huge OS pages of 1 GiB at the start, and at which NUMA node (-1: any). [start]
  mi_option_reserve_huge_os_pages = 7,
  mi_option_reserve_huge_os_pages_at = 8,
  // Set that much memory apart at the start; a size. [start]
  mi_option_reserve_os_memory = 9,
  mi_option_deprecated_segment_cache = 10,         // [none]
  mi_option_deprecated_page_reset = 11,            // [none]
  mi_option_deprecated_abandoned_page_purge = 12,  // [none]
  mi_option_deprecated_segment_reset = 13,         // [none]
  mi_option_deprecated_eager_commit_delay = 14,    // [none]
  // Milliseconds until unused memory goes back to the OS: 0 at once, -1 never. Default 1000.
  mi_option_purge_delay = 15,
  // Pretend to have that many NUMA nodes. [none] [start]
  mi_option_use_numa_nodes = 16,
  // Use only memory that is reserved already: 0 (default) or 1. [none]
  mi_option_disallow_os_alloc = 17,
  // The tag of our memory on macOS. [none]
  mi_option_os_tag = 18,
  // Print at most that many errors, or warnings; no limit if negative, or if verbose. Default 32.
  mi_option_max_errors = 19,
  mi_option_max_warnings = 20,
  mi_option_deprecated_max_segment_reclaim = 21,  // [none]
  // Give all memory back at the end of the process. [none]: the OS does
  mi_option_destroy_on_exit = 22,
  // The size of an arena; a size. [none]
  mi_option_arena_reserve = 23,
  // The purge delay of arenas is that many times `mi_option_purge_delay`. [none]
  mi_option_arena_purge_mult = 24,
  mi_option_deprecated_purge_extend_delay = 25,  // [none]
  // Take memory from the OS, not from arenas. [none]
  mi_option_disallow_arena_alloc = 26,
  // Milliseconds for which a failing OS is asked again, on Windows. [none]
  mi_option_retry_on_oom = 27,
  // Keep track of abandoned memory, so that its blocks can be visited. [none]: they always can
  mi_option_visit_abandoned = 28,
  // Guard pages around sampled blocks: their least and largest size in bytes, whether a block ends
  // exactly at its guard page (else it ends within 16 bytes of one, or begins at one), one block of how many,
  // and where the sampling begins. Looked at by the first allocation, the sizes by each thread's first.
  mi_option_guarded_min = 29,
  mi_option_guarded_max = 30,
  mi_option_guarded_precise = 31,
  mi_option_guarded_sample_rate = 32,
  mi_option_guarded_sample_seed = 33,
  // Collect after that many slow paths. [none]
  mi_option_generic_collect = 34,
  // Take over an abandoned page when a block of it is freed. [none]
  mi_option_page_reclaim_on_free = 35,
  // Full pages that a thread keeps per size, and pages that it compares. [none]
  mi_option_page_full_retain = 36,
  mi_option_page_max_candidates = 37,
  // Bits of an address; use a map of all of them. [none] [start]
  mi_option_max_vabits = 38,
  mi_option_pagemap_commit = 39,
  // Commit larger pages piece by piece. [none]: always
  mi_option_page_commit_on_demand = 40,
  // Pages that a thread takes over at most, of its own and of others. [none]
  mi_option_page_max_reclaim = 41,
  mi_option_page_cross_thread_max_reclaim = 42,
  // Transparent huge pages, beyond the first 64 MiB: 0: none; 1 (default): where pages fill empty segments of 4 MiB,
  // until a part of one is free for long enough to be purged; huge blocks are as the system likes. [start]
  mi_option_allow_thp = 43,
  // The least memory that is purged; a size. [none]
  mi_option_minimal_purge_size = 44,
  // Larger blocks come from the OS directly; a size. [none]
  mi_option_arena_max_object_size = 45,
  // An arena belongs to the NUMA node of the thread that needs it. [none]
  mi_option_arena_is_numa_local = 46,
  // May a thread of ours finish purging when nobody calls? 0: no; 1: in processes that have threads, once more
  // than 16 MiB wait; 2: in all. Where it may not, who frees so much gives it back. (Our own addition)
  mi_option_purge_thread = 47,
  // How hardened the process is, 0 (default) to 5: docs/security.md. Looked at by the first allocation, and
  // not again. Default 4 in the secure build.
  mi_option_secure = 48,
  // What that notices stops the program: 1 (default), or 0: it is reported, and the program goes on. It
  // also goes on if it has an error function of its own (`mi_register_error`).
  mi_option_secure_stop = mi_option_secure + 1,
  // Note who allocates and frees guarded blocks, and say so when one is touched where it must not be: 0 (default) or
  // 1. It takes a handler of SIGSEGV, which calls the one that was there before. [start]
  mi_option_guarded_report = mi_option_secure + 2,
  // The process's limits of memory: see `mi_limit_set`; sizes. Default 0: none. [start]
  mi_option_limit_soft = mi_option_secure + 3,
  mi_option_limit_hard = mi_option_secure + 4,
  // A hard limit from the limit of memory of the control group (version 1 or 2) that the process is in, if that is
  // the lower one: 0 (default): no; 1 or "auto": 15/16 of it; a larger number, also "80%": so many percent. The rest
  // is for our records, stacks, code, and other memory of the program. [start]
  mi_option_cgroup_limit = mi_option_secure + 5,
  // Let a thread of ours look four times a second whether the system or the control group is short of memory (PSI,
  // or the group's refusals), and then give back all that is free: 0 (default) or 1. The child of a fork
  // has that thread once it frees much. [start]
  mi_option_memory_pressure = mi_option_secure + 6,
  // All options are below.
  _mi_option_last = mi_option_memory_pressure + 1,

  // Old names.
  mi_option_large_os_pages = mi_option_allow_large_os_pages,
  mi_option_eager_region_commit = mi_option_arena_eager_commit,
  mi_option_reset_decommits = mi_option_purge_decommits,
  mi_option_reset_delay = mi_option_purge_delay,
  mi_option_limit_os_alloc = mi_option_disallow_os_alloc
} mi_option_t;

// The value. 0 if there is no such option.
mi_decl_nodiscard mi_decl_export long mi_option_get(mi_option_t option) mi_attr_noexcept;

// The value, but not below `min` nor above `max`.
mi_decl_nodiscard mi_decl_export long mi_option_get_clamp(mi_option_t option, long min, long max)
    mi_attr_noexcept;

// The value as a size: 0 if it is negative. In bytes for an option that is a size, at most
// PTRDIFF_MAX.
mi_decl_nodiscard mi_decl_export size_t mi_option_get_size(mi_option_t option) mi_attr_noexcept;

// Is the value not 0?
mi_decl_nodiscard mi_decl_export bool mi_option_is_enabled(mi_option_t option) mi_attr_noexcept;

// Set the value, whatever the environment says. Nothing happens if there is no such option. An
// option that is used at the start only is not set any more by then, which gives a warning.
// `mi_option_guarded_min` and `mi_option_guarded_max` pull each other along to stay in order.
mi_decl_export void mi_option_set(mi_option_t option, long value)          mi_attr_noexcept;
mi_decl_export void mi_option_set_enabled(mi_option_t option, bool enable) mi_attr_noexcept;  // 1, 0
mi_decl_export void mi_option_enable(mi_option_t option)                   mi_attr_noexcept;  // 1
mi_decl_export void mi_option_disable(mi_option_t option)                  mi_attr_noexcept;  // 0

// Set the default: changes the value only if neither the environment nor the program has set it.
mi_decl_export void mi_option_set_default(mi_option_t option, long value)          mi_attr_noexcept;
mi_decl_export void mi_option_set_enabled_default(mi_option_t option, bool enable) mi_attr_noexcept;

// Print the version, how the library was built, and all options with their values; to the
// registered output, or to `out` unless that is NULL.
mi_decl_export void mi_options_print(void)                              mi_attr_noexcept;
mi_decl_export void mi_options_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Heaps: docs/heaps.md is the contract in one page
// ---------------------------------------------------------------------------------------------

// A heap holds blocks that can be ended together. Any thread may allocate in any heap, and free any block
// (`mi_free`); behind a heap each thread that uses it has its own part, a theap. What a heap argument of NULL
// means: the main heap. While a heap is deleted or destroyed nobody else may use it, except that blocks of a heap
// that is deleted may be freed at any time. A heap is in use while it is the default of a thread.
typedef struct mi_theap_s mi_theap_t;

// A new heap, in the sub-process of the thread. NULL when out of memory.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new(void) mi_attr_noexcept;

// End the heap. Its blocks live on in the main heap. NULL does nothing; the main heap is refused with a warning.
mi_decl_export void mi_heap_delete(mi_heap_t* heap) mi_attr_noexcept;

// End the heap with all its blocks at once. NULL does nothing; the main heap is refused with a warning.
mi_decl_export void mi_heap_destroy(mi_heap_t* heap) mi_attr_noexcept;

// New memory for the heap comes from an arena on this NUMA node (`mi_reserve_huge_os_pages_at`, not exclusive), as long
// as that has room, also for a main heap, whose blocks of more than 32 KiB take whole 64 KiB then. If there is no such
// arena now, or the node is negative, from anywhere; what it has stays. The OS places other memory where a thread first
// touches it.
mi_decl_export void mi_heap_set_numa_affinity(mi_heap_t* heap, int numa_node) mi_attr_noexcept;

// A user's function for an allocation of `size` bytes that a hard limit forbids, of `heap`, or of the process if
// `heap` is NULL. It may free something, and then return true to have the allocation tried again, as often as it
// does; false, and the allocation fails. What it allocates itself fails without another call.
typedef bool (mi_cdecl mi_limit_fun)(mi_heap_t* heap, size_t size, void* arg);

// Limit the memory of the process's blocks to so many bytes; 0: no limit. Beyond `soft` free memory goes back to
// the OS before more is taken, whatever the purge delay is. What would go beyond `hard` fails with ENOMEM, after
// everything free was given back and the registered function was asked. Counted are slices of 64 KiB that have been
// touched, and 4 KiB units of blocks from 32 KiB to 1 MiB; huge blocks count as a whole from the start. Our
// records (about 0.2 %) are not counted, nor is memory of `mi_manage_memory`. A limit below what is in use makes
// the process fail only when it wants more. (Our own addition)
mi_decl_export void mi_limit_set(size_t soft, size_t hard)             mi_attr_noexcept;

// The process's limits, and the bytes that count now. Either may be NULL. (Our own addition)
mi_decl_export size_t mi_limit_get(size_t* soft, size_t* hard)         mi_attr_noexcept;

// Have `fun` called (NULL: none). (Our own addition)
mi_decl_export void mi_limit_register(mi_limit_fun* fun, void* arg) mi_attr_noexcept;

// The same limits for one heap: its pages of 64 or 128 KiB and its large blocks count. Beyond `soft` the calling
// thread's empty pages of the heap go back before more is taken. Threads that allocate at the same moment may pass
// the limit by a page or a block each; from secure level 3 on only large blocks count. False for the
// process's main heap. (Our own addition)
mi_decl_export bool mi_heap_limit_set(mi_heap_t* heap, size_t soft, size_t hard) mi_attr_noexcept;

// The heap's limits and what counts now; of the process's main heap those of the process. (Our own addition)
mi_decl_export size_t mi_heap_limit_get(mi_heap_t* heap, size_t* soft, size_t* hard) mi_attr_noexcept;

// Give back what is free in the running thread's part of the heap; `force`: also of threads that ended.
mi_decl_export void mi_heap_collect(mi_heap_t* heap, bool force) mi_attr_noexcept;

// The main heap of the thread's sub-process.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_main(void) mi_attr_noexcept;

// The heap of the block that `p` points into, wherever that is; NULL if it is not ours. Constant time, but for pointers
// far into a block of more than 64 KiB: a step per 64 KiB before them.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_of(const void* p) mi_attr_noexcept;

// Is that heap this one? Is there any?
mi_decl_nodiscard mi_decl_export bool mi_heap_contains(const mi_heap_t* heap, const void* p)
    mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export bool mi_any_heap_contains(const void* p) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export bool mi_is_in_heap_region(const void* p) mi_attr_noexcept;
mi_decl_export bool mi_check_owned(const void* p)                         mi_attr_noexcept;

// As the functions without `heap_`, in this heap. Resizing moves a block of another heap into this one.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_malloc(mi_heap_t* heap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_zalloc(mi_heap_t* heap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_malloc_small(mi_heap_t* heap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4);
mi_decl_nodiscard mi_decl_export void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4);
mi_decl_nodiscard mi_decl_export mi_decl_restrict char* mi_heap_strdup(mi_heap_t* heap, const char* s)
    mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export mi_decl_restrict char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n)
    mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name)
    mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(2, 3) mi_attr_alloc_align(4);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(3) mi_attr_alloc_align(4);
mi_decl_nodiscard mi_decl_export void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(3) mi_attr_alloc_align(4);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4) mi_attr_alloc_align(5);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4);

// `mi_new` and `mi_new_n` in this heap: they may throw.
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_alloc_new(mi_heap_t* heap, size_t size)
    mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size)
    mi_attr_malloc mi_attr_alloc_size2(2, 3);

// The running thread's part of a heap, for this thread only: one look-up less per call. NULL when out of memory.
mi_decl_export mi_theap_t* mi_heap_theap(mi_heap_t* heap) mi_attr_noexcept;

// The theap that `mi_malloc` and its relatives use in this thread; a thread begins with that of the main heap.
// Setting returns the one before; NULL, or one of another thread, changes nothing.
mi_decl_export mi_theap_t* mi_theap_get_default(void)              mi_attr_noexcept;
mi_decl_export mi_theap_t* mi_theap_set_default(mi_theap_t* theap) mi_attr_noexcept;

// As the functions without `theap_`; NULL is the default one.
mi_decl_export void mi_theap_collect(mi_theap_t* theap, bool force) mi_attr_noexcept;

// Put one of `sample_rate` blocks that the theap allocates from now on between guard pages: 0 none, 1 all. The
// choice is random; the same `seed` makes the same choice, 0 another each time. And only blocks of `min` to `max`
// bytes. For threads and theaps that were not told: the options mi_option_guarded_*. NULL is the calling thread's
// default theap; others' theaps, and those of heaps that are not a main one, have no guarded blocks.
mi_decl_export void mi_theap_guarded_set_sample_rate(mi_theap_t* theap, size_t sample_rate, size_t seed)
    mi_attr_noexcept;
mi_decl_export void mi_theap_guarded_set_size_bound(mi_theap_t* theap, size_t min, size_t max)
    mi_attr_noexcept;
// Their names of version 2, for the calling thread's theap of the heap.
mi_decl_export void mi_heap_guarded_set_sample_rate(mi_heap_t* heap, size_t sample_rate, size_t seed)
    mi_attr_noexcept;
mi_decl_export void mi_heap_guarded_set_size_bound(mi_heap_t* heap, size_t min, size_t max)
    mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_malloc(mi_theap_t* theap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_zalloc(mi_theap_t* theap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_calloc(mi_theap_t* theap, size_t count, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_malloc_small(mi_theap_t* theap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_zalloc_small(mi_theap_t* theap, size_t size)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export mi_decl_restrict void* mi_theap_malloc_aligned(mi_theap_t* theap, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export void* mi_theap_realloc(mi_theap_t* theap, void* p, size_t newsize)
    mi_attr_noexcept mi_attr_alloc_size(3);

// As `mi_heap_visit_blocks`, for the pages of this theap only. Blocks above 32 KiB belong to no theap.
mi_decl_export bool mi_theap_visit_blocks(
        const mi_theap_t* theap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg)
    mi_attr_noexcept;

// As in version 2: the thread's default heap, its first one, and whether a block is in a heap.
mi_decl_export mi_heap_t* mi_heap_set_default(mi_heap_t* heap)                mi_attr_noexcept;
mi_decl_export mi_heap_t* mi_heap_get_default(void)                           mi_attr_noexcept;
mi_decl_export mi_heap_t* mi_heap_get_backing(void)                           mi_attr_noexcept;
mi_decl_export bool mi_heap_contains_block(mi_heap_t* heap, const void* p)    mi_attr_noexcept;
mi_decl_export bool mi_heap_check_owned(mi_heap_t* heap, const void* p)       mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Arenas: memory that the program sets apart
// ---------------------------------------------------------------------------------------------

// An arena has at least `mi_arena_min_size` bytes and whole 4 MiB; all of it is for blocks, our records lie elsewhere.
// An exclusive one serves only the heaps that are bound to it. NULL is none.
typedef void* mi_arena_id_t;

// Set `size` bytes apart. 0, or ENOMEM, also if `size` is too small. `commit` changes nothing: memory is there once it
// is touched. `allow_large`: large OS pages are welcome.
mi_decl_export int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) mi_attr_noexcept;
mi_decl_export int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t* arena_id)
    mi_attr_noexcept;

// The same in huge OS pages, `pages` of 1 GiB each (of 2 MiB pages where there are no larger ones), as many as are
// to be had: `mi_arena_area` says how many. 0 if there are any, or `pages` is 0; ENOMEM; ETIMEDOUT if the time was over
// before the first. A time-out of 0 is none. `numa_node` -1 is any; `numa_nodes` 0 is all.
mi_decl_export int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) mi_attr_noexcept;
mi_decl_export int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive, mi_arena_id_t* arena_id)
    mi_attr_noexcept;
mi_decl_export int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs)
    mi_attr_noexcept;

// As in version 1: a time in seconds; `*pages_reserved`, unless that is NULL, is how many there were.
mi_decl_export int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) mi_attr_noexcept;

// Opens the program's memory from `start` on (`commit`), and then says in `*is_zero` whether it is all zero; or takes it
// back. Returns whether it did. It may use other memory of ours.
typedef bool (mi_cdecl mi_commit_fun_t)(bool commit, void* start, size_t size, bool* is_zero, void* user_arg);

// Make an arena of memory of the program: the whole 64 KiB in it, which stay the program's and have to stay until
// the arena is released. False with a warning if it is smaller than an arena, or a part is ours already. Exclusive or
// not, heaps that are bound to it have all their memory there; if it is not exclusive, others use it, too, as soon as
// the system has no more. Its blocks are slower than others: a lock each.
// If it is not `is_committed`, parts are opened before they are used, by `commit_fun`, or if that is NULL by the OS; then
// they are zero if `is_zero`. What is free is given back to `commit_fun` by `mi_collect(true)`, unless `is_pinned`.
mi_decl_export bool mi_manage_os_memory(
        void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node)
    mi_attr_noexcept;
mi_decl_export bool mi_manage_os_memory_ex(
        void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node, bool exclusive,
        mi_arena_id_t* arena_id)
    mi_attr_noexcept;
mi_decl_export bool mi_manage_memory(
        void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node, bool exclusive,
        mi_commit_fun_t* commit_fun, void* commit_fun_arg, mi_arena_id_t* arena_id)
    mi_attr_noexcept;

// Give an arena back. 0, or EBUSY if a heap is bound to it or a block lives in it. Our own addition.
mi_decl_export int mi_arena_release(mi_arena_id_t arena_id) mi_attr_noexcept;

// A heap all of whose memory lies in the arena: NULL when that is full. NULL: as `mi_heap_new`.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id) mi_attr_noexcept;

// A heap with addresses of its own, `size` bytes of them in whole 4 MiB, that no other heap ever gets, not even after it
// has ended. Memory is used as its blocks need it; NULL when the addresses are used up. `mi_heap_destroy` gives the
// memory back to the OS. After `mi_heap_delete` what lives stays there, in a heap that nobody uses. Our own addition.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new_isolated(size_t size) mi_attr_noexcept;

// As in version 2: the tag is ignored, and every heap may be destroyed.
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new_ex(int heap_tag, bool allow_destroy, mi_arena_id_t arena_id)
    mi_attr_noexcept;

// Where the arena begins, and its size; NULL and 0 for none.
mi_decl_export void* mi_arena_area(mi_arena_id_t arena_id, size_t* size)         mi_attr_noexcept;
mi_decl_export bool mi_arena_contains(mi_arena_id_t arena_id, const void* p)     mi_attr_noexcept;
mi_decl_export size_t mi_arena_min_alignment(void)                               mi_attr_noexcept;
mi_decl_export size_t mi_arena_min_size(void)                                    mi_attr_noexcept;

// Print a map of all memory, a letter per 64 KiB.
mi_decl_export void mi_arenas_print(void)      mi_attr_noexcept;
mi_decl_export void mi_debug_show_arenas(void) mi_attr_noexcept;

// ---------------------------------------------------------------------------------------------
// Sub-processes: heaps that have nothing in common with those of others
// ---------------------------------------------------------------------------------------------

// A thread allocates in the main heap of its sub-process, and makes heaps there. All begin in the main one.
typedef struct mi_subproc_id_s { void* subproc; } mi_subproc_id_t;

// Looks at a heap; false ends the visit.
typedef bool(mi_cdecl mi_heap_visit_fun)(mi_heap_t* heap, void* arg);

// The one in which all threads begin.
mi_decl_export mi_subproc_id_t mi_subproc_main(void) mi_attr_noexcept;

// The one of the running thread.
mi_decl_export mi_subproc_id_t mi_subproc_current(void) mi_attr_noexcept;

// A new one; its pointer is NULL when out of memory.
mi_decl_export mi_subproc_id_t mi_subproc_new(void) mi_attr_noexcept;

// End it with all its heaps and their blocks. The threads that were added to it have ended, otherwise it is refused
// with a warning. The main one, and NULL, do nothing.
mi_decl_export void mi_subproc_destroy(mi_subproc_id_t subproc) mi_attr_noexcept;
mi_decl_export void mi_subproc_delete(mi_subproc_id_t subproc)  mi_attr_noexcept;

// The running thread is in it from now on, until it ends. Refused with a warning if it was added elsewhere.
mi_decl_export void mi_subproc_add_current_thread(mi_subproc_id_t subproc) mi_attr_noexcept;

// Print the statistics of a sub-process; the second prints those of each of its heaps before. NULL: nothing.
mi_decl_export void mi_subproc_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg)
    mi_attr_noexcept;
mi_decl_export void mi_subproc_heap_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg)
    mi_attr_noexcept;

// As in version 2: `mi_heap_visit_abandoned_blocks` of each heap of the sub-process. The tag is ignored. False for
// NULL, too.
mi_decl_export bool mi_abandoned_visit_blocks(
        mi_subproc_id_t subproc_id, int heap_tag, bool visit_blocks, mi_block_visit_fun* visitor, void* arg)
    mi_attr_noexcept;

// Call `visitor` for each heap, while nobody makes or ends one. False if it returned false, which is the last call.
mi_decl_export bool mi_subproc_visit_heaps(mi_subproc_id_t subproc, mi_heap_visit_fun* visitor, void* arg)
    mi_attr_noexcept;

// clang-format on

#ifdef __cplusplus
}
#endif

// ---------------------------------------------------------------------------------------------
// Typed allocation
// ---------------------------------------------------------------------------------------------

// `mi_malloc_tp(int)` is an int*, and so on. The type comes first.
#define mi_malloc_tp(tp)         ((tp*)mi_malloc(sizeof(tp)))
#define mi_zalloc_tp(tp)         ((tp*)mi_zalloc(sizeof(tp)))
#define mi_calloc_tp(tp, n)      ((tp*)mi_calloc(n, sizeof(tp)))
#define mi_mallocn_tp(tp, n)     ((tp*)mi_mallocn(n, sizeof(tp)))
#define mi_reallocn_tp(tp, p, n) ((tp*)mi_reallocn(p, n, sizeof(tp)))
#define mi_recalloc_tp(tp, p, n) ((tp*)mi_recalloc(p, n, sizeof(tp)))

// The same in a heap.
#define mi_heap_malloc_tp(tp, hp)         ((tp*)mi_heap_malloc(hp, sizeof(tp)))
#define mi_heap_zalloc_tp(tp, hp)         ((tp*)mi_heap_zalloc(hp, sizeof(tp)))
#define mi_heap_calloc_tp(tp, hp, n)      ((tp*)mi_heap_calloc(hp, n, sizeof(tp)))
#define mi_heap_mallocn_tp(tp, hp, n)     ((tp*)mi_heap_mallocn(hp, n, sizeof(tp)))
#define mi_heap_reallocn_tp(tp, hp, p, n) ((tp*)mi_heap_reallocn(hp, p, n, sizeof(tp)))
#define mi_heap_recalloc_tp(tp, hp, p, n) ((tp*)mi_heap_recalloc(hp, p, n, sizeof(tp)))

// ---------------------------------------------------------------------------------------------
// C++ (11 and up): `std::vector<int, mi_stl_allocator<int>>`, and the same in a heap. For
// std::pmr see mimalloc-pmr.h.
// ---------------------------------------------------------------------------------------------

#define MI_HAS_HEAP_STL_ALLOCATOR 1  // for programs that ask: other versions had none

#if defined(__cplusplus) && ((__cplusplus >= 201103L) || (defined(_MSC_VER) && _MSC_VER >= 1900))

#include <cstddef>      // std::ptrdiff_t
#include <cstdint>      // PTRDIFF_MAX
#include <cstdlib>      // std::abort
#include <memory>       // std::addressof, std::shared_ptr
#include <new>          // std::bad_alloc
#include <type_traits>  // std::true_type
#include <utility>      // std::forward

// What all allocators below have in common. They are copied, moved and swapped with their container.
template <class T> struct _mi_stl_allocator_common {
  typedef T value_type;
  typedef std::size_t size_type;
  typedef std::ptrdiff_t difference_type;
  typedef value_type& reference;
  typedef value_type const& const_reference;
  typedef value_type* pointer;
  typedef value_type const* const_pointer;

  typedef std::true_type propagate_on_container_copy_assignment;
  typedef std::true_type propagate_on_container_move_assignment;
  typedef std::true_type propagate_on_container_swap;

  size_type max_size() const noexcept { return static_cast<size_type>(PTRDIFF_MAX) / sizeof(T); }

  pointer address(reference x) const noexcept { return std::addressof(x); }
  const_pointer address(const_reference x) const noexcept { return std::addressof(x); }

  template <class U, class... Args> void construct(U* p, Args&&... args) {
    ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
  }
  template <class U> void destroy(U* p) noexcept { p->~U(); }
};

// An allocator without state: what one has allocated any other can deallocate.
template <class T> struct mi_stl_allocator : public _mi_stl_allocator_common<T> {
  using typename _mi_stl_allocator_common<T>::size_type;
  typedef std::true_type is_always_equal;
  template <class U> struct rebind { typedef mi_stl_allocator<U> other; };

  mi_stl_allocator() noexcept = default;
  mi_stl_allocator(const mi_stl_allocator&) noexcept = default;
  mi_stl_allocator& operator=(const mi_stl_allocator&) noexcept = default;
  template <class U> mi_stl_allocator(const mi_stl_allocator<U>&) noexcept {}

  mi_stl_allocator select_on_container_copy_construction() const { return *this; }

  // An array of `count` objects without their construction; throws std::bad_alloc. Types that want
  // more than 16 bytes of alignment go another way; what is too large fails in `mi_new_n`.
  mi_decl_nodiscard T* allocate(size_type count, const void* = nullptr) {
    if (alignof(T) > 16 && count <= this->max_size()) {
      return static_cast<T*>(mi_new_aligned(count * sizeof(T), alignof(T)));
    }
    return static_cast<T*>(mi_new_n(count, sizeof(T)));
  }
  void deallocate(T* p, size_type = 0) noexcept { mi_free(p); }
};

template <class T, class U>
bool operator==(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept {
  return true;
}
template <class T, class U>
bool operator!=(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept {
  return false;
}

// Where there is no memory and no heap: std::bad_alloc, or the end of a program without exceptions.
[[noreturn]] inline void _mi_throw_bad_alloc() {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

// As operator new with an alignment, in a heap.
inline void* _mi_heap_new_aligned(mi_heap_t* heap, std::size_t size, std::size_t alignment) {
  for (;;) {
    void* const p = mi_heap_malloc_aligned(heap, size, alignment);
    if (p != nullptr) return p;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) _mi_throw_bad_alloc();
    handler();
  }
}

// An allocator in a heap: one that its copies share and the last of them ends, or one that is the
// caller's. `destroys`: the heap ends with all its blocks, and single ones are not freed before.
template <class T, bool destroys>
struct _mi_heap_stl_allocator_common : public _mi_stl_allocator_common<T> {
  using typename _mi_stl_allocator_common<T>::size_type;
  typedef std::false_type is_always_equal;

  mi_decl_nodiscard T* allocate(size_type count, const void* = nullptr) {
    if (alignof(T) > 16 && count <= this->max_size()) {
      return static_cast<T*>(_mi_heap_new_aligned(heap.get(), count * sizeof(T), alignof(T)));
    }
    return static_cast<T*>(mi_heap_alloc_new_n(heap.get(), count, sizeof(T)));
  }
  void deallocate(T* p, size_type = 0) noexcept {
    if (!destroys) mi_free(p);
  }

  void collect(bool force) { mi_heap_collect(heap.get(), force); }
  template <class U> bool is_equal(const _mi_heap_stl_allocator_common<U, destroys>& other) const {
    return heap == other.heap;
  }

protected:
  std::shared_ptr<mi_heap_t> heap;
  template <class U, bool other_destroys> friend struct _mi_heap_stl_allocator_common;

  _mi_heap_stl_allocator_common() : heap(mi_heap_new(), &end_heap) {
    if (!heap) _mi_throw_bad_alloc();
  }
  // Without a count of users, because it is not ours.
  explicit _mi_heap_stl_allocator_common(mi_heap_t* hp) noexcept
      : heap(std::shared_ptr<mi_heap_t>(), hp) {}
  template <class U>
  _mi_heap_stl_allocator_common(const _mi_heap_stl_allocator_common<U, destroys>& other) noexcept
      : heap(other.heap) {}

private:
  static void end_heap(mi_heap_t* hp) {
    if (hp != nullptr) destroys ? mi_heap_destroy(hp) : mi_heap_delete(hp);
  }
};

// An allocator in a heap of its own, which is deleted with the last copy of the allocator; or, made
// from a heap, in that one, which is the caller's to delete.
template <class T> struct mi_heap_stl_allocator : public _mi_heap_stl_allocator_common<T, false> {
  template <class U> struct rebind { typedef mi_heap_stl_allocator<U> other; };

  mi_heap_stl_allocator() = default;
  mi_heap_stl_allocator(mi_heap_t* hp) noexcept : _mi_heap_stl_allocator_common<T, false>(hp) {}
  template <class U>
  mi_heap_stl_allocator(const mi_heap_stl_allocator<U>& other) noexcept
      : _mi_heap_stl_allocator_common<T, false>(other) {}

  mi_heap_stl_allocator select_on_container_copy_construction() const { return *this; }
};

// The same, but its own heap is destroyed with all that is in it, and `deallocate` does nothing: for
// containers that only grow.
template <class T>
struct mi_heap_destroy_stl_allocator : public _mi_heap_stl_allocator_common<T, true> {
  template <class U> struct rebind { typedef mi_heap_destroy_stl_allocator<U> other; };

  mi_heap_destroy_stl_allocator() = default;
  mi_heap_destroy_stl_allocator(mi_heap_t* hp) noexcept
      : _mi_heap_stl_allocator_common<T, true>(hp) {}
  template <class U>
  mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator<U>& other) noexcept
      : _mi_heap_stl_allocator_common<T, true>(other) {}

  mi_heap_destroy_stl_allocator select_on_container_copy_construction() const { return *this; }
};

template <class T, class U>
bool operator==(const mi_heap_stl_allocator<T>& a, const mi_heap_stl_allocator<U>& b) noexcept {
  return a.is_equal(b);
}
template <class T, class U>
bool operator!=(const mi_heap_stl_allocator<T>& a, const mi_heap_stl_allocator<U>& b) noexcept {
  return !a.is_equal(b);
}
template <class T, class U>
bool operator==(const mi_heap_destroy_stl_allocator<T>& a,
                const mi_heap_destroy_stl_allocator<U>& b) noexcept {
  return a.is_equal(b);
}
template <class T, class U>
bool operator!=(const mi_heap_destroy_stl_allocator<T>& a,
                const mi_heap_destroy_stl_allocator<U>& b) noexcept {
  return !a.is_equal(b);
}

#endif  // C++11

#endif  // MIMALLOC_H
