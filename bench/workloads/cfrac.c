// cfrac: factors a number by its continued fraction (Morrison and Brillhart, "A Method of Factoring
// and the Factorization of F7", 1975) with integers of arbitrary precision, every one of them,
// however short its life, a block of its own: tens of millions of blocks of 4-64 bytes, most of
// them freed at once, some held in a few hundred relations to the end. This asks for the shortest
// possible way through malloc and free; there is next to no memory to manage.
//
//   cfrac [NUMBER [PRIMES]]      NUMBER: odd, composite, not a square; PRIMES: size of the factor
//   base
//
// With sqrt(N) = [q0; q1, q2, ...], g = floor(sqrt(N)) and the convergents A/B:
//   q = floor((g + P) / Q)   P' = q Q - P   Q' = (N - P'^2) / Q   A' = q A + A"  (mod N)
//   A_n^2 = (-1)^(n+1) Q_(n+1)  (mod N), and Q < 2 sqrt(N), so Q often splits into small primes.
// Products of such Q that are squares give x^2 = y^2 (mod N), and gcd(x + y, N) is often a factor.
#include "num.h"

// One prime of the factor base is 2 and the others are those modulo which N is a square.
typedef struct base {
  size_t count;
  uint32_t* prime;
} base_t;

// root^2 = (-1)^power[0] prime[0]^power[1] prime[1]^power[2] ...  (mod N)
typedef struct relation {
  num_t* root;
  uint8_t power[];
} relation_t;

// A row of the matrix over GF(2): the parities of the powers, then which relations were added up.
typedef struct row {
  uint64_t* parity;
  uint64_t* history;
} row_t;

enum { EXTRA_RELATIONS = 24 };  // each is one more chance of a factor, of at least one half

static bool is_prime(uint32_t p) {
  for (uint32_t d = 2; d * d <= p; d++) {
    if (p % d == 0) return false;
  }
  return true;
}

// Euler's criterion: residue^((p-1)/2) = 1 modulo the odd prime p.
static bool is_square_mod(uint32_t residue, uint32_t p) {
  uint64_t power = 1;
  uint64_t square = residue;
  for (uint32_t exponent = (p - 1) / 2; exponent != 0; exponent >>= 1) {
    if (exponent & 1) power = power * square % p;
    square = square * square % p;
  }
  return power == 1;
}

static base_t base_make(const num_t* n, size_t count) {
  const base_t base = {.count = count, .prime = must_malloc(count * sizeof(uint32_t))};
  base.prime[0] = 2;
  size_t found = 1;
  for (uint32_t p = 3; found < count; p += 2) {
    if (!is_prime(p)) continue;
    uint32_t residue = 0;
    free(num_divide_small(n, p, &residue));
    if (is_square_mod(residue, p)) base.prime[found++] = p;
  }
  return base;
}

// Divides `value` by the primes of the base as often as they go; true if nothing is left.
static bool split(const num_t* value, const base_t* base, uint8_t* power) {
  num_t* left = num_copy(value);
  for (size_t i = 0; i < base->count && !num_is(left, 1); i++) {
    for (;;) {
      uint32_t rest = 0;
      num_t* const quotient = num_divide_small(left, base->prime[i], &rest);
      if (rest != 0) {
        free(quotient);
        break;
      }
      set(&left, quotient);
      power[i]++;
    }
  }
  const bool smooth = num_is(left, 1);
  free(left);
  return smooth;
}

static relation_t* relation_try(const num_t* q, bool negative, const num_t* root,
                                const base_t* base) {
  relation_t* const relation = must_malloc(sizeof(relation_t) + base->count + 1);
  memset(relation->power, 0, base->count + 1);
  relation->power[0] = negative;
  if (!split(q, base, relation->power + 1)) {
    free(relation);
    return NULL;
  }
  relation->root = num_copy(root);
  return relation;
}

// Walks the continued fraction until `wanted` relations are found; returns how many were, fewer
// only when the fraction has come to the end of its period.
static size_t collect(const num_t* n, const base_t* base, relation_t** relations, size_t wanted) {
  num_t* const floor = num_root(n);
  num_t* p = num_copy(floor);
  num_t* q = num_multiply(floor, floor);
  num_t* last_q = num_small(1);
  num_t* root = num_copy(floor);
  num_t* last_root = num_small(1);
  set(&q, num_subtract(n, q));
  size_t found = 0;
  for (bool negative = true; found < wanted && !num_is(q, 1) && !num_is(q, 0);
       negative = !negative) {
    relations[found] = relation_try(q, negative, root, base);
    if (relations[found] != NULL) found++;

    num_t* step = num_add(floor, p);
    set(&step, num_quotient(step, q));
    num_t* const product = num_multiply(step, q);
    set(&p, num_subtract(product, p));
    free(product);
    num_t* square = num_multiply(p, p);
    set(&square, num_subtract(n, square));
    set(&last_q, num_quotient(square, q));
    free(square);
    set(&last_root, num_multiply_mod(step, root, last_root, n));
    free(step);

    num_t* const new_q = last_q;
    num_t* const new_root = last_root;
    last_q = q, q = new_q;
    last_root = root, root = new_root;
  }
  free(floor), free(p), free(q), free(last_q), free(root), free(last_root);
  return found;
}

