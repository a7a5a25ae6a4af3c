// SPDX-License-Identifier: MIT
// run.c - blocks of 32 KiB to 1 MiB, as runs of 4 KiB units in shared segments
//
// A run area is a segment of 1024 units and an out-of-line map of them. Free runs are kept in lists by
// length, four lists per doubling, so a fitting run is found in a few steps (good fit), and joined with
// their neighbours when they are freed.
//
//   length[u]   at the first unit of a used run; at the first and the last unit of a free run
//   starts      bit u: a used run begins at u
//   edges       bit u: u is the first or the last unit of a free run
//   dirty       bit u: u may hold other bytes than zero
//
//   R1  the map is touched by who holds the area's lock. Three exceptions: `starts` is atomic; the user of
//       a live run reads its length[]; who gives a run back writes its next[] before it is pending
//   R2  every unit belongs to exactly one run, free or used; two free runs never touch
//   R3  a free run is on the list of its length; a list's bit in `filled` is on if it is not empty
//   R4  a unit that is not dirty reads as zero
//   R5  an area has its hint on for every 2^k units it has free in a row, once all calls have returned
//
// Nobody waits for the lock: who wants a run goes to another area, who gives one back while the area
// is busy leaves it on a stack (`pending`) for the holder, who looks at the stack once more after
// unlocking. So a run is given back by whoever comes last. Why the holder cannot miss it: pushing and
// the holder's last look are read-modify-writes of `pending` (acq_rel), one comes first. If it is the
// push, the holder sees it; if it is the look, the unlock before it is visible to the giver, whose
// attempt to lock then succeeds.
//
// A run that is given back twice is noticed: only one of the two finds its bit in `starts`.
//
// Areas are made of empty segments and retired by the purge. Area structs are never freed, only used
// again for another segment: whoever locks one checks what it is now.
//
// Tests: tests/unit/space/run_test.c, tests/stress/
#include "space/run.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/handle_stack.h"
#include "runtime/lock.h"
#include "space/hint.h"
#include "space/purge.h"
#include "space/range.h"
#include "space/segment.h"
#include <string.h>

enum {
  AREA_WORDS = AREA_UNITS / 64,
  LIST_COUNT = 40,  // 0..6: runs of 1..7 units; then four per doubling
  NO_UNIT = 0xFFFF,
  RUN_HINT_FIRST = 3,  // log2 of the runs with hints: 8 .. 256 units
  RUN_HINT_LAST = 8,
  AREA_TRIES = 8,  // areas looked at before a new one is made
  LIST_TRIES = 8,  // free runs looked at in the one list that may hold shorter ones
};

struct run_area_s {
  lock_t lock;
  _Atomic(uint32_t) pending;     // atomic: unit + 1 of the last run given back while locked
  _Atomic(uint32_t) segment;     // lock(lock) to write; NO_SEGMENT: not in use
  _Atomic(uint32_t) stack_link;  // atomic: handle_stack.h, areas not in use
  run_area_t* next_made;         // const: the list of all areas
  uint32_t free_units;           // lock(lock)
  uint32_t hinted_from;          // lock(lock): the hints are right while the last list that is
  uint32_t hinted_to;            // lock(lock): filled lies between these, the second excluded
  uint64_t filled;               // lock(lock): bit i: list i is not empty
  _Atomic(uint64_t) starts[AREA_WORDS];  // atomic: relaxed; each bit orders nothing else
  uint64_t edges[AREA_WORDS];            // lock(lock)
  uint64_t dirty[AREA_WORDS];            // lock(lock)
  uint16_t head[LIST_COUNT];             // lock(lock)
  uint16_t length[AREA_UNITS];           // lock(lock), or the user of the run
  uint16_t next[AREA_UNITS];             // lock(lock)
  uint16_t prev[AREA_UNITS];             // lock(lock)
};

static handle_stack_t unused_areas;      // atomic: handle_stack.h
static _Atomic(run_area_t*) made_areas;  // atomic: release to add, acquire to walk

// Bits over the units ----------------------------------------------------------------------------

