// SPDX-License-Identifier: MIT
// target.c - bytes -> calls, by several threads in turn, compared with the model
//
//   byte 0         when unused memory is purged; who frees what is left
//   then, per step, 6 bytes:
//     what         bits 0-4: the step, by the table `steps`; bits 5-7: how often
//     variant      which function of its kind
//     kind, value  a size, biased to the borders of classes and of kinds of blocks
//     pick         which block, which worker, which offset
//     extra        the alignment, and all else
//
// Missing bytes are 0. After the last step everything is freed and collected, and nothing may be left.
#include "api/stats.h"
#include "fuzz/calls.h"
#include "fuzz/model.h"
#include "fuzz/os.h"
#include "fuzz/workers.h"
#include "heap/block.h"
#include "heap/thread.h"
#include "mimalloc.h"
#include "space/purge.h"
#include "space/run.h"
#include "space/segment.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  STEP_BYTES = 6,
  CALLS_MAX = 3000,               // per input
  BYTES_MAX = 160 * 1024 * 1024,  // out at the same time
  UNTOUCHED = 7531,               // no error number
};

// With 32 bits addresses end before memory does: blocks that lie far apart for their alignment are few.
static const size_t ADDRESSES_MAX = sizeof(void*) == 8 ? SIZE_MAX : 64 * 1024 * 1024;

typedef struct step_s {
  uint8_t what;
  uint8_t variant;
  uint8_t kind;
  uint8_t value;
  uint8_t pick;
  uint8_t extra;
} step_t;

// The input, and how far we are.
static const uint8_t* rest;
static size_t rest_bytes;
static unsigned calls_left;
static unsigned next_worker;
static bool is_loud;  // print the steps

static bool next_step(step_t* step) {
  if (rest_bytes == 0 || calls_left == 0) return false;
  const size_t bytes = rest_bytes < STEP_BYTES ? rest_bytes : STEP_BYTES;
  memset(step, 0, sizeof *step);
  memcpy(step, rest, bytes);
  rest += bytes;
  rest_bytes -= bytes;
  return true;
}

__attribute__((format(printf, 1, 2))) static void say(const char* format, ...) {
  if (!is_loud) return;
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
}

// Failures -----------------------------------------------------------------------------------------

// What the error function received since before_call.
static unsigned report_count;
static int report_code;

static void note_report(int code, void* arg) {
  (void)arg;
  report_count++;
  report_code = code;
}

static void charge(size_t calls) {
  calls_left -= calls < calls_left ? (unsigned)calls : calls_left;
}

static void before_call(void) {
  report_count = 0;
  os_has_refused();
  charge(1);
  errno = UNTOUCHED;
}

// After a call that succeeded.
static void expect_quiet(const char* name) {
  if (errno != UNTOUCHED) model_fail("%s: success, but errno is %d", name, errno);
  if (report_count != 0) model_fail("%s: success, but error %d was reported", name, report_code);
}

static void expect_failure(const char* name, int error, int report) {
  if (errno != error) model_fail("%s: errno is %d, not %d", name, errno, error);
  if (report_count != 1) model_fail("%s: %u reports of a failure", name, report_count);
  if (report_code != report) model_fail("%s: code %d, not %d", name, report_code, report);
}

// Requests -----------------------------------------------------------------------------------------

// What is wrong with a request; functions that cannot have the fault get a good request instead.
typedef enum fault_e { GOOD, BAD_ALIGNMENT, TOO_LARGE, OVERFLOW, NO_SUCH_MEMORY, FAULTS } fault_t;

typedef struct request_s {
  want_t want;
  size_t total;
  fault_t fault;
} request_t;

static size_t border_size(const step_t* step) {
  static const int deltas[8] = {0, 1, -1, 0, 8, -8, 2, -16};
  const unsigned value = step->value;
  size_t size;
  switch (step->kind & 7) {
    case 0: return value;
    case 1:
    case 2: size = mii_class_bytes(value % CLASS_COUNT); break;
    case 3: return value * 64u + (step->kind >> 3);
    case 4: size = (value + 1u) * UNIT_BYTES; break;
    case 5: size = (value % 64 + 1u) * SLICE_BYTES; break;
    case 6: size = ((size_t)1 << (10 + value % 14)) + (value / 14) * (size_t)UNIT_BYTES; break;
    default: return value * 8u;
  }
  const long delta = deltas[(step->kind >> 3) & 7];
  return delta < 0 && size < (size_t)-delta ? 0 : size + (size_t)delta;
}

