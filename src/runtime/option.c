// SPDX-License-Identifier: MIT
// option.c - the option table
//
// A value comes, weakest first, from the table, mii_option_set_default, the environment, and
// mii_option_set. Options are plain numbers that any thread may read at any time.
#include "runtime/option.h"
#include "base/config.h"
#include "base/format.h"
#include "platform/platform.h"
#include "runtime/report.h"
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

static const option_description_t table[] = {
    {mi_option_show_errors, "show_errors", NULL, MI_CFG_SHOW_ERRORS || MI_ASSERT_LEVEL > 0},
    {mi_option_show_stats, "show_stats", NULL, 0},
    {mi_option_verbose, "verbose", NULL, 0},
    {mi_option_purge_delay, "purge_delay", "reset_delay", 1000},
    {mi_option_max_errors, "max_errors", NULL, 32},
    {mi_option_max_warnings, "max_warnings", NULL, 32},
};
enum { OPTION_COUNT = sizeof table / sizeof table[0] };

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

// The place of an option in the table, or OPTION_COUNT.
static size_t place_of(mi_option_t option) {
  size_t i = 0;
  while (i < OPTION_COUNT && table[i].option != option) i++;
  return i;
}

static void store(size_t place, long value, value_source_t source) {
  atomic_store_explicit(&values[place].value, value, memory_order_relaxed);
  atomic_store_explicit(&values[place].source, (uint8_t)source, memory_order_release);
}

static value_source_t source_of(size_t place) {
  return (value_source_t)atomic_load_explicit(&values[place].source, memory_order_acquire);
}

long mii_option_get(mi_option_t option) {
  const size_t place = place_of(option);
  if (place == OPTION_COUNT) return 0;
  if (source_of(place) == FROM_TABLE) return table[place].initial;
  return atomic_load_explicit(&values[place].value, memory_order_relaxed);
}

bool mii_option_is_on(mi_option_t option) { return mii_option_get(option) != 0; }

void mii_option_set(mi_option_t option, long value) {
  const size_t place = place_of(option);
  if (place < OPTION_COUNT) store(place, value, FROM_PROGRAM);
}

void mii_option_set_default(mi_option_t option, long value) {
  const size_t place = place_of(option);
  if (place < OPTION_COUNT && source_of(place) <= FROM_DEFAULT) store(place, value, FROM_DEFAULT);
}

const option_description_t* mii_option_describe(size_t index) {
  return index < OPTION_COUNT ? &table[index] : NULL;
}

// Parsing ----------------------------------------------------------------------------------------

static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

static bool equals_ignoring_case(const char* a, const char* b) {
  while (*a != '\0' && upper(*a) == upper(*b)) a++, b++;
  return *a == *b;
}

static bool parse_word(const char* text, long* value) {
  static const char* const on[] = {"", "1", "true", "yes", "on"};
  static const char* const off[] = {"0", "false", "no", "off"};
  for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
    if (equals_ignoring_case(text, on[i])) return *value = 1, true;
  }
  for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
    if (equals_ignoring_case(text, off[i])) return *value = 0, true;
  }
  return false;
}

// Decimal, sign allowed; saturates.
static bool parse_number(const char* text, long* value) {
  while (*text == ' ' || *text == '\t') text++;
  const bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  if (*text == '\0') return false;
  long n = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    const int digit = *text - '0';
    if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n)) n = LONG_MAX;
  }
  if (*text != '\0') return false;
  *value = negative ? -n : n;
  return true;
}

bool mii_option_parse(const char* text, long* value) {
  return parse_word(text, value) || parse_number(text, value);
}

// The environment --------------------------------------------------------------------------------

static const char* environment_of(const char* option_name) {
  char name[64];
  mii_format(name, sizeof name, "MIMALLOC_%s", option_name);
  return mii_platform_environment(name);
}

typedef struct reading_s {
  const char* text;  // NULL: not in the environment
  bool is_old_name;
} reading_t;

static reading_t look_up(const option_description_t* option) {
  const char* const text = environment_of(option->name);
  if (text != NULL || option->old_name == NULL) return (reading_t){text, false};
  return (reading_t){environment_of(option->old_name), true};
}

static void read_option(size_t place) {
  const reading_t reading = look_up(&table[place]);
  long value;
  if (reading.text == NULL || source_of(place) == FROM_PROGRAM) return;
  if (mii_option_parse(reading.text, &value)) store(place, value, FROM_ENVIRONMENT);
}

static void warn_of_option(const option_description_t* option) {
  const reading_t reading = look_up(option);
  long value;
  if (reading.text == NULL) return;
  if (!mii_option_parse(reading.text, &value)) {
    mii_warn("environment option mimalloc_%s has an invalid value: %s\n", option->name,
             reading.text);
  }
  if (reading.is_old_name) {
    mii_warn("environment option mimalloc_%s is deprecated: use mimalloc_%s instead\n",
             option->old_name, option->name);
  }
}

// Does the entry set the variable MIMALLOC_<name>?
static bool is_variable_of(const char* entry_name, const char* name) {
  if (name == NULL) return false;
  while (*name != '\0' && upper(*entry_name) == upper(*name)) entry_name++, name++;
  return *name == '\0' && *entry_name == '=';
}

static bool is_known(const char* entry_name) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (is_variable_of(entry_name, table[i].name) || is_variable_of(entry_name, table[i].old_name))
      return true;
  }
  return false;
}

static void warn_of_unknown(const char* entry) {
  static const char prefix[] = "MIMALLOC_";
  const char* name = entry;
  for (const char* p = prefix; *p != '\0'; p++, name++) {
    if (upper(*name) != *p) return;
  }
  if (is_known(name)) return;
  char shown[64];
  size_t length = 0;
  for (; name[length] != '\0' && name[length] != '=' && length < sizeof shown - 1; length++) {
    shown[length] =
        name[length] >= 'A' && name[length] <= 'Z' ? (char)(name[length] + 32) : name[length];
  }
  shown[length] = '\0';
  mii_warn("environment option mimalloc_%s is not known\n", shown);
}

static bool is_read;  // lock: the caller's, only start.c calls

void mii_option_start(bool is_privileged) {
  if (is_privileged || is_read || !mii_platform_has_environment()) return;
  is_read = true;
  for (size_t i = 0; i < OPTION_COUNT; i++) read_option(i);
}

void mii_option_warn(void) {
  if (!is_read) return;
  for (size_t i = 0; i < OPTION_COUNT; i++) warn_of_option(&table[i]);
  const char* entry;
  for (size_t i = 0; (entry = mii_platform_environment_entry(i)) != NULL; i++)
    warn_of_unknown(entry);
}
