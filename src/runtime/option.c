// SPDX-License-Identifier: MIT
// option.c - the option table
//
// A value comes, weakest first, from the table, mii_option_set_default, the environment, and
// mii_option_set. Options are plain numbers that any thread may read at any time.
//
// The table begins with all the options of mimalloc 3, so that every program and every environment written for it
// is understood. Where we have no such mechanism, the table says why the option has no effect.
//
// Tests: tests/unit/runtime/option_test.c, tests/api/options_test.c
#include "runtime/option.h"
#include "base/config.h"
#include "base/format.h"
#include "base/compiler.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include <limits.h>
#include <stdatomic.h>

enum { KIB_PER_GIB = 1024 * 1024, IS_32_BIT = sizeof(void*) == 4 };

#define MI_ROW(name, initial, kind, fixed, why) \
  [mi_option_##name] = {mi_option_##name, #name, (initial), kind, fixed, why}
#define MI_OPTION(name, initial)               MI_ROW(name, initial, OPTION_NUMBER, false, NULL)
#define MI_START_OPTION(name, initial)         MI_ROW(name, initial, OPTION_NUMBER, true, NULL)
#define MI_START_SIZE(name, initial)           MI_ROW(name, initial, OPTION_SIZE, true, NULL)
#define MI_START_PERCENT(name, initial)        MI_ROW(name, initial, OPTION_PERCENT, true, NULL)
#define MI_NO_OPTION(name, initial, why)       MI_ROW(name, initial, OPTION_NUMBER, false, why)
#define MI_NO_START_OPTION(name, initial, why) MI_ROW(name, initial, OPTION_NUMBER, true, why)
#define MI_NO_SIZE(name, initial, why)         MI_ROW(name, initial, OPTION_SIZE, false, why)

static const char unused_by_all[] = "mimalloc 3 does not use it either";
static const char no_arenas[] = "there is one range of addresses, opened in steps";
static const char no_numa[] = "memory is placed where a thread first touches it";
static const char no_count[] = "the number of pages that a thread keeps is adapted";

static const option_description_t table[_mi_option_last] = {
    MI_OPTION(show_errors, MI_CFG_SHOW_ERRORS || MI_ASSERT_LEVEL > 0),
    MI_OPTION(show_stats, 0),
    MI_OPTION(verbose, 0),
    MI_NO_OPTION(deprecated_eager_commit, 1, unused_by_all),
    MI_NO_OPTION(arena_eager_commit, 2, no_arenas),
    MI_NO_OPTION(purge_decommits, 1, "purged memory always goes back at once"),
    MI_OPTION(allow_large_os_pages, 0),
    MI_START_OPTION(reserve_huge_os_pages, 0),
    MI_START_OPTION(reserve_huge_os_pages_at, -1),
    MI_START_SIZE(reserve_os_memory, 0),
    MI_NO_OPTION(deprecated_segment_cache, 0, unused_by_all),
    MI_NO_OPTION(deprecated_page_reset, 0, unused_by_all),
    MI_NO_OPTION(deprecated_abandoned_page_purge, 0, unused_by_all),
    MI_NO_OPTION(deprecated_segment_reset, 0, unused_by_all),
    MI_NO_OPTION(deprecated_eager_commit_delay, 1, unused_by_all),
    MI_OPTION(purge_delay, 1000),
    MI_NO_START_OPTION(use_numa_nodes, 0, no_numa),
    MI_NO_OPTION(disallow_os_alloc, 0, no_arenas),
    MI_NO_OPTION(os_tag, 100, "of macOS only"),
    MI_OPTION(max_errors, 32),
    MI_OPTION(max_warnings, 32),
    MI_NO_OPTION(deprecated_max_segment_reclaim, 10, unused_by_all),
    MI_NO_OPTION(destroy_on_exit, 0, "the system takes all memory at the end of the process"),
    MI_NO_SIZE(arena_reserve, IS_32_BIT ? KIB_PER_GIB / 8 : KIB_PER_GIB, no_arenas),
    MI_NO_OPTION(arena_purge_mult, 1, no_arenas),
    MI_NO_OPTION(deprecated_purge_extend_delay, 1, unused_by_all),
    MI_NO_OPTION(disallow_arena_alloc, 0, no_arenas),
    MI_NO_OPTION(retry_on_oom, 400, "of Windows only"),
    MI_NO_OPTION(visit_abandoned, 0, "abandoned blocks can always be visited"),
    MI_OPTION(guarded_min, 0),
    MI_OPTION(guarded_max, 1024L * 1024 * 1024),
    MI_OPTION(guarded_precise, 0),
    MI_OPTION(guarded_sample_rate, 0),
    MI_OPTION(guarded_sample_seed, 0),
    MI_NO_OPTION(generic_collect, 10000, "every 64th slow path tidies up a little"),
    MI_NO_OPTION(page_reclaim_on_free, 0,
                 "pages without a thread are taken when blocks are needed"),
    MI_NO_OPTION(page_full_retain, 2, no_count),
    MI_NO_OPTION(page_max_candidates, 4, "two pages are compared"),
    MI_NO_START_OPTION(max_vabits, 0, "no table depends on the width of addresses"),
    MI_NO_START_OPTION(pagemap_commit, 0, "any pointer can always be checked"),
    MI_NO_OPTION(page_commit_on_demand, 0, "pages are always touched 4 KiB at a time"),
    MI_NO_OPTION(page_max_reclaim, -1, no_count),
    MI_NO_OPTION(page_cross_thread_max_reclaim, 32, no_count),
    MI_START_OPTION(allow_thp, 1),
    MI_NO_SIZE(minimal_purge_size, 0, "whole free slices are purged, 64 KiB"),
    MI_NO_SIZE(arena_max_object_size, IS_32_BIT ? KIB_PER_GIB / 4 : 2 * KIB_PER_GIB, no_arenas),
    MI_NO_OPTION(arena_is_numa_local, 0, no_numa),
    MI_OPTION(purge_thread, 1),
    MI_OPTION(secure, MI_CFG_SECURE ? 4 : 0),
    MI_OPTION(secure_stop, 1),
    MI_START_OPTION(guarded_report, 0),
    MI_START_SIZE(limit_soft, 0),
    MI_START_SIZE(limit_hard, 0),
    MI_START_PERCENT(cgroup_limit, 0),
    MI_START_OPTION(memory_pressure, 0),
};
enum { OPTION_COUNT = _mi_option_last };

// Names of older versions. _mi_option_last: what the option was about does not exist any more.
typedef struct old_name_s {
  const char* name;
  mi_option_t option;
} old_name_t;

static const old_name_t old_names[] = {
    {"eager_region_commit", mi_option_arena_eager_commit},
    {"reset_decommits", mi_option_purge_decommits},
    {"large_os_pages", mi_option_allow_large_os_pages},
    {"reset_delay", mi_option_purge_delay},
    {"decommit_delay", mi_option_purge_delay},
    {"limit_os_alloc", mi_option_disallow_os_alloc},
    {"abandoned_reclaim_on_free", mi_option_page_reclaim_on_free},
    {"decommit_extend_delay", mi_option_deprecated_purge_extend_delay},
    {"purge_extend_delay", mi_option_deprecated_purge_extend_delay},
    {"eager_commit", mi_option_deprecated_eager_commit},
    {"eager_commit_delay", mi_option_deprecated_eager_commit_delay},
    {"segment_cache", mi_option_deprecated_segment_cache},
    {"segment_reset", mi_option_deprecated_segment_reset},
    {"page_reset", mi_option_deprecated_page_reset},
    {"abandoned_page_purge", mi_option_deprecated_abandoned_page_purge},
    {"abandoned_page_reset", mi_option_deprecated_abandoned_page_purge},
    {"max_segment_reclaim", mi_option_deprecated_max_segment_reclaim},
    {"cache_reset", _mi_option_last},
    {"allow_decommit", _mi_option_last},
    {"segment_decommit_delay", _mi_option_last},
    {"target_segments_per_thread", _mi_option_last},
};
enum { OLD_NAME_COUNT = sizeof old_names / sizeof old_names[0] };

typedef enum value_source_e {
  FROM_TABLE,
  FROM_DEFAULT,
  FROM_ENVIRONMENT,
  FROM_PROGRAM
} value_source_t;

static struct option_value_s {
  _Atomic(long) value;      // atomic: relaxed, a number of its own
  _Atomic(uint8_t) source;  // atomic: a value_source_t; release after the value, acquire before it
} values[OPTION_COUNT];

static _Atomic(bool) is_fixed;  // atomic: relaxed; set once

static bool is_option(mi_option_t option) { return (size_t)option < OPTION_COUNT; }

static value_source_t source_of(size_t place) {
  return (value_source_t)atomic_load_explicit(&values[place].source, memory_order_acquire);
}

long mii_option_get(mi_option_t option) {
  if (!is_option(option)) return 0;
  if (source_of(option) == FROM_TABLE) return table[option].initial;
  return atomic_load_explicit(&values[option].value, memory_order_relaxed);
}

bool mii_option_is_on(mi_option_t option) { return mii_option_get(option) != 0; }

size_t mii_option_get_size(mi_option_t option) {
  const long value = mii_option_get(option);
  if (value <= 0) return 0;
  const size_t unit = table[option].kind == OPTION_SIZE ? 1024 : 1;
  return (size_t)value > PTRDIFF_MAX / unit ? PTRDIFF_MAX : (size_t)value * unit;
}

static void store_alone(size_t place, long value, value_source_t source) {
  atomic_store_explicit(&values[place].value, value, memory_order_relaxed);
  atomic_store_explicit(&values[place].source, (uint8_t)source, memory_order_release);
}

// The bounds of what is guarded pull each other along.
static void store(mi_option_t option, long value, value_source_t source) {
  store_alone(option, value, source);
  if (option == mi_option_guarded_min && mii_option_get(mi_option_guarded_max) < value)
    store_alone(mi_option_guarded_max, value, source);
  if (option == mi_option_guarded_max && mii_option_get(mi_option_guarded_min) > value)
    store_alone(mi_option_guarded_min, value, source);
}

void mii_option_fix(void) { atomic_store_explicit(&is_fixed, true, memory_order_relaxed); }

static bool may_be_set(mi_option_t option) {
  if (!is_option(option)) return false;
  return !table[option].is_fixed || !atomic_load_explicit(&is_fixed, memory_order_relaxed);
}

bool mii_option_set(mi_option_t option, long value) {
  if (!may_be_set(option)) return false;
  store(option, value, FROM_PROGRAM);
  return true;
}

bool mii_option_set_default(mi_option_t option, long value) {
  if (!may_be_set(option)) return false;
  if (source_of(option) <= FROM_DEFAULT) store(option, value, FROM_DEFAULT);
  return true;
}

const option_description_t* mii_option_describe(size_t index) {
  return index < OPTION_COUNT ? &table[index] : NULL;
}

// Parsing ----------------------------------------------------------------------------------------

static bool is_name(const char* text, const char* name) {
  const char* const end = mii_match_name(text, name);
  return end != NULL && *end == '\0';
}

// The first four say no.
static bool parse_word(const char* text, long* value) {
  static const char* const words[] = {"0", "false", "no", "off", "", "1", "true", "yes", "on"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (is_name(text, words[i])) return *value = i >= 4, true;
  }
  return false;
}

// Decimal, sign allowed; saturates. What is behind it goes to *rest; false if there is no number.
static bool parse_digits(const char* text, long* value, const char** rest) {
  while (*text == ' ' || *text == '\t') text++;
  const bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  if (*text < '0' || *text > '9') return false;
  long n = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    const int digit = *text - '0';
    if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n)) n = LONG_MAX;
  }
  *value = negative ? -n : n;
  *rest = text;
  return true;
}

