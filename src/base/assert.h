// SPDX-License-Identifier: MIT
// assert.h - assertions are for our bugs; report.h is for the user's. Tiers by cost, not importance:
//
//   MI_ASSERT(c)         level 1   O(1): arguments, results, state before and after
//   MI_ASSERT_VALID(c)   level 2   O(n): walks a list or bitmap; c is a call of some ..._is_valid()
//   static_assert(c, "") always    sizes, bit positions, relations between constants
//
// A disabled assertion is still compiled (sizeof does not evaluate it), so it cannot rot and its
// variables are never "unused".
#ifndef MI_ASSERT_H
#define MI_ASSERT_H

#include "base/config.h"
#include <assert.h>
#include <stdbool.h>

#define MI_ASSERT_AT(level, c)                                                              \
  (MI_ASSERT_LEVEL >= (level) ? ((c) ? (void)0 : mii_assert_failed(#c, __FILE__, __LINE__)) \
                              : (void)sizeof(!(c)))
#define MI_ASSERT(c)       MI_ASSERT_AT(1, c)
#define MI_ASSERT_VALID(c) MI_ASSERT_AT(2, c)

// One clause of a validator: says which clause broke, and lets the validator return false.
#define MI_HOLDS(c) ((c) || mii_claim_failed(#c, __FILE__, __LINE__))

// Prints the assertion and aborts.
_Noreturn void mii_assert_failed(const char* expression, const char* file, int line);

// Prints the clause (when assertions are on) and returns false.
bool mii_claim_failed(const char* expression, const char* file, int line);

#endif
