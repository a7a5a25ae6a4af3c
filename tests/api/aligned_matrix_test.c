// SPDX-License-Identifier: MIT
// aligned_matrix_test.c - sizes 0 to 64 KiB, alignments 1 to 16 MiB, every aligned function (P30)
//
// Three passes. One function with every single size, for the sizes of the blocks; every function with the
// borders of every size class, one below and one above, for the rest: contents, zeros, resizing; and every
// function with every size - with MI_TEST_LONG set, else with each of them at one of LEAP sizes.
// tests/scripts/aligned_entries.sh compares `aligned_entries` and the table below with what is exported.
#include "entry_points.h"

enum { SIZE_MOST = 64 * 1024, ALIGNMENT_MOST = 16 * 1024 * 1024 };

// A sanitizer makes everything slow: it sees a part.
enum { BORDER_STEP = HAS_SANITIZER ? 7 : 1, DENSE_STEP = HAS_SANITIZER ? 61 : 1 };
enum { LEAP = HAS_SANITIZER ? 997 : 101 };

// The names that cannot be called like `aligned_entries` ---------------------------------------------------

typedef enum shape_e {
  SIZE_ALIGN,      // (size, alignment)
  ALIGN_SIZE,      // (alignment, size)
  SIZE_ALIGN_TAG,  // (size, alignment, tag)
  SLOT,            // (&p, alignment, size)
  OS_PAGE,         // (size), aligned to an OS page
} shape_t;

typedef void any_fun_t(void);

typedef struct named_s {
  const char* name;
  any_fun_t* fun;  // NULL: a name that only the overriding library has
  shape_t shape;
} named_t;

