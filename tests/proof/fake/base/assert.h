// SPDX-License-Identifier: MIT
// assert.h - in place of src/base/assert.h for the proof: assertions are checked, and are no steps
#ifndef MI_ASSERT_H
#define MI_ASSERT_H

#include "base/config.h"
#include "support.h"

#define MI_ASSERT(c)       PROOF_CHECK(c)
#define MI_ASSERT_VALID(c) PROOF_CHECK(c)
#define MI_HOLDS(c)        ((c) || (proof_fail(#c, __FILE__, __LINE__), false))

#endif
