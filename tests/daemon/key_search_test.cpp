// SPDX-License-Identifier: Apache-2.0
// The same request at another node.
#include "daemon/api/key_search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/node_metrics.hpp"
#include "daemon/peer_message.hpp"
#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::FleetRig;
using test::identity_of;
using test::ScriptedServer;
using test::Told;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string k_pgm = "P5\n2 2\n255\nabcd";

Told post(ApiRig& node, const std::string& key, const std::string& path = "/v1/jobs", const std::string& body = k_pgm) {
  return node.post(path, "", body, {{"Idempotency-Key", key}});
}
std::string id_of(const Told& told, unsigned status = 202) {
  EXPECT_EQ(told.status, status) << told.body;
  return told.status == status ? std::string(told.json().at(status == 202 ? "id" : "job_id").as_string()) : "";
}
std::vector<std::string> own(ApiRig& node) {
  return node.engine_rig.ask<std::vector<std::string>>(&jobs::Engine::own_ids).value();
}
Told ask_for_key(ApiRig& node, const std::string& key, const std::string& version = "1") {
  return node.ask({.path = "/v1/peer/keys/" + jobs::sha256_hex(key),
                   .token = std::string(test::k_peer_token),
                   .fields = {{std::string(k_peer_version_field), version}}});
}

TEST(KeySearch, TheSameRequestAtAnotherNodeIsTheSameJob) {
  FleetRig fleet(3);
  declare_metrics(fleet[2].services);
  const std::string id = id_of(post(fleet[0], "key"));
  const Told again = post(fleet[2], "key");
  EXPECT_EQ(id_of(again), id);
  EXPECT_EQ(again.field("Idempotency-Replayed"), "true");
  EXPECT_EQ(again.field("Location"), "/v1/jobs/" + id);
  EXPECT_EQ(again.json().at("node").as_string(), "N1");
  EXPECT_EQ(again.body, post(fleet[0], "key").body);
  EXPECT_EQ(post(fleet[1], "key", "/v1/jobs", k_pgm + " ").code(), "conflict");
  EXPECT_EQ(fleet[1].post("/v1/jobs", "rule=exact", k_pgm, {{"Idempotency-Key", "key"}}).code(), "conflict");
  EXPECT_NE(id_of(post(fleet[2], "another-key")), id);
  EXPECT_THAT(own(fleet[0]), ElementsAre(id));
  EXPECT_THAT(own(fleet[1]), ElementsAre());
  EXPECT_EQ(own(fleet[2]).size(), 1u);
  const std::string text = fleet[2].get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("histod_idempotency_elsewhere_total 1\n"));
  EXPECT_THAT(text, HasSubstr("histod_idempotency_unsure_total 0\n"));
}

TEST(KeySearch, EveryFormOfARequestIsPassedOnAsItCame) {
  FleetRig fleet(2);
  const std::string uploaded = id_of(post(fleet[0], "upload", "/upload"), 200);
  EXPECT_EQ(id_of(post(fleet[1], "upload", "/upload"), 200), uploaded);
  test::make_dataset(fleet[1]);
  const std::string images = "/v1/datasets/" + test::make_dataset(fleet[0]) + "/images";
  EXPECT_EQ(id_of(post(fleet[1], "image", images)), id_of(post(fleet[0], "image", images)));
  const auto part = [](const std::string& name) {
    return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"a.pgm\"\r\n\r\n" + k_pgm + "\r\n";
  };
  const test::Fields fields{{"Content-Type", "multipart/form-data; boundary=b"}, {"Idempotency-Key", "form"}};
  const std::string body = part("mask") + part("image") + "--b--\r\n";
  const std::string form = id_of(fleet[0].post("/v1/jobs", "rule=exact", body, fields));
  EXPECT_EQ(id_of(fleet[1].post("/v1/jobs", "rule=exact", body, fields)), form);
  EXPECT_EQ(own(fleet[0]).size() + own(fleet[1]).size(), 3u);
}

TEST(KeySearch, WhoIsSilentIsNotWaitedForLong) {
  FleetRig fleet(1);
  ScriptedServer closes([](const ScriptedServer::Request& request) {
    return ScriptedServer::Reply(request.head.starts_with("PUT") ? "HTTP/1.1 204 No Content\r\n\r\n" : "");
  });
  ScriptedServer babbles([](const ScriptedServer::Request&) { return test::ok_answer(R"({"id":"x","owner":""})"); });
  fleet.publish({{"N2", test::url_of(closes)}, {"N3", test::url_of(babbles)}, {"N4", "nonsense"}});
  const std::string id = id_of(post(fleet[0], "key"));
  EXPECT_EQ(fleet[0].services.copies.keys_unsure, 1u) << "once for the request";
  const int asked = closes.requests() + babbles.requests();
  EXPECT_EQ(id_of(post(fleet[0], "key")), id);
  EXPECT_EQ(closes.requests() + babbles.requests(), asked) << "it is known here";
  fleet[0].options.replicas = 1;
  EXPECT_EQ(fleet[0].post("/v1/jobs", "", k_pgm).status, 202u);
  EXPECT_EQ(closes.requests() + babbles.requests(), asked) << "without a key nobody is asked";
}

