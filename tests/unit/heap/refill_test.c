// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "heap/ask.h"
#include "heap/outbox.h"
#include "unit/heap/heap_world.h"

static void* blocks[10 * PER_PAGE];

static void** of_page(uint32_t i) { return &blocks[i * PER_PAGE]; }

static page_t* record_of(uint32_t i) { return page_of(of_page(i)[PER_PAGE - 1]); }

// Where the next refill finds its blocks.
static page_t* next_page(theap_t* theap) {
  CHECK(theap->list[CLASS] == NULL);
  return page_of(take(theap, SIZE));
}

// A page with room that nobody owns, from a thread that is gone. Its last block is live.
static page_t* leave_claimable_page(void) {
  theap_t* const mine = mii_theap_mine;
  theap_t* const other = new_thread();
  static void* left[PER_PAGE];
  take_pages(other, left, 1);
  give_many(left, PER_PAGE - 1);
  run_as(mine);
  CHECK(mii_theap_dissolve(other));
  return page_of(left[PER_PAGE - 1]);
}

// The order of preference ---------------------------------------------------------------------------

TEST(an_awake_page_comes_before_extending_one) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  take_many(theap, SIZE, of_page(1), PER_STEP);  // which has more to thread
  give_many(of_page(0), WAKE);
  CHECK(next_page(theap) == record_of(0));
  CHECK_EQ(state_of(of_page(1)[0]), PAGE_ASLEEP);
}

TEST(extending_a_page_comes_before_sleepers) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  take_many(theap, SIZE, of_page(1), PER_STEP);
  give_many(of_page(0), WAKE - 1);
  CHECK(next_page(theap) == page_of(of_page(1)[0]));
  CHECK_EQ(state_of(of_page(0)[40]), PAGE_ASLEEP);
}

TEST(a_sleeper_comes_before_a_page_of_nobody) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give(of_page(0)[7]);
  page_t* const claimable = leave_claimable_page();
  CHECK(next_page(theap) == record_of(0));
  CHECK_EQ(mii_page_owner(claimable), 0);
}

TEST(a_page_of_nobody_comes_before_a_new_one) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  page_t* const claimable = leave_claimable_page();
  const uint32_t pages = page_count();
  CHECK(next_page(theap) == claimable);
  CHECK_EQ(mii_page_owner(claimable), mii_theap_tag(theap));
  CHECK_EQ(mii_page_hot(claimable)->state, PAGE_ASLEEP);
  CHECK_EQ(list_length_of(theap, CLASS), PER_PAGE - 2);
  CHECK_EQ(page_count(), pages);
  CHECK(all_is_valid());
}

TEST(a_new_page_comes_last) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  page_t* const page = next_page(theap);
  CHECK(page != record_of(0) && page != record_of(1));
  CHECK_EQ(page_count(), 3);
}

TEST(a_page_goes_on_growing_after_others_were_used) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  take_many(theap, SIZE, of_page(1), PER_STEP);
  give_many(of_page(0), WAKE);
  take_many(theap, SIZE, of_page(0), WAKE);
  CHECK_EQ(mii_page_capacity(page_of(of_page(1)[0])), PER_STEP);
  CHECK(next_page(theap) == page_of(of_page(1)[0]));
  CHECK_EQ(mii_page_capacity(page_of(of_page(1)[0])), 2 * PER_STEP);
  CHECK_EQ(page_count(), 2);
}

// Two pages that are not complete: the second one comes from a thread that is gone.
TEST(a_claimed_page_that_can_be_extended_is_found_again) {
  theap_t* const theap = start_heap();
  theap_t* const other = new_thread();
  take_many(other, SIZE, blocks, CLAIM);
  give_many(blocks, CLAIM - 1);
  page_t* const claimable = page_of(blocks[CLAIM - 1]);
  run_as(theap);
  CHECK(mii_theap_dissolve(other));
  take_many(theap, SIZE, blocks, CLAIM - 1);
  CHECK(page_of(blocks[0]) == claimable);
  CHECK(!mii_page_is_complete(claimable));
  CHECK_EQ(theap->pages[CLASS].growing, 0);
  CHECK(next_page(theap) == claimable);  // as a sleeper
  CHECK_EQ(theap->pages[CLASS].growing, mii_page_slice(claimable));
  CHECK_EQ(page_count(), 1);
  CHECK(all_is_valid());
}

