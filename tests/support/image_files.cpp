// SPDX-License-Identifier: Apache-2.0
#include "tests/support/image_files.hpp"

#include <cstring>
#include <random>

namespace histod::test {
namespace {

void append(FileBytes& to, std::string_view text) {
  for (const char c : text) to.push_back(static_cast<std::byte>(c));
}

}  // namespace

Raster make_raster(std::uint32_t width, std::uint32_t height, unsigned channels, unsigned depth_bits, unsigned seed) {
  Raster raster{width, height, channels, depth_bits, {}};
  std::mt19937 random(seed);
  const unsigned top = (1u << depth_bits) - 1;
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (unsigned c = 0; c < channels; ++c) {
        const std::uint64_t slope =
            (std::uint64_t{x} + std::uint64_t{y} * (c + 1)) * top / (width + std::uint64_t{height} * (c + 1));
        const std::uint64_t noise = random() % (top / 8 + 1);
        raster.samples.push_back(static_cast<std::uint16_t>((slope * 7 / 8 + noise) % (top + 1)));
      }
  return raster;
}

Raster make_noise(std::uint32_t width, std::uint32_t height, unsigned channels, unsigned depth_bits, unsigned seed) {
  Raster raster{width, height, channels, depth_bits, {}};
  std::mt19937 random(seed);
  raster.samples.resize(std::size_t{width} * height * channels);
  for (auto& sample : raster.samples) sample = static_cast<std::uint16_t>(random() & ((1u << depth_bits) - 1));
  return raster;
}

FileBytes netpbm_file(const Raster& raster, char kind, std::uint32_t maxval, std::string_view comment,
                      std::string_view tuple_type) {
  FileBytes file;
  append(file, std::string("P") + kind + "\n");
  if (!comment.empty()) append(file, "#" + std::string(comment) + "\n");
  const std::string width = std::to_string(raster.width);
  const std::string height = std::to_string(raster.height);
  if (kind == '7') {
    append(file, "WIDTH " + width + "\nHEIGHT " + height + "\nDEPTH " + std::to_string(raster.channels) + "\nMAXVAL " +
                     std::to_string(maxval) + "\n");
    if (!tuple_type.empty()) append(file, "TUPLTYPE " + std::string(tuple_type) + "\n");
    append(file, "ENDHDR\n");
  } else {
    append(file, width + " " + height + "\n" + std::to_string(maxval) + "\n");
  }
  for (const std::uint16_t sample : raster.samples) {
    if (kind == '2' || kind == '3') {
      append(file, std::to_string(sample) + "\n");
      continue;
    }
    if (maxval > 255) file.push_back(static_cast<std::byte>(sample >> 8));
    file.push_back(static_cast<std::byte>(sample));
  }
  return file;
}

std::string fake_icc(std::string_view color_space, std::size_t bytes) {
  std::string icc(bytes, '\0');
  for (std::size_t i = 128; i < bytes; ++i) icc[i] = static_cast<char>(i * 7);
  icc[2] = static_cast<char>(bytes >> 8);
  icc[3] = static_cast<char>(bytes);
  icc.replace(8, 4, std::string("\x02\x40\0\0", 4));
  icc.replace(12, 4, "mntr");
  icc.replace(16, 4, color_space);
  icc.replace(20, 4, "XYZ ");
  icc.replace(36, 4, "acsp");
  return icc;
}

std::string fake_exif(unsigned orientation) {
  std::string exif("MM\0*\0\0\0\x08\0\x02", 10);
  exif += std::string("\x01\x0f\0\x02\0\0\0\x04", 8) + std::string("abc\0", 4);
  exif += std::string("\x01\x12\0\x03\0\0\0\x01\0", 9) + static_cast<char>(orientation) + std::string("\0\0", 2);
  return exif + std::string(4, '\0');
}

}  // namespace histod::test
