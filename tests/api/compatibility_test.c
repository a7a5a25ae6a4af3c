// SPDX-License-Identifier: MIT
// compatibility_test.c - the rows of docs/compatibility.md, one test each
//
// A test carries the number of its row. It makes the same calls to us and, where that says something, to
// glibc, whose functions are looked up in libc.so.6 itself. tests/scripts/compatibility_rows.sh compares
// the numbers; the rows that need a program of their own are in tests/scripts/compatibility.sh.
//
// Only a library that replaces malloc can be compared: without one, rows about `mi_` names are all that runs.
#include "api_test.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>

// Both sides -----------------------------------------------------------------------------------------------

typedef struct side_s {
  void* (*malloc)(size_t size);
  void (*free)(void* p);
  void* (*calloc)(size_t count, size_t size);
  void* (*realloc)(void* p, size_t size);
  void* (*reallocarray)(void* p, size_t count, size_t size);
  size_t (*malloc_usable_size)(void* p);
  void* (*memalign)(size_t alignment, size_t size);
  void* (*aligned_alloc)(size_t alignment, size_t size);
  int (*posix_memalign)(void** p, size_t alignment, size_t size);
  void* (*valloc)(size_t size);
  void* (*pvalloc)(size_t size);
  char* (*strdup)(const char* s);
  int (*mallopt)(int parameter, int value);
  int (*malloc_trim)(size_t pad);
  int (*malloc_info)(int options, FILE* stream);
  void (*malloc_stats)(void);
  struct mallinfo2 (*mallinfo2)(void);
} side_t;

static side_t us;
static side_t glibc;
static bool is_override;
static bool glibc_is_known;  // the version that the document speaks of

#define LOOK_UP(side, library, name)                    \
  do {                                                  \
    void* const address_ = dlsym(library, #name);       \
    memcpy(&(side)->name, &address_, sizeof(address_)); \
    assert_non_null(address_);                          \
  } while (0)

static void look_up(side_t* side, void* library) {
  LOOK_UP(side, library, malloc);
  LOOK_UP(side, library, free);
  LOOK_UP(side, library, calloc);
  LOOK_UP(side, library, realloc);
  LOOK_UP(side, library, reallocarray);
  LOOK_UP(side, library, malloc_usable_size);
  LOOK_UP(side, library, memalign);
  LOOK_UP(side, library, aligned_alloc);
  LOOK_UP(side, library, posix_memalign);
  LOOK_UP(side, library, valloc);
  LOOK_UP(side, library, pvalloc);
  LOOK_UP(side, library, strdup);
  LOOK_UP(side, library, mallopt);
  LOOK_UP(side, library, malloc_trim);
  LOOK_UP(side, library, malloc_info);
  LOOK_UP(side, library, malloc_stats);
  LOOK_UP(side, library, mallinfo2);
}

// A row that compares: `row_n` gets a side, and whether it is ours.
#define ROW(name)                                    \
  static void name##_on(const side_t* m, bool ours); \
  static void name(void** state) {                   \
    (void)state;                                     \
    if (!is_override) skip();                        \
    name##_on(&us, true);                            \
    if (glibc_is_known) name##_on(&glibc, false);    \
  }                                                  \
  static void name##_on(const side_t* m, bool ours)

// A row about us alone, under `mi_` names: in every build.
#define OUR_ROW(name) static void name(void** state)

// Usable bytes of glibc's block for this size: its chunks are multiples of 16 bytes, of four words at least,
// and one word of them is the header. With 64 bits 24 for 0, 40 for 40, 104 for 100.
static size_t glibc_usable(size_t size) {
  const size_t word = sizeof(size_t);
  const size_t chunk = (size + word + 15) / 16 * 16;
  return (chunk < 4 * word ? 4 * word : chunk) - word;
}

// Ours for this size, where it is not as much as was asked for (sizes_are_exact).
static size_t our_usable(size_t size, size_t ordinary) {
  return sizes_are_exact() ? size + (size == 0) : ordinary;
}

// The same result on both sides, or ours and theirs.
#define ASSERT_SIZE(actual, ours_expected, theirs_expected) \
  assert_int_equal(actual, ours ? (ours_expected) : (theirs_expected))

// `call` gives NULL and this errno.
#define ASSERT_NULL_WITH(call, code)  \
  do {                                \
    errno = UNTOUCHED;                \
    void* const p_ = (call);          \
    const int errno_ = errno;         \
    assert_null(p_);                  \
    assert_int_equal(errno_, (code)); \
  } while (0)

// How `run` ends in a child whose messages are thrown away: 0, or 1000 + a signal.
static const side_t* child_side;
static int end_of(int (*run)(void), const side_t* side) {
  child_side = side;
  return status_of_child(run);
}

static void be_a_child(void) {
  signal(SIGABRT, SIG_DFL);
  signal(SIGSEGV, SIG_DFL);
  if (freopen("/dev/null", "w", stderr) == NULL) _exit(77);
}

enum { STOPPED = 1000 + SIGABRT, CRASHED = 1000 + SIGSEGV };

// Sizes and alignment ----------------------------------------------------------------------------------------

ROW(row_1_size_0_gives_a_block) {
  void* const p = m->malloc(opaque(0));
  void* const q = m->malloc(opaque(0));
  void* const r = m->calloc(opaque(0), 5);
  assert_true(p != NULL && q != NULL && r != NULL && p != q && q != r);
  ASSERT_SIZE(m->malloc_usable_size(p), our_usable(0, 8), glibc_usable(0));
  ASSERT_SIZE(m->malloc_usable_size(r), our_usable(0, 8), glibc_usable(0));
  m->free(p);
  m->free(q);
  m->free(r);
}

ROW(row_2_up_to_8_bytes_are_aligned_to_8) {
  size_t odd = 0;
  void* blocks[64];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    blocks[i] = m->malloc(1 + i % 8);
    assert_true(is_aligned(blocks[i], 8));
    odd += !is_aligned(blocks[i], 16);
  }
  assert_true(ours && !sizes_are_exact() ? odd > 0 : odd == 0);  // a canary makes 16 of 8
  for (size_t i = 0; i < COUNT_OF(blocks); i++) m->free(blocks[i]);
}

