// SPDX-License-Identifier: MIT
// blocksize_test.c - the functions that also tell the size of the block
#include "api_test.h"

enum { UNWRITTEN = 424242 };

static const size_t sizes[] = {0,    1,    8,     9,     100,     128,     129,    1000,
                               1025, 5000, 32768, 40000, 1048576, 1048577, 4000000};

static void umalloc_tells_the_usable_size(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    size_t block_size = UNWRITTEN;
    void* const p = mi_umalloc(sizes[i], &block_size);
    assert_non_null(p);
    assert_int_equal(block_size, mi_usable_size(p));
    assert_int_equal(block_size, mi_good_size(sizes[i]));
    fill(p, block_size, 1);
    assert_true(holds(p, block_size, 1));
    mi_free(p);
  }
}

static void ucalloc_zeroes_and_tells_the_usable_size(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    make_dirty(sizes[i] * 2);
    size_t block_size = UNWRITTEN;
    void* const p = mi_ucalloc(2, sizes[i], &block_size);
    assert_non_null(p);
    assert_int_equal(block_size, mi_usable_size(p));
    assert_int_equal(block_size, mi_good_size(2 * sizes[i]));
    assert_true(is_zero(p, 2 * sizes[i]));
    mi_free(p);
  }
}

static void urealloc_tells_the_usable_size_before_and_after(void** state) {
  (void)state;
  void* p = NULL;
  size_t size = 0;
  for (size_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
    const size_t next = (i < COUNT_OF(sizes)) ? sizes[i] : sizes[2 * COUNT_OF(sizes) - 1 - i];
    const size_t before = mi_usable_size(p);
    size_t pre = UNWRITTEN;
    size_t post = UNWRITTEN;
    p = mi_urealloc(p, next, &pre, &post);
    assert_non_null(p);
    assert_int_equal(pre, before);
    assert_int_equal(post, mi_usable_size(p));
    assert_true(post >= next);
    assert_true(holds(p, size < next ? size : next, 2));
    size = next;
    fill(p, size, 2);
  }
  mi_free(p);
}

static void urealloc_of_null_has_size_zero_before(void** state) {
  (void)state;
  size_t pre = UNWRITTEN;
  size_t post = UNWRITTEN;
  void* const p = mi_urealloc(NULL, 100, &pre, &post);
  assert_non_null(p);
  assert_int_equal(pre, 0);
  assert_int_equal(post, mi_good_size(100));
  mi_free(p);
}

static void ufree_tells_the_size_of_the_freed_block(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = mi_malloc(sizes[i]);
    const size_t usable = mi_usable_size(p);
    size_t block_size = UNWRITTEN;
    ASSERT_QUIET(mi_ufree(p, &block_size));
    assert_int_equal(block_size, usable);
  }
  size_t block_size = UNWRITTEN;
  ASSERT_QUIET(mi_ufree(NULL, &block_size));
  assert_int_equal(block_size, 0);
}

static void ufree_frees(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 500; i++) {
    void* const p = mi_malloc(MiB);
    memset(p, 1, MiB);
    mi_ufree(p, NULL);
  }
  assert_true(resident_bytes() < before + 64 * MiB);
}

static void aligned_forms_tell_the_usable_size(void** state) {
  (void)state;
  for (size_t alignment = 1; alignment <= 16 * MiB; alignment *= 2) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
      size_t block_size = UNWRITTEN;
      void* const p = mi_umalloc_aligned(sizes[i], alignment, &block_size);
      assert_non_null(p);
      assert_true(is_aligned(p, alignment));
      assert_int_equal(block_size, mi_usable_size(p));
      assert_true(block_size >= sizes[i]);
      mi_free(p);
      if (sizes[i] <= 64 * KiB) make_dirty(sizes[i]);
      block_size = UNWRITTEN;
      void* const q = mi_uzalloc_aligned(sizes[i], alignment, &block_size);
      assert_non_null(q);
      assert_true(is_aligned(q, alignment));
      assert_int_equal(block_size, mi_usable_size(q));
      assert_true(is_zero(q, sizes[i] < 64 * KiB ? sizes[i] : 64 * KiB));
      mi_free(q);
    }
  }
}

