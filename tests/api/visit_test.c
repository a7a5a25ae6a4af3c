// SPDX-License-Identifier: MIT
// visit_test.c - walking the blocks of the heap, and how well the memory around a block is used
#include "api_test.h"

#include "mimalloc-stats.h"

enum { KEPT = 3000 };

// A heap has blocks of libc and of the test's library, too: those we know are looked up in a sorted table.
typedef struct expected_s {
  uintptr_t address;
  size_t size;
  bool seen;
} expected_t;

static expected_t expected[KEPT];
static size_t expected_count;
static size_t areas, visited, twice, wrong, outside;

static int by_address(const void* a, const void* b) {
  const uintptr_t x = ((const expected_t*)a)->address;
  const uintptr_t y = ((const expected_t*)b)->address;
  return (x > y) - (x < y);
}

static void expect_block(void* p, size_t size) {
  expected[expected_count++] = (expected_t){(uintptr_t)p, size, false};
}

static void visit_begin(void) {
  areas = visited = twice = wrong = outside = 0;
  qsort(expected, expected_count, sizeof(expected[0]), &by_address);
  for (size_t i = 0; i < expected_count; i++) expected[i].seen = false;
}

static bool mi_cdecl note_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                size_t block_size, void* arg) {
  (void)heap;
  (void)arg;
  if (block == NULL) {
    areas++;
    if (area->block_size != block_size || area->committed > area->reserved) wrong++;
    return true;
  }
  visited++;
  const uint8_t* const start = (const uint8_t*)area->blocks;
  if ((uint8_t*)block < start || (uint8_t*)block + block_size > start + area->reserved) outside++;
  const expected_t key = {(uintptr_t)block, 0, false};
  expected_t* const found =
      (expected_t*)bsearch(&key, expected, expected_count, sizeof(expected[0]), &by_address);
  if (found == NULL) return true;
  if (found->seen) twice++;
  found->seen = true;
  if (block_size < found->size) wrong++;
  return true;
}

static size_t seen_count(void) {
  size_t count = 0;
  for (size_t i = 0; i < expected_count; i++) count += expected[i].seen;
  return count;
}

static void* blocks[KEPT];

// Of all sizes; every third is freed again, so there are free blocks on all kinds of lists.
static void* allocate_and_free_some(void* arg) {
  uint32_t random = 5;
  for (size_t i = 0; i < KEPT; i++) {
    random = random * 1664525u + 1013904223u;
    blocks[i] = mi_malloc(8 + (random >> 8) % (i % 50 == 0 ? 3 * MiB : 6000));
  }
  for (size_t i = 0; i < KEPT; i += 3) mi_free(blocks[i]), blocks[i] = NULL;
  return arg;
}

static void expect_those_blocks(void) {
  expected_count = 0;
  for (size_t i = 0; i < KEPT; i++) {
    if (blocks[i] != NULL) expect_block(blocks[i], mi_usable_size(blocks[i]));
  }
}

static void free_those_blocks(void) {
  for (size_t i = 0; i < KEPT; i++) mi_free(blocks[i]);
  expected_count = 0;
}

static void check_visit(void) {
  expect_those_blocks();
  visit_begin();
  assert_true(mi_heap_visit_blocks(NULL, true, &note_block, NULL));
  assert_int_equal(seen_count(), expected_count);
  assert_int_equal(twice, 0);
  assert_int_equal(wrong, 0);
  assert_int_equal(outside, 0);
  assert_true(areas > 100);
}

static void every_live_block_is_visited_once(void** state) {
  (void)state;
  allocate_and_free_some(NULL);
  check_visit();
  free_those_blocks();
}

static void no_free_block_is_visited(void** state) {
  (void)state;
  allocate_and_free_some(NULL);
  check_visit();
  const size_t before = visited;
  for (size_t i = 0; i < KEPT; i++) {
    if (i % 2 == 0) mi_free(blocks[i]), blocks[i] = NULL;
  }
  size_t live = 0;
  for (size_t i = 0; i < KEPT; i++) live += blocks[i] != NULL;
  const size_t freed = expected_count - live;
  check_visit();
  assert_int_equal(before - visited, freed);
  free_those_blocks();
}

