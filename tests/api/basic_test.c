// SPDX-License-Identifier: MIT
// basic_test.c - mi_malloc, mi_realloc, mi_free, strings, sizes
#include "api_test.h"

static void malloc_gives_memory_that_can_be_used(void** state) {
  (void)state;
  for (size_t size = 1; size <= 2 * MiB; size += 1 + size / 7) {
    uint8_t* const p = (uint8_t*)mi_malloc(size);
    assert_non_null(p);
    assert_true(is_block_aligned(p, size));
    assert_true(mi_usable_size(p) >= size);
    fill(p, size, 1);
    assert_true(holds(p, size, 1));
    mi_free(p);
  }
}

static void all_of_the_usable_size_can_be_used(void** state) {
  (void)state;
  enum { COUNT = 200 };
  void* blocks[COUNT];
  for (unsigned i = 0; i < COUNT; i++) {
    blocks[i] = mi_malloc((size_t)i * 37);
    assert_non_null(blocks[i]);
    fill(opaque_pointer(blocks[i]), mi_usable_size(blocks[i]), i);
  }
  for (unsigned i = 0; i < COUNT; i++) {
    assert_true(holds(opaque_pointer(blocks[i]), mi_usable_size(blocks[i]), i));
    mi_free(blocks[i]);
  }
}

static void size_zero_gives_a_block_of_its_own(void** state) {
  (void)state;
  enum { COUNT = 600 };
  void* blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    switch (i % 6) {
      case 0: blocks[i] = mi_malloc(0); break;
      case 1: blocks[i] = mi_calloc(0, 8); break;
      case 2: blocks[i] = mi_calloc(8, 0); break;
      case 3: blocks[i] = mi_mallocn(0, opaque(SIZE_MAX)); break;
      case 4: blocks[i] = mi_realloc(NULL, 0); break;
      case 5: blocks[i] = mi_malloc_small(0); break;
    }
    assert_non_null(blocks[i]);
    for (size_t j = 0; j < i; j++) assert_ptr_not_equal(blocks[i], blocks[j]);
  }
  for (size_t i = 0; i < COUNT; i++) mi_free(blocks[i]);
}

static void live_blocks_do_not_overlap(void** state) {
  (void)state;
  enum { COUNT = 20000 };
  static void* blocks[COUNT];
  static size_t sizes[COUNT];
  uint32_t random = 12345;
  for (unsigned round = 0; round < 4 * COUNT; round++) {
    random = random * 1664525u + 1013904223u;
    const unsigned i = (random >> 8) % COUNT;
    if (blocks[i] != NULL) {
      assert_true(holds(blocks[i], sizes[i], i));
      mi_free(blocks[i]);
    }
    sizes[i] = (random & 63) == 0 ? (random >> 16) : (random >> 16) % 600;
    blocks[i] = mi_malloc(sizes[i]);
    assert_non_null(blocks[i]);
    fill(blocks[i], sizes[i], i);
  }
  for (unsigned i = 0; i < COUNT; i++) {
    if (blocks[i] == NULL) continue;
    assert_true(holds(blocks[i], sizes[i], i));
    mi_free(blocks[i]);
  }
}

static void calloc_zeroes_memory_that_was_used_before(void** state) {
  (void)state;
  const size_t sizes[] = {1,    8,    9,    40,       128,      129, 1000,
                          1024, 1025, 5000, 32 * KiB, 40 * KiB, MiB, 3 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    make_dirty(sizes[i]);
    void* const p = mi_calloc(1, sizes[i]);
    void* const q = mi_calloc(sizes[i], 1);
    assert_non_null(p);
    assert_non_null(q);
    assert_true(is_zero(p, sizes[i]));
    assert_true(is_zero(q, sizes[i]));
    mi_free(p);
    mi_free(q);
  }
}

static void calloc_gives_count_times_size_bytes(void** state) {
  (void)state;
  for (size_t count = 1; count < 3000; count = count * 3 + 1) {
    void* const p = mi_calloc(count, 24);
    assert_non_null(p);
    assert_true(mi_usable_size(p) >= count * 24);
    assert_true(is_zero(p, count * 24));
    mi_free(p);
  }
}

