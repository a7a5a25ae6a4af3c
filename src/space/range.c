// SPDX-License-Identifier: MIT
// range.c - reserve once, open in steps
//
// Opening costs a system call and, with strict overcommit, commit charge: small heaps open little,
// large ones in steps of an eighth of what is open, at most 64 MiB. A refused step is halved down to
// what the caller needs. The arrays are opened ahead of the slices they describe.
//
//   G1  slices below mii_range.slice_count have open page records, an open segment, and, if that is not
//       foreign, open memory
//   G2  the counts below only grow, under `growth`
//   G3  a foreign segment has no free slice; it can become ours, not the other way round
//
// Tests: tests/unit/space/range_test.c
#include "space/range.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/track.h"
#include "runtime/lock.h"
#include "space/large.h"
#include "space/limit.h"
#include <errno.h>
#include <string.h>

enum {
  GUARD_BYTES = SLICE_BYTES,
  RANGE_SEGMENTS_MIN = 1,  // 4 MiB: small programs run under small limits
  SCARCE_SEGMENTS = 16,    // 64 MiB: at the start, where addresses are scarce
  STEP_SEGMENTS_MAX = 16,  // 64 MiB
  PAGE_STEP =
      32 * 1024,  // bytes of page records, and of hot ones, opened at a time: 128 MiB of slices
  SEGMENT_STEP = 512 * 1024,  // bytes of segments opened at a time
  META_STEP = 1024 * 1024,
  META_PER_SEGMENT = 8 * 1024,  // address space only: a run area and its share of the rest
  SEGMENTS_MAX = 1 << 18,       // 1 TiB
};
static const size_t RANGE_BYTES_MAX = (size_t)1 << (sizeof(void*) == 8 ? 40 : 30);

// Before the start every pointer is far from the base, whatever the other fields say.
#define MI_RANGE_NONE \
  { .base = (uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1) }

range_t mii_range = MI_RANGE_NONE;

// One part of the reservation, opened from `start` towards higher or lower addresses.
typedef struct part_s {
  uintptr_t start;
  size_t size;  // reserved
  size_t open;  // opened so far
  size_t step;  // opened at least
  bool downwards;
} part_t;

static lock_t growth = {.rank = LOCK_GROWTH};
static void* reservation;          // const after start
static size_t reservation_bytes;   // const after start
static uintptr_t scarce_end;       // const after start: platform.h; 0 also under a small limit
static part_t meta_part;           // lock(growth)
static part_t segment_part;        // lock(growth)
static part_t page_part;           // lock(growth)
static part_t hot_part;            // lock(growth)
static _Atomic(size_t) meta_used;  // atomic: relaxed; lock(growth) to write
static _Atomic(size_t) claimed;    // atomic: relaxed; bytes of segments reserved after the start
static _Atomic(bool) claims_end;   // atomic: relaxed; no addresses were left for the latest

static void* segment_memory(uint32_t segment) { return mii_slice_start(segment * SEGMENT_SLICES); }

// Parts ------------------------------------------------------------------------------------------

static bool open_piece(const part_t* part, size_t size) {
  const uintptr_t at = part->downwards ? part->start - part->open - size : part->start + part->open;
  return mii_platform_open((void*)at, size) == 0;
}

// Make the first `wanted` bytes of the part usable.
static bool part_open(part_t* part, size_t wanted) {
  if (wanted <= part->open) return true;
  if (wanted > part->size) return false;
  const size_t needed = mii_align_up(wanted - part->open, mii_range.os_page_size);
  const size_t generous = mii_min(mii_max(needed, part->step), part->size - part->open);
  if (open_piece(part, generous)) {
    part->open += generous;
    return true;
  }
  if (needed == generous || !open_piece(part, needed)) return false;
  part->open += needed;
  return true;
}

// Start ------------------------------------------------------------------------------------------

typedef struct layout_s {
  size_t meta;
  size_t segments;
  size_t hots;
  size_t pages;
  size_t slices;
  size_t total;
} layout_t;

