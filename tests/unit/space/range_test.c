// SPDX-License-Identifier: MIT
// Looks at the parts of the reservation, so it includes the source file.
#include "support/unit_test.h"
#include "space/range.c"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include <sys/mman.h>

#define SEGMENT ((size_t)SEGMENT_BYTES)

static const size_t os_page_sizes[] = {4 * KiB, 16 * KiB, 64 * KiB};

static bool start(void) { return mii_range_start(&fake_facts); }

// A range of exactly this many segments.
static void start_with(uint32_t segments) {
  fake_facts.memory_bytes = segments * SEGMENT / 16;
  CHECK(start());
  CHECK_EQ(mii_range.segment_max, segments);
}

static void grow_to(uint32_t segments) {
  while (mii_segment_count() < segments) CHECK(mii_range_grow(1));
}

static uint32_t open_segments_after_growing_by(uint32_t count) {
  const uint32_t before = mii_segment_count();
  CHECK(mii_range_grow(count));
  CHECK(mii_range_is_valid());
  return mii_segment_count() - before;
}

static void touch_records(slice_t slice) {
  mii_page_record(slice)->size_class++;
  mii_hot_record(slice)->needed++;
}

// Everything that is described must be there: touch the first and last of each.
static void touch_what_is_open(void) {
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    mii_segment(i)->cold[0].slice_count++;
    mii_segment(i)->cold[SEGMENT_SLICES - 1].slice_count++;
  }
  for (slice_t s = 1; s < mii_slice_count(); s++) {
    touch_records(s);
    *mii_slice_start(s) = 1;
    mii_slice_start(s)[SLICE_BYTES - 1] = 1;
  }
}

// Where we are before the start ------------------------------------------------------------------

TEST(before_the_start_no_pointer_is_in_the_range) {
  CHECK(!mii_range_has(NULL));
  CHECK(!mii_range_has(&mii_range));
  CHECK(!mii_range_has((void*)UINTPTR_MAX));
  CHECK_EQ(mii_slice_count(), 0);
  CHECK_EQ(mii_segment_count(), 0);
}

// Layout -----------------------------------------------------------------------------------------

TEST(a_start_reserves_once_and_opens_nothing) {
  CHECK(start());
  CHECK_EQ(fake_calls(FAKE_RESERVE), 1);
  CHECK_EQ(fake_calls(FAKE_OPEN), 0);
  CHECK_EQ(mii_slice_count(), 0);
  CHECK_EQ(mii_range.slice_max, (size_t)mii_range.segment_max * SEGMENT_SLICES);
  CHECK_EQ(mii_range_reserved_bytes(), fake_bytes(FAKE_RESERVE));
  CHECK_EQ(mii_meta_open_bytes(), 0);
  CHECK(mii_range_is_valid());
}

// The order of the parts, with guards between, in a reservation that begins anywhere.
static void check_layout(void) {
  const uintptr_t begin = (uintptr_t)fake_latest(FAKE_RESERVE).address;
  const uintptr_t end = begin + mii_range_reserved_bytes();
  CHECK_EQ(mii_range.base % SEGMENT, 0);
  CHECK_EQ(page_part.start + page_part.size, mii_range.base);
  CHECK_EQ(hot_part.start + hot_part.size, page_part.start);
  CHECK(hot_part.start - segment_part.start - segment_part.size >= GUARD_BYTES);
  CHECK_EQ(meta_part.start, segment_part.start);
  CHECK(meta_part.start - meta_part.size - begin >= GUARD_BYTES);
  CHECK(mii_range.base + mii_range.segment_max * SEGMENT <= end);
  CHECK_EQ((uintptr_t)mii_range.segments % 64, 0);
}

TEST(the_parts_lie_in_their_order_wherever_the_reservation_begins) {
  for (size_t page = 0; page < COUNT_OF(os_page_sizes); page++) {
    for (size_t phase = 0; phase < SEGMENT; phase += os_page_sizes[page]) {
      fake_reset();
      fake_facts.os_page_size = os_page_sizes[page];
      fake_reserve_at_phase(phase);
      CHECK(start());
      check_layout();
      mii_range_stop();
    }
  }
}

TEST(odd_numbers_of_segments_have_room_too) {
  for (uint32_t segments = 16; segments < 90; segments += 7) {
    start_with(segments);
    check_layout();
    grow_to(segments);
    touch_what_is_open();
    CHECK(mii_range_is_valid());
    mii_range_stop();
  }
}

