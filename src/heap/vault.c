// SPDX-License-Identifier: MIT
// vault.c - hardened pages of a heap, behind a lock, and those that theaps hold, which need none
//
// A theap holds a page per class, and malloc takes a random one of its free blocks; those that are freed are
// free again when it looks again. So there is a lock only when a page changes hands, and what comes next
// cannot be told. The last few free blocks of a page are not given out if one of them was freed a short while
// ago: so there is always a choice.
//
//   V1  a page is held by one theap of the vault's heap, which names it in its stock; or in the circle of its
//       class, if it has room; or neither, and who frees one of its blocks counts (B3). All are in `pages`
//   V2  a page that nobody holds and none of whose blocks is taken is kept if it is alone in its circle, and ends
//       otherwise. A fork's child keeps it
//   V3  a heap keeps its vault when it ends, for the next life of its record, but not its pages
//
// At SECURE_CANARY all free memory is zero: blocks from when they are freed on, pages from when they begin.
//
// Tests: tests/unit/heap/vault_test.c, tests/api/hardened_test.c
#include "heap/vault.h"
#include "base/assert.h"
#include "heap/apart.h"
#include "heap/ask.h"
#include "heap/guarded.h"
#include "heap/quiet.h"
#include "heap/thread.h"
#include "page/canary.h"
#include "runtime/lock.h"
#include "space/purge.h"
#include <string.h>

enum {
  ROOM_ONE_IN =
      16,  // how much of a page must be free for it to be worth a turn: more than is spared
  SPARED_ONE_IN = 32,  // how much is not given out, so that there is a choice ...
  SPARED_MAX = 8,      // ... in blocks
  TURN_ONE_IN = 8,     // turns that choose the second page of the circle: two fill up
};

struct vault_s {
  lock_t lock;         // of rank LOCK_AREA: fork holds several, and who moves pages; others one
  vault_t* next_made;  // const
  links_t roomy[CLASS_COUNT];  // lock(vault), as `pages`
  links_t pages;
};

static _Atomic(vault_t*)
    made_vaults;  // atomic: release to add, under the lock of heaps; acquire to walk

static vault_t* first_vault(void) {
  return atomic_load_explicit(&made_vaults, memory_order_acquire);
}
static void lock_vault(vault_t* vault) { mii_lock_enter(&vault->lock); }
static void unlock_vault(vault_t* vault) { mii_lock_leave(&vault->lock); }

static bool has_canaries(void) { return mii_secure_level() >= SECURE_CANARY; }

// Circles, each with a head that is no page's ---------------------------------------------------------

static void links_begin(links_t* head) { head->next = head->prev = head; }

static void links_add(links_t* head, links_t* links) {
  links->next = head;
  links->prev = head->prev;
  head->prev = head->prev->next = links;
}

static void links_remove(links_t* links) {
  links->prev->next = links->next;
  links->next->prev = links->prev;
  links->next = NULL;
}

static bool is_empty_circle(const links_t* head) { return head->next == head; }

static hardened_t* page_in_circle(links_t* links) { return (hardened_t*)links; }
static hardened_t* page_in_vault(const links_t* links) {
  return (hardened_t*)((uintptr_t)links - offsetof(hardened_t, in_vault));
}
static_assert(offsetof(hardened_t, in_circle) == 0, "page_in_circle() counts on it");

// Vaults and their pages ----------------------------------------------------------------------------

// Lock of heaps held.
static vault_t* make_vault(void) {
  vault_t* const vault = mii_meta_take(sizeof *vault);
  if (vault == NULL) return NULL;
  vault->lock.rank = LOCK_AREA;
  for (uint32_t c = 0; c < CLASS_COUNT; c++) links_begin(&vault->roomy[c]);
  links_begin(&vault->pages);
  vault->next_made = atomic_load_explicit(&made_vaults, memory_order_relaxed);
  atomic_store_explicit(&made_vaults, vault, memory_order_release);
  return vault;
}

