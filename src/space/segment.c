// SPDX-License-Identifier: MIT
// segment.c - claim and release slices
//
// A segment is four 64-bit words; claiming is one compare-exchange on `free`. The hints say which
// segment to try: the lowest one with room, so that the high ones empty out.
//
//   S1  a slice is free, or has exactly one claimer: the thread whose exchange cleared its bit. Only
//       the claimer changes its bits in `dirty` and `purgeable`, its kind, and its memory
//   S2  a free slice has kind SLICE_FREE
//   S3  a slice that is not dirty reads as zero
//   S4  a purgeable slice is dirty
//   S5  a segment with k free slices in a row has its hint on, once all calls have returned
//
// Orders: claims acquire, releases release, on `free`: who claims a slice sees all that its last
// holder did to it and to its records. They are seq_cst because each also has to be ordered before the
// look at a hint that follows it (refresh_hints), and a hint is written before the word is looked at
// again: with anything weaker both sides could miss the other (store buffering). `purgeable` and the
// purge hint are such a pair too. `dirty` is only touched by claimers (S1): relaxed.
//
// Tests: tests/unit/space/segment_test.c, tests/stress/
#include "space/segment.h"
#include "base/assert.h"
#include "base/bits.h"
#include "runtime/option.h"
#include "runtime/secure.h"
#include "space/hint.h"
#include "space/large.h"
#include "space/limit.h"
#include "space/purge.h"
#include "space/range.h"
#include "space/run.h"

enum {
  SLICE_HINTS = 7,       // 1, 2, 4 .. 64 slices in a row
  LOWER_HINT_TRIES = 8,  // segments tried whose hint does not promise enough
  USED_SAMPLES = 32,     // segments that stand for all, at most about so many
  PAGE_SLICES_MAX = 2,
};

// The bits of one segment that a run of slices covers, and walking over the segments of a run.
typedef struct part_of_run_s {
  segment_t* segment;
  uint32_t index;
  uint64_t mask;
  uint32_t count;
} part_of_run_t;

static part_of_run_t first_part(slice_t first, uint32_t count) {
  const uint32_t from = first % SEGMENT_SLICES;
  const uint32_t here = (uint32_t)mii_min(count, SEGMENT_SLICES - from);
  const uint32_t index = first / SEGMENT_SLICES;
  return (part_of_run_t){mii_segment(index), index, mii_bit_span(from, here), here};
}

// Hints ------------------------------------------------------------------------------------------

// How many of the hints are on: k + 1 for the longest 2^k free slices in a row.
static uint32_t hint_level(uint64_t free) {
  uint32_t level = 0;
  for (uint64_t runs = free; runs != 0; runs &= runs >> (1u << (level - 1))) {
    if (++level == SLICE_HINTS) break;
  }
  return level;
}

static void write_hints(uint32_t index, uint32_t level) {
  for (uint32_t k = 0; k < SLICE_HINTS; k++)
    mii_hint_set((hint_t)(HINT_SLICES + k), index, k < level);
}

// Bring the hints in line with `free`. The last to look finds its own writes confirmed (S5): if the
// word changed while we wrote, whoever changed it, or we, write again.
static void refresh_hints(uint32_t index) {
  segment_t* const segment = mii_segment(index);
  uint64_t seen = atomic_load_explicit(&segment->free, memory_order_seq_cst);
  for (;;) {
    write_hints(index, mii_segment_is_exclusive(index) ? 0 : hint_level(seen));
    const uint64_t now = atomic_load_explicit(&segment->free, memory_order_seq_cst);
    if (now == seen) return;
    seen = now;
  }
}

// How many slices in a row are free around this one, which is.
static uint32_t length_around(uint64_t free, uint32_t slice) {
  const uint64_t above = ~free >> slice;
  const uint64_t below = ~free << (63 - slice);
  const uint32_t up = above != 0 ? mii_lowest_bit(above) : SEGMENT_SLICES - slice;
  const uint32_t down = below != 0 ? 63 - mii_highest_bit(below) : slice + 1;
  return up + down - 1;
}

// We changed the word from `before` to `after`: slices in a row were claimed or released. A change that leaves the level
// as it is needs no look: the one that last changed the level is followed by its author's. It does if there are as
// many free slices in a row elsewhere, up to a power of two.
static void changed_free(uint32_t index, uint64_t before, uint64_t after) {
  const uint32_t length = length_around(before | after, mii_lowest_bit(before ^ after));
  if (mii_bit_runs(before & after, 1u << mii_highest_bit(length)) == 0) refresh_hints(index);
}

