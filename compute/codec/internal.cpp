// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/internal.hpp"

namespace histod::compute::codec {

Result<void> LimitCheck::add_page(const PageInfo& page, std::uint64_t stored_bytes) {
  if (page.width == 0 || page.height == 0) return fail(Errc::corrupt, "width or height is 0");
  const std::uint64_t side = std::max(page.width, page.height);
  if (side > limits_.dimension)
    return fail(Errc::dimension_over_limit, "width or height in pixels", side, limits_.dimension);
  if (++pages_ > limits_.pages) return fail(Errc::pages_over_limit, "pages of the file", pages_, limits_.pages);
  const std::uint64_t pixels = std::uint64_t{page.width} * page.height;
  pixels_ += pixels;
  if (pixels_ > limits_.pixels) return fail(Errc::pixels_over_limit, "pixels of all pages", pixels_, limits_.pixels);
  decoded_bytes_ += pixels * page.format.bytes_per_pixel();
  if (decoded_bytes_ > limits_.decoded_bytes)
    return fail(Errc::bytes_over_limit, "decoded bytes of all pages", decoded_bytes_, limits_.decoded_bytes);
  stored_bytes_ += stored_bytes;
  const std::uint64_t ratio = stored_bytes_ / std::max<std::uint64_t>(file_bytes_, 1);
  if (ratio > limits_.ratio)
    return fail(Errc::ratio_over_limit, "decoded bytes for each byte of the file", ratio, limits_.ratio);
  return {};
}

Result<void> LimitCheck::add_ancillary(std::uint64_t bytes) {
  ancillary_bytes_ += bytes;
  if (ancillary_bytes_ <= limits_.ancillary_bytes) return {};
  return fail(Errc::ancillary_over_limit, "bytes of metadata", ancillary_bytes_, limits_.ancillary_bytes);
}

Result<void> LimitCheck::scans(std::uint64_t count) const {
  if (count <= limits_.jpeg_scans) return {};
  return fail(Errc::scans_over_limit, "scans of the JPEG", count, limits_.jpeg_scans);
}

namespace {
std::size_t aligned(std::size_t bytes) {
  return (bytes + k_page_alignment_bytes - 1) / k_page_alignment_bytes * k_page_alignment_bytes;
}
}  // namespace

FileInfo emptied(FileInfo used, FileFormat format) {
  FileInfo info{.format = format, .pages = std::move(used.pages), .rasters = std::move(used.rasters)};
  info.pages.clear();
  info.rasters.clear();
  return info;
}

void lay_out(FileInfo& info) {
  info.pixel_bytes = 0;
  for (const PageInfo& page : info.pages) info.pixel_bytes += aligned(page.pixel_bytes());
}

std::vector<ImageView> page_views(const FileInfo& info, std::span<std::byte> pixels) {
  std::vector<ImageView> views;
  views.reserve(info.pages.size());
  std::size_t offset = 0;
  for (const PageInfo& page : info.pages) {
    assert(offset + page.pixel_bytes() <= pixels.size());
    views.push_back({.data = pixels.data() + offset,
                     .width = page.width,
                     .height = page.height,
                     .stride_bytes = page.width * page.format.bytes_per_pixel(),
                     .format = page.format});
    offset += aligned(page.pixel_bytes());
  }
  return views;
}

std::size_t main_page(const FileInfo& info) {
  for (std::size_t i = 0; i < info.pages.size(); ++i)
    if (info.pages[i].role == PageRole::image) return i;
  return 0;
}

FullDepthRows::FullDepthRows(const ImageView& view, std::uint32_t levels) : view_(view) {
  const std::uint32_t bins = view.format.bins();
  if (levels < 2 || levels >= bins) return;
  table_.resize(bins, static_cast<std::uint16_t>(bins - 1));
  const std::uint64_t maxval = levels - 1;
  for (std::uint64_t v = 0; v < levels; ++v)
    table_[v] = static_cast<std::uint16_t>((v * (bins - 1) + maxval / 2) / maxval);
  row_.resize(view.row_bytes());
}

const std::byte* FullDepthRows::row(std::uint32_t y) {
  if (table_.empty()) return view_.row(y);
  copy_row(y, row_.data());
  return row_.data();
}

void FullDepthRows::copy_row(std::uint32_t y, std::byte* to) const {
  const std::byte* from = view_.row(y);
  if (table_.empty()) {
    std::memcpy(to, from, view_.row_bytes());
    return;
  }
  const std::size_t samples = std::size_t{view_.width} * view_.format.channels();
  for (std::size_t i = 0; i < samples; ++i) {
    if (view_.format.depth_bits == 8) {
      to[i] = static_cast<std::byte>(table_[std::to_integer<std::size_t>(from[i])]);
    } else {
      std::uint16_t value;
      std::memcpy(&value, from + 2 * i, 2);
      std::memcpy(to + 2 * i, &table_[value], 2);
    }
  }
}

}  // namespace histod::compute::codec
