// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "daemon/pipeline.hpp"
#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

/// What the tests of the pipeline share.
namespace histod::daemon {

namespace codec = compute::codec;
using compute::Errc;
using std::chrono::milliseconds;
using test::NaiveImage;
using test::Texture;
using testing::HasSubstr;

inline constexpr std::size_t k_granule = net::BufferPool::k_granule_bytes;

inline std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

/// A binary PGM or PPM of the image.
inline std::string netpbm(const NaiveImage& image, std::uint32_t levels = 256) {
  std::string out = (image.format().colors == 3 ? "P6\n" : "P5\n") + std::to_string(image.width()) + ' ' +
                    std::to_string(image.height()) + '\n' + std::to_string(levels - 1) + '\n';
  for (const std::uint32_t sample : image.samples()) {
    if (levels > 256) out += static_cast<char>(sample >> 8);
    out += static_cast<char>(sample & 0xff);
  }
  return out;
}

inline NaiveImage gray(std::uint32_t width, std::uint32_t height, std::uint64_t seed = 1) {
  return test::naive_image(test::gray_format(8), width, height, Texture::narrow, 200, seed);
}

inline ImageOptions by_rule(compute::Rule rule) {
  ImageOptions options;
  options.equalize.rule = rule;
  return options;
}

/// What needs memory for pixels and a result, where the same format would be equalized in place.
inline ImageOptions as_png() {
  ImageOptions options;
  options.format = codec::FileFormat::png;
  return options;
}

using Outcome = std::expected<ImageResult, ImageFailure>;

inline std::string text_of(const ImageResult& result) {
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
  Pipeline& pipeline() { return *pipeline_; }
  /// The file of the latest run(), which may be its result.
  const std::string& latest_file() const { return files_.back(); }

 private:
  std::deque<std::string> files_;
  compute::Arena arena_{{{}, 2}};
  Mailbox mailbox_{1'024};
  std::optional<net::BufferPool> pool_;
  std::optional<Pipeline> pipeline_;
};

}  // namespace histod::daemon
