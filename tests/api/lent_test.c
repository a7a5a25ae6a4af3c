// SPDX-License-Identifier: MIT
// lent_test.c - arenas in memory of the program: mi_manage_os_memory and its relatives (promise P23)
#include "api_test.h"

#include "mimalloc-stats.h"
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { LENT_BYTES = 48 * MiB };

static uint8_t* map(size_t size, int protection) {
  void* const p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(p != MAP_FAILED);
  return (uint8_t*)p;
}

static uint8_t* memory;  // of this test

static mi_arena_id_t lend(size_t size, bool exclusive) {
  mi_arena_id_t id = NULL;
  memory = map(size, PROT_READ | PROT_WRITE);
  assert_true(mi_manage_os_memory_ex(memory, size, true, false, true, -1, exclusive, &id));
  assert_non_null(id);
  return id;
}

static void take_back(mi_arena_id_t id, size_t size) {
  assert_int_equal(mi_arena_release(id), 0);
  assert_false(mi_any_heap_contains(memory + size / 2));
  munmap(memory, size);
}

static bool is_inside(const void* p, size_t size) {
  return (const uint8_t*)p >= memory && (const uint8_t*)p + size <= memory + LENT_BYTES;
}

static void the_area_is_the_whole_slices_of_the_memory(void** state) {
  (void)state;
  mi_arena_id_t id = NULL;
  memory = map(LENT_BYTES, PROT_READ | PROT_WRITE);
  assert_true(
      mi_manage_os_memory_ex(memory + 100, LENT_BYTES - 200, true, false, true, -1, true, &id));
  size_t size = 0;
  uint8_t* const start = mi_arena_area(id, &size);
  assert_true(is_inside(start, size) && size >= LENT_BYTES - 3 * 64 * KiB);
  assert_true(is_aligned(start, mi_arena_min_alignment()));
  assert_true(mi_arena_contains(id, start) && !mi_arena_contains(id, start + size));
  assert_false(mi_is_in_heap_region(start));  // no block is there yet
  take_back(id, LENT_BYTES);
}

static void wrong_memory_is_refused(void** state) {
  (void)state;
  mi_arena_id_t id = &id;
  memory = map(LENT_BYTES, PROT_READ | PROT_WRITE);
  assert_false(mi_manage_os_memory(NULL, LENT_BYTES, true, false, true, -1));
  assert_false(mi_manage_os_memory(memory, mi_arena_min_size() - 1, true, false, true, -1));
  assert_false(mi_manage_os_memory_ex(memory, opaque(SIZE_MAX), true, false, true, -1, true, &id));
  assert_null(id);
  void* const ours = mi_malloc(40 * MiB);
  assert_false(mi_manage_os_memory(ours, 40 * MiB, true, false, false, -1));
  mi_free(ours);
  assert_true(mi_manage_os_memory_ex(memory, LENT_BYTES, true, false, true, -1, true, &id));
  assert_false(mi_manage_os_memory(memory, LENT_BYTES, true, false, true, -1));  // twice
  take_back(id, LENT_BYTES);
}

// Of sizes of all kinds, until it is full; then all of it again, after freeing.
static size_t fill_with(mi_heap_t* heap, size_t size, void*** chain) {
  size_t got = 0;
  *chain = NULL;
  for (;;) {
    errno = 0;
    void** const p = (void**)mi_heap_malloc(heap, size);
    if (p == NULL) break;
    assert_true(is_inside(p, size) && mi_usable_size(p) >= size);
    assert_ptr_equal(mi_heap_of((uint8_t*)p + size - 1), heap);
    *p = (void*)*chain;
    *chain = p;
    got += size;
  }
  assert_int_equal(errno, ENOMEM);
  return got;
}

static void free_chain(void** chain) {
  while (chain != NULL) {
    void** const next = (void**)*chain;
    mi_free((void*)chain);
    chain = next;
  }
}

static void a_full_arena_means_null_and_freed_memory_is_used_again(void** state) {
  (void)state;
  static const size_t sizes[] = {16, 100, 1000, 30 * KiB, 60 * KiB, 1000 * KiB, 43 * MiB};
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void** chain;
    const size_t first = fill_with(heap, sizes[i], &chain);
    assert_true(first >= (size_t)LENT_BYTES * 85 / 100);
    assert_int_equal(mi_arena_release(id), EBUSY);
    void* const other = mi_malloc(sizes[i]);
    assert_false(mi_arena_contains(id, other));
    mi_free(other);
    free_chain(chain);
    assert_int_equal(fill_with(heap, sizes[i], &chain), first);
    free_chain(chain);
  }
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

