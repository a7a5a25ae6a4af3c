// SPDX-License-Identifier: MIT
// secure.h - the part of the real one that the proof has: the level is 0
#ifndef MI_SECURE_H
#define MI_SECURE_H

#include "base/compiler.h"
#include "base/rng.h"
#include <stdbool.h>

enum { SECURE_RANDOM = 2 };

static inline int mii_secure_level(void) { return 0; }

#endif
