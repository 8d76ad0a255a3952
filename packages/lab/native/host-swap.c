/*
 * The host kernel's column of `lab swap`: anonymous memory of a process inside a memory cgroup, swapped to zram by the
 * kernel. Same pages (src/corpus.ts), same random sequence (src/rng.ts) and same phases (src/swap/workload.ts) as the
 * Quire column. It speaks the protocol of src/child.ts:
 * waits for a line, runs a phase, prints one JSON object.
 *
 *   host-swap CORPUS PAGES SEED CGROUP_PROCS THP
 *
 * The corpus is read into memory before the process enters the cgroup, so that its pages are charged elsewhere and only
 * the pages under test compete for the limit. An empty CGROUP_PROCS leaves the process where it is. THP is 0 or 1.
 * Lines understood: "fill", "verify OPS", "random OPS", "hot OPS", "page INDEX".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, HEADER = 16, TEXT = PAGE - HEADER, UNIT = 1024, UNITS = PAGE / UNIT };
/* Shares and steps of the hot and cold phase; the same constants stand in src/swap/workload.ts. */
enum { HOT_PER_CENT_OF_PAGES = 20, HOT_PER_CENT_OF_READS = 80, HOT_STEPS = 10, HOT_SHIFT_DIVISOR = 4 };
static const uint32_t SCATTER = 2654435761u;

static uint8_t *text, *memory, *expected;
static uint32_t span, pages, state;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static uint32_t fmix32(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

static void make_page(uint32_t index, uint8_t *target) {
  uint32_t hash = fmix32(index), header[4] = {index, hash, ~index, ~hash};
  memcpy(target, header, HEADER);
  memcpy(target + HEADER, text + hash % span, TEXT);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void load_corpus(const char *path) {
  struct stat info;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &info) < 0) fail(path);
  text = malloc(info.st_size);
  if (text == NULL) fail("malloc");
  for (off_t done = 0; done < info.st_size;) {
    ssize_t count = read(file, text + done, info.st_size - done);
    if (count <= 0) fail(path);
    done += count;
  }
  close(file);
  span = (uint32_t)(info.st_size - TEXT);
}

static void enter_cgroup(const char *procs) {
  char line[32];
  int file = open(procs, O_WRONLY);
  int length = snprintf(line, sizeof line, "%d", getpid());
  if (file < 0 || write(file, line, length) != length) fail(procs);
  close(file);
}

/* Word of the unit that goes into the checksum: depends on the step, so that swapped results are seen. */
static inline uint32_t mix(uint32_t sum, const uint32_t *unit, uint32_t step) {
  return sum * 31 + unit[step & (UNIT / 4 - 1)];
}

static void report(const char *phase, double us, uint32_t ops, uint32_t sum) {
  printf("{\"phase\":\"%s\",\"us\":%.1f,\"ops\":%u,\"sum\":%u}\n", phase, us, ops, sum);
  fflush(stdout);
}

static void fill(void) {
  double start = now_us();
  for (uint32_t i = 0; i < pages; i++) make_page(i, memory + (size_t)i * PAGE);
  report("fill", now_us() - start, pages, 0);
}

/* Uniform reads compared in full with the corpus; also what warms the random phase up. */
static void verify(uint32_t ops) {
  uint32_t target[UNIT / 4];
  double start = now_us();
  for (uint32_t step = 0; step < ops; step++) {
    uint32_t unit = next() % (pages * UNITS);
    memcpy(target, memory + (size_t)unit * UNIT, UNIT);
    make_page(unit / UNITS, expected);
    if (memcmp(target, expected + unit % UNITS * UNIT, UNIT) != 0) {
      fprintf(stderr, "host-swap: wrong bytes in unit %u\n", unit);
      exit(3);
    }
  }
  report("verify", now_us() - start, ops, 0);
}

static void random_reads(uint32_t ops) {
  uint32_t target[UNIT / 4], sum = 0;
  double start = now_us();
  for (uint32_t step = 0; step < ops; step++) {
    uint32_t unit = next() % (pages * UNITS);
    memcpy(target, memory + (size_t)unit * UNIT, UNIT);
    sum = mix(sum, target, step);
  }
  report("random", now_us() - start, ops, sum);
}

static void hot_cold_reads(uint32_t ops) {
  uint32_t target[UNIT / 4], sum = 0, base = 0;
  uint32_t hot = pages / 100 * HOT_PER_CENT_OF_PAGES, steps = ops / HOT_STEPS;
  double start = now_us();
  for (uint32_t step = 0; step < ops; step++) {
    if (step != 0 && step % steps == 0) base += hot / HOT_SHIFT_DIVISOR;
    uint32_t draw = next();
    uint32_t rank = draw % 100 < HOT_PER_CENT_OF_READS ? next() % hot : hot + next() % (pages - hot);
    uint32_t page = (rank + base) * SCATTER & (pages - 1);
    memcpy(target, memory + (size_t)page * PAGE + (draw >> 20 & (UNITS - 1)) * UNIT, UNIT);
    sum = mix(sum, target, step);
  }
  report("hot", now_us() - start, ops, sum);
}

static void print_page(uint32_t index) {
  make_page(index, expected);
  printf("{\"phase\":\"page\",\"hex\":\"");
  for (int i = 0; i < PAGE; i++) printf("%02x", expected[i]);
  printf("\"}\n");
  fflush(stdout);
}

int main(int count, char **argument) {
  if (count != 6) {
    fprintf(stderr, "usage: host-swap CORPUS PAGES SEED CGROUP_PROCS THP\n");
    return 2;
  }
  load_corpus(argument[1]);
  pages = strtoul(argument[2], NULL, 10);
  state = strtoul(argument[3], NULL, 10);
  if (pages == 0 || (pages & (pages - 1)) != 0 || state == 0) return 2;
  expected = malloc(PAGE);
  if (argument[4][0] != 0) enter_cgroup(argument[4]);
  memory = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  madvise(memory, (size_t)pages * PAGE, argument[5][0] == '1' ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);

  printf("{\"ready\":true}\n");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *space = strchr(line, ' ');
    uint32_t number = space == NULL ? 0 : strtoul(space + 1, NULL, 10);
    if (line[0] == 'f') fill();
    else if (line[0] == 'v') verify(number);
    else if (line[0] == 'r') random_reads(number);
    else if (line[0] == 'h') hot_cold_reads(number);
    else if (line[0] == 'p') print_page(number);
  }
  return 0;
}
