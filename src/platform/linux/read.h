// SPDX-License-Identifier: MIT
// read.h (linux) - short files of the kernel
#ifndef MI_LINUX_READ_H
#define MI_LINUX_READ_H

#include <stddef.h>
#include <stdint.h>

// The beginning of the file as text, without allocating and without being cancelled. Its length; 0 if it cannot be
// read. May change errno.
size_t mii_linux_read(const char* path, char* text, size_t size);

// The digits there as a number; 0 if there are none.
uint64_t mii_linux_number(const char* digit);

#endif