// Claims -----------------------------------------------------------------------------------------

// Was what went back wanted again so soon that a delay half as long again would have kept it?
static MI_NOINLINE void note_reuse(segment_t* segment, uint64_t mask) {
  const uint64_t reused =
      atomic_fetch_and_explicit(&segment->purged, ~mask, memory_order_relaxed) & mask;
  const uint32_t at = atomic_load_explicit(&segment->purged_at, memory_order_relaxed);
  const uint64_t now = mii_platform_clock_ms();
  if ((uint32_t)now - at < mii_purge_delay() / 2)
    mii_purge_note_reused(mii_count_bits(reused), now);
}

// The bits are ours: take them off the purge, and mark them dirty.
static void own_bits(segment_t* segment, uint64_t mask) {
  if ((atomic_load_explicit(&segment->purged, memory_order_relaxed) & mask) != 0)
    note_reuse(segment, mask);
  if ((atomic_load_explicit(&segment->purgeable, memory_order_relaxed) & mask) != 0) {
    atomic_fetch_and_explicit(&segment->purgeable, ~mask, memory_order_relaxed);
  }
  atomic_fetch_or_explicit(&segment->dirty, mask, memory_order_relaxed);
}

// How many of our bits are not dirty.
static uint32_t clean_slices(const segment_t* segment, uint64_t mask) {
  return mii_count_bits(mask & ~atomic_load_explicit(&segment->dirty, memory_order_relaxed));
}

static void release_bits(part_of_run_t part) {
  const uint64_t before =
      atomic_fetch_or_explicit(&part.segment->free, part.mask, memory_order_seq_cst);
  changed_free(part.index, before, before | part.mask);
}

// Make the bits ours, all or none.
static bool claim_bits(part_of_run_t part) {
  uint64_t seen = atomic_load_explicit(&part.segment->free, memory_order_relaxed);
  do {
    if ((seen & part.mask) != part.mask) return false;
  } while (!atomic_compare_exchange_weak_explicit(&part.segment->free, &seen, seen & ~part.mask,
                                                  memory_order_seq_cst, memory_order_relaxed));
  changed_free(part.index, seen, seen & ~part.mask);
  return true;
}

static void release_unowned(slice_t first, uint32_t count) {
  while (count > 0) {
    const part_of_run_t part = first_part(first, count);
    release_bits(part);
    // A purge that passed meanwhile took its hint away and could not have them.
    if ((atomic_load_explicit(&part.segment->purgeable, memory_order_seq_cst) & part.mask) != 0) {
      mii_segment_note_purgeable(part.index);
    }
    first += part.count;
    count -= part.count;
  }
}

// The slices are ours, if the limit allows: else they are nobody's again.
static bool own_all(slice_t first, uint32_t count, bool* zero) {
  size_t clean = 0;
  for (uint32_t done = 0; done < count;) {
    const part_of_run_t part = first_part(first + done, count - done);
    clean += clean_slices(part.segment, part.mask);
    done += part.count;
  }
  if (!mii_limit_charge(clean * SLICE_BYTES)) {
    release_unowned(first, count);
    return false;
  }
  *zero = clean == count;
  for (uint32_t done = 0; done < count;) {
    const part_of_run_t part = first_part(first + done, count - done);
    own_bits(part.segment, part.mask);
    done += part.count;
  }
  return true;
}

// A block does not grow out of what is set apart, nor into it.
static bool are_alike(slice_t first, uint32_t count) {
  const uint32_t last = (first + count - 1) / SEGMENT_SLICES;
  bool alike = true;
  for (uint32_t i = (first - 1) / SEGMENT_SLICES; i < last; i++)
    alike = alike && mii_segment_is_exclusive(i) == mii_segment_is_exclusive(i + 1);
  return alike;
}

MI_COLD bool mii_segment_claim_all(slice_t first, uint32_t count, bool* zero) {
  for (uint32_t done = 0; done < count;) {
    const part_of_run_t part = first_part(first + done, count - done);
    if (!claim_bits(part)) {
      release_unowned(first, done);
      return false;
    }
    done += part.count;
  }
  return own_all(first, count, zero);
}

bool mii_segment_try_claim(slice_t first, uint32_t count, bool* zero) {
  if ((size_t)first + count > mii_slice_count()) return false;
  return are_alike(first, count) && mii_segment_claim_all(first, count, zero);
}

