// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "compute/codec/codec.hpp"
#include "tools/histobench/inputs.hpp"

namespace histod::bench {

/// OpenCV's codecs, in process. A build without them (they are no dependency) says in `opencv_codecs_missing` what to
/// install, and the functions throw Failure.
std::string opencv_codecs_missing();
cv::Mat opencv_decoded(std::span<const std::byte> file, bool gray);  ///< BGR unless gray; as deep as the file
std::vector<unsigned char> opencv_encoded(const cv::Mat& pixels, compute::codec::FileFormat format);

/// The whole way: decode, equalizeHist (of Y in YCrCb when it is coloured), encode.
std::vector<unsigned char> opencv_equalized(std::span<const std::byte> file, compute::codec::FileFormat format,
                                            bool gray);

/// The oracle's decoder: OpenCV's where it is there, else our own. Gray, or RGB.
cv::Mat oracle_decoded(std::span<const std::byte> file, bool gray);

/// "" when both have the same shape and no sample differs by more than `levels`; else what is wrong.
std::string difference(const cv::Mat& ours, const cv::Mat& expected, int levels = 0);

/// The mean of the absolute differences; of images of one shape.
double mean_difference(const cv::Mat& a, const cv::Mat& b);

/// cv::equalizeHist of a gray image, or of what is gray in a file that may have lost something.
cv::Mat expected_gray(const ImageFile& file);
/// Where JPEG loses something, `ours` may lose no more than `theirs`, but for half a level; "" or what is wrong.
std::string lossy_difference(std::span<const std::byte> ours, std::span<const std::byte> theirs,
                             const cv::Mat& expected);

}  // namespace histod::bench
