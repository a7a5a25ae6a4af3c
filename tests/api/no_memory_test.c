// SPDX-License-Identifier: MIT
// no_memory_test.c - the system refuses: every function that allocates says so as documented (promise P22)
//
// Each test runs in a child whose data is limited to what it has. Requests are too large for what is left, or of a
// size that no page has a block for. Functions of C++ that throw: tests/scripts/new_handler.sh. Every failing call of
// the system, one at a time: tests/unit/api/faults_test.c.
#include "entry_points.h"

#include "mimalloc-stats.h"

#include <sys/resource.h>

static mi_heap_t* heap;
static mi_theap_t* theap;
static char* text;  // longer than any block that is left

static void* heap_malloc(size_t n) { return mi_heap_malloc(heap, n); }
static void* heap_zalloc(size_t n) { return mi_heap_zalloc(heap, n); }
static void* heap_calloc(size_t n) { return mi_heap_calloc(heap, 1, n); }
static void* heap_mallocn(size_t n) { return mi_heap_mallocn(heap, 1, n); }
static void* heap_realloc(size_t n) { return mi_heap_realloc(heap, NULL, n); }
static void* heap_reallocn(size_t n) { return mi_heap_reallocn(heap, NULL, 1, n); }
static void* heap_reallocf(size_t n) { return mi_heap_reallocf(heap, NULL, n); }
static void* heap_rezalloc(size_t n) { return mi_heap_rezalloc(heap, NULL, n); }
static void* heap_recalloc(size_t n) { return mi_heap_recalloc(heap, NULL, 1, n); }
static void* heap_strndup(size_t n) { return mi_heap_strndup(heap, text, n); }
static void* heap_malloc_aligned(size_t n) { return mi_heap_malloc_aligned(heap, n, 32); }
static void* heap_realloc_aligned(size_t n) { return mi_heap_realloc_aligned(heap, NULL, n, 32); }
static void* theap_malloc(size_t n) { return mi_theap_malloc(theap, n); }
static void* theap_zalloc(size_t n) { return mi_theap_zalloc(theap, n); }
static void* theap_calloc(size_t n) { return mi_theap_calloc(theap, 1, n); }
static void* theap_realloc(size_t n) { return mi_theap_realloc(theap, NULL, n); }
static void* theap_malloc_aligned(size_t n) { return mi_theap_malloc_aligned(theap, n, 32); }
static void* strndup_all(size_t n) { return mi_strndup(text, n); }
static void* strdup_all(size_t n) { return (void)n, mi_strdup(text); }
static void* mbsdup_all(size_t n) { return (void)n, mi_mbsdup((const unsigned char*)text); }
static void* heap_strdup(size_t n) { return (void)n, mi_heap_strdup(heap, text); }

static const sized_entry_t more_entries[] = {
    {"mi_heap_malloc", &heap_malloc, false},
    {"mi_heap_zalloc", &heap_zalloc, true},
    {"mi_heap_calloc", &heap_calloc, true},
    {"mi_heap_mallocn", &heap_mallocn, false},
    {"mi_heap_realloc", &heap_realloc, false},
    {"mi_heap_reallocn", &heap_reallocn, false},
    {"mi_heap_reallocf", &heap_reallocf, false},
    {"mi_heap_rezalloc", &heap_rezalloc, true},
    {"mi_heap_recalloc", &heap_recalloc, true},
    {"mi_heap_strndup", &heap_strndup, false},
    {"mi_heap_strdup", &heap_strdup, false},
    {"mi_heap_malloc_aligned", &heap_malloc_aligned, false},
    {"mi_heap_realloc_aligned", &heap_realloc_aligned, false},
    {"mi_theap_malloc", &theap_malloc, false},
    {"mi_theap_zalloc", &theap_zalloc, true},
    {"mi_theap_calloc", &theap_calloc, true},
    {"mi_theap_realloc", &theap_realloc, false},
    {"mi_theap_malloc_aligned", &theap_malloc_aligned, false},
    {"mi_strndup", &strndup_all, false},
    {"mi_strdup", &strdup_all, false},
    {"mi_mbsdup", &mbsdup_all, false},
};

// Without cmocka, which allocates: what went wrong, as the status of the child.
static int failures;

static void check(const char* name, const void* p) {
  const int code = errno;
  if (p == NULL && code == ENOMEM && reports.count == 1 && reports.last_code == ENOMEM) return;
  dprintf(STDOUT_FILENO, "%s: %s, errno %d, %d reports, the last of %d\n", name,
          p != NULL ? "a block" : "NULL", code, reports.count, reports.last_code);
  failures++;
}

static void begin_call(void) {
  reports_begin();
  errno = UNTOUCHED;
}

static void check_sized(const sized_entry_t* entries, size_t count, size_t size) {
  for (size_t i = 0; i < count; i++) {
    begin_call();
    check(entries[i].name, entries[i].call(size));
  }
}

static void check_new_blocks(size_t size) {
  check_sized(sized_entries, COUNT_OF(sized_entries), size);
  check_sized(more_entries, COUNT_OF(more_entries), size);
  for (size_t i = 0; i < COUNT_OF(counted_entries); i++) {
    begin_call();
    check(counted_entries[i].name, counted_entries[i].call(NULL, 2, size / 2 + 1));
  }
  for (size_t i = 0; i < COUNT_OF(aligned_entries); i++) {
    begin_call();
    check(aligned_entries[i].name, aligned_entries[i].call(NULL, size, 64, 0));
  }
}