// Search -----------------------------------------------------------------------------------------

// The first slice >= from that the request allows.
static slice_t first_allowed(slice_request_t want, slice_t from) {
  if (want.align <= 1) return from;
  const uintptr_t absolute = (mii_range.base >> SLICE_SHIFT) + from;
  return from + (slice_t)((want.phase - absolute) & (want.align - 1));
}

// Bit i is set if the request may begin at slice i of the segment.
static uint64_t allowed_starts(slice_request_t want, uint32_t index) {
  if (want.align <= 1) return ~UINT64_C(0);
  const slice_t begin = index * SEGMENT_SLICES;
  uint64_t starts = 0;
  for (slice_t s = first_allowed(want, begin); s < begin + SEGMENT_SLICES; s += want.align) {
    starts |= UINT64_C(1) << (s - begin);
  }
  return starts;
}

// The lowest; in a hardened process one that nobody can tell beforehand. Several slices in a row would leave gaps.
static uint32_t choose_start(uint64_t starts, uint32_t count) {
  if (MI_LIKELY(count > 1 || mii_secure_level() < SECURE_STOP)) return mii_lowest_bit(starts);
  const uint64_t upper = starts & ~UINT64_C(0) << mii_secure_random() % 64;
  return mii_lowest_bit(upper != 0 ? upper : starts);
}

// A run that lies within one segment. 0 if it has none.
static slice_t take_in_segment(uint32_t index, slice_request_t want, bool* zero) {
  segment_t* const segment = mii_segment(index);
  const uint64_t allowed = allowed_starts(want, index);
  uint64_t seen = atomic_load_explicit(&segment->free, memory_order_relaxed);
  uint64_t mask;
  uint32_t from;
  do {
    const uint64_t starts = mii_bit_runs(seen, want.count) & allowed;
    if (starts == 0) return 0;
    from = choose_start(starts, want.count);
    mask = mii_bit_span(from, want.count);
  } while (!atomic_compare_exchange_weak_explicit(&segment->free, &seen, seen & ~mask,
                                                  memory_order_seq_cst, memory_order_relaxed));
  changed_free(index, seen, seen & ~mask);
  const slice_t first = index * SEGMENT_SLICES + from;
  return own_all(first, want.count, zero) ? first : 0;
}

static slice_t take_by_hint(uint32_t k, uint32_t tries, slice_request_t want, bool* zero) {
  const hint_t hint = (hint_t)(HINT_SLICES + k);
  uint32_t index = mii_hint_next(hint, 0);
  for (; index != NO_SEGMENT && tries > 0; tries--) {
    const slice_t slice = take_in_segment(index, want, zero);
    if (slice != 0) return slice;
    index = mii_hint_next(hint, index + 1);
  }
  return 0;
}

// The hint whose segments surely have room, however the free slices lie: at most that of a segment that
// is free as a whole.
static uint32_t sure_hint(slice_request_t want) {
  const uint32_t slack = want.align > 1 ? want.align - 1 : 0;
  return (uint32_t)mii_min(mii_log2_up(want.count + slack), SLICE_HINTS - 1);
}

// A run of at most a segment: try a few segments that might have room, then those that must.
static slice_t take_small(slice_request_t want, bool* zero) {
  const uint32_t sure = sure_hint(want);
  const uint32_t possible = mii_highest_bit(want.count);
  if (possible < sure) {
    const slice_t slice = take_by_hint(possible, LOWER_HINT_TRIES, want, zero);
    if (slice != 0) return slice;
  }
  return take_by_hint(sure, UINT32_MAX, want, zero);
}

// A run over several segments: first fit over the free words, which is a walk over the heap, but the
// blocks that need it have more than 4 MiB.
static slice_t take_large(slice_request_t want, bool* zero) {
  const bool bound = want.bounds.end != 0;
  const uint32_t segments = bound ? want.bounds.end : mii_segment_count();
  slice_t run = 0;  // where the free slices before the current ones begin
  uint32_t length = 0;
  for (uint32_t index = want.bounds.from; index < segments; index++) {
    const bool is_open = bound || !mii_segment_is_exclusive(index);
    const uint64_t free =
        is_open ? atomic_load_explicit(&mii_segment(index)->free, memory_order_relaxed) : 0;
    const slice_t begin = index * SEGMENT_SLICES;
    const uint32_t leading = free == ~UINT64_C(0) ? SEGMENT_SLICES : mii_lowest_bit(~free);
    if (length == 0) run = begin;
    length += leading;
    const slice_t first = first_allowed(want, run);
    if (first + want.count <= run + length && mii_segment_claim_all(first, want.count, zero))
      return first;
    if (leading < SEGMENT_SLICES) {
      length = 63u - mii_highest_bit(~free);
      run = begin + SEGMENT_SLICES - length;
    }
  }
  return 0;
}