static layout_t layout_of(size_t segment_max, size_t reserved) {
  layout_t l;
  l.meta = mii_align_up(segment_max * META_PER_SEGMENT + META_STEP, SLICE_BYTES);
  l.segments = mii_align_up(segment_max * sizeof(segment_t), SLICE_BYTES);
  l.pages = mii_align_up(segment_max * SEGMENT_SLICES * sizeof(page_t), SLICE_BYTES);
  l.hots = mii_align_up(segment_max * SEGMENT_SLICES * sizeof(page_hot_t), SLICE_BYTES);
  l.slices = reserved * SEGMENT_BYTES;
  // The last summand is room to align the base.
  l.total =
      l.meta + l.segments + GUARD_BYTES + l.hots + l.pages + l.slices + GUARD_BYTES + SEGMENT_BYTES;
  return l;
}

// How many segments to ask for first: 16 times the memory, so that address space is never what ends
// a program, but never more than half of what a limit leaves for everyone.
static size_t segments_wanted(const platform_facts_t* facts) {
  size_t bytes = RANGE_BYTES_MAX;
  if (facts->memory_bytes < bytes / 16) bytes = facts->memory_bytes * 16;
  bytes = mii_min(bytes, facts->address_limit / 2);
  return mii_max(bytes / SEGMENT_BYTES, RANGE_SEGMENTS_MIN);
}

// As many segments as there are addresses beside the records.
static size_t segments_in_all(void) {
  const size_t most = mii_min(SIZE_MAX / SEGMENT_BYTES, SEGMENTS_MAX);
  return mii_min(most, (SIZE_MAX - layout_of(most, 0).total) / SEGMENT_BYTES);
}

static bool try_reserve(size_t segment_max, size_t reserved) {
  reservation_bytes = layout_of(segment_max, reserved).total;
  if (mii_platform_reserve(reservation_bytes, &reservation) != 0) return false;
  mii_range.segment_max = (uint32_t)segment_max;
  mii_range.slice_reserved = reserved * SEGMENT_SLICES;
  return true;
}

// Half as much each time, down to the smallest range.
static bool reserve_plenty(size_t count) {
  while (!try_reserve(count, count)) {
    if (count == RANGE_SEGMENTS_MIN) return false;
    count = mii_max(count / 2, RANGE_SEGMENTS_MIN);
  }
  return true;
}

// The records of all addresses are large beside a small limit.
static bool reserve_scarce(const platform_facts_t* facts) {
  const size_t all = segments_in_all();
  return facts->scarce_end != 0 && layout_of(all, SCARCE_SEGMENTS).total <= facts->address_limit / 2
         && try_reserve(all, SCARCE_SEGMENTS);
}

static bool reserve(const platform_facts_t* facts) {
  const bool scarce = reserve_scarce(facts);
  scarce_end = scarce ? facts->scarce_end : 0;
  if (scarce || reserve_plenty(segments_wanted(facts))) return true;
  reservation_bytes = 0;
  return false;
}

static void place_parts(void) {
  const layout_t l = layout_of(mii_range.segment_max, mii_range.slice_reserved / SEGMENT_SLICES);
  const uintptr_t lowest =
      (uintptr_t)reservation + GUARD_BYTES + l.meta + l.segments + GUARD_BYTES + l.hots + l.pages;
  mii_range.base = mii_align_up(lowest, SEGMENT_BYTES);
  const uintptr_t pages = mii_range.base - l.pages;
  const uintptr_t hots = pages - l.hots;
  const uintptr_t middle = hots - GUARD_BYTES - l.segments;
  mii_range.pages = (page_t*)pages;
  mii_range.hots = (page_hot_t*)hots;
  mii_range.hot_distance = hots - pages;
  hot_part = (part_t){hots, l.hots, 0, PAGE_STEP, false};
  page_part = (part_t){pages, l.pages, 0, PAGE_STEP, false};
  segment_part = (part_t){middle, l.segments, 0, SEGMENT_STEP, false};
  meta_part = (part_t){middle, l.meta, 0, META_STEP, true};
  mii_range.segments = (segment_t*)middle;
  atomic_store_explicit(&meta_used, 0, memory_order_relaxed);
}

