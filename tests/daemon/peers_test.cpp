// SPDX-License-Identifier: Apache-2.0
#include "daemon/peers.hpp"

#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/fleet_snapshot.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon {
namespace {

using net::http::Endpoint;
using net::http::PeerRequest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Pair;

constexpr const char* k_trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr const char* k_same_trace = "00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]+-01";

class PeersTest : public testing::Test {
 protected:
  PeersTest() { publish({{"n1", "http://10.0.0.1:80"}, {"n2", "https://[fd00::2]:8443"}}); }
  void publish(const std::vector<std::pair<std::string, std::string>>& members) {
    FleetSnapshot fleet;
    fleet.self = "n1";
    for (const auto& [name, address] : members) fleet.members.push_back({.name = name, .address = address});
    board_.publish(std::make_shared<const FleetSnapshot>(std::move(fleet)));
  }
  std::string error(std::string_view name) const {
    PeerRequest request;
    const auto addressed = peers_.address(request, name, "");
    EXPECT_TRUE(request.endpoint == Endpoint() && request.fields.empty()) << "no token for nobody";
    return addressed ? "" : addressed.error();
  }

  FleetBoard board_;
  const Peers peers_{board_, "0123456789abcdef"};
};

TEST_F(PeersTest, AreFoundByNameAndShownTheToken) {
  PeerRequest request;
  request.fields = {{"X-Shard", "7"}};
  ASSERT_TRUE(peers_.address(request, "n2", k_trace));
  EXPECT_EQ(request.endpoint, (Endpoint{true, "fd00::2", 8443}));
  EXPECT_THAT(request.fields, ElementsAre(Pair("X-Shard", "7"), Pair("Authorization", "Bearer 0123456789abcdef"),
                                          Pair("traceparent", MatchesRegex(k_same_trace))));
  publish({{"n2", "http://elsewhere:1"}});
  ASSERT_TRUE(peers_.address(request, "n2", k_trace));
  EXPECT_EQ(request.endpoint, (Endpoint{false, "elsewhere", 1})) << "as the board has it now";
  EXPECT_THAT(request.fields, ElementsAre(Pair("X-Shard", "7"), Pair("Authorization", "Bearer 0123456789abcdef"),
                                          Pair("traceparent", MatchesRegex(k_same_trace))));
}

TEST_F(PeersTest, EachRequestIsAParentOfItsOwn) {
  PeerRequest first, second, untraced;
  ASSERT_TRUE(peers_.address(first, "n2", k_trace) && peers_.address(second, "n2", k_trace));
  EXPECT_NE(first.fields, second.fields);
  ASSERT_TRUE(peers_.address(untraced, "n2", ""));
  EXPECT_EQ(parse_traceparent(untraced.fields.back().second), untraced.fields.back().second);
  EXPECT_FALSE(trace_id(untraced.fields.back().second).empty());
  EXPECT_FALSE(is_sampled(untraced.fields.back().second));
}

TEST_F(PeersTest, WhoIsNoneIsTold) {
  EXPECT_THAT(error("n1"), HasSubstr("itself"));
  EXPECT_THAT(error("n3"), HasSubstr("no member of the fleet is named n3"));
  EXPECT_THAT(error(""), HasSubstr("no member"));
  for (const char* address : {"", "n2:80", "http://n2/path", "http://user@n2", "ftp://n2", "http://n2:0"}) {
    publish({{"n2", address}});
    EXPECT_THAT(error("n2"), HasSubstr("the address of n2 is none")) << address;
  }
  publish({});
  EXPECT_THAT(error("n2"), HasSubstr("no member"));
}

}  // namespace
}  // namespace histod::daemon
