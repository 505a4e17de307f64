// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/pipeline_rig.hpp"

namespace histod::daemon {
namespace {

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

TEST_F(PipelineTest, AGuestsImageCountsAsOneOfItsOwn) {
  Pipeline::Options options;
  options.requests_max = 1;
  Pipeline& pipeline = open(options);
  pipeline.enter();
  EXPECT_EQ(pipeline.in_hand(), 1u);
  EXPECT_TRUE(fails(netpbm(gray(8, 8))).busy) << "there is room for one";
  Timings spent;
  spent.count_ns = 7;
  spent.apply_ns = 9;
  pipeline.count_image(spent, 640);
  pipeline.leave();
  EXPECT_EQ(pipeline.stats().images, 1u);
  EXPECT_EQ(pipeline.stats().pixels, 640u);
  EXPECT_EQ(pipeline.stats().spent.count_ns, 7u);
  EXPECT_EQ(pipeline.stats().spent.total_ns(), 16u);
  EXPECT_TRUE(run(netpbm(gray(8, 8))));
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