ROW(row_3_more_than_8_bytes_are_aligned_to_16) {
  (void)ours;
  for (size_t size = 9; size < 100000; size += 1 + size / 7) {
    void* const p = m->malloc(size);
    assert_true(is_aligned(p, 16));
    m->free(p);
  }
}

ROW(row_4_malloc_above_ptrdiff_max_is_enomem) {
  (void)ours;
  ASSERT_NULL_WITH(m->malloc(opaque(TOO_LARGE)), ENOMEM);
  ASSERT_NULL_WITH(m->malloc(opaque(SIZE_MAX)), ENOMEM);
}

ROW(row_5_calloc_overflow_is_enomem) {
  (void)ours;
  ASSERT_NULL_WITH(m->calloc(opaque(SIZE_MAX), 2), ENOMEM);
  ASSERT_NULL_WITH(m->calloc(opaque(SIZE_MAX / 8 + 1), 8), ENOMEM);
}

ROW(row_6_usable_size_is_that_of_the_block) {
  static const size_t sizes[][2] = {{40, 48}, {100, 112}, {33000, 36864}};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = m->malloc(sizes[i][0]);
    ASSERT_SIZE(m->malloc_usable_size(p), our_usable(sizes[i][0], sizes[i][1]),
                glibc_usable(sizes[i][0]));
    m->free(p);
  }
}

ROW(row_7_usable_size_of_null_is_0) {
  (void)ours;
  assert_int_equal(m->malloc_usable_size(opaque_pointer(NULL)), 0);
}

ROW(row_8_success_leaves_errno_alone) {
  (void)ours;
  for (size_t size = 1; size < 3 * MiB; size *= 10) {
    errno = UNTOUCHED;
    void* const p = m->malloc(size);
    assert_int_equal(errno, UNTOUCHED);
    m->free(m->realloc(p, size * 2));
    assert_int_equal(errno, UNTOUCHED);
  }
}

