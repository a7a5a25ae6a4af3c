// SPDX-License-Identifier: MIT
#include "support/unit_test.h"
#include "unit/heap/heap_world.h"
#include "space/purge.h"

// What a request gets, said in another way than in the code -------------------------------------------

// 8, multiples of 16 to 128, 8 sizes per doubling to 32 KiB, whole 4 KiB to 1 MiB, whole 64 KiB above.
static size_t expected_bytes(size_t size) {
  size_t step = 64 * KiB;
  if (size <= 8) return 8;
  if (size <= 128) {
    step = 16;
  } else if (size <= 32 * KiB) {
    step = 16;
    for (size_t top = 256; size > top; top *= 2) step *= 2;
  } else if (size <= MiB) {
    step = 4 * KiB;
  }
  return (size + step - 1) / step * step;
}

static bool is_aligned_at(const void* p, size_t alignment, size_t offset) {
  return (((uintptr_t)p + offset) & (alignment - 1)) == 0;
}

static void* take_with(block_request_t want) {
  bool zero;
  void* const p = mii_block_take(mii_theap_mine, want, &zero);
  CHECK(p != NULL);
  CHECK(!zero || is_zero(p, mii_block_bytes(p)));
  return p;
}

static theap_t* start(void) {
  fake_facts.memory_bytes = sizeof(void*) == 8 ? 4 * GiB : 64 * MiB;  // a range of 64 GiB or 1 GiB
  return start_heap();
}

// Sizes ---------------------------------------------------------------------------------------------

TEST(every_size_gets_the_expected_block) {
  theap_t* const theap = start();
  for (size_t size = 0; size <= 5 * MiB; size += size < 40 * KiB ? 1 : size < MiB ? 509 : 16381) {
    void* const p = take(theap, size);
    CHECK_EQ(mii_block_bytes(p), expected_bytes(size));
    CHECK(mii_block_is_ours(p));
    CHECK(mii_block_is_plausible(p));
    CHECK_EQ((uintptr_t)p % (size <= 8 ? 8 : 16), 0);
    *(uint8_t*)p = 1;
    ((uint8_t*)p)[mii_block_bytes(p) - 1] = 1;
    give(p);
  }
  CHECK(all_is_valid());
}

TEST(sizes_beside_the_borders_of_kinds_get_the_expected_block) {
  theap_t* const theap = start();
  static const size_t borders[] = {8,        128,       1024,    8 * KiB, 32 * KiB,
                                   64 * KiB, 128 * KiB, 1 * MiB, 4 * MiB, 64 * MiB};
  for (size_t i = 0; i < COUNT_OF(borders); i++) {
    for (size_t size = borders[i] - 1; size <= borders[i] + 1; size++) {
      void* const p = take(theap, size);
      CHECK_EQ(mii_block_bytes(p), expected_bytes(size));
      CHECK_EQ(mii_block_good_size(size), expected_bytes(size));
      give(p);
    }
  }
  CHECK(all_is_valid());
}

TEST(the_short_way_gets_the_run_that_the_long_way_gets) {
  theap_t* const theap = start();
  CHECK(!mii_block_is_run(32 * KiB) && mii_block_is_run(32 * KiB + 1));
  CHECK(mii_block_is_run(MiB) && !mii_block_is_run(MiB + 1));
  for (size_t size = 32 * KiB + 1; size <= MiB; size += 509) {
    const uint64_t handed = theap->large_handed;
    const uint64_t bytes = theap->large_bytes;
    const uint64_t heartbeat = theap->heartbeat;
    void* const p = mii_block_take_run(theap, size);
    CHECK_EQ(mii_block_bytes(p), expected_bytes(size));
    CHECK_EQ(theap->large_handed, handed + 1);
    CHECK_EQ(theap->large_bytes, bytes + expected_bytes(size));
    CHECK_EQ(theap->heartbeat, heartbeat + 1);
    give(p);
    CHECK(take(theap, size) == p);
    give(p);
  }
  CHECK(all_is_valid());
}

TEST(a_theap_of_another_heap_has_no_short_way_to_runs) {
  theap_t* const theap = start();
  const uint64_t heartbeat = theap->heartbeat;
  theap->is_apart = true;
  CHECK(mii_block_take_run(theap, 100 * KiB) == NULL);
  CHECK_EQ(theap->heartbeat, heartbeat);
  theap->is_apart = false;
}

