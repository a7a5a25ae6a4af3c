// SPDX-License-Identifier: MIT
// scenarios.h - what the threads do: part of world.c
//
// The start runs alone, as one thread after the other (run_as), and leaves blocks in `box`: by fill(), those of
// a first page, then those of a second. A stranger is a thread past its end: it has no theap, so each of
// its frees is a push of its own, and its mallocs borrow a theap. A newcomer has not called us yet.

// give_1_2: free box[1], then box[2].
#define GIVES(name, ...)                                                             \
  static void name(void) {                                                           \
    static const uint8_t which[] = {__VA_ARGS__};                                    \
    for (uint32_t i = 0; i < sizeof which / sizeof *which; i++) give(box[which[i]]); \
  }
GIVES(give_0, 0)
GIVES(give_1, 1)
GIVES(give_2, 2)
GIVES(give_3, 3)
GIVES(give_0_1, 0, 1)
GIVES(give_0_2, 0, 2)
GIVES(give_1_2, 1, 2)
GIVES(give_1_3, 1, 3)

static void take_1(void) { take(); }
static void take_2(void) { take(), take(); }
static void take_give(void) { give(take()); }
static void take_give_take(void) { give(take()), take(); }
static void end_thread(void) { call(end_running); }
static void dissolve(void) { call(dissolve_pool); }
static void trim(void) { call(trim_main); }
static void collect(void) { call(mii_theap_collect); }
static void tick(void) { call(keep_house); }
static void send_parcels(void) { call(send_all); }

static void give_0_take_2(void) { give_0(), take_2(); }
static void give_2_end(void) { give_2(), end_thread(); }
static void give_0_end(void) { give_0(), end_thread(); }
static void give_0_collect_take(void) { give_0(), collect(), take(); }
static void give_1_2_send(void) { give_1_2(), send_parcels(); }
static void give_0_send_take(void) { give_0(), send_parcels(), take(); }
static void take_end(void) { take(), end_thread(); }
static void take_give_end(void) { take_give(), end_thread(); }
static void come(void) {
  enter_call();
  mii_thread_leave(mii_thread_enter());
  leave_call();
}
static void come_end_come(void) { come(), end_thread(), come(); }
static void dissolve_take(void) { dissolve(), take(); }
static void give_0_tick(void) { give_0(), tick(); }
static void trim_dissolve(void) { trim(), dissolve(); }

// Starts: thread 0 owns full pages.
static void strangers(void) {
  stranger(1);
  stranger(2);
}
static void full_page(void) { fill(1), strangers(); }
static void full_pages(void) { fill(2), strangers(); }
static void full_page_and_newcomer(void) { fill(1), stranger(2); }
static void full_page_and_newcomers(void) { fill(1); }

// Threads 1 and 2 have theaps of their own, hence outboxes, and no page.
static void full_page_and_outboxes(void) {
  fill(1);
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), mii_thread_leave(mii_thread_enter());
}

// Nobody owns the full page.
static void orphan(void) {
  fill(1);
  end_running(NULL);
  dissolve_pool(NULL);
  strangers();
  stranger(0);
}
static void orphan_and_newcomer(void) {
  orphan();
  newcomer(2);
}
static void orphan_and_housekeeper(void) {
  orphan();
  newcomer(2);
  run_as(2), mii_thread_leave(mii_thread_enter());
}
static void orphans_and_newcomer(void) {
  fill(2);
  end_running(NULL);
  dissolve_pool(NULL);
  stranger(0);
  stranger(1);
}
static void orphan_and_newcomers(void) {
  orphan();
  newcomer(1);
  newcomer(2);
}

// Two theaps, with a page each, wait in the pool.
static void pooled(void) {
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), take();
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), end_running(NULL);
  stranger(2);
}

// The same without pages.
static void pooled_bare(void) {
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), mii_thread_leave(mii_thread_enter());
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), end_running(NULL);
}

