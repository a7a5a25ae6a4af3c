// SPDX-License-Identifier: MIT
// platform.h - everything we ask of the operating system
//
// General: addresses and sizes are non-zero multiples of facts.os_page_size unless said otherwise.
// Functions that can fail return 0 or an errno value. None prints, reads options, allocates, calls
// up, or changes errno. All may be called before libc has run its constructors, unless marked
// [late]. tests/unit/platform/ is this contract as tests.
#ifndef MI_PLATFORM_H
#define MI_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Fixed facts, read once before anything else.
typedef struct platform_facts_s {
  size_t os_page_size;   // bytes; a power of two
  size_t memory_bytes;   // physical memory
  size_t address_limit;  // bytes of address space the process may use; SIZE_MAX: no limit
  bool is_privileged;    // a setuid program: the environment is not to be trusted
  // Where addresses are scarce, so that a part of them is reserved at a time: all that may be asked for
  // lie below. 0: there are plenty.
  uintptr_t scarce_end;
} platform_facts_t;
void mii_platform_facts(platform_facts_t* facts);

// The limits that hold now, to explain why memory is refused. SIZE_MAX: none.
typedef struct platform_limits_s {
  size_t address_bytes;  // address space
  size_t data_bytes;     // memory that can be written
} platform_limits_t;
void mii_platform_limits(platform_limits_t* limits);

// The least limit of memory of the control groups that the process is in; SIZE_MAX: none, or there is no telling.
size_t mii_platform_group_limit(void);

// Microseconds for which somebody in the system, or in the process's control group, has waited for memory until
// now: a number that grows. Where a group only counts how often memory was refused, each time is 10 ms.
uint64_t mii_platform_pressure(void);

// Memory -----------------------------------------------------------------------------------------
// An address is free, reserved (no access, costs nothing), or open (readable, writable, zero until
// first written).

// Reserve address space anywhere, at a random place where the system has that.
int mii_platform_reserve(size_t size, void** address);

// Reserve exactly this; EEXIST if a part of it is not free.
int mii_platform_reserve_at(void* address, size_t size);

// Reserved -> open. Opening what is open already is allowed and changes nothing.
int mii_platform_open(void* address, size_t size);

// Reserved -> open, in huge OS pages of this size, which size and address are multiples of, and which are ours for
// certain. On the NUMA node unless that is negative, if the system can do that. If it fails nothing has changed.
int mii_platform_open_huge(void* address, size_t size, size_t huge_page, int numa_node);

// Open memory: large OS pages are welcome.
void mii_platform_prefer_large(void* address, size_t size);

// Reserved or open memory: no large OS pages.
void mii_platform_refuse_large(void* address, size_t size);

// Reserved -> reserved, but it can be read, as zero. Costs nothing. It may be opened later.
int mii_platform_show(void* address, size_t size);

// Open -> open, with the memory given back: it reads as zero afterwards.
int mii_platform_purge(void* address, size_t size);

// Bytes of it that are resident: all, if the system does not tell. Whatever the state; in whole OS pages.
size_t mii_platform_resident(void* address, size_t size);

// Open memory -> other open memory, which loses what it held: the contents move, nothing is copied, and what is
// left behind reads as zero. Costs the process up to two mappings, until the place is renewed. If it fails
// nothing has changed.
int mii_platform_move(void* from, void* to, size_t size);

// Open -> open, as it was before anything was moved there; reads as zero. If it fails nothing has changed.
int mii_platform_renew(void* address, size_t size);

// Open -> open, but a guard: touching it is a fault, and the memory is given back. And open again, as zero. A system
// that cannot do so without more mappings refuses.
int mii_platform_guard(void* address, size_t size);
int mii_platform_unguard(void* address, size_t size);

// Reserved or open -> free.
int mii_platform_release(void* address, size_t size);

// Fill it with bytes that nobody can guess, as good as the system has them.
void mii_platform_random(void* bytes, size_t size);

// Time and scheduling ----------------------------------------------------------------------------

// Milliseconds of a clock that never goes back; resolution up to 10 ms, cheap.
uint64_t mii_platform_clock_ms(void);

