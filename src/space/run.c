// SPDX-License-Identifier: MIT
// run.c - blocks of 32 KiB to 1 MiB, as runs of 4 KiB units in shared segments
//
// A run area is a segment of 1024 units and an out-of-line map of them, a bit per unit. So cutting a run out
// of a free one and joining it with its neighbours again are a few operations on words: there is nothing to
// be linked or unlinked.
//
//   free        bit u: u is nobody's
//   starts      bit u: a used run begins at u
//   length[u]   at the first unit of a used run
//   dirty       bit u: u may hold other bytes than zero
//   longest     no free run is longer; word_longest[i]: none within word i of `free`. Runs may lie
//               across words
//
// Bounds are raised when units become free, and lowered when a search finds less than they promise, so
// taking does not have to look at what is left.
//
//   R1  the map is touched by who holds the area's lock. Three exceptions: `starts` is atomic; the user of
//       a live run reads its length[]; who gives a run back writes its next[] before it is pending
//   R2  every unit is free, or belongs to exactly one used run
//   R3  the bounds are right: no free run is longer
//   R4  a unit that is not dirty reads as zero
//   R5  an area has its hint on for every 2^k units up to its bound, so for all that it has free in a row, once
//       all calls have returned
//
// Nobody waits for the lock: who wants a run goes to another area (but waits for a fork, which holds all
// of them, or each fork would leave an area for each thread), who gives one back while the area is busy
// leaves it on a stack (`pending`) for the holder, who looks at the stack once more after unlocking. So a
// run is given back by whoever comes last. Why the holder cannot miss it: pushing and the holder's last
// look are read-modify-writes of `pending` (acq_rel), one comes first. If it is the push, the holder sees
// it; if it is the look, the unlock before it is visible to the giver, whose attempt to lock then
// succeeds.
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
#include "space/limit.h"
#include "space/purge.h"
#include "space/range.h"
#include "space/segment.h"
#include <string.h>

enum {
  AREA_WORDS = AREA_UNITS / 64,  // of WORD_UNITS units
  WORD_UNITS = 64,
  FIRST_FIT_MAX = 16,
  RUN_HINT_FIRST = 3,  // log2 of the runs with hints: 8 .. 256 units
  RUN_HINT_LAST = 8,
  AREA_TRIES = 8,  // areas looked at before a new one is made
};

struct run_area_s {
  lock_t lock;
  _Atomic(uint32_t) pending;             // atomic: unit + 1 of the last run given back while locked
  _Atomic(uint32_t) segment;             // lock(lock) to write; NO_SEGMENT: not in use
  _Atomic(uint32_t) stack_link;          // atomic: handle_stack.h, areas not in use
  run_area_t* next_made;                 // const: the list of all areas
  uint32_t free_units;                   // lock(lock)
  uint32_t longest;                      // lock(lock)
  uint32_t hinted;                       // lock(lock): the bound when the hints were written
  uint8_t word_longest[AREA_WORDS];      // lock(lock)
  uint64_t free[AREA_WORDS];             // lock(lock)
  uint64_t dirty[AREA_WORDS];            // lock(lock)
  _Atomic(uint64_t) starts[AREA_WORDS];  // atomic: relaxed; each bit orders nothing else
  uint16_t length[AREA_UNITS];           // lock(lock), or the user of the run
  uint16_t next[AREA_UNITS];             // of pending runs: R1
};

static handle_stack_t unused_areas;      // atomic: handle_stack.h
static _Atomic(run_area_t*) made_areas;  // atomic: release to add, acquire to walk

// Bits over the units ----------------------------------------------------------------------------

static bool get_bit(const uint64_t* words, uint32_t unit) {
  return (words[unit / WORD_UNITS] >> (unit % WORD_UNITS) & 1) != 0;
}

// The part of a run of units that lies in the word of its first one, and walking over the words of a run.
typedef struct units_s {
  uint32_t word;
  uint32_t count;
  uint64_t mask;
} units_t;

MI_INLINE units_t first_units(uint32_t from, uint32_t count) {
  const uint32_t left = WORD_UNITS - from % WORD_UNITS;
  const uint32_t here = count < left ? count : left;
  return (units_t){from / WORD_UNITS, here,
                   ~UINT64_C(0) >> (WORD_UNITS - here) << from % WORD_UNITS};
}

