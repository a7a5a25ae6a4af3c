// SPDX-License-Identifier: MIT
// vault.c - hardened pages of a heap, behind a lock, and magazines, which need none
//
// A theap keeps some blocks of each class in a magazine: malloc takes a random one of them, and free puts
// its block there. So there is a lock only per half a magazine, what comes next cannot be told, and a freed
// block waits for a while. Whether a block lives says a bit that both set and clear in one step.
//
//   V1  pages with room are in the circle of their class; all pages are in `pages`
//   V2  a page none of whose blocks is taken is kept if it is alone in its circle, and ends otherwise
//   V3  blocks in a magazine are of its theap's heap, are taken, and do not live
//   V4  the vaults of a heap that has ended are retired: nobody takes from them. Their pages, if it was
//       deleted, are those of the heap that its blocks went to
//
// At SECURE_CANARY all free memory is zero: blocks from when they are freed on, pages from when they begin.
//
// Tests: tests/unit/heap/vault_test.c, tests/api/hardened_test.c
#include "heap/vault.h"
#include "base/assert.h"
#include "heap/apart.h"
#include "heap/thread.h"
#include "page/canary.h"
#include "runtime/lock.h"
#include "space/purge.h"
#include <string.h>

enum {
  TAKES_PER_BEAT = 64,
  ROOM_ONE_IN = 8,  // how much of a page must be free to be worth a move
  TURN_ONE_IN =
      8,  // how often the second page of the circle is taken from, not the first: two fill up
  MAGAZINE_BLOCKS_MIN = 4,
  MAGAZINE_BYTES = 16 * 1024,
};

struct vault_s {
  lock_t lock;                     // of rank LOCK_AREA: fork holds several, others one
  heap_t* heap;                    // lock(vault)
  bool is_retired;                 // lock(vault)
  vault_t* next_made;              // const
  hardened_t* roomy[CLASS_COUNT];  // lock(vault), as all below
  hardened_t* pages;
};

static _Atomic(vault_t*)
    made_vaults;  // atomic: release to add, under the lock of heaps; acquire to walk
static _Atomic(uint32_t) next_index;  // atomic: relaxed; the next theap's vault

static void lock_vault(vault_t* vault) { mii_lock_enter(&vault->lock); }
static void unlock_vault(vault_t* vault) { mii_lock_leave(&vault->lock); }

static bool has_canaries(void) { return mii_secure_level() >= SECURE_CANARY; }

// Which vault --------------------------------------------------------------------------------------

// Lock of heaps held. One of a heap that has ended, if it is empty by now.
static vault_t* reuse_vault(heap_t* heap) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    lock_vault(v);
    const bool fits = v->is_retired && v->pages == NULL;
    if (fits) v->is_retired = false, v->heap = heap;
    unlock_vault(v);
    if (fits) return v;
  }
  return NULL;
}

// Lock of heaps held.
static vault_t* make_vault(heap_t* heap) {
  vault_t* vault = reuse_vault(heap);
  if (vault != NULL) return vault;
  vault = mii_meta_take(sizeof *vault);
  if (vault == NULL) return NULL;
  vault->lock.rank = LOCK_AREA;
  vault->heap = heap;
  vault->next_made = atomic_load_explicit(&made_vaults, memory_order_relaxed);
  atomic_store_explicit(&made_vaults, vault, memory_order_release);
  return vault;
}

static MI_COLD vault_t* add_vault(heap_t* heap, uint32_t index) {
  mii_apart_lock();
  vault_t* vault = atomic_load_explicit(&heap->vaults[index], memory_order_relaxed);
  if (vault == NULL) vault = make_vault(heap);
  atomic_store_explicit(&heap->vaults[index], vault, memory_order_release);
  mii_apart_unlock();
  return vault;
}

static vault_t* vault_of(const theap_t* theap) {
  const uint32_t index = theap->stock->vault_index;
  vault_t* const vault = atomic_load_explicit(&theap->heap->vaults[index], memory_order_acquire);
  return MI_LIKELY(vault != NULL) ? vault : add_vault(theap->heap, index);
}

