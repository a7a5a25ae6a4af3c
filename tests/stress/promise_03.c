// SPDX-License-Identifier: MIT
// promise_03.c - P3: memory follows what is live, not what each thread once had
//
// 64 MiB of blocks of 16 to 1024 bytes live at any time, in a table; they are replaced again and again,
// by 8 threads, in ways in which the one that frees a block is not the one that allocated it:
//
//   producers   seven allocate, one frees and never allocates; any block may be the next one to go
//   queue       the same, but the oldest goes first
//   turns       the same, any block, but the producers take turns: what was freed of those that wait
//               has to serve the one whose turn it is
//   ring        eight in a ring; each passes blocks to the next, one in eight is replaced
//   pool        threads that replace 2000 blocks and end, eight at a time
//   cycles      threads that replace 16 blocks and end: 1 M of them in the long form
//
// The figure is the most resident memory in the second half of the run.
#include "promise.h"

enum {
  THREADS = 8,
  PRODUCERS = THREADS - 1,
  LIVE_MIB = 64,
  SLOTS = LIVE_MIB * 1024 * 1024 / MARKED_MEAN,
  CHANNEL_SIZE = 512,
  CHANNEL_ROOM = 64,  // of producers: what waits there is live, too
  BATCH = 32,
  SAMPLE_MS = 20,
};

static _Atomic(void*) slots[SLOTS];

static void* replace_slot(uint32_t slot, void* block) {
  return atomic_exchange_explicit(&slots[slot], block, memory_order_acq_rel);
}

static void replace_at_random(chance_t* chance) {
  void* const block = marked_block(chance);
  free_marked(replace_slot(draw_below(chance, SLOTS), block));
}

static void fill_section(uint32_t section, uint32_t sections, chance_t* chance) {
  const uint32_t from = (uint32_t)((uint64_t)SLOTS * section / sections);
  const uint32_t to = (uint32_t)((uint64_t)SLOTS * (section + 1) / sections);
  for (uint32_t i = from; i < to; i++) replace_slot(i, marked_block(chance));
}

// Channels from one thread to one other -------------------------------------------------------------

typedef struct channel_s {
  _Alignas(64) _Atomic(uint32_t) sent;
  _Alignas(64) _Atomic(uint32_t) received;
  void* blocks[CHANNEL_SIZE];
} channel_t;

static channel_t channels[THREADS];

// On a busy machine the others need the time.
static void wait_a_little(uint32_t* tries) {
  if (++*tries % 4096 != 0) {
    sched_yield();
  } else {
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000}, NULL);
  }
}

static void channel_send(channel_t* channel, void* block, uint32_t room) {
  const uint32_t sent = atomic_load_explicit(&channel->sent, memory_order_relaxed);
  uint32_t tries = 0;
  while (sent - atomic_load_explicit(&channel->received, memory_order_acquire) >= room)
    wait_a_little(&tries);
  channel->blocks[sent % CHANNEL_SIZE] = block;
  atomic_store_explicit(&channel->sent, sent + 1, memory_order_release);
}

// NULL: there is none now.
static void* channel_try_receive(channel_t* channel) {
  const uint32_t received = atomic_load_explicit(&channel->received, memory_order_relaxed);
  if (received == atomic_load_explicit(&channel->sent, memory_order_acquire)) return NULL;
  void* const block = channel->blocks[received % CHANNEL_SIZE];
  atomic_store_explicit(&channel->received, received + 1, memory_order_release);
  return block;
}

static void* channel_receive(channel_t* channel) {
  uint32_t tries = 0;
  for (;;) {
    void* const block = channel_try_receive(channel);
    if (block != NULL) return block;
    wait_a_little(&tries);
  }
}

// The figure ----------------------------------------------------------------------------------------

static size_t rss_of_nothing;
static size_t rss_most;
static uint64_t total;                   // replacements that the run makes
static _Atomic(uint64_t) replaced;       // so far
static _Atomic(uint32_t) workers_alive;  // of those that main waits for
static pthread_barrier_t all_filled;

static void sample(void) {
  if (atomic_load_explicit(&replaced, memory_order_relaxed) * 2 < total) return;
  const size_t rss = resident_bytes();
  if (rss > rss_most) rss_most = rss;
}

