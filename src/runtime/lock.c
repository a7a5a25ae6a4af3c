// SPDX-License-Identifier: MIT
// lock.c - who is forking, and what the running thread holds
#include "runtime/lock.h"

_Atomic(uintptr_t) mii_lock_forker;

#if MI_ASSERT_LEVEL > 0
MI_TLS uint32_t mii_lock_held;
#endif