// The page that p lies in, with its vault locked; NULL if it lies in none. The vault may change, or the page
// end, until we have the lock. Acquire pairs with the releases of who moves a page: the vault may be a new one.
static hardened_t* lock_page_of(const void* p, vault_t** its_vault) {
  const size_t slice = mii_slice_of(p);
  for (hardened_t* page; (page = mii_hardened_in(slice)) != NULL;) {
    vault_t* const vault = atomic_load_explicit(&page->vault, memory_order_acquire);
    if (vault == NULL) continue;
    lock_vault(vault);
    *its_vault = vault;
    if (atomic_load_explicit(&page->vault, memory_order_relaxed) == vault && page->slice == slice)
      return page;
    unlock_vault(vault);
  }
  return NULL;
}

// Pages, with the lock held ------------------------------------------------------------------------

static void join_circle(vault_t* vault, hardened_t* page) {
  hardened_t** const circle = &vault->roomy[page->size_class];
  if (*circle == NULL) {
    page->next = page->prev = page;
    *circle = page;
    return;
  }
  page->next = *circle;
  page->prev = (*circle)->prev;
  page->prev->next = page;
  (*circle)->prev = page;
}

static void leave_circle(vault_t* vault, hardened_t* page) {
  hardened_t** const circle = &vault->roomy[page->size_class];
  page->prev->next = page->next;
  page->next->prev = page->prev;
  if (*circle == page) *circle = page->next != page ? page->next : NULL;
}

static void link_page(vault_t* vault, hardened_t* page) {
  page->prev_of_vault = NULL;
  page->next_of_vault = vault->pages;
  if (vault->pages != NULL) vault->pages->prev_of_vault = page;
  vault->pages = page;
  join_circle(vault, page);
}

static void unlink_page(vault_t* vault, hardened_t* page) {
  if (mii_hardened_has_room(page)) leave_circle(vault, page);
  if (page->next_of_vault != NULL) page->next_of_vault->prev_of_vault = page->prev_of_vault;
  if (page->prev_of_vault != NULL) {
    page->prev_of_vault->next_of_vault = page->next_of_vault;
  } else {
    vault->pages = page->next_of_vault;
  }
}

static void end_hardened(vault_t* vault, hardened_t* page) {
  unlink_page(vault, page);
  mii_hardened_unmake(page);
}

static bool is_empty(const hardened_t* page) { return page->free == page->opened; }

static void release_block(vault_t* vault, hardened_t* page, uint32_t index) {
  const bool had_room = mii_hardened_has_room(page);
  mii_hardened_release(page, index);
  if (!had_room) join_circle(vault, page);
  const bool is_alone = page->next == page;
  if (is_empty(page) && (!is_alone || vault->is_retired)) end_hardened(vault, page);  // V2
}

static void collect_vault(vault_t* vault) {
  for (hardened_t *page = vault->pages, *next; page != NULL; page = next) {
    next = page->next_of_vault;
    if (is_empty(page)) end_hardened(vault, page);
  }
}

// Load ---------------------------------------------------------------------------------------------

static uint32_t room_for(uint32_t size_class) {
  const size_t blocks = MAGAZINE_BYTES / mii_class_bytes(size_class);
  return (uint32_t)mii_max(MAGAZINE_BLOCKS_MIN, mii_min(blocks, MAGAZINE_BLOCKS));
}

stock_t* mii_theap_make_stock(theap_t* theap) {
  stock_t* const stock = mii_meta_take(sizeof *stock);
  if (stock == NULL) return NULL;
  mii_secure_seed(&stock->rng);
  stock->vault_index =
      atomic_fetch_add_explicit(&next_index, 1, memory_order_relaxed) % HEAP_VAULTS;
  for (uint32_t c = 0; mii_secure_has_vaults() && c < CLASS_COUNT; c++)
    stock->magazines[c].room = room_for(c);
  return theap->stock = stock;
}