TEST(good_size_is_what_a_request_gets) {
  for (size_t size = 0; size <= 2 * MiB; size++) {
    CHECK_EQ(mii_block_good_size(size), expected_bytes(size));
  }
}

TEST(good_size_of_good_size_is_itself) {
  for (size_t size = 0; size <= 2 * MiB; size += 7) {
    const size_t good = mii_block_good_size(size);
    CHECK(good >= size);
    CHECK_EQ(mii_block_good_size(good), good);
  }
}

TEST(good_size_of_what_is_too_large_is_itself) {
  CHECK_EQ(mii_block_good_size(BLOCK_BYTES_MAX + 1), BLOCK_BYTES_MAX + 1);
  CHECK_EQ(mii_block_good_size(SIZE_MAX), SIZE_MAX);
  CHECK(mii_block_good_size(BLOCK_BYTES_MAX) >= BLOCK_BYTES_MAX);
}

TEST(a_request_for_nothing_gets_a_block_of_its_own) {
  theap_t* const theap = start();
  void* const p = take(theap, 0);
  void* const q = take(theap, 0);
  CHECK(p != q);
  CHECK_EQ(mii_block_bytes(p), 8);
  give(p), give(q);
}

TEST(what_does_not_fit_the_range_is_refused) {
  theap_t* const theap = start();
  CHECK(try_take(theap, mii_range.slice_max * SLICE_BYTES + 1) == NULL);
  CHECK(try_take(theap, BLOCK_BYTES_MAX) == NULL);
  CHECK(try_take(theap, BLOCK_BYTES_MAX - 65535) == NULL);
  CHECK(all_is_valid());
  take(theap, 100 * MiB);
}

TEST(a_refused_request_opens_no_memory) {
  theap_t* const theap = start();
  take(theap, 1);
  const size_t open = fake_bytes_in(FAKE_OPENED);
  CHECK(try_take(theap, mii_range.slice_max * SLICE_BYTES) == NULL);
  CHECK_EQ(fake_bytes_in(FAKE_OPENED), open);
}

// Alignment -----------------------------------------------------------------------------------------

static const size_t some_sizes[] = {0,       1,     8,       24,      100,     1000,
                                    4000,    4096,  5000,    8192,    20000,   32768,
                                    33000,   60000, 65536,   100000,  262144,  500000,
                                    MiB - 1, MiB,   MiB + 1, 1500000, 4 * MiB, 5 * MiB + 3};

TEST(blocks_are_aligned_as_asked_for) {
  start();
  for (size_t alignment = 1; alignment <= 64 * MiB; alignment *= 2) {
    for (size_t i = 0; i < COUNT_OF(some_sizes); i++) {
      const block_request_t want = {.size = some_sizes[i], .alignment = alignment};
      void* const p = take_with(want);
      void* const q = take_with(want);  // the next one, too
      CHECK(is_aligned_at(p, alignment, 0));
      CHECK(is_aligned_at(q, alignment, 0));
      CHECK(mii_block_bytes(p) >= some_sizes[i]);
      CHECK(mii_block_bytes(q) >= some_sizes[i]);
      give(p), give(q);
    }
  }
  CHECK(all_is_valid());
}

TEST(an_aligned_block_of_a_page_has_a_class_of_that_alignment) {
  start();
  for (size_t alignment = 1; alignment <= 32 * KiB; alignment *= 2) {
    for (size_t size = 1; size <= 32 * KiB; size += 1 + size / 7) {
      void* const p = take_with((block_request_t){.size = size, .alignment = alignment});
      CHECK(is_aligned_at(p, alignment, 0));
      const size_t rounded = mii_align_up(size, alignment);
      // At most what a size rounded up to the alignment gets, and the next class of that alignment.
      CHECK(mii_block_bytes(p) >= rounded);
      CHECK(mii_block_bytes(p) <= mii_max(expected_bytes(rounded) + alignment, 2 * alignment));
      give(p);
    }
  }
}