static MI_COLD vault_t* add_vault(heap_t* heap) {
  mii_apart_lock();
  vault_t* vault = atomic_load_explicit(&heap->vault, memory_order_relaxed);
  if (vault == NULL) vault = make_vault();
  atomic_store_explicit(&heap->vault, vault, memory_order_release);
  mii_apart_unlock();
  return vault;
}

static vault_t* vault_of(heap_t* heap) {
  vault_t* const vault = atomic_load_explicit(&heap->vault, memory_order_acquire);
  return MI_LIKELY(vault != NULL) ? vault : add_vault(heap);
}

static vault_t* vault_of_page(const hardened_t* page) {
  return atomic_load_explicit(&page->vault, memory_order_acquire);
}

// The page that p lies in, with its vault locked; NULL if it lies in none. The vault may change, or the page
// end, until we have the lock. Acquire pairs with the releases of who moves a page: the vault may be a new one.
static hardened_t* lock_page_of(const void* p, vault_t** its_vault) {
  const size_t slice = mii_slice_of(p);
  for (hardened_t* page; (page = mii_hardened_in(slice)) != NULL;) {
    vault_t* const vault = vault_of_page(page);
    if (vault == NULL) continue;
    lock_vault(vault);
    *its_vault = vault;
    if (vault_of_page(page) == vault && page->slice == slice) return page;
    unlock_vault(vault);
  }
  return NULL;
}

static void end_hardened(hardened_t* page) {
  if (page->in_circle.next != NULL) links_remove(&page->in_circle);
  links_remove(&page->in_vault);
  mii_hardened_unmake(page);
}

static bool is_held(const hardened_t* page) {
  return atomic_load_explicit(&page->holder, memory_order_relaxed) != 0;
}

// Blocks that may still be given out, opened or not.
static int32_t room_in(const hardened_t* page) {
  return (int32_t)(page->block_count - mii_hardened_opened(page) + mii_hardened_free_count(page));
}

static int32_t room_wanted(const hardened_t* page) {
  return (int32_t)mii_max(1, page->block_count / ROOM_ONE_IN);
}

// Nobody is to hold the page, which is in no circle: say where it belongs. Lock held. What is freed meanwhile is
// counted by who frees it, or by us, who look again.
static void settle(vault_t* vault, hardened_t* page) {
  const int32_t wanted = room_wanted(page);
  const int32_t missing = wanted - room_in(page);
  atomic_store_explicit(&page->needed, missing > 0 ? missing : 1, memory_order_seq_cst);
  atomic_store_explicit(&page->holder, 0, memory_order_seq_cst);
  const int32_t room = room_in(page);
  if (mii_hardened_is_empty(page) && !is_empty_circle(&vault->roomy[page->size_class])
      && !mii_lock_is_mine_by_fork()) {
    end_hardened(page);
  } else if (room >= wanted) {
    atomic_store_explicit(&page->needed, 0, memory_order_seq_cst);
    links_add(&vault->roomy[page->size_class], &page->in_circle);
  }
}

// Who has freed the block at p was told to.
static MI_NOINLINE void look_at_page_of(const void* p) {
  vault_t* vault;
  hardened_t* const page = lock_page_of(p, &vault);
  if (page == NULL) return;
  if (is_held(page)) {
    // Its holder looks itself.
  } else if (page->in_circle.next == NULL) {
    settle(vault, page);
  } else if (mii_hardened_is_empty(page) && page->in_circle.next != page->in_circle.prev) {
    end_hardened(page);
  }
  unlock_vault(vault);
}

// Hold ----------------------------------------------------------------------------------------------

stock_t* mii_theap_make_stock(theap_t* theap) {
  stock_t* const stock = mii_meta_take(sizeof *stock);
  if (stock == NULL) return NULL;
  mii_secure_seed(&stock->rng);
  if (mii_secure_has_vaults() && !mii_is_sampling())
    *(has_canaries() ? &theap->sealed : &theap->straight) = stock->held;
  return theap->stock = stock;
}

