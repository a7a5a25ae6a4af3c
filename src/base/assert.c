// SPDX-License-Identifier: MIT
// assert.c - say what broke, without allocating
#include "base/assert.h"
#include "base/format.h"
#include <stdlib.h>
#include <unistd.h>

static void print_failure(const char* what, const char* expression, const char* file, int line) {
  char text[512];
  const size_t length =
      mii_format(text, sizeof text, "mimalloc: %s: %s:%d: %s\n", what, file, line, expression);
  if (write(STDERR_FILENO, text, length) < 0) return;  // nothing better to do
}

_Noreturn void mii_assert_failed(const char* expression, const char* file, int line) {
  print_failure("assertion failed", expression, file, line);
  abort();
}

bool mii_claim_failed(const char* expression, const char* file, int line) {
  if (MI_ASSERT_LEVEL > 0) print_failure("broken", expression, file, line);
  return false;
}
