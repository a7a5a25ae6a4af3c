// SPDX-License-Identifier: MIT
// hardened.c - a hardened page: a slice of blocks of one size that has no links, only bits
//
// Blocks are opened 4 KiB at a time, as elsewhere, so what was never needed is never touched; random is the
// choice among those that are open. Blocks of all classes live in one slice.
//
// Records are never given back to the system, and used again for pages with as many bits. Who follows a bad
// pointer may hold one whose page has ended: therefore `vault` and `slice` are compared under the lock.
//
// Tests: tests/unit/page/hardened_test.c
#include "page/hardened.h"
#include "base/assert.h"
#include "runtime/secure.h"

enum {
  ROOMS = 8,           // powers of two of words: 1 to 128
  EXTEND_ONE_IN = 16,  // how often more blocks are opened though a few are free
};

static handle_stack_t spares[ROOMS];  // atomic: handle_stack.h

static handle_link_t* spare_link(uint32_t handle) {
  return &((hardened_t*)mii_meta_pointer(handle))->spare_link;
}

static_assert(sizeof(_Atomic(uint64_t)) == sizeof(uint64_t), "both kinds of bits lie in one array");
static uint64_t* taken_bits(const hardened_t* page) {
  return (uint64_t*)(uintptr_t)(page->live + ((size_t)1 << page->room_log2));
}

static bool is_set(const uint64_t* bits, uint32_t i) { return (bits[i / 64] >> i % 64 & 1) != 0; }
static void mark_bit(uint64_t* bits, uint32_t i) { bits[i / 64] |= UINT64_C(1) << i % 64; }
static void unmark_bit(uint64_t* bits, uint32_t i) { bits[i / 64] &= ~(UINT64_C(1) << i % 64); }

static uint32_t words_of(uint32_t blocks) { return (uint32_t)mii_divide_up(blocks, 64); }

// Make and unmake ----------------------------------------------------------------------------------

static hardened_t* take_record(uint32_t blocks) {
  const uint32_t room = mii_log2_up(words_of(blocks));
  const uint32_t handle = mii_stack_pop(&spares[room], spare_link);
  if (handle != 0) return mii_meta_pointer(handle);
  hardened_t* const page = mii_meta_take(sizeof *page + 2 * sizeof(uint64_t) * ((size_t)1 << room));
  if (page != NULL) page->room_log2 = (uint8_t)room;
  return page;
}

static void give_record(hardened_t* page) {
  mii_stack_push(&spares[page->room_log2], mii_meta_handle(page), spare_link);
}

static void begin_bits(hardened_t* page) {
  const size_t words = (size_t)1 << page->room_log2;
  for (size_t i = 0; i < words; i++) {
    atomic_store_explicit(&page->live[i], 0, memory_order_relaxed);
    taken_bits(page)[i] = ~UINT64_C(0);
  }
}

static uint32_t blocks_in_slice(uint32_t size_class) {
  return (uint32_t)(SLICE_BYTES - (mii_secure_level() >= SECURE_GUARD ? mii_range.os_page_size : 0))
         / mii_class_bytes(size_class);
}

MI_COLD hardened_t* mii_hardened_make(uint32_t size_class, segment_bounds_t bounds, heap_t* heap,
                                      uint64_t key) {
  const uint32_t blocks = blocks_in_slice(size_class);
  hardened_t* const page = take_record(blocks);
  if (page == NULL) return NULL;
  bool zero;
  page->slice = mii_segment_take((slice_request_t){.count = 1, .bounds = bounds}, &zero);
  if (page->slice == 0) {
    give_record(page);
    return NULL;
  }
  page->block_bytes = mii_class_bytes(size_class);
  page->block_count = (uint16_t)blocks;
  page->size_class = (uint8_t)size_class;
  page->key = key;
  page->opened = page->free = 0;
  begin_bits(page);
  atomic_store_explicit(&mii_slice_cold(page->slice)->heap, heap, memory_order_relaxed);
  return page;
}

static uint8_t* guard_of(const hardened_t* page) {
  return mii_hardened_start(page) + SLICE_BYTES - mii_range.os_page_size;
}

