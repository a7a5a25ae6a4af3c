// SPDX-License-Identifier: MIT
// calls.h - the public functions by their kind, so that an input can name them by number
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <stdbool.h>
#include <stddef.h>

// What is asked for, and what else comes back.
typedef struct want_s {
  size_t size;   // bytes, or bytes of an element
  size_t count;  // elements; 1 for functions that do not count
  size_t alignment;
  size_t offset;
  size_t told;         // out: the usable size, from functions that TELL
  size_t told_before;  // out: that of the block that was resized
  int code;            // out: from functions that return one
} want_t;

typedef enum call_flag_e {
  ZEROES = 1,
  COUNTS = 2,    // takes count and size
  ALIGNS = 4,    // takes an alignment
  SHIFTS = 8,    // takes an offset, too
  SMALL = 16,    // for MI_SMALL_SIZE_MAX at most
  CODES = 32,    // returns a code, and leaves errno alone
  BY_OS = 64,    // aligned to an OS page
  TELLS = 128,   // tells usable sizes
  COPIES = 256,  // a text without its end has `size` - 1 characters
  FREES = 512,   // a failure frees the block
} call_flag_t;

typedef struct alloc_call_s {
  const char* name;
  void* (*call)(want_t* want);
  unsigned flags;
} alloc_call_t;

typedef struct resize_call_s {
  const char* name;
  void* (*call)(void* p, want_t* want);
  unsigned flags;
  int overflow_errno;
} resize_call_t;

extern const alloc_call_t alloc_calls[];
extern const size_t alloc_call_count;
extern const resize_call_t resize_calls[];
extern const size_t resize_call_count;

// Free a block in one of the ways that fit it. `choice` is any number.
void free_call(unsigned choice, void* p, size_t size, size_t usable, size_t alignment, bool small);

#endif
