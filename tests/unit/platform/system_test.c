// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "base/bits.h"
#include "platform/platform.h"
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

enum { ERRNO_BEFORE = 4242 };

TEST(the_facts_are_those_of_this_machine) {
  platform_facts_t facts;
  memset(&facts, 0xFF, sizeof facts);
  errno = ERRNO_BEFORE;
  mii_platform_facts(&facts);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK_EQ(facts.os_page_size, sysconf(_SC_PAGESIZE));
  CHECK(mii_is_power_of_two(facts.os_page_size));
  const uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * facts.os_page_size;
  const size_t memory = all < SIZE_MAX ? (size_t)all : SIZE_MAX;
  CHECK(facts.memory_bytes / 2 <= memory && memory / 2 <= facts.memory_bytes);
  CHECK(facts.address_limit > 64 * MiB);
  CHECK(!facts.is_privileged);
}

// Larger than any address space, so that nothing is refused.
static const size_t address_limit = SIZE_MAX - GiB;
static const size_t data_limit = SIZE_MAX - 2 * GiB;

TEST(limits_are_those_that_hold_now) {
  const struct rlimit address = {address_limit, RLIM_INFINITY}, data = {data_limit, RLIM_INFINITY};
  CHECK(setrlimit(RLIMIT_AS, &address) == 0 && setrlimit(RLIMIT_DATA, &data) == 0);
  platform_limits_t limits;
  errno = ERRNO_BEFORE;
  mii_platform_limits(&limits);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK_EQ(limits.address_bytes, address_limit);
  CHECK_EQ(limits.data_bytes, data_limit);
}

TEST(the_limit_of_the_group_is_told_or_there_is_none) {
  errno = ERRNO_BEFORE;
  const size_t limit = mii_platform_group_limit();
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(limit == SIZE_MAX || limit > MiB);
}

TEST(the_pressure_never_falls) {
  errno = ERRNO_BEFORE;
  const uint64_t before = mii_platform_pressure();
  CHECK(mii_platform_pressure() >= before);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

TEST(addresses_are_scarce_with_32_bits_and_end_well_below_the_stack) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  CHECK_EQ(facts.scarce_end != 0, sizeof(void*) == 4);
  if (facts.scarce_end == 0) return;
  const uintptr_t here = (uintptr_t)&facts;
  CHECK(facts.scarce_end < here && here - facts.scarce_end > 120 * MiB);
  CHECK(facts.scarce_end > GiB);
}

TEST(the_clock_goes_on_and_never_back) {
  errno = ERRNO_BEFORE;
  uint64_t before = mii_platform_clock_ms();
  for (int i = 0; i < 10000; i++) {
    const uint64_t now = mii_platform_clock_ms();
    CHECK(now >= before);
    before = now;
  }
  CHECK_EQ(errno, ERRNO_BEFORE);
  const struct timespec pause = {0, 100 * 1000 * 1000};
  nanosleep(&pause, NULL);
  const uint64_t passed = mii_platform_clock_ms() - before;
  CHECK(passed >= 90);  // 100, but for the resolution
  CHECK(passed < 30000);
}

TEST(usage_grows_with_what_we_use) {
  platform_usage_t before, after;
  memset(&before, 0xFF, sizeof before);
  errno = ERRNO_BEFORE;
  mii_platform_usage(&before);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(before.peak_rss_bytes > 100 * KiB && before.peak_rss_bytes / GiB < 1000);
  void* p;
  CHECK_EQ(mii_platform_reserve(32 * MiB, &p), 0);
  CHECK_EQ(mii_platform_open(p, 32 * MiB), 0);
  memset(p, 1, 32 * MiB);
  mii_platform_usage(&after);
  CHECK(after.peak_rss_bytes >= before.peak_rss_bytes);
  CHECK(after.peak_rss_bytes >= 32 * MiB);
  CHECK(after.page_faults_minor > before.page_faults_minor);
  CHECK(after.page_faults_major >= before.page_faults_major);
  CHECK(after.user_ms >= before.user_ms && after.system_ms >= before.system_ms);
}

UNIT_TEST_MAIN
