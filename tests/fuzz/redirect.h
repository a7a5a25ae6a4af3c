// SPDX-License-Identifier: MIT
// redirect.h - compiled in front of mi.c (-include): what it asks of the system, it asks os.c
#ifndef FUZZ_REDIRECT_H
#define FUZZ_REDIRECT_H

#include <sys/mman.h>
#include <time.h>

int fuzz_clock_gettime(clockid_t clock, struct timespec* now);
int fuzz_mprotect(void* address, size_t size, int protection);
int fuzz_madvise(void* address, size_t size, int advice);

#define clock_gettime fuzz_clock_gettime
#define mprotect      fuzz_mprotect
#define madvise       fuzz_madvise

#endif
