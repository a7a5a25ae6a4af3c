// SPDX-License-Identifier: MIT
// memory_test.c - where the resident memory is
#include "api_test.h"

#include "mimalloc-stats.h"

enum { COUNT = 100 * 1000 };

static void* blocks[COUNT];

static mi_memory_t now(void) {
  mi_memory_t memory;
  mi_memory_init(&memory);
  if (!mi_memory_get(&memory)) abort();
  return memory;
}

static size_t sum_of(const mi_memory_t* m) {
  return m->live + m->class_waste + m->free_in_pages + m->cached + m->orphaned + m->to_purge
         + m->metadata;
}

// --- what the system says ---

typedef struct mapping_s {
  unsigned long from;
  unsigned long to;
  unsigned long inode;
  size_t resident;
} mapping_t;

static bool next_mapping(FILE* file, mapping_t* next) {
  char line[512];
  while (fgets(line, sizeof(line), file) != NULL) {
    unsigned long kib;
    mapping_t begin = {0};  // "Anonymous" begins like a number, too
    if (sscanf(line, "%lx-%lx %*s %*x %*s %lu", &begin.from, &begin.to, &begin.inode) == 3) {
      *next = begin;
      continue;
    }
    if (sscanf(line, "Rss: %lu kB", &kib) == 1) next->resident = kib * KiB;
    if (strncmp(line, "VmFlags:", 8) == 0) return true;
  }
  return false;
}

// Resident bytes of the mappings without a file that lie side by side around `p`: the range, and perhaps
// a few kilobytes of a neighbour.
static size_t resident_around(const void* p) {
  FILE* const file = fopen("/proc/self/smaps", "r");
  mapping_t mapping = {0};
  unsigned long end = 0;
  size_t sum = 0;
  bool found = false;
  while (file != NULL && next_mapping(file, &mapping)) {
    if (mapping.from != end || mapping.inode != 0) {
      if (found) break;
      sum = 0;
    }
    if (mapping.inode == 0) sum += mapping.resident;
    found = found || (mapping.from <= (uintptr_t)p && (uintptr_t)p < mapping.to);
    end = mapping.to;
  }
  if (file != NULL) fclose(file);
  return found ? sum : 0;
}

// The parts of ours are what the system says, within 3 %; `p` is a block.
static void assert_adds_up(const char* when, const void* p) {
  const mi_memory_t memory = now();
  const size_t told = resident_around(p);
  const double parts = (double)memory.ours;
  assert_int_equal(memory.ours, sum_of(&memory));
  print_message("%s: %.1f MiB resident, %.1f MiB in parts: live %.1f, waste %.1f, free %.1f, "
                "cached %.1f, orphaned %.1f, to purge %.1f, metadata %.1f; rest %.1f\n",
                when, (double)told / MiB, parts / MiB, (double)memory.live / MiB,
                (double)memory.class_waste / MiB, (double)memory.free_in_pages / MiB,
                (double)memory.cached / MiB, (double)memory.orphaned / MiB,
                (double)memory.to_purge / MiB, (double)memory.metadata / MiB,
                (double)memory.rest / MiB);
  // Guards of freed pages are not resident: up to a sixteenth of what waits to be purged.
  const double guards = secure_level() >= 5 ? (double)memory.to_purge / 14 : 0;
  assert_true(parts > 0.97 * (double)told && parts - guards < 1.03 * (double)told);
}

// --- a heap ---

static uint32_t random_state = 7;

static size_t random_size(void) {
  random_state = random_state * 1664525u + 1013904223u;
  const size_t most = (random_state >> 8) % 1000 == 0 ? 300 * KiB : 2 * KiB;
  random_state = random_state * 1664525u + 1013904223u;
  return 16 + (random_state >> 8) % most;
}

// Returns what was asked for.
static size_t fill_heap(size_t from, size_t to) {
  size_t total = 0;
  for (size_t i = from; i < to; i++) {
    const size_t size = random_size();
    blocks[i] = mi_malloc(size);
    memset(blocks[i], 1, size);
    total += size;
  }
  return total;
}

static void free_blocks(size_t from, size_t step) {
  for (size_t i = from; i < COUNT; i += step) {
    mi_free(blocks[i]);
    blocks[i] = NULL;
  }
}

static void* fill_half(void* arg) {
  (void)arg;
  fill_heap(COUNT / 2, COUNT);
  return NULL;
}

static void the_parts_add_up_to_what_is_resident(void** state) {
  (void)state;
  if (HAS_SANITIZER || sizeof(void*) == 4) skip();
  mi_option_set(mi_option_purge_delay, -1);
  fill_heap(0, COUNT / 2);
  result_of_thread(&fill_half, NULL);
  assert_adds_up("full", blocks[0]);
  free_blocks(1, 2);
  assert_adds_up("every second freed", blocks[0]);
  mi_collect(false);
  assert_adds_up("collected", blocks[0]);
  for (size_t i = 2; i < COUNT; i += 2) mi_free(blocks[i]);
  mi_collect(false);
  assert_adds_up("all freed", blocks[0]);
  mi_option_set(mi_option_purge_delay, 1000);
  mi_collect(true);
  mi_free(blocks[0]);
  mi_collect(true);
}

