// SPDX-License-Identifier: MIT
// foreign.h - pointers that are provably not ours
//
// In an override build they belong, as far as we can know, to the allocator behind us (a library that was
// bound to it directly, memory from before we were loaded), and it gets them. Elsewhere, and where nobody
// is behind us, they are reported and ignored.
#ifndef MI_FOREIGN_H
#define MI_FOREIGN_H

#include <stddef.h>

// Look up the next allocator. Once, at start: never inside free.
void mii_foreign_start(void);

void mii_foreign_free(void* p);

// 0 if nobody knows; the first form reports that.
size_t mii_foreign_usable_size(const void* p);
size_t mii_foreign_usable_size_silent(const void* p);

#endif
