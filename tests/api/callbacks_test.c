// SPDX-License-Identifier: MIT
// callbacks_test.c - output, error and deferred-free functions of the program; statistics as text
#include "api_test.h"

// --- output ---

static void output_receives_the_text_of_statistics(void** state) {
  (void)state;
  output_begin();
  mi_stats_print(NULL);
  assert_true(output.calls > 0);
  assert_true(output.length > 20);
  assert_int_equal(output.text[output.length - 1], '\n');
  assert_true(count_lines_with(output.text, "") > 1);
  mi_register_output(NULL, NULL);
}

static void stats_print_takes_the_standard_streams_for_the_default(void** state) {
  (void)state;
  output_begin();
  mi_stats_print(stdout);
  const size_t length = output.length;
  assert_true(length > 0);
  mi_stats_print(stderr);
  assert_true(output.length > length);
  mi_register_output(NULL, NULL);
}

static size_t direct_length;
static bool direct_had_argument;

static void mi_cdecl note_direct(const char* msg, void* arg) {
  if (arg != NULL) direct_had_argument = true;
  direct_length += strlen(msg);
}

static void stats_print_takes_an_output_function(void** state) {
  (void)state;
  output_begin();
  mi_stats_print((void*)(uintptr_t)&note_direct);
  assert_true(direct_length > 20);
  assert_false(direct_had_argument);
  assert_int_equal(output.length, 0);
  mi_register_output(NULL, NULL);
}

static void stats_print_out_prints_to_the_given_function(void** state) {
  (void)state;
  mi_register_output(NULL, NULL);
  output_clear();
  mi_stats_print_out(&note_output, &output);
  assert_true(output.length > 20);
  output_begin();
  mi_stats_print_out(NULL, NULL);  // to the registered one
  assert_true(output.length > 20);
  mi_register_output(NULL, NULL);
}

static void statistics_can_be_printed_in_every_state_of_the_heap(void** state) {
  (void)state;
  void* blocks[500];
  output_begin();
  for (size_t i = 0; i < COUNT_OF(blocks); i++) blocks[i] = mi_malloc(i * i);
  output_clear();
  mi_stats_print(NULL);
  assert_true(output.length > 20);
  for (size_t i = 0; i < COUNT_OF(blocks); i++) mi_free(blocks[i]);
  output_clear();
  mi_stats_print(NULL);
  assert_true(output.length > 20);
  mi_collect(true);
  output_clear();
  mi_stats_print(NULL);
  assert_true(output.length > 20);
  mi_register_output(NULL, NULL);
}

static void messages_of_errors_go_to_the_registered_output(void** state) {
  (void)state;
  mi_option_enable(mi_option_show_errors);
  output_begin();
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_option_disable(mi_option_show_errors);
  assert_int_equal(count_lines_with(output.text, "mimalloc: error: "), 1);
  assert_int_equal(count_lines_with(output.text, ""), 1);
  assert_int_equal(output.text[output.length - 1], '\n');
  mi_register_output(NULL, NULL);
}

static void no_message_is_shown_unless_an_option_says_so(void** state) {
  (void)state;
  output_begin();
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  assert_int_equal(output.length, 0);
  mi_register_output(NULL, NULL);
}

static void* first_allocation_of_a_thread_fails(void* arg) {
  (void)arg;
  return mi_malloc(opaque(TOO_LARGE));
}

static void messages_of_other_threads_name_the_thread(void** state) {
  (void)state;
  mi_option_enable(mi_option_show_errors);
  output_begin();
  assert_null(result_of_thread(&first_allocation_of_a_thread_fails, NULL));
  mi_option_disable(mi_option_show_errors);
  assert_int_equal(count_lines_with(output.text, "mimalloc: error: thread 0x"), 1);
  mi_register_output(NULL, NULL);
}

static void mi_cdecl allocate_on_output(const char* msg, void* arg) {
  const size_t length = strlen(msg);
  void* p = mi_malloc(length + 1);
  memcpy(p, msg, length + 1);
  p = mi_realloc(p, 10 * length);
  mi_free(p);
  ++*(int*)arg;
}

