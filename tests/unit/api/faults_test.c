// SPDX-License-Identifier: MIT
//
// The failing system, seen from the public functions: each scenario runs once for every call that it
// makes of every primitive of platform.h, with that call failing, with the next one or all later ones
// failing too, and with the call failing half-way. Whatever happens:
//
//   - the result is the documented one: a good block and errno untouched, or, if memory was refused,
//     NULL, ENOMEM and one report
//   - blocks that were given out keep their contents, and every validator holds
//   - nothing leaks: in the end no slice is in use, and all address space is accounted for
//   - once the system is well again, so is the heap
//
// The fake has no memory before main, so a scenario also starts the library.
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "api/stats.h"
#include <errno.h>

// Results ---------------------------------------------------------------------------------------------

static int reports;
static int reported_code;

static void note_report(int code, void* arg) {
  (void)arg;
  reports++;
  reported_code = code;
}

// Nothing else is a reason to refuse an allocation.
static bool system_refused_memory(void) {
  return fake_failures_of(FAKE_RESERVE) + fake_failures_of(FAKE_SHOW) + fake_failures_of(FAKE_OPEN)
         > 0;
}

static bool everything_is_valid(void) { return mii_range.slice_max == 0 || all_is_valid(); }

static void expect_result(void) {
  reports = 0;
  errno = 0;
}

static void* check_result(void* p) {
  if (p == NULL) {
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(reports, 1);
    CHECK_EQ(reported_code, ENOMEM);
    CHECK(system_refused_memory());
    CHECK(everything_is_valid());
  } else {
    CHECK_EQ(errno, 0);
    CHECK_EQ(reports, 0);
  }
  return p;
}

// The result of a call that allocates.
#define RESULT(call) (expect_result(), check_result(call))

// Blocks with contents --------------------------------------------------------------------------------

enum { HELD_MAX = 1024, STEP = 64 * 1024, HEAD = 100 };

typedef struct held_s {
  uint8_t* p;
  size_t size;
  uint8_t byte;
} held_t;

static held_t held[HELD_MAX];
static uint32_t held_count;

// Of large blocks only a few bytes are touched: always those at the same places, so what one user left
// there the next one sees.
static void stamp(uint8_t* p, size_t size, uint8_t byte) {
  memset(p, byte, size < HEAD ? size : HEAD);
  for (size_t at = STEP; at < size; at += STEP) p[at] = byte;
  p[size - 1] = byte;
}

// The first `size` bytes of a block that may have had a larger stamp.
static bool begins_with_stamp(const uint8_t* p, size_t size, uint8_t byte) {
  if (!is_all(p, size < HEAD ? size : HEAD, byte)) return false;
  for (size_t at = STEP; at < size; at += STEP) {
    if (p[at] != byte) return false;
  }
  return true;
}

static bool has_stamp(const uint8_t* p, size_t size, uint8_t byte) {
  return begins_with_stamp(p, size, byte) && p[size - 1] == byte;
}

static bool hold(void* p, size_t size) {
  if (p == NULL) return false;
  CHECK(held_count < HELD_MAX);
  CHECK(mi_usable_size(p) >= size);
  const uint8_t byte = (uint8_t)(held_count % 255 + 1);
  stamp(p, size, byte);
  held[held_count++] = (held_t){p, size, byte};
  return true;
}

// NULL or a block that is zero.
static bool hold_zero(void* p, size_t size) {
  CHECK(p == NULL || has_stamp(p, size, 0));
  return hold(p, size);
}

static bool hold_aligned(void* p, size_t size, size_t alignment, size_t offset) {
  CHECK(((uintptr_t)p + (p != NULL ? offset : 0)) % alignment == 0);
  return hold(p, size);
}

static void check_held(void) {
  for (uint32_t i = 0; i < held_count; i++) {
    CHECK(held[i].p == NULL || has_stamp(held[i].p, held[i].size, held[i].byte));
  }
  CHECK(everything_is_valid());
}

static void drop(uint32_t i) {
  if (held[i].p == NULL) return;
  CHECK(has_stamp(held[i].p, held[i].size, held[i].byte));
  expect_result();
  mi_free(held[i].p);
  CHECK_EQ(errno, 0);
  CHECK_EQ(reports, 0);
  held[i].p = NULL;
}

