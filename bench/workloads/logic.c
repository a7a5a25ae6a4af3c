// logic: two-level minimisation of Boolean functions, as the program espresso does it (after Brayton et al., "Logic
// Minimization Algorithms for VLSI Synthesis", 1984): expand the cubes of a cover as far as its complement lets
// them, and leave out those that the others cover. Complement and tautology are found by splitting on one variable
// after the other, each time with two new covers that are soon freed. This asks for pointer-rich recursion: small
// cubes in arrays that grow, deep stacks of them, freed in about the reverse order.
//
//   logic [VARIABLES [CUBES [FUNCTIONS]]]
//
// A cube has two bits for each variable: may it be 0, may it be 1. Both: it does not matter. None: the cube is empty.
#include <stdbool.h>
#include <string.h>

#include "workload.h"

enum { VARIABLES_PER_WORD = 32, LITERALS_MIN = 3, LITERALS_SPAN = 4 };

typedef struct cube {
  size_t words;
  uint64_t word[];
} cube_t;

typedef struct cover {
  size_t count;
  size_t room;
  cube_t** cube;
} cover_t;

static size_t variable_count;
static size_t word_count;

static uint64_t bits_at(const cube_t* cube, size_t variable) {
  return cube->word[variable / VARIABLES_PER_WORD] >> 2 * (variable % VARIABLES_PER_WORD) & 3;
}

static void set_bits(cube_t* cube, size_t variable, uint64_t bits) {
  uint64_t* const word = &cube->word[variable / VARIABLES_PER_WORD];
  const size_t shift = 2 * (variable % VARIABLES_PER_WORD);
  *word = (*word & ~((uint64_t)3 << shift)) | bits << shift;
}

static size_t cube_bytes(void) { return sizeof(cube_t) + word_count * sizeof(uint64_t); }

static cube_t* cube_copy(const cube_t* cube) {
  return memcpy(must_malloc(cube_bytes()), cube, cube_bytes());
}

// Everything.
static cube_t* cube_whole(void) {
  cube_t* const cube = must_malloc(cube_bytes());
  cube->words = word_count;
  memset(cube->word, 0xFF, word_count * sizeof(uint64_t));
  return cube;
}

static bool cubes_meet(const cube_t* a, const cube_t* b) {
  for (size_t i = 0; i < a->words; i++) {
    const uint64_t both = a->word[i] & b->word[i];
    if (((both | both >> 1) & 0x5555555555555555u) != 0x5555555555555555u) return false;
  }
  return true;
}

static bool is_whole(const cube_t* cube) {
  for (size_t i = 0; i < cube->words; i++) {
    if (~cube->word[i] != 0) return false;
  }
  return true;
}

static void cover_add(cover_t* cover, cube_t* cube) {
  if (cover->count == cover->room) {
    cover->room = cover->room == 0 ? 4 : 2 * cover->room;
    cover->cube = realloc(cover->cube, cover->room * sizeof(cube_t*));
    if (cover->cube == NULL) exit(2);
  }
  cover->cube[cover->count++] = cube;
}

static void cover_free(cover_t* cover) {
  for (size_t i = 0; i < cover->count; i++) free(cover->cube[i]);
  free(cover->cube);
}

// What of the cover lies in `within`, as if that were everything; without the cube number `without`.
static cover_t cofactor(const cover_t* cover, const cube_t* within, size_t without) {
  cover_t result = {0};
  for (size_t i = 0; i < cover->count; i++) {
    if (i == without || !cubes_meet(cover->cube[i], within)) continue;
    cube_t* const cube = cube_copy(cover->cube[i]);
    for (size_t w = 0; w < cube->words; w++) cube->word[w] |= ~within->word[w];
    cover_add(&result, cube);
  }
  return result;
}

static bool has_whole(const cover_t* cover) {
  for (size_t i = 0; i < cover->count; i++) {
    if (is_whole(cover->cube[i])) return true;
  }
  return false;
}

// The variable that most cubes depend on.
static size_t best_split(const cover_t* cover) {
  size_t best = 0, best_uses = 0;
  for (size_t v = 0; v < variable_count; v++) {
    size_t uses = 0;
    for (size_t i = 0; i < cover->count; i++) uses += bits_at(cover->cube[i], v) != 3;
    if (uses > best_uses) best_uses = uses, best = v;
  }
  return best;
}

static cover_t half_of(const cover_t* cover, size_t variable, uint64_t bits) {
  cube_t* const half = cube_whole();
  set_bits(half, variable, bits);
  const cover_t result = cofactor(cover, half, SIZE_MAX);
  free(half);
  return result;
}

