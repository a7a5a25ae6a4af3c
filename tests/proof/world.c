// SPDX-License-Identifier: MIT
// world.c - the real sources on a space of a few slices, and what must hold there
//
// Ghosts: what no allocator knows, but the proof does, is kept beside it. `live` says which blocks are
// with a user, who fills them with a mark; nobody else may write there.
#include "world.h"

#include "page/page_make.c"
#include "page/page_remote.c"
#include "page/page_thaw.c"
#include "page/page_verify.c"
#include "heap/fork.c"
#include "heap/heap.c"
#include "heap/outbox.c"
#include "heap/refill.c"
#include "heap/theap.c"
#include "heap/thread.c"

#include "space/segment.h"
#include <string.h>

enum { THEAP_MAX = 4 };

uint32_t proof_blocks;
uint32_t proof_wake;
fake_space_t proof_space;

static theap_t theaps[THEAP_MAX];
static parcel_t outboxes[THEAP_MAX][OUTBOX_PARCELS];
static _Atomic(uint32_t) theap_count;
static _Atomic(uint32_t) outbox_count;
static theap_t* mine_of[THREADS];           // after the start
static bool live[SLICE_MAX][SLICE_BLOCKS];  // ghost: the block is with a user
static bool in_call[THREADS];               // ghost
static uint32_t started_as;                 // the thread that the start plays
static block_t platform_key;                // what the platform needs to have a thread ended
static block_t* box[2 * SLICE_BLOCKS];      // where the start leaves blocks for the threads

// The space below ----------------------------------------------------------------------------------

void* mii_meta_take(size_t size) {
  if (size == sizeof outboxes[0])
    return outboxes[atomic_fetch_add_explicit(&outbox_count, 1, memory_order_relaxed)];
  const uint32_t index = atomic_fetch_add_explicit(&theap_count, 1, memory_order_relaxed);
  return index < THEAP_MAX ? &theaps[index] : NULL;
}
uint32_t mii_meta_handle(const void* p) { return (uint32_t)((const theap_t*)p - theaps) + 1; }
void* mii_meta_pointer(uint32_t handle) { return &theaps[handle - 1]; }

// The orders are those of segment.c as far as the next user of a slice depends on them.
slice_t mii_segment_take(slice_request_t want, bool* zero) {
  (void)want;
  *zero = false;
  uint64_t seen = atomic_load_explicit(&proof_space.free, memory_order_relaxed);
  while (seen != 0) {
    const uint64_t rest = seen & (seen - 1);
    if (atomic_compare_exchange_weak_explicit(&proof_space.free, &seen, rest, memory_order_seq_cst,
                                              memory_order_relaxed)) {
      return mii_lowest_bit(seen);
    }
  }
  return 0;
}

void mii_segment_give(slice_t first, uint32_t count) {
  (void)count;
  for (uint32_t i = 0; i < SLICE_BLOCKS; i++) PROOF_CHECK(!live[first][i]);  // no block lives
  const uint64_t bit = UINT64_C(1) << first;
  const uint64_t old = atomic_fetch_or_explicit(&proof_space.free, bit, memory_order_seq_cst);
  PROOF_CHECK((old & bit) == 0);
}

// Heaps that are apart have no part in it but for the pages that scenarios give them.
void mii_apart_leave(theap_t* home) { (void)home; }
void mii_apart_forget_others(void) {}
void mii_apart_collect_waiting(void) {}
bool mii_heap_check_limit(theap_t* theap, size_t more) { return (void)theap, (void)more, true; }
void mii_limit_set_charged(size_t bytes) { (void)bytes; }
void mii_limit_charge_anyway(size_t bytes) { (void)bytes; }
size_t mii_segments_dirty_bytes(void) { return 0; }

void mii_segment_reclaim(uint32_t index, uint64_t used) { (void)index, (void)used; }
void mii_purge_forget_others(void) {}

