// SPDX-License-Identifier: MIT
// heap_test.c - first-class heaps: docs/heaps.md, line by line
#include "api_test.h"

typedef struct call_s {
  mi_heap_t* heap;
  void* p;
  void (*run)(struct call_s* call);
} call_t;

static void* run_call(void* arg) {
  call_t* const call = arg;
  call->run(call);
  return NULL;
}

// In a thread that has ended when this returns.
static void in_thread(call_t* call) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, run_call, call), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
}

static void allocate(call_t* call) { call->p = mi_heap_malloc(call->heap, 100); }
static void allocate_huge(call_t* call) { call->p = mi_heap_malloc(call->heap, 3 * MiB); }
static void release(call_t* call) { mi_free(call->p); }

static const size_t sizes[] = {0,         1,        8,        16,       100,      1024,
                               8 * KiB,   10 * KiB, 32 * KiB, 40 * KiB, 64 * KiB, 65 * KiB,
                               300 * KiB, MiB,      MiB + 1,  5 * MiB};

// Blocks of every kind -------------------------------------------------------------------------------

static void blocks_belong_to_their_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  assert_non_null(heap);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    uint8_t* const p = mi_heap_malloc(heap, sizes[i]);
    uint8_t* const other = mi_malloc(sizes[i]);
    assert_non_null(p);
    fill(p, mi_usable_size(p), (unsigned)i);
    assert_true(mi_usable_size(p) >= sizes[i]);
    assert_ptr_equal(mi_heap_of(p), heap);
    assert_ptr_equal(mi_heap_of(p + mi_usable_size(p) / 2), heap);
    assert_ptr_equal(mi_heap_of(other), mi_heap_main());
    assert_true(mi_heap_contains(heap, p) && !mi_heap_contains(heap, other));
    assert_true(mi_heap_contains(NULL, other) && !mi_heap_contains(NULL, p));
    assert_true(mi_any_heap_contains(p) && mi_is_in_heap_region(p) && mi_check_owned(p));
    assert_true(mi_heap_check_owned(heap, p) && mi_heap_contains_block(heap, p));
    mi_free(other);
    mi_free(p);
  }
  mi_heap_destroy(heap);
}

static void every_address_of_a_large_block_is_in_its_heap(void** state) {
  (void)state;
  enum { SIZE = 9 * 1024 * 1024 };
  mi_heap_t* const heap = mi_heap_new();
  uint8_t* const blocks[] = {mi_heap_malloc(heap, SIZE), mi_malloc(SIZE),
                             mi_heap_malloc(heap, SIZE)};
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    for (size_t at = 0; at < SIZE; at += 60 * KiB) {
      assert_ptr_equal(mi_heap_of(blocks[i] + at), i == 1 ? mi_heap_main() : heap);
      assert_true(mi_is_in_heap_region(blocks[i] + at));
    }
    assert_ptr_equal(mi_heap_of(blocks[i] + SIZE - 1), i == 1 ? mi_heap_main() : heap);
  }
  mi_free(blocks[2]);
  assert_null(mi_heap_of(blocks[2] + SIZE / 2));
  mi_heap_destroy(heap);
  assert_null(mi_heap_of(blocks[0] + SIZE / 2));
  assert_ptr_equal(mi_heap_of(blocks[1] + SIZE / 2), mi_heap_main());
  mi_free(blocks[1]);
  assert_null(mi_heap_of(blocks[1] + SIZE / 2));
}

static void what_is_not_ours_is_in_no_heap(void** state) {
  (void)state;
  int local = 0;
  assert_null(mi_heap_of(NULL));
  assert_null(mi_heap_of(&local));
  assert_false(mi_heap_contains(NULL, &local));
  assert_false(mi_any_heap_contains(NULL));
  assert_false(mi_check_owned(&local));
}

static void null_is_the_main_heap(void** state) {
  (void)state;
  void* p = mi_heap_malloc(NULL, 50);
  assert_ptr_equal(mi_heap_of(p), mi_heap_main());
  p = mi_heap_realloc(NULL, p, 5000);
  assert_ptr_equal(mi_heap_of(p), mi_heap_main());
  mi_heap_collect(NULL, true);
  mi_free(p);
}

