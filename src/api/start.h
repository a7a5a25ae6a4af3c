// SPDX-License-Identifier: MIT
// start.h - the order in which things start and stop
#ifndef MI_START_H
#define MI_START_H

#include <stdbool.h>

// Make the allocator ready. Any thread, any time, as often as you like: called by the first allocation
// of every thread. False if the system gives us no address space.
bool mii_start(void);

// The same for who is about to allocate: from then on it is fixed how hardened the process is.
bool mii_start_to_allocate(void);

// Set memory apart as the options say. (arena_api.c)
void mii_arenas_start(void);

// Limits as the options say. (limit_api.c)
void mii_limits_start(void);

#endif
