// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/video/packed.hpp"

/// RFC 4175's packing written a second time: a stream of bits, read one after the other, whose samples have letters.
namespace histod::test {

using compute::video::Extent;
using compute::video::PackedForm;
using compute::video::Sampling;

/// What one unit of samples is, and which pixels it has.
struct NaiveUnit {
  std::string_view letters;  ///< of Y, U, V, R, G, B, A
  unsigned columns, lines;
};

inline NaiveUnit naive_unit(Sampling sampling) {
  switch (sampling) {
    case Sampling::ycbcr422:
      return {"UYVY", 2, 1};
    case Sampling::ycbcr420:
      return {"YYYYUV", 2, 2};
    case Sampling::ycbcr444:
      return {"UYV", 1, 1};
    case Sampling::rgb:
      return {"RGB", 1, 1};
    case Sampling::rgba:
      return {"RGBA", 1, 1};
    case Sampling::bgr:
      return {"BGR", 1, 1};
    case Sampling::bgra:
      return {"BGRA", 1, 1};
  }
  return {};
}

inline std::vector<PackedForm> all_forms() {
  std::vector<PackedForm> forms;
  for (const auto sampling : {Sampling::ycbcr422, Sampling::ycbcr420, Sampling::ycbcr444, Sampling::rgb, Sampling::rgba,
                              Sampling::bgr, Sampling::bgra}) {
    for (const unsigned depth : {8u, 10u, 12u, 16u}) forms.push_back({sampling, static_cast<std::uint8_t>(depth)});
  }
  return forms;
}

inline std::string describe(const PackedForm& form) {
  return std::string(naive_unit(form.sampling).letters) + std::to_string(form.depth_bits);
}

using Bytes = std::vector<std::byte>;

inline std::vector<std::uint32_t> unpack_bits(std::span<const std::byte> bytes, unsigned depth) {
  std::vector<std::uint32_t> samples(bytes.size() * 8 / depth);
  for (std::size_t bit = 0; bit < samples.size() * depth; ++bit) {
    const std::uint32_t value = std::to_integer<std::uint32_t>(bytes[bit / 8]) >> (7 - bit % 8) & 1;
    samples[bit / depth] = samples[bit / depth] << 1 | value;
  }
  return samples;
}

/// Bytes that the samples do not fill up end in bits of 0.
inline Bytes pack_bits(std::span<const std::uint32_t> samples, unsigned depth) {
  Bytes bytes((samples.size() * depth + 7) / 8);
  for (std::size_t bit = 0; bit < samples.size() * depth; ++bit) {
    const std::uint32_t value = samples[bit / depth] >> (depth - 1 - bit % depth) & 1;
    bytes[bit / 8] |= static_cast<std::byte>(value << (7 - bit % 8));
  }
  return bytes;
}

/// One pixel of a span, and where its samples are among all of it.
struct NaivePixel {
  unsigned x = 0, y = 0;
  std::vector<std::size_t> at;  ///< Y, or R, G and B
  std::uint32_t luma = 0;
  bool counts = true;  ///< false: alpha is 0
};

inline std::vector<NaivePixel> naive_pixels(const PackedForm& form, std::span<const std::uint32_t> samples) {
  const auto [letters, columns, lines] = naive_unit(form.sampling);
  std::vector<NaivePixel> pixels;
  for (std::size_t unit = 0; (unit + 1) * letters.size() <= samples.size(); ++unit) {
    const std::size_t first = unit * letters.size();
    const auto left = static_cast<unsigned>(unit * columns);
    if (letters.find('Y') != std::string_view::npos) {
      unsigned seen = 0;
      for (std::size_t i = 0; i < letters.size(); ++i) {
        if (letters[i] != 'Y') continue;
        pixels.push_back({left + seen % columns, seen / columns, {first + i}, samples[first + i]});
        ++seen;
      }
      continue;
    }
    NaivePixel pixel{left, 0, {}};
    for (const char color : {'R', 'G', 'B'}) pixel.at.push_back(first + letters.find(color));
    pixel.luma =
        (4899 * samples[pixel.at[0]] + 9617 * samples[pixel.at[1]] + 1868 * samples[pixel.at[2]] + 8192) / 16384;
    if (letters.ends_with('A')) pixel.counts = samples[first + 3] != 0;
    pixels.push_back(pixel);
  }
  return pixels;
}

/// Whole pgroups only.
inline std::vector<std::uint32_t> naive_samples(const PackedForm& form, std::span<const std::byte> bytes) {
  return unpack_bits(bytes.first(bytes.size() / form.group_bytes() * form.group_bytes()), form.depth_bits);
}

inline std::vector<std::uint64_t> naive_counts(const PackedForm& form, std::span<const std::byte> bytes,
                                               const Extent& seen = {}) {
  std::vector<std::uint64_t> counts(form.levels());
  for (const NaivePixel& pixel : naive_pixels(form, naive_samples(form, bytes))) {
    if (pixel.counts && pixel.x < seen.columns && pixel.y < seen.lines) ++counts[pixel.luma];
  }
  return counts;
}

inline Bytes naive_applied(const PackedForm& form, const Bytes& bytes, const compute::Lut& lut,
                           const Extent& seen = {}) {
  std::vector<std::uint32_t> samples = naive_samples(form, bytes);
  const auto top = static_cast<std::int64_t>(form.levels()) - 1;
  for (const NaivePixel& pixel : naive_pixels(form, samples)) {
    if (!pixel.counts || pixel.x >= seen.columns || pixel.y >= seen.lines) continue;
    for (const std::size_t at : pixel.at) {
      const std::int64_t moved = std::int64_t{samples[at]} + lut[pixel.luma] - pixel.luma;
      samples[at] = static_cast<std::uint32_t>(std::clamp<std::int64_t>(moved, 0, top));
    }
  }
  Bytes packed = pack_bits(samples, form.depth_bits);
  packed.insert(packed.end(), bytes.begin() + static_cast<std::ptrdiff_t>(packed.size()), bytes.end());
  return packed;
}

/// 0: noise; 1: one value; 2: runs, with alpha that is 0 now and then.
inline Bytes random_groups(const PackedForm& form, std::size_t groups, unsigned kind, std::mt19937_64& random) {
  std::vector<std::uint32_t> samples(groups * form.group_bytes() * 8 / form.depth_bits);
  const std::size_t unit = naive_unit(form.sampling).letters.size();
  const std::uint32_t flat = static_cast<std::uint32_t>(random()) % form.levels();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto noise = static_cast<std::uint32_t>(random()) % form.levels();
    samples[i] = kind == 0 ? noise : kind == 1 ? flat : static_cast<std::uint32_t>(i / 60 * 7 + 3) % form.levels();
    if (kind != 1 && unit == 4 && i % unit == 3 && noise % 4 == 0) samples[i] = 0;
  }
  return pack_bits(samples, form.depth_bits);
}

inline compute::Lut random_lut(std::uint32_t levels, std::mt19937_64& random) {
  compute::Lut lut(levels);
  for (auto& entry : lut) entry = static_cast<std::uint16_t>(random() % levels);
  return lut;
}

inline std::vector<std::uint64_t> values_of(const compute::Histogram& histogram) {
  return {histogram.counts().begin(), histogram.counts().end()};
}

inline compute::Histogram histogram_with(std::span<const std::uint64_t> counts) {
  compute::Histogram histogram(static_cast<std::uint32_t>(counts.size()));
  std::ranges::copy(counts, histogram.counts().begin());
  return histogram;
}

/// Named after its form.
inline std::string form_name(const auto& param) { return describe(param.param); }

}  // namespace histod::test