static void drop_all(void) {
  for (uint32_t i = 0; i < held_count; i++) drop(i);
  held_count = 0;
}

// The end of every scenario ---------------------------------------------------------------------------

static const size_t all_kinds[] = {8, 1000, 9000, 32 * KiB, 200 * KiB, 3 * MiB, 6 * MiB};

static size_t known_bytes(void) {
  return fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN) + fake_bytes_in(FAKE_OPENED);
}

// The threads whose end we were not told of end now.
static void dissolve_all_theaps(void) {
  run_as_stranger();
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    CHECK(mii_theap_dissolve(t));
  }
  mii_heap_trim(&mii_heap_main);
}

// After refused reservations the range may be as small as one segment, and full.
static bool is_range_small(void) { return mii_range.segment_max < 16; }
static bool fits_the_range(size_t size) { return !is_range_small() || size <= 32 * KiB; }

static void recover(void) {
  fake_fail_never();
  fake_limit_open(SIZE_MAX);
  check_held();
  if (is_range_small()) {
    drop_all();
    mi_collect(true);
  }
  for (size_t i = 0; i < COUNT_OF(all_kinds); i++) {
    if (!fits_the_range(all_kinds[i])) break;
    CHECK(hold(RESULT(mi_malloc(all_kinds[i])), all_kinds[i]));
    CHECK(hold_zero(RESULT(mi_calloc(1, all_kinds[i])), all_kinds[i]));
  }
  check_held();
  drop_all();
  mi_collect(true);
  CHECK(everything_is_valid());
  dissolve_all_theaps();
  mi_collect(true);
  CHECK_EQ(used_slices(), 0);
  CHECK(everything_is_valid());
  CHECK(known_bytes() == mii_range_reserved_bytes() || fake_failures_of(FAKE_RELEASE) > 0);
}

static void begin(void) {
  mi_register_error(note_report, NULL);
  mi_process_init();
}

// Scenarios -------------------------------------------------------------------------------------------

static void start_and_end(void) {
  fake_set_environment("MIMALLOC_VERBOSE", "1");
  fake_set_environment("MIMALLOC_SHOW_STATS", "1");
  fake_set_environment("MIMALLOC_PURGE_DELAY", "7");
  begin();
  hold(RESULT(mi_malloc(100)), 100);
  mi_thread_init();
  mi_options_print();
  mi_stats_print(NULL);
  mi_process_done();
  recover();
}

TEST(any_fault_at_start_and_end_is_survived) { CHECK(fake_try_all_faults(start_and_end) > 30); }

// A range that is given up is released. If that fails, too, only addresses are lost.
static void start_twice(void) {
  fake_fail_nth(FAKE_SHOW, 1);
  begin();
  CHECK(mii_range.slice_max == 0);
  hold(RESULT(mi_malloc(100)), 100);
  recover();
}

TEST(any_fault_at_a_second_start_is_survived) {
  CHECK(fake_try_every_fault(FAKE_RELEASE, start_twice) >= 3);
  CHECK(fake_try_every_fault(FAKE_RESERVE, start_twice) > 3);
  CHECK(fake_try_every_fault(FAKE_OPEN, start_twice) > 3);
}

// Memory came too late for our constructor: threads are ended and forks prepared nevertheless.
TEST(what_the_constructor_could_not_start_the_first_allocation_does) {
  fake_fail_nth(FAKE_SHOW, 1);
  begin();
  CHECK_EQ(fake_calls(FAKE_ON_THREAD_EXIT), 0);
  mi_free(mi_malloc(10));
  CHECK(fake_thread_is_armed());
  CHECK_EQ(fake_calls(FAKE_AT_FORK), 1);
  mi_process_init();
  CHECK_EQ(fake_calls(FAKE_AT_FORK), 1);
}

