// SPDX-License-Identifier: MIT
//
// The system says no: each scenario runs once for every call that it makes, with that call failing, and
// once more with all later calls failing too. Whatever happens, blocks that were given out are good, no
// block is given out twice, everything is valid, and when the system is well again, so is the heap.
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "space/hint.h"
#include "space/purge.h"

// False if the heap cannot start, which is one of the documented results.
static bool try_start(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  if (!mii_range_start(&facts)) {
    CHECK_EQ(mii_range.slice_max, 0);
    CHECK(!mii_block_is_ours(&facts));
    CHECK_EQ(fake_bytes_in(FAKE_OPENED), 0);
    return false;
  }
  if (!mii_hint_start(mii_range.segment_max)) {
    mii_range_stop();
    const bool is_released = fake_bytes(FAKE_RELEASE) > 0;  // unless that failed, too
    CHECK(!is_released || fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN) == 0);
    return false;
  }
  return true;
}

// Blocks with stamps ----------------------------------------------------------------------------------

enum { HELD_MAX = 6000 };

typedef struct held_s {
  uint8_t* p;
  size_t size;
} held_t;

static held_t held[HELD_MAX];
static uint32_t held_count;

static uint8_t stamp_of(uint32_t i) { return (uint8_t)(i * 7 + 1); }

// True if there was memory.
static bool hold(theap_t* theap, block_request_t want) {
  bool zero;
  uint8_t* const p = mii_block_take(theap, want, &zero);
  if (p == NULL) return false;
  CHECK(held_count < HELD_MAX);
  CHECK(mii_block_bytes(p) >= want.size);
  CHECK(want.alignment <= 1 || ((uintptr_t)p + want.offset) % want.alignment == 0);
  held[held_count] = (held_t){p, want.size};
  p[0] = stamp_of(held_count);
  p[want.size - 1] = stamp_of(held_count);
  held_count++;
  return true;
}

static void check_held(uint32_t i) {
  CHECK_EQ(held[i].p[0], stamp_of(i));
  CHECK_EQ(held[i].p[held[i].size - 1], stamp_of(i));
}

static void check_all_held(void) {
  for (uint32_t i = 0; i < held_count; i++) {
    if (held[i].p != NULL) check_held(i);
  }
  CHECK(all_is_valid());
}

static void release(uint32_t i) {
  if (held[i].p == NULL) return;
  check_held(i);
  give(held[i].p);
  held[i].p = NULL;
}

// The system is well again: every kind of block can be had, and in the end nothing is left behind.
static void recover(theap_t* theap) {
  fake_fail_never();
  check_all_held();
  CHECK(hold(theap, (block_request_t){.size = 10}));
  CHECK(hold(theap, (block_request_t){.size = 20000}));
  CHECK(hold(theap, (block_request_t){.size = 200 * KiB}));
  CHECK(hold(theap, (block_request_t){.size = 9 * MiB}));
  CHECK(hold(theap, (block_request_t){.size = 100 * KiB, .alignment = 4 * MiB}));
  check_all_held();
  for (uint32_t i = 0; i < held_count; i++) release(i);
  CHECK(all_is_valid());
  mii_theap_collect(theap);
  run_as_stranger();
  CHECK(mii_theap_dissolve(theap));
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  mii_purge_all();
  CHECK_EQ(used_slices(), 0);
  CHECK_EQ(page_count(), 0);
  CHECK(all_is_valid());
}

// The theap of a new thread; NULL if there is no memory for one.
static theap_t* try_new_thread(void) {
  run_as_newcomer();
  theap_t* const theap = mii_thread_enter();
  CHECK(theap == NULL ? mii_theap_mine == &mii_theap_empty : mii_theap_mine == theap);
  return theap;
}

// The same, once the system is well.
static theap_t* some_thread(theap_t* theap) {
  if (theap != NULL) return theap;
  fake_fail_never();
  theap = try_new_thread();
  CHECK(theap != NULL);
  return theap;
}

// Scenarios -------------------------------------------------------------------------------------------

static void take_all_kinds(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  static const size_t sizes[] = {8,     100,    1024, 8192,    9000,   32768,
                                 40000, 300000, MiB,  2 * MiB, 5 * MiB};
  for (int round = 0; round < 4; round++) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
      hold(theap, (block_request_t){.size = sizes[i]});
      hold(theap, (block_request_t){.size = sizes[i], .alignment = (size_t)64 << (2 * i)});
      hold(theap, (block_request_t){.size = sizes[i], .alignment = 4096, .offset = 40});
    }
    check_all_held();
  }
  recover(theap);
}

TEST(any_fault_while_taking_blocks_of_all_kinds_is_survived) {
  CHECK(fake_try_every_fault(FAKE_ANY, take_all_kinds) > 20);
}

static void fill_and_refill(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  for (uint32_t i = 0; i < 2000; i++) hold(theap, (block_request_t){.size = 3000});
  for (uint32_t i = 0; i < held_count; i += 3) release(i);
  check_all_held();
  for (uint32_t i = 0; i < 2000; i++) hold(theap, (block_request_t){.size = 2900});
  check_all_held();
  recover(theap);
}

TEST(any_fault_while_a_heap_grows_is_survived) {
  CHECK(fake_try_every_fault(FAKE_OPEN, fill_and_refill) > 3);
}

static void grow_until_full(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  while (held_count < 2000 && hold(theap, (block_request_t){.size = 30000})) {}
  check_all_held();
  CHECK(held_count >= 4 || fake_failures() > 0);
  // As much as there was can be had again.
  const uint32_t count = held_count;
  for (uint32_t i = 0; i < count; i++) release(i);
  uint32_t again = 0;
  while (again < count && hold(theap, (block_request_t){.size = 30000})) again++;
  CHECK_EQ(again, count);
  for (uint32_t i = 0; i < held_count; i++) release(i);
  recover(theap);
}

