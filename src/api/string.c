// SPDX-License-Identifier: MIT
// string.c - copies of strings, of paths, of environment variables
//
// Tests: tests/api/basic_test.c, tests/api/posix_test.c
#include "api/allocate.h"
#include "mimalloc.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static void* copy_of(const void* bytes, size_t size) {
  void* const copy = mi_malloc(size);
  return copy != NULL ? memcpy(copy, bytes, size) : NULL;
}

char* mi_strdup(const char* s) { return s != NULL ? copy_of(s, strlen(s) + 1) : NULL; }

char* mi_strndup(const char* s, size_t n) {
  if (s == NULL) return NULL;
  const char* const end = memchr(s, '\0', n);
  const size_t length = end != NULL ? (size_t)(end - s) : n;
  char* const copy = mi_malloc(length + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, s, length);
  copy[length] = '\0';
  return copy;
}

unsigned char* mi_mbsdup(const unsigned char* s) {
  return (unsigned char*)mi_strdup((const char*)s);
}

wchar_t* mi_wcsdup(const wchar_t* s) {
  return s != NULL ? copy_of(s, (wcslen(s) + 1) * sizeof(wchar_t)) : NULL;
}

char* mi_realpath(const char* fname, char* resolved_name) {
  if (resolved_name != NULL) return realpath(fname, resolved_name);
  char path[PATH_MAX];  // realpath would allocate with whatever malloc it is bound to
  return realpath(fname, path) != NULL ? mi_strdup(path) : NULL;
}

int mi_dupenv_s(char** buf, size_t* size, const char* name) {
  if (buf == NULL || name == NULL) return EINVAL;
  if (size != NULL) *size = 0;
  *buf = NULL;
  const char* const value = getenv(name);
  if (value == NULL) return 0;
  *buf = mi_strdup(value);
  if (*buf == NULL) return ENOMEM;
  if (size != NULL) *size = strlen(value) + 1;
  return 0;
}

int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) {
  (void)name;
  if (buf != NULL) *buf = NULL;
  if (size != NULL) *size = 0;
  return EINVAL;
}
