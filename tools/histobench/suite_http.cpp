// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/opencv.hpp"
#include "tools/histobench/peers.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

using compute::codec::FileFormat;
using Bytes = std::span<const std::byte>;

namespace {

/// One daemon and one connection, for the whole suite.
class HttpSuite {
 public:
  HttpSuite(const Settings& settings, const Sink& sink)
      : settings_(settings),
        sink_(sink),
        daemon_(settings.daemon_program),
        client_(daemon_.port(), daemon_.authorization()) {
    sink.fact("back-end", daemon_.backend());
  }

  void run();

 private:
  Bytes equalized(const ImageFile& file, const char* query = "") {
    return client_.post_ok(fmt::format("/v1/equalize{}", query), file.bytes);
  }
  ImageFile told_file(const Input& input, FileFormat format) {
    ImageFile file = image_file(input, format);
    sink_.input(file.label(), digest(file.bytes));
    return file;
  }
  void beside_echo(const ImageFile& file);
  void beside_flask(const ImageFile& file);
  void beside_opencv(const ImageFile& file, const char* target, double target_ratio);
  void beside_tool(const ToolPeer& tool, const ImageFile& file, const char* target, double target_ratio);

  const Settings& settings_;
  const Sink& sink_;
  Daemon daemon_;
  HttpClient client_;
};

/// P2: what computing costs on top of receiving and sending; on one connection, request by request.
void HttpSuite::beside_echo(const ImageFile& file) {
  const cv::Mat expected = expected_gray(file);
  const auto check = [&]() -> std::string {
    if (!std::ranges::equal(client_.post_ok("/v1/echo", file.bytes), file.bytes)) return "the echo differs";
    return difference(oracle_decoded(equalized(file), true), expected);
  };
  compare(sink_,
          {.target = file.input.pixels.cols == k_12mp.width ? "P2" : "",
           .work = "POST equalize",
           .input = file.label(),
           .peer = "histod's own echo",
           .judge = Judge::within,
           .target_ratio = file.input.pixels.cols == k_12mp.width ? 1.15 : 0},
          {{}, [&] { equalized(file); }}, {{}, [&] { client_.post_ok("/v1/echo", file.bytes); }}, settings_.rounds,
          check);
}

void HttpSuite::beside_flask(const ImageFile& file) {
  ServerPeer peer = flask_server();
  Row row{.target = "P3",
          .work = "POST equalize",
          .input = file.label(),
          .peer = "Flask + OpenCV",
          .target_ratio = 5,
          .missing = peer.missing};
  if (!row.missing.empty()) return sink_.row(std::move(row));
  sink_.fact("Flask peer", peer.version);
  HttpClient theirs(peer.port);
  const cv::Mat expected = expected_gray(file);
  const auto check = [&] {
    const std::string wrong = difference(oracle_decoded(theirs.post_ok("/equalize", file.bytes), true), expected);
    return wrong.empty() ? difference(oracle_decoded(equalized(file), true), expected) : "the peer: " + wrong;
  };
  compare(sink_, std::move(row), {{}, [&] { equalized(file); }}, {{}, [&] { theirs.post_ok("/equalize", file.bytes); }},
          settings_.rounds, check);
}

/// P4, P5. A coloured PNG in YCrCb, which OpenCV defines; a coloured JPEG by its own Y plane.
void HttpSuite::beside_opencv(const ImageFile& file, const char* target, double target_ratio) {
  const bool gray = file.input.pixels.channels() == 1, lossy = file.format == FileFormat::jpeg;
  const char* const query = gray || lossy ? "" : "?color=ycrcb";
  Row row{.target = target,
          .work = fmt::format("POST equalize{}", query),
          .input = file.label(),
          .peer = "OpenCV, in process",
          .target_ratio = target_ratio,
          .missing = opencv_codecs_missing()};
  if (!row.missing.empty()) return sink_.row(std::move(row));
  const auto check = [&] {
    const auto theirs = opencv_equalized(file.bytes, file.format, gray);
    const Bytes peer = std::as_bytes(std::span(theirs)), ours = equalized(file, query);
    if (lossy) return lossy_difference(ours, peer, expected_gray(file));
    return difference(oracle_decoded(ours, gray), oracle_decoded(peer, gray));
  };
  compare(sink_, std::move(row), {{}, [&] { equalized(file, query); }},
          {{}, [&] { opencv_equalized(file.bytes, file.format, gray); }}, settings_.rounds, check);
}

/// The tool as people run it: a process that reads a file and writes one.
void HttpSuite::beside_tool(const ToolPeer& tool, const ImageFile& file, const char* target, double target_ratio) {
  const bool gray = file.input.pixels.channels() == 1;
  const char* const query = !tool.is_vips ? "" : gray ? "?rule=vips" : "?rule=vips&color=channels";
  Row row{.target = target,
          .work = fmt::format("POST equalize{}", query),
          .input = file.label(),
          .peer = tool.name,
          .target_ratio = target_ratio,
          .missing = tool.missing()};
  if (!row.missing.empty()) return sink_.row(std::move(row));
  sink_.fact(tool.before.front(), tool.version());
  const TemporaryFolder folder;
  const std::string ending = std::string(compute::codec::extension(file.format));
  const std::string input = folder.file("in." + ending), output = folder.file("out." + ending);
  std::ofstream(input, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.bytes.data()), static_cast<std::streamsize>(file.bytes.size()));
  const auto run_tool = [&] { run_program({tool.words(input, output), {}, folder.file("log")}); };
  const auto check = [&]() -> std::string {
    run_tool();
    const std::string made = text_of(output);
    const Bytes peer = std::as_bytes(std::span(made)), ours = equalized(file, query);
    if (file.format == FileFormat::jpeg) return lossy_difference(ours, peer, expected_gray(file));
    const cv::Mat got = oracle_decoded(ours, gray), wanted = oracle_decoded(peer, gray);
    if (tool.is_vips || got.size() != wanted.size()) return difference(got, wanted);
    const double apart = mean_difference(got, wanted);
    return apart <= tool.levels ? "" : fmt::format("is {:.2f} levels off the peer's, at most {}", apart, tool.levels);
  };
  compare(sink_, std::move(row), {{}, [&] { equalized(file, query); }}, {{}, run_tool}, settings_.rounds, check);
}