static void take_all_kinds(void) {
  begin();
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < COUNT_OF(all_kinds); i++) {
      const size_t size = all_kinds[i];
      const size_t alignment = (size_t)64 << (2 * i);
      hold(RESULT(mi_malloc(size)), size);
      hold_zero(RESULT(mi_calloc(2, size / 2)), size);
      hold_aligned(RESULT(mi_malloc_aligned(size, alignment)), size, alignment, 0);
      hold_aligned(RESULT(mi_malloc_aligned_at(size, 4096, 40)), size, 4096, 40);
      hold(RESULT(mi_new_nothrow(size)), size);
      if (round == 1) drop((uint32_t)i * 3);
    }
    check_held();
  }
  recover();
}

TEST(any_fault_while_taking_blocks_is_survived) { CHECK(fake_try_all_faults(take_all_kinds) > 30); }

// What C returns a code for, and what copies.
static void take_the_c_way(void) {
  begin();
  for (size_t i = 0; i < COUNT_OF(all_kinds); i++) {
    void* p = &p;
    expect_result();
    const int code = mi_posix_memalign(&p, 128, all_kinds[i]);
    CHECK_EQ(errno, 0);
    CHECK_EQ(reports, code == 0 ? 0 : 1);
    CHECK(code == 0 || (code == ENOMEM && p == (void*)&p));
    if (code == 0) hold_aligned(p, all_kinds[i], 128, 0);
  }
  char* const copy = RESULT(mi_strdup("a text"));
  if (copy != NULL) CHECK_TEXT(copy, "a text");
  mi_free(copy);
  recover();
}

TEST(any_fault_is_told_the_way_c_functions_do) { CHECK(fake_try_all_faults(take_the_c_way) > 10); }

// Memory that could not be purged is not known to be zero.
static void ask_for_zero_after_purging(void) {
  begin();
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < COUNT_OF(all_kinds); i++) {
      hold_zero(RESULT(mi_calloc(1, all_kinds[i])), all_kinds[i]);
      hold_zero(RESULT(mi_zalloc_aligned(all_kinds[i], 8192)), all_kinds[i]);
    }
    check_held();
    drop_all();
    mi_collect(true);
  }
  recover();
}

TEST(after_any_fault_what_should_be_zero_is_zero) {
  CHECK(fake_try_all_faults(ask_for_zero_after_purging) > 30);
}

// A block that cannot change its size stays as it is.
static void change_size(held_t* block, size_t size) {
  uint8_t* const p = RESULT(mi_realloc(block->p, size));
  if (p == NULL) {
    CHECK(has_stamp(block->p, block->size, block->byte));
    return;
  }
  if (size < block->size) {
    CHECK(begins_with_stamp(p, size, block->byte));
  } else {
    CHECK(has_stamp(p, block->size, block->byte));
  }
  block->p = p;
  block->size = size;
  stamp(p, size, block->byte);
}

static void change_sizes(void) {
  begin();
  hold(RESULT(mi_malloc(100)), 100);
  hold(RESULT(mi_calloc(1, 100)), 100);
  static const size_t sizes[] = {3000,    50 * KiB, 60 * KiB,  700 * KiB, 2 * MiB,
                                 3 * MiB, 7 * MiB,  300 * KiB, 20 * KiB,  10};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    for (uint32_t k = 0; k < held_count; k++) change_size(&held[k], sizes[i]);
    if (i % 3 == 2) mi_collect(true);
  }
  // What mi_reallocf cannot change, it frees.
  if (held_count > 0) {
    void* const p = RESULT(mi_reallocf(held[0].p, 20 * MiB));
    held[0] = (held_t){p, p != NULL ? 10 : 0, held[0].byte};
  }
  recover();
}

TEST(any_fault_while_resizing_is_survived) { CHECK(fake_try_all_faults(change_sizes) > 20); }

// With rezalloc all that a block grows by is zero; when it cannot grow, it stays as it is.
static void grow_with_zeros(void) {
  begin();
  uint8_t* block = RESULT(mi_zalloc(100));
  for (size_t size = 300, before = 100; block != NULL && size < 6 * MiB; size *= 3) {
    void* const dirty = RESULT(mi_malloc(size));
    if (dirty != NULL) stamp(dirty, size, 0xDD);
    mi_free(dirty);
    memset(block, 1, 100);
    uint8_t* const p = RESULT(mi_rezalloc(block, size));
    if (p != NULL) block = p, before = size;
    CHECK(is_all(block, 100, 1));
    memset(block, 0, 100);
    CHECK(has_stamp(block, before, 0));
  }
  mi_free(block);
  recover();
}