static void mallocn_gives_count_times_size_bytes(void** state) {
  (void)state;
  void* const p = mi_mallocn(100, 24);
  assert_non_null(p);
  assert_true(mi_usable_size(p) >= 2400);
  fill(p, 2400, 2);
  assert_true(holds(p, 2400, 2));
  mi_free(p);
}

static void malloc_small_serves_all_small_sizes(void** state) {
  (void)state;
  for (size_t size = 0; size <= MI_SMALL_SIZE_MAX; size++) {
    void* const p = mi_malloc_small(size);
    assert_non_null(p);
    assert_true(is_block_aligned(p, size));
    assert_int_equal(mi_usable_size(p), mi_good_size(size));
    memset(p, 0x5A, size);
    mi_free_small(p);
  }
}

static void free_small_frees_what_the_small_functions_gave(void** state) {
  (void)state;
  mi_free_small(NULL);
  // would need 1.6 GB if nothing were freed
  const size_t before = resident_bytes();
  for (int i = 0; i < 400000; i++) {
    void* const p = mi_malloc_small(MI_SMALL_SIZE_MAX);
    void* const q = mi_zalloc_small(MI_SMALL_SIZE_MAX);
    void* const r = mi_umalloc_small(MI_SMALL_SIZE_MAX, NULL);
    void* const s = mi_uzalloc_small(MI_SMALL_SIZE_MAX, NULL);
    memset(p, 1, MI_SMALL_SIZE_MAX);
    memset(r, 1, MI_SMALL_SIZE_MAX);
    mi_free_small(p);
    mi_free_small(q);
    mi_free_small(r);
    mi_free_small(s);
  }
  assert_true(resident_bytes() < before + 64 * MiB);
}

static void free_of_null_does_nothing(void** state) {
  (void)state;
  ASSERT_QUIET(mi_free(NULL));
}

static void freed_memory_is_used_again(void** state) {
  (void)state;
  const size_t sizes[] = {64, 3000, 20 * KiB, 300 * KiB, 5 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const size_t before = resident_bytes();
    for (size_t total = 0; total < 512 * MiB; total += sizes[i]) {
      volatile uint8_t* const p = (volatile uint8_t*)mi_malloc(sizes[i]);
      p[0] = p[sizes[i] - 1] = 1;
      mi_free((void*)(uintptr_t)p);
    }
    assert_true(resident_bytes() < before + 64 * MiB);
  }
}

enum { REMOTE_COUNT = 5000 };

static void* free_all_in_thread(void* arg) {
  void** const blocks = (void**)arg;
  for (size_t i = 0; i < REMOTE_COUNT; i++) mi_free(blocks[i]);
  return NULL;
}

static void a_block_may_be_freed_by_another_thread(void** state) {
  (void)state;
  static void* blocks[REMOTE_COUNT];
  for (int round = 0; round < 10; round++) {
    for (size_t i = 0; i < REMOTE_COUNT; i++) {
      blocks[i] = mi_malloc(i % 2000);
      assert_non_null(blocks[i]);
      memset(blocks[i], 0x33, i % 2000);
    }
    result_of_thread(&free_all_in_thread, blocks);
  }
}

static void* allocate_in_thread(void* arg) {
  void** const blocks = (void**)arg;
  for (unsigned i = 0; i < REMOTE_COUNT; i++) {
    blocks[i] = mi_malloc(i % 2000);
    fill(blocks[i], i % 2000, i);
  }
  return NULL;
}

static void blocks_outlive_the_thread_that_allocated_them(void** state) {
  (void)state;
  static void* blocks[REMOTE_COUNT];
  for (int round = 0; round < 5; round++) {
    result_of_thread(&allocate_in_thread, blocks);
    for (unsigned i = 0; i < REMOTE_COUNT; i++) {
      assert_true(holds(blocks[i], i % 2000, i));
      blocks[i] = mi_realloc(blocks[i], i % 2000 + 500);
      assert_true(holds(blocks[i], i % 2000, i));
      mi_free(blocks[i]);
    }
  }
}

// --- realloc ---

static void realloc_of_null_allocates(void** state) {
  (void)state;
  void* const p = mi_realloc(NULL, 100);
  assert_non_null(p);
  assert_int_equal(mi_usable_size(p), mi_good_size(100));
  mi_free(p);
}

