// SPDX-License-Identifier: MIT
// secure.h - how hardened the process is, and what is said of who breaks the rules
//
// The level is a fact of the process from the first allocation on. Each level includes those below:
//
//   0  nothing     1  errors stop the program, slices lie at random
//   2  blocks are threaded in random order
//   3  vaults: no links in free blocks, every free is checked against a bitmap
//   4  canaries, zero on free     5  guard pages
#ifndef MI_SECURE_H
#define MI_SECURE_H

#include "base/compiler.h"
#include "base/config.h"
#include "base/rng.h"
#include <stdatomic.h>
#include <stdbool.h>

enum {
  SECURE_STOP = 1,  // and random places
  SECURE_RANDOM = 2,
  SECURE_VAULT = 3,
  SECURE_CANARY = 4,
  SECURE_GUARD = 5,
  SECURE_MAX = 5
};

extern _Atomic(int) mii_secure_fixed;  // atomic: relaxed; -1 before the first allocation

// The key of canaries behind blocks that have no page.
extern uint64_t mii_secure_key;  // const once the level is fixed

// Fix the level: the option is not looked at again. Once; not thread-safe.
void mii_secure_fix(void);

// 0 as long as it is not fixed.
MI_INLINE int mii_secure_level(void) {
  const int level = atomic_load_explicit(&mii_secure_fixed, memory_order_relaxed);
  return level < 0 || !MI_CFG_DOORS ? 0 : level;
}

// Do blocks of pages come from vaults (heap/vault.h)? Then both calls always take the door.
MI_INLINE bool mii_secure_has_vaults(void) { return mii_secure_level() >= SECURE_VAULT; }

// Is a misuse to be shown in any case, and the program to be stopped?
bool mii_secure_is_strict(void);

// A stream of its own, from the randomness of the system.
void mii_secure_seed(rng_t* rng);

// For the choice of places, from SECURE_STOP on; any thread. As good as nobody knows mii_secure_key.
uint64_t mii_secure_random(void);

// At SECURE_GUARD, make an OS page fault when it is touched, and no more. Where the system refuses, we go on
// without; the last of the three says so, once, and is called without a lock.
void mii_secure_guard(void* os_page, size_t size);
void mii_secure_unguard(void* os_page, size_t size);
void mii_secure_warn_of_guards(void);

// What the program did.
typedef enum crime_e {
  CRIME_NONE,
  CRIME_DOUBLE_FREE,
  CRIME_NO_BLOCK,
  CRIME_FOREIGN,
  CRIME_WRONG_SIZE,
  CRIME_OVERFLOW,
  CRIME_WRITE_AFTER_FREE,
  CRIME_USE_AFTER_FREE,
} crime_t;

// Where: what we know of the block that `p` points into or at; fields that are zero are not known.
typedef struct scene_s {
  const void* p;
  const void* block;
  size_t bytes;
  const void* heap;
  uint32_t size_class;  // CLASS_COUNT: the block is of no class
} scene_t;

// One report, by the rules of mii_misuse. `what` is the call. The caller holds no lock.
void mii_secure_report(crime_t crime, const char* what, const scene_t* scene) MI_COLD;

#endif
