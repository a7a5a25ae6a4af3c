// Calls that compatibility.sh makes with and without us, compiled with optimization and
// -D_FORTIFY_SOURCE=3, as distributions do: compatibility WHAT [SIZE]

#define _GNU_SOURCE
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The compiler sees the sizes, but must not remove what is written before it is freed.
static char* volatile kept;
static int is_written(char* p) {
  kept = p;
  return kept[0] == 1;
}
static int may_move;

// Within the size that was asked for.
static int write_size(size_t size) {
  char* p = malloc(size);
  if (p == NULL) return 1;
  memset(p, 1, size);
  if (!is_written(p) || malloc_usable_size(p) < size) return 1;
  free(p);
  return 0;
}

// The whole block: more than was asked for, perhaps, and the compiler knows that.
static int write_usable(size_t size) {
  char* p = malloc(size);
  if (p == NULL) return 1;
  memset(p, 1, malloc_usable_size(p));
  if (!is_written(p)) return 1;
  free(p);
  return 0;
}

// The way that is allowed: tell the compiler. Ours stay where they are.
static int expand_then_write(size_t size) {
  char* p = malloc(size);
  if (p == NULL) return 1;
  const uintptr_t address = (uintptr_t)p;
  const size_t usable = malloc_usable_size(p);
  char* q = realloc(p, usable);
  if ((uintptr_t)q != address && !may_move) return 2;
  memset(q, 1, usable);
  const int good = is_written(q) && malloc_usable_size(q) >= usable;
  free(q);
  return good ? 0 : 3;
}

static int each(int (*run)(size_t)) {
  for (size_t size = 1; size < 3000000; size += 1 + size / 5) {
    const int status = run(size);
    if (status != 0) return status;
  }
  return 0;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  const size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  if (strcmp(what, "write_size") == 0) return each(write_size);
  if (strcmp(what, "write_usable") == 0) return write_usable(size);
  may_move = strcmp(what, "resize_then_write") == 0;
  if (may_move || strcmp(what, "expand_then_write") == 0) return each(expand_then_write);
  if (strcmp(what, "first_byte") == 0) {
    unsigned char* volatile p = malloc(5000);
    printf("%d\n", p[2500]);
    return 0;
  }
  if (strcmp(what, "reallocarray_0") == 0) {
    void* p = malloc(100);
    puts(reallocarray(p, size, 8) == NULL ? "NULL" : "block");
    return 0;
  }
  return 99;
}
