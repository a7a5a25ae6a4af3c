// SPDX-License-Identifier: MIT
// guarded_test.c - blocks between guard pages, chosen by sampling
//
// Starts itself again with options in the environment. Where the system has no such guards there is nothing to see.
#include "api_test.h"
#include <signal.h>
#include <sys/mman.h>

enum { OS_PAGE = 4096, FAULT = 1000 + SIGSEGV };

static bool system_has_guards(void) {
  enum { GUARD_INSTALL = 102 };
  void* const p = mmap(NULL, OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool has = p != MAP_FAILED && madvise(p, OS_PAGE, GUARD_INSTALL) == 0;
  if (p != MAP_FAILED) munmap(p, OS_PAGE);
  return has;
}

// A guarded block begins at the second OS page of a slice, or ends at the end of an OS page.
static bool is_guarded(const void* p, size_t size) {
  const uintptr_t at = (uintptr_t)p;
  const uintptr_t end = at + (size + 15) / 16 * 16;
  return at % (64 * KiB) == OS_PAGE || (end % OS_PAGE == 0 && end % (64 * KiB) == 2 * OS_PAGE);
}

static size_t access_size;
static long access_offset;
static struct sigaction handler_at_start;  // cmocka has its own

static int write_there(void) {
  sigaction(SIGSEGV, &handler_at_start, NULL);
  uint8_t* const p = (uint8_t*)mi_malloc(access_size);
  ((volatile uint8_t*)p)[access_offset] = 1;
  mi_free(p);
  return 0;
}

static int read_after_free(void) {
  sigaction(SIGSEGV, &handler_at_start, NULL);
  uint8_t* const p = (uint8_t*)mi_malloc(access_size);
  memset(p, 7, access_size);
  mi_free(p);
  return ((volatile uint8_t*)opaque_pointer(p))[access_size / 2];
}

static int ends_of(int (*run)(void), int end) {
  int count = 0;
  for (int i = 0; i < 20; i++) count += status_of_child(run) == end;
  return count;
}

// MIMALLOC_GUARDED_SAMPLE_RATE=1 ---------------------------------------------------------------------------

static void every_block_is_guarded(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();  // it has a handler of its own
  for (size_t size = 1; size < 200 * KiB; size = size * 3 + 5) {
    access_size = size;
    access_offset = 0;
    assert_int_equal(ends_of(&write_there, 0), 20);
    access_offset = (long)size - 1;
    assert_int_equal(ends_of(&write_there, 0), 20);
    const size_t rounded = (size + 15) / 16 * 16;
    // The block lies at one of two ends.
    access_offset = (long)((rounded + OS_PAGE - 1) / OS_PAGE * OS_PAGE);
    assert_int_equal(ends_of(&write_there, FAULT), 20);
    if (rounded % OS_PAGE == 0) continue;
    access_offset = (long)rounded;
    assert_in_range(ends_of(&write_there, FAULT), 1, 19);
    access_offset = -1;
    assert_in_range(ends_of(&write_there, FAULT), 1, 19);
    assert_int_equal(ends_of(&read_after_free, FAULT), 20);
  }
}

static void every_block_of_every_thread_is_good(void** state) {
  (void)state;
  void* blocks[300];
  for (size_t i = 0; i < 300; i++) {
    const size_t size = 1 + i * i;
    blocks[i] = i % 2 == 0 ? mi_malloc(size) : mi_calloc(1, size);
    if (i % 2 == 1) assert_true(is_zero(blocks[i], size));
    assert_int_equal(mi_usable_size(blocks[i]), size);
    fill(blocks[i], size, (unsigned)i);
  }
  for (size_t i = 0; i < 300; i++) {
    assert_true(holds(blocks[i], 1 + i * i, (unsigned)i));
    blocks[i] = mi_realloc(blocks[i], 2000 + i);
    assert_true(holds(blocks[i], i * i < 2000 ? 1 + i * i : 2000, (unsigned)i));
    mi_free(blocks[i]);
  }
}

static int codes;
static int last_code;
static void mi_cdecl note_code(int code, void* arg) {
  (void)arg;
  codes++;
  last_code = code;
}

static void bad_frees_are_reported(void** state) {
  (void)state;
  mi_register_error(&note_code, NULL);
  uint8_t* const p = (uint8_t*)mi_malloc(100);
  mi_free(p + 16);
  assert_int_equal(codes, 1);
  assert_int_equal(last_code, EINVAL);
  mi_free(p);
  assert_int_equal(codes, 1);
  mi_free(p);
  assert_int_equal(codes, 2);
  assert_int_equal(last_code, EAGAIN);
  mi_register_error(NULL, NULL);
}

static void* allocate_once(void* arg) {
  (void)arg;
  void* const p = mi_malloc(40);
  const bool guarded = is_guarded(p, 40);
  mi_free(p);
  return guarded ? &codes : NULL;
}

static void the_first_block_of_a_thread_is_guarded_too(void** state) {
  (void)state;
  for (int i = 0; i < 10; i++) assert_non_null(result_of_thread(&allocate_once, NULL));
}

static void sizes_out_of_bounds_are_not_guarded(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();  // it has a handler of its own
  mi_theap_guarded_set_size_bound(NULL, 100, 200);
  for (size_t size = 10; size < 400; size += 10) {
    void* const p = mi_malloc(size);
    if (size >= 100 && size <= 200) assert_true(is_guarded(p, size));
    access_size = size;
    access_offset = 0;
    mi_free(p);
    assert_int_equal(ends_of(&read_after_free, FAULT), size >= 100 && size <= 200 ? 20 : 0);
  }
  mi_theap_guarded_set_size_bound(NULL, 0, 1 << 30);
}

// What the fault is said to be, and by whom.
static void a_fault_is_reported_with_both_stacks(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();  // it has a handler of its own
  if (getenv("MIMALLOC_GUARDED_REPORT") == NULL) skip();
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    access_size = 40;
    _exit(read_after_free());
  }
  int status = 0;
  waitpid(child, &status, 0);
  char text[2048] = "";
  assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  assert_non_null(strstr(text, "mimalloc: error: access to a block after it was freed: 0x"));
  assert_non_null(strstr(text, "of 40 bytes\n"));
  assert_non_null(strstr(text, "mimalloc: allocated by: 0x"));
  assert_non_null(strstr(text, "mimalloc: freed by: 0x"));
}

