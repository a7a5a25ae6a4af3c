// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/config.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "support/fake_platform.h"
#include <errno.h>
#include <pthread.h>

static size_t count_of(const char* needle) {
  size_t count = 0;
  for (const char* at = fake_output(); (at = strstr(at, needle)) != NULL; at++) count++;
  return count;
}

static void start(long show_errors) {
  mii_report_set_main_thread();
  mii_option_set(mi_option_show_errors, show_errors);
}

// The program's functions: note their arguments, and that they are not called under the lock.
static char heard[1024];
static void* heard_arg;
static void listen(const char* text, void* arg) {
  CHECK(mii_lock_try(&mii_report_lock));
  mii_lock_give(&mii_report_lock);
  snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s", text);
  heard_arg = arg;
}

static int error_calls, error_code;
static void* error_arg;
static void note_error(int code, void* arg) {
  CHECK(mii_lock_try(&mii_report_lock));
  mii_lock_give(&mii_report_lock);
  error_calls++;
  error_code = code;
  error_arg = arg;
}

TEST(errors_and_warnings_are_written_to_the_standard_error) {
  start(1);
  mii_error(EINVAL, "bad %s %d\n", "thing", 7);
  CHECK_TEXT(fake_output(), "mimalloc: error: bad thing 7\n");
  CHECK_EQ(fake_output_descriptor(), 2);
  fake_output_clear();
  mii_warn("odd %zu\n", (size_t)8);
  CHECK_TEXT(fake_output(), "mimalloc: warning: odd 8\n");
}