#define MI_ENTRY(name, shape) \
  { #name, (any_fun_t*)&name, shape }
#define OVERRIDE_ENTRY(name, shape) \
  { #name, NULL, shape }

static named_t named_entries[] = {
    MI_ENTRY(mi_new_aligned, SIZE_ALIGN),
    MI_ENTRY(mi_valloc, OS_PAGE),
    MI_ENTRY(mi_pvalloc, OS_PAGE),
    OVERRIDE_ENTRY(aligned_alloc, ALIGN_SIZE),
    OVERRIDE_ENTRY(memalign, ALIGN_SIZE),
    OVERRIDE_ENTRY(posix_memalign, SLOT),
    OVERRIDE_ENTRY(valloc, OS_PAGE),
    OVERRIDE_ENTRY(pvalloc, OS_PAGE),
    OVERRIDE_ENTRY(__libc_memalign, ALIGN_SIZE),
    OVERRIDE_ENTRY(__posix_memalign, SLOT),
    OVERRIDE_ENTRY(__libc_valloc, OS_PAGE),
    OVERRIDE_ENTRY(__libc_pvalloc, OS_PAGE),
    OVERRIDE_ENTRY(_aligned_malloc, SIZE_ALIGN),
    OVERRIDE_ENTRY(_ZnwmSt11align_val_t, SIZE_ALIGN),
    OVERRIDE_ENTRY(_ZnamSt11align_val_t, SIZE_ALIGN),
    OVERRIDE_ENTRY(_ZnwmSt11align_val_tRKSt9nothrow_t, SIZE_ALIGN_TAG),
    OVERRIDE_ENTRY(_ZnamSt11align_val_tRKSt9nothrow_t, SIZE_ALIGN_TAG),
};

static void* call_named(const named_t* entry, size_t size, size_t alignment) {
  void* p = NULL;
  switch (entry->shape) {
    case SIZE_ALIGN: return ((void* (*)(size_t, size_t))entry->fun)(size, alignment);
    case ALIGN_SIZE: return ((void* (*)(size_t, size_t))entry->fun)(alignment, size);
    case SIZE_ALIGN_TAG:
      return ((void* (*)(size_t, size_t, const void*))entry->fun)(size, alignment, "");
    case SLOT:
      return ((int (*)(void**, size_t, size_t))entry->fun)(&p, alignment, size) == 0 ? p : NULL;
    case OS_PAGE: return ((void* (*)(size_t))entry->fun)(size);
  }
  return NULL;
}

// Functions that the library under test does not have stay without an address.
static void find_names(void) {
  if (!malloc_is_ours()) return;
  for (size_t e = 0; e < COUNT_OF(named_entries); e++) {
    if (named_entries[e].fun != NULL) continue;
    void* const address = override_address(named_entries[e].name);
    memcpy(&named_entries[e].fun, &address, sizeof(address));
  }
}

// What to expect -----------------------------------------------------------------------------------------

// The smallest size of a block that is aligned by nature: a multiple of the alignment, up to the size of
// the largest class. Above come whole 4 KiB, and whole 64 KiB beyond 1 MiB.
static size_t expected_usable(size_t size, size_t alignment) {
  if (sizes_are_exact()) return expected_good_size(size);
  size_t bytes = expected_good_size(size);
  while (bytes <= 32 * KiB && bytes % alignment != 0) bytes = expected_good_size(bytes + 1);
  if (bytes <= 32 * KiB) return bytes;
  const size_t piece = alignment <= MiB ? 4 * KiB : 64 * KiB;
  return (size + (size == 0) + piece - 1) / piece * piece;
}

// 0, 64 KiB, and each border between two sizes of blocks, with its neighbours.
enum { BORDERS_MOST = 400 };
static size_t borders[BORDERS_MOST];
static size_t border_count;

static void find_borders(void) {
  borders[border_count++] = 0;
  for (size_t good = 8; good <= SIZE_MOST; good = expected_block_size(good + 1)) {
    for (size_t size = good - 1; size <= good + 1; size++) {
      if (size > borders[border_count - 1] && size <= SIZE_MOST) borders[border_count++] = size;
    }
  }
  assert_true(border_count < BORDERS_MOST && border_count > 200);
}

#define EXPECT_OF(name, size, alignment, condition)                                  \
  do {                                                                               \
    if (!(condition))                                                                \
      fail_msg("%s: size %zu alignment %zu: %s", name, size, alignment, #condition); \
  } while (0)

// Every size ---------------------------------------------------------------------------------------------

static void every_size_gets_the_smallest_block_that_is_aligned(void** state) {
  (void)state;
  for (size_t alignment = 1; alignment <= ALIGNMENT_MOST; alignment *= 2) {
    const size_t step = alignment <= 4096 ? DENSE_STEP : 13 * DENSE_STEP;
    for (size_t size = 0; size <= SIZE_MOST; size += step) {
      void* const p = mi_malloc_aligned(size, alignment);
      EXPECT_OF("mi_malloc_aligned", size, alignment, p != NULL && is_aligned(p, alignment));
      EXPECT_OF("mi_malloc_aligned", size, alignment,
                mi_usable_size(p) == expected_usable(size, alignment));
      mi_free(p);
    }
  }
}

static void no_larger_block_is_taken_than_a_plain_one_where_that_is_aligned(void** state) {
  (void)state;
  for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    for (size_t size = 0; size <= SIZE_MOST; size += DENSE_STEP) {
      const size_t good = mi_good_size(size);
      assert_int_equal(good, expected_good_size(size));
      if (!sizes_are_exact() && good % alignment == 0)
        EXPECT_OF("expected", size, alignment, expected_usable(size, alignment) == good);
    }
  }
}

// Every function -------------------------------------------------------------------------------------------

// A block beside the one that is looked at, so that writing behind it would be seen.
typedef struct neighbour_s {
  uint8_t* p;
  size_t size;
} neighbour_t;
static neighbour_t neighbour;

static void change_neighbour(void* p, size_t size) {
  if (neighbour.p != NULL) {
    assert_true(holds(neighbour.p, neighbour.size, 3));
    mi_free(neighbour.p);
  }
  neighbour = (neighbour_t){(uint8_t*)p, size};
  if (p != NULL) fill(p, size, 3);
}

// What holds for a block of any function, alignment and size: written whole, kept over realloc.
static void* expect_good_block(const char* name, void* p, size_t size, size_t alignment) {
  const size_t usable = mi_usable_size(p);
  EXPECT_OF(name, size, alignment, usable >= size);
  EXPECT_OF(name, size, alignment, mi_malloc_usable_size(p) == usable);
  memset(p, 0xD7, usable);
  fill(p, size < 512 ? size : 512, 5);
  EXPECT_OF(name, size, alignment, mi_usable_size(p) == usable);
  EXPECT_OF(name, size, alignment, mi_expand(p, usable) == p);
  EXPECT_OF(name, size, alignment, mi_usable_size(p) == usable);
  return p;
}

static bool is_kept(const void* p, size_t size) {
  return holds(p, size < 512 ? size : 512, 5)
         && (size <= 512 || ((const uint8_t*)p)[size - 1] == 0xD7);
}

static void try_entry(const aligned_entry_t* entry, size_t size, size_t alignment, size_t offset,
                      size_t next_size) {
  const size_t at = entry->has_offset ? offset : 0;
  void* p = entry->call(NULL, size, alignment, offset);
  EXPECT_OF(entry->name, size, alignment, p != NULL && is_aligned_at(p, alignment, at));
  EXPECT_OF(entry->name, size, alignment, !entry->zeroed || is_zero(p, mi_usable_size(p)));
  if (at == 0)
    EXPECT_OF(entry->name, size, alignment, mi_usable_size(p) == expected_usable(size, alignment));
  expect_good_block(entry->name, p, size, alignment);
  const size_t kept = size < next_size ? size : next_size;
  if (entry->resizes) {
    p = entry->call(p, next_size, alignment, offset);
    EXPECT_OF(entry->name, next_size, alignment, p != NULL && is_aligned_at(p, alignment, at));
  } else {
    p = mi_realloc(p, next_size);
    EXPECT_OF(entry->name, next_size, alignment, p != NULL);
  }
  EXPECT_OF(entry->name, next_size, alignment, mi_usable_size(p) >= next_size);
  EXPECT_OF(entry->name, next_size, alignment, is_kept(p, kept));
  change_neighbour(p, next_size < 512 ? next_size : 512);
}

// Where resizing goes to: near and far, larger and smaller, in turn.
static size_t next_size_of(size_t size, size_t turn) {
  switch (turn % 5) {
    case 0: return size + 1;
    case 1: return size / 2;
    case 2: return size * 2 + 3;
    case 3: return size - size / 16;
    default: return 70000;
  }
}

static void every_function_aligns_and_keeps(void** state) {
  (void)state;
  size_t turn = 0;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t alignment = entry->least_alignment; alignment <= ALIGNMENT_MOST; alignment *= 2) {
      for (size_t i = turn % BORDER_STEP; i < border_count; i += BORDER_STEP) {
        try_entry(entry, borders[i], alignment, 0, next_size_of(borders[i], turn++));
      }
    }
  }
  change_neighbour(NULL, 0);
}

