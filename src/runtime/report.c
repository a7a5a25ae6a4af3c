// SPDX-License-Identifier: MIT
// report.c - what we tell the user
//
// A function and its argument are two words that are set rarely and read from any thread: they are
// copied under a lock, and called outside it.
#include "runtime/report.h"
#include "base/config.h"
#include "base/format.h"
#include "platform/platform.h"
#include "runtime/lock.h"
#include "runtime/option.h"
#include "runtime/secure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct callback_s {
  void (*fun)(void);  // lock(mii_report_lock) to write
  void* arg;
} callback_t;

lock_t mii_report_lock = {.rank = LOCK_REPORT};
static callback_t output_callback;
static callback_t error_callback;
static int message_descriptor = 2;  // const after start
static uintptr_t main_thread;       // const after start; 0 before

// What was written before the program registered its first output function, for that function to read.
enum { EARLY_BYTES = 16 * 1024 };
static char early_text[EARLY_BYTES];  // lock(mii_report_lock)
static size_t early_length;           // lock(mii_report_lock)
static bool early_is_over;            // lock(mii_report_lock)

static void keep_early(const char* text) {
  const size_t length = strlen(text);
  mii_lock_enter(&mii_report_lock);
  if (!early_is_over && length < EARLY_BYTES - early_length) {
    memcpy(early_text + early_length, text, length + 1);
    early_length += length;
  }
  mii_lock_leave(&mii_report_lock);
}

static void set_callback(callback_t* callback, void (*fun)(void), void* arg) {
  mii_lock_enter(&mii_report_lock);
  *callback = (callback_t){fun, arg};
  mii_lock_leave(&mii_report_lock);
}

static callback_t get_callback(const callback_t* callback) {
  mii_lock_enter(&mii_report_lock);
  const callback_t copy = *callback;
  mii_lock_leave(&mii_report_lock);
  return copy;
}

MI_COLD void mii_report_set_output(mi_output_fun* out, void* arg) {
  set_callback(&output_callback, (void (*)(void))out, arg);
  if (out == NULL) return;
  mii_lock_enter(&mii_report_lock);
  const bool first = !early_is_over;
  early_is_over = true;
  mii_lock_leave(&mii_report_lock);
  if (first && early_length > 0) out(early_text, arg);  // nobody changes it any more
}

void mii_report_set_error(mi_error_fun* fun, void* arg) {
  set_callback(&error_callback, (void (*)(void))fun, arg);
}

void mii_report_set_main_thread(void) { main_thread = mii_platform_thread_id(); }

void mii_report_keep_stderr(void) { message_descriptor = mii_platform_keep_stderr(); }

static void write_text(mi_output_fun* out, void* arg, const char* text) {
  if (out == NULL) {
    const callback_t callback = get_callback(&output_callback);
    out = (mi_output_fun*)callback.fun;
    arg = callback.arg;
  }
  if (out != NULL) {
    out(text, arg);
  } else {
    mii_platform_write(message_descriptor, text, strlen(text));
    keep_early(text);
  }
}

void mii_print(mi_output_fun* out, void* arg, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  mii_format_list(text, sizeof text, format, args);
  va_end(args);
  write_text(out, arg, text);
}

// Messages ---------------------------------------------------------------------------------------

static _Atomic(long) errors_shown;    // atomic: relaxed, a count of its own
static _Atomic(long) warnings_shown;  // atomic: relaxed, a count of its own

bool mii_error_may_be_shown(void) {
  return mii_option_is_on(mi_option_verbose) || mii_option_is_on(mi_option_show_errors);
}

static bool is_to_show(_Atomic(long)* shown, mi_option_t limit_option) {
  if (!mii_error_may_be_shown()) return false;
  if (mii_option_is_on(mi_option_verbose)) return true;
  const long limit = mii_option_get(limit_option);
  return atomic_fetch_add_explicit(shown, 1, memory_order_relaxed) < limit || limit < 0;
}

enum { MESSAGE_BYTES = 512 };

// One message is one line of what can be read, also if it holds somebody else's text and was cut off.
static void write_message(char* text, size_t length) {
  for (size_t i = 0; i + 1 < length; i++) {
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7F) text[i] = '?';
  }
  if (length + 1 == MESSAGE_BYTES) text[length - 1] = '\n';
  write_text(NULL, NULL, text);
}

static void show(const char* kind, const char* format, va_list args) {
  char text[MESSAGE_BYTES];
  size_t prefix = mii_format(text, sizeof text, "mimalloc: %s", kind);
  const uintptr_t thread = mii_platform_thread_id();
  if (*kind != '\0' && main_thread != 0 && thread != main_thread)
    prefix += mii_format(text + prefix, sizeof text - prefix, "thread 0x%zx: ", (size_t)thread);
  const size_t length = mii_format_list(text + prefix, sizeof text - prefix, format, args);
  write_message(text, prefix + length);
}

void mii_warn(const char* format, ...) {
  if (!is_to_show(&warnings_shown, mi_option_max_warnings)) return;
  va_list args;
  va_start(args, format);
  show("warning: ", format, args);
  va_end(args);
}

void mii_verbose(const char* format, ...) {
  if (!mii_option_is_on(mi_option_verbose)) return;
  va_list args;
  va_start(args, format);
  show("", format, args);
  va_end(args);
}

// Returns whether the program handles errors itself.
static bool report_error(int code, bool always_show, const char* format, va_list args) {
  const callback_t callback = get_callback(&error_callback);
  const bool handled = callback.fun != NULL;
  if ((always_show && !handled) || is_to_show(&errors_shown, mi_option_max_errors)) {
    show("error: ", format, args);
  }
  if (handled) ((mi_error_fun*)callback.fun)(code, callback.arg);
  return handled;
}

static void stop_if_out_of_memory(bool handled, int code) {
  if (MI_CFG_XMALLOC && !handled && (code == ENOMEM || code == EOVERFLOW)) abort();
}

// The thread whose errors are not reported, or 0. Only the thread itself compares equal.
static _Atomic(uintptr_t) hushed_thread;  // atomic: relaxed

bool mii_error_hush(void) {
  uintptr_t nobody = 0;
  return atomic_compare_exchange_strong_explicit(&hushed_thread, &nobody, mii_platform_thread_id(),
                                                 memory_order_relaxed, memory_order_relaxed);
}

void mii_error_unhush(void) { atomic_store_explicit(&hushed_thread, 0, memory_order_relaxed); }

static bool is_hushed(void) {
  const uintptr_t thread = atomic_load_explicit(&hushed_thread, memory_order_relaxed);
  return thread != 0 && thread == mii_platform_thread_id();
}

void mii_error(int code, const char* format, ...) {
  if (is_hushed()) return;
  va_list args;
  va_start(args, format);
  const bool handled = report_error(code, MI_CFG_XMALLOC, format, args);
  va_end(args);
  stop_if_out_of_memory(handled, code);
}

static void stop_if_secure(bool handled) {
  if (!handled && mii_secure_is_strict() && mii_option_is_on(mi_option_secure_stop)) abort();
}

void mii_misuse(int code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const bool handled = report_error(code, mii_secure_is_strict(), format, args);
  va_end(args);
  stop_if_secure(handled);
}
