// SPDX-License-Identifier: MIT
// memory_api.c - where the resident memory is, and giving it back
//
// The parts of what is ours are those of a snapshot (stats.c), cut finer: of what its pages call live, the
// blocks that threads hold ready are taken off, and of the records only what is resident counts.
//
// Tests: tests/api/memory_test.c
#include "api/start.h"
#include "api/stats.h"
#include "base/track.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "runtime/option.h"
#include "space/purge.h"
#include "space/range.h"

static size_t held_bytes(void) {
  size_t bytes = 0;
  mii_track_enter();
  for (const theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made)
    bytes += mii_theap_held_bytes(theap);
  mii_track_leave();
  return bytes;
}

static size_t less(size_t from, size_t bytes) { return from > bytes ? from - bytes : 0; }

// While others allocate the figures are those of different moments; none is negative.
void mii_memory_collect(mi_memory_t* memory) {
  stats_t stats;
  platform_usage_t usage;
  mii_start();
  mii_stats_collect(&stats, (stats_scope_t){0});
  const size_t held = mii_min(held_bytes(), stats.live_in_pages.bytes);
  const size_t in_pages = stats.live_in_pages.bytes - held;
  memory->class_waste = mii_min(stats.class_waste, in_pages);
  memory->live = in_pages - memory->class_waste + stats.runs.bytes + stats.huge.bytes;
  memory->free_in_pages = stats.free_owned;
  memory->cached = held + stats.free_empty;
  memory->orphaned = stats.free_orphaned;
  memory->to_purge = stats.warm_slices.bytes + less(stats.run_bytes, stats.runs.bytes);
  memory->metadata = mii_meta_resident_bytes();
  memory->ours = memory->live + memory->class_waste + memory->free_in_pages + memory->cached
                 + memory->orphaned + memory->to_purge + memory->metadata;
  mii_platform_usage(&usage);
  memory->resident = usage.rss_bytes;
  memory->rest = less(usage.rss_bytes, memory->ours);
}

bool mi_memory_get(mi_memory_t* memory) {
  if (memory == NULL || memory->size != sizeof(mi_memory_t) || memory->version != MI_MEMORY_VERSION)
    return false;
  mii_memory_collect(memory);
  return true;
}

// Giving it back ---------------------------------------------------------------------------------------

void mi_on_thread_idle(void) {
  if (!mii_theap_mine->home->is_live) return;  // it has made no call yet
  mi_collect(false);
  if (mii_option_get(mi_option_purge_delay) < 0) return;
  mii_purge_due(mii_platform_clock_ms());
  if (mii_purge_may_be_much()) mii_quiet_look();
}
