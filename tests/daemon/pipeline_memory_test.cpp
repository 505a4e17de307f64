// SPDX-License-Identifier: Apache-2.0
// What the pipeline leases, waits for, and does without.
#include "tests/daemon/pipeline_rig.hpp"

namespace histod::daemon {
namespace {

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

}  // namespace
}  // namespace histod::daemon
