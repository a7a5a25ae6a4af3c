// SPDX-License-Identifier: MIT
// explorer.c - every interleaving of a few threads that run the real sources
//
// The threads of a scenario are coroutines. Each atomic operation first comes back to us (proof_step), and we
// choose who goes on; so between two choices one thread does one atomic operation, and the plain code
// up to the next one. A state is all that can matter for what follows: the variables of the sources (world.o has
// them in sections of their own), and for each thread its saved registers and the used part of its
// stack. Stacks lie at fixed addresses, so a state is put back by copying bytes. We go depth-first, and
// on only from states whose hash (128 bits) we have not seen.
//
// There is no choice at a place that matters to one thread only: one that no other thread accesses, or that nobody
// writes to while threads run. Whoever stands there goes on, because nobody else could tell the difference. Which
// places these are is found out: we begin with none that matters to several threads, and start anew with those that we
// found, until a search finds no more.
//
// usage: explorer [-q] [-t] [name of a scenario]      -q: stop after 100000 states; -t: every step in traces
#include "world.h"
#include "steps.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if !defined(__x86_64__)
#error "switch_to is written for x86-64"
#endif

// Threads ------------------------------------------------------------------------------------------

enum {
  STACK_BYTES = 64 * 1024,
  REACH_BYTES = 4096,  // of stack that a thread may use from one step to the next
};

typedef struct fiber_s {
  char* sp;    // what it needs to go on lies there
  void* mine;  // mii_theap_mine
  bool is_done;
  bool may_fail;  // its next operation
  bool is_alone;  // its next operation is at a place that matters to no other thread
  int line;
  const char* file;
  const char* what;
} fiber_t;

static _Alignas(64) char stacks[THREADS][STACK_BYTES];
static fiber_t fibers[THREADS];
static char* our_sp;
static uint32_t running;
static bool fails;  // the operation that the running thread waits for
static int hushed = 1;
static const scenario_t* scenario;

extern void* mii_theap_mine;

// Saves the registers of the caller on its stack and goes on where *to was saved.
__attribute__((naked, noinline)) static void switch_to(char** from __attribute__((unused)),
                                                       char* to __attribute__((unused))) {
  __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
          "mov %rsp, (%rdi); mov %rsi, %rsp\n"
          "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret");
}

uint32_t proof_thread(void) { return running; }

bool proof_is_held(uint64_t word) {
  for (uint32_t t = 0; t < THREADS; t++) {
    const uint64_t* const end = (const uint64_t*)(stacks[t] + STACK_BYTES);
    for (const uint64_t* at = (const uint64_t*)fibers[t].sp; !fibers[t].is_done && at < end; at++) {
      if (*at == word) return true;
    }
  }
  return false;
}

void proof_hush(void) { hushed++; }
void proof_unhush(void) { hushed--; }

// Places ---------------------------------------------------------------------------------------------

typedef struct place_s {
  const volatile void* at;
  uint32_t readers, writers;  // bits of threads
} place_t;

enum { PLACES_MAX = 4096 };
static place_t places[PLACES_MAX];
static size_t places_found;  // to matter to several threads, during this search

static place_t* place_of(const volatile void* at) {
  size_t i = (uintptr_t)at / sizeof(uint32_t) * UINT64_C(0x9E3779B97F4A7C15) >> 52;
  while (places[i].at != NULL && places[i].at != at) i = (i + 1) % PLACES_MAX;
  places[i].at = at;
  return &places[i];
}

static bool matters_to_several(const place_t* place) {
  const uint32_t users = place->readers | place->writers;
  return place->writers != 0 && (users & (users - 1)) != 0;
}

static bool note_access(const volatile void* at, access_t access) {
  place_t* const place = place_of(at);
  const bool before = matters_to_several(place);
  *(access == ACCESS_WRITE ? &place->writers : &place->readers) |= 1u << running;
  const bool after = matters_to_several(place);
  places_found += after && !before;
  return after;
}

// Steps --------------------------------------------------------------------------------------------