// "", "K", "MB", "gib": the power of 1024; -1 if it is no unit.
static int parse_unit(const char* text) {
  static const char* const units[] = {"K", "M", "G", "T"};
  if (*text == '\0') return 0;
  for (int i = 0; i < 4; i++) {
    const char* const rest = mii_match_name(text, units[i]);
    if (rest != NULL && (*rest == '\0' || is_name(rest, "b") || is_name(rest, "ib"))) return i + 1;
  }
  return -1;
}

// In KiB, rounded up; at most PTRDIFF_MAX bytes.
static long size_in_kib(long number, int power) {
  const long most = (long)(PTRDIFF_MAX / 1024);
  if (number <= 0) return 0;
  if (power == 0) number = number / 1024 + (number % 1024 != 0);
  for (; power > 1; power--) {
    if (__builtin_mul_overflow(number, 1024, &number)) return most;
  }
  return number < most ? number : most;
}

// A unit of sizes, or the sign of percentages: as parse_unit.
static int parse_rest(const char* rest, option_kind_t kind) {
  if (kind == OPTION_SIZE) return parse_unit(rest);
  if (kind == OPTION_PERCENT && *rest == '%') rest++;
  return *rest == '\0' ? 0 : -1;
}

MI_COLD bool mii_option_parse(const char* text, option_kind_t kind, long* value) {
  const char* rest;
  long number;
  if (parse_word(text, value)) return true;
  if (kind == OPTION_PERCENT && is_name(text, "auto")) return *value = 1, true;
  if (!parse_digits(text, &number, &rest)) return false;
  const int power = parse_rest(rest, kind);
  if (power < 0) return false;
  *value = kind == OPTION_SIZE ? size_in_kib(number, power) : number;
  return true;
}