static void an_output_function_may_allocate(void** state) {
  (void)state;
  int calls = 0;
  mi_register_output(&allocate_on_output, &calls);
  calls = 0;
  mi_stats_print(NULL);
  mi_options_print();
  mi_option_enable(mi_option_show_errors);
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_option_disable(mi_option_show_errors);
  mi_register_output(NULL, NULL);
  assert_true(calls > 2);
}

// --- errors ---

static void each_failure_gives_exactly_one_code(void** state) {
  (void)state;
  ASSERT_FAILS(mi_malloc(opaque(TOO_LARGE)), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_malloc(opaque(PTRDIFF_MAX)), ENOMEM, ENOMEM);
  ASSERT_FAILS(mi_calloc(opaque(SIZE_MAX), 2), ENOMEM, EOVERFLOW);
  ASSERT_FAILS(mi_malloc_aligned(10, opaque(3)), EINVAL, EINVAL);
}

static void a_null_error_function_restores_the_default(void** state) {
  (void)state;
  reports_begin();
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  assert_int_equal(reports.count, 1);
  mi_register_error(NULL, NULL);
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  assert_int_equal(reports.count, 1);
}

static void mi_cdecl count_into(int err, void* arg) {
  (void)err;
  ++*(int*)arg;
}

static void the_error_function_gets_its_argument(void** state) {
  (void)state;
  int first = 0;
  int second = 0;
  mi_register_error(&count_into, &first);
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_register_error(&count_into, &second);
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_register_error(NULL, NULL);
  assert_int_equal(first, 1);
  assert_int_equal(second, 2);
}

static void mi_cdecl allocate_on_error(int err, void* arg) {
  void** const kept = (void**)arg;
  errno = err + 1;  // what the function does to errno is not to be seen
  *kept = mi_malloc(1000);
  mi_free(mi_malloc(5000000));
}

static void an_error_function_may_allocate_and_change_errno(void** state) {
  (void)state;
  void* kept = NULL;
  mi_register_error(&allocate_on_error, &kept);
  errno = 0;
  const bool failed = mi_malloc(opaque(TOO_LARGE)) == NULL;
  const int errno_now = errno;
  mi_register_error(NULL, NULL);
  assert_true(failed);
  assert_int_equal(errno_now, ENOMEM);
  assert_non_null(kept);
  mi_free(kept);
}

static void mi_cdecl note_order(int err, void* arg) {
  (void)err;
  *(bool*)arg = strstr(output.text, "mimalloc: error: ") != NULL;
}

static void the_error_function_is_called_after_the_message(void** state) {
  (void)state;
  bool message_first = false;
  mi_option_enable(mi_option_show_errors);
  output_begin();
  mi_register_error(&note_order, &message_first);
  assert_null(mi_malloc(opaque(TOO_LARGE)));
  mi_option_disable(mi_option_show_errors);
  unregister_all(NULL);
  assert_true(message_first);
}

static void* fail_in_thread(void* arg) {
  (void)arg;
  errno = 0;
  void* const p = mi_malloc(opaque(TOO_LARGE));
  return (p == NULL && errno == ENOMEM) ? (void*)&reports : NULL;
}

static void failures_of_other_threads_are_reported_too(void** state) {
  (void)state;
  reports_begin();
  errno = 0;
  assert_non_null(result_of_thread(&fail_in_thread, NULL));
  assert_int_equal(reports.count, 1);
  assert_int_equal(reports.last_code, EOVERFLOW);
  assert_int_equal(errno, 0);
}

// --- deferred free ---

typedef struct deferred_s {
  int calls;
  int forced;
  int depth;
  int deepest;
  bool went_back;
  unsigned long long last;
  unsigned long long first;
} deferred_t;