// Let go of a page in use.
static void disown_owned(theap_t* theap) {
  if (theap->pages[0].owned != 0) mii_theap_release(theap, mii_page_record(theap->pages[0].owned));
}
static void disown(void) { call(disown_owned); }
static void disown_take(void) { call(disown_owned), take(); }
static void give_0_disown(void) { give_0(), call(disown_owned); }

static void give_disown_take_end(void) { give_0_disown(), take_end(); }

// A heap is destroyed while blocks of its page wait in outboxes: what the end of a heap will have to do. The
// page is queued first, as for disowning, so that no push signals any more; then its word changes its epoch
// in one step, and what is on its way is dropped.
static void destroy_owned(theap_t* theap) {
  page_t* const page = mii_page_record(theap->pages[0].owned);
  _Atomic(uint64_t)* const remote = remote_of(page);
  const uint64_t word = atomic_fetch_or_explicit(remote, QUEUED, memory_order_relaxed);
  if ((word & QUEUED) != 0) return;  // a push is about to wake us
  memset(live[mii_page_slice(page)], 0, sizeof live[0]);
  theap->list[0] = NULL;
  let_go(theap, page);
  const uint64_t next = ((word >> EPOCH_SHIFT) + 1) << EPOCH_SHIFT | OWNED;
  atomic_exchange_explicit(remote, next, memory_order_acquire);
  mii_page_hot(page)->out = 0;
  mii_page_arm(page, 1);
  mii_page_unmake(page);
}
static _Atomic(bool) destroyed;  // atomic: release, acquire: the program's own synchronisation
static void destroy_tell_take_3(void) {
  call(destroy_owned);
  atomic_store_explicit(&destroyed, true, memory_order_release);
  take_2(), take();
}
static void send_if_destroyed(void) {  // if not, the end of the scenario sends
  if (atomic_load_explicit(&destroyed, memory_order_acquire)) send_parcels();
}
static void destroy_take_3(void) { call(destroy_owned), take_2(), take(); }
static void parked(void) {
  full_page_and_outboxes();
  for (uint32_t t = 1; t < THREADS; t++) run_as(t), give(box[t]);
}

// A heap that is apart is destroyed once the program knows that the others have freed their blocks: they were pushed
// at once, so nobody writes into what the page's memory is by then.
static _Atomic(uint32_t) told;  // atomic: release, acquire: the program's own synchronisation
static void full_page_apart(void) {
  full_page();
  mii_page_set_heap(mii_page_record(mii_slice_of(box[0])), &mii_heap_main, true);
}
static void tell(void) { atomic_fetch_add_explicit(&told, 1, memory_order_release); }
static void give_1_tell(void) { give_1(), tell(); }
static void give_2_tell(void) { give_2(), tell(); }
static void discard_mine(theap_t* theap) {
  memset(live[theap->pages[0].owned], 0, sizeof live[0]);
  mii_theap_discard(theap);
}
static void destroy_if_told_take_3(void) {
  if (atomic_load_explicit(&told, memory_order_acquire) < 2) return;
  call(discard_mine);
  take_2(), take();
}

// The theaps are listed, the exits armed, and a deferred free is set, while threads begin.
static void walk_theaps(void) {
  uint32_t count = 0;
  for (const theap_t* t = mii_thread_first_theap(); t != NULL; t = t->next_made) count++;
  PROOF_CHECK(count <= THREADS);
}
static void nothing(void) {}
static void disarmed(void) { atomic_store_explicit(&exits_are_armed, false, memory_order_relaxed); }
static void on_deferred(bool force, unsigned long long beat, void* arg) {
  (void)force, (void)beat;
  PROOF_CHECK(arg == &proof_blocks);
}
static void set_deferred(void) { mii_deferred_free_set(on_deferred, &proof_blocks); }

