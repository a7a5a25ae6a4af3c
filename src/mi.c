// SPDX-License-Identifier: MIT
// mi.c - the one-file build: every source, bottom layer first. This object is what we ship.
// Compile it with -fvisibility=hidden, so that only the public names leave it.
#define MI_CFG_ONE_FILE 1

#include "base/config.h"

#include "base/assert.c"
#include "base/format.c"
#include "base/rng.c"
#include "base/size_class.c"

#include "platform/linux/memory.c"
#include "platform/linux/system.c"
#include "platform/posix/process.c"
#include "platform/posix/thread.c"

#include "runtime/lock.c"
#include "runtime/option.c"
#include "runtime/report.c"
#include "runtime/secure.c"

#include "space/arena.c"
#include "space/hint.c"
#include "space/huge.c"
#include "space/purge.c"
#include "space/range.c"
#include "space/run.c"
#include "space/segment.c"

#include "page/canary.c"
#include "page/hardened.c"
#include "page/page_make.c"
#include "page/page_remote.c"
#include "page/page_thaw.c"
#include "page/page_verify.c"

#include "heap/apart.c"
#include "heap/block.c"
#include "heap/fork.c"
#include "heap/heap.c"
#include "heap/outbox.c"
#include "heap/refill.c"
#include "heap/theap.c"
#include "heap/thread.c"
#include "heap/vault.c"
#include "heap/visit.c"

#include "api/aligned.c"
#include "api/arena_api.c"
#include "api/cxx.c"
#include "api/foreign.c"
#include "api/free.c"
#include "api/heap_alloc.c"
#include "api/heap_api.c"
#include "api/malloc.c"
#include "api/option_api.c"
#include "api/posix.c"
#include "api/realloc.c"
#include "api/start.c"
#include "api/stats.c"
#include "api/stats_json.c"
#include "api/stats_text.c"
#include "api/string.c"
#include "api/subproc_api.c"
#include "api/visit_api.c"

#include "api/override/elf.c"
#include "api/override/glibc.c"
