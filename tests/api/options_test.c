// SPDX-License-Identifier: MIT
// options_test.c - options: numbers, defaults, setting, and what the environment says
//
// The environment is read at the start of a process, so those tests start this program again, with
// `child_main` instead of the tests.
#include "api_test.h"

#include <ctype.h>

// --- the table ---

#define ON_32_BITS(a, b) (sizeof(void*) == 4 ? (a) : (b))

static const struct option_row_s {
  mi_option_t option;
  int number;
  const char* name;
  long initial;
} option_rows[] = {
    {mi_option_show_errors, 0, "show_errors", MI_TEST_ASSERT_LEVEL > 0},
    {mi_option_show_stats, 1, "show_stats", 0},
    {mi_option_verbose, 2, "verbose", 0},
    {mi_option_deprecated_eager_commit, 3, "deprecated_eager_commit", 1},
    {mi_option_arena_eager_commit, 4, "arena_eager_commit", 2},
    {mi_option_purge_decommits, 5, "purge_decommits", 1},
    {mi_option_allow_large_os_pages, 6, "allow_large_os_pages", 0},
    {mi_option_reserve_huge_os_pages, 7, "reserve_huge_os_pages", 0},
    {mi_option_reserve_huge_os_pages_at, 8, "reserve_huge_os_pages_at", -1},
    {mi_option_reserve_os_memory, 9, "reserve_os_memory", 0},
    {mi_option_deprecated_segment_cache, 10, "deprecated_segment_cache", 0},
    {mi_option_deprecated_page_reset, 11, "deprecated_page_reset", 0},
    {mi_option_deprecated_abandoned_page_purge, 12, "deprecated_abandoned_page_purge", 0},
    {mi_option_deprecated_segment_reset, 13, "deprecated_segment_reset", 0},
    {mi_option_deprecated_eager_commit_delay, 14, "deprecated_eager_commit_delay", 1},
    {mi_option_purge_delay, 15, "purge_delay", 1000},
    {mi_option_use_numa_nodes, 16, "use_numa_nodes", 0},
    {mi_option_disallow_os_alloc, 17, "disallow_os_alloc", 0},
    {mi_option_os_tag, 18, "os_tag", 100},
    {mi_option_max_errors, 19, "max_errors", 32},
    {mi_option_max_warnings, 20, "max_warnings", 32},
    {mi_option_deprecated_max_segment_reclaim, 21, "deprecated_max_segment_reclaim", 10},
    {mi_option_destroy_on_exit, 22, "destroy_on_exit", 0},
    {mi_option_arena_reserve, 23, "arena_reserve", ON_32_BITS(128, 1024) * 1024L},
    {mi_option_arena_purge_mult, 24, "arena_purge_mult", 1},
    {mi_option_deprecated_purge_extend_delay, 25, "deprecated_purge_extend_delay", 1},
    {mi_option_disallow_arena_alloc, 26, "disallow_arena_alloc", 0},
    {mi_option_retry_on_oom, 27, "retry_on_oom", 400},
    {mi_option_visit_abandoned, 28, "visit_abandoned", 0},
    {mi_option_guarded_min, 29, "guarded_min", 0},
    {mi_option_guarded_max, 30, "guarded_max", 1024L * 1024 * 1024},
    {mi_option_guarded_precise, 31, "guarded_precise", 0},
    {mi_option_guarded_sample_rate, 32, "guarded_sample_rate", 0},
    {mi_option_guarded_sample_seed, 33, "guarded_sample_seed", 0},
    {mi_option_generic_collect, 34, "generic_collect", 10000},
    {mi_option_page_reclaim_on_free, 35, "page_reclaim_on_free", 0},
    {mi_option_page_full_retain, 36, "page_full_retain", 2},
    {mi_option_page_max_candidates, 37, "page_max_candidates", 4},
    {mi_option_max_vabits, 38, "max_vabits", 0},
    {mi_option_pagemap_commit, 39, "pagemap_commit", 0},
    {mi_option_page_commit_on_demand, 40, "page_commit_on_demand", 0},
    {mi_option_page_max_reclaim, 41, "page_max_reclaim", -1},
    {mi_option_page_cross_thread_max_reclaim, 42, "page_cross_thread_max_reclaim", 32},
    {mi_option_allow_thp, 43, "allow_thp", 1},
    {mi_option_minimal_purge_size, 44, "minimal_purge_size", 0},
    {mi_option_arena_max_object_size, 45, "arena_max_object_size", ON_32_BITS(256, 2048) * 1024L},
    {mi_option_arena_is_numa_local, 46, "arena_is_numa_local", 0},
    {mi_option_purge_thread, 47, "purge_thread", 1},  // ours
    {mi_option_secure, 48, "secure", MI_TEST_SECURE ? 4 : 0},
    {mi_option_secure_stop, 49, "secure_stop", 1},
    {mi_option_guarded_report, 50, "guarded_report", 0},
    {mi_option_limit_soft, 51, "limit_soft", 0},
    {mi_option_limit_hard, 52, "limit_hard", 0},
    {mi_option_cgroup_limit, 53, "cgroup_limit", 0},
    {mi_option_memory_pressure, 54, "memory_pressure", 0},
};

