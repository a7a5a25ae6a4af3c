// SPDX-License-Identifier: MIT
// foreign.c - hand pointers that are not ours to the allocator behind us
//
// Tests: tests/api/bad_input_test.c, tests/scripts/preload_foreign.sh
#include "api/foreign.h"
#include "base/config.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include "runtime/secure.h"
#include "space/range.h"
#include <errno.h>

typedef void free_fun_t(void* p);
typedef size_t usable_size_fun_t(void* p);

static free_fun_t* next_free;                // const after start
static usable_size_fun_t* next_usable_size;  // const after start

// ASan's functions. In a program of clang they are not behind us but beside us, and its realpath gives the
// program blocks of its own.
extern free_fun_t __interceptor_free __attribute__((weak));
extern usable_size_fun_t __interceptor_malloc_usable_size __attribute__((weak));

void mii_foreign_start(void) {
  if (!MI_CFG_OVERRIDE) return;
  next_free = __interceptor_free;
  next_usable_size = __interceptor_malloc_usable_size;
  if (next_free != NULL && next_usable_size != NULL) return;
  next_free = (free_fun_t*)mii_platform_next_function("free");
  next_usable_size = (usable_size_fun_t*)mii_platform_next_function("malloc_usable_size");
}

static void report(const char* what, const void* p) {
  mii_misuse(EINVAL, "%s: pointer does not come from this allocator: %p\n", what, p);
}

// Nobody else's block lies among our own records: what is asked about them ends here.
static bool may_be_theirs(const void* p) { return !mii_range_reserves(p); }

// A hardened process takes no block of others: whoever frees one has made a mistake, or an attacker has.
void mii_foreign_free(void* p) {
  if (next_free != NULL && may_be_theirs(p) && !mii_secure_is_strict()) {
    const int before = errno;
    next_free(p);
    errno = before;
  } else {
    report("free", p);
  }
}

size_t mii_foreign_usable_size_silent(const void* p) {
  const bool can_ask = next_usable_size != NULL && may_be_theirs(p);
  return can_ask ? next_usable_size((void*)(uintptr_t)p) : 0;
}

size_t mii_foreign_usable_size(const void* p) {
  const size_t bytes = mii_foreign_usable_size_silent(p);
  if (bytes == 0) report("usable size", p);
  return bytes;
}
