// SPDX-License-Identifier: MIT
// hardened.c - a hardened page: a slice of blocks of one size that has no links, only bits
//
// Blocks are opened 4 KiB at a time, 16 KiB where memory was used before, as elsewhere, so what was never needed is
// never touched; random is the choice among those that are open. Blocks of all classes live in one slice.
//
// Orders: a free by another thread releases, so that who takes the block sees what was done to it, and it is
// seq_cst, as what the page's last holder does: he writes `needed` and `holder` and then counts, who frees
// changes a bit and then looks at these. One of the two sees the other, so no page is forgotten.
//
// Records are never given back to the system, and used again for pages with as many bits. Who follows a bad
// pointer may hold one whose page has ended: therefore `vault` and `slice` are compared under the lock.
//
// Tests: tests/unit/page/hardened_test.c
#include "page/hardened.h"
#include "base/assert.h"
#include "runtime/secure.h"
#include <string.h>

enum {
  ROOMS = 8,           // powers of two of words: 1 to 128
  EXTEND_ONE_IN = 16,  // how often more blocks are opened though a few are free ...
  EXTEND_BELOW = 32,   // ... but no more than so many
  JOIN_MIN = 8,        // choices that spare a search
};

static handle_stack_t spares[ROOMS];  // atomic: handle_stack.h

static handle_link_t* spare_link(uint32_t handle) {
  return &((hardened_t*)mii_meta_pointer(handle))->spare_link;
}

static uint32_t words_of(uint32_t blocks) { return (uint32_t)mii_divide_up(blocks, 64); }

// Make and unmake ----------------------------------------------------------------------------------

// With room for a bit for each place in the slice where a block could begin.
static hardened_t* take_record(uint32_t block_bytes) {
  const uint32_t room = mii_log2_up(words_of((uint32_t)mii_divide_up(SLICE_BYTES, block_bytes)));
  const uint32_t handle = mii_stack_pop(&spares[room], spare_link);
  if (handle != 0) return mii_meta_pointer(handle);
  hardened_t* const page =
      mii_meta_take(sizeof *page + sizeof(hardened_word_t) * ((size_t)1 << room));
  if (page != NULL) page->room_log2 = (uint8_t)room;
  return page;
}

static void give_record(hardened_t* page) {
  mii_stack_push(&spares[page->room_log2], mii_meta_handle(page), spare_link);
}

static size_t guard_bytes_of(void) {
  return mii_secure_level() >= SECURE_GUARD ? mii_range.os_page_size : 0;
}

MI_COLD hardened_t* mii_hardened_make(uint32_t size_class, segment_bounds_t bounds, heap_t* heap,
                                      uint64_t key) {
  const uint32_t block_bytes = mii_class_bytes(size_class);
  hardened_t* const page = take_record(block_bytes);
  if (page == NULL) return NULL;
  bool zero;
  page->slice = mii_segment_take((slice_request_t){.count = 1, .bounds = bounds}, &zero);
  if (page->slice == 0) {
    give_record(page);
    return NULL;
  }
  page->start = (uintptr_t)mii_slice_start(page->slice);
  page->block_bytes = block_bytes;
  page->block_count = (uint16_t)((SLICE_BYTES - guard_bytes_of()) / block_bytes);
  page->size_class = (uint8_t)size_class;
  page->canary = mii_canary_of(key);
  page->luck = (uint8_t)(key >> 32);
  page->is_sealed = mii_secure_level() >= SECURE_CANARY;
  page->step = zero ? UNIT_BYTES : 4 * UNIT_BYTES;
  page->inverse = (uint32_t)(UINT32_MAX / page->block_bytes + 1);
  atomic_store_explicit(&page->opened, 0, memory_order_relaxed);
  atomic_store_explicit(&page->needed, 0, memory_order_relaxed);
  mii_hardened_forget(page);
  for (uint32_t i = 0; i < 1u << page->room_log2; i++) {
    atomic_store_explicit(&page->words[i].live, 0, memory_order_relaxed);
    atomic_store_explicit(&page->words[i].freed, ~UINT64_C(0), memory_order_relaxed);
  }
  atomic_store_explicit(&mii_slice_cold(page->slice)->heap, heap, memory_order_relaxed);
  return page;
}

