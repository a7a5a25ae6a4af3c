// SPDX-License-Identifier: MIT
// bad_input_test.c - impossible sizes and alignments, overflow, no memory, foreign pointers
//
// Every failure: NULL, the errno that `mimalloc.h` promises, exactly one report, nothing lost.
#include "entry_points.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const size_t too_large[] = {
    TOO_LARGE,           TOO_LARGE + 1,    TOO_LARGE + 4096, SIZE_MAX / 2 + 64 * 1024 + 1,
    SIZE_MAX - 16 * MiB, SIZE_MAX - 65536, SIZE_MAX - 4096,  SIZE_MAX - 4095,
    SIZE_MAX - 15,       SIZE_MAX - 7,     SIZE_MAX - 1,     SIZE_MAX};

// Allowed sizes that no system has.
static const size_t not_available[] = {PTRDIFF_MAX,
                                       PTRDIFF_MAX - 1,
                                       PTRDIFF_MAX - 4095,
                                       PTRDIFF_MAX - 65535,
                                       PTRDIFF_MAX - 16 * 1024 * 1024,
                                       PTRDIFF_MAX / 2};

static const size_t bad_alignments[] = {0,   3,    5,    6,     7,     12,       24,          48,
                                        100, 4095, 4097, 12288, 65537, SIZE_MAX, SIZE_MAX - 1};

static void a_size_above_ptrdiff_max_is_refused(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(sized_entries); e++) {
    const sized_entry_t* const entry = &sized_entries[e];
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
      ASSERT_FAILS_FOR(entry, entry->call(too_large[i]), ENOMEM, EOVERFLOW);
    }
  }
}

static void an_aligned_size_above_ptrdiff_max_is_refused(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
      for (size_t alignment = 8; alignment <= 16 * MiB; alignment *= 64) {
        ASSERT_FAILS_FOR(entry, entry->call(NULL, too_large[i], alignment, 8), ENOMEM, EOVERFLOW);
      }
    }
  }
}

static void lack_of_memory_is_reported_once(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(sized_entries); e++) {
    const sized_entry_t* const entry = &sized_entries[e];
    for (size_t i = 0; i < COUNT_OF(not_available); i++) {
      if (strcmp(entry->name, "mi_pvalloc") == 0 && not_available[i] > PTRDIFF_MAX - 4096)
        continue;  // rounds up
      ASSERT_FAILS_FOR(entry, entry->call(not_available[i]), ENOMEM, ENOMEM);
    }
  }
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t i = 0; i < COUNT_OF(not_available); i++) {
      for (size_t alignment = 8; alignment <= 16 * MiB; alignment *= 64) {
        ASSERT_FAILS_FOR(entry, entry->call(NULL, not_available[i], alignment, 8), ENOMEM, ENOMEM);
      }
    }
  }
}

static void an_alignment_that_no_address_space_has_fails(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    const int top = 8 * (int)sizeof(size_t) - 1;
    for (int shift = top - (sizeof(void*) == 8 ? 7 : 1); shift <= top; shift++) {
      reports_begin();
      errno = UNTOUCHED;
      void* const p = entry->call(NULL, opaque(100), (size_t)1 << shift, 8);
      const int e2 = errno;
      ASSERT_FOR(entry, p == NULL);
      ASSERT_FOR(entry, e2 == ENOMEM);
      ASSERT_FOR(entry, reports.count == 1);
    }
  }
}

