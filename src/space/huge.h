// SPDX-License-Identifier: MIT
// huge.h - blocks of more than 1 MiB, as whole slices
#ifndef MI_HUGE_H
#define MI_HUGE_H

#include "space/segment.h"

// Take a huge block. *zero tells whether the memory is known to be zero. NULL when out of memory.
void* mii_huge_take(slice_request_t want, bool* zero);

// Give a huge block back; p lies in its first slice.
void mii_huge_give(void* p);

// Bytes of the block that p lies in the first slice of, from the start of that slice.
size_t mii_huge_bytes(const void* p);

// The contents of block `from` move to block `to`, which is new and as large at least: false if they have to be
// copied. `from` reads as zero then.
bool mii_huge_move(void* from, void* to);

// Blocks whose contents were moved: each costs two mappings until it is given back.
uint32_t mii_huge_moved_count(void);

// Make the block `count` slices long without moving it. False if the slices behind it are in use.
bool mii_huge_resize(void* p, uint32_t count);

#endif
