// SPDX-License-Identifier: MIT
// quiet.h - memory that was freed goes back also when nobody calls us any more
#ifndef MI_QUIET_H
#define MI_QUIET_H

#include <stdbool.h>
#include <stdint.h>

// From now on a thread of ours may be started; is it to be joined when the library is unloaded? Once.
void mii_quiet_allow(bool is_to_be_joined);

// Much may wait to be purged (mii_purge_may_be_much): see to it. The running thread is between two operations of
// the allocator, and holds none of its locks: it may start our thread, which allocates.
void mii_quiet_look(void);

// Some of what is due at `now` is purged: by our thread if there is one, else by the running thread, which is in a
// slow path. A comparison when nothing is due.
void mii_quiet_tick(uint64_t now);

// The library is about to be unloaded: our thread ends.
void mii_quiet_stop(void);

// In the child of a fork, where our thread does not run; it is started again when there is need. True if there
// was one.
bool mii_quiet_forget(void);

#endif