static fault_t fault_of(const step_t* step, unsigned flags) {
  if ((step->kind & 7) != 7 || (step->kind >> 3) % 4 != 0) return GOOD;
  if ((flags & (SMALL | COPIES)) != 0) return GOOD;
  const fault_t fault = (fault_t)(step->value % FAULTS);
  if (fault == BAD_ALIGNMENT && (flags & ALIGNS) == 0) return GOOD;
  if (fault == OVERFLOW && (flags & COUNTS) == 0) return TOO_LARGE;
  return fault;
}

static void break_request(request_t* request, const step_t* step) {
  static const size_t bad_alignments[] = {0, 3, 24, 4097, SIZE_MAX, 48};
  want_t* const want = &request->want;
  want->count = 1;
  switch (request->fault) {
    case GOOD:
    case FAULTS: break;
    case BAD_ALIGNMENT: want->alignment = bad_alignments[step->extra % 6]; break;
    case TOO_LARGE: want->size = (size_t)PTRDIFF_MAX + 1 + step->pick; break;
    case OVERFLOW:
      want->size = step->pick + 2u;
      want->count = SIZE_MAX / want->size + 1 + step->extra;
      break;
    case NO_SUCH_MEMORY:
      want->size = mii_min(mii_range.slice_max * SLICE_BYTES, BLOCK_BYTES_MAX - 256 * UNIT_BYTES);
      want->size += (size_t)step->pick * UNIT_BYTES;
      break;
  }
}

// Whole classes of alignments, the small ones more often.
static size_t alignment_of(const step_t* step) {
  static const uint8_t shifts[32] = {4, 5, 6, 7, 8, 9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                     0, 1, 2, 3, 5, 12, 16, 20, 21, 22, 23, 24, 25, 4,  6,  13};
  return (size_t)1 << shifts[step->extra % 32];
}

static size_t offset_of(const step_t* step, size_t size) {
  const size_t offsets[8] = {0, 8, 1, 16, size, 4096, 65536 - 8, 100001};
  return offsets[step->pick % 8];
}

// Split the size into elements, so that the total is at most the size.
static void split(want_t* want, const step_t* step) {
  static const uint8_t counts[8] = {1, 2, 3, 4, 7, 16, 100, 255};
  want->count = counts[step->pick >> 5];
  if (want->size < want->count) want->count = 1;
  want->size /= want->count;
}

// A bit more or less than the block has now.
static size_t size_near(const step_t* step, const held_t* held) {
  static const int units[4] = {1, 16, UNIT_BYTES, SLICE_BYTES};
  const long delta = ((long)step->value - 96) * units[(step->kind >> 3) & 3];
  return delta < 0 && held->size < (size_t)-delta ? 0 : held->size + (size_t)delta;
}

// `held` is the block to be resized, or NULL.
static request_t request_of(const step_t* step, unsigned flags, const held_t* held) {
  request_t request = {.want = {.count = 1, .alignment = 1}, .fault = fault_of(step, flags)};
  want_t* const want = &request.want;
  want->size = held != NULL && (step->kind & 7) == 2 ? size_near(step, held) : border_size(step);
  if (model_bytes() + want->size > BYTES_MAX) want->size %= 1024;
  if ((flags & SMALL) != 0) want->size %= MI_SMALL_SIZE_MAX + 1;
  if ((flags & COPIES) != 0) want->size = want->size % 4096 + 1;
  if ((flags & ALIGNS) != 0) want->alignment = alignment_of(step);
  if (want->alignment > ADDRESSES_MAX / (model_count() + 1)) want->alignment = 16;
  if ((flags & CODES) != 0 && want->alignment < sizeof(void*)) want->alignment = sizeof(void*);
  if ((flags & BY_OS) != 0) want->alignment = mii_range.os_page_size;
  if ((flags & SHIFTS) != 0) want->offset = offset_of(step, want->size);
  if ((flags & COUNTS) != 0) split(want, step);
  if (request.fault != GOOD) break_request(&request, step);
  request.total = want->size * want->count;
  if (request.fault == GOOD)
    charge(request.total / (128 * 1024));  // to copy or clear it takes time
  return request;
}

