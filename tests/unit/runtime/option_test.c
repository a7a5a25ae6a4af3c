// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "runtime/option.h"
#include "support/fake_platform.h"
#include <limits.h>

enum { NO_SUCH_OPTION = 1000 };

static void start_with_warnings(void) {
  mii_option_set(mi_option_show_errors, 1);
  mii_option_start(false);
  mii_option_warn();
}

// Parsing ----------------------------------------------------------------------------------------

static void check_parse(const char* text, long expected) {
  long value = 4711;
  if (!mii_option_parse(text, OPTION_NUMBER, &value)) unit_test_fail(__FILE__, __LINE__, text);
  CHECK_EQ(value, expected);
}

static void check_refused(const char* text) {
  long value = 4711;
  if (mii_option_parse(text, OPTION_NUMBER, &value)) unit_test_fail(__FILE__, __LINE__, text);
  CHECK_EQ(value, 4711);
}

TEST(words_for_on_and_off_in_any_case) {
  static const char* const on[] = {"", "1", "on", "On", "yes", "YES", "true", "tRuE"};
  static const char* const off[] = {"0", "off", "OFF", "no", "No", "false", "FALSE"};
  for (size_t i = 0; i < COUNT_OF(on); i++) check_parse(on[i], 1);
  for (size_t i = 0; i < COUNT_OF(off); i++) check_parse(off[i], 0);
}

TEST(numbers_are_decimal_with_a_sign) {
  check_parse("5000", 5000);
  check_parse("-1", -1);
  check_parse("+7", 7);
  check_parse("007", 7);
  check_parse("  \t12", 12);
  check_parse("-0", 0);
}

TEST(numbers_that_are_too_large_are_the_largest) {
  char text[24];
  for (unsigned long value = LONG_MAX - 3ul; value <= LONG_MAX + 3ul; value++) {
    snprintf(text, sizeof text, "%lu", value);
    check_parse(text, value <= LONG_MAX ? (long)value : LONG_MAX);
  }
  check_parse("9999999999999999999999999999", LONG_MAX);
  snprintf(text, sizeof text, "%ld", -LONG_MAX);
  check_parse(text, -LONG_MAX);
  long value = 0;
  CHECK(mii_option_parse("-9999999999999999999999999999", OPTION_NUMBER, &value));
  CHECK(value <= -LONG_MAX);
}

TEST(other_texts_are_refused_and_change_nothing) {
  static const char* const texts[] = {"maybe", "onn", "o",   "1x",  "x1", "1 ",  "1.5",  "0x10",
                                      "-",     "+",   "- 1", "+-1", " ",  "1,0", "yes ", "5000 ms"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) check_refused(texts[i]);
}

static void check_size(const char* text, long kib) {
  long value = 4711;
  if (!mii_option_parse(text, OPTION_SIZE, &value)) unit_test_fail(__FILE__, __LINE__, text);
  if (value != kib) unit_test_fail(__FILE__, __LINE__, text);
}

TEST(a_size_is_in_bytes_rounded_up_to_kib_or_has_a_unit) {
  check_size("0", 0);
  check_size("1", 1);
  check_size("on", 1);
  check_size("off", 0);
  check_size("1024", 1);
  check_size("1025", 2);
  check_size("64K", 64);
  check_size("64k", 64);
  check_size("64KB", 64);
  check_size(" 64kib", 64);
  check_size("3M", 3 * 1024);
  check_size("3MiB", 3 * 1024);
  check_size("1G", 1024 * 1024);
  check_size("1gb", 1024 * 1024);
  check_size("0T", 0);
  check_size("-5G", 0);
  check_size("-5", 0);
}

TEST(a_size_that_is_too_large_is_the_largest) {
  const long most = (long)(PTRDIFF_MAX / 1024);
  check_size("99999999999999999999999", LONG_MAX / 1024 + 1 < most ? LONG_MAX / 1024 + 1 : most);
  check_size("99999999999999999999999K", most);
  check_size("99999999999999999999999T", most);
  check_size("9000000000G", most);
}

