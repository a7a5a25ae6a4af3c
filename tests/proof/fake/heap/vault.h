// SPDX-License-Identifier: MIT
// vault.h - in the proof nothing is hardened: no theap holds a hardened page
#ifndef MI_VAULT_H
#define MI_VAULT_H

#include "heap/theap.h"

static inline void mii_vault_unload(theap_t* theap) { (void)theap; }

#endif
