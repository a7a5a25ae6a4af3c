// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/assert.h"

static char messages[4096];

// Runs body in a child and catches what it writes to the standard error. Returns how it ended.
static int run_and_listen(void (*body)(void* arg), void* arg) {
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  const int before = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  const int status = status_of_child(body, arg);
  dup2(before, STDERR_FILENO);
  size_t length = 0;
  for (ssize_t n = 1; n > 0 && length < sizeof messages - 1; length += (size_t)(n > 0 ? n : 0)) {
    n = read(ends[0], messages + length, sizeof messages - 1 - length);
  }
  messages[length] = '\0';
  return status;
}

static void assert_that(void* arg) { MI_ASSERT(arg != NULL); }
static void assert_valid(void* arg) { MI_ASSERT_VALID(arg != NULL); }
static void claim_that(void* arg) { CHECK_EQ(MI_HOLDS(arg != NULL), arg != NULL); }

static int here;

TEST(what_holds_is_silent) {
  CHECK_EQ(run_and_listen(assert_that, &here), 0);
  CHECK_TEXT(messages, "");
  CHECK_EQ(run_and_listen(assert_valid, &here), 0);
  CHECK_TEXT(messages, "");
  CHECK_EQ(run_and_listen(claim_that, &here), 0);
  CHECK_TEXT(messages, "");
}

TEST(a_failed_assertion_says_what_broke_and_aborts) {
  const bool on = MI_ASSERT_LEVEL >= 1;
  CHECK_EQ(run_and_listen(assert_that, NULL), on ? 128 + SIGABRT : 0);
  CHECK_HAS_TEXT(messages, on ? "assertion failed" : "");
  CHECK_HAS_TEXT(messages, on ? "assert_test.c" : "");
  CHECK_HAS_TEXT(messages, on ? "arg != " : "");
}

TEST(validators_are_asserted_at_level_2_only) {
  CHECK_EQ(run_and_listen(assert_valid, NULL), MI_ASSERT_LEVEL >= 2 ? 128 + SIGABRT : 0);
}

TEST(a_broken_clause_is_named_and_is_false) {
  CHECK_EQ(run_and_listen(claim_that, NULL), 0);
  CHECK_HAS_TEXT(messages, MI_ASSERT_LEVEL >= 1 ? "broken" : "");
  CHECK_HAS_TEXT(messages, MI_ASSERT_LEVEL >= 1 ? "arg != " : "");
}

static int evaluations;
static bool evaluate(void) {
  evaluations++;
  return true;
}

TEST(an_assertion_that_is_off_evaluates_nothing) {
  MI_ASSERT(evaluate());
  MI_ASSERT_VALID(evaluate());
  CHECK_EQ(evaluations, MI_ASSERT_LEVEL);
}

UNIT_TEST_MAIN
