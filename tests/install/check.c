// SPDX-License-Identifier: MIT
// check.c - what every consumer builds: is malloc ours, and which level of the API?
//
// usage: check               status 0 if all is well
//        check fail          allocates too much; prints "NULL" if it comes back
#include <mimalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  volatile size_t size = 40;
  if (argc > 1 && strcmp(argv[1], "fail") == 0) {
    size = (size_t)-1 / 2 + 1;  // more than any block can have
    puts(mi_malloc(size) == NULL ? "NULL" : "memory");
    return 0;
  }
  void* const p = malloc(size);
  if (mi_malloc_size(p) < size) return puts("malloc is not ours"), 1;
  free(p);
  char* const text = mi_strdup("mi");
  if (text == NULL || strcmp(text, "mi") != 0) return puts("mi_strdup"), 1;
  mi_free(text);
  if (mi_version() != MI_MALLOC_VERSION) return puts("another library than the header's"), 1;
  return 0;
}
