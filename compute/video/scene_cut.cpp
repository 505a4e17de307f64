// SPDX-License-Identifier: Apache-2.0
#include "compute/video/scene_cut.hpp"

#include <algorithm>
#include <cassert>

namespace histod::compute::video {
namespace {

__extension__ using Wide = unsigned __int128;

/// Sums of 16 bits' worth of bins of products of two totals below 2^48: 112 bits, and ten more for the thousandths.
std::uint32_t distance(const Histogram& one, std::uint64_t one_total, const Histogram& other,
                       std::uint64_t other_total) {
  assert(one.bins() == other.bins());
  if (one_total == 0 || other_total == 0) return 0;
  assert((one_total | other_total) >> 48 == 0 && one.bins() <= 65536);
  std::uint64_t one_sum = 0, other_sum = 0;
  Wide moved = 0;
  for (std::uint32_t i = 0; i < one.bins(); ++i) {
    one_sum += one[i];
    other_sum += other[i];
    const Wide a = Wide{one_sum} * other_total, b = Wide{other_sum} * one_total;
    moved += std::max(a, b) - std::min(a, b);
  }
  return static_cast<std::uint32_t>(1000 * moved / (Wide{one_total} * other_total * (one.bins() - 1)));
}

}  // namespace

std::uint32_t brightness_distance(const Histogram& one, const Histogram& other) {
  return distance(one, one.total(), other, other.total());
}

SceneCut::SceneCut(std::uint32_t bins) : before_(bins) {}

bool SceneCut::add(const Histogram& frame, std::uint32_t threshold_permille) {
  const std::uint64_t total = frame.total();
  if (total < total_ - total_ / 2) return false;
  const bool cut =
      threshold_permille > 0 && total_ > 0 && distance(frame, total, before_, total_) >= threshold_permille;
  std::ranges::copy(frame.counts(), before_.counts().begin());
  total_ = total;
  return cut;
}

void SceneCut::clear() { total_ = 0; }

}  // namespace histod::compute::video
