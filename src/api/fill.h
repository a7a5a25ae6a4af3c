// SPDX-License-Identifier: MIT
// fill.h - in a debug build, memory that the program has not written reads as a pattern
//
//     0xD0  new, and not asked to be zero     0xDE  behind the size that was asked for     0xDF  freed
//
// So what is read too early, too far or too late is the same garbage each time, and a debugger shows which. Nobody
// checks the patterns: what is behind the size may be used (mi_usable_size). Blocks above 64 KiB have none: the
// system has no memory yet for what the program never touched. In other builds all of this is nothing.
#ifndef MI_FILL_H
#define MI_FILL_H

#include "base/compiler.h"
#include "base/config.h"
#include <stddef.h>

// `size` bytes of the block at p were asked for; up to `from` it is the program's already.
void mii_fill_from(void* p, size_t from, size_t size) MI_COLD;

// Returns p, which may be NULL.
MI_INLINE void* mii_fill_new(void* p, size_t size) {
  if (MI_CFG_FILL && p != NULL) mii_fill_from(p, 0, size);
  return p;
}

// p is about to be freed; it may be anything.
void mii_fill_freed(void* p) MI_COLD;

#endif