ROW(row_9_usable_size_stays_what_it_was) {
  (void)ours;
  void* blocks[100];
  size_t sizes[100];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    blocks[i] = m->malloc(i * i * 30);
    sizes[i] = m->malloc_usable_size(blocks[i]);
    memset(blocks[i], 0xFF, sizes[i]);
  }
  for (size_t i = 0; i < COUNT_OF(blocks); i += 2) m->free(blocks[i]);
  for (size_t i = 1; i < COUNT_OF(blocks); i += 2) {
    assert_int_equal(m->malloc_usable_size(blocks[i]), sizes[i]);
    m->free(blocks[i]);
  }
}

// realloc ------------------------------------------------------------------------------------------------------

ROW(row_10_realloc_of_null_to_0_gives_a_block) {
  (void)ours;
  void* const p = m->realloc(opaque_pointer(NULL), opaque(0));
  assert_non_null(p);
  m->free(p);
}

ROW(row_11_realloc_to_0_gives_the_smallest_block) {
  void* const p = m->malloc(1000);
  memset(p, 0xFF, 1000);
  errno = UNTOUCHED;
  uint8_t* const q = (uint8_t*)m->realloc(p, opaque(0));
  assert_int_equal(errno, UNTOUCHED);
  assert_true((q != NULL) == ours);
  if (!ours) return;
  assert_int_equal(m->malloc_usable_size(q), our_usable(0, 8));
  assert_int_equal(q[0], 0);
  m->free(q);
}

// That the old block is freed: blocks do not pile up.
ROW(row_12_realloc_to_0_frees_the_old_block) {
  (void)ours;
  const size_t before = m->mallinfo2().uordblks;
  for (int i = 0; i < 1000; i++) m->free(m->realloc(m->malloc(3000), opaque(0)));
  assert_true(m->mallinfo2().uordblks < before + 256 * KiB);
}

ROW(row_13_a_realloc_that_fails_leaves_the_block) {
  (void)ours;
  void* const p = m->malloc(1000);
  fill(p, 1000, 1);
  ASSERT_NULL_WITH(m->realloc(p, opaque(TOO_LARGE)), ENOMEM);
  ASSERT_NULL_WITH(m->realloc(p, opaque(PTRDIFF_MAX)), ENOMEM);
  assert_true(holds(p, 1000, 1));
  m->free(p);
}

ROW(row_14_realloc_moves_when_more_than_half_is_wasted) {
  void* p = m->malloc(100);
  const uintptr_t address = (uintptr_t)p;
  p = m->realloc(p, 60);
  assert_true((uintptr_t)p == address);
  p = m->realloc(p, 10);
  assert_true(((uintptr_t)p == address) == !ours);
  m->free(p);
}

ROW(row_15_reallocarray_overflow_is_enomem) {
  (void)ours;
  void* const p = m->malloc(100);
  fill(p, 100, 1);
  ASSERT_NULL_WITH(m->reallocarray(p, opaque(SIZE_MAX), 2), ENOMEM);
  assert_true(holds(p, 100, 1));
  m->free(p);
}

// Theirs is in the script: in this process glibc's own reallocarray calls our realloc.
ROW(row_16_reallocarray_to_0_gives_a_block) {
  if (!ours) return;
  void* const p = m->reallocarray(m->malloc(100), opaque(0), 8);
  assert_non_null(p);
  assert_int_equal(m->malloc_usable_size(p), our_usable(0, 8));
  m->free(p);
}

// Aligned --------------------------------------------------------------------------------------------------------

static const size_t odd_alignments[] = {0, 3, 24, 100, 4097};

static size_t rounded_up(size_t alignment) {
  size_t power = 16;
  while (power < alignment) power *= 2;
  return power;
}

static void check_odd_alignments(const side_t* m, bool ours,
                                 void* (*aligned)(size_t alignment, size_t size)) {
  for (size_t i = 0; i < COUNT_OF(odd_alignments); i++) {
    const size_t alignment = opaque(odd_alignments[i]);
    if (ours) {
      ASSERT_NULL_WITH(aligned(alignment, 100), EINVAL);
    } else {
      void* const p = aligned(alignment, 100);
      assert_true(p != NULL && is_aligned(p, rounded_up(alignment)));
      m->free(p);
    }
  }
}

