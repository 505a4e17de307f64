// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "net/udp/dpdk_eal.hpp"
#include "net/udp/dpdk_port.hpp"

// Linked with what stands in for DPDK where there is none.

namespace histod::test {
namespace {

TEST(DpdkAbsent, SaysSo) {
  EXPECT_EQ(net::udp::dpdk_version(), "");
  EXPECT_EQ(net::udp::dpdk_log(), "");
  const auto eal = net::udp::DpdkEal::start({});
  ASSERT_FALSE(eal);
  EXPECT_EQ(eal.error().code, std::errc::function_not_supported);
  EXPECT_NE(eal.error().what.find("libdpdk-dev"), std::string::npos) << eal.error().what;
}

}  // namespace
}  // namespace histod::test
