// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <opencv2/core.hpp>

#include "compute/equalize.hpp"
#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::test {

inline compute::Arena& shared_arena() {
  static compute::Arena arena({.cpus = {}, .threads = 3});
  return arena;
}

/// Equalizes one page in place; the test fails when that fails.
inline compute::EqualizeReport equalize_page(compute::EqualizePage& page, const compute::EqualizeOptions& options) {
  auto report = compute::equalize(std::span(&page, 1), options, shared_arena());
  EXPECT_TRUE(report) << report.error().detail << " " << report.error().value;
  return report ? std::move(*report) : compute::EqualizeReport{};
}

inline compute::EqualizeReport equalize_image(NaiveImage& image, const compute::EqualizeOptions& options) {
  compute::EqualizePage page{.image = image.view()};
  return equalize_page(page, options);
}

inline void expect_same(const compute::PlaneReport& a, const compute::PlaneReport& b, const std::string& what) {
  EXPECT_EQ(a.page, b.page) << what;
  EXPECT_EQ(a.channel, b.channel) << what;
  EXPECT_EQ(a.levels, b.levels) << what;
  EXPECT_EQ(a.counted, b.counted) << what;
  EXPECT_EQ(a.masked, b.masked) << what;
  EXPECT_EQ(a.nodata_collisions, b.nodata_collisions) << what;
  EXPECT_EQ(a.first_count, b.first_count) << what;
  EXPECT_EQ(a.before, b.before) << what;
  EXPECT_EQ(a.after, b.after) << what;
  EXPECT_EQ(a.lut, b.lut) << what;
}

/// About a third of the pixels are left out.
inline std::vector<std::uint8_t> random_mask(const NaiveImage& image, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> mask(std::size_t{image.width()} * image.height());
  for (auto& keep : mask) keep = random() % 3 == 0 ? 0 : static_cast<std::uint8_t>(1 + random() % 255);
  return mask;
}

inline std::string describe(const NaiveImage& image) {
  return std::to_string(image.width()) + "x" + std::to_string(image.height()) + " colors " +
         std::to_string(image.format().colors) + " extras " + std::to_string(image.format().extras) + " depth " +
         std::to_string(image.format().depth_bits);
}

/// OpenCV's view of the same samples, in order and without padding.
inline cv::Mat to_mat(const NaiveImage& image) {
  const int depth = image.format().depth_bits == 8 ? CV_8U : CV_16U;
  cv::Mat mat(static_cast<int>(image.height()), static_cast<int>(image.width()),
              CV_MAKETYPE(depth, static_cast<int>(image.format().channels())));
  const std::vector<std::uint32_t> samples = image.samples();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (depth == CV_8U) {
      mat.ptr<std::uint8_t>()[i] = static_cast<std::uint8_t>(samples[i]);
    } else {
      mat.ptr<std::uint16_t>()[i] = static_cast<std::uint16_t>(samples[i]);
    }
  }
  return mat;
}

inline std::vector<std::uint32_t> samples_of_mat(const cv::Mat& mat) {
  std::vector<std::uint32_t> samples(mat.total() * static_cast<std::size_t>(mat.channels()));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = mat.depth() == CV_8U ? mat.ptr<std::uint8_t>()[i] : mat.ptr<std::uint16_t>()[i];
  }
  return samples;
}

}  // namespace histod::test