TEST(blocks_are_aligned_behind_an_offset) {
  start();
  static const size_t offsets[] = {1,    8,    16,    24,    100,   4095,
                                   4096, 4100, 65535, 65536, 70000, MiB + 8};
  for (size_t alignment = 2; alignment <= 8 * MiB; alignment *= 2) {
    for (size_t i = 0; i < COUNT_OF(some_sizes); i++) {
      for (size_t k = 0; k < COUNT_OF(offsets); k++) {
        const block_request_t want = {some_sizes[i], alignment, offsets[k]};
        uint8_t* const p = take_with(want);
        CHECK(is_aligned_at(p, alignment, offsets[k]));
        const size_t bytes = mii_block_bytes(p);
        CHECK(bytes >= some_sizes[i]);
        CHECK(mii_block_is_plausible(p));
        p[0] = 1;
        p[bytes - 1] = 1;
        give(p);
      }
    }
  }
  CHECK(all_is_valid());
}

TEST(an_offset_of_whole_alignments_is_none) {
  start();
  void* const p = take_with((block_request_t){.size = 100, .alignment = 64, .offset = 128});
  CHECK_EQ(mii_slice_kind(mii_slice_of(p)), SLICE_PAGE);
  CHECK(is_aligned_at(p, 64, 0));
}

// Once alignments from 2^48 on gave blocks with any alignment.
TEST(alignments_beyond_the_range_are_refused) {
  start();
  static const size_t sizes[] = {1, 100, 40 * KiB, 2 * MiB};
  for (uint32_t bit = 37; bit < 64; bit++) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
      bool zero;
      const block_request_t want = {.size = sizes[i], .alignment = (size_t)1 << bit};
      void* const p = mii_block_take(mii_theap_mine, want, &zero);
      CHECK(p == NULL || is_aligned_at(p, want.alignment, 0));
      if (p != NULL) give(p);
    }
  }
  CHECK(all_is_valid());
}

// Once a request for one slice, aligned to 4 MiB, opened the whole range when the first segments were in
// use, and then failed.
TEST(aligned_requests_open_no_more_memory_than_they_need) {
  theap_t* const theap = start();
  static void* first[20];
  for (size_t i = 0; i < COUNT_OF(first); i++) {
    first[i] = take_with((block_request_t){.size = 1, .alignment = 4 * MiB});
  }
  CHECK(mii_segment_count() <= 2 * COUNT_OF(first) + 2);
  for (size_t i = 0; i < COUNT_OF(first); i++) {
    take_with((block_request_t){.size = 100000, .alignment = 4 * MiB, .offset = 4 * MiB - 65536});
  }
  CHECK(mii_segment_count() <= 4 * COUNT_OF(first) + 2);
  take(theap, 1);
  CHECK(all_is_valid());
}

// What a block is known to hold ---------------------------------------------------------------------------

TEST(memory_that_is_said_to_be_zero_is_zero) {
  start();
  random_t random = {3};
  static void* held[64];
  uint32_t said_zero = 0;
  for (uint32_t i = 0; i < 6000; i++) {
    void** const slot = &held[random_below(&random, COUNT_OF(held))];
    if (*slot != NULL) {
      give(*slot);
      *slot = NULL;
      if (random_below(&random, 20) == 0) mii_purge_all();
      continue;
    }
    bool zero;
    const size_t size =
        1 + random_below(&random, random_below(&random, 20) == 0 ? 3 << 20 : 200000);
    *slot = mii_block_take(mii_theap_mine, (block_request_t){.size = size}, &zero);
    CHECK(*slot != NULL);
    const size_t bytes = mii_block_bytes(*slot);
    if (zero) {
      said_zero++;
      CHECK(is_zero(*slot, bytes));
    }
    memset(*slot, 0xA5, bytes < 3 * 4096 ? bytes : 4096);
    ((uint8_t*)*slot)[bytes - 1] = 0xA5;
  }
  CHECK(said_zero > 100);
  CHECK(all_is_valid());
}

TEST(fresh_runs_and_huge_blocks_are_known_to_be_zero) {
  theap_t* const theap = start();
  bool zero;
  CHECK(mii_block_take(theap, (block_request_t){.size = 100 * KiB}, &zero) != NULL && zero);
  CHECK(mii_block_take(theap, (block_request_t){.size = 3 * MiB}, &zero) != NULL && zero);
  CHECK(mii_block_take(theap, (block_request_t){.size = 100}, &zero) != NULL && !zero);
}

