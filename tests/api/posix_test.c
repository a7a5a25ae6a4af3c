// SPDX-License-Identifier: MIT
// posix_test.c - the names of other libraries: POSIX, BSD, glibc, macOS, Microsoft
#include "api_test.h"

#include <wchar.h>

static void cfree_frees_our_blocks(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 500; i++) {
    void* const p = mi_malloc(MiB);
    memset(p, 1, MiB);
    ASSERT_QUIET(mi_cfree(p));
  }
  assert_true(resident_bytes() < before + 64 * MiB);
  ASSERT_QUIET(mi_cfree(NULL));
}

static void cfree_silently_ignores_what_is_not_ours(void** state) {
  (void)state;
  static int in_data = 1;
  int on_stack = 2;
  ASSERT_QUIET(mi_cfree(opaque_pointer(&in_data)));
  ASSERT_QUIET(mi_cfree(opaque_pointer(&on_stack)));
  ASSERT_QUIET(mi_cfree((void*)opaque(8)));
  ASSERT_QUIET(mi_cfree((void*)opaque(SIZE_MAX)));
  assert_int_equal(in_data, 1);
  assert_int_equal(on_stack, 2);
}

static void microsoft_expand_sets_errno_when_the_size_does_not_fit(void** state) {
  (void)state;
  void* const p = mi_malloc(100);
  const size_t usable = mi_usable_size(p);
  ASSERT_QUIET(assert_ptr_equal(mi__expand(p, opaque(usable)), p));
  errno = 0;
  assert_null(mi__expand(p, opaque(usable + 1)));
  assert_int_equal(errno, ENOMEM);
  errno = 0;
  assert_null(mi__expand(NULL, 10));
  assert_int_equal(errno, ENOMEM);
  mi_free(p);
}

static void malloc_size_is_the_usable_size(void** state) {
  (void)state;
  for (size_t size = 0; size < 3 * MiB; size = size * 2 + 5) {
    void* const p = mi_malloc(size);
    assert_int_equal(mi_malloc_size(p), mi_usable_size(p));
    assert_int_equal(mi_malloc_usable_size(p), mi_usable_size(p));
    mi_free(p);
  }
  assert_int_equal(mi_malloc_size(NULL), 0);
  assert_int_equal(mi_malloc_usable_size(NULL), 0);
}

static void malloc_size_of_what_is_not_ours_is_silently_zero(void** state) {
  (void)state;
  if (malloc_is_ours()) skip();  // there it is the next allocator's to answer
  static int in_data = 1;
  int on_stack = 2;
  ASSERT_QUIET(assert_int_equal(mi_malloc_size(opaque_pointer(&in_data)), 0));
  ASSERT_QUIET(assert_int_equal(mi_malloc_size(opaque_pointer(&on_stack)), 0));
  ASSERT_QUIET(assert_int_equal(mi_malloc_usable_size(opaque_pointer(&on_stack)), 0));
  ASSERT_QUIET(assert_int_equal(mi_malloc_usable_size((void*)opaque(8)), 0));
}

static void malloc_good_size_is_good_size(void** state) {
  (void)state;
  for (size_t size = 0; size < 100 * MiB; size = size * 2 + 5) {
    assert_int_equal(mi_malloc_good_size(size), mi_good_size(size));
  }
}

// --- aligned ---

static void posix_memalign_stores_an_aligned_block(void** state) {
  (void)state;
  for (size_t alignment = sizeof(void*); alignment <= 16 * MiB; alignment *= 2) {
    for (size_t size = 0; size < 200000; size = size * 3 + 1) {
      void* p = NULL;
      ASSERT_QUIET(assert_int_equal(mi_posix_memalign(&p, alignment, size), 0));
      assert_non_null(p);
      assert_true(is_aligned(p, alignment));
      assert_true(mi_usable_size(p) >= size);
      memset(p, 1, size);
      mi_free(p);
    }
  }
}

static void posix_memalign_refuses_bad_alignments(void** state) {
  (void)state;
  const size_t bad[] = {0, 1, 2, sizeof(void*) / 2, 3, 12, 24, 100, 4097, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    void* const before = (void*)state;
    void* p = before;
    reports_begin();
    assert_int_equal(mi_posix_memalign(&p, bad[i], 100), EINVAL);
    assert_ptr_equal(p, before);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last_code, EINVAL);
  }
  assert_int_equal(mi_posix_memalign((void**)opaque_pointer(NULL), 16, 100), EINVAL);
}

