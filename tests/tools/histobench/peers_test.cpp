// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/peers.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/inputs.hpp"
#include "tools/histobench/load.hpp"
#include "tools/histobench/opencv.hpp"

namespace histod::bench {
namespace {

using testing::ElementsAre;

/// The peer must have read the whole body: it answers with it.
TEST(Nginx, AnswersWithTheBodyThatItRead) {
  const ServerPeer peer = nginx_server();
  if (!peer.missing.empty()) GTEST_SKIP() << peer.missing;
  EXPECT_NE(peer.version, "");
  HttpClient client(peer.port);
  for (const int side : {1, 256, 1500}) {
    const ImageFile file = image_file(noise({side, side}, 8), compute::codec::FileFormat::pgm);
    EXPECT_TRUE(std::ranges::equal(client.post_ok("/v1/equalize", file.bytes), file.bytes)) << side;
  }
}

/// A master that is killed leaves its workers behind, with their port.
TEST(Nginx, EndsWithItsWorkers) {
  std::uint16_t port = 0;
  {
    const ServerPeer peer = nginx_server();
    if (!peer.missing.empty()) GTEST_SKIP() << peer.missing;
    port = peer.port;
  }
  EXPECT_THROW(connect_to(port), Failure);
}

TEST(Nginx, TwoDoNotMeet) {
  const ServerPeer one = nginx_server(), other = nginx_server();
  if (!one.missing.empty()) GTEST_SKIP() << one.missing;
  EXPECT_EQ(other.missing, "");
  EXPECT_NE(one.port, other.port);
}

TEST(Flask, EqualizesAsOpenCvDoes) {
  const ServerPeer peer = flask_server();
  if (!peer.missing.empty()) GTEST_SKIP() << peer.missing;
  EXPECT_THAT(peer.version, testing::MatchesRegex("Flask [0-9.]+, OpenCV [0-9.]+"));
  const ImageFile file = image_file(noise({300, 200}, 8), compute::codec::FileFormat::tiff);
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  HttpClient client(peer.port);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(difference(oracle_decoded(client.post_ok("/equalize", file.bytes), true), expected), "");
}

/// A peer that is asked for what it cannot do says so: it must not look fast by doing nothing.
TEST(Flask, RefusesWhatIsNoImage) {
  const ServerPeer peer = flask_server();
  if (!peer.missing.empty()) GTEST_SKIP() << peer.missing;
  HttpClient client(peer.port);
  const std::string text = "no image";
  EXPECT_NE(client.post("/equalize", std::as_bytes(std::span(text))).status, 200u);
  EXPECT_EQ(client.get("/nothing").status, 404u);
}

/// The rate that nginx is credited with is one of whole bodies, many connections at once.
TEST(Nginx, AnswersManyConnectionsInFull) {
  const ServerPeer peer = nginx_server();
  if (!peer.missing.empty()) GTEST_SKIP() << peer.missing;
  const ImageFile file = image_file(noise({256, 256}, 8), compute::codec::FileFormat::pgm);
  const Load load{.port = peer.port,
                  .target = "/",
                  .authorization = "",
                  .body = file.bytes,
                  .expected = file.bytes,
                  .connections = 32};
  const LoadResult closed = closed_loop(load, 0.1);
  EXPECT_EQ(closed.wrong, "");
  EXPECT_GT(closed.per_second, 0);
  const LoadResult open = open_loop(load, 200, 0.2);
  EXPECT_EQ(open.wrong, "");
  EXPECT_EQ(open.latencies_ms.size(), 40u);
}

/// What a tool makes of a file is what its row will be checked against: so it must be an equalized image at all.
TEST(Peers, ToolsEqualizeByARuleLikeOpenCvs) {
  const ImageFile file = image_file(dim_noise({160, 120}), compute::codec::FileFormat::png);
  cv::Mat expected;
  cv::equalizeHist(file.input.pixels, expected);
  for (const ToolPeer& tool : tool_peers()) {
    if (!tool.missing().empty()) continue;
    const TemporaryFolder folder;
    const std::string in = folder.file("in.png"), out = folder.file("out.png");
    std::ofstream(in, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.bytes.data()), static_cast<std::streamsize>(file.bytes.size()));
    run_program({tool.words(in, out), {}, folder.file("log")});
    const std::string made = text_of(out);
    const cv::Mat pixels = oracle_decoded(std::as_bytes(std::span(made)), true);
    ASSERT_EQ(pixels.size(), expected.size());
    EXPECT_LE(mean_difference(pixels, expected), tool.is_vips ? 4 : tool.levels) << tool.name;
    EXPECT_GT(mean_difference(file.input.pixels, expected), 20) << "far from what went in";
  }
}

TEST(Peers, ThoseThatAreNotThereAreToldWithTheirPackage) {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  std::vector<std::string> told;
  for (const ToolPeer& tool : tool_peers()) told.push_back(tool.missing());
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(told, ElementsAre("install libvips-tools", "install graphicsmagick", "install imagemagick"));
}

TEST(Peers, AnotherProgramOfThatNameIsNotThePeer) {
  const TemporaryFolder folder;
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", folder.file("").c_str(), 1);
  std::vector<std::string> told;
  for (const ToolPeer& tool : tool_peers()) {
    const std::string program = folder.file(tool.before.front());
    std::ofstream(program) << "#!/bin/sh\necho not ImageMagick, GraphicsMagick or vips, but units 1.0\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    told.push_back(tool.missing());
  }
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(told, ElementsAre("install libvips-tools", "install graphicsmagick", "install imagemagick"));
}

TEST(Peers, ToolsAreCalledAsPeopleCallThem) {
  std::vector<std::string> lines;
  for (const ToolPeer& tool : tool_peers()) {
    std::string line;
    for (const std::string& word : tool.words("a.png", "b.png")) line += word + ' ';
    if (line.starts_with('/')) line.erase(0, line.find(tool.before.front() + ' '));  // found in a folder of PATH
    lines.push_back(line);
    if (!tool.missing().empty()) continue;
    EXPECT_THAT(tool.version(), testing::MatchesRegex("[0-9][0-9.-]+.*")) << tool.name;
  }
  EXPECT_THAT(lines, ElementsAre("vips hist_equal a.png b.png ", "gm convert a.png -equalize b.png ",
                                 "convert a.png -equalize b.png "));
}

}  // namespace
}  // namespace histod::bench
