// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/soak.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;
using Bytes = std::vector<std::byte>;

namespace {

/// What may grow in ten minutes and still be called flat: a sample of what is resident depends on which images are in.
constexpr double k_drift_max = 1.1;
constexpr unsigned k_clients_a_cpu = 4;
constexpr double k_seconds_factor = 60;  ///< of what a rate is measured for: ten minutes where all is measured

/// The requests, with the memory that they point to.
class Mix {
 public:
  Mix(const Settings& settings, const Sink& sink, HttpClient& client) : client_(client) {
    const bool tiny = settings.scale == Scale::tiny;
    const Size small{256, 256}, medium = tiny ? k_tiny : k_1mp, large = tiny ? k_tiny : k_12mp;
    const Input tile = gray_inputs(settings, sink, small, false).front();
    const Input gray = gray_inputs(settings, sink, medium, false).front();
    const Input color = color_input(settings, sink, medium), big_color = color_input(settings, sink, large);
    const Input big = gray_inputs(settings, sink, large, false).front();
    for (const FileFormat format : {FileFormat::pgm, FileFormat::tiff, FileFormat::png}) {
      add_gray(image_file(tile, format), 24);
      add_gray(image_file(gray, format), 8);
      add_gray(image_file(big, format), 1);
    }
    for (const Input* const input : {&gray, &big}) {
      const unsigned weight = input == &gray ? 4 : 1;
      add_gray(image_file(*input, FileFormat::jpeg), weight);
      add_clahe(image_file(*input, FileFormat::tiff), weight);
    }
    for (const Input* const input : {&color, &big_color}) {
      const unsigned weight = input == &color ? 4 : 1;
      add_color(image_file(*input, FileFormat::png), weight);
      add_color(image_file(*input, FileFormat::jpeg), weight);
    }
    add_wide(image_file(noise(medium, 16), FileFormat::tiff), 4);
    if (settings.scale == Scale::full)
      add_gray(image_file(gray_inputs(settings, sink, k_75mp, false).front(), FileFormat::tiff), 1);
  }

  std::span<const SoakRequest> requests() const { return requests_; }

 private:
  /// Asks for it once, and keeps the answer for comparison with all later ones when the oracle has nothing against it.
  template <class Check>
  void add(ImageFile file, const std::string& query, unsigned weight, const Check& wrong) {
    const auto got = client_.post_ok("/v1/equalize" + query, file.bytes);
    answers_.emplace_back(got.begin(), got.end());
    if (const std::string what = wrong(file, std::span<const std::byte>(answers_.back())); !what.empty())
      throw Failure(fmt::format("{}{}: {}", file.label(), query, what));
    files_.push_back(std::move(file.bytes));
    requests_.push_back({"/v1/equalize" + query, files_.back(), answers_.back(), weight});
  }

  void add_gray(ImageFile file, unsigned weight) {
    add(std::move(file), "", weight, [](const ImageFile& sent, std::span<const std::byte> got) {
      if (sent.format != FileFormat::jpeg) return difference(oracle_decoded(got, true), expected_gray(sent));
      return lossy(sent, got, true);
    });
  }

  void add_color(ImageFile file, unsigned weight) {
    const bool is_jpeg = file.format == FileFormat::jpeg;
    add(std::move(file), is_jpeg ? "" : "?color=ycrcb", weight,
        [is_jpeg](const ImageFile& sent, std::span<const std::byte> got) {
          if (is_jpeg) return lossy(sent, got, false);
          const auto peer = opencv_equalized(sent.bytes, sent.format, false);
          return difference(oracle_decoded(got, false), oracle_decoded(std::as_bytes(std::span(peer)), false));
        });
  }

  static std::string lossy(const ImageFile& sent, std::span<const std::byte> got, bool gray) {
    const auto peer = opencv_equalized(sent.bytes, sent.format, gray);
    return lossy_difference(got, std::as_bytes(std::span(peer)), expected_gray(sent));
  }

