// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "compute/arena.hpp"

/// Bands, strips and tiles: the parts of a file that are coded each by itself, and lie one behind the other.
namespace histod::compute::codec {

/// Calls work(hand, index) once for each index of [0, count), begun in their order, each hand on one thread at a time;
/// a hand is less than `hands_most`, and than the arena's threads. Which of them gets what is left to chance.
void for_each_part(Arena& arena, std::uint64_t count, std::size_t hands_most,
                   const std::function<void(std::size_t hand, std::uint64_t index)>& work);

/// Parts that are made in any order are put to their places in that of the file, each as soon as it is its turn.
class InOrder {
 public:
  /// `put` is called for 0, 1, ... on the threads that call made(), but never on two at once.
  InOrder(std::size_t count, std::function<void(std::size_t index)> put);
  /// Any thread, once for each index. Nobody waits here for another's put().
  void made(std::size_t index);

 private:
  std::function<void(std::size_t)> put_;
  std::mutex mutex_;
  std::vector<std::uint8_t> made_;
  std::size_t next_ = 0;
  bool putting_ = false;
};

}  // namespace histod::compute::codec