TEST(any_fault_while_growing_with_zeros_is_survived) {
  CHECK(fake_try_all_faults(grow_with_zeros) > 20);
}

// Threads ----------------------------------------------------------------------------------------------

static void end_thread(void) {
  fake_thread_exit();
  hold(RESULT(mi_malloc(300)), 300);  // a destructor that comes later
  run_as_stranger();
}

static void threads_come_and_go(void) {
  mi_option_set(mi_option_purge_delay, 10);
  begin();
  for (uint32_t i = 0; i < 12; i++) {
    const uint32_t first = held_count;
    for (uint32_t k = 0; k < 20; k++) hold(RESULT(mi_malloc(700 + 100 * i)), 700);
    hold(RESULT(mi_malloc(100 * KiB)), 100 * KiB);
    if (i % 3 == 0) drop(first);
    end_thread();
    fake_advance_clock(7);
    for (uint32_t k = first; k < held_count; k += 2) drop(k);  // by the next thread
    if (i % 4 == 3) mi_collect(i == 7);
  }
  check_held();
  recover();
}

TEST(any_fault_while_threads_come_and_go_is_survived) {
  CHECK(fake_try_all_faults(threads_come_and_go) > 30);
}

static void other_threads_free(void) {
  begin();
  theap_t* mine = NULL;
  for (int round = 0; round < 4; round++) {
    const uint32_t first = held_count;
    for (uint32_t i = 0; i < 130; i++) hold(RESULT(mi_malloc(1000)), 1000);
    hold(RESULT(mi_malloc(2 * MiB)), 2 * MiB);
    mine = mii_theap_mine;
    run_as_stranger();
    for (uint32_t i = first; i < held_count; i++) {
      if (i % 8 != 0) drop(i);
    }
    if (round == 2) mi_collect(true);
    end_thread();
    run_as(mine);
  }
  check_held();
  recover();
}

TEST(any_fault_while_other_threads_free_is_survived) {
  CHECK(fake_try_all_faults(other_threads_free) > 20);
}

// Fork takes our locks before, and gives them back; in between its handlers may allocate.
static void fork_now_and_then(void) {
  begin();
  for (uint32_t i = 0; i < 4; i++) {
    hold(RESULT(mi_malloc(5000)), 5000);
    fake_fork_prepare();
    for (size_t k = 0; k < COUNT_OF(all_kinds); k++) {
      expect_result();
      hold(mi_malloc(all_kinds[k]), all_kinds[k]);
    }
    if (i % 2 == 0) {
      fake_fork_parent();
    } else {
      fake_fork_child();
    }
    check_held();
    drop_all();
  }
  recover();
}

TEST(any_fault_around_fork_is_survived) { CHECK(fake_try_all_faults(fork_now_and_then) > 20); }

// Giving back ------------------------------------------------------------------------------------------

static void purge_all_the_time(void) {
  begin();
  mi_option_set(mi_option_purge_delay, 0);
  for (uint32_t i = 0; i < 12; i++) {
    hold(RESULT(mi_malloc(50000 + 60000 * (i % 5))), 50000);
    hold(RESULT(mi_malloc(2 * MiB)), 2 * MiB);
    if (held_count > 3) drop(held_count - 1 - i % 3);
    fake_advance_clock(1);
    if (i % 5 == 4) mi_collect(i == 9);
  }
  check_held();
  recover();
}

TEST(any_fault_while_purging_is_survived) { CHECK(fake_try_all_faults(purge_all_the_time) > 20); }

static void purge_when_due(void) {
  mi_option_set(mi_option_purge_delay, 10);
  begin();
  for (uint32_t i = 0; i < 10; i++) {
    for (uint32_t k = 0; k < 4; k++) hold(RESULT(mi_malloc(1200 * KiB)), 1 * MiB);
    for (uint32_t k = 0; k < 4; k++) hold(RESULT(mi_malloc(100 * KiB)), 100 * KiB);
    drop_all();
    fake_advance_clock(6);
  }
  recover();
}