// The environment --------------------------------------------------------------------------------

static const char* environment_of(const char* option_name) {
  char name[64];
  mii_format(name, sizeof name, "MIMALLOC_%s", option_name);
  return mii_platform_environment(name);
}

// What the environment says under the option's own name, else under the first old one that is there.
static const char* text_of(mi_option_t option) {
  const char* text = environment_of(table[option].name);
  for (size_t i = 0; i < OLD_NAME_COUNT && text == NULL; i++) {
    if (old_names[i].option == option) text = environment_of(old_names[i].name);
  }
  return text;
}

static void read_option(mi_option_t option) {
  const char* const text = text_of(option);
  long value;
  if (text == NULL || source_of(option) == FROM_PROGRAM) return;
  if (mii_option_parse(text, table[option].kind, &value)) store(option, value, FROM_ENVIRONMENT);
}

static void warn_of_option(mi_option_t option) {
  const option_description_t* const about = &table[option];
  const char* const text = text_of(option);
  long value;
  if (text == NULL) return;
  if (!mii_option_parse(text, about->kind, &value)) {
    mii_warn("environment option mimalloc_%s has an invalid value: %s\n", about->name, text);
  } else if (about->no_effect != NULL && environment_of(about->name) != NULL) {
    mii_verbose("environment option mimalloc_%s has no effect: %s\n", about->name,
                about->no_effect);
  }
}

