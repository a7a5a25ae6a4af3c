// SPDX-License-Identifier: MIT
// large.h - where large OS pages (2 MiB) are wanted, and where not
#ifndef MI_LARGE_H
#define MI_LARGE_H

#include "space/record.h"

// The range has started: small heaps lie where there are none.
void mii_large_start(void);

// Pages of blocks begin to fill an empty segment, none of which is dirty: is it a part of a large heap?
bool mii_large_is_worth(uint32_t segment);

// All of the segment is ours, and nothing of it is dirty: from now on large OS pages are welcome there. False if it
// would cost too many mappings.
bool mii_large_begin(uint32_t segment);

// A part of the segment goes back: no large OS pages any more, or the system may fill the hole again.
void mii_large_end(uint32_t segment);

// Slices have a new mapping (huge.c): what was wished there is said again.
void mii_large_renew(slice_t first, uint32_t count);

#endif
