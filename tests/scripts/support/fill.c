// Allocates blocks until there is no more.
//
// usage: fill SIZE    its last line on standard error is the report of the failure

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  const size_t size = argc == 2 ? strtoul(argv[1], NULL, 0) : 0;
  for (;;) {
    errno = 0;
    char* const p = malloc(size);
    if (p == NULL) return errno == ENOMEM ? 0 : 1;
    p[0] = 1;
  }
}
