// SPDX-License-Identifier: Apache-2.0
// What nodes ask each other, and what they make of the answers.
#include "daemon/http_peers.hpp"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/tally.hpp"
#include "daemon/executor.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/peer_message.hpp"
#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon {
namespace {

using jobs::Outcome;
using jobs::Share;
using test::Answer;
using test::FleetRig;
using test::identity_of;
using test::ScriptedServer;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string k_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV", k_other_id = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
using Ids = std::vector<std::string>;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

Share some_share() {
  Share share;
  for (int i = 0; i < 1'000; ++i) share.tally.push_back(static_cast<std::byte>(i * 7));
  share.tally_sha256 = jobs::sha256_hex(share.tally);
  share.images = {k_id, k_other_id};
  share.waiting = 3;
  share.unmade = 5;
  share.applied_revision = 7;
  share.active_ms = 1'700'000'000'000;
  share.total = 9;
  share.failed = 4;
  share.held = {{identity_of("N2"), 11}};
  return share;
}

std::string message_of(const Share& share) {
  return share_head(share) + std::string(reinterpret_cast<const char*>(share.tally.data()), share.tally.size());
}

std::vector<compute::KindTables> some_tables(std::uint32_t bins, std::uint32_t planes, std::size_t kinds) {
  std::vector<compute::KindTables> out;
  for (std::size_t i = 0; i < kinds; ++i) {
    compute::KindTables one;
    one.kind = {compute::Quantity::channels, planes, bins, bins - static_cast<std::uint32_t>(i)};
    for (std::uint32_t plane = 0; plane < planes; ++plane) {
      compute::Lut lut(bins);
      for (std::uint32_t bin = 0; bin < bins; ++bin)
        lut[bin] = static_cast<std::uint16_t>(bin < one.kind.levels ? bin * 5 % one.kind.levels : bin);
      one.tables.push_back(std::move(lut));
    }
    out.push_back(std::move(one));
  }
  return out;
}

TEST(PeerMessage, ComesBackAsItWas) {
  EXPECT_EQ(parse_ids(bytes_of(ids_text({k_id, k_other_id}))).value(), (Ids{k_id, k_other_id}));
  EXPECT_EQ(parse_ids(bytes_of(ids_text({}))).value(), Ids());
  EXPECT_EQ(parse_share(bytes_of(message_of(some_share()))).value(), some_share());
  Share empty;
  empty.tally_sha256 = jobs::sha256_hex(std::string_view());
  EXPECT_EQ(parse_share(bytes_of(message_of(empty))).value(), empty);
  for (const auto& tables : {some_tables(256, 2, 1), some_tables(65'536, 3, 4)})
    EXPECT_TRUE(parse_tables_message(bytes_of(tables_message(tables))).value() == tables);
  EXPECT_TRUE(parse_ids(bytes_of(R"({"later":{"x":1},"ids":[]})"))) << "of the next release";
}

TEST(PeerMessage, MayBeAnything) {
  for (const char* bad : {"", "{", "[]", "{}", R"({"ids":7})", R"({"ids":[7]})", R"({"ids":["x"]})", R"({"ids":[""]})"})
    EXPECT_FALSE(parse_ids(bytes_of(bad))) << bad;
  const std::string whole = message_of(some_share());
  for (std::size_t cut = 0; cut < whole.size(); cut += 1 + cut / 8)
    EXPECT_FALSE(parse_share(bytes_of(std::string_view(whole).substr(0, cut)))) << cut;
  std::mt19937 random(7);
  for (int i = 0; i < 2'000; ++i) {
    std::string damaged = whole;
    const std::size_t at = random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1u << random() % 8));
    if (const auto share = parse_share(bytes_of(damaged))) {
      EXPECT_EQ(share->tally, some_share().tally) << "whatever else was changed";
    }
  }
  Share twice = some_share();
  twice.images = {k_id, k_id};
  EXPECT_THAT(parse_share(bytes_of(message_of(twice))).error(), HasSubstr("distinct"));
  EXPECT_FALSE(parse_tables_message({}));
  for (const std::string& bad :
       {std::string(4, '\0'), std::string("\xff\xff\xff\xff"), std::string("abcdefgh"), std::string("\1\0\0\0x", 5)})
    EXPECT_FALSE(parse_tables_message(bytes_of(bad)));
}

class HttpPeersTest : public testing::Test {
 protected:
  HttpPeersTest() { fleet_[0].options.replicas = fleet_[1].options.replicas = 1; }
  Outcome<Ids> owned(const std::string& node, const Ids& ids) {
    Answer<Ids> answer;
    executor_.post([&] { peers_.owned(node, ids, answer.reply()); });
    return answer.get();
  }
  Outcome<Ids> keep(const std::string& node, const Ids& ids) {
    Answer<Ids> answer;
    executor_.post([&] { peers_.keep(node, ids, answer.reply()); });
    return answer.get();
  }
  Outcome<void> disown(const std::string& node, const Ids& ids) {
    Answer<void> answer;
    executor_.post([&] { peers_.disown(node, ids, answer.reply()); });
    return answer.get();
  }
  Outcome<Share> share(const std::string& node, const std::string& id) {
    Answer<Share> answer;
    executor_.post([&] { peers_.share(node, id, answer.reply()); });
    return answer.get();
  }
  Outcome<jobs::SharedTables> tables(const std::string& node, const std::string& id, std::uint64_t revision) {
    Answer<jobs::SharedTables> answer;
    executor_.post([&] { peers_.tables(node, id, revision, answer.reply()); });
    return answer.get();
  }
  Outcome<void> stage(const std::string& node, const std::string& id, std::uint64_t revision,
                      jobs::SharedTables tables) {
    Answer<void> answer;
    executor_.post([&] { peers_.stage(node, id, revision, tables, answer.reply()); });
    return answer.get();
  }
  std::string submit(std::size_t node, const std::string& path = "/v1/jobs") {
    const test::Told told = fleet_[node].post(path, "", "P5\n2 2\n255\nabcd");
    EXPECT_EQ(told.status, 202u) << told.body;
    return std::string(told.json().at("id").as_string());
  }

  FleetRig fleet_{2};
  ThreadExecutor executor_{"fleet"};
  HttpPeers peers_{fleet_[0].services, executor_};
};

TEST_F(HttpPeersTest, JobsAreAskedForAndGivenUp) {
  const std::string id = submit(1), own = submit(0);
  EXPECT_THAT(owned("N2", {id, own, k_id}).value(), ElementsAre(id));
  EXPECT_TRUE(disown("N2", {id, k_id}));
  EXPECT_THAT(owned("N2", {id}).value(), ElementsAre());
  EXPECT_EQ(fleet_[1].get("/v1/jobs/" + id).status, 404u);
  const std::string kept = submit(1);
  EXPECT_THAT(keep("N2", {kept, id}).value(), ElementsAre(kept));
  EXPECT_TRUE(disown("N2", {kept}));
  EXPECT_THAT(owned("N2", {kept}).value(), ElementsAre(kept));
  const auto nobody = owned("N7", {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().status, 502u);
  EXPECT_EQ(nobody.error().code, "peer-failed");
  EXPECT_THAT(nobody.error().detail, HasSubstr("N7"));
}

TEST_F(HttpPeersTest, AJobIsCopied) {
  const std::string id = submit(0);
  Answer<void> answer;
  executor_.post([&] { peers_.copy(fleet_[0].engine_rig.get(id).value(), answer.reply()); });
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(fleet_[1].engine_rig.file("jobs/" + id + "/input"), "P5\n2 2\n255\nabcd");
  EXPECT_EQ(fleet_[1].engine_rig.record_on_disk(id).owner, identity_of("N1"));
  EXPECT_EQ(fleet_[0].engine_rig.get(id)->holder, identity_of("N2"));
  Answer<void> lost;
  executor_.post([&] {
    jobs::JobRecord record = fleet_[0].engine_rig.get(id).value();
    record.id = k_id;
    peers_.copy(record, lost.reply());
  });
  EXPECT_FALSE(lost.get()) << "it is not here any more";
}

TEST_F(HttpPeersTest, SharesAndTablesOfADatasetAreFetched) {
  const std::string dataset = test::make_dataset(fleet_[1]);
  const auto made = std::make_shared<const std::vector<compute::KindTables>>(some_tables(65'536, 3, 2));
  for (const std::string& code :
       {share("N2", k_id).error().code, tables("N2", dataset, 3).error().code, stage("N2", k_id, 3, made).error().code})
    EXPECT_EQ(code, "not-found") << "the other node's own words";
  ASSERT_TRUE(stage("N2", dataset, 3, made));
  const auto back = tables("N2", dataset, 3);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_TRUE(**back == *made);
  submit(1, "/v1/datasets/" + dataset + "/images");
  const auto told = share("N2", dataset);
  ASSERT_TRUE(told) << told.error().detail;
  EXPECT_EQ(told->waiting, 1u);
  EXPECT_THAT(told->images, ElementsAre());
  EXPECT_EQ(told->tally, compute::Tally().to_bytes());
}

TEST_F(HttpPeersTest, AnswersMayBeAnything) {
  const std::string version = "Histod-Peer-Version: 1\r\n";
  const auto answering = [](const std::string& status, const std::string& fields, const std::string& body) {
    return [=](const ScriptedServer::Request&) {
      return ScriptedServer::Reply("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                                   "\r\n" + fields + "\r\n" + body);
    };
  };
  const struct {
    std::string status, fields, body, says;
  } cases[] = {{"200 OK", "", ids_text({k_id}), "another version"},
               {"200 OK", "Histod-Peer-Version: 2\r\n", ids_text({k_id}), "another version"},
               {"200 OK", version, "{}", "list of ids"},
               {"204 No", version, "", "list of ids"},
               {"302 No", version, "", "302"},
               {"500 No", version, "<html>", "500"},
               {"409 No", version, R"({"type":"urn:histod:problem:conflict","status":409,"detail":"its own words"})",
                "its own words"}};
  for (const auto& one : cases) {
    ScriptedServer other(answering(one.status, one.fields, one.body));
    fleet_.publish({{"N3", test::url_of(other)}});
    const auto told = owned("N3", {k_id});
    ASSERT_FALSE(told) << one.says;
    EXPECT_THAT(told.error().detail, HasSubstr(one.says));
  }
  ScriptedServer large([](const auto&) {
    return ScriptedServer::Reply("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nHistod-Peer-Version: 1\r\n\r\n");
  });
  fleet_.publish({{"N3", test::url_of(large)}});
  EXPECT_EQ(owned("N3", {k_id}).error().code, "peer-failed");
  ScriptedServer good(answering("200 OK", version, ids_text({k_id})));
  fleet_.publish({{"N3", test::url_of(good)}});
  EXPECT_THAT(owned("N3", {k_id}).value(), ElementsAre(k_id));
}

}  // namespace
}  // namespace histod::daemon
