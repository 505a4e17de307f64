// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/arena.hpp"
#include "compute/equalize.hpp"
#include "compute/planes.hpp"
#include "compute/rule.hpp"

/// Contrast-limited adaptive equalization as OpenCV defines it: a grid of equal tiles (the image is extended by
/// reflection, 101, to a whole number of them), a clipped histogram and table for each, and for each pixel the mean of
/// the four nearest tables' entries, weighted by distance.
namespace histod::compute {

struct ClaheGrid {
  std::uint32_t tiles_x = 1;
  std::uint32_t tiles_y = 1;
  std::uint32_t tile_width = 1;
  std::uint32_t tile_height = 1;

  std::uint32_t tiles() const { return tiles_x * tiles_y; }
};

ClaheGrid clahe_grid(std::uint32_t width, std::uint32_t height, std::uint32_t tiles_x, std::uint32_t tiles_y);

/// The tables of all tiles, row by row, each with an entry for each bin of the depth. All pages have the size of the
/// first; their counts are added. Rule::opencv: OpenCV's own arithmetic. Rule::exact differs from it at 16 bit only:
/// what is clipped off is spread evenly, and tables are rounded in integers. Only pixels that count are counted; a tile
/// without any maps to itself. `all`, if not null, is added the counts of all tiles.
Lut clahe_tables(std::span<const EqualizePage* const> pages, const Plane& plane, const EqualizeOptions& options,
                 std::uint32_t levels, Arena& arena, Histogram* all = nullptr);
/// Whether the tiles' counts together are those of the page: nothing is extended, nothing left out.
bool clahe_counts_all(const EqualizePage& page, const EqualizeOptions& options);

/// Pixels of one cell, and not too many: a piece of work.
struct ClaheBlock {
  std::uint32_t x, y, width, height;
};

/// A cell's four 16-bit tables side by side, so that a sample finds all its values in one place: scratch of a task.
struct PackedCell {
  std::vector<std::uint64_t> entries;
  std::uint32_t column = 0, row = 0;
};

/// Maps samples by the tables of a grid. Read-only after construction: shared by all tasks of a page.
template <class T>
class ClaheMap {
 public:
  ClaheMap(const Lut& tables, const ClaheGrid& grid, std::uint32_t width);
  /// `in` and `out` may be the same; they are the samples of row y from column x on.
  void map(const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n) const;

  /// 16 bits, and tiles that are large enough: faster by map_in_block(), for pixels that lie in one of blocks(). Blocks
  /// of a cell come one after the other, and share what `packed` holds.
  bool goes_by_blocks() const;
  std::vector<ClaheBlock> blocks(std::uint32_t height) const;
  void map_in_block(const T* in, T* out, std::uint32_t y, std::uint32_t x, std::uint32_t n, PackedCell& packed) const;

 private:
  /// Between the centers of tiles lie cells, whose pixels share four tables: (tiles_x + 1) * (tiles_y + 1) of them, the
  /// outer ones having the same tile on both sides.
  struct Cell {
    const std::uint16_t *upper_left, *upper_right, *lower_left, *lower_right;
  };
  struct Row {
    std::uint32_t cell;
    float weight_below;
  };
  Row row_of(std::uint32_t y) const;
  Cell cell(std::uint32_t column, std::uint32_t row) const;
  void pack_cells();

  const Lut& tables_;
  const ClaheGrid grid_;
  const Kernels& kernels_;
  std::vector<std::uint32_t> columns_;  ///< of each x: the cell's column
  std::vector<std::uint32_t> ends_;     ///< of each column of cells: the first x that is not in it
  std::vector<float> weights_;          ///< of each x: of the tables on the right
  std::vector<std::uint32_t> packed_;   ///< 8 bits, and not too many tiles: each cell's tables as blend_u8 takes them
};

}  // namespace histod::compute
