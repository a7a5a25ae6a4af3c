// SPDX-License-Identifier: MIT
// fake_platform.c - memory with tracked states, faults on demand, time and environment by hand
#include "support/fake_platform.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
  SPANS_MAX = 8192,
  VARIABLES_MAX = 32,
  FUNCTIONS_MAX = 8,
  TEXT_MAX = 64 * 1024,
  REAL_PAGE = 4096,
  PHASE_MODULUS = 4 * 1024 * 1024,
};

#define ANY_PHASE SIZE_MAX
#define NO_LIMIT  SIZE_MAX
#define NEVER     UINT32_MAX

static const platform_facts_t initial_facts = {
    .os_page_size = 4096, .memory_bytes = (size_t)64 << 20, .address_limit = SIZE_MAX};

platform_facts_t fake_facts = {
    .os_page_size = 4096, .memory_bytes = (size_t)64 << 20, .address_limit = SIZE_MAX};
static const platform_facts_t guessed_facts = {
    .os_page_size = 4096, .memory_bytes = (size_t)1 << 30, .address_limit = SIZE_MAX};

static const platform_limits_t no_limits = {.address_bytes = SIZE_MAX, .data_bytes = SIZE_MAX};
platform_limits_t fake_limits = {.address_bytes = SIZE_MAX, .data_bytes = SIZE_MAX};
size_t fake_group_limit = SIZE_MAX;
uint64_t fake_pressure;
platform_usage_t fake_usage;

// All of the following is under the lock; hooks are called outside it.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) { pthread_mutex_unlock(&mutex); }

// States of memory -------------------------------------------------------------------------------

// Sorted, not overlapping; what is in no span is free. Neighbours differ in state.
typedef struct span_s {
  uintptr_t from;
  uintptr_t to;
  fake_state_t state;
} span_t;

static span_t spans[SPANS_MAX];
static size_t span_count;

static _Noreturn void complain(const char* call, const void* address, size_t size,
                               const char* why) {
  fprintf(stderr, "fake platform: %s(%p, 0x%zx): %s\n", call, address, size, why);
  abort();
}

static void remove_span(size_t at) {
  memmove(&spans[at], &spans[at + 1], (span_count - at - 1) * sizeof(span_t));
  span_count--;
}

static void insert_span(size_t at, span_t span) {
  if (span_count == SPANS_MAX) complain("set_state", (void*)span.from, 0, "too many spans");
  memmove(&spans[at + 1], &spans[at], (span_count - at) * sizeof(span_t));
  spans[at] = span;
  span_count++;
}

