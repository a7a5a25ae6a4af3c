// SPDX-License-Identifier: MIT
// limit_test.c - limits of memory, of the process and of a heap
//
// While a limit holds nothing is asserted: cmocka may want memory, too.
#include "api_test.h"

enum { BLOCKS = 4096 };

static void* blocks[BLOCKS];

static void free_all(size_t count) {
  for (size_t i = 0; i < count; i++) mi_free(blocks[i]);
}

// How many blocks of the size can be had; the errno of the first that cannot is in *code.
static size_t fill_up(mi_heap_t* heap, size_t size, int* code) {
  size_t count = 0;
  for (errno = 0; count < BLOCKS; count++) {
    blocks[count] = heap != NULL ? mi_heap_malloc(heap, size) : mi_malloc(size);
    if (blocks[count] == NULL) break;
    memset(blocks[count], 1, size);
  }
  *code = errno;
  return count;
}

// Blocks of `size` until a limit of 32 MiB more than now is reached. Those that no page is to be shared for fit it
// exactly.
static void check_process_limit(size_t size, size_t slack) {
  mi_collect(true);
  const size_t before = mi_limit_get(NULL, NULL);
  mi_limit_set(0, before + 32 * MiB);
  int code;
  const size_t count = fill_up(NULL, size, &code);
  const size_t reached = mi_limit_get(NULL, NULL);
  void* const small = mi_malloc(size);
  free_all(count);
  void* const again = mi_malloc(size);
  size_t hard;
  mi_limit_get(NULL, &hard);
  mi_limit_set(0, 0);
  print_message("%zu bytes: %zu blocks, %.1f of 32 MiB\n", size, count,
                (double)(reached - before) / MiB);
  assert_int_equal(code, ENOMEM);
  assert_null(small);
  assert_non_null(again);
  assert_int_equal(hard, before + 32 * MiB);
  assert_true(reached <= hard);
  assert_true(count * size >= 32 * MiB - slack);
  mi_free(again);
}

static void no_block_passes_the_hard_limit(void** state) {
  (void)state;
  const int level = secure_level();
  check_process_limit(2 * MiB, level >= 4 ? 4 * MiB : 2 * MiB);
  check_process_limit(300 * KiB, 6 * MiB);
  check_process_limit(20 * KiB, 10 * MiB);
}

static void other_calls_fail_as_cleanly(void** state) {
  (void)state;
  void* const p = mi_malloc(10 * MiB);
  memset(p, 7, 10 * MiB);
  mi_collect(true);
  mi_limit_set(0, mi_limit_get(NULL, NULL) + MiB);
  void* const grown = mi_realloc(p, 30 * MiB);
  void* const zeros = mi_calloc(30, MiB);
  void* const aligned = mi_malloc_aligned(30 * MiB, 8 * MiB);
  void* const absurd = mi_malloc((size_t)PTRDIFF_MAX / 2);
  mi_limit_set(0, 0);
  assert_null(grown);
  assert_null(zeros);
  assert_null(aligned);
  assert_null(absurd);
  assert_int_equal(((uint8_t*)p)[10 * MiB - 1], 7);
  mi_free(p);
}

// --- the program's function ---

static struct asked_s {
  size_t calls;
  size_t size;
  mi_heap_t* heap;
  size_t to_free;  // blocks of ours
} asked;

static bool on_limit(mi_heap_t* heap, size_t size, void* arg) {
  struct asked_s* const a = arg;
  a->calls++;
  a->size = size;
  a->heap = heap;
  void* const in_between = mi_malloc(40 * MiB);  // fails, and we are not called again
  if (in_between != NULL) a->calls = 1000;
  if (a->to_free == 0) return false;
  a->to_free--;
  mi_free(blocks[a->to_free]);
  return true;
}

static void the_function_may_free_something_or_refuse(void** state) {
  (void)state;
  mi_collect(true);
  mi_limit_set(0, mi_limit_get(NULL, NULL) + 32 * MiB);
  int code;
  asked = (struct asked_s){0};
  const size_t count = fill_up(NULL, 2 * MiB, &code);
  const size_t without = asked.calls;
  mi_limit_register(on_limit, &asked);
  void* const refused = mi_malloc(4 * MiB);
  const struct asked_s first = asked;
  asked = (struct asked_s){.to_free = 5};
  void* const granted = mi_malloc(4 * MiB);
  const struct asked_s second = asked;
  void* const by_new = mi_new_nothrow(64 * MiB);
  mi_limit_register(NULL, NULL);
  mi_limit_set(0, 0);
  for (size_t i = 5; i < count; i++) mi_free(blocks[i]);
  assert_int_equal(without, 0);
  assert_null(refused);
  assert_int_equal(first.calls, 1);
  assert_int_equal(first.size, 4 * MiB);
  assert_null(first.heap);
  assert_non_null(granted);
  assert_true(second.calls >= 1 && second.calls <= 3);
  assert_null(by_new);
  assert_int_equal(asked.to_free, 0);
  mi_free(granted);
}