static void posix_memalign_refuses_sizes_that_are_too_large(void** state) {
  (void)state;
  void* const before = (void*)state;
  void* p = before;
  const size_t sizes[] = {TOO_LARGE, SIZE_MAX, SIZE_MAX - 4095};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    reports_begin();
    assert_int_equal(mi_posix_memalign(&p, 64, sizes[i]), ENOMEM);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last_code, EOVERFLOW);
  }
  reports_begin();
  assert_int_equal(mi_posix_memalign(&p, 64, PTRDIFF_MAX), ENOMEM);
  assert_int_equal(reports.count, 1);
  assert_int_equal(reports.last_code, ENOMEM);
  assert_ptr_equal(p, before);
}

static void memalign_and_aligned_alloc_take_the_alignment_first(void** state) {
  (void)state;
  void* const p = mi_memalign(4096, 10);
  void* const q = mi_aligned_alloc(4096, 10);  // 10 is no multiple of 4096
  assert_non_null(p);
  assert_non_null(q);
  assert_true(is_aligned(p, 4096));
  assert_true(is_aligned(q, 4096));
  mi_free(p);
  mi_free(q);
}

static void valloc_is_aligned_to_an_os_page(void** state) {
  (void)state;
  for (size_t size = 0; size < 300000; size = size * 3 + 1) {
    void* p = NULL;
    ASSERT_QUIET(p = mi_valloc(size));
    assert_non_null(p);
    assert_true(is_aligned(p, os_page_size()));
    assert_true(mi_usable_size(p) >= size);
    memset(p, 1, size);
    mi_free(p);
  }
}

static void pvalloc_rounds_up_to_whole_os_pages(void** state) {
  (void)state;
  const size_t page = os_page_size();
  for (size_t size = 0; size < 300000; size = size * 3 + 1) {
    void* p = NULL;
    ASSERT_QUIET(p = mi_pvalloc(size));
    assert_non_null(p);
    assert_true(is_aligned(p, page));
    const size_t rounded = (size + page - 1) / page * page;
    assert_true(mi_usable_size(p) >= rounded);
    memset(p, 1, rounded);
    mi_free(p);
  }
}

static void pvalloc_fails_when_rounding_overflows(void** state) {
  (void)state;
  ASSERT_FAILS(mi_pvalloc(opaque(SIZE_MAX)), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_pvalloc(opaque(SIZE_MAX - 10)), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_valloc(opaque(SIZE_MAX)), ENOMEM, EOVERFLOW);
}

static void microsoft_recalloc_keeps_alignment_and_adds_zeros(void** state) {
  (void)state;
  uint8_t* p = NULL;
  for (size_t count = 10; count <= 10000; count *= 10) {
    make_dirty(count * 10);
    p = (uint8_t*)mi_aligned_recalloc(p, count, 10, 128);
    assert_non_null(p);
    assert_true(is_aligned(p, 128));
    if (count > 10) assert_true(holds(p, count, 1));
    assert_true(is_zero(p + (count > 10 ? count : 0), count * 10 - (count > 10 ? count : 0)));
    fill(p, count * 10, 1);
  }
  mi_free(p);
  p = NULL;
  for (size_t count = 10; count <= 10000; count *= 10) {
    make_dirty(count * 10);
    p = (uint8_t*)mi_aligned_offset_recalloc(p, count, 10, 128, 40);
    assert_non_null(p);
    assert_true(is_aligned_at(p, 128, 40));
    if (count > 10) assert_true(holds(p, count, 1));
    assert_true(is_zero(p + (count > 10 ? count : 0), count * 10 - (count > 10 ? count : 0)));
    fill(p, count * 10, 1);
  }
  mi_free(p);
}

// --- reallocarray, reallocarr ---

static void reallocarray_resizes_to_count_times_size(void** state) {
  (void)state;
  void* p = NULL;
  ASSERT_QUIET(p = mi_reallocarray(NULL, 10, 10));
  assert_non_null(p);
  fill(p, 100, 1);
  ASSERT_QUIET(p = mi_reallocarray(p, 1000, 10));
  assert_non_null(p);
  assert_true(mi_usable_size(p) >= 10000);
  assert_true(holds(p, 100, 1));
  mi_free(p);
}

static void reallocarray_of_zero_elements_gives_a_block(void** state) {
  (void)state;
  void* p = NULL;
  ASSERT_QUIET(p = mi_reallocarray(NULL, 0, 8));
  assert_non_null(p);
  ASSERT_QUIET(p = mi_reallocarray(p, 8, 0));
  assert_non_null(p);
  mi_free(p);
}