static void blocks_of_ended_threads_are_visited(void** state) {
  (void)state;
  result_of_thread(&allocate_and_free_some, NULL);
  check_visit();
  // freed by this thread: on the way back, in whatever list
  for (size_t i = 1; i < KEPT; i += 6) mi_free(blocks[i]), blocks[i] = NULL;
  const size_t before = visited;
  const size_t expected_before = expected_count;
  check_visit();
  assert_int_equal(before - visited, expected_before - expected_count);
  free_those_blocks();
}

static void areas_alone_are_visited_without_blocks(void** state) {
  (void)state;
  allocate_and_free_some(NULL);
  visit_begin();
  assert_true(mi_heap_visit_blocks(NULL, false, &note_block, NULL));
  assert_true(areas > 100);
  assert_int_equal(visited, 0);
  free_those_blocks();
}

static void abandoned_blocks_are_visited_alone(void** state) {
  (void)state;
  mi_collect(true);
  result_of_thread(&allocate_and_free_some, NULL);
  mi_collect(true);  // lets go of what the ended thread had
  expect_those_blocks();
  visit_begin();
  assert_true(mi_heap_visit_abandoned_blocks(NULL, true, &note_block, NULL));
  size_t in_pages = 0;
  for (size_t i = 0; i < expected_count; i++) in_pages += expected[i].size <= 32 * KiB;
  if (has_vaults()) {
    assert_int_equal(seen_count(), 0);  // pages of vaults never had a thread
  } else {
    assert_true(seen_count() >= in_pages * 9 / 10);  // a page may have got another thread
  }
  assert_int_equal(twice, 0);
  free_those_blocks();
  void* const mine = mi_malloc(100);
  expect_block(mine, 100);
  visit_begin();
  assert_true(mi_heap_visit_abandoned_blocks(NULL, true, &note_block, NULL));
  assert_int_equal(seen_count(), 0);
  expected_count = 0;
  mi_free(mine);
}

typedef struct other_thread_s {
  pthread_barrier_t barrier;
  void* block;
  mi_heap_t* heap;
} other_thread_t;

static void* hold_a_block(void* arg) {
  other_thread_t* const other = (other_thread_t*)arg;
  other->block = mi_heap_malloc(other->heap, 100);
  pthread_barrier_wait(&other->barrier);
  pthread_barrier_wait(&other->barrier);
  return NULL;
}

static void a_theap_shows_the_blocks_of_its_thread_only(void** state) {
  (void)state;
  pthread_t thread;
  other_thread_t other = {.heap = mi_heap_new()};
  pthread_barrier_init(&other.barrier, NULL, 2);
  assert_int_equal(pthread_create(&thread, NULL, &hold_a_block, &other), 0);
  pthread_barrier_wait(&other.barrier);
  void* const mine = mi_heap_malloc(other.heap, 100);
  void* const elsewhere = mi_malloc(100);
  void* const all[] = {mine, elsewhere, other.block};
  for (size_t i = 0; i < 3; i++) {
    expected_count = 0;
    expect_block(all[i], 100);
    visit_begin();
    assert_true(mi_theap_visit_blocks(mi_heap_theap(other.heap), true, &note_block, NULL));
    // Vaults belong to no thread.
    assert_int_equal(seen_count(), !has_vaults() && all[i] == mine);
    visit_begin();
    assert_true(mi_theap_visit_blocks(NULL, true, &note_block, NULL));  // the default one
    assert_int_equal(seen_count(), !has_vaults() && all[i] == elsewhere);
    visit_begin();
    assert_true(mi_heap_visit_blocks(other.heap, true, &note_block, NULL));
    assert_int_equal(seen_count(), all[i] != elsewhere);
  }
  visit_begin();
  assert_true(mi_theap_visit_blocks(mi_heap_theap(other.heap), false, &note_block, NULL));
  assert_true(areas == !has_vaults() && visited == 0);
  assert_false(mi_theap_visit_blocks(NULL, true, opaque_pointer(NULL), NULL));
  pthread_barrier_wait(&other.barrier);
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&other.barrier);
  mi_free(elsewhere);
  mi_heap_destroy(other.heap);
  expected_count = 0;
}

