// early.h - a function that runs before the constructors of every library, so before a preloaded
// allocator has started. It must allocate nothing.
#ifndef EARLY_H
#define EARLY_H

// early(argc, argv) is what the program wants to do then.
static void early(int argc, char** argv);

static void run_early(int argc, char** argv, char** envp) {
  (void)envp;
  early(argc, argv);
}
__attribute__((section(".preinit_array"),
               used)) static void (*const run_early_pointer)(int, char**, char**) = run_early;

#endif
