// SPDX-License-Identifier: MIT
// The fake notices what it should notice, and fails when it should fail.
#include "support/unit_test.h"
#include "support/fake_platform.h"
#include <errno.h>

static uint8_t* reserve(size_t size) {
  void* p = NULL;
  CHECK_EQ(mii_platform_reserve(size, &p), 0);
  return (uint8_t*)p;
}

TEST(memory_goes_through_its_states) {
  uint8_t* const p = reserve(MiB);
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED), MiB);
  CHECK_EQ(mii_platform_open(p, 64 * KiB), 0);
  CHECK_EQ(mii_platform_open(p + 32 * KiB, 64 * KiB), 0);
  CHECK_EQ(mii_platform_show(p + 512 * KiB, 4 * KiB), 0);
  CHECK_EQ(fake_bytes_in(FAKE_OPENED), 96 * KiB);
  CHECK(fake_is_all(p, 96 * KiB, FAKE_OPENED));
  CHECK(!fake_is_all(p, 97 * KiB, FAKE_OPENED));
  CHECK_EQ(fake_state_of(p + 96 * KiB), FAKE_RESERVED);
  CHECK_EQ(fake_state_of(p + 512 * KiB), FAKE_SHOWN);
  CHECK_EQ(fake_state_of(p + MiB), FAKE_FREE);
  CHECK_EQ(p[512 * KiB], 0);
  CHECK_EQ(mii_platform_release(p, MiB), 0);
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_OPENED) + fake_bytes_in(FAKE_SHOWN),
           0);
}

TEST(purging_makes_memory_zero_and_not_resident) {
  uint8_t* const p = reserve(MiB);
  CHECK_EQ(mii_platform_open(p, MiB), 0);
  CHECK_EQ(fake_touched_bytes(p, MiB), 0);
  memset(p, 0xAB, 16 * KiB);
  CHECK_EQ(fake_touched_bytes(p, MiB), 16 * KiB);
  CHECK_EQ(mii_platform_purge(p + 4 * KiB, 8 * KiB), 0);
  CHECK_EQ(fake_touched_bytes(p, MiB), 8 * KiB);
  CHECK(is_all(p, 4 * KiB, 0xAB));
  CHECK(is_zero(p + 4 * KiB, 8 * KiB));
  CHECK_EQ(fake_latest(FAKE_PURGE).address, p + 4 * KiB);
  CHECK_EQ(fake_latest(FAKE_PURGE).size, 8 * KiB);
}

static void write_to(void* p) { *(volatile uint8_t*)p = 1; }

TEST(memory_that_is_not_open_cannot_be_written) {
  uint8_t* const p = reserve(MiB);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  CHECK_EQ(mii_platform_show(p + 4 * KiB, 4 * KiB), 0);
  CHECK(!stops_the_process(write_to, p));
  CHECK(stops_the_process(write_to, p + 4 * KiB));
  CHECK(stops_the_process(write_to, p + 8 * KiB));
}

static void open_at(void* p) { mii_platform_open(p, 4 * KiB); }
static void show_at(void* p) { mii_platform_show(p, 4 * KiB); }
static void purge_at(void* p) { mii_platform_purge(p, 4 * KiB); }
static void release_at(void* p) { mii_platform_release(p, 4 * KiB); }

TEST(calls_that_break_the_contract_stop_the_process) {
  uint8_t* const p = reserve(MiB);
  CHECK(!stops_the_process(open_at, p));
  CHECK(stops_the_process(open_at, p + 1));
  CHECK(stops_the_process(open_at, p + MiB));
  CHECK(stops_the_process(purge_at, p));
  CHECK(stops_the_process(release_at, p - 4 * KiB));
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  CHECK(!stops_the_process(purge_at, p));
  CHECK(stops_the_process(show_at, p));
  CHECK(!stops_the_process(show_at, p + 4 * KiB));
  fake_facts.os_page_size = 16 * KiB;
  CHECK(stops_the_process(purge_at, p));
}

TEST(faults_hit_the_call_they_are_meant_for) {
  uint8_t* const p = reserve(MiB);
  fake_fail_nth(FAKE_OPEN, 2);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  CHECK_EQ(mii_platform_show(p + 8 * KiB, 4 * KiB), 0);
  CHECK_EQ(mii_platform_open(p + 4 * KiB, 4 * KiB), ENOMEM);
  CHECK_EQ(fake_state_of(p + 4 * KiB), FAKE_RESERVED);
  CHECK_EQ(mii_platform_open(p + 4 * KiB, 4 * KiB), 0);
  CHECK_EQ(fake_failures(), 1);
  CHECK_EQ(fake_calls(FAKE_OPEN), 3);
  CHECK_EQ(fake_bytes(FAKE_OPEN), 8 * KiB);

  fake_fail_from(FAKE_ANY, 2);
  CHECK_EQ(mii_platform_purge(p, 4 * KiB), 0);
  CHECK_EQ(mii_platform_purge(p, 4 * KiB), ENOMEM);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), ENOMEM);

  fake_fail_never();
  fake_fail_above(FAKE_OPEN, 8 * KiB);
  CHECK_EQ(mii_platform_open(p, 8 * KiB), 0);
  CHECK_EQ(mii_platform_open(p, 12 * KiB), ENOMEM);

  fake_fail_never();
  fake_limit_open(12 * KiB);
  CHECK_EQ(mii_platform_open(p, 12 * KiB), 0);
  CHECK_EQ(mii_platform_open(p + 12 * KiB, 4 * KiB), ENOMEM);
  CHECK_EQ(fake_calls(FAKE_ANY), 1 + 3 + 1 + 2 + 1 + 2 + 2);
}

