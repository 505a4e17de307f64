// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/opencv.hpp"

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/failure.hpp"

#ifdef HISTOBENCH_IMGCODECS
#include <opencv2/imgcodecs.hpp>
#endif

namespace histod::bench {

using compute::codec::FileFormat;

std::string opencv_codecs_missing() {
#ifdef HISTOBENCH_IMGCODECS
  return {};
#else
  return "libopencv-imgcodecs-dev was not there when histobench was built";
#endif
}

#ifdef HISTOBENCH_IMGCODECS

cv::Mat opencv_decoded(std::span<const std::byte> file, bool gray) {
  const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8UC1, const_cast<std::byte*>(file.data()));
  const cv::Mat pixels = cv::imdecode(bytes, cv::IMREAD_ANYDEPTH | (gray ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR));
  if (pixels.empty()) throw Failure("OpenCV cannot decode the image");
  return pixels;
}

std::vector<unsigned char> opencv_encoded(const cv::Mat& pixels, FileFormat format) {
  std::vector<int> parameters;
  if (format == FileFormat::jpeg) parameters = {cv::IMWRITE_JPEG_QUALITY, 90};
  if (format == FileFormat::tiff) parameters = {cv::IMWRITE_TIFF_COMPRESSION, 1};  // none
  std::vector<unsigned char> out;
  if (!cv::imencode(fmt::format(".{}", compute::codec::extension(format)), pixels, out, parameters))
    throw Failure("OpenCV cannot encode the image");
  return out;
}

#else

cv::Mat opencv_decoded(std::span<const std::byte>, bool) { throw Failure(opencv_codecs_missing()); }
std::vector<unsigned char> opencv_encoded(const cv::Mat&, FileFormat) { throw Failure(opencv_codecs_missing()); }

#endif

std::vector<unsigned char> opencv_equalized(std::span<const std::byte> file, FileFormat format, bool gray) {
  cv::Mat pixels = opencv_decoded(file, gray), result;
  if (gray) {
    cv::equalizeHist(pixels, result);
    return opencv_encoded(result, format);
  }
  std::vector<cv::Mat> planes;
  cv::cvtColor(pixels, pixels, cv::COLOR_BGR2YCrCb);
  cv::split(pixels, planes);
  cv::equalizeHist(planes[0], planes[0]);
  cv::merge(planes, pixels);
  cv::cvtColor(pixels, result, cv::COLOR_YCrCb2BGR);
  return opencv_encoded(result, format);
}

cv::Mat oracle_decoded(std::span<const std::byte> file, bool gray) {
  if (opencv_codecs_missing().empty()) {
    cv::Mat pixels = opencv_decoded(file, gray);
    if (!gray) cv::cvtColor(pixels, pixels, cv::COLOR_BGR2RGB);
    return pixels;
  }
  Coder coder(file, 1, gray);
  coder.decode();
  return coder.pixels().clone();
}

std::string difference(const cv::Mat& ours, const cv::Mat& expected, int levels) {
  if (ours.size() != expected.size() || ours.type() != expected.type())
    return fmt::format("the answer is {}x{} with {} channels of {} bytes", ours.cols, ours.rows, ours.channels(),
                       ours.elemSize1());
  const double largest = cv::norm(ours, expected, cv::NORM_INF);
  return largest <= levels ? "" : fmt::format("a sample differs from the oracle's by {}, at most {}", largest, levels);
}

double mean_difference(const cv::Mat& a, const cv::Mat& b) {
  return cv::norm(a, b, cv::NORM_L1) / static_cast<double>(a.total() * a.channels());
}

cv::Mat expected_gray(const ImageFile& file) {
  cv::Mat expected;
  cv::equalizeHist(file.format == FileFormat::jpeg ? oracle_decoded(file.bytes, true) : file.input.pixels, expected);
  return expected;
}

std::string lossy_difference(std::span<const std::byte> ours, std::span<const std::byte> theirs,
                             const cv::Mat& expected) {
  const cv::Mat got = oracle_decoded(ours, true), peer = oracle_decoded(theirs, true);
  if (got.size() != expected.size()) return difference(got, expected);
  const double loss = mean_difference(got, expected), allowed = mean_difference(peer, expected) + 0.5;
  return loss <= allowed ? "" : fmt::format("is {:.2f} levels off the oracle's, at most {:.2f}", loss, allowed);
}

}  // namespace histod::bench
