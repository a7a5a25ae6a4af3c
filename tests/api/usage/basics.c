// SPDX-License-Identifier: MIT
// basics.c - allocate, resize, free; strings, arrays, zeros, alignment; how large a block really is
#include <mimalloc.h>

#include <stdint.h>
#include <string.h>

static bool strings(void) {
  char* const copy = mi_strdup("hello, world");
  char* const start = mi_strndup(copy, 5);
  const bool good = strcmp(copy, "hello, world") == 0 && strcmp(start, "hello") == 0;
  mi_free(copy);
  mi_free(start);
  return good;
}

static bool arrays(void) {
  int* numbers = (int*)mi_calloc(10, sizeof(int));
  if (numbers == NULL || numbers[9] != 0) return false;
  numbers[9] = 9;
  numbers = (int*)mi_recalloc(numbers, 1000, sizeof(int));
  if (numbers == NULL || numbers[9] != 9 || numbers[999] != 0) return false;
  numbers = mi_reallocn_tp(int, numbers, 5);
  mi_free(numbers);
  volatile size_t many = SIZE_MAX / 2;
  return mi_mallocn(many, 4) == NULL;  // an overflow is no small block
}

static bool grows_into_what_is_there(void) {
  size_t usable;
  char* const text = (char*)mi_umalloc(100, &usable);
  if (text == NULL || usable < 100 || usable != mi_usable_size(text) || usable != mi_good_size(100))
    return false;
  memset(text, 'x', usable);
  const bool same = mi_expand(text, usable) == text;
  mi_ufree(text, &usable);
  return same;
}

static bool aligned(void) {
  void* const line = mi_malloc_aligned(100, 64);
  void* const at = mi_zalloc_aligned_at(100, 64, 16);
  void* posix = NULL;
  const bool good = (uintptr_t)line % 64 == 0 && ((uintptr_t)at + 16) % 64 == 0
                    && mi_posix_memalign(&posix, 4096, 10) == 0 && (uintptr_t)posix % 4096 == 0;
  mi_free_aligned(line, 64);
  mi_free(at);
  mi_free(posix);
  return good;
}

int main(void) {
  mi_free(NULL);
  return strings() && arrays() && grows_into_what_is_there() && aligned() ? 0 : 1;
}
