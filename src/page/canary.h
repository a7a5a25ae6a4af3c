// SPDX-License-Identifier: MIT
// canary.h - what stands behind the bytes that were asked for, so that writing over them is noticed
//
//     | the program's bytes: size | slack: bytes of the key | seal: 8 bytes |
//     p                           p + size                                  p + bytes
//
// The seal says how large the slack is, scrambled with a key and with the address. So it also is where we find
// the size that was asked for.
#ifndef MI_CANARY_H
#define MI_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CANARY_BYTES = sizeof(uint64_t) };

// The block at p has `bytes` bytes, at least size + CANARY_BYTES, and ends at a multiple of 8. Returns p.
void* mii_canary_set(void* p, size_t bytes, size_t size, uint64_t key);

// The size that the block was sealed with; 0 if the seal is broken.
size_t mii_canary_size(const void* p, size_t bytes, uint64_t key);

// The same, and 0 also if the slack was written to.
size_t mii_canary_check(const void* p, size_t bytes, uint64_t key);

// The block is about to be freed: all of it is zero, the seal first.
void mii_canary_wipe(void* p, size_t bytes);

// Is all of it zero? bytes is a multiple of 8, and p of 16 if there are more of them.
bool mii_bytes_are_zero(const void* p, size_t bytes);

#endif