uint64_t mii_platform_clock_ms(void) { return 0; }
uintptr_t mii_platform_thread_id(void) { return proof_thread() + 1; }
bool mii_platform_thread_is_known(uint32_t* number) { return *number = 0, true; }
bool mii_platform_thread_is_gone(uint32_t number) { return (void)number, false; }
void mii_platform_forget_thread_exit(void) {}
int mii_platform_on_thread_exit(void (*run)(void*)) {
  platform_key.next = &platform_key;
  return (void)run, 0;
}
int mii_platform_thread_arm(void* value) {
  PROOF_CHECK(platform_key.next == &platform_key);
  return (void)value, 0;
}
long mii_option_get(mi_option_t option) { return (void)option, 0; }
void mii_purge_all(void) {}
stock_t* mii_theap_make_stock(theap_t* theap) { return (void)theap, NULL; }
void mii_rng_refill(rng_t* rng) { (void)rng; }
void* mii_lent_take(lent_t* from, heap_t* heap, uint32_t size_class) {
  return (void)from, (void)heap, (void)size_class, NULL;
}

// What threads do ----------------------------------------------------------------------------------

static bool* live_flag(const block_t* block) {
  const uint32_t slice = (uint32_t)mii_slice_of(block);
  return &live[slice][block - proof_space.memory[slice]];
}

static block_t* mark_of(const block_t* block) { return (block_t*)((uintptr_t)block + 1); }

// Between two calls: the only place where a thread can fork.
static void enter_call(void) {
  in_call[proof_thread()] = false;
  proof_pause();
  in_call[proof_thread()] = true;
}
static void leave_call(void) { in_call[proof_thread()] = false; }

bool proof_is_between_calls(uint32_t thread) { return !in_call[thread]; }

// malloc; NULL when all slices are in use.
static block_t* take(void) {
  enter_call();
  theap_t* const theap = mii_thread_enter();
  PROOF_CHECK(theap != NULL);
  block_t* block = (block_t*)mii_list_pop(&theap->list[0]);
  if (block == NULL) block = (block_t*)mii_theap_refill(theap, 0);
  mii_thread_leave(theap);
  if (block != NULL) {
    PROOF_CHECK(!*live_flag(block));  // none handed out twice
    *live_flag(block) = true;
    block->next = mark_of(block);
  }
  leave_call();
  return block;
}

// free, as mii_block_give_to in block.c.
static void give(block_t* block) {
  if (block == NULL) return;
  enter_call();
  PROOF_CHECK(*live_flag(block) && block->next == mark_of(block));  // nobody wrote there
  *live_flag(block) = false;
  page_t* const page = mii_page_record(mii_slice_of(block));
  theap_t* const mine = mii_theap_mine;
  if (mii_page_owner(page) != mii_theap_tag(mine)) {
    mii_outbox_free(mine, page, block);
  } else if (mii_page_push_local(page, block)) {
    mii_theap_wake(mine, page);
  }
  leave_call();
}

// What slow paths do, one at a time.
static void call(void (*function)(theap_t*)) {
  enter_call();
  function(mii_theap_mine);
  leave_call();
}
static void send_all(theap_t* theap) { mii_outbox_send(theap); }
// No page is old here: nothing is punched.
void mii_page_punch(page_t* page) { (void)page; }
uint32_t mii_page_fill_hole(page_t* page, block_t** first) { return (void)page, (void)first, 0; }

static void trim_main(theap_t* theap) { (void)theap, mii_heap_trim(&mii_heap_main); }
static void dissolve_pool(theap_t* theap) { (void)theap, mii_thread_pool_dissolve_all(); }
static void keep_house(theap_t* theap) { housekeeping(theap); }
static void end_running(theap_t* theap) { (void)theap, mii_thread_end(false); }

// What must hold -----------------------------------------------------------------------------------

static uint64_t word_of(const page_t* page) {
  return atomic_load_explicit(remote_of(page), memory_order_relaxed);
}

// Each block of the page in one place: marks it in `seen`.
static uint32_t mark_list(page_t* page, const block_t* block, uint32_t most, uint32_t* seen) {
  uint32_t count = 0;
  for (; block != NULL && count < most; block = block->next, count++) {
    PROOF_CHECK(mii_page_has_block(page, block));
    const uint32_t bit = 1u << (block - proof_space.memory[mii_page_slice(page)]);
    PROOF_CHECK((*seen & bit) == 0);
    *seen |= bit;
  }
  return count;
}

