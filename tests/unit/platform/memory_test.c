// SPDX-License-Identifier: MIT
// The states of memory, as platform.h promises them.
#include "support/unit_test.h"
#include "platform/platform.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { ERRNO_BEFORE = 4242 };

static size_t os_page;

static uint8_t* reserve(size_t size) {
  platform_facts_t facts;
  mii_platform_facts(&facts);
  os_page = facts.os_page_size;
  void* p = NULL;
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_reserve(size, &p), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(p != NULL && (uintptr_t)p % os_page == 0);
  return (uint8_t*)p;
}

static void open_all(uint8_t* p, size_t size) {
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_open(p, size), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

static void read_at(void* p) { (void)*(volatile uint8_t*)p; }
static void write_at(void* p) { *(volatile uint8_t*)p = 1; }

TEST(reserved_memory_cannot_be_touched) {
  uint8_t* const p = reserve(MiB);
  CHECK(stops_the_process(read_at, p));
  CHECK(stops_the_process(write_at, p + MiB - 1));
}

TEST(opened_memory_is_zero_and_can_be_written) {
  uint8_t* const p = reserve(MiB);
  open_all(p, MiB / 2);
  CHECK(is_zero(p, MiB / 2));
  memset(p, 0xAB, MiB / 2);
  CHECK(is_all(p, MiB / 2, 0xAB));
  CHECK(stops_the_process(read_at, p + MiB / 2));
}

TEST(opening_again_changes_nothing) {
  uint8_t* const p = reserve(MiB);
  open_all(p + os_page, os_page);
  memset(p + os_page, 0xAB, os_page);
  open_all(p, 4 * os_page);
  CHECK(is_all(p + os_page, os_page, 0xAB));
  CHECK(is_zero(p, os_page));
  CHECK(is_zero(p + 2 * os_page, 2 * os_page));
}

TEST(contents_move_and_leave_zeros_behind) {
  uint8_t* const p = reserve(8 * MiB);
  open_all(p, 8 * MiB);
  memset(p, 0xAB, MiB);
  memset(p + 4 * MiB, 0xCD, 2 * MiB);
  errno = ERRNO_BEFORE;
  if (mii_platform_move(p, p + 4 * MiB, MiB) != 0) return;  // an older kernel
  CHECK(is_all(p + 4 * MiB, MiB, 0xAB));
  CHECK(is_all(p + 5 * MiB, MiB, 0xCD));
  CHECK(is_zero(p, MiB));
  memset(p, 0xEF, MiB);
  CHECK_EQ(mii_platform_renew(p + 4 * MiB, MiB), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(is_zero(p + 4 * MiB, MiB));
  CHECK(is_all(p, MiB, 0xEF));
  CHECK_EQ(mii_platform_purge(p, 8 * MiB), 0);
}

static int mappings_between(const uint8_t* from, const uint8_t* to) {
  FILE* const maps = fopen("/proc/self/maps", "r");
  unsigned long begin, end;
  int count = 0;
  char line[300];
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && begin < (uintptr_t)to
        && end > (uintptr_t)from)
      count++;
  }
  if (maps != NULL) fclose(maps);
  return count;
}

TEST(renewing_heals_the_mapping) {
  uint8_t* const p = reserve(8 * MiB);
  open_all(p, 8 * MiB);
  memset(p, 0xAB, 8 * MiB);
  CHECK_EQ(mappings_between(p, p + 8 * MiB), 1);
  if (mii_platform_move(p, p + 4 * MiB, MiB) != 0) return;
  CHECK_EQ(mappings_between(p, p + 8 * MiB), 3);
  CHECK_EQ(mii_platform_renew(p + 4 * MiB, MiB), 0);
  CHECK_EQ(mappings_between(p, p + 8 * MiB), 1);
}

TEST(resident_is_what_was_touched_and_not_purged) {
  uint8_t* const p = reserve(40 * MiB);
  open_all(p, 40 * MiB);
  CHECK_EQ(mii_platform_resident(p, 40 * MiB), 0);
  write_at(p);
  write_at(p + 20 * MiB);
  write_at(p + 20 * MiB + os_page);
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_resident(p, 40 * MiB), 3 * os_page);
  CHECK_EQ(mii_platform_resident(p + 20 * MiB, os_page), os_page);
  CHECK_EQ(mii_platform_purge(p + 20 * MiB, MiB), 0);
  CHECK_EQ(mii_platform_resident(p, 40 * MiB), os_page);
  CHECK_EQ(mii_platform_release(p, 40 * MiB), 0);
  CHECK_EQ(mii_platform_resident(p, 40 * MiB), 40 * MiB);  // not known: all
  CHECK_EQ(errno, ERRNO_BEFORE);
}