static bool comes_up(rng_t* rng, uint32_t one_in) { return mii_rng_8(rng) % one_in == 0; }

static void count_handed(theap_t* theap, const hardened_t* page, uint64_t count) {
  theap->blocks_handed += count;
  theap->bytes_handed += count * page->block_bytes;
}

// Are there choices in the page that it holds? They count as handed out.
static bool look(theap_t* theap, uint32_t size_class) {
  stock_t* const stock = theap->stock;
  hardened_t* const page = stock->held[size_class];
  if (page == NULL) return false;
  const uint32_t spared = page->block_count / SPARED_ONE_IN;
  count_handed(theap, page, 0 - (uint64_t)mii_hardened_choices(page));
  const bool found = mii_hardened_look(page, (uint32_t)mii_min(SPARED_MAX, spared), &stock->rng);
  count_handed(theap, page, mii_hardened_choices(page));
  return found;
}

// Lock held.
static void let_go_of(vault_t* vault, theap_t* theap, uint32_t size_class) {
  hardened_t* const page = theap->stock->held[size_class];
  theap->stock->held[size_class] = NULL;
  if (page == NULL) return;
  count_handed(theap, page, 0 - (uint64_t)mii_hardened_choices(page));
  mii_hardened_forget(page);
  settle(vault, page);
}

// Instead of the one that the theap holds. Lock held.
static void hold_another(vault_t* vault, theap_t* theap, uint32_t size_class, bool second) {
  let_go_of(vault, theap, size_class);
  links_t* const circle = &vault->roomy[size_class];
  links_t* chosen = circle->next;
  if (second && chosen->next != circle) chosen = chosen->next;
  if (chosen == circle) return;
  links_remove(chosen);
  hardened_t* const page = page_in_circle(chosen);
  theap->stock->held[size_class] = page;
  atomic_store_explicit(&page->holder, mii_theap_tag(theap), memory_order_seq_cst);
}

// Slices are taken without our lock: that may take the range's.
static MI_COLD void hold_new(vault_t* vault, theap_t* theap, uint32_t size_class) {
  heap_t* const heap = theap->heap;
  hardened_t* const page =
      mii_hardened_make(size_class, heap->bounds, heap, mii_rng_64(&theap->stock->rng));
  if (page == NULL) return;
  lock_vault(vault);
  links_add(&vault->pages, &page->in_vault);
  mii_hardened_publish(page, vault, mii_theap_tag(theap));
  theap->stock->held[size_class] = page;
  unlock_vault(vault);
  mii_secure_warn_of_guards();
}

// There are no choices left. False when out of memory, and for heaps in lent memory, which have no vaults. The program's
// deferred free may have allocated, and there be choices again.
static MI_NOINLINE bool turn_page(theap_t* theap, uint32_t size_class) {
  if (theap->stock == NULL && mii_theap_make_stock(theap) == NULL) return false;
  if (theap->heap->lent != NULL) return false;
  mii_theap_beat(theap);
  if (look(theap, size_class)) return true;
  vault_t* const vault = vault_of(theap->heap);
  if (vault == NULL) return false;
  const bool second = comes_up(&theap->stock->rng, TURN_ONE_IN);
  lock_vault(vault);
  hold_another(vault, theap, size_class, second);
  unlock_vault(vault);
  if (theap->stock->held[size_class] == NULL) hold_new(vault, theap, size_class);
  return look(theap, size_class);
}

static MI_NOINLINE void end_hold(theap_t* theap, uint32_t size_class) {
  const hardened_t* const page = theap->stock->held[size_class];
  if (page == NULL) return;
  vault_t* const vault = vault_of_page(page);
  lock_vault(vault);
  let_go_of(vault, theap, size_class);
  unlock_vault(vault);
}