static uint8_t* guard_of(const hardened_t* page) {
  return (uint8_t*)page->start + SLICE_BYTES - mii_range.os_page_size;
}

// The guard comes last, and goes first: the child of a fork takes slices for free that are not marked.
void mii_hardened_publish(hardened_t* page, vault_t* vault, uintptr_t holder) {
  atomic_store_explicit(&page->holder, holder, memory_order_relaxed);
  atomic_store_explicit(&page->vault, vault, memory_order_release);
  atomic_store_explicit(&mii_page_record(page->slice)->owner, (uintptr_t)page,
                        memory_order_release);
  mii_slice_set_kind(page->slice, SLICE_HARDENED);
  mii_secure_guard(guard_of(page), mii_range.os_page_size);
}

MI_COLD void mii_hardened_unmake(hardened_t* page) {
  const slice_t slice = page->slice;
  mii_secure_unguard(guard_of(page), mii_range.os_page_size);
  mii_slice_set_kind(slice, SLICE_FREE);
  atomic_store_explicit(&mii_page_record(slice)->owner, 0, memory_order_relaxed);
  atomic_store_explicit(&page->vault, NULL, memory_order_relaxed);
  page->slice = 0;
  page->start = 0;
  mii_segment_give(slice, 1);
  give_record(page);
}

// Blocks -------------------------------------------------------------------------------------------

// A guard is no part of a large OS page, and there is none around it.
MI_COLD size_t mii_hardened_touched(const hardened_t* page) {
  const size_t opened = (size_t)mii_hardened_opened(page) * page->block_bytes;
  return page->step > UNIT_BYTES && guard_bytes_of() == 0 ? SLICE_BYTES
                                                          : mii_align_up(opened, UNIT_BYTES);
}

uint32_t mii_hardened_free_count(const hardened_t* page) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < words_of(mii_hardened_opened(page)); i++) {
    const hardened_word_t* const word = &page->words[i];
    count += mii_count_bits(~(atomic_load_explicit(&word->live, memory_order_seq_cst)
                              ^ atomic_load_explicit(&word->freed, memory_order_seq_cst)));
  }
  return count;
}

bool mii_hardened_is_empty(const hardened_t* page) {
  for (uint32_t i = 0; i < words_of(mii_hardened_opened(page)); i++) {
    if (mii_hardened_live(&page->words[i]) != 0) return false;
  }
  return true;
}

// Up to the end of the next step, at least one. A fork in the middle of it loses blocks, and invents none.
static void open_more(hardened_t* page) {
  uint32_t i = mii_hardened_opened(page);
  const size_t reached = mii_align_up((i + (size_t)1) * page->block_bytes, page->step);
  const uint32_t end = (uint32_t)mii_min(reached / page->block_bytes, page->block_count);
  atomic_store_explicit(&page->opened, end, memory_order_relaxed);
  for (uint32_t here; i < end; i += here) {
    here = (uint32_t)mii_min(end - i, 64 - i % 64);
    atomic_fetch_and_explicit(&page->words[i / 64].freed, ~mii_bit_span(i % 64, here),
                              memory_order_relaxed);
  }
}

// What others have freed is free. First it does not live any more, so that nobody can free it again. Acquire
// pairs with the release of who freed it.
static void accept_freed(hardened_word_t* word, uint64_t freed) {
  const uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
  atomic_store_explicit(&word->live, live & ~freed, memory_order_relaxed);
  atomic_fetch_and_explicit(&word->freed, ~(live & freed), memory_order_acq_rel);
}

static uint64_t free_in(hardened_word_t* word) {
  const uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
  const uint64_t freed = atomic_load_explicit(&word->freed, memory_order_relaxed);
  if (MI_UNLIKELY((live & freed) != 0)) accept_freed(word, freed);
  return ~(live ^ freed);
}