static void an_overflow_of_count_times_size_is_refused(void** state) {
  (void)state;
  static const size_t cases[][2] = {
      {SIZE_MAX, 2},
      {2, SIZE_MAX},
      {SIZE_MAX, SIZE_MAX},
      {SIZE_MAX / 2, 3},
      {HALF_THE_BITS, HALF_THE_BITS},
      {SIZE_MAX / 8 + 1, 8},
      {8, SIZE_MAX / 8 + 1},
      {SIZE_MAX / 8 + 2, 8},
  };
  for (size_t e = 0; e < COUNT_OF(counted_entries); e++) {
    const counted_entry_t* const entry = &counted_entries[e];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
      ASSERT_FAILS_FOR(entry, entry->call(NULL, cases[i][0], cases[i][1]), entry->overflow_errno,
                       EOVERFLOW);
    }
    // no overflow, but too large
    ASSERT_FAILS_FOR(entry, entry->call(NULL, TOO_LARGE / 16, 16), ENOMEM, EOVERFLOW);
    ASSERT_FAILS_FOR(entry, entry->call(NULL, (size_t)PTRDIFF_MAX / 16, 16), ENOMEM, ENOMEM);
  }
}

static void an_alignment_that_is_no_power_of_two_is_refused(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t i = 0; i < COUNT_OF(bad_alignments); i++) {
      for (size_t size = 0; size < 10 * MiB; size = size * 50 + 10) {
        ASSERT_FAILS_FOR(entry, entry->call(NULL, size, bad_alignments[i], 8), EINVAL, EINVAL);
      }
    }
  }
}

static void a_block_survives_every_failed_resize(void** state) {
  (void)state;
  const size_t sizes[] = {8, 100, 5000, 100 * KiB, 3 * MiB};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    const size_t size = sizes[s];
    void* const p = mi_malloc(size);
    assert_non_null(p);
    fill(p, size, 1);
    for (size_t i = 0; i < COUNT_OF(too_large); i++) {
      ASSERT_FAILS(mi_realloc(p, opaque(too_large[i])), ENOMEM, EOVERFLOW);
      ASSERT_FAILS(mi_rezalloc(p, opaque(too_large[i])), ENOMEM, EOVERFLOW);
      ASSERT_FAILS(mi_urealloc(p, opaque(too_large[i]), NULL, NULL), ENOMEM, EOVERFLOW);
    }
    for (size_t i = 0; i < COUNT_OF(not_available); i++) {
      ASSERT_FAILS(mi_realloc(p, opaque(not_available[i])), ENOMEM, ENOMEM);
      ASSERT_FAILS(mi_rezalloc(p, opaque(not_available[i])), ENOMEM, ENOMEM);
    }
    for (size_t e = 0; e < COUNT_OF(counted_entries); e++) {
      const counted_entry_t* const entry = &counted_entries[e];
      if (!entry->resizes) continue;
      ASSERT_FAILS_FOR(entry, entry->call(p, SIZE_MAX, 2), entry->overflow_errno, EOVERFLOW);
      ASSERT_FAILS_FOR(entry, entry->call(p, (size_t)PTRDIFF_MAX / 16, 16), ENOMEM, ENOMEM);
    }
    for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
      const aligned_entry_t* const entry = &aligned_entries[e];
      if (!entry->resizes) continue;
      ASSERT_FAILS_FOR(entry, entry->call(p, TOO_LARGE, 64, 8), ENOMEM, EOVERFLOW);
      ASSERT_FAILS_FOR(entry, entry->call(p, PTRDIFF_MAX, 64, 8), ENOMEM, ENOMEM);
      ASSERT_FAILS_FOR(entry, entry->call(p, 10, 3, 8), EINVAL, EINVAL);
      ASSERT_FAILS_FOR(entry, entry->call(p, 2 * size, 0, 8), EINVAL, EINVAL);
    }
    assert_true(holds(p, size, 1));
    mi_free(p);
  }
}

static void failures_leave_the_heap_intact(void** state) {
  (void)state;
  void* blocks[1000];
  for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
    blocks[i] = mi_malloc(i * 17);
    fill(blocks[i], i * 17, i);
    assert_null(mi_malloc(opaque(PTRDIFF_MAX)));
    assert_null(mi_malloc_aligned(opaque(PTRDIFF_MAX), 4096));
    assert_null(mi_calloc(opaque(SIZE_MAX), i + 2));
  }
  for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
    assert_true(holds(blocks[i], i * 17, i));
    mi_free(blocks[i]);
  }
}

