// SPDX-License-Identifier: MIT
// cxx_allocators_test.cpp - std::pmr on our memory; the allocators in heaps, where there are heaps
#include "mimalloc-pmr.h"

#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <memory_resource>
#include <new>
#include <string>
#include <utility>
#include <vector>

static int failures = 0;

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::printf("%s:%d: in %s: %s\n", __FILE__, __LINE__, __func__, #condition); \
      failures++;                                                                  \
    }                                                                              \
  } while (0)

template <class Call> static bool throws_bad_alloc(Call call) {
  try {
    call();
  } catch (const std::bad_alloc&) { return true; }
  return false;
}

static bool is_ours(const void* p) { return mi_malloc_size(p) > 0; }

static bool is_aligned(const void* p, std::size_t alignment) {
  return (reinterpret_cast<std::uintptr_t>(p) & (alignment - 1)) == 0;
}

// The compiler shall not see that a size is too large.
static std::size_t too_large() {
  volatile std::size_t size = std::numeric_limits<std::size_t>::max() / 2 + 1;
  return size;
}

struct alignas(256) wide_t {
  char text[256];
};

// std::pmr -------------------------------------------------------------------------------------------------

static void pmr_containers_live_in_our_memory() {
  std::pmr::vector<std::pmr::string> texts(mi_pmr_resource::get());
  for (int i = 0; i < 1000; i++) texts.emplace_back(100, 'x');
  CHECK(is_ours(texts.data()));
  CHECK(is_ours(texts[999].data()));  // elements get the resource of their container
  std::pmr::map<int, std::pmr::vector<int>> map(mi_pmr_resource::get());
  for (int i = 0; i < 100; i++) map[i].resize(static_cast<std::size_t>(i));
  CHECK(map[99].size() == 99 && is_ours(map[99].data()));
}

static void pmr_memory_is_aligned_as_asked_for() {
  static const std::size_t sizes[] = {0, 1, 8, 100, 5000, 100000};
  mi_pmr_resource resource;
  for (std::size_t alignment = 1; alignment <= 65536; alignment *= 2) {
    for (const std::size_t size : sizes) {
      void* const p = resource.allocate(size, alignment);
      CHECK(is_ours(p) && is_aligned(p, alignment));
      resource.deallocate(p, size, alignment);
    }
  }
  std::pmr::vector<wide_t> wide(10, &resource);
  CHECK(is_aligned(wide.data(), 256));
}

static void pmr_resources_are_all_equal() {
  mi_pmr_resource a;
  mi_pmr_resource b;
  CHECK(a == b && a == *mi_pmr_resource::get());
  CHECK(a != *std::pmr::new_delete_resource());
  CHECK(mi_pmr_resource::get() == mi_pmr_resource::get());
  void* const p = a.allocate(100, 32);
  b.deallocate(p, 100, 32);
}

static void pmr_throws_when_the_size_is_too_large() {
  CHECK(throws_bad_alloc([] { (void)mi_pmr_resource::get()->allocate(too_large(), 8); }));
}

static void pmr_can_be_the_default_resource() {
  std::pmr::memory_resource* const before = std::pmr::set_default_resource(mi_pmr_resource::get());
  std::pmr::vector<int> numbers(100, 7);
  CHECK(is_ours(numbers.data()) && numbers.get_allocator().resource() == mi_pmr_resource::get());
  std::pmr::set_default_resource(before);
}

// Heaps ----------------------------------------------------------------------------------------------------

// In which heap does a container with a new allocator put its elements, and do all of them agree?
template <template <class> class Allocator> static void containers_share_a_heap_of_their_own() {
  std::vector<int, Allocator<int>> numbers(1000, 1);
  mi_heap_t* const heap = mi_heap_of(numbers.data());
  CHECK(heap != nullptr && heap != mi_heap_main());
  std::vector<int, Allocator<int>> copy(numbers);
  CHECK(mi_heap_of(copy.data()) == heap);
  CHECK(copy.get_allocator() == numbers.get_allocator());
  std::map<int, int, std::less<int>, Allocator<std::pair<const int, int>>> map(
      std::less<int>(), Allocator<std::pair<const int, int>>(numbers.get_allocator()));
  for (int i = 0; i < 1000; i++) map[i * 7 % 1000] = i;
  CHECK(mi_heap_of(&map[1]) == heap);
  std::vector<int, Allocator<int>> other(10, 2);
  CHECK(mi_heap_of(other.data()) != heap);
  CHECK(other.get_allocator() != numbers.get_allocator());
  other = std::move(numbers);  // takes the allocator with it
  CHECK(mi_heap_of(other.data()) == heap);
  std::swap(other, copy);
  CHECK(other.size() == 1000 && copy.size() == 1000);
}