TEST(used_memory_is_not_known_to_be_zero) {
  theap_t* const theap = start();
  static const size_t sizes[] = {100 * KiB, 3 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = take(theap, sizes[i]);
    memset(p, 1, sizes[i]);
    give(p);
    bool zero = true;
    CHECK(mii_block_take(theap, (block_request_t){.size = sizes[i]}, &zero) == p);
    CHECK(!zero);
  }
}

TEST(clearing_makes_all_of_a_block_zero) {
  theap_t* const theap = start();
  static const size_t sizes[] = {1, 100, 8 * KiB, 30000, 100 * KiB, MiB, MiB + 1, 3 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = take(theap, sizes[i]);
    const size_t bytes = mii_block_bytes(p);
    memset(p, 1, bytes);
    mii_block_clear(p);
    CHECK_EQ(mii_block_bytes(p), bytes);
    CHECK(is_zero(p, bytes));
    give(p);
  }
  CHECK(all_is_valid());
}

TEST(clearing_a_block_leaves_its_neighbours_alone) {
  theap_t* const theap = start();
  static const size_t sizes[] = {24, 30000, 100 * KiB, 3 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* p[3];
    take_many(theap, sizes[i], p, 3);
    for (int k = 0; k < 3; k++) memset(p[k], 1, mii_block_bytes(p[k]));
    mii_block_clear(p[1]);
    CHECK(is_zero(p[1], mii_block_bytes(p[1])));
    CHECK(is_all(p[0], mii_block_bytes(p[0]), 1));
    CHECK(is_all(p[2], mii_block_bytes(p[2]), 1));
  }
}

TEST(clearing_a_huge_block_touches_no_memory) {
  theap_t* const theap = start();
  void* const p = take(theap, 3 * MiB);
  memset(p, 1, 3 * MiB);
  mii_block_clear(p);
  CHECK_EQ(fake_touched_bytes(p, 3 * MiB), 0);
  memset(p, 1, 3 * MiB);
  fake_fail_nth(FAKE_PURGE, 1);  // then it is written after all
  mii_block_clear(p);
  CHECK(is_zero(p, 3 * MiB));
}

TEST(clearing_a_block_behind_an_offset_clears_what_the_user_has) {
  start();
  uint8_t* const p = take_with((block_request_t){2 * MiB, 64, 40});
  const size_t bytes = mii_block_bytes(p);
  memset(p, 1, bytes);
  mii_block_clear(p);
  CHECK(is_zero(p, bytes));
}

// Resizing ------------------------------------------------------------------------------------------

TEST(a_block_of_a_page_holds_what_fits_and_does_not_waste_half) {
  theap_t* const theap = start();
  for (size_t size = 1; size <= 32 * KiB; size = size * 5 / 4 + 1) {
    void* const p = take(theap, size);
    const size_t bytes = mii_block_bytes(p);
    CHECK(mii_block_resize(p, bytes));
    CHECK(mii_block_resize(p, mii_max(1, bytes / 2)));
    CHECK(!mii_block_resize(p, bytes + 1));
    if (bytes >= 4) CHECK(!mii_block_resize(p, bytes / 2 - 1));
    CHECK_EQ(mii_block_bytes(p), bytes);
    give(p);
  }
}

TEST(a_run_grows_into_free_units_behind_it) {
  theap_t* const theap = start();
  uint8_t* const p = take(theap, 64 * KiB);
  memset(p, 7, 64 * KiB);
  for (size_t size = 64 * KiB; size <= MiB; size += 13 * KiB) {
    CHECK(mii_block_resize(p, size));
    CHECK_EQ(mii_block_bytes(p), mii_align_up(size, 4096));
    CHECK(is_all(p, 64 * KiB, 7));
  }
  CHECK(!mii_block_resize(p, MiB + 1));
  CHECK(all_is_valid());
  give(p);
  CHECK(all_is_valid());
}