TEST(other_classes_are_left_alone) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_many(of_page(0), 40);
  leave_claimable_page();
  const uint32_t pages = page_count();
  take(theap, SIZE + 1);
  CHECK_EQ(page_count(), pages + 1);
  CHECK_EQ(mii_page_hot(page_of(of_page(0)[50]))->out,
           PER_PAGE - WAKE);  // the others are not counted yet
  CHECK(all_is_valid());
}

// The best of two ----------------------------------------------------------------------------------

TEST(of_the_two_woken_last_the_fuller_is_taken) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  give_many(of_page(0), 10);  // the fullest, but woken before the others
  give_many(of_page(1), 20);
  give_many(of_page(2), 25);
  CHECK(next_page(theap) == record_of(1));
}

TEST(of_equally_full_pages_the_one_woken_last_is_taken) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_many(of_page(0), WAKE);
  give_many(of_page(1), WAKE);
  CHECK(next_page(theap) == record_of(1));
}

TEST(the_fuller_one_may_be_the_last_woken) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_many(of_page(0), WAKE + 1);
  give_many(of_page(1), WAKE);
  CHECK(next_page(theap) == record_of(1));
}

TEST(a_page_with_too_little_free_is_no_candidate) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 1);
  give_many(blocks, WAKE - 1);
  page_t* const page = record_of(0);
  give(take(theap, SIZE));  // a sleeper is looked at before a new page is made
  CHECK_EQ(mii_page_hot(page)->state, PAGE_ASLEEP);
  CHECK_EQ(page_count(), 1);
}

TEST(two_sleepers_are_looked_at_in_turn) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 5);
  const slice_t first = theap->pages[CLASS].owned;
  const slice_t third = mii_slice_cold(mii_slice_cold(first)->next)->next;
  void* block = mii_slice_start(third);
  give_remotely(&block, 1);  // unseen
  page_t* const made = next_page(theap);
  CHECK_EQ(page_count(), 6);
  CHECK_EQ(theap->pages[CLASS].owned, third);
  take_many(theap, SIZE, of_page(5), PER_PAGE - 1);
  CHECK(page_of(of_page(5)[PER_PAGE - 2]) == made);
  CHECK(next_page(theap) == mii_page_record(third));
  CHECK_EQ(page_count(), 6);
}

TEST(an_empty_sleeper_is_used_before_a_new_page_is_made) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  for (uint32_t i = 0; i < PER_PAGE; i++) begin_push(of_page(0)[i]);  // the one that tells is slow
  CHECK(next_page(theap) == page_of(of_page(0)[0]));
  CHECK_EQ(list_length_of(theap, CLASS), PER_PAGE - 1);
  CHECK_EQ(page_count(), 2);
}

// Whole lists -----------------------------------------------------------------------------------------

TEST(a_refill_hands_out_all_that_is_free_in_the_page) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(of_page(0), 30);
  give_remotely(of_page(0) + 30, 10);
  page_t* const page = next_page(theap);
  CHECK(page == record_of(0));
  CHECK_EQ(list_length_of(theap, CLASS), 39);
  CHECK_EQ(mii_page_hot(page)->out, PER_PAGE);
  CHECK(mii_page_hot(page)->local_free == NULL);
  CHECK_EQ(theap->blocks_handed, 2 * PER_PAGE + 40);
  CHECK(all_is_valid());
}

TEST(a_refill_takes_what_other_threads_have_queued) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  give_remotely(of_page(2), WAKE);
  CHECK(next_page(theap) == record_of(2));
  CHECK_EQ(atomic_load(&theap->woken), 0);
}

// The heartbeat and deferred free -----------------------------------------------------------------------

typedef struct beats_s {
  theap_t* theap;
  uint32_t calls;
  uint32_t depth;
  uint32_t depth_max;
  bool force;
  unsigned long long heartbeat;
  void* arg;
  size_t allocate;  // so many bytes in each call
  void* last;
} beats_t;

static beats_t beats;

static void on_beat(bool force, unsigned long long heartbeat, void* arg) {
  beats.calls++;
  beats.force = force;
  beats.heartbeat = heartbeat;
  beats.arg = arg;
  beats.depth++;
  if (beats.depth > beats.depth_max) beats.depth_max = beats.depth;
  if (beats.allocate > 0) beats.last = take(mii_theap_mine, beats.allocate);
  beats.depth--;
}

