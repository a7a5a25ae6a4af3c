// SPDX-License-Identifier: MIT
// zero_test.c - allocation and reallocation of zeroed memory
#include "api_test.h"

static const size_t sizes[] = {0,      1,       8,       9,       16,     24,    100,
                               128,    129,     1000,    1024,    1025,   4000,  4096,
                               8192,   8193,    20000,   32768,   32769,  65536, 70000,
                               200000, 1048576, 1048577, 3000000, 5000000};

static void zalloc_zeroes_memory_that_was_used_before(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    make_dirty(sizes[i]);
    void* const p = mi_zalloc(sizes[i]);
    assert_non_null(p);
    assert_true(is_block_aligned(p, sizes[i]));
    assert_true(is_zero(p, sizes[i]));
    mi_free(p);
  }
}

static void zalloc_zeroes_all_of_the_block(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    make_dirty(sizes[i]);
    void* const p = mi_zalloc(sizes[i]);
    assert_non_null(p);
    assert_true(is_zero(opaque_pointer(p), mi_usable_size(p)));
    mi_free(p);
  }
}

static void zalloc_small_zeroes_all_small_sizes(void** state) {
  (void)state;
  for (size_t size = 0; size <= MI_SMALL_SIZE_MAX; size++) {
    make_dirty(size);
    void* const p = mi_zalloc_small(size);
    assert_non_null(p);
    assert_true(is_zero(p, size));
    assert_int_equal(mi_usable_size(p), mi_good_size(size));
    mi_free(p);
  }
}

static void many_zeroed_blocks_of_one_size_are_all_zero(void** state) {
  (void)state;
  enum { COUNT = 4000 };
  static void* blocks[COUNT];
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < COUNT; i++) {
      blocks[i] = mi_zalloc(64);
      assert_non_null(blocks[i]);
      assert_true(is_zero(blocks[i], 64));
      memset(blocks[i], 0xFF, 64);
    }
    for (size_t i = 0; i < COUNT; i++) mi_free(blocks[(i * 7) % COUNT]);
  }
}

// Each way to resize zeroed memory, with an alignment to expect of the result.
typedef void* resize_fun(void* p, size_t newsize);
static void* by_rezalloc(void* p, size_t n) { return mi_rezalloc(p, n); }
static void* by_recalloc(void* p, size_t n) { return mi_recalloc(p, n, 1); }
static void* by_rezalloc_aligned(void* p, size_t n) { return mi_rezalloc_aligned(p, n, 64); }
static void* by_rezalloc_aligned_at(void* p, size_t n) {
  return mi_rezalloc_aligned_at(p, n, 64, 24);
}
static void* by_recalloc_aligned(void* p, size_t n) { return mi_recalloc_aligned(p, n, 1, 64); }
static void* by_recalloc_aligned_at(void* p, size_t n) {
  return mi_recalloc_aligned_at(p, n, 1, 64, 24);
}
static void* by_page_aligned(void* p, size_t n) { return mi_rezalloc_aligned(p, n, 4096); }

static const struct {
  const char* name;
  resize_fun* resize;
  size_t alignment;
  size_t offset;
} resizers[] = {
    {"mi_rezalloc", &by_rezalloc, 1, 0},
    {"mi_recalloc", &by_recalloc, 1, 0},
    {"mi_rezalloc_aligned", &by_rezalloc_aligned, 64, 0},
    {"mi_rezalloc_aligned_at", &by_rezalloc_aligned_at, 64, 24},
    {"mi_recalloc_aligned", &by_recalloc_aligned, 64, 0},
    {"mi_recalloc_aligned_at", &by_recalloc_aligned_at, 64, 24},
    {"mi_rezalloc_aligned to a page", &by_page_aligned, 4096, 0},
};

static void resizing_null_allocates_zeroed_memory(void** state) {
  (void)state;
  for (size_t r = 0; r < COUNT_OF(resizers); r++) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
      make_dirty(sizes[i]);
      void* const p = resizers[r].resize(NULL, sizes[i]);
      if (p == NULL || !is_zero(p, sizes[i])) fail_msg("%s %zu", resizers[r].name, sizes[i]);
      assert_true(is_aligned_at(p, resizers[r].alignment, resizers[r].offset));
      mi_free(p);
    }
  }
}

static void growing_keeps_the_contents_and_adds_zeros(void** state) {
  (void)state;
  for (size_t r = 0; r < COUNT_OF(resizers); r++) {
    uint8_t* p = NULL;
    size_t size = 0;
    for (size_t next = 1; next <= 5 * MiB; next += 1 + next / 3) {
      if (next < 100000) make_dirty(next);
      p = (uint8_t*)resizers[r].resize(p, next);
      if (p == NULL || !holds(p, size, 1) || !is_zero(p + size, next - size)) {
        fail_msg("%s from %zu to %zu", resizers[r].name, size, next);
      }
      assert_true(is_aligned_at(p, resizers[r].alignment, resizers[r].offset));
      fill(p, next, 1);
      size = next;
    }
    mi_free(p);
  }
}

