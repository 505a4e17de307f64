// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/inputs.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {
namespace {

using compute::codec::FileFormat;
using testing::StartsWith;

constexpr Size k_small{61, 67};  // odd, and more rows than a strip

TEST(Inputs, NoiseIsTheSameEachTimeAndDiffersByKind) {
  const std::uint64_t narrow = digest(noise(k_small, 8).bytes());
  EXPECT_EQ(narrow, digest(noise(k_small, 8).bytes()));
  EXPECT_NE(narrow, digest(noise(k_small, 16).bytes()));
  EXPECT_NE(narrow, digest(noise(k_small, 8, 3).bytes()));
  EXPECT_EQ(noise(k_small, 16, 3).bytes().size(), 61u * 67 * 6);
  EXPECT_EQ(noise(k_small, 8).label(), "noise 61x67 8-bit");
  EXPECT_EQ(noise(k_small, 16, 3).label(), "noise 61x67 RGB 16-bit");
}

/// What lets the oracle see that nothing was done.
TEST(Inputs, DimNoiseIsChangedByEqualization) {
  for (const int channels : {1, 3}) {
    const Input input = dim_noise(k_small, channels);
    double least = 0, largest = 0;
    cv::minMaxLoc(input.pixels.reshape(1), &least, &largest);
    EXPECT_EQ(least, 85);
    EXPECT_EQ(largest, 170);
  }
  const cv::Mat gray = dim_noise(k_small).pixels;
  cv::Mat expected;
  cv::equalizeHist(gray, expected);
  EXPECT_GT(mean_difference(gray, expected), 20);
  cv::equalizeHist(noise(k_small, 8).pixels, expected);
  EXPECT_LT(mean_difference(noise(k_small, 8).pixels, expected), 5) << "uniform noise hardly changes";
}

TEST(Inputs, TheDigestIsFnv1a) {
  EXPECT_EQ(digest({}), 0xcbf29ce484222325ull);
  const std::string letter = "a";
  EXPECT_EQ(digest(std::as_bytes(std::span(letter))), 0xaf63dc4c8601ec8cull);
}

TEST(Inputs, APhotographIsScaledAndWidened) {
  const TemporaryFolder folder;
  const std::string path = folder.file("p.jpg");
  const ImageFile file = image_file(noise({100, 80}, 8, 3), FileFormat::jpeg);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.bytes.data()), static_cast<std::streamsize>(file.bytes.size()));
  const auto gray = photograph(path, k_small, 8), wide = photograph(path, k_small, 16),
             color = photograph(path, k_small, 8, 3);
  ASSERT_TRUE(gray && wide && color);
  EXPECT_EQ(gray->label(), "photograph 61x67 8-bit");
  EXPECT_EQ(wide->label(), "photograph 61x67 16-bit");
  EXPECT_EQ(color->label(), "photograph 61x67 RGB 8-bit");
  EXPECT_EQ(wide->pixels.at<std::uint16_t>(5, 7) >> 8, gray->pixels.at<std::uint8_t>(5, 7));
  EXPECT_EQ(photograph("/nonexistent", k_small, 8), std::nullopt);
  std::ofstream(path) << "no image";
  EXPECT_EQ(photograph(path, k_small, 8), std::nullopt);
}

/// Each kind of file, read by OpenCV where it is there: the pixels that went in.
TEST(Inputs, FilesHoldTheirPixels) {
  for (const int channels : {1, 3}) {
    for (const int depth : {8, 16}) {
      const Input input = noise(k_small, depth, channels);
      for (const FileFormat format :
           {channels == 1 ? FileFormat::pgm : FileFormat::ppm, FileFormat::png, FileFormat::tiff}) {
        const ImageFile file = image_file(input, format);
        EXPECT_EQ(compute::codec::sniff(file.bytes), format);
        EXPECT_EQ(difference(oracle_decoded(file.bytes, channels == 1), input.pixels), "") << file.label();
        EXPECT_THAT(file.label(), StartsWith(std::string(name(format)) + " noise 61x67"));
      }
    }
  }
  const Input flat{"flat", cv::Mat(67, 61, CV_8UC1, cv::Scalar(77))};
  EXPECT_EQ(difference(oracle_decoded(image_file(flat, FileFormat::jpeg).bytes, true), flat.pixels, 1), "");
}

/// Strips are found by their offsets, also when there is only one, and the last is shorter than the others.
TEST(Inputs, TiffsOfAnyHeightAreWhole) {
  for (const int height : {1, 63, 64, 65, 128, 200}) {
    for (const int channels : {1, 3}) {
      const Input input = noise({7, height}, 8, channels);
      const ImageFile file = image_file(input, FileFormat::tiff);
      EXPECT_EQ(difference(oracle_decoded(file.bytes, channels == 1), input.pixels), "") << file.label();
      Coder coder(file.bytes, 1);
      coder.decode();
      EXPECT_EQ(difference(coder.pixels(), input.pixels), "") << file.label();
      EXPECT_LT(file.bytes.size(), input.bytes().size() + 300) << "uncompressed, and little else";
    }
  }
}

