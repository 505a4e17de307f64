// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/tile.hpp"

#include <algorithm>
#include <cstring>

#include "tools/histoctl/decoded_file.hpp"

namespace histod::ctl {
namespace {

constexpr std::string_view k_special = "\\^$.|?+()[]{}";

}  // namespace

Result<PlacePattern> PlacePattern::parse(std::string_view pattern) {
  PlacePattern out;
  std::string regex;
  std::vector<std::string_view> names;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    const std::string_view rest = pattern.substr(at);
    bool named = false;
    for (const std::string_view name : {"{column}", "{row}", "{x}", "{y}"}) {
      if (!rest.starts_with(name)) continue;
      names.push_back(name);
      regex += "([0-9]{1,18})";
      at += name.size() - 1;
      named = true;
    }
    if (named) continue;
    if (rest.front() == '*') {
      regex += ".*";
    } else {
      if (k_special.contains(rest.front())) regex += '\\';
      regex += rest.front();
    }
  }
  using Names = std::vector<std::string_view>;
  out.row_first_ = names == Names{"{row}", "{column}"} || names == Names{"{y}", "{x}"};
  out.in_pixels_ = names == Names{"{x}", "{y}"} || names == Names{"{y}", "{x}"};
  if (!out.row_first_ && !out.in_pixels_ && names != Names{"{column}", "{row}"}) {
    return fail(Exit::usage, "--place: must have {column} and {row}, or {x} and {y}, once each");
  }
  out.regex_ = std::regex(regex);
  return out;
}

std::optional<Place> PlacePattern::place_of(const std::string& stem) const {
  std::smatch match;
  if (!std::regex_match(stem, match, regex_)) return std::nullopt;
  const std::uint64_t first = std::stoull(match[1].str()), second = std::stoull(match[2].str());
  return row_first_ ? Place{.row = first, .column = second} : Place{.row = second, .column = first};
}

Tile::Border Tile::cut(const compute::ImageView& image, std::uint32_t x, std::uint32_t y, std::uint32_t width,
                       std::uint32_t height) {
  Border border;
  const std::size_t pixel = image.format.bytes_per_pixel();
  border.bytes.resize(pixel * width * height);
  border.view = {border.bytes.data(), width, height, pixel * width, image.format};
  for (std::uint32_t i = 0; i < height; ++i)
    std::memcpy(border.view.row(i), image.row(y + i) + x * pixel, border.view.stride_bytes);
  return border;
}

Result<Tile> Tile::read(const std::string& path, compute::Arena& arena) {
  const auto file = DecodedFile::read(path, arena);
  if (!file) return std::unexpected(file.error());
  const compute::ImageView& image = file->first();
  Tile tile;
  tile.width_ = image.width;
  tile.height_ = image.height;
  tile.file_bytes_ = file->file_bytes();
  tile.nodata_ = file->first_info().nodata;
  tile.left_ = cut(image, 0, 0, 1, image.height);
  tile.right_ = cut(image, image.width - 1, 0, 1, image.height);
  tile.top_ = cut(image, 0, 0, image.width, 1);
  tile.bottom_ = cut(image, 0, image.height - 1, image.width, 1);
  return tile;
}

compute::EqualizePage Tile::page(const Tile& tile, const Border& border) {
  return {.image = border.view, .nodata = tile.nodata_};
}

compute::Result<compute::Seam> Tile::seam(const Tile& first, const Tile& second, compute::Side side) {
  const bool right = side == compute::Side::right;
  const auto seams = compute::seam_between(page(first, right ? first.right_ : first.bottom_),
                                           page(second, right ? second.left_ : second.top_), side);
  if (!seams) return std::unexpected(seams.error());
  compute::Seam all;
  for (const compute::Seam& one : *seams) all.merge(one);
  return all;
}

}  // namespace histod::ctl
