// SPDX-License-Identifier: MIT
// malloc.c - allocation: the fast path and what stands around it
//
// Tests: tests/api/basic_test.c, tests/api/zero_test.c, tests/api/bad_input_test.c
#include "api/allocate.h"
#include "api/start.h"
#include "api/stats.h"
#include "heap/guarded.h"
#include "heap/refill_fast.h"
#include "heap/thread.h"
#include "heap/vault.h"
#include "mimalloc.h"
#include "page/canary.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include "space/range.h"
#include <errno.h>
#include <string.h>

// Failures -------------------------------------------------------------------------------------------

void* mii_fail_too_large(size_t size) {
  mii_error(EOVERFLOW, "allocation request is too large: %zu bytes (the limit is %zu)\n", size,
            BLOCK_BYTES_MAX);
  errno = ENOMEM;
  return NULL;
}

typedef struct cause_s {
  const char* what;
  size_t bytes;
} cause_t;

// Which limit it was, as far as can be told.
static cause_t cause_of_failure(size_t size) {
  if (mii_limit_is_near(size)) {
    const size_t hard = atomic_load_explicit(&mii_limit.hard, memory_order_relaxed);
    return (cause_t){"limit of memory", hard};
  }
  platform_limits_t limits;
  mii_platform_limits(&limits);
  if (mii_range_room() < size) {
    if (limits.address_bytes != SIZE_MAX)
      return (cause_t){"limit of address space", limits.address_bytes};
    return (cause_t){"addresses reserved for the heap", mii_range_reserved_bytes()};
  }
  if (limits.data_bytes != SIZE_MAX) return (cause_t){"limit of data", limits.data_bytes};
  return (cause_t){"open when the system refused more", mii_slice_count() * SLICE_BYTES};
}

// The system is asked for the cause only if somebody reads it: a filter of system calls may end the process.
void* mii_fail_no_memory(size_t size) {
  const cause_t cause = mii_error_may_be_shown() ? cause_of_failure(size) : (cause_t){"unknown", 0};
  mii_error(ENOMEM, "out of memory: %zu bytes could not be allocated (%s: %zu bytes)\n", size,
            cause.what, cause.bytes);
  errno = ENOMEM;
  return NULL;
}

void* mii_fail_alignment(size_t alignment) {
  mii_error(EINVAL, "alignment is not a power of two: %zu\n", alignment);
  errno = EINVAL;
  return NULL;
}

bool mii_total_size(size_t count, size_t size, size_t* total) {
  if (MI_LIKELY(mii_multiply(count, size, total))) return true;
  mii_error(EOVERFLOW, "allocation request is too large: %zu times %zu bytes\n", count, size);
  errno = ENOMEM;
  return false;
}

// Allocation -----------------------------------------------------------------------------------------

void* mii_try_allocate(block_request_t want, bool clear) {
  if (mii_theap_mine == &mii_theap_empty && !mii_start_to_allocate()) return NULL;
  theap_t* const theap = mii_thread_enter();
  if (theap == NULL) return NULL;
  bool zero;
  void* const p = mii_block_take(theap, want, &zero);
  mii_thread_leave(theap);
  if (p != NULL && clear && !zero) mii_block_clear(p);
  return clear ? p : mii_fill_new(p, want.size);
}

static void* take(block_request_t want, bool clear) {
  void* p = mii_try_allocate(want, clear);
  while (MI_UNLIKELY(p == NULL) && mii_limit_ask(NULL, want.size))
    p = mii_try_allocate(want, clear);
  return p != NULL ? p : mii_fail_no_memory(want.size);
}

static MI_NOINLINE void* allocate_otherwise(size_t size, bool clear) {
  if (MI_UNLIKELY(size > BLOCK_BYTES_MAX)) return mii_fail_too_large(size);
  return take((block_request_t){.size = size}, clear);
}

MI_INLINE void note_request(const theap_t* theap, uint32_t size_class, size_t size) {
  if (MI_UNLIKELY(mii_beat_is_sample(theap->heartbeat))) mii_stats_note_request(size_class, size);
}

// Somebody has to look for blocks, or it is no such block.
static MI_NOINLINE void* allocate_unready(size_t size, theap_t* theap) {
  const uint32_t size_class = mii_block_class(size);
  if (!theap->is_live || size_class == CLASS_COUNT) return allocate_otherwise(size, false);
  note_request(theap, size_class, size);
  void* const p = mii_block_take_hardened(theap, size, size_class);
  return MI_LIKELY(p != NULL) ? p : allocate_otherwise(size, false);
}

// Straight on for most calls from level 4 on. The others are of no byte, or too many.
static MI_NOINLINE void* allocate_sealed(size_t size, theap_t* theap) {
  if (MI_UNLIKELY(size - 1 >= FAST_SIZE_MAX - CANARY_BYTES)) return allocate_unready(size, theap);
  hardened_t* const page = theap->sealed[mii_size_class_fast(size + CANARY_BYTES)];
  void* const p = mii_vault_take_choice(page);
  return MI_LIKELY(p != NULL) ? mii_vault_seal_first(page, p, size) : allocate_unready(size, theap);
}

