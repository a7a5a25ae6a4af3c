// SPDX-License-Identifier: MIT
// purge.h - the part of the real one that the proof has: nothing is purged, and nothing counted
#ifndef MI_PURGE_H
#define MI_PURGE_H

#include "space/segment.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void mii_purge_all(void);
void mii_purge_forget_others(void);
static inline uint64_t mii_purge_delay(void) { return 0; }
static inline bool mii_purge_step(uint32_t* from, uint64_t due, purge_limit_t limit) {
  return (void)from, (void)due, (void)limit, false;
}
static inline void mii_purge_note_freed(size_t bytes) { (void)bytes; }
static inline void mii_purge_watch(bool on) { (void)on; }
static inline bool mii_purge_may_be_much(void) { return false; }

#endif