static bool get_bit(const uint64_t* words, uint32_t unit) {
  return (words[unit / 64] >> (unit % 64) & 1) != 0;
}
static void set_bit(uint64_t* words, uint32_t unit) {
  words[unit / 64] |= UINT64_C(1) << (unit % 64);
}
static void clear_bit(uint64_t* words, uint32_t unit) {
  words[unit / 64] &= ~(UINT64_C(1) << (unit % 64));
}

// Set or clear a span of bits; true if any was set before.
static bool change_bits(uint64_t* words, uint32_t from, uint32_t count, bool on) {
  bool any = false;
  while (count > 0) {
    const uint32_t here = (uint32_t)mii_min(count, 64 - from % 64);
    const uint64_t mask = mii_bit_span(from % 64, here);
    any = any || (words[from / 64] & mask) != 0;
    words[from / 64] = on ? words[from / 64] | mask : words[from / 64] & ~mask;
    from += here;
    count -= here;
  }
  return any;
}

// Free lists -------------------------------------------------------------------------------------

// The list that a run of `length` units is kept on: all runs of list i are shorter than those of i + 1.
static uint32_t list_of(uint32_t length) {
  if (length < 8) return length - 1;
  const uint32_t top = mii_highest_bit(length);
  return 7 + (top - 3) * 4 + (length >> (top - 2) & 3);
}

static void add_free(run_area_t* area, uint32_t unit, uint32_t length) {
  const uint32_t list = list_of(length);
  const uint16_t first = area->head[list];
  area->next[unit] = first;
  area->prev[unit] = NO_UNIT;
  if (first != NO_UNIT) area->prev[first] = (uint16_t)unit;
  area->head[list] = (uint16_t)unit;
  area->filled |= UINT64_C(1) << list;
  area->length[unit] = (uint16_t)length;
  area->length[unit + length - 1] = (uint16_t)length;
  set_bit(area->edges, unit);
  set_bit(area->edges, unit + length - 1);
  area->free_units += length;
}

// Returns the length.
static uint32_t remove_free(run_area_t* area, uint32_t unit) {
  const uint32_t length = area->length[unit];
  const uint32_t list = list_of(length);
  const uint16_t next = area->next[unit];
  const uint16_t prev = area->prev[unit];
  if (next != NO_UNIT) area->prev[next] = prev;
  if (prev != NO_UNIT) {
    area->next[prev] = next;
  } else {
    area->head[list] = next;
    if (next == NO_UNIT) area->filled &= ~(UINT64_C(1) << list);
  }
  clear_bit(area->edges, unit);
  clear_bit(area->edges, unit + length - 1);
  area->free_units -= length;
  return length;
}

// Where in the free run the request would begin; AREA_UNITS if it does not fit. Areas are aligned to
// 4 MiB, so unit numbers have the alignment of addresses.
static uint32_t fit_in(const run_area_t* area, uint32_t unit, run_request_t want) {
  uint32_t from = unit;
  if (want.align > 1) from += (want.phase - unit) & (want.align - 1);
  return from + want.count <= unit + area->length[unit] ? from : AREA_UNITS;
}

typedef struct found_s {
  uint32_t run;   // the free run
  uint32_t from;  // where in it the request begins; AREA_UNITS: nothing was found
} found_t;

static found_t search_list(const run_area_t* area, uint32_t list, run_request_t want) {
  uint16_t unit = area->head[list];
  for (int i = 0; i < LIST_TRIES && unit != NO_UNIT; i++, unit = area->next[unit]) {
    const uint32_t from = fit_in(area, unit, want);
    if (from < AREA_UNITS) return (found_t){unit, from};
  }
  return (found_t){0, AREA_UNITS};
}

// Good fit: first the list that holds runs of about this length, then the next ones that hold any.
static found_t search(const run_area_t* area, run_request_t want) {
  uint64_t lists = area->filled & (~UINT64_C(0) << list_of(want.count));
  for (; lists != 0; lists &= lists - 1) {
    const found_t found = search_list(area, mii_lowest_bit(lists), want);
    if (found.from < AREA_UNITS) return found;
  }
  return (found_t){0, AREA_UNITS};
}

// Used runs --------------------------------------------------------------------------------------

static bool is_start(run_area_t* area, uint32_t unit) {
  return (atomic_load_explicit(&area->starts[unit / 64], memory_order_relaxed) >> (unit % 64) & 1)
         != 0;
}