ROW(row_17_memalign_refuses_odd_alignments) { check_odd_alignments(m, ours, m->memalign); }

ROW(row_18_aligned_alloc_refuses_odd_alignments) {
  check_odd_alignments(m, ours, m->aligned_alloc);
}

ROW(row_19_memalign_refuses_the_largest_alignment) {
  (void)ours;
  ASSERT_NULL_WITH(m->memalign(opaque(SIZE_MAX), 100), EINVAL);
}

ROW(row_20_memalign_has_no_memory_for_large_alignments) {
  (void)ours;
  ASSERT_NULL_WITH(m->memalign(opaque((size_t)1 << (sizeof(size_t) * 8 - 2)), 100), ENOMEM);
  ASSERT_NULL_WITH(m->memalign(opaque((size_t)1 << (sizeof(size_t) * 8 - 1)), 100), ENOMEM);
}

ROW(row_21_aligned_alloc_takes_any_size) {
  (void)ours;
  void* const p = m->aligned_alloc(opaque(64), opaque(100));
  assert_true(p != NULL && is_aligned(p, 64));
  m->free(p);
}

ROW(row_22_aligned_size_0_gives_a_block) {
  void* const p = m->aligned_alloc(opaque(64), opaque(0));
  void* q = NULL;
  assert_int_equal(m->posix_memalign(&q, 64, opaque(0)), 0);
  assert_true(p != NULL && is_aligned(p, 64) && q != NULL && is_aligned(q, 64) && p != q);
  ASSERT_SIZE(m->malloc_usable_size(p), our_usable(0, 64), glibc_usable(0));
  ASSERT_SIZE(m->malloc_usable_size(q), our_usable(0, 64), glibc_usable(0));
  m->free(p);
  m->free(q);
}

ROW(row_23_posix_memalign_refuses_odd_alignments) {
  (void)ours;
  static const size_t bad[] = {0, 1, 2, sizeof(void*) / 2, 12, 24, 100};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    void* p = &p;
    errno = UNTOUCHED;
    assert_int_equal(m->posix_memalign(&p, opaque(bad[i]), 100), EINVAL);
    assert_int_equal(errno, UNTOUCHED);
    assert_ptr_equal(p, &p);
  }
}

ROW(row_24_posix_memalign_without_memory) {
  void* p = &p;
  errno = UNTOUCHED;
  assert_int_equal(m->posix_memalign(&p, 64, opaque(TOO_LARGE)), ENOMEM);
  assert_int_equal(errno, ours ? UNTOUCHED : ENOMEM);
  assert_ptr_equal(p, &p);
}

ROW(row_25_valloc_aligns_to_os_pages) {
  (void)ours;
  void* const p = m->valloc(100);
  assert_true(p != NULL && is_aligned(p, os_page_size()));
  m->free(p);
}

ROW(row_26_pvalloc_rounds_up_to_os_pages) {
  (void)ours;
  void* const p = m->pvalloc(os_page_size() + 1);
  assert_true(is_aligned(p, os_page_size()));
  assert_true(m->malloc_usable_size(p) >= 2 * os_page_size());
  m->free(p);
}

ROW(row_27_pvalloc_of_0) {
  void* const p = m->pvalloc(opaque(0));
  assert_true(p != NULL && is_aligned(p, os_page_size()));
  ASSERT_SIZE(m->malloc_usable_size(p), os_page_size(), glibc_usable(0));
  m->free(p);
}

ROW(row_28_pvalloc_overflow_is_enomem) {
  (void)ours;
  ASSERT_NULL_WITH(m->pvalloc(opaque(SIZE_MAX)), ENOMEM);
}

// Pointers that are not blocks -------------------------------------------------------------------------------------

ROW(row_29_free_of_null_does_nothing) {
  (void)ours;
  errno = UNTOUCHED;
  m->free(opaque_pointer(NULL));
  assert_int_equal(errno, UNTOUCHED);
}