static void the_function_is_not_asked_when_no_limit_is_near(void** state) {
  (void)state;
  asked = (struct asked_s){0};
  mi_limit_register(on_limit, &asked);
  assert_null(mi_malloc((size_t)PTRDIFF_MAX - 4096));
  mi_limit_register(NULL, NULL);
  assert_int_equal(asked.calls, 0);
}

// --- the soft limit ---

static void beyond_the_soft_limit_memory_goes_back(void** state) {
  (void)state;
  mi_collect(true);
  const size_t base = mi_limit_get(NULL, NULL);
  mi_limit_set(base + 16 * MiB, 0);
  size_t most = 0;
  for (size_t i = 0; i < 20; i++) {  // each in another place than the one before
    void* const p = mi_malloc((4 + i) * MiB);
    void* const q = mi_malloc(2 * MiB);
    const size_t now = mi_limit_get(NULL, NULL);
    most = now > most ? now : most;
    mi_free(p);
    mi_free(q);
  }
  size_t soft;
  mi_limit_get(&soft, NULL);
  mi_limit_set(0, 0);
  void* const large = mi_malloc(64 * MiB);
  assert_int_equal(soft, base + 16 * MiB);
  assert_non_null(large);  // it is no hard one
  assert_true(most < base + 48 * MiB);
  mi_free(large);
}

// --- heaps ---

static void a_heap_has_a_limit_of_its_own(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  assert_true(mi_heap_limit_set(heap, 0, 20 * MiB));
  const size_t sizes[] = {3 * MiB, 300 * KiB, 10 * KiB, 100};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    if (sizes[i] < 32 * KiB && (secure_level() >= 3 || sizes[i] == 100)) continue;
    int code;
    const size_t count = fill_up(heap, sizes[i], &code);
    size_t soft, hard;
    const size_t used = mi_heap_limit_get(heap, &soft, &hard);
    print_message("%zu bytes in a heap: %zu blocks, %.1f of 20 MiB\n", sizes[i], count,
                  (double)used / MiB);
    assert_int_equal(code, ENOMEM);
    assert_int_equal(soft, 0);
    assert_int_equal(hard, 20 * MiB);
    assert_true(used <= hard);
    assert_true(count * sizes[i] > 15 * MiB);
    void* const elsewhere = mi_malloc(3 * MiB);  // the others go on
    assert_non_null(elsewhere);
    mi_free(elsewhere);
    free_all(count);
    void* const again = mi_heap_malloc(heap, sizes[i]);
    assert_non_null(again);
    mi_free(again);
  }
  mi_heap_destroy(heap);
  assert_false(mi_heap_limit_set(NULL, 0, 1));
  assert_false(mi_heap_limit_set(mi_heap_main(), 0, 1));
}

static void a_heap_asks_by_its_name(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_limit_set(heap, 0, 10 * MiB);
  asked = (struct asked_s){.to_free = 1};
  blocks[0] = mi_heap_malloc(heap, 8 * MiB);
  mi_limit_register(on_limit, &asked);
  void* const p = mi_heap_malloc(heap, 5 * MiB);
  void* const q = mi_heap_realloc(heap, p, 60 * MiB);
  mi_limit_register(NULL, NULL);
  assert_non_null(p);
  assert_null(q);
  assert_ptr_equal(asked.heap, heap);
  assert_int_equal(asked.size, 60 * MiB);
  mi_heap_destroy(heap);
  mi_heap_t* const next = mi_heap_new();  // perhaps the same struct: it has no limit
  void* const large = mi_heap_malloc(next, 40 * MiB);
  assert_non_null(large);
  mi_heap_destroy(next);
}

static void a_heap_beyond_its_soft_limit_goes_on(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_limit_set(heap, 4 * MiB, 0);
  int code;
  const size_t count = fill_up(heap, 10 * KiB, &code);
  assert_int_equal(count, BLOCKS);
  size_t soft;
  const size_t used = mi_heap_limit_get(heap, &soft, NULL);
  assert_int_equal(soft, 4 * MiB);
  assert_true(secure_level() >= 3 || used >= BLOCKS * 10 * KiB);
  mi_heap_destroy(heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_block_passes_the_hard_limit),
      cmocka_unit_test(other_calls_fail_as_cleanly),
      cmocka_unit_test(the_function_may_free_something_or_refuse),
      cmocka_unit_test(the_function_is_not_asked_when_no_limit_is_near),
      cmocka_unit_test(beyond_the_soft_limit_memory_goes_back),
      cmocka_unit_test(a_heap_has_a_limit_of_its_own),
      cmocka_unit_test(a_heap_asks_by_its_name),
      cmocka_unit_test(a_heap_beyond_its_soft_limit_goes_on),
  };
  return cmocka_run_group_tests_name("api/limit", tests, be_silent, unregister_all);
}
