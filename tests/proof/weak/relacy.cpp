// SPDX-License-Identifier: MIT
// relacy.cpp - the scenarios under Relacy, which knows the memory model of C11, and order mutation
//
// world.c again, compiled as C++ with the stdatomic.h beside this file, from a copy of the sources in which the
// fields that a comment says belong to their "owner" are plain_t. Relacy runs a scenario many times, each time
// with another interleaving and with other, older values for loads that are not ordered; it reports data races, and the
// checks at the end of each run are those of the explorer.
//
// Mutation: which order a place uses is decided while it runs, so each is weakened in turn in one program.
#include <stdatomic.h>
#include "world.c"

#include <ostream>
#include <streambuf>
#include <string>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const scenario_t* scenario;

static site_t* first_site;

site_t::site_t(const char* path, unsigned at, const char* its_role, int as_written)
    : file(path), line(at), role(its_role), order((rl::memory_order)as_written), used(order) {
  const char* const below = strstr(path, "relacy-src/");  // tests/proof/build.sh puts the copy there
  is_source = below != NULL;
  if (is_source) file = below + strlen("relacy-");
  next = first_site;
  first_site = this;
}

turn_t::turn_t() : mine(mii_theap_mine) {}
turn_t::~turn_t() { mii_theap_mine = (theap_t*)mine; }

uint32_t proof_thread(void) { return rl::thread_index(); }
void proof_hush(void) {}
void proof_unhush(void) {}
void proof_pause(void) {}
bool proof_is_held(uint64_t) { return true; }
void proof_fail(const char* what, const char* file, int line) {
  rl::ctx().fail_test(what, rl::test_result_user_assert_failed, rl::debug_info("", file, line));
}

// The context-bound search ends by itself, but not soon.
static unsigned long runs_so_far, runs_max;

struct suite_t : rl::test_suite<suite_t, THREADS> {
  void before() {
    if (++runs_so_far > runs_max) rl::ctx().rl_until("enough", $);
    parts_renew();
    proof_begin(scenario);
  }
  void thread(unsigned index) {
    mii_theap_mine = (theap_t*)proof_first_theap(index);
    if (scenario->thread[index] != NULL) scenario->thread[index]();
  }
  void after() {
    proof_check_end();
    for (const part_t& part : parts()) part.destroy(part.object);
  }
};

struct search_t {
  rl::scheduler_type_e type;
  unsigned bound;
  unsigned runs;
};

// What Relacy says, without an allocation: it counts those made while it runs.
struct text_t : std::streambuf {
  char text[1 << 20];
  text_t() { setp(text, text + sizeof text - 1); }
  const char* end() { return *pptr() = '\0', text; }
};

// The last lines are what matters of a history.
static void print_end(const char* text) {
  enum { LINES = 40 };
  const char* from = text + strlen(text);
  for (int lines = 0; from > text && lines < LINES; from--) lines += from[-1] == '\n';
  printf("%s\n", from);
}

// What is wrong with the scenario; then `history` has what happened. NULL if nothing was found.
static const char* verdict(const search_t& search, const char** history, unsigned long* runs) {
  static text_t said, progress;
  said.~text_t(), new (&said) text_t;
  progress.~text_t(), new (&progress) text_t;
  std::ostream out(&said), progress_out(&progress);
  rl::test_params params;
  params.search_type = search.type;
  params.context_bound = search.bound;
  params.iteration_count = search.runs;
  params.output_stream = &out;
  params.progress_stream = &progress_out;
  params.execution_depth_limit = 10000;
  runs_so_far = 0;
  runs_max = search.runs;
  const bool good =
      rl::simulate<suite_t>(params) || params.test_result == rl::test_result_until_condition_hit;
  *runs = params.stop_iteration;
  *history = said.end();
  if (good) return NULL;
  static char wrong[256];  // the second line; the first is the name of our class
  snprintf(wrong, sizeof wrong, "%s", strchrnul(said.text, '\n') + 1);
  *strchrnul(wrong, '\n') = '\0';
  return wrong;
}

// Searches in all scenarios; true if nothing is found. Prints each.
static bool all_hold(const search_t& search, const char* name) {
  bool good = true;
  for (scenario = proof_scenarios; scenario->name != NULL; scenario++) {
    if (scenario->is_hole) continue;
    unsigned long runs = 0;
    const char* history;
    const char* const wrong = verdict(search, &history, &runs);
    printf("%-28s %-16s %9lu %s\n", scenario->name, name, runs, wrong != NULL ? wrong : "");
    if (wrong != NULL) print_end(history);
    good &= wrong == NULL;
  }
  return good;
}

// Mutation -----------------------------------------------------------------------------------------

static const char* name_of(rl::memory_order order) {
  switch (order) {
    case rl::mo_relaxed: return "relaxed";
    case rl::mo_acquire: return "acquire";
    case rl::mo_release: return "release";
    case rl::mo_acq_rel: return "acq_rel";
    default: return "seq_cst";
  }
}

// NULL if by nothing.
static const char* noticed_by(const search_t& search) {
  for (scenario = proof_scenarios; scenario->name != NULL; scenario++) {
    if (scenario->is_hole) continue;
    unsigned long runs;
    const char* history;
    const char* const wrong = verdict(search, &history, &runs);
    if (wrong != NULL) return wrong;
  }
  return NULL;
}

static void print_row(const site_t* site, const char* wrong) {
  printf("%s:%u | %s%s | %s | %s%s%s\n", site->file, site->line, name_of(site->order), site->role,
         name_of(site->used), wrong != NULL ? scenario->name : "-", wrong != NULL ? ": " : "",
         wrong != NULL ? wrong : "");
}

static const site_t* mutated;
static void on_crash(int number) {
  print_row(mutated, strsignal(number));
  _exit(0);
}

// In a process of its own: what goes wrong may go very wrong.
static void mutate(const search_t& search, site_t* site, rl::memory_order weaker) {
  if (fork() == 0) {
    mutated = site;
    signal(SIGSEGV, on_crash);
    signal(SIGABRT, on_crash);
    site->used = weaker;
    print_row(site, noticed_by(search));
    _exit(0);
  }
  wait(NULL);
}

static void mutate_all(const search_t& search) {
  for (site_t* s = first_site; s != NULL; s = s->next) {
    if (!s->is_source || s->order == rl::mo_relaxed) continue;
    if (s->order == rl::mo_acq_rel) {
      mutate(search, s, rl::mo_acquire);
      mutate(search, s, rl::mo_release);
    } else {
      mutate(search, s, rl::mo_relaxed);
    }
  }
}

// usage: relacy random|bound|mutate RUNS
int main(int count, char** args) {
  if (count != 3) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const std::string what = args[1];
  const search_t search = {what == "bound" ? rl::sched_bound : rl::sched_random, 1,
                           (unsigned)atoi(args[2])};
  if (what != "mutate") return all_hold(search, what.c_str()) ? 0 : 1;
  if (noticed_by(search) != NULL) return 1;  // this also finds the places
  mutate_all(search);
  return 0;
}
