// SPDX-License-Identifier: MIT
// string.c - copies of strings, of paths, of environment variables
//
// Tests: tests/api/basic_test.c, tests/api/posix_test.c
#include "api/allocate.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

// In the heap that malloc uses if that is NULL.
static char* copy_text(heap_t* heap, const char* s, size_t length) {
  void* const block =
      heap != NULL ? mi_heap_malloc((mi_heap_t*)heap, length + 1) : mi_malloc(length + 1);
  if (block == NULL) return NULL;
  char* const copy = memcpy(block, s, length);
  copy[length] = '\0';
  return copy;
}

char* mi_strdup(const char* s) { return s != NULL ? copy_text(NULL, s, strlen(s)) : NULL; }
char* mi_strndup(const char* s, size_t n) {
  return s != NULL ? copy_text(NULL, s, strnlen(s, n)) : NULL;
}
char* mi_heap_strdup(mi_heap_t* heap, const char* s) {
  return s != NULL ? copy_text(mii_heap_or_main(heap), s, strlen(s)) : NULL;
}
char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n) {
  return s != NULL ? copy_text(mii_heap_or_main(heap), s, strnlen(s, n)) : NULL;
}

unsigned char* mi_mbsdup(const unsigned char* s) {
  return (unsigned char*)mi_strdup((const char*)s);
}

wchar_t* mi_wcsdup(const wchar_t* s) {
  if (s == NULL) return NULL;
  const size_t size = (wcslen(s) + 1) * sizeof(wchar_t);
  void* const copy = mi_malloc(size);
  return copy != NULL ? memcpy(copy, s, size) : NULL;
}

// realpath would allocate with whatever malloc it is bound to.
static MI_COLD char* path_in(heap_t* heap, const char* name) {
  char path[PATH_MAX];
  return realpath(name, path) != NULL ? copy_text(heap, path, strlen(path)) : NULL;
}

char* mi_realpath(const char* fname, char* resolved_name) {
  return resolved_name != NULL ? realpath(fname, resolved_name) : path_in(NULL, fname);
}
char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name) {
  if (resolved_name != NULL) return realpath(fname, resolved_name);
  return path_in(mii_heap_or_main(heap), fname);
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
