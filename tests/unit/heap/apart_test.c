// SPDX-License-Identifier: MIT
//
// Heaps from the inside: where their pages and theaps are, what threads find when heaps have ended meanwhile.
#include "support/unit_test.h"
#include "heap/apart.h"
#include "heap/fork.h"
#include "heap/outbox.h"
#include "space/arena.h"
#include "space/hint.h"
#include "unit/heap/heap_world.h"

static void* blocks[4 * PER_PAGE];
static theap_t* mine;
static heap_t* heap;

static void start_apart(void) {
  mine = start_heap();
  heap = mii_heap_new(&mii_subproc_main, NULL);
  CHECK(heap != NULL && heap->is_apart);
}

static theap_t* enter(void) {
  theap_t* const theap = mii_heap_enter(heap);
  CHECK(theap != NULL && theap->heap == heap && mii_theap_is_mine(theap));
  CHECK(mii_heap_theap(heap) == theap);
  return theap;
}

TEST(a_thread_has_one_theap_of_a_heap) {
  start_apart();
  theap_t* const theap = enter();
  CHECK(theap != mine && enter() == theap);
  new_thread();
  CHECK(mii_heap_theap(heap) == NULL);
  CHECK(enter() != theap);
}

static bool is_in(const arena_t* arena, const void* p) {
  return (size_t)((const uint8_t*)p - mii_arena_start(arena)) < mii_arena_bytes(arena);
}

static arena_t* arena_on(int node, bool is_exclusive) {
  arena_t* const arena = mii_arena_new((arena_request_t){
      .size = 2 * SEGMENT_BYTES, .is_exclusive = is_exclusive, .numa_node = node});
  CHECK(arena != NULL);
  return arena;
}

static void* take_run_of(theap_t* theap) {
  void* const run = mii_block_take_run(theap, 100 * 1024);
  bool zero;
  return run != NULL ? run : mii_block_take(theap, (block_request_t){.size = 100 * 1024}, &zero);
}

static void* take_huge_of(theap_t* theap) {
  bool zero;
  return mii_block_take(theap, (block_request_t){.size = 3 * 1024 * 1024}, &zero);
}

TEST(a_heap_on_a_numa_node_uses_the_arena_there_first) {
  start_apart();
  theap_t* const theap = enter();
  take(theap, SIZE);
  take_huge_of(theap);
  arena_on(1, true);
  arena_t* const near = arena_on(1, false);
  arena_on(0, false);
  mii_heap_set_node(heap, 1);
  CHECK(is_in(near, take(theap, 2 * SIZE)));
  CHECK(is_in(near, take_huge_of(theap)));
  mii_heap_set_node(&mii_heap_main, 1);
  CHECK(is_in(near, take(mine, 3 * SIZE)));
  void* const run = take_run_of(mine);
  CHECK(is_in(near, run));
  give(run);
  CHECK(is_in(near, take_huge_of(mine)));
  CHECK(!is_in(near, take_huge_of(mine)));  // no room for one more
  mii_heap_set_node(heap, 2);               // there is none
  CHECK(!is_in(near, take(theap, 4 * SIZE)));
  mii_heap_set_node(heap, 1);
  CHECK(is_in(near, take(theap, 5 * SIZE)));
  mii_heap_set_node(heap, -1);
  CHECK(!is_in(near, take(theap, 6 * SIZE)));
  mii_heap_set_node(&mii_heap_main, -1);
  CHECK(!is_in(near, take_run_of(mine)));
  CHECK(all_is_valid());
}

TEST(blocks_are_pushed_at_once_and_never_loose) {
  start_apart();
  theap_t* const theap = enter();
  take_pages(theap, blocks, 1);
  page_t* const page = page_of(blocks[0]);
  CHECK(mii_page_is_apart(page) && mii_page_heap(page) == heap);
  theap_t* const other = new_thread();
  take(other, SIZE);  // there is room for loose ones
  give(blocks[0]);
  CHECK_EQ(other->parcels, 0);
  CHECK(mii_page_used(page) == PER_PAGE);  // the word has it
  run_as(mine);
  give(blocks[1]);
  CHECK_EQ(mine->parcels, 0);
  mii_theap_collect(theap);
  CHECK_EQ(mii_page_used(page), PER_PAGE - 2);
  CHECK(all_is_valid());
}

TEST(blocks_of_main_do_not_come_onto_the_list_of_another_heap) {
  start_apart();
  take_many(mine, SIZE, blocks, 8);
  theap_t* const theap = enter();
  blocks[10] = take(theap, SIZE);
  run_as(theap);
  give_many(blocks, 8);
  for (const block_t* b = theap->list[CLASS]; b != NULL; b = b->next)
    CHECK(page_of(b) == page_of(blocks[10]));
  CHECK_EQ(theap->parcels, 0);
  CHECK(mine->parcels != 0);  // they wait in the outbox of the thread
  mii_theap_collect(theap);
  CHECK_EQ(mine->parcels, 0);
  run_as(mine);
  mii_theap_collect(mine);
  CHECK(all_is_valid());
}