static void realloc_to_zero_gives_a_smallest_block(void** state) {
  (void)state;
  const size_t sizes[] = {0, 1, 8, 100, 5000, 100 * KiB, 3 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* p = mi_malloc(sizes[i]);
    assert_non_null(p);
    memset(p, 0x77, sizes[i]);
    p = mi_realloc(p, 0);
    assert_non_null(p);
    assert_int_equal(mi_usable_size(p), mi_good_size(0));
    assert_int_equal(*(uint8_t*)opaque_pointer(p), 0);
    mi_free(p);
  }
}

// Sizes on both sides of the borders between the kinds of memory that serve a request.
static const size_t border_sizes[] = {
    1,       7,       8,       9,       15,      16,      17,      112,      127,
    128,     129,     144,     145,     255,     256,     257,     1023,     1024,
    1025,    4095,    4096,    4097,    8191,    8192,    8193,    16383,    16384,
    16385,   32767,   32768,   32769,   65535,   65536,   65537,   131071,   131072,
    131073,  262144,  262145,  524288,  524289,  1048575, 1048576, 1048577,  1114112,
    2097152, 2097153, 4194303, 4194304, 4194305, 8388608, 8388609, 16777215, 16777216,
};

static void realloc_keeps_the_contents_when_growing_and_shrinking(void** state) {
  (void)state;
  uint8_t* p = NULL;
  size_t size = 0;
  for (size_t i = 0; i < COUNT_OF(border_sizes); i++) {
    p = (uint8_t*)mi_realloc(p, border_sizes[i]);
    assert_non_null(p);
    assert_true(is_block_aligned(p, border_sizes[i]));
    assert_true(mi_usable_size(p) >= border_sizes[i]);
    assert_true(holds(p, size, 3));
    size = border_sizes[i];
    fill(p, size, 3);
  }
  for (size_t i = COUNT_OF(border_sizes); i-- > 0;) {
    p = (uint8_t*)mi_realloc(p, border_sizes[i]);
    assert_non_null(p);
    assert_true(mi_usable_size(p) >= border_sizes[i]);
    assert_true(holds(p, border_sizes[i], 3));
  }
  mi_free(p);
}

static void realloc_keeps_the_contents_from_any_border_to_any_other(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(border_sizes); i += 1) {
    for (size_t j = 0; j < COUNT_OF(border_sizes); j += 1) {
      const size_t from = border_sizes[i];
      const size_t to = border_sizes[j];
      if (from > 300 * KiB || to > 300 * KiB) continue;
      void* p = mi_malloc(from);
      void* neighbor = mi_malloc(from);
      assert_non_null(p);
      assert_non_null(neighbor);
      fill(p, from, 5);
      fill(neighbor, from, 6);
      p = mi_realloc(p, to);
      assert_non_null(p);
      assert_true(holds(p, from < to ? from : to, 5));
      fill(p, to, 7);
      assert_true(holds(neighbor, from, 6));
      mi_free(p);
      mi_free(neighbor);
    }
  }
}

static void realloc_in_small_steps_keeps_the_contents(void** state) {
  (void)state;
  uint8_t* p = NULL;
  for (size_t size = 8; size <= MiB; size += 8) {
    p = (uint8_t*)mi_realloc(p, size);
    assert_non_null(p);
    memset(p + size - 8, (int)(size / 8 & 0xFF), 8);
  }
  for (size_t size = 8; size <= MiB; size += 8) assert_int_equal(p[size - 8], size / 8 & 0xFF);
  mi_free(p);
}

static void a_large_block_that_shrinks_much_does_not_stay_large(void** state) {
  (void)state;
  const size_t large[] = {1000, 20 * KiB, 200 * KiB, 20 * MiB};
  for (size_t i = 0; i < COUNT_OF(large); i++) {
    void* p = mi_malloc(large[i]);
    p = mi_realloc(p, large[i] / 10);
    assert_non_null(p);
    assert_true(mi_usable_size(p) <= large[i] / 2);
    mi_free(p);
  }
}

static void reallocn_resizes_to_count_times_size(void** state) {
  (void)state;
  uint8_t* p = (uint8_t*)mi_reallocn(NULL, 10, 10);
  assert_non_null(p);
  assert_int_equal(mi_usable_size(p), mi_good_size(100));
  fill(p, 100, 9);
  p = (uint8_t*)mi_reallocn(p, 50, 100);
  assert_non_null(p);
  assert_true(mi_usable_size(p) >= 5000);
  assert_true(holds(p, 100, 9));
  p = (uint8_t*)mi_reallocn(p, 0, 100);
  assert_non_null(p);
  mi_free(p);
}

