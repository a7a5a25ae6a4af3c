// hello: a program that hardly allocates. This asks for what the allocator itself costs: its start, and
// the memory it takes before anybody has asked for any.
#include "workload.h"

int main(void) {
  char* const text = must_malloc(16);
  snprintf(text, 16, "%s", "hello");
  puts(text);
  free(text);
  return rest();
}