TEST(other_units_are_refused) {
  static const char* const texts[] = {"K",  "1P",    "1 K",  "1KK",  "1iB",
                                      "1B", "1Kb/s", "1.5G", "0x1K", "1kbi"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    long value = 4711;
    if (mii_option_parse(texts[i], OPTION_SIZE, &value))
      unit_test_fail(__FILE__, __LINE__, texts[i]);
    CHECK_EQ(value, 4711);
  }
  check_refused("64K");
}

// The table --------------------------------------------------------------------------------------

TEST(a_percentage_has_a_sign_or_not_and_may_be_auto) {
  static const struct {
    const char* text;
    long value;
  } rows[] = {{"auto", 1}, {"AUTO", 1}, {"on", 1}, {"0", 0}, {"off", 0}, {"80", 80}, {"80%", 80}};
  static const char* const refused[] = {"80%%", "80 percent", "%", "half", "512M"};
  long value;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK(mii_option_parse(rows[i].text, OPTION_PERCENT, &value) && value == rows[i].value);
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    CHECK(!mii_option_parse(refused[i], OPTION_PERCENT, &value));
}

TEST(the_options_are_listed_in_the_order_of_their_numbers) {
  size_t count = 0;
  for (; mii_option_describe(count) != NULL; count++) {
    const option_description_t* const option = mii_option_describe(count);
    CHECK_EQ(option->option, count);
    CHECK(option->name != NULL);
    CHECK_EQ(mii_option_get(option->option), option->initial);
    if (count > 0) CHECK(mii_option_describe(count - 1)->option < option->option);
    for (const char* c = option->name; *c != '\0'; c++)
      CHECK(*c == '_' || (*c >= 'a' && *c <= 'z'));
  }
  CHECK_EQ(count, 55);  // 47 of mimalloc, 8 of ours
  CHECK(mii_option_describe(count + 1) == NULL);
  CHECK(mii_option_describe(SIZE_MAX) == NULL);
}

TEST(the_documented_initial_values) {
  CHECK_EQ(mii_option_get(mi_option_show_errors), MI_ASSERT_LEVEL > 0);
  CHECK_EQ(mii_option_get(mi_option_show_stats), 0);
  CHECK_EQ(mii_option_get(mi_option_verbose), 0);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1000);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 32);
  CHECK_EQ(mii_option_get(mi_option_max_warnings), 32);
}

TEST(numbers_that_are_no_option_are_0_and_stay_so) {
  static const int numbers[] = {-1, _mi_option_last, NO_SUCH_OPTION};
  for (size_t i = 0; i < COUNT_OF(numbers); i++) {
    const mi_option_t option = (mi_option_t)numbers[i];
    CHECK(!mii_option_set(option, 5));
    CHECK(!mii_option_set_default(option, 6));
    CHECK_EQ(mii_option_get(option), 0);
    CHECK_EQ(mii_option_get_size(option), 0);
    CHECK(!mii_option_is_on(option));
  }
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 32);
}

TEST(an_option_is_on_if_it_is_not_0) {
  mii_option_set(mi_option_verbose, 0);
  CHECK(!mii_option_is_on(mi_option_verbose));
  mii_option_set(mi_option_verbose, 2);
  CHECK(mii_option_is_on(mi_option_verbose));
  mii_option_set(mi_option_verbose, -1);
  CHECK(mii_option_is_on(mi_option_verbose));
}

TEST(a_size_option_counts_in_kib_and_is_asked_for_in_bytes) {
  CHECK_EQ(mii_option_get_size(mi_option_arena_reserve),
           (size_t)1024 * (size_t)mii_option_get(mi_option_arena_reserve));
  mii_option_set(mi_option_arena_reserve, 3);
  CHECK_EQ(mii_option_get_size(mi_option_arena_reserve), 3 * 1024);
  mii_option_set(mi_option_arena_reserve, -3);
  CHECK_EQ(mii_option_get_size(mi_option_arena_reserve), 0);
  mii_option_set(mi_option_arena_reserve, LONG_MAX);
  CHECK_EQ(mii_option_get_size(mi_option_arena_reserve), PTRDIFF_MAX);
  mii_option_set(mi_option_purge_delay, 3);
  CHECK_EQ(mii_option_get_size(mi_option_purge_delay), 3);
}