static bool comes_up(rng_t* rng, uint32_t one_in) { return mii_rng_8(rng) % one_in == 0; }

// Lock held. Half of the magazine, or what there is; one block if the theap keeps nothing.
static void load_from(vault_t* vault, theap_t* theap, magazine_t* magazine, uint32_t size_class) {
  hardened_t** const circle = &vault->roomy[size_class];
  rng_t* const rng = &theap->stock->rng;
  const uint32_t wanted = theap->keeps_nothing ? 1 : magazine->room / 2;
  while (*circle != NULL && magazine->count < wanted) {
    hardened_t* const page = comes_up(rng, TURN_ONE_IN) ? (*circle)->next : *circle;
    magazine->blocks[magazine->count++] = mii_hardened_take(page, rng);
    if (!mii_hardened_has_room(page)) leave_circle(vault, page);
  }
}

// Memory is the process's, not a thread's: before a new page is made, one that has room moves here from
// another vault of the heap. Our lock is held; nobody waits for two.
static bool bring_page(vault_t* vault, vault_t* from, uint32_t size_class) {
  if (from == NULL || from == vault || !mii_lock_try(&from->lock)) return false;
  hardened_t* const page = from->roomy[size_class];
  const bool good = page != NULL && page->free >= page->block_count / ROOM_ONE_IN;
  if (good) {
    unlink_page(from, page);
    link_page(vault, page);
    atomic_store_explicit(&page->vault, vault, memory_order_release);
  }
  mii_lock_give(&from->lock);
  return good;
}

static MI_COLD bool bring_any_page(const heap_t* heap, vault_t* vault, uint32_t size_class) {
  if (mii_lock_is_mine_by_fork()) return false;  // it has all locks
  for (uint32_t i = 0; i < HEAP_VAULTS; i++) {
    vault_t* const from = atomic_load_explicit(&heap->vaults[i], memory_order_acquire);
    if (bring_page(vault, from, size_class)) return true;
  }
  return false;
}

static MI_COLD hardened_t* make_page_of(heap_t* heap, uint32_t size_class, rng_t* rng) {
  return mii_hardened_make(size_class, heap->bounds, heap, mii_rng_64(rng));
}

// So few are left that there is no choice.
static inline bool is_low(const magazine_t* magazine) {
  return magazine->count <= magazine->room / 4;
}

static bool wants_more(const theap_t* theap, const magazine_t* magazine) {
  return theap->keeps_nothing ? magazine->count == 0 : is_low(magazine);
}

// Slices are taken without our lock: that may take the range's.
static MI_NOINLINE void load(theap_t* theap, magazine_t* magazine, uint32_t size_class) {
  vault_t* const vault = vault_of(theap);
  if (vault == NULL) return;
  lock_vault(vault);
  load_from(vault, theap, magazine, size_class);
  if (wants_more(theap, magazine) && bring_any_page(theap->heap, vault, size_class))
    load_from(vault, theap, magazine, size_class);
  unlock_vault(vault);
  if (!wants_more(theap, magazine)) return;
  hardened_t* const page = make_page_of(theap->heap, size_class, &theap->stock->rng);
  if (page == NULL) return;
  lock_vault(vault);
  link_page(vault, page);
  mii_hardened_publish(page, vault);
  load_from(vault, theap, magazine, size_class);
  unlock_vault(vault);
  mii_secure_warn_of_guards();
}

// Unload -------------------------------------------------------------------------------------------

MI_COLD static void bring_back(const void* p) {
  vault_t* vault;
  uint32_t index;
  hardened_t* const page = lock_page_of(p, &vault);
  mii_hardened_index(page, p, &index);
  release_block(vault, page, index);
  unlock_vault(vault);
}

// A random one.
static inline void* take_out(magazine_t* magazine, rng_t* rng) {
  void** const place = &magazine->blocks[mii_rng_8(rng) * magazine->count >> 8];
  void* const p = *place;
  *place = magazine->blocks[--magazine->count];
  return p;
}