static void reallocarray_tells_overflow_from_lack_of_memory(void** state) {
  (void)state;
  void* const p = mi_malloc(100);
  fill(p, 100, 2);
  ASSERT_FAILS(mi_reallocarray(p, opaque(SIZE_MAX), 2), EOVERFLOW, EOVERFLOW);
  ASSERT_FAILS(mi_reallocarray(p, opaque(2 * HALF_THE_BITS), 2 * HALF_THE_BITS), EOVERFLOW,
               EOVERFLOW);
  ASSERT_FAILS(mi_reallocarray(p, 1, opaque(PTRDIFF_MAX)), ENOMEM, ENOMEM);
  ASSERT_FAILS(mi_reallocarray(p, 1, opaque(TOO_LARGE)), ENOMEM, EOVERFLOW);
  assert_true(holds(p, 100, 2));
  mi_free(p);
}

static void reallocarr_resizes_where_the_pointer_is_stored(void** state) {
  (void)state;
  void* p = NULL;
  ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 10, 10), 0));
  assert_non_null(p);
  fill(p, 100, 3);
  ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 1000, 10), 0));
  assert_non_null(p);
  assert_true(mi_usable_size(p) >= 10000);
  assert_true(holds(p, 100, 3));
  ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 5, 10), 0));
  assert_true(holds(p, 50, 3));
  mi_free(p);
}

static void reallocarr_frees_with_a_count_of_zero(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 300; i++) {
    void* p = mi_malloc(MiB);
    memset(p, 1, MiB);
    ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 0, 10), 0));
    assert_null(p);
    ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 0, 10), 0));
    assert_null(p);
  }
  assert_true(resident_bytes() < before + 64 * MiB);
}

static void reallocarr_returns_a_code_and_sets_errno(void** state) {
  (void)state;
  void* const block = mi_malloc(100);
  void* p = block;
  fill(p, 100, 4);
  static const struct {
    size_t count;
    size_t size;
    int code;
    int report;
  } cases[] = {
      {SIZE_MAX, 2, EOVERFLOW, EOVERFLOW},
      {SIZE_MAX / 2, 3, EOVERFLOW, EOVERFLOW},
      {1, (size_t)PTRDIFF_MAX, ENOMEM, ENOMEM},
      {1, TOO_LARGE, ENOMEM, EOVERFLOW},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    reports_begin();
    errno = 0;
    assert_int_equal(mi_reallocarr(&p, cases[i].count, cases[i].size), cases[i].code);
    assert_int_equal(errno, cases[i].code);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last_code, cases[i].report);
    assert_ptr_equal(p, block);
  }
  errno = 0;
  assert_int_equal(mi_reallocarr(&p, 8, 0), EINVAL);
  assert_int_equal(errno, EINVAL);
  assert_ptr_equal(p, block);
  errno = 0;
  assert_int_equal(mi_reallocarr(NULL, 8, 8), EINVAL);
  assert_int_equal(errno, EINVAL);
  assert_true(holds(p, 100, 4));
  mi_free(p);
}

// --- free with a size ---

static void free_with_the_size_or_the_alignment_frees(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 300; i++) {
    void* const p = mi_malloc(MiB);
    void* const q = mi_malloc_aligned(MiB, 4096);
    void* const r = mi_malloc_aligned(MiB, 256);
    memset(p, 1, MiB);
    memset(q, 1, MiB);
    memset(r, 1, MiB);
    ASSERT_QUIET(mi_free_size(p, MiB));
    ASSERT_QUIET(mi_free_size_aligned(q, MiB, 4096));
    ASSERT_QUIET(mi_free_aligned(r, 256));
  }
  assert_true(resident_bytes() < before + 64 * MiB);
  for (size_t size = 0; size < 300000; size = size * 2 + 1) {
    mi_free_size(mi_malloc(size), size);
    mi_free_size_aligned(mi_malloc_aligned(size, 64), size, 64);
    mi_free_aligned(mi_malloc_aligned(size, 64), 64);
  }
}

static void free_of_null_with_a_size_does_nothing(void** state) {
  (void)state;
  ASSERT_QUIET(mi_free_size(NULL, 10));
  ASSERT_QUIET(mi_free_size_aligned(NULL, 10, 8));
  ASSERT_QUIET(mi_free_aligned(NULL, 8));
}

// --- environment and strings ---

static void dupenv_copies_an_environment_variable(void** state) {
  (void)state;
  char* value = NULL;
  size_t size = 0;
  assert_int_equal(setenv("API_TEST_VARIABLE", "some value", 1), 0);
  assert_int_equal(mi_dupenv_s(&value, &size, "API_TEST_VARIABLE"), 0);
  assert_non_null(value);
  assert_string_equal(value, "some value");
  assert_int_equal(size, sizeof("some value"));
  assert_ptr_not_equal(value, getenv("API_TEST_VARIABLE"));
  mi_free(value);
  assert_int_equal(mi_dupenv_s(&value, NULL, "API_TEST_VARIABLE"), 0);
  assert_string_equal(value, "some value");
  mi_free(value);
  assert_int_equal(setenv("API_TEST_VARIABLE", "", 1), 0);
  assert_int_equal(mi_dupenv_s(&value, &size, "API_TEST_VARIABLE"), 0);
  assert_string_equal(value, "");
  assert_int_equal(size, 1);
  mi_free(value);
}

