// A C program that calls what C++'s operator new does. Nobody can catch an exception here.
//
// usage: new_in_c nothrow | throw

#include <errno.h>
#include <mimalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  volatile size_t huge = PTRDIFF_MAX / 2;
  char* const p = mi_new(100);
  strcpy(p, "a text");
  if (argc == 2 && strcmp(argv[1], "nothrow") == 0) {
    errno = 0;
    if (mi_new_nothrow(huge) != NULL || errno != ENOMEM) return 1;
    if (mi_new_aligned_nothrow(huge, 64) != NULL || strcmp(p, "a text") != 0) return 1;
    mi_free(p);
    return 0;
  }
  mi_free(mi_new(huge));
  return 1;  // not reached
}
