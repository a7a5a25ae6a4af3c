// SPDX-License-Identifier: MIT
// format.h - a bounded printf that never allocates, locks, or reads the locale
//
// Understands %s %c %d %i %u %x %p %%, the lengths l, ll and z, a field width (with - or 0), and
// nothing else.
#ifndef MI_FORMAT_H
#define MI_FORMAT_H

#include "base/compiler.h"
#include <stdarg.h>
#include <stddef.h>

// Writes at most size - 1 characters and a NUL (size > 0). Returns the number of characters written.
size_t mii_format_list(char* text, size_t size, const char* format, va_list args);
size_t mii_format(char* text, size_t size, const char* format, ...) MI_PRINTF(3, 4);

static inline char mii_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

// The end of `name` in a text that begins with it, letter case ignored, or NULL. ASCII only.
static inline const char* mii_match_name(const char* text, const char* name) {
  for (; *name != '\0'; text++, name++) {
    if (mii_upper(*text) != mii_upper(*name)) return NULL;
  }
  return text;
}

#endif
