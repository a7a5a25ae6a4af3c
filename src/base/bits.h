// SPDX-License-Identifier: MIT
// bits.h - count, scan, align, round, and multiplication that notices overflow
#ifndef MI_BITS_H
#define MI_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool mii_is_power_of_two(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

// `align` is a power of two; the caller knows that the result does not overflow.
static inline size_t mii_align_up(size_t x, size_t align) { return (x + align - 1) & ~(align - 1); }

static inline size_t mii_divide_up(size_t x, size_t by) { return x / by + (x % by != 0); }

static inline size_t mii_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t mii_max(size_t a, size_t b) { return a > b ? a : b; }

// Of times, which are wider than sizes with 32 bits.
static inline uint64_t mii_earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t mii_later(uint64_t a, uint64_t b) { return a > b ? a : b; }

// Index of the lowest or highest set bit; x is not 0.
static inline uint32_t mii_lowest_bit(uint64_t x) { return (uint32_t)__builtin_ctzll(x); }
static inline uint32_t mii_highest_bit(uint64_t x) { return 63u - (uint32_t)__builtin_clzll(x); }
static inline uint32_t mii_count_bits(uint64_t x) { return (uint32_t)__builtin_popcountll(x); }

// The smallest k with 2^k >= x; x is not 0.
static inline uint32_t mii_log2_up(uint64_t x) { return x == 1 ? 0 : mii_highest_bit(x - 1) + 1; }

// `count` ones from bit `from` on; from + count <= 64.
static inline uint64_t mii_bit_span(uint32_t from, uint32_t count) {
  return count == 0 ? 0 : (~UINT64_C(0) >> (64 - count)) << from;
}

// Bit i of the result is set where `count` set bits of x begin at i. By doubling: after each step
// a set bit stands for a run of `have` bits. 1 <= count <= 64.
static inline uint64_t mii_bit_runs(uint64_t x, uint32_t count) {
  uint32_t have = 1;
  for (; have * 2 <= count; have *= 2) x &= x >> have;
  return have < count ? x & x >> (count - have) : x;
}

// count * size in *total; false on overflow.
static inline bool mii_multiply(size_t count, size_t size, size_t* total) {
  return !__builtin_mul_overflow(count, size, total);
}

#endif
