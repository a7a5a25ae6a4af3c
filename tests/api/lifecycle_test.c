// SPDX-License-Identifier: MIT
// lifecycle_test.c - start and end of process and threads, collect, version
#include "api_test.h"

enum { COUNT = 3000 };

static void* blocks[COUNT];

static size_t size_of_block(size_t i) { return i * 13 % 5000; }

static void allocate_blocks(void) {
  for (unsigned i = 0; i < COUNT; i++) {
    blocks[i] = mi_malloc(size_of_block(i));
    fill(blocks[i], size_of_block(i), i);
  }
}

static bool blocks_are_intact(void) {
  for (unsigned i = 0; i < COUNT; i++) {
    if (blocks[i] == NULL || !holds(blocks[i], size_of_block(i), i)) return false;
  }
  return true;
}

static void free_blocks(void) {
  for (size_t i = 0; i < COUNT; i++) {
    mi_free(blocks[i]);
    blocks[i] = NULL;
  }
}

static void version_is_that_of_the_header(void** state) {
  (void)state;
  assert_int_equal(MI_MALLOC_VERSION, 30403);
  assert_int_equal(mi_version(), MI_MALLOC_VERSION);
}

static void malloc_is_redirected_on_windows_only(void** state) {
  (void)state;
  assert_false(mi_is_redirected());
}

static void collect_keeps_live_blocks(void** state) {
  (void)state;
  allocate_blocks();
  ASSERT_QUIET(mi_collect(false));
  assert_true(blocks_are_intact());
  ASSERT_QUIET(mi_collect(true));
  assert_true(blocks_are_intact());
  ASSERT_QUIET(mi_collect_reduce(0));
  assert_true(blocks_are_intact());
  ASSERT_QUIET(mi_collect_reduce(SIZE_MAX));
  assert_true(blocks_are_intact());
  free_blocks();
  ASSERT_QUIET(mi_collect(true));
  ASSERT_QUIET(mi_collect(true));
}

static void forced_collect_gives_free_memory_back(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();
  const size_t sizes[] = {100, 5000, 100 * KiB, 3 * MiB};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    mi_collect(true);
    const size_t count = 64 * MiB / sizes[s];
    const size_t before = resident_bytes();
    void** const many = (void**)mi_malloc(count * sizeof(void*));
    for (size_t i = 0; i < count; i++) {
      many[i] = mi_malloc(sizes[s]);
      memset(many[i], 1, sizes[s]);
    }
    const size_t during = resident_bytes();
    assert_true(during > before + 50 * MiB);
    for (size_t i = 0; i < count; i++) mi_free(many[i]);
    mi_free(many);
    mi_collect(true);
    if (resident_bytes() > before + 16 * MiB) {
      fail_msg("size %zu: %zu KiB before, %zu during, %zu after", sizes[s], before / KiB,
               during / KiB, resident_bytes() / KiB);
    }
  }
}

static void process_init_may_be_called_any_time(void** state) {
  (void)state;
  allocate_blocks();
  ASSERT_QUIET(mi_process_init());
  ASSERT_QUIET(mi_process_init());
  assert_true(blocks_are_intact());
  free_blocks();
}

static int end_the_process_and_go_on(void) {
  allocate_blocks();
  mi_process_done();
  if (!blocks_are_intact()) return 1;
  mi_process_done();
  free_blocks();
  allocate_blocks();
  if (!blocks_are_intact()) return 2;
  free_blocks();
  mi_process_init();
  allocate_blocks();
  if (!blocks_are_intact()) return 3;
  free_blocks();
  return 0;
}

static void allocation_works_after_process_done(void** state) {
  (void)state;
  assert_int_equal(status_of_child(&end_the_process_and_go_on), 0);
}

static int end_the_process_noting_statistics(void) {
  mi_option_enable(mi_option_show_stats);
  output_begin();
  mi_process_done();
  const size_t length = output.length;
  mi_process_done();
  return (length > 0 && output.length == length) ? 0 : 1;
}

static void process_done_prints_statistics_once(void** state) {
  (void)state;
  assert_int_equal(status_of_child(&end_the_process_noting_statistics), 0);
}

static void thread_init_and_done_may_be_called_in_the_main_thread(void** state) {
  (void)state;
  allocate_blocks();
  ASSERT_QUIET(mi_thread_init());
  ASSERT_QUIET(mi_thread_init());
  ASSERT_QUIET(mi_thread_done());
  ASSERT_QUIET(mi_thread_done());
  assert_true(blocks_are_intact());
  free_blocks();
  allocate_blocks();
  assert_true(blocks_are_intact());
  ASSERT_QUIET(mi_thread_init());
  free_blocks();
}