TEST(a_run_does_not_grow_into_a_live_one) {
  theap_t* const theap = start();
  uint8_t* const p = take(theap, 64 * KiB);
  uint8_t* const q = take(theap, 64 * KiB);
  uint8_t* const first = p < q ? p : q;
  uint8_t* const second = p < q ? q : p;
  CHECK(first + 64 * KiB == second);
  CHECK(!mii_block_resize(first, 64 * KiB + 1));
  CHECK_EQ(mii_block_bytes(first), 64 * KiB);
  give(second);
  CHECK(mii_block_resize(first, 128 * KiB));
  CHECK(all_is_valid());
}

TEST(a_run_shrinks_and_what_it_leaves_is_used) {
  theap_t* const theap = start();
  uint8_t* const p = take(theap, 512 * KiB);
  memset(p, 7, 512 * KiB);
  CHECK(mii_block_resize(p, 100 * KiB));
  CHECK_EQ(mii_block_bytes(p), 100 * KiB);
  CHECK(all_is_valid());
  uint8_t* q = take(theap, 400 * KiB);
  if (q != p + 100 * KiB) q = take(theap, 400 * KiB);
  memset(q, 1, 400 * KiB);
  CHECK(is_all(p, 100 * KiB, 7));
  CHECK(all_is_valid());
}

TEST(a_run_moves_when_a_page_would_waste_less_than_half_of_it) {
  theap_t* const theap = start();
  void* const p = take(theap, 100 * KiB);
  CHECK(!mii_block_resize(p, 20 * KiB));  // a page serves it
  CHECK_EQ(mii_block_bytes(p), 100 * KiB);
  CHECK(mii_block_resize(p, 40 * KiB));
  CHECK(mii_block_resize(p, 30 * KiB));
  CHECK_EQ(mii_block_bytes(p), 32 * KiB);
}

TEST(a_huge_block_grows_and_shrinks_by_slices) {
  theap_t* const theap = start();
  uint8_t* const p = take(theap, 2 * MiB);
  memset(p, 7, 2 * MiB);
  CHECK(mii_block_resize(p, 2 * MiB + 1));
  CHECK_EQ(mii_block_bytes(p), 2 * MiB + 64 * KiB);
  CHECK(mii_block_resize(p, 3 * MiB));
  CHECK(is_all(p, 2 * MiB, 7));
  CHECK(mii_block_resize(p, MiB + 1));
  CHECK_EQ(mii_block_bytes(p), MiB + 64 * KiB);
  CHECK_EQ(used_slices(), 17);
  CHECK(is_all(p, MiB, 7));
  CHECK(!mii_block_resize(p, 500 * KiB));  // a run would do
  CHECK(all_is_valid());
  give(p);
  CHECK_EQ(used_slices(), 0);
}

TEST(a_huge_block_does_not_grow_into_a_live_one) {
  theap_t* const theap = start();
  void* const p = take(theap, 1536 * KiB);
  void* const q = take(theap, 1536 * KiB);
  void* const first = p < q ? p : q;
  CHECK(!mii_block_resize(first, 2 * MiB));
  CHECK_EQ(mii_block_bytes(first), 1536 * KiB);
  CHECK(all_is_valid());
}

TEST(resizing_to_nothing_or_too_much_is_refused) {
  theap_t* const theap = start();
  static const size_t sizes[] = {10, 20000, 100 * KiB, 2 * MiB};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* const p = take(theap, sizes[i]);
    const size_t bytes = mii_block_bytes(p);
    CHECK(!mii_block_resize(p, 0));
    CHECK(!mii_block_resize(p, BLOCK_BYTES_MAX));
    CHECK(!mii_block_resize(p, BLOCK_BYTES_MAX + 1));
    CHECK(!mii_block_resize(p, SIZE_MAX));
    CHECK(!mii_block_resize(p, mii_range.slice_max * SLICE_BYTES));
    CHECK_EQ(mii_block_bytes(p), bytes);
  }
  CHECK(all_is_valid());
}

TEST(resizing_what_is_no_block_is_refused) {
  theap_t* const theap = start();
  int local = 0;
  uint8_t* const run = take(theap, 100 * KiB);
  uint8_t* const huge = take(theap, 2 * MiB);
  CHECK(!mii_block_resize(&local, 4));
  CHECK(!mii_block_resize(run + 8192, 100));
  CHECK(!mii_block_resize(huge + 65536, 2 * MiB));
  CHECK(!mii_block_resize((void*)(mii_range.base + mii_range.slice_max * SLICE_BYTES - 64), 10));
  CHECK(all_is_valid());
}

