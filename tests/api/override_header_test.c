// SPDX-License-Identifier: MIT
// override_header_test.c - with mimalloc-override.h, every name leads to mimalloc
#include "api_test.h"

#include <wchar.h>

#include "mimalloc-override.h"

// Is this a live block of mimalloc? Frees it.
static bool is_ours(void* p) {
  const bool ours = p != NULL && mi_malloc_size(p) > 0;
  mi_free(p);
  return ours;
}

static void names_of_c_and_posix_are_ours(void** state) {
  (void)state;
  assert_true(is_ours(malloc(10)));
  assert_true(is_ours(calloc(10, 10)));
  assert_true(is_ours(realloc(malloc(10), 1000)));
  assert_true(is_ours(strdup("text")));
  assert_true(is_ours(strndup("text", 2)));
  assert_true(is_ours(realpath("/", NULL)));
  ASSERT_QUIET(free(mi_malloc(10)));
}

static void names_of_unix_are_ours(void** state) {
  (void)state;
  assert_true(is_ours(reallocf(NULL, 10)));
  assert_true(is_ours(valloc(10)));
  assert_true(is_ours(pvalloc(10)));
  assert_true(is_ours(reallocarray(NULL, 10, 10)));
  assert_true(is_ours(memalign(64, 10)));
  assert_true(is_ours(aligned_alloc(64, 128)));
  void* p = NULL;
  assert_int_equal(posix_memalign(&p, 64, 10), 0);
  assert_true(is_ours(p));
  assert_int_equal(_posix_memalign(&p, 64, 10), 0);
  assert_true(is_ours(p));
  p = NULL;
  assert_int_equal(reallocarr(&p, 10, 10), 0);
  assert_int_equal(malloc_size(p), mi_usable_size(p));
  assert_int_equal(malloc_usable_size(p), mi_usable_size(p));
  assert_int_equal(malloc_good_size(100), mi_good_size(100));
  ASSERT_QUIET(cfree(p));
}

static void names_of_microsoft_are_ours(void** state) {
  (void)state;
  void* const p = malloc(100);
  assert_ptr_equal(_expand(p, 90), p);
  assert_int_equal(_msize(p), mi_usable_size(p));
  free(p);
  assert_true(is_ours(_recalloc(NULL, 10, 10)));
  assert_true(is_ours(_strdup("text")));
  assert_true(is_ours(_strndup("text", 2)));
  assert_true(is_ours(_wcsdup(L"text")));
  assert_true(is_ours(_mbsdup((const unsigned char*)"text")));
  char* value = NULL;
  assert_int_equal(_dupenv_s(&value, NULL, "PATH"), 0);
  if (value != NULL) assert_true(is_ours(value));
  wchar_t* wide = NULL;
  assert_int_equal(_wdupenv_s(&wide, NULL, L"PATH"), EINVAL);
}

static void aligned_names_of_microsoft_take_the_size_first(void** state) {
  (void)state;
  void* p = _aligned_malloc(100, 4096);
  assert_true(is_aligned(p, 4096));
  p = _aligned_realloc(p, 10000, 4096);
  assert_true(is_aligned(p, 4096));
  p = _aligned_recalloc(p, 20000, 1, 4096);
  assert_true(is_aligned(p, 4096));
  assert_int_equal(_aligned_msize(p, 4096, 0), mi_usable_size(p));
  ASSERT_QUIET(_aligned_free(p));
  p = _aligned_offset_malloc(100, 4096, 8);
  assert_true(is_aligned_at(p, 4096, 8));
  p = _aligned_offset_realloc(p, 10000, 4096, 8);
  assert_true(is_aligned_at(p, 4096, 8));
  p = _aligned_offset_recalloc(p, 20000, 1, 4096, 8);
  assert_true(is_aligned_at(p, 4096, 8));
  assert_true(is_ours(p));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_of_c_and_posix_are_ours),
      cmocka_unit_test(names_of_unix_are_ours),
      cmocka_unit_test(names_of_microsoft_are_ours),
      cmocka_unit_test(aligned_names_of_microsoft_take_the_size_first),
  };
  return cmocka_run_group_tests_name("api/override_header", tests, be_silent, unregister_all);
}