static void* use_all_calls_of_a_thread(void* arg) {
  mi_thread_init();
  mi_thread_set_in_threadpool();
  mi_thread_init();
  allocate_blocks();
  mi_thread_done();
  const bool intact = blocks_are_intact();
  free_blocks();  // after the end of the thread
  allocate_blocks();
  mi_thread_done();  // and its end again
  return (intact && blocks_are_intact()) ? arg : NULL;
}

static void a_thread_that_has_ended_may_go_on(void** state) {
  (void)state;
  assert_ptr_equal(result_of_thread(&use_all_calls_of_a_thread, state), state);
  assert_true(blocks_are_intact());
  free_blocks();
}

static void* end_before_the_start(void* arg) {
  mi_thread_done();
  void* const p = mi_malloc(100);
  mi_free(p);
  return (p != NULL) ? arg : NULL;
}

static void a_thread_may_end_before_it_starts(void** state) {
  (void)state;
  assert_ptr_equal(result_of_thread(&end_before_the_start, state), state);
}

static void set_in_threadpool_is_a_hint_for_any_thread(void** state) {
  (void)state;
  ASSERT_QUIET(mi_thread_set_in_threadpool());
  allocate_blocks();
  assert_true(blocks_are_intact());
  free_blocks();
}

static void* allocate_and_leave(void* arg) {
  allocate_blocks();
  return arg;
}

static void many_threads_that_leave_blocks_behind_do_not_use_up_memory(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    result_of_thread(&allocate_and_leave, NULL);
    free_blocks();
  }
  const size_t before = resident_bytes();
  for (int i = 0; i < 80; i++) {
    result_of_thread(&allocate_and_leave, NULL);
    assert_true(blocks_are_intact());
    free_blocks();
  }
  assert_true(resident_bytes() < before + 32 * MiB);
}

// A destructor of thread-local data that allocates and frees, in every pass.
static pthread_key_t late_key;
static _Atomic(int) late_calls;

static void allocate_late(void* arg) {
  mi_free(arg);
  void* p = mi_malloc(300);
  p = mi_realloc(p, 3000);
  if (++late_calls < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(late_key, p);
  } else {
    mi_free(p);
  }
}

static void* leave_work_for_the_destructor(void* arg) {
  pthread_setspecific(late_key, mi_malloc(100));
  return arg;
}

static void destructors_of_threads_may_allocate_in_every_pass(void** state) {
  (void)state;
  assert_int_equal(pthread_key_create(&late_key, &allocate_late), 0);
  for (int i = 0; i < 50; i++) {
    late_calls = 0;
    result_of_thread(&leave_work_for_the_destructor, NULL);
    assert_int_equal(late_calls, PTHREAD_DESTRUCTOR_ITERATIONS);
  }
  pthread_key_delete(late_key);
}

static int use_the_blocks_of_the_parent(void) {
  if (!blocks_are_intact()) return 1;
  free_blocks();
  allocate_blocks();
  if (!blocks_are_intact()) return 2;
  mi_collect(true);
  if (result_of_thread(&use_all_calls_of_a_thread, blocks) != (void*)blocks) return 3;
  free_blocks();
  return 0;
}

static void a_child_process_goes_on_with_the_blocks_of_its_parent(void** state) {
  (void)state;
  allocate_blocks();
  assert_int_equal(status_of_child(&use_the_blocks_of_the_parent), 0);
  assert_true(blocks_are_intact());
  free_blocks();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(version_is_that_of_the_header),
      cmocka_unit_test(malloc_is_redirected_on_windows_only),
      cmocka_unit_test(collect_keeps_live_blocks),
      cmocka_unit_test(forced_collect_gives_free_memory_back),
      cmocka_unit_test(process_init_may_be_called_any_time),
      cmocka_unit_test(allocation_works_after_process_done),
      cmocka_unit_test(process_done_prints_statistics_once),
      cmocka_unit_test(thread_init_and_done_may_be_called_in_the_main_thread),
      cmocka_unit_test(a_thread_that_has_ended_may_go_on),
      cmocka_unit_test(a_thread_may_end_before_it_starts),
      cmocka_unit_test(set_in_threadpool_is_a_hint_for_any_thread),
      cmocka_unit_test(many_threads_that_leave_blocks_behind_do_not_use_up_memory),
      cmocka_unit_test(destructors_of_threads_may_allocate_in_every_pass),
      cmocka_unit_test(a_child_process_goes_on_with_the_blocks_of_its_parent),
  };
  return cmocka_run_group_tests_name("api/lifecycle", tests, be_silent, unregister_all);
}