static void blocks_keep_what_is_in_them(void** state) {
  (void)state;
  enum { COUNT = 3000 };
  static uint8_t* blocks[COUNT];
  static size_t sizes[COUNT];
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  uint32_t random = 1;
  memset(blocks, 0, sizeof blocks);
  for (unsigned turn = 0; turn < 30000; turn++) {
    random = random * 1664525u + 1013904223u;
    const size_t i = (random >> 8) % COUNT;
    if (blocks[i] != NULL) assert_true(holds(blocks[i], sizes[i], (unsigned)i));
    sizes[i] = 1 + (random >> 12) % (turn % 97 == 0 ? 200 * KiB : 3000);
    blocks[i] = mi_heap_realloc(heap, blocks[i], sizes[i]);
    assert_true(is_inside(blocks[i], sizes[i]));
    assert_true(is_block_aligned(blocks[i], sizes[i]));
    fill(blocks[i], sizes[i], (unsigned)i);
    if (turn % 3 == 0) mi_free(blocks[i]), blocks[i] = NULL;
  }
  for (size_t i = 0; i < COUNT; i++) {
    if (blocks[i] != NULL) assert_true(holds(blocks[i], sizes[i], (unsigned)i));
  }
  mi_heap_destroy(heap);  // ends all that are left
  take_back(id, LENT_BYTES);
}

static void alignment_and_zeroing_hold(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  for (size_t alignment = 1; alignment <= 4 * MiB; alignment *= 2) {
    for (size_t size = 0; size <= 100 * KiB; size = size * 3 + 1) {
      void* const p = mi_heap_malloc_aligned(heap, size, alignment);
      assert_true(is_inside(p, size) && is_aligned(p, alignment) && mi_usable_size(p) >= size);
      memset(p, 0xA5, opaque(mi_usable_size(p)));
      void* const q = mi_heap_zalloc_aligned_at(heap, size, alignment, 24);
      assert_true(is_aligned_at(q, alignment, 24) && is_zero(q, size));
      memset(q, 0xA5, opaque(mi_usable_size(q)));
      mi_free(q);
      mi_free(p);
      void* const z = mi_heap_calloc(heap, 1, size);
      assert_true(is_inside(z, size) && is_zero(z, size));
      mi_free(z);
    }
  }
  assert_int_equal(mi_arena_release(id), EBUSY);
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

static void deleted_heaps_leave_their_blocks_to_the_main_one(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  mi_heap_t* const other = mi_heap_new_in_arena(id);
  uint8_t* const small = mi_heap_malloc(heap, 100);
  uint8_t* const large = mi_heap_malloc(heap, 1 * MiB);
  void* const foreign = mi_heap_malloc(other, 100);
  mi_heap_delete(heap);
  assert_ptr_equal(mi_heap_of(small), mi_heap_main());
  assert_ptr_equal(mi_heap_of(large + MiB - 1), mi_heap_main());
  assert_ptr_equal(mi_heap_of(foreign), other);
  mi_heap_destroy(other);
  assert_null(mi_heap_of(foreign));
  assert_int_equal(mi_arena_release(id), EBUSY);
  fill(small, 100, 1);
  uint8_t* const moved =
      mi_realloc(small, 200);  // stays in the heap, which is the main one, not in the arena
  assert_true(holds(moved, 100, 1));
  mi_free(moved);
  mi_free(large);
  take_back(id, LENT_BYTES);
}

static void a_pointer_without_a_block_is_reported(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  uint8_t* const p = mi_heap_malloc(heap, 100);
  uint8_t* const q = mi_heap_malloc(heap, 100);
  if (secure_level() == 0) {  // else the program is stopped
    reports_begin();
    mi_free(p + 16);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last_code, EINVAL);
  }
  assert_int_equal(mi_malloc_size(p + 8), 0);
  assert_true(mi_heap_contains_block(heap, p) && !mi_heap_contains_block(heap, p + 8));
  mi_free(p);
  if (secure_level() == 0) {  // else the program is stopped
    reports_begin();
    mi_free(p);  // twice: another block keeps its neighbours alive
    assert_int_equal(reports.count, 1);
  }
  mi_free(q);
  mi_heap_delete(heap);
  take_back(id, LENT_BYTES);
}

static size_t seen_blocks;
static size_t seen_bytes;

static bool mi_cdecl note_and_free(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                   size_t block_size, void* arg) {
  (void)heap, (void)arg;
  if (block == NULL) return true;
  if (area->used == 0 || mi_usable_size(block) != block_size) return false;
  seen_blocks++;
  seen_bytes += block_size;
  mi_free(block);
  return true;
}