// Free blocks of words from .. to - 1 join the choices, up to as many as there may be. Returns how many there are then.
static uint32_t gather(hardened_t* page, uint32_t from, uint32_t to, uint32_t count) {
  for (uint32_t i = from; i < to; i++) {
    for (uint64_t free = free_in(&page->words[i]); free != 0; free &= free - 1) {
      if (count == CHOICES_MAX) return count;
      page->choices[count++] = (uint16_t)(i * 64 + mii_lowest_bit(free));
    }
  }
  return count;
}

static void look_around(hardened_t* page, uint32_t random) {
  const uint32_t words = words_of(mii_hardened_opened(page));
  const uint32_t first = random * words >> 8;
  const uint32_t count = gather(page, first, words, 0);
  page->count = (uint8_t)gather(page, 0, count < CHOICES_MAX ? first : 0, count);
  page->fresh = CHOICES_MAX;
}

// What was freed since the last look joins what is left of the choices. False if that is little.
static bool join_fresh(hardened_t* page, uint32_t spared) {
  const uint32_t count = page->count + (uint32_t)(CHOICES_MAX - page->fresh);
  if (count < spared + JOIN_MIN) return false;
  memmove(&page->choices[page->count], &page->choices[page->fresh],
          (count - page->count) * sizeof page->choices[0]);
  page->count = (uint8_t)count;
  page->fresh = CHOICES_MAX;
  return true;
}

// Draw from all choices those that are given out, the last one first. The fraction of a product is as random as what was
// multiplied, but for the bits that its whole part has taken: 32 are enough for 4 of 64, 5 of 32, 6 of 18. What is left is
// for the next look.
static void shuffle(hardened_t* page, rng_t* rng) {
  uint16_t* const choices = page->choices;
  const size_t spared = page->spared;
  uint64_t random = 0;
  for (size_t n = page->count; n > spared;) {
    const size_t draws = n <= 18 ? 6 : n <= 32 ? 5 : 4;
    const size_t end = n > spared + draws ? n - draws : spared;
    for (random = mii_rng_32(rng); n > end; n--) {
      random = (random & UINT32_MAX) * n;
      const uint16_t chosen = choices[random >> 32];
      choices[random >> 32] = choices[n - 1];
      choices[n - 1] = chosen;
    }
  }
  page->luck = (uint8_t)(random >> 24);
}

// A search costs as much as some dozen calls, but only it finds what others have freed, or was forgotten.
bool mii_hardened_look(hardened_t* page, uint32_t spared, rng_t* rng) {
  const uint32_t random = page->luck;
  const uint32_t left = page->count;
  bool more = random % EXTEND_ONE_IN == 1;
  if (more || !join_fresh(page, spared)) look_around(page, random);
  more = more && page->count < EXTEND_BELOW;
  while ((more || page->count <= spared) && mii_hardened_opened(page) < page->block_count) {
    open_more(page);
    look_around(page, random);
    more = false;
  }
  page->spared = (uint8_t)(page->count == left ? 0 : spared);
  shuffle(page, rng);
  return page->count > page->spared;
}

bool mii_hardened_is_due(hardened_t* page, uint32_t index) {
  if (atomic_load_explicit(&page->needed, memory_order_seq_cst) > 0
      && atomic_fetch_sub_explicit(&page->needed, 1, memory_order_seq_cst) == 1)
    return true;
  return mii_hardened_live(mii_hardened_word(page, index)) == 0 && mii_hardened_is_empty(page);
}

// No thread uses the page meanwhile. What is not opened is neither free nor live.
MI_COLD bool mii_hardened_is_valid(const hardened_t* page) {
  const size_t opened = mii_hardened_opened(page);
  for (uint32_t i = 0; i < words_of(page->block_count); i++) {
    const uint64_t live = atomic_load_explicit(&page->words[i].live, memory_order_relaxed);
    const uint64_t freed = atomic_load_explicit(&page->words[i].freed, memory_order_relaxed);
    const size_t before = mii_min(opened, i * (size_t)64);
    const uint64_t closed = ~mii_bit_span(0, (uint32_t)mii_min(opened - before, 64));
    if (!MI_HOLDS((live & closed) == 0 && (~freed & closed) == 0)) return false;
  }
  return MI_HOLDS(mii_hardened_free_count(page) <= opened && opened <= page->block_count);
}
