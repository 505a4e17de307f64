// SPDX-License-Identifier: Apache-2.0
// A preload shim that counts, over all threads but those that are called HISTOD_COUNT_NOT, calls that take memory and
// copies of 1 KiB or more. The counts are in the file HISTOD_COUNT_FILE as three 64-bit numbers: allocations, copies,
// bytes copied. With HISTOD_COUNT_TRACE=1 each one that comes while the fourth number of the file is not 0 prints its
// stack, to see who it is.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define COPY_BYTES_MIN 1024

static uint64_t counts_before_start[4];
static volatile uint64_t* counts = counts_before_start;
static int trace;
static const char* left_out;
static __thread int inside;

static void* (*next_malloc)(size_t);
static void* (*next_calloc)(size_t, size_t);
static void* (*next_realloc)(void*, size_t);
static void* (*next_memalign)(size_t, size_t);

/// The constructors of other libraries may run, and take memory, before ours.
static void find_next(void) {
  static int finding;
  if (next_memalign != NULL || finding) return;
  finding = 1;
  next_malloc = dlsym(RTLD_NEXT, "malloc");
  next_calloc = dlsym(RTLD_NEXT, "calloc");
  next_realloc = dlsym(RTLD_NEXT, "realloc");
  next_memalign = dlsym(RTLD_NEXT, "memalign");
}

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("HISTOD_COUNT_FILE");
  const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, sizeof counts_before_start) != 0) return;
  void* shared = mmap(NULL, sizeof counts_before_start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared != MAP_FAILED) counts = shared;
  trace = getenv("HISTOD_COUNT_TRACE") != NULL;
  left_out = getenv("HISTOD_COUNT_NOT");
  close(fd);
}

/// Asked each time: a thread gets its name after it has begun.
static int is_left_out(void) {
  char name[16] = {0};
  if (left_out == NULL || prctl(PR_GET_NAME, name) != 0) return 0;
  int i = 0;
  while (name[i] != 0 && name[i] == left_out[i]) ++i;
  return name[i] == left_out[i];
}

static void count(int which, uint64_t by) {
  if (is_left_out()) return;
  __atomic_fetch_add(&counts[which], by, __ATOMIC_RELAXED);
  if (!trace || counts[3] == 0 || which == 2 || inside) return;
  inside = 1;
  void* frames[16];
  const int depth = backtrace(frames, 16);
  backtrace_symbols_fd(frames + 1, depth - 1, STDERR_FILENO);
  if (write(STDERR_FILENO, "--\n", 3) < 0) abort();
  inside = 0;
}

// dlsym itself may ask for memory: a few bytes of our own that are never given back.
static char early[64 * 1024];
static size_t early_used;
static void* take_early(size_t size) {
  const size_t at = (__atomic_fetch_add(&early_used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED) + 15) & ~(size_t)15;
  if (at + size > sizeof early) abort();
  return early + at;
}
static int is_early(const void* at) { return (const char*)at >= early && (const char*)at < early + sizeof early; }

void* malloc(size_t size) {
  find_next();
  count(0, 1);
  return next_malloc == NULL ? take_early(size) : next_malloc(size);
}

void* calloc(size_t n, size_t size) {
  find_next();
  count(0, 1);
  return next_calloc == NULL ? take_early(n * size) : next_calloc(n, size);
}

void* realloc(void* old, size_t size) {
  find_next();
  count(0, 1);
  if (!is_early(old)) return next_realloc(old, size);
  char* moved = malloc(size);
  for (size_t i = 0; i < size && (char*)old + i < early + sizeof early; ++i) moved[i] = ((char*)old)[i];
  return moved;
}

void* memalign(size_t alignment, size_t size) {
  find_next();
  count(0, 1);
  return next_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** at, size_t alignment, size_t size) {
  *at = memalign(alignment, size);
  return *at == NULL ? 12 : 0;
}

void free(void* at) {
  static void (*next_free)(void*);
  if (at == NULL || is_early(at)) return;
  if (next_free == NULL) next_free = dlsym(RTLD_NEXT, "free");
  next_free(at);
}

// Byte by byte in the processor: calling the C library's would mean to look it up, which copies.
void* memcpy(void* restrict to, const void* restrict from, size_t n) {
  if (n >= COPY_BYTES_MIN) {
    count(1, 1);
    count(2, n);
  }
  void* at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
  return to;
}

void* memmove(void* to, const void* from, size_t n) {
  if ((uintptr_t)to - (uintptr_t)from >= n) return memcpy(to, from, n);
  if (n >= COPY_BYTES_MIN) {
    count(1, 1);
    count(2, n);
  }
  char* out = (char*)to + n;
  const char* in = (const char*)from + n;
  while (n-- > 0) {
    *--out = *--in;
    __asm__ volatile("" : : : "memory");  // or the compiler makes a call to memmove of this loop
  }
  return to;
}
