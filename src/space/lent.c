// SPDX-License-Identifier: MIT
// lent.c - memory that the program lends us: an arena outside of the range
//
//   L1  a slice is free; or is shared by blocks of one class, a bit per block; or begins a block of whole slices, or
//       follows in one; or is held by who opens or purges it, without the lock
//   L2  a shared slice with a free block is on the list `rooms` of its class, and has at least one block in use
//   L3  a free slice that is not open has no memory behind it, or we do not know
//
// One lock for all: it is held for a few instructions, but while slices are looked for, which is a walk.
//
// Tests: tests/api/lent_test.c
#include "space/lent.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/size_class.h"
#include "platform/platform.h"
#include "runtime/lock.h"
#include "space/arena.h"
#include <string.h>

#define NO_SLICE UINT32_MAX

typedef enum lent_kind_e { LENT_FREE, LENT_HELD, LENT_SHARED, LENT_WHOLE, LENT_FOLLOW } lent_kind_t;

// All of it: lock(lent).
typedef struct lent_slice_s {
  uint64_t used[LENT_WORDS];
  heap_t* heap;
  uint32_t next, prev;  // of rooms
  uint32_t count;       // shared: live blocks; whole: slices; follow: how far back it begins
  uint8_t kind;
  uint8_t size_class;
  uint8_t hint;  // no word before it has a free block
  bool is_open;
  bool is_zero;
} lent_slice_t;

struct lent_s {
  arena_t arena;
  lent_t* next;                 // const: the list of all
  _Atomic(uintptr_t) start;     // atomic: relaxed
  _Atomic(uintptr_t) end;       // atomic: relaxed
  _Atomic(bool) is_for_all;     // atomic: relaxed
  lent_slice_t* slices;         // const
  uint32_t slice_max;           // const: records there are
  uint32_t slice_count;         // lock(lent): 0: released
  uint32_t used_count;          // lock(lent): slices that are not free
  uint32_t lowest;              // lock(lent): no free slice lies before it
  uint32_t rooms[CLASS_COUNT];  // lock(lent)
  lent_request_t lender;        // lock(lent)
};

static lock_t lent_lock = {.rank = LOCK_LENT};
static _Atomic(lent_t*) first_lent;  // atomic: release to add, acquire to walk

void mii_lent_lock(void) { mii_lock_enter(&lent_lock); }
void mii_lent_unlock(void) { mii_lock_leave(&lent_lock); }

static lent_t* first_of_lent(void) {
  return atomic_load_explicit(&first_lent, memory_order_acquire);
}

static uintptr_t start_of(const lent_t* lent) {
  return atomic_load_explicit(&lent->start, memory_order_relaxed);
}
static uintptr_t end_of(const lent_t* lent) {
  return atomic_load_explicit(&lent->end, memory_order_relaxed);
}
static uint8_t* slice_address(const lent_t* lent, uint32_t slice) {
  return (uint8_t*)start_of(lent) + (size_t)slice * SLICE_BYTES;
}

// From a pointer to what it is -----------------------------------------------------------------------

static lent_t* lent_around(const void* p) {
  for (lent_t* lent = first_of_lent(); lent != NULL; lent = lent->next) {
    if ((uintptr_t)p - start_of(lent) < end_of(lent) - start_of(lent)) return lent;
  }
  return NULL;
}

bool mii_lent_has(const void* p) { return lent_around(p) != NULL; }

// Where p lies: in which block of a shared slice, or of whole slices.
typedef struct spot_s {
  lent_slice_t* slice;  // the first one of the block; NULL: p is in no live block
  uint32_t number;
  uint32_t block;
  size_t offset;  // from the beginning of the block
  size_t bytes;   // of the block
} spot_t;

static bool is_block_used(const lent_slice_t* slice, uint32_t block) {
  return block / 64 < LENT_WORDS && (slice->used[block / 64] >> block % 64 & 1) != 0;
}