static void reallocf_resizes_like_realloc(void** state) {
  (void)state;
  void* p = mi_reallocf(NULL, 50);
  assert_non_null(p);
  fill(p, 50, 4);
  p = mi_reallocf(p, 50000);
  assert_non_null(p);
  assert_true(holds(p, 50, 4));
  p = mi_reallocf(p, 20);
  assert_non_null(p);
  assert_true(holds(p, 20, 4));
  mi_free(p);
}

static void reallocf_frees_the_block_when_it_fails(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 64; i++) {
    void* const p = mi_malloc(4 * MiB);
    assert_non_null(p);
    memset(p, 1, 4 * MiB);
    ASSERT_FAILS(mi_reallocf(p, opaque(TOO_LARGE)), ENOMEM, EOVERFLOW);
  }
  assert_true(resident_bytes() < before + 64 * MiB);
}

static void expand_succeeds_exactly_when_the_size_fits(void** state) {
  (void)state;
  const size_t sizes[] = {0, 1, 8, 9, 100, 128, 129, 1000, 5000, 20 * KiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = mi_malloc(sizes[i]);
    const size_t usable = mi_usable_size(p);
    fill(p, sizes[i], 8);
    reports_begin();
    assert_ptr_equal(mi_expand(p, sizes[i]), p);
    assert_ptr_equal(mi_expand(p, opaque(usable)), p);
    assert_ptr_equal(mi_expand(p, 0), p);
    assert_null(mi_expand(p, opaque(usable + 1)));
    assert_null(mi_expand(p, opaque(SIZE_MAX)));
    assert_int_equal(reports.count, 0);
    assert_int_equal(mi_usable_size(p), usable);
    assert_true(holds(p, sizes[i], 8));
    mi_free(p);
  }
  assert_null(mi_expand(NULL, 10));
  assert_null(mi_expand(NULL, 0));
}

// --- sizes ---

static void usable_size_of_null_is_zero(void** state) {
  (void)state;
  ASSERT_QUIET(assert_int_equal(mi_usable_size(NULL), 0));
}

static void usable_size_stays_the_same_while_the_block_lives(void** state) {
  (void)state;
  const size_t sizes[] = {0, 20, 100, 1000, 10000, 100000, 1000000, 10000000};
  void* blocks[COUNT_OF(sizes)];
  size_t usable[COUNT_OF(sizes)];
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    blocks[i] = mi_malloc(sizes[i]);
    usable[i] = mi_usable_size(blocks[i]);
  }
  for (int round = 0; round < 1000; round++) mi_free(mi_malloc(100));
  mi_collect(true);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    assert_int_equal(mi_usable_size(blocks[i]), usable[i]);
    mi_free(blocks[i]);
  }
}

static void good_size_is_the_usable_size_that_malloc_gives(void** state) {
  (void)state;
  for (size_t size = 0; size <= 4 * MiB; size += (size < 40000) ? 1 : 997) {
    void* const p = mi_malloc(size);
    assert_non_null(p);
    const size_t usable = mi_usable_size(p);
    mi_free(p);
    assert_int_equal(mi_good_size(size), usable);
  }
}

static void good_size_has_the_documented_classes(void** state) {
  (void)state;
  for (size_t size = 0; size <= 20 * MiB; size += (size < 70000) ? 1 : 499) {
    assert_int_equal(mi_good_size(size), expected_good_size(size));
  }
}

static void good_size_is_a_size_of_its_own(void** state) {
  (void)state;
  for (size_t size = 0; size <= 100000; size++) {
    const size_t good = mi_good_size(size);
    assert_true(good >= size);
    assert_int_equal(mi_good_size(good), good);
    if (size > 128) assert_true((good - size) * 8 <= good);  // at most 12.5 %
  }
}

static void good_size_returns_impossible_sizes_as_they_are(void** state) {
  (void)state;
  assert_int_equal(mi_good_size(opaque(TOO_LARGE)), TOO_LARGE);
  assert_int_equal(mi_good_size(opaque(SIZE_MAX)), SIZE_MAX);
}