// The request failed: with reason, and as said?
static void check_failure(const char* name, const request_t* request, unsigned flags,
                          int overflow_errno) {
  int error = ENOMEM;
  int report = ENOMEM;
  switch (request->fault) {
    case GOOD:
    case FAULTS:
      if (!os_has_refused()) model_fail("%s fails for %zu bytes", name, request->total);
      break;
    case BAD_ALIGNMENT: error = report = EINVAL; break;
    case OVERFLOW: error = overflow_errno, report = EOVERFLOW; break;
    case TOO_LARGE: report = EOVERFLOW; break;
    case NO_SUCH_MEMORY: break;
  }
  if ((flags & CODES) != 0) {
    if (request->want.code != error) model_fail("%s: %d is returned", name, request->want.code);
    error = UNTOUCHED;
  }
  expect_failure(name, error, report);
}

// The result of a good request.
static void check_result(const char* name, const void* p, const request_t* request,
                         unsigned flags) {
  const want_t* const want = &request->want;
  if (request->fault != GOOD) model_fail("%s succeeds for %zu bytes", name, request->total);
  expect_quiet(name);
  const size_t usable = mi_usable_size(p);
  if (usable < request->total) model_fail("%s: %zu bytes, not %zu", name, usable, request->total);
  if ((flags & TELLS) != 0 && want->told != usable)
    model_fail("%s tells %zu bytes, not %zu", name, want->told, usable);
  if ((((uintptr_t)p + want->offset) & (want->alignment - 1)) != 0)
    model_fail("%s: %p is not aligned to %zu at %zu", name, p, want->alignment, want->offset);
}

static void check_own_alignment(const char* name, const void* p, size_t size) {
  if (((uintptr_t)p & (size <= 8 ? 7 : 15)) != 0)
    model_fail("%s: %p is not aligned as every block is", name, p);
}

// A run that finds no place in an area, because memory is short, takes slices of its own.
static bool is_whole_slices(size_t usable, size_t good) {
  enum { RUN_MIN = 32 * 1024, SLICE = 64 * 1024 };
  return good > RUN_MIN && usable == (good + SLICE - 1) / SLICE * SLICE;
}

// A block of the size that mi_good_size says, unless the alignment calls for another.
static void check_good_size(const char* name, size_t usable, const request_t* request) {
  const size_t good = mi_good_size(request->total);
  if (request->want.alignment > 1
      && (request->want.offset != 0 || good % request->want.alignment != 0))
    return;
  if (usable != good && !is_whole_slices(usable, good))
    model_fail("%s: %zu bytes, but the good size is %zu", name, usable, good);
  if (mi_good_size(good) != good) model_fail("the good size of %zu is not itself", good);
}

static size_t own_alignment(const want_t* want) {
  return want->offset % want->alignment == 0 ? want->alignment : 1;
}

// Steps: blocks ------------------------------------------------------------------------------------

static void allocate(const step_t* step) {
  const alloc_call_t* const call = &alloc_calls[step->variant % alloc_call_count];
  if (model_count() == HELD_MAX) return;
  request_t request = request_of(step, call->flags, NULL);
  before_call();
  uint8_t* const p = call->call(&request.want);
  if (p == NULL) {
    check_failure(call->name, &request, call->flags, ENOMEM);
    return;
  }
  check_result(call->name, p, &request, call->flags);
  const size_t usable = mi_usable_size(p);
  if ((call->flags & ALIGNS) == 0) check_own_alignment(call->name, p, request.total);
  if ((call->flags & BY_OS) == 0) check_good_size(call->name, usable, &request);
  if ((call->flags & ZEROES) != 0 && !model_is_zero(p, usable))
    model_fail("%s: %zu bytes that are not zero", call->name, usable);
  held_t* const held = model_add(p, request.total, usable);
  held->alignment = own_alignment(&request.want);
  held->zeroed = (call->flags & ZEROES) != 0;
  held->small = (call->flags & SMALL) != 0;
  model_fill(held);
}

static size_t least_of(size_t a, size_t b) { return a < b ? a : b; }