TEST(destroying_gives_all_slices_back) {
  start_apart();
  take(mine, SIZE);
  const uint32_t before = used_slices();
  for (uint32_t t = 0; t < 3; t++) {
    theap_t* const theap = enter();
    take_many(theap, SIZE, blocks, 3 * PER_PAGE);
    take_many(theap, MID_SIZE, blocks, 20);
    take(theap, 3 * 1024 * 1024);
    give_remotely(blocks, 12);
    new_thread();
  }
  CHECK(used_slices() > before);
  mii_heap_destroy(heap);
  CHECK_EQ(used_slices(), before);
  CHECK(all_is_valid());
}

TEST(who_used_the_heap_that_ended_finds_nothing_of_it) {
  start_apart();
  theap_t* const theap = enter();
  take(theap, SIZE);
  theap_t* const second = new_thread();
  mii_heap_destroy(heap);
  run_as(mine);
  heap_t* const next = mii_heap_new(&mii_subproc_main, NULL);
  CHECK(next == heap);  // the same place in all tables
  CHECK(mii_heap_theap(next) == NULL);
  mii_thread_end(false);
  run_as(second);
  CHECK(all_is_valid());
}

TEST(deleting_makes_pages_those_of_main) {
  start_apart();
  take_pages(enter(), blocks, 2);
  const slice_t huge = (slice_t)mii_slice_of(take(enter(), 3 * 1024 * 1024));
  mii_heap_delete(heap);
  CHECK(mii_heap_of(blocks[0]) == &mii_heap_main);
  CHECK(!mii_page_is_apart(page_of(blocks[0])));
  CHECK(mii_heap_of(mii_slice_start(huge)) == &mii_heap_main);
  give_many(blocks, 2 * PER_PAGE);
  give(mii_slice_start(huge));
  mii_theap_collect(mine);
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(used_slices(), 0);
  CHECK(all_is_valid());
}

TEST(a_page_that_is_being_queued_survives_deletion) {
  start_apart();
  take_pages(enter(), blocks, 1);
  give_remotely(blocks, WAKE - 1);
  const push_event_t event = begin_push(blocks[WAKE - 1]);
  CHECK_EQ(event, PUSH_WAKE_OWNER);
  mii_heap_delete(heap);
  CHECK(mii_heap_of(blocks[20]) == &mii_heap_main);
  finish_push(blocks[WAKE - 1], event);
  mii_thread_pool_dissolve_all();
  CHECK(all_is_valid());
  give_many(blocks + WAKE, PER_PAGE - WAKE);
  mii_theap_collect(mine);
  mii_heap_trim(&mii_heap_main);
  CHECK_EQ(used_slices(), 0);
}

TEST(the_next_thread_takes_over_what_one_has_left) {
  start_apart();
  theap_t* const theap = enter();
  take_pages(theap, blocks, 1);
  mii_thread_end(false);
  CHECK(heap->waiting == theap && theap->home == theap);
  new_thread();
  CHECK(enter() == theap && heap->waiting == NULL);
}

TEST(a_thread_past_its_end_borrows) {
  start_apart();
  run_as_stranger();
  theap_t* const theap = mii_heap_enter(heap);
  CHECK(theap != NULL && theap->heap == heap);
  take(theap, SIZE);
  mii_heap_leave(theap);
  CHECK(heap->waiting == theap);
}

TEST(the_child_of_a_fork_keeps_heaps_whole) {
  start_apart();
  take_pages(enter(), blocks, 1);
  theap_t* const theap = enter();
  theap_t* const second = new_thread();
  give_many(blocks, WAKE);
  CHECK(theap->woken != 0);
  mii_fork_recover();
  CHECK(heap->waiting == theap && mii_heap_of(blocks[9]) == heap);
  CHECK_EQ(theap->slice_count, 1);
  CHECK(all_is_valid());
  CHECK(enter() == theap);
  take(theap, SIZE);
  mii_heap_destroy(heap);
  CHECK_EQ(used_slices(), 0);
  CHECK(mii_theap_mine == second);
}

TEST(a_heap_that_is_ending_at_a_fork_leaves_its_blocks_to_main) {
  start_apart();
  theap_t* const theap = enter();
  take_pages(theap, blocks, 1);
  new_thread();
  theap->home = theap, theap->heap = &mii_heap_main, theap->is_apart = false;  // detached
  mii_fork_recover();
  CHECK(mii_heap_of(blocks[0]) == &mii_heap_main);
  give_many(blocks, PER_PAGE);
  CHECK(all_is_valid());
}

static void make_use_and_end(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  if (!mii_range_start(&facts) || !mii_hint_start(mii_range.segment_max)) return;
  mii_theap_mine = (theap_t*)(uintptr_t)&mii_theap_empty;
  heap_t* const made = mii_heap_new(&mii_subproc_main, NULL);
  if (made == NULL) return;
  theap_t* const theap = mii_heap_enter(made);
  if (theap != NULL) {
    try_take(theap, SIZE);
    try_take(theap, 3 * 1024 * 1024);
  }
  mii_heap_destroy(made);
  CHECK(all_is_valid());
}

TEST(every_fault_leaves_heaps_usable) {
  CHECK(fake_try_every_fault(FAKE_OPEN, make_use_and_end) > 3);
}

UNIT_TEST_MAIN
