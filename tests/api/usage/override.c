// SPDX-License-Identifier: MIT
// override.c - a program that knows nothing of mimalloc but this one line
#include <mimalloc-override.h>

typedef struct node_s {
  struct node_s* next;
  char* name;
} node_t;

static node_t* push(node_t* list, const char* name) {
  node_t* const node = (node_t*)malloc(sizeof(node_t));
  if (node == NULL) return list;
  node->next = list;
  node->name = strdup(name);
  return node;
}

int main(void) {
  node_t* list = NULL;
  for (int i = 0; i < 1000; i++) list = push(list, "a name that is long enough");
  if (!mi_malloc_size(list) || !mi_malloc_size(list->name)) return 1;
  while (list != NULL) {
    node_t* const next = list->next;
    free(list->name);
    free(list);
    list = next;
  }
  char* const buffer = (char*)realloc(calloc(10, 10), 1000);
  if (buffer == NULL || buffer[99] != 0 || malloc_usable_size(buffer) < 1000) return 2;
  free(buffer);
  return 0;
}
