// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/head_start.hpp"

#include "compute/codec/png_pixels.hpp"

namespace histod::compute::codec {
namespace {

constexpr std::size_t k_sniffed_bytes = 8;
/// What lies before the pixels is looked at again with each piece; profiles are smaller.
constexpr std::size_t k_beginning_bytes_max = 1u << 20;

bool alike(const PageInfo& a, const PageInfo& b) {
  return a.width == b.width && a.height == b.height && a.format == b.format && a.levels == b.levels;
}

}  // namespace

HeadStart::HeadStart() = default;
HeadStart::HeadStart(HeadStart&&) noexcept = default;
HeadStart& HeadStart::operator=(HeadStart&&) noexcept = default;
HeadStart::~HeadStart() = default;

HeadStart::Verdict HeadStart::look(std::span<const std::byte> beginning, std::uint64_t file_bytes,
                                   const Limits& limits) {
  const bool enough = beginning.size() >= k_beginning_bytes_max;
  if (sniff(beginning) != FileFormat::png) return beginning.size() < k_sniffed_bytes ? Verdict::undecided : Verdict::no;
  auto info = png::probe_beginning(beginning, file_bytes, limits);
  if (info) {
    info_ = std::move(*info);
    return Verdict::yes;
  }
  const bool more_may_help = info.error().code == make_error_code(Errc::truncated) && !enough;
  return more_may_help ? Verdict::undecided : Verdict::no;
}

void HeadStart::begin(std::span<std::byte> pixels, Arena& arena) {
  assert(pixels.size() >= info_.pixel_bytes);
  pixels_ = pixels;
  reader_ = std::make_unique<png::PixelReader>(page_views(info_, pixels).front(), arena);
}

void HeadStart::feed(std::span<const std::byte> so_far) {
  if (!reader_) return;
  const auto piece = so_far.subspan(fed_bytes_);
  fed_bytes_ = so_far.size();
  if (!reader_->feed(piece)) reader_.reset();
}

bool HeadStart::fits(const FileInfo& whole) const {
  return reader_ && whole.format == info_.format && whole.pages.size() == 1 &&
         alike(whole.pages.front(), info_.pages.front());
}

std::optional<Image> HeadStart::finish(std::span<const std::byte> file, const FileInfo& whole) {
  if (!fits(whole)) return std::nullopt;
  feed(file);
  if (!reader_ || !reader_->finish()) return std::nullopt;
  return Image{.info = whole, .file = file, .pages = page_views(whole, pixels_)};
}

}  // namespace histod::compute::codec