// Lock held.
static spot_t spot_of(const lent_t* lent, const void* p) {
  const size_t offset = (uintptr_t)p - start_of(lent);
  spot_t spot = {.number = (uint32_t)(offset / SLICE_BYTES), .offset = offset % SLICE_BYTES};
  lent_slice_t* slice = &lent->slices[spot.number];
  if (slice->kind == LENT_FOLLOW) {
    spot.offset += (size_t)slice->count * SLICE_BYTES;
    spot.number -= slice->count;
    slice -= slice->count;
  }
  if (slice->kind == LENT_WHOLE) {
    spot.bytes = (size_t)slice->count * SLICE_BYTES;
    spot.slice = slice;
  } else if (slice->kind == LENT_SHARED) {
    spot.bytes = mii_class_bytes(slice->size_class);
    spot.block = (uint32_t)(spot.offset / spot.bytes);
    spot.offset %= spot.bytes;
    if (is_block_used(slice, spot.block)) spot.slice = slice;
  }
  return spot;
}

// The user's pointer may lie inside the first slice of a block of whole ones: block.c.
static bool begins_block(spot_t spot) {
  if (spot.slice == NULL) return false;
  return spot.slice->kind == LENT_WHOLE ? spot.offset < SLICE_BYTES : spot.offset == 0;
}

MI_COLD size_t mii_lent_bytes(const void* p) {
  const lent_t* const lent = lent_around(p);
  if (lent == NULL) return 0;
  mii_lent_lock();
  const spot_t spot = spot_of(lent, p);
  const size_t bytes = begins_block(spot) ? spot.bytes - spot.offset : 0;
  mii_lent_unlock();
  return bytes;
}

MI_COLD heap_t* mii_lent_heap(const void* p) {
  const lent_t* const lent = lent_around(p);
  if (lent == NULL) return NULL;
  mii_lent_lock();
  const spot_t spot = spot_of(lent, p);
  heap_t* const heap = spot.slice != NULL ? spot.slice->heap : NULL;
  mii_lent_unlock();
  return heap;
}

// Slices: lock held ----------------------------------------------------------------------------------

static bool are_free(const lent_t* lent, uint32_t from, uint32_t count) {
  for (uint32_t i = from; i < from + count; i++) {
    if (lent->slices[i].kind != LENT_FREE) return false;
  }
  return true;
}

static uint32_t first_allowed_slice(const lent_t* lent, slice_request_t want, uint32_t from) {
  if (want.align <= 1) return from;
  const uintptr_t absolute = (start_of(lent) >> SLICE_SHIFT) + from;
  return from + (uint32_t)((want.phase - absolute) & (want.align - 1));
}

static void hold(lent_t* lent, uint32_t from, uint32_t count) {
  for (uint32_t i = from; i < from + count; i++) lent->slices[i].kind = LENT_HELD;
  lent->used_count += count;
}

// First fit. NO_SLICE if there is none.
static uint32_t hold_slices(lent_t* lent, slice_request_t want) {
  while (lent->lowest < lent->slice_count && lent->slices[lent->lowest].kind != LENT_FREE)
    lent->lowest++;
  uint64_t i = lent->lowest;
  while (i < lent->slice_count) {
    i = first_allowed_slice(lent, want, (uint32_t)i);
    if (i + want.count > lent->slice_count) break;
    if (are_free(lent, (uint32_t)i, want.count)) {
      hold(lent, (uint32_t)i, want.count);
      return (uint32_t)i;
    }
    i++;
  }
  return NO_SLICE;
}

static void give_slices(lent_t* lent, uint32_t from, uint32_t count) {
  for (uint32_t i = from; i < from + count; i++) lent->slices[i].kind = LENT_FREE;
  lent->used_count -= count;
  if (from < lent->lowest) lent->lowest = from;
}

static void add_room(lent_t* lent, uint32_t number) {
  lent_slice_t* const slice = &lent->slices[number];
  uint32_t* const head = &lent->rooms[slice->size_class];
  slice->prev = NO_SLICE;
  slice->next = *head;
  if (*head != NO_SLICE) lent->slices[*head].prev = number;
  *head = number;
}