TEST(any_fault_while_waiting_to_purge_is_survived) {
  CHECK(fake_try_all_faults(purge_when_due) > 20);
}

// The program's deferred free uses the heap in the middle of our slow paths.
static void deferred_free(bool force, unsigned long long heartbeat, void* arg) {
  (void)arg;
  void* const p = mi_malloc(force ? 100 * KiB : 40 + heartbeat % 3000);
  if (p != NULL) memset(p, 0xDD, 40);
  mi_free(p);
  mi_free(mi_calloc(1, 2 * MiB));
}

static void free_later(void) {
  begin();
  mi_register_deferred_free(deferred_free, NULL);
  for (uint32_t i = 0; i < 40; i++) {
    expect_result();
    hold(mi_malloc(3000 + 100 * i), 3000);
    if (i % 9 == 8) hold(mi_malloc(500 * KiB), 500 * KiB);
    if (i % 16 == 15) mi_collect(i == 31);
  }
  check_held();
  mi_register_deferred_free(NULL, NULL);
  recover();
}

TEST(any_fault_with_a_deferred_free_is_survived) { CHECK(fake_try_all_faults(free_later) > 20); }

// Running full ------------------------------------------------------------------------------------------

static uint32_t fill(size_t size) {
  uint32_t count = 0;
  for (;;) {
    expect_result();
    void* const p = mi_malloc(size);
    if (p == NULL) break;
    CHECK(hold(p, 100));
    count++;
  }
  CHECK_EQ(errno, ENOMEM);
  CHECK_EQ(reports, 1);
  CHECK(everything_is_valid());
  return count;
}

// What a full heap gets back it can give out again, whatever the system does meanwhile.
static void run_full(void) {
  fake_facts.memory_bytes = 4 * MiB;  // a range of 64 MiB
  fake_limit_open(60 * MiB);
  begin();
  static const size_t sizes[] = {1000 * KiB, 200 * KiB, 5 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const uint32_t count = fill(sizes[i]);
    check_held();
    drop_all();
    CHECK(fill(sizes[i]) >= count);
    drop_all();
  }
  recover();
}

TEST(any_fault_while_running_full_is_survived) { CHECK(fake_try_all_faults(run_full) > 20); }

// The line that says why -------------------------------------------------------------------------------

static void expect_line(size_t size, const char* cause) {
  char line[200];
  snprintf(line, sizeof line,
           "mimalloc: error: out of memory: %zu bytes could not be allocated (%s bytes)\n", size,
           cause);
  fake_output_clear();
  CHECK(mi_malloc(size) == NULL);
  CHECK_TEXT(fake_output(), line);
}

TEST(the_report_names_the_limit) {
  mi_process_init();
  mi_option_enable(mi_option_show_errors);
  mi_free(mi_malloc(10));
  char reserved[80];
  snprintf(reserved, sizeof reserved, "addresses reserved for the heap: %zu",
           mii_range_reserved_bytes());
  expect_line(PTRDIFF_MAX / 2, reserved);
  fake_limits.address_bytes = 3000 * MiB;
  expect_line(PTRDIFF_MAX / 2, "limit of address space: 3145728000");
  fake_fail_from(FAKE_OPEN, 1);
  expect_line(6 * MiB, "open when the system refused more: 4194304");
  fake_limits.data_bytes = 100 * MiB;
  expect_line(6 * MiB, "limit of data: 104857600");
  fake_fail_from(FAKE_LIMITS, 1);
  expect_line(6 * MiB, "open when the system refused more: 4194304");
}

TEST(a_heap_that_cannot_start_says_so_too) {
  mi_option_enable(mi_option_show_errors);
  fake_fail_from(FAKE_RESERVE, 1);
  expect_line(10, "addresses reserved for the heap: 0");
  fake_limits.address_bytes = 20 * MiB;
  expect_line(10, "limit of address space: 20971520");
}

UNIT_TEST_MAIN