const scenario_t proof_scenarios[] = {
    {"wake at 1", 3, 1, 2, full_page, {give_0_take_2, give_1, give_2}},
    {"wake at 2", 3, 2, 2, full_page, {give_0_take_2, give_1, give_2}},
    {"wake, 4 blocks", 4, 2, 2, full_page, {give_0_take_2, give_1_3, give_2}},
    {"wake, two pages", 2, 1, 3, full_pages, {give_0_take_2, give_1_2, give_3}},
    {"batches", 3, 2, 2, full_page_and_outboxes, {take_give_take, give_1_2_send, give_0_send_take}},
    {"collect", 3, 2, 1, full_page, {give_0_collect_take, give_1, give_2}},
    {"collect, reuse", 3, 2, 1, full_page_and_newcomer, {give_0_collect_take, take_give, give_1_2}},
    {"exit", 3, 2, 1, full_page, {give_0_end, give_1, give_2}},
    {"exit, taken over", 3, 2, 2, full_page_and_newcomer, {give_0_end, take_give_end, give_1_2}},
    {"exit, borrowed", 3, 2, 2, full_page, {give_0_end, take_give, give_1_2}},
    {"exit, dissolved", 3, 2, 1, full_page, {give_0_end, give_1_2, dissolve}},
    {"exit, dissolved, taken",
     3,
     2,
     2,
     full_page_and_newcomer,
     {give_0_end, dissolve_take, give_1_2}},
    {"publish, claim", 3, 2, 2, orphan_and_newcomer, {give_0, give_1, take_give}},
    {"publish, two claim", 3, 2, 2, orphan_and_newcomers, {give_0_2, take_give, take_1}},
    {"claim, 4 blocks", 4, 2, 1, orphan_and_newcomer, {give_0_2, give_1_3, take_give_take}},
    {"trim", 2, 2, 1, orphan_and_newcomer, {give_0_1, trim, take_1}},
    {"trim, two pages", 2, 1, 3, orphans_and_newcomer, {give_0_2, trim, take_1}},
    {"trim twice", 2, 2, 2, orphan_and_newcomer, {give_0_1, trim, trim_dissolve}},
    {"housekeeping", 3, 2, 2, full_page_and_newcomer, {give_0_tick, take_give, give_1_2}},
    {"housekeeping, exit", 3, 2, 2, full_page_and_outboxes, {give_0_end, tick, give_1_2}},
    {"housekeeping, orphan", 2, 1, 2, orphan_and_housekeeper, {give_0, give_1, tick}},
    {"disown", 3, 2, 2, full_page, {disown_take, give_0, give_1}},
    {"exit with a parcel", 3, 2, 2, full_page_and_outboxes, {take_give, give_1, give_2_end}},
    {"disown, published", 3, 2, 2, full_page_and_newcomers, {disown, give_0_send_take}},
    {"disown, published, claimed", 3, 2, 2, full_page_and_newcomer, {disown, give_0_2, take_give}},
    {"disown, claimed", 3, 2, 2, full_page_and_newcomer, {give_0_disown, take_give, give_1_2}},
    {"disown, trimmed", 2, 1, 2, full_page, {give_0_disown, give_1, trim}},
    {"theaps listed", 2, 1, 3, nothing, {take_give, take_end, walk_theaps}},
    {"exits armed", 2, 1, 3, disarmed, {mii_thread_arm_exits, take_1, take_1}},
    {"deferred free", 2, 1, 3, nothing, {take_2, set_deferred, take_1}},
    {"destroy, late batches",
     3,
     2,
     1,
     parked,
     {destroy_tell_take_3, send_if_destroyed, send_if_destroyed}},
    {"pool", 2, 1, 3, pooled, {take_1, take_1, nothing}},
    {"pool, dissolved", 2, 1, 3, pooled, {take_1, dissolve, nothing}},
    {"pool, bare", 2, 1, 3, pooled_bare, {take_1, come_end_come, take_1}},
    {"all together", 3, 2, 2, full_page_and_newcomer, {give_disown_take_end, take_give, give_1_2}},
    {"destroy, pushed at once",
     3,
     2,
     1,
     full_page_apart,
     {destroy_if_told_take_3, give_1_tell, give_2_tell}},
    // Why blocks of such heaps are never parked: a push links its batch to the list it saw before it knows whether
    // the page is still the same.
    {"hole: destroy under a push",
     3,
     2,
     1,
     parked,
     {destroy_take_3, send_parcels, send_parcels},
     true},
    {NULL},
};
