// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;

namespace {

/// P9: with one thread and with two; whoever has more CPUs than two sees the rest without a target.
void run_scaling(const ImageFile& file, bool whole_way, unsigned threads, const Settings& settings, const Sink& sink) {
  const double asked = whole_way ? 1.3 : 1.8;
  Row row{.target = threads == 2 ? "P9" : "",
          .work = fmt::format("{}, {} threads", whole_way ? "decode, equalize, encode" : "equalize", threads),
          .input = file.label(),
          .peer = "1 thread",
          .target_ratio = threads == 2 ? asked : 0};
  Coder many(file.bytes, threads), one(file.bytes, 1);
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  const auto whole = [&](Coder& coder) {
    coder.decode();
    coder.equalize({});
    return coder.encode({file.format, {}});
  };
  const auto check = [&] {
    const std::string wrong = difference(oracle_decoded(whole(many), true), expected);
    return wrong.empty() ? difference(oracle_decoded(whole(one), true), expected) : wrong;
  };
  const auto side = [&](Coder& coder) -> Competitor {
    if (whole_way) return {{}, [&] { whole(coder); }};
    return {[&] { coder.decode(); }, [&] { coder.equalize({}); }};
  };
  compare(sink, std::move(row), side(many), side(one), settings.rounds, check);
}

}  // namespace

void run_scaling_suite(const Settings& settings, const Sink& sink) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  if (cpus == 1) return sink.note("scaling: this machine has one CPU");
  const Size size = settings.scale == Scale::tiny ? k_tiny : k_12mp;
  for (const Input& input : gray_inputs(settings, sink, size, settings.scale == Scale::full)) {
    for (unsigned threads = 2; threads <= cpus; threads *= 2) {
      run_scaling(image_file(input, FileFormat::pgm), false, threads, settings, sink);
      run_scaling(image_file(input, FileFormat::png), true, threads, settings, sink);
    }
  }
}

}  // namespace histod::bench
