// SPDX-License-Identifier: MIT
// guarded.c - one of many blocks, chosen at random, lies between guard pages
//
//     slice                                                                  next slice
//     | guard | bytes in whole OS pages, the block at their end or start | guard | not used ...
//
//   G1  a guarded block has slices of its own, the first of kind SLICE_GUARDED, whose cold record names the
//       block's. It begins in the first of them
//   G2  `until` blocks are handed out before the next sample. What has been handed out and lies behind it
//       waits in rest[c]
//
// A freed block stays as it is, all of it a guard, until RING_SIZE others have been freed: so it faults when it is
// used after the free.
//
// Tests: tests/api/guarded_test.c
#include "heap/guarded.h"
#include "heap/refill_fast.h"
#include "heap/thread.h"
#include "base/assert.h"
#include "base/format.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include <string.h>

enum { RING_SIZE = 64, FRAMES = 12, GUARDED_BYTES_MAX = 16 * 1024 * 1024 };

struct sampler_s {
  size_t rate;
  size_t min;
  size_t max;
  uint64_t until;
  bool is_random;  // the program has given no seed
  rng_t rng;
  block_t* rest[CLASS_COUNT];
  uint64_t rest_count[CLASS_COUNT];
};

// Who called; the nearest first, 0 behind the last.
typedef struct callers_s {
  void* frames[FRAMES];
} callers_t;

struct guarded_s {
  _Atomic(uint32_t) spare_link;  // atomic: handle_stack.h
  _Atomic(bool) is_live;         // atomic: acq_rel; who clears it frees the block
  slice_t slice;
  uint32_t slices;
  uint8_t* p;
  size_t size;
  size_t pages_bytes;  // between the guards
  callers_t taken_by;
  callers_t freed_by;
};

_Atomic(bool) mii_sampling_is_on;
static handle_stack_t spare_records;  // atomic: handle_stack.h

static lock_t ring_lock = {.rank = LOCK_AREA};
static guarded_t* ring[RING_SIZE];  // lock(ring_lock): freed, the oldest at ring_next
static uint32_t ring_next;          // lock(ring_lock)

void mii_guarded_lock(void) { mii_lock_wait(&ring_lock); }
void mii_guarded_unlock(void) { mii_lock_give(&ring_lock); }

// Samplers -----------------------------------------------------------------------------------------

static void sampling_begins(void) {
  atomic_store_explicit(&mii_sampling_is_on, true, memory_order_relaxed);
  mii_beats_will_do_more();
}

void mii_sampling_start(void) {
  if (!MI_CFG_TRACK && mii_option_get(mi_option_guarded_sample_rate) > 0) sampling_begins();
}

// On average rate - 1 blocks are not samples.
static uint64_t draw(sampler_t* sampler) {
  if (sampler->rate <= 1) return sampler->rate == 1 ? 0 : UINT64_MAX;
  return mii_rng_64(&sampler->rng) % (2 * (uint64_t)sampler->rate - 1);
}

static void begin_sampling(sampler_t* sampler, size_t rate, size_t seed) {
  if (seed != 0) {
    const uint32_t key[RNG_KEY_WORDS] = {(uint32_t)seed, (uint32_t)((uint64_t)seed >> 32)};
    mii_rng_seed(&sampler->rng, key);
  } else {
    mii_secure_seed(&sampler->rng);
  }
  sampler->is_random = seed == 0;
  sampler->rate = rate;
  sampler->until = draw(sampler);
}

static size_t option_size(mi_option_t option) {
  const long value = mii_option_get(option);
  return value > 0 ? (size_t)value : 0;
}

static sampler_t* sampler_of(theap_t* theap) {
  if (MI_LIKELY(theap->sampler != NULL)) return theap->sampler;
  sampler_t* const sampler = mii_meta_take(sizeof *sampler);
  if (sampler == NULL) return NULL;
  sampler->min = option_size(mi_option_guarded_min);
  sampler->max = option_size(mi_option_guarded_max);
  begin_sampling(sampler, option_size(mi_option_guarded_sample_rate),
                 option_size(mi_option_guarded_sample_seed));
  theap->sampler = sampler;
  return sampler;
}

