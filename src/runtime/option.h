// SPDX-License-Identifier: MIT
// option.h - the option table: defaults, the environment, the program's own settings
#ifndef MI_OPTION_H
#define MI_OPTION_H

#include "mimalloc.h"
#include <stdbool.h>

typedef enum option_kind_e {
  OPTION_NUMBER,   // also the switches, which are 0 or 1
  OPTION_SIZE,     // in KiB; the environment says bytes, or a number with a unit
  OPTION_PERCENT,  // or 1: "auto"
} option_kind_t;

typedef struct option_description_s {
  mi_option_t option;
  const char* name;  // as in MIMALLOC_<NAME>
  long initial;
  option_kind_t kind;
  bool is_fixed;          // used by the start only: from then on it cannot be set
  const char* no_effect;  // why nothing depends on it; NULL if something does
} option_description_t;

// Read the environment, unless that is done already, or libc has not set it up yet: then call again.
// Values that the program set before stay. The variables of a privileged process are ignored. The
// caller makes sure that no two threads are in it.
void mii_option_start(bool is_privileged);

// Warn of what in the environment was not understood, or has no effect. Once, when the program may be
// called back.
void mii_option_warn(void);

// 0 for a number that is no option.
long mii_option_get(mi_option_t option);
bool mii_option_is_on(mi_option_t option);

// In bytes if the option is a size, at most PTRDIFF_MAX; 0 for a negative value.
size_t mii_option_get_size(mi_option_t option);

// Both ignore a number that is no option, and one that is fixed by now; then they return false. The second
// yields to the environment and to mii_option_set.
bool mii_option_set(mi_option_t option, long value);
bool mii_option_set_default(mi_option_t option, long value);

// From now on the fixed options cannot be set.
void mii_option_fix(void);

// Reads "5000", "on", "No", "": false if the text is none of these, and *value is unchanged. For a size
// also "64K", "1MiB", "2gb": *value is in KiB. For a percentage also "80%" and "auto".
bool mii_option_parse(const char* text, option_kind_t kind, long* value);

// The options, in the order of their numbers; NULL after the last.
const option_description_t* mii_option_describe(size_t index);

#endif
