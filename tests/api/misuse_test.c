// SPDX-License-Identifier: MIT
// misuse_test.c - every function that is given a block, with every kind of pointer that is none
//
// Each pair of pointer and function runs in a child of its own, so that a crash is seen, and whose it is.
// Around it live blocks of all kinds; afterwards they must be whole, and allocation must go on.
//
//   kind            free                       realloc               usable size
//   NOTHING (NULL)  nothing                    a block               0
//   NO_BLOCK        one report, ignored        NULL, EINVAL, report  0
//   THEIRS          freed by the next          moved to us           what the next allocator says
//   STRANGE         the next allocator's affair: it may stop the program. In a library that does not
//                   replace malloc there is no next one: as NO_BLOCK
//   IN_FIRST_PIECE  counts as the block, which may have an odd offset; noticed by a hardened process
//   IN_PAGE         as NO_BLOCK where pointers are checked (debug, secure); unnoticed in the release build
//   FREE_IN_PAGE    unnoticed: only that the call itself comes back is tested
//
// The secure build stops at each report, unless the program handles errors itself, as this one does.
#include "block_entries.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

static bool checks_pointers(void) {
  return has_vaults() || MI_TEST_SECURE || MI_TEST_ASSERT_LEVEL > 0;
}

static bool is_override;

// What lives around ------------------------------------------------------------------------------------

static const size_t live_sizes[] = {8,    16,   48,    100,   500,   1000,   1024,
                                    5000, 8192, 20000, 32768, 40000, 100000, 3000000};
enum { LIVE_EACH = 3, LIVE = COUNT_OF(live_sizes) * LIVE_EACH, STAMP_MAX = 5000 };
static uint8_t* live[LIVE];

static size_t live_size(size_t i) { return live_sizes[i / LIVE_EACH]; }
static size_t stamp_size(size_t i) { return live_size(i) < STAMP_MAX ? live_size(i) : STAMP_MAX; }

static void make_live_blocks(void) {
  for (size_t i = 0; i < LIVE; i++) {
    live[i] = (uint8_t*)mi_malloc(live_size(i));
    assert_non_null(live[i]);
    fill(live[i], stamp_size(i), (unsigned)i);
    fill(live[i] + live_size(i) - stamp_size(i), stamp_size(i), (unsigned)i);
  }
}

static bool live_blocks_are_whole(void) {
  for (size_t i = 0; i < LIVE; i++) {
    if (mi_usable_size(live[i]) < live_size(i)) return false;
    if (!holds(live[i] + live_size(i) - stamp_size(i), stamp_size(i), (unsigned)i)) return false;
    if (live_size(i) >= 2 * STAMP_MAX && !holds(live[i], stamp_size(i), (unsigned)i)) return false;
  }
  return true;
}

// Allocate, write and free blocks of every kind.
static bool allocation_goes_on(void) {
  enum { EACH = 6 };
  void* blocks[COUNT_OF(live_sizes)][EACH];
  for (size_t i = 0; i < COUNT_OF(live_sizes); i++) {
    const size_t size = live_sizes[i] < STAMP_MAX ? live_sizes[i] : STAMP_MAX;
    for (unsigned k = 0; k < EACH; k++) {
      blocks[i][k] = mi_malloc(live_sizes[i]);
      if (blocks[i][k] == NULL) return false;
      fill(blocks[i][k], size, k);
    }
  }
  bool good = true;
  for (size_t i = 0; i < COUNT_OF(live_sizes); i++) {
    const size_t size = live_sizes[i] < STAMP_MAX ? live_sizes[i] : STAMP_MAX;
    for (unsigned k = 0; k < EACH; k++) {
      good = good && holds(blocks[i][k], size, k);
      mi_free(blocks[i][k]);
    }
  }
  mi_collect(true);
  return good;
}

// Where our addresses are --------------------------------------------------------------------------------

static uintptr_t range_start;    // of the reservation
static uintptr_t range_records;  // page records end and slices begin here
static uintptr_t range_end;