MI_COLD bool mii_sampler_set_rate(theap_t* theap, size_t rate, size_t seed) {
  sampler_t* const sampler = sampler_of(theap);
  if (sampler == NULL || MI_CFG_TRACK) return false;
  mii_sampler_join(theap);
  mii_theap_give_lists(theap);  // so that the first sample is not behind what is ready
  theap->straight = theap->sealed = NULL;
  begin_sampling(sampler, rate, seed);
  if (rate > 0) sampling_begins();
  return true;
}

MI_COLD bool mii_sampler_set_bounds(theap_t* theap, size_t min, size_t max) {
  sampler_t* const sampler = sampler_of(theap);
  if (sampler == NULL) return false;
  sampler->min = min;
  sampler->max = mii_max(min, max);
  return true;
}

// G2. The list has `count` blocks.
static void cut(theap_t* theap, sampler_t* sampler, uint32_t size_class, uint64_t count) {
  if (sampler->until >= count) {
    if (sampler->rate > 0) sampler->until -= count;
    return;
  }
  block_t** link = &theap->list[size_class];
  for (uint64_t i = 0; i < sampler->until && *link != NULL; i++) link = &(*link)->next;
  sampler->rest[size_class] = *link;
  sampler->rest_count[size_class] = count - sampler->until;
  *link = NULL;
  sampler->until = draw(sampler);
}

MI_COLD void mii_sampler_cut(theap_t* theap, uint32_t size_class, uint64_t count) {
  sampler_t* const sampler = theap->sampler;
  if (sampler == NULL || size_class == CLASS_COUNT || count == 0) return;
  cut(theap, sampler, size_class, count);
}

MI_COLD bool mii_sampler_hits(theap_t* theap, uint32_t size_class) {
  sampler_t* const sampler = sampler_of(theap);
  if (sampler == NULL) return false;
  if (size_class < CLASS_COUNT && sampler->rest[size_class] != NULL) {
    if (theap->list[size_class] != NULL) return false;
    theap->list[size_class] = sampler->rest[size_class];
    sampler->rest[size_class] = NULL;
    cut(theap, sampler, size_class, sampler->rest_count[size_class]);
    return true;
  }
  if (size_class < CLASS_COUNT && theap->list[size_class] != NULL) return false;
  if (sampler->until == 0) {
    sampler->until = draw(sampler);
    return true;
  }
  if (sampler->rate > 0) sampler->until--;
  return false;
}

MI_COLD void mii_sampler_join(theap_t* theap) {
  sampler_t* const sampler = theap->sampler;
  if (sampler == NULL) return;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    block_t** link = &theap->list[c];
    while (*link != NULL) link = &(*link)->next;
    *link = sampler->rest[c];
    sampler->rest[c] = NULL;
  }
}

MI_COLD void mii_sampling_forget_others(void) {
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    sampler_t* const sampler = theap->sampler;
    if (sampler == NULL) continue;
    if (!mii_theap_is_mine(theap)) memset(sampler->rest, 0, sizeof sampler->rest);
    if (sampler->is_random) mii_secure_seed(&sampler->rng);
  }
}

block_t* mii_sampler_rest(const theap_t* theap, uint32_t size_class) {
  return theap->sampler != NULL ? theap->sampler->rest[size_class] : NULL;
}

// Reports of faults ---------------------------------------------------------------------------------

static guarded_t* record_of(const void* p) {
  const slice_t slice = (slice_t)mii_slice_of(p);
  return atomic_load_explicit(&mii_slice_cold(slice)->guarded, memory_order_acquire);
}

static _Atomic(bool) callers_are_noted;  // atomic: relaxed; set once

static void note_callers(callers_t* callers) {
  *callers = (callers_t){{NULL}};
  if (atomic_load_explicit(&callers_are_noted, memory_order_relaxed))
    mii_platform_stack(callers->frames, FRAMES);
}