static bool step(fiber_t next) {
  fiber_t* const fiber = &fibers[running];
  next.mine = fiber->mine;
  *fiber = next;
  switch_to(&fiber->sp, our_sp);
  return fails;
}

bool proof_step(const char* file, int line, const char* what, const volatile void* place,
                access_t access, bool may_fail) {
  if (hushed != 0) return false;
  return step((fiber_t){.file = file,
                        .line = line,
                        .what = what,
                        .may_fail = may_fail,
                        .is_alone = !note_access(place, access)});
}

void proof_pause(void) {
  if (hushed == 0) step((fiber_t){.file = __FILE__, .line = __LINE__, .what = "between calls"});
}

static void fiber_main(void) {
  scenario->thread[running]();
  fibers[running].is_done = true;
  switch_to(&fibers[running].sp, our_sp);
}

// What others left below its stack pointer must not get into the gaps of the thread's frames: states that
// are the same would look different.
static void run(uint32_t thread, bool fail) {
  memset(fibers[thread].sp - REACH_BYTES, 0, REACH_BYTES);
  running = thread;
  fails = fail;
  hushed = 0;
  mii_theap_mine = fibers[thread].mine;
  switch_to(&our_sp, fibers[thread].sp);
  fibers[thread].mine = mii_theap_mine;
  mii_theap_mine = NULL;
  hushed = 1;
}

static void start_fiber(uint32_t thread) {
  fiber_t* const fiber = &fibers[thread];
  *fiber = (fiber_t){.mine = proof_first_theap(thread), .file = "", .what = "begin"};
  fiber->is_done = scenario->thread[thread] == NULL;
  uintptr_t* const top = (uintptr_t*)(stacks[thread] + STACK_BYTES);
  memset(top - 16, 0, 16 * sizeof *top);
  top[-2] = (uintptr_t)fiber_main;  // where switch_to returns; the stack is aligned as after a call
  fiber->sp = (char*)(top - 8);
}

// States -------------------------------------------------------------------------------------------

// The linker names the ends of the sections of world.o.
extern char __start_world_data[], __stop_world_data[], __start_world_bss[], __stop_world_bss[];

typedef struct frame_s {
  size_t at;        // of its state in `saved`
  uint8_t move;     // the next to try: thread * 2 + fail
  uint8_t came_by;  // the move that led here
} frame_t;

enum { FRAME_MAX = 1 << 20, SAVED_MAX_GIB = 2 };
static frame_t* frames;
static size_t depth;
static char* saved;  // the states of all frames, one behind the other

typedef struct copier_s {
  char* at;
  bool back;
} copier_t;

static void copy(copier_t* c, void* what, size_t bytes) {
  c->back ? memcpy(what, c->at, bytes) : memcpy(c->at, what, bytes);
  c->at += bytes;
}

// A state to or from memory; returns its end.
static char* copy_state(char* at, bool back) {
  copier_t c = {at, back};
  copy(&c, __start_world_data, (size_t)(__stop_world_data - __start_world_data));
  copy(&c, __start_world_bss, (size_t)(__stop_world_bss - __start_world_bss));
  copy(&c, fibers, sizeof fibers);
  for (uint32_t t = 0; t < THREADS; t++) {
    if (!fibers[t].is_done)
      copy(&c, fibers[t].sp, (size_t)(stacks[t] + STACK_BYTES - fibers[t].sp));
  }
  const size_t odd = (size_t)(c.at - at) % 16;
  if (odd != 0 && !back) memset(c.at, 0, 16 - odd);
  return c.at + (odd != 0 ? 16 - odd : 0);
}

typedef struct hash_s {
  uint64_t a, b;
} hash_t;

static uint64_t mix(uint64_t x, uint64_t y) {
  const unsigned __int128 product = (unsigned __int128)x * y;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static hash_t hash_of(const char* from, const char* to) {
  hash_t h = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD1B54A32D192ED03)};
  for (; from < to; from += 16) {
    uint64_t x[2];
    memcpy(x, from, sizeof x);
    h.a = mix(h.a ^ x[0], UINT64_C(0xA0761D6478BD642F) ^ x[1]) + x[0];
    h.b = mix(h.b ^ x[1], UINT64_C(0xE7037ED1A0B428DB) ^ x[0]) + x[1];
  }
  h.a |= 1;  // 0 is an empty place
  return h;
}

