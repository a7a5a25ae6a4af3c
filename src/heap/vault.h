// SPDX-License-Identifier: MIT
// vault.h - hardened pages of a heap, behind a lock: where blocks come from when the process is hardened
//
// Each heap has a few vaults, made when they are needed; a thread always takes from the same one. Each theap has
// magazines, one per class, which are loaded from the vault, and unloaded to those that the blocks' pages are in. A
// free is checked exactly, within the call, whatever thread frees. There are no lists and no parcels.
#ifndef MI_VAULT_H
#define MI_VAULT_H

#include "heap/theap.h"
#include "page/hardened.h"
#include "runtime/secure.h"

// A block of the class, in the thread's vault of the theap's heap. At SECURE_CANARY it is zero. NULL when out
// of memory.
void* mii_vault_take(theap_t* theap, uint32_t size_class);

// It is to hold `size` bytes, which leave room for the canary: seals it. At SECURE_CANARY only.
void mii_vault_seal(void* p, size_t size);

// What is wrong with the block at p, which lies in a hardened page. Its size, if it is live, goes to *size:
// what it was sealed with, or all of it. The scene is filled in.
crime_t mii_vault_examine(const void* p, size_t* size, scene_t* scene);

// Give the block back, and report what is wrong with it as `what`.
void mii_vault_give(void* p, const char* what);

// The bytes of the live block at p that may be written to; 0 if there is none.
size_t mii_vault_bytes(const void* p);

// Bring the blocks of the theap's magazines back to the vaults; or they are gone, because their pages are.
void mii_vault_unload(theap_t* theap);
void mii_vault_forget(theap_t* theap);

// Bytes of the blocks in its magazines, about. Any thread.
size_t mii_vault_held_bytes(const theap_t* theap);

// Give back what is free, in all vaults, and in the running thread's magazines.
void mii_vault_collect_all(void);

// The heap ends: with its blocks, or they go on in another heap.
void mii_vault_discard(heap_t* heap);
void mii_vault_move(heap_t* heap, heap_t* to);

// Look at every block, live or free, for what nobody has noticed yet, and report it. False if there was any.
bool mii_vault_check_all(void);

// For statistics: blocks of a hardened page, as far as is known. Any thread.
typedef struct hardened_count_s {
  uint32_t size_class;
  uint32_t opened;
  uint32_t used;
} hardened_count_t;
hardened_count_t mii_vault_count(size_t slice);

// Taken by fork, after mii_run_lock_all. Its child goes on with other random numbers.
void mii_vault_lock_all(void);
void mii_vault_unlock_all(void);
void mii_vault_reseed_all(void);

// No thread changes them meanwhile.
bool mii_vaults_are_valid(void);

#endif
