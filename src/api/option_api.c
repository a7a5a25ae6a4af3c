// SPDX-License-Identifier: MIT
// option_api.c - options and callbacks, the public names
//
// Tests: tests/api/options_test.c, tests/api/callbacks_test.c, tests/scripts/first_call.sh
#include "api/start.h"
#include "base/config.h"
#include "heap/theap.h"
#include "mimalloc.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include "runtime/secure.h"

// The question may be the first call: then the environment has not been looked at.
static long value_of(mi_option_t option) {
  mii_start();
  return mii_option_get(option);
}

long mi_option_get(mi_option_t option) { return value_of(option); }
bool mi_option_is_enabled(mi_option_t option) { return value_of(option) != 0; }

// What the program asks for in vain.
static void tell_of(mi_option_t option, bool was_set) {
  const option_description_t* const about = mii_option_describe((size_t)option);
  if (about == NULL) return;
  if (!was_set) {
    mii_warn("option %s is used at the start of the process only: set the environment variable"
             " MIMALLOC_%s\n",
             about->name, about->name);
  } else if (about->no_effect != NULL) {
    mii_verbose("option %s has no effect: %s\n", about->name, about->no_effect);
  }
}

static void set(mi_option_t option, long value) { tell_of(option, mii_option_set(option, value)); }

static void set_default(mi_option_t option, long value) {
  tell_of(option, mii_option_set_default(option, value));
}

void mi_option_set(mi_option_t option, long value) { set(option, value); }
void mi_option_set_default(mi_option_t option, long value) { set_default(option, value); }
void mi_option_set_enabled(mi_option_t option, bool enable) { set(option, enable); }
void mi_option_set_enabled_default(mi_option_t option, bool enable) { set_default(option, enable); }
void mi_option_enable(mi_option_t option) { set(option, 1); }
void mi_option_disable(mi_option_t option) { set(option, 0); }

long mi_option_get_clamp(mi_option_t option, long min, long max) {
  const long value = value_of(option);
  if (value < min) return min;
  return value > max ? max : value;
}

size_t mi_option_get_size(mi_option_t option) {
  mii_start();
  return mii_option_get_size(option);
}

static void print_option(mi_output_fun* out, void* arg, const option_description_t* option) {
  const bool idle = option->no_effect != NULL;
  mii_print(out, arg, "option '%s': %ld%s%s%s%s\n", option->name, mii_option_get(option->option),
            option->kind == OPTION_SIZE ? " KiB" : "", idle ? " (no effect: " : "",
            idle ? option->no_effect : "", idle ? ")" : "");
}

static const char* tracking_tool(void) {
  if (MI_CFG_TRACK == MI_TRACK_MEMCHECK) return "valgrind";
  return MI_CFG_TRACK == MI_TRACK_ASAN ? "asan" : "none";
}

MI_COLD void mi_options_print_out(mi_output_fun* out, void* arg) {
  mii_start();
  const int version = MI_MALLOC_VERSION;
  mii_print(out, arg, "v%d.%d.%d, %s\n", version / 10000, version / 100 % 100, version % 100,
            MI_ASSERT_LEVEL > 0 ? "debug" : "release");
  const option_description_t* option;
  for (size_t i = 0; (option = mii_option_describe(i)) != NULL; i++) print_option(out, arg, option);
  mii_print(out, arg, "debug level : %d\n", MI_ASSERT_LEVEL);
  mii_print(out, arg, "secure level: %d\n", mii_secure_level());
  mii_print(out, arg, "mem tracking: %s\n", tracking_tool());
}

void mi_options_print(void) { mi_options_print_out(NULL, NULL); }

void mi_register_output(mi_output_fun* out, void* arg) { mii_report_set_output(out, arg); }
void mi_register_error(mi_error_fun* fun, void* arg) { mii_report_set_error(fun, arg); }

void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg) {
  mii_deferred_free_set(deferred_free, arg);
}