static hash_t* table;
static size_t table_size;
static size_t states;

static bool add(hash_t h) {
  size_t i = h.b & (table_size - 1);
  for (; table[i].a != 0; i = (i + 1) & (table_size - 1)) {
    if (table[i].a == h.a && table[i].b == h.b) return false;
  }
  table[i] = h;
  return true;
}

static void* memory(size_t bytes) {
  void* const p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) perror("explorer"), exit(2);
  return p;
}

// Is the state new?
static bool remember(hash_t h) {
  if (states * 3 >= table_size * 2) {
    hash_t* const old = table;
    const size_t old_size = table_size;
    table_size *= 2;
    table = memory(table_size * sizeof *table);
    for (size_t i = 0; i < old_size; i++) {
      if (old[i].a != 0) add(old[i]);
    }
    munmap(old, old_size * sizeof *old);
  }
  const bool is_new = add(h);
  states += is_new;
  return is_new;
}

// The search ---------------------------------------------------------------------------------------

static bool long_traces;
static bool is_alone;   // a thread runs to its end from there
static bool is_moving;  // the last frame is where the running move began

// What the thread does from the state that is in place. Steps of one thread in a row are one line, and going
// on behind an operation is no word of its own then, unless all are wanted.
static void print_move(uint32_t move, uint32_t last_move) {
  const fiber_t* const f = &fibers[move / 2];
  const bool same = last_move / 2 == move / 2;
  if (same && !long_traces && strcmp(f->what, "then") == 0) return;
  if (!same || long_traces) printf("\n  thread %u ", move / 2);
  const char* const slash = strrchr(f->file, '/');
  printf(" %s:%d%s%s%s", slash != NULL ? slash + 1 : f->file, f->line, long_traces ? " " : "",
         long_traces ? f->what : "", (move & 1) != 0 ? "(fails)" : "");
}

static void print_trace(void) {
  const uint32_t last_move = running * 2 + fails;  // read before states are put back
  uint32_t before = 2 * THREADS;
  for (size_t i = 0; i < depth; i++) {
    if (i + 1 == depth && !is_moving) break;
    const uint32_t move = i + 1 < depth ? frames[i + 1].came_by : last_move;
    copy_state(saved + frames[i].at, true);
    print_move(move, before);
    before = move;
  }
  printf("\n");
  if (is_alone) printf("  and then thread %u, alone\n", running);
}

void proof_fail(const char* what, const char* file, int line) {
  printf("VIOLATION in \"%s\": %s:%d: %s\n", scenario->name, file, line, what);
  print_trace();
  exit(1);
}

static void on_crash(int number) { proof_fail(strsignal(number), "crash", 0); }

