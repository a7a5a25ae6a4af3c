// SPDX-License-Identifier: MIT
// subproc_test.c - sub-processes: heaps that have nothing in common with those of others
#include "api_test.h"

typedef struct shared_s {
  mi_subproc_id_t id;
  bool good;
  void* block;
  pthread_barrier_t* barrier;
} shared_t;

static bool is_same(mi_subproc_id_t a, mi_subproc_id_t b) { return a.subproc == b.subproc; }

static void threads_begin_in_the_main_one(void** state) {
  (void)state;
  assert_true(is_same(mi_subproc_current(), mi_subproc_main()));
  assert_non_null(mi_subproc_main().subproc);
}

static bool count_heap(mi_heap_t* heap, void* arg) {
  if (heap == NULL) return false;
  ++*(int*)arg;
  return true;
}
static bool stop_at_once(mi_heap_t* heap, void* arg) {
  count_heap(heap, arg);
  return false;
}
static int heaps_of(mi_subproc_id_t id) {
  int count = 0;
  return mi_subproc_visit_heaps(id, &count_heap, &count) ? count : -1;
}

static void* live_in_it(void* arg) {
  shared_t* const shared = arg;
  mi_subproc_add_current_thread(shared->id);
  bool good = is_same(mi_subproc_current(), shared->id);
  mi_heap_t* const main = mi_heap_main();
  void* const p = mi_malloc(100);
  good = good && main != NULL && mi_heap_of(p) == main && mi_heap_contains(NULL, p);
  void* const huge = mi_malloc(3 * MiB);
  good = good && mi_heap_of(huge) == main;
  mi_heap_t* const heap = mi_heap_new();
  void* const q = mi_heap_malloc(heap, 100);
  good = good && mi_heap_of(q) == heap && heaps_of(shared->id) == 2;
  mi_heap_delete(heap);
  good = good && mi_heap_of(q) == main && heaps_of(shared->id) == 1;
  mi_heap_destroy(main);  // refused
  good = good && heaps_of(shared->id) == 1;
  mi_heap_t* const left = mi_heap_new();
  good = good && mi_heap_malloc(left, 5000) != NULL;
  mi_free(p);
  mi_free(q);
  shared->block = huge;
  shared->good = good;
  return NULL;
}

static void a_thread_lives_in_its_subprocess(void** state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    shared_t shared = {.id = mi_subproc_new()};
    assert_non_null(shared.id.subproc);
    const int before = heaps_of(mi_subproc_main());
    result_of_thread(&live_in_it, &shared);
    assert_true(shared.good);
    assert_ptr_not_equal(mi_heap_of(shared.block), mi_heap_main());
    assert_int_equal(heaps_of(shared.id), 2);
    result_of_thread(&live_in_it, &(shared_t){.id = mi_subproc_main()});
    mi_subproc_destroy(shared.id);
    assert_true(heaps_of(mi_subproc_main()) >= before);
    assert_null(mi_heap_of(shared.block));
  }
}

static void* stay_in_it(void* arg) {
  shared_t* const shared = arg;
  mi_subproc_add_current_thread(shared->id);
  shared->block = mi_malloc(10);
  pthread_barrier_wait(shared->barrier);
  pthread_barrier_wait(shared->barrier);
  shared->good = mi_heap_of(shared->block) == mi_heap_main();
  const mi_subproc_id_t other = mi_subproc_new();
  mi_subproc_add_current_thread(other);  // refused
  shared->good = shared->good && is_same(mi_subproc_current(), shared->id);
  mi_subproc_delete(other);
  return NULL;
}

static void a_subprocess_in_use_is_not_destroyed(void** state) {
  (void)state;
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, 2);
  shared_t shared = {.id = mi_subproc_new(), .barrier = &barrier};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, &stay_in_it, &shared), 0);
  pthread_barrier_wait(&barrier);
  mi_subproc_destroy(shared.id);
  assert_int_equal(heaps_of(shared.id), 1);
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
  assert_true(shared.good);
  mi_subproc_destroy(shared.id);
}

static void what_does_nothing(void** state) {
  (void)state;
  const mi_subproc_id_t none = {NULL};
  int count = 0;
  mi_subproc_destroy(none);
  mi_subproc_destroy(mi_subproc_main());
  mi_subproc_add_current_thread(none);
  mi_subproc_add_current_thread(mi_subproc_main());
  assert_true(is_same(mi_subproc_current(), mi_subproc_main()));
  assert_false(mi_subproc_visit_heaps(none, &count_heap, &count));
  assert_false(mi_subproc_visit_heaps(mi_subproc_main(), NULL, NULL));
  assert_false(mi_subproc_visit_heaps(mi_subproc_main(), &stop_at_once, &count));
  assert_int_equal(count, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_begin_in_the_main_one),
      cmocka_unit_test(a_thread_lives_in_its_subprocess),
      cmocka_unit_test(a_subprocess_in_use_is_not_destroyed),
      cmocka_unit_test(what_does_nothing),
  };
  return cmocka_run_group_tests_name("api/subproc", tests, be_silent, unregister_all);
}