// By the API ---------------------------------------------------------------------------------------------

// Of 432 bytes: no ordinary block of that size lies where a guarded one would (a class of 448, canary or not).
static size_t count_guarded(size_t blocks, size_t size) {
  size_t count = 0;
  for (size_t i = 0; i < blocks; i++) {
    void* const p = mi_malloc(size);
    count += is_guarded(p, size);
    mi_free(p);
  }
  return count;
}

static void one_of_many_is_guarded(void** state) {
  (void)state;
  enum { BLOCKS = 200000, SIZE = 432 };
  static void* blocks[2000];
  const size_t by_chance = count_guarded(20000, SIZE);
  assert_true(by_chance < 20000 / 16);
  mi_theap_guarded_set_sample_rate(NULL, 50, 1);
  mi_theap_guarded_set_size_bound(NULL, 1, 100000);
  size_t count = 0;
  for (size_t i = 0; i < BLOCKS; i++) {  // some live for a while
    void** const slot = &blocks[i * 7 % 2000];
    mi_free(*slot);
    *slot = mi_malloc(SIZE);
    count += (uintptr_t)*slot % (64 * KiB) == OS_PAGE
             || ((uintptr_t)*slot + SIZE) % (64 * KiB) == 2 * OS_PAGE;
  }
  for (size_t i = 0; i < 2000; i++) mi_free(blocks[i]);
  assert_in_range(count, BLOCKS / 50 * 8 / 10, BLOCKS / 50 * 14 / 10);
  mi_theap_guarded_set_sample_rate(NULL, 0, 0);
  mi_collect(true);
}

static void the_same_seed_makes_the_same_choice(void** state) {
  (void)state;
  bool first[500];
  const size_t by_chance = 0;
  for (int round = 0; round < 2; round++) {
    mi_theap_guarded_set_sample_rate(NULL, 10, 4711);
    for (size_t i = 0; i < 500; i++) {
      void* const p = mi_malloc(40000);
      const bool guarded = (uintptr_t)p % (64 * KiB) == OS_PAGE
                           || ((uintptr_t)p + 40000) % (64 * KiB) == 11 * OS_PAGE;
      if (round == 0) first[i] = guarded;
      if (round == 1) assert_int_equal(first[i], guarded);
      mi_free(p);
    }
  }
  mi_heap_guarded_set_size_bound(NULL, 50000, 60000);  // the names of version 2
  mi_heap_guarded_set_sample_rate(NULL, 1, 0);
  assert_int_equal(count_guarded(100, 432), by_chance);
  mi_heap_guarded_set_size_bound(NULL, 0, 60000);
  assert_int_equal(count_guarded(100, 432), 100);
  mi_heap_guarded_set_sample_rate(NULL, 0, 0);
}

static int run_all(bool rate_is_1) {
  const struct CMUnitTest of_rate_1[] = {
      cmocka_unit_test(every_block_is_guarded),
      cmocka_unit_test(a_fault_is_reported_with_both_stacks),
      cmocka_unit_test(every_block_of_every_thread_is_good),
      cmocka_unit_test(bad_frees_are_reported),
      cmocka_unit_test(the_first_block_of_a_thread_is_guarded_too),
      cmocka_unit_test(sizes_out_of_bounds_are_not_guarded),
  };
  const struct CMUnitTest of_api[] = {
      cmocka_unit_test(one_of_many_is_guarded),
      cmocka_unit_test(the_same_seed_makes_the_same_choice),
  };
  return rate_is_1
             ? cmocka_run_group_tests_name("api/guarded", of_rate_1, be_silent, unregister_all)
             : cmocka_run_group_tests_name("api/guarded", of_api, be_silent, unregister_all);
}

static int run_again(char* name, const char* argument, const char* rate) {
  if (rate != NULL) setenv("MIMALLOC_GUARDED_SAMPLE_RATE", rate, 1);
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", name, argument, (char*)NULL);
    _exit(127);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child ? status : 1;
}

int main(int argc, char** argv) {
  sigaction(SIGSEGV, NULL, &handler_at_start);
  if (argc > 1) return run_all(atoi(argv[1]) == 1);
  if (!system_has_guards()) return 0;
  const int by_api = run_again(argv[0], "0", NULL);
  const int by_option = run_again(argv[0], "1", "1");
  setenv("MIMALLOC_GUARDED_REPORT", "1", 1);
  return run_again(argv[0], "1", "1") != 0 || by_option != 0 || by_api != 0;
}