static bool is_near(size_t figure, size_t expected, double percent) {
  const double difference = (double)figure - (double)expected;
  return difference < (double)expected * percent / 100
         && -difference < (double)expected * percent / 100;
}

static void each_part_says_what_it_is_about(void** state) {
  (void)state;
  mi_option_set(mi_option_purge_delay, -1);
  mi_collect(true);
  const mi_memory_t before = now();
  const size_t asked = fill_heap(0, COUNT);
  const mi_memory_t full = now();
  assert_true(is_near(full.live - before.live, asked, 1.5));
  const size_t waste = full.class_waste - before.class_waste;
  assert_true(waste > asked / 100 && waste < asked / 10);
  free_blocks(1, 2);
  mi_collect(false);
  const mi_memory_t half = now();
  assert_true(half.free_in_pages > before.free_in_pages + asked / 3);
  assert_true(is_near(half.live - before.live, asked / 2, 5));
  free_blocks(0, 2);
  mi_collect(false);
  const mi_memory_t empty = now();
  assert_true(empty.to_purge > before.to_purge + asked / 2);
  assert_true(empty.free_in_pages < MiB);
  mi_option_set(mi_option_purge_delay, 1000);
  mi_collect(true);
  assert_true(now().to_purge <= empty.to_purge / 10);
}

static void* take_and_leave_some(void* arg) {
  (void)arg;
  for (size_t i = 0; i < 40 * 1000; i++) blocks[i] = mi_malloc(100);
  for (size_t i = 0; i < 40 * 1000; i++) {
    if (i % 10 != 0) mi_free(blocks[i]);
  }
  return NULL;
}

static void free_blocks_of_ended_threads_are_orphaned(void** state) {
  (void)state;
  mi_collect(true);
  const mi_memory_t before = now();
  result_of_thread(&take_and_leave_some, NULL);
  const mi_memory_t after = now();
  // Pages of vaults are the heap's, not a thread's: who runs takes from them.
  if (has_vaults()) {
    assert_true(after.free_in_pages > before.free_in_pages + 2 * MiB);
    assert_true(after.orphaned < before.orphaned + MiB);
  } else {
    assert_true(after.orphaned > before.orphaned + 2 * MiB);
    assert_true(after.free_in_pages < before.free_in_pages + MiB);
  }
  for (size_t i = 0; i < 40 * 1000; i += 10) mi_free(blocks[i]);
  mi_collect(true);
  assert_true(now().orphaned < before.orphaned + MiB);
}

// The first 4 KiB of a new page are threaded at once.
static void what_a_thread_holds_ready_is_cached(void** state) {
  (void)state;
  mi_collect(true);
  const mi_memory_t before = now();
  void* const p = mi_malloc(16);
  const mi_memory_t after = now();
  assert_true(after.cached > before.cached);
  assert_true(after.cached <= before.cached + 20 * KiB);
  mi_free(p);
}

static void a_wrong_header_is_refused_and_nothing_written(void** state) {
  (void)state;
  mi_memory_t memory;
  memset(&memory, 0xA5, sizeof(memory));
  mi_memory_init(&memory);
  assert_true(is_zero(&memory.live, sizeof(memory) - offsetof(mi_memory_t, live)));
  assert_false(mi_memory_get(opaque_pointer(NULL)));
  memory.size--;
  assert_false(mi_memory_get(&memory));
  mi_memory_init(&memory);
  memory.version++;
  assert_false(mi_memory_get(&memory));
  assert_true(is_zero(&memory.live, sizeof(memory) - offsetof(mi_memory_t, live)));
  mi_memory_init(&memory);
  ASSERT_QUIET(assert_true(mi_memory_get(&memory)));
}

// --- giving it back ---

static void purge_all_gives_back_what_is_free_and_says_so(void** state) {
  (void)state;
  mi_option_set(mi_option_purge_delay, -1);
  mi_collect(true);
  fill_heap(0, COUNT);
  const mi_memory_t full = now();
  for (size_t i = 0; i < COUNT; i++) mi_free(blocks[i]);
  mi_purge_report_t report = {.size = sizeof(report), .version = MI_PURGE_REPORT_VERSION};
  ASSERT_QUIET(assert_true(mi_purge_all(0, 0, &report)));
  assert_true(report.purged > full.live * 9 / 10);
  assert_int_equal(report.waiting, 0);
  assert_int_equal(report.threads, 0);  // nobody was asked
  assert_int_equal(report.missing, 0);
  assert_int_equal(report.held, 0);
  assert_true(now().ours < full.ours / 10);
  mi_option_set(mi_option_purge_delay, 1000);
}