// Allocate blocks of this size until memory is out. Everything in a child, under a limit.
static int use_up_memory(size_t size) {
  enum { MOST = 400000 };
  static void* blocks[MOST];
  const struct rlimit limit = {192 * MiB, 192 * MiB};
  if (setrlimit(RLIMIT_DATA, &limit) != 0) return 10;

  reports_begin();
  errno = UNTOUCHED;
  unsigned count = 0;
  while (count < MOST && (blocks[count] = mi_malloc(size)) != NULL) {
    fill(blocks[count], size < 256 ? size : 256, count);
    count++;
  }
  if (count == MOST || count == 0) return 11;
  if (errno != ENOMEM) return 12;
  if (reports.count != 1 || reports.last_code != ENOMEM) return 13;
  // and again, in all ways
  if (mi_calloc(1, 64 * MiB) != NULL) return 14;
  if (mi_malloc_aligned(64 * MiB, 4096) != NULL) return 15;
  if (reports.count != 3 || reports.last_code != ENOMEM) return 16;
  if (mi_realloc(blocks[0], 64 * MiB) != NULL) return 17;
  if (reports.count != 4) return 18;
  // all is as it was
  for (unsigned i = 0; i < count; i++) {
    if (!holds(blocks[i], size < 256 ? size : 256, i)) return 20;
  }
  for (unsigned i = 0; i < count; i++) mi_free(blocks[i]);
  // what was freed can be had again
  for (unsigned i = 0; i < count / 2; i++) {
    if ((blocks[i] = mi_malloc(size)) == NULL) return 21;
  }
  for (unsigned i = 0; i < count / 2; i++) mi_free(blocks[i]);
  return 0;
}

static int use_up_memory_with_small_blocks(void) { return use_up_memory(1000); }
static int use_up_memory_with_medium_blocks(void) { return use_up_memory(50 * KiB); }
static int use_up_memory_with_large_blocks(void) { return use_up_memory(3 * MiB); }

static void running_out_of_memory_fails_cleanly(void** state) {
  (void)state;
  if (HAS_SANITIZER) skip();
  assert_int_equal(status_of_child(&use_up_memory_with_small_blocks), 0);
  assert_int_equal(status_of_child(&use_up_memory_with_medium_blocks), 0);
  assert_int_equal(status_of_child(&use_up_memory_with_large_blocks), 0);
}

// --- pointers that are not ours, where nobody else can know them ---

static void foreign_pointers(void* foreign[6]) {
  static int in_data;
  foreign[0] = &in_data;
  foreign[1] = (void*)foreign;                       // on the stack
  foreign[2] = (void*)(uintptr_t)&foreign_pointers;  // code
  foreign[3] = (void*)opaque(16);
  foreign[4] = (void*)(opaque(SIZE_MAX) - 15);
  foreign[5] =
      mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // not even readable
}

static void free_of_a_foreign_pointer_is_reported_and_ignored(void** state) {
  (void)state;
  if (malloc_is_ours()) skip();  // there it goes on to the next allocator
  void* foreign[6];
  foreign_pointers(foreign);
  for (size_t i = 0; i < COUNT_OF(foreign); i++) {
    reports_begin();
    errno = UNTOUCHED;
    mi_free(foreign[i]);
    const int errno_after = errno;
    assert_int_equal(errno_after, UNTOUCHED);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last_code, EINVAL);
    mi_ufree(foreign[i], NULL);
    mi_free_size(foreign[i], 10);
    mi_free_aligned(foreign[i], 16);
    mi_free_size_aligned(foreign[i], 10, 16);
    assert_int_equal(reports.count, 5);
    assert_int_equal(reports.last_code, EINVAL);
  }
  munmap(foreign[5], 4096);
}

