// SPDX-License-Identifier: MIT
// format.c - a bounded printf that never allocates, locks, or reads the locale
#include "base/format.h"
#include "base/assert.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct writer_s {
  char* at;
  char* end;  // room for the NUL is behind it
} writer_t;

typedef struct field_s {
  size_t width;
  bool left;
  bool zero;
  int longs;  // 0: int, 1: long, 2: long long
} field_t;

enum { SIZE_LONGS = sizeof(size_t) > sizeof(long) ? 2 : 1 };  // what %zu reads

static void put(writer_t* out, char c) {
  if (out->at < out->end) *out->at++ = c;
}

static void put_field(writer_t* out, field_t field, const char* text, size_t length) {
  const size_t pad = field.width > length ? field.width - length : 0;
  if (!field.left) {
    for (size_t i = 0; i < pad; i++) put(out, field.zero ? '0' : ' ');
  }
  for (size_t i = 0; i < length; i++) put(out, text[i]);
  if (field.left) {
    for (size_t i = 0; i < pad; i++) put(out, ' ');
  }
}

static void put_number(writer_t* out, field_t field, uint64_t value, unsigned base, bool negative) {
  char digits[24];
  char* first = digits + sizeof digits;
  do {
    *--first = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  if (negative && field.zero && !field.left) {
    put(out, '-');  // before the zeros
    if (field.width > 0) field.width--;
  } else if (negative) {
    *--first = '-';
  }
  put_field(out, field, first, (size_t)(digits + sizeof digits - first));
}

static const char* parse_field(const char* f, field_t* field) {
  *field = (field_t){0};
  for (;; f++) {
    if (*f == '-') {
      field->left = true;
    } else if (*f == '0') {
      field->zero = true;
    } else {
      break;
    }
  }
  for (; *f >= '0' && *f <= '9'; f++) field->width = field->width * 10 + (size_t)(*f - '0');
  for (; *f == 'l' || *f == 'z'; f++) field->longs += *f == 'z' ? SIZE_LONGS : 1;
  return f;
}

static int64_t signed_argument(field_t field, va_list* args) {
  if (field.longs == 0) return va_arg(*args, int);
  return field.longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static uint64_t unsigned_argument(field_t field, va_list* args) {
  if (field.longs == 0) return va_arg(*args, unsigned);
  return field.longs == 1 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned long long);
}

static void put_signed(writer_t* out, field_t field, int64_t value) {
  put_number(out, field, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0);
}

static void put_argument(writer_t* out, char kind, field_t field, va_list* args) {
  switch (kind) {
    case 'd':
    case 'i': put_signed(out, field, signed_argument(field, args)); break;
    case 'u': put_number(out, field, unsigned_argument(field, args), 10, false); break;
    case 'x': put_number(out, field, unsigned_argument(field, args), 16, false); break;
    case 'p':
      put(out, '0');
      put(out, 'x');
      put_number(out, field, (uintptr_t)va_arg(*args, void*), 16, false);
      break;
    case 'c': {
      const char c = (char)va_arg(*args, int);
      put_field(out, field, &c, 1);
      break;
    }
    case 's': {
      const char* text = va_arg(*args, const char*);
      if (text == NULL) text = "(null)";
      put_field(out, field, text, strlen(text));
      break;
    }
    default: put(out, kind); break;
  }
}

MI_COLD size_t mii_format_list(char* text, size_t size, const char* format, va_list args) {
  MI_ASSERT(size > 0);
  writer_t out = {.at = text, .end = text + size - 1};
  va_list rest;
  va_copy(rest, args);  // an array type on some ABIs: take its address only as our own
  for (const char* f = format; *f != '\0'; f++) {
    if (*f != '%') {
      put(&out, *f);
      continue;
    }
    field_t field;
    f = parse_field(f + 1, &field);
    if (*f == '\0') break;
    put_argument(&out, *f, field, &rest);
  }
  va_end(rest);
  *out.at = '\0';
  return (size_t)(out.at - text);
}

size_t mii_format(char* text, size_t size, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const size_t length = mii_format_list(text, size, format, args);
  va_end(args);
  return length;
}
