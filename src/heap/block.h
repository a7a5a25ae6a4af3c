// SPDX-License-Identifier: MIT
// block.h - a block of any size: from a request to memory, from a pointer to what it is
#ifndef MI_BLOCK_H
#define MI_BLOCK_H

#include "heap/theap.h"
#include "space/lent.h"

// The block's user may begin `offset` bytes before an aligned address: (p + offset) % alignment == 0.
typedef struct block_request_s {
  size_t size;       // at most BLOCK_BYTES_MAX
  size_t alignment;  // a power of two; 0 or 1: none
  size_t offset;
} block_request_t;

// Larger requests are refused without a look: the difference of two pointers has to fit a ptrdiff_t.
static const size_t BLOCK_BYTES_MAX = PTRDIFF_MAX;

// Take a block. *zero tells whether the whole block is known to be zero. NULL when out of memory.
void* mii_block_take(theap_t* theap, block_request_t want, bool* zero);

// The short way where there are vaults. The class that a request comes from, CLASS_COUNT: none; and a block of it that is
// no choice yet (vault.h). NULL if only the other can serve it.
uint32_t mii_block_class(size_t size);
void* mii_block_take_hardened(theap_t* theap, size_t size, uint32_t size_class);
// The same for a size that is a run's, and zero is of no interest: the short way. NULL also if the theap has no
// runs, runs are sealed or sampled, or memory is short: then the long way is the one to go.
void* mii_block_take_run(theap_t* theap, size_t size);
static inline bool mii_block_is_run(size_t size) {
  return size > MID_BLOCK_MAX && size <= (size_t)RUN_UNITS_MAX * UNIT_BYTES;
}

// Make the whole block, which is new and nobody has seen, read as zero.
void mii_block_clear(void* p);

typedef enum give_result_e {
  GIVE_DONE,
  GIVE_FOREIGN,  // p is not in our memory
  GIVE_INVALID,  // p is in our memory, but no block begins there
} give_result_t;

// Give a block back, from any thread. p is not NULL.
give_result_t mii_block_give(void* p);
void mii_block_give_to(page_t* page, void* block);  // it is one of the page's

// Is p in our range, or in memory that was lent to us?
static inline bool mii_block_is_ours(const void* p) { return mii_range_owns(p) || mii_lent_has(p); }

// Bytes usable from p on; 0 if p is not a block of ours.
size_t mii_block_bytes(const void* p);

// Does a block begin at p, as far as can be told without touching it? Slower: for builds that check.
bool mii_block_is_plausible(const void* p);

// Is what is wrong with p noticed by who frees it? So it is where there are vaults, and of guarded blocks.
bool mii_block_is_watched(const void* p);

// Where there are vaults. Report what is wrong with p, which is no live block; false if nobody here knows more.
bool mii_block_report(const void* p, const char* what);

// Does the caller know how large the block is? What is no block is left to others. Where there are vaults: report
// that it does not.
bool mii_block_claim_is_right(const void* p, size_t size);
void mii_block_report_claim(const void* p, const char* what);

// The usable size that a request of `size` bytes gets; `size` itself if it is too large.
size_t mii_block_good_size(size_t size);

// Move the contents of a block, all of it, to a new and larger one without copying. False if that cannot be.
bool mii_block_move(void* to, void* from);

// Does a block of `bytes` keep its place when it shall have `size`? Not if it would waste more than half.
static inline bool mii_block_wastes_half(size_t size, size_t bytes) { return size < bytes / 2; }
static inline bool mii_block_fits(size_t size, size_t bytes) {
  return size <= bytes && !mii_block_wastes_half(size, bytes);
}

// Make the block at p hold `size` bytes without moving it; false if it has to move, also because it
// would waste more than half.
bool mii_block_resize(void* p, size_t size);

#endif