static theap_t* start_beats(void) {
  theap_t* const theap = start_heap();
  beats = (beats_t){.theap = theap};
  mii_deferred_free_set(on_beat, &beats);
  return theap;
}

TEST(every_refill_is_a_heartbeat) {
  theap_t* const theap = start_beats();
  for (uint32_t i = 1; i <= 20; i++) {
    take_many(theap, SIZE, blocks, PER_STEP);
    CHECK_EQ(theap->heartbeat, i);
    CHECK_EQ(beats.calls, i);
    CHECK_EQ(beats.heartbeat, i);
    CHECK(!beats.force);
    CHECK(beats.arg == &beats);
  }
}

TEST(a_request_that_no_list_serves_is_a_heartbeat) {
  theap_t* const theap = start_beats();
  take(theap, 40 * KiB);
  take(theap, 2 * MiB);
  CHECK_EQ(beats.calls, 2);
  CHECK_EQ(theap->heartbeat, 2);
}

TEST(a_heartbeat_comes_at_the_latest_after_a_page_of_allocations) {
  theap_t* const theap = start_beats();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t before = beats.calls;
    for (uint32_t i = 0; i <= mii_class_blocks(c); i++) take(theap, mii_class_bytes(c));
    CHECK(beats.calls > before);
  }
}

TEST(deferred_free_is_not_called_from_within_itself) {
  start_beats();
  beats.allocate = MID_SIZE;  // every one is a refill
  take(beats.theap, SIZE);
  CHECK_EQ(beats.calls, 1);
  CHECK_EQ(beats.depth_max, 1);
  for (uint32_t i = 0; i < 100; i++) take(beats.theap, MID_SIZE);
  CHECK_EQ(beats.depth_max, 1);
  CHECK(all_is_valid());
}

TEST(deferred_free_may_fill_the_list_that_was_empty) {
  theap_t* const theap = start_beats();
  beats.allocate = SIZE;
  void* const p = take(theap, SIZE);
  CHECK(p != beats.last && page_of(p) == page_of(beats.last));
  CHECK_EQ(list_length_of(theap, CLASS), PER_STEP - 2);
  CHECK_EQ(page_count(), 1);
  CHECK_EQ(theap->heartbeat, 2);
  CHECK(all_is_valid());
}

static void free_all_blocks(bool force, unsigned long long heartbeat, void* arg) {
  (void)force, (void)heartbeat, (void)arg;
  give_many(blocks, PER_PAGE);
  mii_deferred_free_set(NULL, NULL);
}

TEST(deferred_free_is_called_also_when_a_page_is_awake) {
  theap_t* const theap = start_beats();
  take_pages(theap, blocks, 1);
  give_many(blocks, WAKE);
  const uint32_t before = beats.calls;
  take(theap, SIZE);
  CHECK_EQ(beats.calls, before + 1);
}

TEST(what_deferred_free_frees_is_used_at_once) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  mii_deferred_free_set(free_all_blocks, NULL);
  CHECK(page_of(take(theap, SIZE)) == page_of(blocks[0]));
  CHECK_EQ(page_count(), 2);
  CHECK(all_is_valid());
}

TEST(deferred_free_can_be_stopped) {
  theap_t* const theap = start_beats();
  take(theap, SIZE);
  mii_deferred_free_set(NULL, NULL);
  take(theap, 8);
  CHECK_EQ(beats.calls, 1);
  CHECK_EQ(theap->heartbeat, 2);
}

TEST(deferred_free_can_be_forced) {
  theap_t* const theap = start_beats();
  mii_deferred_free_call(theap, true);
  CHECK_EQ(beats.calls, 1);
  CHECK(beats.force);
  mii_deferred_free_call(theap, false);
  CHECK(!beats.force);
}

TEST(deferred_free_is_not_called_after_the_end_of_a_thread) {
  start_beats();
  beats.allocate = SIZE;
  mii_thread_end(true);
  theap_t* const borrowed = mii_thread_enter();
  CHECK(borrowed != mii_theap_mine);
  take(borrowed, 8);
  CHECK_EQ(beats.calls, 0);
  mii_thread_leave(borrowed);
}

// From an awake page ----------------------------------------------------------------------------------

// WAKE blocks of the first of two pages are free: the next refill takes them, if nothing else is due.
static theap_t* start_with_awake_page(void) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(blocks, WAKE);
  CHECK_EQ(awake_count(theap), 1);
  return theap;
}

