// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/load.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/peers.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;
using Bytes = std::vector<std::byte>;

namespace {

constexpr Size k_small{256, 256};
constexpr unsigned k_rounds_max = 5;
constexpr int k_nice_of_others = 19;

class SmallSuite {
 public:
  SmallSuite(const Settings& settings, const Sink& sink)
      : settings_(settings),
        sink_(sink),
        nginx_(nginx_server()),
        daemon_(settings.daemon_program),
        rounds_(std::min(settings.rounds, k_rounds_max)) {
    sink.fact("back-end", daemon_.backend());
    if (nginx_.missing.empty()) sink.fact("nginx", nginx_.version);
  }
  void run();

 private:
  Bytes answer_of(const ImageFile& file);
  Load ours(const ImageFile& file, const Bytes& answer) const {
    return {daemon_.port(), "/v1/equalize", daemon_.authorization(), file.bytes, answer};
  }
  Load theirs(const ImageFile& file) const { return {nginx_.port, "/", "", file.bytes, file.bytes}; }
  double rate_beside_nginx(const ImageFile& file, const Bytes& answer);
  void latencies_beside_nginx(const ImageFile& file, const Bytes& answer, double share, double most_per_second);
  void fairness(const ImageFile& file, const Bytes& answer, double per_second);

  const Settings& settings_;
  const Sink& sink_;
  ServerPeer nginx_;
  Daemon daemon_;
  unsigned rounds_;
};

/// What the daemon answers, once the oracle has seen it: what every answer under load is compared with.
Bytes SmallSuite::answer_of(const ImageFile& file) {
  HttpClient client(daemon_.port(), daemon_.authorization());
  const auto got = client.post_ok("/v1/equalize", file.bytes);
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  if (const auto wrong = difference(oracle_decoded(got, true), expected); !wrong.empty()) throw Failure(wrong);
  return {got.begin(), got.end()};
}

/// P7. Returns our own median rate.
double SmallSuite::rate_beside_nginx(const ImageFile& file, const Bytes& answer) {
  const bool plain = file.format == FileFormat::pgm;
  Row row{.target = plain ? "P7" : "",
          .work = "POST equalize, 32 connections",
          .input = file.label(),
          .peer = "nginx, same body back",
          .unit = "1/s",
          .judge = Judge::more,
          .target_ratio = plain ? 0.6 : 0,
          .missing = nginx_.missing};
  const double slice_s = settings_.seconds() / k_rounds_max;
  for (unsigned i = 0; i < rounds_; ++i) {
    const LoadResult mine = closed_loop(ours(file, answer), slice_s);
    row.values.ours.push_back(mine.per_second);
    if (row.wrong.empty()) row.wrong = mine.wrong;
    if (!row.missing.empty()) continue;
    const LoadResult peer = closed_loop(theirs(file), slice_s);
    row.values.theirs.push_back(peer.per_second);
    if (row.wrong.empty() && !peer.wrong.empty()) row.wrong = "the peer: " + peer.wrong;
  }
  const double rate = median(row.values.ours);
  sink_.row(std::move(row));
  return rate;
}

void SmallSuite::latencies_beside_nginx(const ImageFile& file, const Bytes& answer, double share,
                                        double most_per_second) {
  const double per_second = std::max(1.0, share * most_per_second);
  std::vector<LoadResult> mine, peer;
  for (unsigned i = 0; i < rounds_; ++i) {
    mine.push_back(open_loop(ours(file, answer), per_second, settings_.seconds() / rounds_));
    if (nginx_.missing.empty()) peer.push_back(open_loop(theirs(file), per_second, settings_.seconds() / rounds_));
  }
  for (const double part : {0.5, 0.99, 0.999}) {
    Row row{.work = fmt::format("p{:g} at {:.0f}/s, {:.0f}% of the most", 100 * part, per_second, 100 * share),
            .input = file.label(),
            .peer = "nginx, same rate",
            .judge = Judge::within,
            .missing = nginx_.missing};
    for (const LoadResult& result : mine) {
      row.values.ours.push_back(quantile(result.latencies_ms, part));
      if (row.wrong.empty()) row.wrong = result.wrong;
    }
    for (const LoadResult& result : peer) row.values.theirs.push_back(quantile(result.latencies_ms, part));
    sink_.row(std::move(row));
  }
}

/// P13: two connections keep at least one large image in the encoder all the time.
void SmallSuite::fairness(const ImageFile& file, const Bytes& answer, double per_second) {
  const Size size = settings_.scale == Scale::full ? k_75mp : settings_.scale == Scale::quick ? k_12mp : k_tiny;
  const ImageFile large = image_file(gray_inputs(settings_, sink_, size, false).front(), FileFormat::pgm);
  Row row{.target = "P13",
          .work = fmt::format("p99 at {:.0f}/s, {}x{} PNGs meanwhile", per_second, size.width, size.height),
          .input = file.label(),
          .peer = "the same without them",
          .judge = Judge::within,
          .target_ratio = 3};
  const double seconds = std::max(1.0, settings_.seconds()) / rounds_;
  Load load = ours(file, answer);
  load.punctual = true;
  for (unsigned i = 0; i < rounds_ && row.wrong.empty(); ++i) {
    const LoadResult alone = open_loop(load, per_second, seconds);
    std::atomic<bool> stop = false;
    std::atomic<unsigned> encoded = 0, failed = 0;
    const auto encode_on = [&] {
      // Elsewhere these clients are other machines: here they must not keep the generator from its CPU.
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), k_nice_of_others);
      try {
        HttpClient client(daemon_.port(), daemon_.authorization());
        for (; !stop; ++encoded) client.post_ok("/v1/equalize?format=png", large.bytes);
      } catch (const Failure&) {
        ++failed;
      }
    };
    LoadResult meanwhile;
    {
      const std::jthread first(encode_on), second(encode_on);
      meanwhile = open_loop(load, per_second, seconds);
      stop = true;
    }
    row.values.ours.push_back(quantile(meanwhile.latencies_ms, 0.99));
    row.values.theirs.push_back(quantile(alone.latencies_ms, 0.99));
    if (failed > 0 || encoded == 0) row.wrong = "the large images were refused";
    if (row.wrong.empty()) row.wrong = alone.wrong.empty() ? meanwhile.wrong : alone.wrong;
  }
  sink_.row(std::move(row));
}

void SmallSuite::run() {
  const Input input = gray_inputs(settings_, sink_, k_small, false).front();
  for (const FileFormat format : {FileFormat::pgm, FileFormat::png}) {
    const ImageFile file = image_file(input, format);
    sink_.input(file.label(), digest(file.bytes));
    const Bytes answer = answer_of(file);
    const double most_per_second = rate_beside_nginx(file, answer);
    if (format != FileFormat::pgm) continue;
    for (const double share : {0.5, 0.8}) latencies_beside_nginx(file, answer, share, most_per_second);
    fairness(file, answer, std::max(1.0, most_per_second / 20));
  }
  daemon_.stop();
}

}  // namespace

void run_small_suite(const Settings& settings, const Sink& sink) { SmallSuite(settings, sink).run(); }

}  // namespace histod::bench