static void check_one(mi_heap_t* heap, void* p, size_t size, bool zero) {
  assert_non_null(p);
  assert_ptr_equal(mi_heap_of(p), heap);
  assert_true(mi_usable_size(p) >= size);
  if (zero) assert_true(is_zero(p, size));
  memset(p, 0x5A, size);
  mi_free(p);
}

static void every_function_allocates_in_the_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  for (int round = 0; round < 3; round++) {
    check_one(heap, mi_heap_malloc(heap, 33), 33, false);
    check_one(heap, mi_heap_malloc_small(heap, 33), 33, false);
    check_one(heap, mi_heap_mallocn(heap, 3, 40), 120, false);
    check_one(heap, mi_heap_zalloc(heap, 500), 500, true);
    check_one(heap, mi_heap_zalloc(heap, 100 * KiB), 100 * KiB, true);
    check_one(heap, mi_heap_zalloc_small(heap, 50), 50, true);
    check_one(heap, mi_heap_calloc(heap, 7, 50), 350, true);
    check_one(heap, mi_heap_realloc(heap, NULL, 60), 60, false);
    check_one(heap, mi_heap_reallocn(heap, NULL, 6, 60), 360, false);
    check_one(heap, mi_heap_reallocf(heap, NULL, 60), 60, false);
    check_one(heap, mi_heap_rezalloc(heap, NULL, 60), 60, true);
    check_one(heap, mi_heap_recalloc(heap, NULL, 6, 10), 60, true);
    check_one(heap, mi_heap_strdup(heap, "four"), 5, false);
    check_one(heap, mi_heap_strndup(heap, "four", 2), 3, false);
    check_one(heap, mi_heap_realpath(heap, "/", NULL), 2, false);
    check_one(heap, mi_heap_alloc_new(heap, 10), 10, false);
    check_one(heap, mi_heap_alloc_new_n(heap, 10, 10), 100, false);
  }
  assert_null(mi_heap_strdup(heap, NULL));
  assert_null(mi_heap_strndup(heap, NULL, 3));
  mi_heap_destroy(heap);
}

static void aligned_blocks_are_aligned(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  for (size_t alignment = 1; alignment <= 4 * MiB; alignment *= 4) {
    for (size_t size = 1; size <= 300 * KiB; size = size * 7 + 3) {
      uint8_t* p = mi_heap_malloc_aligned(heap, size, alignment);
      assert_true(is_aligned(p, alignment) && mi_heap_of(p) == heap);
      p = mi_heap_realloc_aligned(heap, p, size + 100, alignment);
      assert_true(is_aligned(p, alignment) && mi_heap_of(p) == heap);
      mi_free(p);
      p = mi_heap_malloc_aligned_at(heap, size, alignment, 24);
      assert_true(is_aligned_at(p, alignment, 24) && mi_heap_of(p) == heap);
      mi_free(mi_heap_realloc_aligned_at(heap, p, size, alignment, 24));
      p = mi_heap_zalloc_aligned_at(heap, size, alignment, 24);
      assert_true(is_aligned_at(p, alignment, 24) && is_zero(p, size));
      mi_free(mi_heap_rezalloc_aligned_at(heap, p, size, alignment, 24));
      check_one(heap, mi_heap_zalloc_aligned(heap, size, alignment), size, true);
      check_one(heap, mi_heap_calloc_aligned(heap, size, 1, alignment), size, true);
      check_one(heap, mi_heap_calloc_aligned_at(heap, 1, size, alignment, 8), size, true);
      check_one(heap, mi_heap_rezalloc_aligned(heap, NULL, size, alignment), size, true);
      check_one(heap, mi_heap_recalloc_aligned(heap, NULL, size, 1, alignment), size, true);
      check_one(heap, mi_heap_recalloc_aligned_at(heap, NULL, 1, size, alignment, 8), size, true);
    }
  }
  mi_heap_destroy(heap);
}

