// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;

namespace {

Row codec_row(const char* work, const ImageFile& file, const char* peer) {
  return {.work = work, .input = file.label(), .peer = peer, .missing = opencv_codecs_missing()};
}

/// Lossless files must give their pixels; a JPEG those of the peer's decoder, which is also libjpeg-turbo.
void run_decode(const ImageFile& file, unsigned threads, unsigned rounds, const Sink& sink) {
  const bool gray = file.input.pixels.channels() == 1;
  Row row = codec_row("decode", file, "cv::imdecode");
  if (!row.missing.empty()) return sink.row(std::move(row));
  Coder coder(file.bytes, threads);
  cv::Mat theirs;
  const auto check = [&] {
    coder.decode();
    return difference(coder.pixels(), oracle_decoded(file.bytes, gray));
  };
  compare(sink, std::move(row), {{}, [&] { coder.decode(); }}, {{}, [&] { theirs = opencv_decoded(file.bytes, gray); }},
          rounds, check);
}

void run_encode(const ImageFile& file, unsigned threads, unsigned rounds, const Sink& sink) {
  const bool gray = file.input.pixels.channels() == 1;
  Row row = codec_row("encode", file, "cv::imencode");
  if (!row.missing.empty()) return sink.row(std::move(row));
  Coder coder(file.bytes, threads);
  coder.decode();
  cv::Mat peer_pixels = opencv_decoded(file.bytes, gray);
  // Quality 90 in so many words for a JPEG: else the coefficients of the input would do.
  const compute::codec::EncodeOptions options{.format = file.format, .quality = 90};
  const auto check = [&]() -> std::string {
    const cv::Mat back = oracle_decoded(coder.encode(options), gray);
    if (file.format != FileFormat::jpeg) return difference(back, coder.pixels());
    const auto theirs = opencv_encoded(peer_pixels, file.format);
    const cv::Mat peer_back = oracle_decoded(std::as_bytes(std::span(theirs)), gray);
    const double loss = mean_difference(back, coder.pixels()),
                 allowed = mean_difference(peer_back, coder.pixels()) + 0.25;
    return loss <= allowed ? "" : fmt::format("loses {:.2f} levels a sample, at most {:.2f}", loss, allowed);
  };
  compare(sink, std::move(row), {{}, [&] { coder.encode(options); }},
          {{}, [&] { opencv_encoded(peer_pixels, file.format); }}, rounds, check);
}

}  // namespace

void run_codec_suite(const Settings& settings, const Sink& sink) {
  const Size size = settings.scale == Scale::tiny ? k_tiny : k_12mp;
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  cv::setNumThreads(static_cast<int>(threads));
  std::vector<Input> inputs = gray_inputs(settings, sink, size, settings.scale == Scale::full);
  inputs.push_back(color_input(settings, sink, size));
  for (const Input& input : inputs) {
    for (const FileFormat format : {FileFormat::png, FileFormat::jpeg, FileFormat::tiff}) {
      const ImageFile file = image_file(input, format);
      sink.input(file.label(), digest(file.bytes));
      run_decode(file, threads, settings.rounds, sink);
      run_encode(file, threads, settings.rounds, sink);
    }
  }
}

}  // namespace histod::bench