TEST(KeySearch, AJobWhoseOwnerIsAwayIsWaitedFor) {
  FleetRig fleet(3);
  const std::string id = id_of(post(fleet[0], "key"));
  fleet.publish({{"N1", "http://127.0.0.1:1"}});
  for (const std::size_t asked : {1u, 2u}) {
    const Told told = post(fleet[asked], "key");
    EXPECT_EQ(told.code(), "unreachable");
    EXPECT_EQ(told.field("Retry-After"), "1");
  }
  EXPECT_EQ(fleet[1].engine_rig.ask<std::uint64_t>(&jobs::Engine::adopt, identity_of("N1")).value(), 1u);
  for (const std::size_t asked : {1u, 2u}) EXPECT_EQ(id_of(post(fleet[asked], "key")), id) << "taken over";
  EXPECT_THAT(own(fleet[2]), ElementsAre());
}

TEST(KeySearch, ACopyThatItsOwnerDoesNotKnowIsNoJob) {
  FleetRig fleet(3);
  const std::string id = id_of(post(fleet[0], "key"));
  // Withdrawn, and N2 has not heard of it.
  ASSERT_TRUE(fleet[0].engine_rig.ask<void>(&jobs::Engine::remove, id));
  EXPECT_NE(id_of(post(fleet[2], "key")), id);
  FleetRig two(2);
  const std::string first = id_of(post(two[0], "key"));
  ASSERT_TRUE(two[0].engine_rig.ask<void>(&jobs::Engine::remove, first));
  EXPECT_NE(id_of(post(two[1], "key")), first) << "nor where the copy is";
  FleetRig own_copy(2);
  const std::string mine = id_of(post(own_copy[0], "key"));
  ASSERT_TRUE(own_copy[0].engine_rig.ask<void>(&jobs::Engine::remove, mine));
  EXPECT_NE(id_of(post(own_copy[0], "key")), mine) << "nor where it was";
}

TEST(KeySearch, AnOwnerThatIsLostOnTheWayIsNotReplaced) {
  FleetRig fleet(1);
  std::string posted;
  ScriptedServer owner([&](const ScriptedServer::Request& request) {
    if (request.head.starts_with("GET"))
      return ScriptedServer::Reply(test::ok_answer(R"({"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","owner":"","later":1})"));
    posted = request.head + request.body;
    return ScriptedServer::Reply("");
  });
  fleet.publish({{"N2", test::url_of(owner)}});
  const Told told = fleet[0].post("/v1/jobs", "rule=exact", k_pgm, {{"Idempotency-Key", "key"}, {"X-Other", "o"}});
  EXPECT_EQ(told.code(), "unreachable");
  EXPECT_THAT(told.body, HasSubstr("N2"));
  EXPECT_THAT(posted, HasSubstr("POST /v1/jobs?rule=exact HTTP/1.1\r\n"));
  EXPECT_THAT(posted, HasSubstr("Idempotency-Key: key\r\n"));
  EXPECT_THAT(posted, HasSubstr("Histod-Forwarded: 1\r\n"));
  EXPECT_THAT(posted, HasSubstr(k_pgm));
  EXPECT_THAT(posted, Not(HasSubstr("X-Other")));
  EXPECT_THAT(own(fleet[0]), ElementsAre());
}

TEST(KeySearch, WhoIsAskedByANodeAsksNobody) {
  FleetRig fleet(2);
  id_of(post(fleet[0], "key"));
  const Told told = fleet[1].ask({.method = "POST",
                                  .path = "/v1/jobs",
                                  .token = std::string(test::k_peer_token),
                                  .fields = {{"Histod-Forwarded", "1"}, {"Idempotency-Key", "key"}},
                                  .body = k_pgm});
  EXPECT_EQ(told.json().at("node").as_string(), "N2");
  EXPECT_EQ(told.field("Idempotency-Replayed"), "");
}

TEST(PeerKeys, AreAnsweredToNodesOfThisVersion) {
  FleetRig fleet(2);
  const std::string id = id_of(post(fleet[0], "key"));
  const auto keyed = [](const Told& told) {
    EXPECT_EQ(told.field("Histod-Peer-Version"), "1");
    return parse_keyed(std::as_bytes(std::span(told.body))).value();
  };
  EXPECT_EQ(keyed(ask_for_key(fleet[0], "key")).job, id);
  EXPECT_EQ(keyed(ask_for_key(fleet[0], "key")).owner, "");
  EXPECT_EQ(keyed(ask_for_key(fleet[1], "key")).job, id);
  EXPECT_EQ(keyed(ask_for_key(fleet[1], "key")).owner, identity_of("N1"));
  EXPECT_EQ(ask_for_key(fleet[0], "other").status, 404u);
  EXPECT_EQ(ask_for_key(fleet[0], "key", "2").code(), "peer-version");
  ASSERT_TRUE(fleet[1].engine_rig.ask<void>(&jobs::Engine::release, std::vector<std::string>{id}));
  EXPECT_EQ(ask_for_key(fleet[1], "key").status, 404u);
}

TEST(KeyedMessage, ComesBackAsItWasAndNothingElseIsTaken) {
  const auto parse = [](const std::string& text) { return parse_keyed(std::as_bytes(std::span(text))); };
  const std::string id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  for (const std::string& owner : {std::string(), identity_of("N1")}) {
    const std::string text = keyed_text({id, owner});
    EXPECT_EQ(parse(text)->job, id);
    EXPECT_EQ(parse(text)->owner, owner);
    for (std::size_t cut = 0; cut < text.size(); ++cut) EXPECT_FALSE(parse(text.substr(0, cut)));
  }
  for (const char* bad : {"[]", "{}", R"({"id":1,"owner":""})", R"({"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"})",
                          R"({"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","owner":"x"})", R"({"id":"","owner":""})"})
    EXPECT_FALSE(parse(bad)) << bad;
}

}  // namespace
}  // namespace histod::daemon::api
