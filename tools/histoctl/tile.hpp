// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "compute/arena.hpp"
#include "compute/seams.hpp"
#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

struct Place {
  std::uint64_t row = 0, column = 0;  ///< in the grid, or in pixels
  auto operator<=>(const Place&) const = default;
};

/// Reads a tile's place out of its file's name.
class PlacePattern {
 public:
  /// Exit::usage: it does not say where a tile lies.
  static Result<PlacePattern> parse(std::string_view pattern);
  /// `stem`: the name without its extension. Nothing: it does not fit the pattern.
  std::optional<Place> place_of(const std::string& stem) const;
  bool in_pixels() const { return in_pixels_; }

 private:
  std::regex regex_;
  bool in_pixels_ = false;
  bool row_first_ = false;
};

/// Of an image only what adjoins others is kept.
class Tile {
 public:
  Tile(Tile&&) = default;  // the views point into what moves along
  Tile& operator=(Tile&&) = default;
  Tile(const Tile&) = delete;
  Tile& operator=(const Tile&) = delete;
  /// The first page of the file.
  static Result<Tile> read(const std::string& path, compute::Arena& arena);

  std::uint32_t width() const { return width_; }
  std::uint32_t height() const { return height_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  /// All colors in one.
  static compute::Result<compute::Seam> seam(const Tile& first, const Tile& second, compute::Side side);

 private:
  Tile() = default;
  struct Border {
    std::vector<std::byte> bytes;
    compute::ImageView view;
  };
  static Border cut(const compute::ImageView& image, std::uint32_t x, std::uint32_t y, std::uint32_t width,
                    std::uint32_t height);
  static compute::EqualizePage page(const Tile& tile, const Border& border);

  std::uint32_t width_ = 0, height_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::optional<double> nodata_;
  Border left_, right_, top_, bottom_;
};

}  // namespace histod::ctl