static void wrong_requests_fail(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  errno = 0;
  assert_null(mi_heap_malloc(heap, opaque(TOO_LARGE)));
  assert_int_equal(errno, ENOMEM);
  assert_null(mi_heap_calloc(heap, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS)));
  assert_null(mi_heap_mallocn(heap, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS)));
  assert_null(mi_heap_calloc_aligned(heap, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS), 8));
  void* const p = mi_heap_malloc(heap, 10);
  assert_null(mi_heap_reallocn(heap, p, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS)));
  assert_null(mi_heap_recalloc(heap, p, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS)));
  assert_null(mi_heap_reallocf(heap, p, opaque(TOO_LARGE)));  // frees it
  errno = 0;
  assert_null(mi_heap_malloc_aligned(heap, 10, opaque(3)));
  assert_int_equal(errno, EINVAL);
  assert_null(mi_heap_malloc_aligned(heap, 10, opaque(0)));
  assert_null(mi_heap_realloc_aligned(heap, NULL, 10, opaque(0)));
  mi_heap_destroy(heap);
}

// With each number of arguments: NULL and `code` in errno.
#define FAILS(code, call)          \
  do {                             \
    errno = 0;                     \
    assert_null(call);             \
    assert_int_equal(errno, code); \
  } while (0)

static void every_function_fails_and_leaves_the_block(void** state) {
  (void)state;
  const size_t many = opaque(HALF_THE_BITS), large = opaque(TOO_LARGE), odd = opaque(24);
  mi_heap_t* const heap = mi_heap_new();
  FAILS(ENOMEM, mi_heap_zalloc(heap, large));
  FAILS(ENOMEM, mi_heap_malloc_aligned(heap, large, 64));
  FAILS(ENOMEM, mi_heap_zalloc_aligned_at(heap, large, 64, 8));
  FAILS(ENOMEM, mi_heap_calloc_aligned_at(heap, many, many, 64, 8));
  FAILS(EINVAL, mi_heap_malloc_aligned_at(heap, 10, odd, 8));
  FAILS(EINVAL, mi_heap_zalloc_aligned(heap, 10, odd));
  FAILS(EINVAL, mi_heap_zalloc_aligned_at(heap, 10, odd, 8));
  FAILS(EINVAL, mi_heap_calloc_aligned(heap, 2, 10, odd));
  FAILS(EINVAL, mi_heap_calloc_aligned_at(heap, 2, 10, odd, 8));
  void* const p = mi_heap_malloc(heap, 100);
  fill(p, 100, 5);
  FAILS(ENOMEM, mi_heap_realloc(heap, p, large));
  FAILS(ENOMEM, mi_heap_rezalloc(heap, p, large));
  FAILS(ENOMEM, mi_heap_realloc_aligned(heap, p, large, 64));
  FAILS(ENOMEM, mi_heap_recalloc_aligned(heap, p, many, many, 64));
  FAILS(ENOMEM, mi_heap_recalloc_aligned_at(heap, p, many, many, 64, 8));
  FAILS(EINVAL, mi_heap_realloc_aligned(heap, p, 200, odd));
  FAILS(EINVAL, mi_heap_realloc_aligned_at(heap, p, 200, odd, 8));
  FAILS(EINVAL, mi_heap_rezalloc_aligned(heap, p, 200, odd));
  FAILS(EINVAL, mi_heap_rezalloc_aligned_at(heap, p, 200, odd, 8));
  FAILS(EINVAL, mi_heap_recalloc_aligned(heap, p, 2, 100, odd));
  FAILS(EINVAL, mi_heap_recalloc_aligned_at(heap, p, 2, 100, odd, 8));
  mi_theap_t* const theap = mi_heap_theap(heap);
  FAILS(ENOMEM, mi_theap_malloc(theap, large));
  FAILS(ENOMEM, mi_theap_zalloc(theap, large));
  FAILS(ENOMEM, mi_theap_realloc(theap, p, large));
  FAILS(EINVAL, mi_theap_malloc_aligned(theap, 10, odd));
  assert_true(holds(p, 100, 5));
  assert_ptr_equal(mi_heap_of(p), heap);
  mi_heap_destroy(heap);
}

