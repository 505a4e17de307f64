// SPDX-License-Identifier: Apache-2.0
#include "net/buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

namespace histod::net {

namespace {

constexpr std::size_t k_huge_bytes = 2u << 20;
constexpr std::size_t k_word_bits = 64;
constexpr int k_huge_2m_flag = 21 << MAP_HUGE_SHIFT;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }
std::size_t granules_of(std::size_t bytes) {
  return round_up(bytes, BufferPool::k_granule_bytes) / BufferPool::k_granule_bytes;
}

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

/// Address space of `bytes`, aligned to 2 MiB; no memory stands behind it until it is touched.
std::byte* reserve(std::size_t bytes) {
  const std::size_t padded = bytes + k_huge_bytes;
  void* got = ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) throw_errno("buffer pool: cannot reserve address space");
  auto* const start = static_cast<std::byte*>(got);
  auto* const base = start + (k_huge_bytes - reinterpret_cast<std::uintptr_t>(got) % k_huge_bytes) % k_huge_bytes;
  if (base > start) ::munmap(start, static_cast<std::size_t>(base - start));
  if (base + bytes < start + padded) ::munmap(base + bytes, static_cast<std::size_t>(start + padded - (base + bytes)));
  return base;
}

/// Preferred and not strict: a node that runs out of pages costs speed, not a SIGBUS. Returns errno or 0.
int prefer_node(std::byte* at, std::size_t bytes, int node) {
  constexpr std::size_t k_nodes_max = 1024;
  unsigned long mask[k_nodes_max / (8 * sizeof(unsigned long))] = {};
  constexpr std::size_t k_long_bits = 8 * sizeof(unsigned long);
  const auto index = static_cast<std::size_t>(node);
  if (index >= k_nodes_max - 1) return EINVAL;
  mask[index / k_long_bits] = 1ul << (index % k_long_bits);
  return ::syscall(SYS_mbind, at, bytes, MPOL_PREFERRED, mask, k_nodes_max, 0) == 0 ? 0 : errno;
}

/// madvise(MADV_HUGEPAGE) succeeds even where the administrator has switched transparent huge pages off.
bool transparent_huge_pages_enabled() {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r"));
  char line[128] = {};
  return file && std::fgets(line, sizeof line, file.get()) && !std::strstr(line, "[never]");
}

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      use_(other.use_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    reset();
    pool_ = std::exchange(other.pool_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    use_ = other.use_;
  }
  return *this;
}

Lease::~Lease() { reset(); }

void Lease::reset() {
  if (!data_) return;
  --pool_->stats_.leases;
  BufferPool* const pool = std::exchange(pool_, nullptr);
  pool->give_back(std::exchange(data_, nullptr), std::exchange(size_, 0), use_);
}

void Lease::shrink(std::size_t bytes) {
  assert(data_ && bytes <= size_);
  const std::size_t keep = std::max(granules_of(bytes), std::size_t{1}) * BufferPool::k_granule_bytes;
  if (keep == size_) return;
  pool_->give_back(data_ + keep, size_ - keep, use_);
  size_ = keep;
}

bool Lease::extend(std::size_t bytes, Use use) {
  assert(data_);
  if (bytes <= size_) return true;
  if (bytes > pool_->stats_.budget_bytes) return false;
  const std::size_t wanted = granules_of(bytes) * BufferPool::k_granule_bytes;
  const std::size_t first = pool_->granule_of(data_ + size_);
  const std::size_t more = (wanted - size_) / BufferPool::k_granule_bytes;
  const std::size_t others = pool_->stats_.input_bytes - (use_ == Use::input ? size_ : 0);
  if (!pool_->may_have(others, wanted, use) || !pool_->all_free(first, more)) return false;
  pool_->mark(first, more, false);
  ASAN_UNPOISON_MEMORY_REGION(data_ + size_, wanted - size_);
  pool_->stats_.input_bytes = others + (use == Use::input ? size_ : 0);
  pool_->account(wanted - size_, use);
  size_ = wanted;
  use_ = use;
  return true;
}

