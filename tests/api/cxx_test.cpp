// SPDX-License-Identifier: MIT
// cxx_test.cpp - operator new and delete, the mi_new functions, the standard allocator
//
// Plain C++ without a test library: a C library that longjmps and exceptions do not mix.
#include "mimalloc-new-delete.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static int failures = 0;

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::printf("%s:%d: in %s: %s\n", __FILE__, __LINE__, __func__, #condition); \
      failures++;                                                                  \
    }                                                                              \
  } while (0)

// `expression` throws std::bad_alloc, after exactly one report of `code`.
#define CHECK_THROWS(expression, code)                  \
  do {                                                  \
    bool thrown_ = false;                               \
    reports_begin();                                    \
    try {                                               \
      void* const p_ = (expression);                    \
      mi_free(p_);                                      \
    } catch (const std::bad_alloc&) { thrown_ = true; } \
    CHECK(thrown_);                                     \
    CHECK(report_count == 1);                           \
    CHECK(report_code == (code));                       \
  } while (0)

static const std::size_t too_large = static_cast<std::size_t>(PTRDIFF_MAX) + 1;

static std::size_t opaque(std::size_t value) {
  volatile std::size_t hidden = value;
  return hidden;
}

static bool is_ours(const void* p) { return mi_malloc_size(p) > 0; }

static bool is_aligned(const void* p, std::size_t alignment) {
  return (reinterpret_cast<std::uintptr_t>(p) & (alignment - 1)) == 0;
}

static int report_count = 0;
static int report_code = 0;

static void mi_cdecl note_report(int err, void*) {
  report_count++;
  report_code = err;
}

static void reports_begin() {
  mi_register_error(&note_report, nullptr);
  report_count = 0;
  report_code = 0;
}

// --- the mi_new functions ---

static void mi_new_allocates() {
  for (std::size_t size = 0; size < 5000000; size = size * 3 + 1) {
    void* p = mi_new(size);
    CHECK(p != nullptr && mi_usable_size(p) >= size);
    std::memset(p, 1, size);
    mi_free(p);
    p = mi_new_nothrow(size);
    CHECK(p != nullptr && mi_usable_size(p) >= size);
    mi_free(p);
    p = mi_new_n(size, 3);
    CHECK(p != nullptr && mi_usable_size(p) >= 3 * size);
    mi_free(p);
  }
}

static void mi_new_aligned_aligns() {
  for (std::size_t alignment = 1; alignment <= 16u << 20; alignment *= 2) {
    for (std::size_t size = 0; size < 200000; size = size * 5 + 1) {
      void* p = mi_new_aligned(size, alignment);
      CHECK(p != nullptr && is_aligned(p, alignment) && mi_usable_size(p) >= size);
      mi_free(p);
      p = mi_new_aligned_nothrow(size, alignment);
      CHECK(p != nullptr && is_aligned(p, alignment) && mi_usable_size(p) >= size);
      mi_free(p);
    }
  }
}

static void mi_new_realloc_keeps_the_contents() {
  char* p = static_cast<char*>(mi_new_realloc(nullptr, 10));
  std::memcpy(p, "abcdefghi", 10);
  p = static_cast<char*>(mi_new_realloc(p, 100000));
  CHECK(std::strcmp(p, "abcdefghi") == 0);
  p = static_cast<char*>(mi_new_reallocn(p, 1000, 1000));
  CHECK(std::strcmp(p, "abcdefghi") == 0 && mi_usable_size(p) >= 1000000);
  p = static_cast<char*>(mi_new_realloc(p, 10));
  CHECK(std::strcmp(p, "abcdefghi") == 0);
  mi_free(p);
}

