// SPDX-License-Identifier: MIT
// afl.c - the target in the persistent loop of AFL++ (afl-clang-fast)
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

// What is behind the names of AFL++ is not ours to improve.
#pragma clang diagnostic ignored "-Wextra-semi"
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#pragma clang diagnostic ignored "-Wshorten-64-to-32"
#pragma clang diagnostic ignored "-Wsign-conversion"

__AFL_FUZZ_INIT();

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(void) {
  __AFL_INIT();
  const unsigned char* const data = __AFL_FUZZ_TESTCASE_BUF;
  while (__AFL_LOOP(1000)) LLVMFuzzerTestOneInput(data, (size_t)__AFL_FUZZ_TESTCASE_LEN);
  return 0;
}