// Set or clear a span of bits; true if any was set before. count > 0.
static bool change_bits(uint64_t* words, uint32_t from, uint32_t count, bool on) {
  uint64_t any = 0;
  while (count > 0) {
    const units_t part = first_units(from, count);
    any |= words[part.word] & part.mask;
    words[part.word] = on ? words[part.word] | part.mask : words[part.word] & ~part.mask;
    from += part.count;
    count -= part.count;
  }
  return any != 0;
}

// How many of the units are not dirty.
MI_INLINE uint32_t clean_units(const run_area_t* area, uint32_t from, uint32_t count) {
  uint32_t clean = 0;
  while (count > 0) {
    const units_t part = first_units(from, count);
    const uint64_t mask = part.mask & ~area->dirty[part.word];
    if (MI_UNLIKELY(mask != 0)) clean += mii_count_bits(mask);
    from += part.count;
    count -= part.count;
  }
  return clean;
}

// May the units begin to be dirty? Then they are charged.
MI_INLINE bool charge_units(const run_area_t* area, uint32_t from, uint32_t count) {
  return mii_limit_charge((size_t)clean_units(area, from, count) * UNIT_BYTES);
}

// The first unit from `unit` on that is free, or that is used; AREA_UNITS if there is none.
MI_INLINE uint32_t next_unit(const run_area_t* area, uint32_t unit, bool is_free) {
  const uint64_t flip = is_free ? 0 : ~UINT64_C(0);
  while (unit < AREA_UNITS) {
    const uint64_t rest = (area->free[unit / WORD_UNITS] ^ flip) >> (unit % WORD_UNITS);
    if (rest != 0) return unit + mii_lowest_bit(rest);
    unit = (unit / WORD_UNITS + 1) * WORD_UNITS;
  }
  return AREA_UNITS;
}

// Where the free units before `unit` begin: `unit` itself if there is none.
MI_INLINE uint32_t free_begin(const run_area_t* area, uint32_t unit) {
  while (unit > 0) {
    const uint32_t word = (unit - 1) / WORD_UNITS;
    const uint64_t used = ~area->free[word] << (WORD_UNITS - 1 - (unit - 1) % WORD_UNITS);
    if (used != 0) return unit - (WORD_UNITS - 1 - mii_highest_bit(used));
    unit = word * WORD_UNITS;
  }
  return 0;
}

// Bounds -----------------------------------------------------------------------------------------

// There is a free run of these units.
static inline void raise_bounds(run_area_t* area, uint32_t begin, uint32_t end) {
  if (area->longest < end - begin) area->longest = end - begin;
  while (begin < end) {
    const uint32_t word = begin / WORD_UNITS;
    const uint32_t part_end = (uint32_t)mii_min(end, (size_t)(word + 1) * WORD_UNITS);
    if (area->word_longest[word] < part_end - begin)
      area->word_longest[word] = (uint8_t)(part_end - begin);
    begin = part_end;
  }
}

// Which of eight words may have `count` units in a row: the highest bit of each one's byte, the lowest byte for
// the first. No byte carries into the next, because bounds and counts are at most 64.
static inline uint64_t words_with(const uint8_t* bounds, uint32_t count) {
  uint64_t bytes;
  memcpy(&bytes, bounds, sizeof bytes);
  if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) bytes = __builtin_bswap64(bytes);
  const uint64_t ones = ~UINT64_C(0) / 0xFF;
  return (bytes + ones * (0x80 - count)) & ones * 0x80;
}

// The hints are those of the bound: they change only when that passes a power of two.
static MI_NOINLINE void rewrite_area_hints(run_area_t* area, uint32_t segment) {
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    const bool on = area->longest >= 1u << k;
    const bool was_on = area->hinted >= 1u << k;
    if (on != was_on) mii_hint_set((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment, on);
  }
  area->hinted = area->longest;
}

static inline void write_area_hints(run_area_t* area, uint32_t segment) {
  if (area->longest == area->hinted) return;
  // Of the two numbers the same bit is the highest one, unless they differ in more than they share.
  if ((area->longest ^ area->hinted) > (area->longest & area->hinted)) {
    rewrite_area_hints(area, segment);
  }
}