template <template <class> class Allocator> static void a_borrowed_heap_stays_its_owners() {
  mi_heap_t* const heap = mi_heap_new();
  void* const kept = mi_heap_malloc(heap, 100);
  {
    std::vector<wide_t, Allocator<wide_t>> wide(10, wide_t(), Allocator<wide_t>(heap));
    CHECK(mi_heap_of(wide.data()) == heap && is_aligned(wide.data(), 256));
    Allocator<int> numbers(wide.get_allocator());
    numbers.collect(true);
    CHECK(numbers == Allocator<int>(heap));
  }
  CHECK(mi_heap_of(kept) == heap);
  mi_free(kept);
  mi_heap_delete(heap);
}

template <template <class> class Allocator> static void heap_allocators_throw_bad_alloc() {
  Allocator<int> numbers;
  Allocator<wide_t> wide;
  CHECK(throws_bad_alloc([&] { (void)numbers.allocate(too_large()); }));
  CHECK(throws_bad_alloc([&] { (void)numbers.allocate(numbers.max_size()); }));
  CHECK(throws_bad_alloc([&] { (void)wide.allocate(too_large()); }));
  CHECK(throws_bad_alloc([&] { (void)wide.allocate(wide.max_size()); }));
}

static void a_deleted_heap_leaves_its_blocks_and_a_destroyed_one_does_not() {
  int* survivor;
  {
    mi_heap_stl_allocator<int> allocator;
    survivor = allocator.allocate(10);
    survivor[0] = 42;
  }
  CHECK(survivor[0] == 42 && is_ours(survivor));
  mi_free(survivor);
  mi_heap_destroy_stl_allocator<int> allocator;
  int* const p = allocator.allocate(10);
  allocator.deallocate(p, 10);
  p[9] = 1;  // still there: it goes with its heap
  CHECK(mi_heap_of(p) != nullptr);
}

static void pmr_in_a_heap() {
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const second = mi_heap_new();
  {
    mi_heap_pmr_resource a(heap);
    mi_heap_pmr_resource b(heap);
    mi_heap_pmr_resource c(second);
    CHECK(a == b && a != c && a != *mi_pmr_resource::get() && *mi_pmr_resource::get() != a);
    std::pmr::vector<std::pmr::string> texts(&a);
    for (int i = 0; i < 100; i++) texts.emplace_back(100, 'x');
    CHECK(mi_heap_of(texts.data()) == heap && mi_heap_of(texts[99].data()) == heap);
    CHECK(throws_bad_alloc([&] { (void)a.allocate(too_large(), 8); }));
  }
  mi_heap_destroy(second);
  mi_heap_destroy(heap);
}

static void typed_macros_of_heaps() {
  mi_heap_t* const heap = mi_heap_new();
  int* p = mi_heap_malloc_tp(int, heap);
  p = mi_heap_reallocn_tp(int, heap, p, 100);
  int* q = mi_heap_calloc_tp(int, heap, 10);
  q = mi_heap_recalloc_tp(int, heap, q, 100);
  CHECK(mi_heap_of(p) == heap && mi_heap_of(q) == heap && q[99] == 0);
  CHECK(*mi_heap_zalloc_tp(int, heap) == 0 && mi_heap_mallocn_tp(int, heap, 3) != nullptr);
  mi_heap_destroy(heap);
}

static void the_allocators_work_in_heaps() {
  containers_share_a_heap_of_their_own<mi_heap_stl_allocator>();
  containers_share_a_heap_of_their_own<mi_heap_destroy_stl_allocator>();
  a_borrowed_heap_stays_its_owners<mi_heap_stl_allocator>();
  a_borrowed_heap_stays_its_owners<mi_heap_destroy_stl_allocator>();
  heap_allocators_throw_bad_alloc<mi_heap_stl_allocator>();
  heap_allocators_throw_bad_alloc<mi_heap_destroy_stl_allocator>();
  a_deleted_heap_leaves_its_blocks_and_a_destroyed_one_does_not();
  pmr_in_a_heap();
  typed_macros_of_heaps();
}

int main() {
  mi_option_set(mi_option_show_errors, 0);
  pmr_containers_live_in_our_memory();
  pmr_memory_is_aligned_as_asked_for();
  pmr_resources_are_all_equal();
  pmr_throws_when_the_size_is_too_large();
  pmr_can_be_the_default_resource();
  the_allocators_work_in_heaps();
  std::printf("%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