static void catch_crashes(void) {
  static char stack[64 * 1024];
  sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
  const struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

static size_t transitions, deepest, ends;

// The thread that has to go on: the one that moved last, if nobody else can tell. THREADS: there is a choice.
static uint32_t only_thread(void) {
  uint32_t t = 0;
  while (t < THREADS && (fibers[t].is_done || !fibers[t].is_alone)) t++;
  return t;
}

// The move that frame `f` tries next; false if there is none.
static bool next_move(frame_t* f, uint32_t* move) {
  const uint32_t only = only_thread();
  for (; f->move < 2 * THREADS; f->move++) {
    const fiber_t* const fiber = &fibers[f->move / 2];
    if (fiber->is_done || ((f->move & 1) != 0 && !fiber->may_fail)) continue;
    if (only < THREADS && only != f->move / 2) continue;
    *move = f->move++;
    return true;
  }
  return false;
}

static bool all_are_done(void) {
  bool done = true;
  for (uint32_t t = 0; t < THREADS; t++) done &= fibers[t].is_done;
  return done;
}

// No waiting: wherever the others stand, a thread comes to its end alone.
static void check_alone(char* state) {
  enum { STEPS_MAX = 1000 };
  is_alone = true;
  for (uint32_t t = 0; t < THREADS; t++) {
    for (int i = 0; !fibers[t].is_done; i++) {
      if (i == STEPS_MAX) proof_fail("a thread waits for others", __FILE__, __LINE__);
      run(t, false);
    }
    copy_state(state, true);
  }
  is_alone = false;
}

// A copy is in `saved`, so nothing that we do here matters.
static void check(char* state) {
  if (only_thread() == THREADS) check_alone(state);
  for (uint32_t t = 0; t < THREADS; t++) {
    if (!proof_is_between_calls(t)) continue;
    mii_theap_mine = fibers[t].mine;
    proof_recover(t);
    copy_state(state, true);
  }
  if (all_are_done()) {
    ends++;
    proof_check_end();
  }
}

static void visit(uint8_t came_by) {
  proof_check_state();
  char* const at = depth > 0 ? saved + frames[depth].at : saved;
  char* const end = copy_state(at, false);
  if (!remember(hash_of(at, end))) return;
  frames[depth].move = 0;
  frames[depth].came_by = came_by;
  frames[++depth].at = (size_t)(end - saved);
  is_moving = false;
  if (depth > deepest) deepest = depth;
  if (depth + 1 == FRAME_MAX || frames[depth].at > ((size_t)SAVED_MAX_GIB << 30) - STACK_BYTES)
    proof_fail("too deep", __FILE__, __LINE__);
  check(at);
}

static void explore(size_t states_max) {
  visit(0);
  while (depth > 0 && states < states_max) {
    frame_t* const f = &frames[depth - 1];
    copy_state(saved + f->at, true);
    uint32_t move;
    if (!next_move(f, &move)) {
      depth--;
      continue;
    }
    is_moving = true;
    run(move / 2, (move & 1) != 0);
    transitions++;
    visit((uint8_t)move);
  }
}

static void begin(void) {
  memset(__start_world_bss, 0, (size_t)(__stop_world_bss - __start_world_bss));
  states = transitions = deepest = ends = depth = places_found = 0;
  table_size = 1 << 20;
  table = memory(table_size * sizeof *table);
  running = 0;
  proof_begin(scenario);
  for (uint32_t t = 0; t < THREADS; t++) start_fiber(t);
  mii_theap_mine = NULL;
}

// With the places of a short search a long one rarely begins anew.
static void explore_scenario(size_t states_max) {
  memset(places, 0, sizeof places);
  for (size_t most = states_max < 1000 ? states_max : 1000;;) {
    begin();
    explore(most);
    if (places_found != 0) {
      munmap(table, table_size * sizeof *table);
    } else if (depth == 0 || most == states_max) {
      return;
    } else {
      munmap(table, table_size * sizeof *table);
      most = states_max / 30 < most ? states_max : most * 30;
    }
  }
}

int main(int count, char** args) {
  size_t states_max = SIZE_MAX;
  const char* only = NULL;
  for (int i = 1; i < count; i++) {
    if (strcmp(args[i], "-q") == 0)
      states_max = 100000;
    else if (strcmp(args[i], "-t") == 0)
      long_traces = true;
    else
      only = args[i];
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  catch_crashes();
  frames = memory(FRAME_MAX * sizeof *frames);
  saved = memory((size_t)SAVED_MAX_GIB << 30);
  size_t all_states = 0;
  printf("%-24s %10s %12s %7s %9s %7s\n", "scenario", "states", "transitions", "depth", "ends",
         "seconds");
  for (scenario = proof_scenarios; scenario->name != NULL; scenario++) {
    if (only != NULL ? strcmp(only, scenario->name) != 0 : scenario->is_hole) continue;
    const clock_t start = clock();
    explore_scenario(states_max);
    printf("%-24s %10zu %12zu %7zu %9zu %7.1f%s\n", scenario->name, states, transitions, deepest,
           ends, (double)(clock() - start) / CLOCKS_PER_SEC, depth > 0 ? " stopped" : "");
    munmap(table, table_size * sizeof *table);
    all_states += states;
  }
  printf("%zu states\n", all_states);
  return 0;
}