// Can it be set when the process runs?
static bool may_be_set(mi_option_t option) {
  const mi_option_t fixed[] = {mi_option_reserve_huge_os_pages,
                               mi_option_reserve_huge_os_pages_at,
                               mi_option_reserve_os_memory,
                               mi_option_use_numa_nodes,
                               mi_option_max_vabits,
                               mi_option_pagemap_commit,
                               mi_option_allow_thp,
                               mi_option_guarded_report,
                               mi_option_limit_soft,
                               mi_option_limit_hard,
                               mi_option_cgroup_limit,
                               mi_option_memory_pressure};
  for (size_t i = 0; i < COUNT_OF(fixed); i++) {
    if (fixed[i] == option) return false;
  }
  return true;
}

// --- in the child ---

static int print_options(void) {
  printf(
      "show_errors=%ld show_stats=%ld verbose=%ld purge_delay=%ld max_errors=%ld max_warnings=%ld\n",
      mi_option_get(mi_option_show_errors), mi_option_get(mi_option_show_stats),
      mi_option_get(mi_option_verbose), mi_option_get(mi_option_purge_delay),
      mi_option_get(mi_option_max_errors), mi_option_get(mi_option_max_warnings));
  return 0;
}

static int print_all_options(void) {
  for (size_t i = 0; i < COUNT_OF(option_rows); i++)
    printf("%s=%ld \n", option_rows[i].name, mi_option_get(option_rows[i].option));
  return 0;
}

static int print_sizes(void) {
  printf("reserve_os_memory=%ld arena_reserve=%ld minimal_purge_size=%ld bytes=%zu\n",
         mi_option_get(mi_option_reserve_os_memory), mi_option_get(mi_option_arena_reserve),
         mi_option_get(mi_option_minimal_purge_size),
         mi_option_get_size(mi_option_minimal_purge_size));
  return 0;
}

static int set_some(void) {
  mi_option_set(mi_option_os_tag, 102);
  mi_option_set(mi_option_allow_thp, 0);
  mi_option_set(mi_option_purge_delay, 5);
  return mi_option_get(mi_option_os_tag) != 102 || mi_option_get(mi_option_allow_thp) != 1;
}

static int make_errors(void) {
  for (int i = 0; i < 40; i++) {
    if (mi_malloc(opaque(TOO_LARGE)) != NULL) return 1;
  }
  return 0;
}

static int set_against_the_environment(void) {
  mi_option_set_default(mi_option_purge_delay, 11);
  mi_option_set(mi_option_max_errors, 12);
  return print_options();
}

static int allocate_a_little(void) {
  void* const p = mi_malloc(opaque(100));
  mi_free(p);
  return p == NULL;
}

static int print_arenas(void) {
  mi_arenas_print();
  return 0;
}