// Does the request fit every free segment?
static bool is_small(slice_request_t want) {
  return want.align <= SEGMENT_SLICES && want.phase + want.count <= SEGMENT_SLICES;
}

static slice_t take_once(slice_request_t want, bool* zero) {
  return is_small(want) ? take_small(want, zero) : take_large(want, zero);
}

// Slices in a row that hold the request wherever they begin.
static size_t slices_for(slice_request_t want) {
  return want.count + (is_small(want) ? (size_t)0 : want.align);
}

// Look at every segment of the bounds; or, when the range is full, that is not set apart.
static slice_t take_anywhere(slice_request_t want, bool* zero) {
  const bool bound = want.bounds.end != 0;
  const uint32_t end = bound ? want.bounds.end : mii_segment_count();
  for (uint32_t i = want.bounds.from; want.count <= SEGMENT_SLICES && i < end; i++) {
    if (!bound && mii_segment_is_exclusive(i)) continue;
    const slice_t slice = take_in_segment(i, want, zero);
    if (slice != 0) return slice;
  }
  return take_large(want, zero);
}

// The free slices at the end of what is open, which count when more is opened.
static size_t free_at_end(void) {
  size_t count = 0;
  for (uint32_t i = mii_segment_count(); i > 0; i--) {
    const uint64_t free = atomic_load_explicit(&mii_segment(i - 1)->free, memory_order_relaxed);
    if (mii_segment_is_exclusive(i - 1)) return count;
    if (free != ~UINT64_C(0)) return count + 63 - mii_highest_bit(~free);
    count += SEGMENT_SLICES;
  }
  return count;
}

static bool grow_for(slice_request_t want) {
  const size_t slices = slices_for(want);
  if (mii_range_grow((uint32_t)mii_divide_up(slices, SEGMENT_SLICES))) return true;
  const size_t have = free_at_end();
  return have > 0 && have < slices
         && mii_range_grow((uint32_t)mii_divide_up(slices - have, SEGMENT_SLICES));
}

void mii_segments_refresh(uint32_t from, uint32_t end) {
  for (uint32_t i = from; i < end; i++) refresh_hints(i);
}

static slice_t take_or_grow(slice_request_t want, bool* zero) {
  if (want.bounds.end != 0) return take_anywhere(want, zero);
  for (;;) {
    const uint32_t segments = mii_segment_count();
    const slice_t slice = take_once(want, zero);
    if (slice != 0) return slice;
    // At the limit there may be warm slices, but more addresses are of no use.
    if (!mii_limit_allows(&mii_limit, mii_limit_charged(), want.count * (size_t)SLICE_BYTES)
        || !grow_for(want))
      return take_anywhere(want, zero);
    const uint32_t now = mii_segment_count();
    // No more than before: one that was foreign has become ours.
    mii_segments_refresh(segments < now ? segments : 0, now);
  }
}

// To be purged when it is due.
static void give_warm(slice_t first, uint32_t count) {
  while (count > 0) {
    const part_of_run_t part = first_part(first, count);
    atomic_fetch_or_explicit(&part.segment->purgeable, part.mask, memory_order_seq_cst);
    release_bits(part);
    mii_segment_note_purgeable(part.index);
    if (mii_purge_is_eager()) mii_segment_purge(part.index);
    first += part.count;
    count -= part.count;
  }
}

static MI_COLD void give_rest(slice_t first, uint32_t count, bool zero) {
  if (zero) {
    mii_segment_give_zero(first, count);
  } else {
    give_warm(first, count);
  }
}

// A page begins an empty, clean segment of a large heap, anywhere in it: the rest, too, may be resident from now on, and
// goes back if nobody wants it soon.
static MI_COLD void begin_large(slice_t page, uint32_t count) {
  const uint32_t index = page / SEGMENT_SLICES;
  const slice_t begin = index * SEGMENT_SLICES;
  const slice_t behind = page + count;
  const uint32_t count_behind = begin + SEGMENT_SLICES - behind;
  bool zero_before, zero_behind;
  if (!mii_segment_claim_all(begin, page - begin, &zero_before)) return;
  if (!mii_segment_claim_all(behind, count_behind, &zero_behind)) {
    give_rest(begin, page - begin, zero_before);
    return;
  }
  const bool large = zero_before && zero_behind && mii_large_begin(index);
  give_rest(begin, page - begin, zero_before && !large);
  give_rest(behind, count_behind, zero_behind && !large);
}

