// SPDX-License-Identifier: MIT
// workers.c - the baton is a semaphore per worker, and one for the thread that hands it out
#include "fuzz/workers.h"
#include "fuzz/model.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

typedef struct worker_s {
  pthread_t thread;
  sem_t turn;
  bool is_alive;
  bool is_ending;
  work_end_t last;
} worker_t;

static worker_t workers[WORKERS];
static sem_t back;
static pthread_key_t late_key;
static work_fun_t* work;
static bool is_quitting;

static void wait_for(sem_t* sem) {
  while (sem_wait(sem) != 0 && errno == EINTR) {}
}

// Work until the thread is to end.
static void take_turns(worker_t* worker) {
  while (!is_quitting) {
    worker->last = work();
    if (worker->last == WORK_END || worker->last == WORK_END_LATE) return;
    sem_post(&back);
    wait_for(&worker->turn);
  }
}

// The thread that hands out the baton now waits for our real end.
static void end_turns(worker_t* worker) {
  worker->is_ending = true;
  if (!is_quitting) sem_post(&back);
}

static void* worker_main(void* arg) {
  worker_t* const worker = arg;
  wait_for(&worker->turn);
  take_turns(worker);
  if (worker->last == WORK_END_LATE) {
    pthread_setspecific(late_key, worker);  // and we keep the baton
  } else {
    end_turns(worker);
  }
  return NULL;
}

static void work_late(void* arg) {
  worker_t* const worker = arg;
  take_turns(worker);
  end_turns(worker);
}

void workers_start(void) {
  sem_init(&back, 0, 0);
  for (int i = 0; i < WORKERS; i++) sem_init(&workers[i].turn, 0, 0);
  if (pthread_key_create(&late_key, work_late) != 0) model_fail("no thread key");
}

static void make_thread(pthread_t* thread, void* (*start)(void*), void* arg) {
  if (pthread_create(thread, NULL, start, arg) != 0) model_fail("no thread");
}

static void join(worker_t* worker) {
  pthread_join(worker->thread, NULL);
  worker->is_alive = worker->is_ending = false;
}

// The worker's turn: until it hands the baton back, or has ended.
static void give_turn(worker_t* worker) {
  if (!worker->is_alive) {
    worker->is_alive = true;
    make_thread(&worker->thread, worker_main, worker);
  }
  sem_post(&worker->turn);
  wait_for(&back);
  if (worker->is_ending) join(worker);
}

void workers_run(work_fun_t* fun, const unsigned* next) {
  work = fun;
  is_quitting = false;
  worker_t* worker;
  do {
    worker = &workers[*next % WORKERS];
    give_turn(worker);
  } while (worker->last != WORK_DONE);
}

void workers_end(void) {
  is_quitting = true;
  for (int i = 0; i < WORKERS; i++) {
    if (!workers[i].is_alive) continue;
    sem_post(&workers[i].turn);
    join(&workers[i]);
  }
}

static void* alone_main(void* arg) {
  void (**body)(void) = arg;
  (*body)();
  return NULL;
}

void workers_run_alone(void (*body)(void)) {
  pthread_t thread;
  make_thread(&thread, alone_main, &body);
  pthread_join(thread, NULL);
}