TEST(a_refill_from_an_awake_page_is_a_beat_like_any_other) {
  theap_t* const theap = start_with_awake_page();
  const size_t clock = fake_calls(FAKE_CLOCK);
  for (uint64_t beats = theap->heartbeat + 1; beats <= 128; beats++) {
    const uint64_t handed = theap->blocks_handed;
    take_many(theap, SIZE, blocks, WAKE);
    CHECK_EQ(theap->heartbeat, beats);
    CHECK_EQ(theap->blocks_handed, handed + WAKE);
    CHECK_EQ(awake_count(theap), 0);
    give_many(blocks, WAKE);
  }
  CHECK_EQ(fake_calls(FAKE_CLOCK), clock + 2);
  CHECK(all_is_valid());
}

TEST(a_refill_from_an_awake_page_takes_what_others_have_freed_of_it) {
  theap_t* const theap = start_with_awake_page();
  give_remotely(&blocks[WAKE], 2);
  take(theap, SIZE);
  CHECK_EQ(list_length_of(theap, CLASS), WAKE + 2 - 1);
  CHECK(all_is_valid());
}

TEST(a_refill_from_an_awake_page_drains_the_others) {
  theap_t* const theap = start_with_awake_page();
  give_remotely(of_page(1), WAKE);
  CHECK(mii_theap_is_woken(theap));
  take(theap, SIZE);
  CHECK(!mii_theap_is_woken(theap));
  CHECK(all_is_valid());
}

TEST(a_refill_from_an_awake_page_sends_parcels) {
  theap_t* const theap = start_with_awake_page();
  have_no_room(theap);
  void* const p = take(new_thread(), SIZE);
  run_as(theap);
  give(p);
  CHECK(theap->parcels != 0);
  take(theap, SIZE);
  CHECK_EQ(theap->parcels, 0);
}

TEST(one_of_32_refills_from_awake_pages_answers) {
  theap_t* const theap = start_with_awake_page();
  new_thread();
  mii_ask_all();
  run_as(theap);
  CHECK(mii_ask_is_open(theap));
  for (int i = 0; i < 32; i++) {
    give_many(blocks, WAKE);
    take_many(theap, SIZE, blocks, WAKE);
  }
  CHECK(!mii_ask_is_open(theap));
}

// Housekeeping ------------------------------------------------------------------------------------------

enum { BEATS_PER_TICK = 64 };

static void beat_until_tick(theap_t* theap) {
  do { mii_theap_beat(theap); } while (theap->heartbeat % BEATS_PER_TICK != 0);
}

TEST(the_clock_is_read_every_64_beats) {
  theap_t* const theap = start_heap();
  const size_t before = fake_calls(FAKE_CLOCK);
  for (uint32_t i = 1; i < BEATS_PER_TICK; i++) mii_theap_beat(theap);
  CHECK_EQ(fake_calls(FAKE_CLOCK), before);
  mii_theap_beat(theap);
  CHECK_EQ(fake_calls(FAKE_CLOCK), before + 1);
  beat_until_tick(theap);
  CHECK_EQ(fake_calls(FAKE_CLOCK), before + 2);
}

TEST(kept_pages_go_back_after_the_purge_delay) {
  mii_option_set(mi_option_purge_delay, 100);
  theap_t* const theap = start_heap();
  beat_until_tick(theap);  // the first sweep
  take_pages(theap, blocks, 2);
  give_many(blocks, 2 * PER_PAGE);
  CHECK_EQ(page_count(), 1);
  fake_advance_clock(99);
  beat_until_tick(theap);
  CHECK_EQ(page_count(), 1);
  fake_advance_clock(1);
  beat_until_tick(theap);
  CHECK_EQ(page_count(), 0);
  CHECK(all_is_valid());
}

TEST(freed_memory_is_purged_after_the_purge_delay) {
  mii_option_set(mi_option_purge_delay, 100);
  theap_t* const theap = start_heap();
  void* const p = take(theap, 2 * MiB);
  memset(p, 1, 2 * MiB);
  give(p);
  fake_advance_clock(99);
  beat_until_tick(theap);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
  fake_advance_clock(1);
  for (uint32_t left = 2 * MiB / SLICE_BYTES; left > 0;
       left -= (uint32_t)mii_min(left, PURGE_PER_CALL.slice_max))
    beat_until_tick(theap);
  CHECK_EQ(fake_touched_bytes(p, 2 * MiB), 0);
}

