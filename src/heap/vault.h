// SPDX-License-Identifier: MIT
// vault.h - hardened pages of a heap, behind a lock: where blocks come from when the process is hardened
//
// Each theap holds at most one page per class, and takes its blocks out of it without a lock; the vault of its
// heap has the other pages. A free is checked exactly, within the call, whatever thread frees. There are no
// lists and no parcels.
#ifndef MI_VAULT_H
#define MI_VAULT_H

#include "heap/theap.h"
#include "page/canary.h"
#include "page/hardened.h"
#include "runtime/secure.h"

// A block of the class, of the theap's heap. NULL when out of memory.
void* mii_vault_take(theap_t* theap, uint32_t size_class);
void* mii_vault_take_other(theap_t* theap, uint32_t size_class);  // there is no choice

// The page that it holds, if any. NULL also if the theap is none that lives.
MI_INLINE hardened_t* mii_vault_page(const theap_t* theap, uint32_t size_class) {
  const stock_t* const stock = theap->stock;
  return MI_LIKELY(stock != NULL) ? stock->held[size_class] : NULL;
}

// A block of it. NULL if there is no choice, and somebody has to look.
MI_INLINE void* mii_vault_take_choice(hardened_t* page) {
  return MI_LIKELY(page != NULL) ? mii_hardened_take(page) : NULL;
}

// It is to hold `size` bytes, which leave room for the canary: seals it. At SECURE_CANARY only; a new one must be
// zero, and is from then on. Both return p.
void* mii_vault_seal(void* p, size_t size);
void* mii_vault_seal_new(void* p, size_t size);

// The same if the page is known; and if it is not zero, which is reported.
void* mii_vault_seal_dirty(const hardened_t* page, void* p, size_t size) MI_COLD;
MI_INLINE void* mii_vault_seal_first(const hardened_t* page, void* p, size_t size) {
  if (MI_UNLIKELY(!mii_block_is_zero(p, page->block_bytes)))
    return mii_vault_seal_dirty(page, p, size);
  return mii_canary_set(p, page->block_bytes, size, page->canary);
}

// What is wrong with the block at p, which lies in a hardened page. Its size, if it is live, goes to *size:
// what it was sealed with, or all of it. The scene is filled in.
crime_t mii_vault_examine(const void* p, size_t* size, scene_t* scene);

// Give the block back, which lies in a slice of kind SLICE_HARDENED, whose record it is, and report what is wrong with
// it. Now and then it looks after other things.
void mii_vault_give(void* p, page_t* record);

// The bytes of the live block at p that may be written to; 0 if there is none.
size_t mii_vault_bytes(const void* p);

// The theap holds no page any more.
void mii_vault_unload(theap_t* theap);

// Give back what is free, in all vaults, and in what the running thread holds.
void mii_vault_collect_all(void);

// Free bytes of the pages that it holds, about. Any thread.
size_t mii_vault_held_bytes(const theap_t* theap);

// The heap, whose theaps hold no page, ends: with its blocks, or they go on in another heap.
void mii_vault_discard(heap_t* heap);
void mii_vault_move(heap_t* heap, heap_t* to);

// Look at every block, live or free, for what nobody has noticed yet, and report it. False if there was any.
bool mii_vault_check_all(void);

// For statistics: blocks of a hardened page, as far as is known. Any thread.
typedef struct hardened_count_s {
  uint32_t size_class;
  uint32_t opened;
  uint32_t used;
  size_t touched_bytes;
} hardened_count_t;
hardened_count_t mii_vault_count(size_t slice);

// Taken by fork, after mii_run_lock_all. Its child goes on with other random numbers.
void mii_vault_lock_all(void);
void mii_vault_unlock_all(void);
void mii_vault_reseed_all(void);

// No thread changes them meanwhile.
bool mii_vaults_are_valid(void);

#endif
