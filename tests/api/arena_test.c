// SPDX-License-Identifier: MIT
// arena_test.c - memory that the program sets apart (promise P23)
#include "api_test.h"

static mi_arena_id_t reserve(size_t size, bool exclusive) {
  mi_arena_id_t id = NULL;
  assert_int_equal(mi_reserve_os_memory_ex(size, false, false, exclusive, &id), 0);
  assert_non_null(id);
  return id;
}

static void areas_are_as_large_as_asked_for(void** state) {
  (void)state;
  size_t size = 0;
  const mi_arena_id_t id = reserve(50 * MiB, true);
  uint8_t* const start = mi_arena_area(id, &size);
  assert_true(size >= 50 * MiB && size < 50 * MiB + 4 * MiB);
  assert_true(is_aligned(start, mi_arena_min_alignment()));
  assert_true(mi_arena_contains(id, start) && mi_arena_contains(id, start + size - 1));
  assert_false(mi_arena_contains(id, start + size) || mi_arena_contains(id, start - 1));
  assert_int_equal(mi_arena_release(id), 0);
}

static void no_arena_is_empty(void** state) {
  (void)state;
  size_t size = 1;
  assert_null(mi_arena_area(NULL, &size));
  assert_int_equal(size, 0);
  assert_null(mi_arena_area(NULL, NULL));
  assert_false(mi_arena_contains(NULL, &size));
  assert_int_equal(mi_arena_release(NULL), 0);
  mi_heap_t* const heap = mi_heap_new_in_arena(NULL);
  mi_free(mi_heap_malloc(heap, 10));
  mi_heap_destroy(heap);
}

static void wrong_sizes_are_refused(void** state) {
  (void)state;
  mi_arena_id_t id = &id;
  assert_int_equal(mi_reserve_os_memory(0, false, false), ENOMEM);
  assert_int_equal(mi_reserve_os_memory_ex(mi_arena_min_size() - 1, true, true, true, &id), ENOMEM);
  assert_null(id);
  assert_int_equal(mi_reserve_os_memory_ex(opaque(SIZE_MAX), true, true, true, &id), ENOMEM);
  assert_int_equal(mi_reserve_os_memory_ex(opaque(PTRDIFF_MAX), true, true, true, &id), ENOMEM);
  assert_null(id);
}

static void most_of_a_fresh_arena_is_one_block(void** state) {
  (void)state;
  const mi_arena_id_t id = reserve(40 * MiB, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  uint8_t* const p = mi_heap_malloc(heap, 36 * MiB);
  assert_non_null(p);
  assert_true(mi_arena_contains(id, p) && mi_arena_contains(id, p + 36 * MiB - 1));
  assert_null(mi_heap_malloc(heap, 5 * MiB));
  assert_int_equal(mi_arena_release(id), EBUSY);
  mi_free(p);
  assert_int_equal(mi_arena_release(id), EBUSY);
  mi_heap_destroy(heap);
  assert_int_equal(mi_arena_release(id), 0);
}

static void a_full_arena_means_null(void** state) {
  (void)state;
  static const size_t sizes[] = {16, 1000, 30 * KiB, 100 * KiB, 2 * MiB};
  const mi_arena_id_t id = reserve(32 * MiB, true);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    mi_heap_t* const heap = mi_heap_new_in_arena(id);
    size_t got = 0;
    for (;;) {
      errno = 0;
      uint8_t* const p = mi_heap_malloc(heap, sizes[i]);
      if (p == NULL) break;
      assert_true(mi_arena_contains(id, p));
      assert_ptr_equal(mi_heap_of(p), heap);
      got += mi_usable_size(p);
    }
    assert_int_equal(errno, ENOMEM);
    // A canary makes blocks of 32 bytes of the smallest ones.
    assert_true(got >= (sizes_are_exact() ? 13 : 28) * MiB);
    void* const elsewhere = mi_malloc(sizes[i]);
    assert_false(mi_arena_contains(id, elsewhere));
    mi_free(elsewhere);
    mi_heap_destroy(heap);
  }
  assert_int_equal(mi_arena_release(id), 0);
}