static void blocks_are_visited_and_counted(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  for (size_t i = 0; i < 500; i++) assert_non_null(mi_heap_malloc(heap, 112));
  for (size_t i = 0; i < 5; i++) assert_non_null(mi_heap_malloc(heap, 128 * KiB));
  mi_stats_t_decl(stats);
  assert_true(mi_heap_stats_get(heap, &stats));
  assert_int_equal(stats.malloc_normal.current, 500 * 112);
  assert_int_equal(stats.malloc_huge.current, 5 * 128 * KiB);
  assert_int_equal(stats.malloc_bins[MI_BIN_HUGE].current, 5);
  assert_int_equal(stats.committed.current, 0);  // it is the program's
  seen_blocks = seen_bytes = 0;
  assert_true(mi_heap_visit_blocks(heap, true, &note_and_free, NULL));
  assert_int_equal(seen_blocks, 505);
  assert_int_equal(seen_bytes, 500 * 112 + 5 * 128 * KiB);
  seen_blocks = 0;
  assert_true(mi_heap_visit_blocks(heap, true, &note_and_free, NULL));
  assert_int_equal(seen_blocks, 0);
  output_begin();
  mi_arenas_print();
  assert_non_null(strstr(output.text, "the program's"));
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

// The program's own commit and decommit ----------------------------------------------------------------

static size_t opened;
static size_t closed;
static bool refuse;

static bool mi_cdecl open_or_close(bool commit, void* start, size_t size, bool* zero, void* arg) {
  if (arg != &opened || !is_inside(start, size) || (refuse && commit)) return false;
  void* const inside = mi_malloc(1000);  // it may use other memory of ours
  mi_free(inside);
  if (commit) *zero = true;
  *(commit ? &opened : &closed) += size;
  return mprotect(start, size, commit ? PROT_READ | PROT_WRITE : PROT_NONE) == 0
         && (commit || madvise(start, size, MADV_DONTNEED) == 0);
}

static void the_program_opens_and_closes_its_memory(void** state) {
  (void)state;
  mi_arena_id_t id = NULL;
  memory = map(LENT_BYTES, PROT_NONE);
  opened = closed = 0;
  refuse = false;
  assert_true(mi_manage_memory(memory, LENT_BYTES, false, false, false, -1, true, &open_or_close,
                               &opened, &id));
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  assert_int_equal(opened, 0);
  void* const small = mi_heap_malloc(heap, 100);
  assert_int_equal(opened, 64 * KiB);
  memset(small, 1, 100);
  uint8_t* large = mi_heap_malloc(heap, 10 * MiB);
  assert_int_equal(opened, 64 * KiB + 10 * MiB);
  memset(large, 1, 10 * MiB);
  mi_free(large);
  assert_int_equal(closed, 0);
  large = mi_heap_zalloc(heap, 10 * MiB);
  assert_int_equal(opened, 64 * KiB + 10 * MiB);  // it was open still
  assert_true(is_zero(large, 10 * MiB));
  mi_free(large);
  mi_collect(true);
  assert_int_equal(closed, 10 * MiB);
  refuse = true;
  errno = 0;
  assert_null(mi_heap_malloc(heap, 20 * MiB));
  assert_int_equal(errno, ENOMEM);
  assert_null(mi_heap_malloc(heap, 30 * KiB));
  refuse = false;
  large = mi_heap_zalloc(heap, 20 * MiB);
  assert_true(is_zero(large, 20 * MiB));
  mi_free(large);
  mi_free(small);
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

static void pinned_memory_is_not_given_back(void** state) {
  (void)state;
  mi_arena_id_t id = NULL;
  memory = map(LENT_BYTES, PROT_NONE);
  opened = closed = 0;
  assert_true(mi_manage_memory(memory, LENT_BYTES, false, true, false, -1, true, &open_or_close,
                               &opened, &id));
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  mi_free(mi_heap_malloc(heap, 1 * MiB));
  mi_heap_collect(heap, true);
  assert_int_equal(closed, 0);
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

static void the_system_opens_it_if_nobody_else_does(void** state) {
  (void)state;
  mi_arena_id_t id = NULL;
  memory = map(LENT_BYTES, PROT_NONE);
  assert_true(mi_manage_os_memory_ex(memory, LENT_BYTES, false, false, true, -1, true, &id));
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  uint8_t* const p = mi_heap_zalloc(heap, 5 * MiB);
  assert_true(is_zero(p, 5 * MiB));
  memset(p, 1, 5 * MiB);
  mi_free(p);
  uint8_t* const q = mi_heap_zalloc(heap, 5 * MiB);
  assert_true(is_zero(q, 5 * MiB));
  mi_heap_destroy(heap);
  take_back(id, LENT_BYTES);
}

// Threads and processes --------------------------------------------------------------------------------

enum { SHARED = 64 };
static _Atomic(uint8_t*) shared[SHARED];

static void* exchange_blocks(void* arg) {
  uint32_t random = (uint32_t)(uintptr_t)pthread_self() | 1;
  for (int i = 0; i < 5000; i++) {
    random = random * 1664525u + 1013904223u;
    const size_t size = 64 + (random >> 10) % (i % 50 == 0 ? 100 * KiB : 1000);
    uint8_t* const p = mi_heap_malloc((mi_heap_t*)arg, size);
    if (p == NULL) return arg;
    memset(p, (uint8_t)(uintptr_t)p | 1, 64);
    uint8_t* const old = atomic_exchange(&shared[(random >> 8) % SHARED], p);
    if (old == NULL) continue;
    if (old[0] != ((uint8_t)(uintptr_t)old | 1) || old[63] != old[0]) return arg;
    mi_free(old);
  }
  return NULL;
}

static void threads_share_it(void** state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, &exchange_blocks, heap), 0);
  for (int i = 0; i < THREADS; i++) {
    void* failed = heap;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  for (int i = 0; i < SHARED; i++) mi_free(atomic_exchange(&shared[i], NULL));
  mi_heap_delete(heap);
  take_back(id, LENT_BYTES);
}

static mi_heap_t* heap_of_parent;
static void* block_of_parent;

static int use_it_in_the_child(void) {
  mi_free(block_of_parent);
  void* const p = mi_heap_malloc(heap_of_parent, 100 * KiB);
  return p != NULL && mi_heap_of(p) == heap_of_parent ? 0 : 1;
}

static void a_child_has_it_too(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  heap_of_parent = mi_heap_new_in_arena(id);
  block_of_parent = mi_heap_malloc(heap_of_parent, 100);
  assert_int_equal(status_of_child(&use_it_in_the_child), 0);
  mi_heap_destroy(heap_of_parent);
  take_back(id, LENT_BYTES);
}

// A child whose address space is limited: what is not exclusive serves everyone then.
static int run_out_of_memory(void) {
  mi_arena_id_t id = NULL;
  memory = map(LENT_BYTES, PROT_READ | PROT_WRITE);
  if (!mi_manage_os_memory(memory, LENT_BYTES, true, false, true, -1)) return 1;
  uint8_t* const exclusive = map(LENT_BYTES, PROT_READ | PROT_WRITE);
  if (!mi_manage_os_memory_ex(exclusive, LENT_BYTES, true, false, true, -1, true, &id)) return 2;
  const struct rlimit limit = {64 * MiB, 64 * MiB};
  if (setrlimit(RLIMIT_DATA, &limit) != 0) return 3;
  size_t inside = 0;
  for (void* p; (p = mi_malloc(100 * KiB)) != NULL;) {
    if (mi_arena_contains(id, p)) return 4;
    inside += is_inside(p, 100 * KiB);
  }
  if (has_vaults()) return inside == 0 ? 0 : 7;  // lent memory is not hardened
  if (inside < 300) return 5;
  for (void* p; (p = mi_malloc(1000)) != NULL;) inside++;
  return errno == ENOMEM ? 0 : 6;
}

static void what_is_not_exclusive_serves_everyone_at_last(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();
  assert_int_equal(status_of_child(&run_out_of_memory), 0);
}

static void it_may_be_the_default(void** state) {
  (void)state;
  const mi_arena_id_t id = lend(LENT_BYTES, true);
  mi_heap_t* const heap = mi_heap_new_in_arena(id);
  mi_theap_t* const before = mi_theap_set_default(mi_heap_theap(heap));
  void* const p = mi_malloc(50);  // as the default
  assert_true(is_inside(p, 50));
  mi_theap_set_default(before);
  mi_heap_destroy(heap);
  assert_null(mi_heap_of(p));
  take_back(id, LENT_BYTES);
}

// With 32 bits there is less to set apart than these tests want.
int main(void) {
  if (sizeof(void*) == 4) return 0;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_area_is_the_whole_slices_of_the_memory),
      cmocka_unit_test(wrong_memory_is_refused),
      cmocka_unit_test(a_full_arena_means_null_and_freed_memory_is_used_again),
      cmocka_unit_test(blocks_keep_what_is_in_them),
      cmocka_unit_test(alignment_and_zeroing_hold),
      cmocka_unit_test(deleted_heaps_leave_their_blocks_to_the_main_one),
      cmocka_unit_test_teardown(a_pointer_without_a_block_is_reported, unregister_all),
      cmocka_unit_test_teardown(blocks_are_visited_and_counted, unregister_all),
      cmocka_unit_test(the_program_opens_and_closes_its_memory),
      cmocka_unit_test(pinned_memory_is_not_given_back),
      cmocka_unit_test(the_system_opens_it_if_nobody_else_does),
      cmocka_unit_test(threads_share_it),
      cmocka_unit_test(a_child_has_it_too),
      cmocka_unit_test(what_is_not_exclusive_serves_everyone_at_last),
      cmocka_unit_test(it_may_be_the_default),
  };
  return cmocka_run_group_tests_name("api/lent", tests, be_silent, unregister_all);
}
