// The smallest ordinary program: what an allocator costs those who hardly need one.
#include <stdio.h>

int main(void) {
  puts("hello");
  return 0;
}
