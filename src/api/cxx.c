// SPDX-License-Identifier: MIT
// cxx.c - what C++'s operator new does, in C
//
// The two functions of the C++ runtime that we need are weak: a program without it has neither a
// new_handler nor anybody who could catch, and is aborted where an exception would be thrown. The file is
// compiled with -fexceptions, so that exceptions pass through our frames.
//
// Tests: tests/api/cxx_test.cpp, tests/scripts/static_link.sh
#include "api/allocate.h"
#include "mimalloc.h"
#include "runtime/report.h"
#include <errno.h>
#include <stdlib.h>

typedef void new_handler_t(void);

// std::get_new_handler() and std::__throw_bad_alloc().
extern new_handler_t* _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

// Let the program make room. False if it has no handler.
static bool call_new_handler(void) {
  new_handler_t* const handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
  if (handler == NULL) return false;
  handler();
  return true;
}

static void* throw_bad_alloc(size_t size) {
  if (_ZSt17__throw_bad_allocv != NULL) _ZSt17__throw_bad_allocv();
  mii_error(ENOMEM, "out of memory in operator new, and no C++ runtime to throw an exception: %zu bytes\n", size);
  abort();
}

void* mi_new_nothrow(size_t size) {
  void* p = mii_malloc(size);
  while (MI_UNLIKELY(p == NULL) && call_new_handler()) p = mii_malloc(size);
  return p;
}

void* mi_new(size_t size) {
  void* const p = mii_malloc(size);
  if (MI_LIKELY(p != NULL)) return p;
  void* const later = call_new_handler() ? mi_new_nothrow(size) : NULL;
  return later != NULL ? later : throw_bad_alloc(size);
}

// No handler can mend an alignment.
void* mi_new_aligned_nothrow(size_t size, size_t alignment) {
  void* p = mii_allocate_aligned(size, alignment, 0, false);
  while (p == NULL && mii_is_power_of_two(alignment) && call_new_handler()) {
    p = mii_allocate_aligned(size, alignment, 0, false);
  }
  return p;
}

void* mi_new_aligned(size_t size, size_t alignment) {
  void* const p = mi_new_aligned_nothrow(size, alignment);
  return p != NULL ? p : throw_bad_alloc(size);
}

// Nor an overflow: it is called once, in case it throws something better.
static void* fail_overflow(void) {
  call_new_handler();
  return throw_bad_alloc(SIZE_MAX);
}

void* mi_new_n(size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_new(total) : fail_overflow();
}

void* mi_new_realloc(void* p, size_t newsize) {
  void* moved = mi_realloc(p, newsize);
  while (MI_UNLIKELY(moved == NULL) && call_new_handler()) moved = mi_realloc(p, newsize);
  return moved != NULL ? moved : throw_bad_alloc(newsize);
}

void* mi_new_reallocn(void* p, size_t newcount, size_t size) {
  size_t total;
  return mii_total_size(newcount, size, &total) ? mi_new_realloc(p, total) : fail_overflow();
}
