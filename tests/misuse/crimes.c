// SPDX-License-Identifier: MIT
// crimes.c - one small crime per run: crimes NAME SIZE
//
// Prints "done" when the deed is done and nobody has noticed, then goes on as programs do, so that what can
// only be noticed later has its chance, and ends with status 0. With "list" it prints the names. It knows no
// allocator: the one to be tested is preloaded.
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// operator delete(void*, size_t), if the allocator brings one.
extern void _ZdlPvm(void* p, size_t size) __attribute__((weak));

enum { BESIDE = 16, NOT_POSSIBLE = 99 };

static size_t size;
static uint8_t* p;               // the victim
static uint8_t* beside[BESIDE];  // blocks of the same size around it
static int is_freed;             // the program has given p back

// The compiler must not see what it is that we do.
static uint8_t* hidden(void* pointer) {
  void* volatile copy = pointer;
  return copy;
}

static void overflow_by_1(void) { hidden(p)[size] ^= 0x55; }
static void overflow_linear(void) { memset(hidden(p), 0x41, size + 16); }
static void overflow_memcpy(void) {
  static uint8_t source[256 * 1024 + 64];
  memset(source, 0x42, sizeof source);
  memcpy(hidden(p), source, size + 8);
}
static void overflow_of_string(void) { hidden(p)[size] = 0; }
static void underflow_by_1(void) { hidden(p)[-1] ^= 0x55; }
static void underflow_linear(void) { memset(hidden(p) - 16, 0x43, 32); }

static void give(void) {
  free(hidden(p));
  is_freed = 1;
}

static void double_free(void) {
  give();
  free(hidden(p));
}

static void double_free_after_another(void) {
  give();
  free(beside[3]);
  beside[3] = NULL;
  free(hidden(p));
}

static void double_free_delayed(void) {
  give();
  for (int i = 0; i < 1000; i++) free(hidden(malloc(24 + (size_t)i % 7 * 500)));
  free(hidden(p));
}

static void* free_in_thread(void* arg) {
  free(arg);
  return NULL;
}

static void double_free_by_thread(void) {
  pthread_t thread;
  give();
  if (pthread_create(&thread, NULL, free_in_thread, hidden(p)) == 0) pthread_join(thread, NULL);
}

static void double_free_of_thread(void) {
  pthread_t thread;
  is_freed = 1;
  if (pthread_create(&thread, NULL, free_in_thread, hidden(p)) == 0) pthread_join(thread, NULL);
  free(hidden(p));
}

// The block is somebody else's by now, who does not know that it has gone: the next free is the second.
static void double_free_after_reuse(void) {
  enum { HELD = 200 };
  static uint8_t* held[HELD];
  give();
  for (int round = size > 100000 ? 5 : 300; round > 0; round--) {
    for (int i = 0; i < HELD; i++) {
      held[i] = hidden(malloc(size));
      if (held[i] != p) continue;
      free(hidden(p));
      free(held[i]);
      return;
    }
    for (int i = 0; i < HELD; i++) free(held[i]);
  }
  _exit(NOT_POSSIBLE);
}

static void free_inside(void) { free(hidden(p) + (size >= 32 ? 16 : 4)); }
static void free_stack(void) {
  _Alignas(64) uint8_t bytes[256];
  free(hidden(bytes + 64));
}
static void free_global(void) {
  static _Alignas(64) uint8_t bytes[256];
  free(hidden(bytes + 64));
}
static void free_foreign(void) {
  uint8_t* const theirs =
      mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  free(hidden(theirs + 64));
}

static void delete_of_wrong_size(void) {
  if (_ZdlPvm == NULL) _exit(NOT_POSSIBLE);
  is_freed = 1;
  _ZdlPvm(hidden(p), size / 2);
}

static void write_after_free(void) {
  give();
  hidden(p)[size / 2] ^= 0x5A;
}

// What would be a link in many allocators.
static void corrupt_link(void) {
  for (int i = 0; i < BESIDE; i += 2) {
    free(beside[i]);
    memset(hidden(beside[i]), 0x66, 8);
    beside[i] = NULL;
  }
}

// Found out if the program does not see what it had written.
static void read_after_free(void) {
  memset(p, 0x77, size);
  give();
  volatile uint8_t* const at = hidden(p) + size / 2;
  if (*at != 0x77) (void)!write(1, "hidden\n", 7);
}

static void realloc_of_freed(void) {
  give();
  p = realloc(hidden(p), size * 2);
}

static void usable_size_of_freed(void) {
  give();
  if (malloc_usable_size(hidden(p)) == 0) (void)!write(1, "refused\n", 8);
}

static const struct crime_s {
  const char* name;
  void (*commit)(void);
} crimes[] = {
    {"overflow by 1 byte", overflow_by_1},
    {"overflow by a 0", overflow_of_string},
    {"overflow, linear", overflow_linear},
    {"overflow by memcpy", overflow_memcpy},
    {"underflow by 1 byte", underflow_by_1},
    {"underflow, linear", underflow_linear},
    {"double free at once", double_free},
    {"double free after another", double_free_after_another},
    {"double free, delayed", double_free_delayed},
    {"double free by a thread", double_free_by_thread},
    {"double free of a thread's", double_free_of_thread},
    {"double free after reuse", double_free_after_reuse},
    {"free inside a block", free_inside},
    {"free of the stack", free_stack},
    {"free of a global", free_global},
    {"free of a mapping", free_foreign},
    {"delete with a wrong size", delete_of_wrong_size},
    {"write after free", write_after_free},
    {"overwritten link", corrupt_link},
    {"read after free", read_after_free},
    {"realloc of freed", realloc_of_freed},
    {"usable size of freed", usable_size_of_freed},
};
enum { CRIMES = sizeof crimes / sizeof crimes[0] };

// The blocks go back, and many come and go.
static void live_on(void) {
  if (!is_freed) free(p);
  for (int i = 0; i < BESIDE; i++) free(beside[i]);
  enum { MANY = 1000 };
  const int many = size > 100000 ? 64 : MANY;
  const int rounds = size > 1000 ? 3 : 100;
  for (int round = 0; round < rounds; round++) {
    static void* blocks[MANY];
    for (int i = 0; i < many; i++) blocks[i] = hidden(malloc(size));
    for (int i = 0; i < many; i++) free(blocks[i]);
  }
}

int main(int argc, char** argv) {
  if (argc == 2) {
    for (int i = 0; i < CRIMES; i++) puts(crimes[i].name);
    return 0;
  }
  if (argc != 3) return 2;
  size = strtoul(argv[2], NULL, 10);
  for (int i = 0; i < BESIDE; i++) {
    beside[i] = malloc(size);
    if (i == BESIDE / 2) p = malloc(size);
  }
  // In front of the first page of all lies a guard.
  if ((uintptr_t)p % 65536 == 0) {
    uint8_t* const first = p;
    p = beside[0];
    beside[0] = first;
  }
  memset(p, 0x11, size);
  for (int i = 0; i < CRIMES; i++) {
    if (strcmp(argv[1], crimes[i].name) != 0) continue;
    crimes[i].commit();
    (void)!write(1, "done\n", 5);
    live_on();
    return 0;
  }
  return 2;
}
