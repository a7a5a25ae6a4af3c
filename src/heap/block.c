// SPDX-License-Identifier: MIT
// block.c - a block of any size: a page's block to 32 KiB, a run to 1 MiB, whole slices above
//
// A block of a page begins where its page says, so alignment is a matter of choosing the class. Runs and
// huge blocks are placed where the request wants them; with an odd offset the user's pointer may lie
// inside the first unit of a run, or inside the first slice of a huge block, and nowhere else.
//
// From SECURE_VAULT on (runtime/secure.h) blocks of pages come from vaults, and from SECURE_CANARY on every block
// is sealed behind the size that was asked for, which is all of it that may be used.
//
// In a tracked build (MI_CFG_TRACK) a block is as large as it was asked for, and behind it, where the
// program may not reach, its last bytes are a tag_t.
//
// Tests: tests/unit/heap/block_test.c
#include "heap/block.h"
#include "heap/apart.h"
#include "heap/guarded.h"
#include "heap/outbox.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "base/assert.h"
#include "base/track.h"
#include "page/canary.h"
#include "page/page_fast.h"
#include "page/page_remote.h"
#include "space/huge.h"
#include "space/purge.h"
#include "space/run.h"
#include <string.h>

enum { RUN_BYTES_MAX = RUN_UNITS_MAX * UNIT_BYTES };

// Who has a block in a tracked build, at its end.
typedef struct tag_s {
  uintptr_t stamp;  // the address of a live block, changed a little
  size_t size;      // what was asked for
} tag_t;

static const uintptr_t STAMP = (uintptr_t)0x5bd1e995a5c36e4b;

// Take -----------------------------------------------------------------------------------------------

static void* take_from_page(theap_t* theap, uint32_t size_class) {
  void* const p = mii_list_pop(&theap->list[size_class]);
  return p != NULL ? p : mii_theap_refill(theap, size_class);
}

// How far the user's pointer lies behind the start of its first piece (a unit or a slice), and how the
// start itself is to be placed, in pieces.
typedef struct placement_s {
  size_t shift;    // bytes, less than a piece
  uint32_t align;  // pieces; 1: any
  uint32_t phase;
} placement_t;

static placement_t placement_of(block_request_t want, size_t piece) {
  if (want.alignment <= 1) return (placement_t){0, 1, 0};
  // p is to be congruent to -offset modulo the alignment.
  const size_t residue = (0 - want.offset) & (want.alignment - 1);
  if (want.alignment <= piece) return (placement_t){residue, 1, 0};
  const size_t shift = residue & (piece - 1);
  return (placement_t){shift, (uint32_t)(want.alignment / piece), (uint32_t)(residue / piece)};
}

static void* take_run(theap_t* theap, block_request_t want, placement_t place, bool* zero) {
  const uint32_t units = (uint32_t)mii_divide_up(want.size + place.shift, UNIT_BYTES);
  const run_request_t run = {.count = units, .align = place.align, .phase = place.phase};
  uint8_t* const start = mii_run_take(run, &theap->run_segment, zero);
  return start != NULL ? start + place.shift : NULL;
}

// Runs share their segments: they are of the main heap, and lie anywhere. With a NUMA node it has whole slices.
static bool may_have_runs(const theap_t* theap) {
  return !theap->is_apart && mii_heap_near(theap->heap).end == 0;
}

static bool has_canary(void) { return mii_secure_level() >= SECURE_CANARY; }

static void count_unpaged(theap_t* theap, size_t size) {
  theap->large_handed++;
  theap->large_bytes += mii_align_up(size, UNIT_BYTES);
}

void* mii_block_take_run(theap_t* theap, size_t size) {
  if (MI_UNLIKELY(!may_have_runs(theap) || has_canary() || mii_is_sampling())) return NULL;
  mii_theap_beat(theap);
  const run_request_t want = {.count = (uint32_t)(mii_align_up(size, UNIT_BYTES) / UNIT_BYTES)};
  bool zero;
  void* const p = mii_run_take(want, &theap->run_segment, &zero);
  if (MI_LIKELY(p != NULL)) count_unpaged(theap, size);
  return p;
}