static bool show_page_records(void) {
  return mii_platform_show((void*)page_part.start, page_part.size) == 0;
}

MI_COLD bool mii_range_start(const platform_facts_t* facts) {
  MI_ASSERT(mii_slice_count() == 0);
  mii_range.os_page_size = facts->os_page_size;
  if (!reserve(facts)) return false;
  place_parts();
  if (show_page_records()) {
    mii_range.slice_max = (size_t)mii_range.segment_max * SEGMENT_SLICES;
    mii_large_start();
    return true;
  }
  mii_range_stop();
  return false;
}

static void release_claimed(void) {
  const uint32_t first = (uint32_t)(mii_range.slice_reserved / SEGMENT_SLICES);
  for (uint32_t i = first; i < mii_segment_count(); i++) {
    if (!mii_segment_is_foreign(i)) mii_platform_release(segment_memory(i), SEGMENT_BYTES);
  }
  atomic_store_explicit(&claimed, 0, memory_order_relaxed);
  atomic_store_explicit(&claims_end, false, memory_order_relaxed);
}

MI_COLD void mii_range_stop(void) {
  release_claimed();
  if (reservation != NULL) mii_platform_release(reservation, reservation_bytes);
  reservation = NULL;
  reservation_bytes = 0;
  meta_part = segment_part = hot_part = page_part = (part_t){0};
  mii_limit_set_charged(0);
  mii_range = (range_t)MI_RANGE_NONE;
}

// Growth -----------------------------------------------------------------------------------------

// Open the records of the segments below `end`.
static bool open_records(size_t end) {
  return part_open(&segment_part, end * sizeof(segment_t))
         && part_open(&hot_part, end * SEGMENT_SLICES * sizeof(page_hot_t))
         && part_open(&page_part, end * SEGMENT_SLICES * sizeof(page_t));
}

// Open the slices of segments [from, from + count), and the records that describe them.
static bool open_segments(uint32_t from, uint32_t count) {
  const size_t end = (size_t)from + count;
  if (!open_records(end)) return false;
  const slice_t first = from == 0 ? 1 : from * SEGMENT_SLICES;
  const size_t bytes = (end * SEGMENT_SLICES - first) * SLICE_BYTES;
  if (mii_platform_open(mii_slice_start(first), bytes) != 0) return false;
  mii_track_open(mii_slice_start(first), bytes);
  return true;
}

// The segments between those that are open and `from` are foreign.
static void publish_segments(uint32_t from, uint32_t count) {
  const uint32_t open = mii_segment_count();
  for (uint32_t i = open; i < from; i++)
    atomic_store_explicit(&mii_segment(i)->is_foreign, true, memory_order_relaxed);
  for (uint32_t i = from; i < from + count; i++) {
    const uint64_t all = i == 0 ? ~UINT64_C(1) : ~UINT64_C(0);
    atomic_store_explicit(&mii_segment(i)->is_foreign, false, memory_order_relaxed);
    // Release: who claims a slice of a segment that was foreign finds open memory.
    atomic_store_explicit(&mii_segment(i)->free, all, memory_order_release);
  }
  const size_t end = mii_max(open, (size_t)from + count);
  atomic_store_explicit(&mii_range.slice_count, end * SEGMENT_SLICES, memory_order_release);
}

static uint32_t reserved_count(void) {
  return (uint32_t)(mii_range.slice_reserved / SEGMENT_SLICES);
}

// Lock held. There are as many.
static bool grow_reserved(uint32_t open, uint32_t wanted) {
  const uint32_t generous = (uint32_t)mii_min(open / 8, STEP_SEGMENTS_MAX);
  uint32_t step = (uint32_t)mii_min(mii_max(wanted, generous), reserved_count() - open);
  while (!open_segments(open, step)) {
    if (step == wanted) return false;
    step = (uint32_t)mii_max(wanted, step / 2);
  }
  publish_segments(open, step);
  return true;
}

