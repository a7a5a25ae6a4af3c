// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "heap/apart.h"
#include "heap/vault.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include "space/purge.h"
#include <errno.h>

static int codes[16];
static int code_count;

static void mi_cdecl note_code(int code, void* arg) {
  (void)arg;
  codes[code_count++ % 16] = code;
}

// Of the level.
static theap_t* start(int level) {
  mii_option_set(mi_option_secure, level);
  mii_secure_fix();
  mii_report_set_error(note_code, NULL);
  return start_heap();
}

static void expect_code(int code) {
  CHECK_EQ(code_count, 1);
  CHECK_EQ(codes[0], code);
  code_count = 0;
}

TEST(a_hardened_theap_has_no_list_and_its_pages_no_owner) {
  theap_t* const theap = start(4);
  for (size_t size = 1; size <= 32 * KiB; size += 1 + size / 3) {
    void* const p = take(theap, size);
    if (size + 8 > 32 * KiB) continue;
    CHECK_EQ(mii_slice_kind(mii_slice_of(p)), SLICE_HARDENED);
    CHECK(mii_page_owner(mii_page_record(mii_slice_of(p)))
          == (uintptr_t)mii_hardened_in(mii_slice_of(p)));
  }
  for (uint32_t c = 0; c < CLASS_COUNT; c++) CHECK(theap->list[c] == NULL);
  CHECK_EQ(theap->slice_count, 0);
}

TEST(at_level_4_blocks_are_as_large_as_asked_for) {
  theap_t* const theap = start(4);
  for (size_t size = 1; size <= 3 * MiB; size += 1 + size / 7) {
    uint8_t* const p = take(theap, size);
    CHECK_EQ(mii_block_bytes(p), size);
    CHECK(is_zero(p, size));
    memset(p, 0xAB, size);
    give(p);
  }
  CHECK_EQ(code_count, 0);
  CHECK(mii_vaults_are_valid());
}

static void check_double_free(int level, size_t size) {
  theap_t* const theap = start(level);
  void* const p = take(theap, size);
  take(theap, size);
  give(p);
  CHECK_EQ(code_count, 0);
  give(p);
  expect_code(EAGAIN);
  CHECK(mii_vaults_are_valid());
}

TEST(a_double_free_is_noticed_at_level_3) { check_double_free(3, 100); }
TEST(a_double_free_of_a_larger_block_is_noticed_at_level_3) { check_double_free(3, 10000); }
TEST(a_double_free_is_noticed_at_level_4) { check_double_free(4, 5000); }

TEST(a_pointer_into_a_block_is_noticed) {
  theap_t* const theap = start(4);
  uint8_t* const p = take(theap, 100);
  give(p + 16);
  expect_code(EINVAL);
  give(p);
  CHECK_EQ(code_count, 0);
}

TEST(a_byte_behind_a_block_is_noticed) {
  theap_t* const theap = start(4);
  for (size_t size = 1; size < 3 * MiB; size = size * 3 + 1) {
    uint8_t* const p = take(theap, size);
    p[size] ^= 1;
    give(p);
    expect_code(EFAULT);
  }
  CHECK(mii_vaults_are_valid());
}

TEST(a_write_after_the_free_is_noticed_when_the_block_is_given_out_again) {
  theap_t* const theap = start(4);
  uint8_t* const p = take(theap, 100);
  take(theap, 100);
  give(p);
  CHECK(is_zero(p, 100));
  p[77] = 1;
  for (int i = 0; i < 10000 && code_count == 0; i++) give(take(theap, 100));
  expect_code(EFAULT);
}

TEST(a_write_after_the_free_of_a_run_is_noticed) {
  theap_t* const theap = start(4);
  uint8_t* const p = take(theap, 100000);
  give(p);
  p[70000] = 1;
  void* const again = take(theap, 100000);
  CHECK(again == p);
  expect_code(EFAULT);
  CHECK(is_zero(again, 100000));
}

TEST(a_freed_block_is_held_back) {
  theap_t* const theap = start(4);
  int same = 0;
  for (int i = 0; i < 1000; i++) {
    void* const p = take(theap, 100);
    give(p);
    void* const q = take(theap, 100);
    same += p == q;
    give(q);
  }
  CHECK(same < 250);  // one in nine at most
}