TEST(blocks_behind_an_offset_resize_from_their_pointer) {
  start();
  uint8_t* const run = take_with((block_request_t){100 * KiB, 4096, 100});
  CHECK_EQ((uintptr_t)run % 4096, 4096 - 100);
  CHECK_EQ(mii_block_bytes(run), 100 * KiB + 100);
  CHECK(mii_block_resize(run, 120 * KiB));
  CHECK_EQ(mii_block_bytes(run), 120 * KiB + 100);
  CHECK(mii_block_resize(run, 120 * KiB + 100));
  CHECK_EQ(mii_block_bytes(run), 120 * KiB + 100);
  uint8_t* const huge = take_with((block_request_t){2 * MiB, 65536, 100});
  CHECK_EQ(mii_block_bytes(huge), 2 * MiB + 100);
  CHECK(mii_block_resize(huge, 2 * MiB + 101));
  CHECK_EQ(mii_block_bytes(huge), 2 * MiB + 64 * KiB + 100);
  give(run), give(huge);
  CHECK(all_is_valid());
}

TEST(random_resizing_keeps_contents_and_structures) {
  theap_t* const theap = start();
  enum { BLOCKS = 40 };
  uint8_t* p[BLOCKS];
  size_t sizes[BLOCKS];
  random_t random = {11};
  for (uint32_t i = 0; i < BLOCKS; i++) {
    sizes[i] = 33 * KiB + random_below(&random, 2 << 20);
    p[i] = take(theap, sizes[i]);
    memset(p[i], (int)i + 1, sizes[i]);
  }
  uint32_t done = 0;
  for (uint32_t turn = 0; turn < 1500; turn++) {
    const uint32_t i = random_below(&random, BLOCKS);
    const size_t size = 1 + random_below(&random, 3 << 20);
    if (mii_block_resize(p[i], size)) {
      done++;
      const size_t kept = mii_min(size, sizes[i]);
      CHECK_EQ(p[i][0], i + 1);
      CHECK_EQ(p[i][kept - 1], i + 1);
      CHECK(mii_block_bytes(p[i]) >= size);
      if (size > sizes[i]) memset(p[i] + sizes[i], (int)i + 1, size - sizes[i]);
      sizes[i] = size;
    } else if (random_below(&random, 3) == 0) {
      CHECK(is_all(p[i], sizes[i], (uint8_t)(i + 1)));
      give(p[i]);
      sizes[i] = 33 * KiB + random_below(&random, 2 << 20);
      p[i] = take(theap, sizes[i]);
      memset(p[i], (int)i + 1, sizes[i]);
    }
    if (turn % 100 == 0) CHECK(all_is_valid());
  }
  CHECK(done > 300);
  for (uint32_t i = 0; i < BLOCKS; i++) {
    CHECK(is_all(p[i], sizes[i], (uint8_t)(i + 1)));
    give(p[i]);
  }
  CHECK(all_is_valid());
}

// Giving back -----------------------------------------------------------------------------------------

TEST(pointers_outside_of_the_range_are_foreign) {
  start();
  static int global;
  int local = 0;
  const uintptr_t end = mii_range.base + mii_range.slice_max * SLICE_BYTES;
  void* const foreign[] = {
      &global, &local, (void*)1, (void*)(mii_range.base - 1), (void*)end, (void*)UINTPTR_MAX};
  for (size_t i = 0; i < COUNT_OF(foreign); i++) {
    CHECK_EQ(mii_block_give(foreign[i]), GIVE_FOREIGN);
    CHECK(!mii_block_is_ours(foreign[i]));
    CHECK(!mii_block_is_plausible(foreign[i]));
    CHECK_EQ(mii_block_bytes(foreign[i]), 0);
  }
}

TEST(everything_is_foreign_before_the_start) {
  int local = 0;
  CHECK_EQ(mii_block_give(&local), GIVE_FOREIGN);
  CHECK_EQ(mii_block_bytes(&local), 0);
  CHECK(!mii_block_is_plausible((void*)64));
}