// The guard comes last, and goes first: the child of a fork takes slices for free that are not marked.
void mii_hardened_publish(hardened_t* page, vault_t* vault) {
  atomic_store_explicit(&page->vault, vault, memory_order_release);
  atomic_store_explicit(&mii_slice_cold(page->slice)->hardened, page, memory_order_release);
  mii_slice_set_kind(page->slice, SLICE_HARDENED);
  mii_secure_guard(guard_of(page), mii_range.os_page_size);
}

MI_COLD void mii_hardened_unmake(hardened_t* page) {
  const slice_t slice = page->slice;
  mii_secure_unguard(guard_of(page), mii_range.os_page_size);
  mii_slice_set_kind(slice, SLICE_FREE);
  atomic_store_explicit(&mii_slice_cold(slice)->hardened, NULL, memory_order_relaxed);
  atomic_store_explicit(&page->vault, NULL, memory_order_relaxed);
  page->slice = 0;
  mii_segment_give(slice, 1);
  give_record(page);
}

// Blocks -------------------------------------------------------------------------------------------

static uint64_t live_word(const hardened_t* page, uint32_t i) {
  return atomic_load_explicit(&page->live[i], memory_order_relaxed);
}

bool mii_hardened_is_live(const hardened_t* page, uint32_t index) {
  return (live_word(page, index / 64) >> index % 64 & 1) != 0;
}

uint32_t mii_hardened_live_count(const hardened_t* page) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < words_of(page->block_count); i++)
    count += mii_count_bits(live_word(page, i));
  return count;
}

bool mii_hardened_is_taken(const hardened_t* page, uint32_t index) {
  return is_set(taken_bits(page), index);
}

// Up to the end of the next 4 KiB, at least one.
static void open_more(hardened_t* page) {
  const size_t end = mii_align_up((page->opened + (size_t)1) * page->block_bytes, UNIT_BYTES);
  const uint32_t opened = (uint32_t)mii_min(end / page->block_bytes, page->block_count);
  for (uint32_t i = page->opened; i < opened; i++) unmark_bit(taken_bits(page), i);
  page->free = (uint16_t)(page->free + opened - page->opened);
  page->opened = (uint16_t)opened;
}

// The first free block from a place on that is one of 65536 between the first block and the last, around.
static uint32_t find_free(const hardened_t* page, uint32_t random) {
  const uint32_t words = words_of(page->opened);
  const uint32_t start = random * page->opened >> 16;
  uint32_t i = start / 64;
  uint64_t free = ~taken_bits(page)[i] & ~UINT64_C(0) << start % 64;
  while (free == 0) {
    i = i + 1 < words ? i + 1 : 0;
    free = ~taken_bits(page)[i];
  }
  return i * 64 + mii_lowest_bit(free);
}

void* mii_hardened_take(hardened_t* page, rng_t* rng) {
  const uint32_t random = mii_rng_16(rng);
  const bool few = page->free < page->opened / 8;
  const bool more = page->free == 0 || (few && random % EXTEND_ONE_IN == 1);
  if (more && page->opened < page->block_count) open_more(page);
  MI_ASSERT(page->free > 0);
  const uint32_t index = find_free(page, random);
  mark_bit(taken_bits(page), index);
  page->free--;
  return mii_hardened_start(page) + (size_t)index * page->block_bytes;
}

void mii_hardened_release(hardened_t* page, uint32_t index) {
  MI_ASSERT(!mii_hardened_is_live(page, index) && mii_hardened_is_taken(page, index));
  unmark_bit(taken_bits(page), index);
  page->free++;
}

// A block may begin or end meanwhile, but not one that is not taken.
MI_COLD bool mii_hardened_is_valid(const hardened_t* page) {
  uint32_t free = 0, odd = 0;
  for (uint32_t i = 0; i < words_of(page->block_count); i++) {
    free += mii_count_bits(~taken_bits(page)[i]);
    odd += mii_count_bits(live_word(page, i) & ~taken_bits(page)[i]);
  }
  return MI_HOLDS(odd == 0) && MI_HOLDS(free == page->free)  // B3
         && MI_HOLDS(free <= page->opened && page->opened <= page->block_count);
}