// In memory that was lent: what its arena has, or any that is for everyone; that is not hardened.
static void* take_lent(theap_t* theap, block_request_t want, bool* zero) {
  const placement_t place = placement_of(want, SLICE_BYTES);
  const size_t slices = mii_divide_up(want.size + place.shift, SLICE_BYTES);
  const bool is_own = theap->heap->lent != NULL;
  if (slices > UINT32_MAX || (!is_own && (theap->is_apart || mii_secure_has_vaults()))) return NULL;
  const slice_request_t whole = {
      .count = (uint32_t)slices, .align = place.align, .phase = place.phase};
  uint8_t* const start = mii_lent_take_slices(theap->heap->lent, theap->heap, whole, zero);
  return start != NULL ? start + place.shift : NULL;
}

static void* take_huge(theap_t* theap, block_request_t want, bool* zero) {
  mii_quiet_tick(mii_platform_clock_ms());
  const placement_t place = placement_of(want, SLICE_BYTES);
  const size_t slices = mii_divide_up(want.size + place.shift, SLICE_BYTES);
  if (slices > mii_range.segment_max * (size_t)SEGMENT_SLICES) return NULL;
  if (MI_UNLIKELY(!mii_heap_may_grow(theap, slices * SLICE_BYTES))) return NULL;
  slice_request_t huge = {
      .count = (uint32_t)slices,
      .align = place.align,
      .phase = place.phase,
      .bounds = theap->heap->bounds,
  };
  const segment_bounds_t near = mii_heap_near(theap->heap);
  if (near.end != 0) huge.bounds = near;
  uint8_t* start = mii_huge_take(huge, zero);
  huge.bounds = theap->heap->bounds;
  if (start == NULL && near.end != 0) start = mii_huge_take(huge, zero);
  if (start == NULL) return NULL;
  mii_heap_add_huge(theap->heap, (slice_t)mii_slice_of(start));
  return start + place.shift;
}

// Blocks that no page holds.
static void* take_unpaged(theap_t* theap, block_request_t want, bool* zero) {
  if (theap->heap->lent != NULL) return take_lent(theap, want, zero);
  const placement_t place = placement_of(want, UNIT_BYTES);
  const bool fits_run = want.size + place.shift <= RUN_BYTES_MAX && want.alignment <= RUN_BYTES_MAX;
  return fits_run && may_have_runs(theap) ? take_run(theap, want, place, zero)
                                          : take_huge(theap, want, zero);
}

// Memory is short: what waits for somebody to look at it is given back first. A run begins with a whole
// segment for its area; where there is none left, there may still be slices.
static void* take_unpaged_under_pressure(theap_t* theap, block_request_t want, bool* zero) {
  mii_theap_collect(theap);
  mii_apart_collect_waiting();
  if (theap->heap->bounds.end != 0) return take_unpaged(theap, want, zero);  // its arena is full
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  void* p = take_unpaged(theap, want, zero);
  if (p == NULL) p = take_huge(theap, want, zero);
  return p != NULL ? p : take_lent(theap, want, zero);
}

// The class that has such blocks; CLASS_COUNT if none has.
MI_INLINE uint32_t class_for(block_request_t want) {
  if (want.alignment <= 1)
    return want.size <= MID_BLOCK_MAX ? mii_size_class(want.size) : CLASS_COUNT;
  if ((want.offset & (want.alignment - 1)) != 0) return CLASS_COUNT;
  return mii_size_class_aligned(want.size, want.alignment);
}

static void* take_beyond_classes(theap_t* theap, block_request_t want, bool* zero) {
  if (want.alignment > mii_range.slice_max * SLICE_BYTES) return NULL;
  mii_theap_beat(theap);
  void* p = take_unpaged(theap, want, zero);
  if (p == NULL) p = take_unpaged_under_pressure(theap, want, zero);
  if (p != NULL) count_unpaged(theap, want.size);
  return p;
}

