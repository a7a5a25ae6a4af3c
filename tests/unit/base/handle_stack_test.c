// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/handle_stack.h"
#include <pthread.h>

enum { HANDLES = 64 };

static handle_link_t links[HANDLES + 1];
static handle_stack_t stack;

// Runs once, when a link is asked for: the moment between reading the top and replacing it.
static void (*interruption)(void);

static handle_link_t* link_of(uint32_t handle) {
  CHECK(handle >= 1 && handle <= HANDLES);
  void (*const interrupt)(void) = interruption;
  interruption = NULL;
  if (interrupt != NULL) interrupt();
  return &links[handle];
}

static handle_link_t* plain_link_of(uint32_t handle) { return &links[handle]; }

static void push(uint32_t handle) { mii_stack_push(&stack, handle, link_of); }
static uint32_t pop(void) { return mii_stack_pop(&stack, link_of); }

TEST(a_new_stack_is_empty) {
  CHECK(mii_stack_is_empty(&stack));
  CHECK_EQ(pop(), 0);
  CHECK_EQ(mii_stack_take_all(&stack), 0);
}

TEST(what_was_pushed_last_is_popped_first) {
  for (uint32_t i = 1; i <= HANDLES; i++) push(i);
  CHECK(!mii_stack_is_empty(&stack));
  for (uint32_t i = HANDLES; i >= 1; i--) CHECK_EQ(pop(), i);
  CHECK(mii_stack_is_empty(&stack));
  CHECK_EQ(pop(), 0);
}

TEST(taking_all_leaves_the_links_to_walk) {
  for (uint32_t i = 1; i <= 5; i++) push(i);
  uint32_t handle = mii_stack_take_all(&stack);
  CHECK(mii_stack_is_empty(&stack));
  for (uint32_t i = 5; i >= 1; i--) {
    CHECK_EQ(handle, i);
    handle = atomic_load(&links[handle]);
  }
  CHECK_EQ(handle, 0);
  push(3);
  CHECK_EQ(pop(), 3);
  CHECK_EQ(pop(), 0);
}

// The stack is 3 2 1, somebody is about to replace top 3 by 2; then 3 and 2 are popped, and 3 comes back.
static void pop_two_push_one(void) {
  CHECK_EQ(pop(), 3);
  CHECK_EQ(pop(), 2);
  push(3);
}

TEST(a_top_that_came_back_is_not_taken_for_the_old_one) {
  for (uint32_t i = 1; i <= 3; i++) push(i);
  interruption = pop_two_push_one;
  CHECK_EQ(pop(), 3);
  CHECK_EQ(pop(), 1);  // with the old link it would be 2, which somebody else has
  CHECK_EQ(pop(), 0);
}

static void pop_one(void) { CHECK_EQ(pop(), 1); }
static void push_two(void) { push(2); }

TEST(a_push_that_is_interrupted_links_to_the_new_top) {
  push(1);
  interruption = push_two;
  push(3);
  CHECK_EQ(pop(), 3);
  CHECK_EQ(pop(), 2);
  CHECK_EQ(pop(), 1);
}

TEST(a_push_that_is_interrupted_by_the_last_pop_ends_the_list) {
  push(1);
  interruption = pop_one;
  push(3);
  CHECK_EQ(pop(), 3);
  CHECK_EQ(pop(), 0);
}

TEST(a_pop_that_is_interrupted_by_the_last_pop_returns_nothing) {
  push(1);
  interruption = pop_one;
  CHECK_EQ(pop(), 0);
}

enum { THREADS = 4, ROUNDS = 20000 };

static uint32_t holders[HANDLES + 1];  // plain: who pops a handle has it alone

static void* pop_and_push(void* arg) {
  random_t random = {(uintptr_t)arg};
  for (int n = 0; n < ROUNDS; n++) {
    if (random_below(&random, 100) == 0) {
      for (uint32_t h = mii_stack_take_all(&stack); h != 0;) {
        const uint32_t below = atomic_load_explicit(&links[h], memory_order_relaxed);
        CHECK_EQ(holders[h]++, 0);
        holders[h]--;
        mii_stack_push(&stack, h, plain_link_of);
        h = below;
      }
      continue;
    }
    uint32_t mine[8];
    uint32_t count = 0;
    while (count < 1 + random_below(&random, 8)) {
      const uint32_t h = mii_stack_pop(&stack, plain_link_of);
      if (h == 0) break;
      CHECK_EQ(holders[h]++, 0);
      mine[count++] = h;
    }
    while (count > 0) {
      const uint32_t h = mine[--count];
      CHECK_EQ(holders[h]--, 1);
      mii_stack_push(&stack, h, plain_link_of);
    }
  }
  return NULL;
}

TEST(threads_never_hold_the_same_handle_and_lose_none) {
  for (uint32_t i = 1; i <= HANDLES; i++) push(i);
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) {
    CHECK_EQ(pthread_create(&threads[i], NULL, pop_and_push, (void*)(i + 1)), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  uint64_t seen = 0;
  for (uint32_t i = 1; i <= HANDLES; i++) seen |= UINT64_C(1) << (pop() - 1);
  CHECK_EQ(seen, ~UINT64_C(0));
  CHECK_EQ(pop(), 0);
}

UNIT_TEST_MAIN