// What the zeroing functions promise for the part that is new.
static void check_added_zeros(const char* name, const held_t* old, const uint8_t* p, size_t size) {
  if (old->zeroed && size > old->size && !model_is_zero(p + old->size, size - old->size))
    model_fail("%s: bytes from %zu to %zu are not zero", name, old->size, size);
}

static void resized(const resize_call_t* call, held_t* held, uint8_t* p, const request_t* request) {
  const held_t old = *held;
  check_result(call->name, p, request, call->flags);
  if ((call->flags & TELLS) != 0 && request->want.told_before != old.usable)
    model_fail("%s tells %zu bytes before", call->name, request->want.told_before);
  if (p != old.p && (call->flags & ALIGNS) == 0) check_own_alignment(call->name, p, request->total);
  model_check_contents(&old, p, least_of(old.filled, request->total));
  if (request->total == 0 && *p != 0) model_fail("%s to 0: the first byte is not 0", call->name);
  const bool zeroes = (call->flags & ZEROES) != 0;
  if (zeroes) check_added_zeros(call->name, &old, p, request->total);
  model_remove(held);
  held_t* const new = model_add(p, request->total, mi_usable_size(p));
  new->alignment = own_alignment(&request->want);
  new->zeroed = old.zeroed&& zeroes && request->total >= old.size;
  model_fill(new);
}

static void resize(const step_t* step) {
  const resize_call_t* const call = &resize_calls[step->variant % resize_call_count];
  held_t* const held = model_pick(step->pick);
  if (held == NULL) return;
  request_t request = request_of(step, call->flags, held);
  model_check(held);
  before_call();
  uint8_t* const p = call->call(held->p, &request.want);
  if (p != NULL) {
    resized(call, held, p, &request);
    return;
  }
  check_failure(call->name, &request, call->flags, call->overflow_errno);
  if ((call->flags & FREES) != 0) {
    model_remove(held);
  } else {
    model_check(held);
  }
}

// Blocks above 32 KiB know when they are freed twice.
static void free_again(void* p) {
  before_call();
  mi_free(p);
  if (errno != UNTOUCHED) model_fail("free changes errno");
  if (report_count != 1 || report_code != EINVAL) model_fail("a second free is not noticed");
}

static void free_one(held_t* held, unsigned choice) {
  model_check(held);
  if (mi_usable_size(held->p) != held->usable)
    model_fail("the usable size changed from %zu to %zu", held->usable, mi_usable_size(held->p));
  const held_t old = *held;
  model_remove(held);
  before_call();
  free_call(choice, old.p, old.size, old.usable, old.alignment, old.small);
  expect_quiet("free");
  if (choice % 64 == 63 && old.usable > MID_BLOCK_MAX) free_again(old.p);
}

static void release(const step_t* step) {
  held_t* const held = model_pick(step->pick + step->extra * 256u);
  if (held != NULL) free_one(held, step->variant);
}

static void expand(held_t* held, size_t size) {
  before_call();
  void* const p = mi_expand(held->p, size);
  expect_quiet("expand");
  if (p != (size <= held->usable ? held->p : NULL)) model_fail("expand to %zu: %p", size, p);
  before_call();
  void* const again = mi__expand(held->p, size);
  if (again != p || errno != (p != NULL ? UNTOUCHED : ENOMEM)) model_fail("_expand to %zu", size);
}

static void look(const step_t* step) {
  held_t* const held = model_pick(step->pick);
  const size_t size = border_size(step);
  if (mi_good_size(size) < size || mi_malloc_good_size(size) != mi_good_size(size))
    model_fail("the good size of %zu", size);
  if (held == NULL) return;
  model_check(held);
  before_call();
  if (mi_malloc_size(held->p) != held->usable || mi_malloc_usable_size(held->p) != held->usable)
    model_fail("the size of a block changed");
  expect_quiet("malloc_size");
  expand(held, size);
}

// Pointers that are not blocks.
static void misuse(const step_t* step) {
  static char not_ours[64];
  before_call();
  mi_free(NULL);
  mi_cfree(NULL);
  mi_cfree(not_ours + step->pick % 64);
  if (mi_usable_size(NULL) != 0 || mi_malloc_size(not_ours) != 0) model_fail("size of no block");
  expect_quiet("free(NULL)");
  before_call();
  mi_free(not_ours + step->pick % 64);
  if (errno != UNTOUCHED || report_count != 1 || report_code != EINVAL)
    model_fail("free of a foreign pointer: %u reports", report_count);
}

