// SPDX-License-Identifier: MIT
// secure.c - how hardened the process is, and what is said of who breaks the rules
//
// Tests: tests/api/hardened_test.c, tests/misuse/
#include "runtime/secure.h"
#include "base/config.h"
#include "base/size_class.h"
#include "platform/platform.h"
#include "runtime/option.h"
#include "runtime/report.h"
#include <errno.h>

_Atomic(int) mii_secure_fixed = -1;
uint64_t mii_secure_key;

// A build that tells a tool about every block leaves the checks to the tool.
static int wanted_level(void) {
  if (MI_CFG_TRACK) return 0;
  const long level = mii_option_get(mi_option_secure);
  if (level <= 0) return 0;
  return level < SECURE_MAX ? (int)level : SECURE_MAX;
}

void mii_secure_fix(void) {
  const int level = wanted_level();
  if (level > 0) mii_platform_random(&mii_secure_key, sizeof mii_secure_key);
  atomic_store_explicit(&mii_secure_fixed, level, memory_order_release);
}

bool mii_secure_is_strict(void) {
  const int level = atomic_load_explicit(&mii_secure_fixed, memory_order_relaxed);
  return (level < 0 ? wanted_level() : level) >= SECURE_STOP;
}

void mii_secure_seed(rng_t* rng) {
  uint32_t key[RNG_KEY_WORDS];
  mii_platform_random(key, sizeof key);
  mii_rng_seed(rng, key);
}

// A counter whose bits the key and two multiplications mix.
uint64_t mii_secure_random(void) {
  static _Atomic(uint64_t) drawn;  // atomic: relaxed
  uint64_t x = mii_secure_key ^ atomic_fetch_add_explicit(&drawn, 1, memory_order_relaxed);
  for (int i = 0; i < 2; i++) x = (x ^ x >> 32) * UINT64_C(0x9E3779B97F4A7C15);
  return x ^ x >> 32;
}

// Guards -------------------------------------------------------------------------------------------

typedef enum refusal_e { REFUSED_NOTHING, REFUSED, REFUSAL_TOLD } refusal_t;
static _Atomic(int) refusal;  // atomic: relaxed, a fact of its own

void mii_secure_guard(void* os_page, size_t size) {
  int nothing = REFUSED_NOTHING;
  if (mii_secure_level() < SECURE_GUARD || mii_platform_guard(os_page, size) == 0) return;
  atomic_compare_exchange_strong_explicit(&refusal, &nothing, REFUSED, memory_order_relaxed,
                                          memory_order_relaxed);
}

void mii_secure_unguard(void* os_page, size_t size) {
  if (mii_secure_level() >= SECURE_GUARD) mii_platform_unguard(os_page, size);
}

void mii_secure_warn_of_guards(void) {
  int refused = REFUSED;
  if (atomic_compare_exchange_strong_explicit(&refusal, &refused, REFUSAL_TOLD,
                                              memory_order_relaxed, memory_order_relaxed))
    mii_warn("the system refuses guard pages: hardened as at level 4 where it does\n");
}

// Reports --------------------------------------------------------------------------------------------

typedef struct crime_text_s {
  int code;
  const char* text;
} crime_text_t;

static const crime_text_t texts[] = {
    [CRIME_NONE] = {0, ""},
    [CRIME_DOUBLE_FREE] = {EAGAIN, "double free"},
    [CRIME_NO_BLOCK] = {EINVAL, "no block begins at this pointer"},
    [CRIME_FOREIGN] = {EINVAL, "pointer does not come from this allocator"},
    [CRIME_WRONG_SIZE] = {EINVAL, "the block has another size"},
    [CRIME_OVERFLOW] = {EFAULT, "the bytes behind the block were overwritten"},
    [CRIME_WRITE_AFTER_FREE] = {EFAULT, "the block was written to after it was freed"},
    [CRIME_USE_AFTER_FREE] = {EINVAL, "the block was freed"},
};

void mii_secure_report(crime_t crime, const char* what, const scene_t* scene) {
  const crime_text_t* const of = &texts[crime];
  if (scene->block == NULL) {
    mii_misuse(of->code, "%s: %s: %p\n", what, of->text, scene->p);
  } else if (scene->size_class < CLASS_COUNT) {
    mii_misuse(of->code, "%s: %s: %p, block %p of %zu bytes, class %u, heap %p\n", what, of->text,
               scene->p, scene->block, scene->bytes, scene->size_class, scene->heap);
  } else {
    mii_misuse(of->code, "%s: %s: %p, block %p of %zu bytes, heap %p\n", what, of->text, scene->p,
               scene->block, scene->bytes, scene->heap);
  }
}
