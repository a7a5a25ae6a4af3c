// workout.h - puts malloc to work: blocks of 8 bytes to 4 MiB are taken, checked, given back, purged and
// taken again. NULL is an answer, if errno says ENOMEM; everything else that is wrong ends the program.
#ifndef WORKOUT_H
#define WORKOUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mi_collect(bool force) __attribute__((weak));  // not there on the system's malloc

enum { SLOTS = 16384, KIB = 1024, MIB = 1024 * 1024 };

typedef struct slot_s {
  unsigned char* start;
  size_t size;
  unsigned char stamp;
} slot_t;

static slot_t slots[SLOTS];
static size_t live;  // bytes
static uint32_t random_state = 1;

// Allocates nothing, and needs no system call but write.
__attribute__((format(printf, 1, 2), noreturn)) static void die(const char* format, ...) {
  char text[200];
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (write(2, text, (size_t)length) < 0) _exit(2);
  _exit(1);
}

static uint32_t random_below(uint32_t limit) {
  random_state = random_state * 1664525 + 1013904223;
  return (uint32_t)(((uint64_t)(random_state >> 8) * limit) >> 24);
}

// One of 16 is large: 16 KiB to 4 MiB.
static size_t random_size(void) {
  const uint32_t doublings = random_below(16) == 0 ? 14 + random_below(8) : 3 + random_below(11);
  return ((size_t)1 << doublings) + random_below(1u << doublings);
}

static void stamp(slot_t* slot) {
  for (size_t at = 0; at < slot->size; at += 512) slot->start[at] = slot->stamp;
  slot->start[slot->size - 1] = slot->stamp;
}

static void check(const slot_t* slot, unsigned char value, const char* complaint) {
  for (size_t at = 0; at < slot->size; at += 512) {
    if (slot->start[at] != value) die("%s, size %zu\n", complaint, slot->size);
  }
  if (slot->start[slot->size - 1] != value) die("%s at its end\n", complaint);
}

static bool take(slot_t* slot) {
  const bool zeroed = random_below(2) == 0;
  const size_t size = random_size();
  errno = 0;
  unsigned char* const start = zeroed ? calloc(1, size) : malloc(size);
  if (start == NULL) {
    if (errno != ENOMEM) die("no memory, but errno is %d\n", errno);
    return false;
  }
  if (errno != 0) die("a successful call leaves errno %d\n", errno);
  *slot = (slot_t){start, size, (unsigned char)(1 + random_below(255))};
  if (zeroed) check(slot, 0, "a zeroed block is not zero");
  stamp(slot);
  live += size;
  return true;
}

static void give(slot_t* slot) {
  check(slot, slot->stamp, "a block lost its content");
  live -= slot->size;
  errno = 0;
  free(slot->start);
  if (errno != 0) die("free leaves errno %d\n", errno);
  slot->start = NULL;
}

// Take blocks until that many bytes are live. False: malloc said no before.
static bool fill(size_t bytes) {
  for (int i = 0; i < SLOTS && live < bytes; i++) {
    if (slots[i].start == NULL && !take(&slots[i])) return false;
  }
  if (live < bytes) die("the workout has too few slots\n");
  return true;
}

// Give one of n blocks back, and let the library purge what is free.
static void empty(int n) {
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i].start != NULL && i % n == 0) give(&slots[i]);
  }
  if (mi_collect != NULL) mi_collect(true);
}

// False: malloc said no at least once.
static bool workout(size_t bytes, int rounds) {
  bool all = true;
  while (rounds-- > 0) {
    all = fill(bytes) && all;
    empty(2);
    all = fill(bytes) && all;
    empty(1);
  }
  return all;
}

// A figure of /proc/self/status in KiB, such as "VmRSS:".
__attribute__((unused)) static size_t status_kib(const char* name) {
  static char text[8192];
  const int file = open("/proc/self/status", O_RDONLY);  // stdio would allocate
  const ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
  if (length < 0) die("no /proc/self/status\n");
  close(file);
  text[length] = '\0';
  const char* const found = strstr(text, name);
  return found != NULL ? strtoul(found + strlen(name), NULL, 10) : 0;
}

#endif
