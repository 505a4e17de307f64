// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;

namespace {

constexpr double k_mib = 1 << 20, k_idle_mib_max = 40, k_start_ms_max = 200;
constexpr unsigned k_rounds_max = 5;

/// What is measured is held against a fixed limit, so that the ratio says how much of it is used.
Row limit_row(const char* work, const std::string& input, const char* limit, const char* unit) {
  return {.target = "P8",
          .work = work,
          .input = input,
          .peer = limit,
          .unit = unit,
          .judge = Judge::within,
          .target_ratio = 1};
}

void add(Row& row, double ours, double limit) {
  row.values.ours.push_back(ours);
  row.values.theirs.push_back(limit);
}

/// The largest amount by which one request for `file` raised what was resident before it.
double peak_above_idle_mib(const Settings& settings, const ImageFile& file, const cv::Mat& expected, Row& row) {
  Daemon daemon(settings.daemon_program);
  HttpClient client(daemon.port(), daemon.authorization());
  daemon.reset_peak();
  const double idle = daemon.memory().resident;
  const auto answer = client.post_ok("/v1/equalize", file.bytes);
  const double above = daemon.memory().resident_peak - idle;
  if (row.wrong.empty()) row.wrong = difference(oracle_decoded(answer, true), expected);
  daemon.stop();
  return above;
}

}  // namespace

void run_memory_suite(const Settings& settings, const Sink& sink) {
  const Size size = settings.scale == Scale::tiny ? k_tiny : k_75mp;
  const ImageFile file = image_file(gray_inputs(settings, sink, size, false).front(), FileFormat::tiff);
  sink.input(file.label(), digest(file.bytes));
  Row start = limit_row("start to ready", "", "200 ms", "ms");
  Row idle = limit_row("resident when idle, without the pool", "", "40 MiB", "MiB");
  Row peak = limit_row("peak of one request above idle", file.label(), "the image's bytes", "MiB");
  peak.target_ratio = 1.1;
  // A small image is less than what the first request of any size takes.
  if (settings.scale == Scale::tiny) peak.target_ratio = 0;
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  for (unsigned i = 0; i < std::min(settings.rounds, k_rounds_max); ++i) {
    Daemon daemon(settings.daemon_program);
    add(start, daemon.start_ms(), k_start_ms_max);
    const Daemon::Memory memory = daemon.memory();
    add(idle, memory.resident - memory.pool, k_idle_mib_max);
    daemon.stop();
    const double above = peak_above_idle_mib(settings, file, expected, peak);
    add(peak, above, static_cast<double>(file.bytes.size()) / k_mib);
  }
  for (Row* const row : {&start, &idle, &peak}) sink.row(std::move(*row));
}

}  // namespace histod::bench