static void use_up_everything(void) {
  grow_to(mii_range.segment_max);
  while (mii_meta_take(64 * KiB) != NULL) {}
  while (mii_meta_take(64) != NULL) {}
}

TEST(guards_are_never_opened) {
  for (size_t page = 0; page < COUNT_OF(os_page_sizes); page++) {
    fake_reset();
    fake_facts.os_page_size = os_page_sizes[page];
    fake_reserve_at_phase(64 * KiB);
    start_with(20);
    use_up_everything();
    uint8_t* const begin = (uint8_t*)fake_latest(FAKE_RESERVE).address;
    uint8_t* const base = mii_slice_start(0);
    CHECK(fake_is_all(begin, GUARD_BYTES, FAKE_RESERVED));
    CHECK(fake_is_all(begin, (size_t)((uint8_t*)(meta_part.start - meta_part.size) - begin),
                      FAKE_RESERVED));
    uint8_t* const below_records = (uint8_t*)hot_part.start - GUARD_BYTES;
    CHECK(fake_is_all(below_records, GUARD_BYTES, FAKE_RESERVED));
    CHECK(fake_is_all(base, SLICE_BYTES, FAKE_RESERVED));
    uint8_t* const behind = mii_slice_start((slice_t)mii_range.slice_max);
    CHECK(fake_state_of(behind) != FAKE_OPENED);
    CHECK_EQ(fake_state_of(behind - 1), FAKE_OPENED);
    mii_range_stop();
  }
}

static void write_record(void* slice) { mii_page_record(*(slice_t*)slice)->size_class = 1; }
static void write_hot_record(void* slice) { mii_hot_record(*(slice_t*)slice)->needed = 1; }

TEST(all_page_records_can_be_read_from_the_start_but_not_written) {
  start_with(64);
  for (slice_t s = 0; s < mii_range.slice_max; s++) CHECK_EQ(mii_slice_kind(s), SLICE_FREE);
  slice_t slice = 64;
  CHECK(stops_the_process(write_record, &slice));
  grow_to(2);
  CHECK(!stops_the_process(write_record, &slice));
  CHECK(!stops_the_process(write_hot_record, &slice));
  slice = (slice_t)mii_range.slice_max - 1;
  CHECK(stops_the_process(write_record, &slice));
  CHECK(stops_the_process(write_hot_record, &slice));
}

// Limits -----------------------------------------------------------------------------------------

static size_t range_bytes_with(size_t memory, size_t limit) {
  fake_facts.memory_bytes = memory;
  fake_facts.address_limit = limit;
  CHECK(start());
  const size_t bytes = mii_range.segment_max * SEGMENT;
  CHECK(mii_range_reserved_bytes() >= bytes);
  mii_range_stop();
  return bytes;
}

TEST(the_range_is_16_times_the_memory_within_bounds) {
  CHECK_EQ(range_bytes_with(RANGE_BYTES_MAX / 64, SIZE_MAX), RANGE_BYTES_MAX / 4);
  CHECK_EQ(range_bytes_with(5 * MiB + 1, SIZE_MAX), 80 * MiB);
  CHECK_EQ(range_bytes_with(MiB, SIZE_MAX), 16 * MiB);
  CHECK_EQ(range_bytes_with(0, SIZE_MAX), SEGMENT);
#ifndef UNIT_TEST_TSAN  // which has maps of its own where the largest range might go
  CHECK_EQ(range_bytes_with(RANGE_BYTES_MAX / 16, SIZE_MAX), RANGE_BYTES_MAX);
  CHECK_EQ(range_bytes_with(SIZE_MAX, SIZE_MAX), RANGE_BYTES_MAX);
#endif
}

TEST(the_range_leaves_half_of_a_limited_address_space) {
  CHECK_EQ(range_bytes_with(SIZE_MAX, RANGE_BYTES_MAX), RANGE_BYTES_MAX / 2);
  CHECK_EQ(range_bytes_with(RANGE_BYTES_MAX / 64, RANGE_BYTES_MAX), RANGE_BYTES_MAX / 4);
  CHECK_EQ(range_bytes_with(GiB, 100 * MiB), 48 * MiB);
  CHECK_EQ(range_bytes_with(GiB, 16 * MiB), 8 * MiB);
  CHECK_EQ(range_bytes_with(GiB, 0), SEGMENT);
}

