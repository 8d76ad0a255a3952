/*
 * The host kernel's column of `lab s3`: what vm-scalability's `usemem --init-time -O -y -x -j STEP -n N SIZE` does, inside
 * a memory cgroup with zram. N processes map anonymous memory, each writes every STEP bytes of its share a 64-bit word
 * that is the word's index, and gives the share back; all begin a phase together. It speaks the protocol of
 * src/child.ts: waits for a line, runs a phase, prints one JSON object.
 *
 *   host-usemem PAGES N STEP CGROUP_PROCS THP
 *
 * PAGES are all pages, dealt evenly to the processes (as src/usemem/share.ts deals them). An empty CGROUP_PROCS leaves the
 * processes where they are. THP is 0 or 1. Lines understood: "write", "verify", "free", once each and in this order;
 * "verify" may be left out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WRONG_ANSWER_STATUS = 3, PROCESSES_MAX = 256 };
enum phase { PHASE_WRITE, PHASE_VERIFY, PHASE_FREE, PHASE_END };

/* What the processes share. */
struct control {
  pthread_barrier_t barrier;
  volatile enum phase phase;
  volatile int wrong;
};

static struct control *control;
static size_t words, step_words;
static volatile sig_atomic_t is_ending;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void enter_cgroup(const char *procs) {
  char line[32];
  int file = open(procs, O_WRONLY);
  int length = snprintf(line, sizeof line, "%d", getpid());
  if (file < 0 || write(file, line, length) != length) fail(procs);
  close(file);
}

/* A process that the kernel killed never comes to the barrier: the others are ended, and the lab runs the round again. */
static void child_died(int signal) {
  (void)signal;
  if (!is_ending) _exit(1);
}

static void write_words(volatile uint64_t *share) {
  for (size_t i = 0; i < words; i += step_words) share[i] = i;
}

static void verify_words(const uint64_t *share) {
  for (size_t i = 0; i < words; i++) {
    if (share[i] != (i % step_words == 0 ? i : 0)) control->wrong = 1;
  }
}

static void serve(int is_huge) {
  size_t bytes = words * sizeof(uint64_t);
  uint64_t *share = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (share == MAP_FAILED) fail("mmap");
  if (madvise(share, bytes, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0 && is_huge) fail("madvise");
  for (;;) {
    pthread_barrier_wait(&control->barrier);
    enum phase phase = control->phase;
    if (phase == PHASE_END) _exit(0);
    if (phase == PHASE_WRITE) write_words(share);
    else if (phase == PHASE_VERIFY) verify_words(share);
    else if (munmap(share, bytes) != 0) fail("munmap");
    pthread_barrier_wait(&control->barrier);
  }
}

static void start(int count, int is_huge) {
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&control->barrier, &attributes, count + 1);
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      serve(is_huge);
    }
  }
}

static void run(enum phase phase, const char *name) {
  control->phase = phase;
  double begin = now_us();
  pthread_barrier_wait(&control->barrier);
  pthread_barrier_wait(&control->barrier);
  double us = now_us() - begin;
  if (control->wrong) {
    fprintf(stderr, "host-usemem: wrong word\n");
    is_ending = 1;
    exit(WRONG_ANSWER_STATUS);
  }
  printf("{\"phase\":\"%s\",\"us\":%.1f}\n", name, us);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: host-usemem PAGES N STEP CGROUP_PROCS THP\n");
    return 1;
  }
  int count = atoi(argv[2]);
  if (count < 1 || count > PROCESSES_MAX) fail("N");
  words = strtoull(argv[1], NULL, 10) / count * (PAGE / sizeof(uint64_t));
  step_words = atoi(argv[3]) / sizeof(uint64_t);
  if (argv[4][0] != '\0') enter_cgroup(argv[4]);
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (control == MAP_FAILED) fail("mmap");
  signal(SIGCHLD, child_died);
  start(count, argv[5][0] == '1');
  printf("{\"ready\":true}\n");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strcmp(line, "write\n") == 0) run(PHASE_WRITE, "write");
    else if (strcmp(line, "verify\n") == 0) run(PHASE_VERIFY, "verify");
    else if (strcmp(line, "free\n") == 0) run(PHASE_FREE, "free");
  }
  is_ending = 1;
  control->phase = PHASE_END;
  pthread_barrier_wait(&control->barrier);
  return 0;
}
