// SPDX-License-Identifier: MIT
// vault.c - hardened pages of a heap, behind a lock
//
//   V1  pages with room are in the circle of their class; all pages are in `pages`
//   V2  a page without live blocks and blocks in quarantine is kept if it is alone in its circle, and ends
//       otherwise
//   V3  blocks in quarantine belong to pages of the vault. They are not live, and zero
//   V4  the vaults of a heap that has ended are retired: nobody takes from them. Their pages, if it was
//       deleted, are those of the heap that its blocks went to
//
// At SECURE_CANARY all free memory is zero: blocks from when they are freed on, pages from when they begin.
//
// Tests: tests/unit/heap/vault_test.c, tests/api/hardened_test.c
#include "heap/vault.h"
#include "base/assert.h"
#include "heap/apart.h"
#include "page/canary.h"
#include "runtime/lock.h"
#include "space/purge.h"
#include <string.h>

enum {
  TAKES_PER_BEAT = 64,
  ROOM_ONE_IN = 8,  // how much of a page must be free to be worth a move
  TURN_ONE_IN = 8,  // how often the next page of the circle is taken from
  QUARANTINE_BLOCKS = 64,
  QUARANTINE_BYTES = 256 * 1024,
};

struct vault_s {
  lock_t lock;                     // of rank LOCK_AREA: fork holds several, others one
  heap_t* heap;                    // lock(vault)
  bool is_retired;                 // lock(vault)
  vault_t* next_made;              // const
  hardened_t* roomy[CLASS_COUNT];  // lock(vault), as all below
  hardened_t* pages;
  rng_t rng;
  uint32_t quarantine_count;
  size_t quarantine_bytes;
  void* quarantine[QUARANTINE_BLOCKS];
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
  mii_secure_seed(&vault->rng);
  vault->next_made = atomic_load_explicit(&made_vaults, memory_order_relaxed);
  atomic_store_explicit(&made_vaults, vault, memory_order_release);
  return vault;
}

static MI_NOINLINE vault_t* add_vault(heap_t* heap, uint32_t index) {
  mii_apart_lock();
  vault_t* vault = atomic_load_explicit(&heap->vaults[index], memory_order_relaxed);
  if (vault == NULL) vault = make_vault(heap);
  atomic_store_explicit(&heap->vaults[index], vault, memory_order_release);
  mii_apart_unlock();
  return vault;
}

static uint32_t index_of(theap_t* theap) {
  if (theap->vault_index == 0) {
    theap->vault_index =
        1 + atomic_fetch_add_explicit(&next_index, 1, memory_order_relaxed) % HEAP_VAULTS;
  }
  return theap->vault_index - 1;
}