static int free_one_of_glibc(void) {
  be_a_child();
  us.free(glibc.malloc(3000));
  return 0;
}

ROW(row_30_free_of_a_block_of_glibc) {
  if (ours && secure_level() > 0) {  // a hardened process accepts none
    assert_int_equal(end_of(&free_one_of_glibc, m), STOPPED);
    return;
  }
  const size_t before = glibc.mallinfo2().uordblks;
  for (int i = 0; i < 300; i++) m->free(glibc.malloc(3000));
  assert_true(glibc.mallinfo2().uordblks < before + 64 * KiB);
}

ROW(row_31_realloc_of_a_block_of_glibc) {
  if (ours && secure_level() > 0) return;  // as row 30
  void* p = glibc.malloc(3000);
  fill(p, 3000, 1);
  p = m->realloc(p, 5000);
  assert_true(p != NULL && holds(p, 3000, 1));
  ASSERT_SIZE(m->malloc_usable_size(p), our_usable(5000, 5120), glibc_usable(5000));
  m->free(p);
}

static int free_of_the_stack(void) {
  uint8_t bytes[64] __attribute__((aligned(16))) = {0};
  be_a_child();
  child_side->free(opaque_pointer(bytes + 32));
  return 0;
}
ROW(row_32_free_of_the_stack_stops) {
  (void)ours;
  assert_int_equal(end_of(&free_of_the_stack, m), STOPPED);
}

static int realloc_of_the_stack(void) {
  uint8_t bytes[64] __attribute__((aligned(16))) = {0};
  be_a_child();
  mi_register_error(&note_report, &reports);  // the secure build does not stop then
  errno = UNTOUCHED;
  void* const p = child_side->realloc(opaque_pointer(bytes + 32), 100);
  return p == NULL && errno == EINVAL && reports.count == 1 ? 0 : 1;
}
ROW(row_33_realloc_of_the_stack) {
  assert_int_equal(end_of(&realloc_of_the_stack, m), ours ? 0 : STOPPED);
}

ROW(row_34_usable_size_of_a_block_of_glibc) {
  if (ours && secure_level() > 0) return;  // as row 30
  void* const p = glibc.malloc(3000);
  assert_int_equal(m->malloc_usable_size(p), glibc.malloc_usable_size(p));
  glibc.free(p);
}

static int free_inside_a_small_block(void) {
  uint8_t* const p = (uint8_t*)child_side->malloc(500);
  be_a_child();
  memset(p, 0, 500);
  child_side->free(p + 16);
  return 0;
}
ROW(row_35_free_inside_a_small_block) {
  const int status = end_of(&free_inside_a_small_block, m);
  assert_int_equal(status, ours && !has_vaults() ? 0 : STOPPED);
}

static int free_small_twice(void) {
  void* const volatile p = child_side->malloc(100);
  be_a_child();
  child_side->free(p);
  child_side->free(p);
  _exit(0);  // what comes after is undefined
}
ROW(row_36_a_small_block_freed_twice) {
  assert_int_equal(end_of(&free_small_twice, m), ours && !has_vaults() ? 0 : STOPPED);
}

static int free_large_twice(void) {
  void* const volatile p = child_side->malloc(1000000);
  be_a_child();
  child_side->free(p);
  child_side->free(p);
  return 0;
}
ROW(row_37_a_large_block_freed_twice) {
  const int status = end_of(&free_large_twice, m);
  if (ours) assert_int_equal(status, secure_level() > 0 ? STOPPED : 0);
  if (!ours) assert_true(status == STOPPED || status == CRASHED);
}

// The rest of malloc.h ------------------------------------------------------------------------------------------------

ROW(row_38_mallopt_sets_nothing) {
  assert_int_equal(m->mallopt(M_MMAP_THRESHOLD, 128 * 1024), ours ? 0 : 1);
  assert_int_equal(m->mallopt(opaque(12345) == 0, 1), ours ? 0 : 1);
}

