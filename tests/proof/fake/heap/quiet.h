// SPDX-License-Identifier: MIT
// quiet.h - in the proof there is no thread of ours
#ifndef MI_QUIET_H
#define MI_QUIET_H

#include <stdbool.h>

static inline void mii_quiet_look(void) {}
static inline void mii_quiet_tick(uint64_t now) { (void)now; }
static inline bool mii_quiet_forget(void) { return false; }

#endif
