// What page_make.c asks of space/limit.h. Pages with holes, for which it asks, do not occur here.
#ifndef MI_LIMIT_H
#define MI_LIMIT_H

#include <stddef.h>

static inline void mii_limit_charge_anyway(size_t bytes) { (void)bytes; }
static inline void mii_limit_set_charged(size_t bytes) { (void)bytes; }

#endif
