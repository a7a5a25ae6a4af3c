// SPDX-License-Identifier: MIT
// hardened_test.c - the library at every secure level: as a program sees it
//
// The level is a fact of the process, so the program starts itself again for each.
#include "api_test.h"

static int level;

enum { SIZE_END = (HAS_SANITIZER ? 300 : 3000) * KiB };

static bool has_canaries(void) { return level >= 4; }

// Blocks ------------------------------------------------------------------------------------------------

static void blocks_of_all_sizes_are_good(void** state) {
  (void)state;
  for (size_t size = 0; size < SIZE_END; size += 1 + size / 9) {
    uint8_t* const p = (uint8_t*)mi_malloc(size);
    assert_non_null(p);
    assert_true(is_block_aligned(p, size));
    assert_true(mi_usable_size(p) >= size);
    if (has_canaries()) assert_int_equal(mi_usable_size(p), size != 0 ? size : 1);
    assert_true(mi_good_size(size) == mi_usable_size(p));
    fill(p, size, 3);
    uint8_t* const q = (uint8_t*)mi_realloc(p, size * 3 / 2);
    assert_non_null(q);
    assert_true(holds(q, size, 3));
    fill(q, size * 3 / 2, 4);
    mi_free(q);
  }
}

static void calloc_is_zero_and_alignment_is_kept(void** state) {
  (void)state;
  for (size_t size = 1; size < SIZE_END; size += 1 + size / 5) {
    make_dirty(size);
    uint8_t* const p = (uint8_t*)mi_calloc(1, size);
    assert_true(is_zero(p, size));
    mi_free(p);
    for (size_t alignment = 1; alignment <= MiB; alignment *= 4) {
      uint8_t* const q = (uint8_t*)mi_malloc_aligned(size, alignment);
      assert_true(is_aligned(q, alignment));
      fill(q, size, 5);
      mi_free_size_aligned(q, size, alignment);
      uint8_t* const r = (uint8_t*)mi_malloc_aligned_at(size, alignment, 24);
      assert_true(is_aligned_at(r, alignment, 24));
      fill(r, size, 5);
      mi_free(r);
    }
  }
}

static void freed_memory_is_zero_from_level_4_on(void** state) {
  (void)state;
  if (!has_canaries()) skip();
  for (size_t size = 16; size < 300 * KiB; size *= 3) {
    uint8_t* const p = (uint8_t*)mi_malloc(size);
    fill(p, size, 1);
    mi_free(p);
    assert_true(is_zero(opaque_pointer(p), size));
  }
}

static void a_freed_block_is_not_the_next_from_level_4_on(void** state) {
  (void)state;
  if (!has_canaries()) skip();
  int same = 0;
  for (int i = 0; i < 1000; i++) {
    void* const p = mi_malloc(48);
    mi_free(p);
    void* const q = mi_malloc(48);
    same += p == q;
    mi_free(q);
  }
  assert_in_range(same, 0, 250);  // at most one in nine
}

// Crimes -------------------------------------------------------------------------------------------------

static int last_code;
static int code_count;

static void mi_cdecl note_code(int code, void* arg) {
  (void)arg;
  last_code = code;
  code_count++;
}

#define ASSERT_CRIME(statement, code)    \
  do {                                   \
    code_count = 0;                      \
    statement;                           \
    assert_int_equal(code_count, 1);     \
    assert_int_equal(last_code, (code)); \
  } while (0)

static void the_error_function_sees_every_crime(void** state) {
  (void)state;
  if (!has_vaults()) skip();
  mi_register_error(&note_code, NULL);
  for (size_t size = 16; size < 20 * KiB; size *= 3) {
    uint8_t* p = (uint8_t*)mi_malloc(size);
    ASSERT_CRIME(mi_free(p + 8), EINVAL);
    mi_free(p);
    ASSERT_CRIME(mi_free(p), EAGAIN);
    ASSERT_CRIME(assert_null(mi_realloc(p, 10)), EINVAL);
    ASSERT_CRIME(assert_int_equal(mi_usable_size(p), 0), EINVAL);
    if (!has_canaries()) continue;
    p = (uint8_t*)mi_malloc(size);
    ASSERT_CRIME(mi_free_size(p, size - 1), EINVAL);
    p = (uint8_t*)mi_malloc(size);
    p[size]++;
    ASSERT_CRIME(mi_free(p), EFAULT);
  }
  mi_register_error(NULL, NULL);
}

static void the_heap_can_be_checked_on_demand(void** state) {
  (void)state;
  mi_register_error(&note_code, NULL);
  uint8_t* const p = (uint8_t*)opaque_pointer(mi_malloc(100));
  uint8_t* const q = (uint8_t*)opaque_pointer(mi_malloc(100));
  assert_true(mi_check_heap());
  if (has_canaries()) {
    p[100]++;
    ASSERT_CRIME(assert_false(mi_check_heap()), EFAULT);
    p[100]--;
    assert_true(mi_check_heap());
    mi_free(q);
    q[50] = 1;
    ASSERT_CRIME(assert_false(mi_check_heap()), EFAULT);
    q[50] = 0;
    assert_true(mi_check_heap());
  }
  mi_free(p);
  mi_register_error(NULL, NULL);
}

static size_t crime_size;
static int commit_double_free(void) {
  mi_register_error(NULL, NULL);
  void* const p = mi_malloc(crime_size);
  mi_free(p);
  mi_free(opaque_pointer(p));
  return 0;
}

static int commit_double_free_and_go_on(void) {
  mi_option_set(mi_option_secure_stop, 0);
  return commit_double_free();
}

