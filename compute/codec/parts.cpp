// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/parts.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace histod::compute::codec {

void for_each_part(Arena& arena, std::uint64_t count, std::size_t hands_most,
                   const std::function<void(std::size_t hand, std::uint64_t index)>& work) {
  std::atomic<std::uint64_t> next = 0;
  arena.parallel_for(std::min<std::size_t>(hands_most, arena.threads()), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t hand = begin; hand < end; ++hand)
      for (std::uint64_t i = next++; i < count; i = next++) work(hand, i);
  });
}

InOrder::InOrder(std::size_t count, std::function<void(std::size_t index)> put) : put_(std::move(put)), made_(count) {}

void InOrder::made(std::size_t index) {
  std::unique_lock lock(mutex_);
  made_[index] = 1;
  if (putting_) return;  // whoever puts sees it
  putting_ = true;
  for (; next_ < made_.size() && made_[next_] != 0; ++next_) {
    const std::size_t turn = next_;
    lock.unlock();
    put_(turn);
    lock.lock();
  }
  putting_ = false;
}

}  // namespace histod::compute::codec