ROW(row_39_mallinfo2_counts) {
  const struct mallinfo2 before = m->mallinfo2();
  void* const large = m->malloc(3000000);
  void* const small = m->malloc(5000);
  const struct mallinfo2 during = m->mallinfo2();
  assert_true(during.hblks == before.hblks + 1 && during.hblkhd >= before.hblkhd + 3000000);
  assert_true(during.uordblks >= before.uordblks + (ours ? 3005000 : 5000));
  assert_true(ours || during.uordblks < before.uordblks + 3000000);
  m->free(large);
  m->free(small);
  const struct mallinfo2 after = m->mallinfo2();
  assert_int_equal(after.hblks, before.hblks);
  assert_true(after.uordblks < during.uordblks);
  if (ours) assert_int_equal(after.arena, after.uordblks + after.fordblks);
}

ROW(row_40_mallinfo_stops_at_int_max) {
  if (sizeof(size_t) < 8) return;
  struct mallinfo (*count)(void) = NULL;
  void* const library = ours ? RTLD_DEFAULT : dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* const address = dlsym(library, "mallinfo");
  memcpy(&count, &address, sizeof(address));
  void* const p = m->malloc((size_t)INT_MAX + 100 * MiB);
  if (p == NULL) return;
  const int counted = count().hblkhd;
  assert_true(ours ? counted == INT_MAX : counted < 0);
  m->free(p);
}

ROW(row_41_malloc_trim_says_whether_it_gave_back) {
  enum { BLOCKS = 2000, SIZE = 8000 };
  static void* blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = m->malloc(SIZE);
    memset(blocks[i], 1, SIZE);
  }
  for (int i = 0; i < BLOCKS; i++) m->free(blocks[i]);
  if (ours) {
    assert_int_equal(m->malloc_trim(0), 1);
    assert_int_equal(m->malloc_trim(0), 0);  // nothing is left to give back
  } else {
    const int first = m->malloc_trim(0);
    assert_true(first == 0 || first == 1);
  }
}

ROW(row_42_malloc_info_is_xml) {
  char text[8192] = "";
  FILE* const file = fmemopen(text, sizeof(text) - 1, "w");
  assert_int_equal(m->malloc_info(0, file), 0);
  fclose(file);
  assert_non_null(
      strstr(text, ours ? "<malloc version=\"mimalloc-1\">" : "<malloc version=\"1\">"));
  assert_non_null(strstr(text, "</malloc>"));
}

ROW(row_43_malloc_info_has_no_options) {
  errno = UNTOUCHED;
  const int result = m->malloc_info((int)opaque(1), stderr);
  assert_int_equal(result, ours ? -1 : EINVAL);
  assert_int_equal(errno, ours ? EINVAL : UNTOUCHED);
}

ROW(row_44_malloc_stats_prints) {
  output_begin();
  fflush(stderr);
  const int kept = dup(STDERR_FILENO);
  const int file = memfd_create("stats", 0);
  dup2(file, STDERR_FILENO);
  m->malloc_stats();
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  assert_true(ours == (output.length > 0));
  assert_true(ours == (lseek(file, 0, SEEK_END) == 0));  // ours went to the registered output
  close(file);
  mi_register_output(NULL, NULL);
}

// Names ----------------------------------------------------------------------------------------------------------------

static int strdup_of_null(void) {
  be_a_child();
  return child_side->strdup((const char*)opaque_pointer(NULL)) == NULL ? 0 : 1;
}
ROW(row_46_strdup_of_null) { assert_int_equal(end_of(&strdup_of_null, m), ours ? 0 : CRASHED); }

// mimalloc 3.4 ---------------------------------------------------------------------------------------------------------

OUR_ROW(row_54_mi_reallocarray_overflow_is_eoverflow) {
  (void)state;
  void* const p = mi_malloc(100);
  ASSERT_FAILS(mi_reallocarray(p, opaque(SIZE_MAX), 2), EOVERFLOW, EOVERFLOW);
  mi_free(p);
}

OUR_ROW(row_55_a_failure_sets_errno_and_is_reported_once) {
  (void)state;
  ASSERT_FAILS(mi_malloc(opaque(TOO_LARGE)), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_malloc(opaque(PTRDIFF_MAX)), ENOMEM, ENOMEM);
  ASSERT_FAILS(mi_calloc(opaque(SIZE_MAX), 2), ENOMEM, EOVERFLOW);
}