MI_INLINE void* take_any(theap_t* theap, block_request_t want, bool* zero) {
  if (want.size == 0) want.size = 1;
  const uint32_t size_class = class_for(want);
  return size_class < CLASS_COUNT ? take_from_page(theap, size_class)
                                  : take_beyond_classes(theap, want, zero);
}

MI_INLINE size_t raw_bytes(const void* p);

static tag_t* tag_of(const void* p) {
  return (tag_t*)((uintptr_t)p + raw_bytes(p) - sizeof(tag_t));
}

static void* take_tracked(theap_t* theap, block_request_t want, bool* zero) {
  const size_t size = mii_max(want.size, 1);
  want.size = size + sizeof(tag_t);
  mii_track_enter();
  void* const p = take_any(theap, want, zero);
  if (p != NULL) *tag_of(p) = (tag_t){(uintptr_t)p ^ STAMP, size};
  mii_track_leave();
  if (p != NULL) mii_track_take(p, size, raw_bytes(p));
  *zero = false;  // the tool has to see that it is written
  return p;
}

// Hardened: take ------------------------------------------------------------------------------------

// Lent memory has no slices of ours.
static slice_kind_t kind_at(const void* p) {
  return mii_range_owns(p) ? mii_slice_kind(mii_slice_of(p)) : SLICE_FREE;
}

// The first piece of a large block begins here.
static uint8_t* large_start(const void* p) {
  const size_t piece = kind_at(p) == SLICE_HUGE ? SLICE_BYTES : UNIT_BYTES;
  return (uint8_t*)((uintptr_t)p & ~(uintptr_t)(piece - 1));
}

// An OS page behind each large block is a guard; not where OS pages are larger than units.
static size_t guard_bytes(void) {
  return mii_secure_level() >= SECURE_GUARD && mii_range.os_page_size == UNIT_BYTES ? UNIT_BYTES
                                                                                    : 0;
}

// What lies between the start of a large block and its guard; 0 if it is none.
static size_t sealed_bytes(const void* p) {
  const size_t bytes = raw_bytes(p);
  return bytes > guard_bytes() ? bytes - guard_bytes() : 0;
}

static uint8_t* guard_behind(const void* p) { return (uint8_t*)(uintptr_t)p + sealed_bytes(p); }

static canary_t large_canary(void) { return mii_canary_of(mii_secure_key); }

// A large block of which only the address is known.
static scene_t large_scene(const void* p) {
  return (scene_t){p, large_start(p), raw_bytes(p), mii_heap_of(p), CLASS_COUNT};
}

// Free memory is zero; of a huge block only the first slice is looked at, and the rest given back to the
// system, which costs little where nothing is. Then all of it is zero.
static void clear_large(void* p, bool is_new) {
  const bool is_huge = kind_at(p) == SLICE_HUGE;
  uint8_t* const start = large_start(p);
  const size_t bytes = (size_t)((uint8_t*)p - start) + sealed_bytes(p);
  const size_t looked_at = is_huge ? SLICE_BYTES : bytes;
  const scene_t scene = large_scene(p);
  const bool good = !is_new || mii_bytes_are_zero(start, looked_at);
  if (is_new && good && !is_huge) return;
  if (!is_huge || !mii_purge_memory(start, bytes)) memset(start, 0, bytes);
  if (!good) mii_secure_report(CRIME_WRITE_AFTER_FREE, "malloc", &scene);
}

static void* take_sealed_large(theap_t* theap, block_request_t want, bool* zero) {
  const size_t size = want.size;
  want.size += CANARY_BYTES + guard_bytes();
  void* const p = take_beyond_classes(theap, want, zero);
  if (p == NULL) return NULL;
  if (!*zero) clear_large(p, true);
  mii_canary_set(p, sealed_bytes(p), size, large_canary());
  if (guard_bytes() > 0) mii_secure_guard(guard_behind(p), guard_bytes());
  mii_secure_warn_of_guards();
  return p;
}

static void* take_from_vault(theap_t* theap, uint32_t size_class) {
  void* const p = mii_vault_take(theap, size_class);
  if (MI_LIKELY(p != NULL)) return p;
  mii_vault_unload(theap);
  mii_vault_collect_all();
  mii_thread_pool_dissolve_all();
  mii_purge_all();
  return mii_vault_take(theap, size_class);
}