static MI_COLD void print_callers(const char* what, const callers_t* callers) {
  char text[FRAMES * 20 + 1];
  size_t length = 0;
  for (uint32_t i = 0; i < FRAMES && callers->frames[i] != NULL; i++)
    length += mii_format(text + length, sizeof text - length, " %p", callers->frames[i]);
  if (length > 0) mii_print(NULL, NULL, "mimalloc: %s:%s\n", what, text);
}

static uintptr_t end_of_guarded(const guarded_t* record) {
  return (uintptr_t)mii_slice_start(record->slice) + record->slices * (uintptr_t)SLICE_BYTES;
}

// Of the block whose slices the address lies in; NULL if there is none.
static const guarded_t* find_record(const void* address) {
  if (!mii_range_has(address)) return NULL;
  const size_t last = mii_slice_of(address);
  const size_t most = mii_min(last, GUARDED_BYTES_MAX / SLICE_BYTES + 1);
  for (size_t slice = last; slice + most > last; slice--) {
    if (mii_slice_kind(slice) != SLICE_GUARDED) continue;
    const guarded_t* const record = record_of(mii_slice_start((slice_t)slice));
    return record != NULL && (uintptr_t)address < end_of_guarded(record) ? record : NULL;
  }
  return NULL;
}

static void report_fault(const void* address) {
  const guarded_t* const record = find_record(address);
  if (record == NULL) return;
  const bool live = atomic_load_explicit(&record->is_live, memory_order_relaxed);
  const bool before = (const uint8_t*)address < record->p;
  const char* const what = before ? "access before a block" : "access behind a block";
  mii_print(NULL, NULL, "mimalloc: error: %s: %p, block %p of %zu bytes\n",
            live ? what : "access to a block after it was freed", address, (void*)record->p,
            record->size);
  print_callers("allocated by", &record->taken_by);
  if (!live) print_callers("freed by", &record->freed_by);
}

// libc may allocate when it looks at a stack for the first time.
void mii_guarded_start_reports(void) {
  if (!mii_is_sampling() || !mii_option_is_on(mi_option_guarded_report)) return;
  callers_t first;
  mii_platform_stack(first.frames, FRAMES);
  atomic_store_explicit(&callers_are_noted, true, memory_order_relaxed);
  mii_platform_on_fault(report_fault);
}

// Guarded blocks -----------------------------------------------------------------------------------

static handle_link_t* record_link(uint32_t handle) {
  return &((guarded_t*)mii_meta_pointer(handle))->spare_link;
}

static guarded_t* take_guarded_record(void) {
  const uint32_t handle = mii_stack_pop(&spare_records, record_link);
  return handle != 0 ? mii_meta_pointer(handle) : mii_meta_take(sizeof(guarded_t));
}

static void give_guarded_record(guarded_t* record) {
  mii_stack_push(&spare_records, mii_meta_handle(record), record_link);
}

static uint8_t* first_byte(const guarded_t* record) {
  return mii_slice_start(record->slice) + mii_range.os_page_size;
}

// At the end of its OS pages, or at their start: so overflows are noticed, or underflows.
static uint8_t* place_of(const guarded_t* record, block_request_t want, rng_t* rng) {
  const bool precise = mii_option_is_on(mi_option_guarded_precise);
  const size_t least = precise ? 1 : 16;
  const size_t alignment = mii_max(want.alignment, least);
  uint8_t* const end = first_byte(record) + record->pages_bytes;
  if (!precise && mii_rng_below(rng, 2) == 0) return first_byte(record);
  return (uint8_t*)((uintptr_t)(end - want.size) & ~(uintptr_t)(alignment - 1));
}

static bool is_possible(const theap_t* theap, block_request_t want) {
  const sampler_t* const sampler = theap->sampler;
  return want.size >= sampler->min && want.size <= sampler->max && want.size <= GUARDED_BYTES_MAX
         && want.alignment <= mii_range.os_page_size && !theap->is_apart
         && (want.offset & (mii_max(want.alignment, 1) - 1)) == 0;
}

static bool set_guards(const guarded_t* record) {
  const size_t os_page = mii_range.os_page_size;
  return mii_platform_guard(mii_slice_start(record->slice), os_page) == 0
         && mii_platform_guard(first_byte(record) + record->pages_bytes, os_page) == 0;
}

