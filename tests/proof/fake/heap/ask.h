// SPDX-License-Identifier: MIT
// ask.h - in the proof nobody asks: an answer does what housekeeping does
#ifndef MI_ASK_H
#define MI_ASK_H

#include "heap/theap.h"

static inline bool mii_ask_is_open(const theap_t* home) { return (void)home, false; }
static inline void mii_ask_answer(theap_t* home) { (void)home; }

#endif