static void warn_of_old_name(const old_name_t* old) {
  if (environment_of(old->name) == NULL) return;
  const option_description_t* const now = is_option(old->option) ? &table[old->option] : NULL;
  if (now == NULL || now->no_effect == unused_by_all) {
    mii_warn("environment option mimalloc_%s has no effect any more\n", old->name);
  } else if (environment_of(now->name) == NULL) {
    mii_warn("environment option mimalloc_%s is deprecated: use mimalloc_%s instead\n", old->name,
             now->name);
  }
}

// Does the entry set the variable MIMALLOC_<name>?
static bool is_variable_of(const char* entry_name, const char* name) {
  const char* const end = mii_match_name(entry_name, name);
  return end != NULL && *end == '=';
}

static bool is_known(const char* entry_name) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (is_variable_of(entry_name, table[i].name)) return true;
  }
  for (size_t i = 0; i < OLD_NAME_COUNT; i++) {
    if (is_variable_of(entry_name, old_names[i].name)) return true;
  }
  return is_variable_of(entry_name, "disable_redirect");  // for the redirection module of Windows
}

static void warn_of_unknown(const char* entry) {
  const char* const name = mii_match_name(entry, "MIMALLOC_");
  if (name == NULL || is_known(name)) return;
  char shown[64];
  size_t length = 0;
  for (; name[length] != '\0' && name[length] != '=' && length < sizeof shown - 1; length++) {
    shown[length] =
        name[length] >= 'A' && name[length] <= 'Z' ? (char)(name[length] + 32) : name[length];
  }
  shown[length] = '\0';
  mii_warn("environment option mimalloc_%s is not known\n", shown);
}

// Most processes have none; then there is nothing to ask for name by name.
static bool any_variable_is_ours(void) {
  const char* entry;
  for (size_t i = 0; (entry = mii_platform_environment_entry(i)) != NULL; i++) {
    if (mii_match_name(entry, "MIMALLOC_") != NULL) return true;
  }
  return false;
}

static bool is_read;  // lock: the caller's, only start.c calls

void mii_option_start(bool is_privileged) {
  if (is_privileged || is_read || !mii_platform_has_environment()) return;
  is_read = true;
  if (!any_variable_is_ours()) return;
  for (size_t i = 0; i < OPTION_COUNT; i++) read_option((mi_option_t)i);
}

MI_COLD void mii_option_warn(void) {
  if (!is_read || !any_variable_is_ours()) return;
  for (size_t i = 0; i < OPTION_COUNT; i++) warn_of_option((mi_option_t)i);
  for (size_t i = 0; i < OLD_NAME_COUNT; i++) warn_of_old_name(&old_names[i]);
  const char* entry;
  for (size_t i = 0; (entry = mii_platform_environment_entry(i)) != NULL; i++)
    warn_of_unknown(entry);
}