TEST(a_refused_reservation_makes_the_range_smaller) {
  fake_fail_above(FAKE_RESERVE, 200 * MiB);
  CHECK(start());  // 1024, 512, 256, 128 MiB
  CHECK_EQ(fake_calls(FAKE_RESERVE), 4);
  CHECK_EQ(mii_range.segment_max * SEGMENT, 128 * MiB);
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN), mii_range_reserved_bytes());
  grow_to(mii_range.segment_max);
  touch_what_is_open();
}

TEST(without_the_smallest_reservation_there_is_no_range) {
  fake_fail_above(FAKE_RESERVE, SEGMENT);  // the smallest needs more, for the records
  CHECK(!start());
  CHECK(!mii_range_has(NULL));
  CHECK_EQ(mii_range.slice_max, 0);
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED), 0);
  fake_fail_never();
  CHECK(start());
  CHECK(mii_range_grow(1));
}

TEST(the_smallest_range_is_tried_whatever_the_first_was) {
  fake_facts.memory_bytes = 31 * SEGMENT / 16;  // 31 segments, then 15, 7, 3
  fake_fail_above(FAKE_RESERVE, 12 * MiB);
  CHECK(start());
  CHECK_EQ(mii_range.segment_max, 1);
  CHECK(mii_range_grow(1));
  touch_what_is_open();
}

TEST(a_start_whose_records_cannot_be_shown_leaves_nothing) {
  fake_fail_nth(FAKE_SHOW, 1);
  CHECK(!start());
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN), 0);
  CHECK(!mii_range_has(NULL));
  CHECK(start());
  CHECK(mii_range_grow(1));
}

TEST(a_stop_gives_everything_back) {
  start_with(16);
  grow_to(5);
  CHECK(mii_meta_take(1000) != NULL);
  mii_range_stop();
  CHECK_EQ(fake_bytes_in(FAKE_OPENED) + fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN),
           0);
  CHECK_EQ(mii_slice_count(), 0);
  CHECK(!mii_range_has(NULL));
  mii_range_stop();  // nothing to do
  CHECK_EQ(fake_calls(FAKE_RELEASE), 1);
  start_with(17);
  grow_to(17);
  touch_what_is_open();
}

TEST(after_a_stop_nothing_counts_as_reserved_or_open) {
  start_with(16);
  grow_to(1);
  mii_range_stop();
  CHECK_EQ(mii_range_reserved_bytes(), 0);
  CHECK_EQ(mii_meta_open_bytes(), 0);
}

// Growth -----------------------------------------------------------------------------------------

TEST(small_heaps_grow_segment_by_segment) {
  start_with(64);
  for (uint32_t i = 0; i < 16; i++) CHECK_EQ(open_segments_after_growing_by(1), 1);
  CHECK_EQ(open_segments_after_growing_by(1), 2);  // an eighth
  touch_what_is_open();
}

TEST(large_heaps_grow_by_an_eighth_and_at_most_64_mib) {
  start_with(250);
  grow_to(40);
  while (mii_segment_count() < 250) {
    const uint32_t before = mii_segment_count();
    const size_t step = mii_min(mii_min(before / 8, 16), 250 - before);
    CHECK_EQ(open_segments_after_growing_by(1), step);
  }
}

TEST(growth_opens_what_is_asked_for_at_least) {
  start_with(64);
  CHECK_EQ(open_segments_after_growing_by(10), 10);
  CHECK_EQ(open_segments_after_growing_by(30), 30);
  CHECK_EQ(open_segments_after_growing_by(1), 5);
  CHECK(mii_range_grow(0));
  touch_what_is_open();
}

TEST(new_segments_are_free_except_for_the_slice_that_guards) {
  start_with(16);
  grow_to(3);
  CHECK_EQ(mii_segment(0)->free, ~UINT64_C(1));
  for (uint32_t i = 1; i < 3; i++) CHECK_EQ(mii_segment(i)->free, ~UINT64_C(0));
  for (uint32_t i = 0; i < 3; i++) {
    CHECK_EQ(mii_segment(i)->dirty, 0);
    CHECK_EQ(mii_segment(i)->purgeable, 0);
    CHECK_EQ(mii_segment(i)->runs, NULL);
  }
}

TEST(the_range_ends_where_it_ends) {
  start_with(20);
  grow_to(18);
  CHECK(!mii_range_grow(3));
  CHECK_EQ(mii_segment_count(), 18);
  CHECK(mii_range_grow(2));
  CHECK_EQ(mii_segment_count(), 20);
  CHECK(!mii_range_grow(1));
  CHECK(!mii_range_grow(1000000));
  CHECK(mii_range_grow(0));
  CHECK_EQ(mii_segment_count(), 20);
  CHECK(mii_range_is_valid());
  touch_what_is_open();
}