static void begin_run(run_area_t* area, uint32_t unit, uint32_t length) {
  area->length[unit] = (uint16_t)length;
  atomic_fetch_or_explicit(&area->starts[unit / 64], UINT64_C(1) << (unit % 64),
                           memory_order_relaxed);
}

// True for exactly one of those who try.
static bool end_run(run_area_t* area, uint32_t unit) {
  const uint64_t bit = UINT64_C(1) << (unit % 64);
  return (atomic_fetch_and_explicit(&area->starts[unit / 64], ~bit, memory_order_relaxed) & bit)
         != 0;
}

static void cut_out(run_area_t* area, found_t found, uint32_t count) {
  const uint32_t length = remove_free(area, found.run);
  const uint32_t front = found.from - found.run;
  const uint32_t back = length - front - count;
  if (front > 0) add_free(area, found.run, front);
  if (back > 0) add_free(area, found.from + count, back);
  begin_run(area, found.from, count);
}

// The units become free, joined with free neighbours.
static void join_free(run_area_t* area, uint32_t unit, uint32_t length) {
  if (unit > 0 && get_bit(area->edges, unit - 1)) {
    unit -= area->length[unit - 1];
    length += remove_free(area, unit);
  }
  if (unit + length < AREA_UNITS && get_bit(area->edges, unit + length)) {
    length += remove_free(area, unit + length);
  }
  add_free(area, unit, length);
}

// Hints, and the lock ------------------------------------------------------------------------------

// The hints are those of the longest free run: they change only when that passes a power of two.
static void write_area_hints(run_area_t* area, uint32_t segment) {
  const uint32_t longest = area->filled != 0 ? mii_highest_bit(area->filled) : 0;
  if (longest >= area->hinted_from && longest < area->hinted_to) return;
  area->hinted_from = 0;
  area->hinted_to = UINT32_MAX;
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    const uint32_t list = list_of(1u << k);
    mii_hint_set((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment, longest >= list);
    if (longest >= list) {
      area->hinted_from = list;
    } else if (area->hinted_to == UINT32_MAX) {
      area->hinted_to = list;
    }
  }
}

// Lock held. What others gave back becomes free.
static void take_pending(run_area_t* area) {
  if (atomic_load_explicit(&area->pending, memory_order_relaxed) == 0) return;
  uint32_t unit = atomic_exchange_explicit(&area->pending, 0, memory_order_acquire);
  while (unit != 0) {
    const uint32_t below = area->next[unit - 1];
    join_free(area, unit - 1, area->length[unit - 1]);
    unit = below;
  }
  const uint32_t segment = atomic_load_explicit(&area->segment, memory_order_relaxed);
  write_area_hints(area, segment);
  mii_segment_note_purgeable(segment);
}

static void unlock(run_area_t* area) {
  do {
    mii_lock_give(&area->lock);
    if (atomic_fetch_or_explicit(&area->pending, 0, memory_order_acq_rel) == 0) return;
    if (!mii_lock_try(&area->lock)) return;  // the new holder does it
    take_pending(area);
  } while (true);
}

// The area of the segment, locked; NULL if it has none or somebody is busy with it.
static run_area_t* try_lock_area(uint32_t segment) {
  run_area_t* const area = atomic_load_explicit(&mii_segment(segment)->runs, memory_order_acquire);
  if (area == NULL || !mii_lock_try(&area->lock)) return NULL;
  if (atomic_load_explicit(&area->segment, memory_order_relaxed) != segment) {
    unlock(area);  // it was retired while we looked
    return NULL;
  }
  take_pending(area);
  return area;
}

// Areas come and go --------------------------------------------------------------------------------

static handle_link_t* area_link(uint32_t handle) {
  return &((run_area_t*)mii_meta_pointer(handle))->stack_link;
}

