// SPDX-License-Identifier: MIT
// promise_13.c - P13: realloc of large blocks does not copy
//
//   growing   a block grows from 16 MiB to 512 MiB (4 GiB in the long form) by half of its size each time, all of
//             it written: peak resident memory is at most its final size and 64 MiB, although something else
//             is allocated behind it before each step, so that it has to move; its contents survive
//   steps     a block grows to 4 MiB in steps of 8 bytes: what has to be copied is at most a few times that
//   mappings  300 blocks that were moved live at a time: at most 64 mappings, two for each of 64 moved blocks, and
//             as few as before when all are freed
//
// From secure level 4 on blocks are sealed, and runs have to be copied when they move; at level 5 guards are behind
// all of them, and huge blocks are copied, too: then the bounds are what that takes.
#include "promise.h"

static size_t peak_resident(void) {
  char text[8192];
  read_text("/proc/self/status", text, sizeof text);
  const char* const line = strstr(text, "\nVmHWM:");
  return line != NULL ? (size_t)strtoull(line + 7, NULL, 10) * KIB : 0;
}

static size_t mapping_count(void) {
  static char text[1 << 20];
  read_text("/proc/self/maps", text, sizeof text);
  size_t count = 0;
  for (const char* at = text; (at = strchr(at, '\n')) != NULL; at++) count++;
  return count;
}

static bool is_sealed(void) { return mi_option_get(mi_option_secure) >= 4; }
static bool is_guarded(void) { return mi_option_get(mi_option_secure) >= 5; }

static void stamp_from(uint8_t* p, size_t from, size_t to) {
  for (size_t at = from; at < to; at += 4096) memcpy(p + at, &at, sizeof at);
}

static void check_stamps(const uint8_t* p, size_t size) {
  for (size_t at = 0; at < size; at += 4096) {
    if (memcmp(p + at, &at, sizeof at) != 0) fail("a block has lost its contents at %zu", at);
  }
}

static void* obstacles[100];

static void run_growing(const promise_plan_t* plan) {
  const size_t most = plan->is_long && sizeof(void*) == 8 ? (size_t)4096 * MIB : 512 * MIB;
  size_t size = 16 * MIB;
  size_t obstacle_count = 0;
  int moves = 0;
  uint8_t* p = mi_malloc(size);
  stamp_from(p, 0, size);
  while (size < most) {
    obstacles[obstacle_count++] = mi_malloc(MIB + 1);
    const size_t larger = (size + size / 2) / 4096 * 4096;
    uint8_t* const q = mi_realloc(p, larger < most ? larger : most);
    if (q == NULL) fail("a block of %zu bytes does not grow", size);
    moves += q != p;
    const size_t before = size;
    size = larger < most ? larger : most;
    p = q;
    stamp_from(p, before, size);
  }
  check_stamps(p, size);
  const size_t peak = peak_resident();
  const size_t more = 64 * MIB + (is_guarded() ? size * 2 / 3 : 0);  // the block before
  memory_row(peak <= size + more,
             "growing   peak %.0f MiB for a block of %.0f MiB (<= +%.0f MiB), %d moves",
             in_mib(peak), in_mib(size), in_mib(more), moves);
  mi_free(p);
  for (size_t i = 0; i < obstacle_count; i++) mi_free(obstacles[i]);
}

static void run_steps(const promise_plan_t* plan) {
  (void)plan;
  size_t copied = 0;
  uint8_t* p = mi_malloc(8);
  for (size_t size = 16; size <= 4 * MIB; size += 8) {
    uint8_t* const q = mi_realloc(p, size);
    if (q == NULL) fail("a block of %zu bytes does not grow", size);
    if (q != p) copied += size - 8;
    q[size - 1] = (uint8_t)size;
    p = q;
  }
  for (size_t size = 16; size <= 4 * MIB; size += 8) {
    if (p[size - 1] != (uint8_t)size) fail("a byte is lost at %zu", size);
  }
  mi_free(p);
  // Sealed: once for each 4 KiB up to 1 MiB, and for each 64 KiB above.
  const size_t limit = is_sealed() ? 288 * MIB : 32 * MIB;
  row(copied <= limit, "steps     %.1f MiB copied at most for a block of 4 MiB (<= %.0f MiB)",
      in_mib(copied), in_mib(limit));
}

static void run_mappings(const promise_plan_t* plan) {
  (void)plan;
  enum { COUNT = 300 };
  static uint8_t* blocks[COUNT];
  static void* between[COUNT];
  for (int i = 0; i < COUNT; i++) {  // before: as much as is open later
    blocks[i] = mi_malloc(5 * MIB);
    if (blocks[i] == NULL) fail("no memory");
    blocks[i][0] = 1;
  }
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  const size_t before = mapping_count();
  for (int i = 0; i < COUNT; i++) {
    blocks[i] = mi_malloc(2 * MIB);
    between[i] = mi_malloc(MIB + 1);
    stamp_from(blocks[i], 0, 2 * MIB);
  }
  for (int i = 0; i < COUNT; i++) {
    blocks[i] = mi_realloc(blocks[i], 5 * MIB / 2);
    if (blocks[i] == NULL) fail("a block does not grow");
    check_stamps(blocks[i], 2 * MIB);
  }
  const size_t during = mapping_count();
  for (int i = 0; i < COUNT; i++) {
    mi_free(blocks[i]);
    mi_free(between[i]);
  }
  const size_t after = mapping_count();
  row(during <= before + 2 * 64, "mappings  %zu before, %zu with %d blocks that grew (<= +128)",
      before, during, COUNT);
  row(after <= before + 2, "mappings  %zu after they were freed (<= +2)", after);
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  const promise_part_t parts[] = {
      {"growing", run_growing}, {"steps", run_steps}, {"mappings", run_mappings}};
  return run_promise(&plan, parts, COUNT_OF(parts));
}