static void sizes_at_the_bounds_are_served(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  const size_t bounds[] = {0, MI_SMALL_SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(bounds); i++) {
    check_one(heap, mi_heap_malloc(heap, bounds[i]), bounds[i], false);
    check_one(heap, mi_heap_malloc_small(heap, bounds[i]), bounds[i], false);
    check_one(heap, mi_heap_zalloc_small(heap, bounds[i]), bounds[i], true);
    check_one(heap, mi_heap_calloc(heap, bounds[i], 1), bounds[i], true);
    check_one(heap, mi_heap_mallocn(heap, 1, bounds[i]), bounds[i], false);
    check_one(heap, mi_heap_malloc_aligned_at(heap, bounds[i], 64, 5000), bounds[i], false);
    check_one(heap, mi_theap_malloc_small(theap, bounds[i]), bounds[i], false);
    check_one(heap, mi_theap_zalloc_small(theap, bounds[i]), bounds[i], true);
    check_one(heap, mi_heap_realloc(heap, mi_heap_malloc(heap, 99), bounds[i]), bounds[i], false);
  }
  check_one(heap, mi_heap_strdup(heap, ""), 1, false);
  check_one(heap, mi_heap_strndup(heap, "four", 0), 1, false);
  mi_heap_destroy(heap);
}

static void realpath_in_a_heap_is_that_of_the_system(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  char buffer[PATH_MAX];
  assert_ptr_equal(mi_heap_realpath(heap, "/dev/../dev/null", buffer), buffer);
  assert_string_equal(buffer, "/dev/null");
  char* const path = mi_heap_realpath(heap, "/dev/./null", NULL);
  assert_string_equal(path, "/dev/null");
  assert_ptr_equal(mi_heap_of(path), heap);
  FAILS(ENOENT, mi_heap_realpath(heap, "/no/such/file", NULL));
  FAILS(ENOENT, mi_heap_realpath(heap, "", buffer));
  mi_heap_destroy(heap);
}

static void a_block_is_in_no_other_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const other = mi_heap_new();
  void* const p = mi_heap_malloc(heap, 100);
  assert_false(mi_heap_contains(other, p));
  assert_false(mi_heap_check_owned(other, p));
  assert_false(mi_heap_contains_block(other, p));
  assert_false(mi_heap_contains(heap, other));  // its record is no block
  assert_false(mi_heap_contains_block(NULL, NULL));
  mi_heap_destroy(other);
  assert_true(mi_heap_contains(heap, p));
  mi_heap_destroy(heap);
}

static void resizing_moves_a_block_into_the_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_heap_t* const second = mi_heap_new();
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* p = mi_malloc(sizes[i]);
    const size_t size = mi_usable_size(p);
    fill(p, size, 3);
    p = mi_heap_realloc(heap, p, size);
    assert_ptr_equal(mi_heap_of(p), heap);
    p = mi_heap_realloc(second, p, size);
    assert_ptr_equal(mi_heap_of(p), second);
    assert_true(holds(p, size, 3));
    void* const same = mi_heap_realloc(second, p, size);
    assert_ptr_equal(same, p);
    p = mi_realloc(p, size);
    assert_ptr_equal(mi_heap_of(p), mi_heap_main());
    assert_true(holds(p, size, 3));
    mi_free(p);
  }
  mi_heap_destroy(heap);
  mi_heap_destroy(second);
}

// The end of heaps -----------------------------------------------------------------------------------

static void deleted_heaps_leave_their_blocks(void** state) {
  (void)state;
  void* blocks[2 * COUNT_OF(sizes)];
  call_t call = {.heap = mi_heap_new(), .run = allocate};
  in_thread(&call);
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    blocks[i] = mi_heap_malloc(call.heap, sizes[i / 2]);
    fill(blocks[i], sizes[i / 2], (unsigned)i);
  }
  for (size_t i = 0; i < COUNT_OF(blocks); i += 2) mi_free(blocks[i]);
  mi_heap_delete(call.heap);
  for (size_t i = 1; i < COUNT_OF(blocks); i += 2) {
    assert_ptr_equal(mi_heap_of(blocks[i]), mi_heap_main());
    assert_true(holds(blocks[i], sizes[i / 2], (unsigned)i));
    mi_free(blocks[i]);
  }
  assert_ptr_equal(mi_heap_of(call.p), mi_heap_main());
  mi_free(call.p);
}