// Locked.
static run_area_t* new_area_struct(void) {
  const uint32_t handle = mii_stack_pop(&unused_areas, area_link);
  if (handle != 0) {
    run_area_t* const unused = mii_meta_pointer(handle);
    if (mii_lock_try(&unused->lock)) return unused;
    mii_stack_push(&unused_areas, handle, area_link);  // a fork holds it, or who finds it retired
  }
  run_area_t* const area = mii_meta_take(sizeof *area);
  if (area == NULL) return NULL;
  atomic_store_explicit(&area->segment, NO_SEGMENT, memory_order_relaxed);
  area->lock.rank = LOCK_AREA;
  mii_range_lock();  // so that fork, which holds it, sees every area
  area->next_made = atomic_load_explicit(&made_areas, memory_order_relaxed);
  atomic_store_explicit(&made_areas, area, memory_order_release);
  mii_range_unlock();
  mii_lock_wait(&area->lock);
  return area;
}

static void set_kinds(uint32_t segment, slice_kind_t kind) {
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++)
    mii_slice_set_kind(segment * SEGMENT_SLICES + i, kind);
}

// Lock held. One free run of all units.
static void clear_map(run_area_t* area, bool zero) {
  area->free_units = 0;
  area->filled = 0;
  area->hinted_from = area->hinted_to = 0;  // whatever they were, it was for another segment
  for (uint32_t i = 0; i < AREA_WORDS; i++) {
    atomic_store_explicit(&area->starts[i], 0, memory_order_relaxed);
    area->edges[i] = 0;
    area->dirty[i] = zero ? 0 : ~UINT64_C(0);
  }
  for (uint32_t i = 0; i < LIST_COUNT; i++) area->head[i] = NO_UNIT;
  add_free(area, 0, AREA_UNITS);
}

// Make an empty segment a run area. Returns the segment's number, or NO_SEGMENT.
static uint32_t make_area(void) {
  bool zero;
  // First: it may wait for the range's lock.
  const slice_t slice =
      mii_segment_take((slice_request_t){.count = SEGMENT_SLICES, .align = SEGMENT_SLICES}, &zero);
  if (slice == 0) return NO_SEGMENT;
  run_area_t* const area = new_area_struct();
  if (area == NULL) {
    mii_segment_give(slice, SEGMENT_SLICES);
    return NO_SEGMENT;
  }
  const uint32_t segment = slice / SEGMENT_SLICES;
  clear_map(area, zero);
  atomic_store_explicit(&area->segment, segment, memory_order_relaxed);
  set_kinds(segment, SLICE_RUN);
  atomic_store_explicit(&mii_segment(segment)->runs, area, memory_order_release);
  write_area_hints(area, segment);
  unlock(area);
  return segment;
}

// Lock held, all units free: the segment is nobody's again.
static void retire_area(run_area_t* area, uint32_t segment) {
  MI_ASSERT(area->free_units == AREA_UNITS);
  remove_free(area, 0);
  write_area_hints(area, segment);
  set_kinds(segment, SLICE_FREE);
  atomic_store_explicit(&mii_segment(segment)->runs, NULL, memory_order_relaxed);
  atomic_store_explicit(&area->segment, NO_SEGMENT, memory_order_relaxed);
  mii_segment_give(segment * SEGMENT_SLICES, SEGMENT_SLICES);
}

// Take, give, resize -------------------------------------------------------------------------------

static uint32_t unit_of(const void* p) {
  return (uint32_t)(((uintptr_t)p - mii_range.base) >> UNIT_SHIFT) % AREA_UNITS;
}

static uint32_t segment_of(const void* p) { return (uint32_t)(mii_slice_of(p) / SEGMENT_SLICES); }

static run_area_t* area_of(const void* p) {
  return atomic_load_explicit(&mii_segment(segment_of(p))->runs, memory_order_acquire);
}

// The hint of the areas that may have that many units in a row. Areas with less than 8 in a row have
// none: they are found for requests of less than 8 units only as long as they are somebody's last one.
static uint32_t possible_hint(uint32_t count) {
  return (uint32_t)mii_max(RUN_HINT_FIRST, mii_highest_bit(count));
}

static void* take_in(uint32_t segment, run_request_t want, bool* zero) {
  run_area_t* const area = try_lock_area(segment);
  if (area == NULL) return NULL;
  const found_t found = search(area, want);
  void* p = NULL;
  if (found.from < AREA_UNITS) {
    cut_out(area, found, want.count);
    *zero = !change_bits(area->dirty, found.from, want.count, true);
    write_area_hints(area, segment);
    p = mii_slice_start(segment * SEGMENT_SLICES) + (size_t)found.from * UNIT_BYTES;
  }
  unlock(area);
  return p;
}