static vault_t* vault_of(theap_t* theap) {
  const uint32_t index = index_of(theap);
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

// Quarantine, with the lock held -------------------------------------------------------------------

static void release_at(vault_t* vault, uint32_t place) {
  void* const p = vault->quarantine[place];
  hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  uint32_t index;
  mii_hardened_index(page, p, &index);
  vault->quarantine[place] = vault->quarantine[--vault->quarantine_count];
  vault->quarantine_bytes -= page->block_bytes;
  release_block(vault, page, index);
}

// Some block comes out for one that comes in: which one cannot be told from outside.
static void hold_back(vault_t* vault, const hardened_t* page, void* p) {
  if (vault->quarantine_count == QUARANTINE_BLOCKS)
    release_at(vault, mii_rng_below(&vault->rng, QUARANTINE_BLOCKS));
  vault->quarantine[vault->quarantine_count++] = p;
  vault->quarantine_bytes += page->block_bytes;
  while (vault->quarantine_bytes > QUARANTINE_BYTES)
    release_at(vault, mii_rng_below(&vault->rng, vault->quarantine_count));
}

static void collect_vault(vault_t* vault) {
  while (vault->quarantine_count > 0) release_at(vault, vault->quarantine_count - 1);
  for (hardened_t *page = vault->pages, *next; page != NULL; page = next) {
    next = page->next_of_vault;
    if (is_empty(page)) end_hardened(vault, page);
  }
}

// Take ---------------------------------------------------------------------------------------------

// Lock held.
static void* take_of_roomy(vault_t* vault, uint32_t size_class) {
  hardened_t* page = vault->roomy[size_class];
  if (page == NULL) return NULL;
  if (page->next != page && mii_secure_level() >= SECURE_RANDOM
      && mii_rng_below(&vault->rng, TURN_ONE_IN) == 0)
    vault->roomy[size_class] = page = page->next;
  void* const p = mii_hardened_take(page, &vault->rng);
  if (!mii_hardened_has_room(page)) leave_circle(vault, page);
  return p;
}

// Memory is the process's, not a thread's: before a new page is made, one that has room and no block in
// quarantine moves here from another vault of the heap. Our lock is held; nobody waits for two.
static bool bring_page(vault_t* vault, vault_t* from, uint32_t size_class) {
  if (from == NULL || from == vault || !mii_lock_try(&from->lock)) return false;
  hardened_t* const page = from->roomy[size_class];
  const bool good = page != NULL && page->free >= page->block_count / ROOM_ONE_IN
                    && page->free + page->used == page->opened;
  if (good) {
    unlink_page(from, page);
    link_page(vault, page);
    atomic_store_explicit(&page->vault, vault, memory_order_release);
  }
  mii_lock_give(&from->lock);
  return good;
}

static bool bring_any_page(theap_t* theap, vault_t* vault, uint32_t size_class) {
  if (mii_lock_is_mine_by_fork()) return false;  // it has all locks
  for (uint32_t i = 0; i < HEAP_VAULTS; i++) {
    vault_t* const from = atomic_load_explicit(&theap->heap->vaults[i], memory_order_acquire);
    if (bring_page(vault, from, size_class)) return true;
  }
  return false;
}

// Slices are taken without our lock: that may take the range's.
static MI_NOINLINE void* take_of_new(theap_t* theap, vault_t* vault, uint32_t size_class) {
  lock_vault(vault);
  const bool brought = bring_any_page(theap, vault, size_class);
  void* const found = brought ? take_of_roomy(vault, size_class) : NULL;
  const uint64_t key = mii_rng_64(&vault->rng);
  unlock_vault(vault);
  if (found != NULL) return found;
  heap_t* const heap = theap->heap;
  hardened_t* const page = mii_hardened_make(size_class, heap->bounds, heap, key);
  if (page == NULL) return NULL;
  lock_vault(vault);
  link_page(vault, page);
  mii_hardened_publish(page, vault);
  void* const p = take_of_roomy(vault, size_class);
  unlock_vault(vault);
  mii_secure_warn_of_guards();
  return p;
}

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

// V3. The block is ours alone.
static void check_zero(void* p, uint32_t size_class) {
  const size_t bytes = mii_class_bytes(size_class);
  if (MI_LIKELY(mii_bytes_are_zero(p, bytes))) return;
  const scene_t scene = scene_of(mii_hardened_in(mii_slice_of(p)), p);
  memset(p, 0, bytes);
  mii_secure_report(CRIME_WRITE_AFTER_FREE, "malloc", &scene);
}

void* mii_vault_take(theap_t* theap, uint32_t size_class) {
  if (++theap->vault_takes % TAKES_PER_BEAT == 0) mii_theap_beat(theap);
  vault_t* const vault = vault_of(theap);
  if (vault == NULL) return NULL;
  lock_vault(vault);
  void* p = take_of_roomy(vault, size_class);
  unlock_vault(vault);
  if (p == NULL) p = take_of_new(theap, vault, size_class);
  if (p == NULL) return NULL;
  theap->blocks_handed++;
  theap->bytes_handed += mii_class_bytes(size_class);
  if (has_canaries()) check_zero(p, size_class);
  return p;
}

// The page cannot end while the block lives, and its key does not change.
void mii_vault_seal(void* p, size_t size) {
  const hardened_t* const page = mii_hardened_in(mii_slice_of(p));
  mii_canary_set(p, page->block_bytes, size, page->key);
}

// Give ---------------------------------------------------------------------------------------------

// Lock held.
static crime_t examine(const hardened_t* page, const void* p, uint32_t* index, size_t* size) {
  *size = 0;
  if (!mii_hardened_index(page, p, index)) return CRIME_NO_BLOCK;
  if (!mii_hardened_is_live(page, *index)) return CRIME_DOUBLE_FREE;
  *size = page->block_bytes;
  if (!has_canaries()) return CRIME_NONE;
  const size_t sealed = mii_canary_check(p, page->block_bytes, page->key);
  *size = sealed != 0 ? sealed : page->block_bytes - CANARY_BYTES;
  return sealed != 0 ? CRIME_NONE : CRIME_OVERFLOW;
}

static bool is_block(crime_t crime) { return crime == CRIME_NONE || crime == CRIME_OVERFLOW; }

crime_t mii_vault_examine(const void* p, size_t* size, scene_t* scene) {
  vault_t* vault;
  uint32_t index;
  *size = 0;
  *scene = (scene_t){.p = p};
  const hardened_t* const page = lock_page_of(p, &vault);
  if (page == NULL) return CRIME_NO_BLOCK;
  const crime_t crime = examine(page, p, &index, size);
  *scene = scene_of(page, p);
  unlock_vault(vault);
  return crime;
}

size_t mii_vault_bytes(const void* p) {
  size_t size;
  scene_t scene;
  mii_vault_examine(p, &size, &scene);
  return size;
}

// Lock held.
static void take_back(vault_t* vault, hardened_t* page, void* p, uint32_t index) {
  mii_hardened_end(page, index);
  if (has_canaries()) {
    memset(p, 0, page->block_bytes);
    hold_back(vault, page, p);
  } else {
    release_block(vault, page, index);
  }
}

void mii_vault_give(void* p, const char* what) {
  vault_t* vault;
  uint32_t index;
  size_t size;
  scene_t scene = {.p = p};
  crime_t crime = CRIME_NO_BLOCK;
  hardened_t* const page = lock_page_of(p, &vault);
  if (page != NULL) {
    crime = examine(page, p, &index, &size);
    if (MI_UNLIKELY(crime != CRIME_NONE)) scene = scene_of(page, p);
    if (is_block(crime)) take_back(vault, page, p, index);
    unlock_vault(vault);
  }
  if (MI_UNLIKELY(crime != CRIME_NONE)) mii_secure_report(crime, what, &scene);
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

void mii_vault_collect_all(void) { visit_vaults(collect_with_lock); }

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

void mii_vault_discard(heap_t* heap) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    lock_vault(v);
    if (v->heap == heap) {
      v->quarantine_count = 0;
      v->quarantine_bytes = 0;
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

void mii_vault_move(heap_t* heap, heap_t* to) {
  for (vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    lock_vault(v);
    if (v->heap == heap) retire_to(v, to);
    unlock_vault(v);
  }
  forget_vaults(heap);
}

MI_NO_TSAN hardened_count_t mii_vault_count(size_t slice) {
  const hardened_t* const page = mii_hardened_in(slice);
  if (page == NULL) return (hardened_count_t){CLASS_COUNT, 0, 0};
  return (hardened_count_t){page->size_class, page->opened, page->used};
}

// Fork ---------------------------------------------------------------------------------------------

static vault_t* locked_vaults;  // between lock_all and unlock_all, which one thread calls

// The caller holds the lock of heaps, so no vault joins the list meanwhile.
void mii_vault_lock_all(void) {
  locked_vaults = atomic_load_explicit(&made_vaults, memory_order_acquire);
  for (vault_t* v = locked_vaults; v != NULL; v = v->next_made) mii_lock_wait(&v->lock);
}

void mii_vault_unlock_all(void) {
  for (vault_t* v = locked_vaults; v != NULL; v = v->next_made) mii_lock_give(&v->lock);
}

static void reseed(vault_t* vault) { mii_secure_seed(&vault->rng); }

void mii_vault_reseed_all(void) { visit_vaults(reseed); }

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

// Lock held.
static crime_t inspect_block(hardened_t* page, uint32_t index) {
  const void* const p = mii_hardened_start(page) + (size_t)index * page->block_bytes;
  if (!mii_hardened_is_live(page, index))
    return mii_bytes_are_zero(p, page->block_bytes) ? CRIME_NONE : CRIME_WRITE_AFTER_FREE;
  size_t size;
  return examine(page, p, &index, &size);
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

bool mii_vault_check_all(void) {
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

bool mii_vaults_are_valid(void) {
  for (const vault_t* v = atomic_load_explicit(&made_vaults, memory_order_acquire); v != NULL;
       v = v->next_made) {
    if (!vault_is_valid(v)) return false;
  }
  return true;
}