typedef struct found_area_s {
  const void* p;  // a block
  mi_heap_area_t area;
  const mi_heap_t* heap;
} found_area_t;

static bool mi_cdecl find_area(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                               size_t block_size, void* arg) {
  (void)block_size;
  found_area_t* const found = arg;
  const size_t inside = (size_t)((const uint8_t*)found->p - (const uint8_t*)area->blocks);
  if (block == NULL && inside < area->reserved) found->area = *area, found->heap = heap;
  return true;
}

static void an_area_says_what_is_in_it(void** state) {
  (void)state;
  enum { COUNT = 10 };
  static const size_t block_sizes[] = {100, 20 * KiB, 3 * MiB};
  for (size_t s = 0; s < COUNT_OF(block_sizes); s++) {
    mi_heap_t* const heap = mi_heap_new();
    void* p[COUNT];
    for (size_t i = 0; i < COUNT; i++) p[i] = mi_heap_malloc(heap, block_sizes[s]);
    for (size_t i = 5; i < COUNT; i++) mi_free(p[i]);
    found_area_t found = {.p = p[0]};
    assert_true(mi_heap_visit_blocks(heap, false, &find_area, &found));
    const mi_heap_area_t* const area = &found.area;
    assert_ptr_equal(found.heap, heap);
    // From secure level 4 on a canary follows what was asked for.
    const size_t usable = mi_usable_size(p[0]);
    assert_true(usable == area->block_size
                || (mi_option_get(mi_option_secure) >= 4 && usable == block_sizes[s]
                    && usable < area->block_size));
    assert_true(area->full_block_size >= area->block_size);
    assert_true(area->used >= 1 && area->used * area->full_block_size <= area->reserved);
    assert_true(area->committed >= area->block_size && area->committed <= area->reserved);
    assert_null(area->reserved1);
    mi_heap_destroy(heap);
  }
}

static void blocks_of_whole_slices_are_visited_in_their_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const heaps[] = {heap, mi_heap_main()};
  void* of[2][3];
  for (size_t h = 0; h < 2; h++) {
    of[h][0] = mi_heap_malloc(heaps[h], 100);
    of[h][1] = mi_heap_malloc(heaps[h], 100 * KiB);
    of[h][2] = mi_heap_malloc(heaps[h], 3 * MiB);
  }
  for (size_t h = 0; h < 2; h++) {
    for (size_t other = 0; other < 2; other++) {
      expected_count = 0;
      for (size_t i = 0; i < 3; i++) expect_block(of[other][i], 100);
      visit_begin();
      assert_true(mi_heap_visit_blocks(heaps[h], true, &note_block, NULL));
      assert_int_equal(seen_count(), h == other ? 3 : 0);
      assert_int_equal(twice + wrong + outside, 0);
    }
  }
  for (size_t i = 0; i < 3; i++) mi_free(of[1][i]);
  mi_heap_destroy(heap);
  expected_count = 0;
}

static void abandoned_blocks_are_visited_by_subprocess(void** state) {
  (void)state;
  mi_collect(true);
  result_of_thread(&allocate_and_free_some, NULL);
  mi_collect(true);
  expect_those_blocks();
  visit_begin();
  assert_true(mi_abandoned_visit_blocks(mi_subproc_main(), -1, true, &note_block, NULL));
  assert_true(has_vaults() ? seen_count() == 0 : seen_count() > expected_count / 2);
  const mi_subproc_id_t empty = mi_subproc_new();
  visit_begin();
  assert_true(mi_abandoned_visit_blocks(empty, 0, true, &note_block, NULL));
  assert_int_equal(visited + areas, 0);
  mi_subproc_destroy(empty);
  const mi_subproc_id_t none = {NULL};
  assert_false(mi_abandoned_visit_blocks(none, 0, true, &note_block, NULL));
  assert_false(mi_abandoned_visit_blocks(mi_subproc_main(), 0, true, opaque_pointer(NULL), NULL));
  free_those_blocks();
}

static bool mi_cdecl stop_at(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                             size_t block_size, void* arg) {
  (void)heap;
  (void)area;
  (void)block;
  (void)block_size;
  return --*(int*)arg > 0;
}

