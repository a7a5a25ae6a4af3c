// SPDX-License-Identifier: MIT
// glibc.c - the rest of glibc's <malloc.h>: real figures, or documented refusals
//
// Tests: tests/scripts/
#include "api/stats.h"
#include "base/config.h"
#include "mimalloc.h"
#include "space/purge.h"
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#if MI_CFG_OVERRIDE

#pragma GCC visibility push(default)

enum { TRIM_WAIT_MS = 10 };  // for the answers of other threads

// Give everything back that can be given back; `pad` is ignored. Returns 1 if that was anything, else 0.
int malloc_trim(size_t pad) {
  (void)pad;
  const uint64_t before = mii_purge_count().bytes;
  mi_purge_all(MI_PURGE_ASK, TRIM_WAIT_MS, NULL);
  return mii_purge_count().bytes > before;
}

static size_t live_bytes(const stats_t* stats) {
  return stats->live_in_pages.bytes + stats->runs.bytes + stats->huge.bytes;
}

// arena: bytes that may be resident; uordblks: live; fordblks: the difference; hblks and hblkhd: huge
// blocks; ordblks: threaded free blocks. The rest has no meaning here and is 0.
struct mallinfo2 mallinfo2(void) {
  stats_t stats;
  mii_stats_collect(&stats, (stats_scope_t){0});
  struct mallinfo2 info = {0};
  info.uordblks = live_bytes(&stats);
  info.arena = mii_max(mii_stats_committed(&stats), info.uordblks);
  info.fordblks = info.arena - info.uordblks;
  info.ordblks = stats.threaded - stats.live_in_pages.count;
  info.hblks = stats.huge.count;
  info.hblkhd = stats.huge.bytes;
  return info;
}

static int clamped(size_t value) { return value > INT_MAX ? INT_MAX : (int)value; }

// The same as far as an int can tell.
struct mallinfo mallinfo(void) {
  const struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {0};
  info.arena = clamped(wide.arena);
  info.ordblks = clamped(wide.ordblks);
  info.hblks = clamped(wide.hblks);
  info.hblkhd = clamped(wide.hblkhd);
  info.uordblks = clamped(wide.uordblks);
  info.fordblks = clamped(wide.fordblks);
  return info;
}

// XML with the totals of mallinfo2. Returns 0, or -1 with EINVAL for options other than 0.
int malloc_info(int options, FILE* stream) {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  const struct mallinfo2 info = mallinfo2();
  fprintf(stream,
          "<malloc version=\"mimalloc-1\">\n"
          "<total type=\"live\" size=\"%zu\"/>\n"
          "<total type=\"free\" count=\"%zu\" size=\"%zu\"/>\n"
          "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
          "<system type=\"current\" size=\"%zu\"/>\n"
          "</malloc>\n",
          info.uordblks, info.ordblks, info.fordblks, info.hblks, info.hblkhd, info.arena);
  return 0;
}

void malloc_stats(void) { mi_stats_print_out(NULL, NULL); }

// None of glibc's parameters means anything here: 0, which says that it was not set.
int mallopt(int parameter, int value) {
  (void)parameter;
  (void)value;
  return 0;
}

#pragma GCC visibility pop

#endif