// The area is full, or nearly so: nobody need come and look.
static MI_NOINLINE void lower_bound(run_area_t* area, uint32_t segment) {
  area->longest = area->free_units;
  write_area_hints(area, segment);
}

// Search -----------------------------------------------------------------------------------------

// Where the request begins if it lies within the word; AREA_UNITS if it does not fit.
MI_INLINE uint32_t search_word(run_area_t* area, uint32_t word, uint32_t count) {
  const uint64_t starts = mii_bit_runs(area->free[word], count);
  if (starts != 0) return word * WORD_UNITS + mii_lowest_bit(starts);
  area->word_longest[word] = (uint8_t)(count - 1);
  return AREA_UNITS;
}

// The lowest word that has room. A free run that reaches it from the word before is used from its begin: nothing
// stays behind at the ends of words.
MI_INLINE uint32_t search_words(run_area_t* area, uint32_t count) {
  for (uint32_t i = 0; i < AREA_WORDS; i += 8) {
    uint64_t words = words_with(&area->word_longest[i], count);
    for (; words != 0; words &= words - 1) {
      const uint32_t unit = search_word(area, i + mii_lowest_bit(words) / 8, count);
      if (unit == AREA_UNITS) continue;
      return MI_LIKELY(unit % WORD_UNITS != 0) ? unit : free_begin(area, unit);
    }
  }
  return AREA_UNITS;
}

// Areas are aligned to 4 MiB, so unit numbers have the alignment of addresses.
static uint32_t aligned_unit(run_request_t want, uint32_t unit) {
  return want.align > 1 ? unit + ((want.phase - unit) & (want.align - 1)) : unit;
}

// The shortest free run that has room, the lowest of them. As a look at all of them it sets the bound right.
static MI_NOINLINE uint32_t search_all(run_area_t* area, uint32_t segment, run_request_t want) {
  uint32_t best = AREA_UNITS;
  uint32_t best_length = UINT32_MAX;
  uint32_t longest = 0;
  uint32_t end = 0;
  for (uint32_t run; (run = next_unit(area, end, true)) < AREA_UNITS;) {
    end = next_unit(area, run, false);
    const uint32_t unit = aligned_unit(want, run);
    if (unit + want.count <= end && end - run < best_length) {
      best = unit;
      best_length = end - run;
    }
    longest = (uint32_t)mii_max(longest, end - run);
  }
  area->longest = longest;
  write_area_hints(area, segment);
  return best;
}

