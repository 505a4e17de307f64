// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_chunks.hpp"

namespace histod::compute::codec::tiff {
namespace {

constexpr std::size_t k_hands_most = 64;
constexpr std::size_t k_hands_least = 4;  ///< of enormous chunks, which then need about what their image does
constexpr std::size_t k_hands_bytes = 16u << 20;

}  // namespace

ChunkList::Place ChunkList::at(std::uint64_t index) const {
  const auto end = std::ranges::upper_bound(ends_, index);
  return {static_cast<std::size_t>(end - ends_.begin()), end == ends_.begin() ? index : index - end[-1]};
}

std::size_t hands_max(std::uint64_t chunks, std::size_t hand_bytes) {
  const std::size_t hands = k_hands_bytes / std::max<std::size_t>(1, hand_bytes);
  return std::min<std::uint64_t>(chunks, std::clamp(hands, k_hands_least, k_hands_most));
}

void FirstFailure::note(std::uint64_t index, Error error) {
  const std::lock_guard lock(mutex_);
  if (index >= index_) return;
  index_ = index;
  error_ = std::move(error);
}

Result<void> FirstFailure::result() {
  const std::lock_guard lock(mutex_);
  if (index_ == k_none) return {};
  return std::unexpected(error_);
}

}  // namespace histod::compute::codec::tiff
