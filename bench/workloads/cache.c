// cache: threads write to small objects of their own, again and again (the false sharing tests of
// Berger et al., "Hoard: A Scalable Memory Allocator for Multithreaded Applications", 2000). This
// asks for one thing: objects of two threads in different cache lines. If they share one, each
// write fetches the line from the other core, and two threads are slower than one.
//
//   cache thrash [THREADS [OBJECTS [WRITES]]]     active: two threads allocate at the same time
//   cache scratch [THREADS [OBJECTS [WRITES]]]    passive: the first objects come from the main
//                                                 thread, side by side; the threads write to them,
//                                                 free them, and should not get them back
//
// OBJECTS: of all threads together, one after the other. WRITES: to each byte of each.
#include <string.h>

#include "crew.h"

enum { OBJECT_SIZE = 8 };

typedef volatile unsigned char byte_t;  // the compiler must not add up the writes

typedef struct worker {
  pthread_t thread;
  byte_t* given;  // NULL: none
  size_t objects;
  size_t writes;
  uint64_t checksum;
} worker_t;

static byte_t* object_make(void) {
  byte_t* const object = must_malloc(OBJECT_SIZE);
  for (size_t i = 0; i < OBJECT_SIZE; i++) object[i] = (unsigned char)i;
  return object;
}

static uint64_t object_use(byte_t* object, size_t writes) {
  for (size_t i = 0; i < writes; i++) {
    for (size_t k = 0; k < OBJECT_SIZE; k++) object[k]++;
  }
  uint64_t sum = 0;
  for (size_t k = 0; k < OBJECT_SIZE; k++) sum = sum * 31 + object[k];
  free((void*)object);
  return sum;
}

static void* work(void* argument_of_thread) {
  worker_t* const own = argument_of_thread;
  uint64_t checksum = 0;
  byte_t* object = own->given;
  for (size_t i = 0; i < own->objects; i++) {
    if (object == NULL) object = object_make();
    checksum += object_use(object, own->writes);
    object = NULL;
  }
  own->checksum = checksum;
  return NULL;
}

int main(int argc, char** argv) {
  const char* const name = argc > 1 ? argv[1] : "thrash";
  const bool passive = strcmp(name, "scratch") == 0;
  if (!passive && strcmp(name, "thrash") != 0) {
    fprintf(stderr, "usage: cache [thrash|scratch [THREADS [OBJECTS [WRITES]]]]\n");
    return 2;
  }
  const size_t threads = argument(argc, argv, 2, default_threads());
  const size_t objects = argument(argc, argv, 3, 250000);
  const size_t writes = argument(argc, argv, 4, 1000);

  worker_t* const workers = must_malloc(threads * sizeof(worker_t));
  for (size_t i = 0; i < threads; i++) {
    workers[i] = (worker_t){.objects = part_of(objects, threads, i), .writes = writes};
    if (passive && workers[i].objects > 0) workers[i].given = object_make();
  }
  for (size_t i = 0; i < threads; i++) workers[i].thread = start_thread(work, &workers[i]);
  uint64_t checksum = 0;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    checksum += workers[i].checksum;
  }
  free(workers);
  printf("cache %s %zu threads, %zu x %zu: %016llx\n", name, threads, objects, writes,
         (unsigned long long)checksum);
  return rest();
}
