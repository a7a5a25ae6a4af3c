// Threads that are served outside of their usual life: destructors of thread_local objects and of thread
// keys, in every pass, before and after our own end of the thread; threads made by a raw clone, which
// libc does not know: on the memory of the parent that waits (as posix_spawn does it), and with an area
// for thread-local variables made by hand. See late_threads.sh.
//
// late_threads destructors|vfork|clone COUNT

#include <asm/ldt.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 60, STACK_BYTES = 256 * 1024 };

static int failures;

static void expect(int good, const char* what) {
  if (good) return;
  fprintf(stderr, "late_threads: %s\n", what);
  failures++;
}

static size_t size_of(int i) { return (size_t)i * (size_t)i * 9 + 1; }

static void fill(unsigned char** blocks, int seed) {
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(size_of(i));
    if (blocks[i] == NULL) abort();
    memset(blocks[i], seed + i, size_of(i));
  }
}

static void drop(unsigned char** blocks, int seed) {
  for (int i = 0; i < BLOCKS; i++) {
    const unsigned char wanted = (unsigned char)(seed + i);
    if (blocks[i][0] != wanted || blocks[i][size_of(i) - 1] != wanted) abort();
    free(blocks[i]);
  }
}

static void churn(int seed) {
  unsigned char* blocks[BLOCKS];
  fill(blocks, seed);
  blocks[5] = realloc(blocks[5], size_of(5));
  drop(blocks, seed);
}

// Destructors ----------------------------------------------------------------------------------------

extern int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* dso);

static pthread_key_t first_key, last_key;
static char nothing[] = "a value that is no block";
static int passes_of_first, passes_of_last, objects;

// Set again in every pass, and a block goes from pass to pass.
static void again(pthread_key_t key, void* value, int* passes) {
  ++*passes;
  churn(*passes);
  if (value != nothing) free(value);
  pthread_setspecific(key, malloc(100));
}
static void destroy_first(void* value) { again(first_key, value, &passes_of_first); }
static void destroy_last(void* value) { again(last_key, value, &passes_of_last); }

static void destroy_object(void* object) {
  objects++;
  free(object);
  churn(3);
}

// Before our constructor: this key's destructor runs before ours.
static void early(void) {
  if (pthread_key_create(&first_key, destroy_first) != 0) abort();
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = early;

static void* with_destructors(void* arg) {
  if (arg != NULL) churn(1);  // otherwise the first call is that of a destructor
  pthread_setspecific(first_key, arg != NULL ? malloc(10) : nothing);
  pthread_setspecific(last_key, arg != NULL ? malloc(10) : nothing);
  __cxa_thread_atexit_impl(destroy_object, arg != NULL ? malloc(1000) : NULL, &objects);
  return NULL;
}

static void destructors(int count) {
  static char stamp[] = "use";
  if (pthread_key_create(&last_key, destroy_last) != 0) abort();
  for (int i = 0; i < count; i++) {
    passes_of_first = passes_of_last = objects = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, with_destructors, i % 4 != 0 ? stamp : NULL) != 0) abort();
    pthread_join(thread, NULL);
    expect(passes_of_first == PTHREAD_DESTRUCTOR_ITERATIONS, "passes before our end");
    expect(passes_of_last == PTHREAD_DESTRUCTOR_ITERATIONS, "passes after our end");
    expect(objects == 1, "the destructor of an object");
  }
}

// Raw clones -------------------------------------------------------------------------------------------

typedef struct job_s {
  unsigned char* from_parent[BLOCKS];
  unsigned char* from_child[BLOCKS];
  int errors;
} job_t;

static int in_clone(void* arg) {
  job_t* const job = arg;
  errno = 4711;
  drop(job->from_parent, 20);
  churn(30);
  fill(job->from_child, 40);
  churn(50);
  if (errno != 4711) job->errors++;
  return 0;
}

static void* map(size_t bytes) {
  void* p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) abort();
  return p;
}

// The child uses the parent's thread-local variables while the parent waits.
static void vfork_like(char* stack, job_t* job) {
  const pid_t child = clone(in_clone, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, job);
  int status = 1;
  waitpid(child, &status, 0);
  expect(child > 0 && status == 0, "a child on our memory");
}