static void nobody_else_uses_an_exclusive_arena(void** state) {
  (void)state;
  enum { COUNT = 200 };
  const mi_arena_id_t id = reserve(32 * MiB, true);
  mi_heap_t* const heap = mi_heap_new();
  void* blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    const size_t size = i * 37 * KiB;
    blocks[i] = i % 2 ? mi_malloc(size) : mi_heap_malloc(heap, size);
    assert_false(mi_arena_contains(id, blocks[i]));
  }
  for (size_t i = 0; i < COUNT; i++) {  // nor does a block grow into it
    blocks[i] = mi_realloc(blocks[i], 8 * MiB + i * 4 * KiB);
    assert_false(mi_arena_contains(id, blocks[i]));
    assert_false(mi_arena_contains(id, (uint8_t*)blocks[i] + 8 * MiB - 1));
    mi_free(blocks[i]);
  }
  mi_heap_destroy(heap);
  assert_int_equal(mi_arena_release(id), 0);
}

static void blocks_of_an_arena_stay_there(void** state) {
  (void)state;
  const mi_arena_id_t id = reserve(32 * MiB, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  uint8_t* p = mi_heap_malloc(heap, 100);
  for (size_t size = 100; size < 10 * MiB; size *= 2) {
    fill(p, 100, 1);
    p = mi_heap_realloc(heap, p, size);
    assert_true(holds(p, 100, 1));
    assert_true(mi_arena_contains(id, p) && mi_arena_contains(id, p + size - 1));
  }
  mi_heap_delete(heap);
  assert_ptr_equal(mi_heap_of(p), mi_heap_main());
  assert_int_equal(mi_arena_release(id), EBUSY);
  mi_free(p);
  mi_collect(true);
  assert_int_equal(mi_arena_release(id), 0);
}

// --- isolated heaps ---

// Slices of 64 KiB in which a heap has had a block.
enum { SLICES_MAX = 1 << 16 };
static uintptr_t its_slices[SLICES_MAX];
static size_t its_slice_count;

static void note_slices(const void* p, size_t size) {
  for (uintptr_t slice = (uintptr_t)p >> 16; slice <= ((uintptr_t)p + size - 1) >> 16; slice++) {
    if (its_slice_count > 0 && its_slices[its_slice_count - 1] == slice) continue;
    assert_true(its_slice_count < SLICES_MAX);
    its_slices[its_slice_count++] = slice;
  }
}

static bool mi_cdecl note_area(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                               size_t size, void* arg) {
  (void)heap, (void)area, (void)arg;
  if (block != NULL) note_slices(block, size);
  return true;
}

static int by_number(const void* a, const void* b) {
  const uintptr_t one = *(const uintptr_t*)a, other = *(const uintptr_t*)b;
  return (one > other) - (one < other);
}

static bool is_its_slice(const void* p) {
  const uintptr_t slice = (uintptr_t)p >> 16;
  return bsearch(&slice, its_slices, its_slice_count, sizeof slice, by_number) != NULL;
}

// Blocks of all kinds. Heap NULL: malloc.
static void use_heap(mi_heap_t* heap, size_t bytes) {
  for (size_t total = 0, size = 8; total < bytes; size = size < 2 * MiB ? size * 2 + 8 : 8) {
    uint8_t* const p = heap != NULL ? mi_heap_malloc(heap, size) : mi_malloc(size);
    if (p == NULL) return;  // its addresses are used up
    fill(p, size, 3);
    if (total / MiB % 2 == 0) mi_free(p);  // its memory is used again, or not, while it lives
    total += size;
  }
}

// Of those that come now, and of those that are there.
static void assert_nobody_is_there(mi_heap_t* heap) {
  for (size_t i = 0; i < 3000; i++) {
    const size_t size = i % 100 == 0 ? 1500 * KiB : 16 + i * 37 % 40000;
    uint8_t* const p = heap != NULL ? mi_heap_malloc(heap, size) : mi_malloc(size);
    if (p == NULL) break;
    assert_false(is_its_slice(p) || is_its_slice(p + size - 1));
    if (i % 3 != 0) mi_free(p);
  }
}

static void an_isolated_heap_shares_no_slice_even_when_it_has_ended(void** state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    mi_heap_t* const heap = mi_heap_new_isolated(48 * MiB);
    assert_non_null(heap);
    its_slice_count = 0;
    use_heap(heap, 30 * MiB);
    assert_true(mi_heap_visit_blocks(heap, true, note_area, NULL));
    assert_true(its_slice_count > 50);
    qsort(its_slices, its_slice_count, sizeof its_slices[0], by_number);
    void* const last = mi_heap_malloc(heap, 100);
    assert_nobody_is_there(NULL);
    if (round < 2) {
      mi_heap_destroy(heap);
    } else {
      mi_heap_delete(heap);
      assert_true(mi_any_heap_contains(last));
      mi_free(last);
    }
    mi_collect(true);
    mi_heap_t* const ordinary = mi_heap_new();
    mi_heap_t* const other = mi_heap_new_isolated(64 * MiB);
    assert_nobody_is_there(NULL);
    assert_nobody_is_there(ordinary);
    assert_nobody_is_there(other);
    mi_heap_destroy(ordinary);
    mi_heap_destroy(other);
  }
}