TEST(Oracle, DifferencesAreSeen) {
  const cv::Mat image = noise(k_small, 8).pixels;
  cv::Mat other = image.clone();
  EXPECT_EQ(difference(other, image), "");
  auto& sample = other.at<std::uint8_t>(66, 60);
  sample = static_cast<std::uint8_t>(sample < 128 ? sample + 3 : sample - 3);
  EXPECT_EQ(difference(other, image), "a sample differs from the oracle's by 3, at most 0");
  EXPECT_EQ(difference(other, image, 3), "");
  EXPECT_NEAR(mean_difference(other, image), 3.0 / (61 * 67), 1e-12);
  EXPECT_THAT(difference(noise({61, 66}, 8).pixels, image), StartsWith("the answer is 61x66"));
  EXPECT_THAT(difference(noise(k_small, 16).pixels, image),
              StartsWith("the answer is 61x67 with 1 channels of 2 bytes"));
}

TEST(Coder, DoesWhatTheDaemonDoes) {
  const Input input = noise(k_small, 8);
  cv::Mat expected;
  cv::equalizeHist(input.pixels, expected);
  for (const FileFormat format : {FileFormat::pgm, FileFormat::png, FileFormat::tiff}) {
    const ImageFile file = image_file(input, format);
    Coder coder(file.bytes, 2);
    for (int round = 0; round < 2; ++round) {  // memory is kept, and the input untouched
      coder.decode();
      EXPECT_EQ(difference(coder.pixels(), input.pixels), "");
      coder.equalize({});
      EXPECT_EQ(difference(oracle_decoded(coder.encode({format, {}}), true), expected), "") << name(format);
    }
  }
}

TEST(Coder, TakesColoursAndSixteenBits) {
  for (const int depth : {8, 16}) {
    const Input input = noise(k_small, depth, 3);
    const ImageFile file = image_file(input, FileFormat::png);
    Coder one(file.bytes, 1), two(file.bytes, 2);
    for (Coder* coder : {&one, &two}) {
      coder->decode();
      EXPECT_EQ(difference(coder->pixels(), input.pixels), "");
      coder->equalize({.color = compute::Color::channels});
    }
    EXPECT_NE(difference(one.pixels(), input.pixels), "");
    EXPECT_EQ(difference(one.pixels(), two.pixels()), "") << "threads must not show";
  }
}

/// With its own Y plane alone a JPEG comes back with the same chroma: a gray reader sees the equalized plane.
TEST(Coder, KeepsTheChromaOfAJpeg) {
  cv::Mat smooth;
  cv::resize(noise({8, 8}, 8, 3).pixels, smooth, {160, 120}, 0, 0, cv::INTER_CUBIC);
  const ImageFile file = image_file({"smooth", smooth}, FileFormat::jpeg);
  Coder luma(file.bytes, 2, true), rgb(file.bytes, 2);
  luma.decode();
  rgb.decode();
  EXPECT_EQ(luma.pixels().channels(), 1);
  EXPECT_EQ(rgb.pixels().channels(), 3);
  EXPECT_EQ(difference(luma.pixels(), oracle_decoded(file.bytes, true)), "");
  EXPECT_EQ(difference(rgb.pixels(), oracle_decoded(file.bytes, false)), "");
  cv::Mat expected;
  cv::equalizeHist(luma.pixels(), expected);
  luma.equalize({});
  EXPECT_EQ(difference(luma.pixels(), expected), "");
  EXPECT_LT(mean_difference(oracle_decoded(luma.encode({FileFormat::jpeg, {}}), true), expected), 3);
}

TEST(Coder, SaysWhatIsWrongWithAFile) {
  const std::string text = "no image";
  EXPECT_THROW(Coder(std::as_bytes(std::span(text)), 1), Failure);
  ImageFile file = image_file(noise(k_small, 8), FileFormat::png);
  file.bytes.resize(file.bytes.size() / 2);
  EXPECT_THROW(
      {
        Coder coder(file.bytes, 1);
        coder.decode();
      },
      Failure);
}

TEST(OpenCv, EqualizesTheWholeWay) {
  if (const std::string missing = opencv_codecs_missing(); !missing.empty()) GTEST_SKIP() << missing;
  const Input input = noise(k_small, 8);
  cv::Mat expected;
  cv::equalizeHist(input.pixels, expected);
  const auto made = opencv_equalized(image_file(input, FileFormat::png).bytes, FileFormat::png, true);
  EXPECT_EQ(difference(oracle_decoded(std::as_bytes(std::span(made)), true), expected), "");
  const ImageFile color = image_file(noise(k_small, 8, 3), FileFormat::png);
  Coder coder(color.bytes, 1);
  coder.decode();
  coder.equalize({.color = compute::Color::ycrcb});
  const auto theirs = opencv_equalized(color.bytes, FileFormat::png, false);
  EXPECT_EQ(difference(coder.pixels(), oracle_decoded(std::as_bytes(std::span(theirs)), false)), "");
}

}  // namespace
}  // namespace histod::bench
