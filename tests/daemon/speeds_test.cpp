// SPDX-License-Identifier: Apache-2.0
#include "daemon/speeds.hpp"

#include <gtest/gtest.h>

namespace histod::daemon {
namespace {

constexpr compute::PixelFormat k_gray{}, k_rgb{.colors = 3}, k_deep{.depth_bits = 16};
constexpr auto k_luma = compute::Color::luma;
constexpr std::uint64_t k_mega = 1u << 20;

TEST(Speeds, OfThisNodeAreMovingAveragesOfEachKindOfImage) {
  Speeds speeds;
  EXPECT_FALSE(speeds.own_ns_per_byte(k_gray, k_luma));
  speeds.worked(k_gray, k_luma, k_mega - 1, 1'000'000);
  EXPECT_FALSE(speeds.own_ns_per_byte(k_gray, k_luma)) << "too few to say anything";
  speeds.worked(k_gray, k_luma, k_mega, 2 * k_mega);
  EXPECT_DOUBLE_EQ(*speeds.own_ns_per_byte(k_gray, k_luma), 2);
  speeds.worked(k_gray, k_luma, k_mega, 10 * k_mega);
  EXPECT_DOUBLE_EQ(*speeds.own_ns_per_byte(k_gray, k_luma), 3) << "the latest counts for an eighth";
  for (int i = 0; i < 100; ++i) speeds.worked(k_gray, k_luma, 4 * k_mega, 20 * k_mega);
  EXPECT_NEAR(*speeds.own_ns_per_byte(k_gray, k_luma), 5, 0.01) << "what was before is forgotten";
  EXPECT_TRUE(speeds.own_ns_per_byte(k_gray, compute::Color::lab)) << "a gray image has no color to be treated";
  for (const auto& format : {k_rgb, k_deep}) EXPECT_FALSE(speeds.own_ns_per_byte(format, k_luma));
  speeds.worked(k_rgb, compute::Color::lab, k_mega, 7 * k_mega);
  EXPECT_DOUBLE_EQ(*speeds.own_ns_per_byte(k_rgb, compute::Color::lab), 7);
  EXPECT_FALSE(speeds.own_ns_per_byte(k_rgb, k_luma));
}

TEST(Speeds, OfALinkAreItsRoundTripAndWhatABytesTakes) {
  Speeds speeds;
  EXPECT_FALSE(speeds.link("N2"));
  speeds.carried("N2", 100, 500'000);
  EXPECT_FALSE(speeds.link("N2")) << "how fast bytes go is not known yet";
  speeds.carried("N2", k_mega, 500'000 + 3 * k_mega);
  ASSERT_TRUE(speeds.link("N2"));
  EXPECT_DOUBLE_EQ(speeds.link("N2")->round_trip_ns, 500'000);
  EXPECT_DOUBLE_EQ(speeds.link("N2")->ns_per_byte, 3);
  EXPECT_FALSE(speeds.link("N3"));
  speeds.carried("N3", k_mega, k_mega);
  EXPECT_DOUBLE_EQ(speeds.link("N3")->ns_per_byte, 1);
  speeds.carried("N2", k_mega, 100);
  EXPECT_GT(speeds.link("N2")->ns_per_byte, 0) << "faster than a round trip is not faster than nothing";
  speeds.carried("N3", k_mega, 0);
  EXPECT_DOUBLE_EQ(speeds.link("N3")->ns_per_byte, 1) << "no time is no measurement";
}

TEST(Speeds, RememberSoManyNodesAndNoMore) {
  Speeds speeds;
  std::size_t known = 0;
  for (std::size_t i = 0; i < 3 * Speeds::k_links_max; ++i) speeds.carried("N" + std::to_string(i), k_mega, 1'000);
  for (std::size_t i = 0; i < 3 * Speeds::k_links_max; ++i) known += speeds.link("N" + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(known, Speeds::k_links_max);
  EXPECT_TRUE(speeds.link("N" + std::to_string(3 * Speeds::k_links_max - 1))) << "the latest is among them";
}

}  // namespace
}  // namespace histod::daemon