static void destroyed_heaps_leave_nothing(void** state) {
  (void)state;
  void* seen = NULL;
  for (int round = 0; round < 50; round++) {
    call_t call = {.heap = mi_heap_new(), .run = round % 2 ? allocate : allocate_huge};
    in_thread(&call);
    assert_ptr_equal(mi_heap_of(call.p), call.heap);
    void* const first = mi_heap_malloc(call.heap, 24);
    for (int i = 0; i < 2000; i++)
      memset(mi_heap_malloc(call.heap, (size_t)i * 17 % 5000), i, (size_t)i * 17 % 5000);
    mi_heap_malloc(call.heap, 3 * MiB) == NULL ? abort() : (void)0;
    mi_heap_destroy(call.heap);
    assert_ptr_not_equal(mi_heap_of(call.p), call.heap);
    if (round == 0) seen = first;
  }
  assert_non_null(seen);
}

static void ends_that_are_refused(void** state) {
  (void)state;
  mi_heap_delete(NULL);
  mi_heap_destroy(NULL);
  void* const p = mi_malloc(10);
  mi_heap_delete(mi_heap_main());
  mi_heap_destroy(mi_heap_main());
  assert_ptr_equal(mi_heap_of(p), mi_heap_main());
  mi_free(p);
}

// Threads --------------------------------------------------------------------------------------------

static void blocks_outlive_the_thread_that_allocated(void** state) {
  (void)state;
  call_t call = {.heap = mi_heap_new(), .run = allocate};
  in_thread(&call);
  assert_ptr_equal(mi_heap_of(call.p), call.heap);
  void* const p = mi_heap_malloc(call.heap, 100);
  assert_ptr_not_equal(p, call.p);
  call.run = release;
  in_thread(&call);
  mi_free(p);
  mi_heap_collect(call.heap, true);
  mi_heap_destroy(call.heap);
}

static void use_two(call_t* call) {
  mi_heap_t* const second = mi_heap_new();
  for (int i = 0; i < 100; i++) {
    mi_free(mi_heap_malloc(call->heap, 48));
    mi_free(mi_heap_malloc(second, 48));
  }
  mi_heap_destroy(second);
}

static void threads_end_after_their_heaps(void** state) {
  (void)state;
  call_t call = {.heap = mi_heap_new(), .run = use_two};
  for (int i = 0; i < 20; i++) in_thread(&call);
  mi_heap_delete(call.heap);
}

static void many_heaps_in_turn(void** state) {
  (void)state;
  enum { HEAPS = 300 };
  mi_heap_t* heaps[HEAPS];
  void* blocks[HEAPS];
  for (int i = 0; i < HEAPS; i++) heaps[i] = mi_heap_new();
  for (int i = 0; i < HEAPS; i++) blocks[i] = mi_heap_malloc(heaps[i], 64);
  for (int i = 0; i < HEAPS; i++) assert_ptr_equal(mi_heap_of(blocks[i]), heaps[i]);
  for (int i = 0; i < HEAPS; i++) {
    if (i % 2 != 0) mi_free(blocks[i]);
    mi_heap_destroy(heaps[i]);
  }
}

// The default ----------------------------------------------------------------------------------------

static void malloc_uses_the_default_heap(void** state) {
  (void)state;
  void* const before = mi_malloc(48);
  mi_heap_t* const heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  mi_theap_t* const first = mi_theap_set_default(theap);
  assert_ptr_equal(first, mi_heap_theap(mi_heap_main()));
  assert_ptr_equal(mi_theap_get_default(), theap);
  assert_ptr_equal(mi_heap_get_default(), heap);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = mi_malloc(sizes[i]);
    assert_ptr_equal(mi_heap_of(p), heap);
    mi_free(p);
    void* const of_main = mi_heap_malloc(mi_heap_main(), sizes[i]);
    assert_ptr_equal(mi_heap_of(of_main), mi_heap_main());
    mi_free(of_main);
  }
  mi_free(before);
  void* const after = mi_malloc(48);
  assert_ptr_equal(mi_heap_of(after), heap);  // no block of another heap on our list
  assert_ptr_equal(mi_theap_set_default(NULL), theap);
  assert_ptr_equal(mi_theap_set_default(first), theap);
  mi_heap_destroy(heap);
}

static void ending_the_default_heap_returns_to_main(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  assert_ptr_equal(mi_heap_set_default(heap), mi_heap_main());
  void* const p = mi_malloc(10);
  mi_heap_destroy(heap);
  assert_ptr_equal(mi_heap_get_default(), mi_heap_main());
  assert_ptr_equal(mi_heap_get_backing(), mi_heap_main());
  (void)p;
  void* const q = mi_malloc(10);
  assert_ptr_equal(mi_heap_of(q), mi_heap_main());
  mi_free(q);
}