static void a_wrong_report_is_refused_and_nothing_done(void** state) {
  (void)state;
  mi_purge_report_t report = {.size = sizeof(report) - 1, .version = MI_PURGE_REPORT_VERSION};
  assert_false(mi_purge_all(0, 0, &report));
  report.size = sizeof(report);
  report.version++;
  assert_false(mi_purge_all(MI_PURGE_ASK, 1000, &report));
  assert_int_equal(report.purged, 0);
  assert_true(mi_purge_all(MI_PURGE_ASK, 1, opaque_pointer(NULL)));
}

static pthread_barrier_t step;

static void* hold_an_empty_page(void* arg) {
  mi_free(mi_malloc(100));  // at a level with vaults this may answer an older question
  mi_free(mi_malloc(100));
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step);
  return arg;
}

static void a_thread_that_waits_is_missing_and_what_it_holds_is_told(void** state) {
  (void)state;
  pthread_t thread;
  pthread_barrier_init(&step, NULL, 2);
  assert_int_equal(pthread_create(&thread, NULL, &hold_an_empty_page, NULL), 0);
  pthread_barrier_wait(&step);
  mi_purge_report_t report = {.size = sizeof(report), .version = MI_PURGE_REPORT_VERSION};
  assert_true(mi_purge_all(MI_PURGE_ASK, 20, &report));
  assert_int_equal(report.threads, 2);
  assert_int_equal(report.missing, 1);
  const size_t least = has_vaults() ? KiB : 4 * KiB;  // what is open of the page that it holds
  assert_true(report.held >= least && report.held <= 200 * KiB);
  pthread_barrier_wait(&step);
  pthread_join(thread, NULL);
  assert_true(mi_purge_all(MI_PURGE_ASK, 1000, &report));
  assert_int_equal(report.missing, 0);
}

static void* idle_before_the_first_call(void* arg) {
  mi_on_thread_idle();
  return arg;
}

static void an_idle_thread_keeps_nothing(void** state) {
  (void)state;
  result_of_thread(&idle_before_the_first_call, NULL);
  const size_t before = has_vaults() ? now().cached : 0;
  for (size_t size = 16; size < 2 * KiB; size *= 2) mi_free(mi_malloc(size));
  ASSERT_QUIET(mi_on_thread_idle());
  // A vault, which no thread owns, keeps a page per class.
  assert_true(now().cached < before + 16 * KiB + (has_vaults() ? 7 * 64 * KiB : 0));
}

static _Atomic(bool) stop;

static void* churn(void* arg) {
  uint32_t random = (uint32_t)(uintptr_t)arg;
  void* own[200] = {NULL};
  while (!stop) {
    random = random * 1664525u + 1013904223u;
    void** const slot = &own[(random >> 8) % COUNT_OF(own)];
    mi_free(*slot);
    *slot = mi_malloc(random % 5000);
    memset(*slot, 0xFF, random % 5000);
  }
  for (size_t i = 0; i < COUNT_OF(own); i++) mi_free(own[i]);
  return NULL;
}

static void figures_are_sane_while_threads_allocate(void** state) {
  (void)state;
  pthread_t threads[3];
  stop = false;
  for (size_t i = 0; i < COUNT_OF(threads); i++)
    pthread_create(&threads[i], NULL, &churn, (void*)(i + 1));
  bool sane = true;
  for (int i = 0; i < 300; i++) {
    const mi_memory_t memory = now();
    sane = sane && memory.ours == sum_of(&memory) && memory.ours < 1000 * MiB;
  }
  stop = true;
  for (size_t i = 0; i < COUNT_OF(threads); i++) pthread_join(threads[i], NULL);
  assert_true(sane);
}

static void the_statistics_have_a_line_of_it(void** state) {
  (void)state;
  void* const p = mi_malloc(100);
  output_begin();
  mi_stats_print_out(&note_output, &output);
  assert_int_equal(count_lines_with(output.text, "  memory  live: "), 1);
  assert_int_equal(count_lines_with(output.text, "rest of the process: "), 1);
  output_clear();
  mi_stats_print_prometheus(&note_output, &output);
  assert_int_equal(count_lines_with(output.text, "mimalloc_memory_bytes{part=\"orphaned\"} "), 1);
  mi_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_wrong_header_is_refused_and_nothing_written),
      cmocka_unit_test(what_a_thread_holds_ready_is_cached),
      cmocka_unit_test(each_part_says_what_it_is_about),
      cmocka_unit_test(free_blocks_of_ended_threads_are_orphaned),
      cmocka_unit_test(the_parts_add_up_to_what_is_resident),
      cmocka_unit_test(purge_all_gives_back_what_is_free_and_says_so),
      cmocka_unit_test(a_wrong_report_is_refused_and_nothing_done),
      cmocka_unit_test(a_thread_that_waits_is_missing_and_what_it_holds_is_told),
      cmocka_unit_test(an_idle_thread_keeps_nothing),
      cmocka_unit_test(figures_are_sane_while_threads_allocate),
      cmocka_unit_test(the_statistics_have_a_line_of_it),
  };
  return cmocka_run_group_tests_name("api/memory", tests, be_silent, unregister_all);
}
