// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <sys/uio.h>

namespace histod::net {

enum class PageKind : std::uint8_t { huge_2m, transparent_huge, small_4k };

/// Inputs (bodies, the files of jobs) may have half of a pool, so that those which are in always find room to be worked
/// on and never wait for each other; the only one may have more.
enum class Use : std::uint8_t { work, input };

class BufferPool;

/// A contiguous run of bytes out of a worker's pool. Move-only; goes home when destroyed. Never leaves its worker's
/// thread (spans of its bytes may be read and written elsewhere while the lease lives).
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }  ///< usable bytes: what was asked for, rounded up to the granule
  std::span<std::byte> bytes() const { return {data_, size_}; }
  explicit operator bool() const { return data_ != nullptr; }
  /// Gives back what lies beyond the first `bytes` (rounded up to the granule).
  void shrink(std::size_t bytes);
  /// Grows in place when the granules behind are free and that use may have them; false (and unchanged) when not.
  bool extend(std::size_t bytes, Use use = Use::work);
  void reset();

 private:
  friend class BufferPool;
  BufferPool* pool_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Use use_ = Use::work;
};

/// One worker's memory: a reserved range of addresses of `budget_bytes`, handed out first-fit in granules of 64 KiB, so
/// that a lease of any size is contiguous and the part that is registered with the ring is used first. Memory
/// that was only granted but never touched costs no RAM; what comes home beyond the resident part is used again as it
/// is, and trim() gives it back to the kernel bit by bit. Not thread-safe: one worker, one pool. The destructor asserts
/// that all leases are home.
class BufferPool {
 public:
  static constexpr std::size_t k_granule_bytes = 64 * 1024;

  struct Options {
    std::size_t budget_bytes = 1ull << 30;  ///< everything that may be leased at one time
    std::size_t resident_bytes =
        64u << 20;       ///< kept mapped and registered; on explicit 2 MiB pages where there are any
    int numa_node = -1;  ///< -1: wherever the first touch falls
    bool try_huge_pages = true;
  };

  struct Stats {
    PageKind resident_pages = PageKind::small_4k;  ///< what the resident part got
    std::size_t budget_bytes = 0;
    std::size_t leased_bytes = 0;
    std::size_t input_bytes = 0;  ///< of the leased ones, those of Use::input
    std::size_t leased_bytes_max = 0;
    std::size_t leases = 0;
    std::uint64_t refusals = 0;  ///< leases that did not fit
    int numa_bind_errno = 0;     ///< why binding to the node failed; 0: it did not, or was not asked for
    int huge_errno = 0;          ///< why explicit huge pages were not had; 0: they were
  };

  explicit BufferPool(const Options& options);  ///< throws std::system_error when not even addresses can be reserved
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// An empty lease when it does not fit now: the caller waits or refuses with 503. bytes > 0.
  Lease lease(std::size_t bytes, Use use = Use::work);
  /// Whether `bytes` could ever fit: if not, the answer is 413 and not 503.
  bool fits_ever(std::size_t bytes) const { return bytes <= stats_.budget_bytes; }
  const Stats& stats() const { return stats_; }
  /// Gives some of what is free beyond the resident part back to the kernel, from the top: at most `bytes` a call,
  /// since the kernel needs a millisecond for a few dozen MiB. True when there is more.
  bool trim(std::size_t bytes);
  /// The resident part, for registration with the ring.
  std::span<std::byte> resident() const;
  /// Called whenever bytes have come home, from whichever call brought them: it must only note it or post. Null: none.
  void on_home(std::move_only_function<void()> callback) { on_home_ = std::move(callback); }

 private:
  friend class Lease;
  void give_back(std::byte* data, std::size_t bytes, Use use);
  void map_resident(const Options& options);
  bool map_explicit_huge_pages(int numa_node);
  std::size_t find_free_run(std::size_t granules) const;
  bool all_free(std::size_t first, std::size_t granules) const;
  void mark(std::size_t first, std::size_t granules, bool free);
  bool may_have(std::size_t input_bytes, std::size_t bytes, Use use) const;
  void account(std::size_t bytes, Use use);
  std::size_t granule_of(const std::byte* at) const { return static_cast<std::size_t>(at - base_) / k_granule_bytes; }

  std::byte* base_ = nullptr;
  std::size_t resident_bytes_ = 0;
  std::vector<std::uint64_t> free_;  ///< one bit a granule, 1 = free
  std::vector<std::uint64_t> used_;  ///< 1 = free, and was leased since the kernel had it; beyond the resident part
  Stats stats_;
  std::move_only_function<void()> on_home_;
};

}  // namespace histod::net