static MI_NOINLINE void* allocate_by_refill(size_t size, theap_t* theap, uint32_t size_class) {
  if (MI_UNLIKELY(!theap->is_live)) return allocate_otherwise(size, false);
  if (MI_UNLIKELY(mii_is_sampling())) return allocate_otherwise(size, false);
  void* const p = mii_theap_refill(theap, size_class);
  note_request(theap, size_class, size);
  if (MI_LIKELY(p != NULL)) return p;
  return mii_limit_ask(NULL, size) ? allocate_otherwise(size, false) : mii_fail_no_memory(size);
}

// No page is awake: so it is always where there are vaults. Straight on for most calls at level 3.
static MI_NOINLINE void* allocate_asleep(size_t size, theap_t* theap, uint32_t size_class) {
  if (theap->straight != NULL) {
    void* const p = mii_vault_take_choice(theap->straight[size_class]);
    return MI_LIKELY(p != NULL) ? p : allocate_unready(size, theap);
  }
  if (theap->sealed != NULL) return allocate_sealed(size, theap);
  if (!mii_secure_has_vaults()) return allocate_by_refill(size, theap, size_class);
  return mii_is_sampling() ? allocate_otherwise(size, false) : allocate_unready(size, theap);
}

void* mii_allocate_refill(size_t size, theap_t* theap, uint32_t size_class) {
  if (theap->pages[size_class].awake == 0) return allocate_asleep(size, theap, size_class);
  void* const p = mii_theap_refill_at_once(theap, size_class);
  return MI_LIKELY(p != NULL) ? p : allocate_by_refill(size, theap, size_class);
}

void* mii_allocate(size_t size, bool clear) {
  theap_t* const theap = mii_theap_mine;
  if (!clear && theap->is_live && !MI_CFG_TRACK) {
    if (size <= MID_BLOCK_MAX) {
      const uint32_t size_class = mii_size_class(size);
      void* const p = mii_list_pop(&theap->list[size_class]);
      return p != NULL ? p : mii_allocate_refill(size, theap, size_class);
    }
    void* const run = mii_block_is_run(size) ? mii_block_take_run(theap, size) : NULL;
    if (run != NULL) return run;
  }
  return allocate_otherwise(size, clear);
}

void* mii_allocate_aligned(size_t size, size_t alignment, size_t offset, bool clear) {
  if (MI_UNLIKELY(!mii_is_power_of_two(alignment))) return mii_fail_alignment(alignment);
  if (MI_UNLIKELY(size > BLOCK_BYTES_MAX)) return mii_fail_too_large(size);
  return take((block_request_t){.size = size, .alignment = alignment, .offset = offset}, clear);
}

void* mii_zalloc(size_t size) {
  if (MI_LIKELY(size <= FAST_SIZE_MAX) && !MI_CFG_TRACK) {
    const uint32_t size_class = mii_size_class_fast(size);
    void* const p = mii_list_pop(&mii_theap_mine->list[size_class]);
    if (MI_LIKELY(p != NULL)) return memset(p, 0, mii_class_bytes(size_class));
  }
  return mii_allocate(size, true);
}

// Not inlined elsewhere: valgrind puts its own malloc at this address, and strdup has to get blocks of the
// same kind.
MI_NOINLINE void* mi_malloc(size_t size) { return mii_malloc(size); }
void* mi_malloc_small(size_t size) { return mii_malloc(size); }
void* mi_zalloc(size_t size) { return mii_zalloc(size); }
void* mi_zalloc_small(size_t size) { return mii_zalloc(size); }

void* mi_calloc(size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mii_zalloc(total) : NULL;
}

void* mi_mallocn(size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mii_malloc(total) : NULL;
}

size_t mi_good_size(size_t size) { return mii_block_good_size(size); }

// With the block's size ------------------------------------------------------------------------------

static void* with_size(void* p, size_t* block_size) {
  if (p != NULL && block_size != NULL) *block_size = mii_block_bytes(p);
  return p;
}

void* mi_umalloc(size_t size, size_t* block_size) {
  return with_size(mii_malloc(size), block_size);
}
void* mi_umalloc_small(size_t size, size_t* block_size) {
  return with_size(mii_malloc(size), block_size);
}
void* mi_uzalloc_small(size_t size, size_t* block_size) {
  return with_size(mii_zalloc(size), block_size);
}

void* mi_ucalloc(size_t count, size_t size, size_t* block_size) {
  return with_size(mi_calloc(count, size), block_size);
}

void* mi_umalloc_aligned(size_t size, size_t alignment, size_t* block_size) {
  return with_size(mii_allocate_aligned(size, alignment, 0, false), block_size);
}

void* mi_uzalloc_aligned(size_t size, size_t alignment, size_t* block_size) {
  return with_size(mii_allocate_aligned(size, alignment, 0, true), block_size);
}