static void theaps_allocate_in_their_heap(void** state) {
  (void)state;
  mi_heap_t* const heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  check_one(heap, mi_theap_malloc(theap, 40), 40, false);
  check_one(heap, mi_theap_malloc(theap, 40 * KiB), 40 * KiB, false);
  check_one(heap, mi_theap_malloc_small(theap, 40), 40, false);
  check_one(heap, mi_theap_zalloc(theap, 40), 40, true);
  check_one(heap, mi_theap_zalloc_small(theap, 40), 40, true);
  check_one(heap, mi_theap_calloc(theap, 4, 40), 160, true);
  check_one(heap, mi_theap_malloc_aligned(theap, 40, 256), 40, false);
  check_one(heap, mi_theap_realloc(theap, mi_malloc(9), 40), 40, false);
  assert_null(mi_theap_calloc(theap, opaque(HALF_THE_BITS), opaque(HALF_THE_BITS)));
  mi_theap_collect(theap, true);
  mi_heap_set_numa_affinity(heap, 7);
  mi_heap_set_numa_affinity(NULL, -1);
  mi_heap_destroy(heap);
}

// Fork -----------------------------------------------------------------------------------------------

static pthread_barrier_t barrier;

static void allocate_and_wait(call_t* call) {
  void* blocks[500];
  for (int i = 0; i < 500; i++) blocks[i] = mi_heap_malloc(call->heap, 200);
  for (int i = 0; i < 500; i += 3) mi_free(blocks[i]);
  call->p = blocks[1];
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
}

static void the_child_of_a_fork_goes_on_with_the_heap(void** state) {
  (void)state;
  pthread_barrier_init(&barrier, NULL, 2);
  call_t call = {.heap = mi_heap_new(), .run = allocate_and_wait};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
  pthread_barrier_wait(&barrier);
  void* const mine = mi_heap_malloc(call.heap, 200);
  const pid_t child = fork();
  if (child == 0) {
    bool good = mi_heap_of(call.p) == call.heap;
    mi_free(call.p);
    mi_free(mine);
    for (int i = 0; i < 1000; i++) good = good && mi_heap_malloc(call.heap, 200) != NULL;
    mi_heap_destroy(call.heap);
    mi_heap_t* const next = mi_heap_new();
    good = good && mi_heap_malloc(next, 200) != NULL;
    mi_heap_delete(next);
    _exit(good ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
  mi_heap_destroy(call.heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_belong_to_their_heap),
      cmocka_unit_test(every_address_of_a_large_block_is_in_its_heap),
      cmocka_unit_test(what_is_not_ours_is_in_no_heap),
      cmocka_unit_test(null_is_the_main_heap),
      cmocka_unit_test(every_function_allocates_in_the_heap),
      cmocka_unit_test(aligned_blocks_are_aligned),
      cmocka_unit_test(wrong_requests_fail),
      cmocka_unit_test(every_function_fails_and_leaves_the_block),
      cmocka_unit_test(sizes_at_the_bounds_are_served),
      cmocka_unit_test(realpath_in_a_heap_is_that_of_the_system),
      cmocka_unit_test(a_block_is_in_no_other_heap),
      cmocka_unit_test(resizing_moves_a_block_into_the_heap),
      cmocka_unit_test(deleted_heaps_leave_their_blocks),
      cmocka_unit_test(destroyed_heaps_leave_nothing),
      cmocka_unit_test(ends_that_are_refused),
      cmocka_unit_test(blocks_outlive_the_thread_that_allocated),
      cmocka_unit_test(threads_end_after_their_heaps),
      cmocka_unit_test(many_heaps_in_turn),
      cmocka_unit_test(malloc_uses_the_default_heap),
      cmocka_unit_test(ending_the_default_heap_returns_to_main),
      cmocka_unit_test(theaps_allocate_in_their_heap),
      cmocka_unit_test(the_child_of_a_fork_goes_on_with_the_heap),
  };
  return cmocka_run_group_tests_name("api/heap", tests, be_silent, unregister_all);
}
