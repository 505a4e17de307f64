// SPDX-License-Identifier: Apache-2.0
#include "daemon/pipeline.hpp"

#include <array>
#include <deque>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "daemon/jobs/digest.hpp"
#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::daemon {
namespace {

namespace codec = compute::codec;
using compute::Errc;
using std::chrono::milliseconds;
using test::NaiveImage;
using test::Texture;
using testing::HasSubstr;

constexpr std::size_t k_granule = net::BufferPool::k_granule_bytes;

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

/// A binary PGM or PPM of the image.
std::string netpbm(const NaiveImage& image, std::uint32_t levels = 256) {
  std::string out = (image.format().colors == 3 ? "P6\n" : "P5\n") + std::to_string(image.width()) + ' ' +
                    std::to_string(image.height()) + '\n' + std::to_string(levels - 1) + '\n';
  for (const std::uint32_t sample : image.samples()) {
    if (levels > 256) out += static_cast<char>(sample >> 8);
    out += static_cast<char>(sample & 0xff);
  }
  return out;
}

NaiveImage gray(std::uint32_t width, std::uint32_t height, std::uint64_t seed = 1) {
  return test::naive_image(test::gray_format(8), width, height, Texture::narrow, 200, seed);
}

ImageOptions by_rule(compute::Rule rule) {
  ImageOptions options;
  options.equalize.rule = rule;
  return options;
}

/// What needs memory for pixels and a result, where the same format would be equalized in place.
ImageOptions as_png() {
  ImageOptions options;
  options.format = codec::FileFormat::png;
  return options;
}

using Outcome = std::expected<ImageResult, ImageFailure>;

std::string text_of(const ImageResult& result) {
  return {reinterpret_cast<const char*>(result.bytes.data()), result.bytes.size()};
}

/// A pipeline whose worker is the test.
class PipelineTest : public testing::Test {
 protected:
  Pipeline& open(Pipeline::Options options = {}, std::size_t budget_bytes = 64 * k_granule) {
    net::BufferPool::Options pool;
    pool.budget_bytes = budget_bytes;
    pool.resident_bytes = std::min<std::size_t>(budget_bytes, 2u << 20);
    pool.try_huge_pages = false;
    pool_.emplace(pool);
    pipeline_.emplace(options, *pool_, arena_, mailbox_);
    return *pipeline_;
  }
  void TearDown() override {
    if (!pipeline_) return;
    EXPECT_EQ(pipeline_->in_hand(), 0u);
    EXPECT_EQ(pool_->stats().leased_bytes, 0u) << "every lease is home";
  }