BufferPool::BufferPool(const Options& options) {
  stats_.budget_bytes = options.budget_bytes / k_granule_bytes * k_granule_bytes;
  errno = EINVAL;
  if (stats_.budget_bytes == 0) throw_errno("buffer pool: the budget is less than one granule of 64 KiB");
  base_ = reserve(stats_.budget_bytes);
  const std::size_t granules = stats_.budget_bytes / k_granule_bytes;
  free_.assign((granules + k_word_bits - 1) / k_word_bits, 0);
  used_.assign(free_.size(), 0);
  map_resident(options);
  mark(0, granules, true);
  ASAN_POISON_MEMORY_REGION(base_, stats_.budget_bytes);
}

BufferPool::~BufferPool() {
  assert(stats_.leases == 0 && stats_.leased_bytes == 0 && "a lease outlives its pool");
  ASAN_UNPOISON_MEMORY_REGION(base_, stats_.budget_bytes);
  ::munmap(base_, stats_.budget_bytes);
}

void BufferPool::map_resident(const Options& options) {
  resident_bytes_ = std::min(options.resident_bytes, stats_.budget_bytes);
  // A pool of less than one huge page keeps plain granules.
  const bool fits_huge_pages = resident_bytes_ >= k_huge_bytes;
  resident_bytes_ = resident_bytes_ / (fits_huge_pages ? k_huge_bytes : k_granule_bytes) *
                    (fits_huge_pages ? k_huge_bytes : k_granule_bytes);
  stats_.huge_errno = options.try_huge_pages ? EINVAL : ECANCELED;
  const bool huge = options.try_huge_pages && fits_huge_pages && map_explicit_huge_pages(options.numa_node);
  const std::size_t plain = huge ? resident_bytes_ : 0;
  if (stats_.budget_bytes > plain && options.try_huge_pages && transparent_huge_pages_enabled() &&
      ::madvise(base_ + plain, stats_.budget_bytes - plain, MADV_HUGEPAGE) == 0 && !huge) {
    stats_.resident_pages = PageKind::transparent_huge;
  }
  if (options.numa_node < 0) return;
  stats_.numa_bind_errno = prefer_node(base_, stats_.budget_bytes, options.numa_node);
}