// The first span that ends behind the address.
static size_t span_at(uintptr_t address) {
  size_t low = 0;
  size_t high = span_count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (spans[middle].to <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Make a span begin at the address, if the address lies within one.
static void split_at(uintptr_t address) {
  const size_t i = span_at(address);
  if (i == span_count || spans[i].from >= address) return;
  const span_t rest = {address, spans[i].to, spans[i].state};
  spans[i].to = address;
  insert_span(i + 1, rest);
}

static void join_with_next(size_t i) {
  if (i + 1 >= span_count || spans[i].to != spans[i + 1].from) return;
  if (spans[i].state != spans[i + 1].state) return;
  spans[i].to = spans[i + 1].to;
  remove_span(i + 1);
}

static void set_state(uintptr_t from, uintptr_t to, fake_state_t state) {
  split_at(from);
  split_at(to);
  size_t i = span_at(from);
  while (i < span_count && spans[i].from < to) remove_span(i);
  if (state == FAKE_FREE) return;
  insert_span(i, (span_t){from, to, state});
  join_with_next(i);
  if (i > 0) join_with_next(i - 1);
}

// A set of the states that occur: bit 1 << state.
static uint32_t states_of(uintptr_t from, uintptr_t to) {
  uint32_t states = 0;
  uintptr_t at = from;
  for (size_t i = span_at(from); i < span_count && spans[i].from < to; i++) {
    if (spans[i].from > at) states |= 1u << FAKE_FREE;
    states |= 1u << spans[i].state;
    at = spans[i].to;
  }
  if (at < to) states |= 1u << FAKE_FREE;
  return states;
}

fake_state_t fake_state_of(const void* address) {
  lock();
  const uint32_t states = states_of((uintptr_t)address, (uintptr_t)address + 1);
  unlock();
  fake_state_t state = FAKE_FREE;
  while (states != 1u << state) state++;
  return state;
}

bool fake_is_all(const void* address, size_t size, fake_state_t state) {
  lock();
  const uint32_t states = states_of((uintptr_t)address, (uintptr_t)address + size);
  unlock();
  return states == 1u << state;
}

size_t fake_bytes_in(fake_state_t state) {
  size_t total = 0;
  lock();
  for (size_t i = 0; i < span_count; i++) {
    if (spans[i].state == state) total += spans[i].to - spans[i].from;
  }
  unlock();
  return total;
}

// Or 2 MiB are resident for each byte that is touched, as long as another test (scripts/hello_rss) has switched
// transparent huge pages on for all processes.
__attribute__((constructor)) static void have_small_pages(void) {
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

size_t fake_touched_bytes(const void* address, size_t size) {
  size_t total = 0;
  const uintptr_t begin = (uintptr_t)address & ~(uintptr_t)(REAL_PAGE - 1);
  for (uintptr_t at = begin; at < (uintptr_t)address + size; at += REAL_PAGE) {
    unsigned char resident = 0;
    if (mincore((void*)at, REAL_PAGE, &resident) == 0 && (resident & 1) != 0) total += REAL_PAGE;
  }
  return total;
}

// Faults, counts, hooks --------------------------------------------------------------------------

typedef struct fault_s {
  uint32_t seen;   // calls since it was set
  uint32_t at;     // the call that fails
  uint32_t until;  // the last call that fails
  bool partly;
  size_t above;  // larger ones fail
} fault_t;

typedef enum outcome_e { WORKS, WORKS_IN_PART, FAILS } outcome_t;

typedef struct hook_s {
  void (*function)(void* arg);
  void* arg;
} hook_t;

static const fault_t no_fault = {.at = NEVER, .above = NO_LIMIT};
static fault_t faults[FAKE_CALLS + 1];  // at first nothing larger than 0 works: see fake_reset()
static size_t open_limit = NO_LIMIT;
static uint32_t failures[FAKE_CALLS + 1];  // the last: all together
static size_t call_counts[FAKE_CALLS];
static size_t byte_counts[FAKE_CALLS];
static fake_place_t latest[FAKE_CALLS];
static hook_t hooks[FAKE_CALLS];
static _Thread_local bool in_hook;

static void set_no_faults(void) {
  for (int i = 0; i <= FAKE_CALLS; i++) faults[i] = no_fault;
}

const char* fake_call_name(fake_call_t call) {
  static const char* const names[FAKE_CALLS + 1] = {
      [FAKE_RESERVE] = "reserve",
      [FAKE_RESERVE_AT] = "reserve_at",
      [FAKE_OPEN] = "open",
      [FAKE_SHOW] = "show",
      [FAKE_PURGE] = "purge",
      [FAKE_MOVE] = "move",
      [FAKE_RENEW] = "renew",
      [FAKE_RELEASE] = "release",
      [FAKE_ON_THREAD_EXIT] = "on_thread_exit",
      [FAKE_THREAD_ARM] = "thread_arm",
      [FAKE_ON_EXIT] = "on_exit",
      [FAKE_THREAD_START] = "thread_start",
      [FAKE_AT_FORK] = "at_fork",
      [FAKE_FACTS] = "facts",
      [FAKE_LIMITS] = "limits",
      [FAKE_CLOCK] = "clock_ms",
      [FAKE_YIELD] = "yield",
      [FAKE_ENVIRONMENT] = "environment",
      [FAKE_KEEP_STDERR] = "keep_stderr",
      [FAKE_WRITE] = "write",
      [FAKE_NEXT_FUNCTION] = "next_function",
      [FAKE_CXX_FUNCTION] = "cxx_function",
      [FAKE_USAGE] = "usage",
      [FAKE_WAIT] = "wait",
      [FAKE_ANY] = "any call",
  };
  return names[call];
}

static void set_fault(fake_call_t call, fault_t fault) {
  lock();
  faults[call] = fault;
  unlock();
}

void fake_fail_nth(fake_call_t call, uint32_t n) {
  set_fault(call, (fault_t){.at = n, .until = n, .above = NO_LIMIT});
}

void fake_fail_two(fake_call_t call, uint32_t n) {
  set_fault(call, (fault_t){.at = n, .until = n + 1, .above = NO_LIMIT});
}

void fake_fail_from(fake_call_t call, uint32_t n) {
  set_fault(call, (fault_t){.at = n, .until = NEVER, .above = NO_LIMIT});
}

bool fake_fail_partly(fake_call_t call, uint32_t n) {
  const bool possible = call <= FAKE_RELEASE || call == FAKE_CLOCK || call == FAKE_WRITE;
  if (possible) set_fault(call, (fault_t){.at = n, .partly = true, .above = NO_LIMIT});
  return possible;
}

void fake_fail_above(fake_call_t call, size_t bytes) {
  set_fault(call, (fault_t){.at = NEVER, .above = bytes});
}

void fake_limit_open(size_t bytes) {
  lock();
  open_limit = bytes;
  unlock();
}

void fake_fail_never(void) {
  lock();
  set_no_faults();
  open_limit = NO_LIMIT;
  unlock();
}

uint32_t fake_failures_of(fake_call_t call) {
  lock();
  const uint32_t count = failures[call];
  unlock();
  return count;
}

uint32_t fake_failures(void) { return fake_failures_of(FAKE_ANY); }

// Lock held.
static void count_failure(fake_call_t call) {
  failures[call]++;
  failures[FAKE_ANY]++;
}

size_t fake_calls(fake_call_t call) {
  lock();
  size_t total = call < FAKE_CALLS ? call_counts[call] : 0;
  for (int i = 0; call == FAKE_ANY && i < FAKE_FAILING_CALLS; i++) total += call_counts[i];
  unlock();
  return total;
}

size_t fake_bytes(fake_call_t call) {
  lock();
  const size_t bytes = byte_counts[call];
  unlock();
  return bytes;
}

fake_place_t fake_latest(fake_call_t call) {
  lock();
  const fake_place_t place = latest[call];
  unlock();
  return place;
}

void fake_on_call(fake_call_t call, void (*hook)(void* arg), void* arg) {
  lock();
  hooks[call] = (hook_t){hook, arg};
  unlock();
}

static void call_hook(fake_call_t call) {
  lock();
  const hook_t hook = hooks[call];
  unlock();
  if (hook.function == NULL || in_hook) return;
  in_hook = true;
  hook.function(hook.arg);
  in_hook = false;
}

static outcome_t outcome_of(fault_t* fault, size_t size) {
  fault->seen++;
  if (fault->seen == fault->at && fault->partly) return WORKS_IN_PART;
  const bool hits = fault->seen >= fault->at && fault->seen <= fault->until;
  return hits || size > fault->above ? FAILS : WORKS;
}

// Lock held: counts the call. Says how it has to end.
static outcome_t begin_call(fake_call_t call, void* address, size_t size) {
  call_counts[call]++;
  latest[call] = (fake_place_t){address, size};
  outcome_t outcome = outcome_of(&faults[call], size);
  if (call < FAKE_FAILING_CALLS && outcome_of(&faults[FAKE_ANY], size) != WORKS) outcome = FAILS;
  if (outcome != WORKS) count_failure(call);
  return outcome;
}

// The same for calls that have nothing but a result.
static outcome_t plain_call(fake_call_t call) {
  call_hook(call);
  lock();
  const outcome_t outcome = begin_call(call, NULL, 0);
  unlock();
  return outcome;
}

// Memory calls -----------------------------------------------------------------------------------

static size_t align_up(size_t x, size_t align) { return (x + align - 1) / align * align; }

static size_t reserve_phase = ANY_PHASE;

void fake_reserve_at_phase(size_t bytes) { reserve_phase = bytes; }

void mii_platform_facts(platform_facts_t* facts) {
  *facts = plain_call(FAKE_FACTS) == WORKS ? fake_facts : guessed_facts;
}

size_t mii_platform_group_limit(void) { return fake_group_limit; }
uint64_t mii_platform_pressure(void) { return fake_pressure; }

void mii_platform_limits(platform_limits_t* limits) {
  *limits = plain_call(FAKE_LIMITS) == WORKS ? fake_limits : no_limits;
}

// Where in [p, p + size + slack) the reservation begins.
static uintptr_t place_in(uintptr_t p) {
  if (reserve_phase == ANY_PHASE) return align_up(p, fake_facts.os_page_size);
  const uintptr_t at = p / PHASE_MODULUS * PHASE_MODULUS + reserve_phase;
  return at >= p ? at : at + PHASE_MODULUS;
}

static void* reserve_real(size_t size) {
  const size_t slack = reserve_phase == ANY_PHASE ? fake_facts.os_page_size : 2 * PHASE_MODULUS;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const p = mmap(NULL, size + slack, PROT_NONE, flags, -1, 0);
  if (p == MAP_FAILED) return NULL;
  const uintptr_t from = (uintptr_t)p;
  const uintptr_t at = place_in(from);
  if (at > from) munmap(p, at - from);
  const uintptr_t end = from + size + slack;
  if (end > at + size) munmap((void*)(at + size), end - (at + size));
  return (void*)at;
}

int mii_platform_reserve(size_t size, void** address) {
  if (size == 0 || size % fake_facts.os_page_size != 0)
    complain("reserve", NULL, size, "not whole OS pages");
  call_hook(FAKE_RESERVE);
  lock();
  const outcome_t outcome = begin_call(FAKE_RESERVE, NULL, size);
  void* const p = outcome == WORKS ? reserve_real(size) : NULL;
  if (outcome == WORKS_IN_PART) faults[FAKE_RESERVE].above = size / 2 - 1;
  if (p != NULL) {
    set_state((uintptr_t)p, (uintptr_t)p + size, FAKE_RESERVED);
    byte_counts[FAKE_RESERVE] += size;
    latest[FAKE_RESERVE].address = p;
    *address = p;
  }
  unlock();
  return p != NULL ? 0 : ENOMEM;
}

// What is not free is so for the real system, too.
static int reserve_at_real(void* address, size_t size) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  const int before = errno;
  void* const p = mmap(address, size, PROT_NONE, flags, -1, 0);
  const int code = p == MAP_FAILED ? errno : 0;
  errno = before;
  return code;
}

typedef struct memory_call_s {
  fake_call_t call;
  const char* name;
  uint32_t allowed;  // states before: bits
  const char* complaint;
  fake_state_t becomes;
} memory_call_t;

static void check_place(const memory_call_t* what, void* address, size_t size) {
  const size_t page = fake_facts.os_page_size;
  if (address == NULL || size == 0) complain(what->name, address, size, "nothing");
  if ((uintptr_t)address % page != 0 || size % page != 0) {
    complain(what->name, address, size, "not whole OS pages");
  }
}

int mii_platform_reserve_at(void* address, size_t size) {
  const memory_call_t what = {.call = FAKE_RESERVE_AT, .name = "reserve_at"};
  check_place(&what, address, size);
  call_hook(FAKE_RESERVE_AT);
  lock();
  const int code =
      begin_call(FAKE_RESERVE_AT, address, size) ? ENOMEM : reserve_at_real(address, size);
  if (code == 0) {
    set_state((uintptr_t)address, (uintptr_t)address + size, FAKE_RESERVED);
    byte_counts[FAKE_RESERVE_AT] += size;
  }
  unlock();
  return code;
}

static void apply_real(fake_state_t becomes, fake_call_t call, void* address, size_t size) {
  int status = 0;
  if (call == FAKE_PURGE) {
    status = madvise(address, size, MADV_DONTNEED);
  } else if (becomes == FAKE_FREE) {
    status = munmap(address, size);
  } else {
    status = mprotect(address, size, becomes == FAKE_OPENED ? PROT_READ | PROT_WRITE : PROT_READ);
  }
  if (status != 0) complain("the real system", address, size, strerror(errno));
}

// Lock held.
static size_t bytes_opened_by(uintptr_t from, uintptr_t to) {
  size_t closed = to - from;
  for (size_t i = span_at(from); i < span_count && spans[i].from < to; i++) {
    if (spans[i].state != FAKE_OPENED) continue;
    const uintptr_t low = spans[i].from > from ? spans[i].from : from;
    const uintptr_t high = spans[i].to < to ? spans[i].to : to;
    closed -= high - low;
  }
  return closed;
}

static bool is_over_open_limit(uintptr_t from, uintptr_t to) {
  if (open_limit == NO_LIMIT) return false;
  size_t opened = bytes_opened_by(from, to);
  for (size_t i = 0; i < span_count; i++) {
    if (spans[i].state == FAKE_OPENED) opened += spans[i].to - spans[i].from;
  }
  if (opened <= open_limit) return false;
  failures[FAKE_ANY]++;
  return true;
}

static int memory_call(memory_call_t what, void* address, size_t size) {
  check_place(&what, address, size);
  call_hook(what.call);
  const uintptr_t from = (uintptr_t)address;
  lock();
  if ((states_of(from, from + size) & ~what.allowed) != 0)
    complain(what.name, address, size, what.complaint);
  outcome_t outcome = begin_call(what.call, address, size);
  if (outcome == WORKS && what.call == FAKE_OPEN && is_over_open_limit(from, from + size))
    outcome = FAILS;
  if (outcome == WORKS) byte_counts[what.call] += size;
  const size_t page = fake_facts.os_page_size;
  const size_t done = outcome == WORKS ? size : outcome == FAILS ? 0 : size / 2 / page * page;
  if (done > 0) {
    apply_real(what.becomes, what.call, address, done);
    set_state(from, from + done, what.becomes);
  }
  unlock();
  return outcome == WORKS ? 0 : ENOMEM;
}

enum {
  RESERVED_BIT = 1 << FAKE_RESERVED,
  SHOWN_BIT = 1 << FAKE_SHOWN,
  OPENED_BIT = 1 << FAKE_OPENED,
};

int mii_platform_open(void* address, size_t size) {
  const uint32_t allowed = RESERVED_BIT | SHOWN_BIT | OPENED_BIT;
  return memory_call((memory_call_t){FAKE_OPEN, "open", allowed, "not reserved", FAKE_OPENED},
                     address, size);
}

static size_t large_bytes, small_bytes;

// It has none.
int mii_platform_open_huge(void* address, size_t size, size_t huge_page, int numa_node) {
  (void)address, (void)size, (void)huge_page, (void)numa_node;
  return ENOMEM;
}
void mii_platform_prefer_large(void* address, size_t size) { (void)address, large_bytes += size; }
void mii_platform_refuse_large(void* address, size_t size) { (void)address, small_bytes += size; }
size_t fake_large_bytes(void) { return large_bytes; }
size_t fake_small_bytes(void) { return small_bytes; }

int mii_platform_show(void* address, size_t size) {
  const uint32_t allowed = RESERVED_BIT | SHOWN_BIT;
  return memory_call((memory_call_t){FAKE_SHOW, "show", allowed, "not reserved", FAKE_SHOWN},
                     address, size);
}

int mii_platform_purge(void* address, size_t size) {
  return memory_call((memory_call_t){FAKE_PURGE, "purge", OPENED_BIT, "not open", FAKE_OPENED},
                     address, size);
}

// Never in part.
static int whole_call(fake_call_t call, const char* name, void* address, size_t size) {
  const memory_call_t what = {.call = call, .name = name};
  check_place(&what, address, size);
  call_hook(call);
  lock();
  const uintptr_t from = (uintptr_t)address;
  if ((states_of(from, from + size) & ~(uint32_t)OPENED_BIT) != 0)
    complain(name, address, size, "not open");
  const bool works = begin_call(call, address, size) == WORKS;
  if (works) byte_counts[call] += size;
  unlock();
  return works ? 0 : ENOMEM;
}

int mii_platform_move(void* from, void* to, size_t size) {
  const memory_call_t what = {.name = "move"};
  check_place(&what, to, size);
  const int code = whole_call(FAKE_MOVE, "move", from, size);
  if (code != 0) return code;
  memcpy(to, from, size);
  return madvise(from, size, MADV_DONTNEED);
}

int mii_platform_renew(void* address, size_t size) {
  const int code = whole_call(FAKE_RENEW, "renew", address, size);
  return code != 0 ? code : madvise(address, size, MADV_DONTNEED);
}

size_t mii_platform_resident(void* address, size_t size) {
  return fake_touched_bytes(address, size);
}

// It has none.
int mii_platform_guard(void* address, size_t size) {
  (void)address, (void)size;
  return EINVAL;
}
int mii_platform_unguard(void* address, size_t size) { return mii_platform_guard(address, size); }

int mii_platform_release(void* address, size_t size) {
  const uint32_t allowed = RESERVED_BIT | SHOWN_BIT | OPENED_BIT;
  return memory_call((memory_call_t){FAKE_RELEASE, "release", allowed, "not reserved", FAKE_FREE},
                     address, size);
}

uint32_t mii_platform_stack(void** frames, uint32_t count_max) {
  (void)frames, (void)count_max;
  return 0;
}
void mii_platform_on_fault(void (*on_fault)(const void* address)) { (void)on_fault; }

// The same in every run.
void mii_platform_random(void* bytes, size_t size) {
  static uint32_t state;
  for (size_t i = 0; i < size; i++) {
    state = state * 1664525 + 1013904223;
    ((uint8_t*)bytes)[i] = (uint8_t)(state >> 24);
  }
}

// Time and scheduling ----------------------------------------------------------------------------

static _Atomic(uint64_t) clock_ms;

void fake_set_clock(uint64_t ms) { clock_ms = ms; }
void fake_advance_clock(uint64_t ms) { clock_ms += ms; }

uint64_t mii_platform_clock_ms(void) {
  static _Atomic(uint64_t) told;
  const outcome_t outcome = plain_call(FAKE_CLOCK);
  if (outcome == FAILS) return 0;
  if (outcome == WORKS) told = clock_ms;
  return told;
}

void mii_platform_yield(void) {
  if (plain_call(FAKE_YIELD) == WORKS) sched_yield();
}

bool mii_platform_wait(_Atomic(uint32_t)* word, uint32_t value, uint64_t timeout_ms) {
  if (plain_call(FAKE_WAIT) != WORKS) return false;
  if (*word != value) return true;
  if (timeout_ms == UINT64_MAX) return false;
  clock_ms += timeout_ms;
  return true;
}

static _Atomic(uint32_t) wakes;

void mii_platform_wake(_Atomic(uint32_t)* word) {
  (void)word;
  wakes++;
}
uint32_t fake_wakes(void) { return wakes; }

// Threads ----------------------------------------------------------------------------------------

static fake_thread_t* started_thread;
static bool started_to_be_joined;
static bool has_threads;
static uint32_t joins;

int mii_platform_thread_start(void (*run)(void), bool is_to_be_joined) {
  if (plain_call(FAKE_THREAD_START) != WORKS) return EAGAIN;
  started_thread = run;
  started_to_be_joined = is_to_be_joined;
  return 0;
}

void mii_platform_thread_join(void) { joins++; }
bool mii_platform_has_threads(void) { return has_threads; }

fake_thread_t* fake_started_thread(void) { return started_thread; }
bool fake_started_to_be_joined(void) { return started_to_be_joined; }
void fake_have_threads(bool any) { has_threads = any; }
uint32_t fake_joins(void) { return joins; }

static void (*thread_exit_function)(void* value);
static _Thread_local void* thread_exit_value;
static void (*fork_functions[3])(void);
static void (*exit_function)(void* arg);

static uintptr_t thread_id_offset;

uintptr_t mii_platform_thread_id(void) { return (uintptr_t)&thread_exit_value + thread_id_offset; }
void fake_new_thread_id(void) { thread_id_offset++; }

int mii_platform_on_thread_exit(void (*at_exit)(void* value)) {
  if (plain_call(FAKE_ON_THREAD_EXIT) != WORKS) return ENOMEM;
  if (thread_exit_function != NULL) complain("on_thread_exit", NULL, 0, "a second time");
  thread_exit_function = at_exit;
  return 0;
}

void mii_platform_forget_thread_exit(void) {
  if (thread_exit_function == NULL) complain("forget_thread_exit", NULL, 0, "nothing to forget");
  thread_exit_function = NULL;
}

int mii_platform_on_exit(void (*at_exit)(void* arg)) {
  if (plain_call(FAKE_ON_EXIT) != WORKS) return ENOMEM;
  exit_function = at_exit;
  return 0;
}

void mii_platform_forget_exit(void) {
  if (exit_function != NULL) exit_function(NULL);
  exit_function = NULL;
}

int mii_platform_thread_arm(void* value) {
  if (value == NULL) complain("thread_arm", value, 0, "no value");
  if (thread_exit_function == NULL) complain("thread_arm", value, 0, "before on_thread_exit");
  if (plain_call(FAKE_THREAD_ARM) != WORKS) return ENOMEM;
  thread_exit_value = value;
  return 0;
}

bool fake_thread_is_armed(void) { return thread_exit_value != NULL; }

void fake_thread_exit(void) {
  void* const value = thread_exit_value;
  thread_exit_value = NULL;
  if (value != NULL) thread_exit_function(value);
}

int mii_platform_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  if (plain_call(FAKE_AT_FORK) != WORKS) return ENOMEM;
  fork_functions[0] = prepare;
  fork_functions[1] = parent;
  fork_functions[2] = child;
  return 0;
}

static void call_fork_function(int i) {
  if (fork_functions[i] != NULL) fork_functions[i]();
}

void fake_fork_prepare(void) { call_fork_function(0); }
void fake_fork_parent(void) { call_fork_function(1); }
void fake_fork_child(void) { call_fork_function(2); }

// Process ----------------------------------------------------------------------------------------

typedef struct variable_s {
  char name[64];
  char value[256];
} variable_t;

static variable_t variables[VARIABLES_MAX];  // an empty name: not in use
static bool is_environment_missing;

static variable_t* find_variable(const char* name) {
  for (int i = 0; i < VARIABLES_MAX; i++) {
    if (strcasecmp(variables[i].name, name) == 0) return &variables[i];
  }
  return NULL;
}

void fake_set_environment(const char* name, const char* value) {
  variable_t* variable = find_variable(name);
  if (variable == NULL) variable = find_variable("");
  if (variable == NULL) abort();
  snprintf(variable->name, sizeof variable->name, "%s", value != NULL ? name : "");
  snprintf(variable->value, sizeof variable->value, "%s", value != NULL ? value : "");
}

void fake_have_environment(bool there) { is_environment_missing = !there; }

static bool find_environment(void) {
  return plain_call(FAKE_ENVIRONMENT) == WORKS && !is_environment_missing;
}

bool mii_platform_has_environment(void) { return find_environment(); }

const char* mii_platform_environment(const char* name) {
  const variable_t* const variable = find_environment() ? find_variable(name) : NULL;
  return variable != NULL ? variable->value : NULL;
}

const char* mii_platform_environment_entry(size_t i) {
  static char entry[sizeof(variable_t) + 1];
  const int count = find_environment() ? VARIABLES_MAX : 0;
  for (int v = 0; v < count; v++) {
    if (variables[v].name[0] == '\0' || i-- > 0) continue;
    snprintf(entry, sizeof entry, "%s=%s", variables[v].name, variables[v].value);
    return entry;
  }
  return NULL;
}

static char output[TEXT_MAX];
static size_t output_length;
static int output_descriptor = -1;

const char* fake_output(void) { return output; }
int fake_output_descriptor(void) { return output_descriptor; }

void fake_output_clear(void) {
  output[0] = '\0';
  output_length = 0;
  output_descriptor = -1;
}

int mii_platform_keep_stderr(void) {
  return plain_call(FAKE_KEEP_STDERR) == WORKS ? FAKE_KEPT_STDERR : STDERR_FILENO;
}

static uint32_t thread_number;  // of the running thread; 0: no telling
static uint32_t gone_number;

void fake_set_thread_number(uint32_t number) { thread_number = number; }
void fake_end_thread_number(uint32_t number) { gone_number = number; }

bool mii_platform_thread_is_known(uint32_t* number) {
  *number = thread_number;
  return true;
}

bool mii_platform_thread_is_gone(uint32_t number) {
  if (number == 0) complain("thread_is_gone", NULL, 0, "no number");
  return number == gone_number;
}

void mii_platform_write(int descriptor, const char* text, size_t length) {
  const outcome_t outcome = plain_call(FAKE_WRITE);
  if (outcome != WORKS) length = outcome == FAILS ? 0 : length / 2;
  lock();
  output_descriptor = descriptor;
  for (size_t i = 0; i < length && output_length < TEXT_MAX - 1; i++)
    output[output_length++] = text[i];
  output[output_length] = '\0';
  unlock();
}

typedef struct next_function_s {
  const char* name;
  platform_function_t* function;
} next_function_t;

static next_function_t next_functions[FUNCTIONS_MAX];

void fake_set_next_function(const char* name, platform_function_t* function) {
  int i = 0;
  while (next_functions[i].name != NULL && strcmp(next_functions[i].name, name) != 0) i++;
  if (i == FUNCTIONS_MAX - 1) abort();
  next_functions[i] = (next_function_t){name, function};
}

platform_function_t* mii_platform_next_function(const char* name) {
  if (plain_call(FAKE_NEXT_FUNCTION) != WORKS) return NULL;
  for (int i = 0; next_functions[i].name != NULL; i++) {
    if (strcmp(next_functions[i].name, name) == 0) return next_functions[i].function;
  }
  return NULL;
}

bool mii_platform_is_first_function(const char* name, platform_function_t* function) {
  return strcmp(name, "mi_version") == 0 && function != NULL;
}

// Nobody loads a C++ runtime.
platform_function_t* mii_platform_cxx_function(const char* name) {
  (void)name;
  plain_call(FAKE_CXX_FUNCTION);
  return NULL;
}

void mii_platform_usage(platform_usage_t* usage) {
  *usage = plain_call(FAKE_USAGE) == WORKS ? fake_usage : (platform_usage_t){0};
}

// ------------------------------------------------------------------------------------------------

void fake_reset(void) {
  fake_fail_never();
  lock();
  for (size_t i = 0; i < span_count; i++) munmap((void*)spans[i].from, spans[i].to - spans[i].from);
  span_count = 0;
  memset(failures, 0, sizeof failures);
  reserve_phase = ANY_PHASE;
  memset(call_counts, 0, sizeof call_counts);
  memset(byte_counts, 0, sizeof byte_counts);
  memset(latest, 0, sizeof latest);
  memset(hooks, 0, sizeof hooks);
  memset(variables, 0, sizeof variables);
  memset(next_functions, 0, sizeof next_functions);
  memset(fork_functions, 0, sizeof fork_functions);
  is_environment_missing = false;
  exit_function = NULL;
  thread_exit_function = NULL;
  thread_exit_value = NULL;
  started_thread = NULL;
  has_threads = false;
  wakes = joins = 0;
  thread_number = 0;
  gone_number = 0;
  fake_facts = initial_facts;
  fake_limits = no_limits;
  fake_group_limit = SIZE_MAX;
  fake_pressure = 0;
  large_bytes = small_bytes = 0;
  fake_usage = (platform_usage_t){0};
  unlock();
  clock_ms = 0;
  fake_output_clear();
}

// After the constructors that have a priority, ours among them.
__attribute__((constructor)) static void set_up(void) { fake_reset(); }
