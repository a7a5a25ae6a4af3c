// SPDX-License-Identifier: MIT
// handle_stack.h - a lock-free stack of 32-bit handles
//
//     top = [ tag : 32 | handle : 32 ]          handle 0 is the empty stack
//
// The links live beside the objects, found by a function of the handle; that memory is never
// unmapped, so a pop may read the link of an object that another thread has just popped. The tag
// counts pushes and pops, so a top that was popped and pushed again is not taken for the old one (ABA).
//
// Orders: push releases, pop acquires. Whatever changes `top` is a read-modify-write, so it continues the
// release sequences of all pushes before it: who pops an object sees all that its pusher wrote to it, and
// pops need not release. A pop acquires before it reads the link, take-all when it has taken.
#ifndef MI_HANDLE_STACK_H
#define MI_HANDLE_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct handle_stack_s {
  _Atomic(uint64_t) top;  // atomic: this file
} handle_stack_t;

typedef _Atomic(uint32_t) handle_link_t;
typedef handle_link_t* handle_link_fun_t(uint32_t handle);

static inline bool mii_stack_is_empty(handle_stack_t* stack) {
  return (uint32_t)atomic_load_explicit(&stack->top, memory_order_relaxed) == 0;
}

static inline uint64_t next_top(uint64_t seen, uint32_t handle) {
  return (((seen >> 32) + 1) << 32) | handle;
}

static inline void mii_stack_push(handle_stack_t* stack, uint32_t handle,
                                  handle_link_fun_t* link_of) {
  uint64_t seen = atomic_load_explicit(&stack->top, memory_order_relaxed);
  do {
    atomic_store_explicit(link_of(handle), (uint32_t)seen, memory_order_relaxed);
  } while (!atomic_compare_exchange_weak_explicit(&stack->top, &seen, next_top(seen, handle),
                                                  memory_order_release, memory_order_relaxed));
}

// Returns 0 if the stack is empty.
static inline uint32_t mii_stack_pop(handle_stack_t* stack, handle_link_fun_t* link_of) {
  uint64_t seen = atomic_load_explicit(&stack->top, memory_order_acquire);
  while ((uint32_t)seen != 0) {
    const uint32_t below = atomic_load_explicit(link_of((uint32_t)seen), memory_order_relaxed);
    if (atomic_compare_exchange_weak_explicit(&stack->top, &seen, next_top(seen, below),
                                              memory_order_acquire, memory_order_acquire)) {
      return (uint32_t)seen;
    }
  }
  return 0;
}

// For the child of a fork, where nobody else runs, and the links are not to be believed.
static inline void mii_stack_clear(handle_stack_t* stack) {
  const uint64_t seen = atomic_load_explicit(&stack->top, memory_order_relaxed);
  atomic_store_explicit(&stack->top, next_top(seen, 0), memory_order_relaxed);
}

// The linked handles become the stack, if it is empty.
// Untried: the release is that of mii_stack_push.
static inline bool mii_stack_try_fill(handle_stack_t* stack, uint32_t handle) {
  uint64_t seen = atomic_load_explicit(&stack->top, memory_order_relaxed);
  return (uint32_t)seen == 0
         && atomic_compare_exchange_strong_explicit(&stack->top, &seen, next_top(seen, handle),
                                                    memory_order_release, memory_order_relaxed);
}

// Takes everything: the top handle, or 0. The caller walks the links.
static inline uint32_t mii_stack_take_all(handle_stack_t* stack) {
  uint64_t seen = atomic_load_explicit(&stack->top, memory_order_relaxed);
  while ((uint32_t)seen != 0
         && !atomic_compare_exchange_weak_explicit(&stack->top, &seen, next_top(seen, 0),
                                                   memory_order_acquire, memory_order_relaxed)) {}
  return (uint32_t)seen;
}

#endif
