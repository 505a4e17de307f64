// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/daemon.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;

namespace {

constexpr double k_giga = 1e9;

/// GB a second of `work`, which moves or looks at that many bytes; the first round is not counted.
std::vector<double> rates(std::size_t bytes, unsigned rounds, const std::function<void()>& work) {
  work();
  std::vector<double> out;
  for (unsigned i = 0; i < rounds; ++i) {
    const auto started = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    out.push_back(static_cast<double>(bytes) / took.count() / k_giga);
  }
  return out;
}

Row figure(const char* work, std::size_t bytes) {
  return {.work = work, .input = fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6), .unit = "GB/s"};
}

/// One thread's memory: what counting (read) and applying (copy) cannot be faster than.
void run_memory_limits(std::size_t bytes, const Settings& settings, const Sink& sink) {
  std::vector<std::uint64_t> from(bytes / 8, 1), to(bytes / 8);
  volatile std::uint64_t sum = 0;  // what is looked at by nobody is not computed
  Row read = figure("memory read, 1 thread", bytes), copy = figure("memcpy, 1 thread", bytes);
  read.values.ours = rates(bytes, settings.rounds, [&] { sum = std::accumulate(from.begin(), from.end(), sum); });
  copy.values.ours = rates(bytes, settings.rounds, [&] { std::memcpy(to.data(), from.data(), bytes); });
  if (to != from) copy.wrong = "the copy differs";
  sink.row(std::move(read));
  sink.row(std::move(copy));
}

/// Bytes there and back over a plain loopback connection, received whole before the first goes back, as a daemon must:
/// what no server can beat.
class PlainEcho {
 public:
  explicit PlainEcho(std::size_t bytes) : buffer_(bytes), thread_([this] { serve(); }) {
    fd_ = connect_to(listening_.port);
  }
  ~PlainEcho() { ::close(fd_); }
  PlainEcho(const PlainEcho&) = delete;
  PlainEcho& operator=(const PlainEcho&) = delete;

  void exchange(std::span<const std::byte> out, std::span<std::byte> back) {
    if (!send_all(fd_, out) || !receive_all(fd_, back)) throw Failure("the loopback connection broke");
  }

 private:
  static bool send_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  static bool receive_all(int fd, std::span<std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
      if (got <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }
  void serve() {
    const int fd = ::accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC);
    while (receive_all(fd, buffer_) && send_all(fd, buffer_)) {
    }
    ::close(fd);
  }

  Listening listening_;
  std::vector<std::byte> buffer_;
  int fd_ = -1;
  std::jthread thread_;
};

/// How close the daemon's echo comes to the plain one, and its work to its echo.
void run_network_limits(const ImageFile& file, const Settings& settings, const Sink& sink) {
  Daemon daemon(settings.daemon_program);
  HttpClient client(daemon.port(), daemon.authorization());
  PlainEcho plain(file.bytes.size());
  std::vector<std::byte> back(file.bytes.size());
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  const auto echo = [&] { return client.post_ok("/v1/echo", file.bytes); };
  const auto equalized = [&] { return client.post_ok("/v1/equalize", file.bytes); };
  const auto exchange = [&] { plain.exchange(file.bytes, back); };
  Row row{.work = "POST echo", .input = file.label(), .peer = "plain loopback echo", .judge = Judge::within};
  compare(sink, row, {{}, echo}, {{}, exchange}, settings.rounds, [&]() -> std::string {
    exchange();
    if (back != file.bytes) return "the plain echo differs";
    return std::ranges::equal(echo(), file.bytes) ? "" : "the echo differs";
  });
  row.work = "POST equalize";
  compare(sink, std::move(row), {{}, equalized}, {{}, exchange}, settings.rounds,
          [&] { return difference(oracle_decoded(equalized(), true), expected); });
  daemon.stop();
}

/// What the codecs alone take in process, and how close whole requests come to that.
void run_codec_limits(const ImageFile& file, const Settings& settings, const Sink& sink) {
  Daemon daemon(settings.daemon_program);
  HttpClient client(daemon.port(), daemon.authorization());
  Coder coder(file.bytes, std::max(1u, std::thread::hardware_concurrency()), true);
  const auto both = [&] {
    coder.decode();
    coder.encode({file.format, {}});
  };
  const auto equalized = [&] { return client.post_ok("/v1/equalize", file.bytes); };
  const auto check = [&] {
    coder.decode();
    coder.equalize({});
    const auto expected = coder.encode({file.format, {}});
    return std::ranges::equal(equalized(), expected) ? "" : "the daemon's bytes are not those of its own codecs";
  };
  compare(sink, {.work = "POST equalize", .input = file.label(), .peer = "its codecs alone", .judge = Judge::within},
          {{}, equalized}, {{}, both}, settings.rounds, check);
  daemon.stop();
}

}  // namespace

void run_node_suite(const Settings& settings, const Sink& sink) {
  const Size size = settings.scale == Scale::tiny ? k_tiny : k_12mp;
  const Input input = gray_inputs(settings, sink, size, false).front();
  run_memory_limits((settings.scale == Scale::tiny ? 1u : 256u) << 20, settings, sink);
  for (const FileFormat format : {FileFormat::pgm, FileFormat::png, FileFormat::jpeg}) {
    const ImageFile file = image_file(input, format);
    sink.input(file.label(), digest(file.bytes));
    if (format == FileFormat::pgm) run_network_limits(file, settings, sink);
    if (format != FileFormat::pgm) run_codec_limits(file, settings, sink);
  }
}

}  // namespace histod::bench