// --- strings ---

static void strdup_copies_a_string(void** state) {
  (void)state;
  const char* const text = "The quick brown fox";
  char* const copy = mi_strdup(text);
  assert_non_null(copy);
  assert_ptr_not_equal(copy, text);
  assert_string_equal(copy, text);
  mi_free(copy);
  char* const empty = mi_strdup("");
  assert_non_null(empty);
  assert_string_equal(empty, "");
  mi_free(empty);
}

static void strdup_of_null_is_null_and_no_failure(void** state) {
  (void)state;
  ASSERT_QUIET(assert_null(mi_strdup(NULL)));
  ASSERT_QUIET(assert_null(mi_strndup(NULL, 3)));
}

static void strdup_copies_a_long_string(void** state) {
  (void)state;
  const size_t length = 3 * MiB;
  char* const text = (char*)mi_malloc(length + 1);
  memset(text, 'x', length);
  text[length] = 0;
  char* const copy = mi_strdup(text);
  assert_non_null(copy);
  assert_int_equal(strlen(copy), length);
  mi_free(copy);
  mi_free(text);
}

static void strndup_copies_at_most_n_characters(void** state) {
  (void)state;
  static const struct {
    size_t n;
    const char* want;
  } cases[] = {{0, ""}, {1, "a"}, {3, "abc"}, {4, "abcd"}, {5, "abcd"}, {SIZE_MAX, "abcd"}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char* const copy = mi_strndup("abcd", opaque(cases[i].n));
    assert_non_null(copy);
    assert_string_equal(copy, cases[i].want);
    mi_free(copy);
  }
}

static void strndup_reads_no_further_than_n_characters(void** state) {
  (void)state;
  char* const text = (char*)mi_malloc(4);
  memcpy(text, "wxyz", 4);  // no terminator
  char* const copy = mi_strndup(text, 4);
  assert_non_null(copy);
  assert_string_equal(copy, "wxyz");
  mi_free(copy);
  mi_free(text);
}

static void realpath_resolves_into_a_new_block(void** state) {
  (void)state;
  char* const path = mi_realpath("/proc/../dev/./null", NULL);
  assert_non_null(path);
  assert_string_equal(path, "/dev/null");
  assert_true(mi_usable_size(path) >= 10);
  mi_free(path);
}

static void realpath_resolves_into_the_buffer_it_is_given(void** state) {
  (void)state;
  static char buffer[PATH_MAX];
  assert_ptr_equal(mi_realpath("/dev/../dev/null", buffer), buffer);
  assert_string_equal(buffer, "/dev/null");
}

static void realpath_fails_with_the_error_of_the_system(void** state) {
  (void)state;
  reports_begin();
  errno = 0;
  assert_null(mi_realpath("/no/such/file", NULL));
  assert_int_equal(errno, ENOENT);
  errno = 0;
  assert_null(mi_realpath("", NULL));
  assert_int_equal(errno, ENOENT);
  errno = 0;
  assert_null(mi_realpath((const char*)opaque_pointer(NULL), NULL));
  assert_int_equal(errno, EINVAL);
  assert_int_equal(reports.count, 0);
}

static void typed_macros_allocate_for_a_type(void** state) {
  (void)state;
  typedef struct {
    double a[5];
  } item_t;
  item_t* one = mi_malloc_tp(item_t);
  item_t* zero = mi_zalloc_tp(item_t);
  item_t* many = mi_calloc_tp(item_t, 10);
  item_t* raw = mi_mallocn_tp(item_t, 10);
  assert_true(mi_usable_size(one) >= sizeof(item_t));
  assert_true(is_zero(zero, sizeof(item_t)));
  assert_true(is_zero(many, 10 * sizeof(item_t)));
  assert_true(mi_usable_size(raw) >= 10 * sizeof(item_t));
  fill(raw, 10 * sizeof(item_t), 1);
  raw = mi_reallocn_tp(item_t, raw, 100);
  many = mi_recalloc_tp(item_t, many, 100);
  assert_true(holds(raw, 10 * sizeof(item_t), 1));
  assert_true(is_zero(many, 100 * sizeof(item_t)));
  mi_free(one);
  mi_free(zero);
  mi_free(many);
  mi_free(raw);
}