static MI_NOINLINE void unload_magazine(theap_t* theap, magazine_t* magazine, uint32_t left) {
  rng_t* const rng = &theap->stock->rng;
  while (magazine->count > left) bring_back(take_out(magazine, rng));
}

void mii_vault_unload(theap_t* theap) {
  for (uint32_t c = 0; theap->stock != NULL && c < CLASS_COUNT; c++)
    unload_magazine(theap, &theap->stock->magazines[c], 0);
}

MI_COLD void mii_vault_forget(theap_t* theap) {
  for (uint32_t c = 0; theap->stock != NULL && c < CLASS_COUNT; c++)
    theap->stock->magazines[c].count = 0;
}

MI_COLD MI_NO_TSAN size_t mii_vault_held_bytes(const theap_t* theap) {
  size_t bytes = 0;
  for (uint32_t c = 0; theap->stock != NULL && c < CLASS_COUNT; c++)
    bytes += (size_t)theap->stock->magazines[c].count * mii_class_bytes(c);
  return bytes;
}

// The page of a block that is taken.
static scene_t scene_of(const hardened_t* page, const void* p) {
  const uint32_t inside = (uint32_t)((uintptr_t)p - (uintptr_t)mii_hardened_start(page));
  return (scene_t){
      .p = p,
      .block = (const uint8_t*)p - inside % page->block_bytes,
      .bytes = page->block_bytes,
      .heap = atomic_load_explicit(&mii_slice_cold(page->slice)->heap, memory_order_relaxed),
      .size_class = page->size_class,
  };
}

// Take ---------------------------------------------------------------------------------------------

// It is ours alone.
static void check_zero(const hardened_t* page, void* p) {
  if (MI_LIKELY(mii_bytes_are_zero(p, page->block_bytes))) return;
  const scene_t scene = scene_of(page, p);
  memset(p, 0, page->block_bytes);
  mii_secure_report(CRIME_WRITE_AFTER_FREE, "malloc", &scene);
}

void* mii_vault_take(theap_t* theap, uint32_t size_class) {
  stock_t* const stock = theap->stock != NULL ? theap->stock : mii_theap_make_stock(theap);
  if (MI_UNLIKELY(stock == NULL)) return NULL;
  if (MI_UNLIKELY(++stock->takes % TAKES_PER_BEAT == 0)) mii_theap_beat(theap);
  magazine_t* const magazine = &stock->magazines[size_class];
  if (MI_UNLIKELY(is_low(magazine))) load(theap, magazine, size_class);
  if (MI_UNLIKELY(magazine->count == 0)) return NULL;
  void* const p = take_out(magazine, &stock->rng);
  hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  uint32_t index;
  mii_hardened_index(page, p, &index);
  mii_hardened_begin(page, index);
  theap->blocks_handed++;
  theap->bytes_handed += page->block_bytes;
  if (has_canaries()) check_zero(page, p);
  return p;
}

// The page cannot end while the block lives, and its key does not change.
void mii_vault_seal(void* p, size_t size) {
  const hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  mii_canary_set(p, page->block_bytes, size, page->key);
}

// Give ---------------------------------------------------------------------------------------------

// Of a live block. Its size goes to *size: what it was sealed with, or all of it.
static crime_t examine_seal(const hardened_t* page, const void* p, size_t* size) {
  *size = page->block_bytes;
  if (!has_canaries()) return CRIME_NONE;
  const size_t sealed = mii_canary_check(p, page->block_bytes, page->key);
  *size = sealed != 0 ? sealed : page->block_bytes - CANARY_BYTES;
  return sealed != 0 ? CRIME_NONE : CRIME_OVERFLOW;
}

// Of a block that does not live: what was never opened was never freed.
MI_NO_TSAN static crime_t crime_of_dead(const hardened_t* page, uint32_t index) {
  return index < page->opened ? CRIME_DOUBLE_FREE : CRIME_NO_BLOCK;
}