static void mi_cdecl note_deferred(bool force, unsigned long long heartbeat, void* arg) {
  deferred_t* const seen = (deferred_t*)arg;
  seen->depth++;
  if (seen->depth > seen->deepest) seen->deepest = seen->depth;
  if (seen->calls == 0) seen->first = heartbeat;
  if (seen->calls > 0 && heartbeat < seen->last) seen->went_back = true;
  seen->last = heartbeat;
  seen->calls++;
  if (force) seen->forced++;
  // allocate a lot, so that slow paths are met inside as well
  void* blocks[200];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) blocks[i] = mi_malloc(8 + i * 37);
  for (size_t i = 0; i < COUNT_OF(blocks); i++) mi_free(blocks[i]);
  seen->depth--;
}

static void* churn(void* arg) {
  enum { KEPT = 4000 };
  void** blocks = (void**)mi_calloc(KEPT, sizeof(void*));
  uint32_t random = 1;
  for (int i = 0; i < 400000; i++) {
    random = random * 1664525u + 1013904223u;
    const size_t k = (random >> 8) % KEPT;
    mi_free(blocks[k]);
    blocks[k] = mi_malloc(8 + (random >> 16) % 2000);
  }
  for (size_t i = 0; i < KEPT; i++) mi_free(blocks[i]);
  mi_free(blocks);
  return arg;
}

static void deferred_free_is_called_from_allocations_with_increasing_heartbeat(void** state) {
  (void)state;
  deferred_t seen = {0};
  mi_register_deferred_free(&note_deferred, &seen);
  churn(NULL);
  mi_register_deferred_free(NULL, NULL);
  assert_true(seen.calls >= 3);
  assert_int_equal(seen.forced, 0);
  assert_false(seen.went_back);
  assert_true(seen.last > seen.first);
}

static void deferred_free_is_not_entered_again_from_within(void** state) {
  (void)state;
  deferred_t seen = {0};
  mi_register_deferred_free(&note_deferred, &seen);
  churn(NULL);
  mi_collect(true);
  mi_register_deferred_free(NULL, NULL);
  assert_int_equal(seen.deepest, 1);
}

static void collect_calls_deferred_free_and_says_if_forced(void** state) {
  (void)state;
  deferred_t seen = {0};
  mi_register_deferred_free(&note_deferred, &seen);
  mi_collect(false);
  assert_int_equal(seen.calls, 1);
  assert_int_equal(seen.forced, 0);
  mi_collect(true);
  assert_int_equal(seen.calls, 2);
  assert_int_equal(seen.forced, 1);
  mi_register_deferred_free(NULL, NULL);
  mi_collect(true);
  assert_int_equal(seen.calls, 2);
  assert_false(seen.went_back);
}

static void mi_cdecl collect_again(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)heartbeat;
  ++*(int*)arg;
  mi_collect(true);
}

static void deferred_free_may_collect(void** state) {
  (void)state;
  int calls = 0;
  mi_register_deferred_free(&collect_again, &calls);
  mi_collect(true);
  mi_register_deferred_free(NULL, NULL);
  assert_int_equal(calls, 1);
}

static void deferred_free_is_called_in_the_thread_that_allocates(void** state) {
  (void)state;
  deferred_t seen = {0};
  mi_register_deferred_free(&note_deferred, &seen);
  result_of_thread(&churn, NULL);
  mi_register_deferred_free(NULL, NULL);
  assert_true(seen.calls >= 3);
  assert_int_equal(seen.deepest, 1);
}

// --- how often the heart beats ---

enum { BEAT_OF_ONE_SIZE = 8192 + 1, BEAT_OF_ALL_SIZES = 40 * 1000 + 1 };

static int allocations;  // since the last beat
static int longest;

static void mi_cdecl note_beat(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)heartbeat;
  (void)arg;
  allocations = 0;
}

static void* allocate_for_beats(size_t size) {
  if (++allocations > longest) longest = allocations;
  return mi_malloc(size);
}

static void measure_beats(void) {
  allocations = longest = 0;
  mi_register_deferred_free(&note_beat, NULL);
}

