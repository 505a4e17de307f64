// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace histod::compute::codec::jpeg {

/// Where in a block (8 * row + column) the coefficient lies that comes i-th in a file: diagonal by diagonal, in turns
/// upwards and downwards.
inline constexpr std::array<std::uint8_t, 64> k_natural_order = [] {
  std::array<std::uint8_t, 64> order{};
  std::size_t i = 0;
  for (int diagonal = 0; diagonal < 15; ++diagonal)
    for (int j = 0; j <= diagonal; ++j) {
      const int row = diagonal % 2 == 0 ? diagonal - j : j;
      const int column = diagonal - row;
      if (row < 8 && column < 8) order[i++] = static_cast<std::uint8_t>(8 * row + column);
    }
  return order;
}();

}  // namespace histod::compute::codec::jpeg
