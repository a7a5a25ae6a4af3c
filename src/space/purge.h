// SPDX-License-Identifier: MIT
// purge.h - what has been free for long enough goes back to the system
#ifndef MI_PURGE_H
#define MI_PURGE_H

#include "space/segment.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Something will be due at `due` (ms); its hint is on. Any thread.
void mii_purge_expect(uint64_t due);

// Is something due at `now` (ms), and callers purge at all? A comparison or two.
bool mii_purge_is_due(uint64_t now);

// Purge some of what is due at `now`: a comparison when nothing is. Any thread, from slow paths.
void mii_purge_tick_within(uint64_t now, purge_limit_t limit);
static inline void mii_purge_tick(uint64_t now) { mii_purge_tick_within(now, PURGE_PER_CALL); }

// How long what is free waits, in ms: mi_option_purge_delay, or up to 4 times shorter where what goes back is not soon
// wanted again.
uint64_t mii_purge_delay(void);

// So many slices went back because they were due; so many were soon wanted again.
void mii_purge_note_purged(uint32_t slices, uint64_t now);
void mii_purge_note_reused(uint32_t slices, uint64_t now);

// Purge all that is due at `now`. Returns when more will be, or UINT64_MAX. Takes its time.
uint64_t mii_purge_due(uint64_t now);

// Purge some of what is due at `due` in the next segment from `from` on that has any; UINT64_MAX: due or not. False
// if there is none. Its length is bounded. The delay does not adapt itself to it.
bool mii_purge_step(uint32_t* from, uint64_t due, purge_limit_t limit);

// Who frees much and then makes no call would keep it, so frees are counted, until somebody watches.
enum {
  PURGE_MUCH = 16 * 1024 * 1024,
  PURGE_FIRST = 4 * 1024 * 1024,  // that is much the first time
};
extern _Atomic(size_t) mii_purge_freed;  // atomic: relaxed
void mii_purge_note_freed(size_t bytes);
static inline bool mii_purge_may_be_much(void) {
  return atomic_load_explicit(&mii_purge_freed, memory_order_relaxed) >= PURGE_MUCH;
}

// The count goes on from PURGE_MUCH. Returns by how much it was larger.
size_t mii_purge_take_freed(void);

// Much may wait again after so many bytes of frees, at most PURGE_MUCH.
void mii_purge_look_after(size_t bytes);

// A survey of what waits, a few segments at a time. Begins zero-filled; is over when all have been looked at or
// `enough` is found.
typedef struct purge_survey_s {
  uint32_t next;
  size_t bytes;
} purge_survey_t;
bool mii_purge_survey(purge_survey_t* survey, size_t enough);

// Somebody looks after what is due (until `on` is false): nobody counts, and ticks leave it to them.
void mii_purge_watch(bool on);

// Bytes that wait to be purged: all, or so many that `enough` is reached. Takes its time.
size_t mii_purge_waiting(size_t enough);

// Is memory to be purged as soon as it is free?
bool mii_purge_is_eager(void);

// Purge all that is free, due or not. Any thread.
void mii_purge_all(void);

// Changes whenever a purge ends to hold memory that is free.
uint32_t mii_purge_epoch(void);
void mii_purge_begin(void);
void mii_purge_end(void);

// After a search that found nothing: the epoch was `before` when it began. True to search again, because
// a purge held memory meanwhile. Patience is limited, and begins zero-filled.
typedef struct purge_patience_s {
  uint64_t deadline;  // ms; 0: not set yet
  uint32_t yields;
} purge_patience_t;
bool mii_purge_may_have_hidden(uint32_t before, purge_patience_t* patience);

// In the child of a fork: nobody else purges, and what is due is looked for anew.
void mii_purge_forget_others(void);

// Give this memory back, counted. False if the system refused or the memory holds no whole OS page.
bool mii_purge_memory(void* start, size_t size);

typedef struct purge_count_s {
  uint64_t calls;
  uint64_t bytes;
} purge_count_t;
purge_count_t mii_purge_count(void);

#endif