// Steps: everything else ---------------------------------------------------------------------------

static void collect(const step_t* step) {
  before_call();
  if (step->extra % 4 == 3) os_refuse(OS_PURGE, 0, 1u + step->pick % 4);
  if (step->variant % 4 == 3) {
    mi_collect_reduce(step->pick * 4096u);
  } else {
    mi_collect(step->variant % 2 != 0);
  }
  expect_quiet("collect");
}

static void pass_time(const step_t* step) {
  static const unsigned times[4] = {1, 60, 1001, 20000};
  os_let_time_pass(times[step->variant % 4]);
}

static void thread_call(const step_t* step) {
  before_call();
  switch (step->variant % 4) {
    case 0:
    case 1: mi_thread_done(); break;
    case 2: mi_thread_init(); break;
    default: mi_thread_set_in_threadpool(); break;
  }
  expect_quiet("thread");
}

// What the program has put off: one block, replaced at each call.
static void* deferred;

static void free_deferred(bool force, unsigned long long heartbeat, void* arg) {
  (void)arg;
  mi_free(deferred);
  deferred = force ? NULL : mi_malloc_small((size_t)(heartbeat % 64) * 16);
  if (deferred == NULL && !force) errno = UNTOUCHED, report_count = 0;
}

static void set_purge_delay(unsigned choice) {
  static const long delays[4] = {1000, 0, -1, 50};
  mi_option_set(mi_option_purge_delay, delays[choice % 4]);
}

static void set_option(const step_t* step) {
  if (step->variant % 4 == 3) {
    mi_register_deferred_free(step->extra % 4 == 0 ? NULL : free_deferred, NULL);
  } else {
    set_purge_delay(step->extra);
  }
}

// The system says no, now or later, a few times or until further notice.
static void refuse(const step_t* step) {
  const unsigned bad = step->extra % 8 == 7 ? 1000000 : step->extra % 8;
  if (step->variant % 4 == 0) {
    os_refuse_nothing();
  } else {
    os_refuse(step->variant % 2 != 0 ? OS_OPEN : OS_PURGE, step->pick % 8, bad);
  }
}

// All that can be checked by looking. Nobody else runs, so other threads' theaps may be read, too.
static void validate(const step_t* step) {
  (void)step;
  if (!mii_range_is_valid()) model_fail("the range is not valid");
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (!mii_segment_is_valid(i)) model_fail("segment %u is not valid", i);
    if (!mii_run_area_is_valid(i)) model_fail("run area %u is not valid", i);
  }
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (!mii_theap_is_valid(theap)) model_fail("a theap is not valid");
  }
}

// The worker ---------------------------------------------------------------------------------------

typedef struct step_kind_s {
  const char* name;
  void (*run)(const step_t* step);  // NULL: the worker's turn ends
  work_end_t end;
  unsigned weight;  // of 32
} step_kind_t;

static const step_kind_t step_kinds[] = {
    {"allocate", allocate, WORK_SWITCH, 8},
    {"resize", resize, WORK_SWITCH, 4},
    {"free", release, WORK_SWITCH, 7},
    {"switch", NULL, WORK_SWITCH, 3},
    {"end", NULL, WORK_END, 1},
    {"end late", NULL, WORK_END_LATE, 1},
    {"look", look, WORK_SWITCH, 1},
    {"collect", collect, WORK_SWITCH, 1},
    {"time", pass_time, WORK_SWITCH, 1},
    {"thread", thread_call, WORK_SWITCH, 1},
    {"option", set_option, WORK_SWITCH, 1},
    {"refuse", refuse, WORK_SWITCH, 1},
    {"misuse", misuse, WORK_SWITCH, 1},
    {"validate", validate, WORK_SWITCH, 1},
};

static const step_kind_t* kind_of(const step_t* step) {
  unsigned number = step->what % 32;
  const step_kind_t* kind = step_kinds;
  while (number >= kind->weight) number -= kind++->weight;
  return kind;
}

static unsigned times_of(const step_t* step) {
  static const unsigned times[8] = {1, 1, 1, 2, 5, 20, 90, 400};
  return times[step->what >> 5];
}

