// SPDX-License-Identifier: Apache-2.0
// Nodes that die, are slow, or lie about their part of an image.
#include <thread>

#include "daemon/spread.hpp"
#include "tests/daemon/spread_rig.hpp"

namespace histod::daemon {
namespace {

using test::ApiRig;
using test::equalized;
using test::FleetRig;
using test::honest;
using test::NaiveImage;
using test::netpbm_of;
using test::picture;
using test::ScriptedServer;
using test::Told;
using test::Twisted;
using testing::StartsWith;
using Redone = SpreadStats::Redone;

std::uint64_t redone(ApiRig& node, Redone reason) {
  return node.services.spread.redone[static_cast<std::size_t>(reason)];
}

/// Spreads an image over node N1 and the twisted one, perhaps over a good one too, and compares.
void expect_redone(const Twisted& other, Redone reason, std::uint64_t times, bool with_good = false) {
  FleetRig fleet(with_good ? 2 : 1);
  fleet.publish({{"N0", other.url()}});
  for (const auto& format : {test::gray_format(16), test::rgb_format(8)}) {
    const std::string file = netpbm_of(picture(format, 50, 41));
    const Told alone = equalized(fleet[0], "rule=exact&placement=local", file);
    const Told spread = equalized(fleet[0], "rule=exact&placement=fleet", file);
    EXPECT_EQ(spread.status, 200u) << spread.body;
    EXPECT_EQ(spread.body, alone.body);
  }
  for (std::size_t i = 0; i < SpreadStats::k_redone_names.size(); ++i)
    EXPECT_EQ(fleet[0].services.spread.redone[i], static_cast<Redone>(i) == reason ? 2 * times : 0) << i;
  EXPECT_EQ(fleet[0].services.spread.under_way, 0u);
  if (with_good) {
    EXPECT_GE(fleet[1].services.spread.received, 4u);
  }
}

TEST(SpreadFaults, AnHonestNodeIsBelieved) {
  const Twisted other([](bool, const std::string& body) { return honest(body); });
  expect_redone(other, Redone::wrong, 0);
  expect_redone(other, Redone::wrong, 0, true);
}

TEST(SpreadFaults, WhoDiesHasItsPartDoneByAnother) {
  const auto dead = [](bool, const std::string&) {
    return ScriptedServer::Reply("", ScriptedServer::Reply::End::reset);
  };
  for (const bool with_good : {false, true}) {
    expect_redone(Twisted(dead), Redone::silent, 1, with_good);
    expect_redone(Twisted([](bool counts, const std::string& body) {
                    return counts ? honest(body) : ScriptedServer::Reply("", ScriptedServer::Reply::End::reset);
                  }),
                  Redone::silent, 1, with_good);
    expect_redone(Twisted([](bool counts, const std::string& body) {
                    const std::string whole = Twisted::whole(body, body);
                    return counts ? ScriptedServer::Reply(whole)
                                  : ScriptedServer::Reply(whole.substr(0, whole.size() - 5),
                                                          ScriptedServer::Reply::End::close);
                  }),
                  Redone::silent, 1, with_good);
  }
}

TEST(SpreadFaults, WhoIsSilentOrNowhereIsNotWaitedForLong) {
  ScriptedServer silent([](const auto&) { return ScriptedServer::Reply("", ScriptedServer::Reply::End::keep); });
  FleetRig fleet(2);
  fleet.publish({{"N3", url_of(silent)}, {"N4", "http://127.0.0.1:1"}, {"N5", "no address"}});
  const std::string file = netpbm_of(picture(test::rgb_format(8), 40, 30));
  const Told spread = equalized(fleet[0], "placement=fleet", file);
  EXPECT_EQ(spread.body, equalized(fleet[0], "placement=local", file).body);
  EXPECT_GE(redone(fleet[0], Redone::silent), 3u);
  EXPECT_THAT(spread.field("Histod-Placement"), StartsWith("fleet;")) << "the request does not fail because of a node";
}

TEST(SpreadFaults, WhoLiesIsNotBelieved) {
  const auto wrong_digest = [](bool counts, const std::string& body) {
    return counts ? honest(body) : ScriptedServer::Reply(Twisted::whole(body, body + "x"));
  };
  const auto no_digest = [](bool, const std::string& body) {
    return ScriptedServer::Reply("HTTP/1.1 200 OK\r\nHistod-Peer-Version: 1\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  const auto short_rows = [](bool counts, const std::string& body) { return honest(counts ? body : body.substr(1)); };
  const auto cut_counts = [](bool counts, const std::string& body) {
    return honest(counts ? body.substr(0, body.size() - 1) : body);
  };
  const auto empty_counts = [](bool counts, const std::string& body) {
    const auto none = compute::Tally().to_bytes();
    return honest(counts ? std::string(reinterpret_cast<const char*>(none.data()), none.size()) : body);
  };
  for (const Twisted::Twist& twist :
       {Twisted::Twist(wrong_digest), Twisted::Twist(no_digest), Twisted::Twist(short_rows), Twisted::Twist(cut_counts),
        Twisted::Twist(empty_counts)}) {
    expect_redone(Twisted(twist), Redone::wrong, 1);
    expect_redone(Twisted(twist), Redone::wrong, 1, true);
  }
}

TEST(SpreadFaults, CountsOfOtherPixelsAreNoCounts) {
  compute::Arena arena{{{}, 1}};
  const Twisted other([&](bool counts, const std::string& body) {
    if (!counts) return honest(body);
    // A good tally, of a pixel less than were sent.
    const bool gray = compute::Tally::from_bytes(test::as_bytes(body))->entries().front().kind.bins == 65'536;
    NaiveImage image = picture(gray ? test::gray_format(16) : test::rgb_format(8), 999, 1);
    const compute::EqualizePage page{image.view()};
    const auto tally = compute::tally_of({&page, 1}, {}, arena)->to_bytes();
    return honest({reinterpret_cast<const char*>(tally.data()), tally.size()});
  });
  expect_redone(other, Redone::wrong, 1);
}

TEST(SpreadFaults, WhoRefusesIsPassedOver) {
  for (const char* answer : {"HTTP/1.1 503 Busy\r\nHistod-Peer-Version: 1\r\nContent-Length: 0\r\n\r\n",
                             "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nHistod-Peer-Version: 2\r\nContent-Length: 0\r\n\r\n"})
    expect_redone(Twisted([answer](bool, const std::string&) { return ScriptedServer::Reply(std::string(answer)); }),
                  Redone::refused, 1, true);
}

TEST(SpreadFaults, ALongerAnswerIsNotReceived) {
  const Twisted other([](bool counts, const std::string& body) {
    return counts ? honest(body) : honest(body + std::string(1'000, 'x'));
  });
  expect_redone(other, Redone::silent, 1);
}

TEST(SpreadFaults, AWorkerEndsThoughANodeIsSilent) {
  ScriptedServer silent([](const auto&) { return ScriptedServer::Reply("", ScriptedServer::Reply::End::keep); });
  std::future<Told> answer;
  const std::string file = netpbm_of(picture(test::rgb_format(8), 40, 30));
  {
    FleetRig fleet(1);
    fleet.publish({{"N2", url_of(silent)}});
    answer = fleet[0].begin({.method = "POST", .path = "/v1/equalize", .query = "placement=fleet", .body = file});
    while (silent.requests() == 0) std::this_thread::yield();
  }
  EXPECT_EQ(answer.get().status, 200u);
}

}  // namespace
}  // namespace histod::daemon
