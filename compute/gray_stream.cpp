// SPDX-License-Identifier: Apache-2.0
#include "compute/gray_stream.hpp"

#include <algorithm>
#include <cassert>

#include "compute/kernels.hpp"

namespace histod::compute {
namespace {

/// Clearing and folding the table of pairs costs as much as counting 60 000 samples.
constexpr std::size_t k_pairs_samples_min = 1u << 20;
/// Samples that are looked at to choose between the tables.
constexpr std::size_t k_looked_at = 16 * 1024;

std::span<const std::uint8_t> numbers(std::span<const std::byte> samples) {
  return {reinterpret_cast<const std::uint8_t*>(samples.data()), samples.size()};
}

void add_all(SampleCounter<std::uint8_t>& counter, std::span<const std::uint8_t> samples) {
  constexpr std::size_t k_step = 1u << 20;
  for (; !samples.empty(); samples = samples.subspan(std::min(samples.size(), k_step)))
    counter.add(samples.data(), nullptr, static_cast<std::uint32_t>(std::min(samples.size(), k_step)));
}

}  // namespace

GrayStream::GrayStream(unsigned hands) : hands_(hands) { lut_.reserve(256); }

void GrayStream::begin(std::size_t samples) {
  fold();  // what an image that was given up has left behind
  std::ranges::fill(histogram_.counts(), 0);
  large_ = samples >= k_pairs_samples_min;
  for (Hand& hand : hands_) {
    if (large_ && !hand.large) hand.large = std::make_unique<SampleCounter<std::uint8_t>>(true);
  }
}

void GrayStream::fold() {
  for (Hand& hand : hands_) {
    if (hand.used) hand.used->fold_into(histogram_);
    hand.used = nullptr;
  }
}

void GrayStream::count(unsigned hand, std::span<const std::byte> samples) {
  Hand& mine = hands_[hand];
  if (!mine.used) {
    mine.used = large_ ? mine.large.get() : &mine.small;
    if (large_) {
      Neighbours neighbours;
      neighbours.look_at(numbers(samples.first(std::min(samples.size(), k_looked_at))));
      mine.large->count_by(neighbours.best());
    }
  }
  add_all(*mine.used, numbers(samples));
}

void GrayStream::discount(std::span<const std::byte> samples) { add_all(removed_, numbers(samples)); }

void GrayStream::make_table(Rule rule) {
  fold();
  std::ranges::fill(removals_.counts(), 0);
  removed_.fold_into(removals_);
  histogram_.subtract(removals_);
  [[maybe_unused]] const auto made = make_lut(rule, histogram_, 256, lut_);
  assert(made.has_value());
  std::ranges::copy(lut_, narrow_.begin());
}

void GrayStream::apply(std::span<std::byte> samples) const {
  auto* const at = reinterpret_cast<std::uint8_t*>(samples.data());
  kernels().apply_u8(at, at, samples.size(), narrow_.data());
}

}  // namespace histod::compute
