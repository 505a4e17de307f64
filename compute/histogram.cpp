// SPDX-License-Identifier: Apache-2.0
#include "compute/histogram.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>

namespace histod::compute {
namespace {

constexpr std::size_t k_header_bytes = 12;
constexpr std::array<std::byte, 4> k_magic{std::byte{'H'}, std::byte{'H'}, std::byte{'S'}, std::byte{'T'}};
constexpr std::uint32_t k_version = 1;

void put_le(std::vector<std::byte>& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

std::uint64_t get_le(std::span<const std::byte> in, unsigned bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(in[i]) << (8 * i);
  return value;
}

}  // namespace

Histogram::Histogram(std::uint32_t bins) : counts_(bins) {}

void Histogram::merge(const Histogram& other) {
  assert(bins() == other.bins());
  for (std::uint32_t i = 0; i < bins(); ++i) counts_[i] += other.counts_[i];
}

void Histogram::subtract(const Histogram& other) {
  assert(bins() == other.bins());
  for (std::uint32_t i = 0; i < bins(); ++i) {
    assert(counts_[i] >= other.counts_[i]);
    counts_[i] -= other.counts_[i];
  }
}

std::uint64_t Histogram::total() const { return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}); }

std::vector<std::byte> Histogram::to_bytes() const {
  std::vector<std::byte> out;
  out.reserve(k_header_bytes + 8 * counts_.size());
  out.assign(k_magic.begin(), k_magic.end());
  put_le(out, k_version, 4);
  put_le(out, bins(), 4);
  for (const std::uint64_t count : counts_) put_le(out, count, 8);
  return out;
}

Result<Histogram> Histogram::from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < k_header_bytes) {
    return fail(Errc::truncated, "a histogram ends before its header does, in bytes", bytes.size(), k_header_bytes);
  }
  if (!std::equal(k_magic.begin(), k_magic.end(), bytes.begin())) return fail(Errc::corrupt, "not a histogram");
  const std::uint64_t version = get_le(bytes.subspan(4), 4);
  if (version != k_version) {
    return fail(Errc::unsupported_feature, "unknown version of a histogram", version, k_version);
  }
  const std::uint64_t bins = get_le(bytes.subspan(8), 4);
  if (bins != 256 && bins != 65536) return fail(Errc::corrupt, "a histogram has 256 or 65536 bins", bins, 65536);
  const std::size_t expected = k_header_bytes + 8 * bins;
  if (bytes.size() < expected) {
    return fail(Errc::truncated, "a histogram ends before its counts do, in bytes", bytes.size(), expected);
  }
  if (bytes.size() > expected) {
    return fail(Errc::corrupt, "bytes follow the counts of a histogram, in bytes", bytes.size(), expected);
  }
  Histogram result(static_cast<std::uint32_t>(bins));
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    result.counts_[i] = get_le(bytes.subspan(k_header_bytes + 8 * i), 8);
    if (__builtin_add_overflow(total, result.counts_[i], &total)) {
      return fail(Errc::corrupt, "the counts of a histogram sum to more than 64 bits", i, bins);
    }
  }
  return result;
}

}  // namespace histod::compute