// The slices are opened from the second one on, in one piece. The reservation is the anonymous mappings
// around it that touch each other; its first and last one have no access, which sets them apart from
// neighbours.
static void find_range(void) {
  FILE* const maps = fopen("/proc/self/maps", "r");
  assert_non_null(maps);
  const uintptr_t block = (uintptr_t)live[0];
  char line[512];
  while (fgets(line, sizeof(line), maps) != NULL) {
    unsigned long from = 0;
    unsigned long to = 0;
    unsigned long inode = 0;
    char access[8] = "";
    if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &from, &to, access, &inode) < 4) continue;
    const bool closed = strcmp(access, "---p") == 0;
    const bool has_block = block >= from && block < to;
    if (range_records != 0 && (from != range_end || !closed)) break;
    if (inode != 0 || from != range_end) range_start = 0;
    if (range_start == 0 && closed && inode == 0) range_start = from;
    if (has_block) range_records = from - 64 * KiB;
    range_end = to;
  }
  fclose(maps);
  assert_true(range_records != 0 && range_records % (4 * MiB) == 0);
  assert_true(0 < range_start && range_start < range_records && range_records < range_end);
}

// Pointers -----------------------------------------------------------------------------------------------

typedef enum kind_e {
  NOTHING,
  NO_BLOCK,
  THEIRS,
  STRANGE,
  IN_FIRST_PIECE,
  IN_PAGE,
  FREE_IN_PAGE,
} kind_t;

typedef struct pointer_s {
  const char* name;
  kind_t kind;
  void* (*make)(size_t a, size_t b);  // in the child
  size_t a;
  size_t b;
} pointer_t;

static void* at(uintptr_t address) { return (void*)address; }

static void* make_number(size_t a, size_t b) { return at(a + b); }

static void* make_global(size_t a, size_t b) {
  static uint8_t bytes[256] __attribute__((aligned(16)));
  return bytes + a + b;
}

static uint8_t* stack_bytes;
static void* make_stack(size_t a, size_t b) { return stack_bytes + a + b; }

static void* make_code(size_t a, size_t b) { return at((uintptr_t)&make_code + a + b); }

static void* make_mapping(size_t a, size_t b) {
  const int access = b != 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
  uint8_t* const p = (uint8_t*)mmap(NULL, 64 * KiB, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p + a;
}

// a: 64ths of the way from the start of the reservation to the end of the page records.
static void* make_record(size_t a, size_t b) {
  return at(range_start + (range_records - range_start) / 64 * a + b);
}
static void* make_page_record(size_t a, size_t b) { return at(range_records - 32 * a + b); }
static void* make_below_range(size_t a, size_t b) { return at(range_start - a - b); }
static void* make_above_range(size_t a, size_t b) { return at(range_end + a + b); }
static void* make_first_slice(size_t a, size_t b) { return at(range_records + a + b); }
static void* make_never_opened(size_t a, size_t b) {
  return at(range_records + (range_end - range_records) / 16 * a + b);
}

// a: the block's size; b: where in it.
static void* make_inside(size_t a, size_t b) { return (uint8_t*)mi_malloc(a) + b; }

static void* make_behind_last_block(size_t a, size_t b) {
  const uintptr_t p = (uintptr_t)mi_malloc(a);
  return at((p | (64 * KiB - 1)) - b);
}

// The page of a new block has only few threaded yet; b bytes on, and from its end on at its start, none.
static void* make_unthreaded(size_t a, size_t b) {
  const uintptr_t p = (uintptr_t)mi_malloc(a);
  const uintptr_t start = p & ~(uintptr_t)(64 * KiB - 1);
  return at(start + (p - start + b) % (64 * KiB / a * a));
}

static void* make_freed(size_t a, size_t b) {
  uint8_t* const p = (uint8_t*)mi_malloc(a);
  mi_free(p);
  return p + b;
}

static void* make_freed_and_purged(size_t a, size_t b) {
  uint8_t* const p = (uint8_t*)make_freed(a, b);
  mi_collect(true);
  return p;
}

// A page that has gone: no live block is of this size.
static void* make_page_gone(size_t a, size_t b) {
  void* blocks[300];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) blocks[i] = mi_malloc(a);
  for (size_t i = 0; i < COUNT_OF(blocks); i++) mi_free(blocks[i]);
  mi_collect(true);
  return (uint8_t*)blocks[150] + b;
}

static void* (*next_malloc)(size_t size);

static void* make_theirs(size_t a, size_t b) {
  void* const p = next_malloc(a);
  fill(p, a, 9);
  return (uint8_t*)p + b;
}

enum { THEIR_SIZE = 333, RUN = 100000, HUGE = 3000000 };