static void mi_new_throws_bad_alloc() {
  CHECK_THROWS(mi_new(opaque(too_large)), EOVERFLOW);
  CHECK_THROWS(mi_new(opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK_THROWS(mi_new_aligned(opaque(too_large), 64), EOVERFLOW);
  CHECK_THROWS(mi_new_aligned(opaque(PTRDIFF_MAX), 64), ENOMEM);
  CHECK_THROWS(mi_new_aligned(10, opaque(3)), EINVAL);
  CHECK_THROWS(mi_new_aligned(10, opaque(0)), EINVAL);
  CHECK_THROWS(mi_new_n(opaque(SIZE_MAX), 2), EOVERFLOW);
  CHECK_THROWS(mi_new_n(opaque(PTRDIFF_MAX / 8), 8), ENOMEM);
}

static int tries_in_heap;

static void count_and_give_up() {
  if (++tries_in_heap == 3) std::set_new_handler(nullptr);
}

static void new_in_a_heap_is_as_new() {
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const heaps[] = {heap, mi_heap_main()};
  for (mi_heap_t* const of : heaps) {
    void* const p = mi_heap_alloc_new(of == heap ? heap : nullptr, 0);
    CHECK(p != nullptr && mi_heap_of(p) == of);
    mi_free(p);
    void* const q = mi_heap_alloc_new_n(of == heap ? heap : nullptr, 1000, 100);
    CHECK(q != nullptr && mi_heap_of(q) == of && mi_usable_size(q) >= 100000);
    mi_free(q);
  }
  CHECK_THROWS(mi_heap_alloc_new(heap, opaque(too_large)), EOVERFLOW);
  CHECK_THROWS(mi_heap_alloc_new(heap, opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK_THROWS(mi_heap_alloc_new_n(heap, opaque(SIZE_MAX), 2), EOVERFLOW);
  tries_in_heap = 0;
  std::set_new_handler(&count_and_give_up);
  CHECK_THROWS(mi_heap_alloc_new_n(heap, opaque(PTRDIFF_MAX / 8), 8), ENOMEM);
  CHECK(tries_in_heap == 3);
  mi_heap_destroy(heap);
}

static void a_block_survives_a_resize_that_throws() {
  char* const p = static_cast<char*>(mi_new(10));
  std::memcpy(p, "abcdefghi", 10);
  CHECK_THROWS(mi_new_realloc(p, opaque(too_large)), EOVERFLOW);
  CHECK_THROWS(mi_new_realloc(p, opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK_THROWS(mi_new_reallocn(p, opaque(SIZE_MAX), 2), EOVERFLOW);
  CHECK(std::strcmp(p, "abcdefghi") == 0);
  mi_free(p);
}

static void nothrow_forms_return_null() {
  reports_begin();
  errno = 0;
  CHECK(mi_new_nothrow(opaque(too_large)) == nullptr);
  CHECK(errno == ENOMEM && report_count == 1 && report_code == EOVERFLOW);
  CHECK(mi_new_nothrow(opaque(PTRDIFF_MAX)) == nullptr);
  CHECK(report_count == 2 && report_code == ENOMEM);
  CHECK(mi_new_aligned_nothrow(opaque(too_large), 64) == nullptr);
  CHECK(report_count == 3);
  errno = 0;
  CHECK(mi_new_aligned_nothrow(10, opaque(3)) == nullptr);
  CHECK(errno == EINVAL && report_count == 4 && report_code == EINVAL);
}

// --- the handler ---

static int handler_calls = 0;

static void give_up_at_the_third_call() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct own_error : std::bad_alloc {};
static void throw_at_once() {
  handler_calls++;
  throw own_error();
}

static void the_new_handler_is_called_until_it_gives_up() {
  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  CHECK_THROWS(mi_new(opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK(handler_calls == 3);
  CHECK(std::get_new_handler() == nullptr);

  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  reports_begin();
  CHECK(mi_new_nothrow(opaque(PTRDIFF_MAX)) == nullptr);
  CHECK(handler_calls == 3);
  CHECK(report_count == 1);

  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  CHECK_THROWS(mi_new_aligned(opaque(PTRDIFF_MAX), 4096), ENOMEM);
  CHECK(handler_calls == 3);

  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  CHECK_THROWS(mi_new_realloc(nullptr, opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK(handler_calls == 3);
  std::set_new_handler(nullptr);
}

static void the_new_handler_may_throw() {
  std::set_new_handler(&throw_at_once);
  for (int way = 0; way < 5; way++) {
    handler_calls = 0;
    bool caught = false;
    try {
      void* p = nullptr;
      switch (way) {
        case 0: p = mi_new(opaque(PTRDIFF_MAX)); break;
        case 1: p = mi_new_aligned(opaque(PTRDIFF_MAX), 64); break;
        case 2: p = mi_new_n(opaque(SIZE_MAX), 8); break;
        case 3: p = mi_new_realloc(nullptr, opaque(PTRDIFF_MAX)); break;
        case 4: p = mi_new_reallocn(nullptr, opaque(PTRDIFF_MAX / 8), 8); break;
      }
      mi_free(p);
    } catch (const own_error&) { caught = true; }
    CHECK(caught);
    CHECK(handler_calls == 1);
  }
  std::set_new_handler(nullptr);
}

static void* reserve = nullptr;
static void free_the_reserve() {
  handler_calls++;
  mi_free(reserve);
  reserve = nullptr;
  std::set_new_handler(nullptr);
}

static void the_new_handler_may_use_the_heap() {
  handler_calls = 0;
  reserve = mi_malloc(1000000);
  std::set_new_handler(&free_the_reserve);
  CHECK_THROWS(mi_new(opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK(handler_calls == 1 && reserve == nullptr);
}

static void an_overflow_calls_the_handler_once_at_most() {
  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  reports_begin();
  try {
    void* const p = mi_new_n(opaque(SIZE_MAX), 8);
    CHECK(p == nullptr);
  } catch (const std::bad_alloc&) {}
  CHECK(handler_calls <= 1);
  CHECK(report_count == 1 && report_code == EOVERFLOW);
  std::set_new_handler(nullptr);
}

// --- the operators ---

struct small_t {
  int values[3];
};
struct alignas(256) wide_t {
  char values[300];
};

static void operators_new_and_delete_are_ours() {
  small_t* const one = new small_t();
  small_t* const many = new small_t[100];
  CHECK(is_ours(one) && is_ours(many));
  delete one;
  delete[] many;

  small_t* const quiet = new (std::nothrow) small_t();
  small_t* const quiet_many = new (std::nothrow) small_t[100];
  CHECK(is_ours(quiet) && is_ours(quiet_many));
  delete quiet;
  delete[] quiet_many;

  ::operator delete(::operator new(10), std::nothrow);
  ::operator delete[](::operator new[](10), std::nothrow);
  ::operator delete(nullptr);
  ::operator delete[](nullptr);
#if __cplusplus >= 201402L && defined(__cpp_sized_deallocation)
  ::operator delete(::operator new(10), std::size_t(10));
  ::operator delete[](::operator new[](10), std::size_t(10));
#endif
  void* const zero = ::operator new(0);
  CHECK(zero != nullptr);
  ::operator delete(zero);
}

static void aligned_operators_are_ours_and_align() {
#if defined(__cpp_aligned_new)
  wide_t* const one = new wide_t();
  wide_t* const many = new wide_t[10];
  CHECK(is_ours(one) && is_aligned(one, 256));
  CHECK(is_ours(many) && is_aligned(many, 256));
  delete one;
  delete[] many;
  wide_t* const quiet = new (std::nothrow) wide_t();
  wide_t* const quiet_many = new (std::nothrow) wide_t[10];
  CHECK(is_ours(quiet) && is_aligned(quiet, 256));
  CHECK(is_ours(quiet_many) && is_aligned(quiet_many, 256));
  delete quiet;
  delete[] quiet_many;
  const std::align_val_t al{4096};
  ::operator delete(::operator new(10, al), al);
  ::operator delete[](::operator new[](10, al), al);
  ::operator delete(::operator new(10, al), al, std::nothrow);
  ::operator delete[](::operator new[](10, al), al, std::nothrow);
#if defined(__cpp_sized_deallocation)
  ::operator delete(::operator new(10, al), std::size_t(10), al);
  ::operator delete[](::operator new[](10, al), std::size_t(10), al);
#endif
#endif
}

static void operator_new_throws_and_nothrow_new_does_not() {
  CHECK_THROWS(::operator new(opaque(too_large)), EOVERFLOW);
  CHECK_THROWS(::operator new[](opaque(PTRDIFF_MAX)), ENOMEM);
  reports_begin();
  CHECK(::operator new(opaque(too_large), std::nothrow) == nullptr);
  CHECK(::operator new[](opaque(PTRDIFF_MAX), std::nothrow) == nullptr);
  CHECK(report_count == 2);
}

static void operator_new_calls_the_handler() {
  handler_calls = 0;
  std::set_new_handler(&give_up_at_the_third_call);
  CHECK_THROWS(::operator new(opaque(PTRDIFF_MAX)), ENOMEM);
  CHECK(handler_calls == 3);
  std::set_new_handler(nullptr);
}

// --- the standard allocator ---

static void containers_work_with_the_allocator() {
  std::vector<int, mi_stl_allocator<int>> vector;
  for (int i = 0; i < 100000; i++) vector.push_back(i);
  CHECK(vector[99999] == 99999 && is_ours(vector.data()));
  vector.shrink_to_fit();

  std::list<std::string, mi_stl_allocator<std::string>> list;
  for (int i = 0; i < 1000; i++) list.push_back(std::to_string(i));
  CHECK(list.back() == "999");

  std::map<int, std::string, std::less<int>, mi_stl_allocator<std::pair<const int, std::string>>>
      map;
  for (int i = 0; i < 1000; i++) map[i * 7 % 1000] = std::to_string(i);
  CHECK(map.size() == 1000);

  std::set<int, std::less<int>, mi_stl_allocator<int>> set(vector.begin(), vector.begin() + 1000);
  CHECK(set.size() == 1000);

  std::deque<int, mi_stl_allocator<int>> deque(vector.begin(), vector.end());
  CHECK(deque.size() == 100000);

  std::unordered_map<int, int, std::hash<int>, std::equal_to<int>,
                     mi_stl_allocator<std::pair<const int, int>>>
      hash;
  for (int i = 0; i < 1000; i++) hash[i] = i;
  CHECK(hash.size() == 1000);

  std::basic_string<char, std::char_traits<char>, mi_stl_allocator<char>> text(1000, 'x');
  text += "y";
  CHECK(text.size() == 1001 && is_ours(text.data()));

  const std::shared_ptr<int> shared = std::allocate_shared<int>(mi_stl_allocator<int>(), 42);
  CHECK(*shared == 42);
}

static void containers_can_be_copied_moved_and_swapped() {
  typedef std::vector<int, mi_stl_allocator<int>> vector_t;
  vector_t a(100, 1);
  vector_t b(a);
  vector_t c(std::move(a));
  CHECK(b == c && b.size() == 100);
  vector_t d;
  d = b;
  d.swap(c);
  a = std::move(d);
  CHECK(a.size() == 100);
}

static void all_allocators_are_equal() {
  mi_stl_allocator<int> a;
  mi_stl_allocator<char> b(a);
  CHECK(a == b);
  CHECK(!(a != b));
  CHECK(a.select_on_container_copy_construction() == a);
  CHECK(std::allocator_traits<mi_stl_allocator<int>>::propagate_on_container_swap::value);
  CHECK(mi_stl_allocator<int>::is_always_equal::value);
  int* const p = a.allocate(10);
  mi_stl_allocator<int>().deallocate(p, 10);
  typedef mi_stl_allocator<int>::rebind<double>::other other_t;
  other_t other(a);
  double* const q = other.allocate(1);
  other.construct(q, 1.5);
  CHECK(*q == 1.5 && other.address(*q) == q);
  other.destroy(q);
  other.deallocate(q, 1);
}

static void the_allocator_aligns_what_wants_more_than_16_bytes() {
  std::vector<wide_t, mi_stl_allocator<wide_t>> wide(7);
  CHECK(is_aligned(wide.data(), 256));
  wide.resize(100);
  CHECK(is_aligned(wide.data(), 256));
}

static void the_allocator_throws_when_the_size_is_too_large() {
  mi_stl_allocator<int> a;
  mi_stl_allocator<wide_t> w;
  CHECK(a.max_size() == PTRDIFF_MAX / sizeof(int));
  CHECK_THROWS(a.allocate(opaque(SIZE_MAX)), EOVERFLOW);
  CHECK_THROWS(a.allocate(a.max_size()), ENOMEM);
  CHECK_THROWS(a.allocate(opaque(a.max_size() + 1)), EOVERFLOW);
  CHECK_THROWS(w.allocate(opaque(SIZE_MAX)), EOVERFLOW);
  CHECK_THROWS(w.allocate(w.max_size()), ENOMEM);
}

static void exceptions_and_threads_work_as_ever() {
  std::vector<std::thread> threads;
  int caught[4] = {0, 0, 0, 0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([t, &caught] {
      for (int i = 0; i < 1000; i++) {
        try {
          std::vector<std::string> texts(50, std::string(100, 'x'));
          throw std::runtime_error(texts[7]);
        } catch (const std::runtime_error& error) { caught[t] += std::strlen(error.what()) == 100; }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; t++) CHECK(caught[t] == 1000);
}

static void typed_macros_give_typed_pointers() {
  small_t* p = mi_malloc_tp(small_t);
  small_t* q = mi_calloc_tp(small_t, 10);
  CHECK(q[9].values[2] == 0);
  p = mi_reallocn_tp(small_t, p, 10);
  q = mi_recalloc_tp(small_t, q, 20);
  CHECK(q[19].values[2] == 0);
  mi_free(p);
  mi_free(q);
  p = mi_zalloc_tp(small_t);
  q = mi_mallocn_tp(small_t, 4);
  CHECK(p->values[0] == 0 && q != nullptr);
  mi_free(p);
  mi_free(q);
}

int main() {
  static const struct {
    const char* name;
    void (*run)();
  } tests[] = {
#define TEST(name) {#name, &name}
      TEST(mi_new_allocates),
      TEST(mi_new_aligned_aligns),
      TEST(mi_new_realloc_keeps_the_contents),
      TEST(mi_new_throws_bad_alloc),
      TEST(new_in_a_heap_is_as_new),
      TEST(a_block_survives_a_resize_that_throws),
      TEST(nothrow_forms_return_null),
      TEST(the_new_handler_is_called_until_it_gives_up),
      TEST(the_new_handler_may_throw),
      TEST(the_new_handler_may_use_the_heap),
      TEST(an_overflow_calls_the_handler_once_at_most),
      TEST(operators_new_and_delete_are_ours),
      TEST(aligned_operators_are_ours_and_align),
      TEST(operator_new_throws_and_nothrow_new_does_not),
      TEST(operator_new_calls_the_handler),
      TEST(containers_work_with_the_allocator),
      TEST(containers_can_be_copied_moved_and_swapped),
      TEST(all_allocators_are_equal),
      TEST(the_allocator_aligns_what_wants_more_than_16_bytes),
      TEST(the_allocator_throws_when_the_size_is_too_large),
      TEST(exceptions_and_threads_work_as_ever),
      TEST(typed_macros_give_typed_pointers),
#undef TEST
  };
  mi_option_disable(mi_option_show_errors);
  for (const auto& test : tests) {
    const int before = failures;
    test.run();
    mi_register_error(nullptr, nullptr);
    std::printf("[ %s ] %s\n", failures == before ? "      OK" : "  FAILED", test.name);
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