static void repeat(const step_kind_t* kind, step_t step) {
  const bool is_about_blocks = kind->run == allocate || kind->run == resize || kind->run == release;
  const unsigned times = is_about_blocks ? times_of(&step) : 1;
  for (unsigned i = 0; i < times && calls_left > 0; i++) kind->run(&step);
}

// Steps of one worker, up to the end of its turn.
static work_end_t work(void) {
  step_t step;
  while (next_step(&step)) {
    const step_kind_t* const kind = kind_of(&step);
    say("worker %u: %s x %u, variant %u, size %zu, pick %u, extra %u\n", next_worker % WORKERS,
        kind->name, times_of(&step), step.variant, border_size(&step), step.pick, step.extra);
    if (kind->run == NULL) {
      next_worker = step.pick;
      return kind->end;
    }
    repeat(kind, step);
  }
  return WORK_DONE;
}

// The end ------------------------------------------------------------------------------------------

static void free_all(void) {
  mi_register_deferred_free(NULL, NULL);
  mi_free(deferred);
  deferred = NULL;
  while (model_count() > 0) free_one(model_pick(model_count() - 1), 7);
}

static void free_and_collect(void) {
  free_all();
  mi_collect(true);
}

static work_end_t finish_by_worker(void) {
  free_all();
  return WORK_DONE;
}

// With no block out and all threads gone, every slice is free, and given back to the system.
static void check_nothing_is_left(void) {
  mii_thread_pool_dissolve_all();
  mii_heap_trim(&mii_heap_main);
  mii_purge_all();
  validate(NULL);
  static stats_t stats;
  mii_stats_collect(&stats, (stats_scope_t){0});
  if (stats.live_in_pages.count + stats.runs.count + stats.huge.count != 0)
    model_fail("%zu blocks of pages, %zu runs and %zu huge blocks are left",
               stats.live_in_pages.count, stats.runs.count, stats.huge.count);
  if (stats.pages != 0) model_fail("%zu pages are left", stats.pages);
  // What the system refused to take stays dirty until it is used again.
  if (stats.dirty_slices != 0 && !os_has_refused_purge())
    model_fail("%zu slices are left", stats.dirty_slices);
}

static void start_once(void) {
  static bool is_started;
  if (is_started) return;
  is_started = true;
  is_loud = getenv("FUZZ_LOUD") != NULL;
  mi_process_init();
  workers_start();
  os_note_start();
}

// libFuzzer's own changes know nothing of steps: half of the time, copy or remove one, or join the steps
// of two places.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  const size_t steps = size > STEP_BYTES ? (size - 1) / STEP_BYTES : 0;
  if (steps < 2 || seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
  uint8_t* const one = data + 1 + (seed >> 2) % steps * STEP_BYTES;
  uint8_t* const other = data + 1 + (seed >> 12) % steps * STEP_BYTES;
  uint8_t* const end = data + 1 + steps * STEP_BYTES;
  const bool has_room = size + STEP_BYTES <= max_size;
  if (seed % 8 == 1 || !has_room) {
    memmove(one, one + STEP_BYTES, (size_t)(end - one) - STEP_BYTES);
    return size - STEP_BYTES;
  }
  step_t copy;
  memcpy(&copy, other, STEP_BYTES);
  memmove(one + STEP_BYTES, one, (size_t)(data + size - one));
  memcpy(one, &copy, STEP_BYTES);
  if (seed % 8 == 3) LLVMFuzzerMutate(one, STEP_BYTES, STEP_BYTES);
  return size + STEP_BYTES;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  start_once();
  model_clear();
  mi_register_error(note_report, NULL);
  mi_option_set(mi_option_show_errors, is_loud);
  mi_option_set(mi_option_purge_thread, 0);  // every run is to be the same
  set_purge_delay(data[0]);
  rest = data + 1;
  rest_bytes = size - 1;
  calls_left = CALLS_MAX;
  next_worker = 0;

  workers_run(work, &next_worker);
  os_refuse_nothing();
  if ((data[0] & 4) != 0) workers_run(finish_by_worker, &next_worker);
  workers_end();
  workers_run_alone(free_and_collect);
  check_nothing_is_left();
  if (os_can_reset()) os_reset();
  return 0;
}
