// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_image.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace histod::test {
namespace {

constexpr std::byte k_padding{0xA5};

std::uint32_t draw(Texture texture, std::uint32_t x, std::uint32_t y, std::uint32_t levels, std::mt19937_64& random) {
  const std::uint32_t top = levels - 1;
  switch (texture) {
    case Texture::uniform:
      return static_cast<std::uint32_t>(random() % levels);
    case Texture::narrow: {
      std::normal_distribution<double> bell(0.4 * top, 0.06 * top + 0.5);
      return static_cast<std::uint32_t>(std::clamp(std::round(bell(random)), 0.0, double{1} * top));
    }
    case Texture::constant:
      return top / 3;
    case Texture::two_level:
      return random() % 5 == 0 ? top / 4 : top / 2;
    case Texture::gradient:
      return static_cast<std::uint32_t>((x * 7 + y * 3 + random() % 9) % levels);
    case Texture::sparse:
      return static_cast<std::uint32_t>(random() % 4 * (top / 4) + (random() % 50 == 0 ? 1 : 0));
  }
  return 0;
}

}  // namespace

NaiveImage::NaiveImage(compute::PixelFormat format, std::uint32_t width, std::uint32_t height,
                       std::size_t padding_bytes) {
  view_ = {.data = nullptr, .width = width, .height = height, .stride_bytes = 0, .format = format};
  view_.stride_bytes = view_.row_bytes() + padding_bytes;
  size_bytes_ = view_.stride_bytes * height + 64;
  storage_.resize(size_bytes_ / 8 + 1);
  std::memset(storage_.data(), std::to_integer<int>(k_padding), size_bytes_);
}

compute::ImageView NaiveImage::view() {
  compute::ImageView view = view_;
  view.data = reinterpret_cast<std::byte*>(storage_.data());
  return view;
}

std::uint32_t NaiveImage::get(std::uint32_t x, std::uint32_t y, unsigned channel) const {
  const auto* row = reinterpret_cast<const std::byte*>(storage_.data()) + y * view_.stride_bytes;
  const std::size_t sample = std::size_t{x} * view_.format.channels() + channel;
  if (view_.format.depth_bits == 8) return std::to_integer<std::uint32_t>(row[sample]);
  std::uint16_t value = 0;
  std::memcpy(&value, row + 2 * sample, 2);
  return value;
}

void NaiveImage::set(std::uint32_t x, std::uint32_t y, unsigned channel, std::uint32_t value) {
  auto* row = reinterpret_cast<std::byte*>(storage_.data()) + y * view_.stride_bytes;
  const std::size_t sample = std::size_t{x} * view_.format.channels() + channel;
  if (view_.format.depth_bits == 8) {
    row[sample] = static_cast<std::byte>(value);
    return;
  }
  const auto narrow = static_cast<std::uint16_t>(value);
  std::memcpy(row + 2 * sample, &narrow, 2);
}

std::vector<std::uint32_t> NaiveImage::samples() const {
  std::vector<std::uint32_t> all;
  for (std::uint32_t y = 0; y < height(); ++y) {
    for (std::uint32_t x = 0; x < width(); ++x) {
      for (unsigned c = 0; c < format().channels(); ++c) all.push_back(get(x, y, c));
    }
  }
  return all;
}

std::vector<std::uint32_t> NaiveImage::plane(unsigned channel) const {
  std::vector<std::uint32_t> all;
  for (std::uint32_t y = 0; y < height(); ++y) {
    for (std::uint32_t x = 0; x < width(); ++x) all.push_back(get(x, y, channel));
  }
  return all;
}

bool NaiveImage::is_padding(std::size_t byte) const {
  return byte >= view_.stride_bytes * view_.height || byte % view_.stride_bytes >= view_.row_bytes();
}

bool NaiveImage::padding_is_untouched() const {
  const auto* bytes = reinterpret_cast<const std::byte*>(storage_.data());
  for (std::size_t i = 0; i < size_bytes_; ++i) {
    if (is_padding(i) && bytes[i] != k_padding) return false;
  }
  return true;
}

NaiveImage naive_image(compute::PixelFormat format, std::uint32_t width, std::uint32_t height, Texture texture,
                       std::uint32_t levels, std::uint64_t seed, std::size_t padding_bytes) {
  std::mt19937_64 random(seed);
  NaiveImage image(format, width, height, padding_bytes);
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      for (unsigned c = 0; c < format.channels(); ++c) {
        std::uint32_t value = draw(texture, x, y, levels, random);
        if (c == format.colors && format.alpha) value = random() % 8 == 0 ? 0 : 1 + value % (levels - 1);
        image.set(x, y, c, value);
      }
    }
  }
  return image;
}

std::vector<std::uint32_t> samples_of(const compute::ImageView& view) {
  std::vector<std::uint32_t> all;
  const std::size_t row_samples = std::size_t{view.width} * view.format.channels();
  for (std::uint32_t y = 0; y < view.height; ++y) {
    for (std::size_t i = 0; i < row_samples; ++i) {
      std::uint16_t value = 0;
      if (view.format.depth_bits == 8) {
        value = std::to_integer<std::uint8_t>(view.row(y)[i]);
      } else {
        std::memcpy(&value, view.row(y) + 2 * i, 2);
      }
      all.push_back(value);
    }
  }
  return all;
}

}  // namespace histod::test