void mii_vault_unload(theap_t* theap) {
  for (uint32_t c = 0; theap->stock != NULL && c < CLASS_COUNT; c++) end_hold(theap, c);
}

MI_COLD MI_NO_TSAN size_t mii_vault_held_bytes(const theap_t* theap) {
  size_t bytes = 0;
  for (uint32_t c = 0; theap->stock != NULL && c < CLASS_COUNT; c++) {
    const hardened_t* const page = theap->stock->held[c];
    if (page != NULL) bytes += (size_t)mii_hardened_free_count(page) * page->block_bytes;
  }
  return bytes;
}

// Take ---------------------------------------------------------------------------------------------

// Of a page that has a live block, or whose vault is locked.
static scene_t scene_of(const hardened_t* page, const void* p) {
  const uint32_t inside = (uint32_t)((uintptr_t)p - page->start);
  return (scene_t){
      .p = p,
      .block = (const uint8_t*)p - inside % page->block_bytes,
      .bytes = page->block_bytes,
      .heap = atomic_load_explicit(&mii_slice_cold(page->slice)->heap, memory_order_relaxed),
      .size_class = page->size_class,
  };
}

// It is ours alone.
MI_COLD void* mii_vault_seal_dirty(const hardened_t* page, void* p, size_t size) {
  const scene_t scene = scene_of(page, p);
  memset(p, 0, page->block_bytes);
  mii_secure_report(CRIME_WRITE_AFTER_FREE, "malloc", &scene);
  return mii_canary_set(p, page->block_bytes, size, page->canary);
}

void* mii_vault_take(theap_t* theap, uint32_t size_class) {
  void* const p = mii_vault_take_choice(mii_vault_page(theap, size_class));
  return p != NULL ? p : mii_vault_take_other(theap, size_class);
}

// A choice may turn out to be none.
void* mii_vault_take_other(theap_t* theap, uint32_t size_class) {
  void* p = NULL;
  while (p == NULL && turn_page(theap, size_class))
    p = mii_hardened_take(theap->stock->held[size_class]);
  if (p != NULL && MI_UNLIKELY(theap->keeps_nothing)) end_hold(theap, size_class);
  return p;
}

// The page cannot end while the block lives, and its key does not change.
static const hardened_t* page_of_live(const void* p) {
  return mii_hardened_of(mii_page_record(mii_slice_of(p)));
}

void* mii_vault_seal(void* p, size_t size) {
  const hardened_t* const page = page_of_live(p);
  return mii_canary_set(p, page->block_bytes, size, page->canary);
}

void* mii_vault_seal_new(void* p, size_t size) {
  return mii_vault_seal_first(page_of_live(p), p, size);
}

// Give ---------------------------------------------------------------------------------------------

// Of a live block. Its size goes to *size: what it was sealed with, or all of it.
static crime_t examine_seal(const hardened_t* page, const void* p, size_t* size) {
  *size = page->block_bytes;
  if (!has_canaries()) return CRIME_NONE;
  const size_t sealed = mii_canary_check(p, page->block_bytes, page->canary);
  *size = sealed != 0 ? sealed : page->block_bytes - CANARY_BYTES;
  return sealed != 0 ? CRIME_NONE : CRIME_OVERFLOW;
}

// page is NULL if p lies in none. A wild pointer may have led to the record of a page that has just ended, and is
// another's: then no block of it begins at p. What was never opened was never freed.
static crime_t examine(const hardened_t* page, const void* p, size_t* size) {
  uint32_t index;
  *size = 0;
  if (page == NULL || !mii_hardened_is_around(page, p) || !mii_hardened_index(page, p, &index))
    return CRIME_NO_BLOCK;
  if (mii_hardened_is_live(page, index)) return examine_seal(page, p, size);
  return index < mii_hardened_opened(page) ? CRIME_DOUBLE_FREE : CRIME_NO_BLOCK;
}