// Where addresses are scarce -----------------------------------------------------------------------

// Not where NULL is, and not where the stack may come to.
static bool may_claim(uintptr_t address, size_t size) {
  return address != 0 && size < scarce_end && address <= scarce_end - size;
}

static bool any_is_ours(uint32_t from, uint32_t end) {
  for (uint32_t i = from; i < end; i++) {
    if (!mii_segment_is_foreign(i)) return true;
  }
  return false;
}

typedef enum claim_e { CLAIM_DONE, CLAIM_OCCUPIED, CLAIM_NO_ADDRESSES, CLAIM_NO_MEMORY } claim_t;

// Reserve and open `count` segments from `from` on, which are foreign or not looked at yet. If others have
// memory there (occupied), or the system refuses, nothing has changed; then no other place will be better.
static claim_t try_claim(uint32_t from, uint32_t count) {
  void* const at = segment_memory(from);
  const size_t size = (size_t)count * SEGMENT_BYTES;
  if (!may_claim((uintptr_t)at, size)) return CLAIM_OCCUPIED;
  const int code = mii_platform_reserve_at(at, size);
  if (code != 0) return code == EEXIST ? CLAIM_OCCUPIED : CLAIM_NO_ADDRESSES;
  if (open_segments(from, count)) {
    atomic_fetch_add_explicit(&claimed, size, memory_order_relaxed);
    publish_segments(from, count);
    return CLAIM_DONE;
  }
  mii_platform_release(at, size);
  return CLAIM_NO_MEMORY;
}

// The same with what was reserved at the start, and left out when so many in a row did not fit any more.
static claim_t try_left_out(uint32_t from, uint32_t count) {
  if (!open_segments(from, count)) return CLAIM_NO_MEMORY;
  publish_segments(from, count);
  return CLAIM_DONE;
}

typedef claim_t try_place_t(uint32_t from, uint32_t count);

// `count` segments in a row from `from` on, before `end`, none of which is ours.
static claim_t try_places(try_place_t* try_place, uint32_t from, uint32_t end, uint32_t count) {
  const uint32_t open = mii_segment_count();
  claim_t result = CLAIM_OCCUPIED;
  for (uint32_t i = from; result == CLAIM_OCCUPIED && i + count <= end; i++) {
    if (!any_is_ours(i, (uint32_t)mii_min(i + count, open))) result = try_place(i, count);
  }
  return result;
}

// What was left out first, then the next free place, then where others had memory before.
static claim_t try_all_places(uint32_t open, uint32_t count) {
  const uint32_t reserved = reserved_count();
  const uint32_t all = mii_range.segment_max;
  if (count > all) return CLAIM_OCCUPIED;
  claim_t result = try_places(try_left_out, 0, reserved, count);
  if (result == CLAIM_OCCUPIED)
    result = try_places(try_claim, (uint32_t)mii_max(open, reserved), all, count);
  if (result == CLAIM_OCCUPIED)
    result = try_places(try_claim, reserved, (uint32_t)mii_min(open + count - 1, all), count);
  return result;
}

// Lock held.
static claim_t claim(uint32_t open, uint32_t count) {
  return scarce_end != 0 ? try_all_places(open, count) : CLAIM_OCCUPIED;
}

bool mii_range_owns(const void* p) {
  const size_t slice = mii_slice_of(p);
  if (slice < mii_range.slice_reserved) return true;
  const size_t segment = slice / SEGMENT_SLICES;
  return segment < mii_segment_count() && !mii_segment_is_foreign((uint32_t)segment);
}

// Lock held. What does not fit into the rest of the reservation goes elsewhere.
static bool grow_from(uint32_t open, uint32_t wanted) {
  const uint32_t reserved = reserved_count();
  claim_t result;
  if (open < reserved && wanted <= reserved - open) {
    result = grow_reserved(open, wanted) ? CLAIM_DONE : CLAIM_NO_MEMORY;
  } else {
    result = claim(open, wanted);
  }
  const bool end = scarce_end != 0 && result != CLAIM_DONE && result != CLAIM_NO_MEMORY;
  atomic_store_explicit(&claims_end, end, memory_order_relaxed);
  return result == CLAIM_DONE;
}