OUR_ROW(row_56_a_bad_alignment_is_einval_in_every_build) {
  (void)state;
  ASSERT_FAILS(mi_malloc_aligned(100, opaque(3)), EINVAL, EINVAL);
  ASSERT_FAILS(mi_zalloc_aligned(100, opaque(0)), EINVAL, EINVAL);
}

OUR_ROW(row_57_usable_size_is_that_of_the_block_in_every_build) {
  (void)state;
  void* const p = mi_malloc(100);
  assert_int_equal(mi_usable_size(p), our_usable(100, 112));
  assert_int_equal(mi_good_size(100), our_usable(100, 112));
  mi_free(p);
}

OUR_ROW(row_58_expand_works_in_every_build) {
  (void)state;
  void* const p = mi_malloc(100);
  const size_t most = our_usable(100, 112);
  assert_ptr_equal(mi_expand(p, most), p);
  assert_null(mi_expand(p, most + 1));
  mi_free(p);
}

OUR_ROW(row_59_an_eighth_is_wasted_at_most) {
  (void)state;
  for (size_t size = 129; size <= 32 * KiB; size++) {
    const size_t good = mi_good_size(size);
    if ((good - size) * 8 > good) fail_msg("%zu in %zu", size, good);
  }
}

OUR_ROW(row_60_large_alignments_take_an_offset) {
  (void)state;
  for (size_t alignment = 128 * KiB; alignment <= 16 * MiB; alignment *= 2) {
    void* const p = mi_malloc_aligned_at(1000, alignment, 24);
    assert_true(p != NULL && is_aligned_at(p, alignment, 24));
    mi_free(p);
  }
}

OUR_ROW(row_61_reallocarr_to_0_frees_in_every_build) {
  (void)state;
  void* p = mi_malloc(100);
  ASSERT_QUIET(assert_int_equal(mi_reallocarr(&p, 0, 8), 0));
  assert_null(p);
}

OUR_ROW(row_62_all_declared_functions_are_defined) {
  (void)state;
  size_t bytes = 0;
  void* const p = mi_uzalloc_small(40, &bytes);
  assert_true(is_zero(p, 40) && bytes == our_usable(40, 48));
  mi_free(p);
  mi_collect_reduce(0);
}

OUR_ROW(row_63_max_errors_is_the_number_of_messages) {
  (void)state;
  const long before = mi_option_get(mi_option_max_errors);
  output_begin();
  mi_option_set(mi_option_max_errors, 5);
  mi_option_enable(mi_option_show_errors);
  for (int i = 0; i < 20; i++) assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_option_disable(mi_option_show_errors);
  mi_option_set(mi_option_max_errors, before);
  assert_int_equal(count_lines_with(output.text, "error"), 5);
}

OUR_ROW(row_64_free_of_a_foreign_pointer_is_reported) {
  (void)state;
  if (is_override) skip();
  int on_stack = 0;
  reports_begin();
  mi_free(opaque_pointer(&on_stack));
  assert_int_equal(reports.count, 1);
  assert_int_equal(reports.last_code, EINVAL);
}

