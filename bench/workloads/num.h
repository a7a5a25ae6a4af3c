// Natural numbers of arbitrary precision, each in a block of its own: every operation returns a new
// number, which the caller frees. Schoolbook methods; the workload wants the blocks.
#ifndef BENCH_NUM_H
#define BENCH_NUM_H

#include <stdbool.h>
#include <string.h>

#include "workload.h"

typedef struct num {
  uint32_t count;
  uint32_t limb[];  // least significant first; the last one is not 0
} num_t;

static num_t* num_new(size_t count) {
  num_t* const a = must_malloc(sizeof(num_t) + count * sizeof(uint32_t));
  a->count = (uint32_t)count;
  return a;
}

static num_t* trimmed(num_t* a) {
  while (a->count > 0 && a->limb[a->count - 1] == 0) a->count--;
  return a;
}

static num_t* num_small(uint32_t value) {
  num_t* const a = num_new(1);
  a->limb[0] = value;
  return trimmed(a);
}

static num_t* num_copy(const num_t* a) {
  num_t* const copy = num_new(a->count);
  memcpy(copy->limb, a->limb, a->count * sizeof(uint32_t));
  return copy;
}

// Frees the old number of the variable: assignment.
static void set(num_t** variable, num_t* value) {
  free(*variable);
  *variable = value;
}

static int num_compare(const num_t* a, const num_t* b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (uint32_t i = a->count; i-- > 0;) {
    if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
  }
  return 0;
}

static bool num_is(const num_t* a, uint32_t value) {
  return value == 0 ? a->count == 0 : a->count == 1 && a->limb[0] == value;
}

static num_t* num_add(const num_t* a, const num_t* b) {
  if (a->count < b->count) return num_add(b, a);
  num_t* const sum = num_new(a->count + 1);
  uint64_t carry = 0;
  for (uint32_t i = 0; i < a->count; i++) {
    carry += (uint64_t)a->limb[i] + (i < b->count ? b->limb[i] : 0);
    sum->limb[i] = (uint32_t)carry;
    carry >>= 32;
  }
  sum->limb[a->count] = (uint32_t)carry;
  return trimmed(sum);
}

// a - b, for a >= b
static num_t* num_subtract(const num_t* a, const num_t* b) {
  num_t* const rest = num_new(a->count);
  uint64_t borrow = 0;
  for (uint32_t i = 0; i < a->count; i++) {
    const uint64_t limb = (uint64_t)a->limb[i] - (i < b->count ? b->limb[i] : 0) - borrow;
    rest->limb[i] = (uint32_t)limb;
    borrow = limb >> 63;
  }
  return trimmed(rest);
}

static num_t* num_multiply(const num_t* a, const num_t* b) {
  num_t* const product = num_new(a->count + b->count);
  memset(product->limb, 0, product->count * sizeof(uint32_t));
  for (uint32_t i = 0; i < a->count; i++) {
    uint64_t carry = 0;
    for (uint32_t k = 0; k < b->count; k++) {
      carry += (uint64_t)a->limb[i] * b->limb[k] + product->limb[i + k];
      product->limb[i + k] = (uint32_t)carry;
      carry >>= 32;
    }
    product->limb[i + b->count] = (uint32_t)carry;
  }
  return trimmed(product);
}

static num_t* num_divide_small(const num_t* a, uint32_t divisor, uint32_t* rest) {
  num_t* const quotient = num_new(a->count);
  uint64_t above = 0;
  for (uint32_t i = a->count; i-- > 0;) {
    above = above << 32 | a->limb[i];
    quotient->limb[i] = (uint32_t)(above / divisor);
    above %= divisor;
  }
  *rest = (uint32_t)above;
  return trimmed(quotient);
}

// `a` times 2^bits (bits < 32), with one limb more than `a`, even if that is 0
static num_t* shifted_left(const num_t* a, unsigned bits) {
  num_t* const shifted = num_new(a->count + 1);
  uint32_t below = 0;
  for (uint32_t i = 0; i < a->count; i++) {
    shifted->limb[i] = a->limb[i] << bits | below;
    below = (uint32_t)((uint64_t)a->limb[i] << bits >> 32);
  }
  shifted->limb[a->count] = below;
  return shifted;
}

// u[0..n] -= v * factor; true if that went below zero
static bool subtract_multiple(uint32_t* u, const num_t* v, uint32_t n, uint64_t factor) {
  uint64_t carry = 0;
  uint64_t borrow = 0;
  for (uint32_t i = 0; i <= n; i++) {
    carry += i < n ? factor * v->limb[i] : 0;
    const uint64_t limb = (uint64_t)u[i] - (uint32_t)carry - borrow;
    u[i] = (uint32_t)limb;
    borrow = limb >> 63;
    carry >>= 32;
  }
  return borrow != 0;
}

