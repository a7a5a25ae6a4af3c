// SPDX-License-Identifier: MIT
// fork.h - the child of a fork goes on with the memory of threads that do not exist there
#ifndef MI_FORK_H
#define MI_FORK_H

// In the child, before it does anything else; the locks are held. O(slices of the heap), unless no other
// thread ever had a theap.
void mii_fork_recover(void);

#endif