static void remove_room(lent_t* lent, uint32_t number) {
  const lent_slice_t* const slice = &lent->slices[number];
  if (slice->next != NO_SLICE) lent->slices[slice->next].prev = slice->prev;
  if (slice->prev != NO_SLICE) {
    lent->slices[slice->prev].next = slice->next;
  } else {
    lent->rooms[slice->size_class] = slice->next;
  }
}

// Opening: the slices are held, no lock --------------------------------------------------------------

static bool open_run(const lent_t* lent, uint32_t from, uint32_t count, bool* zero) {
  void* const start = slice_address(lent, from);
  const size_t bytes = (size_t)count * SLICE_BYTES;
  *zero = lent->lender.is_zero;
  if (lent->lender.commit == NULL) return mii_platform_open(start, bytes) == 0;
  *zero = false;
  return lent->lender.commit(true, start, bytes, zero, lent->lender.commit_arg);
}

// How many slices from there on, at most to the end, are open or not as the first one is.
static uint32_t alike(const lent_t* lent, uint32_t from, uint32_t end) {
  uint32_t i = from + 1;
  while (i < end && lent->slices[i].is_open == lent->slices[from].is_open) i++;
  return i - from;
}

static bool open_slices(const lent_t* lent, uint32_t from, uint32_t count) {
  const uint32_t end = from + count;
  for (uint32_t i = from, n; i < end; i += n) {
    n = alike(lent, i, end);
    if (lent->slices[i].is_open) continue;
    bool zero;
    if (!open_run(lent, i, n, &zero)) return false;
    for (uint32_t k = i; k < i + n; k++) {
      lent->slices[k].is_open = true;
      lent->slices[k].is_zero = zero;
    }
  }
  return true;
}

// Zero now, and not any more once it has a user.
static bool use_zero(lent_t* lent, uint32_t from, uint32_t count) {
  bool zero = true;
  for (uint32_t i = from; i < from + count; i++) {
    zero = zero && lent->slices[i].is_zero;
    lent->slices[i].is_zero = false;
  }
  return zero;
}

// The first of slices that are held and open, or NO_SLICE.
static uint32_t take_open_slices(lent_t* lent, slice_request_t want) {
  mii_lent_lock();
  const uint32_t from = hold_slices(lent, want);
  mii_lent_unlock();
  if (from == NO_SLICE || open_slices(lent, from, want.count)) return from;
  mii_lent_lock();
  give_slices(lent, from, want.count);
  mii_lent_unlock();
  return NO_SLICE;
}

// Blocks ---------------------------------------------------------------------------------------------

static uint32_t blocks_per_slice(uint32_t size_class) {
  return (uint32_t)(SLICE_BYTES / mii_class_bytes(size_class));
}

// Lock held. The slice has a free block.
static void* take_from(lent_t* lent, uint32_t number) {
  lent_slice_t* const slice = &lent->slices[number];
  while (slice->used[slice->hint] == ~UINT64_C(0)) slice->hint++;
  const uint32_t bit = mii_lowest_bit(~slice->used[slice->hint]);
  const uint32_t block = slice->hint * 64u + bit;
  MI_ASSERT(block < blocks_per_slice(slice->size_class));
  slice->used[slice->hint] |= UINT64_C(1) << bit;
  if (++slice->count == blocks_per_slice(slice->size_class)) remove_room(lent, number);
  return slice_address(lent, number) + (size_t)block * mii_class_bytes(slice->size_class);
}

static void* take_from_room(lent_t* lent, const heap_t* heap, uint32_t size_class) {
  void* block = NULL;
  mii_lent_lock();
  uint32_t i = lent->rooms[size_class];
  while (i != NO_SLICE && lent->slices[i].heap != heap) i = lent->slices[i].next;
  if (i != NO_SLICE) block = take_from(lent, i);
  mii_lent_unlock();
  return block;
}

