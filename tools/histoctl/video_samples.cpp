// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/video_samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace histod::ctl {
namespace rtp = net::rtp;
namespace {

using rtp::Component;

constexpr unsigned k_high_definition_rows = 720;
constexpr std::array<std::string_view, 4> k_patterns{"ramp", "bars", "noise", "flat"};
// The bars from the left to the right, which of R, G and B are on.
constexpr std::array<std::array<double, 3>, 8> k_bars{
    {{1, 1, 1}, {1, 1, 0}, {0, 1, 1}, {0, 1, 0}, {1, 0, 1}, {1, 0, 0}, {0, 0, 1}, {0, 0, 0}}};

bool is_color_difference(Component component) { return component == Component::cb || component == Component::cr; }
bool is_rgb(Component component) { return component >= Component::r && component <= Component::b; }
unsigned index_of_rgb(Component component) {
  return static_cast<unsigned>(component) - static_cast<unsigned>(Component::r);
}

/// SplitMix64 (Steele, Lea and Flood, 2014), its `position`th number.
std::uint64_t split_mix(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t z = seed + (position + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

}  // namespace

std::optional<Pattern> pattern_of(std::string_view name) {
  const auto* found = std::ranges::find(k_patterns, name);
  if (found == k_patterns.end()) return std::nullopt;
  return static_cast<Pattern>(found - k_patterns.begin());
}

unsigned frames_of(Pattern pattern) { return pattern == Pattern::noise ? k_noise_frames : 1; }

YCbCr::YCbCr(const rtp::VideoFormat& format)
    : kr_(format.height >= k_high_definition_rows ? 0.2126 : 0.299),
      kb_(format.height >= k_high_definition_rows ? 0.0722 : 0.114),
      step_(1u << (format.depth - 8)),
      max_((1u << format.depth) - 1) {}

unsigned YCbCr::of(Component component, const std::array<double, 3>& rgb) const {
  const double luma = kr_ * rgb[0] + (1 - kr_ - kb_) * rgb[1] + kb_ * rgb[2];
  double value = 16 + 219 * luma;
  if (component == Component::cb) value = 128 + 224 * (rgb[2] - luma) / (2 * (1 - kb_));
  if (component == Component::cr) value = 128 + 224 * (rgb[0] - luma) / (2 * (1 - kr_));
  return static_cast<unsigned>(std::clamp(std::round(value * step_), 0.0, max_));
}

PatternSamples::PatternSamples(const rtp::VideoFormat& format, Pattern pattern, std::uint64_t seed, unsigned frame)
    : format_(format), matrix_(format), pattern_(pattern), seed_(seed), frame_(frame), max_((1u << format.depth) - 1) {}

unsigned PatternSamples::bar(Component component, unsigned x) const {
  const auto& rgb = k_bars[x * k_bars.size() / format_.width];
  if (is_rgb(component)) return rgb[index_of_rgb(component)] > 0 ? max_ : 0;
  return matrix_.of(component, rgb);
}

unsigned PatternSamples::at(Component component, unsigned x, unsigned y) const {
  const unsigned middle = (max_ + 1) / 2;
  if (component == Component::a) return max_;
  switch (pattern_) {
    case Pattern::ramp:
      if (is_color_difference(component)) return middle;
      return format_.width == 1 ? 0 : static_cast<unsigned>(std::uint64_t{x} * max_ / (format_.width - 1));
    case Pattern::bars:
      return bar(component, x);
    case Pattern::noise: {
      const std::uint64_t plane = std::uint64_t{frame_} * 8 + static_cast<unsigned>(component);
      return static_cast<unsigned>(split_mix(seed_, plane << 30 | std::uint64_t{y} << 15 | x) >> (64 - format_.depth));
    }
    case Pattern::flat:
      break;
  }
  return middle;
}

Result<ImageSamples> ImageSamples::make(const rtp::Raster& raster, const compute::ImageView& image,
                                        std::uint32_t levels) {
  if (image.format.colors != 1 && image.format.colors != 3) {
    return fail(Exit::some_failed,
                fmt::format("has {} bands, which are neither gray nor RGB", unsigned{image.format.colors}));
  }
  const rtp::VideoFormat& format = raster.format();
  if (image.width != format.width || image.height != format.height) {
    return fail(Exit::some_failed, fmt::format("is {}x{}, but the stream is {}x{}", image.width, image.height,
                                               format.width, format.height));
  }
  return ImageSamples(raster, image, (levels > 1 ? levels : image.format.bins()) - 1);
}

ImageSamples::ImageSamples(const rtp::Raster& raster, const compute::ImageView& image, std::uint32_t white)
    : raster_(raster),
      image_(image),
      matrix_(raster.format()),
      white_(white),
      max_((1u << raster.format().depth) - 1) {}

unsigned ImageSamples::sample(unsigned channel, unsigned x, unsigned y) const {
  const std::byte* at =
      image_.row(y) + x * image_.format.bytes_per_pixel() + channel * image_.format.bytes_per_sample();
  if (image_.format.depth_bits == 8) return std::to_integer<unsigned>(*at);
  std::uint16_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

unsigned ImageSamples::scaled(unsigned value) const {
  return static_cast<unsigned>(std::min<std::uint64_t>((std::uint64_t{value} * max_ + white_ / 2) / white_, max_));
}

void ImageSamples::add(std::array<double, 3>& sum, unsigned x, unsigned y) const {
  for (unsigned i = 0; i < 3; ++i) sum[i] += std::min(1.0, static_cast<double>(sample(i, x, y)) / white_);
}

std::array<double, 3> ImageSamples::mean(unsigned x, unsigned y) const {
  std::array<double, 3> sum{};
  const bool four = raster_.format().sampling == rtp::Sampling::ycbcr_420;
  const unsigned right = std::min(x + 1, image_.width - 1);
  const unsigned below = y + raster_.row_step() < image_.height ? y + raster_.row_step() : y;
  add(sum, x, y);
  add(sum, right, y);
  if (four) add(sum, x, below);
  if (four) add(sum, right, below);
  for (double& each : sum) each /= four ? 4 : 2;
  return sum;
}

unsigned ImageSamples::at(Component component, unsigned x, unsigned y) const {
  const bool gray = image_.format.colors == 1;
  if (component == Component::a) {
    if (!image_.format.alpha) return max_;
    return scaled(sample(image_.format.colors, x, y));
  }
  if (is_rgb(component)) return scaled(sample(gray ? 0 : index_of_rgb(component), x, y));
  if (is_color_difference(component)) return gray ? (max_ + 1) / 2 : matrix_.of(component, mean(x, y));
  if (gray) return scaled(sample(0, x, y));
  std::array<double, 3> rgb{};
  add(rgb, x, y);
  return matrix_.of(component, rgb);
}

}  // namespace histod::ctl