TEST(a_fault_may_hit_two_calls_or_all_later_ones) {
  uint8_t* const p = reserve(MiB);
  fake_fail_two(FAKE_OPEN, 2);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), ENOMEM);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), ENOMEM);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  fake_fail_from(FAKE_OPEN, 2);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  for (int i = 0; i < 10; i++) CHECK_EQ(mii_platform_open(p, 4 * KiB), ENOMEM);
  CHECK_EQ(fake_failures_of(FAKE_OPEN), 12);
  CHECK_EQ(fake_failures_of(FAKE_PURGE), 0);
}

TEST(a_call_may_fail_half_way) {
  uint8_t* const p = reserve(MiB);
  CHECK(fake_fail_partly(FAKE_OPEN, 1));
  CHECK_EQ(mii_platform_open(p, 40 * KiB), ENOMEM);
  CHECK(fake_is_all(p, 20 * KiB, FAKE_OPENED));
  CHECK_EQ(fake_bytes_in(FAKE_OPENED), 20 * KiB);
  CHECK_EQ(mii_platform_open(p, 40 * KiB), 0);
  memset(p, 1, 40 * KiB);
  CHECK(fake_fail_partly(FAKE_PURGE, 1));
  CHECK_EQ(mii_platform_purge(p, 40 * KiB), ENOMEM);
  CHECK(is_zero(p, 20 * KiB) && is_all(p + 20 * KiB, 20 * KiB, 1));
  CHECK(fake_fail_partly(FAKE_RELEASE, 1));
  CHECK_EQ(mii_platform_release(p, MiB), ENOMEM);
  CHECK(fake_is_all(p, 512 * KiB, FAKE_FREE));
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED), 512 * KiB);
  CHECK_EQ(fake_failures(), 3);
}

TEST(reserving_in_part_leaves_small_pieces) {
  void* p;
  CHECK(fake_fail_partly(FAKE_RESERVE, 1));
  CHECK_EQ(mii_platform_reserve(8 * MiB, &p), ENOMEM);
  CHECK_EQ(mii_platform_reserve(4 * MiB, &p), ENOMEM);
  CHECK_EQ(mii_platform_reserve(2 * MiB, &p), 0);
}

TEST(what_returns_no_code_fails_in_its_own_way) {
  fake_set_clock(700);
  CHECK_EQ(mii_platform_clock_ms(), 700);
  fake_set_clock(800);
  CHECK(fake_fail_partly(FAKE_CLOCK, 1));
  CHECK_EQ(mii_platform_clock_ms(), 700);
  CHECK_EQ(mii_platform_clock_ms(), 800);
  fake_fail_nth(FAKE_CLOCK, 1);
  CHECK_EQ(mii_platform_clock_ms(), 0);

  CHECK(fake_fail_partly(FAKE_WRITE, 1));
  mii_platform_write(2, "half of it", 10);
  CHECK_TEXT(fake_output(), "half ");

  fake_set_environment("NAME", "value");
  fake_fail_nth(FAKE_ENVIRONMENT, 1);
  CHECK(!mii_platform_has_environment());
  CHECK_TEXT(mii_platform_environment("NAME"), "value");

  platform_facts_t facts;
  fake_facts.memory_bytes = 5 * MiB;
  fake_fail_nth(FAKE_FACTS, 1);
  mii_platform_facts(&facts);
  CHECK_EQ(facts.memory_bytes, GiB);
  mii_platform_facts(&facts);
  CHECK_EQ(facts.memory_bytes, 5 * MiB);

  fake_fail_nth(FAKE_KEEP_STDERR, 1);
  CHECK_EQ(mii_platform_keep_stderr(), STDERR_FILENO);
  CHECK(!fake_fail_partly(FAKE_THREAD_ARM, 1));
}

TEST(every_primitive_has_a_name) {
  for (int call = 0; call < FAKE_CALLS; call++) {
    CHECK(fake_call_name((fake_call_t)call) != NULL);
  }
}

TEST(reservations_begin_where_they_are_told) {
  for (size_t phase = 0; phase < 4 * MiB; phase += 1 * MiB + 4 * KiB) {
    fake_reserve_at_phase(phase);
    CHECK_EQ((uintptr_t)reserve(8 * MiB) % (4 * MiB), phase);
  }
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED), 4 * 8 * MiB);
}

static uint32_t hook_calls;
static void hook(void* p) {
  hook_calls++;
  CHECK_EQ(*(const uint8_t*)p, 7);
  mii_platform_purge(p, 4 * KiB);  // not hooked again
}

TEST(hooks_run_before_the_call_takes_effect) {
  uint8_t* const p = reserve(MiB);
  CHECK_EQ(mii_platform_open(p, 4 * KiB), 0);
  *p = 7;
  fake_on_call(FAKE_PURGE, hook, p);
  CHECK_EQ(mii_platform_purge(p, 4 * KiB), 0);
  CHECK_EQ(hook_calls, 1);
  CHECK_EQ(*p, 0);
}

UNIT_TEST_MAIN