TEST(slices_that_nobody_uses_hold_no_block) {
  theap_t* const theap = start();
  void* const huge = take(theap, 2 * MiB);
  give(huge);
  void* const invalid[] = {
      huge,                                                             // it was one
      (uint8_t*)huge + 100,                                             //
      (void*)mii_range.base,                                            // slice 0
      (void*)(mii_range.base + SLICE_BYTES - 1),                        //
      (void*)(mii_range.base + mii_range.slice_max * SLICE_BYTES - 1),  // not open yet
  };
  for (size_t i = 0; i < COUNT_OF(invalid); i++) {
    CHECK_EQ(mii_block_give(invalid[i]), GIVE_INVALID);
    CHECK(mii_block_is_ours(invalid[i]));
    CHECK(!mii_block_is_plausible(invalid[i]));
    CHECK_EQ(mii_block_bytes(invalid[i]), 0);
  }
  CHECK(all_is_valid());
}

TEST(the_middle_of_a_run_or_huge_block_is_no_block) {
  theap_t* const theap = start();
  uint8_t* const run = take(theap, 100 * KiB);
  uint8_t* const huge = take(theap, 3 * MiB);
  for (size_t offset = 4096; offset < 100 * KiB; offset += 4096) {
    CHECK_EQ(mii_block_give(run + offset), GIVE_INVALID);
    CHECK(!mii_block_is_plausible(run + offset));
  }
  for (size_t offset = SLICE_BYTES; offset < 3 * MiB; offset += SLICE_BYTES) {
    CHECK_EQ(mii_block_give(huge + offset), GIVE_INVALID);
    CHECK(!mii_block_is_plausible(huge + offset));
  }
  CHECK_EQ(mii_block_bytes(run), 100 * KiB);
  CHECK_EQ(mii_block_bytes(huge), 3 * MiB);
  CHECK(all_is_valid());
}

TEST(a_run_or_huge_block_given_twice_is_noticed) {
  theap_t* const theap = start();
  void* const run = take(theap, 100 * KiB);
  void* const other = take(theap, 100 * KiB);
  void* const huge = take(theap, 3 * MiB);
  give(run), give(huge);
  CHECK_EQ(mii_block_give(run), GIVE_INVALID);
  CHECK_EQ(mii_block_give(huge), GIVE_INVALID);
  CHECK_EQ(mii_block_bytes(other), 100 * KiB);
  CHECK(all_is_valid());
}

TEST(pointers_into_a_block_of_a_page_are_not_plausible) {
  theap_t* const theap = start();
  for (uint32_t c = 0; c < CLASS_COUNT; c++) {
    const uint32_t bytes = mii_class_bytes(c);
    uint8_t* const p = take(theap, bytes);
    CHECK(mii_block_is_plausible(p));
    for (uint32_t offset = 1; offset < bytes; offset += 1 + bytes / 50) {
      CHECK(!mii_block_is_plausible(p + offset));
      CHECK_EQ(mii_block_bytes(p + offset), bytes);  // free does not look that closely
    }
    CHECK(!mii_block_is_plausible(mii_page_start(page_of(p)) + SLICE_BYTES - 1));
  }
}

TEST(blocks_in_the_second_slice_of_a_page_are_found) {
  theap_t* const theap = start();
  static const size_t sizes[] = {9000, 10240, 20000, 32768};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    static void* all[16];
    const uint32_t c = mii_size_class(sizes[i]);
    const uint32_t count = mii_class_blocks(c);
    take_many(theap, sizes[i], all, count);
    have_no_room(theap);
    for (uint32_t k = 0; k < count; k++) {
      CHECK_EQ(mii_block_bytes(all[k]), mii_class_bytes(c));
      CHECK(mii_block_is_plausible(all[k]));
      CHECK(page_of(all[k]) == page_of(all[0]));
    }
    bool in_second = false;
    for (uint32_t k = 0; k < count; k++)
      in_second = in_second || mii_slice_kind(mii_slice_of(all[k])) == SLICE_FOLLOW;
    CHECK(in_second);
    give_many(all, count);
    CHECK(is_gone(all[0]));
  }
  CHECK(all_is_valid());
}