static scene_t scene_at(const hardened_t* page, const void* p) {
  return page != NULL ? scene_of(page, p) : (scene_t){.p = p};
}

MI_COLD crime_t mii_vault_examine(const void* p, size_t* size, scene_t* scene) {
  const hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  *scene = scene_at(page, p);
  return examine(page, p, size);
}

size_t mii_vault_bytes(const void* p) {
  size_t size;
  scene_t scene;
  mii_vault_examine(p, &size, &scene);
  return size;
}

// A block whose canary is broken is freed nevertheless.
static MI_COLD void report_give(hardened_t* page, void* p) {
  size_t size;
  uint32_t index;
  const scene_t scene = scene_at(page, p);
  const crime_t crime = examine(page, p, &size);
  if (crime == CRIME_OVERFLOW && mii_hardened_index(page, p, &index)) {
    mii_canary_wipe(p, page->block_bytes);
    const hardened_end_t end = mii_hardened_end(page, index, mii_theap_tag(mii_theap_mine));
    if (end == END_UNHELD && mii_hardened_is_due(page, index)) look_at_page_of(p);
  }
  mii_secure_report(crime, "free", &scene);
}

// At SECURE_CANARY. False if the canary is broken.
MI_INLINE bool unseal(const hardened_t* page, void* p) {
  if (MI_UNLIKELY(mii_canary_check(p, page->block_bytes, page->canary) == 0)) return false;
  mii_canary_wipe(p, page->block_bytes);
  return true;
}

// Nobody holds the page.
static MI_NOINLINE void note_unheld(hardened_t* page, const void* p, uint32_t index) {
  if (MI_LIKELY(!mii_hardened_is_due(page, index))) return;
  look_at_page_of(p);
  theap_t* const home = mii_theap_mine->home;
  if (MI_UNLIKELY(mii_ask_is_open(home)) && home->is_live) mii_ask_answer(home);
  if (MI_UNLIKELY(mii_purge_may_be_much())) mii_quiet_look();
}

MI_INLINE void end_unheld(hardened_t* page, void* p, uint32_t index) {
  switch (mii_hardened_end_unheld(page, index)) {
    case END_DONE: break;
    case END_NOT_LIVE: report_give(page, p); break;
    case END_UNHELD: note_unheld(page, p, index); break;
  }
}

static MI_NOINLINE void give_sealed_unheld(hardened_t* page, void* p, uint32_t index) {
  if (MI_LIKELY(unseal(page, p))) {
    end_unheld(page, p, index);
  } else {
    report_give(page, p);
  }
}

// A live block of a page that the theap does not hold.
static MI_NOINLINE void give_unheld(hardened_t* page, void* p, uint32_t index) {
  if (MI_UNLIKELY(!mii_hardened_is_around(page, p))) {
    report_give(page, p);
  } else if (page->is_sealed) {
    give_sealed_unheld(page, p, index);
  } else {
    end_unheld(page, p, index);
  }
}

MI_INLINE void give_sealed(hardened_t* page, void* p, uint32_t index) {
  if (MI_LIKELY(unseal(page, p))) {
    mii_hardened_give(page, index);
  } else {
    report_give(page, p);
  }
}

static MI_NOINLINE void give_sealed_large(hardened_t* page, void* p, uint32_t index) {
  if (page->block_bytes >= WIPE_LARGE) give_sealed(page, p, index);
}

// Small ones call nothing, so that no register has to be saved.
static MI_NOINLINE void give_sealed_small(hardened_t* page, void* p, uint32_t index) {
  if (page->block_bytes < WIPE_LARGE) give_sealed(page, p, index);
}