TEST(the_records_are_opened_ahead) {
  start_with(256);
  grow_to(1);
  const size_t calls = fake_calls(FAKE_OPEN);
  grow_to(17);
  CHECK(fake_calls(FAKE_OPEN) - calls <= 16 + 2);  // slices each time, records now and then
}

TEST(a_refused_step_is_halved_down_to_what_is_needed) {
  start_with(250);
  grow_to(136);  // steps of 16 from here on
  fake_fail_above(FAKE_OPEN, 5 * SEGMENT);
  CHECK_EQ(open_segments_after_growing_by(1), 4);
  CHECK_EQ(open_segments_after_growing_by(5), 5);
  const uint32_t before = mii_segment_count();
  CHECK(!mii_range_grow(6));
  CHECK_EQ(mii_segment_count(), before);
  CHECK(mii_range_is_valid());
  fake_fail_above(FAKE_OPEN, SEGMENT);
  CHECK_EQ(open_segments_after_growing_by(1), 1);
  fake_fail_above(FAKE_OPEN, SEGMENT - 1);
  CHECK(!mii_range_grow(1));
  fake_fail_never();
  CHECK_EQ(open_segments_after_growing_by(1), 16);
  touch_what_is_open();
}

TEST(records_are_opened_in_small_pieces_when_the_system_is_tight) {
  start_with(256);
  fake_fail_above(FAKE_OPEN, 16 * KiB);
  CHECK(!mii_range_grow(1));  // the records could be opened, the slices not
  CHECK_EQ(segment_part.open, mii_align_up(sizeof(segment_t), 4 * KiB));
  CHECK_EQ(page_part.open, 4 * KiB);
  CHECK_EQ(hot_part.open, 4 * KiB);
  CHECK(mii_meta_take(16 * KiB) != NULL);
  CHECK(mii_meta_take(16 * KiB + 1) == NULL);
  CHECK_EQ(meta_part.open, 16 * KiB);
  CHECK(mii_range_is_valid());
  fake_fail_never();
  grow_to(2);
  touch_what_is_open();
}

TEST(more_segments_than_can_be_counted_are_refused) {
  start_with(16);
  grow_to(2);
  CHECK(!mii_range_grow(UINT32_MAX));
}

// Another thread has the lock, as far as we are concerned.
static void lock_as_another(void) {
  mii_range_lock();
  mii_lock_note(0 - (uint32_t)LOCK_GROWTH);
}

// Somebody else grows while we wait for the lock.
static void grow_meanwhile(void* count) {
  fake_on_call(FAKE_YIELD, NULL, NULL);
  mii_lock_note(LOCK_GROWTH);
  mii_range_unlock();
  CHECK(mii_range_grow(*(uint32_t*)count));
}

TEST(who_waited_for_another_to_grow_looks_again_first) {
  start_with(64);
  uint32_t theirs = 3;
  lock_as_another();
  fake_on_call(FAKE_YIELD, grow_meanwhile, &theirs);
  CHECK(mii_range_grow(3));
  CHECK_EQ(mii_segment_count(), 3);

  theirs = 2;
  lock_as_another();
  fake_on_call(FAKE_YIELD, grow_meanwhile, &theirs);
  CHECK(mii_range_grow(4));  // theirs is not enough
  CHECK_EQ(mii_segment_count(), 3 + 2 + 4);
}

// Where addresses are scarce -----------------------------------------------------------------------
// The fake tells so with 64 bits, too.

enum { FIRST = SCARCE_SEGMENTS };  // segments reserved at the start

static void start_scarce(void) {
  fake_facts.scarce_end = sizeof(void*) == 8 ? ((uintptr_t)1 << 47) - GiB : (uintptr_t)&fake_facts;
  CHECK(start());
  CHECK_EQ(mii_range.slice_reserved, FIRST * SEGMENT_SLICES);
  CHECK(mii_range.segment_max > 1000);
}

static uint8_t* memory_of(uint32_t segment) { return mii_slice_start(segment * SEGMENT_SLICES); }

