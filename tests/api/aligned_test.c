// SPDX-License-Identifier: MIT
// aligned_test.c - every aligned entry point, alignments 1 to 16 MiB, offsets (P30, sampled)
#include "entry_points.h"

static const size_t sizes[] = {0,     1,     7,      8,       9,       16,     24,    63,
                               64,    100,   128,    129,     500,     1000,   1024,  1025,
                               4000,  4096,  5000,   8192,    8193,    20000,  32768, 32769,
                               65536, 65537, 100000, 1048576, 1048577, 3000000};

enum { LIVE = 7 };  // so many blocks stay alive beside the one that is tried

typedef struct live_block_s {
  uint8_t* p;
  size_t size;
  unsigned seed;
} live_block_t;

static live_block_t live[LIVE];
static size_t live_next;

// Mark both ends of a block; large ones would take too long to fill.
static void stamp(const live_block_t* block) {
  const size_t part = block->size < 64 ? block->size : 64;
  fill(block->p, part, block->seed);
  fill(block->p + block->size - part, part, block->seed);
}

static bool is_stamped(const live_block_t* block) {
  const size_t part = block->size < 64 ? block->size : 64;
  return (block->size <= 128 || holds(block->p, part, block->seed))
         && holds(block->p + block->size - part, part, block->seed);
}

static void free_oldest_and_keep(void* p, size_t size, unsigned seed) {
  live_block_t* const slot = &live[live_next];
  live_next = (live_next + 1) % LIVE;
  if (slot->p != NULL) {
    assert_true(is_stamped(slot));
    mi_free(slot->p);
  }
  slot->p = (uint8_t*)p;
  slot->size = size;
  slot->seed = seed;
  if (p != NULL) stamp(slot);
}

static void free_all_kept(void) {
  for (size_t i = 0; i < LIVE; i++) free_oldest_and_keep(NULL, 0, 0);
}

// All zero, as far as a large block can be looked at without touching all of it.
static bool looks_zero(const void* p, size_t size) {
  const uint8_t* const bytes = (const uint8_t*)p;
  if (size <= 64 * KiB) return is_zero(p, size);
  for (size_t i = 0; i < size; i += 20011) {
    if (bytes[i] != 0) return false;
  }
  return is_zero(bytes, 8 * KiB) && is_zero(bytes + size - 8 * KiB, 8 * KiB);
}

static void try_one(const aligned_entry_t* entry, size_t size, size_t alignment, size_t offset,
                    unsigned seed) {
  void* const p = entry->call(NULL, size, alignment, offset);
  if (p == NULL)
    fail_msg("%s: NULL for size %zu alignment %zu offset %zu", entry->name, size, alignment,
             offset);
  if (!is_aligned_at(p, alignment, entry->has_offset ? offset : 0)) {
    fail_msg("%s: %p for size %zu alignment %zu offset %zu", entry->name, p, size, alignment,
             offset);
  }
  if (mi_usable_size(p) < size) {
    fail_msg("%s: usable %zu for size %zu alignment %zu", entry->name, mi_usable_size(p), size,
             alignment);
  }
  if (entry->zeroed && !looks_zero(p, size)) {
    fail_msg("%s: not zero for size %zu alignment %zu offset %zu", entry->name, size, alignment,
             offset);
  }
  free_oldest_and_keep(p, size, seed);
}

static void every_entry_point_aligns_every_size(void** state) {
  (void)state;
  unsigned seed = 0;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t alignment = entry->least_alignment; alignment <= 16 * MiB; alignment *= 2) {
      for (size_t i = 0; i < COUNT_OF(sizes); i++) try_one(entry, sizes[i], alignment, 0, seed++);
    }
  }
  free_all_kept();
}

static void every_entry_point_with_an_offset_aligns_there(void** state) {
  (void)state;
  const size_t offsets[] = {1,    3,     8,     16,      24,       100,     4096,
                            4100, 65536, 70001, 1048576, 20000000, SIZE_MAX};
  unsigned seed = 0;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    if (!entry->has_offset) continue;
    for (size_t alignment = 1; alignment <= 16 * MiB; alignment *= 2) {
      for (size_t i = 0; i < COUNT_OF(sizes); i += 2) {
        for (size_t o = 0; o < COUNT_OF(offsets); o += 3) {
          try_one(entry, sizes[i], alignment, offsets[(o + i) % COUNT_OF(offsets)], seed++);
        }
      }
    }
  }
  free_all_kept();
}

static void zeroed_entry_points_zero_memory_that_was_used_before(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    if (!entry->zeroed) continue;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
      for (size_t alignment = 8; alignment <= 64 * KiB; alignment *= 8) {
        make_dirty(sizes[i]);
        void* p = mi_malloc_aligned(sizes[i], alignment);
        memset(p, 0x99, sizes[i]);
        mi_free(p);
        p = entry->call(NULL, sizes[i], alignment, 8);
        ASSERT_FOR(entry, p != NULL && is_zero(p, sizes[i]));
        mi_free(p);
      }
    }
  }
}

static void no_larger_class_is_taken_where_the_class_is_aligned_anyway(void** state) {
  (void)state;
  for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    for (size_t size = 1; size <= 32 * KiB; size += 1 + size / 16) {
      const size_t good = mi_good_size(size);
      if (good % alignment != 0) continue;
      void* const p = mi_malloc_aligned(size, alignment);
      assert_non_null(p);
      assert_int_equal(mi_usable_size(p), good);
      mi_free(p);
    }
  }
}

static void an_alignment_that_all_blocks_have_costs_nothing(void** state) {
  (void)state;
  for (size_t size = 16; size <= 2 * MiB; size += 1 + size / 8) {
    void* const p = mi_malloc_aligned(size, 16);
    void* const q = mi_malloc_aligned_at(size, 16, 32);
    assert_int_equal(mi_usable_size(p), mi_good_size(size));
    assert_true(is_aligned(q, 16));
    mi_free(p);
    mi_free(q);
  }
}