static const pointer_t pointers[] = {
    {"NULL", NOTHING, make_number, 0, 0},
    {"a small number", STRANGE, make_number, 8, 0},
    {"an odd number", STRANGE, make_number, 4097, 0},
    {"a non-canonical address", STRANGE, make_number, (size_t)1 << (sizeof(size_t) * 8 - 4), 7},
    {"the last address", STRANGE, make_number, SIZE_MAX, 0},
    {"the last aligned address", STRANGE, make_number, SIZE_MAX - 15, 0},
    {"the stack", STRANGE, make_stack, 128, 0},
    {"the stack, odd", STRANGE, make_stack, 128, 1},
    {"a global variable", STRANGE, make_global, 64, 0},
    {"a global variable, odd", STRANGE, make_global, 64, 3},
    {"code", STRANGE, make_code, 0, 0},
    {"a mapping", STRANGE, make_mapping, 0, 1},
    {"inside a mapping", STRANGE, make_mapping, 4096, 1},
    {"inside a mapping, odd", STRANGE, make_mapping, 4097, 1},
    {"a mapping without access", STRANGE, make_mapping, 8192, 0},
    {"just below our range", STRANGE, make_below_range, 1, 0},
    {"just below our range, aligned", STRANGE, make_below_range, 16, 0},
    {"just above our range", STRANGE, make_above_range, 0, 0},
    {"just above our range, odd", STRANGE, make_above_range, 0, 1},
    {"a block of another allocator", THEIRS, make_theirs, THEIR_SIZE, 0},
    {"the start of our records", NO_BLOCK, make_record, 0, 0},
    {"our records, a quarter", NO_BLOCK, make_record, 16, 16},
    {"our records, half", NO_BLOCK, make_record, 32, 32},
    {"our records, three quarters", NO_BLOCK, make_record, 48, 64},
    {"the page record of slice 1", NO_BLOCK, make_page_record, 1, 0},
    {"a field of a page record", NO_BLOCK, make_page_record, 2, 16},
    {"an odd address in a page record", NO_BLOCK, make_page_record, 2, 1},
    {"a page record never used", NO_BLOCK, make_page_record, 50000, 0},
    {"the last byte of the page records", NO_BLOCK, make_page_record, 0, SIZE_MAX},
    {"the slice that guards", NO_BLOCK, make_first_slice, 0, 0},
    {"inside the slice that guards", NO_BLOCK, make_first_slice, 40000, 0},
    {"a slice never opened", NO_BLOCK, make_never_opened, 8, 0},
    {"a slice never opened, odd", NO_BLOCK, make_never_opened, 12, 1},
    {"the last byte of the range", NO_BLOCK, make_above_range, SIZE_MAX, 0},

    {"small block + 1", IN_PAGE, make_inside, 48, 1},
    {"small block + 8", IN_PAGE, make_inside, 48, 8},
    {"small block + 16", IN_PAGE, make_inside, 48, 16},
    {"small block, middle", IN_PAGE, make_inside, 48, 24},
    {"small block, last byte", IN_PAGE, make_inside, 48, 47},
    {"smallest block + 1", IN_PAGE, make_inside, 8, 1},
    {"1 KiB block + 1", IN_PAGE, make_inside, 1024, 1},
    {"1 KiB block, middle", IN_PAGE, make_inside, 1024, 512},
    {"medium block + 1", IN_PAGE, make_inside, 5000, 1},
    {"medium block + 8", IN_PAGE, make_inside, 5000, 8},
    {"medium block + 16", IN_PAGE, make_inside, 5000, 16},
    {"medium block, middle", IN_PAGE, make_inside, 5000, 2560},
    {"medium block, last byte", IN_PAGE, make_inside, 5000, 4999},
    {"block of a double page + 16", IN_PAGE, make_inside, 20000, 16},
    {"block of a double page, middle", IN_PAGE, make_inside, 20000, 10240},
    {"block of a double page, last byte", IN_PAGE, make_inside, 20000, 19999},
    {"behind the last block of a page", IN_PAGE, make_behind_last_block, 48, 7},
    {"a block never threaded", IN_PAGE, make_unthreaded, 2560, 2560 * 12},
    {"a small block freed", FREE_IN_PAGE, make_freed, 48, 0},
    {"a medium block freed", FREE_IN_PAGE, make_freed, 5000, 0},
    {"a block of a double page freed", FREE_IN_PAGE, make_freed, 20000, 0},
    {"a free block", FREE_IN_PAGE, make_inside, 1792, 1792},

    {"a page given back", NO_BLOCK, make_page_gone, 3072, 0},
    {"inside a page given back", NO_BLOCK, make_page_gone, 3072, 24},
    {"a double page given back", NO_BLOCK, make_page_gone, 24576, 0},
    {"run + 1", IN_FIRST_PIECE, make_inside, RUN, 1},
    {"run + 8", IN_FIRST_PIECE, make_inside, RUN, 8},
    {"run + 16", IN_FIRST_PIECE, make_inside, RUN, 16},
    {"run, second unit", NO_BLOCK, make_inside, RUN, 4096},
    {"run, middle", NO_BLOCK, make_inside, RUN, 50000},
    {"run, last byte", NO_BLOCK, make_inside, RUN, RUN - 1},
    {"a run freed", NO_BLOCK, make_freed, RUN, 0},
    {"inside a run freed", NO_BLOCK, make_freed, RUN, 8192},
    {"a run freed and purged", NO_BLOCK, make_freed_and_purged, RUN, 0},
    {"huge block + 1", IN_FIRST_PIECE, make_inside, HUGE, 1},
    {"huge block + 8", IN_FIRST_PIECE, make_inside, HUGE, 8},
    {"huge block + 16", IN_FIRST_PIECE, make_inside, HUGE, 16},
    {"huge block, second slice", NO_BLOCK, make_inside, HUGE, 64 * KiB},
    {"huge block, middle", NO_BLOCK, make_inside, HUGE, HUGE / 2},
    {"huge block, last byte", NO_BLOCK, make_inside, HUGE, HUGE - 1},
    {"a huge block freed", NO_BLOCK, make_freed, HUGE, 0},
    {"inside a huge block freed", NO_BLOCK, make_freed, HUGE, 16},
    {"a huge block freed and purged", NO_BLOCK, make_freed_and_purged, HUGE, 0},
    {"purged slices", NO_BLOCK, make_freed_and_purged, HUGE, HUGE / 2},
};