void HttpSuite::run() {
  const bool tiny = settings_.scale == Scale::tiny, full = settings_.scale == Scale::full;
  const Size size = tiny ? k_tiny : k_12mp;
  std::vector<Size> sizes{size};
  if (full) sizes = {k_1mp, k_12mp, k_75mp};
  for (const Size each : sizes) {
    for (const Input& input : gray_inputs(settings_, sink_, each, full)) {
      beside_echo(told_file(input, FileFormat::pgm));
      beside_echo(told_file(input, FileFormat::tiff));
    }
  }
  const Input gray = gray_inputs(settings_, sink_, size, false).front(), color = color_input(settings_, sink_, size);
  const ImageFile tiff = told_file(gray, FileFormat::tiff), png = told_file(gray, FileFormat::png),
                  jpeg = told_file(gray, FileFormat::jpeg), color_png = told_file(color, FileFormat::png),
                  color_jpeg = told_file(color, FileFormat::jpeg);
  cv::setNumThreads(static_cast<int>(std::thread::hardware_concurrency()));
  beside_flask(tiff);
  beside_opencv(png, "P4", 3);
  beside_opencv(color_png, "P4", 3);
  beside_opencv(jpeg, "P5", 1.7);
  beside_opencv(color_jpeg, "P5", 2.5);
  for (const ToolPeer& tool : tool_peers()) {
    if (settings_.scale == Scale::quick && !tool.is_vips) continue;
    beside_tool(tool, png, tool.is_vips ? "P4" : "", tool.is_vips ? 8 : 0);
    if (tool.is_vips) beside_tool(tool, color_png, "P4", 8);
    if (settings_.scale == Scale::quick) continue;
    beside_tool(tool, tiff, "", 0);
    beside_tool(tool, jpeg, "", 0);
  }
  daemon_.stop();
}

}  // namespace

void run_http_suite(const Settings& settings, const Sink& sink) { HttpSuite(settings, sink).run(); }

}  // namespace histod::bench
