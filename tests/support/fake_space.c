// SPDX-License-Identifier: MIT
// fake_space.c - start, check and torture space/
#include "support/unit_test.h"
#include "support/fake_platform.h"
#include "support/fake_space.h"
#include "space/hint.h"
#include "space/limit.h"
#include "space/range.h"
#include "space/run.h"
#include "space/segment.h"

void fake_space_start(void) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  CHECK(mii_range_start(&facts));
  CHECK(mii_hint_start(mii_range.segment_max));
}

bool fake_space_is_valid(void) {
  if (!mii_range_is_valid()) return false;
  for (uint32_t i = 0; i < mii_segment_count(); i++) {
    if (!mii_segment_is_valid(i) || !mii_run_area_is_valid(i)) return false;
  }
  return mii_limit_charged() == mii_segments_dirty_bytes();  // L1
}

// Faults -----------------------------------------------------------------------------------------

enum { NOT_REACHED = 42, FAULTS_MAX = 10000 };

typedef enum fault_mode_e { ONCE, TWICE, AND_LATER, PARTLY, MODES } fault_mode_t;

typedef struct trial_s {
  fake_call_t call;
  uint32_t n;
  fault_mode_t mode;
  void (*scenario)(void);
} trial_t;

// False if there is no such fault.
static bool set_fault(const trial_t* trial) {
  switch (trial->mode) {
    case ONCE: fake_fail_nth(trial->call, trial->n); return true;
    case TWICE: fake_fail_two(trial->call, trial->n); return true;
    case AND_LATER: fake_fail_from(trial->call, trial->n); return true;
    case PARTLY: return fake_fail_partly(trial->call, trial->n);
    case MODES: break;
  }
  return false;
}

static void try_fault(void* arg) {
  const trial_t* const trial = (const trial_t*)arg;
  if (!set_fault(trial)) _exit(NOT_REACHED);
  trial->scenario();
  if (fake_failures_of(trial->call) == 0) _exit(NOT_REACHED);
}

static uint32_t try_until_not_reached(trial_t trial) {
  static const char* const modes[] = {"", " and the next", " and all later ones", " in part"};
  for (trial.n = 1; trial.n < FAULTS_MAX; trial.n++) {
    const int status = status_of_child(try_fault, &trial);
    if (status == NOT_REACHED) return trial.n - 1;
    if (status != 0) {
      fprintf(stderr, "with fault %u of %s%s: status %d\n", trial.n, fake_call_name(trial.call),
              modes[trial.mode], status);
      CHECK(status == 0);
    }
  }
  unit_test_fail(__FILE__, __LINE__, "the scenario does not end");
}

uint32_t fake_try_every_fault(int fake_call, void (*scenario)(void)) {
  trial_t trial = {.call = (fake_call_t)fake_call, .scenario = scenario};
  uint32_t faults = 0;
  for (trial.mode = ONCE; trial.mode < MODES; trial.mode++) faults += try_until_not_reached(trial);
  return faults;
}

uint32_t fake_try_all_faults(void (*scenario)(void)) {
  uint32_t faults = 0;
  for (int call = 0; call < FAKE_CALLS; call++) faults += fake_try_every_fault(call, scenario);
  return faults;
}
