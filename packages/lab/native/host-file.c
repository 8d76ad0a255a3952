/*
 * The host kernel's columns of `lab s2`: libMicro's write cases on a file of the host's page cache. It speaks the
 * protocol of src/child.ts: waits for a line, obeys it, prints one JSON object.
 *
 *   host-file FILE CHUNK
 *
 * FILE is made anew and written in chunks of CHUNK bytes, then synced: the kernel chooses a folio's size when the page
 * enters the cache, by the length of that write, so CHUNK decides what the cases below meet. Lines understood:
 *
 *   case CALL OFFSET BYTES VECTORS SAMPLES BATCH    CALL is write, pwrite or writev
 *   folios                                          sizes of the file's folios, as the kernel shows them to root
 *
 * A sample is the time of BATCH calls over BATCH, less what reading the clock takes. As in libMicro, each batch of write
 * and writev begins with a seek back to OFFSET, outside the time, and moves on from there; pwrite stays at OFFSET. What
 * was written is read back and compared.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FILE_BYTES = 10 << 20, BYTES_MAX = 1 << 20, VECTORS_MAX = 64, SAMPLES_MAX = 100000 };
enum { WRONG_ANSWER_STATUS = 3 };
/* Bits of /proc/kpageflags (Documentation/admin-guide/mm/pagemap.rst), and the frame number in /proc/self/pagemap. */
enum { KPF_COMPOUND_HEAD = 15, KPF_COMPOUND_TAIL = 16 };
static const uint64_t PAGEMAP_PRESENT = 1ull << 63, PAGEMAP_FRAME = (1ull << 55) - 1;

enum call { CALL_WRITE, CALL_PWRITE, CALL_WRITEV };
struct work {
  enum call call;
  off_t offset;
  size_t bytes;
  int vectors, samples, batch;
};

static int file;
static uint8_t buffer[BYTES_MAX], seen[BYTES_MAX];
static struct iovec vectors[VECTORS_MAX];
static double ns[SAMPLES_MAX];
static uint8_t stamp;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void make_file(const char *path, size_t chunk) {
  file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  uint8_t *bytes = calloc(1, chunk);
  if (file < 0 || bytes == NULL) fail(path);
  for (size_t done = 0; done < FILE_BYTES; done += chunk) {
    if (write(file, bytes, chunk) != (ssize_t)chunk) fail(path);
  }
  free(bytes);
  if (fsync(file) != 0) fail(path);
}

static void call_once(const struct work *work) {
  ssize_t count;
  if (work->call == CALL_PWRITE) {
    count = pwrite(file, buffer, work->bytes, work->offset);
  } else {
    count = work->call == CALL_WRITE ? write(file, buffer, work->bytes) : writev(file, vectors, work->vectors);
  }
  if (count != (ssize_t)(work->bytes * work->vectors)) fail("write");
}

/* How far a batch reaches: pwrite stays where it is. */
static size_t reach(const struct work *work) {
  return work->bytes * work->vectors * (work->call == CALL_PWRITE ? 1 : work->batch);
}

static void check(const struct work *work) {
  size_t total = reach(work);
  if (pread(file, seen, total, work->offset) != (ssize_t)total) fail("pread");
  for (size_t at = 0; at < total; at++) {
    if (seen[at] == stamp) continue;
    fprintf(stderr, "host-file: wrong byte %zu\n", at);
    exit(WRONG_ANSWER_STATUS);
  }
}

static void run_batch(const struct work *work) {
  for (int i = 0; i < work->batch; i++) call_once(work);
}

static void measure(const struct work *work) {
  memset(buffer, ++stamp, work->bytes);
  for (int i = 0; i < work->vectors; i++) vectors[i] = (struct iovec){buffer, work->bytes};
  lseek(file, work->offset, SEEK_SET);
  run_batch(work);
  check(work);
  for (int sample = 0; sample < work->samples; sample++) {
    lseek(file, work->offset, SEEK_SET);
    double before = now_ns(), start = now_ns();
    run_batch(work);
    ns[sample] = (now_ns() - start - (start - before)) / work->batch;
  }
  check(work);
  printf("{\"ns\":[");
  for (int sample = 0; sample < work->samples; sample++) printf("%s%.1f", sample == 0 ? "" : ",", ns[sample]);
  printf("]}\n");
}

/* Smallest and largest folio of the file in bytes, 0 when the kernel does not tell. */
static void print_folios(void) {
  size_t smallest = 0, largest = 0, length = 0;
  uint8_t *mapped = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, file, 0);
  int pagemap = open("/proc/self/pagemap", O_RDONLY), flags = open("/proc/kpageflags", O_RDONLY);
  for (size_t at = 0; mapped != MAP_FAILED && flags >= 0 && at <= FILE_BYTES; at += PAGE) {
    uint64_t entry = 0, bits = 0;
    if (at < FILE_BYTES) {
      volatile uint8_t touched = mapped[at];
      (void)touched;
      off_t place = (off_t)((uintptr_t)(mapped + at) / PAGE * sizeof entry);
      if (pread(pagemap, &entry, sizeof entry, place) != sizeof entry || (entry & PAGEMAP_PRESENT) == 0) break;
      place = (off_t)((entry & PAGEMAP_FRAME) * sizeof bits);
      if (pread(flags, &bits, sizeof bits, place) != sizeof bits) break;
    }
    if ((bits >> KPF_COMPOUND_TAIL & 1) == 0 && length > 0) { /* a folio ends where the next begins */
      if (smallest == 0 || length < smallest) smallest = length;
      if (length > largest) largest = length;
      length = 0;
    }
    length += PAGE;
  }
  if (mapped != MAP_FAILED) munmap(mapped, FILE_BYTES);
  if (pagemap >= 0) close(pagemap);
  if (flags >= 0) close(flags);
  printf("{\"smallestBytes\":%zu,\"largestBytes\":%zu}\n", smallest, largest);
}

static int parse(const char *line, struct work *work) {
  char call[16];
  if (sscanf(line, "case %15s %ld %zu %d %d %d", call, &work->offset, &work->bytes, &work->vectors, &work->samples,
             &work->batch) != 6) {
    return 0;
  }
  work->call = strcmp(call, "write") == 0 ? CALL_WRITE : strcmp(call, "writev") == 0 ? CALL_WRITEV : CALL_PWRITE;
  return work->vectors <= VECTORS_MAX && work->samples <= SAMPLES_MAX && reach(work) <= BYTES_MAX;
}

int main(int count, char **arguments) {
  char line[256];
  struct work work;
  if (count != 3) return 1;
  make_file(arguments[1], strtoul(arguments[2], NULL, 10));
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strncmp(line, "folios", 6) == 0) print_folios();
    else if (parse(line, &work)) measure(&work);
    else return 1;
    fflush(stdout);
  }
  return 0;
}
