// SPDX-License-Identifier: MIT
// report.h - what we tell the user: errors (with a code), warnings, and texts such as statistics
//
// Messages are written without allocating. They are shown when the options show_errors or verbose
// say so; the program's error function is called in any case.
#ifndef MI_REPORT_H
#define MI_REPORT_H

#include "base/compiler.h"
#include "mimalloc.h"
#include "runtime/lock.h"

// One failure, one report. `code` is an errno value. May call the program, which may allocate and
// free: the caller holds no lock and is in the middle of nothing.
void mii_error(int code, const char* format, ...) MI_PRINTF(2, 3) MI_COLD;

// What the running thread cannot allocate until it says so again is part of a failure that has been reported. One
// thread at a time: false if another is at it.
bool mii_error_hush(void);
void mii_error_unhush(void);

// False if the options say that no error is shown: then there is no need to find out more about it.
bool mii_error_may_be_shown(void);

// The same for a pointer that should not have been given to us. A hardened process (secure.h) shows it always,
// and stops unless the program has its own error function or wants to go on.
void mii_misuse(int code, const char* format, ...) MI_PRINTF(2, 3) MI_COLD;

void mii_warn(const char* format, ...) MI_PRINTF(1, 2) MI_COLD;

// What is no error; shown with the option verbose only.
void mii_verbose(const char* format, ...) MI_PRINTF(1, 2) MI_COLD;

// Text for `out`, or for the registered output function if `out` is NULL.
void mii_print(mi_output_fun* out, void* arg, const char* format, ...) MI_PRINTF(3, 4);

// The program's functions; NULL restores ours. The first output function gets what was written before
// (the first 16 KiB).
void mii_report_set_output(mi_output_fun* out, void* arg);
void mii_report_set_error(mi_error_fun* fun, void* arg);

// The running thread is the main one: messages name the others.
void mii_report_set_main_thread(void);

// Keep a copy of the standard error, for the statistics of programs that close it before they end.
void mii_report_keep_stderr(void);

// Held while the callbacks are read or set; fork takes it.
extern lock_t mii_report_lock;

#endif
