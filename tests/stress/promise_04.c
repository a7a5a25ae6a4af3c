// SPDX-License-Identifier: MIT
// promise_04.c - P4: one live block does not keep 64 KiB
//
// 150 000 blocks of 512 bytes, 100 000 of 1 KiB and 50 000 of 2 KiB are allocated, and of each 20 one survives, which
// one is chance. At least 70 % of what they took is back:
//
//   threads   in a process that has threads, when nobody calls us any more: our thread does it
//   others    the same, freed by another thread than the one that allocated them
//   ended     the thread that has allocated and freed them has ended
//   alone     in a process without threads, by the frees themselves
//   idle      in a process without threads, when the thread says that it is idle
//   trimmed   the same, by mi_purge_all
//
// What survives is intact; then as much is allocated again, which takes the holes and not new memory.
//
//   moved     a pass over the survivors, guided by mi_should_move: what pages have touched then is at most 1.15 times
//             what is used
//
// From secure level 2 on the order of blocks is secret, and pages have no holes: then the figures are only shown.
#include "promise.h"

typedef struct kind_s {
  size_t size;
  size_t count;
} kind_t;

static const kind_t kinds[] = {{512, 150000}, {1024, 100000}, {2048, 50000}};
enum { KINDS = 3, ONE_IN = 20, DELAY_MS = 300, TRIES = 60 };

static uint8_t** blocks[KINDS];
static size_t base, full, live_bytes;

static bool has_no_holes(void) { return mi_option_get(mi_option_secure) >= 2; }

static void prepare(void) {
  mi_option_set(mi_option_purge_delay, DELAY_MS);
  for (int k = 0; k < KINDS; k++) blocks[k] = mi_calloc(kinds[k].count, sizeof(uint8_t*));
  for (int k = 0; k < KINDS; k++) memset(blocks[k], 0, kinds[k].count * sizeof(uint8_t*));
  base = resident_bytes();
}

static void write_block(int k, size_t i) {
  memset(blocks[k][i], (int)(i * 7 + (size_t)k) & 0xFF, kinds[k].size);
}

static void take_missing(void) {
  for (int k = 0; k < KINDS; k++) {
    for (size_t i = 0; i < kinds[k].count; i++) {
      if (blocks[k][i] != NULL) continue;
      blocks[k][i] = mi_malloc(kinds[k].size);
      if (blocks[k][i] == NULL) fail("no memory");
      write_block(k, i);
    }
  }
  full = resident_bytes();
}

static void free_most(void) {
  chance_t chance = {.state = mix(run_seed)};
  live_bytes = 0;
  for (int k = 0; k < KINDS; k++) {
    for (size_t i = 0; i < kinds[k].count; i++) {
      if (one_in(&chance, ONE_IN)) {
        live_bytes += kinds[k].size;
      } else {
        mi_free(blocks[k][i]);
        blocks[k][i] = NULL;
      }
    }
  }
}

static void check_survivors(void) {
  for (int k = 0; k < KINDS; k++) {
    for (size_t i = 0; i < kinds[k].count; i++) {
      const uint8_t* const p = blocks[k][i];
      if (p == NULL) continue;
      const uint8_t byte = (uint8_t)((i * 7 + (size_t)k) & 0xFF);
      if (p[0] != byte || memcmp(p, p + 1, kinds[k].size - 1) != 0) fail("a block has changed");
    }
  }
}

static double returned(void) {
  const size_t now = resident_bytes();
  return 100 * (double)above(full, now) / (double)above(full, base);
}

static void tell(const char* what, double percent) {
  memory_row(percent >= 70 || has_no_holes(),
             "%-8s %5.1f %% of %.0f MiB returned (>= 70 %%), %.0f MiB of it live", what, percent,
             in_mib(above(full, base)), in_mib(live_bytes));
}

// Until it is enough, or long past any delay.
static double wait_for_return(void) {
  double percent = 0;
  for (int i = 0; i < TRIES && percent < 70; i++) {
    sleep_ms(DELAY_MS / 2);
    percent = returned();
  }
  return percent;
}