static void note_replaced(uint32_t count) {
  atomic_fetch_add_explicit(&replaced, count, memory_order_relaxed);
}

static chance_t chance_of(uint64_t number) { return (chance_t){mix(run_seed * 1000003 + number)}; }

static void run_workers(void* (*worker)(void*)) {
  pthread_t threads[THREADS];
  atomic_store(&workers_alive, THREADS);
  pthread_barrier_init(&all_filled, NULL, THREADS);
  for (uintptr_t i = 0; i < THREADS; i++) threads[i] = start_thread(worker, (void*)i);
  while (atomic_load(&workers_alive) > 0) {
    sleep_ms(SAMPLE_MS);
    sample();
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

// Producers, and one that only frees ------------------------------------------------------------------

enum { BURST = SLOTS / 8 };

static bool oldest_goes_first;
static bool take_turns;
static _Atomic(uint64_t) turn;
static _Atomic(uint32_t) next_slot;

static uint32_t draw_victim(chance_t* chance) {
  if (!oldest_goes_first) return draw_below(chance, SLOTS);
  return atomic_fetch_add_explicit(&next_slot, 1, memory_order_relaxed) % SLOTS;
}

// Every BURST blocks it is the next one's turn.
static void mind_turn(uint32_t id, uint64_t number) {
  if (!take_turns || number % BURST != 0) return;
  if (number > 0) atomic_fetch_add_explicit(&turn, 1, memory_order_release);
  const uint64_t mine = number / BURST * PRODUCERS + id;
  uint32_t tries = 0;
  while (atomic_load_explicit(&turn, memory_order_acquire) != mine) wait_a_little(&tries);
}

static void produce(uint32_t id) {
  chance_t chance = chance_of(id);
  fill_section(id, PRODUCERS, &chance);
  pthread_barrier_wait(&all_filled);
  for (uint64_t i = 0; i < total / PRODUCERS; i++) {
    mind_turn(id, i);
    void* const block = marked_block(&chance);
    channel_send(&channels[id], replace_slot(draw_victim(&chance), block), CHANNEL_ROOM);
    if (i % BATCH == 0) note_replaced(BATCH);
  }
  if (take_turns) atomic_fetch_add_explicit(&turn, 1, memory_order_release);
}

static void only_free(void) {
  pthread_barrier_wait(&all_filled);
  for (uint32_t tries = 0;;) {
    // Before we look: who has ended has sent everything.
    const bool is_last_look = atomic_load_explicit(&workers_alive, memory_order_acquire) == 1;
    bool found = false;
    for (int i = 0; i < PRODUCERS; i++) {
      void* const block = channel_try_receive(&channels[i]);
      free_marked(block);
      found |= block != NULL;
    }
    if (!found && is_last_look) return;
    if (!found) wait_a_little(&tries);
  }
}

static void* produce_or_free(void* arg) {
  const uint32_t id = (uint32_t)(uintptr_t)arg;
  if (id < PRODUCERS) {
    produce(id);
  } else {
    only_free();
  }
  atomic_fetch_sub_explicit(&workers_alive, 1, memory_order_release);
  return NULL;
}

static void run_producers(void) { run_workers(produce_or_free); }

static void run_queue(void) {
  oldest_goes_first = true;
  run_workers(produce_or_free);
}

static void run_turns(void) {
  take_turns = true;
  run_workers(produce_or_free);
}

// The ring --------------------------------------------------------------------------------------------
// Each sends a batch before it waits for one, so at most THREADS batches are on their way and no channel
// is ever full.

static_assert(THREADS * BATCH <= CHANNEL_SIZE, "sending never waits");

static void ring_round(uint32_t id, chance_t* chance) {
  const uint32_t section = SLOTS / THREADS;
  uint32_t emptied[BATCH];
  uint32_t fresh = 0;
  for (int i = 0; i < BATCH;) {
    const uint32_t slot = id * section + draw_below(chance, section);
    void* block = replace_slot(slot, NULL);
    if (block == NULL) continue;  // drawn twice
    emptied[i++] = slot;
    if (one_in(chance, THREADS)) {
      free_marked(block);
      block = marked_block(chance);
      fresh++;
    }
    channel_send(&channels[(id + 1) % THREADS], block, CHANNEL_SIZE);
  }
  for (int i = 0; i < BATCH; i++) replace_slot(emptied[i], channel_receive(&channels[id]));
  note_replaced(fresh);
}

static void* pass_on(void* arg) {
  const uint32_t id = (uint32_t)(uintptr_t)arg;
  chance_t chance = chance_of(id);
  fill_section(id, THREADS, &chance);
  pthread_barrier_wait(&all_filled);
  const uint64_t rounds = total / BATCH;  // one in eight is replaced, by eight threads
  for (uint64_t i = 0; i < rounds; i++) ring_round(id, &chance);
  atomic_fetch_sub_explicit(&workers_alive, 1, memory_order_release);
  return NULL;
}

static void run_ring(void) { run_workers(pass_on); }

// Threads that come and go ------------------------------------------------------------------------------

static uint32_t work_of_life;

static void* fill_and_end(void* arg) {
  chance_t chance = chance_of((uintptr_t)arg);
  fill_section((uint32_t)(uintptr_t)arg, THREADS, &chance);
  return NULL;
}

static void* live(void* arg) {
  chance_t chance = chance_of(1000 + (uintptr_t)arg);
  for (uint32_t i = 0; i < work_of_life; i++) replace_at_random(&chance);
  note_replaced(work_of_life);
  return NULL;
}

// Eight at a time: the oldest has to end before another one begins.
static void run_lives(uint32_t work) {
  pthread_t threads[THREADS];
  work_of_life = work;
  for (uintptr_t i = 0; i < THREADS; i++) threads[i] = start_thread(fill_and_end, (void*)i);
  const uint64_t lives = total / work;
  double next_sample = 0;
  for (uint64_t i = 0; i < lives; i++) {
    pthread_join(threads[i % THREADS], NULL);
    threads[i % THREADS] = start_thread(live, (void*)(uintptr_t)i);
    if (now_seconds() < next_sample) continue;
    sample();
    next_sample = now_seconds() + SAMPLE_MS * 1e-3;
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void run_pool(void) { run_lives(2000); }
static void run_cycles(void) { run_lives(16); }

// Parts -------------------------------------------------------------------------------------------------

typedef struct part_s {
  const char* name;
  void (*run)(void);
  uint32_t turnovers_short, turnovers_long;  // how often all blocks are replaced
} part_t;

static const part_t parts[] = {
    {"producers", run_producers, 8, 80}, {"queue", run_queue, 8, 80},
    {"turns", run_turns, 8, 80},         {"ring", run_ring, 6, 60},
    {"pool", run_pool, 8, 80},           {"cycles", run_cycles, 3, 125},
};

static void run(const part_t* part, const promise_plan_t* plan) {
  const uint32_t turnovers = plan->is_long ? part->turnovers_long : part->turnovers_short;
  total = (uint64_t)SLOTS * turnovers / (HAS_SANITIZER && !plan->is_long ? 3 : 1);
  memset((void*)slots, 0, sizeof slots);
  memset((void*)channels, 0, sizeof channels);
  rss_of_nothing = resident_bytes();
  part->run();
  sample();
  const size_t used = above(rss_most, rss_of_nothing);
  // A canary costs 8 bytes per block, and threads hold pages.
  const bool canaries = mi_option_get(mi_option_secure) >= 4;
  const double limit = (canaries ? 1.4 : 1.25) * LIVE_MIB + 8;
  memory_row(in_mib(used) <= limit,
             "P3  %-10s L = %d MiB replaced %5.1f times: RSS %6.1f MiB = %.2f L, at most %.1f",
             part->name, LIVE_MIB, (double)total / SLOTS, in_mib(used), in_mib(used) / LIVE_MIB,
             limit);
  for (uint32_t i = 0; i < SLOTS; i++) free_marked(replace_slot(i, NULL));
}

int main(int argc, char** argv) {
  const promise_plan_t plan = read_promise_arguments(argc, argv);
  for (size_t i = 0; i < COUNT_OF(parts); i++) {
    if (plan.part == NULL) {
      run_part(&plan, parts[i].name);
    } else if (strcmp(plan.part, parts[i].name) == 0) {
      run(&parts[i], &plan);
    }
  }
  return promise_status();
}