TEST(a_message_is_one_line_whatever_text_it_holds) {
  char text[2000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  start(1);
  mii_warn("odd %s\n", text);
  const size_t length = strlen(fake_output());
  CHECK_EQ(length, 511);
  CHECK_EQ(fake_output()[length - 1], '\n');
  fake_output_clear();
  mii_error(EINVAL, "bad %s\n", "a\nb\x1b[0m\tc\x7f");
  CHECK_TEXT(fake_output(), "mimalloc: error: bad a?b?[0m?c?\n");
  fake_output_clear();
  mii_option_set(mi_option_verbose, 1);
  mii_verbose("note %s\n", text);
  CHECK_EQ(fake_output()[strlen(fake_output()) - 1], '\n');
}

TEST(what_is_no_error_is_shown_if_verbose) {
  start(1);
  mii_verbose("note %d\n", 1);
  CHECK_TEXT(fake_output(), "");
  mii_option_set(mi_option_verbose, 1);
  mii_verbose("note %d\n", 2);
  CHECK_TEXT(fake_output(), "mimalloc: note 2\n");
}

TEST(nothing_is_written_when_show_errors_is_off) {
  start(0);
  mii_error(EINVAL, "bad\n");
  mii_warn("odd\n");
  CHECK_TEXT(fake_output(), "");
}

TEST(verbose_shows_everything) {
  start(0);
  mii_option_set(mi_option_verbose, 1);
  mii_option_set(mi_option_max_errors, 1);
  mii_option_set(mi_option_max_warnings, 1);
  for (int i = 0; i < 3; i++) {
    mii_error(EINVAL, "bad\n");
    mii_warn("odd\n");
  }
  CHECK_EQ(count_of("bad"), 3);
  CHECK_EQ(count_of("odd"), 3);
}

TEST(errors_and_warnings_have_their_own_limits) {
  start(1);
  mii_option_set(mi_option_max_errors, 2);
  mii_option_set(mi_option_max_warnings, 3);
  for (int i = 0; i < 10; i++) {
    mii_error(EINVAL, "bad\n");
    mii_warn("odd\n");
  }
  CHECK_EQ(count_of("bad"), 2);
  CHECK_EQ(count_of("odd"), 3);
}

TEST(a_limit_of_0_shows_none_and_a_negative_one_all) {
  start(1);
  mii_option_set(mi_option_max_errors, 0);
  mii_option_set(mi_option_max_warnings, -1);
  for (int i = 0; i < 100; i++) {
    mii_error(EINVAL, "bad\n");
    mii_warn("odd\n");
  }
  CHECK_EQ(count_of("bad"), 0);
  CHECK_EQ(count_of("odd"), 100);
}

TEST(messages_go_to_the_programs_output_function) {
  start(1);
  mii_report_set_output(listen, &heard);
  mii_error(EINVAL, "bad\n");
  CHECK_TEXT(heard, "mimalloc: error: bad\n");
  CHECK_EQ(heard_arg, &heard);
  CHECK_TEXT(fake_output(), "");
  mii_report_set_output(NULL, NULL);
  mii_error(EINVAL, "worse\n");
  CHECK_TEXT(heard, "mimalloc: error: bad\n");
  CHECK_TEXT(fake_output(), "mimalloc: error: worse\n");
}

TEST(the_first_output_function_hears_what_was_said_before) {
  start(1);
  mii_error(EINVAL, "bad\n");
  mii_warn("odd\n");
  mii_report_set_output(NULL, NULL);  // none yet
  mii_report_set_output(listen, &error_arg);
  CHECK_TEXT(heard, "mimalloc: error: bad\nmimalloc: warning: odd\n");
  CHECK_EQ(heard_arg, &error_arg);
  heard[0] = '\0';
  mii_report_set_output(NULL, NULL);
  mii_warn("late\n");
  mii_report_set_output(listen, NULL);
  CHECK_TEXT(heard, "");
}

static size_t early_bytes, early_calls;
static void measure(const char* text, void* arg) {
  (void)arg;
  early_bytes += strlen(text);
  early_calls++;
}

TEST(what_was_said_before_is_kept_up_to_16_kib) {
  for (int i = 0; i < 1000; i++) mii_print(NULL, NULL, "%099d\n", i);
  mii_report_set_output(measure, NULL);
  CHECK_EQ(early_calls, 1);
  CHECK(early_bytes <= 16 * KiB && early_bytes > 16 * KiB - 101);
  CHECK_EQ(early_bytes % 100, 0);
}

TEST(the_error_function_is_called_also_when_nothing_is_shown) {
  start(0);
  mii_report_set_error(note_error, &heard);
  mii_error(ENOMEM, "none left\n");
  CHECK_EQ(error_calls, 1);
  CHECK_EQ(error_code, ENOMEM);
  CHECK_EQ(error_arg, &heard);
  mii_misuse(EFAULT, "not ours\n");
  CHECK_EQ(error_calls, 2);
  CHECK_EQ(error_code, EFAULT);
  mii_warn("odd\n");
  CHECK_EQ(error_calls, 2);
  mii_report_set_error(NULL, NULL);
  mii_error(ENOMEM, "none left\n");
  CHECK_EQ(error_calls, 2);
}

static void error_again(int code, void* arg) {
  (void)arg;
  if (++error_calls < 3) mii_error(code, "again\n");
}

TEST(the_error_function_may_cause_errors) {
  start(1);
  mii_report_set_error(error_again, NULL);
  mii_error(EINVAL, "first\n");
  CHECK_EQ(error_calls, 3);
  CHECK_EQ(count_of("again"), 2);
}

TEST(long_messages_are_cut) {
  start(1);
  char text[2000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  mii_error(EINVAL, "%s\n", text);
  const size_t length = strlen(fake_output());
  CHECK(length > 400 && length < 600);
  fake_output_clear();
  mii_print(NULL, NULL, "%s", text);
  CHECK_EQ(strlen(fake_output()), 511);
}

TEST(printing_takes_the_given_function_before_the_registered_one) {
  mii_report_set_output(measure, NULL);
  mii_print(listen, &heard, "%d apples\n", 3);
  CHECK_TEXT(heard, "3 apples\n");
  CHECK_EQ(heard_arg, &heard);
  CHECK_EQ(early_calls, 0);
  mii_print(NULL, &heard, "pears\n");
  CHECK_EQ(early_calls, 1);
  CHECK_TEXT(fake_output(), "");
}

TEST(printing_asks_no_option) {
  start(0);
  mii_option_set(mi_option_max_errors, 0);
  mii_print(NULL, NULL, "text\n");
  CHECK_TEXT(fake_output(), "text\n");
}

TEST(a_kept_standard_error_is_written_to) {
  mii_report_keep_stderr();
  mii_print(NULL, NULL, "text\n");
  CHECK_EQ(fake_output_descriptor(), FAKE_KEPT_STDERR);
}

static void* err_in_another_thread(void* arg) {
  CHECK(!mii_error_hush());  // one at a time
  mii_error(ENOMEM, "here\n");
  return arg;
}

TEST(a_hushed_thread_reports_no_errors_and_the_others_do) {
  pthread_t thread;
  start(1);
  mii_report_set_error(note_error, NULL);
  CHECK(mii_error_hush());
  mii_error(ENOMEM, "not here\n");
  CHECK_EQ(error_calls, 0);
  CHECK_TEXT(fake_output(), "");
  CHECK_EQ(pthread_create(&thread, NULL, err_in_another_thread, NULL), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(error_calls, 1);
  mii_error_unhush();
  mii_error(EINVAL, "again\n");
  CHECK_EQ(error_calls, 2);
}

static void* warn_from_here(void* arg) {
  mii_warn("odd\n");
  return arg;
}

TEST(messages_of_other_threads_say_so) {
  start(1);
  pthread_t thread;
  pthread_create(&thread, NULL, warn_from_here, NULL);
  pthread_join(thread, NULL);
  CHECK_HAS_TEXT(fake_output(), "mimalloc: warning: thread 0x");
  CHECK_HAS_TEXT(fake_output(), ": odd\n");
}

static void misuse(void* handled) {
  if (handled != NULL) mii_report_set_error(note_error, NULL);
  mii_misuse(EFAULT, "not ours\n");
  CHECK_EQ(count_of("not ours"), MI_CFG_SECURE && handled == NULL);
}

TEST(misuse_stops_a_secure_build_unless_the_program_handles_it) {
  start(0);
  CHECK(!stops_the_process(misuse, &heard));
  CHECK_EQ(status_of_child(misuse, NULL), MI_CFG_SECURE ? 128 + SIGABRT : 0);
}

TEST(misuse_is_an_error_that_counts) {
  start(1);
  mii_report_set_error(note_error, NULL);
  mii_option_set(mi_option_max_errors, 1);
  for (int i = 0; i < 3; i++) mii_misuse(EFAULT, "not ours %p\n", (void*)heard);
  CHECK_EQ(count_of("mimalloc: error: not ours 0x"), 1);
  CHECK_EQ(error_calls, 3);
}

UNIT_TEST_MAIN
