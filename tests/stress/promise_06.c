// SPDX-License-Identifier: MIT
// promise_06.c - P6: what we say is committed is what the system has given us
//
//   never, at-once, soon, default   with the purge delay -1, 0, 20 and 1000 ms: 200 MiB (1 GiB in the long form)
//         of blocks of all kinds, every byte written: live, a third of them freed at random, more allocated, all but
//         a few freed, and those after what waits was given back. Each time `current_commit` of mi_process_info is
//         within 2 % or 2 MiB of Rss and Swap of our mappings.
//
// Without transparent huge pages, for this process.
#include "promise.h"
#include <sys/prctl.h>

enum { BLOCKS_MAX = 400 * 1000 };

static struct {
  uint8_t* p;
  size_t size;
} live[BLOCKS_MAX];
static size_t live_count;
static size_t live_bytes;

static size_t some_size(chance_t* chance) {
  const uint64_t kind = draw_below(chance, 1000);
  if (kind < 940) return 8 + draw_below(chance, 1000);
  if (kind < 990) return 1000 + draw_below(chance, 30000);
  if (kind < 999) return 32 * KIB + draw_below(chance, 900 * KIB);
  return MIB + draw_below(chance, 5 * MIB);
}

static void allocate_to(chance_t* chance, size_t bytes) {
  while (live_bytes < bytes && live_count < BLOCKS_MAX) {
    const size_t size = some_size(chance);
    uint8_t* const p = mi_malloc(size);
    if (p == NULL) fail("%zu bytes could not be allocated", size);
    memset(p, 0x5A, mi_usable_size(p));
    live[live_count].p = p;
    live[live_count++].size = size;
    live_bytes += size;
  }
}

static void free_to(chance_t* chance, size_t count) {
  while (live_count > count) {
    const size_t i = draw_below(chance, live_count);
    mi_free(live[i].p);
    live_bytes -= live[i].size;
    live[i] = live[--live_count];
  }
}

static size_t system_bytes(const void* p) { return smaps_bytes(p, "Rss") + smaps_bytes(p, "Swap"); }

static void compare(const char* mode, const char* when) {
  size_t commit, elapsed, user, system, rss, peak_rss, peak_commit, faults;
  mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
  const size_t told = system_bytes(live[0].p);
  const size_t allowed = told / 50 > 2 * MIB ? told / 50 : 2 * MIB;
  const size_t off = commit > told ? commit - told : told - commit;
  memory_row(off <= allowed && commit <= peak_commit,
             "purging %s, %s: committed %.2f MiB, Rss and Swap %.2f MiB, off by %.2f (<= %.2f)",
             mode, when, in_mib(commit), in_mib(told), in_mib(off), in_mib(allowed));
}

static void run_mode(const promise_plan_t* plan, const char* mode, long delay) {
  chance_t chance = {run_seed};
  const size_t most = plan->is_long ? 1024 * MIB : IS_SLOW ? 60 * MIB : 200 * MIB;
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  mi_option_set(mi_option_purge_delay, delay);
  allocate_to(&chance, 10 * KIB);
  compare(mode, "small");
  allocate_to(&chance, most);
  compare(mode, "all live");
  free_to(&chance, live_count * 2 / 3);
  compare(mode, "a third freed");
  allocate_to(&chance, most);
  compare(mode, "all live again");
  free_to(&chance, live_count / 50);
  compare(mode, "2 % left");
  mi_purge_all(MI_PURGE_ASK, 100, NULL);
  if (delay >= 0) compare(mode, "given back");
  free_to(&chance, 1);
}

static void run_never(const promise_plan_t* plan) { run_mode(plan, "never", -1); }
static void run_at_once(const promise_plan_t* plan) { run_mode(plan, "at once", 0); }
static void run_soon(const promise_plan_t* plan) { run_mode(plan, "after 20 ms", 20); }
static void run_default(const promise_plan_t* plan) { run_mode(plan, "after 1 s", 1000); }

int main(int argc, char** argv) {
  static const promise_part_t parts[] = {
      {"never", run_never}, {"at-once", run_at_once}, {"soon", run_soon}, {"default", run_default}};
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  return run_promise(&plan, parts, COUNT_OF(parts));
}