static void resizing_keeps_alignment_and_contents(void** state) {
  (void)state;
  static const size_t steps[] = {1,     100,   50,      200,     5000, 5100, 70000,
                                 60000, 20000, 3000000, 2000000, 300,  0,    40};
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    if (!entry->resizes) continue;
    for (size_t alignment = 1; alignment <= 4 * MiB; alignment *= 4) {
      const size_t offset = 40;
      uint8_t* p = NULL;
      size_t size = 0;
      for (size_t i = 0; i < COUNT_OF(steps); i++) {
        p = (uint8_t*)entry->call(p, steps[i], alignment, offset);
        ASSERT_FOR(entry, p != NULL);
        ASSERT_FOR(entry, is_aligned_at(p, alignment, entry->has_offset ? offset : 0));
        ASSERT_FOR(entry, mi_usable_size(p) >= steps[i]);
        ASSERT_FOR(entry, holds(p, size < steps[i] ? size : steps[i], 6));
        size = steps[i];
        fill(p, size, 6);
      }
      mi_free(p);
    }
  }
}

static void resizing_aligns_a_block_that_was_not_aligned(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    if (!entry->resizes) continue;
    for (size_t alignment = 32; alignment <= 64 * KiB; alignment *= 2) {
      void* blocks[8];
      for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = mi_malloc(48);
        fill(blocks[i], 48, i);
      }
      for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = entry->call(blocks[i], 48, alignment, 16);
        ASSERT_FOR(entry, blocks[i] != NULL);
        ASSERT_FOR(entry, is_aligned_at(blocks[i], alignment, entry->has_offset ? 16 : 0));
      }
      for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        ASSERT_FOR(entry, holds(blocks[i], 48, i));
        mi_free(blocks[i]);
      }
    }
  }
}

static void aligned_blocks_can_be_resized_by_plain_realloc(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t alignment = entry->least_alignment; alignment <= 2 * MiB; alignment *= 8) {
      for (size_t offset = 0; offset <= 13; offset += 13) {
        uint8_t* p = (uint8_t*)entry->call(NULL, 3000, alignment, offset);
        fill(p, 3000, 5);
        p = (uint8_t*)mi_realloc(p, 9000);
        ASSERT_FOR(entry, p != NULL && holds(p, 3000, 5));
        fill(p, 9000, 5);
        p = (uint8_t*)mi_realloc(p, 10);
        ASSERT_FOR(entry, p != NULL && holds(p, 10, 5));
        mi_free(p);
      }
    }
  }
}

static void* free_in_thread(void* arg) {
  void** const blocks = (void**)arg;
  for (size_t i = 0; blocks[i] != NULL; i++) mi_free(blocks[i]);
  return NULL;
}

static void aligned_blocks_may_be_freed_by_another_thread(void** state) {
  (void)state;
  void* blocks[COUNT_OF(aligned_entries) * 30 + 1] = {NULL};
  size_t count = 0;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    const aligned_entry_t* const entry = &aligned_entries[e];
    for (size_t alignment = 8; alignment <= 8 * MiB; alignment *= 4) {
      blocks[count++] = entry->call(NULL, 200, alignment, 3);
      blocks[count++] = entry->call(NULL, 70000, alignment, 3);
    }
  }
  result_of_thread(&free_in_thread, blocks);
}

static void freed_aligned_memory_is_used_again(void** state) {
  (void)state;
  const size_t before = resident_bytes();
  for (int i = 0; i < 3000; i++) {
    for (size_t alignment = 32; alignment <= MiB; alignment *= 8) {
      volatile uint8_t* const p = (volatile uint8_t*)mi_malloc_aligned(50000, alignment);
      volatile uint8_t* const q = (volatile uint8_t*)mi_malloc_aligned_at(50000, alignment, 17);
      for (size_t at = 0; at < 50000; at += 4096) p[at] = q[at] = 1;
      mi_free((void*)(uintptr_t)p);
      mi_free((void*)(uintptr_t)q);
    }
  }
  assert_true(resident_bytes() < before + 64 * MiB);
}

static void success_leaves_errno_alone(void** state) {
  (void)state;
  for (size_t e = 0; e < COUNT_OF(aligned_entries); e++) {
    for (size_t alignment = 8; alignment <= 16 * MiB; alignment *= 8) {
      for (size_t i = 0; i < COUNT_OF(sizes); i += 4) {
        void* p = NULL;
        ASSERT_QUIET(p = aligned_entries[e].call(NULL, sizes[i], alignment, 8));
        ASSERT_QUIET(mi_free(p));
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_entry_point_aligns_every_size),
      cmocka_unit_test(every_entry_point_with_an_offset_aligns_there),
      cmocka_unit_test(zeroed_entry_points_zero_memory_that_was_used_before),
      cmocka_unit_test(no_larger_class_is_taken_where_the_class_is_aligned_anyway),
      cmocka_unit_test(an_alignment_that_all_blocks_have_costs_nothing),
      cmocka_unit_test(resizing_keeps_alignment_and_contents),
      cmocka_unit_test(resizing_aligns_a_block_that_was_not_aligned),
      cmocka_unit_test(aligned_blocks_can_be_resized_by_plain_realloc),
      cmocka_unit_test(aligned_blocks_may_be_freed_by_another_thread),
      cmocka_unit_test(freed_aligned_memory_is_used_again),
      cmocka_unit_test(success_leaves_errno_alone),
  };
  return cmocka_run_group_tests_name("api/aligned", tests, be_silent, unregister_all);
}
