// SPDX-License-Identifier: MIT
// cxx.c - what C++'s operator new does, in C
//
// What we need of the C++ runtime is weak, because C programs come without it. If it is not linked, a
// plugin may have brought it along. A static program has those parts of it that it mentions: one that
// can catch std::bad_alloc has at least what throwing it takes. A program without the runtime has
// neither a new_handler nor anybody who could catch, and is aborted where an exception would be thrown.
// The file is compiled with -fexceptions, so that exceptions pass through our frames.
//
// Tests: tests/api/cxx_test.cpp, tests/scripts/new_handler.sh
#include "api/allocate.h"
#include "heap/apart.h"
#include "mimalloc.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef void new_handler_t(void);

// std::get_new_handler() and std::__throw_bad_alloc().
extern new_handler_t* _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

// What the latter is made of: the class std::bad_alloc (type, virtual functions, destructor), and throw.
extern char _ZTISt9bad_alloc[] __attribute__((weak));
extern void* _ZTVSt9bad_alloc[] __attribute__((weak));
extern void _ZNSt9bad_allocD1Ev(void* exception) __attribute__((weak));
extern void* __cxa_allocate_exception(size_t size) __attribute__((weak));
extern void __cxa_throw(void* exception, void* type, void (*destroy)(void*)) __attribute__((weak));

// The loader allocates to find it, and there may be no memory for that either.
static platform_function_t* find_in_runtime(const char* name) {
  const bool hushed = mii_error_hush();
  platform_function_t* const function = mii_platform_cxx_function(name);
  if (hushed) mii_error_unhush();
  return function;
}

static new_handler_t* new_handler(void) {
  typedef new_handler_t* get_new_handler_t(void);
  get_new_handler_t* get = _ZSt15get_new_handlerv;
  if (get == NULL) get = (get_new_handler_t*)find_in_runtime("_ZSt15get_new_handlerv");
  return get != NULL ? get() : NULL;
}

// Let the program make room. False if it has no handler.
static bool call_new_handler(void) {
  new_handler_t* const handler = new_handler();
  if (handler == NULL) return false;
  handler();
  return true;
}

// An object of the class is a pointer to its virtual functions, which follow two other entries.
static void throw_by_hand(void) {
  if (__cxa_throw == NULL || __cxa_allocate_exception == NULL || _ZTISt9bad_alloc == NULL) return;
  void** const exception = __cxa_allocate_exception(sizeof *exception);
  *exception = &_ZTVSt9bad_alloc[2];
  __cxa_throw(exception, _ZTISt9bad_alloc, _ZNSt9bad_allocD1Ev);
}

static void* throw_bad_alloc(size_t size) {
  platform_function_t* throw = _ZSt17__throw_bad_allocv;
  if (throw == NULL) throw_by_hand();
  if (throw == NULL) throw = find_in_runtime("_ZSt17__throw_bad_allocv");
  if (throw != NULL) throw();
  mii_print(NULL, NULL,
            "mimalloc: error: out of memory in operator new, and no C++ runtime to throw an "
            "exception: %zu bytes\n",
            size);
  abort();
}

// NULL: in the heap that malloc uses.
static void* try_new(heap_t* heap, block_request_t want) {
  return heap != NULL ? mii_heap_try_allocate(heap, want, false) : mii_try_allocate(want, false);
}

// One report, then the handler for as long as it makes room. NULL when nothing helps.
static void* new_slow(heap_t* heap, size_t size, size_t alignment) {
  if (size > BLOCK_BYTES_MAX) {
    mii_fail_too_large(size);
    call_new_handler();  // it cannot help, but may throw something better
    return NULL;
  }
  const block_request_t want = {.size = size, .alignment = alignment};
  void* p = try_new(heap, want);
  while (MI_UNLIKELY(p == NULL) && mii_limit_ask(heap, size)) p = try_new(heap, want);
  if (p != NULL) return p;
  mii_fail_no_memory(size);
  while (p == NULL && call_new_handler()) p = try_new(heap, want);
  return p;
}

static void* new_aligned(size_t size, size_t alignment) {
  if (!mii_is_power_of_two(alignment))
    return mii_fail_alignment(alignment);  // no handler can mend that
  return new_slow(NULL, size, alignment);
}

// The lists first: operator new is as fast as malloc.
static inline void* new_fast(size_t size) {
  if (MI_UNLIKELY(size > FAST_SIZE_MAX) || MI_CFG_TRACK != 0) return NULL;
  return mii_fill_new(mii_list_pop(&mii_theap_mine->list[mii_size_class_fast(size)]), size);
}

void* mi_new_nothrow(size_t size) {
  void* const p = new_fast(size);
  return MI_LIKELY(p != NULL) ? p : new_slow(NULL, size, 0);
}

static MI_NOINLINE void* new_or_throw(size_t size) {
  void* const p = new_slow(NULL, size, 0);
  return p != NULL ? p : throw_bad_alloc(size);
}

void* mi_new(size_t size) {
  void* const p = new_fast(size);
  return MI_LIKELY(p != NULL) ? p : new_or_throw(size);
}

void* mi_new_aligned_nothrow(size_t size, size_t alignment) { return new_aligned(size, alignment); }

void* mi_new_aligned(size_t size, size_t alignment) {
  void* const p = new_aligned(size, alignment);
  return p != NULL ? p : throw_bad_alloc(size);
}

// No handler can mend an overflow: it is called once, in case it throws something better.
static void* fail_overflow(void) {
  call_new_handler();
  return throw_bad_alloc(SIZE_MAX);
}

void* mi_new_n(size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_new(total) : fail_overflow();
}

void* mi_heap_alloc_new(mi_heap_t* heap, size_t size) {
  void* const p = new_slow(mii_heap_or_main(heap), size, 0);
  return p != NULL ? p : throw_bad_alloc(size);
}

void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size) {
  size_t total;
  return mii_total_size(count, size, &total) ? mi_heap_alloc_new(heap, total) : fail_overflow();
}

// The report of the failure is that of the first attempt; the others are made silently, by allocating.
void* mi_new_realloc(void* p, size_t newsize) {
  void* moved = mi_realloc(p, newsize);
  if (MI_LIKELY(moved != NULL)) return moved;
  while (newsize <= BLOCK_BYTES_MAX && call_new_handler()) {
    moved = mii_try_allocate((block_request_t){.size = newsize}, false);
    if (moved == NULL) continue;
    if (p != NULL) memcpy(moved, p, mii_min(mii_usable_size(p), newsize));
    mii_free(p);
    return moved;
  }
  return throw_bad_alloc(newsize);
}

void* mi_new_reallocn(void* p, size_t newcount, size_t size) {
  size_t total;
  return mii_total_size(newcount, size, &total) ? mi_new_realloc(p, total) : fail_overflow();
}