static int child_main(const char* what) {
  if (strcmp(what, "print") == 0) return print_options();
  if (strcmp(what, "print all") == 0) return print_all_options();
  if (strcmp(what, "print sizes") == 0) return print_sizes();
  if (strcmp(what, "set some") == 0) return set_some();
  if (strcmp(what, "errors") == 0) return make_errors();
  if (strcmp(what, "set") == 0) return set_against_the_environment();
  if (strcmp(what, "allocate") == 0) return allocate_a_little();
  if (strcmp(what, "arenas") == 0) return print_arenas();
  return 99;
}

// --- in the parent ---

extern char** environ;

enum { MOST_VARIABLES = 2000 };

// Start this program as a child with these variables and no other MIMALLOC ones; what it writes to
// standard output and error comes back in `text`, in lower case.
static void run_child(const char* what, const char* const variables[], char* text, size_t room) {
  static char* environment[MOST_VARIABLES + 10];
  size_t count = 0;
  for (char** v = environ; *v != NULL && count < MOST_VARIABLES; v++) {
    if (strncasecmp(*v, "MIMALLOC_", 9) != 0) environment[count++] = *v;
  }
  for (size_t i = 0; variables[i] != NULL; i++)
    environment[count++] = (char*)(uintptr_t)variables[i];
  environment[count] = NULL;

  int ends[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    char name[] = "options_test";
    char* const args[] = {name, (char*)(uintptr_t)what, NULL};
    execve("/proc/self/exe", args, environment);
    _exit(98);
  }
  close(ends[1]);
  size_t length = 0;
  ssize_t got = 0;
  while (length + 1 < room && (got = read(ends[0], text + length, room - 1 - length)) > 0)
    length += (size_t)got;
  text[length] = 0;
  close(ends[0]);
  for (size_t i = 0; i < length; i++) text[i] = (char)tolower((unsigned char)text[i]);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

#define RUN_CHILD(what, text, ...)                       \
  do {                                                   \
    const char* const variables_[] = {__VA_ARGS__};      \
    run_child((what), variables_, (text), sizeof(text)); \
  } while (0)

// "name=value " is what the child printed for the option.
static void assert_child_option(const char* text, const char* name, long value) {
  char want[64];
  snprintf(want, sizeof(want), "%s=%ld", name, value);
  const char* const at = strstr(text, want);
  if (at == NULL || isdigit((unsigned char)at[strlen(want)])) fail_msg("no %s in: %s", want, text);
}

static char text[64 * 1024];

static void option_numbers_are_those_of_mimalloc(void** state) {
  (void)state;
  assert_int_equal(COUNT_OF(option_rows), _mi_option_last);
  for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
    assert_int_equal(option_rows[i].option, i);
    assert_int_equal(option_rows[i].number, i);
  }
  assert_int_equal(mi_option_large_os_pages, 6);
  assert_int_equal(mi_option_eager_region_commit, 4);
  assert_int_equal(mi_option_reset_decommits, 5);
  assert_int_equal(mi_option_reset_delay, 15);
  assert_int_equal(mi_option_limit_os_alloc, 17);
  assert_int_equal(_mi_option_last, 55);
}

static void options_have_their_defaults(void** state) {
  (void)state;
  RUN_CHILD("print all", text, NULL);
  for (size_t i = 0; i < COUNT_OF(option_rows); i++)
    assert_child_option(text, option_rows[i].name, option_rows[i].initial);
}

static void every_option_can_be_set_by_its_environment_variable(void** state) {
  (void)state;
  for (size_t i = 3; i < COUNT_OF(option_rows); i++) {
    char variable[80];
    snprintf(variable, sizeof(variable), "MIMALLOC_%s=2", option_rows[i].name);
    RUN_CHILD("print all", text, variable, "MIMALLOC_SHOW_ERRORS=1", NULL);
    const mi_option_t option = option_rows[i].option;
    const bool is_size = option == mi_option_reserve_os_memory || option == mi_option_arena_reserve
                         || option == mi_option_minimal_purge_size
                         || option == mi_option_arena_max_object_size
                         || option == mi_option_limit_soft;
    if (option == mi_option_limit_hard) continue;  // the child would have no memory to print
    assert_child_option(text, option_rows[i].name, is_size ? 1 : 2);
    // Two huge OS pages are not always to be had, and two bytes are no arena.
    const size_t warnings = count_lines_with(text, "mimalloc: warning:");
    const bool may_warn = option == mi_option_reserve_huge_os_pages;
    if (!may_warn || warnings > 1)
      assert_int_equal(warnings, option == mi_option_reserve_os_memory);
  }
}