TEST(with_a_negative_delay_nothing_is_swept) {
  mii_option_set(mi_option_purge_delay, -1);
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 2);
  give_many(blocks, 2 * PER_PAGE);
  give(take(theap, 2 * MiB));
  fake_advance_clock(1000000);
  for (uint32_t i = 0; i < 5; i++) beat_until_tick(theap);
  CHECK_EQ(page_count(), 1);
  CHECK_EQ(fake_calls(FAKE_PURGE), 0);
}

TEST(the_sweep_dissolves_theaps_that_waited_and_trims_the_heap) {
  mii_option_set(mi_option_purge_delay, 100);
  start_heap();
  theap_t* const old = mii_theap_mine;
  take_pages(old, blocks, 3);
  mii_thread_end(false);
  theap_t* const other = new_thread();
  CHECK(other == old);
  theap_t* const second = new_thread();
  run_as(other);
  mii_thread_end(false);
  run_as(second);
  beat_until_tick(second);
  fake_advance_clock(100);
  beat_until_tick(second);
  CHECK_EQ(mii_page_owner(record_of(0)), 0);
  give_many(blocks, 3 * PER_PAGE);
  CHECK_EQ(page_count(), 3);  // of nobody, and empty
  fake_advance_clock(100);
  beat_until_tick(second);
  CHECK_EQ(page_count(), 0);
  CHECK(all_is_valid());
}

// 3 blocks by the owner and 3 by others wake nobody.
static void free_unseen(uint32_t i) {
  give_many(of_page(i), WAKE - 1);
  give_remotely(of_page(i) + WAKE, WAKE - 1);
  CHECK_EQ(state_of(of_page(i)[40]), PAGE_ASLEEP);
}

TEST(frees_that_add_up_unseen_are_found_by_housekeeping) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 4);
  for (uint32_t i = 0; i < 3; i++) free_unseen(i);
  for (uint32_t i = 0; i < 8; i++) beat_until_tick(theap);
  for (uint32_t i = 0; i < 3; i++) CHECK_EQ(state_of(of_page(i)[40]), PAGE_AWAKE);
  CHECK(all_is_valid());
}

TEST(housekeeping_looks_at_the_classes_in_turn) {
  theap_t* const theap = start_heap();
  static void* all[CLASS_COUNT][PER_PAGE];
  // Two pages of each of many classes; one block of the first is freed unseen.
  uint32_t classes = 0;
  for (uint32_t c = CLASS; c < CLASS_COUNT; c++, classes++) {
    const uint32_t count = mii_class_blocks(c);
    take_many(theap, mii_class_bytes(c), all[c], count);
    take(theap, mii_class_bytes(c));
    if (mii_class_wake_count(c) == 1) continue;
    give_remotely(&all[c][0], 1);
    CHECK_EQ(state_of(all[c][1]), PAGE_ASLEEP);
  }
  for (uint32_t i = 0; i < 2 * classes / 8 + 2; i++) beat_until_tick(theap);
  for (uint32_t c = CLASS; c < CLASS_COUNT; c++) {
    if (mii_class_wake_count(c) > 1) CHECK_EQ(state_of(all[c][1]), PAGE_AWAKE);
  }
  CHECK(all_is_valid());
}

TEST(an_awake_page_that_others_emptied_unseen_ends) {
  theap_t* const theap = start_heap();
  take_pages(theap, blocks, 3);
  give_many(of_page(0), WAKE);
  give_many(of_page(1), PER_PAGE - 10);  // awake, as is page 0
  give_remotely(of_page(1) + PER_PAGE - 10, 10);
  CHECK_EQ(state_of(of_page(1)[0]), PAGE_AWAKE);
  for (uint32_t i = 0; i < 8; i++) beat_until_tick(theap);
  CHECK(is_gone(of_page(1)[0]));
  CHECK(all_is_valid());
}

// Memory is short ---------------------------------------------------------------------------------------

// All slices that are open, and no more: as many pages of the class as there are slices.
static uint32_t use_everything(theap_t* theap, void** all) {
  uint32_t count = 0;
  fake_fail_from(FAKE_OPEN, 1);
  for (void* p; (p = try_take(theap, SIZE)) != NULL;) all[count++] = p;
  return count;
}