uint32_t mii_block_class(size_t size) {
  const size_t bytes = mii_max(size, 1) + (has_canary() ? CANARY_BYTES : 0);
  return bytes <= MID_BLOCK_MAX ? mii_size_class(bytes) : CLASS_COUNT;
}

void* mii_block_take_hardened(theap_t* theap, size_t size, uint32_t size_class) {
  void* const p = mii_vault_take_other(theap, size_class);
  return p != NULL && has_canary() ? mii_vault_seal_new(p, mii_max(size, 1)) : p;
}

// A heap in lent memory has no vaults: bits say there, too, which blocks live.
static MI_COLD void* take_hardened(theap_t* theap, block_request_t want, bool* zero) {
  if (theap->heap->lent != NULL) return take_any(theap, want, zero);
  const size_t size = want.size = mii_max(want.size, 1);
  if (has_canary()) want.size += CANARY_BYTES;
  const uint32_t size_class = class_for(want);
  if (size_class == CLASS_COUNT) {
    want.size = size;
    void* const p = has_canary() ? take_sealed_large(theap, want, zero)
                                 : take_beyond_classes(theap, want, zero);
    *zero = *zero || has_canary();
    return p;
  }
  void* const p = take_from_vault(theap, size_class);
  if (p == NULL || !has_canary()) return p;
  *zero = true;
  return mii_vault_seal_new(p, size);
}

// Sampled --------------------------------------------------------------------------------------------

static MI_COLD void* take_sampled(theap_t* theap, block_request_t want, bool* zero) {
  want.size = mii_max(want.size, 1);
  const bool hardened = mii_secure_has_vaults();
  const uint32_t size_class = hardened ? CLASS_COUNT : class_for(want);
  if (!theap->is_apart && mii_sampler_hits(theap, size_class)) {
    void* const p = mii_guarded_take(theap, want);
    if (p != NULL) return p;
  }
  if (hardened) return take_hardened(theap, want, zero);
  const uint64_t before = theap->blocks_handed;
  void* const p = take_any(theap, want, zero);
  if (p != NULL && !theap->is_apart && theap->blocks_handed > before)
    mii_sampler_cut(theap, size_class, theap->blocks_handed - before - 1);
  return p;
}

void* mii_block_take(theap_t* theap, block_request_t want, bool* zero) {
  MI_ASSERT(want.size <= BLOCK_BYTES_MAX);
  *zero = false;
  if (MI_UNLIKELY(mii_is_sampling())) return take_sampled(theap, want, zero);
  if (MI_UNLIKELY(mii_secure_has_vaults())) return take_hardened(theap, want, zero);
  return MI_CFG_TRACK ? take_tracked(theap, want, zero) : take_any(theap, want, zero);
}

// A huge block is purged rather than written: who asks for megabytes of zeros may never touch them.
void mii_block_clear(void* p) {
  const size_t bytes = mii_block_bytes(p);
  const size_t whole = mii_align_up(bytes, SLICE_BYTES);
  if (!MI_CFG_TRACK && mii_range_owns(p) && mii_slice_kind(mii_slice_of(p)) == SLICE_HUGE
      && mii_purge_memory(mii_slice_start((slice_t)mii_slice_of(p)), whole))
    return;
  memset(p, 0, bytes);
}

// From a pointer to what it is -----------------------------------------------------------------------

// The record of the page that slice i is part of.
static page_t* page_at(size_t slice, slice_kind_t kind) {
  return mii_page_record(kind == SLICE_FOLLOW ? slice - 1 : slice);
}

static size_t bytes_behind(size_t bytes, const void* p, size_t piece) {
  return bytes - ((uintptr_t)p & (piece - 1));
}