static void dupenv_of_a_variable_that_is_not_set_gives_null(void** state) {
  (void)state;
  char* value = (char*)state;
  size_t size = 99;
  assert_int_equal(unsetenv("API_TEST_VARIABLE"), 0);
  assert_int_equal(mi_dupenv_s(&value, &size, "API_TEST_VARIABLE"), 0);
  assert_null(value);
  assert_int_equal(size, 0);
}

static void dupenv_refuses_null(void** state) {
  (void)state;
  char* value = NULL;
  size_t size = 0;
  assert_int_equal(mi_dupenv_s(NULL, &size, "PATH"), EINVAL);
  assert_int_equal(mi_dupenv_s(&value, &size, NULL), EINVAL);
}

static void wide_dupenv_exists_on_windows_only(void** state) {
  (void)state;
  wchar_t* value = (wchar_t*)(void*)state;
  size_t size = 99;
  assert_int_equal(mi_wdupenv_s(&value, &size, L"PATH"), EINVAL);
  assert_null(value);
  assert_int_equal(size, 0);
  assert_int_equal(mi_wdupenv_s(NULL, NULL, L"PATH"), EINVAL);
}

static void wcsdup_copies_a_wide_string(void** state) {
  (void)state;
  wchar_t* copy = mi_wcsdup(L"wide \x263A text");
  assert_non_null(copy);
  assert_int_equal(wcscmp(copy, L"wide \x263A text"), 0);
  mi_free(copy);
  copy = mi_wcsdup(L"");
  assert_non_null(copy);
  assert_int_equal(copy[0], 0);
  mi_free(copy);
  ASSERT_QUIET(assert_null(mi_wcsdup(NULL)));
}

static void mbsdup_copies_an_unsigned_string(void** state) {
  (void)state;
  static const unsigned char text[] = {0xFF, 0x80, 'a', 0};
  unsigned char* const copy = mi_mbsdup(text);
  assert_non_null(copy);
  assert_memory_equal(copy, text, sizeof(text));
  mi_free(copy);
  ASSERT_QUIET(assert_null(mi_mbsdup(NULL)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cfree_frees_our_blocks),
      cmocka_unit_test(cfree_silently_ignores_what_is_not_ours),
      cmocka_unit_test(microsoft_expand_sets_errno_when_the_size_does_not_fit),
      cmocka_unit_test(malloc_size_is_the_usable_size),
      cmocka_unit_test(malloc_size_of_what_is_not_ours_is_silently_zero),
      cmocka_unit_test(malloc_good_size_is_good_size),
      cmocka_unit_test(posix_memalign_stores_an_aligned_block),
      cmocka_unit_test(posix_memalign_refuses_bad_alignments),
      cmocka_unit_test(posix_memalign_refuses_sizes_that_are_too_large),
      cmocka_unit_test(memalign_and_aligned_alloc_take_the_alignment_first),
      cmocka_unit_test(valloc_is_aligned_to_an_os_page),
      cmocka_unit_test(pvalloc_rounds_up_to_whole_os_pages),
      cmocka_unit_test(pvalloc_fails_when_rounding_overflows),
      cmocka_unit_test(microsoft_recalloc_keeps_alignment_and_adds_zeros),
      cmocka_unit_test(reallocarray_resizes_to_count_times_size),
      cmocka_unit_test(reallocarray_of_zero_elements_gives_a_block),
      cmocka_unit_test(reallocarray_tells_overflow_from_lack_of_memory),
      cmocka_unit_test(reallocarr_resizes_where_the_pointer_is_stored),
      cmocka_unit_test(reallocarr_frees_with_a_count_of_zero),
      cmocka_unit_test(reallocarr_returns_a_code_and_sets_errno),
      cmocka_unit_test(free_with_the_size_or_the_alignment_frees),
      cmocka_unit_test(free_of_null_with_a_size_does_nothing),
      cmocka_unit_test(dupenv_copies_an_environment_variable),
      cmocka_unit_test(dupenv_of_a_variable_that_is_not_set_gives_null),
      cmocka_unit_test(dupenv_refuses_null),
      cmocka_unit_test(wide_dupenv_exists_on_windows_only),
      cmocka_unit_test(wcsdup_copies_a_wide_string),
      cmocka_unit_test(mbsdup_copies_an_unsigned_string),
  };
  return cmocka_run_group_tests_name("api/posix", tests, be_silent, unregister_all);
}
