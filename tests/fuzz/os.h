// SPDX-License-Identifier: MIT
// os.h - the system as the allocator under test sees it: time stands still unless an input lets it
// pass, the system says no when an input wants it, and everything can be put back to the start
#ifndef FUZZ_OS_H
#define FUZZ_OS_H

#include <stdbool.h>

void os_let_time_pass(unsigned ms);

typedef enum os_call_e { OS_OPEN, OS_PURGE, OS_CALLS } os_call_t;

// Of this call, let `good` succeed and refuse the `bad` that follow.
void os_refuse(os_call_t call, unsigned good, unsigned bad);
void os_refuse_nothing(void);

// Was memory refused since the last question?
bool os_has_refused(void);

// Was a purge refused since the start?
bool os_has_refused_purge(void);

// The allocator as it is now is the start; os_reset goes back to it. Only in a build whose variables
// of mi.o lie in a section of their own (build.sh); elsewhere an input needs a process of its own.
bool os_can_reset(void);
void os_note_start(void);
void os_reset(void);

#endif