// Blocks of one page; each end of them is a page of its own again.
TEST(empty_pages_go_back) {
  theap_t* const theap = start(4);
  enum { COUNT = 500 };
  void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = take(theap, 1000);
  for (int i = 0; i < COUNT; i++) give(blocks[i]);
  mii_vault_collect_all();
  CHECK(mii_vaults_are_valid());
  CHECK(mii_segments_are_unused());
  CHECK_EQ(code_count, 0);
}

TEST(blocks_of_a_heap_that_is_deleted_live_on) {
  theap_t* const home = start(4);
  heap_t* const heap = mii_heap_new(&mii_subproc_main, NULL);
  theap_t* const theap = mii_heap_enter(heap);
  CHECK(theap != NULL && theap != home);
  uint8_t* const p = take(theap, 500);
  CHECK(mii_heap_of(p) == heap);
  memset(p, 0xCD, 500);
  mii_heap_delete(heap);
  CHECK(mii_heap_of(p) == &mii_heap_main);
  CHECK_EQ(mii_block_bytes(p), 500);
  give(p);
  CHECK_EQ(code_count, 0);
  give(p);  // its page is kept, by the other heap
  expect_code(EAGAIN);
  mii_vault_collect_all();
  CHECK(mii_segments_are_unused());
}

TEST(blocks_of_a_heap_that_is_destroyed_end_with_it) {
  start(4);
  for (int round = 0; round < 3; round++) {
    heap_t* const heap = mii_heap_new(&mii_subproc_main, NULL);
    theap_t* const theap = mii_heap_enter(heap);
    for (size_t size = 16; size < 3 * MiB; size *= 2) memset(take(theap, size), 1, size);
    give(take(theap, 100));
    mii_heap_destroy(heap);
    CHECK(mii_segments_are_unused());
  }
  CHECK_EQ(code_count, 0);  // what is given out again is zero
}

TEST(a_resized_block_is_sealed_anew) {
  theap_t* const theap = start(4);
  uint8_t* const p = take(theap, 90);
  CHECK(mii_block_resize(p, 70));
  CHECK_EQ(mii_block_bytes(p), 70);
  p[70] = 1;
  give(p);
  expect_code(EFAULT);
}

static void check_growth(int level, size_t from, size_t to) {
  theap_t* const theap = start(level);
  uint8_t* const p = take(theap, from);
  memset(p, 0xAB, from);
  CHECK_EQ(mii_block_resize(p, to), level < 5);
  if (level < 5) {
    CHECK_EQ(mii_block_bytes(p), to);
    CHECK(p[0] == 0xAB && p[from - 1] == 0xAB);
    p[to] ^= 1;
  }
  give(p);
  if (level < 5) expect_code(EFAULT);
  CHECK_EQ(code_count, 0);
}

TEST(a_run_grows_in_place_at_level_4) { check_growth(4, 100000, 200000); }
TEST(a_huge_block_grows_in_place_at_level_4) { check_growth(4, 2 * MiB, 3 * MiB); }
TEST(a_huge_block_with_a_guard_moves) { check_growth(5, 2 * MiB, 3 * MiB); }

static void check_move(size_t after) {
  theap_t* const theap = start(4);
  const size_t before = 2 * MiB + 100;
  uint8_t* const p = take(theap, before + 20 * KiB);
  memset(p, 0xAB, before + 20 * KiB);
  CHECK(mii_block_resize(p, before));
  uint8_t* const q = take(theap, after);
  CHECK(mii_block_move(q, p));
  CHECK_EQ(mii_block_bytes(q), after);
  CHECK(is_all(q, before, 0xAB));
  CHECK(is_zero(q + before, after - before));
  give(p);
  CHECK(is_zero(take(theap, 3 * MiB), 3 * MiB));
  CHECK_EQ(code_count, 0);
  q[after] ^= 1;
  give(q);
  expect_code(EFAULT);
}

TEST(a_huge_block_moves_to_a_larger_one_without_its_seal) { check_move(3 * MiB + 7); }
TEST(a_huge_block_moves_to_one_as_large) { check_move(2 * MiB + 30 * KiB); }

TEST(a_block_whose_seal_is_broken_does_not_move) {
  theap_t* const theap = start(4);
  uint8_t* const p = take(theap, 2 * MiB);
  p[2 * MiB] ^= 1;
  CHECK(!mii_block_move(take(theap, 3 * MiB), p));
  give(p);
  expect_code(EFAULT);
}