// Not for what is set apart.
static bool is_first_page(slice_request_t want, slice_t slice, bool zero) {
  if (!zero || want.count > PAGE_SLICES_MAX || want.bounds.end != 0) return false;
  const segment_t* const segment = mii_segment(slice / SEGMENT_SLICES);
  return atomic_load_explicit(&segment->dirty, memory_order_relaxed)
         == mii_bit_span(slice % SEGMENT_SLICES, want.count);
}

slice_t mii_segment_take(slice_request_t want, bool* zero) {
  MI_ASSERT(want.count > 0 && (want.align & (want.align - 1)) == 0);
  if (MI_UNLIKELY(mii_limit_is_to_purge(&mii_limit, mii_limit_charged()))) mii_purge_all();
  for (purge_patience_t patience = {0};;) {
    const uint32_t epoch = mii_purge_epoch();
    const slice_t slice = take_or_grow(want, zero);
    if (slice != 0 && MI_UNLIKELY(is_first_page(want, slice, *zero))
        && mii_large_is_worth(slice / SEGMENT_SLICES))
      begin_large(slice, want.count);
    if (slice != 0 || !mii_purge_may_have_hidden(epoch, &patience)) return slice;
  }
}

// Release and purge ------------------------------------------------------------------------------

void mii_segment_note_purgeable(uint32_t index) {
  if (mii_hint_is_on(HINT_PURGE, index)) return;
  if (mii_option_get(mi_option_purge_delay) < 0) return;
  const uint64_t due = mii_platform_clock_ms() + mii_purge_delay();
  atomic_store_explicit(&mii_segment(index)->purge_at, due, memory_order_relaxed);
  mii_hint_set(HINT_PURGE, index, true);
  mii_purge_expect(due);
}

void mii_segment_give(slice_t first, uint32_t count) {
  mii_purge_note_freed((size_t)count * SLICE_BYTES);
  give_warm(first, count);
}

// The bits are ours, and read as zero.
static void clean_bits(part_of_run_t part) {
  const uint64_t dirty =
      atomic_fetch_and_explicit(&part.segment->dirty, ~part.mask, memory_order_relaxed);
  mii_limit_discharge((size_t)mii_count_bits(dirty & part.mask) * SLICE_BYTES);
}

void mii_segment_give_zero(slice_t first, uint32_t count) {
  while (count > 0) {
    const part_of_run_t part = first_part(first, count);
    clean_bits(part);
    release_bits(part);
    first += part.count;
    count -= part.count;
  }
}

// The bits are ours, a run of slices.
static void purge_run(part_of_run_t run, uint64_t now) {
  const slice_t first = run.index * SEGMENT_SLICES + mii_lowest_bit(run.mask);
  atomic_fetch_and_explicit(&run.segment->purgeable, ~run.mask, memory_order_relaxed);
  if (mii_purge_memory(mii_slice_start(first), (size_t)run.count * SLICE_BYTES)) {
    clean_bits(run);
    mii_large_end(run.index);
    if (now == 0) return;
    atomic_store_explicit(&run.segment->purged_at, (uint32_t)now, memory_order_relaxed);
    atomic_fetch_or_explicit(&run.segment->purged, run.mask, memory_order_relaxed);
    mii_purge_note_purged(run.count, now);
  }
}

static uint32_t lowest_run(uint64_t mask) {
  const uint64_t rest = ~(mask >> mii_lowest_bit(mask));
  return rest == 0 ? SEGMENT_SLICES : mii_lowest_bit(rest);
}

// Purging claims like an allocation, a run at a time: nobody can be given the memory meanwhile.
MI_COLD void mii_segment_purge_some(uint32_t index, purge_limit_t limit, uint64_t now) {
  segment_t* const segment = mii_segment(index);
  uint64_t wanted = atomic_load_explicit(&segment->purgeable, memory_order_seq_cst);
  if (wanted == 0) return;
  mii_purge_begin();
  bool left = false;
  for (uint32_t runs = 0, slices = limit.slice_max;
       wanted != 0 && slices > 0 && runs < limit.run_max; runs++) {
    const uint32_t count = (uint32_t)mii_min(lowest_run(wanted), slices);
    const uint64_t mask = mii_bit_span(mii_lowest_bit(wanted), count);
    const part_of_run_t run = {segment, index, mask, count};
    if (claim_bits(run)) {
      purge_run(run, now);
      release_bits(run);
    } else {
      left = true;  // somebody took a part of it
    }
    wanted &= ~mask;
    slices -= count;
  }
  mii_purge_end();
  if (!left && wanted == 0) return;
  mii_hint_set(HINT_PURGE, index, true);  // look again later
  mii_purge_expect(atomic_load_explicit(&segment->purge_at, memory_order_relaxed));
}