static void the_visitor_can_stop(void** state) {
  (void)state;
  void* const p = mi_malloc(100);
  for (int stop = 1; stop < 5; stop++) {
    int left = stop;
    assert_false(mi_heap_visit_blocks(NULL, true, &stop_at, &left));
    assert_int_equal(left, 0);
  }
  assert_false(mi_heap_visit_blocks(NULL, true, opaque_pointer(NULL), NULL));
  assert_false(mi_heap_visit_abandoned_blocks(NULL, true, opaque_pointer(NULL), NULL));
  mi_free(p);
}

static bool mi_cdecl free_if_ours(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                  size_t block_size, void* arg) {
  note_block(heap, area, block, block_size, arg);
  const expected_t key = {(uintptr_t)block, 0, false};
  if (bsearch(&key, expected, expected_count, sizeof(expected[0]), &by_address) != NULL)
    mi_free(block);
  return true;
}

static void the_visitor_may_free_the_block(void** state) {
  (void)state;
  allocate_and_free_some(NULL);
  expect_those_blocks();
  visit_begin();
  assert_true(mi_heap_visit_blocks(NULL, true, &free_if_ours, NULL));
  assert_int_equal(seen_count(), expected_count);
  assert_int_equal(twice, 0);
  visit_begin();
  assert_true(mi_heap_visit_blocks(NULL, true, &note_block, NULL));
  assert_int_equal(seen_count(), 0);
  expected_count = 0;
}

// --- how well the memory around a block is used ---

static void utilization_is_the_live_part_of_a_page(void** state) {
  (void)state;
  assert_true(mi_block_utilization(NULL) <= 0);
  int local = 0;
  assert_true(mi_block_utilization(&local) <= 0);
  static const size_t large[] = {100 * KiB, 5 * MiB};
  for (size_t i = 0; i < COUNT_OF(large); i++) {
    void* const p = mi_malloc(large[i]);
    assert_true(mi_block_utilization(p) >= 1);
    assert_false(mi_should_move(p, 2));
    mi_free(p);
  }
  enum { COUNT = 128 * 20 };
  static void* p[COUNT];
  for (size_t i = 0; i < COUNT; i++) p[i] = mi_malloc(512);
  for (size_t i = COUNT / 4; i < COUNT / 2; i++) {
    const double full = secure_level() >= 5 ? 0.93 : 0.99;  // a sixteenth is a guard
    assert_true(mi_block_utilization(p[i]) > full && mi_block_utilization(p[i]) <= 1);
    assert_false(mi_should_move(p[i], 0.9));
  }
  for (size_t i = 0; i < COUNT; i++) {
    if (i % 4 != 0) mi_free(p[i]), p[i] = NULL;
  }
  mi_collect(false);
  size_t quarter = 0;
  for (size_t i = COUNT / 4; i < COUNT / 2; i += 4) {
    const double u = mi_block_utilization(p[i]);
    assert_true(u > 0 && u <= 1);
    quarter += u > 0.2 && u < 0.3;
    assert_false(mi_should_move(p[i], 0.1));
  }
  assert_true(quarter > COUNT / 16 * 8 / 10);
  size_t to_move = 0;
  for (size_t i = 0; i < COUNT; i += 4) to_move += mi_should_move(p[i], 0.5);
  assert_true(to_move > COUNT / 4 * 7 / 10);
  size_t under = 0;
  for (size_t i = 0; i < COUNT; i += 4)
    under += mi_unsafe_heap_page_is_under_utilized(NULL, p[i], 50);
  // The question is about pages of the running thread: those of vaults have none.
  assert_true(has_vaults() ? under == 0 : under > COUNT / 4 * 7 / 10);
  for (size_t i = 0; i < COUNT; i += 4) {
    assert_false(mi_unsafe_heap_page_is_under_utilized(NULL, p[i], 10));
    assert_false(mi_unsafe_heap_page_is_under_utilized((mi_heap_t*)(void*)&local, p[i], 100));
  }
  assert_false(mi_unsafe_heap_page_is_under_utilized(NULL, NULL, 100));
  for (size_t i = 0; i < COUNT; i += 4) mi_free(p[i]);
}

