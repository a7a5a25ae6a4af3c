// SPDX-License-Identifier: MIT
// mimalloc-new-delete.h - C++ new and delete of a whole program become calls of mimalloc
//
// These are definitions, not declarations: include this header in exactly one source file of a
// program. (A program that links a library which overrides malloc has them already.) The language
// makes them valid for all source files and libraries of the program.
#ifndef MIMALLOC_NEW_DELETE_H
#define MIMALLOC_NEW_DELETE_H

#if defined(__cplusplus)

#include <new>

#include "mimalloc.h"

// How the allocating operators are declared; `n` is the parameter that is the size.
#if defined(_MSC_VER) && defined(_Ret_notnull_) && defined(_Post_writable_byte_size_)
#define mi_decl_new(n) mi_decl_nodiscard mi_decl_restrict _Ret_notnull_ _Post_writable_byte_size_(n)
#define mi_decl_new_nothrow(n)                                                 \
  mi_decl_nodiscard mi_decl_restrict _Ret_maybenull_ _Success_(return != NULL) \
      _Post_writable_byte_size_(n)
#else
#define mi_decl_new(n)         mi_decl_nodiscard mi_decl_restrict
#define mi_decl_new_nothrow(n) mi_decl_nodiscard mi_decl_restrict
#endif

// clang-format off

mi_decl_new(n) void* operator new(std::size_t n)   { return mi_new(n); }
mi_decl_new(n) void* operator new[](std::size_t n) { return mi_new(n); }

mi_decl_new_nothrow(n) void* operator new(std::size_t n, const std::nothrow_t&) mi_attr_noexcept {
  return mi_new_nothrow(n);
}
mi_decl_new_nothrow(n) void* operator new[](std::size_t n, const std::nothrow_t&) mi_attr_noexcept {
  return mi_new_nothrow(n);
}

void operator delete(void* p) mi_attr_noexcept                          { mi_free(p); }
void operator delete[](void* p) mi_attr_noexcept                        { mi_free(p); }
void operator delete(void* p, const std::nothrow_t&) mi_attr_noexcept   { mi_free(p); }
void operator delete[](void* p, const std::nothrow_t&) mi_attr_noexcept { mi_free(p); }

// With the size (C++14)
#if (__cplusplus >= 201402L) || (defined(_MSC_VER) && _MSC_VER >= 1900)
void operator delete(void* p, std::size_t n) mi_attr_noexcept   { mi_free_size(p, n); }
void operator delete[](void* p, std::size_t n) mi_attr_noexcept { mi_free_size(p, n); }
#endif

// With an alignment (C++17)
#if defined(__cpp_aligned_new)
mi_decl_new(n) void* operator new(std::size_t n, std::align_val_t al) {
  return mi_new_aligned(n, static_cast<std::size_t>(al));
}
mi_decl_new(n) void* operator new[](std::size_t n, std::align_val_t al) {
  return mi_new_aligned(n, static_cast<std::size_t>(al));
}
mi_decl_new_nothrow(n) void* operator new(std::size_t n, std::align_val_t al,
                                          const std::nothrow_t&) mi_attr_noexcept {
  return mi_new_aligned_nothrow(n, static_cast<std::size_t>(al));
}
mi_decl_new_nothrow(n) void* operator new[](std::size_t n, std::align_val_t al,
                                            const std::nothrow_t&) mi_attr_noexcept {
  return mi_new_aligned_nothrow(n, static_cast<std::size_t>(al));
}

void operator delete(void* p, std::align_val_t al) mi_attr_noexcept {
  mi_free_aligned(p, static_cast<std::size_t>(al));
}
void operator delete[](void* p, std::align_val_t al) mi_attr_noexcept {
  mi_free_aligned(p, static_cast<std::size_t>(al));
}
void operator delete(void* p, std::size_t n, std::align_val_t al) mi_attr_noexcept {
  mi_free_size_aligned(p, n, static_cast<std::size_t>(al));
}
void operator delete[](void* p, std::size_t n, std::align_val_t al) mi_attr_noexcept {
  mi_free_size_aligned(p, n, static_cast<std::size_t>(al));
}
void operator delete(void* p, std::align_val_t al, const std::nothrow_t&) mi_attr_noexcept {
  mi_free_aligned(p, static_cast<std::size_t>(al));
}
void operator delete[](void* p, std::align_val_t al, const std::nothrow_t&) mi_attr_noexcept {
  mi_free_aligned(p, static_cast<std::size_t>(al));
}
#endif

// clang-format on

#endif  // __cplusplus
#endif  // MIMALLOC_NEW_DELETE_H