static void use_again(const char* what) {
  check_survivors();
  const size_t before = full;
  take_missing();
  check_survivors();
  memory_row(full <= before + before / 10,
             "%-8s %.0f MiB when all are allocated again, %.0f before", what, in_mib(full),
             in_mib(before));
}

static void report(const char* what, double percent) {
  tell(what, percent);
  use_again(what);
}

// Parts ------------------------------------------------------------------------------------------------

static pthread_barrier_t is_over;

static void* wait_only(void* arg) {
  mi_free(mi_malloc(100));
  pthread_barrier_wait(&is_over);
  return arg;
}

static void run_threads(const promise_plan_t* plan) {
  (void)plan;
  pthread_barrier_init(&is_over, NULL, 2);
  const pthread_t thread = start_thread(wait_only, NULL);
  sleep_ms(50);
  prepare();
  take_missing();
  free_most();
  report("threads", wait_for_return());
  pthread_barrier_wait(&is_over);
  pthread_join(thread, NULL);
}

static void* take_and_wait(void* arg) {
  take_missing();
  pthread_barrier_wait(&is_over);
  pthread_barrier_wait(&is_over);
  return arg;
}

static void run_others(const promise_plan_t* plan) {
  (void)plan;
  pthread_barrier_init(&is_over, NULL, 2);
  prepare();
  const pthread_t thread = start_thread(take_and_wait, NULL);
  pthread_barrier_wait(&is_over);
  free_most();
  mi_collect(false);  // what was freed last
  report("others", wait_for_return());
  pthread_barrier_wait(&is_over);
  pthread_join(thread, NULL);
}

static void* take_and_free(void* arg) {
  take_missing();
  free_most();
  return arg;
}

static void run_ended(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  mi_option_set(mi_option_purge_thread, 2);
  pthread_join(start_thread(take_and_free, NULL), NULL);
  for (int i = 0; i < 400; i++) mi_free(mi_malloc(2 * MIB));  // the heart beats
  report("ended", wait_for_return());
}

static void run_alone(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  take_missing();
  free_most();
  mi_memory_t m = {.size = sizeof m, .version = MI_MEMORY_VERSION};
  mi_memory_get(&m);
  report("alone", returned());
}

static void run_idle(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  take_missing();
  free_most();
  mi_on_thread_idle();
  sleep_ms(DELAY_MS + 50);
  mi_on_thread_idle();  // pages that have ended are due now
  report("idle", returned());
}

static void run_trimmed(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  take_missing();
  free_most();
  mi_purge_all(0, 0, NULL);
  report("trimmed", returned());
}

// What pages have touched; not how much of it is resident, which the blocks' neighbours decide.
static size_t committed_bytes(void) {
  mi_stats_t_decl(stats);
  mi_stats_get(&stats);
  return (size_t)stats.page_committed.current;
}

static void move_what_should(void) {
  for (int k = 0; k < KINDS; k++) {
    for (size_t i = 0; i < kinds[k].count; i++) {
      uint8_t* const p = blocks[k][i];
      if (p == NULL || !mi_should_move(p, 0.8)) continue;
      blocks[k][i] = mi_malloc(kinds[k].size);
      memcpy(blocks[k][i], p, kinds[k].size);
      mi_free(p);
    }
  }
}

static void run_moved(const promise_plan_t* plan) {
  (void)plan;
  prepare();
  mi_collect(true);
  const size_t before = committed_bytes();
  take_missing();
  free_most();
  mi_collect(true);
  const size_t spread = above(committed_bytes(), before);
  move_what_should();
  mi_collect(true);
  const size_t moved = above(committed_bytes(), before);
  check_survivors();
  memory_row(moved <= live_bytes * 115 / 100 || has_no_holes(),
             "moved    %.1f MiB for %.1f MiB live: %.3f times (<= 1.15), %.1f MiB before",
             in_mib(moved), in_mib(live_bytes), (double)moved / (double)live_bytes, in_mib(spread));
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {{"threads", run_threads}, {"others", run_others},
                                  {"ended", run_ended},     {"alone", run_alone},
                                  {"idle", run_idle},       {"trimmed", run_trimmed},
                                  {"moved", run_moved}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