static void realloc_of_a_foreign_pointer_is_reported_and_gives_null(void** state) {
  (void)state;
  if (malloc_is_ours()) skip();
  void* foreign[6];
  foreign_pointers(foreign);
  for (size_t i = 0; i < COUNT_OF(foreign); i++) {
    ASSERT_FAILS(mi_realloc(foreign[i], 100), EINVAL, EINVAL);
    ASSERT_FAILS(mi_rezalloc(foreign[i], 100), EINVAL, EINVAL);
    ASSERT_FAILS(mi_realloc_aligned(foreign[i], 100, 64), EINVAL, EINVAL);
  }
  munmap(foreign[5], 4096);
}

static void a_foreign_pointer_has_usable_size_zero(void** state) {
  (void)state;
  if (malloc_is_ours()) skip();
  void* foreign[6];
  foreign_pointers(foreign);
  for (size_t i = 0; i < COUNT_OF(foreign); i++) {
    reports_begin();
    assert_int_equal(mi_usable_size(foreign[i]), 0);
    assert_true(reports.count <= 1);
    assert_null(mi_expand(foreign[i], 1));
  }
  munmap(foreign[5], 4096);
}

static void a_block_of_the_c_library_is_foreign(void** state) {
  (void)state;
  if (malloc_is_ours()) skip();
  char* const p = (char*)malloc(opaque(100));
  assert_non_null(p);
  fill(p, 100, 1);
  reports_begin();
  mi_free(p);
  assert_int_equal(reports.count, 1);
  assert_true(holds(p, 100, 1));
  free(p);
}

// --- the same when we are malloc: blocks of the allocator below us ---

static void blocks_of_the_next_allocator_are_forwarded_to_it(void** state) {
  (void)state;
  if (!malloc_is_ours() || secure_level() > 0) skip();  // a hardened process accepts none of them
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  if (libc == NULL) skip();
  void* const address = dlsym(libc, "malloc");
  void* (*malloc_of_libc)(size_t size) = NULL;
  assert_non_null(address);
  memcpy(&malloc_of_libc, &address, sizeof(address));
  for (size_t size = 1; size < 2 * MiB; size = size * 5 + 3) {
    void* p = malloc_of_libc(size);
    assert_non_null(p);
    assert_int_equal(mi_malloc_size(p) >= size || mi_malloc_size(p) == 0, true);
    fill(p, size, 1);
    ASSERT_QUIET(free(p));
    p = malloc_of_libc(size);
    ASSERT_QUIET(mi_free(p));
    p = malloc_of_libc(size);
    fill(p, size, 2);
    assert_true(mi_usable_size(p) >= size);
    ASSERT_QUIET(p = mi_realloc(p, 2 * size));
    assert_non_null(p);
    assert_true(holds(p, size, 2));
    ASSERT_QUIET(mi_free(p));
  }
  dlclose(libc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_size_above_ptrdiff_max_is_refused),
      cmocka_unit_test(an_aligned_size_above_ptrdiff_max_is_refused),
      cmocka_unit_test(lack_of_memory_is_reported_once),
      cmocka_unit_test(an_alignment_that_no_address_space_has_fails),
      cmocka_unit_test(an_overflow_of_count_times_size_is_refused),
      cmocka_unit_test(an_alignment_that_is_no_power_of_two_is_refused),
      cmocka_unit_test(a_block_survives_every_failed_resize),
      cmocka_unit_test(failures_leave_the_heap_intact),
      cmocka_unit_test(running_out_of_memory_fails_cleanly),
      cmocka_unit_test(free_of_a_foreign_pointer_is_reported_and_ignored),
      cmocka_unit_test(realloc_of_a_foreign_pointer_is_reported_and_gives_null),
      cmocka_unit_test(a_foreign_pointer_has_usable_size_zero),
      cmocka_unit_test(a_block_of_the_c_library_is_foreign),
      cmocka_unit_test(blocks_of_the_next_allocator_are_forwarded_to_it),
  };
  return cmocka_run_group_tests_name("api/bad_input", tests, be_silent, unregister_all);
}