// The lowest areas from `from` on.
static void* take_run_by_hint(uint32_t k, uint32_t from, uint32_t tries, run_request_t want,
                              uint32_t* segment, bool* zero) {
  const hint_t hint = (hint_t)(HINT_RUNS + k - RUN_HINT_FIRST);
  uint32_t index = mii_hint_next(hint, from);
  for (; tries > 0 && index != NO_SEGMENT; tries--) {
    void* const p = take_in(index, want, zero);
    if (p != NULL) {
      *segment = index;
      return p;
    }
    index = mii_hint_next(hint, index + 1);
  }
  return NULL;
}

// The area that served us last; a few that may have a run of about this length, going on from there,
// because the ones below have just turned us away; the lowest that must have one.
static void* take_from_areas(run_request_t want, uint32_t* segment, bool* zero) {
  const uint32_t possible = possible_hint(want.count);
  const uint32_t sure = (uint32_t)mii_max(RUN_HINT_FIRST, mii_log2_up(want.count));
  const uint32_t last = *segment;
  void* p = last != 0 ? take_in(last, want, zero) : NULL;
  if (p == NULL && possible < sure) {
    p = take_run_by_hint(possible, last + 1, AREA_TRIES, want, segment, zero);
    if (p == NULL) p = take_run_by_hint(possible, 0, AREA_TRIES, want, segment, zero);
  }
  if (p == NULL) p = take_run_by_hint(sure, 0, AREA_TRIES, want, segment, zero);
  return p;
}

static void* take_or_make_area(run_request_t want, uint32_t* segment, bool* zero) {
  void* p = take_from_areas(want, segment, zero);
  for (int i = 0; i < AREA_TRIES && p == NULL; i++) {
    const uint32_t made = make_area();
    // No room for another: any area will do.
    if (made == NO_SEGMENT) {
      return take_run_by_hint(possible_hint(want.count), 0, UINT32_MAX, want, segment, zero);
    }
    p = take_in(made, want, zero);  // unless others were faster
    *segment = made;
  }
  return p;
}

// Does the request fit an area that is free as a whole?
static bool fits_area(run_request_t want) {
  return want.count + (want.align > 1 ? want.phase : 0) <= AREA_UNITS;
}

void* mii_run_take(run_request_t want, uint32_t* segment, bool* zero) {
  MI_ASSERT(want.count > 0 && want.count <= RUN_UNITS_MAX && want.align <= AREA_UNITS);
  if (!fits_area(want)) return NULL;
  for (purge_patience_t patience = {0};;) {
    const uint32_t epoch = mii_purge_epoch();
    void* const p = take_or_make_area(want, segment, zero);
    if (p != NULL || !mii_purge_may_have_hidden(epoch, &patience)) return p;
  }
}

// Leave the run to whoever holds the lock.
static void push_pending(run_area_t* area, uint32_t unit) {
  uint32_t seen = atomic_load_explicit(&area->pending, memory_order_relaxed);
  do {
    area->next[unit] = (uint16_t)seen;
  } while (!atomic_compare_exchange_weak_explicit(&area->pending, &seen, unit + 1,
                                                  memory_order_acq_rel, memory_order_relaxed));
}

static void give_locked(run_area_t* area, uint32_t segment, uint32_t unit) {
  join_free(area, unit, area->length[unit]);
  write_area_hints(area, segment);
  mii_segment_note_purgeable(segment);
}

bool mii_run_give(void* p) {
  const uint32_t unit = unit_of(p);
  run_area_t* const area = area_of(p);
  if (area == NULL || !end_run(area, unit)) return false;
  if (mii_lock_try(&area->lock)) {
    give_locked(area, segment_of(p), unit);
    unlock(area);
  } else {
    push_pending(area, unit);
    if (mii_lock_try(&area->lock)) unlock(area);  // it was given back before it could see our push
  }
  if (mii_purge_is_eager()) mii_run_purge(segment_of(p));
  return true;
}

size_t mii_run_bytes(const void* p) {
  run_area_t* const area = area_of(p);
  if (area == NULL || !is_start(area, unit_of(p))) return 0;
  return (size_t)area->length[unit_of(p)] * UNIT_BYTES;
}