// For arenas ---------------------------------------------------------------------------------------

enum { SEGMENTS_PER_HUGE = 256 };  // 1 GiB

static const size_t LARGE_PAGE = (size_t)1 << 21;
static const size_t HUGE_PAGE = (size_t)1 << 30;

// 1 GiB from the segment on; in one piece where the system has that and the address allows it.
static bool open_huge_page(uint32_t segment, int numa_node) {
  const size_t size = (size_t)SEGMENTS_PER_HUGE * SEGMENT_BYTES;
  void* const at = segment_memory(segment);
  if (!open_records((size_t)segment + SEGMENTS_PER_HUGE)) return false;
  return mii_platform_open_huge(at, size, HUGE_PAGE, numa_node) == 0
         || mii_platform_open_huge(at, size, LARGE_PAGE, numa_node) == 0;
}

// Lock held. As many as there are until the time is over.
static bool open_huge_pages(uint32_t first, arena_growth_t* arena) {
  uint32_t pages = 0;
  while (pages < arena->huge_pages
         && (arena->deadline_ms == 0 || mii_platform_clock_ms() < arena->deadline_ms)
         && open_huge_page(first + pages * SEGMENTS_PER_HUGE, arena->numa_node)) {
    pages++;
  }
  arena->count = pages * SEGMENTS_PER_HUGE;
  arena->huge_bytes = (size_t)arena->count * SEGMENT_BYTES;
  return pages > 0;
}

static bool open_arena(uint32_t first, arena_growth_t* arena) {
  if (arena->huge_pages > 0) return open_huge_pages(first, arena);
  if (!open_segments(first, arena->count)) return false;
  if (arena->may_be_large)
    mii_platform_prefer_large(segment_memory(first), (size_t)arena->count * SEGMENT_BYTES);
  return true;
}

// Huge OS pages begin at multiples of their size. What lies before is everyone's.
static uint32_t segments_before_huge(uint32_t open) {
  const uintptr_t at = (uintptr_t)segment_memory(open);
  return (uint32_t)((mii_align_up(at, HUGE_PAGE) - at) / SEGMENT_BYTES);
}

// Lock held. Not the first segment: it has a slice less.
static bool make_place(const arena_growth_t* arena) {
  const uint32_t open = mii_segment_count();
  const uint32_t gap = arena->huge_pages > 0 ? segments_before_huge(open) : open == 0;
  const size_t count =
      arena->huge_pages > 0 ? (size_t)arena->huge_pages * SEGMENTS_PER_HUGE : arena->count;
  if (count == 0 || open + gap + count > reserved_count()) return false;
  if (gap == 0) return true;
  if (!open_segments(open, gap)) return false;
  publish_segments(open, gap);
  return true;
}

// Lock held. Closed to others before its slices are free.
static uint32_t grow_arena(arena_growth_t* arena) {
  if (!make_place(arena)) return NO_ARENA_SEGMENT;
  const uint32_t first = mii_segment_count();
  if (!open_arena(first, arena)) return NO_ARENA_SEGMENT;
  for (uint32_t i = first; i < first + arena->count; i++)
    atomic_store_explicit(&mii_segment(i)->is_exclusive, arena->is_exclusive, memory_order_relaxed);
  publish_segments(first, arena->count);
  return first;
}

MI_COLD uint32_t mii_range_grow_arena(arena_growth_t* arena) {
  mii_lock_enter(&growth);
  const uint32_t first = grow_arena(arena);
  mii_lock_leave(&growth);
  return first;
}

MI_COLD bool mii_range_grow(uint32_t segment_count) {
  const uint32_t seen = mii_segment_count();
  mii_lock_enter(&growth);
  const uint32_t open = mii_segment_count();
  // Somebody grew while we waited: let the caller look again before we open more.
  const bool done = open - seen >= segment_count || grow_from(open, segment_count);
  mii_lock_leave(&growth);
  return done;
}