static void growing_inside_the_block_adds_zeros(void** state) {
  (void)state;
  for (size_t r = 0; r < COUNT_OF(resizers); r++) {
    make_dirty(1024);
    uint8_t* p = (uint8_t*)resizers[r].resize(NULL, 900);
    for (size_t size = 900; size <= 1200; size++) {
      p = (uint8_t*)resizers[r].resize(p, size);
      assert_non_null(p);
      if (p[size - 1] != 0) fail_msg("%s to %zu", resizers[r].name, size);
      p[size - 1] = 0xEE;
    }
    mi_free(p);
  }
}

static void shrinking_keeps_the_contents(void** state) {
  (void)state;
  for (size_t r = 0; r < COUNT_OF(resizers); r++) {
    size_t size = 2 * MiB;
    uint8_t* p = (uint8_t*)resizers[r].resize(NULL, size);
    assert_non_null(p);
    fill(p, size, 2);
    while (size > 1) {
      size = size / 3 + 1;
      p = (uint8_t*)resizers[r].resize(p, size);
      if (p == NULL || !holds(p, size, 2)) fail_msg("%s to %zu", resizers[r].name, size);
      assert_true(is_aligned_at(p, resizers[r].alignment, resizers[r].offset));
      if (size == 2) break;
    }
    mi_free(p);
  }
}

static void resizing_to_zero_gives_a_block(void** state) {
  (void)state;
  for (size_t r = 0; r < COUNT_OF(resizers); r++) {
    void* p = resizers[r].resize(NULL, 100);
    p = resizers[r].resize(p, 0);
    assert_non_null(p);
    assert_true(is_aligned_at(p, resizers[r].alignment, resizers[r].offset));
    mi_free(p);
  }
}

static void recalloc_multiplies_count_and_size(void** state) {
  (void)state;
  uint8_t* p = (uint8_t*)mi_recalloc(NULL, 10, 10);
  assert_int_equal(mi_usable_size(p), mi_good_size(100));
  fill(p, 100, 3);
  p = (uint8_t*)mi_recalloc(p, 100, 100);
  assert_non_null(p);
  assert_true(mi_usable_size(p) >= 10000);
  assert_true(holds(p, 100, 3));
  assert_true(is_zero(p + 100, 9900));
  p = (uint8_t*)mi_recalloc_aligned(p, 200, 100, 256);
  assert_non_null(p);
  assert_true(is_aligned(p, 256));
  assert_true(mi_usable_size(p) >= 20000);
  assert_true(holds(p, 100, 3));
  assert_true(is_zero(p + 100, 19900));
  p = (uint8_t*)mi_recalloc_aligned_at(p, 300, 100, 256, 16);
  assert_non_null(p);
  assert_true(is_aligned_at(p, 256, 16));
  assert_true(mi_usable_size(p) >= 30000);
  assert_true(holds(p, 100, 3));
  assert_true(is_zero(p + 100, 29900));
  mi_free(p);
}

static void a_large_zeroed_block_costs_no_memory_before_it_is_used(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  const size_t count = sizeof(void*) == 8 ? 512 : 256;
  void* const p = mi_zalloc(count * MiB);
  void* const q = mi_calloc(count, MiB);
  assert_non_null(p);
  assert_non_null(q);
  assert_true(resident_bytes() < before + 64 * MiB);
  mi_free(p);
  mi_free(q);
}

static void success_leaves_errno_alone(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* p = NULL;
    ASSERT_QUIET(p = mi_zalloc(sizes[i]));
    mi_free(p);
    for (size_t r = 0; r < COUNT_OF(resizers); r++) {
      p = NULL;
      ASSERT_QUIET(p = resizers[r].resize(p, sizes[i]));
      ASSERT_QUIET(p = resizers[r].resize(p, sizes[i] * 2));
      ASSERT_QUIET(p = resizers[r].resize(p, sizes[i] / 2));
      ASSERT_QUIET(mi_free(p));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zalloc_zeroes_memory_that_was_used_before),
      cmocka_unit_test(zalloc_zeroes_all_of_the_block),
      cmocka_unit_test(zalloc_small_zeroes_all_small_sizes),
      cmocka_unit_test(many_zeroed_blocks_of_one_size_are_all_zero),
      cmocka_unit_test(resizing_null_allocates_zeroed_memory),
      cmocka_unit_test(growing_keeps_the_contents_and_adds_zeros),
      cmocka_unit_test(growing_inside_the_block_adds_zeros),
      cmocka_unit_test(shrinking_keeps_the_contents),
      cmocka_unit_test(resizing_to_zero_gives_a_block),
      cmocka_unit_test(recalloc_multiplies_count_and_size),
      cmocka_unit_test(a_large_zeroed_block_costs_no_memory_before_it_is_used),
      cmocka_unit_test(success_leaves_errno_alone),
  };
  return cmocka_run_group_tests_name("api/zero", tests, be_silent, unregister_all);
}