static void small_forms_tell_the_usable_size(void** state) {
  (void)state;
  for (size_t size = 0; size <= MI_SMALL_SIZE_MAX; size++) {
    size_t block_size = UNWRITTEN;
    void* const p = mi_umalloc_small(size, &block_size);
    assert_non_null(p);
    assert_int_equal(block_size, mi_usable_size(p));
    memset(p, 0xBB, block_size);
    mi_free(p);
    block_size = UNWRITTEN;
    void* const q = mi_uzalloc_small(size, &block_size);
    assert_non_null(q);
    assert_int_equal(block_size, mi_usable_size(q));
    assert_true(is_zero(q, size));
    mi_free(q);
  }
}

static void the_size_may_be_left_out(void** state) {
  (void)state;
  void* const p = mi_umalloc(100, NULL);
  void* const q = mi_ucalloc(10, 10, NULL);
  void* const r = mi_urealloc(mi_urealloc(NULL, 10, NULL, NULL), 100, NULL, NULL);
  void* const s = mi_umalloc_aligned(100, 64, NULL);
  void* const t = mi_uzalloc_aligned(100, 64, NULL);
  void* const u = mi_umalloc_small(100, NULL);
  void* const v = mi_uzalloc_small(100, NULL);
  assert_true(p && q && r && s && t && u && v);
  mi_ufree(p, NULL);
  mi_ufree(q, NULL);
  mi_ufree(r, NULL);
  mi_ufree(s, NULL);
  mi_ufree(t, NULL);
  mi_ufree(u, NULL);
  mi_ufree(v, NULL);
  mi_ufree(NULL, NULL);
}

static void one_of_the_two_sizes_may_be_left_out(void** state) {
  (void)state;
  size_t pre = UNWRITTEN;
  size_t post = UNWRITTEN;
  void* p = mi_urealloc(NULL, 100, NULL, &post);
  assert_int_equal(post, mi_good_size(100));
  p = mi_urealloc(p, 1000, &pre, NULL);
  assert_int_equal(pre, mi_good_size(100));
  mi_free(p);
}

static void the_size_is_not_written_when_the_call_fails(void** state) {
  (void)state;
  const size_t huge = opaque(TOO_LARGE);
  size_t size = UNWRITTEN;
  size_t post = UNWRITTEN;
  void* const p = mi_malloc(100);
  fill(p, 100, 1);
  ASSERT_FAILS(mi_umalloc(huge, &size), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_ucalloc(huge, 2, &size), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_umalloc_aligned(huge, 64, &size), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_uzalloc_aligned(huge, 64, &size), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_umalloc_aligned(10, opaque(3), &size), EINVAL, EINVAL);
  ASSERT_FAILS(mi_uzalloc_aligned(10, opaque(0), &size), EINVAL, EINVAL);
  ASSERT_FAILS(mi_urealloc(p, huge, &size, &post), ENOMEM, EOVERFLOW);
  assert_int_equal(size, UNWRITTEN);
  assert_int_equal(post, UNWRITTEN);
  assert_true(holds(p, 100, 1));
  mi_free(p);
}

static void success_leaves_errno_alone(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    size_t size = 0;
    void* p = NULL;
    ASSERT_QUIET(p = mi_umalloc(sizes[i], &size));
    ASSERT_QUIET(p = mi_urealloc(p, sizes[i] * 3, &size, &size));
    ASSERT_QUIET(mi_ufree(p, &size));
    ASSERT_QUIET(p = mi_ucalloc(sizes[i], 1, &size));
    ASSERT_QUIET(mi_ufree(p, &size));
    ASSERT_QUIET(p = mi_uzalloc_aligned(sizes[i], 128, &size));
    ASSERT_QUIET(mi_ufree(p, &size));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(umalloc_tells_the_usable_size),
      cmocka_unit_test(ucalloc_zeroes_and_tells_the_usable_size),
      cmocka_unit_test(urealloc_tells_the_usable_size_before_and_after),
      cmocka_unit_test(urealloc_of_null_has_size_zero_before),
      cmocka_unit_test(ufree_tells_the_size_of_the_freed_block),
      cmocka_unit_test(ufree_frees),
      cmocka_unit_test(aligned_forms_tell_the_usable_size),
      cmocka_unit_test(small_forms_tell_the_usable_size),
      cmocka_unit_test(the_size_may_be_left_out),
      cmocka_unit_test(one_of_the_two_sizes_may_be_left_out),
      cmocka_unit_test(the_size_is_not_written_when_the_call_fails),
      cmocka_unit_test(success_leaves_errno_alone),
  };
  return cmocka_run_group_tests_name("api/blocksize", tests, be_silent, unregister_all);
}