// Lock held. Make the used run longer by `more` units of the free run behind it, if that is there.
static bool extend_run(run_area_t* area, uint32_t unit, uint32_t length, uint32_t more) {
  const uint32_t behind = unit + length;
  if (behind >= AREA_UNITS || !get_bit(area->edges, behind) || area->length[behind] < more)
    return false;
  const uint32_t rest = remove_free(area, behind) - more;
  if (rest > 0) add_free(area, behind + more, rest);
  change_bits(area->dirty, behind, more, true);
  return true;
}

bool mii_run_resize(void* p, uint32_t count) {
  const uint32_t segment = segment_of(p);
  const uint32_t unit = unit_of(p);
  run_area_t* const area = try_lock_area(segment);
  if (area == NULL) return false;
  MI_ASSERT(is_start(area, unit));
  const uint32_t length = area->length[unit];
  const bool fits = count <= length || extend_run(area, unit, length, count - length);
  if (fits) area->length[unit] = (uint16_t)count;
  if (count < length) {
    join_free(area, unit + count, length - count);
    mii_segment_note_purgeable(segment);
  }
  write_area_hints(area, segment);
  unlock(area);
  return fits;
}

// Lengths of runs that come and go are read without asking, on purpose.
MI_NO_TSAN run_count_t mii_run_count(uint32_t segment) {
  run_count_t total = {0};
  run_area_t* const area = atomic_load_explicit(&mii_segment(segment)->runs, memory_order_acquire);
  for (uint32_t i = 0; area != NULL && i < AREA_WORDS; i++) {
    uint64_t starts = atomic_load_explicit(&area->starts[i], memory_order_relaxed);
    total.dirty_bytes += (size_t)mii_count_bits(area->dirty[i]) * UNIT_BYTES;
    for (; starts != 0; starts &= starts - 1) {
      total.count++;
      total.bytes += (size_t)area->length[i * 64 + mii_lowest_bit(starts)] * UNIT_BYTES;
    }
  }
  return total;
}

MI_NO_TSAN uint32_t mii_run_next(uint32_t segment, uint32_t unit, uint32_t* count) {
  run_area_t* const area = atomic_load_explicit(&mii_segment(segment)->runs, memory_order_acquire);
  for (; area != NULL && unit < AREA_UNITS; unit = (unit / 64 + 1) * 64) {
    const uint64_t starts =
        atomic_load_explicit(&area->starts[unit / 64], memory_order_relaxed) >> unit % 64;
    if (starts == 0) continue;
    unit += mii_lowest_bit(starts);
    *count = area->length[unit];
    return unit;
  }
  return NO_RUN;
}

// Purge --------------------------------------------------------------------------------------------

// Lock held. A unit is clean again only if the whole OS page that it is part of went back.
static void purge_free_run(run_area_t* area, uint32_t segment, uint32_t unit) {
  const uint32_t os_units = (uint32_t)(mii_range.os_page_size / UNIT_BYTES);
  const uint32_t from = (uint32_t)mii_align_up(unit, os_units);
  const uint32_t to = (unit + area->length[unit]) & ~(os_units - 1);
  if (from >= to) return;
  uint8_t* const start = mii_slice_start(segment * SEGMENT_SLICES) + (size_t)from * UNIT_BYTES;
  if (!change_bits(area->dirty, from, to - from, false)) return;
  if (!mii_purge_memory(start, (size_t)(to - from) * UNIT_BYTES)) {
    change_bits(area->dirty, from, to - from, true);
  }
}

static void purge_free_runs(run_area_t* area, uint32_t segment) {
  for (uint64_t lists = area->filled; lists != 0; lists &= lists - 1) {
    for (uint16_t unit = area->head[mii_lowest_bit(lists)]; unit != NO_UNIT;
         unit = area->next[unit]) {
      purge_free_run(area, segment, unit);
    }
  }
}