static bool bit_at(const uint64_t* words, size_t bit) { return words[bit / 64] >> bit % 64 & 1; }
static void bit_set(uint64_t* words, size_t bit) { words[bit / 64] |= (uint64_t)1 << bit % 64; }

static uint64_t* words_make(size_t bits) {
  const size_t bytes = (bits / 64 + 1) * sizeof(uint64_t);
  return memset(must_malloc(bytes), 0, bytes);
}

static void words_add(uint64_t* to, const uint64_t* from, size_t bits) {
  for (size_t i = 0; i <= bits / 64; i++) to[i] ^= from[i];
}

// x = product of the chosen roots, y = root of the product of their squares: gcd(x + y, N).
static num_t* factor_from(const row_t* row, relation_t* const* relations, size_t count,
                          const base_t* base, const num_t* n) {
  num_t* x = num_small(1);
  num_t* y = num_small(1);
  uint32_t* const sum =
      memset(must_malloc(base->count * sizeof(uint32_t)), 0, base->count * sizeof(uint32_t));
  for (size_t i = 0; i < count; i++) {
    if (!bit_at(row->history, i)) continue;
    set(&x, num_multiply_mod(x, relations[i]->root, NULL, n));
    for (size_t k = 0; k < base->count; k++) sum[k] += relations[i]->power[k + 1];
  }
  for (size_t k = 0; k < base->count; k++) {
    num_t* const prime = num_small(base->prime[k]);
    for (uint32_t i = 0; i < sum[k] / 2; i++) set(&y, num_multiply_mod(y, prime, NULL, n));
    free(prime);
  }
  set(&x, num_add(x, y));
  num_t* const factor = num_gcd(x, n);
  free(sum), free(x), free(y);
  return factor;
}

// Gauss: rows without a parity left are products that are squares. NULL if none gives a factor.
static num_t* solve(relation_t* const* relations, size_t count, const base_t* base,
                    const num_t* n) {
  row_t* const rows = must_malloc(count * sizeof(row_t));
  const size_t columns = base->count + 1;
  for (size_t i = 0; i < count; i++) {
    rows[i] = (row_t){.parity = words_make(columns), .history = words_make(count)};
    bit_set(rows[i].history, i);
    for (size_t k = 0; k < columns; k++) {
      if (relations[i]->power[k] & 1) bit_set(rows[i].parity, k);
    }
  }
  size_t rank = 0;
  for (size_t column = 0; column < columns; column++) {
    size_t pivot = rank;
    while (pivot < count && !bit_at(rows[pivot].parity, column)) pivot++;
    if (pivot == count) continue;
    const row_t found = rows[pivot];
    rows[pivot] = rows[rank];
    rows[rank++] = found;
    for (size_t i = rank; i < count; i++) {
      if (!bit_at(rows[i].parity, column)) continue;
      words_add(rows[i].parity, found.parity, columns);
      words_add(rows[i].history, found.history, count);
    }
  }
  num_t* factor = NULL;
  for (size_t i = rank; i < count && factor == NULL; i++) {
    factor = factor_from(&rows[i], relations, count, base, n);
    if (num_is(factor, 1) || num_compare(factor, n) == 0) set(&factor, NULL);
  }
  for (size_t i = 0; i < count; i++) free(rows[i].parity), free(rows[i].history);
  free(rows);
  return factor;
}

int main(int argc, char** argv) {
  num_t* const n = num_parse(argc > 1 ? argv[1] : "7517063671260762998258222794083133");
  const base_t base = base_make(n, argument(argc, argv, 2, 300));
  const size_t wanted = base.count + 1 + EXTRA_RELATIONS;
  relation_t** const relations = must_malloc(wanted * sizeof(relation_t*));
  const size_t count = collect(n, &base, relations, wanted);
  num_t* const factor = solve(relations, count, &base, n);

  num_print(n);
  if (factor == NULL) {
    printf(" = no factor found in %zu relations\n", count);
  } else {
    num_t* const other = num_quotient(n, factor);
    printf(" = ");
    num_print(factor);
    printf(" * ");
    num_print(other);
    printf(", from %zu relations\n", count);
    free(other);
  }
  for (size_t i = 0; i < count; i++) free(relations[i]->root), free(relations[i]);
  free(relations), free(factor), free(base.prime), free(n);
  return rest();
}