static kind_t kind_of(const pointer_t* pointer) {
  switch (pointer->kind) {
    case IN_FIRST_PIECE:
      return sizes_are_exact() ? FREE_IN_PAGE : IN_FIRST_PIECE;  // the seal is noticed
    case IN_PAGE: return checks_pointers() ? NO_BLOCK : FREE_IN_PAGE;
    case THEIRS:
      // A hardened process takes no blocks of others.
      if (secure_level() > 0 && is_override) return STRANGE;
      return is_override ? THEIRS : NO_BLOCK;
    case STRANGE: return is_override ? pointer->kind : NO_BLOCK;
    default: return pointer->kind;
  }
}

// What the call must have done ---------------------------------------------------------------------------

// The exit status of a child.
enum { GOOD = 0, WRONG = 1, CRASHED_IN_OURS = 2, CRASHED_IN_THEIRS = 3 };

#define EXPECT(condition)                             \
  do {                                                \
    if (!(condition)) {                               \
      fprintf(stderr, "is not so: %s\n", #condition); \
      fflush(NULL);                                   \
      _exit(WRONG);                                   \
    }                                                 \
  } while (0)

static bool frees(const block_entry_t* entry) {
  return entry->deed == FREES || entry->deed == FREES_OURS;
}

static void expect_refusal(const block_entry_t* entry, outcome_t out) {
  const bool silent =
      entry->deed == FREES_OURS || entry->deed == TELLS_SIZE || entry->deed == EXPANDS;
  EXPECT(reports.count == (silent ? 0 : 1));
  EXPECT(reports.count == 0 || reports.last_code == EINVAL);
  EXPECT(output.calls == reports.count);  // one report is one line
  EXPECT(out.p == NULL && out.bytes == 0);
  if (frees(entry)) EXPECT(out.error == UNTOUCHED);
  if (entry->deed == RESIZES) EXPECT(out.error == EINVAL);
}

static void expect_success(const block_entry_t* entry, outcome_t out, void* p, size_t usable) {
  EXPECT(reports.count == 0);
  EXPECT(out.error == UNTOUCHED);
  if (entry->deed == MEASURES || entry->deed == TELLS_SIZE) EXPECT(out.bytes == usable);
  if (entry->deed == EXPANDS) EXPECT(out.p == p);
  if (entry->deed == RESIZES || entry->deed == RESIZES_NEW) {
    EXPECT(out.p != NULL && mi_usable_size(out.p) >= NEW_SIZE);
    mi_free(out.p);
  }
}

static void expect_nothing(const block_entry_t* entry, outcome_t out) {
  EXPECT(reports.count == 0);
  EXPECT(out.bytes == 0);
  if (entry->deed == EXPANDS) EXPECT(out.p == NULL);
  if (entry->deed == RESIZES || entry->deed == RESIZES_NEW) EXPECT(out.p != NULL);
  if (entry->deed != EXPANDS) EXPECT(out.error == UNTOUCHED);
}

// A block of the next allocator is treated well by all but those that know our own blocks only.
static void expect_forwarded(const block_entry_t* entry, outcome_t out, uint8_t* p) {
  EXPECT(reports.count == 0);
  if (entry->deed == MEASURES || entry->deed == TELLS_SIZE) EXPECT(out.bytes >= THEIR_SIZE);
  if (entry->deed == EXPANDS) EXPECT(out.p == NULL);
  if (entry->deed == EXPANDS || entry->deed == FREES_OURS) EXPECT(holds(p, THEIR_SIZE, 9));
  if (entry->deed == RESIZES || entry->deed == RESIZES_NEW)
    EXPECT(out.p != NULL && holds(out.p, NEW_SIZE, 9));
}

// Whose crash? -------------------------------------------------------------------------------------------

// The next allocator's functions lie close together. Anything else, such as memcpy, was called by us.
static bool is_in_next_allocator(uintptr_t pc) {
  uintptr_t malloc_address = 0;
  memcpy(&malloc_address, &next_malloc, sizeof(malloc_address));
  const uintptr_t distance = pc > malloc_address ? pc - malloc_address : malloc_address - pc;
  return is_override && distance < 64 * KiB;
}

static void note_crash(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)info;
  uintptr_t pc = 0;
#if defined(__x86_64__)
  pc = (uintptr_t)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
  pc = (uintptr_t)((ucontext_t*)context)->uc_mcontext.gregs[REG_EIP];
#elif defined(__aarch64__)
  pc = (uintptr_t)((ucontext_t*)context)->uc_mcontext.pc;
#endif
  _exit(is_in_next_allocator(pc) ? CRASHED_IN_THEIRS : CRASHED_IN_OURS);
}

