// SPDX-License-Identifier: MIT
// callbacks.c - options, and the program's own functions for errors, text, and deferred work
#include <mimalloc.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

typedef struct log_s {
  int errors;
  int last_error;
  size_t characters;
  int beats;
} log_t;

static void mi_cdecl on_error(int err, void* arg) {
  log_t* const log = (log_t*)arg;
  log->errors++;
  log->last_error = err;
}

static void mi_cdecl on_output(const char* msg, void* arg) {
  ((log_t*)arg)->characters += strlen(msg);
}

static void mi_cdecl on_beat(bool force, unsigned long long heartbeat, void* arg) {
  (void)heartbeat;
  if (force) ((log_t*)arg)->beats++;
}

int main(void) {
  static log_t log;
  mi_option_set(mi_option_show_errors, 1);
  mi_option_set_default(mi_option_purge_delay, 500);
  if (!mi_option_is_enabled(mi_option_show_errors) || mi_option_get(mi_option_purge_delay) != 500)
    return 1;
  mi_register_output(on_output, &log);
  mi_register_error(on_error, &log);
  log.characters = 0;

  volatile size_t too_much = SIZE_MAX;
  errno = 0;
  if (mi_malloc(too_much) != NULL || errno != ENOMEM) return 2;
  if (log.errors != 1 || log.last_error != EOVERFLOW || log.characters == 0) return 3;

  log.characters = 0;
  mi_stats_print_out(NULL, NULL);
  if (log.characters == 0) return 4;

  mi_register_deferred_free(on_beat, &log);
  mi_collect(true);
  mi_register_deferred_free(NULL, NULL);
  mi_register_output(NULL, NULL);
  mi_register_error(NULL, NULL);
  return log.beats >= 1 && mi_version() / 10000 == MI_MALLOC_VERSION / 10000 ? 0 : 5;
}
