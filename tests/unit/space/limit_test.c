// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "space/hint.h"
#include "space/huge.h"
#include "space/limit.h"
#include "space/purge.h"
#include "space/range.h"
#include "space/run.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"

enum { RANGE_SEGMENTS = 32 };

static void start(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  fake_space_start();
  mii_limit_set(&mii_limit, 0, 0);
}

static uint8_t* take(uint32_t slices) {
  bool zero;
  return (uint8_t*)mii_huge_take((slice_request_t){.count = slices}, &zero);
}

static uint8_t* take_run(uint32_t units) {
  uint32_t segment = 0;
  bool zero;
  return (uint8_t*)mii_run_take((run_request_t){.count = units}, &segment, &zero);
}

static bool is_charged(size_t bytes) { return mii_limit_charged() == bytes; }

TEST(slices_are_charged_when_they_begin_to_be_dirty) {
  start();
  uint8_t* const p = take(100);
  CHECK(is_charged(100 * SLICE_BYTES));
  mii_huge_give(p);
  CHECK(is_charged(100 * SLICE_BYTES));  // warm
  CHECK(take(100) == p);
  CHECK(is_charged(100 * SLICE_BYTES));
  mii_huge_give(p);
  mii_purge_all();
  CHECK(is_charged(0));
  CHECK(fake_space_is_valid());
}

TEST(units_of_runs_are_charged_one_by_one) {
  start();
  uint8_t* const p = take_run(10);
  uint8_t* const q = take_run(100);
  CHECK(is_charged(110 * UNIT_BYTES));
  mii_run_give(q);
  CHECK(take_run(100) == q);
  CHECK(is_charged(110 * UNIT_BYTES));
  CHECK(mii_run_resize(q, 150));
  CHECK(is_charged(160 * UNIT_BYTES));
  mii_run_give(q);
  mii_purge_all();
  CHECK(is_charged(10 * UNIT_BYTES));
  mii_run_give(p);
  mii_purge_all();  // the area ends
  CHECK(is_charged(0));
  CHECK(fake_space_is_valid());
}

TEST(what_cannot_be_purged_stays_charged) {
  start();
  uint8_t* const p = take(10);
  uint8_t* const run = take_run(10);
  fake_fail_from(FAKE_PURGE, 1);
  mii_huge_give(p);
  mii_run_give(run);
  take_run(5);
  mii_purge_all();
  CHECK(is_charged(10 * SLICE_BYTES + 10 * UNIT_BYTES));
  CHECK(fake_space_is_valid());
}

TEST(the_hard_limit_holds_to_the_byte) {
  start();
  mii_limit_set(&mii_limit, 0, 100 * SLICE_BYTES);
  CHECK(take(101) == NULL);
  uint8_t* const p = take(60);
  CHECK(p != NULL);
  CHECK(take(41) == NULL);
  uint8_t* const q = take(40);
  CHECK(q != NULL);
  CHECK(take(1) == NULL);
  CHECK(!mii_huge_resize(q, 41));
  CHECK(take_run(1) == NULL);
  CHECK(is_charged(100 * SLICE_BYTES));
  CHECK(mii_huge_resize(q, 39));  // what it gives up is warm
  CHECK(take(1) != NULL);
  CHECK(fake_space_is_valid());
}

TEST(refusals_open_no_memory_and_mark_none) {
  start();
  take(10);
  mii_limit_set(&mii_limit, 0, 20 * SLICE_BYTES);
  const size_t open = mii_slice_count();
  for (int i = 0; i < 100; i++) CHECK(take(11) == NULL);
  for (int i = 0; i < 100; i++) CHECK(take(200) == NULL);
  CHECK_EQ(mii_slice_count(), open);
  CHECK(is_charged(10 * SLICE_BYTES));
  CHECK(fake_space_is_valid());
}

TEST(runs_are_refused_at_the_limit) {
  start();
  mii_limit_set(&mii_limit, 0, SEGMENT_BYTES + 10 * SLICE_BYTES);
  uint8_t* runs[40];
  size_t count = 0;
  while (count < 40 && (runs[count] = take_run(RUN_UNITS_MAX)) != NULL) count++;
  CHECK_EQ(count, 4);  // the next area would pass it
  CHECK(mii_limit_charged() <= SEGMENT_BYTES + 10 * SLICE_BYTES);
  mii_run_give(runs[0]);
  CHECK(take_run(RUN_UNITS_MAX) == runs[0]);
  CHECK(fake_space_is_valid());
}

TEST(a_limit_below_what_is_in_use_refuses_more) {
  start();
  uint8_t* const p = take(50);
  mii_limit_set(&mii_limit, 0, 20 * SLICE_BYTES);
  CHECK(take(1) == NULL);
  mii_huge_give(p);
  mii_purge_all();
  CHECK(take(20) != NULL);
  CHECK(take(1) == NULL);
}

TEST(beyond_the_soft_limit_free_memory_goes_back_first) {
  start();
  mii_limit_set(&mii_limit, 50 * SLICE_BYTES, 0);
  uint8_t* const p = take(40);
  CHECK(take(5) != NULL);
  mii_huge_give(p);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
  CHECK(take(41) != NULL);  // does not fit into what is warm
  CHECK(take(1) != NULL);
  CHECK(fake_calls(FAKE_PURGE) > 0);
  CHECK(is_charged(47 * SLICE_BYTES));
  CHECK(fake_space_is_valid());
}

TEST(the_soft_limit_does_not_purge_at_every_step) {
  start();
  mii_limit_set(&mii_limit, 10 * SLICE_BYTES, 0);
  CHECK(take(320) != NULL);
  for (int i = 0; i < 100; i++) {
    uint8_t* const p = take(1);
    CHECK(p != NULL);
    mii_huge_give(p);
  }
  CHECK(fake_calls(FAKE_PURGE) <= 2);
}

TEST(purging_begins_again_at_the_soft_limit_after_less_was_in_use) {
  limit_t limit = {0};
  mii_limit_set(&limit, 100, 0);
  CHECK(!mii_limit_is_to_purge(&limit, 100));
  CHECK(mii_limit_is_to_purge(&limit, 160));
  CHECK(!mii_limit_is_to_purge(&limit, 165));
  CHECK(mii_limit_is_to_purge(&limit, 171));
  CHECK(!mii_limit_is_to_purge(&limit, 90));
  CHECK(mii_limit_is_to_purge(&limit, 101));
}

static void take_and_give(void) {
  fake_facts.memory_bytes = (size_t)RANGE_SEGMENTS * SEGMENT_BYTES / 16;
  if (!mii_range_start(&fake_facts) || !mii_hint_start(mii_range.segment_max)) return;
  mii_limit_set(&mii_limit, 100 * SLICE_BYTES, 200 * SLICE_BYTES);
  for (uint32_t i = 0; i < 20; i++) {
    uint8_t* const p = i % 2 == 0 ? take(i * 3 + 1) : take_run(i * 10 + 1);
    if (p != NULL) p[0] = 1;
    if (i % 3 == 0 && p != NULL) i % 2 == 0 ? mii_huge_give(p) : (void)mii_run_give(p);
    CHECK(mii_limit_charged() <= 200 * SLICE_BYTES);
  }
  mii_purge_all();
  CHECK(fake_space_is_valid());
}

TEST(with_every_fault_the_charge_is_what_is_dirty) {
  CHECK(fake_try_every_fault(FAKE_ANY, take_and_give) > 10);
}

UNIT_TEST_MAIN
