// SPDX-License-Identifier: MIT
// group.c (linux) - the control group that the process is in: its limit of memory, and how short memory is
//
// Both versions of the controller are looked for where everybody has them, below /sys/fs/cgroup. A group has at
// most what the groups above it have. In a container the path that the process is told may not exist: then the
// group is at the top of what is mounted, and that is looked at, too.
#include "base/compiler.h"
#include "platform/linux/read.h"
#include "platform/platform.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_ROOM = 1024, NAME_ROOM = 32, US_PER_REFUSAL = 10000 };

typedef struct group_s {
  char path[PATH_ROOM];  // of its folder
  size_t top;            // length of the part where the controller is mounted
  bool is_v2;
} group_t;

// Raw calls: open() and read() are cancellation points.
MI_COLD size_t mii_linux_read(const char* path, char* text, size_t size) {
  text[0] = '\0';
  const long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const long length = syscall(SYS_read, file, text, size - 1);
  syscall(SYS_close, file);
  text[length > 0 ? length : 0] = '\0';
  return length > 0 ? (size_t)length : 0;
}

MI_COLD uint64_t mii_linux_number(const char* digit) {
  uint64_t number = 0;
  for (; *digit >= '0' && *digit <= '9' && number < UINT64_MAX / 16; digit++)
    number = number * 10 + (uint64_t)(*digit - '0');
  return number;
}

// A line of /proc/self/cgroup: "4:memory:/a/b", "3:cpu,memory:/a" or, of version 2, "0::/a/b".
static MI_COLD bool names_group(const char* line, const char* end, group_t* group) {
  const char* const list = memchr(line, ':', (size_t)(end - line));
  const char* const path = list != NULL ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
  if (path == NULL) return false;
  group->is_v2 = path == list + 1;
  const char* const name = strstr(list, "memory");
  if (!group->is_v2 && (name == NULL || name > path)) return false;
  const char* const top = group->is_v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  group->top = strlen(top);
  memcpy(group->path, top, group->top + 1);
  const size_t length = (size_t)(end - path - 1);
  if (length >= PATH_ROOM - group->top - NAME_ROOM) return true;  // its top, at least
  memcpy(group->path + group->top, path + 1, length);
  group->path[group->top + length] = '\0';
  return true;
}

// Puts the name behind the path while it reads.
static MI_COLD const char* file_in(group_t* group, const char* name, char* text, size_t size) {
  char* const end = group->path + strlen(group->path);
  memcpy(end, name, strlen(name) + 1);
  const size_t length = mii_linux_read(group->path, text, size);
  *end = '\0';
  return length > 0 ? text : NULL;
}

// To the group above. False at the top.
static MI_COLD bool go_up(group_t* group) {
  char* const slash = strrchr(group->path, '/');
  if (strlen(group->path) <= group->top) return false;
  *slash = '\0';
  return true;
}

static MI_COLD size_t limit_of(group_t* group) {
  size_t least = SIZE_MAX;
  char text[64];
  do {
    const char* const name = group->is_v2 ? "/memory.max" : "/memory.limit_in_bytes";
    const char* const limit = file_in(group, name, text, sizeof text);
    if (limit == NULL || *limit < '0' || *limit > '9') continue;  // "max"
    const uint64_t bytes = mii_linux_number(limit);
    if (bytes < least) least = (size_t)bytes;
  } while (go_up(group));
  return least;
}

// Calls visit for the process's group in each hierarchy that may have the controller.
typedef void visit_group_t(group_t* group, void* arg);
static MI_COLD void visit_groups(visit_group_t* visit, void* arg) {
  char text[4096];
  group_t group;
  mii_linux_read("/proc/self/cgroup", text, sizeof text);
  for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    if (names_group(line, end, &group)) visit(&group, arg);
  }
}

static MI_COLD void lower_limit(group_t* group, void* arg) {
  const size_t limit = limit_of(group);
  if (limit < *(size_t*)arg) *(size_t*)arg = limit;
}

MI_COLD size_t mii_platform_group_limit(void) {
  const int before = errno;
  size_t limit = SIZE_MAX;
  visit_groups(lower_limit, &limit);
  errno = before;
  return limit < SIZE_MAX / 4 ? limit : SIZE_MAX;  // version 1 says nearly 2^63 for no limit
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=N"
static MI_COLD uint64_t stalled_us(const char* text) {
  const char* const total = text != NULL ? strstr(text, "total=") : NULL;
  return total != NULL ? mii_linux_number(total + 6) : 0;
}

static MI_COLD void add_pressure(group_t* group, void* arg) {
  char text[256];
  uint64_t* const sum = arg;
  if (group->is_v2) {
    *sum += stalled_us(file_in(group, "/memory.pressure", text, sizeof text));
  } else if (file_in(group, "/memory.failcnt", text, sizeof text) != NULL) {
    *sum += mii_linux_number(text) * US_PER_REFUSAL;
  }
}

MI_COLD uint64_t mii_platform_pressure(void) {
  const int before = errno;
  char text[256];
  mii_linux_read("/proc/pressure/memory", text, sizeof text);
  uint64_t sum = stalled_us(text);
  visit_groups(add_pressure, &sum);
  errno = before;
  return sum;
}