TEST(a_free_by_the_owner_is_local_and_by_others_remote) {
  theap_t* const theap = start();
  static const size_t sizes[] = {64, 20000};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    void* p[2];
    take_many(theap, sizes[i], p, 2);
    have_no_room(theap);
    page_t* const page = page_of(p[0]);
    give(p[0]);
    CHECK(mii_page_hot(page)->local_free == p[0]);
    give_remotely(&p[1], 1);
    CHECK(mii_page_hot(page)->local_free == p[0]);
    mii_page_count_local(page);
    mii_page_collect_remote(page);
    CHECK(mii_page_hot(page)->local_free == p[1]);
    mii_page_arm(page, 1);
  }
  CHECK(mii_theap_is_valid(theap));
}

TEST(the_free_that_wakes_a_page_is_passed_on) {
  theap_t* const theap = start();
  static void* blocks[3 * PER_PAGE];
  take_pages(theap, blocks, 3);
  give_remotely(blocks, WAKE);
  CHECK_EQ(atomic_load(&theap->woken), mii_page_slice(page_of(blocks[0])));
  run_as_stranger();
  CHECK(mii_theap_is_valid(theap));
  CHECK(mii_theap_dissolve(theap));
  give_many(blocks + PER_PAGE, CLAIM);  // nobody's page: published
  CHECK(mii_heap_claim(&mii_heap_main, CLASS, 64) == page_of(blocks[PER_PAGE]));
}

// Memory is short -------------------------------------------------------------------------------------

TEST(a_large_request_under_pressure_gets_what_waits_to_be_freed) {
  fake_facts.memory_bytes = 4 * MiB;  // a range of 64 MiB
  theap_t* const theap = start_heap();
  mii_option_set(mi_option_purge_delay, -1);
  static void* pages[1024 * PER_PAGE];
  uint32_t count = 0;
  for (void* p; (p = try_take(theap, SIZE)) != NULL;) pages[count++] = p;
  CHECK(count > 900 * PER_PAGE);
  CHECK(try_take(theap, 100 * KiB) == NULL);
  CHECK(try_take(theap, 10 * MiB) == NULL);
  // Other threads free everything; nobody looks, but the one who needs it.
  give_remotely(pages, count);
  CHECK_EQ(page_count(), mii_range.slice_max - 1);
  void* const p = try_take(theap, 50 * MiB);
  CHECK(p != NULL);
  give(p);
  CHECK(try_take(theap, 100 * KiB) != NULL);
  CHECK(all_is_valid());
}

TEST(a_large_request_under_pressure_dissolves_theaps_in_the_pool) {
  fake_facts.memory_bytes = 4 * MiB;
  theap_t* const old = start_heap();
  theap_t* const theap = new_thread();
  run_as(old);
  static void* pages[1024 * PER_PAGE];
  uint32_t count = 0;
  for (void* p; (p = try_take(old, SIZE)) != NULL;) pages[count++] = p;
  mii_thread_end(false);
  run_as(theap);
  give_many(pages, count);
  CHECK_EQ(page_count(), mii_range.slice_max - 1);
  CHECK(try_take(theap, 50 * MiB) != NULL);
  CHECK(all_is_valid());
}

TEST(where_no_segment_is_left_for_runs_there_may_still_be_slices) {
  fake_facts.memory_bytes = 0;  // a range of one segment, with the theap's first page in it
  theap_t* const theap = start_heap();
  CHECK_EQ(mii_range.segment_max, 1);
  give(take(theap, SIZE));
  uint8_t* const p = try_take(theap, 100 * KiB);
  CHECK(p != NULL);
  CHECK_EQ(mii_slice_kind(mii_slice_of(p)), SLICE_HUGE);
  CHECK(mii_block_bytes(p) >= 100 * KiB);
  memset(p, 1, mii_block_bytes(p));
  CHECK(mii_block_resize(p, 128 * KiB));
  give(p);
  uint32_t count = 0;
  while (try_take(theap, 200 * KiB) != NULL) count++;
  CHECK(count >= 15);  // of 62 slices, four each
  CHECK(all_is_valid());
}

UNIT_TEST_MAIN