// Straight on for most frees at level 3.
void mii_vault_give(void* p, page_t* record) {
  uint32_t index;
  hardened_t* const page = mii_hardened_of(record);
  if (MI_UNLIKELY(page == NULL || !mii_hardened_index(page, p, &index)
                  || !mii_hardened_is_live(page, index))) {
    report_give(page, p);
  } else if (!mii_hardened_is_held_by(page, mii_theap_tag(mii_theap_mine))) {
    give_unheld(page, p, index);
  } else if (!page->is_sealed) {
    mii_hardened_give(page, index);
  } else if (page->block_bytes < WIPE_LARGE) {
    give_sealed_small(page, p, index);
  } else {
    give_sealed_large(page, p, index);
  }
}

// The end of a heap --------------------------------------------------------------------------------

// What the program has left in the page goes back to the system, or is overwritten. Lock held.
static void discard_hardened(hardened_t* page) {
  void* const start = mii_hardened_block(page, 0);
  if (has_canaries() && !mii_purge_memory(start, SLICE_BYTES))
    memset(start, 0, (size_t)mii_hardened_opened(page) * page->block_bytes);
  end_hardened(page);
}

MI_COLD void mii_vault_discard(heap_t* heap) {
  vault_t* const vault = atomic_load_explicit(&heap->vault, memory_order_acquire);
  if (vault == NULL) return;
  lock_vault(vault);
  while (!is_empty_circle(&vault->pages)) discard_hardened(page_in_vault(vault->pages.next));
  unlock_vault(vault);
}

// Both locks are held.
static void move_hardened(hardened_t* page, heap_t* to, vault_t* vault) {
  const bool has_room = page->in_circle.next != NULL;
  if (has_room) links_remove(&page->in_circle);
  links_remove(&page->in_vault);
  if (has_room) links_add(&vault->roomy[page->size_class], &page->in_circle);
  links_add(&vault->pages, &page->in_vault);
  atomic_store_explicit(&mii_slice_cold(page->slice)->heap, to, memory_order_relaxed);
  atomic_store_explicit(&page->vault, vault, memory_order_release);
}

// Who waits for two locks has that of heaps. A heap that has no vault gets ours: that takes no memory.
MI_COLD void mii_vault_move(heap_t* heap, heap_t* to) {
  mii_apart_lock();
  vault_t* const from = atomic_load_explicit(&heap->vault, memory_order_relaxed);
  vault_t* const vault = atomic_load_explicit(&to->vault, memory_order_relaxed);
  if (from != NULL && vault != NULL) {
    lock_vault(from);
    lock_vault(vault);
    while (!is_empty_circle(&from->pages))
      move_hardened(page_in_vault(from->pages.next), to, vault);
    unlock_vault(vault);
    unlock_vault(from);
  } else if (from != NULL) {
    for (const links_t* links = from->pages.next; links != &from->pages; links = links->next)
      atomic_store_explicit(&mii_slice_cold(page_in_vault(links)->slice)->heap, to,
                            memory_order_relaxed);
    atomic_store_explicit(&heap->vault, NULL, memory_order_relaxed);
    atomic_store_explicit(&to->vault, from, memory_order_release);
  }
  mii_apart_unlock();
}

// All vaults ---------------------------------------------------------------------------------------

static void collect_vault(vault_t* vault) {
  lock_vault(vault);
  for (links_t *links = vault->pages.next, *next; links != &vault->pages; links = next) {
    hardened_t* const page = page_in_vault(links);
    next = links->next;
    if (page->in_circle.next != NULL && mii_hardened_is_empty(page)) end_hardened(page);
  }
  unlock_vault(vault);
}

MI_COLD void mii_vault_collect_all(void) {
  mii_vault_unload(mii_theap_mine);
  for (vault_t* v = first_vault(); v != NULL; v = v->next_made) collect_vault(v);
}

