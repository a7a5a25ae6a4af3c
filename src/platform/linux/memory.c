// SPDX-License-Identifier: MIT
// memory.c (linux) - the states of memory by mmap, mprotect, madvise, munmap
//
// Reserved is PROT_NONE | MAP_NORESERVE: no commit charge, nothing in a core dump. Open is one
// mprotect. Only these four calls are needed, so a strict seccomp filter can allow us to live.
#include "base/compiler.h"
#include "platform/platform.h"
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

// Restores errno and returns the code of the failure.
static int result_of(int status, int errno_before) {
  const int code = status == 0 ? 0 : errno;
  errno = errno_before;
  return code;
}

int mii_platform_reserve(size_t size, void** address) {
  const int before = errno;
  void* const p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return result_of(-1, before);
  *address = p;
  return 0;
}

// A kernel that does not know the flag takes the address for a hint.
int mii_platform_reserve_at(void* address, size_t size) {
  const int before = errno;
  void* const p = mmap(address, size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (p == MAP_FAILED) return result_of(-1, before);
  if (p == address) return 0;
  mii_platform_release(p, size);
  return EEXIST;
}

int mii_platform_open(void* address, size_t size) {
  const int before = errno;
  return result_of(mprotect(address, size, PROT_READ | PROT_WRITE), before);
}

static int log2_of(size_t size) { return (int)(sizeof(size_t) * 8 - 1) - __builtin_clzl(size); }

static void bind_to_node(void* address, size_t size, int node) {
  enum { MPOL_PREFERRED_MODE = 1, NODES = 64 };
  const unsigned long mask = 1ul << node % (int)(8 * sizeof(unsigned long));
  if (node >= 0 && node < NODES)
    syscall(SYS_mbind, address, size, MPOL_PREFERRED_MODE, &mask, NODES + 1, 0);
}

// Elsewhere first: if there are not enough, what we have reserved stays.
MI_COLD int mii_platform_open_huge(void* address, size_t size, size_t huge_page, int numa_node) {
  enum { HUGE_SHIFT = 26 };
  if (((uintptr_t)address & (huge_page - 1)) != 0 || (size & (huge_page - 1)) != 0) return EINVAL;
  const int before = errno;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | log2_of(huge_page) << HUGE_SHIFT;
  void* const p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (p == MAP_FAILED) return result_of(-1, before);
  if (mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, address) != address) {
    const int code = result_of(-1, before);
    munmap(p, size);
    return code;
  }
  bind_to_node(address, size, numa_node);
  errno = before;
  return 0;
}

void mii_platform_prefer_large(void* address, size_t size) {
  const int before = errno;
  madvise(address, size, MADV_HUGEPAGE);
  errno = before;
}

void mii_platform_refuse_large(void* address, size_t size) {
  const int before = errno;
  madvise(address, size, MADV_NOHUGEPAGE);
  errno = before;
}

int mii_platform_show(void* address, size_t size) {
  const int before = errno;
  return result_of(mprotect(address, size, PROT_READ), before);
}

int mii_platform_purge(void* address, size_t size) {
  const int before = errno;
  return result_of(madvise(address, size, MADV_DONTNEED), before);
}

// Linux 6.13 and later: a mark in the page table, no mapping of its own.
enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };

int mii_platform_guard(void* address, size_t size) {
  const int before = errno;
  return result_of(madvise(address, size, GUARD_INSTALL), before);
}

int mii_platform_unguard(void* address, size_t size) {
  const int before = errno;
  return result_of(madvise(address, size, GUARD_REMOVE), before);
}

// Both flags are needed: nobody else may get the place that is left for a moment. Refused where the memory
// belongs to several mappings, and by kernels before 5.7.
int mii_platform_move(void* from, void* to, size_t size) {
  const int before = errno;
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
  return result_of(mremap(from, size, size, flags, to) == to ? 0 : -1, before);
}

int mii_platform_renew(void* address, size_t size) {
  const int before = errno;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return result_of(mmap(address, size, PROT_READ | PROT_WRITE, flags, -1, 0) == address ? 0 : -1,
                   before);
}

// mincore's name says another thing, but of private memory it tells what is resident.
MI_COLD size_t mii_platform_resident(void* address, size_t size) {
  const int before = errno;
  const size_t os_page = getauxval(AT_PAGESZ);
  size_t resident = 0;
  unsigned char map[512];
  for (size_t at = 0; at < size; at += sizeof map * os_page) {
    const size_t rest = size - at;
    const size_t here = rest < sizeof map * os_page ? rest : sizeof map * os_page;
    if (mincore((uint8_t*)address + at, here, map) != 0) memset(map, 1, sizeof map);
    for (size_t i = 0; i * os_page < here; i++) resident += (map[i] & 1) != 0 ? os_page : 0;
  }
  errno = before;
  return resident;
}

int mii_platform_release(void* address, size_t size) {
  const int before = errno;
  return result_of(munmap(address, size), before);
}
