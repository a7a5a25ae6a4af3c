// SPDX-License-Identifier: MIT
// support.h - what world.c gets from the program that runs it: explorer.c or relacy.cpp
#ifndef PROOF_SUPPORT_H
#define PROOF_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

// Ends the exploration, with the steps that led here.
void proof_fail(const char* what, const char* file, int line);

// Between the two, atomic operations are no steps.
void proof_hush(void);
void proof_unhush(void);

// A step that is at no place: others may go on.
void proof_pause(void);

// Is this in a variable of any thread? Perhaps it only was.
bool proof_is_held(uint64_t word);

// The number of the running thread.
uint32_t proof_thread(void);

#define PROOF_CHECK(c) \
  (proof_hush(), (c) ? (void)0 : proof_fail(#c, __FILE__, __LINE__), proof_unhush())

#endif