// First fit for short runs, of which there may be many, and mostly within a word; best fit for longer ones.
MI_INLINE uint32_t search(run_area_t* area, uint32_t segment, run_request_t want) {
  if (want.count > area->longest) return AREA_UNITS;
  if (want.count <= FIRST_FIT_MAX && want.align <= 1) {
    const uint32_t unit = search_words(area, want.count);
    if (MI_LIKELY(unit < AREA_UNITS)) return unit;
  }
  return search_all(area, segment, want);
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

// Free units are in use from now on. True if all were zero.
static bool use_units(run_area_t* area, uint32_t unit, uint32_t count) {
  area->free_units -= count;
  change_bits(area->free, unit, count, false);
  return !change_bits(area->dirty, unit, count, true);
}

// The same for a new run, which mostly lies within a word.
MI_INLINE bool use_new_units(run_area_t* area, uint32_t unit, uint32_t count) {
  const units_t part = first_units(unit, count);
  if (MI_UNLIKELY(part.count < count)) return use_units(area, unit, count);
  area->free_units -= count;
  area->free[part.word] &= ~part.mask;
  const uint64_t dirty = area->dirty[part.word];
  area->dirty[part.word] = dirty | part.mask;
  return (dirty & part.mask) == 0;
}

// The units become free.
static void add_free(run_area_t* area, uint32_t unit, uint32_t count) {
  change_bits(area->free, unit, count, true);
  area->free_units += count;
  raise_bounds(area, free_begin(area, unit), next_unit(area, unit + count, false));
}

// The lock ---------------------------------------------------------------------------------------

// Lock held. What others gave back becomes free.
static MI_NOINLINE void take_all_pending(run_area_t* area) {
  uint32_t unit = atomic_exchange_explicit(&area->pending, 0, memory_order_acquire);
  while (unit != 0) {
    const uint32_t below = area->next[unit - 1];
    add_free(area, unit - 1, area->length[unit - 1]);
    unit = below;
  }
  const uint32_t segment = atomic_load_explicit(&area->segment, memory_order_relaxed);
  write_area_hints(area, segment);
  mii_segment_note_purgeable(segment);
}

MI_INLINE void take_pending(run_area_t* area) {
  if (MI_UNLIKELY(atomic_load_explicit(&area->pending, memory_order_relaxed) != 0)) {
    take_all_pending(area);
  }
}

MI_INLINE void unlock(run_area_t* area) {
  do {
    mii_lock_give(&area->lock);
    if (atomic_fetch_add_explicit(&area->pending, 0, memory_order_acq_rel) == 0) return;
    if (!mii_lock_try(&area->lock)) return;  // the new holder does it
    take_pending(area);
  } while (true);
}

static run_area_t* area_in(uint32_t segment) {
  return atomic_load_explicit(&mii_segment(segment)->runs, memory_order_acquire);
}

// The area of the segment, locked; NULL if it has none or somebody is busy with it.
MI_INLINE run_area_t* try_lock_area(uint32_t segment) {
  run_area_t* const area = area_in(segment);
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
  area->free_units = area->longest = AREA_UNITS;
  area->hinted = 0;  // a segment without an area has no hint on
  for (uint32_t i = 0; i < AREA_WORDS; i++) {
    atomic_store_explicit(&area->starts[i], 0, memory_order_relaxed);
    area->free[i] = ~UINT64_C(0);
    area->dirty[i] = zero ? 0 : ~UINT64_C(0);
    area->word_longest[i] = WORD_UNITS;
  }
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
  rewrite_area_hints(area, segment);
  if (zero) mii_limit_discharge(SEGMENT_BYTES);  // units are charged when they begin to be dirty
  unlock(area);
  return segment;
}

// Lock held, all units free: the segment is nobody's again.
static void retire_area(run_area_t* area, uint32_t segment) {
  MI_ASSERT(area->free_units == AREA_UNITS);
  area->longest = 0;
  rewrite_area_hints(area, segment);
  set_kinds(segment, SLICE_FREE);
  const uint32_t clean = clean_units(area, 0, AREA_UNITS);
  mii_limit_charge_anyway((size_t)clean * UNIT_BYTES);  // its slices are dirty
  atomic_store_explicit(&mii_segment(segment)->runs, NULL, memory_order_relaxed);
  atomic_store_explicit(&area->segment, NO_SEGMENT, memory_order_relaxed);
  if (clean == AREA_UNITS) {
    mii_segment_give_zero(segment * SEGMENT_SLICES, SEGMENT_SLICES);
  } else {
    mii_segment_give(segment * SEGMENT_SLICES, SEGMENT_SLICES);
  }
}

// Take, give, resize -------------------------------------------------------------------------------

static uint32_t unit_of(const void* p) {
  return (uint32_t)(((uintptr_t)p - mii_range.base) >> UNIT_SHIFT) % AREA_UNITS;
}

static uint32_t segment_of(const void* p) { return (uint32_t)(mii_slice_of(p) / SEGMENT_SLICES); }

static run_area_t* area_of(const void* p) { return area_in(segment_of(p)); }

// The hint of the areas that may have that many units in a row. Areas with less than 8 in a row have
// none: they are found for requests of less than 8 units only as long as they are somebody's last one.
static uint32_t possible_hint(uint32_t count) {
  return (uint32_t)mii_max(RUN_HINT_FIRST, mii_highest_bit(count));
}

static MI_NOINLINE void* take_in(uint32_t segment, run_request_t want, bool* zero) {
  run_area_t* const area = try_lock_area(segment);
  if (area == NULL) return NULL;
  const uint32_t unit = search(area, segment, want);
  void* p = NULL;
  if (unit < AREA_UNITS && MI_LIKELY(charge_units(area, unit, want.count))) {
    *zero = use_new_units(area, unit, want.count);
    begin_run(area, unit, want.count);
    if (MI_UNLIKELY(area->free_units < 1u << RUN_HINT_FIRST)) lower_bound(area, segment);
    p = mii_slice_start(segment * SEGMENT_SLICES) + (size_t)unit * UNIT_BYTES;
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

// A few areas that may have a run of about this length, going on from there,
// because the ones below have just turned us away; the lowest that must have one.
static void* take_from_areas(run_request_t want, uint32_t* segment, bool* zero) {
  const uint32_t possible = possible_hint(want.count);
  const uint32_t sure = (uint32_t)mii_max(RUN_HINT_FIRST, mii_log2_up(want.count));
  const uint32_t last = *segment;
  void* p = NULL;
  if (possible < sure) {
    p = take_run_by_hint(possible, last + 1, AREA_TRIES, want, segment, zero);
    if (p == NULL) p = take_run_by_hint(possible, 0, AREA_TRIES, want, segment, zero);
  }
  if (p == NULL) p = take_run_by_hint(sure, 0, AREA_TRIES, want, segment, zero);
  return p;
}

static void* take_or_make_area(run_request_t want, uint32_t* segment, bool* zero) {
  void* p = take_from_areas(want, segment, zero);
  // Fork takes the range's lock before those of all areas.
  if (p == NULL && mii_range_wait()) p = take_from_areas(want, segment, zero);
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

static MI_NOINLINE void* take_elsewhere(run_request_t want, uint32_t* segment, bool* zero) {
  if (!fits_area(want)) return NULL;
  for (purge_patience_t patience = {0};;) {
    const uint32_t epoch = mii_purge_epoch();
    void* const p = take_or_make_area(want, segment, zero);
    if (p != NULL || !mii_purge_may_have_hidden(epoch, &patience)) return p;
  }
}

// First in the area that served us last.
void* mii_run_take(run_request_t want, uint32_t* segment, bool* zero) {
  MI_ASSERT(want.count > 0 && want.count <= RUN_UNITS_MAX && want.align <= AREA_UNITS);
  void* const p = *segment != 0 ? take_in(*segment, want, zero) : NULL;
  return MI_LIKELY(p != NULL) ? p : take_elsewhere(want, segment, zero);
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
  add_free(area, unit, area->length[unit]);
  write_area_hints(area, segment);
  mii_segment_note_purgeable(segment);
}

bool mii_run_give(void* p) {
  const uint32_t unit = unit_of(p);
  run_area_t* const area = area_of(p);
  if (area == NULL || !end_run(area, unit)) return false;
  mii_purge_note_freed((size_t)area->length[unit] * UNIT_BYTES);
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
  if (behind + more > AREA_UNITS || next_unit(area, behind, false) < behind + more) return false;
  if (!charge_units(area, behind, more)) return false;
  use_units(area, behind, more);
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
    add_free(area, unit + count, length - count);
    mii_segment_note_purgeable(segment);
  }
  write_area_hints(area, segment);
  unlock(area);
  return fits;
}

// Lengths of runs that come and go are read without asking, on purpose.
MI_NO_TSAN run_count_t mii_run_count(uint32_t segment) {
  run_count_t total = {0};
  run_area_t* const area = area_in(segment);
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

MI_NO_TSAN size_t mii_run_used_bytes(uint32_t segment) {
  run_area_t* const area = area_in(segment);
  return area != NULL ? (size_t)(AREA_UNITS - area->free_units) * UNIT_BYTES : 0;
}

MI_NO_TSAN uint32_t mii_run_next(uint32_t segment, uint32_t unit, uint32_t* count) {
  run_area_t* const area = area_in(segment);
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
// Returns how many went back.
static uint32_t purge_free_run(run_area_t* area, uint32_t segment, uint32_t unit, uint32_t end) {
  const uint32_t os_units = (uint32_t)(mii_range.os_page_size / UNIT_BYTES);
  const uint32_t from = (uint32_t)mii_align_up(unit, os_units);
  const uint32_t to = end & ~(os_units - 1);
  if (from >= to) return 0;
  uint8_t* const start = mii_slice_start(segment * SEGMENT_SLICES) + (size_t)from * UNIT_BYTES;
  const uint32_t dirty = to - from - clean_units(area, from, to - from);
  if (dirty == 0 || !mii_purge_memory(start, (size_t)(to - from) * UNIT_BYTES)) return 0;
  change_bits(area->dirty, from, to - from, false);
  mii_limit_discharge((size_t)dirty * UNIT_BYTES);
  return to - from;
}

// At most `unit_max` units, by at most `call_max` system calls. False if there may be more.
static bool purge_free_runs(run_area_t* area, uint32_t segment, uint32_t unit_max,
                            uint32_t call_max) {
  const size_t os_units = mii_range.os_page_size / UNIT_BYTES;
  uint32_t unit = 0;
  while ((unit = next_unit(area, unit, true)) < AREA_UNITS) {
    if (unit_max == 0 || call_max == 0) return false;
    const size_t reach = mii_align_up(unit, os_units) + unit_max;
    const uint32_t end = (uint32_t)mii_min(next_unit(area, unit, false), reach);
    const uint32_t purged = purge_free_run(area, segment, unit, end);
    unit_max -= purged;
    call_max -= purged > 0;
    unit = end;
  }
  return true;
}

MI_COLD bool mii_run_purge(uint32_t segment) {
  return mii_run_purge_some(segment, AREA_UNITS, AREA_UNITS);
}

MI_COLD bool mii_run_purge_some(uint32_t segment, uint32_t unit_max, uint32_t call_max) {
  if (atomic_load_explicit(&mii_segment(segment)->runs, memory_order_relaxed) == NULL) return true;
  run_area_t* const area = try_lock_area(segment);
  if (area == NULL) return false;
  mii_purge_begin();
  // First: what went back already would count as resident again.
  const bool done = purge_free_runs(area, segment, unit_max, call_max);
  const bool retire = done && area->free_units == AREA_UNITS;
  if (retire) retire_area(area, segment);
  unlock(area);
  mii_purge_end();
  if (retire) mii_stack_push(&unused_areas, mii_meta_handle(area), area_link);
  return done;
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

static bool is_free_unit(const run_area_t* area, uint32_t unit) {
  return unit < AREA_UNITS && get_bit(area->free, unit);
}

// The unit `unit` begins a used run of `length` units: none of them is free, or begins another.
static bool used_run_is_right(run_area_t* area, uint32_t unit, uint32_t length) {
  if (!MI_HOLDS(length > 0 && unit + length <= AREA_UNITS && is_start(area, unit))) return false;
  for (uint32_t i = unit; i < unit + length; i++) {
    if (!MI_HOLDS(!is_free_unit(area, i) && (i == unit || !is_start(area, i)))) return false;
  }
  return true;
}

// Walks from unit 0 on.
static bool units_add_up(run_area_t* area) {
  uint32_t free_units = 0;
  for (uint32_t unit = 0; unit < AREA_UNITS;) {
    if (is_free_unit(area, unit)) {
      if (!MI_HOLDS(!is_start(area, unit))) return false;
      free_units++;
      unit++;
    } else {
      if (!used_run_is_right(area, unit, area->length[unit])) return false;
      unit += area->length[unit];
    }
  }
  return MI_HOLDS(free_units == area->free_units);
}

static bool bounds_are_right(const run_area_t* area) {
  uint32_t length = 0;
  uint32_t in_word = 0;
  for (uint32_t unit = 0; unit < AREA_UNITS; unit++) {
    if (unit % WORD_UNITS == 0) in_word = 0;
    const bool is_free = is_free_unit(area, unit);
    length = is_free ? length + 1 : 0;
    in_word = is_free ? in_word + 1 : 0;
    if (!MI_HOLDS(length <= area->longest)) return false;
    if (!MI_HOLDS(in_word <= area->word_longest[unit / WORD_UNITS])) return false;
  }
  return true;
}

MI_COLD bool mii_run_area_is_valid(uint32_t segment) {
  run_area_t* const area = area_in(segment);
  if (area == NULL) return true;
  bool hints = true;
  for (uint32_t k = RUN_HINT_FIRST; k <= RUN_HINT_LAST; k++) {
    const bool may_have = area->longest >= 1u << k;
    hints = hints && mii_hint_is_on((hint_t)(HINT_RUNS + k - RUN_HINT_FIRST), segment) == may_have;
  }
  return units_add_up(area)         // R2
         && bounds_are_right(area)  // R3
         && MI_HOLDS(hints);        // R5
}
