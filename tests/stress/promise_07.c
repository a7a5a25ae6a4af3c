// SPDX-License-Identifier: MIT
// promise_07.c - P7: large OS pages where they fit, and nowhere else
//
//   dense     400 MiB of blocks from 8 to 1000 bytes: most of what lies beyond the first 64 MiB is in large OS pages,
//             and what is resident is what we call committed. 19 of 20 are freed: so it still is, and no hole is filled
//   service   20 MiB of the same, and half of it freed: none
//   command   30 MiB of the same and a few large blocks, as a short command has them: no fault asks for a large OS page,
//             whatever the system's mode is, so none waits for the kernel to compact memory
//   off       400 MiB with allow_thp=0: none
//
// Where the system's mode is "never" there are none, and the rows say so. Never prctl.
#include "promise.h"
#include <sys/prctl.h>

enum { BLOCKS_MAX = 900 * 1000 };

static void* blocks[BLOCKS_MAX];
static size_t block_count;

static void fill_to(size_t bytes) {
  chance_t chance = {run_seed};
  for (size_t sum = 0; sum < bytes && block_count < BLOCKS_MAX;) {
    const size_t size = 8 + draw_below(&chance, 993);
    void* const p = mi_malloc(size);
    if (p == NULL) fail("%zu bytes could not be allocated", size);
    memset(p, 1, size);
    blocks[block_count++] = p;
    sum += size;
  }
}

static void free_but(size_t one_of) {
  for (size_t i = 0; i < block_count; i++) {
    if (i % one_of == 0) continue;
    mi_free(blocks[i]);
    blocks[i] = NULL;
  }
}

static size_t large_bytes(void) { return smaps_bytes(blocks[0], "AnonHugePages"); }

// False if the system has none to give.
static bool system_has_large(void) {
  char text[64] = "[never]";
  read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
  return strstr(text, "[never]") == NULL && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0;
}

static void check_commit(const char* when) {
  size_t unused, commit;
  mi_process_info(&unused, &unused, &unused, &unused, &unused, &commit, &unused, &unused);
  const size_t resident = smaps_bytes(blocks[0], "Rss");
  const size_t off = commit > resident ? commit - resident : resident - commit;
  memory_row(off <= 4 * MIB + resident / 50, "%s: resident %.1f MiB, committed %.1f MiB", when,
             in_mib(resident), in_mib(commit));
}

static void run_dense(const promise_plan_t* plan) {
  (void)plan;
  fill_to(400 * MIB);
  const size_t large = large_bytes();
  // At level 5 there is a guard in each slice.
  const bool guarded = mi_option_get(mi_option_secure) >= 5;
  const bool wanted = system_has_large() && !guarded;
  memory_row(wanted ? large >= 200 * MIB : large == 0 || guarded,
             "dense, 400 MiB: %.1f MiB in large OS pages (%s)", in_mib(large),
             wanted    ? ">= 200"
             : guarded ? "guards lie between"
                       : "the system has none for us");
  check_commit("dense");
  free_but(20);
  mi_purge_all(0, 0, NULL);
  check_commit("19 of 20 freed");
  for (size_t i = 0; i < block_count; i++) {
    mi_free(blocks[i]);
    blocks[i] = NULL;
  }
  blocks[0] = mi_malloc(8);
  mi_purge_all(0, 0, NULL);
  const size_t left = smaps_bytes(blocks[0], "Rss");
  memory_row(left <= 8 * MIB, "all freed: %.1f MiB resident (<= 8)", in_mib(left));
}

static void run_service(const promise_plan_t* plan) {
  (void)plan;
  fill_to(20 * MIB);
  memory_row(large_bytes() == 0, "a service of 20 MiB: %.1f MiB in large OS pages (0)",
             in_mib(large_bytes()));
  free_but(2);
  memory_row(large_bytes() == 0, "half of it freed: %.1f MiB (0)", in_mib(large_bytes()));
}

// Is the mapping of `p` one of MADV_NOHUGEPAGE?
static bool refuses_large(const void* p) {
  static char text[1 << 20];
  unsigned long from, to;
  read_text("/proc/self/smaps", text, sizeof text);
  bool is_its = false;
  for (char *line = text, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
    *next = 0;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
      is_its = from <= (uintptr_t)p && (uintptr_t)p < to;
    else if (is_its && strncmp(line, "VmFlags:", 8) == 0)
      return strstr(line, " nh") != NULL;
  }
  return false;
}

static unsigned long compactions(void) {
  char text[16384];
  read_text("/proc/vmstat", text, sizeof text);
  const char* const line = strstr(text, "\ncompact_stall ");
  return line != NULL ? strtoul(line + 15, NULL, 10) : 0;
}

static void run_command(const promise_plan_t* plan) {
  (void)plan;
  const unsigned long before = compactions();
  fill_to(30 * MIB);
  bool all = refuses_large(blocks[0]) && refuses_large(blocks[block_count - 1]);
  for (size_t size = 64 * KIB; size <= 4 * MIB; size *= 2) {
    void* const p = mi_malloc(size);
    if (p == NULL) fail("%zu bytes could not be allocated", size);
    memset(p, 1, size);
    all = all && refuses_large(p);
  }
  memory_row(all, "a command of 38 MiB: %s; the kernel compacted %lu times meanwhile",
             all ? "no fault asks for a large OS page" : "some mapping may have large OS pages",
             compactions() - before);
}

static void run_off(const promise_plan_t* plan) {
  (void)plan;
  if (mi_option_get(mi_option_allow_thp) == 0) {
    fill_to(400 * MIB);
    memory_row(large_bytes() == 0, "allow_thp=0: %.1f MiB (0)", in_mib(large_bytes()));
    return;
  }
  setenv("MIMALLOC_ALLOW_THP", "0", 1);
  run_part(plan, "off");
}

int main(int argc, char** argv) {
  static const promise_part_t parts[] = {
      {"dense", run_dense}, {"service", run_service}, {"command", run_command}, {"off", run_off}};
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  return run_promise(&plan, parts, COUNT_OF(parts));
}
