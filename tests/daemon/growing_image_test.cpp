// SPDX-License-Identifier: Apache-2.0
// Results that go out while they are encoded. Oracles: libpng, and the naive equalization.
#include "daemon/api/growing_image.hpp"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/api_rig.hpp"
#include "tests/support/image_files.hpp"
#include "tests/support/naive_equalize.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::NaiveImage;
using test::Told;
using testing::HasSubstr;
using testing::Not;

TEST(Watermark, TellsASenderThatWaitsOnce) {
  Watermark mark;
  EXPECT_FALSE(mark.raise(10)) << "nobody waits";
  EXPECT_EQ(mark.ready(0), 10u);
  EXPECT_FALSE(mark.raise(20)) << "there was something to send";
  EXPECT_EQ(mark.ready(20), 20u);
  EXPECT_TRUE(mark.raise(30));
  EXPECT_FALSE(mark.raise(40)) << "it was told";
  mark.reset();
  EXPECT_EQ(mark.ready(0), 0u);
}

TEST(Watermark, NoSenderWaitsForEver) {
  for (int round = 0; round < 200; ++round) {
    Watermark mark;
    std::atomic<bool> told = false;
    std::thread maker([&] {
      if (mark.raise(1)) told = true;
    });
    const std::size_t ready = mark.ready(0);
    maker.join();
    EXPECT_TRUE(ready == 1 || told) << "it saw nothing, and nobody told it";
  }
}

/// Counts what it is told; keeps the response as a connection does.
struct KeepingSink final : net::http::Responder::Sink {
  void respond(net::http::Response given) override { response.emplace(std::move(given)); }
  bool peer_gone() const override { return false; }
  void body_grew() override { ++grew; }
  net::http::BodySource& source() { return *std::get<net::http::StreamedBody>(response->body); }
  std::optional<net::http::Response> response;
  int grew = 0;
};

class GrowingImageTest : public testing::Test {
 protected:
  ~GrowingImageTest() override { sink_->response.reset(); }
  void begin() {
    net::http::Responder responder(sink_);
    image_->send(responder, {}, pool_.lease(400'000));
  }
  net::BufferPool pool_{{.budget_bytes = 1u << 20, .resident_bytes = 1u << 20, .try_huge_pages = false}};
  Mailbox mailbox_{16};
  std::shared_ptr<KeepingSink> sink_ = std::make_shared<KeepingSink>();
  std::shared_ptr<GrowingImage> image_ = std::make_shared<GrowingImage>(mailbox_);
};

TEST_F(GrowingImageTest, GrowsBeforeAndAfterItIsSent) {
  image_->grown(1'000);
  EXPECT_FALSE(image_->sending());
  begin();
  EXPECT_TRUE(image_->sending());
  net::http::BodySource& source = sink_->source();
  EXPECT_EQ(source.ready(0), 1'000u);
  EXPECT_EQ(source.length(), std::nullopt);
  EXPECT_EQ(source.ready(1'000), 1'000u);
  image_->grown(2'000);
  EXPECT_EQ(mailbox_.drain(), 0u) << "too little to wake anybody for";
  image_->grown(300'000);
  EXPECT_EQ(sink_->grew, 0) << "the worker tells it";
  mailbox_.drain();
  EXPECT_EQ(sink_->grew, 1);
  Timings timings;
  timings.encode_ns = 5'000'000;
  image_->finish(300'500, timings);
  EXPECT_EQ(sink_->grew, 2);
  EXPECT_EQ(source.ready(300'000), 300'500u);
  EXPECT_EQ(source.length(), 300'500u);
  EXPECT_FALSE(source.failed());
  EXPECT_EQ(source.trailer_name(), "Server-Timing");
  EXPECT_THAT(std::string(source.trailer_value()), HasSubstr("encode;dur=5.000"));
}

TEST_F(GrowingImageTest, KeepsItsMemoryForAsLongAsEitherSideNeedsIt) {
  begin();
  sink_->response.reset();
  EXPECT_GT(pool_.stats().leased_bytes, 0u) << "it is still written to";
  image_->fail();
  image_.reset();
  EXPECT_EQ(pool_.stats().leased_bytes, 0u);

  image_ = std::make_shared<GrowingImage>(mailbox_);
  begin();
  image_->finish(10, {});
  image_.reset();
  EXPECT_GT(pool_.stats().leased_bytes, 0u) << "it is still read";
  sink_->response.reset();
  EXPECT_EQ(pool_.stats().leased_bytes, 0u);
}

TEST_F(GrowingImageTest, SaysThatItFailed) {
  begin();
  image_->grown(10);
  image_->fail();
  EXPECT_TRUE(sink_->source().failed());
  EXPECT_EQ(sink_->source().length(), std::nullopt);
  EXPECT_EQ(sink_->grew, 1);
}

std::string ppm(const NaiveImage& image) {
  std::string out = "P6\n" + std::to_string(image.width()) + ' ' + std::to_string(image.height()) + "\n255\n";
  for (const std::uint32_t sample : image.samples()) out += static_cast<char>(sample);
  return out;
}

TEST(GrowingResult, IsThePngThatItWouldBeOtherwise) {
  ApiRig rig;
  const NaiveImage image = test::naive_image({.colors = 3}, 700, 800, test::Texture::narrow, 200, 3);
  const Told told = rig.post("/v1/equalize", "rule=exact&color=channels&format=png", ppm(image));
  ASSERT_EQ(told.status, 200u) << told.body;
  EXPECT_TRUE(told.grew);
  EXPECT_EQ(told.content_type, "image/png");
  EXPECT_THAT(told.field("Histod-Lut-Digest"), HasSubstr("sha-256="));
  EXPECT_THAT(told.field("Server-Timing"), testing::StartsWith("receive;dur=5.000, "));
  EXPECT_THAT(told.field("Server-Timing"), Not(HasSubstr("encode")));
  EXPECT_THAT(told.trailer, testing::StartsWith("receive;dur=5.000, "));
  EXPECT_THAT(told.trailer, testing::ContainsRegex("encode;dur=[0-9.]+, total;dur="));
  const auto bytes = std::as_bytes(std::span(told.body));
  const test::Raster pixels = test::read_png(test::FileBytes(bytes.begin(), bytes.end()));
  const NaiveImage expected = test::naive_equalize_channels(image, "exact", 256);
  EXPECT_TRUE(std::ranges::equal(pixels.samples, expected.samples()));
}

TEST(GrowingResult, IsOnlyForThoseThatAreMadeInBands) {
  ApiRig rig;
  const NaiveImage large = test::naive_image({.colors = 3}, 700, 800, test::Texture::narrow, 200, 3);
  const NaiveImage small = test::naive_image({.colors = 3}, 70, 80, test::Texture::narrow, 200, 3);
  EXPECT_FALSE(rig.post("/v1/equalize", "format=png", ppm(small)).grew);
  EXPECT_FALSE(rig.post("/v1/equalize", "format=tiff", ppm(large)).grew);
  EXPECT_TRUE(rig.post("/v1/equalize", "format=jpeg&color=channels", ppm(large)).grew);
  EXPECT_EQ(rig.at_worker([&] { return rig.worker().pool().stats().leased_bytes; }), 0u);
}

}  // namespace
}  // namespace histod::daemon::api
