// SPDX-License-Identifier: Apache-2.0
// Images that are decoded while they come in: the same results, and memory only as long as nobody else needs it.
#include "daemon/early_decode.hpp"

#include "tests/daemon/pipeline_rig.hpp"

namespace histod::daemon {
namespace {

constexpr std::size_t k_budget_bytes = 256 * k_granule;

class EarlyDecodeTest : public PipelineTest {
 protected:
  /// Noise, which no compression makes smaller than k_file_bytes_min.
  static NaiveImage noise(unsigned channels, std::uint64_t seed = 1) {
    const auto format = channels == 1 ? test::gray_format(8) : test::rgb_format(8);
    return test::naive_image(format, 700, 500, Texture::uniform, 256, seed);
  }
  /// As a PNG of its own, whatever the options of the request are going to be. The table of noise is hardly more than
  /// the identity, so it is made from what is expected of it.
  std::string png_of(const NaiveImage& image) {
    ImageOptions options = as_png();
    options.equalize.color = compute::Color::channels;
    const auto made = run(netpbm(image), options);
    return made ? text_of(*made) : std::string();
  }
  /// What a PNG of that image is decoded and equalized to, as a netpbm file.
  static ImageOptions as_netpbm(unsigned channels) {
    ImageOptions options = by_rule(compute::Rule::exact);
    options.equalize.color = compute::Color::channels;
    options.format = channels == 1 ? codec::FileFormat::pgm : codec::FileFormat::ppm;
    return options;
  }
  void receive(EarlyDecode& early, std::string& file, std::size_t from, std::size_t end, std::size_t piece) {
    for (std::size_t in = from; in < end;) {
      in = std::min(end, in + piece);
      early.received(bytes_of(file).first(in));
    }
  }
  void wait_until_idle(EarlyDecode& early) {
    bool idle = false;
    early.when_idle([&] { idle = true; });
    drain_until([&] { return idle; });
  }
  Outcome run_with(std::unique_ptr<EarlyDecode> early, std::string& file, const ImageOptions& options) {
    std::optional<Outcome> outcome;
    pipeline().run(bytes_of(file), {}, options, [&](Outcome o) { outcome.emplace(std::move(o)); }, std::move(early));
    drain_until([&] { return outcome.has_value(); });
    return std::move(*outcome);
  }
  /// By the way of all other images, without a head start.
  std::string expected(const std::string& file, unsigned channels) {
    const auto result = run(file, as_netpbm(channels));
    return result ? text_of(*result) : result.error().error.detail;
  }
};

TEST_F(EarlyDecodeTest, GivesTheSameResultWhateverWasInWhen) {
  open({}, k_budget_bytes);
  for (const unsigned channels : {1u, 3u}) {
    const NaiveImage image = noise(channels);
    std::string file = png_of(image);
    ASSERT_GT(file.size(), EarlyDecode::k_file_bytes_min);
    const std::string whole = expected(file, channels);
    ASSERT_TRUE(whole.starts_with('P'));
    for (const std::size_t end : {0uz, 63uz << 10, 64uz << 10, 200'000uz, file.size() - 1, file.size()}) {
      for (const std::size_t piece : {1uz << 10, 64uz << 10, 1uz << 20}) {
        auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
        receive(*early, file, 0, end, piece);
        wait_until_idle(*early);
        EXPECT_EQ(early->head_start().fed_bytes() > 0, end >= 64 << 10);
        const auto result = run_with(std::move(early), file, as_netpbm(channels));
        ASSERT_TRUE(result) << result.error().error.detail;
        EXPECT_TRUE(text_of(*result) == whole) << end << " bytes in pieces of " << piece;
      }
    }
  }
}

TEST_F(EarlyDecodeTest, GivesWhatTheNaiveWayGives) {
  open({}, k_budget_bytes);
  const NaiveImage image = noise(3);
  std::string file = png_of(image);
  const NaiveImage first = test::naive_equalize_channels(image, "opencv", 256);  // png_of() has equalized it once
  auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
  receive(*early, file, 0, file.size() - 5, 100'000);
  wait_until_idle(*early);
  const auto result = run_with(std::move(early), file, as_netpbm(3));
  ASSERT_TRUE(result);
  EXPECT_TRUE(text_of(*result) == netpbm(test::naive_equalize_channels(first, "exact", 256)));
}

TEST_F(EarlyDecodeTest, EveryOtherWishIsGrantedToo) {
  open({}, k_budget_bytes);
  std::string file = png_of(noise(3));
  ImageOptions histogram, gray_tiff, clahe;
  histogram.histogram_only = true;
  gray_tiff.equalize.color = compute::Color::gray;
  gray_tiff.format = codec::FileFormat::tiff;
  clahe.equalize.method = compute::Method::clahe;
  for (const ImageOptions& options : {histogram, gray_tiff, clahe}) {
    const auto expected = run(file, options);
    auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
    receive(*early, file, 0, 200'000, 70'000);
    wait_until_idle(*early);
    const auto result = run_with(std::move(early), file, options);
    ASSERT_TRUE(expected && result);
    EXPECT_EQ(result->lut_digest, expected->lut_digest);
    EXPECT_TRUE(text_of(*result) == text_of(*expected));
  }
}

TEST_F(EarlyDecodeTest, BrokenFilesFailAsTheyDoWithoutIt) {
  open({}, k_budget_bytes);
  const std::string file = png_of(noise(1));
  for (const std::size_t place : {70'000uz, 100'000uz, 200'000uz, file.size() - 20, file.size() - 3}) {
    std::string changed = file;
    changed[place] = static_cast<char>(changed[place] ^ 0x41);
    for (std::string broken : {changed, file.substr(0, place)}) {
      const ImageFailure expected = fails(broken, as_netpbm(1));
      auto early = std::make_unique<EarlyDecode>(pipeline(), broken.size());
      receive(*early, broken, 0, broken.size() - 1, 64 << 10);
      wait_until_idle(*early);
      const auto result = run_with(std::move(early), broken, as_netpbm(1));
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().error.code, expected.error.code);
      EXPECT_EQ(result.error().error.detail, expected.error.detail) << place;
      EXPECT_EQ(result.error().error.value, expected.error.value);
    }
  }
}

TEST_F(EarlyDecodeTest, OtherFilesAreLeftAlone) {
  open({}, k_budget_bytes);
  std::string pgm = netpbm(noise(1)), png = png_of(noise(1));
  std::string interlaced = png;
  interlaced[28] = 1;  // of IHDR; its checksum is wrong now, which is decode()'s to say
  for (std::string file : {pgm, interlaced, std::string(400'000, 'x'), png.substr(0, 8) + std::string(400'000, '\0')}) {
    EarlyDecode early(pipeline(), file.size());
    receive(early, file, 0, file.size(), 100'000);
    EXPECT_EQ(early.leased_bytes(), 0u);
    EXPECT_EQ(early.head_start().fed_bytes(), 0u);
  }
}

TEST_F(EarlyDecodeTest, TakesNoMoreThanAQuarterOfThePool) {
  open({}, k_budget_bytes);
  std::string file = png_of(noise(3));
  std::vector<std::unique_ptr<EarlyDecode>> all;
  std::size_t with_memory = 0;
  for (int i = 0; i < 8; ++i) {
    all.push_back(std::make_unique<EarlyDecode>(pipeline(), file.size()));
    receive(*all.back(), file, 0, 300'000, 300'000);
    with_memory += all.back()->leased_bytes() > 0;
  }
  EXPECT_GT(with_memory, 0u);
  EXPECT_LT(with_memory, 8u);
  EXPECT_LE(pool().stats().leased_bytes, k_budget_bytes / 4);
  const std::string whole = expected(file, 3);
  for (auto& early : all) {
    wait_until_idle(*early);
    const auto result = run_with(std::move(early), file, as_netpbm(3));
    ASSERT_TRUE(result);
    EXPECT_TRUE(text_of(*result) == whole) << "with memory or without";
  }
}

TEST_F(EarlyDecodeTest, GivesWayToAnImageThatIsIn) {
  open({}, k_budget_bytes);
  std::string file = png_of(noise(3));
  const std::string whole = expected(file, 3);
  auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
  receive(*early, file, 0, 300'000, 300'000);
  const std::size_t lent = early->leased_bytes();
  ASSERT_GT(lent, 0u);
  // All but what the other image lacks.
  const std::size_t free_bytes = k_budget_bytes - pool().stats().leased_bytes;
  net::Lease held = pool().lease(free_bytes - 20 * k_granule);
  std::string other = netpbm(gray(900, 800));
  const auto result = run(other, as_png());
  ASSERT_TRUE(result) << "it had the memory of the one that is coming in";
  EXPECT_EQ(early->leased_bytes(), 0u);
  held.reset();
  receive(*early, file, 300'000, file.size(), 100'000);
  wait_until_idle(*early);
  const auto late = run_with(std::move(early), file, as_netpbm(3));
  ASSERT_TRUE(late);
  EXPECT_TRUE(text_of(*late) == whole);
}

TEST_F(EarlyDecodeTest, WaitsForMemoryWithoutHoldingAny) {
  Pipeline::Options options;
  options.memory_wait = std::chrono::hours(1);
  open(options, k_budget_bytes);
  std::string file = png_of(noise(3));
  const std::string whole = expected(file, 3);
  auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
  receive(*early, file, 0, file.size(), 200'000);
  wait_until_idle(*early);
  ASSERT_GT(early->leased_bytes(), 0u);
  // There is no room for its result.
  net::Lease held = pool().lease(k_budget_bytes - pool().stats().leased_bytes - k_granule);
  std::optional<Outcome> outcome;
  pipeline().run(bytes_of(file), {}, as_netpbm(3), [&](Outcome o) { outcome.emplace(std::move(o)); }, std::move(early));
  drain_until([&] { return pipeline().stats().memory_waits == 1; });
  EXPECT_EQ(pool().stats().leased_bytes, held.size());
  EarlyDecode next(pipeline(), file.size());
  receive(next, file, 0, file.size(), file.size());
  EXPECT_EQ(next.leased_bytes(), 0u) << "where one waits, none that only comes in is lent memory";
  held.reset();
  pipeline().poll();
  drain_until([&] { return outcome.has_value(); });
  ASSERT_TRUE(*outcome);
  EXPECT_TRUE(text_of(**outcome) == whole);
}

TEST_F(EarlyDecodeTest, WhatIsBrokenOffLeavesNothing) {
  open({}, k_budget_bytes);
  std::string file = png_of(noise(3));
  for (const std::size_t end : {0uz, 10'000uz, 100'000uz, file.size()}) {
    auto early = std::make_unique<EarlyDecode>(pipeline(), file.size());
    receive(*early, file, 0, end, 100'000);
    bool idle = false;
    early->give_up();
    EarlyDecode& abandoned = *early;
    abandoned.when_idle([&idle, owned = std::move(early)]() mutable {
      owned.reset();
      idle = true;
    });
    drain_until([&] { return idle; });
    EXPECT_EQ(pool().stats().leased_bytes, 0u);
  }
}

}  // namespace
}  // namespace histod::daemon