static void watch_for_crashes(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = &note_crash;
  action.sa_flags = SA_SIGINFO;
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (size_t i = 0; i < COUNT_OF(signals); i++) sigaction(signals[i], &action, NULL);
  signal(SIGABRT, SIG_DFL);
}

// One pair -----------------------------------------------------------------------------------------------

static void run_pair(const pointer_t* pointer, const block_entry_t* entry) {
  uint8_t on_stack[256] __attribute__((aligned(16))) = {0};
  stack_bytes = on_stack;
  watch_for_crashes();
  uint8_t* const p = (uint8_t*)pointer->make(pointer->a, pointer->b);
  const size_t usable = mi_good_size(pointer->a) - pointer->b;  // of an IN_FIRST_PIECE
  output_begin();
  reports_begin();
  mi_option_enable(mi_option_show_errors);
  const outcome_t out = call_entry(entry, p);
  mi_option_disable(mi_option_show_errors);
  switch (kind_of(pointer)) {
    case NOTHING: expect_nothing(entry, out); break;
    case NO_BLOCK: expect_refusal(entry, out); break;
    case THEIRS: expect_forwarded(entry, out, p); break;
    case IN_FIRST_PIECE: expect_success(entry, out, p, usable); break;
    case STRANGE: break;
    case IN_PAGE:
    case FREE_IN_PAGE: return;  // what comes after is undefined
  }
  EXPECT(live_blocks_are_whole());
  EXPECT(allocation_goes_on());
  EXPECT(live_blocks_are_whole());
}

// Operator new's way to fail stops a program without a C++ runtime.
static bool may_stop(const pointer_t* pointer, const block_entry_t* entry) {
  switch (kind_of(pointer)) {
    case NO_BLOCK: return entry->deed == RESIZES_NEW;
    case STRANGE: return true;
    case FREE_IN_PAGE: return checks_pointers();  // an assertion
    default: return false;
  }
}

static bool is_good_end(const pointer_t* pointer, const block_entry_t* entry, int status,
                        const char* said) {
  if (status == GOOD) return kind_of(pointer) != NO_BLOCK || entry->deed != RESIZES_NEW;
  if (kind_of(pointer) == STRANGE && status == CRASHED_IN_THEIRS) return true;
  if (status != 1000 + SIGABRT || !may_stop(pointer, entry)) return false;
  return kind_of(pointer) == FREE_IN_PAGE || strstr(said, "assertion") == NULL;
}

static const pointer_t* pair_pointer;
static const block_entry_t* pair_entry;
static int pair_stderr;

static int pair_in_child(void) {
  dup2(pair_stderr, STDERR_FILENO);
  run_pair(pair_pointer, pair_entry);
  return GOOD;
}

