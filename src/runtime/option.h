// SPDX-License-Identifier: MIT
// option.h - the option table: defaults, the environment, the program's own settings
#ifndef MI_OPTION_H
#define MI_OPTION_H

#include "mimalloc.h"
#include <stdbool.h>

typedef struct option_description_s {
  mi_option_t option;
  const char* name;      // as in MIMALLOC_<NAME>
  const char* old_name;  // still read when the new one is absent; NULL if there is none
  long initial;
} option_description_t;

// Read the environment, unless that is done already, or libc has not set it up yet: then call again.
// Values that the program set before stay. The variables of a privileged process are ignored. The
// caller makes sure that no two threads are in it.
void mii_option_start(bool is_privileged);

// Warn of what in the environment was not understood. Once, when the program may be called back.
void mii_option_warn(void);

// 0 for a number that is no option of ours.
long mii_option_get(mi_option_t option);
bool mii_option_is_on(mi_option_t option);

// Both ignore a number that is no option of ours. The second yields to the environment and to
// mii_option_set.
void mii_option_set(mi_option_t option, long value);
void mii_option_set_default(mi_option_t option, long value);

// Reads "5000", "on", "No", "": false if the text is none of these, and *value is unchanged.
bool mii_option_parse(const char* text, long* value);

// The options we have, in the order of their numbers; NULL after the last.
const option_description_t* mii_option_describe(size_t index);

#endif