static void* everything[SEGMENT_SLICES * PER_PAGE];

// One segment is open before the system begins to refuse.
static uint32_t start_short_of_memory(void) {
  theap_t* const theap = start_heap();
  everything[0] = take(theap, SIZE);
  const uint32_t count = 1 + use_everything(theap, everything + 1);
  CHECK_EQ(count, (SEGMENT_SLICES - 1) * PER_PAGE);
  CHECK(theap->list[CLASS] == NULL);
  CHECK(all_is_valid());
  return count;
}

TEST(without_memory_there_is_no_block_but_a_sound_heap) {
  start_short_of_memory();
  for (uint32_t i = 0; i < 10; i++) CHECK(try_take(mii_theap_mine, SIZE) == NULL);
  CHECK(try_take(mii_theap_mine, 8) == NULL);
  CHECK(try_take(mii_theap_mine, 100 * KiB) == NULL);
  CHECK(try_take(mii_theap_mine, 10 * MiB) == NULL);
  CHECK(all_is_valid());
  fake_fail_never();
  take(mii_theap_mine, SIZE);
  take(mii_theap_mine, 10 * MiB);
  CHECK(all_is_valid());
}

TEST(under_pressure_the_last_free_block_is_found) {
  const uint32_t count = start_short_of_memory();
  for (uint32_t i = 0; i < count; i += 777) {
    give(everything[i]);
    CHECK(try_take(mii_theap_mine, SIZE) == everything[i]);
    give_remotely(&everything[i], 1);
    CHECK(try_take(mii_theap_mine, SIZE) == everything[i]);
    CHECK(try_take(mii_theap_mine, SIZE) == NULL);
  }
  CHECK(all_is_valid());
}

TEST(under_pressure_kept_pages_of_other_classes_are_used) {
  start_short_of_memory();
  give_many(everything, PER_PAGE);  // kept for the class
  CHECK_EQ(state_of(everything[0]), PAGE_AWAKE);
  CHECK(try_take(mii_theap_mine, 8) != NULL);
  CHECK(all_is_valid());
}

TEST(under_pressure_theaps_in_the_pool_are_dissolved) {
  start_short_of_memory();
  theap_t* const old = mii_theap_mine;
  theap_t* const theap = new_thread();
  run_as(old);
  mii_thread_end(false);
  run_as_stranger();
  give_many(everything + 20 * PER_PAGE, PER_PAGE);  // queued, but nobody looks
  CHECK_EQ(page_count(), SEGMENT_SLICES - 1);
  run_as(theap);
  CHECK(try_take(theap, 8) != NULL);
  CHECK(all_is_valid());
}

TEST(under_pressure_pages_of_nobody_are_trimmed) {
  start_short_of_memory();
  theap_t* const old = mii_theap_mine;
  theap_t* const theap = new_thread();
  CHECK(mii_theap_dissolve(old));
  CHECK(try_take(theap, 8) == NULL);
  give_many(everything, PER_PAGE);
  CHECK_EQ(page_count(), SEGMENT_SLICES - 1);
  CHECK(try_take(theap, 8) != NULL);
  CHECK(all_is_valid());
}

TEST(under_pressure_empty_run_areas_become_pages) {
  theap_t* const theap = start_heap();
  give(take(theap, 100 * KiB));
  CHECK_EQ(used_slices(), SEGMENT_SLICES);  // a run area
  fake_fail_from(FAKE_OPEN, 1);
  uint32_t count = 0;
  while (try_take(theap, 8 * KiB) != NULL) count++;
  CHECK(count >= 8 * SEGMENT_SLICES);  // more than the segment of pages alone
  CHECK(all_is_valid());
}

// Sharing ----------------------------------------------------------------------------------------------

// Full pages that the theap has, and those of them that it has let go.
static uint32_t shared_count(void** all, uint32_t pages) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < pages; i++) count += mii_page_owner(page_of(all[i * PER_PAGE])) == 0;
  return count;
}

enum { MANY_PAGES = 64, KEPT = 16 };
static void* many[MANY_PAGES * PER_PAGE];

TEST(a_thread_that_is_alone_keeps_all_its_full_pages) {
  theap_t* const theap = start_heap();
  take_pages(theap, many, MANY_PAGES);
  CHECK_EQ(shared_count(many, MANY_PAGES), 0);
}

