// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_clahe.hpp"

#include <algorithm>
#include <cmath>

namespace histod::test {
namespace {

/// Walks there and back, a step at a time.
std::uint32_t reflect(std::uint32_t at, std::uint32_t size) {
  std::int64_t position = 0;
  std::int64_t step = 1;
  for (std::uint32_t i = 0; i < at && size > 1; ++i) {
    if (position + step < 0 || position + step >= size) step = -step;
    position += step;
  }
  return static_cast<std::uint32_t>(position);
}

std::vector<double> clipped(std::vector<double> counts, double limit, bool even) {
  const auto bins = static_cast<double>(counts.size());
  double excess = 0;
  for (double& count : counts) {
    excess += std::max(0.0, count - limit);
    count = std::min(count, limit);
  }
  const double share = std::floor(excess / bins);
  auto rest = static_cast<std::size_t>(excess - share * bins);
  for (double& count : counts) count += share;
  if (even) {
    // The i-th of `rest` goes where a line from 0 to bins has its (i+1)-th step up.
    for (std::size_t i = 0; i < rest; ++i) ++counts[(counts.size() * (i + 1) + rest - 1) / rest - 1];
  } else if (rest > 0) {
    const std::size_t stride = std::max<std::size_t>(1, counts.size() / rest);
    for (std::size_t i = 0; i < counts.size() && rest > 0; i += stride, --rest) ++counts[i];
  }
  return counts;
}

using Table = std::vector<std::uint32_t>;

Table table_of(std::vector<double> counts, const NaiveClahe& how) {
  double total = 0;
  for (const double count : counts) total += count;
  Table table;
  if (total == 0) {
    for (std::uint32_t i = 0; i < how.levels; ++i) table.push_back(i);
    return table;
  }
  if (how.clip > 0) counts = clipped(counts, std::max(1.0, std::floor(how.clip * total / how.levels)), how.even);
  const double top = how.levels - 1;
  const float scale = static_cast<float>(top) / static_cast<float>(total);
  double sum = 0;
  for (const double count : counts) {
    sum += count;
    const double exact = std::floor((2 * sum * top + total) / (2 * total));
    const double rounded = std::nearbyint(static_cast<float>(sum) * scale);
    table.push_back(static_cast<std::uint32_t>(std::min(top, how.even ? exact : rounded)));
  }
  return table;
}

struct Neighbours {
  std::uint32_t low, high;
  float weight;  ///< of the high one
};

Neighbours neighbours(std::uint32_t at, std::uint32_t tile, std::uint32_t tiles) {
  const float position = static_cast<float>(at) * (1.0f / static_cast<float>(tile)) - 0.5f;
  const auto low = static_cast<std::int64_t>(std::floor(position));
  return {static_cast<std::uint32_t>(std::max<std::int64_t>(low, 0)),
          static_cast<std::uint32_t>(std::min<std::int64_t>(low + 1, tiles - 1)), position - static_cast<float>(low)};
}

}  // namespace

std::vector<std::uint32_t> naive_clahe(const NaiveClahe& how, const std::vector<std::uint32_t>& samples,
                                       const std::vector<std::uint8_t>& keep) {
  const bool fits = how.width % how.tiles_x == 0 && how.height % how.tiles_y == 0;
  const std::uint32_t tile_width = how.width / how.tiles_x + (fits ? 0 : 1);
  const std::uint32_t tile_height = how.height / how.tiles_y + (fits ? 0 : 1);
  std::vector<Table> tables;
  for (std::uint32_t ty = 0; ty < how.tiles_y; ++ty) {
    for (std::uint32_t tx = 0; tx < how.tiles_x; ++tx) {
      std::vector<double> counts(how.levels);
      for (std::uint32_t y = ty * tile_height; y < (ty + 1) * tile_height; ++y) {
        for (std::uint32_t x = tx * tile_width; x < (tx + 1) * tile_width; ++x) {
          const std::size_t at = std::size_t{reflect(y, how.height)} * how.width + reflect(x, how.width);
          if (keep.empty() || keep[at] != 0) ++counts[samples[at]];
        }
      }
      tables.push_back(table_of(counts, how));
    }
  }
  std::vector<std::uint32_t> result;
  for (std::uint32_t y = 0; y < how.height; ++y) {
    const Neighbours rows = neighbours(y, tile_height, how.tiles_y);
    for (std::uint32_t x = 0; x < how.width; ++x) {
      const Neighbours columns = neighbours(x, tile_width, how.tiles_x);
      const std::uint32_t sample = samples[std::size_t{y} * how.width + x];
      const auto in_row = [&](std::uint32_t row) {
        const auto low = static_cast<float>(tables[row * how.tiles_x + columns.low][sample]);
        const auto high = static_cast<float>(tables[row * how.tiles_x + columns.high][sample]);
        return low * (1.0f - columns.weight) + high * columns.weight;
      };
      const float mixed = in_row(rows.low) * (1.0f - rows.weight) + in_row(rows.high) * rows.weight;
      result.push_back(static_cast<std::uint32_t>(std::nearbyint(mixed)));
    }
  }
  return result;
}

}  // namespace histod::test