// Each segment is ours, open as a whole, and free, or foreign, and has nothing of ours.
static void check_segments(void) {
  CHECK(mii_range_is_valid());
  for (uint32_t i = FIRST; i < mii_segment_count(); i++) {
    const bool foreign = mii_segment_is_foreign(i);
    uint8_t* const p = memory_of(i);
    CHECK_EQ(mii_segment(i)->free, foreign ? 0 : ~UINT64_C(0));
    CHECK_EQ(mii_range_owns(p), !foreign);
    CHECK_EQ(mii_range_owns(p + SEGMENT - 1), !foreign);
    if (!foreign) CHECK(fake_is_all(p, SEGMENT, FAKE_OPENED));
    if (foreign) CHECK_EQ(fake_state_of(p + SEGMENT - 2), FAKE_FREE);
    CHECK_EQ(mii_slice_kind(i * SEGMENT_SLICES), SLICE_FREE);
    touch_records(i * SEGMENT_SLICES + 63);
    if (!foreign) *p = p[SEGMENT - 1] = 1;
  }
}

// Somebody else's memory in a segment that is not open yet. True if the place was free.
static bool settle_in(uint32_t segment) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  uint8_t* const at = memory_of(segment) + SEGMENT / 2;
  return mmap(at, 4 * KiB, PROT_READ, flags, -1, 0) == at;
}

static void leave(uint32_t segment) { munmap(memory_of(segment) + SEGMENT / 2, 4 * KiB); }

TEST(scarce_addresses_are_reserved_as_the_range_grows) {
  start_scarce();
  grow_to(FIRST);
  CHECK_EQ(fake_calls(FAKE_RESERVE_AT), 0);
  CHECK_EQ(mii_range_reserved_bytes(), fake_bytes(FAKE_RESERVE));
  for (int i = 0; i < 20; i++) {
    const uint32_t before = mii_segment_count();
    CHECK(mii_range_grow(1));
    const uint32_t last = mii_segment_count() - 1;
    CHECK(last >= before && !mii_segment_is_foreign(last));
  }
  check_segments();
  CHECK_EQ(fake_bytes(FAKE_RESERVE_AT), 20 * SEGMENT);
  CHECK_EQ(mii_range_reserved_bytes(), fake_bytes(FAKE_RESERVE) + 20 * SEGMENT);
  mii_range_stop();
  CHECK_EQ(fake_bytes_in(FAKE_OPENED) + fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN),
           0);
}

TEST(under_a_small_limit_scarce_addresses_are_reserved_as_plenty_are) {
  fake_facts.scarce_end = sizeof(void*) == 8 ? ((uintptr_t)1 << 47) - GiB : (uintptr_t)&fake_facts;
  const size_t scarce = layout_of(segments_in_all(), FIRST).total;
  CHECK_EQ(range_bytes_with(GiB, 100 * MiB), 48 * MiB);
  CHECK_EQ(range_bytes_with(GiB, 0), SEGMENT);
  fake_facts.address_limit = scarce * 2 - 1;
  CHECK(start());
  CHECK(mii_range.segment_max < segments_in_all());
  CHECK_EQ(mii_range.slice_reserved, mii_range.slice_max);
  grow_to(mii_range.segment_max);
  CHECK(!mii_range_grow(1));
  CHECK_EQ(fake_calls(FAKE_RESERVE_AT), 0);
  mii_range_stop();
  fake_facts.address_limit = scarce * 2;
  start_scarce();
  mii_range_stop();
  fake_fail_above(FAKE_RESERVE, scarce - 1);  // without a limit, too, less is better than nothing
  fake_facts.address_limit = SIZE_MAX;
  CHECK(start());
  CHECK(mii_range_grow(1));
}

TEST(what_did_not_fit_into_the_first_reservation_leaves_the_rest_of_it_for_others) {
  start_scarce();
  grow_to(3);
  CHECK(mii_range_grow(FIRST));
  const uint32_t open = mii_segment_count();
  CHECK(open >= 2 * FIRST);
  CHECK(mii_segment_is_foreign(3));
  CHECK_EQ(fake_bytes(FAKE_RESERVE_AT), FIRST * SEGMENT);
  CHECK(mii_range_grow(FIRST - 6));
  for (uint32_t i = 0; i < 3; i++) CHECK(mii_range_grow(1));
  for (uint32_t i = 0; i < FIRST; i++) {
    CHECK(!mii_segment_is_foreign(i));
    CHECK(fake_is_all(memory_of(i) + SLICE_BYTES, SEGMENT - SLICE_BYTES, FAKE_OPENED));
  }
  CHECK_EQ(mii_segment_count(), open);
  CHECK_EQ(fake_bytes(FAKE_RESERVE_AT), FIRST * SEGMENT);
  check_segments();
  CHECK(mii_range_grow(1));
  CHECK_EQ(fake_bytes(FAKE_RESERVE_AT), (FIRST + 1) * SEGMENT);
  check_segments();
}