MI_COLD crime_t mii_vault_examine(const void* p, size_t* size, scene_t* scene) {
  uint32_t index;
  *size = 0;
  *scene = (scene_t){.p = p};
  const hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  if (page == NULL) return CRIME_NO_BLOCK;
  *scene = scene_of(page, p);
  if (!mii_hardened_index(page, p, &index)) return CRIME_NO_BLOCK;
  if (!mii_hardened_is_live(page, index)) return crime_of_dead(page, index);
  return examine_seal(page, p, size);
}

size_t mii_vault_bytes(const void* p) {
  size_t size;
  scene_t scene;
  mii_vault_examine(p, &size, &scene);
  return size;
}

// The block is nobody's now. A wild pointer may have led to the record of a page that has just ended, and is
// another's: then the bit was that of a block which lives on.
static crime_t end_block(hardened_t* page, const void* p) {
  size_t size;
  uint32_t index;
  const slice_t slice = (slice_t)mii_slice_of(p);
  if (!mii_hardened_index(page, p, &index)) return CRIME_NO_BLOCK;
  if (!mii_hardened_end(page, index)) return crime_of_dead(page, index);
  if (MI_LIKELY(page->slice == slice)) return examine_seal(page, p, &size);
  mii_hardened_begin(page, index);
  return CRIME_NO_BLOCK;
}

// Into the magazine of malloc's theap, if the block is of its heap.
static void keep(const hardened_t* page, void* p) {
  theap_t* const theap = mii_theap_mine;
  const heap_t* const heap =
      atomic_load_explicit(&mii_slice_cold(page->slice)->heap, memory_order_relaxed);
  if (MI_UNLIKELY(theap->stock == NULL || theap->heap != heap || theap->keeps_nothing)) {
    bring_back(p);
    return;
  }
  magazine_t* const magazine = &theap->stock->magazines[page->size_class];
  if (MI_UNLIKELY(magazine->count == magazine->room))
    unload_magazine(theap, magazine, magazine->count / 2);
  magazine->blocks[magazine->count++] = p;
}

static inline void take_back(const hardened_t* page, void* p) {
  if (has_canaries()) memset(p, 0, page->block_bytes);
  keep(page, p);
}

// page is NULL if p lies in none.
static MI_COLD void report_give(crime_t crime, const hardened_t* page, void* p, const char* what) {
  const scene_t scene = page != NULL ? scene_of(page, p) : (scene_t){.p = p};
  if (crime == CRIME_OVERFLOW) take_back(page, p);
  mii_secure_report(crime, what, &scene);
}

void mii_vault_give(void* p, const char* what) {
  hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  const crime_t crime = page != NULL ? end_block(page, p) : CRIME_NO_BLOCK;
  if (MI_UNLIKELY(crime != CRIME_NONE)) {
    report_give(crime, page, p, what);
  } else {
    take_back(page, p);
  }
}

// All vaults ---------------------------------------------------------------------------------------

static void visit_vaults(void (*visit)(vault_t* vault)) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made)
    visit(v);
}

static void collect_with_lock(vault_t* vault) {
  lock_vault(vault);
  collect_vault(vault);
  unlock_vault(vault);
}

MI_COLD void mii_vault_collect_all(void) {
  mii_vault_unload(mii_theap_mine);
  visit_vaults(collect_with_lock);
}

// What the program has left in the page goes back to the system, or is overwritten. Lock held.
static void discard_hardened(vault_t* vault, hardened_t* page) {
  uint8_t* const start = mii_hardened_start(page);
  if (has_canaries() && !mii_purge_memory(start, SLICE_BYTES))
    memset(start, 0, (size_t)page->opened * page->block_bytes);
  end_hardened(vault, page);
}

static void forget_vaults(heap_t* heap) {
  for (uint32_t i = 0; i < HEAP_VAULTS; i++)
    atomic_store_explicit(&heap->vaults[i], NULL, memory_order_relaxed);
}