TEST(the_bounds_of_what_is_guarded_stay_in_order) {
  mii_option_set(mi_option_guarded_max, 100);
  CHECK_EQ(mii_option_get(mi_option_guarded_min), 0);
  mii_option_set(mi_option_guarded_min, 200);
  CHECK_EQ(mii_option_get(mi_option_guarded_max), 200);
  mii_option_set(mi_option_guarded_max, 50);
  CHECK_EQ(mii_option_get(mi_option_guarded_min), 50);
}

TEST(an_option_of_the_start_is_fixed_from_then_on) {
  CHECK(mii_option_set(mi_option_reserve_os_memory, 64));
  mii_option_fix();
  CHECK(!mii_option_set(mi_option_reserve_os_memory, 65));
  CHECK(!mii_option_set_default(mi_option_allow_thp, 0));
  CHECK_EQ(mii_option_get(mi_option_reserve_os_memory), 64);
  CHECK_EQ(mii_option_get(mi_option_allow_thp), 1);
  CHECK(mii_option_set(mi_option_purge_delay, 65));
}

// Who wins ---------------------------------------------------------------------------------------

TEST(the_environment_beats_the_table) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "77");
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1000);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 77);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 32);
  CHECK_TEXT(fake_output(), "");
}

TEST(the_environment_beats_the_programs_default_before_and_after) {
  fake_set_environment("mimalloc_purge_delay", "77");
  mii_option_set_default(mi_option_purge_delay, 5);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 5);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 77);
  mii_option_set_default(mi_option_purge_delay, 6);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 77);
}

TEST(the_program_beats_everything_before_and_after) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "77");
  fake_set_environment("MIMALLOC_MAX_ERRORS", "78");
  mii_option_set(mi_option_purge_delay, 5);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 5);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 78);
  mii_option_set(mi_option_max_errors, 9);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 9);
  mii_option_set_default(mi_option_max_errors, 10);
  CHECK_EQ(mii_option_get(mi_option_max_errors), 9);
}

TEST(the_programs_default_beats_the_table_and_may_change) {
  mii_option_set_default(mi_option_purge_delay, 5);
  mii_option_set_default(mi_option_purge_delay, 0);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 0);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 0);
}

// The environment --------------------------------------------------------------------------------

TEST(the_environment_is_read_once) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "1");
  mii_option_start(false);
  fake_set_environment("MIMALLOC_PURGE_DELAY", "2");
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1);
}

TEST(an_environment_that_is_not_there_yet_is_read_later) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "1");
  fake_have_environment(false);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1000);
  fake_have_environment(true);
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1);
}

TEST(a_privileged_process_ignores_the_environment) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "1");
  fake_set_environment("MIMALLOC_VERBOSE", "1");
  fake_set_environment("MIMALLOC_NONSENSE", "1");
  mii_option_start(true);
  mii_option_set(mi_option_show_errors, 1);
  mii_option_warn();
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1000);
  CHECK_EQ(mii_option_get(mi_option_verbose), 0);
  CHECK_TEXT(fake_output(), "");
}

TEST(an_old_name_is_read_when_the_new_one_is_absent) {
  fake_set_environment("MIMALLOC_RESET_DELAY", "12");
  start_with_warnings();
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 12);
  CHECK_HAS_TEXT(fake_output(), "warning: ");
  CHECK_HAS_TEXT(fake_output(),
                 "mimalloc_reset_delay is deprecated: use mimalloc_purge_delay instead\n");
}

TEST(the_new_name_beats_the_old_one) {
  fake_set_environment("MIMALLOC_RESET_DELAY", "12");
  fake_set_environment("MIMALLOC_PURGE_DELAY", "13");
  start_with_warnings();
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 13);
  CHECK_TEXT(fake_output(), "");
}

TEST(an_invalid_value_is_reported_and_ignored) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "soon");
  start_with_warnings();
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 1000);
  CHECK_HAS_TEXT(fake_output(), "mimalloc_purge_delay has an invalid value: soon\n");
}