static int set_up(void** state) {
  be_silent(state);
  is_override = malloc_is_ours();
  if (!is_override) return 0;
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  if (libc == NULL) return 1;
  look_up(&us, RTLD_DEFAULT);
  look_up(&glibc, libc);
  glibc_is_known = strcmp(gnu_get_libc_version(), "2.36") == 0;
  return us.malloc == glibc.malloc;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(row_1_size_0_gives_a_block),
      cmocka_unit_test(row_2_up_to_8_bytes_are_aligned_to_8),
      cmocka_unit_test(row_3_more_than_8_bytes_are_aligned_to_16),
      cmocka_unit_test(row_4_malloc_above_ptrdiff_max_is_enomem),
      cmocka_unit_test(row_5_calloc_overflow_is_enomem),
      cmocka_unit_test(row_6_usable_size_is_that_of_the_block),
      cmocka_unit_test(row_7_usable_size_of_null_is_0),
      cmocka_unit_test(row_8_success_leaves_errno_alone),
      cmocka_unit_test(row_9_usable_size_stays_what_it_was),
      cmocka_unit_test(row_10_realloc_of_null_to_0_gives_a_block),
      cmocka_unit_test(row_11_realloc_to_0_gives_the_smallest_block),
      cmocka_unit_test(row_12_realloc_to_0_frees_the_old_block),
      cmocka_unit_test(row_13_a_realloc_that_fails_leaves_the_block),
      cmocka_unit_test(row_14_realloc_moves_when_more_than_half_is_wasted),
      cmocka_unit_test(row_15_reallocarray_overflow_is_enomem),
      cmocka_unit_test(row_16_reallocarray_to_0_gives_a_block),
      cmocka_unit_test(row_17_memalign_refuses_odd_alignments),
      cmocka_unit_test(row_18_aligned_alloc_refuses_odd_alignments),
      cmocka_unit_test(row_19_memalign_refuses_the_largest_alignment),
      cmocka_unit_test(row_20_memalign_has_no_memory_for_large_alignments),
      cmocka_unit_test(row_21_aligned_alloc_takes_any_size),
      cmocka_unit_test(row_22_aligned_size_0_gives_a_block),
      cmocka_unit_test(row_23_posix_memalign_refuses_odd_alignments),
      cmocka_unit_test(row_24_posix_memalign_without_memory),
      cmocka_unit_test(row_25_valloc_aligns_to_os_pages),
      cmocka_unit_test(row_26_pvalloc_rounds_up_to_os_pages),
      cmocka_unit_test(row_27_pvalloc_of_0),
      cmocka_unit_test(row_28_pvalloc_overflow_is_enomem),
      cmocka_unit_test(row_29_free_of_null_does_nothing),
      cmocka_unit_test(row_30_free_of_a_block_of_glibc),
      cmocka_unit_test(row_31_realloc_of_a_block_of_glibc),
      cmocka_unit_test(row_32_free_of_the_stack_stops),
      cmocka_unit_test(row_33_realloc_of_the_stack),
      cmocka_unit_test(row_34_usable_size_of_a_block_of_glibc),
      cmocka_unit_test(row_35_free_inside_a_small_block),
      cmocka_unit_test(row_36_a_small_block_freed_twice),
      cmocka_unit_test(row_37_a_large_block_freed_twice),
      cmocka_unit_test(row_38_mallopt_sets_nothing),
      cmocka_unit_test(row_39_mallinfo2_counts),
      cmocka_unit_test(row_40_mallinfo_stops_at_int_max),
      cmocka_unit_test(row_41_malloc_trim_says_whether_it_gave_back),
      cmocka_unit_test(row_42_malloc_info_is_xml),
      cmocka_unit_test(row_43_malloc_info_has_no_options),
      cmocka_unit_test(row_44_malloc_stats_prints),
      cmocka_unit_test(row_46_strdup_of_null),
      cmocka_unit_test(row_54_mi_reallocarray_overflow_is_eoverflow),
      cmocka_unit_test(row_55_a_failure_sets_errno_and_is_reported_once),
      cmocka_unit_test(row_56_a_bad_alignment_is_einval_in_every_build),
      cmocka_unit_test(row_57_usable_size_is_that_of_the_block_in_every_build),
      cmocka_unit_test(row_58_expand_works_in_every_build),
      cmocka_unit_test(row_59_an_eighth_is_wasted_at_most),
      cmocka_unit_test(row_60_large_alignments_take_an_offset),
      cmocka_unit_test(row_61_reallocarr_to_0_frees_in_every_build),
      cmocka_unit_test(row_62_all_declared_functions_are_defined),
      cmocka_unit_test(row_63_max_errors_is_the_number_of_messages),
      cmocka_unit_test(row_64_free_of_a_foreign_pointer_is_reported),
  };
  return cmocka_run_group_tests_name("api/compatibility", tests, set_up, unregister_all);
}
