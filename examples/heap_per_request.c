// SPDX-License-Identifier: MIT
// heap_per_request.c - a server that gives each request a heap and frees all of it at once
//
// What a request allocates lives as long as the request. With a heap for each, nothing can be forgotten and
// no single block has to be freed: when the answer is sent the heap is destroyed. Any thread may allocate in
// it; destroying it is for one that knows that nobody uses it any more.
//
//     cc heap_per_request.c -lmimalloc -pthread -o heap_per_request
#include <mimalloc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4, REQUESTS_PER_WORKER = 1000, HEADERS_PER_REQUEST = 20 };

typedef struct header_s {
  struct header_s* next;
  char* name;
  char* value;
} header_t;

typedef struct request_s {
  mi_heap_t* heap;
  header_t* headers;
} request_t;

static header_t* header_new(request_t* request, int number) {
  char name[32];
  snprintf(name, sizeof(name), "x-header-%d", number);
  header_t* const header = mi_heap_malloc_tp(header_t, request->heap);
  header->name = mi_heap_strdup(request->heap, name);
  header->value = (char*)mi_heap_zalloc(request->heap, (size_t)number * 50 + 1);
  memset(header->value, 'v', (size_t)number * 50);
  header->next = request->headers;
  return header;
}

static size_t answer(const request_t* request) {
  size_t length = 0;
  for (const header_t* h = request->headers; h != NULL; h = h->next) {
    length += strlen(h->name) + strlen(h->value) + 4;
  }
  return length;
}

static size_t serve(void) {
  request_t request = {mi_heap_new(), NULL};
  if (request.heap == NULL) abort();
  for (int i = 0; i < HEADERS_PER_REQUEST; i++) request.headers = header_new(&request, i);
  if (!mi_heap_contains(request.heap, request.headers)) abort();
  const size_t length = answer(&request);
  mi_heap_destroy(request.heap);  // all of it
  return length;
}

static void* work(void* arg) {
  size_t* const sum = (size_t*)arg;
  for (int i = 0; i < REQUESTS_PER_WORKER; i++) *sum += serve();
  return NULL;
}

int main(void) {
  pthread_t workers[WORKERS];
  size_t sums[WORKERS] = {0};
  for (int w = 0; w < WORKERS; w++) {
    if (pthread_create(&workers[w], NULL, work, &sums[w]) != 0) return 1;
  }
  for (int w = 0; w < WORKERS; w++) pthread_join(workers[w], NULL);

  for (int w = 1; w < WORKERS; w++) {
    if (sums[w] != sums[0]) return 1;
  }
  printf("%d requests, %zu bytes of answers each worker\n", WORKERS * REQUESTS_PER_WORKER, sums[0]);
  return sums[0] > 0 ? 0 : 1;
}
