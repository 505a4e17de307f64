// SPDX-License-Identifier: Apache-2.0
#include "compute/seams.hpp"

#include <algorithm>

#include "compute/planes.hpp"

namespace histod::compute {
namespace {

/// Pixels along a border.
template <class T>
class Border {
 public:
  Border(const EqualizePage& page, Side side, bool last)
      : view_(page.image),
        selection_(selection_of(page)),
        across_(side == Side::right),
        fixed_(!last     ? 0
               : across_ ? view_.width - 1
                         : view_.height - 1) {}

  bool keeps(std::uint32_t i) const {
    std::uint8_t keep = 1;
    return selection_.everything() || fill_keep<T>(view_, selection_, y(i), x(i), 1, &keep);
  }
  const T* pixel(std::uint32_t i) const { return pixel_at<T>(view_, y(i), x(i)); }

 private:
  std::uint32_t x(std::uint32_t i) const { return across_ ? fixed_ : i; }
  std::uint32_t y(std::uint32_t i) const { return across_ ? i : fixed_; }

  const ImageView view_;
  const Selection selection_;
  const bool across_;
  const std::uint32_t fixed_;
};

template <class T>
std::vector<Seam> steps_between(const Border<T>& first, const Border<T>& second, std::uint32_t length,
                                unsigned colors) {
  std::vector<Seam> seams(colors);
  for (std::uint32_t i = 0; i < length; ++i) {
    if (!first.keeps(i) || !second.keeps(i)) continue;
    const T* a = first.pixel(i);
    const T* b = second.pixel(i);
    for (unsigned c = 0; c < colors; ++c) {
      const std::uint32_t step = a[c] > b[c] ? a[c] - b[c] : b[c] - a[c];
      seams[c].merge({.pairs = 1, .sum = step, .largest = step});
    }
  }
  return seams;
}

Result<void> check_pair(const EqualizePage& first, const EqualizePage& second, Side side) {
  const ImageView& a = first.image;
  const ImageView& b = second.image;
  if (a.format.colors != b.format.colors || a.format.depth_bits != b.format.depth_bits) {
    return fail(Errc::bad_option, "images that adjoin differ in colors or depth");
  }
  if (side == Side::right && a.height != b.height) {
    return fail(Errc::bad_option, "images side by side differ in height", b.height, a.height);
  }
  if (side == Side::below && a.width != b.width) {
    return fail(Errc::bad_option, "images above each other differ in width", b.width, a.width);
  }
  for (const EqualizePage* page : {&first, &second}) {
    if (page->mask.empty() || page->mask.size() == page->image.pixels()) continue;
    return fail(Errc::bad_option, "the mask is not of the image's size, in pixels", page->mask.size(),
                page->image.pixels());
  }
  return {};
}

template <class T>
std::vector<Seam> seams(const EqualizePage& first, const EqualizePage& second, Side side) {
  const bool none = first.image.pixels() == 0 || second.image.pixels() == 0;
  const std::uint32_t length = none ? 0 : side == Side::right ? first.image.height : first.image.width;
  return steps_between(Border<T>(first, side, true), Border<T>(second, side, false), length, first.image.format.colors);
}

}  // namespace

void Seam::merge(const Seam& other) {
  pairs += other.pairs;
  sum += other.sum;
  largest = std::max(largest, other.largest);
}

Result<std::vector<Seam>> seam_between(const EqualizePage& first, const EqualizePage& second, Side side) {
  if (auto checked = check_pair(first, second, side); !checked) return std::unexpected(std::move(checked.error()));
  return first.image.format.depth_bits == 8 ? seams<std::uint8_t>(first, second, side)
                                            : seams<std::uint16_t>(first, second, side);
}

}  // namespace histod::compute
