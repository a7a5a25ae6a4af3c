// SPDX-License-Identifier: MIT
// fake_space.h - for the tests from space/ upwards: start the range on the fake platform, check all of
// it, and try a scenario with every fault
#ifndef FAKE_SPACE_H
#define FAKE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

// Starts the range and the hints with the facts of the fake platform. Aborts if that fails.
void fake_space_start(void);

// Every validator of space/: the range, each segment, each run area.
bool fake_space_is_valid(void);

// Runs scenario() again and again, each time in a process of its own: with the first call of this kind
// failing, with the second failing, and so on until the scenario ends before the fault; then the same
// with the call after it failing too; with all later ones; and with the call failing partly, if it can. The scenario starts
// what it needs, checks its own results with CHECK, and may call fake_fail_never() and go on. Returns
// the number of faults tried; ends the process if a scenario fails. FAKE_ANY counts calls of all kinds
// that return an error code.
uint32_t fake_try_every_fault(int fake_call, void (*scenario)(void));

// The same for every primitive of platform.h, one after the other.
uint32_t fake_try_all_faults(void (*scenario)(void));

#endif