static uint32_t live_blocks(slice_t slice) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < SLICE_BLOCKS; i++) bits |= (uint32_t)live[slice][i] << i;
  return bits;
}

// The word is consistent, and its blocks are nobody's.
static void check_word(page_t* page) {
  const uint64_t word = word_of(page);
  const uint32_t count = word_count(word);
  uint32_t seen = live_blocks(mii_page_slice(page));
  if (count > 0) {
    PROOF_CHECK(mark_list(page, word_head(page, word), count, &seen) == count);
    PROOF_CHECK(word_tail(page, word)->next == NULL);
  }
  PROOF_CHECK(count <= mii_page_hot(page)->out);  // W5
  const uint32_t mark = (word & OWNED) != 0 ? proof_wake : (uint32_t)mii_max(1, proof_blocks / 8);
  PROOF_CHECK((word & QUEUED) != 0 || count < mark);                   // W1
  if ((word & QUEUED) == 0 && live_blocks(mii_page_slice(page)) != 0)  // W3
    PROOF_CHECK(((word & OWNED) != 0) == (mii_page_owner(page) != 0));
}

static bool is_page(slice_t slice) { return mii_slice_kind(slice) == SLICE_PAGE; }

// Counts that decide nothing, and what is left in fields that nobody reads, would make states differ.
static void forget_counts(theap_t* theap) {
  theap->heartbeat = 1;  // no time for housekeeping: scenarios call it
  theap->blocks_handed = theap->bytes_handed = 0;
  theap->remote_wakes = theap->arrivals[0] = theap->loosened = 0;
  if (theap->outbox == NULL || theap->outbox == mii_no_outbox) return;
  for (uint32_t i = 0; i < OUTBOX_PARCELS; i++) {
    if (theap->outbox[i].page == NULL) theap->outbox[i] = (parcel_t){0};
  }
}

static void forget_links(slice_t slice) {
  const page_t* const page = mii_page_record(slice);
  page_cold_t* const cold = mii_slice_cold(slice);
  cold->arrival = 0;
  if (mii_page_hot(page)->state == PAGE_NONE) cold->next = cold->prev = 0;
  if (mii_page_hot(page)->state != PAGE_AWAKE) cold->awake_next = cold->awake_prev = 0;
}

// A tag tells the top of a stack from those that threads in the middle of a push or pop have seen. One that nobody
// has seen yet is made the smallest that does this, so that it does not count what has happened.
static void forget_tag(handle_stack_t* stack) {
  const uint64_t top = atomic_load_explicit(&stack->top, memory_order_relaxed);
  if (proof_is_held(top)) return;
  uint64_t least = top & UINT32_MAX;
  while (least < top && proof_is_held(least)) least += UINT64_C(1) << 32;
  atomic_store_explicit(&stack->top, least, memory_order_relaxed);
}

static void forget_tags(void) {
  forget_tag(&mii_heap_main.claimable[0]);
  forget_tag(&mii_heap_main.looked_at[0]);
  forget_tag(&pool);
  forget_tag(&next_in_pool);
  forget_tag(&dissolving);
  forget_tag(&bare_pool);
}

static void forget_statistics(void) {
  forget_tags();
  started = ended = 0;
  for (uint32_t i = 0; i < THEAP_MAX; i++) forget_counts(&theaps[i]);
  for (slice_t s = 1; s < SLICE_MAX; s++) forget_links(s);
}

// Nobody but its user writes to a block.
static void check_live(slice_t slice) {
  for (uint32_t i = 0; i < SLICE_BLOCKS; i++) {
    const block_t* const block = &proof_space.memory[slice][i];
    if (live[slice][i]) PROOF_CHECK(block->next == mark_of(block));
  }
}

void proof_check_state(void) {
  proof_hush();
  forget_statistics();
  for (slice_t s = 1; s < SLICE_MAX; s++) {
    check_live(s);
    if (is_page(s)) check_word(mii_page_record(s));
  }
  proof_unhush();
}

static uint32_t times_on(uint32_t first, slice_t slice) {
  uint32_t times = 0, steps = 0;
  for (uint32_t s = first; s != 0; steps++) {
    PROOF_CHECK(steps < SLICE_MAX);
    times += s == slice;
    s = atomic_load_explicit(&mii_slice_cold(s)->stack_link, memory_order_relaxed);
  }
  return times;
}