static int set_every_option(void) {
  for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
    const mi_option_t option = option_rows[i].option;
    const long before = mi_option_get(option);
    mi_option_set(option, before + 3);
    if (mi_option_get(option) != (may_be_set(option) ? before + 3 : before)) return (int)i + 1;
    mi_option_set(option, before);
  }
  return 0;
}

static void every_option_but_those_of_the_start_can_be_set(void** state) {
  (void)state;
  assert_int_equal(status_of_child(&set_every_option), 0);
}

static void sizes_have_units(void** state) {
  (void)state;
  RUN_CHILD("print sizes", text,
            sizeof(long) == 4 ? "MIMALLOC_RESERVE_OS_MEMORY=1GiB"
                              : "MIMALLOC_RESERVE_OS_MEMORY=3GiB",
            "mimalloc_arena_reserve=64m", "MIMALLOC_MINIMAL_PURGE_SIZE=5000", NULL);
  assert_child_option(text, "reserve_os_memory", (sizeof(long) == 4 ? 1 : 3) * 1024 * 1024);
  assert_child_option(text, "arena_reserve", 64 * 1024);
  assert_child_option(text, "minimal_purge_size", 5);
  assert_child_option(text, "bytes", 5 * 1024);
  RUN_CHILD("print sizes", text, "MIMALLOC_MINIMAL_PURGE_SIZE=5P", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_child_option(text, "minimal_purge_size", 0);
  assert_int_equal(count_lines_with(text, "has an invalid value: 5p"), 1);
}

static void memory_is_set_apart_at_the_start(void** state) {
  (void)state;
  if (sizeof(void*) == 4) skip();
  RUN_CHILD("arenas", text, "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(count_lines_with(text, "arena 0x"), 0);
  RUN_CHILD("arenas", text, "MIMALLOC_RESERVE_OS_MEMORY=64M", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(count_lines_with(text, "arena 0x"), 1);
  assert_int_equal(count_lines_with(text, ": 64 mib at 0x"), 1);
  RUN_CHILD("arenas", text, "MIMALLOC_RESERVE_OS_MEMORY=1M", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(count_lines_with(text, "an arena is too small: 1048576 bytes"), 1);
  RUN_CHILD("arenas", text, "MIMALLOC_RESERVE_HUGE_OS_PAGES=1", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(
      count_lines_with(text, "arena 0x") + count_lines_with(text, "no huge os page could"), 1);
}

static void an_option_without_effect_is_told_under_verbose(void** state) {
  (void)state;
  RUN_CHILD("set some", text, "MIMALLOC_OS_TAG=101", "MIMALLOC_SHOW_ERRORS=0", NULL);
  assert_string_equal(text, "");
  RUN_CHILD("set some", text, "MIMALLOC_OS_TAG=101", "MIMALLOC_VERBOSE=1", NULL);
  assert_int_equal(
      count_lines_with(text, "mimalloc: environment option mimalloc_os_tag has no effect"), 1);
  assert_int_equal(count_lines_with(text, "mimalloc: option os_tag has no effect: of macos"), 1);
  assert_int_equal(count_lines_with(text, "option 'os_tag': 101 (no effect: of macos only)"), 1);
  assert_int_equal(count_lines_with(text, "option purge_delay has no effect"), 0);
}

static void setting_an_option_of_the_start_too_late_gives_one_warning(void** state) {
  (void)state;
  RUN_CHILD("set some", text, "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(
      count_lines_with(text, "mimalloc: warning: option allow_thp is used at the start"), 1);
  assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
}

static void old_names_work_with_one_warning_each(void** state) {
  (void)state;
  static const struct {
    const char* old;
    const char* now;
  } cases[] = {
      {"eager_region_commit", "arena_eager_commit"},
      {"reset_decommits", "purge_decommits"},
      {"large_os_pages", "allow_large_os_pages"},
      {"reset_delay", "purge_delay"},
      {"decommit_delay", "purge_delay"},
      {"limit_os_alloc", "disallow_os_alloc"},
      {"abandoned_reclaim_on_free", "page_reclaim_on_free"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char variable[80];
    char warning[80];
    snprintf(variable, sizeof(variable), "MIMALLOC_%s=7", cases[i].old);
    snprintf(warning, sizeof(warning), "mimalloc_%s is deprecated: use", cases[i].old);
    RUN_CHILD("print all", text, variable, "MIMALLOC_SHOW_ERRORS=1", NULL);
    assert_child_option(text, cases[i].now, 7);
    assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
    assert_int_equal(count_lines_with(text, warning), 1);
  }
  static const char* const gone[] = {"page_reset", "segment_cache", "cache_reset", "eager_commit",
                                     "target_segments_per_thread"};
  for (size_t i = 0; i < COUNT_OF(gone); i++) {
    char variable[80];
    snprintf(variable, sizeof(variable), "MIMALLOC_%s=1", gone[i]);
    RUN_CHILD("allocate", text, variable, "MIMALLOC_SHOW_ERRORS=1", NULL);
    assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
    assert_int_equal(count_lines_with(text, "has no effect any more"), 1);
  }
}

static void set_is_what_get_returns(void** state) {
  (void)state;
  const long values[] = {0, 1, -1, 500, LONG_MAX, LONG_MIN};
  for (size_t i = 0; i < COUNT_OF(values); i++) {
    mi_option_set(mi_option_purge_delay, values[i]);
    assert_int_equal(mi_option_get(mi_option_purge_delay), values[i]);
    assert_int_equal(mi_option_get(mi_option_reset_delay), values[i]);
    assert_int_equal(mi_option_is_enabled(mi_option_purge_delay), values[i] != 0);
  }
  mi_option_set(mi_option_purge_delay, 1000);
}

static void enable_and_disable_set_one_and_zero(void** state) {
  (void)state;
  mi_option_enable(mi_option_show_stats);
  assert_int_equal(mi_option_get(mi_option_show_stats), 1);
  assert_true(mi_option_is_enabled(mi_option_show_stats));
  mi_option_disable(mi_option_show_stats);
  assert_int_equal(mi_option_get(mi_option_show_stats), 0);
  assert_false(mi_option_is_enabled(mi_option_show_stats));
  mi_option_set_enabled(mi_option_show_stats, true);
  assert_int_equal(mi_option_get(mi_option_show_stats), 1);
  mi_option_set_enabled(mi_option_show_stats, false);
  assert_int_equal(mi_option_get(mi_option_show_stats), 0);
}

static int defaults_can_be_changed(void) {
  mi_option_set_default(mi_option_max_warnings, 5);
  if (mi_option_get(mi_option_max_warnings) != 5) return 1;
  mi_option_set_default(mi_option_max_warnings, 6);
  if (mi_option_get(mi_option_max_warnings) != 6) return 2;
  mi_option_set(mi_option_max_warnings, 7);
  mi_option_set_default(mi_option_max_warnings, 8);
  if (mi_option_get(mi_option_max_warnings) != 7) return 3;
  return 0;
}

static void set_default_yields_to_set(void** state) {
  (void)state;
  assert_int_equal(status_of_child(&defaults_can_be_changed), 0);
}

static int enabled_defaults_can_be_changed(void) {
  mi_option_set_enabled_default(mi_option_max_errors, true);
  if (mi_option_get(mi_option_max_errors) != 1) return 1;
  mi_option_set_enabled_default(mi_option_max_errors, false);
  if (mi_option_get(mi_option_max_errors) != 0) return 2;
  mi_option_enable(mi_option_max_errors);
  mi_option_set_enabled_default(mi_option_max_errors, false);
  if (mi_option_get(mi_option_max_errors) != 1) return 3;
  return 0;
}

static void set_enabled_default_yields_to_set(void** state) {
  (void)state;
  assert_int_equal(status_of_child(&enabled_defaults_can_be_changed), 0);
}

static void get_clamp_keeps_the_value_between_the_bounds(void** state) {
  (void)state;
  mi_option_set(mi_option_purge_delay, 100);
  assert_int_equal(mi_option_get_clamp(mi_option_purge_delay, 0, 1000), 100);
  assert_int_equal(mi_option_get_clamp(mi_option_purge_delay, 200, 1000), 200);
  assert_int_equal(mi_option_get_clamp(mi_option_purge_delay, 0, 50), 50);
  assert_int_equal(mi_option_get_clamp(mi_option_purge_delay, 100, 100), 100);
  assert_int_equal(mi_option_get(mi_option_purge_delay), 100);
  mi_option_set(mi_option_purge_delay, 1000);
}

static void get_size_is_zero_for_negative_values(void** state) {
  (void)state;
  mi_option_set(mi_option_purge_delay, 123);
  assert_int_equal(mi_option_get_size(mi_option_purge_delay), 123);
  mi_option_set(mi_option_purge_delay, -1);
  assert_int_equal(mi_option_get_size(mi_option_purge_delay), 0);
  mi_option_set(mi_option_purge_delay, 1000);
}

static void an_option_that_does_not_exist_is_zero_and_cannot_be_set(void** state) {
  (void)state;
  const int numbers[] = {-1, _mi_option_last, _mi_option_last + 1, 1000, INT_MAX, INT_MIN};
  for (size_t i = 0; i < COUNT_OF(numbers); i++) {
    const mi_option_t option = (mi_option_t)(int)opaque((size_t)numbers[i]);
    mi_option_set(option, 77);
    mi_option_set_default(option, 77);
    mi_option_enable(option);
    assert_int_equal(mi_option_get(option), 0);
    assert_int_equal(mi_option_get_size(option), 0);
    assert_false(mi_option_is_enabled(option));
  }
}

// --- the environment ---

static void the_environment_sets_options(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_PURGE_DELAY=77", "MIMALLOC_MAX_ERRORS=-1",
            "MIMALLOC_MAX_WARNINGS=0", NULL);
  assert_child_option(text, "purge_delay", 77);
  assert_child_option(text, "max_errors", -1);
  assert_child_option(text, "max_warnings", 0);
}

static void letter_case_does_not_matter_in_the_environment(void** state) {
  (void)state;
  RUN_CHILD("print", text, "Mimalloc_Purge_Delay=78", "mimalloc_max_errors=9",
            "MIMALLOC_MAX_WARNINGS=oN", NULL);
  assert_child_option(text, "purge_delay", 78);
  assert_child_option(text, "max_errors", 9);
  assert_child_option(text, "max_warnings", 1);
}

static void words_are_one_or_zero(void** state) {
  (void)state;
  static const struct {
    const char* variable;
    long value;
  } cases[] = {
      {"MIMALLOC_MAX_ERRORS=1", 1},     {"MIMALLOC_MAX_ERRORS=TRUE", 1},
      {"MIMALLOC_MAX_ERRORS=yes", 1},   {"MIMALLOC_MAX_ERRORS=On", 1},
      {"MIMALLOC_MAX_ERRORS=", 1},      {"MIMALLOC_MAX_ERRORS=0", 0},
      {"MIMALLOC_MAX_ERRORS=false", 0}, {"MIMALLOC_MAX_ERRORS=NO", 0},
      {"MIMALLOC_MAX_ERRORS=off", 0},   {"MIMALLOC_MAX_ERRORS= 12", 12},
      {"MIMALLOC_MAX_ERRORS=+12", 12},  {"MIMALLOC_MAX_ERRORS=007", 7},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    RUN_CHILD("print", text, cases[i].variable, NULL);
    assert_child_option(text, "max_errors", cases[i].value);
  }
}

static void numbers_that_are_too_large_saturate(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_PURGE_DELAY=99999999999999999999999999", NULL);
  assert_child_option(text, "purge_delay", LONG_MAX);
}

static void an_invalid_value_is_ignored_with_a_warning(void** state) {
  (void)state;
  const char* const variables[] = {"MIMALLOC_PURGE_DELAY=10ms", "MIMALLOC_PURGE_DELAY=10K",
                                   "MIMALLOC_PURGE_DELAY=0x10", "MIMALLOC_PURGE_DELAY=maybe",
                                   "MIMALLOC_PURGE_DELAY=-"};
  for (size_t i = 0; i < COUNT_OF(variables); i++) {
    RUN_CHILD("print", text, variables[i], "MIMALLOC_SHOW_ERRORS=1", NULL);
    assert_child_option(text, "purge_delay", 1000);
    assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
    assert_int_equal(count_lines_with(text, "purge_delay has an invalid value"), 1);
  }
}

static void warnings_stay_silent_without_show_errors(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_PURGE_DELAY=10ms", "MIMALLOC_SHOW_ERRORS=0", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 0);
}

static void an_old_name_works_with_one_warning_that_tells_the_new_one(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_RESET_DELAY=55", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_child_option(text, "purge_delay", 55);
  assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
  assert_int_equal(count_lines_with(text, "deprecated"), 1);
  assert_int_equal(count_lines_with(text, "mimalloc_purge_delay"), 1);
}

static void the_new_name_wins_over_the_old_one(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_RESET_DELAY=55", "MIMALLOC_PURGE_DELAY=66", NULL);
  assert_child_option(text, "purge_delay", 66);
}

static void an_unknown_variable_gets_one_warning(void** state) {
  (void)state;
  RUN_CHILD("print", text, "MIMALLOC_NO_SUCH_OPTION=1", "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: warning:"), 1);
  assert_int_equal(count_lines_with(text, "mimalloc_no_such_option"), 1);
}

static void the_program_wins_over_the_environment_and_the_environment_over_defaults(void** state) {
  (void)state;
  RUN_CHILD("set", text, "MIMALLOC_PURGE_DELAY=77", "MIMALLOC_MAX_ERRORS=78", NULL);
  assert_child_option(text, "purge_delay", 77);
  assert_child_option(text, "max_errors", 12);
}

static void errors_are_shown_only_if_an_option_says_so(void** state) {
  (void)state;
  RUN_CHILD("errors", text, "MIMALLOC_SHOW_ERRORS=0", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 0);
  RUN_CHILD("errors", text, "MIMALLOC_SHOW_ERRORS=1", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 32);
}

static void max_errors_errors_are_shown(void** state) {
  (void)state;
  RUN_CHILD("errors", text, "MIMALLOC_SHOW_ERRORS=1", "MIMALLOC_MAX_ERRORS=3", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 3);
  RUN_CHILD("errors", text, "MIMALLOC_SHOW_ERRORS=1", "MIMALLOC_MAX_ERRORS=0", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 0);
}

static void verbose_or_a_negative_limit_shows_all_errors(void** state) {
  (void)state;
  RUN_CHILD("errors", text, "MIMALLOC_SHOW_ERRORS=1", "MIMALLOC_MAX_ERRORS=-1", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 40);
  RUN_CHILD("errors", text, "MIMALLOC_VERBOSE=1", "MIMALLOC_MAX_ERRORS=3", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: error:"), 40);
}

static void show_stats_prints_statistics_at_the_end(void** state) {
  (void)state;
  RUN_CHILD("allocate", text, "MIMALLOC_SHOW_ERRORS=0", NULL);
  assert_string_equal(text, "");
  RUN_CHILD("allocate", text, "MIMALLOC_SHOW_STATS=1", NULL);
  assert_true(strlen(text) > 20);
}

static void verbose_prints_the_options_and_statistics(void** state) {
  (void)state;
  RUN_CHILD("allocate", text, "MIMALLOC_VERBOSE=1", "MIMALLOC_PURGE_DELAY=4321", NULL);
  assert_int_equal(count_lines_with(text, "mimalloc: process init: 0x"), 1);
  assert_int_equal(count_lines_with(text, "option 'purge_delay': 4321"), 1);
  assert_int_equal(count_lines_with(text, "subproc 0"), 1);
  assert_int_equal(count_lines_with(text, "mimalloc: process done: 0x"), 1);
}

// --- printing ---

static void options_print_names_every_option_and_its_value(void** state) {
  (void)state;
  mi_option_set(mi_option_purge_delay, 98765);
  output_begin();
  mi_options_print();
  for (size_t i = 0; i < COUNT_OF(option_rows); i++) {
    char line[80];
    snprintf(line, sizeof(line), "option '%s': ", option_rows[i].name);
    if (count_lines_with(output.text, line) != 1) fail_msg("no %s in: %s", line, output.text);
  }
  assert_non_null(strstr(output.text, "98765"));
  assert_int_equal(output.text[output.length - 1], '\n');
  mi_register_output(NULL, NULL);
  mi_option_set(mi_option_purge_delay, 1000);
}

static void options_print_out_prints_to_the_given_function(void** state) {
  (void)state;
  mi_register_output(NULL, NULL);
  output_clear();
  mi_options_print_out(&note_output, &output);
  assert_non_null(strstr(output.text, "purge_delay"));
  output_begin();
  mi_options_print_out(NULL, NULL);  // to the registered one
  assert_non_null(strstr(output.text, "purge_delay"));
  mi_register_output(NULL, NULL);
}

int main(int argc, char** argv) {
  if (argc > 1) return child_main(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(option_numbers_are_those_of_mimalloc),
      cmocka_unit_test(options_have_their_defaults),
      cmocka_unit_test(every_option_can_be_set_by_its_environment_variable),
      cmocka_unit_test(every_option_but_those_of_the_start_can_be_set),
      cmocka_unit_test(sizes_have_units),
      cmocka_unit_test(memory_is_set_apart_at_the_start),
      cmocka_unit_test(an_option_without_effect_is_told_under_verbose),
      cmocka_unit_test(setting_an_option_of_the_start_too_late_gives_one_warning),
      cmocka_unit_test(old_names_work_with_one_warning_each),
      cmocka_unit_test(set_is_what_get_returns),
      cmocka_unit_test(enable_and_disable_set_one_and_zero),
      cmocka_unit_test(set_default_yields_to_set),
      cmocka_unit_test(set_enabled_default_yields_to_set),
      cmocka_unit_test(get_clamp_keeps_the_value_between_the_bounds),
      cmocka_unit_test(get_size_is_zero_for_negative_values),
      cmocka_unit_test(an_option_that_does_not_exist_is_zero_and_cannot_be_set),
      cmocka_unit_test(the_environment_sets_options),
      cmocka_unit_test(letter_case_does_not_matter_in_the_environment),
      cmocka_unit_test(words_are_one_or_zero),
      cmocka_unit_test(numbers_that_are_too_large_saturate),
      cmocka_unit_test(an_invalid_value_is_ignored_with_a_warning),
      cmocka_unit_test(warnings_stay_silent_without_show_errors),
      cmocka_unit_test(an_old_name_works_with_one_warning_that_tells_the_new_one),
      cmocka_unit_test(the_new_name_wins_over_the_old_one),
      cmocka_unit_test(an_unknown_variable_gets_one_warning),
      cmocka_unit_test(the_program_wins_over_the_environment_and_the_environment_over_defaults),
      cmocka_unit_test(errors_are_shown_only_if_an_option_says_so),
      cmocka_unit_test(max_errors_errors_are_shown),
      cmocka_unit_test(verbose_or_a_negative_limit_shows_all_errors),
      cmocka_unit_test(show_stats_prints_statistics_at_the_end),
      cmocka_unit_test(verbose_prints_the_options_and_statistics),
      cmocka_unit_test(options_print_names_every_option_and_its_value),
      cmocka_unit_test(options_print_out_prints_to_the_given_function),
  };
  return cmocka_run_group_tests_name("api/options", tests, be_silent, unregister_all);
}