static void* take_from_new(lent_t* lent, heap_t* heap, uint32_t size_class) {
  const uint32_t number = take_open_slices(lent, (slice_request_t){.count = 1});
  if (number == NO_SLICE) return NULL;
  lent_slice_t* const slice = &lent->slices[number];
  mii_lent_lock();
  use_zero(lent, number, 1);
  memset(slice->used, 0, sizeof slice->used);
  slice->heap = heap;
  slice->count = 0;
  slice->hint = 0;
  slice->size_class = (uint8_t)size_class;
  slice->kind = LENT_SHARED;
  add_room(lent, number);
  void* const block = take_from(lent, number);
  mii_lent_unlock();
  return block;
}

static void* take_block(lent_t* lent, heap_t* heap, uint32_t size_class) {
  void* const block = take_from_room(lent, heap, size_class);
  return block != NULL ? block : take_from_new(lent, heap, size_class);
}

static void* take_whole(lent_t* lent, heap_t* heap, slice_request_t want, bool* zero) {
  const uint32_t from = take_open_slices(lent, want);
  if (from == NO_SLICE) return NULL;
  mii_lent_lock();
  *zero = use_zero(lent, from, want.count);
  lent->slices[from].heap = heap;
  lent->slices[from].count = want.count;
  lent->slices[from].kind = LENT_WHOLE;
  for (uint32_t i = 1; i < want.count; i++) {
    lent->slices[from + i].count = i;
    lent->slices[from + i].kind = LENT_FOLLOW;
  }
  mii_lent_unlock();
  return slice_address(lent, from);
}

static bool is_for_all(const lent_t* lent) {
  return atomic_load_explicit(&lent->is_for_all, memory_order_relaxed);
}

MI_COLD void* mii_lent_take(lent_t* from, heap_t* heap, uint32_t size_class) {
  if (mii_class_bytes(size_class) < LENT_BLOCK_MIN) size_class = mii_size_class(LENT_BLOCK_MIN);
  if (from != NULL) return take_block(from, heap, size_class);
  void* block = NULL;
  for (lent_t* lent = first_of_lent(); lent != NULL && block == NULL; lent = lent->next) {
    if (is_for_all(lent)) block = take_block(lent, heap, size_class);
  }
  return block;
}

MI_COLD void* mii_lent_take_slices(lent_t* from, heap_t* heap, slice_request_t want, bool* zero) {
  if (from != NULL) return take_whole(from, heap, want, zero);
  void* block = NULL;
  for (lent_t* lent = first_of_lent(); lent != NULL && block == NULL; lent = lent->next) {
    if (is_for_all(lent)) block = take_whole(lent, heap, want, zero);
  }
  return block;
}

// Lock held.
static void end_shared(lent_t* lent, uint32_t number) {
  if (lent->slices[number].count < blocks_per_slice(lent->slices[number].size_class))
    remove_room(lent, number);
  give_slices(lent, number, 1);
}

// Lock held.
static void give_block(lent_t* lent, spot_t spot) {
  lent_slice_t* const slice = spot.slice;
  if (slice->kind == LENT_WHOLE) {
    give_slices(lent, spot.number, slice->count);
    return;
  }
  slice->used[spot.block / 64] &= ~(UINT64_C(1) << spot.block % 64);
  slice->hint = (uint8_t)mii_min(slice->hint, spot.block / 64);
  if (slice->count-- == blocks_per_slice(slice->size_class)) add_room(lent, spot.number);
  if (slice->count == 0) end_shared(lent, spot.number);
}

MI_COLD lent_give_t mii_lent_give(void* p) {
  lent_t* const lent = lent_around(p);
  if (lent == NULL) return LENT_FOREIGN;
  mii_lent_lock();
  const spot_t spot = spot_of(lent, p);
  const bool good = begins_block(spot);
  if (good) give_block(lent, spot);
  mii_lent_unlock();
  return good ? LENT_GIVEN : LENT_NO_BLOCK;
}

// All that there is ------------------------------------------------------------------------------------

static bool begins_piece(const lent_slice_t* slice) {
  return slice->kind == LENT_SHARED || slice->kind == LENT_WHOLE;
}