MI_INLINE size_t raw_bytes(const void* p) {
  if (!mii_range_owns(p)) return mii_lent_bytes(p);
  const size_t slice = mii_slice_of(p);
  const slice_kind_t kind = mii_slice_kind(slice);
  switch (kind) {
    case SLICE_PAGE:
    case SLICE_FOLLOW: return mii_page_block_bytes(page_at(slice, kind));
    case SLICE_RUN: {
      const size_t bytes = mii_run_bytes(p);
      return bytes == 0 ? 0 : bytes_behind(bytes, p, UNIT_BYTES);
    }
    case SLICE_HUGE: return bytes_behind(mii_huge_bytes(p), p, SLICE_BYTES);
    case SLICE_HARDENED: return mii_vault_bytes(p);
    case SLICE_GUARDED: return mii_guarded_bytes(p);
    case SLICE_FREE: break;
  }
  return 0;
}

MI_INLINE bool is_raw_block(const void* p) {
  if (!mii_range_owns(p)) return mii_lent_bytes(p) > 0;
  const size_t slice = mii_slice_of(p);
  const slice_kind_t kind = mii_slice_kind(slice);
  if (kind == SLICE_PAGE || kind == SLICE_FOLLOW)
    return mii_page_has_block(page_at(slice, kind), p);
  return raw_bytes(p) > 0;
}

// The size that a live block was asked for; false if p is none.
static bool tracked_size(const void* p, size_t* size) {
  if (!is_raw_block(p)) return false;
  mii_track_enter();
  const tag_t tag = *tag_of(p);
  mii_track_leave();
  *size = tag.size;
  return tag.stamp == ((uintptr_t)p ^ STAMP);
}

static bool is_large(const void* p) {
  const slice_kind_t kind = kind_at(p);
  return kind == SLICE_RUN || kind == SLICE_HUGE;
}

// What may be used of a block with `bytes` bytes. If its seal is broken, whoever frees it is told.
static MI_COLD size_t unsealed_bytes(const void* p, size_t bytes) {
  if (bytes == 0 || !is_large(p)) return bytes;
  const size_t size = mii_canary_size(p, sealed_bytes(p), large_canary());
  return size != 0 ? size : sealed_bytes(p) - CANARY_BYTES;
}

size_t mii_block_bytes(const void* p) {
  if (MI_UNLIKELY(has_canary())) return unsealed_bytes(p, raw_bytes(p));
  if (!MI_CFG_TRACK) return raw_bytes(p);
  size_t size;
  return tracked_size(p, &size) ? size : 0;
}

MI_COLD bool mii_block_is_plausible(const void* p) {
  size_t size;
  return MI_CFG_TRACK ? tracked_size(p, &size) : is_raw_block(p);
}

// Give -----------------------------------------------------------------------------------------------

void mii_block_give_to(page_t* page, void* block) {
  theap_t* const mine = mii_theap_mine;
  if (mii_page_owner(page) != mii_theap_tag(mine)) {
    mii_outbox_free(mine, page, block);
  } else if (mii_page_push_local(page, block)) {
    mii_theap_wake(mine, page);
  }
}

static give_result_t give_lent(void* p) {
  switch (mii_lent_give(p)) {
    case LENT_GIVEN: return GIVE_DONE;
    case LENT_NO_BLOCK: return GIVE_INVALID;
    case LENT_FOREIGN: break;
  }
  return GIVE_FOREIGN;
}

MI_INLINE give_result_t give_any(void* p) {
  if (!mii_range_owns(p)) return give_lent(p);
  const size_t slice = mii_slice_of(p);
  const slice_kind_t kind = mii_slice_kind(slice);
  switch (kind) {
    case SLICE_PAGE:
    case SLICE_FOLLOW: mii_block_give_to(page_at(slice, kind), p); return GIVE_DONE;
    case SLICE_RUN: return mii_run_give(p) ? GIVE_DONE : GIVE_INVALID;
    case SLICE_HUGE:
      mii_heap_remove_huge((slice_t)slice);
      mii_huge_give(p);
      return GIVE_DONE;
    case SLICE_GUARDED: mii_guarded_give(p); return GIVE_DONE;
    case SLICE_HARDENED:
    case SLICE_FREE: break;
  }
  return GIVE_INVALID;
}