static void every_function_with_an_offset_aligns_there(void** state) {
  (void)state;
  static const size_t offsets[] = {1, 8, 16, 24, 100, 4096, 5000, 65536};
  size_t turn = 0;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    if (!entry->has_offset) continue;
    for (size_t alignment = 1; alignment <= ALIGNMENT_MOST; alignment *= 2) {
      for (size_t i = turn % 3; i < border_count; i += 3 * BORDER_STEP) {
        const size_t offset = offsets[turn % COUNT_OF(offsets)];
        if (offset % alignment == 0) continue;
        try_entry(entry, borders[i], alignment, offset, next_size_of(borders[i], turn++));
      }
    }
  }
  change_neighbour(NULL, 0);
}

static void every_other_name_does_the_same(void** state) {
  (void)state;
  const size_t os_page = os_page_size();
  for (size_t e = 0; e < COUNT_OF(named_entries); e++) {
    const named_t* const entry = &named_entries[e];
    if (entry->fun == NULL) continue;
    const bool rounds_up = strstr(entry->name, "pvalloc") != NULL;
    for (size_t alignment = sizeof(void*); alignment <= ALIGNMENT_MOST; alignment *= 2) {
      if (entry->shape == OS_PAGE && alignment != os_page) continue;
      for (size_t i = 0; i < border_count; i += BORDER_STEP) {
        const size_t size = borders[i];
        const size_t needed =
            rounds_up ? (size + (size == 0) + os_page - 1) / os_page * os_page : size;
        void* const p = call_named(entry, size, alignment);
        EXPECT_OF(entry->name, size, alignment, p != NULL && is_aligned(p, alignment));
        EXPECT_OF(entry->name, size, alignment,
                  mi_usable_size(p) == expected_usable(needed, alignment));
        mi_free(expect_good_block(entry->name, p, size, alignment));
      }
    }
  }
}