  void add_clahe(ImageFile file, unsigned weight) {
    add(std::move(file), "?method=clahe", weight, [](const ImageFile& sent, std::span<const std::byte> got) {
      cv::Mat expected;
      cv::createCLAHE(2.0, {8, 8})->apply(sent.input.pixels, expected);
      return difference(oracle_decoded(got, true), expected);
    });
  }

  /// 16 bit: OpenCV has CLAHE for it, and no equalizeHist.
  void add_wide(ImageFile file, unsigned weight) { add_clahe(std::move(file), weight); }

  HttpClient& client_;
  std::deque<Bytes> files_, answers_;  // requests_ points into them
  std::vector<SoakRequest> requests_;
};

Row figure(std::string work, const char* unit, double value) {
  return {.work = std::move(work), .unit = unit, .values = {{value}, {}}};
}

Row within(const char* work, const char* peer, const char* unit, double ours, double theirs, double most) {
  return {.work = work,
          .peer = peer,
          .unit = unit,
          .values = {{ours}, {theirs}},
          .judge = Judge::within,
          .target_ratio = most};
}

void tell(const Sink& sink, const SoakResult& result) {
  const std::size_t answers = result.small_ms.size() + result.large_ms.size();
  Row rate = figure("answers", "1/s", static_cast<double>(answers) / result.seconds);
  rate.wrong = result.wrong;
  sink.row(std::move(rate));
  if (!result.wrong.empty()) return;
  sink.row(figure("refused with 503", "", static_cast<double>(result.refused)));
  const std::pair<const char*, const std::vector<double>*> kinds[] = {{"up to 256 KiB", &result.small_ms},
                                                                      {"larger", &result.large_ms}};
  for (const auto& [kind, latencies] : kinds) {
    for (const double part : {0.5, 0.99, 0.999}) {
      if (!latencies->empty())
        sink.row(figure(fmt::format("p{:g}, bodies {}", 100 * part, kind), "ms", quantile(*latencies, part)));
    }
  }
  const Drift drift = drift_of(result.samples);
  sink.row(within("resident, the last quarter", "the second quarter", "MiB", drift.after.resident_mib,
                  drift.before.resident_mib, k_drift_max));
  sink.row(within("descriptors, the last quarter", "the second quarter", "", drift.after.descriptors,
                  drift.before.descriptors, 1));
}

/// The daemon learns of a closed connection when it looks at it: that may take a moment.
unsigned descriptors_when_idle(const Daemon& daemon, unsigned expected) {
  for (unsigned i = 0; i < 50 && daemon.descriptors() > expected; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return daemon.descriptors();
}

}  // namespace

void run_soak_suite(const Settings& settings, const Sink& sink) {
  Daemon daemon(settings.daemon_program);
  sink.fact("back-end", daemon.backend());
  if (!opencv_codecs_missing().empty()) return sink.note("soak: " + opencv_codecs_missing());
  const unsigned descriptors = daemon.descriptors();
  std::optional<HttpClient> client(std::in_place, daemon.port(), daemon.authorization());
  const Mix mix(settings, sink, *client);
  client.reset();
  const SoakTarget target{daemon.port(), daemon.authorization(), [&daemon] {
                            return SoakSample{daemon.memory().resident, static_cast<double>(daemon.descriptors())};
                          }};
  const double seconds = k_seconds_factor * settings.seconds();
  const unsigned clients = k_clients_a_cpu * std::max(1u, std::thread::hardware_concurrency());
  sink.fact("soak", fmt::format("{} kinds of requests, {} clients, {:g} s", mix.requests().size(), clients, seconds));
  tell(sink, soak(target, mix.requests(), clients, seconds));
  sink.row(within("descriptors when all are gone", "before they came", "", descriptors_when_idle(daemon, descriptors),
                  descriptors, 1));
  daemon.stop();
}

}  // namespace histod::bench