static give_result_t give_tracked(void* p) {
  if (!mii_block_is_ours(p)) return GIVE_FOREIGN;
  if (!mii_block_is_plausible(p)) {
    mii_track_bad_free(p);
    return GIVE_INVALID;
  }
  mii_track_give(p, raw_bytes(p));
  mii_track_enter();
  tag_of(p)->stamp = 0;
  const give_result_t result = give_any(p);
  mii_track_leave();
  return result;
}

// At SECURE_CANARY. False if there is no such block.
static MI_COLD bool unseal_large(void* p) {
  const size_t bytes = sealed_bytes(p);
  if (bytes == 0) return false;
  const scene_t scene = large_scene(p);
  const bool good = mii_canary_check(p, bytes, large_canary()) != 0;
  if (guard_bytes() > 0) mii_secure_unguard(guard_behind(p), guard_bytes());
  clear_large(p, false);
  if (!good) mii_secure_report(CRIME_OVERFLOW, "free", &scene);
  return true;
}

static give_result_t give_hardened(void* p) {
  if (!mii_block_is_ours(p)) return GIVE_FOREIGN;
  if (kind_at(p) == SLICE_HARDENED) {
    mii_vault_give(p, mii_page_record(mii_slice_of(p)));
    return GIVE_DONE;
  }
  if (has_canary() && is_large(p) && !unseal_large(p)) return GIVE_INVALID;
  return give_any(p);
}

give_result_t mii_block_give(void* p) {
  if (MI_UNLIKELY(mii_secure_has_vaults())) return give_hardened(p);
  return MI_CFG_TRACK ? give_tracked(p) : give_any(p);
}

bool mii_block_is_watched(const void* p) {
  return mii_secure_has_vaults() || kind_at(p) == SLICE_GUARDED;
}

MI_COLD bool mii_block_report(const void* p, const char* what) {
  if (kind_at(p) != SLICE_HARDENED) return false;
  size_t size;
  scene_t scene;
  const crime_t crime = mii_vault_examine(p, &size, &scene);
  mii_secure_report(crime == CRIME_DOUBLE_FREE ? CRIME_USE_AFTER_FREE : crime, what, &scene);
  return true;
}

MI_COLD bool mii_block_claim_is_right(const void* p, size_t size) {
  if (!mii_block_is_plausible(p)) return true;
  const size_t bytes = mii_block_bytes(p);
  return has_canary() && mii_range_owns(p) ? mii_max(size, 1) == bytes : size <= bytes;
}

MI_COLD void mii_block_report_claim(const void* p, const char* what) {
  size_t size;
  scene_t scene = {.p = p};
  if (is_large(p)) {
    scene = large_scene(p);
  } else {
    mii_vault_examine(p, &size, &scene);
  }
  mii_secure_report(CRIME_WRONG_SIZE, what, &scene);
}

// Sizes ----------------------------------------------------------------------------------------------

size_t mii_block_good_size(size_t size) {
  if (has_canary()) return mii_max(size, 1);
  if (size <= MID_BLOCK_MAX) return mii_class_bytes(mii_size_class(mii_max(size, 1)));
  if (size <= RUN_BYTES_MAX) return mii_align_up(size, UNIT_BYTES);
  return size <= BLOCK_BYTES_MAX ? mii_align_up(size, SLICE_BYTES) : size;
}

static bool resize_run(void* p, size_t size) {
  const size_t units = mii_divide_up(size + ((uintptr_t)p & (UNIT_BYTES - 1)), UNIT_BYTES);
  if (size <= MID_BLOCK_MAX && mii_block_wastes_half(size, mii_block_bytes(p))) return false;
  if (units > RUN_UNITS_MAX) return false;
  return units * UNIT_BYTES == mii_run_bytes(p) || mii_run_resize(p, (uint32_t)units);
}

