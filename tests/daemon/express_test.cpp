// SPDX-License-Identifier: Apache-2.0
// The short way of plain gray images gives what the ordinary way gives, whatever is sent its way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/api_rig.hpp"
#include "tests/support/naive_equalize.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::NaiveImage;
using test::Texture;
using test::Told;
using testing::HasSubstr;

std::string pgm(const NaiveImage& image, std::uint32_t maxval = 255) {
  std::string out = (image.format().colors == 3 ? "P6 " : "P5 ") + std::to_string(image.width()) + ' ' +
                    std::to_string(image.height()) + ' ' + std::to_string(maxval) + '\n';
  for (const std::uint32_t sample : image.samples()) {
    if (maxval > 255) out += static_cast<char>(sample >> 8);
    out += static_cast<char>(sample);
  }
  return out;
}

NaiveImage gray(std::uint32_t width, std::uint32_t height, std::uint64_t seed = 1) {
  return test::naive_image(test::gray_format(8), width, height, Texture::narrow, 200, seed);
}

void append_number(std::string& out, std::uint32_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

/// A little-endian TIFF of one strip, its directory before or behind the samples.
std::string tiff(const NaiveImage& image, bool directory_first) {
  const auto samples = static_cast<std::uint32_t>(image.width() * image.height());
  constexpr std::uint32_t k_directory_bytes = 2 + 9 * 12 + 4;
  const std::uint32_t samples_at = directory_first ? 8 + k_directory_bytes : 8;
  std::string directory;
  append_number(directory, 9, 2);
  const std::pair<std::uint32_t, std::uint32_t> tags[] = {
      {256, image.width()},  {257, image.height()}, {258, 8}, {259, 1}, {262, 1}, {273, samples_at}, {277, 1},
      {278, image.height()}, {279, samples}};
  for (const auto& [tag, value] : tags) {
    append_number(directory, tag, 2);
    append_number(directory, 4, 2);
    append_number(directory, 1, 4);
    append_number(directory, value, 4);
  }
  append_number(directory, 0, 4);
  std::string out = "II";
  append_number(out, 42, 2);
  append_number(out, directory_first ? 8 : 8 + samples, 4);
  if (directory_first) out += directory;
  for (const std::uint32_t sample : image.samples()) out += static_cast<char>(sample);
  if (!directory_first) out += directory;
  return out;
}

/// With the arena's CPUs shared and apart.
class ExpressTest : public testing::TestWithParam<bool> {
 protected:
  Told equalize(const std::string& file, const std::string& query = "rule=exact") {
    return rig_.post("/v1/equalize", query, file);
  }
  /// By the resource's ordinary way, which `range` needs.
  Told ordinarily(const std::string& file, const std::string& query = "rule=exact") {
    return rig_.post("/v1/equalize", query + "&range=256", file);
  }
  /// An answer may be out before the last step has come back from the arena.
  void wait_until_nothing_is_in_hand() {
    while (rig_.at_worker([&] { return rig_.worker().pipeline().in_hand(); }) != 0) std::this_thread::yield();
  }
  /// Sends the first `received` bytes of a body, and no more.
  void break_off(const std::string& file, const std::string& query, std::size_t received) {
    rig_.at_worker([&] {
      net::http::RequestHead head;
      head.method = "POST";
      head.path = "/v1/equalize";
      head.query = query;
      head.content_length = file.size();
      const std::string authorization = test::bearer(test::k_admin_token);
      const net::http::Field field{"authorization", authorization};
      head.fields = std::span(&field, 1);
      const auto admission = rig_.api().admit(head);
      ASSERT_TRUE(admission && admission->watcher);
      net::Lease lease = rig_.worker().pool().lease(file.size(), net::Use::input);
      std::ranges::copy(std::as_bytes(std::span(file)), lease.data());
      if (received > 0) admission->watcher->received(lease.bytes().first(received));
      EXPECT_EQ(rig_.worker().pipeline().in_hand(), 0u) << "an upload is no image in hand yet";
      admission->watcher->abandoned(std::move(lease));
    });
    wait_until_nothing_is_in_hand();
    EXPECT_EQ(rig_.at_worker([&] { return rig_.worker().pool().stats().leased_bytes; }), 0u);
  }
  /// A PNG that is large enough to be decoded while it comes in.
  std::string large_png() {
    const NaiveImage noise = test::naive_image(test::rgb_format(8), 340, 300, Texture::uniform, 256, 5);
    return rig_.post("/v1/equalize", "format=png&color=channels", pgm(noise)).body;
  }
  ApiRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Arena, ExpressTest, testing::Values(false, true),
                         [](const auto& apart) { return apart.param ? std::string("apart") : std::string("shared"); });

TEST_P(ExpressTest, EqualizesGrayFilesOfAllSizes) {
  // Around what the worker does itself, and what is counted early.
  for (const auto& [width, height] :
       {std::pair{1u, 1u}, {511u, 512u}, {512u, 513u}, {1'000u, 999u}, {1'500u, 2'000u}}) {
    const NaiveImage image = gray(width, height);
    const NaiveImage expected = test::naive_equalize_channels(image, "exact", 256);
    const Told answer = equalize(pgm(image));
    EXPECT_EQ(answer.status, 200u);
    EXPECT_TRUE(answer.body == pgm(expected)) << width;
    for (const bool directory_first : {false, true})
      EXPECT_TRUE(equalize(tiff(image, directory_first)).body == tiff(expected, directory_first)) << width;
  }
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, AnswersWithTheFieldsOfTheOrdinaryWay) {
  for (const std::uint32_t width : {64u, 1'100u}) {
    const std::string file = pgm(gray(width, 1'000));
    const Told fast = equalize(file), slow = ordinarily(file);
    EXPECT_EQ(fast.content_type, "image/x-portable-graymap");
    for (const char* field : {"Cache-Control", "Histod-Lut-Digest", "Histod-Version"})
      EXPECT_EQ(fast.field(field), slow.field(field)) << field;
    for (const char* step : {"receive;dur=5.000", "histogram;dur=", "apply;dur=", "total;dur="})
      EXPECT_THAT(fast.field("Server-Timing"), HasSubstr(step));
    EXPECT_TRUE(fast.body == slow.body);
  }
}

TEST_P(ExpressTest, EachRuleAndEachRequestByItself) {
  const NaiveImage image = gray(300, 200);
  for (const char* rule : {"opencv", "exact", "reference", "pillow", "vips", "opencv"})
    EXPECT_TRUE(equalize(pgm(image), std::string("rule=") + rule).body ==
                pgm(test::naive_equalize_channels(image, rule, 256)))
        << rule;
}

TEST_P(ExpressTest, OtherImagesTakeTheOrdinaryWay) {
  const NaiveImage rgb = test::naive_image(test::rgb_format(8), 900, 700, Texture::uniform, 256, 2);
  const NaiveImage deep = test::naive_image(test::gray_format(16), 1'100, 700, Texture::uniform, 65'536, 3);
  const NaiveImage few = test::naive_image(test::gray_format(8), 1'200, 1'000, Texture::uniform, 100, 4);
  const NaiveImage image = gray(1'300, 1'000);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(equalize(pgm(rgb), "color=channels&rule=exact").body ==
                pgm(test::naive_equalize_channels(rgb, "exact", 256)));
    EXPECT_TRUE(equalize(pgm(deep, 65'535)).body == pgm(test::naive_equalize_channels(deep, "exact", 65'536), 65'535));
    EXPECT_TRUE(equalize(pgm(few, 99)).body == pgm(test::naive_equalize_channels(few, "exact", 100), 99));
    EXPECT_TRUE(equalize(pgm(image)).body == pgm(test::naive_equalize_channels(image, "exact", 256)))
        << "a plain one after others, and others after a plain one";
  }
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, OtherWishesTakeTheOrdinaryWay) {
  const NaiveImage image = gray(400, 300);
  test::NaiveSelection selection;
  selection.nodata = image.get(7, 7);
  const std::string nodata = std::to_string(image.get(7, 7));
  EXPECT_TRUE(equalize(pgm(image), "rule=exact&nodata=" + nodata).body ==
              pgm(test::naive_equalize_channels(image, "exact", 256, selection)));
  EXPECT_EQ(equalize(pgm(image), "format=png").content_type, "image/png");
  EXPECT_EQ(rig_.post("/v1/equalize", "", pgm(image), {{"Accept", "image/tiff"}}).content_type, "image/tiff");
  EXPECT_EQ(equalize(pgm(image), "method=clahe").status, 200u);
  EXPECT_EQ(equalize(pgm(image), "rule=none-such").code(), "bad-option");
}

TEST_P(ExpressTest, BrokenFilesGetTheirProblem) {
  const std::string file = pgm(gray(1'400, 1'000));
  EXPECT_EQ(equalize(file.substr(0, file.size() - 1)).status, 422u);
  EXPECT_EQ(equalize(tiff(gray(1'200, 1'000), false).substr(0, 1'200'000)).status, 422u);
  EXPECT_EQ(equalize("P5 1").status, 422u);
  EXPECT_EQ(equalize("no image").status, 415u);
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, AnUploadThatIsBrokenOffLeavesNothing) {
  const std::string file = pgm(gray(1'500, 2'000));
  // At each stage: nothing in, too little to count, enough to be in the arena.
  for (const std::size_t received : {0uz, 1'000uz, 2'900'000uz}) break_off(file, {}, received);
  const NaiveImage image = gray(1'200, 1'000);
  EXPECT_TRUE(equalize(pgm(image)).body == pgm(test::naive_equalize_channels(image, "exact", 256)))
      << "what was counted of the others is forgotten";
}

TEST_P(ExpressTest, LargePngsComeOutAsThoseOfUnknownLength) {
  const std::string file = large_png();
  ASSERT_GT(file.size(), EarlyDecode::k_file_bytes_min);
  std::string damaged = file;
  damaged[file.size() / 2] = static_cast<char>(damaged[file.size() / 2] ^ 0x20);
  for (const std::string& body : {file, damaged, file.substr(0, file.size() - 1)}) {
    for (const char* query : {"", "rule=exact&color=channels", "format=tiff", "color=gray&method=clahe", "rule=none"}) {
      const Told watched = rig_.post("/v1/equalize", query, body);
      const Told ordinary =
          rig_.ask({.method = "POST", .path = "/v1/equalize", .query = query, .body = body, .chunked = true});
      EXPECT_EQ(watched.status, ordinary.status) << query;
      EXPECT_EQ(watched.content_type, ordinary.content_type) << query;
      EXPECT_EQ(watched.field("Histod-Lut-Digest"), ordinary.field("Histod-Lut-Digest")) << query;
      EXPECT_TRUE(watched.body == ordinary.body) << query;
    }
  }
  EXPECT_EQ(rig_.post("/v1/equalize", "", file).status, 200u);
  EXPECT_EQ(rig_.post("/v1/equalize", "", damaged).status, 422u);
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, APngThatIsBrokenOffLeavesNothing) {
  const std::string file = large_png();
  for (const char* query : {"", "color=channels", "format=jpeg"})
    for (const std::size_t received : {0uz, 7uz, 100uz, 70'000uz, file.size() - 1, file.size()})
      break_off(file, query, received);
  EXPECT_EQ(rig_.post("/v1/equalize", "", file).status, 200u);
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, LargePngsAtOnceDoNotMix) {
  const std::string file = large_png();
  std::vector<std::string> expected;
  std::vector<std::future<Told>> answers;
  const std::vector<std::string> queries{"", "color=channels", "color=gray", "format=ppm&rule=exact"};
  for (const std::string& query : queries) expected.push_back(rig_.post("/v1/equalize", query, file).body);
  for (unsigned i = 0; i < 8; ++i)
    answers.push_back(rig_.begin({.method = "POST", .path = "/v1/equalize", .query = queries[i % 4], .body = file}));
  for (unsigned i = 0; i < 8; ++i) EXPECT_TRUE(answers[i].get().body == expected[i % 4]) << i;
  wait_until_nothing_is_in_hand();
}

TEST_P(ExpressTest, ManyAtOnceDoNotMix) {
  std::vector<std::future<Told>> answers;
  std::vector<std::string> expected;
  for (unsigned i = 0; i < 100; ++i) {
    const NaiveImage image = gray(200 + i, i % 10 == 0 ? 2'000 : 30, i);
    expected.push_back(pgm(test::naive_equalize_channels(image, "exact", 256)));
    answers.push_back(
        rig_.begin({.method = "POST", .path = "/v1/equalize", .query = "rule=exact", .body = pgm(image)}));
  }
  for (unsigned i = 0; i < 100; ++i) EXPECT_TRUE(answers[i].get().body == expected[i]) << i;
  const auto stats = rig_.at_worker([&] { return rig_.worker().pipeline().stats(); });
  EXPECT_EQ(stats.images, 100u);
  wait_until_nothing_is_in_hand();
}

}  // namespace
}  // namespace histod::daemon::api