bool BufferPool::map_explicit_huge_pages(int numa_node) {
  constexpr int k_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  void* got = ::mmap(base_, resident_bytes_, PROT_READ | PROT_WRITE, k_flags | MAP_HUGETLB | k_huge_2m_flag, -1, 0);
  if (got != MAP_FAILED) {
    // What is populated stays where it is: the node comes first. Whether it could be had is told by map_resident().
    if (numa_node >= 0) prefer_node(base_, resident_bytes_, numa_node);
    // A cgroup's limit shows only at the first touch, as SIGBUS; populating (Linux 5.14) makes it an error code.
    if (::madvise(base_, resident_bytes_, MADV_POPULATE_WRITE) == 0) {
      stats_.huge_errno = 0;
      stats_.resident_pages = PageKind::huge_2m;
      return true;
    }
  }
  stats_.huge_errno = errno;
  if (::mmap(base_, resident_bytes_, PROT_READ | PROT_WRITE, k_flags | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
    throw_errno("buffer pool: cannot map the resident part");
  }
  return false;
}

std::span<std::byte> BufferPool::resident() const { return {base_, resident_bytes_}; }

bool BufferPool::may_have(std::size_t input_bytes, std::size_t bytes, Use use) const {
  return use == Use::work || input_bytes == 0 || input_bytes + bytes <= stats_.budget_bytes / 2;
}

Lease BufferPool::lease(std::size_t bytes, Use use) {
  assert(bytes > 0);
  Lease lease;
  const std::size_t granules = bytes <= stats_.budget_bytes ? granules_of(bytes) : 0;
  const std::size_t all = stats_.budget_bytes / k_granule_bytes;
  const bool may = granules > 0 && may_have(stats_.input_bytes, granules * k_granule_bytes, use);
  const std::size_t first = may ? find_free_run(granules) : all;
  if (first == all) {
    ++stats_.refusals;
    return lease;
  }
  mark(first, granules, false);
  lease.pool_ = this;
  lease.data_ = base_ + first * k_granule_bytes;
  lease.size_ = granules * k_granule_bytes;
  lease.use_ = use;
  ASAN_UNPOISON_MEMORY_REGION(lease.data_, lease.size_);
  ++stats_.leases;
  account(lease.size_, use);
  return lease;
}

void BufferPool::account(std::size_t bytes, Use use) {
  stats_.leased_bytes += bytes;
  if (use == Use::input) stats_.input_bytes += bytes;
  stats_.leased_bytes_max = std::max(stats_.leased_bytes_max, stats_.leased_bytes);
}

/// The first granule of the first run that is long enough, or the number of granules where there is none.
std::size_t BufferPool::find_free_run(std::size_t granules) const {
  std::size_t run = 0;
  for (std::size_t word = 0; word < free_.size(); ++word) {
    std::uint64_t bits = free_[word];
    std::size_t at = 0;
    while (at < k_word_bits) {
      const auto used = std::min<std::size_t>(std::countr_zero(bits), k_word_bits - at);
      if (used > 0) {
        run = 0;
        at += used;
        bits = used == k_word_bits ? 0 : bits >> used;
        continue;
      }
      const auto free = std::min<std::size_t>(std::countr_one(bits), k_word_bits - at);
      run += free;
      at += free;
      if (run >= granules) return word * k_word_bits + at - run;
      bits = free == k_word_bits ? 0 : bits >> free;
    }
  }
  return stats_.budget_bytes / k_granule_bytes;
}

bool BufferPool::all_free(std::size_t first, std::size_t granules) const {
  if (first + granules > stats_.budget_bytes / k_granule_bytes) return false;
  for (std::size_t at = first; at < first + granules; ++at) {
    if (!(free_[at / k_word_bits] >> (at % k_word_bits) & 1)) return false;
  }
  return true;
}

void BufferPool::mark(std::size_t first, std::size_t granules, bool free) {
  for (std::size_t at = first; at < first + granules; ++at) {
    const std::uint64_t bit = 1ull << (at % k_word_bits);
    std::uint64_t& word = free_[at / k_word_bits];
    assert(((word & bit) != 0) != free);
    word ^= bit;
    used_[at / k_word_bits] &= ~bit;
  }
}

void BufferPool::give_back(std::byte* data, std::size_t bytes, Use use) {
  mark(granule_of(data), bytes / k_granule_bytes, true);
  stats_.leased_bytes -= bytes;
  if (use == Use::input) stats_.input_bytes -= bytes;
  ASAN_POISON_MEMORY_REGION(data, bytes);
  for (std::size_t at = std::max(granule_of(data), resident_bytes_ / k_granule_bytes); at < granule_of(data + bytes);
       ++at)
    used_[at / k_word_bits] |= 1ull << (at % k_word_bits);
  if (on_home_) on_home_();
}

bool BufferPool::trim(std::size_t bytes) {
  std::size_t left = granules_of(bytes);
  std::size_t word = used_.size();
  while (left > 0 && word > 0) {
    if (used_[--word] == 0) continue;
    for (std::size_t bit = k_word_bits; bit-- > 0 && left > 0;) {
      if (!(used_[word] >> bit & 1)) continue;
      // The run downwards from here, within the word.
      std::size_t first = bit;
      while (first > 0 && bit - first + 1 < left && (used_[word] >> (first - 1) & 1)) --first;
      const std::size_t run = bit - first + 1;
      ::madvise(base_ + (word * k_word_bits + first) * k_granule_bytes, run * k_granule_bytes, MADV_DONTNEED);
      for (std::size_t at = first; at <= bit; ++at) used_[word] &= ~(1ull << at);
      left -= run;
      bit = first;
    }
  }
  return std::ranges::any_of(used_, [](std::uint64_t bits) { return bits != 0; });
}

}  // namespace histod::net