TEST(warnings_about_the_environment_can_be_switched_off_by_it) {
  fake_set_environment("MIMALLOC_PURGE_DELAY", "soon");
  fake_set_environment("MIMALLOC_SHOW_ERRORS", "0");
  mii_option_start(false);
  mii_option_warn();
  CHECK_TEXT(fake_output(), "");
}

TEST(warnings_about_the_environment_can_be_switched_on_by_it) {
  fake_set_environment("MIMALLOC_SHOW_ERRORS", "yes");
  fake_set_environment("MIMALLOC_PURGE_DELAY", "soon");
  mii_option_start(false);
  CHECK_TEXT(fake_output(), "");  // the program cannot be called back yet
  mii_option_warn();
  CHECK_HAS_TEXT(fake_output(), "invalid value");
}

TEST(nothing_is_warned_of_before_the_environment_is_read) {
  fake_set_environment("MIMALLOC_NONSENSE", "1");
  mii_option_set(mi_option_show_errors, 1);
  mii_option_warn();
  CHECK_TEXT(fake_output(), "");
}

TEST(names_that_are_no_option_are_reported) {
  fake_set_environment("MIMALLOC_PURGE_DELAYS", "1");
  fake_set_environment("mimalloc_purge", "1");
  fake_set_environment("MIMALLOC", "1");
  fake_set_environment("XMIMALLOC_FOO", "1");
  fake_set_environment("MIMALLOC_VERY_LONG_NAME_THAT_GOES_ON_AND_ON_FOR_FIFTY_LETTERS", "1");
  start_with_warnings();
  CHECK_HAS_TEXT(fake_output(), "environment option mimalloc_purge_delays is not known\n");
  CHECK_HAS_TEXT(fake_output(), "environment option mimalloc_purge is not known\n");
  CHECK_HAS_TEXT(fake_output(), "mimalloc_very_long_name_that_goes_on_and_on");
  CHECK(strstr(fake_output(), "foo") == NULL);
  size_t lines = 0;
  for (const char* c = fake_output(); *c != '\0'; c++) lines += *c == '\n';
  CHECK_EQ(lines, 3);
}

TEST(names_that_are_an_option_are_not_reported) {
  fake_set_environment("MIMALLOC_RESET_DELAY", "1");
  fake_set_environment("MiMalloc_Show_Stats", "1");
  fake_set_environment("MIMALLOC_VERBOSE", "0");
  start_with_warnings();
  CHECK(strstr(fake_output(), "not known") == NULL);
  CHECK_EQ(mii_option_get(mi_option_show_stats), 1);
}

TEST(of_several_old_names_the_first_in_the_table_wins) {
  fake_set_environment("MIMALLOC_DECOMMIT_DELAY", "2");
  mii_option_start(false);
  CHECK_EQ(mii_option_get(mi_option_purge_delay), 2);
}

TEST(an_old_name_of_what_does_not_exist_any_more_is_told_so_once) {
  fake_set_environment("MIMALLOC_PAGE_RESET", "1");
  fake_set_environment("MIMALLOC_CACHE_RESET", "1");
  start_with_warnings();
  CHECK_HAS_TEXT(fake_output(), "mimalloc_page_reset has no effect any more\n");
  CHECK_HAS_TEXT(fake_output(), "mimalloc_cache_reset has no effect any more\n");
  size_t lines = 0;
  for (const char* c = fake_output(); *c != '\0'; c++) lines += *c == '\n';
  CHECK_EQ(lines, 2);
}

TEST(an_option_without_effect_says_so_only_if_verbose) {
  fake_set_environment("MIMALLOC_OS_TAG", "101");
  start_with_warnings();
  CHECK_TEXT(fake_output(), "");
  CHECK_EQ(mii_option_get(mi_option_os_tag), 101);
  mii_option_set(mi_option_verbose, 1);
  mii_option_warn();
  CHECK_TEXT(fake_output(),
             "mimalloc: environment option mimalloc_os_tag has no effect: of macOS only\n");
}

UNIT_TEST_MAIN
