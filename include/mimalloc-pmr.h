// SPDX-License-Identifier: MIT
// mimalloc-pmr.h - memory for std::pmr containers (C++17)
//
//     std::pmr::vector<int> v(mi_pmr_resource::get());
//
// A header of its own, because <memory_resource> is large. Empty where the standard library has none.
#ifndef MIMALLOC_PMR_H
#define MIMALLOC_PMR_H

#include "mimalloc.h"

#if defined(__cplusplus) && defined(__has_include)
#if __has_include(<memory_resource>) \
    && ((__cplusplus >= 201703L) || (defined(_MSVC_LANG) && _MSVC_LANG >= 201703L))
#define MI_HAS_PMR_RESOURCE 1

#include <memory_resource>

// All of them are equal: what one has allocated any other can deallocate. Throws std::bad_alloc.
class mi_pmr_resource : public std::pmr::memory_resource {
public:
  // One that lives as long as the program, also for destructors of static objects.
  static mi_pmr_resource* get() {
    static mi_pmr_resource* const one = new (mi_new(sizeof(mi_pmr_resource))) mi_pmr_resource;
    return one;
  }

private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    return mi_new_aligned(size, alignment);
  }
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    mi_free_size_aligned(p, size, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
#if defined(__GXX_RTTI) || defined(__cpp_rtti) || defined(_CPPRTTI)
    return dynamic_cast<const mi_pmr_resource*>(&other) != nullptr;
#else
    return this == &other;
#endif
  }
};

// In a heap, which stays the caller's.
class mi_heap_pmr_resource : public std::pmr::memory_resource {
public:
  explicit mi_heap_pmr_resource(mi_heap_t* hp) noexcept : heap(hp) {}

private:
  mi_heap_t* const heap;

  void* do_allocate(std::size_t size, std::size_t alignment) override {
    return _mi_heap_new_aligned(heap, size, alignment);
  }
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    mi_free_size_aligned(p, size, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
#if defined(__GXX_RTTI) || defined(__cpp_rtti) || defined(_CPPRTTI)
    const mi_heap_pmr_resource* const same = dynamic_cast<const mi_heap_pmr_resource*>(&other);
    return same != nullptr && same->heap == heap;
#else
    return this == &other;
#endif
  }
};

#endif
#endif  // C++17

#endif  // MIMALLOC_PMR_H