TEST(shown_memory_reads_as_zero_and_cannot_be_written_before_it_is_opened) {
  uint8_t* const p = reserve(MiB);
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_show(p, MiB), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(is_zero(p, MiB));
  CHECK(stops_the_process(write_at, p));
  open_all(p, os_page);
  memset(p, 0xAB, os_page);
  CHECK(is_zero(p + os_page, MiB - os_page));
  CHECK(stops_the_process(write_at, p + os_page));
}

TEST(purged_memory_is_zero_again_and_still_open) {
  uint8_t* const p = reserve(MiB);
  open_all(p, MiB);
  memset(p, 0xAB, MiB);
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_purge(p + os_page, MiB - 2 * os_page), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(is_all(p, os_page, 0xAB));
  CHECK(is_all(p + MiB - os_page, os_page, 0xAB));
  unsigned char resident = 1;
  CHECK_EQ(mincore(p + os_page, os_page, &resident), 0);
  CHECK_EQ(resident & 1, 0);
  CHECK(is_zero(p + os_page, MiB - 2 * os_page));
  memset(p, 0xCD, MiB);
}

TEST(released_memory_is_gone) {
  uint8_t* const p = reserve(MiB);
  open_all(p, os_page);
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_release(p, MiB), 0);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(stops_the_process(read_at, p));
  CHECK(stops_the_process(read_at, p + MiB - 1));
}

TEST(reserving_costs_nothing) {
  for (int i = 0; i < 8; i++) {
    const size_t size = GiB << (sizeof(void*) == 8 ? 6 : 0);
    uint8_t* const p = reserve(size);
    CHECK_EQ(mii_platform_release(p, size), 0);
  }
}

TEST(what_the_system_refuses_is_told_by_its_code) {
  void* p = &p;
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_reserve(SIZE_MAX - 16 * MiB + 1, &p), ENOMEM);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK_EQ(p, &p);

  uint8_t* const gone = reserve(MiB);
  CHECK_EQ(mii_platform_release(gone, MiB), 0);
  CHECK_EQ(mii_platform_open(gone, MiB), ENOMEM);
  CHECK_EQ(mii_platform_show(gone, MiB), ENOMEM);
  CHECK_EQ(mii_platform_purge(gone, MiB), ENOMEM);
  CHECK_EQ(mii_platform_release(gone + 1, MiB), EINVAL);
  CHECK_EQ(errno, ERRNO_BEFORE);
}

TEST(reserving_at_an_address_takes_what_is_free_and_nothing_else) {
  uint8_t* const p = reserve(MiB);
  CHECK_EQ(mii_platform_release(p + 256 * KiB, 512 * KiB), 0);
  errno = ERRNO_BEFORE;
  CHECK_EQ(mii_platform_reserve_at(p, 256 * KiB), EEXIST);
  CHECK_EQ(mii_platform_reserve_at(p + 128 * KiB, 256 * KiB), EEXIST);
  CHECK_EQ(mii_platform_reserve_at(p + 512 * KiB, 512 * KiB), EEXIST);
  CHECK_EQ(mii_platform_reserve_at(p + 256 * KiB, 512 * KiB), 0);
  CHECK_EQ(mii_platform_reserve_at(p + 256 * KiB, os_page), EEXIST);
  CHECK_EQ(errno, ERRNO_BEFORE);
  CHECK(stops_the_process(read_at, p + 256 * KiB));
  open_all(p, MiB);
  CHECK(is_zero(p, MiB));
  CHECK_EQ(mii_platform_release(p, MiB), 0);
}

TEST(an_address_limit_is_told_and_refuses) {
  const struct rlimit limit = {GiB, GiB};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return;
  platform_facts_t facts;
  mii_platform_facts(&facts);
  CHECK_EQ(facts.address_limit, GiB);
  void* p;
  CHECK_EQ(mii_platform_reserve(GiB, &p), ENOMEM);
}

UNIT_TEST_MAIN