static bool is_tautology(const cover_t* cover) {
  if (cover->count == 0) return false;
  if (has_whole(cover)) return true;
  const size_t variable = best_split(cover);
  bool whole = true;
  for (uint64_t bits = 1; bits <= 2 && whole; bits++) {
    cover_t half = half_of(cover, variable, bits);
    whole = is_tautology(&half);
    cover_free(&half);
  }
  return whole;
}

static cover_t complement(const cover_t* cover) {
  cover_t result = {0};
  if (has_whole(cover)) return result;
  if (cover->count == 0) {
    cover_add(&result, cube_whole());
    return result;
  }
  const size_t variable = best_split(cover);
  for (uint64_t bits = 1; bits <= 2; bits++) {
    cover_t half = half_of(cover, variable, bits);
    cover_t missing = complement(&half);
    cover_free(&half);
    for (size_t i = 0; i < missing.count; i++) {
      set_bits(missing.cube[i], variable, bits);
      cover_add(&result, missing.cube[i]);
    }
    free(missing.cube);
  }
  return result;
}

static bool meets_any(const cube_t* cube, const cover_t* cover) {
  for (size_t i = 0; i < cover->count; i++) {
    if (cubes_meet(cube, cover->cube[i])) return true;
  }
  return false;
}

// Each cube as large as it can be outside of `off`.
static void expand(cover_t* cover, const cover_t* off, rng_t* rng) {
  for (size_t i = 0; i < cover->count; i++) {
    const size_t first = rng_below(rng, variable_count);
    for (size_t k = 0; k < variable_count; k++) {
      cube_t* const wider = cube_copy(cover->cube[i]);
      set_bits(wider, (first + k) % variable_count, 3);
      cube_t* const worse = meets_any(wider, off) ? wider : cover->cube[i];
      if (worse != wider) cover->cube[i] = wider;
      free(worse);
    }
  }
}

static bool is_needed(const cover_t* cover, size_t index) {
  cover_t others = cofactor(cover, cover->cube[index], index);
  const bool needed = !is_tautology(&others);
  cover_free(&others);
  return needed;
}

static void leave_out(cover_t* cover) {
  for (size_t i = cover->count; i-- > 0;) {
    if (is_needed(cover, i)) continue;
    free(cover->cube[i]);
    cover->cube[i] = cover->cube[--cover->count];
  }
}

static cover_t cover_draw(size_t cubes, rng_t* rng) {
  cover_t cover = {0};
  for (size_t i = 0; i < cubes; i++) {
    cube_t* const cube = cube_whole();
    const size_t literals = LITERALS_MIN + rng_below(rng, LITERALS_SPAN);
    for (size_t k = 0; k < literals; k++) {
      set_bits(cube, rng_below(rng, variable_count), 1 + rng_below(rng, 2));
    }
    cover_add(&cover, cube);
  }
  return cover;
}

// Are all cubes of `some` covered by `cover`?
static bool covers_all(const cover_t* cover, const cover_t* some) {
  for (size_t i = 0; i < some->count; i++) {
    cover_t within = cofactor(cover, some->cube[i], SIZE_MAX);
    const bool covered = is_tautology(&within);
    cover_free(&within);
    if (!covered) return false;
  }
  return true;
}

// Returns how many cubes and literals are left.
static uint64_t minimise(size_t cubes, rng_t* rng) {
  cover_t given = cover_draw(cubes, rng);
  cover_t off = complement(&given);
  cube_t* const whole = cube_whole();
  cover_t cover = cofactor(&given, whole, SIZE_MAX);  // a copy
  free(whole);
  expand(&cover, &off, rng);
  leave_out(&cover);

  uint64_t size = 1000 * cover.count;
  for (size_t i = 0; i < cover.count; i++) {
    for (size_t v = 0; v < variable_count; v++) size += bits_at(cover.cube[i], v) != 3;
    if (meets_any(cover.cube[i], &off)) size = UINT32_MAX;
  }
  if (!covers_all(&cover, &given)) {
    fprintf(stderr, "the minimised function is another one\n");
    exit(1);
  }
  cover_free(&cover);
  cover_free(&off);
  cover_free(&given);
  return size;
}

int main(int argc, char** argv) {
  variable_count = argument(argc, argv, 1, 24);
  const size_t cubes = argument(argc, argv, 2, 120);
  const size_t functions = argument(argc, argv, 3, 30);
  word_count = (variable_count + VARIABLES_PER_WORD - 1) / VARIABLES_PER_WORD;
  rng_t rng = rng_seeded(variable_count);
  uint64_t size = 0;
  for (size_t i = 0; i < functions; i++) size += minimise(cubes, &rng);
  printf("logic %zu functions of %zu variables, %zu cubes: %llu\n", functions, variable_count,
         cubes, (unsigned long long)size);
  return rest();
}