static void check_ordinary(int level) {
  theap_t* const theap = start(level);
  void* const p = take(theap, 100);
  CHECK_EQ(mii_slice_kind(mii_slice_of(p)), SLICE_PAGE);
  CHECK(mii_heap_main.vault == NULL);
}

TEST(a_level_0_process_has_no_vault) { check_ordinary(0); }
TEST(a_level_2_process_has_no_vault) { check_ordinary(2); }

// How often the block that comes next is the one behind.
static int neighbours(int level) {
  theap_t* const theap = start(level);
  int count = 0;
  uintptr_t last = 0;
  for (int i = 0; i < 1000; i++) {
    const uintptr_t p = (uintptr_t)take(theap, 64);
    count += p == last + 64;
    last = p;
  }
  return count;
}

TEST(the_order_of_blocks_is_that_of_addresses_at_level_1) { CHECK(neighbours(1) > 900); }
TEST(the_order_of_blocks_is_random_at_level_2) { CHECK(neighbours(2) < 100); }
TEST(the_order_of_blocks_is_random_at_level_3) { CHECK(neighbours(3) < 100); }

TEST(blocks_that_another_thread_frees_are_free) {
  theap_t* const theap = start(4);
  theap_t* const other = new_thread();
  void* const own = take(other, 64);
  for (int i = 0; i < 1000; i++) {
    run_as(theap);
    void* const p = take(theap, 64);
    run_as(other);
    give(p);
    CHECK(mii_vaults_are_valid());
  }
  give(own);
  CHECK_EQ(code_count, 0);
  for (int i = 0; i < 2; i++) {
    run_as(i == 0 ? theap : other);
    mii_vault_collect_all();
  }
  CHECK(mii_segments_are_unused());
}

static uint32_t hardened_pages(void) {
  uint32_t count = 0;
  for (size_t i = 1; i < mii_slice_count(); i++) count += mii_slice_kind(i) == SLICE_HARDENED;
  return count;
}

// Whatever the order; and end when all is free.
TEST(pages_that_are_full_are_used_again_when_others_free_their_blocks) {
  enum { GROUPS = 512, COUNT = GROUPS * 8 };
  static void* blocks[COUNT];
  theap_t* const theap = start(4);
  theap_t* const other = new_thread();
  for (uint32_t step = 1; step < 12; step += 4) {
    run_as(theap);
    for (uint32_t i = 0; i < COUNT; i++) blocks[i] = take(theap, 500);
    const uint32_t pages = hardened_pages();
    run_as(other);
    for (uint32_t i = 0; i < COUNT; i++) {  // one of each eight stays
      if (i % 8 != 0) give(blocks[i / 8 * step % GROUPS * 8 + i % 8]);
    }
    CHECK(mii_vaults_are_valid());
    run_as(theap);
    for (uint32_t i = 0; i < COUNT; i++) {
      if (i % 8 != 0) blocks[i] = take(theap, 500);
    }
    CHECK(hardened_pages() <= pages + 1);
    run_as(other);
    for (uint32_t i = 0; i < COUNT; i++) give(blocks[i]);
    CHECK(mii_vaults_are_valid());
    CHECK(hardened_pages() <= 2);  // one is held, one kept
  }
  CHECK_EQ(code_count, 0);
  run_as(theap);
  mii_vault_collect_all();
  CHECK(mii_segments_are_unused());
}

TEST(a_thread_past_its_end_gives_blocks_back) {
  theap_t* const theap = start(4);
  void* const p = take(theap, 64);
  mii_theap_collect(theap);
  run_as_stranger();
  give(p);
  CHECK_EQ(code_count, 0);
  mii_vault_collect_all();
  CHECK(mii_segments_are_unused());
}

// The n-th call to open or purge memory fails, for each n.
TEST(every_refusal_of_the_system_is_survived) {
  theap_t* const theap = start(4);
  for (uint32_t n = 1; n <= 30; n++) {
    fake_fail_nth(n % 2 == 0 ? FAKE_OPEN : FAKE_PURGE, n / 2 + 1);
    for (size_t size = 16; size < 3 * MiB; size = size * 4 + n) {
      uint8_t* const p = try_take(theap, size);
      if (p == NULL) continue;
      memset(p, (int)n, size);
      give(p);
    }
    mii_vault_collect_all();
    mii_purge_all();
  }
  CHECK_EQ(code_count, 0);
  CHECK(mii_vaults_are_valid());
}

UNIT_TEST_MAIN
