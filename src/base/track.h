// SPDX-License-Identifier: MIT
// track.h - tell valgrind's memcheck or AddressSanitizer which bytes are the program's
//
// Empty unless MI_CFG_TRACK says otherwise. Memory that we opened is nobody's: the tool objects when the
// program touches it. A block is the program's from mii_track_take to mii_track_give, and no byte more
// than was asked for. We ourselves write links into what is nobody's: memcheck is told to be silent
// meanwhile; ASan watches only code that it compiled, and ours it must not.
#ifndef MI_TRACK_H
#define MI_TRACK_H

#include "base/compiler.h"
#include "base/config.h"
#include <stdbool.h>
#include <stddef.h>

#if MI_CFG_TRACK == MI_TRACK_MEMCHECK

#include <valgrind/memcheck.h>

static inline void mii_track_enter(void) { VALGRIND_DISABLE_ERROR_REPORTING; }
static inline void mii_track_leave(void) { VALGRIND_ENABLE_ERROR_REPORTING; }
static inline void mii_track_open(void* start, size_t bytes) {
  VALGRIND_MAKE_MEM_NOACCESS(start, bytes);
}
static inline void mii_track_take(void* p, size_t size, size_t bytes) {
  VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
  VALGRIND_MALLOCLIKE_BLOCK(p, size, 0, false);
}
static inline void mii_track_give(void* p, size_t bytes) {
  (void)bytes;
  VALGRIND_FREELIKE_BLOCK(p, 0);
}
static inline void mii_track_bad_free(void* p) { VALGRIND_FREELIKE_BLOCK(p, 0); }

#elif MI_CFG_TRACK == MI_TRACK_ASAN

// Weak: the library also works in a program without ASan.
extern void __asan_poison_memory_region(void const volatile* start, size_t bytes)
    __attribute__((weak));
extern void __asan_unpoison_memory_region(void const volatile* start, size_t bytes)
    __attribute__((weak));
extern void __lsan_register_root_region(const void* start, size_t bytes) __attribute__((weak));
extern void __asan_store1(uintptr_t address) __attribute__((weak));

static inline void mii_track_enter(void) {}
static inline void mii_track_leave(void) {}
static inline void mii_track_give(void* p, size_t bytes) {
  if (__asan_poison_memory_region != NULL) __asan_poison_memory_region(p, bytes);
}
static inline void mii_track_open(void* start, size_t bytes) {
  mii_track_give(start, bytes);
  // Blocks of ASan's own malloc may be known to ours only.
  if (__lsan_register_root_region != NULL) __lsan_register_root_region(start, bytes);
}
static inline void mii_track_take(void* p, size_t size, size_t bytes) {
  mii_track_give(p, bytes);
  if (__asan_unpoison_memory_region != NULL) __asan_unpoison_memory_region(p, size);
}
// A write as ASan would check it: it reports the place if the block is the program's no more.
static inline void mii_track_bad_free(void* p) {
  if (__asan_store1 != NULL) __asan_store1((uintptr_t)p);
}

#else

MI_INLINE void mii_track_enter(void) {}
MI_INLINE void mii_track_leave(void) {}
MI_INLINE void mii_track_open(void* start, size_t bytes) { (void)start, (void)bytes; }
MI_INLINE void mii_track_take(void* p, size_t size, size_t bytes) {
  (void)p, (void)size, (void)bytes;
}
MI_INLINE void mii_track_give(void* p, size_t bytes) { (void)p, (void)bytes; }
MI_INLINE void mii_track_bad_free(void* p) { (void)p; }

#endif

#endif