static void a_crime_stops_the_program_unless_it_wants_to_go_on(void** state) {
  (void)state;
  // Below level 3 only large blocks are checked at the free.
  for (crime_size = has_vaults() ? 8 : 100 * KiB; crime_size < 4 * MiB; crime_size *= 7) {
    assert_int_equal(status_of_child(&commit_double_free), 1000 + SIGABRT);
    assert_int_equal(status_of_child(&commit_double_free_and_go_on), 0);
  }
}

// The message is a promise.
static void the_report_is_one_line_of_fixed_text(void** state) {
  (void)state;
  if (!has_vaults()) skip();
  mi_register_error(&note_code, NULL);
  mi_option_enable(mi_option_show_errors);
  output_begin();
  uint8_t* const p = (uint8_t*)mi_malloc(20);
  mi_free(p);
  mi_free(p);
  char wanted[256];
  snprintf(wanted, sizeof(wanted),
           "mimalloc: error: free: double free: %p, block %p of 32 bytes, class 2, heap %p\n",
           (void*)p, (void*)p, (void*)mi_heap_main());
  assert_string_equal(output.text, wanted);
  unregister_all(state);
  be_silent(state);
}

// Threads, heaps, fork -------------------------------------------------------------------------------------

enum { THREADS = 4, SHARED = 64, STEPS = HAS_SANITIZER ? 2000 : 20000 };
static _Atomic(void*) shared[SHARED];

static void* exchange_blocks(void* arg) {
  uint64_t random = 88172645463325252u + (uintptr_t)arg;
  for (int i = 0; i < STEPS; i++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    const size_t size = 8 + random % 2000;
    uint8_t* const p = (uint8_t*)mi_malloc(size);
    p[0] = 1;
    p[size - 1] = 2;
    mi_free(__atomic_exchange_n((void**)&shared[random / 4096 % SHARED], p, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static void threads_may_free_the_blocks_of_others(void** state) {
  (void)state;
  mi_register_error(&note_code, NULL);
  code_count = 0;
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, &exchange_blocks, (void*)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SHARED; i++) mi_free((void*)shared[i]);
  assert_int_equal(code_count, 0);
  mi_register_error(NULL, NULL);
}

static void heaps_end_with_or_without_their_blocks(void** state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    mi_heap_t* const heap = mi_heap_new();
    uint8_t* blocks[40];
    for (size_t i = 0; i < 40; i++) {
      const size_t size = 10 + i * i * 100;
      blocks[i] = (uint8_t*)mi_heap_malloc(heap, size);
      assert_true(mi_heap_contains(heap, blocks[i]));
      fill(blocks[i], size, (unsigned)i);
    }
    if (round % 2 == 0) {
      mi_heap_destroy(heap);
      continue;
    }
    mi_heap_delete(heap);
    for (size_t i = 0; i < 40; i++) {
      assert_true(holds(blocks[i], 10 + i * i * 100, (unsigned)i));
      mi_free(blocks[i]);
    }
  }
}

static bool mi_cdecl count_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                 size_t size, void* arg) {
  (void)heap, (void)area, (void)size;
  *(size_t*)arg += block != NULL;
  return true;
}

static void blocks_of_a_heap_can_be_visited(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  void* blocks[100];
  for (size_t i = 0; i < 100; i++) blocks[i] = mi_heap_malloc(heap, 100 + i);
  for (size_t i = 0; i < 30; i++) mi_free(blocks[i]);
  size_t count = 0;
  assert_true(mi_heap_visit_blocks(heap, true, &count_block, &count));
  assert_int_equal(count, 70);
  mi_heap_destroy(heap);
}

// Which of its blocks a page gives out next, behind what may be in a list already.
static void list_places(uint16_t* places) {
  for (int i = 0; i < 300; i++) (void)opaque_pointer(mi_malloc(64));
  for (int i = 0; i < 16; i++) places[i] = (uint16_t)((uintptr_t)mi_malloc(64) % 65536);
}

static void the_child_of_a_fork_has_other_random_numbers(void** state) {
  (void)state;
  if (level < 2) skip();
  for (int i = 0; i < 1000; i++) mi_free(mi_malloc(64));
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  uint16_t ours[16];
  uint16_t theirs[16];
  const pid_t child = fork();
  if (child == 0) {
    list_places(theirs);
    _exit(write(ends[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
  }
  list_places(ours);
  assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
  waitpid(child, NULL, 0);
  assert_memory_not_equal(ours, theirs, sizeof(ours));
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_of_all_sizes_are_good),
      cmocka_unit_test(calloc_is_zero_and_alignment_is_kept),
      cmocka_unit_test(freed_memory_is_zero_from_level_4_on),
      cmocka_unit_test(a_freed_block_is_not_the_next_from_level_4_on),
      cmocka_unit_test(the_error_function_sees_every_crime),
      cmocka_unit_test(the_heap_can_be_checked_on_demand),
      cmocka_unit_test(a_crime_stops_the_program_unless_it_wants_to_go_on),
      cmocka_unit_test(the_report_is_one_line_of_fixed_text),
      cmocka_unit_test(threads_may_free_the_blocks_of_others),
      cmocka_unit_test(heaps_end_with_or_without_their_blocks),
      cmocka_unit_test(blocks_of_a_heap_can_be_visited),
      cmocka_unit_test(the_child_of_a_fork_has_other_random_numbers),
  };
  return cmocka_run_group_tests_name("api/hardened", tests, be_silent, unregister_all);
}

int main(int argc, char** argv) {
  if (argc > 1) {
    level = atoi(argv[1]);
    return run_all();
  }
  int failed = 0;
  for (int i = 1; i <= 5; i++) {
    char number[2] = {(char)('0' + i), 0};
    setenv("MIMALLOC_SECURE", number, 1);
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", argv[0], number, (char*)NULL);
      _exit(127);
    }
    int status = 0;
    failed |= waitpid(child, &status, 0) != child || status != 0;
  }
  return failed;
}
