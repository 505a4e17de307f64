// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

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

/// Counts as one of `threads` that share nothing: a part of the samples into tables of its own.
void count_part(std::span<const std::uint8_t> samples, std::array<std::uint64_t, 256>& counts) {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::size_t i = 0; i < samples.size(); ++i) ++tables[i % 4][samples[i]];
  for (std::size_t bin = 0; bin < counts.size(); ++bin)
    for (const auto& table : tables) counts[bin] += table[bin];
}

std::array<std::uint64_t, 256> plain_count(std::span<const std::uint8_t> samples, unsigned threads) {
  std::vector<std::array<std::uint64_t, 256>> counts(threads);
  {
    std::vector<std::jthread> others;
    const std::size_t part = samples.size() / threads;
    for (unsigned i = 1; i < threads; ++i)
      others.emplace_back([&, i] {
        count_part(samples.subspan(i * part, i + 1 == threads ? samples.size() - i * part : part), counts[i]);
      });
    count_part(samples.first(threads == 1 ? samples.size() : part), counts[0]);
  }
  for (unsigned i = 1; i < threads; ++i)
    for (std::size_t bin = 0; bin < 256; ++bin) counts[0][bin] += counts[i][bin];
  return counts[0];
}

/// What the machine itself gives for more threads, at this moment: the yardstick for the rows beside it.
void run_yardstick(const Input& input, unsigned threads, const Settings& settings, const Sink& sink) {
  Row row{.work = fmt::format("plain counting, nothing shared, {} threads", threads),
          .input = input.label(),
          .peer = "1 thread"};
  const std::span<const std::uint8_t> samples(input.pixels.data, input.pixels.total());
  const auto check = [&] {
    const auto counts = plain_count(samples, threads);
    for (int bin = 0; bin < 256; ++bin)
      if (counts[static_cast<std::size_t>(bin)] != static_cast<std::uint64_t>(cv::countNonZero(input.pixels == bin)))
        return fmt::format("bin {} differs from OpenCV's count", bin);
    return std::string();
  };
  const auto side = [&](unsigned n) -> Competitor {
    return {{}, [samples, n] {
              volatile std::uint64_t kept = plain_count(samples, n)[0];
              static_cast<void>(kept);
            }};
  };
  compare(sink, std::move(row), side(threads), side(1), settings.rounds, check);
}

}  // namespace

void run_scaling_suite(const Settings& settings, const Sink& sink) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  if (cpus == 1) return sink.note("scaling: this machine has one CPU");
  const Size size = settings.scale == Scale::tiny ? k_tiny : k_12mp;
  for (const Input& input : gray_inputs(settings, sink, size, settings.scale == Scale::full)) {
    for (unsigned threads = 2; threads <= cpus; threads *= 2) {
      run_yardstick(input, threads, settings, sink);
      run_scaling(image_file(input, FileFormat::pgm), false, threads, settings, sink);
      run_scaling(image_file(input, FileFormat::png), true, threads, settings, sink);
    }
  }
}

}  // namespace histod::bench
