// SPDX-License-Identifier: Apache-2.0
#include "tests/support/counted_malloc.hpp"

#include <cerrno>
#include <cstdlib>

#include <malloc.h>

namespace {

using histod::test::in_use;
using histod::test::most;

[[maybe_unused]] void* counted(void* memory) {
  if (memory == nullptr) return memory;
  const std::size_t bytes = malloc_usable_size(memory);
  const std::size_t now = in_use.fetch_add(bytes) + bytes;
  std::size_t before = most.load();
  while (before < now && !most.compare_exchange_weak(before, now)) {
  }
  return memory;
}

}  // namespace

#if HISTOD_OWN_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT(bugprone-reserved-identifier) the C library's own
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void*, std::size_t);         // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT(bugprone-reserved-identifier)
void __libc_free(void*);                          // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) { return counted(__libc_malloc(bytes)); }
void* calloc(std::size_t count, std::size_t bytes) { return counted(__libc_calloc(count, bytes)); }
void* memalign(std::size_t alignment, std::size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  *memory = counted(__libc_memalign(alignment, bytes));
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  if (memory != nullptr) in_use -= malloc_usable_size(memory);
  __libc_free(memory);
}
void* realloc(void* memory, std::size_t bytes) {
  if (memory != nullptr) in_use -= malloc_usable_size(memory);
  return counted(__libc_realloc(memory, bytes));
}
}
#endif
