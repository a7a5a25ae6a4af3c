// SPDX-License-Identifier: MIT
// system.c (linux) - facts of the machine and the process, without reading /proc or /sys; raw writes
#include "base/compiler.h"
#include "platform/linux/read.h"
#include "platform/platform.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)  // glibc 2.32
#include <sys/single_threaded.h>
#define MI_HAS_SINGLE_THREADED 1
#else
#define MI_HAS_SINGLE_THREADED 0
#endif

static size_t bytes_of(int status, const struct rlimit* limit) {
  if (status != 0 || limit->rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit->rlim_cur > SIZE_MAX ? SIZE_MAX : (size_t)limit->rlim_cur;
}

static size_t address_limit(void) {
  struct rlimit limit;
  return bytes_of(getrlimit(RLIMIT_AS, &limit), &limit);
}

static size_t data_limit(void) {
  struct rlimit limit;
  return bytes_of(getrlimit(RLIMIT_DATA, &limit), &limit);
}

// The raw call: ASan puts a sysinfo of its own in the place of libc's, which crashes until ASan has started,
// and asks for memory meanwhile.
static size_t memory_bytes(void) {
  struct sysinfo info;
  if (syscall(SYS_sysinfo, &info) != 0)
    return (size_t)1 << 30;  // a guess is enough: it only sizes the range
  size_t bytes;              // a 32-bit process may not be able to count them
  return __builtin_mul_overflow(info.totalram, info.mem_unit, &bytes) ? SIZE_MAX : bytes;
}

// With 32 bits. The main thread's stack grows down from where the kernel put some random bytes; we stay as
// far away from it as the kernel does when it chooses addresses.
static uintptr_t end_below_stack(void) {
  if (sizeof(void*) > 4) return 0;
  const uintptr_t stack = getauxval(AT_RANDOM);
  if (stack == 0) return 0;
  uintptr_t gap = (uintptr_t)128 << 20;
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
      && limit.rlim_cur > gap)
    gap = (uintptr_t)limit.rlim_cur;
  return gap < stack ? stack - gap : 0;
}

void mii_platform_facts(platform_facts_t* facts) {
  const int before = errno;
  const unsigned long os_page = getauxval(AT_PAGESZ);
  facts->os_page_size = os_page != 0 ? os_page : 4096;
  facts->memory_bytes = memory_bytes();
  facts->address_limit = address_limit();
  facts->is_privileged = getauxval(AT_SECURE) != 0;
  facts->scarce_end = end_below_stack();
  errno = before;
}

void mii_platform_limits(platform_limits_t* limits) {
  const int before = errno;
  limits->address_bytes = address_limit();
  limits->data_bytes = data_limit();
  errno = before;
}

uint64_t mii_platform_clock_ms(void) {
  const int before = errno;
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  errno = before;
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Early at boot the kernel may have none to give yet, and a filter of system calls may not let us ask. Then
// what it put beside our stack at the start of the program is mixed with addresses and the time.
static void guess_random(uint8_t* bytes, size_t size) {
  const uint8_t* const given = (const uint8_t*)getauxval(AT_RANDOM);  // 16 bytes
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t state = (uint64_t)(uintptr_t)bytes ^ (uint64_t)now.tv_nsec << 20;
  for (size_t i = 0; i < size; i++) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    bytes[i] = (uint8_t)((state >> 56) ^ (given != NULL ? given[i % 16] : 0));
  }
}

void mii_platform_random(void* bytes, size_t size) {
  enum { NONBLOCK = 1 };
  const int before = errno;
  if (syscall(SYS_getrandom, bytes, size, NONBLOCK) != (long)size) guess_random(bytes, size);
  errno = before;
}

// libc knows a thread by its kernel number, which is a part of the clock it gives us (the inverse, above
// three bits).
bool mii_platform_thread_is_known(uint32_t* number) {
  const int before = errno;
  clockid_t clock;
  const int code = pthread_getcpuclockid(pthread_self(), &clock);
  const long id = syscall(SYS_gettid);
  errno = before;
  *number = id > 0 ? (uint32_t)id : 0;
  return id <= 0 || (code == 0 && ~(clock >> 3) == id);
}

bool mii_platform_thread_is_gone(uint32_t number) {
  const int before = errno;
  const bool gone = syscall(SYS_tgkill, getpid(), number, 0) != 0 && errno == ESRCH;
  errno = before;
  return gone;
}

// A kernel or a filter that has no futex must not make us spin.
bool mii_platform_wait(_Atomic(uint32_t)* word, uint32_t value, uint64_t timeout_ms) {
  const int before = errno;
  const struct timespec timeout = {(time_t)(timeout_ms / 1000),
                                   (long)(timeout_ms % 1000) * 1000 * 1000};
  const long status = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                              timeout_ms != UINT64_MAX ? &timeout : NULL, NULL, 0);
  const bool waited = status == 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR;
  errno = before;
  return waited;
}

void mii_platform_wake(_Atomic(uint32_t)* word) {
  const int before = errno;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
  errno = before;
}

#if MI_HAS_SINGLE_THREADED
#pragma weak __libc_single_threaded
bool mii_platform_has_threads(void) {
  return &__libc_single_threaded != NULL && __libc_single_threaded == 0;
}
#else
bool mii_platform_has_threads(void) { return false; }
#endif

// The raw call: write() is a cancellation point, and a program may have one of its own, which allocates.
void mii_platform_write(int descriptor, const char* text, size_t length) {
  const int before = errno;
  while (length > 0) {
    const long written = syscall(SYS_write, descriptor, text, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    text += written;
    length -= (size_t)written;
  }
  errno = before;
}

static size_t time_ms(struct timeval t) {
  return (size_t)t.tv_sec * 1000 + (size_t)t.tv_usec / 1000;
}

// The second number in the file, in OS pages.
static size_t resident_bytes(void) {
  char text[64];
  mii_linux_read("/proc/self/statm", text, sizeof text);
  const char* const second = strchr(text, ' ');
  return second != NULL ? (size_t)mii_linux_number(second + 1) * getauxval(AT_PAGESZ) : 0;
}

MI_COLD void mii_platform_usage(platform_usage_t* usage) {
  const int before = errno;
  struct rusage r = {0};
  getrusage(RUSAGE_SELF, &r);
  usage->rss_bytes = resident_bytes();
  errno = before;
  usage->peak_rss_bytes = (size_t)r.ru_maxrss * 1024;
  usage->page_faults_minor = (size_t)r.ru_minflt;
  usage->page_faults_major = (size_t)r.ru_majflt;
  usage->user_ms = time_ms(r.ru_utime);
  usage->system_ms = time_ms(r.ru_stime);
}