// What the thread pointer of x86 points to begins so (the ABI of thread-local storage, and glibc).
typedef struct thread_head_s {
  void* self;
  void* vector;
  void* same;
  uintptr_t others[2];  // with 32 bits one is the way into the kernel
  uintptr_t guard;      // of stacks
  uintptr_t pointer_guard;
} thread_head_t;

enum { AREA_BYTES = 64 * 1024, HEAD_BYTES = 8192 };

// The segment register that it is found by, and what clone is given to set it: with 32 bits a description of
// the segment, in the place of ours.
#ifdef __x86_64__
#define SEGMENT "fs"
static void* thread_area(thread_head_t* head) { return head; }
#else
#define SEGMENT "gs"
static void* thread_area(thread_head_t* head) {
  static struct user_desc area;
  unsigned selector;
  __asm__("mov %%" SEGMENT ", %0" : "=r"(selector));
  area = (struct user_desc){.entry_number = selector >> 3,
                            .base_addr = (uintptr_t)head,
                            .limit = 0xfffff,
                            .seg_32bit = 1,
                            .limit_in_pages = 1,
                            .useable = 1};
  return &area;
}
#endif

static thread_head_t* my_head(void) {
  thread_head_t* head;
  __asm__("mov %%" SEGMENT ":0, %0" : "=r"(head));
  return head;
}

// Copy the initial thread-local variables of a module to their place below the new head.
static int copy_image(struct dl_phdr_info* info, size_t size, void* new_head) {
  (void)size;
  if (info->dlpi_tls_data == NULL) return 0;
  const size_t offset = (size_t)((char*)my_head() - (char*)info->dlpi_tls_data);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* const part = &info->dlpi_phdr[i];
    if (part->p_type != PT_TLS || offset > AREA_BYTES - HEAD_BYTES) continue;
    memcpy((char*)new_head - offset, (const char*)info->dlpi_addr + part->p_vaddr, part->p_filesz);
  }
  return 0;
}

static thread_head_t* make_head(void) {
  thread_head_t* const head = (thread_head_t*)((char*)map(AREA_BYTES) + AREA_BYTES - HEAD_BYTES);
  dl_iterate_phdr(copy_image, head);
  *head = *my_head();
  head->self = head->same = head;
  return head;
}

static void forget_head(thread_head_t* head) {
  munmap((char*)head - AREA_BYTES + HEAD_BYTES, AREA_BYTES);
}

static void raw_thread(char* stack, job_t* job) {
  enum {
    FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
            | CLONE_SETTLS | CLONE_CHILD_CLEARTID
  };
  static volatile int running;  // cleared by the kernel, which then wakes who waits
  running = 1;
  thread_head_t* const head = make_head();
  const int child = clone(in_clone, stack + STACK_BYTES, FLAGS, job, NULL, thread_area(head),
                          (pid_t*)(uintptr_t)&running);
  expect(child > 0, "clone");
  while (child > 0 && running != 0) syscall(SYS_futex, &running, FUTEX_WAIT, 1, NULL, NULL, 0);
  forget_head(head);
}

static void clones(int count, void (*make)(char*, job_t*)) {
  static job_t job;
  char* const stack = map(STACK_BYTES);
  for (int i = 0; i < count; i++) {
    fill(job.from_parent, 20);
    make(stack, &job);
    drop(job.from_child, 40);
    churn(60);
  }
  expect(job.errors == 0, "errno in a clone");
}

static size_t resident_bytes(void) {
  size_t total = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%zu %zu", &total, &resident) != 2) abort();
  fclose(file);
  return resident * 4096;
}

static void run(const char* kind, int count) {
  if (strcmp(kind, "destructors") == 0) destructors(count);
  if (strcmp(kind, "vfork") == 0) clones(count, vfork_like);
  if (strcmp(kind, "clone") == 0) clones(count, raw_thread);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int count = atoi(argv[2]);
  run(argv[1], 20);
  const size_t before = resident_bytes();
  run(argv[1], count);
  const size_t after = resident_bytes();
  const size_t growth = after > before ? after - before : 0;
  fprintf(stderr, "%s: %d more threads, %zu KiB more\n", argv[1], count, growth / 1024);
  // What a dead thread owns is used by the next ones.
  expect(growth < (size_t)2 << 20, "memory stays with dead threads");
  if (failures == 0) puts("served to the end");
  return failures == 0 ? 0 : 1;
}