// Returns whether the pair ended as it should.
static bool try_pair(const pointer_t* pointer, const block_entry_t* entry) {
  if (entry_function(entry) == NULL) return true;
  pair_pointer = pointer;
  pair_entry = entry;
  if (ftruncate(pair_stderr, 0) != 0 || lseek(pair_stderr, 0, SEEK_SET) != 0) return false;
  const int status = status_of_child(&pair_in_child);
  char said[1024] = "";
  if (pread(pair_stderr, said, sizeof(said) - 1, 0) < 0) return false;
  if (is_good_end(pointer, entry, status, said)) return true;
  fprintf(stderr, "%s of %s: status %d %s\n", entry->name, pointer->name, status, said);
  return false;
}

static void every_function_stands_every_pointer(void** state) {
  (void)state;
  size_t wrong = 0;
  const size_t step = HAS_SANITIZER ? 7 : 1;  // there a process takes its time
  for (size_t i = 0; i < COUNT_OF(pointers); i++) {
    for (size_t e = i % step; e < COUNT_OF(block_entries); e += step)
      wrong += !try_pair(&pointers[i], &block_entries[e]);
  }
  assert_int_equal(wrong, 0);
}

// The next allocator gets its blocks back, by whatever function they are freed.
static void blocks_of_another_allocator_are_freed_there(void** state) {
  (void)state;
  if (!is_override || secure_level() > 0) skip();
  struct mallinfo2_s {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
  } (*count_theirs)(void) = NULL;
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* const address = libc != NULL ? dlsym(libc, "mallinfo2") : NULL;
  if (address == NULL) skip();
  memcpy(&count_theirs, &address, sizeof(address));
  enum { BLOCKS = 300, SIZE = 3000 };  // too large for the lists that glibc counts as in use
  for (size_t e = 0; e < COUNT_OF(block_entries); e++) {
    const block_entry_t* const entry = &block_entries[e];
    if (entry->deed != FREES && entry->deed != RESIZES && entry->deed != RESIZES_NEW) continue;
    if (entry_function(entry) == NULL) continue;
    void* theirs[BLOCKS];
    const size_t before = count_theirs().uordblks;
    for (size_t i = 0; i < BLOCKS; i++) theirs[i] = next_malloc(SIZE);
    ASSERT_FOR(entry, count_theirs().uordblks >= before + BLOCKS * SIZE);
    for (size_t i = 0; i < BLOCKS; i++) {
      const outcome_t out = call_entry(entry, theirs[i]);
      mi_free(out.p);
    }
    ASSERT_FOR(entry, count_theirs().uordblks < before + 20 * SIZE);
  }
}

static int misuse_without_handler(void) {
  watch_for_crashes();
  mi_register_error(NULL, NULL);
  dup2(pair_stderr, STDERR_FILENO);
  const outcome_t out =
      call_entry(pair_entry, pair_pointer->make(pair_pointer->a, pair_pointer->b));
  (void)out;
  return GOOD;
}

static void a_hardened_process_stops_at_misuse(void** state) {
  (void)state;
  if (secure_level() == 0) skip();
  for (size_t i = 0; i < COUNT_OF(pointers); i++) {
    pair_pointer = &pointers[i];
    if (kind_of(pair_pointer) != NO_BLOCK || pair_pointer->kind == STRANGE) continue;
    for (size_t e = 0; e < COUNT_OF(block_entries); e++) {
      pair_entry = &block_entries[e];
      if (pair_entry->deed != FREES && pair_entry->deed != RESIZES) continue;
      if (entry_function(pair_entry) == NULL) continue;
      ASSERT_FOR(pair_entry, status_of_child(&misuse_without_handler) == 1000 + SIGABRT);
    }
  }
}

// Found in the allocator behind us; without override that is the program's malloc.
static void find_next_malloc(void) {
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* const address = dlsym(is_override && libc != NULL ? libc : RTLD_DEFAULT, "malloc");
  assert_non_null(address);
  memcpy(&next_malloc, &address, sizeof(address));
}

static int set_up(void** state) {
  be_silent(state);
  is_override = malloc_is_ours();
  pair_stderr = memfd_create("stderr", 0);
  make_live_blocks();
  find_range();
  find_next_malloc();
  return pair_stderr < 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_function_stands_every_pointer),
      cmocka_unit_test(blocks_of_another_allocator_are_freed_there),
      cmocka_unit_test(a_hardened_process_stops_at_misuse),
  };
  return cmocka_run_group_tests_name("api/misuse", tests, set_up, unregister_all);
}