static void blocks_that_are_kept_meet_a_beat(void** state) {
  (void)state;
  enum { COUNT = 10 * 1000 };
  static void* blocks[COUNT];
  for (size_t size = 8; size <= 40 * KiB; size += size / 3 + 5) {
    const size_t count = size > KiB ? COUNT / 20 : COUNT;
    measure_beats();
    for (size_t i = 0; i < count; i++) blocks[i] = allocate_for_beats(size);
    mi_register_deferred_free(NULL, NULL);
    for (size_t i = 0; i < count; i++) mi_free(blocks[i]);
    assert_true(longest <= BEAT_OF_ONE_SIZE);
  }
}

static void blocks_that_are_freed_at_once_meet_a_beat(void** state) {
  (void)state;
  for (size_t size = 8; size <= 40 * KiB; size += size / 3 + 5) {
    measure_beats();
    for (int i = 0; i < 2 * BEAT_OF_ONE_SIZE; i++) mi_free(allocate_for_beats(size));
    mi_register_deferred_free(NULL, NULL);
    if (longest > BEAT_OF_ONE_SIZE) fail_msg("size %zu: %d allocations", size, longest);
  }
}

static void blocks_of_all_sizes_meet_a_beat(void** state) {
  (void)state;
  enum { KEPT = 500 };
  static void* blocks[KEPT];
  for (size_t kept = 5; kept <= KEPT; kept *= 10) {
    uint32_t random = 1;
    measure_beats();
    for (int i = 0; i < 2 * BEAT_OF_ALL_SIZES; i++) {
      random = random * 1664525u + 1013904223u;
      const size_t k = (random >> 8) % kept;
      mi_free(blocks[k]);
      blocks[k] = allocate_for_beats((size_t)8 << (random >> 20) % 12 << (random >> 30) % 2);
    }
    mi_register_deferred_free(NULL, NULL);
    for (size_t i = 0; i < kept; i++) mi_free(blocks[i]), blocks[i] = NULL;
    if (longest > BEAT_OF_ALL_SIZES) fail_msg("%zu blocks: %d allocations", kept, longest);
  }
}

static void every_larger_block_is_a_beat(void** state) {
  (void)state;
  static const size_t sizes[] = {32 * KiB + 1, 100 * KiB, 2 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    measure_beats();
    for (int n = 0; n < 100; n++) mi_free(allocate_for_beats(sizes[i]));
    mi_register_deferred_free(NULL, NULL);
    assert_int_equal(longest, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(output_receives_the_text_of_statistics),
      cmocka_unit_test(stats_print_takes_the_standard_streams_for_the_default),
      cmocka_unit_test(stats_print_takes_an_output_function),
      cmocka_unit_test(stats_print_out_prints_to_the_given_function),
      cmocka_unit_test(statistics_can_be_printed_in_every_state_of_the_heap),
      cmocka_unit_test(messages_of_errors_go_to_the_registered_output),
      cmocka_unit_test(no_message_is_shown_unless_an_option_says_so),
      cmocka_unit_test(messages_of_other_threads_name_the_thread),
      cmocka_unit_test(an_output_function_may_allocate),
      cmocka_unit_test(each_failure_gives_exactly_one_code),
      cmocka_unit_test(a_null_error_function_restores_the_default),
      cmocka_unit_test(the_error_function_gets_its_argument),
      cmocka_unit_test(an_error_function_may_allocate_and_change_errno),
      cmocka_unit_test(the_error_function_is_called_after_the_message),
      cmocka_unit_test(failures_of_other_threads_are_reported_too),
      cmocka_unit_test(deferred_free_is_called_from_allocations_with_increasing_heartbeat),
      cmocka_unit_test(deferred_free_is_not_entered_again_from_within),
      cmocka_unit_test(collect_calls_deferred_free_and_says_if_forced),
      cmocka_unit_test(deferred_free_may_collect),
      cmocka_unit_test(deferred_free_is_called_in_the_thread_that_allocates),
      cmocka_unit_test(blocks_that_are_kept_meet_a_beat),
      cmocka_unit_test(blocks_that_are_freed_at_once_meet_a_beat),
      cmocka_unit_test(blocks_of_all_sizes_meet_a_beat),
      cmocka_unit_test(every_larger_block_is_a_beat),
  };
  return cmocka_run_group_tests_name("api/callbacks", tests, be_silent, unregister_all);
}