TEST(memory_that_is_refused_is_not_looked_for_elsewhere) {
  start_scarce();
  grow_to(3);
  fake_fail_above(FAKE_OPEN, SEGMENT - 1);
  CHECK(!mii_range_grow(1));
  CHECK(!mii_range_grow(FIRST - 3));
  CHECK_EQ(fake_calls(FAKE_RESERVE_AT), 0);
  CHECK_EQ(mii_segment_count(), 3);
  fake_fail_never();
  CHECK(mii_range_grow(FIRST));
  fake_fail_above(FAKE_OPEN, SEGMENT - 1);
  const size_t calls = fake_calls(FAKE_RESERVE_AT);
  CHECK(!mii_range_grow(1));  // nor from what was left out
  CHECK_EQ(fake_calls(FAKE_RESERVE_AT), calls);
  CHECK(mii_range_room() > GiB);
  check_segments();
}

TEST(segments_in_a_row_are_reserved_in_a_row) {
  start_scarce();
  for (uint32_t count = 1; count < 10; count++) {
    CHECK(mii_range_grow(count));
    const uint32_t end = mii_segment_count();
    for (uint32_t i = end - count; i < end; i++) CHECK(!mii_segment_is_foreign(i));
  }
  check_segments();
  CHECK(!mii_range_grow(mii_range.segment_max));
  CHECK(!mii_range_grow(UINT32_MAX));
}

// The first segment that is ours and was not reserved at the start.
static uint32_t grow_beyond_the_first(void) {
  grow_to(FIRST);
  CHECK(mii_range_grow(1));
  return mii_segment_count() - 1;
}

TEST(what_others_have_is_left_to_them_until_they_are_gone) {
  start_scarce();
  const uint32_t begin = grow_beyond_the_first();
  const uint32_t theirs = begin + 2;
  CHECK(settle_in(theirs));
  while (mii_segment_count() < begin + 6) CHECK(mii_range_grow(1));
  CHECK(mii_segment_is_foreign(theirs));
  CHECK(!mii_range_owns(memory_of(theirs) + SEGMENT / 2));
  check_segments();

  mii_range.segment_max = mii_segment_count();  // full
  CHECK(!mii_range_grow(1));
  leave(theirs);
  const uint32_t count = mii_segment_count();
  CHECK(mii_range_grow(1));
  CHECK(!mii_segment_is_foreign(theirs));
  CHECK_EQ(mii_segment_count(), count);
  check_segments();
  CHECK(!mii_range_grow(1));
  CHECK_EQ(mii_range_room(), 0);
}

TEST(a_refused_reservation_or_opening_changes_nothing) {
  start_scarce();
  grow_beyond_the_first();
  const uint32_t count = mii_segment_count();
  const size_t reserved = mii_range_reserved_bytes();
  fake_fail_from(FAKE_RESERVE_AT, 1);
  const size_t calls = fake_calls(FAKE_RESERVE_AT);
  CHECK(!mii_range_grow(1));
  CHECK_EQ(fake_calls(FAKE_RESERVE_AT), calls + 1);  // no other place would be better
  CHECK_EQ(mii_range_room(), 0);
  fake_fail_never();
  fake_fail_above(FAKE_OPEN, SEGMENT - 1);
  CHECK(!mii_range_grow(1));
  CHECK_EQ(fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN) + fake_bytes_in(FAKE_OPENED),
           reserved);
  CHECK_EQ(mii_range_reserved_bytes(), reserved);
  CHECK_EQ(mii_segment_count(), count);
  CHECK(mii_range_room() > GiB);  // it was not for want of addresses
  fake_fail_never();
  CHECK(mii_range_grow(1));
  check_segments();
}