// A block that cannot grow is as it was.
static void check_resized_blocks(uint8_t* p, size_t bytes, size_t size) {
  fill(p, bytes, 3);
  for (size_t i = 0; i < COUNT_OF(aligned_entries); i++) {
    if (!aligned_entries[i].resizes) continue;
    begin_call();
    check(aligned_entries[i].name, aligned_entries[i].call(p, size, 64, 0));
  }
  for (size_t i = 0; i < COUNT_OF(counted_entries); i++) {
    if (!counted_entries[i].resizes) continue;
    begin_call();
    check(counted_entries[i].name, counted_entries[i].call(p, 2, size / 2 + 1));
  }
  begin_call();
  check("mi_realloc", mi_realloc(p, size));
  begin_call();
  check("mi_rezalloc", mi_rezalloc(p, size));
  begin_call();
  check("mi_urealloc", mi_urealloc(p, size, NULL, NULL));
  if (!holds(p, bytes, 3)) failures++;
}

static bool limit_data(void) {
  const struct rlimit nothing_more = {16 * MiB, 16 * MiB};
  return setrlimit(RLIMIT_DATA, &nothing_more) == 0;
}

static void prepare(size_t text_bytes) {
  heap = mi_heap_new();
  theap = mi_heap_theap(heap);
  text = mi_malloc(text_bytes + 1);
  memset(text, 'x', text_bytes);
  text[text_bytes] = '\0';
  memset(opaque_pointer(&output), 0, sizeof output);  // touched now
}

static int ask_for_much(void) {
  prepare(40 * MiB);
  uint8_t* const p = mi_malloc(500);
  if (!limit_data()) return 77;
  check_new_blocks(40 * MiB);
  check_resized_blocks(p, 500, 40 * MiB);
  begin_call();
  mi_free(opaque_pointer(mi_malloc(100)));  // goes on
  return failures != 0 || errno != UNTOUCHED || reports.count != 0;
}

// All memory is in blocks of one size: no entry finds one more, though small ones may be left elsewhere.
static int ask_for_more_of_a_size(size_t size) {
  prepare(size);
  if (!limit_data()) return 77;
  void** chain = NULL;
  for (void** p; (p = (void**)mi_malloc(64 * KiB)) != NULL; chain = p) *p = (void*)chain;
  for (void** p; (p = (void**)mi_malloc(size + 2)) != NULL; chain = p) *p = (void*)chain;
  for (void** p; (p = (void**)mi_heap_malloc(heap, size + 2)) != NULL; chain = p) *p = (void*)chain;
  if (chain == NULL) return 76;
  for (void** p; (p = (void**)mi_malloc_aligned(size, 64)) != NULL; chain = p) *p = (void*)chain;
  for (void** p; (p = (void**)mi_valloc(size)) != NULL; chain = p) *p = (void*)chain;
  for (void** p; (p = (void**)mi_pvalloc(size)) != NULL; chain = p) *p = (void*)chain;
  for (void** p; (p = (void**)mi_malloc_aligned_at(size, 64, 8)) != NULL; chain = p)
    *p = (void*)chain;
  check_new_blocks(size);
  while (chain != NULL) {
    void** const next = (void**)*chain;
    mi_free((void*)chain);
    chain = next;
  }
  begin_call();
  mi_free(opaque_pointer(mi_malloc(size)));
  return failures != 0 || errno != UNTOUCHED || reports.count != 0;
}
static int ask_for_more_of_3000(void) { return ask_for_more_of_a_size(3000); }
static int ask_for_more_of_20000(void) { return ask_for_more_of_a_size(20000); }

static void check_child(int (*run)(void)) {
  if (HAS_SANITIZER) skip();
  const int status = status_of_child(run);
  if (status == 77) skip();
  assert_int_equal(status, 0);
}

static void large_blocks_fail_as_documented(void** state) {
  (void)state;
  check_child(&ask_for_much);
}
static void blocks_of_a_page_fail_as_documented(void** state) {
  (void)state;
  check_child(&ask_for_more_of_3000);
  check_child(&ask_for_more_of_20000);
}

static int make_everything(void) {
  if (!limit_data()) return 77;
  while (mi_malloc(64 * KiB) != NULL) {}
  while (mi_malloc(16) != NULL) {}
  mi_arena_id_t id = &id;
  if (mi_reserve_os_memory_ex(32 * MiB, true, false, true, &id) != ENOMEM || id != NULL) return 1;
  int heaps = 0;
  for (mi_heap_t* h; heaps < 1000000 && (h = mi_heap_new()) != NULL; heaps++) {
    if (mi_heap_malloc(h, 100) != NULL && heaps > 1000) return 2;
  }
  if (heaps == 1000000) return 3;
  if (mi_subproc_new().subproc != NULL) return 4;
  if (mi_stats_get_json(0, NULL) != NULL) return 5;
  return 0;
}

static void heaps_and_arenas_fail_as_documented(void** state) {
  (void)state;
  check_child(&make_everything);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_blocks_fail_as_documented),
      cmocka_unit_test(blocks_of_a_page_fail_as_documented),
      cmocka_unit_test(heaps_and_arenas_fail_as_documented),
  };
  return cmocka_run_group_tests_name("api/no_memory", tests, be_silent, unregister_all);
}