// Metadata ---------------------------------------------------------------------------------------

enum { META_ALIGN = 64 };

void* mii_meta_take(size_t size) {
  size = mii_align_up(size, META_ALIGN);
  mii_lock_enter(&growth);
  const size_t used = atomic_load_explicit(&meta_used, memory_order_relaxed) + size;
  void* p = NULL;
  if (part_open(&meta_part, used)) {
    atomic_store_explicit(&meta_used, used, memory_order_relaxed);
    p = (void*)(meta_part.start - used);
  }
  mii_lock_leave(&growth);
  return p;
}

uint32_t mii_meta_handle(const void* p) {
  return (uint32_t)(((uintptr_t)mii_range.segments - (uintptr_t)p) / META_ALIGN);
}

void* mii_meta_pointer(uint32_t handle) {
  return (void*)((uintptr_t)mii_range.segments - (uintptr_t)handle * META_ALIGN);
}

bool mii_range_reserves(const void* p) {
  return (uintptr_t)p - (uintptr_t)reservation < reservation_bytes;
}

size_t mii_range_reserved_bytes(void) {
  return reservation_bytes + atomic_load_explicit(&claimed, memory_order_relaxed);
}

MI_COLD size_t mii_meta_used_bytes(void) {
  return atomic_load_explicit(&meta_used, memory_order_relaxed)
         + mii_segment_count()
               * (sizeof(segment_t) + SEGMENT_SLICES * (sizeof(page_t) + sizeof(page_hot_t)));
}

size_t mii_meta_open_bytes(void) {
  return meta_part.open + segment_part.open + hot_part.open + page_part.open;
}

size_t mii_range_room(void) {
  if (atomic_load_explicit(&claims_end, memory_order_relaxed)) return 0;
  return (mii_range.slice_max - mii_slice_count()) * SLICE_BYTES;
}

static size_t resident_bytes_of(const part_t* part) {
  const uintptr_t from = part->downwards ? part->start - part->open : part->start;
  return part->open > 0 ? mii_platform_resident((void*)from, part->open) : 0;
}

size_t mii_meta_resident_bytes(void) {
  return resident_bytes_of(&meta_part) + resident_bytes_of(&segment_part)
         + resident_bytes_of(&hot_part) + resident_bytes_of(&page_part);
}

void mii_range_lock(void) { mii_lock_enter(&growth); }
void mii_range_unlock(void) { mii_lock_leave(&growth); }

MI_COLD bool mii_range_wait(void) {
  if (!mii_lock_is_taken(&growth) || mii_lock_is_mine_by_fork()) return false;
  mii_range_lock();
  mii_range_unlock();
  return true;
}

static bool foreign_segments_are_empty(void) {
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (mii_segment_is_foreign(i) && mii_segment(i)->free != 0) return false;
  }
  return true;
}

// Takes the lock: not for a caller that holds it.
MI_COLD bool mii_range_is_valid(void) {
  mii_lock_enter(&growth);
  const size_t slices = mii_slice_count();
  const size_t segments = slices / SEGMENT_SLICES;
  const bool valid =
      MI_HOLDS(slices % SEGMENT_SLICES == 0) && MI_HOLDS(mii_range.base % SEGMENT_BYTES == 0)
      && MI_HOLDS(segments <= mii_range.segment_max)
      && MI_HOLDS(segments * sizeof(segment_t) <= segment_part.open)
      && MI_HOLDS(slices * sizeof(page_t) <= page_part.open)
      && MI_HOLDS(slices * sizeof(page_hot_t) <= hot_part.open)
      && MI_HOLDS(foreign_segments_are_empty())  // G3
      && MI_HOLDS(meta_used <= meta_part.open) && MI_HOLDS(meta_part.open <= meta_part.size);
  mii_lock_leave(&growth);
  return valid;
}