TEST(nothing_is_reserved_at_null_or_beyond_the_end) {
  start_scarce();
  scarce_end = mii_range.base + (FIRST + 5) * SEGMENT + 1;
  if (sizeof(void*) == 8) {
    while (mii_range_grow(1)) {}
    CHECK(mii_segment_count() <= FIRST + 5);
  }
  CHECK(!may_claim(0, SEGMENT));
  CHECK(may_claim(SEGMENT, SEGMENT));
  CHECK(may_claim(scarce_end - SEGMENT, SEGMENT));
  CHECK(!may_claim(scarce_end - SEGMENT + 1, SEGMENT));
  CHECK(!may_claim(scarce_end, SEGMENT));
  CHECK(!may_claim(SEGMENT, scarce_end));
  CHECK(!may_claim((uintptr_t)0 - SEGMENT, SEGMENT));
}

TEST(a_pointer_into_our_records_is_not_ours) {
  start_scarce();
  grow_beyond_the_first();
  CHECK(mii_range_owns(memory_of(0)));
  CHECK(!mii_range_owns(mii_range.segments));
  CHECK(!mii_range_owns(mii_page_record(5)));
  CHECK(!mii_range_owns(&fake_facts));
  CHECK(!mii_range_owns(NULL));
}

// Metadata ---------------------------------------------------------------------------------------

TEST(metadata_is_zero_aligned_and_apart) {
  CHECK(start());
  random_t random = {3};
  uint8_t* below = (uint8_t*)mii_range.segments;
  for (int i = 0; i < 2000; i++) {
    const size_t size = 1 + random_below(&random, i % 100 == 0 ? 100000 : 300);
    uint8_t* const p = (uint8_t*)mii_meta_take(size);
    CHECK(p != NULL);
    CHECK_EQ((uintptr_t)p % 64, 0);
    CHECK(p + size <= below);  // each lies below the one before
    CHECK(is_zero(p, size));
    memset(p, 0xAB, size);
    below = p;
  }
  CHECK(mii_range_is_valid());
  CHECK(mii_meta_open_bytes() >= (size_t)((uint8_t*)mii_range.segments - below));
}

TEST(handles_name_metadata_and_0_names_none) {
  CHECK(start());
  uint32_t before = 0;
  for (int i = 0; i < 1000; i++) {
    void* const p = mii_meta_take(100);
    const uint32_t handle = mii_meta_handle(p);
    CHECK(handle > before);
    CHECK_EQ(mii_meta_pointer(handle), p);
    before = handle;
  }
}

TEST(metadata_ends_where_it_ends) {
  start_with(16);
  const size_t room = meta_part.size;
  CHECK(mii_meta_take(room + 1) == NULL);
  CHECK(mii_meta_take(2 * room) == NULL);
  CHECK(mii_meta_take(room - 128) != NULL);
  CHECK(mii_meta_take(64) != NULL);
  CHECK(mii_meta_take(65) == NULL);
  CHECK(mii_meta_take(64) != NULL);
  CHECK(mii_meta_take(1) == NULL);
  CHECK(mii_range_is_valid());
}

TEST(metadata_that_the_system_refuses_is_not_lost) {
  CHECK(start());
  void* const first = mii_meta_take(64);
  fake_fail_from(FAKE_OPEN, 1);
  CHECK(mii_meta_take(2 * MiB) == NULL);
  CHECK(mii_range_is_valid());
  fake_fail_never();
  CHECK_EQ(mii_meta_take(64), (uint8_t*)first - 64);
}

// Numbers ----------------------------------------------------------------------------------------

TEST(pointers_slices_and_records_name_each_other) {
  start_with(16);
  grow_to(2);
  for (slice_t s = 1; s < mii_slice_count(); s++) {
    uint8_t* const p = mii_slice_start(s);
    CHECK_EQ(mii_slice_of(p), s);
    CHECK_EQ(mii_slice_of(p + SLICE_BYTES - 1), s);
    CHECK(mii_range_has(p));
    CHECK_EQ(mii_page_slice(mii_page_record(s)), s);
    CHECK_EQ(mii_slice_cold(s), &mii_segment(s / SEGMENT_SLICES)->cold[s % SEGMENT_SLICES]);
    mii_slice_set_kind(s, SLICE_HUGE);
    CHECK_EQ(mii_slice_kind(s), SLICE_HUGE);
    CHECK_EQ(mii_slice_kind(s - 1), s == 1 ? SLICE_FREE : SLICE_HUGE);
  }
}

