// SPDX-License-Identifier: MIT
// scenarios.h - what the threads do: part of world.c
//
// The start runs alone, as one thread after the other (run_as), and leaves blocks in `box`: by fill(), those of
// a first page, then those of a second. A stranger is a thread past its end: it has no theap, so each of
// its frees is a push of its own, and its mallocs borrow a theap. A newcomer has not called us yet.

// give_1_2: free box[1], then box[2].
#define GIVES(name, ...)                                                          \
  static void name(void) {                                                        \
    static const uint8_t which[] = {__VA_ARGS__};                                 \
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
GIVES(give_2_3, 2, 3)

static void take_1(void) { take(); }
static void take_2(void) { take(), take(); }
static void take_give(void) { give(take()); }
static void take_give_take(void) { give(take()), take(); }
static void end_thread(void) { call(end_running); }
static void dissolve(void) { call(dissolve_pool); }
static void trim(void) { call(trim_main); }
static void collect(void) { call(mii_theap_collect); }
static void send_parcels(void) { call(send_all); }

static void give_0_take_2(void) { give_0(), take_2(); }
static void give_2_end(void) { give_2(), end_thread(); }
static void give_0_end(void) { give_0(), end_thread(); }
static void give_0_collect_take(void) { give_0(), collect(), take(); }
static void give_1_2_send(void) { give_1_2(), send_parcels(); }
static void give_0_send_take(void) { give_0(), send_parcels(), take(); }
static void take_end(void) { take(), end_thread(); }
static void take_give_end(void) { take_give(), end_thread(); }
static void dissolve_take(void) { dissolve(), take(); }
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

// Let go of a page in use.
static void disown_owned(theap_t* theap) {
  if (theap->pages[0].owned != 0) release_page(theap, mii_page_record(theap->pages[0].owned));
}
static void disown(void) { call(disown_owned); }
static void disown_take(void) { call(disown_owned), take(); }
static void give_0_disown(void) { give_0(), call(disown_owned); }

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
    {"exit, dissolved, taken", 3, 2, 2, full_page_and_newcomer, {give_0_end, dissolve_take, give_1_2}},
    {"pool", 2, 1, 3, pooled, {take_end, take_end, trim_dissolve}},
    {"publish, claim", 3, 2, 2, orphan_and_newcomer, {give_0, give_1, take_give}},
    {"publish, two claim", 3, 2, 2, orphan_and_newcomers, {give_0_2, take_give, take_1}},
    {"claim, 4 blocks", 4, 2, 1, orphan_and_newcomer, {give_0_2, give_1_3, take_give_take}},
    {"trim", 2, 2, 1, orphan_and_newcomer, {give_0_1, trim, take_1}},
    {"trim twice", 2, 2, 2, orphan_and_newcomer, {give_0_1, trim, trim_dissolve}},
    {"disown", 3, 2, 2, full_page, {disown_take, give_0, give_1}},
    {"exit with a parcel", 3, 2, 2, full_page_and_outboxes, {take_give, give_1, give_2_end}},
    {"disown, published, claimed", 3, 2, 2, full_page_and_newcomer, {disown, give_0_2, take_give}},
    {"disown, claimed", 3, 2, 2, full_page_and_newcomer, {give_0_disown, take_give, give_1_2}},
    {"disown, trimmed", 2, 1, 2, full_page, {give_0_disown, give_1, trim}},
    {NULL},
};
