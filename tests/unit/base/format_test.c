// SPDX-License-Identifier: MIT
// The formats we have say what those of the C library say.
#include "support/unit_test.h"
#include "base/format.h"
#include <limits.h>

// Both printfs with the same arguments, into buffers of every size.
#define CHECK_SAME(...)                                                       \
  do {                                                                        \
    char theirs[600];                                                         \
    const size_t full = (size_t)snprintf(theirs, sizeof theirs, __VA_ARGS__); \
    for (size_t size = 1; size <= full + 3; size++) {                         \
      char ours[603];                                                         \
      memset(ours, '#', sizeof ours);                                         \
      const size_t length = mii_format(ours, size, __VA_ARGS__);              \
      const size_t expected = full < size ? full : size - 1;                  \
      CHECK_EQ(length, expected);                                             \
      CHECK_EQ(ours[length], '\0');                                           \
      CHECK(memcmp(ours, theirs, length) == 0);                               \
      CHECK_EQ(ours[size], '#');                                              \
    }                                                                         \
  } while (0)

TEST(plain_text_is_copied) {
  CHECK_SAME("%s", "");
  CHECK_SAME("%s", "hello, world");
  CHECK_SAME("hello %s!", "you");
  CHECK_SAME("100%% of %c", 'x');
}

TEST(integers_of_all_lengths_and_signs) {
  static const int ints[] = {0, 1, -1, 9, 10, -10, 12345, INT_MAX, INT_MIN};
  static const long longs[] = {0, -1, 99, LONG_MAX, LONG_MIN};
  static const long long long_longs[] = {0, -1, 99, LLONG_MAX, LLONG_MIN};
  for (size_t i = 0; i < COUNT_OF(ints); i++) {
    CHECK_SAME("%d", ints[i]);
    CHECK_SAME("<%i>", ints[i]);
    CHECK_SAME("%u", (unsigned)ints[i]);
    CHECK_SAME("%x", (unsigned)ints[i]);
  }
  for (size_t i = 0; i < COUNT_OF(longs); i++) {
    CHECK_SAME("%ld", longs[i]);
    CHECK_SAME("%lu", (unsigned long)longs[i]);
    CHECK_SAME("%lx", (unsigned long)longs[i]);
  }
  for (size_t i = 0; i < COUNT_OF(long_longs); i++) {
    CHECK_SAME("%lld", long_longs[i]);
    CHECK_SAME("%llu", (unsigned long long)long_longs[i]);
    CHECK_SAME("%llx", (unsigned long long)long_longs[i]);
  }
  CHECK_SAME("%zu %zx", (size_t)0, SIZE_MAX);
  CHECK_SAME("%zd", (ptrdiff_t)-1);
}

TEST(arguments_are_read_in_order_at_their_lengths) {
  CHECK_SAME("%d %ld %u %s %lld %c %zu %x", -1, -2L, 3u, "four", -5LL, '6', (size_t)7, 8u);
}

TEST(fields_are_padded_on_either_side) {
  CHECK_SAME("[%5d] [%-5d] [%05d]", 42, 42, 42);
  CHECK_SAME("[%5d] [%-5d]", -42, -42);
  CHECK_SAME("[%12s] [%-12s]", "text", "text");
  CHECK_SAME("[%3c] [%-3c]", 'c', 'c');
  CHECK_SAME("[%08x] [%-8x] [%8x]", 0xBEEFu, 0xBEEFu, 0xBEEFu);
  CHECK_SAME("[%20zu] [%-20zu]", SIZE_MAX, SIZE_MAX);
  CHECK_SAME("[%2d] [%1s]", 123456, "wider than its field");
  CHECK_SAME("[%120s]", "far");
}

TEST(negative_numbers_in_fields_filled_with_zeros_have_their_sign_first) {
  CHECK_SAME("[%05d] [%08ld]", -42, -42L);
}

TEST(pointers_are_hexadecimal) {
  char text[32];
  mii_format(text, sizeof text, "%p", (void*)(uintptr_t)0x7f0012ab);
  CHECK_TEXT(text, "0x7f0012ab");
  mii_format(text, sizeof text, "%p", (void*)0);
  CHECK_TEXT(text, "0x0");
}

// Formats that the compiler would warn about reach the function in this disguise.
static size_t format_unchecked(char* text, size_t size, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const size_t length = mii_format_list(text, size, format, args);
  va_end(args);
  return length;
}

TEST(what_is_wrong_does_no_harm) {
  char text[32];
  CHECK_EQ(format_unchecked(text, sizeof text, "<%s>", (char*)NULL), 8);
  CHECK_TEXT(text, "<(null)>");
  format_unchecked(text, sizeof text, "50%");
  CHECK_TEXT(text, "50");
  format_unchecked(text, sizeof text, "50%-03l");
  CHECK_TEXT(text, "50");
  format_unchecked(text, sizeof text, "%k %d", 3);
  CHECK_TEXT(text, "k 3");
}

UNIT_TEST_MAIN