bool mii_run_purge(uint32_t segment) {
  if (atomic_load_explicit(&mii_segment(segment)->runs, memory_order_relaxed) == NULL) return true;
  run_area_t* const area = try_lock_area(segment);
  if (area == NULL) return false;
  mii_purge_begin();
  const bool retire = area->free_units == AREA_UNITS;
  if (retire) {
    retire_area(area, segment);
  } else {
    purge_free_runs(area, segment);
  }
  unlock(area);
  mii_purge_end();
  if (retire) mii_stack_push(&unused_areas, mii_meta_handle(area), area_link);
  return true;
}

// Fork ---------------------------------------------------------------------------------------------

static run_area_t* locked_areas;  // between lock_all and unlock_all, which one thread calls

// The caller holds the range's lock, so no area joins the list meanwhile. Those that do before the second
// call, made by the forking thread itself, are not on ours.
void mii_run_lock_all(void) {
  locked_areas = atomic_load_explicit(&made_areas, memory_order_acquire);
  for (run_area_t* area = locked_areas; area != NULL; area = area->next_made)
    mii_lock_wait(&area->lock);
}

void mii_run_unlock_all(void) {
  for (run_area_t* area = locked_areas; area != NULL; area = area->next_made) unlock(area);
}

// Validator ----------------------------------------------------------------------------------------

static uint32_t count_starts(run_area_t* area) {
  uint32_t count = 0;
  for (uint32_t unit = 0; unit < AREA_UNITS; unit++) count += is_start(area, unit);
  return count;
}

static uint32_t count_edges(const run_area_t* area) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < AREA_WORDS; i++) count += mii_count_bits(area->edges[i]);
  return count;
}

static bool free_run_is_marked(const run_area_t* area, uint32_t unit) {
  const uint32_t last = unit + area->length[unit] - 1;
  return MI_HOLDS(get_bit(area->edges, last)) && MI_HOLDS(area->length[last] == area->length[unit]);
}

// Walks from unit 0 on: every unit belongs to one run, and no bit is set elsewhere.
static bool units_add_up(run_area_t* area) {
  uint32_t free_units = 0;
  uint32_t used_runs = 0;
  uint32_t edges = 0;
  bool was_free = false;
  for (uint32_t unit = 0; unit < AREA_UNITS; unit += area->length[unit]) {
    const bool is_free = get_bit(area->edges, unit);
    const uint32_t length = area->length[unit];
    if (!MI_HOLDS(length > 0 && unit + length <= AREA_UNITS)) return false;
    if (!MI_HOLDS(is_free != is_start(area, unit))) return false;
    if (!MI_HOLDS(!(is_free && was_free))) return false;
    if (is_free && !free_run_is_marked(area, unit)) return false;
    free_units += is_free ? length : 0;
    edges += is_free ? (length > 1 ? 2 : 1) : 0;
    used_runs += !is_free;
    was_free = is_free;
  }
  return MI_HOLDS(free_units == area->free_units) && MI_HOLDS(used_runs == count_starts(area))
         && MI_HOLDS(edges == count_edges(area));
}

static bool lists_are_right(run_area_t* area) {
  uint32_t free_units = 0;
  for (uint32_t list = 0; list < LIST_COUNT; list++) {
    const bool filled = (area->filled >> list & 1) != 0;
    if (!MI_HOLDS(filled == (area->head[list] != NO_UNIT))) return false;
    uint16_t before = NO_UNIT;
    for (uint16_t unit = area->head[list]; unit != NO_UNIT; unit = area->next[unit]) {
      if (!MI_HOLDS(unit < AREA_UNITS && get_bit(area->edges, unit))) return false;
      if (!MI_HOLDS(list_of(area->length[unit]) == list && area->prev[unit] == before))
        return false;
      free_units += area->length[unit];
      if (!MI_HOLDS(free_units <= AREA_UNITS)) return false;  // also ends a circular list
      before = unit;
    }
  }
  return MI_HOLDS(free_units == area->free_units);
}

MI_COLD bool mii_run_area_is_valid(uint32_t segment) {
  run_area_t* const area = atomic_load_explicit(&mii_segment(segment)->runs, memory_order_acquire);
  if (area == NULL) return true;
  bool hints = true;
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    const bool has = (area->filled >> list_of(1u << k)) != 0;
    hints = hints && mii_hint_is_on((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment) == has;
  }
  return units_add_up(area)        // R2
         && lists_are_right(area)  // R3
         && MI_HOLDS(hints);       // R5
}