// Every wake is delivered: a queued page is where its taker looks, once, and no other page is.
static void check_wake(page_t* page) {
  const slice_t slice = mii_page_slice(page);
  const uint64_t word = word_of(page);
  const uint32_t published = times_on((uint32_t)mii_heap_main.claimable[0].top, slice)
                             + times_on((uint32_t)mii_heap_main.looked_at[0].top, slice);
  const bool queued = (word & QUEUED) != 0;
  const bool owned = (word & OWNED) != 0;
  PROOF_CHECK(published == (queued && !owned));
  PROOF_CHECK(owned == (mii_page_owner(page) != 0));  // W4
  for (uint32_t i = 0; i < THEAP_MAX; i++) {
    const bool its = mii_page_owner(page) == mii_theap_tag(&theaps[i]);
    PROOF_CHECK(times_on((uint32_t)theaps[i].woken, slice) + times_on(theaps[i].draining, slice)
                == (queued && its));
  }
  if (!owned && !queued) PROOF_CHECK(room_of(page) < claim_count(page));  // W6
}

static void mark_parcels(page_t* page, uint32_t* seen) {
  for (uint32_t i = 0; i < THEAP_MAX; i++) {
    for (uint32_t k = 0; k < OUTBOX_PARCELS && theaps[i].outbox != NULL; k++) {
      const parcel_t* const parcel = &theaps[i].outbox[k];
      if (parcel->page == page && parcel->epoch == mii_page_epoch(page))
        mark_list(page, parcel->first, SLICE_BLOCKS, seen);
    }
  }
}

// Those that are threaded, in whatever order.
static uint32_t threaded_blocks(const page_t* page) {
  uint32_t blocks = 0;
  for (uint32_t i = 0; i < mii_page_capacity(page); i++) blocks |= 1u << mii_page_index(page, i);
  return blocks;
}

// No block lost: each is with a user, in a list, in a parcel, in local_free or in the word.
static void check_blocks(page_t* page) {
  uint32_t seen = live_blocks(mii_page_slice(page));
  const uint64_t word = word_of(page);
  for (uint32_t i = 0; i < THEAP_MAX; i++) {
    const block_t* const list = theaps[i].list[0];
    if (list != NULL && mii_page_record(mii_slice_of(list)) == page)
      mark_list(page, list, SLICE_BLOCKS, &seen);
  }
  mark_parcels(page, &seen);
  const uint32_t out = mii_count_bits(seen) + word_count(word);
  if (word_count(word) > 0) mark_list(page, word_head(page, word), SLICE_BLOCKS, &seen);
  mark_list(page, mii_page_hot(page)->local_free, SLICE_BLOCKS, &seen);
  PROOF_CHECK(seen == threaded_blocks(page));
  PROOF_CHECK(out == mii_page_used(page));  // P1
  if (mii_page_owner(page) == 0) PROOF_CHECK(mii_page_hot(page)->state == PAGE_DISOWNED);
}

static void check_at_rest(void) {
  for (slice_t s = 1; s < SLICE_MAX; s++) {
    page_t* const page = mii_page_record(s);
    const bool free = (proof_space.free >> s & 1) != 0;
    if (is_page(s)) {
      PROOF_CHECK(!free);
      check_word(page);
      check_wake(page);
      check_blocks(page);
    }
  }
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) {
    PROOF_CHECK(mii_theap_is_valid(t));  // T1, T2, T5
    const bool waits = atomic_load_explicit(&t->user, memory_order_relaxed) == 0;
    PROOF_CHECK(!waits || t->parcels == 0);  // who takes it over finds nothing to send
  }
}

static uint64_t all_slices;

static void give_everything_back(void) {
  mii_theap_mine = (theap_t*)&mii_theap_done;
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) mii_outbox_send(t);
  for (slice_t s = 1; s < SLICE_MAX; s++) {
    for (uint32_t i = 0; i < SLICE_BLOCKS; i++) {
      if (live[s][i]) give(&proof_space.memory[s][i]);
    }
  }
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made)
    PROOF_CHECK(mii_theap_dissolve(t));
  mii_heap_trim(&mii_heap_main);
}