  /// Runs what the arena posts, until `done`.
  template <class Done>
  void drain_until(Done done) {
    while (!done()) {
      pollfd waiting{mailbox_.fd(), POLLIN, 0};
      ASSERT_EQ(::poll(&waiting, 1, 60'000), 1) << "the pipeline posted nothing";
      mailbox_.drain();
    }
  }
  Outcome run(const std::string& file, const ImageOptions& options = {}, const std::string& mask = {}) {
    std::optional<Outcome> outcome;
    std::string& own_file = files_.emplace_back(file);
    std::string own_mask = mask;
    pipeline_->run(bytes_of(own_file), bytes_of(own_mask), options, [&](Outcome o) { outcome.emplace(std::move(o)); });
    drain_until([&] { return outcome.has_value(); });
    return std::move(*outcome);
  }
  ImageFailure fails(const std::string& file, const ImageOptions& options = {}, const std::string& mask = {}) {
    const std::size_t leased_before = pool_->stats().leased_bytes;
    Outcome outcome = run(file, options, mask);
    EXPECT_FALSE(outcome) << "this must fail";
    if (outcome) return {};
    EXPECT_EQ(pool_->stats().leased_bytes, leased_before);
    return std::move(outcome.error());
  }
  net::BufferPool& pool() { return *pool_; }
  /// The file of the latest run(), which may be its result.
  const std::string& latest_file() const { return files_.back(); }

 private:
  std::deque<std::string> files_;
  compute::Arena arena_{{{}, 2}};
  Mailbox mailbox_{1'024};
  std::optional<net::BufferPool> pool_;
  std::optional<Pipeline> pipeline_;
};

TEST_F(PipelineTest, EqualizesAGrayImageByEachRule) {
  open();
  const NaiveImage image = gray(61, 47);
  for (const char* name : {"opencv", "exact", "reference", "pillow", "vips"}) {
    const auto result = run(netpbm(image), by_rule(*compute::rule_from_name(name)));
    ASSERT_TRUE(result) << result.error().error.detail;
    EXPECT_EQ(text_of(*result), netpbm(test::naive_equalize_channels(image, name, 256))) << name;
    EXPECT_EQ(result->format, codec::FileFormat::pgm);
    ASSERT_EQ(result->report.planes.size(), 1u);
    EXPECT_EQ(result->report.planes[0].counted, 61u * 47u);
    const auto lut = compute::canonical_bytes(result->report.planes[0].lut);
    EXPECT_EQ(result->lut_digest, "sha-256=" + jobs::sha256_hex(std::span<const std::byte>(lut)));
  }
}

TEST_F(PipelineTest, TakesTheLevelsThatTheFileDeclares) {
  open();
  const NaiveImage image = test::naive_image(test::gray_format(16), 40, 30, Texture::narrow, 4'096, 5);
  const auto result = run(netpbm(image, 4'096), by_rule(compute::Rule::exact));
  ASSERT_TRUE(result) << result.error().error.detail;
  EXPECT_EQ(text_of(*result), netpbm(test::naive_equalize_channels(image, "exact", 4'096), 4'096));
  EXPECT_EQ(result->report.planes.at(0).levels, 4'096u);
}

TEST_F(PipelineTest, LeavesOutWhatTheMaskLeavesOut) {
  open();
  const NaiveImage image = gray(32, 20);
  NaiveImage mask(test::gray_format(8), 32, 20);
  test::NaiveSelection selection;
  for (std::uint32_t i = 0; i < 32 * 20; ++i) {
    selection.mask.push_back(i % 3 == 0 ? 0 : 7);
    mask.set(i % 32, i / 32, 0, selection.mask.back());
  }
  const auto result = run(netpbm(image), by_rule(compute::Rule::exact), netpbm(mask));
  ASSERT_TRUE(result) << result.error().error.detail;
  EXPECT_EQ(text_of(*result), netpbm(test::naive_equalize_channels(image, "exact", 256, selection)));
  EXPECT_EQ(result->report.planes.at(0).masked, 214u);
}

TEST_F(PipelineTest, RefusesMasksThatDoNotFit) {
  open();
  const std::string image = netpbm(gray(16, 16));
  const ImageFailure smaller = fails(image, {}, netpbm(gray(16, 15)));
  EXPECT_EQ(smaller.error.code, Errc::bad_option);
  EXPECT_EQ(smaller.error.value, 240u);
  EXPECT_EQ(smaller.error.limit, 256u);
  const NaiveImage rgb = test::naive_image(test::rgb_format(8), 16, 16, Texture::uniform, 256, 1);
  EXPECT_EQ(fails(image, {}, netpbm(rgb)).error.code, Errc::bad_option);
  const NaiveImage deep = test::naive_image(test::gray_format(16), 16, 16, Texture::uniform, 65'536, 1);
  EXPECT_EQ(fails(image, {}, netpbm(deep, 65'536)).error.code, Errc::bad_option);
  const ImageFailure broken = fails(image, {}, "P5\n16 16\n255\nshort");
  EXPECT_EQ(broken.error.code, Errc::truncated);
  EXPECT_THAT(broken.error.detail, HasSubstr("mask: "));
  EXPECT_EQ(fails(image, {}, "what is this").error.code, Errc::unknown_format);
}

TEST_F(PipelineTest, LeavesOutTheValueThatMeansNoData) {
  open();
  const NaiveImage image = gray(32, 20);
  ImageOptions options = by_rule(compute::Rule::exact);
  options.nodata = image.get(3, 3);
  const auto result = run(netpbm(image), options);
  ASSERT_TRUE(result);
  test::NaiveSelection selection;
  selection.nodata = image.get(3, 3);
  EXPECT_EQ(text_of(*result), netpbm(test::naive_equalize_channels(image, "exact", 256, selection)));
  EXPECT_GT(result->report.planes.at(0).masked, 0u);
  options.nodata_none = true;
  const auto all = run(netpbm(image), options);
  ASSERT_TRUE(all);
  EXPECT_EQ(text_of(*all), netpbm(test::naive_equalize_channels(image, "exact", 256)));
}

TEST_F(PipelineTest, AColorImageStaysOneUnlessGrayIsAskedFor) {
  open();
  const NaiveImage image = test::naive_image(test::rgb_format(8), 33, 21, Texture::uniform, 256, 3);
  ImageOptions options = by_rule(compute::Rule::exact);
  const auto luma = run(netpbm(image), options);
  ASSERT_TRUE(luma);
  EXPECT_EQ(luma->format, codec::FileFormat::ppm);
  EXPECT_EQ(text_of(*luma), netpbm(test::naive_equalize_luma(image, "exact", 256)));
  options.equalize.color = compute::Color::channels;
  const auto channels = run(netpbm(image), options);
  ASSERT_TRUE(channels);
  EXPECT_EQ(text_of(*channels), netpbm(test::naive_equalize_channels(image, "exact", 256)));
  EXPECT_EQ(channels->report.planes.size(), 3u);
  options.equalize.color = compute::Color::gray;
  const auto made_gray = run(netpbm(image), options);
  ASSERT_TRUE(made_gray);
  EXPECT_EQ(made_gray->format, codec::FileFormat::pgm);
  EXPECT_EQ(text_of(*made_gray), netpbm(test::naive_equalize_gray(image, "exact", 256)));
}

TEST_F(PipelineTest, WritesTheFormatThatIsAskedForAndRefusesOneThatCannotHoldTheImage) {
  open();
  const NaiveImage image = test::naive_image(test::rgb_format(8), 20, 10, Texture::uniform, 256, 3);
  ImageOptions options = by_rule(compute::Rule::exact);
  options.format = codec::FileFormat::png;
  const auto png = run(netpbm(image), options);
  ASSERT_TRUE(png);
  EXPECT_EQ(png->format, codec::FileFormat::png);
  EXPECT_EQ(text_of(*png).substr(0, 8), "\x89PNG\r\n\x1a\n");
  options.format.reset();
  const auto back = run(text_of(*png), options);
  ASSERT_TRUE(back) << "what was written can be read";
  EXPECT_EQ(back->input.pages.at(0).width, 20u);
  options.format = codec::FileFormat::pgm;
  EXPECT_EQ(fails(netpbm(image), options).error.code, Errc::bad_option);
  options.equalize.color = compute::Color::gray;
  EXPECT_TRUE(run(netpbm(image), options)) << "a gray image fits";
}

TEST_F(PipelineTest, OptionsThatDoNotFitTheImageAreRefused) {
  open();
  const NaiveImage deep = test::naive_image(test::gray_format(16), 8, 8, Texture::uniform, 65'536, 1);
  EXPECT_EQ(fails(netpbm(deep, 65'536), by_rule(compute::Rule::pillow)).error.code, Errc::bad_option);
  ImageOptions options;
  options.equalize.range = compute::RangeMode::fixed;
  options.equalize.range_levels = 2;
  EXPECT_EQ(fails(netpbm(gray(8, 8)), options).error.code, Errc::sample_out_of_range);
}

TEST_F(PipelineTest, HoldsItsLimits) {
  Pipeline::Options options;
  options.limits.pixels = 100;
  options.limits.dimension = 50;
  Pipeline& pipeline = open(options);
  EXPECT_TRUE(run(netpbm(gray(10, 10))));
  const ImageFailure pixels = fails(netpbm(gray(10, 11)));
  EXPECT_EQ(pixels.error.code, Errc::pixels_over_limit);
  EXPECT_EQ(pixels.error.value, 110u);
  EXPECT_EQ(pixels.error.limit, 100u);
  EXPECT_FALSE(pixels.busy);
  EXPECT_EQ(fails(netpbm(gray(51, 1))).error.code, Errc::dimension_over_limit);
  EXPECT_EQ(pipeline.stats().images, 1u);
  EXPECT_EQ(pipeline.stats().pixels, 100u);
  EXPECT_EQ(pipeline.stats().failures, 2u);
}

TEST_F(PipelineTest, BrokenFilesAreTheirSendersFault) {
  open();
  const struct {
    std::string file;
    Errc code;
  } cases[] = {{"", Errc::unknown_format},
               {"GIF89a is not taken", Errc::unknown_format},
               {"P5\n4 4\n255\n123", Errc::truncated},
               {netpbm(gray(9, 9)).substr(0, 40), Errc::truncated},
               {"P5\n0 4\n255\n", Errc::corrupt}};
  for (const auto& c : cases) {
    const ImageFailure failure = fails(c.file);
    EXPECT_EQ(failure.error.code, c.code) << c.file << ": " << failure.error.detail;
    EXPECT_FALSE(failure.busy);
    EXPECT_FALSE(failure.error.detail.empty());
  }
}

TEST_F(PipelineTest, AnImageForWhichTheMemoryIsEverTooSmallIsOverALimit) {
  // File, pixels, what the decoder may take, and the result: a granule each.
  open({}, 3 * k_granule);
  const ImageFailure failure = fails(netpbm(gray(64, 64)), as_png());
  EXPECT_EQ(failure.error.code, Errc::bytes_over_limit);
  EXPECT_FALSE(failure.busy) << "waiting would not help";
  EXPECT_EQ(failure.error.value, 4 * k_granule);
  EXPECT_EQ(failure.error.limit, 3 * k_granule);
  EXPECT_EQ(pool().stats().refusals, 0u);
}

TEST_F(PipelineTest, WaitsForMemoryThatComesHome) {
  Pipeline::Options options;
  options.memory_wait = std::chrono::hours(1);
  Pipeline& pipeline = open(options, 6 * k_granule);
  net::Lease held = pool().lease(5 * k_granule);
  std::string small = netpbm(gray(4, 4));
  std::vector<int> order;
  const auto note = [&order](int number) {
    return [&order, number](const Outcome& outcome) {
      EXPECT_TRUE(outcome);
      order.push_back(number);
    };
  };
  pipeline.run(bytes_of(small), {}, as_png(), note(1));
  drain_until([&] { return pipeline.stats().memory_waits == 1; });
  pipeline.run(bytes_of(small), {}, as_png(), note(2));
  drain_until([&] { return pipeline.stats().memory_waits == 2; });
  pipeline.poll();
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(pipeline.in_hand(), 2u);
  held.reset();
  pipeline.poll();
  drain_until([&] { return order.size() == 2; });
  EXPECT_EQ(pipeline.stats().images, 2u);
  EXPECT_EQ(pipeline.stats().busy, 0u);
}

TEST_F(PipelineTest, WhoeverCameFirstGetsTheMemoryFirst) {
  Pipeline::Options options;
  options.memory_wait = std::chrono::hours(1);
  Pipeline& pipeline = open(options, 10 * k_granule);
  net::Lease held = pool().lease(6 * k_granule);
  std::string big = netpbm(gray(400, 300)), small = netpbm(gray(4, 4));
  std::vector<std::string> order;
  const auto note = [&order](const char* name) { return [&order, name](const Outcome&) { order.emplace_back(name); }; };
  pipeline.run(bytes_of(big), {}, as_png(), note("big"));
  drain_until([&] { return pipeline.stats().memory_waits == 1; });
  pipeline.run(bytes_of(small), {}, as_png(), note("small"));
  drain_until([&] { return pipeline.stats().memory_waits == 2; });
  EXPECT_TRUE(order.empty()) << "the small one would fit, but it came later";
  held.reset();
  pipeline.poll();
  drain_until([&] { return order.size() == 2; });
  EXPECT_EQ(pipeline.stats().images, 2u);
}

TEST_F(PipelineTest, WaitsForMemoryOnlySoLong) {
  Pipeline::Options options;
  options.memory_wait = milliseconds(0);
  Pipeline& pipeline = open(options, 6 * k_granule);
  net::Lease held = pool().lease(5 * k_granule);
  std::string file = netpbm(gray(4, 4));
  std::optional<Outcome> outcome;
  pipeline.run(bytes_of(file), {}, as_png(), [&](Outcome o) { outcome.emplace(std::move(o)); });
  drain_until([&] { return pipeline.stats().memory_waits == 1; });
  EXPECT_FALSE(outcome);
  pipeline.poll();
  ASSERT_TRUE(outcome);
  ASSERT_FALSE(*outcome);
  EXPECT_TRUE(outcome->error().busy);
  EXPECT_EQ(pipeline.stats().busy, 1u);
  EXPECT_EQ(pipeline.stats().failures, 0u);
  EXPECT_EQ(pool().stats().leased_bytes, 5 * k_granule);
  held.reset();
  EXPECT_TRUE(run(file, as_png())) << "and the next one finds memory";
}

TEST_F(PipelineTest, ARefusedImageLeavesItsMemoryToTheNext) {
  Pipeline::Options options;
  options.memory_wait = milliseconds(0);
  Pipeline& pipeline = open(options, 6 * k_granule);
  std::string file = netpbm(gray(4, 4));
  // As a request does: its body lives until it is answered, and both of them leave no room for pixels and a result.
  net::Lease bodies[] = {pool().lease(2 * k_granule), pool().lease(2 * k_granule)};
  std::vector<bool> outcomes;
  for (net::Lease& lease : bodies) {
    const std::uint64_t before = pipeline.stats().memory_waits;
    pipeline.run(bytes_of(file), {}, as_png(), [&outcomes, body = std::move(lease)](const Outcome& outcome) {
      outcomes.push_back(outcome.has_value());
    });
    drain_until([&] { return pipeline.stats().memory_waits == before + 1; });
  }
  pipeline.poll();
  drain_until([&] { return outcomes.size() == 2; });
  EXPECT_EQ(outcomes, (std::vector{false, true}));
}

TEST_F(PipelineTest, OneMoreThanItTakesIsBusyAtOnce) {
  Pipeline::Options options;
  options.requests_max = 2;
  Pipeline& pipeline = open(options);
  std::string file = netpbm(gray(16, 16));
  int ended = 0;
  for (int i = 0; i < 2; ++i) pipeline.run(bytes_of(file), {}, {}, [&](const Outcome& o) { ended += o.has_value(); });
  std::optional<Outcome> third;
  pipeline.run(bytes_of(file), {}, {}, [&](Outcome o) { third.emplace(std::move(o)); });
  ASSERT_TRUE(third);
  ASSERT_FALSE(*third);
  EXPECT_TRUE(third->error().busy);
  EXPECT_EQ(third->error().error.limit, 2u);
  drain_until([&] { return ended == 2; });
  EXPECT_TRUE(run(file)) << "there is room again";
  EXPECT_EQ(pipeline.stats().busy, 1u);
}

TEST_F(PipelineTest, AnImageThatTakesTooLongIsGivenUpBetweenItsSteps) {
  Pipeline::Options options;
  options.wall_time = milliseconds(0);
  Pipeline& pipeline = open(options);
  const ImageFailure failure = fails(netpbm(gray(16, 16)));
  EXPECT_THAT(failure.error.detail, HasSubstr("wall time"));
  EXPECT_FALSE(failure.busy);
  EXPECT_EQ(pipeline.stats().failures, 1u);
}

TEST_F(PipelineTest, AHistogramAloneMakesNoImageButTheSameNumbers) {
  open();
  const NaiveImage image = gray(45, 31);
  const auto whole = run(netpbm(image));
  ImageOptions options;
  options.histogram_only = true;
  const auto counted = run(netpbm(image), options);
  ASSERT_TRUE(whole && counted);
  EXPECT_FALSE(counted->lease);
  EXPECT_TRUE(counted->bytes.empty());
  EXPECT_EQ(counted->lut_digest, whole->lut_digest);
  ASSERT_EQ(counted->report.planes.size(), 1u);
  const auto counts = counted->report.planes[0].before.counts();
  EXPECT_EQ(test::NaiveCounts(counts.begin(), counts.end()), test::naive_count(image, test::naive_channel(0)));
  EXPECT_EQ(counted->report.planes[0].after, whole->report.planes[0].after);
}

TEST_F(PipelineTest, TheResultKeepsOnlyTheMemoryThatItNeeds) {
  open();
  ImageOptions options;
  options.format = codec::FileFormat::png;
  const NaiveImage flat = test::naive_image(test::gray_format(8), 600, 600, Texture::constant, 256, 1);
  const auto result = run(netpbm(flat), options);
  ASSERT_TRUE(result);
  EXPECT_LT(result->bytes.size(), k_granule);
  EXPECT_EQ(pool().stats().leased_bytes, k_granule);
}

TEST_F(PipelineTest, AnUncompressedImageIsChangedWhereItLies) {
  open();
  for (const unsigned depth_bits : {8u, 16u}) {
    const std::uint32_t levels = 1u << depth_bits;
    // A digit more or less makes the samples lie at an even or an odd address.
    for (const std::uint32_t width : {99u, 100u}) {
      const NaiveImage image = test::naive_image(test::gray_format(depth_bits), width, 9, Texture::narrow, levels, 7);
      const auto result = run(netpbm(image, levels));
      ASSERT_TRUE(result) << result.error().error.detail;
      EXPECT_EQ(static_cast<const void*>(result->bytes.data()), latest_file().data());
      EXPECT_FALSE(result->lease);
      EXPECT_EQ(text_of(*result), netpbm(test::naive_equalize_channels(image, "opencv", levels), levels));
    }
  }
  EXPECT_LE(pool().stats().leased_bytes_max, k_granule) << "pixels of 16 bits at an odd address, and nothing else";
}

TEST_F(PipelineTest, AHistogramOfAnUncompressedImageNeedsNoMemory) {
  open();
  ImageOptions options;
  options.histogram_only = true;
  ASSERT_TRUE(run(netpbm(gray(300, 300)), options));
  EXPECT_EQ(pool().stats().leased_bytes_max, 0u);
}

TEST_F(PipelineTest, ManyImagesAtOnceDoNotMix) {
  Pipeline::Options options;
  options.memory_wait = std::chrono::hours(1);
  Pipeline& pipeline = open(options, 8 * k_granule);
  constexpr int k_images = 40;
  std::vector<std::string> files, expected;
  for (int i = 0; i < k_images; ++i) {
    const NaiveImage image = gray(20 + i, 15, i);
    files.push_back(netpbm(image));
    expected.push_back(netpbm(test::naive_equalize_channels(image, "opencv", 256)));
  }
  int ended = 0;
  for (int i = 0; i < k_images; ++i) {
    pipeline.run(bytes_of(files[i]), {}, {}, [&, i](const Outcome& outcome) {
      ++ended;
      ASSERT_TRUE(outcome) << outcome.error().error.detail;
      EXPECT_EQ(text_of(*outcome), expected[i]);
    });
  }
  EXPECT_EQ(pipeline.in_hand(), std::size_t{k_images});
  drain_until([&] { return ended == k_images; });
  EXPECT_EQ(pipeline.stats().images, std::uint64_t{k_images});
}

TEST_F(PipelineTest, TheNextImageMayBeginInsideTheEndOfOne) {
  Pipeline::Options options;
  options.requests_max = 1;
  Pipeline& pipeline = open(options);
  std::string file = netpbm(gray(16, 16));
  int ended = 0;
  std::function<void()> next = [&] {
    pipeline.run(bytes_of(file), {}, {}, [&](const Outcome& outcome) {
      EXPECT_TRUE(outcome);
      if (++ended < 5) next();
    });
  };
  next();
  drain_until([&] { return ended == 5; });
}

TEST_F(PipelineTest, TellsWhereTheTimeWent) {
  Pipeline& pipeline = open();
  const auto result = run(netpbm(gray(500, 500)));
  ASSERT_TRUE(result);
  const Timings& t = result->timings;
  for (const std::uint64_t ns : {t.wait_ns, t.decode_ns, t.count_ns, t.rule_ns, t.apply_ns, t.encode_ns})
    EXPECT_GT(ns, 0u);
  EXPECT_EQ(t.receive_ns, 0u) << "the caller's to fill in";
  EXPECT_EQ(t.total_ns(), t.wait_ns + t.decode_ns + t.count_ns + t.rule_ns + t.apply_ns + t.encode_ns);
  EXPECT_EQ(pipeline.stats().spent.total_ns(), t.total_ns());
}

}  // namespace
}  // namespace histod::daemon
