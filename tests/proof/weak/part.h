// SPDX-License-Identifier: MIT
// part.h - the variables of relacy.cpp's world, and the places that use them
#ifndef WEAK_PART_H
#define WEAK_PART_H

#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#include <memory>
#include <new>
#include <vector>

// A variable, by the function that makes it new.
struct part_t {
  void* object;
  void (*renew)(void* object);
  void (*destroy)(void* object);
};
inline std::vector<part_t>& parts() {
  static std::vector<part_t> all;
  return all;
}
inline void parts_renew() {
  for (const part_t& part : parts()) part.renew(part.object);
}

// A place in the sources that says a memory order. They are found while the program runs, inside of Relacy's
// executions, so nothing here allocates.
struct site_t {
  const char* file;
  bool is_source;  // not a file of the proof
  unsigned line;
  const char* role;        // which order, where there are two
  rl::memory_order order;  // as written
  rl::memory_order used;   // the same, or weaker
  site_t* next;
  site_t(const char* path, unsigned at, const char* its_role, int as_written);
  rl::debug_info info() const { return rl::debug_info("", file, line); }
};

// mii_theap_mine is one variable, and every operation may switch threads.
struct turn_t {
  void* mine;
  turn_t();
  ~turn_t();
};

template <class T> struct atom_t {
  rl::atomic<T>* real = (rl::atomic<T>*)::operator new(sizeof(rl::atomic<T>));

  atom_t() {
    parts().push_back({this,
                       [](void* object) {
                         atom_t* const atom = (atom_t*)object;
                         ::new (atom->real) rl::atomic<T>();
                         *atom = T();
                       },
                       [](void* object) { std::destroy_at(((atom_t*)object)->real); }});
  }
  T operator=(T v) { return real->store(v, rl::mo_relaxed, $), v; }
  operator T() const { return real->load(rl::mo_relaxed, $); }

  T load(const site_t* s) const {
    const turn_t turn;
    return real->load(s->used, s->info());
  }
  void store(T v, const site_t* s) {
    const turn_t turn;
    real->store(v, s->used, s->info());
  }
  T exchange(T v, const site_t* s) {
    const turn_t turn;
    return real->exchange(v, s->used, s->info());
  }
  T fetch_add(T v, const site_t* s) {
    const turn_t turn;
    return real->fetch_add(v, s->used, s->info());
  }
  T fetch_or(T v, const site_t* s) {
    const turn_t turn;
    return real->fetch_or(v, s->used, s->info());
  }
  T fetch_and(T v, const site_t* s) {
    const turn_t turn;
    return real->fetch_and(v, s->used, s->info());
  }
  bool compare_exchange(T* seen, T v, const site_t* s, const site_t* fail, bool weak) {
    const turn_t turn;
    return weak
               ? real->compare_exchange_weak(*seen, v, s->used, s->info(), fail->used, s->info())
               : real->compare_exchange_strong(*seen, v, s->used, s->info(), fail->used, s->info());
  }
};

// A field that only one thread may touch at a time.
template <class T> struct plain_t {
  rl::var<T>* real = (rl::var<T>*)::operator new(sizeof(rl::var<T>));

  plain_t() {
    parts().push_back({this,
                       [](void* object) {
                         plain_t* const plain = (plain_t*)object;
                         ::new (plain->real) rl::var<T>();
                         *plain = T();
                       },
                       [](void* object) { std::destroy_at(((plain_t*)object)->real); }});
  }
  plain_t& operator=(const plain_t& other) { return *this = (T)other, *this; }
  T operator=(T v) { return (*real)($) = v, v; }
  operator T() const { return (*real)($); }
  T operator->() const { return (*real)($); }
  T operator|=(T v) { return *this = (T)((T) * this | v); }
  T operator&=(T v) { return *this = (T)((T) * this & v); }
  T operator++(int) { return *this = (T)((T) * this + 1); }  // its value is not used
  T operator++() { return *this = (T)((T) * this + 1); }
  T operator--(int) { return *this = (T)((T) * this - 1); }  // its value is not used
  T operator--() { return *this = (T)((T) * this - 1); }
};

#endif