void proof_check_end(void) {
  proof_hush();
  check_at_rest();
  give_everything_back();
  PROOF_CHECK(proof_space.free == all_slices);
  proof_unhush();
}

// Fork ---------------------------------------------------------------------------------------------

// In a child that the thread has forked at this moment: heap/fork.c, but for the walk over segments. Some
// scenarios have threads that never had a theap; in a program all have.
static void recover_all(void) {
  mii_thread_forget_others();
  forget_wakes();
  mii_heap_forget_claimable(&mii_heap_main);
  uint64_t free = 0;
  for (slice_t s = 1; s < SLICE_MAX; s++) {
    if (recover_slice(s) == 0) free |= all_slices & UINT64_C(1) << s;
  }
  proof_space.free = free;
}

// No block is free that is with a user, or free twice; every page is where the child finds it.
static void check_recovered(page_t* page) {
  check_word(page);
  check_wake(page);
  if (mii_page_owner(page) != 0) {
    PROOF_CHECK(mii_page_owner(page) == mii_theap_tag(mii_theap_mine));
    return;
  }
  mii_page_thaw(page);
  PROOF_CHECK(mii_page_is_valid(page));
  uint32_t seen = live_blocks(mii_page_slice(page));
  mark_list(page, mii_page_hot(page)->local_free, SLICE_BLOCKS, &seen);
}

static uint32_t count_theaps(const handle_stack_t* stack) {
  uint32_t count = 0;
  for (uint32_t h = (uint32_t)stack->top; h != 0; h = *theap_link(h))
    PROOF_CHECK(++count <= THEAP_MAX);
  return count;
}

// The theaps of all others wait for the child's threads, each once.
static void check_pool(void) {
  uint32_t others = 0;
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made)
    others += !mii_theap_is_mine(t);
  PROOF_CHECK(count_theaps(&pool) + count_theaps(&bare_pool) == others);
}

void proof_recover(uint32_t thread) {
  proof_hush();
  (void)thread;
  recover_all();
  for (slice_t s = 1; s < SLICE_MAX; s++) {
    if (is_page(s)) check_recovered(mii_page_record(s));
  }
  for (theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made)
    PROOF_CHECK(mii_theap_is_valid(t));
  check_pool();
  proof_unhush();
}

// Begin --------------------------------------------------------------------------------------------

// The start goes on as another thread.
static void run_as(uint32_t thread) {
  mine_of[started_as] = mii_theap_mine;
  started_as = thread;
  mii_theap_mine = mine_of[thread];
}

// Threads past their end: they have no theap, so each of their frees is a push.
static void stranger(uint32_t thread) {
  mine_of[thread] = (theap_t*)&mii_theap_done;
  if (thread == started_as) mii_theap_mine = mine_of[thread];
}

static void newcomer(uint32_t thread) { mine_of[thread] = (theap_t*)&mii_theap_empty; }

// The blocks of `pages` full pages of the running thread, in the box.
static void fill(uint32_t pages) {
  for (uint32_t i = 0; i < pages * proof_blocks; i++) {
    box[i] = take();
    PROOF_CHECK(box[i] != NULL);
  }
}

void proof_begin(const scenario_t* scenario) {
  proof_hush();
  memset(live, 0, sizeof live);
  memset(in_call, 0, sizeof in_call);
  proof_blocks = scenario->blocks;
  proof_wake = scenario->wake;
  all_slices = mii_bit_span(1, scenario->slices);
  proof_space.free = all_slices;
  mii_thread_arm_exits();
  for (uint32_t i = 0; i < THEAP_MAX; i++)
    theaps[i].outbox = NULL;  // of an earlier run, under Relacy
  memset(outboxes, 0, sizeof outboxes);
  for (uint32_t i = 0; i < THREADS; i++) newcomer(i);
  started_as = 0;
  mii_theap_mine = mine_of[0];
  scenario->start();
  run_as(0);
  check_at_rest();
  proof_unhush();
}

void* proof_first_theap(uint32_t thread) { return mine_of[thread]; }

#include "scenarios.h"
