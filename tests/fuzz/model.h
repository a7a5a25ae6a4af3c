// SPDX-License-Identifier: MIT
// model.h - what a correct allocator must be like: which blocks are out, and what they hold
//
// Blocks do not overlap, keep their usable size, and keep what was written to them: a pattern, at the
// start, at the end and at places between.
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A block that is out.
typedef struct held_s {
  uint8_t* p;
  size_t size;       // asked for
  size_t usable;     // told
  size_t filled;     // bytes of it that hold the pattern
  size_t alignment;  // of p itself, as asked for; 1 if only p + offset is aligned
  uint32_t seed;     // of the pattern
  bool zeroed;       // zeroed when it was allocated, and only the zeroing functions resized it
  bool small;        // from a function for small sizes
} held_t;

enum { HELD_MAX = 4096 };

// Says what is wrong, and ends the process.
_Noreturn void model_fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Forget all blocks.
void model_clear(void);

size_t model_count(void);
size_t model_bytes(void);

// A new block, which must not overlap any other; of `alignment` 1 and not zeroed. Fills it.
held_t* model_add(void* p, size_t size, size_t usable);

// The i-th oldest block; any i, if there is a block at all.
held_t* model_pick(size_t i);

// The block is about to be freed or resized, or just looked at: is it still what it was?
void model_check(const held_t* held);

// The first bytes of the block, which may have moved to p, hold its pattern.
void model_check_contents(const held_t* held, const void* p, size_t bytes);

// The block is free, or lies somewhere else.
void model_remove(held_t* held);

// Write the pattern to the block: as far as it was asked for if it is zeroed, else to its end.
void model_fill(held_t* held);

// All of it up to 32 KiB; places in it above that.
bool model_is_zero(const void* p, size_t bytes);

#endif