static bool resize_huge(void* p, size_t size) {
  const size_t slices = mii_divide_up(size + ((uintptr_t)p & (SLICE_BYTES - 1)), SLICE_BYTES);
  if (size <= RUN_BYTES_MAX && mii_block_wastes_half(size, mii_block_bytes(p))) return false;
  if (slices > mii_range.segment_max * (size_t)SEGMENT_SLICES) return false;
  // A heap within bounds takes what is behind the block as a new one.
  // The same if it has a limit.
  const heap_t* const heap = mii_heap_of(p);
  if ((heap->bounds.end != 0 || mii_limit_is_set(&heap->limit))
      && slices * SLICE_BYTES > mii_huge_bytes(p))
    return false;
  return mii_huge_resize(p, (uint32_t)slices);
}

// A sealed large block without a guard behind it grows in place, if it can: what it gets is zero, as all free memory.
static bool grow_sealed(void* p, size_t size) {
  if (guard_bytes() > 0 || size > BLOCK_BYTES_MAX - CANARY_BYTES) return false;
  const size_t needed = size + CANARY_BYTES;
  if (!(kind_at(p) == SLICE_RUN ? resize_run(p, needed) : resize_huge(p, needed))) return false;
  mii_canary_set(p, sealed_bytes(p), size, large_canary());
  return true;
}

// It does not shrink: what it gave up would have to be cleared.
static MI_COLD bool resize_sealed(void* p, size_t size) {
  scene_t scene;
  size_t sealed;
  const bool large = is_large(p);
  if (!large && mii_vault_examine(p, &sealed, &scene) != CRIME_NONE) return false;
  const size_t bytes = large ? sealed_bytes(p) : scene.bytes;
  if (!large && size == sealed) return true;
  if (large && mii_canary_check(p, bytes, large_canary()) == 0)
    return false;  // who frees it is told
  if (size + CANARY_BYTES > bytes) return large && grow_sealed(p, size);
  if (mii_block_wastes_half(size, bytes)) return false;
  if (large) {
    mii_canary_set(p, bytes, size, large_canary());
  } else {
    mii_vault_seal(p, size);
  }
  return true;
}

bool mii_block_resize(void* p, size_t size) {
  const size_t bytes = mii_block_bytes(p);
  if (bytes == 0 || size == 0 || size > BLOCK_BYTES_MAX) return false;
  if (has_canary() && mii_range_owns(p)) return resize_sealed(p, size);
  if (MI_CFG_TRACK) return false;  // it moves, so that old pointers are noticed
  if (!mii_range_owns(p)) return mii_block_fits(size, bytes);
  switch (mii_slice_kind(mii_slice_of(p))) {
    case SLICE_RUN: return resize_run(p, size);
    case SLICE_HUGE: return resize_huge(p, size);
    case SLICE_GUARDED: return size == bytes;  // the guard is behind the size that was asked for
    case SLICE_PAGE:
    case SLICE_FOLLOW:
    case SLICE_HARDENED:
    case SLICE_FREE: break;
  }
  return mii_block_fits(size, bytes);
}

// The seal is not the program's to see: it goes before the move, and both blocks are sealed anew. What was behind
// the size may be old contents, and the new block has zeros there. Guards do not move.
static MI_COLD bool move_sealed(void* to, void* from) {
  const size_t bytes = sealed_bytes(from);
  const size_t size = mii_canary_check(from, bytes, large_canary());
  if (size == 0 || guard_bytes() > 0) return false;  // if it is broken, who frees the block is told
  const size_t size_of_new = mii_canary_size(to, sealed_bytes(to), large_canary());
  memset((uint8_t*)from + size, 0, bytes - size);
  const bool moved = mii_huge_move(from, to);
  if (moved) mii_canary_set(to, sealed_bytes(to), size_of_new, large_canary());
  mii_canary_set(from, bytes, size, large_canary());
  return moved;
}

bool mii_block_move(void* to, void* from) {
  const bool fits = !MI_CFG_TRACK && kind_at(from) == SLICE_HUGE && kind_at(to) == SLICE_HUGE
                    && (((uintptr_t)from ^ (uintptr_t)to) & (SLICE_BYTES - 1)) == 0
                    && mii_huge_bytes(from) <= mii_huge_bytes(to);
  if (!fits) return false;
  return has_canary() ? move_sealed(to, from) : mii_huge_move(from, to);
}