static void add_back(uint32_t* u, const num_t* v, uint32_t n) {
  uint64_t carry = 0;
  for (uint32_t i = 0; i <= n; i++) {
    carry += (uint64_t)u[i] + (i < n ? v->limb[i] : 0);
    u[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

// Long division (Knuth, The Art of Computer Programming 2, algorithm D). `rest` is a new number
// too.
static num_t* num_divide(const num_t* a, const num_t* b, num_t** rest) {
  if (b->count == 1 || num_compare(a, b) < 0) {
    uint32_t small = 0;
    num_t* const quotient = b->count == 1 ? num_divide_small(a, b->limb[0], &small) : num_small(0);
    *rest = b->count == 1 ? num_small(small) : num_copy(a);
    return quotient;
  }
  const uint32_t n = b->count;
  unsigned shift = 0;
  while ((b->limb[n - 1] << shift & 0x80000000u) == 0) shift++;
  num_t* const u = shifted_left(a, shift);
  num_t* const v = shifted_left(b, shift);
  num_t* const quotient = num_new(a->count - n + 1);
  for (uint32_t at = quotient->count; at-- > 0;) {
    const uint64_t top = (uint64_t)u->limb[at + n] << 32 | u->limb[at + n - 1];
    uint64_t guess = top / v->limb[n - 1];  // at most 2 too high
    if (guess > UINT32_MAX) guess = UINT32_MAX;
    if (subtract_multiple(u->limb + at, v, n, guess)) {
      do {
        guess--;
        add_back(u->limb + at, v, n);
      } while (u->limb[at + n] != 0);  // still below zero
    }
    quotient->limb[at] = (uint32_t)guess;
  }
  num_t* const remainder = num_new(n);
  for (uint32_t i = 0; i < n; i++) {
    remainder->limb[i] = (uint32_t)(((uint64_t)u->limb[i + 1] << 32 | u->limb[i]) >> shift);
  }
  *rest = trimmed(remainder);
  free(u);
  free(v);
  return trimmed(quotient);
}

static num_t* num_remainder(const num_t* a, const num_t* b) {
  num_t* rest = NULL;
  free(num_divide(a, b, &rest));
  return rest;
}

static num_t* num_quotient(const num_t* a, const num_t* b) {
  num_t* rest = NULL;
  num_t* const quotient = num_divide(a, b, &rest);
  free(rest);
  return quotient;
}

// a b + c  (mod n); `c` may be NULL
static num_t* num_multiply_mod(const num_t* a, const num_t* b, const num_t* c, const num_t* n) {
  num_t* value = num_multiply(a, b);
  if (c != NULL) set(&value, num_add(value, c));
  set(&value, num_remainder(value, n));
  return value;
}

static num_t* num_gcd(const num_t* a, const num_t* b) {
  num_t* high = num_copy(a);
  num_t* low = num_copy(b);
  while (low->count != 0) {
    num_t* const rest = num_remainder(high, low);
    set(&high, low);
    low = rest;
  }
  free(low);
  return high;
}

// floor(sqrt(a)) by Newton's method, from above
static num_t* num_root(const num_t* a) {
  num_t* root = num_new(a->count / 2 + 2);
  memset(root->limb, 0, root->count * sizeof(uint32_t));
  root->limb[root->count - 1] = 1;
  for (;;) {
    uint32_t odd = 0;
    num_t* next = num_quotient(a, root);
    set(&next, num_add(next, root));
    set(&next, num_divide_small(next, 2, &odd));
    if (num_compare(next, root) >= 0) {
      free(next);
      return root;
    }
    set(&root, next);
  }
}

static num_t* num_parse(const char* digits) {
  num_t* const ten = num_small(10);
  num_t* a = num_small(0);
  for (; *digits >= '0' && *digits <= '9'; digits++) {
    num_t* const digit = num_small((uint32_t)(*digits - '0'));
    set(&a, num_multiply(a, ten));
    set(&a, num_add(a, digit));
    free(digit);
  }
  free(ten);
  return a;
}

static void num_print(const num_t* a) {
  uint32_t digit = 0;
  num_t* const above = num_divide_small(a, 10, &digit);
  if (above->count != 0) num_print(above);
  free(above);
  putchar((int)('0' + digit));
}

#endif