MI_COLD void mii_vault_discard(heap_t* heap) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    lock_vault(v);
    if (v->heap == heap) {
      while (v->pages != NULL) discard_hardened(v, v->pages);
      v->is_retired = true;
      v->heap = NULL;
    }
    unlock_vault(v);
  }
  forget_vaults(heap);
}

// V4. Lock held.
static void retire_to(vault_t* vault, heap_t* to) {
  collect_vault(vault);
  for (hardened_t* page = vault->pages; page != NULL; page = page->next_of_vault)
    atomic_store_explicit(&mii_slice_cold(page->slice)->heap, to, memory_order_relaxed);
  vault->heap = to;
  vault->is_retired = true;
}

MI_COLD void mii_vault_move(heap_t* heap, heap_t* to) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    lock_vault(v);
    if (v->heap == heap) retire_to(v, to);
    unlock_vault(v);
  }
  forget_vaults(heap);
}

MI_COLD MI_NO_TSAN hardened_count_t mii_vault_count(size_t slice) {
  const hardened_t* const page = mii_hardened_in(slice);
  if (page == NULL) return (hardened_count_t){CLASS_COUNT, 0, 0};
  return (hardened_count_t){page->size_class, page->opened, mii_hardened_live_count(page)};
}

// Fork ---------------------------------------------------------------------------------------------

static vault_t* locked_vaults;  // between lock_all and unlock_all, which one thread calls

// The caller holds the lock of heaps, so no vault joins the list meanwhile.
MI_COLD void mii_vault_lock_all(void) {
  locked_vaults = atomic_load_explicit(&made_vaults, memory_order_acquire);
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

static bool is_in_circle(const vault_t* vault, const hardened_t* page) {
  const hardened_t* const first = vault->roomy[page->size_class];
  for (const hardened_t* p = first; p != NULL;) {
    if (p == page) return true;
    p = p->next != first ? p->next : NULL;
  }
  return false;
}

static bool vault_is_valid(const vault_t* vault) {
  for (const hardened_t* page = vault->pages; page != NULL; page = page->next_of_vault) {
    if (!MI_HOLDS(atomic_load_explicit(&page->vault, memory_order_relaxed) == vault)) return false;
    if (!MI_HOLDS(is_in_circle(vault, page) == mii_hardened_has_room(page))) return false;  // V1
    if (!mii_hardened_is_valid(page)) return false;
  }
  return true;
}

// Lock held. What others have in their magazines, or are about to seal, is not looked at.
static crime_t inspect_block(const hardened_t* page, uint32_t index) {
  const uint8_t* const p = mii_hardened_start(page) + (size_t)index * page->block_bytes;
  const bool zero = mii_bytes_are_zero(p, page->block_bytes);
  if (!mii_hardened_is_taken(page, index)) return zero ? CRIME_NONE : CRIME_WRITE_AFTER_FREE;
  size_t size;
  if (zero || !mii_hardened_is_live(page, index)) return CRIME_NONE;
  const crime_t crime = examine_seal(page, p, &size);
  return mii_hardened_is_live(page, index) ? crime : CRIME_NONE;  // freed meanwhile
}

// The first thing that is wrong. Lock held.
static crime_t inspect(vault_t* vault, scene_t* scene) {
  for (hardened_t* page = vault->pages; page != NULL; page = page->next_of_vault) {
    for (uint32_t i = 0; i < page->opened; i++) {
      const crime_t crime = inspect_block(page, i);
      if (crime == CRIME_NONE) continue;
      *scene = scene_of(page, mii_hardened_start(page) + (size_t)i * page->block_bytes);
      return crime;
    }
  }
  return CRIME_NONE;
}

MI_COLD bool mii_vault_check_all(void) {
  mii_vault_unload(mii_theap_mine);
  bool good = true;
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
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
  for (const vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    if (!vault_is_valid(v)) return false;
  }
  return true;
}
