// SPDX-License-Identifier: MIT
// purge.h - what has been free for long enough goes back to the system
#ifndef MI_PURGE_H
#define MI_PURGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Something will be due at `due` (ms). Any thread.
void mii_purge_expect(uint64_t due);

// Purge what is due at `now` (ms): a comparison when nothing is. Any thread, from slow paths.
void mii_purge_tick(uint64_t now);

// Is memory to be purged as soon as it is free?
bool mii_purge_is_eager(void);

// Purge all that is free, due or not. Any thread.
void mii_purge_all(void);

// Give this memory back, counted. False if the system refused or the memory holds no whole OS page.
bool mii_purge_memory(void* start, size_t size);

typedef struct purge_count_s {
  uint64_t calls;
  uint64_t bytes;
} purge_count_t;
purge_count_t mii_purge_count(void);

#endif
