// SPDX-License-Identifier: MIT
// Calls malloc or free a number of times where only the fast path runs, for icount.sh:
//
//   icount malloc TIMES    at most 60: the first call has filled the list of the class
//   icount free TIMES      at most 14: the owner of a page looks at it after 16
#include <stdlib.h>
#include <string.h>

enum { SIZE = 64, BLOCKS = 62 };

int main(int argc, char** argv) {
  static void* blocks[BLOCKS];
  if (argc != 3) return 2;
  const int times = atoi(argv[2]);
  const int is_malloc = strcmp(argv[1], "malloc") == 0;
  if (times < 1 || times > (is_malloc ? 60 : 14)) return 2;
  // All in one list, so that the same happens before whatever is counted.
  blocks[0] = malloc(SIZE);
  if (is_malloc) {
    for (int i = 1; i <= times; i++) blocks[i] = malloc(SIZE);
  } else {
    for (int i = 1; i < 20; i++) blocks[i] = malloc(SIZE);
    for (int i = 1; i <= times; i++) free(blocks[i]);
  }
  return blocks[1] == NULL;
}
