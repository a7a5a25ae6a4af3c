// Says whether the system treats this program as a privileged one, and the value of an option.
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

int main(void) {
  free(malloc(100));
  printf("%s %ld\n", getauxval(AT_SECURE) != 0 ? "privileged" : "ordinary",
         mi_option_get(mi_option_purge_delay));
  return 0;
}