TEST(only_pointers_between_the_ends_are_in_the_range) {
  start_with(16);
  uint8_t* const base = mii_slice_start(0);
  CHECK(mii_range_has(base));
  CHECK(!mii_range_has(base - 1));
  CHECK(mii_range_has(base + 16 * SEGMENT - 1));
  CHECK(!mii_range_has(base + 16 * SEGMENT));
  CHECK(!mii_range_has(mii_range.segments));
  CHECK(!mii_range_has(mii_page_record(5)));
  CHECK(!mii_range_has(NULL));
  CHECK(!mii_range_has((void*)UINTPTR_MAX));
  CHECK(!mii_range_has(&base));
}

TEST(our_own_records_and_guards_are_reserved_by_us_too) {
  CHECK(!mii_range_reserves(NULL));
  start_with(16);
  CHECK(mii_range_reserves(mii_slice_start(0)));
  CHECK(mii_range_reserves(mii_slice_start(0) + 16 * SEGMENT - 1));
  CHECK(mii_range_reserves(mii_range.segments));
  CHECK(mii_range_reserves(mii_meta_take(100)));
  CHECK(mii_range_reserves(mii_page_record(5)));
  const uint8_t* const first = (const uint8_t*)reservation;
  CHECK(mii_range_reserves(first));
  CHECK(!mii_range_reserves(first - 1));
  CHECK(mii_range_reserves(first + reservation_bytes - 1));
  CHECK(!mii_range_reserves(first + reservation_bytes));
  CHECK(!mii_range_reserves((void*)UINTPTR_MAX));
}

// The validator ----------------------------------------------------------------------------------

static void expect_broken(void) {
  CHECK(!mii_range_is_valid());
  CHECK(mii_lock_try(&growth));  // it has given the lock back
  mii_lock_give(&growth);
}

#define CHECK_BROKEN(field, value)         \
  do {                                     \
    const size_t before = (size_t)(field); \
    CHECK(mii_range_is_valid());           \
    (field) = (value);                     \
    expect_broken();                       \
    (field) = before;                      \
    CHECK(mii_range_is_valid());           \
  } while (0)

TEST(the_validator_sees_what_is_broken) {
  start_with(16);
  grow_to(4);
  CHECK(mii_meta_take(100) != NULL);
  hush();
  CHECK_BROKEN(mii_range.slice_count, 4 * SEGMENT_SLICES + 1);  // half a segment
  CHECK_BROKEN(mii_range.slice_count, 17 * SEGMENT_SLICES);     // more than reserved
  CHECK_BROKEN(mii_range.base, mii_range.base + SLICE_BYTES);
  CHECK_BROKEN(segment_part.open, 4 * sizeof(segment_t) - 1);
  CHECK_BROKEN(page_part.open, 4 * SEGMENT_SLICES * sizeof(page_t) - 1);
  CHECK_BROKEN(hot_part.open, 4 * SEGMENT_SLICES * sizeof(page_hot_t) - 1);
  CHECK_BROKEN(meta_part.open, meta_used - 1);
  CHECK_BROKEN(meta_part.open, meta_part.size + 1);
  CHECK_BROKEN(mii_segment(1)->is_foreign, true);  // and has free slices
}

// Faults -----------------------------------------------------------------------------------------

// The first `count` attempts may fail; what failed works once the system has memory again.
static void use_the_range(void) {
  fake_facts.memory_bytes = 20 * SEGMENT / 16;
  if (!start()) {
    CHECK_EQ(fake_bytes_in(FAKE_RESERVED) + fake_bytes_in(FAKE_SHOWN), 0);
    fake_fail_never();
    CHECK(start());
  }
  for (uint32_t i = 0; i < 8; i++) {
    const uint32_t before = mii_segment_count();
    const bool grown = mii_range_grow(1 + i % 3);
    CHECK_EQ(mii_segment_count() - before, grown ? 1 + i % 3 : 0);
    void* const meta = mii_meta_take(300 * KiB / (1 + i));
    CHECK(meta == NULL || is_zero(meta, 300 * KiB / (1 + i)));
    CHECK(mii_range_is_valid());
  }
  touch_what_is_open();
  fake_fail_never();
  grow_to(mii_range.segment_max);
  CHECK(mii_meta_take(100) != NULL);
  CHECK(mii_range_is_valid());
  touch_what_is_open();
}

TEST(every_fault_leaves_a_range_that_works_on) {
  CHECK(fake_try_every_fault(FAKE_OPEN, use_the_range) > 10);
  CHECK(fake_try_every_fault(FAKE_RESERVE, use_the_range) > 1);
  CHECK(fake_try_every_fault(FAKE_SHOW, use_the_range) > 1);
}

UNIT_TEST_MAIN
