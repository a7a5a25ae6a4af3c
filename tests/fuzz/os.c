// SPDX-License-Identifier: MIT
// os.c - a clock, refusals, and the way back to the start
//
// An input must behave the same whatever came before it, or what it finds cannot be repeated. To go
// back, we copy the variables of mi.o, whose section the linker gives us the ends of, and give back
// the memory that was opened since: it reads as zero again, as at the start.
#include "fuzz/os.h"
#include "fuzz/model.h"
#include "fuzz/redirect.h"
#undef clock_gettime
#undef mprotect
#undef madvise
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Time -------------------------------------------------------------------------------------------

enum { TIME_AT_START = 100 * 1000 };
static uint64_t now_ms = TIME_AT_START;

void os_let_time_pass(unsigned ms) { now_ms += ms; }

int fuzz_clock_gettime(clockid_t clock, struct timespec* now) {
  (void)clock;
  *now = (struct timespec){(time_t)(now_ms / 1000), (long)(now_ms % 1000) * 1000000};
  return 0;
}

// Refusals ---------------------------------------------------------------------------------------

typedef struct refusal_s {
  unsigned good;
  unsigned bad;
} refusal_t;
static refusal_t refusals[OS_CALLS];
static bool has_refused;
static bool has_refused_purge;

void os_refuse(os_call_t call, unsigned good, unsigned bad) {
  refusals[call] = (refusal_t){good, bad};
}

void os_refuse_nothing(void) { memset(refusals, 0, sizeof refusals); }

bool os_has_refused(void) {
  const bool answer = has_refused;
  has_refused = false;
  return answer;
}

bool os_has_refused_purge(void) { return has_refused_purge; }

static bool is_refused(os_call_t call) {
  refusal_t* const refusal = &refusals[call];
  if (refusal->bad == 0) return false;
  if (refusal->good > 0) {
    refusal->good--;
    return false;
  }
  refusal->bad--;
  *(call == OS_OPEN ? &has_refused : &has_refused_purge) = true;
  return true;
}

// Memory -----------------------------------------------------------------------------------------

// What was opened or shown, in order.
typedef struct piece_s {
  void* address;
  size_t size;
  int protection;
} piece_t;
enum { PIECES_MAX = 64 * 1024 };
static piece_t pieces[PIECES_MAX];
static size_t piece_count;
static size_t pieces_at_start;

int fuzz_mprotect(void* address, size_t size, int protection) {
  if (is_refused(OS_OPEN)) {
    errno = ENOMEM;
    return -1;
  }
  if (piece_count == PIECES_MAX) model_fail("more than %d pieces of memory opened", PIECES_MAX);
  pieces[piece_count++] = (piece_t){address, size, protection};
  return mprotect(address, size, protection);
}

int fuzz_madvise(void* address, size_t size, int advice) {
  if (is_refused(OS_PURGE)) {
    errno = EAGAIN;
    return -1;
  }
  return madvise(address, size, advice);
}

// The way back -----------------------------------------------------------------------------------

extern uint8_t __start_mi_data[] __attribute__((weak));
extern uint8_t __stop_mi_data[] __attribute__((weak));
static uint8_t* data_at_start;

#if defined(__has_attribute)
#if __has_attribute(no_sanitize)
__attribute__((no_sanitize("address", "thread")))
#endif
#endif
static void
copy_words(void* to, const void* from, size_t bytes) {  // over redzones, too
  volatile uint8_t* const target = (volatile uint8_t*)to;
  for (size_t i = 0; i < bytes; i++) target[i] = ((const uint8_t*)from)[i];
}

static size_t data_bytes(void) {
  return __start_mi_data != NULL ? (size_t)((uintptr_t)__stop_mi_data - (uintptr_t)__start_mi_data)
                                 : 0;
}

bool os_can_reset(void) { return data_bytes() > 0; }

void os_note_start(void) {
  pieces_at_start = piece_count;
  for (size_t i = 0; i < piece_count; i++) {
    if (!model_is_zero(pieces[i].address, pieces[i].size))
      model_fail("the allocator starts with memory that is not zero");
  }
  if (!os_can_reset()) return;
  data_at_start = malloc(data_bytes());
  if (data_at_start == NULL) abort();
  copy_words(data_at_start, __start_mi_data, data_bytes());
}

// Without access again, or readable if it is part of what was shown.
static int protection_before(const piece_t* piece) {
  for (size_t i = 0; i < pieces_at_start; i++) {
    const uintptr_t from = (uintptr_t)pieces[i].address;
    const uintptr_t at = (uintptr_t)piece->address;
    if (pieces[i].protection == PROT_READ && at >= from && at < from + pieces[i].size)
      return PROT_READ;
  }
  return PROT_NONE;
}

void os_reset(void) {
  for (size_t i = piece_count; i-- > 0;) {
    const piece_t* const piece = &pieces[i];
    if (piece->protection == PROT_READ) continue;
    madvise(piece->address, piece->size, MADV_DONTNEED);
    if (i >= pieces_at_start) mprotect(piece->address, piece->size, protection_before(piece));
  }
  piece_count = pieces_at_start;
  now_ms = TIME_AT_START;
  os_refuse_nothing();
  os_has_refused();
  has_refused_purge = false;
  copy_words(__start_mi_data, data_at_start, data_bytes());
}