TEST(what_was_freed_can_be_had_again_when_the_system_gives_no_more) {
  fake_facts.memory_bytes = 4 * MiB;
  CHECK(fake_try_every_fault(FAKE_OPEN, grow_until_full) > 3);
}

static uint32_t threads_to_come;

static void threads_come_and_go(void) {
  if (!try_start()) return;
  mii_thread_arm_exits();
  theap_t* theap = NULL;
  for (uint32_t i = 0; i < threads_to_come; i++) {
    theap_t* const next = try_new_thread();
    if (next == NULL) continue;
    theap = next;
    if (i % 50 == 0) hold(theap, (block_request_t){.size = 1000 + i});
    if (i % 100 == 99) mii_thread_end(i % 200 == 99);
  }
  check_all_held();
  theap = some_thread(theap);
  run_as(theap);
  for (uint32_t i = 0; i < held_count; i++) release(i);
  // The others end, so that nothing is left behind.
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    if (t != theap) mii_theap_dissolve(t);
  }
  recover(theap);
}

TEST(any_fault_while_threads_come_and_go_is_survived) {
  threads_to_come = 600;  // more theaps than the first metadata holds
  CHECK(fake_try_every_fault(FAKE_OPEN, threads_come_and_go) > 5);
  threads_to_come = 60;
  CHECK(fake_try_every_fault(FAKE_ANY, threads_come_and_go) > 60);
}

static void other_threads_free(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  for (int round = 0; round < 6; round++) {
    const uint32_t first = held_count;
    for (uint32_t i = 0; i < 300; i++) hold(theap, (block_request_t){.size = 1000});
    run_as_stranger();
    for (uint32_t i = first; i < held_count; i++) {
      if (i % 8 != 0) release(i);
    }
    if (round % 3 == 2) mii_theap_dissolve(theap);
    run_as(theap);
    check_all_held();
  }
  recover(theap);
}

TEST(any_fault_while_other_threads_free_is_survived) {
  CHECK(fake_try_every_fault(FAKE_ANY, other_threads_free) > 5);
}

static void purge_all_the_time(void) {
  mii_option_set(mi_option_purge_delay, 0);
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  for (uint32_t i = 0; i < 60; i++) {
    hold(theap, (block_request_t){.size = 50000 + 60000 * (i % 5)});
    hold(theap, (block_request_t){.size = 2 * MiB});
    if (i >= 3) release(held_count - 1 - i % 3);
    fake_advance_clock(1);
    mii_theap_beat(theap);
    if (i % 10 == 9) mii_purge_all();
  }
  check_all_held();
  recover(theap);
}

TEST(any_fault_while_purging_is_survived) {
  CHECK(fake_try_every_fault(FAKE_PURGE, purge_all_the_time) > 10);
}

// Memory that could not be purged is not known to be zero.
static void ask_for_zero_after_purging(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  for (int round = 0; round < 3; round++) {
    void* blocks[6];
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++) {
      bool zero;
      const size_t size = i < 3 ? 300 * KiB : 3 * MiB;
      blocks[i] = mii_block_take(theap, (block_request_t){.size = size}, &zero);
      if (blocks[i] == NULL) continue;
      CHECK(!zero || is_zero(blocks[i], size));
      memset(blocks[i], 1, size);
    }
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++) {
      if (blocks[i] != NULL) give(blocks[i]);
    }
    mii_purge_all();
    CHECK(all_is_valid());
  }
  recover(theap);
}

TEST(after_any_fault_what_is_said_to_be_zero_is_zero) {
  CHECK(fake_try_every_fault(FAKE_ANY, ask_for_zero_after_purging) > 5);
}

static void resize_blocks(void) {
  if (!try_start()) return;
  theap_t* const theap = some_thread(try_new_thread());
  for (uint32_t i = 0; i < 20; i++) {
    const size_t size = i % 2 == 0 ? 40 * KiB : 2 * MiB;
    if (!hold(theap, (block_request_t){.size = size})) continue;
    held_t* const mine = &held[held_count - 1];
    for (size_t to = size; to < 3 * size; to += size / 4) {
      if (!mii_block_resize(mine->p, to)) continue;
      mine->size = to;
      mine->p[to - 1] = stamp_of(held_count - 1);
    }
    check_all_held();
  }
  recover(theap);
}

TEST(any_fault_while_resizing_is_survived) {
  CHECK(fake_try_every_fault(FAKE_ANY, resize_blocks) > 5);
}

// Memory has an end ---------------------------------------------------------------------------------------

static void live_within(size_t limit) {
  fake_limit_open(limit);
  if (!try_start()) return;
  theap_t* const theap = try_new_thread();
  if (theap == NULL) return;
  random_t random = {limit};
  for (uint32_t i = 0; i < 3000; i++) {
    const uint32_t kind = random_below(&random, 10);
    const size_t size = 1 + random_below(&random, kind < 8 ? 3000 : kind < 9 ? 300000 : 3000000);
    if (!hold(theap, (block_request_t){.size = size}) || random_below(&random, 3) == 0) {
      for (int k = 0; k < 3 && held_count > 0; k++) release(random_below(&random, held_count));
    }
    if (i % 250 == 0) check_all_held();
  }
  recover(theap);
}

static void live_within_limit(void* limit) { live_within(*(size_t*)limit); }

TEST(a_heap_lives_within_a_limit) {
  for (size_t limit = 64 * KiB; limit <= 64 * MiB; limit = limit * 3 / 2) {
    CHECK_EQ(status_of_child(live_within_limit, &limit), 0);
  }
}

UNIT_TEST_MAIN
