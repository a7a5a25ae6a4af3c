// SPDX-License-Identifier: MIT
// purge.h - what has been free for long enough goes back to the system
#ifndef MI_PURGE_H
#define MI_PURGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Something will be due at `due` (ms); its hint is on. Any thread.
void mii_purge_expect(uint64_t due);

// Purge what is due at `now` (ms): a comparison when nothing is. Any thread, from slow paths.
void mii_purge_tick(uint64_t now);

// Is memory to be purged as soon as it is free?
bool mii_purge_is_eager(void);

// Purge all that is free, due or not. Any thread.
void mii_purge_all(void);

// Searches while other threads purge, before memory counts as exhausted.
enum { PURGE_TRIES = 1000 };

// Changes whenever a purge begins or ends to hold memory that is free: a search that failed may have
// missed that, if it was odd or has changed meanwhile.
uint32_t mii_purge_epoch(void);
void mii_purge_begin(void);
void mii_purge_end(void);

// After a search that found nothing while the epoch was `before`: true to search again.
bool mii_purge_may_have_hidden(uint32_t before);

// Give this memory back, counted. False if the system refused or the memory holds no whole OS page.
bool mii_purge_memory(void* start, size_t size);

typedef struct purge_count_s {
  uint64_t calls;
  uint64_t bytes;
} purge_count_t;
purge_count_t mii_purge_count(void);

#endif
