// SPDX-License-Identifier: MIT
// fill_test.c - in a debug build, memory that the program has not written reads as a pattern
#include "api_test.h"

#include <sys/resource.h>

enum { NEW = 0xD0, BEHIND = 0xDE, FREED = 0xDF };

static bool is_all(const void* p, size_t from, size_t to, uint8_t byte) {
  const uint8_t* const bytes = (const uint8_t*)p;
  for (size_t i = from; i < to; i++) {
    if (bytes[i] != byte) return false;
  }
  return true;
}

static const size_t sizes[] = {1,    8,         9,         40,       100,     1000,
                               5000, 10 * 1024, 30 * 1024, 40 * KiB, 60 * KiB};

// p is new, and is freed.
static bool is_filled(void* p, size_t size) {
  const size_t usable = mi_usable_size(p);
  const bool good = is_all(p, 0, size, NEW) && is_all(p, size, usable, BEHIND);
  mi_free(p);
  return good;
}

static void new_memory_reads_as_d0_and_de_behind_the_size(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const size_t size = sizes[i];
    for (int again = 0; again < 3; again++) {
      make_dirty(size);
      void* p = NULL;
      assert_true(is_filled(mi_malloc(size), size));
      assert_true(is_filled(mi_mallocn(1, size), size));
      assert_true(is_filled(mi_realloc(NULL, size), size));
      assert_true(is_filled(mi_new(size), size));
      assert_true(is_filled(mi_new_nothrow(size), size));
      assert_true(is_filled(mi_malloc_aligned(size, 64), size));
      assert_int_equal(mi_posix_memalign(&p, 4096, size), 0);
      assert_true(is_filled(p, size));
      assert_true(is_filled(mi_theap_malloc(NULL, size), size));
      assert_true(is_filled(mi_heap_malloc(mi_heap_main(), size), size));
      assert_true(is_filled(mi_heap_alloc_new(mi_heap_main(), size), size));
      assert_true(is_filled(mi_heap_malloc(heap, size), size));
      assert_true(is_filled(mi_heap_malloc_aligned(heap, size, 32), size));
    }
  }
  mi_heap_delete(heap);
}

static bool is_cleared(void* p, size_t size) {
  const bool good = is_zero(p, mi_usable_size(p)) && mi_usable_size(p) >= size;
  mi_free(p);
  return good;
}

static void memory_that_is_to_be_zero_is(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    for (int again = 0; again < 3; again++) {
      make_dirty(sizes[i]);
      assert_true(is_cleared(mi_calloc(1, sizes[i]), sizes[i]));
      assert_true(is_cleared(mi_zalloc(sizes[i]), sizes[i]));
      assert_true(is_cleared(mi_rezalloc(NULL, sizes[i]), sizes[i]));
      assert_true(is_cleared(mi_zalloc_aligned(sizes[i], 128), sizes[i]));
      assert_true(is_cleared(mi_heap_zalloc(mi_heap_main(), sizes[i]), sizes[i]));
    }
  }
}

// The first words may be ours then. Other blocks are live, so that the page lives, too.
static void freed_memory_reads_as_df(void** state) {
  (void)state;
  if (sizes_are_exact()) skip();  // zero: hardened_test.c
  mi_option_set(mi_option_purge_delay, -1);
  for (size_t i = 3; i < COUNT_OF(sizes); i++) {
    void* const before = mi_malloc(sizes[i]);
    void* const p = opaque_pointer(mi_malloc(sizes[i]));
    void* const after = mi_malloc(sizes[i]);
    const size_t usable = mi_usable_size(p);
    fill(p, sizes[i], 1);
    mi_free(p);
    assert_true(is_all(p, 16, usable, FREED));
    mi_free(before);
    mi_free(after);
  }
}

static void* free_it(void* arg) {
  mi_free(arg);
  return arg;
}

static void what_another_thread_frees_does_so_too(void** state) {
  (void)state;
  if (sizes_are_exact()) skip();
  void* const other = mi_malloc(100);
  void* const p = opaque_pointer(mi_malloc(100));
  fill(p, 100, 1);
  assert_ptr_equal(result_of_thread(&free_it, p), p);
  assert_true(is_all(p, 16, 100, FREED));
  mi_free(other);
}

static void realloc_fills_what_is_new(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const size_t size = sizes[i];
    for (size_t next = size + 1; next < 60 * KiB; next += 1 + next / 3) {
      void* const p = mi_malloc(size);
      const size_t usable = mi_usable_size(p);
      fill(p, usable, 5);
      void* const q = mi_realloc(p, next);
      assert_true(holds(q, usable < next ? usable : next, 5));
      if (next > usable) {
        assert_true(is_all(q, usable, next, NEW));
        assert_true(is_all(q, next, mi_usable_size(q), BEHIND));
      }
      mi_free(q);
    }
  }
}

static long minor_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// The trap: who fills what was never touched makes the system find memory for it.
static void a_large_block_is_not_touched(void** state) {
  (void)state;
  const long before = minor_faults();
  for (int i = 0; i < 4; i++) {
    for (size_t size = 100 * KiB; size <= 64 * MiB; size *= 2) {
      void* const p = mi_malloc(size);
      void* const q = mi_calloc(1, size);
      assert_non_null(p);
      assert_non_null(q);
      mi_free(p);
      mi_free(q);
    }
  }
  assert_true(minor_faults() - before < 4000);
}

static bool build_fills(void) {
#ifdef __SANITIZE_THREAD__
  return false;
#else
  return MI_TEST_ASSERT_LEVEL > 0;
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(new_memory_reads_as_d0_and_de_behind_the_size),
      cmocka_unit_test(memory_that_is_to_be_zero_is),
      cmocka_unit_test(freed_memory_reads_as_df),
      cmocka_unit_test(what_another_thread_frees_does_so_too),
      cmocka_unit_test(realloc_fills_what_is_new),
      cmocka_unit_test(a_large_block_is_not_touched),
  };
  if (!build_fills()) {
    puts("skipped: not a debug build");
    return 0;
  }
  return cmocka_run_group_tests_name("api/fill", tests, be_silent, unregister_all);
}
