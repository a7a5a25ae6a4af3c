// SPDX-License-Identifier: MIT
// lock.c - who is forking
#include "runtime/lock.h"

_Atomic(uintptr_t) mii_lock_forker;