MI_COLD hardened_count_t mii_vault_count(size_t slice) {
  const hardened_t* const page = mii_hardened_in(slice);
  if (page == NULL) return (hardened_count_t){CLASS_COUNT, 0, 0, 0};
  const uint32_t opened = mii_hardened_opened(page);
  const uint32_t free = (uint32_t)mii_min(mii_hardened_free_count(page), opened);
  return (hardened_count_t){page->size_class, opened, opened - free, mii_hardened_touched(page)};
}

static vault_t* locked_vaults;  // between lock_all and unlock_all, which one thread calls

// The caller holds the lock of heaps, so no vault joins the list meanwhile.
MI_COLD void mii_vault_lock_all(void) {
  locked_vaults = first_vault();
  for (vault_t* v = locked_vaults; v != NULL; v = v->next_made) mii_lock_wait(&v->lock);
}

MI_COLD void mii_vault_unlock_all(void) {
  for (vault_t* v = locked_vaults; v != NULL; v = v->next_made) mii_lock_give(&v->lock);
}

MI_COLD void mii_vault_reseed_all(void) {
  for (theap_t* theap = mii_thread_first_theap(); theap != NULL; theap = theap->next_made) {
    if (theap->stock != NULL) mii_secure_seed(&theap->stock->rng);
  }
}

// Validator ----------------------------------------------------------------------------------------

// V1
static bool vault_is_valid(const vault_t* vault) {
  for (const links_t* links = vault->pages.next; links != &vault->pages; links = links->next) {
    const hardened_t* const page = page_in_vault(links);
    const bool counts = atomic_load_explicit(&page->needed, memory_order_relaxed) > 0;
    if (!MI_HOLDS(vault_of_page(page) == vault)) return false;
    if (!MI_HOLDS((page->in_circle.next != NULL) + is_held(page) <= 1)) return false;
    if (!MI_HOLDS(is_held(page) || counts || page->in_circle.next != NULL)) return false;
    if (!is_held(page) && !mii_hardened_is_valid(page)) return false;
  }
  return true;
}

// Lock held. What others may take, or are about to seal or to free, is not looked at.
static crime_t inspect_block(const hardened_t* page, uint32_t index) {
  size_t size;
  const uint8_t* const p = mii_hardened_block(page, index);
  if (!mii_hardened_is_live(page, index))
    return is_held(page) || mii_bytes_are_zero(p, page->block_bytes) ? CRIME_NONE
                                                                     : CRIME_WRITE_AFTER_FREE;
  const crime_t crime = examine_seal(page, p, &size);
  const bool sealed = !mii_bytes_are_zero(p + page->block_bytes - CANARY_BYTES, CANARY_BYTES);
  return sealed && mii_hardened_is_live(page, index) ? crime : CRIME_NONE;
}

// The first thing that is wrong. Lock held.
static crime_t inspect(const vault_t* vault, scene_t* scene) {
  for (const links_t* links = vault->pages.next; links != &vault->pages; links = links->next) {
    const hardened_t* const page = page_in_vault(links);
    for (uint32_t i = 0; i < mii_hardened_opened(page); i++) {
      const crime_t crime = inspect_block(page, i);
      if (crime == CRIME_NONE) continue;
      *scene = scene_of(page, mii_hardened_block(page, i));
      return crime;
    }
  }
  return CRIME_NONE;
}

MI_COLD bool mii_vault_check_all(void) {
  mii_vault_unload(mii_theap_mine);
  bool good = true;
  for (vault_t* v = first_vault(); v != NULL; v = v->next_made) {
    scene_t scene;
    lock_vault(v);
    good = vault_is_valid(v) && good;
    const crime_t crime = has_canaries() ? inspect(v, &scene) : CRIME_NONE;
    unlock_vault(v);
    if (crime == CRIME_NONE) continue;
    good = false;
    mii_secure_report(crime, "check", &scene);
  }
  return good;
}

MI_COLD bool mii_vaults_are_valid(void) {
  for (const vault_t* v = first_vault(); v != NULL; v = v->next_made) {
    if (!vault_is_valid(v)) return false;
  }
  return true;
}