// Every function and every size ------------------------------------------------------------------------------

static size_t expected_bytes[SIZE_MOST + 1];  // for the alignment at hand

static void expect_bytes(size_t alignment) {
  expected_bytes[0] = expected_usable(0, alignment);
  for (size_t size = 1; size <= SIZE_MOST; size++) {
    const size_t before = expected_bytes[size - 1];
    expected_bytes[size] = size <= before ? before : expected_usable(size, alignment);
  }
}

// Small enough for millions of calls: the ends of the block are looked at, and written.
static void try_size(const char* name, void* block, size_t size, size_t alignment, bool zeroed,
                     size_t expected) {
  volatile uint8_t* const p = (volatile uint8_t*)block;
  EXPECT_OF(name, size, alignment, block != NULL && is_aligned(block, alignment));
  const size_t usable = mi_usable_size(block);
  EXPECT_OF(name, size, alignment, usable == expected);
  EXPECT_OF(name, size, alignment,
            !zeroed || (p[0] == 0 && p[usable / 2] == 0 && p[usable - 1] == 0));
  p[0] = p[usable / 2] = p[usable - 1] = 0xFF;
  mi_free(block);
}

static void every_function_serves_every_size(void** state) {
  (void)state;
  const size_t step = getenv("MI_TEST_LONG") != NULL ? 1 : LEAP;
  size_t turn = 0;  // other sizes for each function and alignment
  for (size_t alignment = 1; alignment <= ALIGNMENT_MOST; alignment *= 2) {
    expect_bytes(alignment);
    for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
      const aligned_entry_t* const entry = &aligned_entries[e];
      if (alignment < entry->least_alignment) continue;
      for (size_t size = turn++ % step; size <= SIZE_MOST; size += step) {
        try_size(entry->name, entry->call(NULL, size, alignment, 0), size, alignment, entry->zeroed,
                 expected_bytes[size]);
      }
    }
    for (size_t e = 0; e < COUNT_OF(named_entries); e++) {
      const named_t* const entry = &named_entries[e];
      if (entry->fun == NULL || entry->shape == OS_PAGE || alignment < sizeof(void*)) continue;
      for (size_t size = turn++ % step; size <= SIZE_MOST; size += step) {
        try_size(entry->name, call_named(entry, size, alignment), size, alignment, false,
                 expected_bytes[size]);
      }
    }
  }
}

// Many at a time: the sizes of pages, areas and segments are crossed, and nothing overlaps.
static void aligned_blocks_of_all_sizes_live_side_by_side(void** state) {
  (void)state;
  static uint8_t* blocks[21][BORDERS_MOST];
  for (unsigned shift = 0; shift < COUNT_OF(blocks); shift++) {
    const size_t alignment = (size_t)1 << shift;
    for (size_t i = 0; i < border_count; i += BORDER_STEP) {
      blocks[shift][i] = (uint8_t*)mi_malloc_aligned(borders[i], alignment);
      EXPECT_OF("mi_malloc_aligned", borders[i], alignment,
                is_aligned(blocks[shift][i], alignment));
      fill(blocks[shift][i], borders[i], shift);
    }
  }
  for (unsigned shift = 0; shift < COUNT_OF(blocks); shift++) {
    for (size_t i = 0; i < border_count; i += BORDER_STEP) {
      EXPECT_OF("contents", borders[i], (size_t)1 << shift,
                holds(blocks[shift][i], borders[i], shift));
      mi_free(blocks[shift][i]);
    }
  }
}

static int set_up(void** state) {
  be_silent(state);
  find_names();
  find_borders();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_size_gets_the_smallest_block_that_is_aligned),
      cmocka_unit_test(no_larger_block_is_taken_than_a_plain_one_where_that_is_aligned),
      cmocka_unit_test(every_function_aligns_and_keeps),
      cmocka_unit_test(every_function_with_an_offset_aligns_there),
      cmocka_unit_test(every_other_name_does_the_same),
      cmocka_unit_test(every_function_serves_every_size),
      cmocka_unit_test(aligned_blocks_of_all_sizes_live_side_by_side),
  };
  return cmocka_run_group_tests_name("api/aligned_matrix", tests, set_up, unregister_all);
}