static void success_and_free_leave_errno_alone(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(border_sizes); i++) {
    const size_t size = border_sizes[i];
    void* p = NULL;
    ASSERT_QUIET(p = mi_malloc(size));
    ASSERT_QUIET(p = mi_realloc(p, size + 100));
    ASSERT_QUIET(p = mi_realloc(p, size * 3));
    ASSERT_QUIET(p = mi_realloc(p, size / 2));
    ASSERT_QUIET(mi_free(p));
    ASSERT_QUIET(p = mi_calloc(size, 1));
    ASSERT_QUIET(mi_free(p));
  }
  char* text = NULL;
  ASSERT_QUIET(text = mi_strdup("text"));
  ASSERT_QUIET(mi_free(text));
  // many blocks, so that slow paths and purges are met too
  enum { COUNT = 3000 };
  static void* blocks[COUNT];
  for (int round = 0; round < 3; round++) {
    reports_begin();
    errno = UNTOUCHED;
    for (size_t i = 0; i < COUNT; i++) blocks[i] = mi_malloc(i * 11 % 70000);
    for (size_t i = 0; i < COUNT; i++) mi_free(blocks[i]);
    const int after = errno;
    assert_int_equal(after, UNTOUCHED);
    assert_int_equal(reports.count, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(malloc_gives_memory_that_can_be_used),
      cmocka_unit_test(all_of_the_usable_size_can_be_used),
      cmocka_unit_test(size_zero_gives_a_block_of_its_own),
      cmocka_unit_test(live_blocks_do_not_overlap),
      cmocka_unit_test(calloc_zeroes_memory_that_was_used_before),
      cmocka_unit_test(calloc_gives_count_times_size_bytes),
      cmocka_unit_test(mallocn_gives_count_times_size_bytes),
      cmocka_unit_test(malloc_small_serves_all_small_sizes),
      cmocka_unit_test(free_small_frees_what_the_small_functions_gave),
      cmocka_unit_test(free_of_null_does_nothing),
      cmocka_unit_test(freed_memory_is_used_again),
      cmocka_unit_test(a_block_may_be_freed_by_another_thread),
      cmocka_unit_test(blocks_outlive_the_thread_that_allocated_them),
      cmocka_unit_test(realloc_of_null_allocates),
      cmocka_unit_test(realloc_to_zero_gives_a_smallest_block),
      cmocka_unit_test(realloc_keeps_the_contents_when_growing_and_shrinking),
      cmocka_unit_test(realloc_keeps_the_contents_from_any_border_to_any_other),
      cmocka_unit_test(realloc_in_small_steps_keeps_the_contents),
      cmocka_unit_test(a_large_block_that_shrinks_much_does_not_stay_large),
      cmocka_unit_test(reallocn_resizes_to_count_times_size),
      cmocka_unit_test(reallocf_resizes_like_realloc),
      cmocka_unit_test(reallocf_frees_the_block_when_it_fails),
      cmocka_unit_test(expand_succeeds_exactly_when_the_size_fits),
      cmocka_unit_test(usable_size_of_null_is_zero),
      cmocka_unit_test(usable_size_stays_the_same_while_the_block_lives),
      cmocka_unit_test(good_size_is_the_usable_size_that_malloc_gives),
      cmocka_unit_test(good_size_has_the_documented_classes),
      cmocka_unit_test(good_size_is_a_size_of_its_own),
      cmocka_unit_test(good_size_returns_impossible_sizes_as_they_are),
      cmocka_unit_test(strdup_copies_a_string),
      cmocka_unit_test(strdup_of_null_is_null_and_no_failure),
      cmocka_unit_test(strdup_copies_a_long_string),
      cmocka_unit_test(strndup_copies_at_most_n_characters),
      cmocka_unit_test(strndup_reads_no_further_than_n_characters),
      cmocka_unit_test(realpath_resolves_into_a_new_block),
      cmocka_unit_test(realpath_resolves_into_the_buffer_it_is_given),
      cmocka_unit_test(realpath_fails_with_the_error_of_the_system),
      cmocka_unit_test(typed_macros_allocate_for_a_type),
      cmocka_unit_test(success_and_free_leave_errno_alone),
  };
  return cmocka_run_group_tests_name("api/basic", tests, be_silent, unregister_all);
}