void mii_segment_purge(uint32_t index) { mii_segment_purge_some(index, PURGE_NO_LIMIT, 0); }

size_t mii_segments_used_bytes(void) {
  const uint32_t stride = mii_segment_count() / USED_SAMPLES + 1;
  size_t bytes = 0;
  for (uint32_t i = 0; i < mii_segment_count(); i += stride) {
    const segment_t* const segment = mii_segment(i);
    const uint64_t dirty = atomic_load_explicit(&segment->dirty, memory_order_relaxed);
    const uint64_t free = atomic_load_explicit(&segment->free, memory_order_relaxed);
    const bool is_area = atomic_load_explicit(&segment->runs, memory_order_relaxed) != NULL;
    bytes += is_area ? mii_run_used_bytes(i) : (size_t)mii_count_bits(dirty & ~free) * SLICE_BYTES;
  }
  return bytes * stride;
}

MI_COLD size_t mii_segments_dirty_bytes(void) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    const segment_t* const segment = mii_segment(i);
    const uint64_t dirty = atomic_load_explicit(&segment->dirty, memory_order_relaxed);
    const bool is_area = atomic_load_explicit(&segment->runs, memory_order_relaxed) != NULL;
    bytes += is_area ? mii_run_count(i).dirty_bytes : (size_t)mii_count_bits(dirty) * SLICE_BYTES;
  }
  return bytes;
}

bool mii_segments_are_unused(void) {
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    const uint64_t all = i == 0 ? ~UINT64_C(1) : ~UINT64_C(0);
    const uint64_t free = atomic_load_explicit(&mii_segment(i)->free, memory_order_acquire);
    if (free != all && !mii_segment_is_foreign(i)) return false;
  }
  return true;
}

void mii_segment_reclaim(uint32_t index, uint64_t used) {
  segment_t* const segment = mii_segment(index);
  const uint64_t free = atomic_load_explicit(&segment->free, memory_order_relaxed);
  if (free != ~used) {
    const uint64_t lost = ~used & ~free;
    atomic_fetch_or_explicit(&segment->dirty, used | lost, memory_order_relaxed);
    atomic_fetch_and_explicit(&segment->purgeable, ~used, memory_order_relaxed);
    atomic_fetch_or_explicit(&segment->purgeable, lost, memory_order_relaxed);
    atomic_store_explicit(&segment->free, ~used, memory_order_relaxed);
  }
  refresh_hints(index);
  mii_hint_set(HINT_PURGE, index, true);
}

MI_COLD bool mii_segment_is_valid(uint32_t index) {
  segment_t* const segment = mii_segment(index);
  const uint64_t free = atomic_load_explicit(&segment->free, memory_order_relaxed);
  const uint64_t dirty = atomic_load_explicit(&segment->dirty, memory_order_relaxed);
  const uint64_t purgeable = atomic_load_explicit(&segment->purgeable, memory_order_relaxed);
  bool kinds = true;
  for (uint32_t i = 0; i < SEGMENT_SLICES; i++) {
    const bool is_free = (free >> i & 1) != 0;
    kinds = kinds && (!is_free || mii_slice_kind(index * SEGMENT_SLICES + i) == SLICE_FREE);
  }
  bool hints = true;
  for (uint32_t k = 0; k < SLICE_HINTS; k++) {
    const bool has = mii_bit_runs(free, 1u << k) != 0;
    hints = hints
            && mii_hint_is_on((hint_t)(HINT_SLICES + k), index)
                   == (has && !mii_segment_is_exclusive(index));
  }
  return MI_HOLDS((purgeable & ~free) == 0)      // S1
         && MI_HOLDS(kinds)                      // S2
         && MI_HOLDS((purgeable & ~dirty) == 0)  // S4
         && MI_HOLDS(hints)                      // S5
         && MI_HOLDS(index != 0 || (free & 1) == 0);
}
