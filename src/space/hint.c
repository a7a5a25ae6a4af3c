// SPDX-License-Identifier: MIT
// hint.c - a bit per segment and question, and a summary bit per 64 segments
//
//   H1  a word with a bit set has its summary bit set, once all calls have returned
//
// set(on):   the word's bit, then, if the word was 0, the summary bit
// set(off):  the word's bit, then, if the word became 0, the summary bit; then looks at the word
//            again and repairs the summary if somebody set a bit meanwhile
//
// Why H1 holds: of the two writes to the summary one comes second. If it is the setter's, the bit is
// on. If it is the clearer's, it reads from the setter's (acq_rel), so the clearer's look at the word
// happens after the setter's write to it, and it repairs. The words themselves are seq_cst for the sake
// of the callers, who write what the hint is about and then look at the hint, or the other way round.
//
// Tests: tests/unit/space/hint_test.c
#include "space/hint.h"
#include "base/assert.h"
#include "base/bits.h"
#include "space/range.h"
#include <stdatomic.h>

enum {
  GROUP_SEGMENTS = 64,
  SUMMARY_WORDS = 64,  // of 64 groups of 64 segments each: 1 TiB
};

// The words of 64 neighbouring segments, all questions together: 256 MiB of heap in two cache lines.
typedef struct hint_group_s {
  _Atomic(uint64_t) word[HINT_COUNT];  // atomic: this file
  uint64_t reserved[2];
} hint_group_t;
static_assert(sizeof(hint_group_t) == 128, "two cache lines");

static hint_group_t* groups;                                  // const after start
static uint32_t group_count;                                  // const after start
static _Atomic(uint64_t) summary[HINT_COUNT][SUMMARY_WORDS];  // atomic: this file

// Writes only what is not zero already: the first start leaves the memory untouched.
static void clear_word(_Atomic(uint64_t)* word) {
  if (atomic_load_explicit(word, memory_order_relaxed) != 0) {
    atomic_store_explicit(word, 0, memory_order_relaxed);
  }
}

bool mii_hint_start(uint32_t segment_max) {
  MI_ASSERT(segment_max <= SUMMARY_WORDS * 64u * GROUP_SEGMENTS);
  group_count = (uint32_t)mii_divide_up(segment_max, GROUP_SEGMENTS);
  groups = mii_meta_take(group_count * sizeof(hint_group_t));
  for (int hint = 0; hint < HINT_COUNT; hint++) {
    for (int i = 0; i < SUMMARY_WORDS; i++) clear_word(&summary[hint][i]);
  }
  return groups != NULL;
}

static _Atomic(uint64_t)* word_of(hint_t hint, uint32_t segment) {
  return &groups[segment / GROUP_SEGMENTS].word[hint];
}

bool mii_hint_is_on(hint_t hint, uint32_t segment) {
  const uint64_t word = atomic_load_explicit(word_of(hint, segment), memory_order_seq_cst);
  return (word >> (segment % GROUP_SEGMENTS) & 1) != 0;
}

void mii_hint_set(hint_t hint, uint32_t segment, bool on) {
  if (mii_hint_is_on(hint, segment) == on) return;  // the common case writes nothing
  const uint32_t group = segment / GROUP_SEGMENTS;
  _Atomic(uint64_t)* const word = word_of(hint, segment);
  _Atomic(uint64_t)* const above = &summary[hint][group / 64];
  const uint64_t bit = UINT64_C(1) << (segment % GROUP_SEGMENTS);
  const uint64_t above_bit = UINT64_C(1) << (group % 64);
  if (on) {
    if (atomic_fetch_or_explicit(word, bit, memory_order_seq_cst) == 0) {
      atomic_fetch_or_explicit(above, above_bit, memory_order_acq_rel);
    }
  } else if (atomic_fetch_and_explicit(word, ~bit, memory_order_seq_cst) == bit) {
    atomic_fetch_and_explicit(above, ~above_bit, memory_order_acq_rel);
    if (atomic_load_explicit(word, memory_order_relaxed) != 0) {
      atomic_fetch_or_explicit(above, above_bit, memory_order_acq_rel);
    }
  }
}

// The lowest group >= from with a bit set for the hint, or group_count.
static uint32_t next_group(hint_t hint, uint32_t from) {
  uint64_t mask = ~UINT64_C(0) << (from % 64);
  for (uint32_t i = from / 64; i < mii_divide_up(group_count, 64); i++) {
    const uint64_t word = atomic_load_explicit(&summary[hint][i], memory_order_seq_cst) & mask;
    if (word != 0) return i * 64 + mii_lowest_bit(word);
    mask = ~UINT64_C(0);
  }
  return group_count;
}

uint32_t mii_hint_next(hint_t hint, uint32_t from) {
  uint64_t mask = ~UINT64_C(0) << (from % GROUP_SEGMENTS);
  uint32_t group = from / GROUP_SEGMENTS;
  while (group < group_count && (group = next_group(hint, group)) < group_count) {
    if (group != from / GROUP_SEGMENTS) mask = ~UINT64_C(0);
    const uint64_t word =
        atomic_load_explicit(&groups[group].word[hint], memory_order_seq_cst) & mask;
    if (word != 0) return group * GROUP_SEGMENTS + mii_lowest_bit(word);
    group++;
  }
  return NO_SEGMENT;
}