// Lock held.
static void move_piece(lent_t* lent, uint32_t number, heap_t* to) {
  lent_slice_t* const slice = &lent->slices[number];
  if (to != NULL) {
    slice->heap = to;
  } else if (slice->kind == LENT_SHARED) {
    end_shared(lent, number);
  } else {
    give_slices(lent, number, slice->count);
  }
}

MI_COLD void mii_lent_move(const heap_t* heap, heap_t* to) {
  for (lent_t* lent = first_of_lent(); lent != NULL; lent = lent->next) {
    mii_lent_lock();
    for (uint32_t i = 0; i < lent->slice_count; i++) {
      if (begins_piece(&lent->slices[i]) && lent->slices[i].heap == heap) move_piece(lent, i, to);
    }
    mii_lent_unlock();
  }
}

// Lock held. The next free open slices from there on are held: how many. 0 if nobody wants them back.
static uint32_t hold_unused(lent_t* lent, uint32_t* from) {
  uint32_t i = *from;
  if (lent->lender.commit == NULL || lent->lender.is_pinned) return 0;
  while (i < lent->slice_count && !(lent->slices[i].kind == LENT_FREE && lent->slices[i].is_open))
    i++;
  *from = i;
  while (i < lent->slice_count && lent->slices[i].kind == LENT_FREE && lent->slices[i].is_open) i++;
  hold(lent, *from, i - *from);
  return i - *from;
}

static void purge_lent(lent_t* lent) {
  uint32_t from = 0;
  for (uint32_t count;; from += count) {
    mii_lent_lock();
    count = hold_unused(lent, &from);
    mii_lent_unlock();
    if (count == 0) return;
    bool zero = false;
    const bool closed =
        lent->lender.commit(false, slice_address(lent, from), (size_t)count * SLICE_BYTES, &zero,
                            lent->lender.commit_arg);
    mii_lent_lock();
    for (uint32_t i = from; i < from + count && closed; i++)
      lent->slices[i].is_open = lent->slices[i].is_zero = false;
    give_slices(lent, from, count);
    mii_lent_unlock();
  }
}

MI_COLD void mii_lent_purge(void) {
  for (lent_t* lent = first_of_lent(); lent != NULL; lent = lent->next) purge_lent(lent);
}

MI_COLD bool mii_lent_is_unused(void) {
  bool unused = true;
  mii_lent_lock();
  for (const lent_t* lent = first_of_lent(); lent != NULL; lent = lent->next)
    unused = unused && lent->used_count == 0;
  mii_lent_unlock();
  return unused;
}

void mii_lent_stop(void) { atomic_store_explicit(&first_lent, NULL, memory_order_relaxed); }

// Lock held. False if nothing begins there.
static bool copy_piece(const lent_t* lent, uint32_t number, lent_piece_t* piece) {
  const lent_slice_t* const slice = &lent->slices[number];
  if (number >= lent->slice_count || !begins_piece(slice)) return false;
  const bool shared = slice->kind == LENT_SHARED;
  piece->start = slice_address(lent, number);
  piece->heap = slice->heap;
  piece->slices = shared ? 1 : slice->count;
  piece->size_class = shared ? slice->size_class : CLASS_COUNT;
  piece->live = shared ? slice->count : 1;
  memcpy(piece->used, slice->used, sizeof piece->used);
  return true;
}

MI_COLD bool mii_lent_visit(bool (*visit)(const lent_piece_t* piece, void* arg), void* arg) {
  lent_piece_t piece;
  for (const lent_t* lent = first_of_lent(); lent != NULL; lent = lent->next) {
    for (uint32_t i = 0; i < lent->slice_max; i++) {
      mii_lent_lock();
      const bool found = copy_piece(lent, i, &piece);
      mii_lent_unlock();
      if (found && !visit(&piece, arg)) return false;
    }
  }
  return true;
}

// The arena --------------------------------------------------------------------------------------------