TEST(with_another_thread_there_only_the_last_full_pages_are_kept) {
  theap_t* const theap = start_heap();
  new_thread();
  run_as(theap);
  take_pages(theap, many, MANY_PAGES);
  const uint32_t kept = MANY_PAGES - shared_count(many, MANY_PAGES);
  CHECK(kept >= KEPT && kept <= 2 * KEPT);
  CHECK_EQ(owned_count(theap), kept);
  for (uint32_t i = MANY_PAGES - KEPT; i < MANY_PAGES; i++)
    CHECK_EQ(mii_page_owner(page_of(many[i * PER_PAGE])), mii_theap_tag(theap));
  CHECK(all_is_valid());
}

// Others free WAKE blocks of each of these pages.
static void wake_by_others(void** all, uint32_t pages) {
  for (uint32_t i = 0; i < pages; i++) give_remotely(&all[i * PER_PAGE], WAKE);
}

TEST(a_thread_whose_blocks_others_free_keeps_no_full_page) {
  theap_t* const theap = start_heap();
  new_thread();
  run_as(theap);
  take_many(theap, MID_SIZE, blocks, 40 * PER_MID_PAGE);  // so it has many pages
  take_pages(theap, many, 30);
  wake_by_others(many, 30);
  take_many(theap, SIZE, many, 30 * WAKE + 30 * PER_PAGE);
  CHECK(theap->remote_wakes > UINT8_MAX / 2);
  CHECK(owned_count(theap) < KEPT);
  CHECK(all_is_valid());
}

TEST(a_thread_that_frees_its_own_blocks_keeps_full_pages) {
  theap_t* const theap = start_heap();
  new_thread();
  run_as(theap);
  take_pages(theap, many, 1);
  for (int wakes = 0; wakes < 16; wakes++) {
    give_many(many, WAKE);
    take_many(theap, SIZE, many, WAKE);
  }
  CHECK(theap->remote_wakes < UINT8_MAX / 2);
  take_many(theap, MID_SIZE, blocks, 40 * PER_MID_PAGE);
  take_pages(theap, many, 12);
  CHECK_EQ(owned_count(theap), 1 + 12);
}

TEST(a_refill_takes_some_of_the_woken_pages_at_a_time) {
  theap_t* const theap = start_heap();
  take_pages(theap, many, 40);
  wake_by_others(many, 40);
  take(theap, SIZE);
  CHECK_EQ(awake_count(theap), 8 - 1);
  CHECK(mii_theap_is_woken(theap));
  take_many(theap, SIZE, many, WAKE);
  CHECK_EQ(awake_count(theap), 16 - 2);
  mii_theap_drain(theap);
  CHECK_EQ(awake_count(theap), 40 - 2);
  CHECK(!mii_theap_is_woken(theap));
  CHECK(all_is_valid());
}

TEST(after_the_other_thread_has_ended_full_pages_are_kept) {
  theap_t* const theap = start_heap();
  new_thread();
  mii_thread_end(true);
  run_as(theap);
  take_pages(theap, many, MANY_PAGES);
  CHECK_EQ(shared_count(many, MANY_PAGES), 0);
}

TEST(a_page_with_a_free_block_is_used_before_it_is_shared) {
  theap_t* const theap = start_heap();
  new_thread();
  run_as(theap);
  take_pages(theap, many, KEPT + 8);
  for (uint32_t i = 0; i < KEPT + 8; i++) {
    if (mii_page_owner(page_of(many[i * PER_PAGE])) != 0) give(many[i * PER_PAGE]);
  }
  const uint32_t pages = page_count();
  for (uint32_t i = 0; i < KEPT; i++) {
    void* const p = take(theap, SIZE);
    CHECK_EQ(mii_page_owner(page_of(p)), mii_theap_tag(theap));
  }
  CHECK_EQ(page_count(), pages);
}

TEST(what_is_freed_in_shared_pages_serves_any_thread) {
  theap_t* const theap = start_heap();
  theap_t* const other = new_thread();
  run_as(theap);
  take_pages(theap, many, MANY_PAGES);
  page_t* const shared = page_of(many[0]);
  CHECK_EQ(mii_page_owner(shared), 0);
  give_many(many, PER_PAGE);  // by the thread that allocated them
  mii_outbox_send(theap);
  run_as(other);
  CHECK(page_of(take(other, SIZE)) == shared);
  CHECK(all_is_valid());
}

UNIT_TEST_MAIN
