// SPDX-License-Identifier: MIT
// free.c - giving blocks back, and asking how large they are
//
// Tests: tests/api/basic_test.c, tests/api/bad_input_test.c
#include "api/allocate.h"
#include "api/foreign.h"
#include "heap/ask.h"
#include "heap/outbox.h"
#include "heap/quiet.h"
#include "heap/theap_fast.h"
#include "heap/vault.h"
#include "heap/visit.h"
#include "mimalloc.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include "space/purge.h"
#include "space/run.h"
#include <errno.h>

static void report_invalid(const char* what, const void* p) {
  if (mii_block_report(p, what)) return;
  const page_t* const page = mii_page_around(p);
  const size_t bytes = page != NULL ? mii_page_block_bytes(page) : 1;
  const size_t inside = page != NULL ? ((uintptr_t)p - (uintptr_t)mii_page_start(page)) % bytes : 0;
  if (inside > 0) {
    mii_misuse(EINVAL, "%s: no block begins at this pointer: %p (%zu bytes into one of %zu)\n",
               what, p, inside, bytes);
  } else {
    mii_misuse(EINVAL, "%s: no block begins at this pointer: %p\n", what, p);
  }
}

// Runs, huge blocks, NULL, foreign pointers.
static MI_NOINLINE void free_slow(void* p) {
  if (p == NULL) return;
  switch (mii_block_give(p)) {
    case GIVE_DONE: break;
    case GIVE_FOREIGN: mii_foreign_free(p); break;
    case GIVE_INVALID: report_invalid("free", p); break;
  }
  if (MI_UNLIKELY(mii_purge_may_be_much())) mii_quiet_look();
}

// Reported, if p is ours and no block begins there.
static MI_NOINLINE bool is_misplaced(const char* what, const void* p) {
  if (mii_block_is_watched(p) || !mii_block_is_ours(p) || mii_block_is_plausible(p)) return false;
  report_invalid(what, p);
  return true;
}

static MI_NOINLINE void wake_otherwise(page_t* page) {
  mii_theap_wake(mii_theap_mine, page);
  if (MI_UNLIKELY(mii_ask_is_open(mii_theap_mine->home))) mii_ask_answer(mii_theap_mine->home);
  if (MI_UNLIKELY(mii_purge_may_be_much())) mii_quiet_look();
}

// The block comes along so that both arguments are where mi_free has them: no moves on its fast path. Not
// static, because a compiler would see that it is not used.
void mii_free_wake(const void* p, page_hot_t* hot) MI_NOINLINE;
void mii_free_wake(const void* p, page_hot_t* hot) {
  (void)p;
  if (MI_UNLIKELY(!mii_theap_wake_at_once(mii_theap_mine, hot)))
    wake_otherwise(mii_page_record(mii_hot_slice(hot)));
}

// The short way is that of runs which have no seal.
static MI_NOINLINE void free_run(void* p) {
  if (MI_UNLIKELY(mii_secure_level() >= SECURE_CANARY || !mii_run_give(p))) {
    free_slow(p);
  } else if (MI_UNLIKELY(mii_purge_may_be_much())) {
    mii_quiet_look();
  }
}

// The second door: the slice at p has another owner, or none.
void mii_free_other(void* p, page_t* page) MI_NOINLINE;
void mii_free_other(void* p, page_t* page) {
  const slice_kind_t kind = mii_record_kind(page);
  if (MI_LIKELY(kind == SLICE_PAGE)) {
    mii_outbox_free(mii_theap_mine, page, p);
  } else if (kind == SLICE_HARDENED) {
    mii_vault_give(p, page);
  } else if (kind == SLICE_FOLLOW) {
    mii_block_give_to(page - 1, p);
  } else if (kind == SLICE_RUN) {
    free_run(p);
  } else {
    free_slow(p);
  }
}

// True if the running thread owns the page: then the block is free.
MI_INLINE bool free_own(void* p, size_t slice) {
  if (MI_UNLIKELY(mii_page_owner(mii_page_record(slice)) != mii_theap_tag(mii_theap_mine)))
    return false;
  page_hot_t* const hot = mii_hot_record(slice);
  if (MI_UNLIKELY(mii_hot_push_local(hot, p))) mii_free_wake(p, hot);
  return true;
}

// The free fast path: at most 17 instructions, pinned by tests/scripts/icount.sh.
void mi_free(void* p) {
  if (MI_CFG_CHECK_POINTERS && is_misplaced("free", p)) return;
  if (MI_CFG_FILL) mii_fill_freed(p);
  if (MI_LIKELY(mii_range_has(p)) && !MI_CFG_TRACK) {
    const size_t slice = mii_slice_of(p);
    if (!free_own(p, slice)) mii_free_other(p, mii_page_record(slice));
    return;
  }
  free_slow(p);
}

void mii_free(void* p) { mi_free(p); }

size_t mii_usable_size(const void* p) {
  if (p == NULL) return 0;
  if (!mii_block_is_ours(p)) return mii_foreign_usable_size(p);
  if (MI_CFG_CHECK_POINTERS && is_misplaced("usable size", p)) return 0;
  const size_t bytes = mii_block_bytes(p);
  if (bytes == 0) report_invalid("usable size", p);
  return bytes;
}

size_t mii_usable_size_silent(const void* p) {
  if (p == NULL) return 0;
  if (!mii_block_is_ours(p)) return mii_foreign_usable_size_silent(p);
  return MI_CFG_CHECK_POINTERS && !mii_block_is_plausible(p) ? 0 : mii_block_bytes(p);
}

size_t mi_usable_size(const void* p) { return mii_usable_size(p); }

void mi_free_small(void* p) { mii_free(p); }

void mi_ufree(void* p, size_t* block_size) {
  if (block_size != NULL) *block_size = mii_usable_size_silent(p);
  mii_free(p);
}

// The size and alignment are the caller's claim, which a debug build checks. What is no block is left to
// mii_free, which reports it.
static bool is_aligned_block(const void* p, size_t alignment) {
  return !mii_block_is_plausible(p) || ((uintptr_t)p & (alignment - 1)) == 0;
}

// Of a block on a page of its own thread the size is not checked: where there are vaults, there is none.
void mi_free_size(void* p, size_t size) {
  MI_ASSERT(mii_secure_has_vaults() || mii_block_claim_is_right(p, size));
  if (MI_LIKELY(mii_range_has(p)) && !MI_CFG_TRACK && !MI_CFG_CHECK_POINTERS) {
    if (free_own(p, mii_slice_of(p))) return;
  }
  if (mii_secure_has_vaults() && !mii_block_claim_is_right(p, size))
    mii_block_report_claim(p, "free of a size");
  mii_free(p);
}

void mi_free_size_aligned(void* p, size_t size, size_t alignment) {
  MI_ASSERT(is_aligned_block(p, alignment));
  (void)alignment;
  mi_free_size(p, size);
}

void mi_free_aligned(void* p, size_t alignment) {
  MI_ASSERT(is_aligned_block(p, alignment));
  (void)alignment;
  mii_free(p);
}

void mi_cfree(void* p) {
  if (mii_block_is_plausible(p)) mii_free(p);
}