// Ordinary memory again. The caller marks the slice first, or no more: the child of a fork believes the mark.
static void end_guarded(guarded_t* record) {
  const slice_t slice = record->slice;
  mii_platform_unguard(mii_slice_start(slice), record->slices * (size_t)SLICE_BYTES);
  atomic_store_explicit(&mii_slice_cold(slice)->guarded, NULL, memory_order_relaxed);
  mii_slice_set_kind(slice, SLICE_FREE);
  mii_segment_give(slice, record->slices);
  give_guarded_record(record);
}

MI_COLD void* mii_guarded_take(theap_t* theap, block_request_t want) {
  if (want.size == 0) want.size = 1;
  if (!is_possible(theap, want)) return NULL;
  guarded_t* const record = take_guarded_record();
  if (record == NULL) return NULL;
  const size_t os_page = mii_range.os_page_size;
  record->size = want.size;
  record->pages_bytes = mii_align_up(want.size, os_page);
  record->slices = (uint32_t)mii_divide_up(record->pages_bytes + 2 * os_page, SLICE_BYTES);
  bool zero;
  record->slice = mii_segment_take(
      (slice_request_t){.count = record->slices, .bounds = theap->heap->bounds}, &zero);
  if (record->slice == 0) {
    give_guarded_record(record);
    return NULL;
  }
  page_cold_t* const cold = mii_slice_cold(record->slice);
  atomic_store_explicit(&cold->slice_count, record->slices, memory_order_relaxed);
  atomic_store_explicit(&cold->heap, theap->heap, memory_order_relaxed);
  atomic_store_explicit(&cold->guarded, record, memory_order_release);
  mii_slice_set_kind(record->slice, SLICE_GUARDED);
  if (!set_guards(record)) {
    end_guarded(record);
    return NULL;
  }
  note_callers(&record->taken_by);
  record->p = place_of(record, want, &theap->sampler->rng);
  atomic_store_explicit(&record->is_live, true, memory_order_release);
  return record->p;
}

MI_COLD size_t mii_guarded_bytes(const void* p) {
  const guarded_t* const record = record_of(p);
  if (record == NULL || record->p != p) return 0;
  return atomic_load_explicit(&record->is_live, memory_order_relaxed) ? record->size : 0;
}

MI_COLD MI_NO_TSAN void* mii_guarded_block(size_t slice, size_t* bytes) {
  const guarded_t* const record = record_of(mii_slice_start((slice_t)slice));
  if (record == NULL || !atomic_load_explicit(&record->is_live, memory_order_acquire)) return NULL;
  *bytes = record->size;
  return record->p;
}

static void report_guarded(crime_t crime, const guarded_t* record, const void* p) {
  const scene_t scene = {p, record->p, record->size, NULL, CLASS_COUNT};
  mii_secure_report(crime, "free", &scene);
}

// The oldest makes room.
static void hold_inaccessible(guarded_t* record) {
  mii_lock_enter(&ring_lock);
  guarded_t* const oldest = ring[ring_next];
  ring[ring_next] = record;
  ring_next = (ring_next + 1) % RING_SIZE;
  if (oldest != NULL) end_guarded(oldest);
  mii_lock_leave(&ring_lock);
}

MI_COLD void mii_guarded_give(void* p) {
  guarded_t* const record = record_of(p);
  if (record == NULL || record->p != p) {
    if (record != NULL) report_guarded(CRIME_NO_BLOCK, record, p);
    return;
  }
  if (!atomic_exchange_explicit(&record->is_live, false, memory_order_acq_rel)) {
    report_guarded(CRIME_DOUBLE_FREE, record, p);
    return;
  }
  note_callers(&record->freed_by);
  mii_platform_guard(first_byte(record), record->pages_bytes);
  hold_inaccessible(record);
}

MI_COLD void mii_guarded_collect(void) {
  mii_lock_enter(&ring_lock);
  for (uint32_t i = 0; i < RING_SIZE; i++) {
    if (ring[i] != NULL) end_guarded(ring[i]);
    ring[i] = NULL;
  }
  mii_lock_leave(&ring_lock);
}