static void an_isolated_heap_ends_where_its_addresses_do(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new_isolated(1);
  assert_non_null(heap);
  assert_null(mi_heap_malloc(heap, 8 * MiB));
  size_t count = 0;
  for (; mi_heap_malloc(heap, 60 * KiB) != NULL; count++) {}
  assert_true(count >= (secure_level() >= 5 ? 20 : 60) && count <= 64);  // with guards: two slices
  mi_heap_destroy(heap);
}

static void open_arenas_serve_everyone(void** state) {
  (void)state;
  const mi_arena_id_t id = reserve(64 * MiB, false);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  void* const p = mi_heap_malloc(heap, 1000);
  assert_true(mi_arena_contains(id, p));
  mi_heap_destroy(heap);
  assert_int_equal(mi_reserve_os_memory(32 * MiB, true, true), 0);
  mi_heap_t* const old = mi_heap_new_ex(7, false, id);
  mi_free(mi_heap_malloc(old, 10));
  mi_heap_destroy(old);
}

static void huge_pages_are_reported_as_obtained(void** state) {
  (void)state;
  size_t got = 7;
  mi_arena_id_t id = &id;
  assert_int_equal(mi_reserve_huge_os_pages_at(0, -1, 0), 0);
  assert_int_equal(mi_reserve_huge_os_pages_interleave(0, 0, 0), 0);
  assert_int_equal(mi_reserve_huge_os_pages_at_ex(0, -1, 0, true, &id), 0);
  assert_null(id);
  const int code = mi_reserve_huge_os_pages(1, 10.0, &got);
  assert_true(code == 0 ? got == 1 : code == ENOMEM && got == 0);
  const int again = mi_reserve_huge_os_pages_at_ex(1, 0, 10 * 1000, true, &id);
  assert_true(again == 0 || (again == ENOMEM && id == NULL));
  assert_true(mi_reserve_huge_os_pages_interleave(1, 1, 0) >= 0);
}

static void the_map_names_arenas(void** state) {
  (void)state;
  const mi_arena_id_t id = reserve(32 * MiB, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  void* const p = mi_heap_malloc(heap, 3 * MiB);
  void* const q = mi_heap_malloc(heap, 10);
  assert_non_null(q);
  output_begin();
  mi_arenas_print();
  assert_non_null(strstr(output.text, "exclusive"));
  assert_non_null(strstr(output.text, "32 MiB at"));
  assert_non_null(strstr(output.text, "Bbbbbbbbbb"));
  assert_non_null(strchr(output.text, 'h'));
  output_begin();
  mi_debug_show_arenas();
  assert_non_null(strstr(output.text, "exclusive"));
  mi_free(p);
  mi_heap_destroy(heap);
  assert_int_equal(mi_arena_release(id), 0);
}

// With 32 bits there is less to set apart than these tests want.
int main(void) {
  if (sizeof(void*) == 4) return 0;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(areas_are_as_large_as_asked_for),
      cmocka_unit_test(no_arena_is_empty),
      cmocka_unit_test(wrong_sizes_are_refused),
      cmocka_unit_test(most_of_a_fresh_arena_is_one_block),
      cmocka_unit_test(a_full_arena_means_null),
      cmocka_unit_test(nobody_else_uses_an_exclusive_arena),
      cmocka_unit_test(blocks_of_an_arena_stay_there),
      cmocka_unit_test(an_isolated_heap_shares_no_slice_even_when_it_has_ended),
      cmocka_unit_test(an_isolated_heap_ends_where_its_addresses_do),
      cmocka_unit_test(open_arenas_serve_everyone),
      cmocka_unit_test(huge_pages_are_reported_as_obtained),
      cmocka_unit_test_teardown(the_map_names_arenas, unregister_all),
  };
  return cmocka_run_group_tests_name("api/arena", tests, be_silent, unregister_all);
}
