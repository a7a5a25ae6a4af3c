// SPDX-License-Identifier: MIT
// fake_platform.h - a platform.h that does what a test wants, and watches what it is asked
//
// Memory is real (mmap), so what is not open cannot be touched; its state is tracked beside it. A call
// that breaks the contract of platform.h - unaligned, open of what is not reserved, purge of what is
// not open - prints what it was and aborts.
#ifndef FAKE_PLATFORM_H
#define FAKE_PLATFORM_H

#include "platform/platform.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Everything as at the start of main: nothing reserved, nothing fails, all counts 0. Before main there
// is no memory to be had, so our constructor finds none, and it is the test that starts the library.
void fake_reset(void);

// The facts that mii_platform_facts() tells; to be changed at will. At first: OS pages of 4 KiB, 64 MiB
// of memory (so the range is 1 GiB), no limit, not privileged.
extern platform_facts_t fake_facts;
// What mii_platform_limits() tells. At first: no limits.
extern platform_limits_t fake_limits;
// What mii_platform_group_limit() and mii_platform_pressure() tell. At first: none.
extern size_t fake_group_limit;
extern uint64_t fake_pressure;

// What can fail, is counted, and can be watched --------------------------------------------------

typedef enum fake_call_e {
  FAKE_RESERVE,
  FAKE_RESERVE_AT,
  FAKE_OPEN,
  FAKE_SHOW,
  FAKE_PURGE,
  FAKE_MOVE,
  FAKE_RENEW,
  FAKE_RELEASE,
  FAKE_ON_THREAD_EXIT,
  FAKE_THREAD_ARM,
  FAKE_AT_FORK,
  FAKE_ON_EXIT,
  FAKE_THREAD_START,
  FAKE_FAILING_CALLS,  // those above return an error code; those below do as little as they can
  FAKE_FACTS = FAKE_FAILING_CALLS,  // guesses: pages of 4 KiB, 1 GiB of memory, no limit
  FAKE_LIMITS,                      // no limit
  FAKE_CLOCK,                       // 0
  FAKE_YIELD,                       // nothing
  FAKE_ENVIRONMENT,                 // all three functions: there is none
  FAKE_KEEP_STDERR,                 // the standard error itself
  FAKE_WRITE,                       // nothing
  FAKE_NEXT_FUNCTION,               // NULL
  FAKE_CXX_FUNCTION,                // NULL
  FAKE_USAGE,                       // zeros
  FAKE_WAIT,                        // false
  FAKE_CALLS,
  FAKE_ANY = FAKE_CALLS,  // any of the failing calls; not for fake_on_call
} fake_call_t;

const char* fake_call_name(fake_call_t call);

// From now on the n-th call (1: the next) fails, with ENOMEM and without effect. Faults of several
// kinds of calls add up; another fault of the same kind replaces the one before.
void fake_fail_nth(fake_call_t call, uint32_t n);
// The n-th and the one after it fail: the second attempt, where there is one.
void fake_fail_two(fake_call_t call, uint32_t n);
// The n-th and all later ones fail.
void fake_fail_from(fake_call_t call, uint32_t n);
// The n-th fails in the middle: states change in the first half of the memory only, half of the text is
// written, the clock stands still. A reservation fails, and from then on all that are as large as half
// of it. False if such a call cannot fail partly.
bool fake_fail_partly(fake_call_t call, uint32_t n);
// Calls for more than `bytes` fail.
void fake_fail_above(fake_call_t call, size_t bytes);
// Opening fails that would have more than `bytes` open at once.
void fake_limit_open(size_t bytes);
// None of the above any more.
void fake_fail_never(void);
// How many calls failed because of the above, since fake_reset().
uint32_t fake_failures(void);
uint32_t fake_failures_of(fake_call_t call);  // without those of fake_limit_open

// Calls so far, failed ones included, and the bytes of those that succeeded.
size_t fake_calls(fake_call_t call);
size_t fake_bytes(fake_call_t call);

// Where the latest such call was, if it had an address. {NULL, 0} if there was none.
typedef struct fake_place_s {
  void* address;
  size_t size;
} fake_place_t;
fake_place_t fake_latest(fake_call_t call);

// Call hook(arg) in every such call before it does anything: the place where another thread may come
// between. Not called again from inside. NULL: no hook.
void fake_on_call(fake_call_t call, void (*hook)(void* arg), void* arg);

// Memory ------------------------------------------------------------------------------------------

typedef enum fake_state_e { FAKE_FREE, FAKE_RESERVED, FAKE_SHOWN, FAKE_OPENED } fake_state_t;

fake_state_t fake_state_of(const void* address);

// True if every byte is in the state.
bool fake_is_all(const void* address, size_t size, fake_state_t state);

// Bytes in the state now.
size_t fake_bytes_in(fake_state_t state);

// Bytes of [address, address + size) that are resident: touched, and not purged since. In whole OS pages.
size_t fake_touched_bytes(const void* address, size_t size);

// The next reservations begin `bytes` past a multiple of 4 MiB (at first: anywhere).
void fake_reserve_at_phase(size_t bytes);

// Bytes of the calls of mii_platform_prefer_large() and mii_platform_refuse_large().
size_t fake_large_bytes(void);
size_t fake_small_bytes(void);

// Time, threads, process --------------------------------------------------------------------------

void fake_set_clock(uint64_t ms);
void fake_advance_clock(uint64_t ms);

// Ends the running thread as far as mii_platform_on_thread_exit goes: calls the function, if the thread
// is armed, which it is no more then.
void fake_thread_exit(void);
bool fake_thread_is_armed(void);

// The running thread counts as another one from now on.
void fake_new_thread_id(void);

// What the system calls the running thread from now on; 0, as at first: there is no telling. The thread
// of the other number has ended, none other.
void fake_set_thread_number(uint32_t number);
void fake_end_thread_number(uint32_t number);

// What mii_platform_thread_start() was given, or NULL: nothing runs until the test calls it. Waiting makes
// the clock advance by the timeout; without a timeout nobody would come, so it fails.
typedef void fake_thread_t(void);
fake_thread_t* fake_started_thread(void);
bool fake_started_to_be_joined(void);
void fake_have_threads(bool any);  // what mii_platform_has_threads() says; at first false
uint32_t fake_wakes(void);         // calls of mii_platform_wake()
uint32_t fake_joins(void);         // calls of mii_platform_thread_join()

// Calls the functions of mii_platform_at_fork(); nothing is forked.
void fake_fork_prepare(void);
void fake_fork_parent(void);
void fake_fork_child(void);

// NULL as value removes. At first the environment is empty, but there.
void fake_set_environment(const char* name, const char* value);
void fake_have_environment(bool there);

// What was written, and where to.
enum { FAKE_KEPT_STDERR = 1000 };  // what mii_platform_keep_stderr() returns
const char* fake_output(void);
int fake_output_descriptor(void);
void fake_output_clear(void);

// What mii_platform_next_function() finds. At first nothing.
void fake_set_next_function(const char* name, platform_function_t* function);

extern platform_usage_t fake_usage;

#endif