// Let another thread run.
void mii_platform_yield(void);

// Threads ----------------------------------------------------------------------------------------

// Wait until somebody wakes those who wait at `word`, or for `timeout_ms`; not at all if it does not hold
// `value`. May return early. False if the system cannot wait. UINT64_MAX: no timeout.
bool mii_platform_wait(_Atomic(uint32_t)* word, uint32_t value, uint64_t timeout_ms);
void mii_platform_wake(_Atomic(uint32_t)* word);

// A number unlike that of any other running thread.
uintptr_t mii_platform_thread_id(void);

// Register the function that mii_platform_thread_arm() makes run. Once. [late]
int mii_platform_on_thread_exit(void (*at_exit)(void* value));

// Have at_exit(value) called when the running thread ends, after the destructors of C++
// thread_local objects. `value` is not NULL. May allocate. [late]
int mii_platform_thread_arm(void* value);

// Undo mii_platform_on_thread_exit: threads that are armed end without a call. [late]
void mii_platform_forget_thread_exit(void);

// Does libc know the running thread, so that it calls at_exit? Not one that a raw clone has made. True
// if there is no telling. *number names the thread, as long as it runs; 0 if there is no telling.
bool mii_platform_thread_is_known(uint32_t* number);

// Has the thread ended, of which is_known told the number? False if there is no telling, or if another
// thread has the number by now.
bool mii_platform_thread_is_gone(uint32_t number);

// Has the process more than one thread, as far as libc knows? False if there is no telling.
bool mii_platform_has_threads(void);

// Run the function in a new thread, which no signal is delivered to and which does not keep the process from
// ending. If it is to be joined, that is once, with the next call. May allocate. [late]
int mii_platform_thread_start(void (*run)(void), bool is_to_be_joined);
void mii_platform_thread_join(void);

// Have the functions called around every fork: the first in the parent before it, the second in the
// parent, the third in the child after it. May allocate. [late]
int mii_platform_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

// Process ----------------------------------------------------------------------------------------

// Have the function called when the process exits, before the destructors of libraries that were loaded since
// the start of the program; but not when our own library is unloaded. May allocate. [late]
int mii_platform_on_exit(void (*at_exit)(void* arg));
void mii_platform_forget_exit(void);  // calls it, too

// Is there an environment yet?
bool mii_platform_has_environment(void);

// Where we were called from: at most `count_max` return addresses, the nearest first. Returns how many. The first
// call allocates. [late]
uint32_t mii_platform_stack(void** frames, uint32_t count_max);

// Have the function called when the program touches what it must not, before whoever else wants to know. It may not
// allocate. [late]
void mii_platform_on_fault(void (*on_fault)(const void* address));

// The value of the environment variable, or NULL. Letter case is ignored. The text may be gone after
// the next setenv.
const char* mii_platform_environment(const char* name);

// The i-th entry of the environment, NAME=VALUE; NULL after the last.
const char* mii_platform_environment_entry(size_t i);

// A file descriptor for messages that stays open when the program closes its standard error; the
// standard error itself if there is none.
int mii_platform_keep_stderr(void);

// Write everything, or as much as the system takes. Any length. Not a cancellation point.
void mii_platform_write(int descriptor, const char* text, size_t length);

// The next definition of a function after ours in the program's search order, or NULL. [late]
typedef void platform_function_t(void);
platform_function_t* mii_platform_next_function(const char* name);

// Is this the definition that everyone finds? So it is for a library that was there when the program started,
// which is never unloaded. [late]
bool mii_platform_is_first_function(const char* name, platform_function_t* function);

// A function of a C++ runtime that was loaded after the start of the program, or NULL. May allocate. [late]
platform_function_t* mii_platform_cxx_function(const char* name);

typedef struct platform_usage_s {
  size_t rss_bytes;  // 0 if the system does not tell
  size_t peak_rss_bytes;
  size_t page_faults_minor;
  size_t page_faults_major;
  size_t user_ms;
  size_t system_ms;
} platform_usage_t;
void mii_platform_usage(platform_usage_t* usage);

#endif