static void* ask_for_utilization(void* p) {
  return mi_block_utilization(p) > 0 && !mi_unsafe_heap_page_is_under_utilized(NULL, p, 100) ? p
                                                                                             : NULL;
}

static void any_thread_may_ask(void** state) {
  (void)state;
  void* const p = mi_malloc(500);
  assert_ptr_equal(result_of_thread(&ask_for_utilization, p), p);
  mi_free(p);
}

// P4 b and c: one of 20 blocks survives; a pass that moves those in badly used memory gives the rest back.
typedef struct many_s {
  void** p;
  size_t count;
  size_t size;
} many_t;

static void keep_one_of_20(many_t* many) {
  many->p = (void**)mi_calloc(many->count, sizeof(void*));
  for (size_t i = 0; i < many->count; i++) {
    many->p[i] = mi_malloc(many->size);
    fill(many->p[i], many->size, (unsigned)i);
  }
  for (size_t i = 0; i < many->count; i++) {
    if (i % 20 != 7) mi_free(many->p[i]), many->p[i] = NULL;
  }
}

static void move_what_should(const many_t* many) {
  for (size_t i = 0; i < many->count; i++) {
    void* const p = many->p[i];
    if (p == NULL || !mi_should_move(p, 0.8)) continue;
    many->p[i] = mi_malloc(many->size);
    memcpy(many->p[i], p, many->size);
    mi_free(p);
  }
}

static void moving_what_should_move_gives_memory_back(void** state) {
  (void)state;
  many_t all[] = {{NULL, 150000, 512}, {NULL, 100000, 1024}, {NULL, 50000, 2048}};
  mi_collect(true);
  mi_stats_t_decl(before);
  mi_stats_get(&before);
  size_t used = 0;
  const long delay = mi_option_get(mi_option_purge_delay);
  mi_option_set(mi_option_purge_delay, -1);  // a thread that is alone would punch the sparse pages
  for (size_t i = 0; i < COUNT_OF(all); i++) {
    keep_one_of_20(&all[i]);
    used += all[i].count / 20 * all[i].size;
  }
  mi_collect(true);
  mi_stats_t_decl(spread);
  mi_stats_get(&spread);
  mi_option_set(mi_option_purge_delay, delay);
  for (size_t i = 0; i < COUNT_OF(all); i++) move_what_should(&all[i]);
  mi_collect(true);
  mi_stats_t_decl(after);
  mi_stats_get(&after);
  const int64_t touched = after.page_committed.current - before.page_committed.current;
  bool intact = true;
  for (size_t i = 0; i < COUNT_OF(all); i++) {
    for (size_t k = 7; k < all[i].count; k += 20)
      intact = intact && holds(all[i].p[k], all[i].size, (unsigned)k);
    for (size_t k = 0; k < all[i].count; k++) mi_free(all[i].p[k]);
    mi_free(all[i].p);
  }
  assert_true(intact);
  assert_true(spread.page_committed.current - before.page_committed.current > (int64_t)(8 * used));
  if (has_vaults())
    return;  // what was freed is among the next to be given out: blocks move, but do not gather
  if (touched > (int64_t)(used * 115 / 100))
    fail_msg("%lld bytes for %zu", (long long)touched, used);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_live_block_is_visited_once),
      cmocka_unit_test(no_free_block_is_visited),
      cmocka_unit_test(blocks_of_ended_threads_are_visited),
      cmocka_unit_test(areas_alone_are_visited_without_blocks),
      cmocka_unit_test(abandoned_blocks_are_visited_alone),
      cmocka_unit_test(a_theap_shows_the_blocks_of_its_thread_only),
      cmocka_unit_test(abandoned_blocks_are_visited_by_subprocess),
      cmocka_unit_test(an_area_says_what_is_in_it),
      cmocka_unit_test(blocks_of_whole_slices_are_visited_in_their_heap),
      cmocka_unit_test(the_visitor_can_stop),
      cmocka_unit_test(the_visitor_may_free_the_block),
      cmocka_unit_test(utilization_is_the_live_part_of_a_page),
      cmocka_unit_test(any_thread_may_ask),
      cmocka_unit_test(moving_what_should_move_gives_memory_back),
  };
  return cmocka_run_group_tests_name("api/visit", tests, be_silent, unregister_all);
}
