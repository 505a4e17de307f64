// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/opencv.hpp"

#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {
namespace {

using compute::codec::FileFormat;
using testing::HasSubstr;

/// A column of 8-bit samples, each repeated over a row of 16.
cv::Mat bars(std::initializer_list<int> levels) {
  cv::Mat out(static_cast<int>(levels.size()), 16, CV_8UC1);
  int y = 0;
  for (const int level : levels) out.row(y++).setTo(level);
  return out;
}

/// The rule in its plainest words: the share of the pixels at or below a level, the darkest level left out.
cv::Mat equalized_by_hand(const cv::Mat& in) {
  std::array<double, 256> counts{};
  for (int i = 0; i < static_cast<int>(in.total()); ++i) ++counts[in.data[i]];
  std::size_t darkest = 0;
  while (counts[darkest] == 0) ++darkest;
  cv::Mat out(in.size(), CV_8UC1);
  for (int i = 0; i < static_cast<int>(in.total()); ++i) {
    double at_or_below = 0;
    for (std::size_t level = darkest + 1; level <= in.data[i]; ++level) at_or_below += counts[level];
    const double share = at_or_below / (static_cast<double>(in.total()) - counts[darkest]);
    out.data[i] = static_cast<unsigned char>(std::lround(255 * share));
  }
  return out;
}

class OracleTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!opencv_codecs_missing().empty()) GTEST_SKIP() << opencv_codecs_missing();
  }
  static std::span<const std::byte> bytes(const std::vector<unsigned char>& of) { return std::as_bytes(std::span(of)); }
};

TEST(DifferenceTest, SaysShapeOrLargestDistance) {
  const cv::Mat a = bars({10, 20, 30});
  EXPECT_EQ(difference(a, a.clone()), "");
  EXPECT_THAT(difference(a, bars({10, 20})), HasSubstr("the answer is 16x3"));
  EXPECT_THAT(difference(a, cv::Mat(3, 16, CV_16UC1)), HasSubstr("channels of 1 bytes"));
  const cv::Mat near = bars({10, 23, 30});
  EXPECT_THAT(difference(near, a), HasSubstr("differs from the oracle's by 3, at most 0"));
  EXPECT_EQ(difference(near, a, 3), "");
  EXPECT_NE(difference(near, a, 2), "");
}

TEST(DifferenceTest, OfTheMeanCountsEachChannel) {
  EXPECT_DOUBLE_EQ(mean_difference(bars({10, 20}), bars({10, 24})), 2);
  const cv::Mat black(4, 4, CV_8UC3, cv::Scalar(0, 0, 0)), red(4, 4, CV_8UC3, cv::Scalar(0, 0, 30));
  EXPECT_DOUBLE_EQ(mean_difference(black, red), 10);
}

TEST(DifferenceTest, ExpectedGrayIsTheRulesOwnResult) {
  const Input input{"bars", bars({3, 60, 60, 200})};
  const ImageFile file = image_file(input, FileFormat::pgm);
  EXPECT_EQ(difference(expected_gray(file), equalized_by_hand(input.pixels)), "");
}

TEST_F(OracleTest, DecodesWhatOpenCvEncodes) {
  const cv::Mat gray = bars({0, 77, 255});
  for (const FileFormat format : {FileFormat::png, FileFormat::tiff, FileFormat::pgm})
    EXPECT_EQ(difference(oracle_decoded(bytes(opencv_encoded(gray, format)), true), gray), "");
  const cv::Mat blue_first(8, 8, CV_8UC3, cv::Scalar(200, 100, 50));
  const cv::Mat decoded = oracle_decoded(bytes(opencv_encoded(blue_first, FileFormat::png)), false);
  EXPECT_EQ(decoded.at<cv::Vec3b>(0, 0), cv::Vec3b(50, 100, 200)) << "RGB, whatever OpenCV's own order is";
}

TEST_F(OracleTest, EqualizesFilesTheWholeWay) {
  const Input input{"bars", bars({9, 9, 80, 81, 82})};
  const ImageFile file = image_file(input, FileFormat::png);
  const auto out = opencv_equalized(file.bytes, FileFormat::png, true);
  EXPECT_EQ(difference(oracle_decoded(bytes(out), true), equalized_by_hand(input.pixels)), "");
}

TEST_F(OracleTest, AColouredFileKeepsItsColours) {
  const Input input{"red", cv::Mat(16, 16, CV_8UC3, cv::Scalar(90, 40, 30))};
  const ImageFile file = image_file(input, FileFormat::png);
  const auto out = opencv_equalized(file.bytes, FileFormat::png, false);
  EXPECT_LE(mean_difference(oracle_decoded(bytes(out), false), input.pixels), 2) << "one level only: it stays";
}

TEST_F(OracleTest, LossMayBeAsLargeAsThePeersAndHalfALevelMore) {
  const cv::Mat expected = bars({10, 100, 200});
  const auto file = [](const cv::Mat& pixels) { return opencv_encoded(pixels, FileFormat::png); };
  const auto off = [&](int levels) { return file(expected + levels); };
  EXPECT_EQ(lossy_difference(bytes(off(2)), bytes(off(2)), expected), "");
  EXPECT_EQ(lossy_difference(bytes(off(0)), bytes(off(2)), expected), "");
  EXPECT_THAT(lossy_difference(bytes(off(3)), bytes(off(2)), expected), HasSubstr("is 3.00 levels off"));
  EXPECT_THAT(lossy_difference(bytes(file(bars({1, 2}))), bytes(off(2)), expected), HasSubstr("the answer is 16x2"));
}

TEST_F(OracleTest, WhatIsNoImageIsAFailure) {
  const std::vector<unsigned char> none{1, 2, 3};
  EXPECT_THROW(oracle_decoded(bytes(none), true), Failure);
}

}  // namespace
}  // namespace histod::bench