// Where the range is scattered, its parts are whole segments.
static bool is_taken(uintptr_t start, uintptr_t end) {
  for (uintptr_t p = start; p < end; p += SLICE_BYTES) {
    if (mii_range_owns((void*)p) || mii_range_reserves((void*)p) || mii_lent_has((void*)p))
      return true;
  }
  return false;
}

// Lock held. One that was released, if it has enough records.
static lent_t* take_released(uint32_t count) {
  lent_t* lent = first_of_lent();
  while (lent != NULL && (lent->slice_count != 0 || lent->slice_max < count)) lent = lent->next;
  return lent;
}

static void add_lent(lent_t* lent) {
  lent->next = first_of_lent();
  atomic_store_explicit(&first_lent, lent, memory_order_release);
  mii_arena_add(&lent->arena);
}

// Lock held.
static lent_t* make_lent(uint32_t count) {
  lent_t* lent = take_released(count);
  if (lent != NULL) return lent;
  lent = mii_meta_take(sizeof *lent);
  lent_slice_t* const slices = mii_meta_take(count * sizeof *slices);
  if (lent == NULL || slices == NULL) return NULL;
  lent->slices = slices;
  lent->slice_max = count;
  lent->arena.lent = lent;
  lent->arena.bounds = (segment_bounds_t){1, 1};  // nothing of the range
  atomic_store_explicit(&lent->arena.is_gone, true, memory_order_relaxed);
  add_lent(lent);
  return lent;
}

// Lock held.
static void begin_lent(lent_t* lent, lent_request_t want, uintptr_t start, uint32_t count) {
  memset(lent->slices, 0, count * sizeof *lent->slices);
  for (uint32_t i = 0; i < count; i++) {
    lent->slices[i].is_open = want.is_committed;
    lent->slices[i].is_zero = want.is_committed && want.is_zero;
  }
  for (uint32_t c = 0; c < CLASS_COUNT; c++) lent->rooms[c] = NO_SLICE;
  lent->lender = want;
  lent->slice_count = count;
  lent->used_count = lent->lowest = 0;
  lent->arena.is_exclusive = want.is_exclusive;
  atomic_store_explicit(&lent->is_for_all, !want.is_exclusive, memory_order_relaxed);
  lent->arena.numa_node = want.numa_node;
  atomic_store_explicit(&lent->start, start, memory_order_relaxed);
  atomic_store_explicit(&lent->end, start + (size_t)count * SLICE_BYTES, memory_order_relaxed);
  atomic_store_explicit(&lent->arena.is_gone, false, memory_order_relaxed);
}

MI_COLD arena_t* mii_lent_new(lent_request_t want) {
  const uintptr_t start = mii_align_up((uintptr_t)want.start, SLICE_BYTES);
  const uintptr_t end = ((uintptr_t)want.start + want.size) & ~(uintptr_t)(SLICE_BYTES - 1);
  if (start >= end || (end - start) / SLICE_BYTES >= NO_SLICE || is_taken(start, end)) return NULL;
  const uint32_t count = (uint32_t)((end - start) / SLICE_BYTES);
  mii_lent_lock();
  lent_t* const lent = make_lent(count);
  if (lent != NULL) begin_lent(lent, want, start, count);
  mii_lent_unlock();
  return lent != NULL ? &lent->arena : NULL;
}

MI_COLD bool mii_lent_release(arena_t* arena) {
  lent_t* const lent = arena->lent;
  mii_lent_lock();
  const bool unused =
      lent->used_count == 0 && atomic_load_explicit(&arena->users, memory_order_relaxed) == 0;
  if (unused) {
    atomic_store_explicit(&arena->is_gone, true, memory_order_relaxed);
    atomic_store_explicit(&lent->is_for_all, false, memory_order_relaxed);
    atomic_store_explicit(&lent->end, start_of(lent), memory_order_relaxed);
    lent->slice_count = 0;
  }
  mii_lent_unlock();
  return unused;
}

uint8_t* mii_lent_start(const lent_t* lent) { return (uint8_t*)start_of(lent); }
size_t mii_lent_size(const lent_t* lent) { return end_of(lent) - start_of(lent); }
