// SPDX-License-Identifier: Apache-2.0
// 202 says that several nodes have it.
#include "daemon/copies.hpp"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/node_metrics.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/trace_context.hpp"
#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon {
namespace {

using test::ApiRig;
using test::Fields;
using test::FleetRig;
using test::identity_of;
using test::ScriptedServer;
using test::Told;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string k_image = "P5\n2 2\n255\nabcd", k_mask = "P5\n2 2\n255\n\xff\xff\xff\xff";

using Copies = std::map<std::string, std::vector<std::string>>;
Copies copies(ApiRig& node) { return node.engine_rig.ask<Copies>(&jobs::Engine::copies).value(); }
std::vector<std::string> own_ids(ApiRig& node) {
  return node.engine_rig.ask<std::vector<std::string>>(&jobs::Engine::own_ids).value();
}

Told send(ApiRig& node, const std::string& key = {}) {
  return node.post("/v1/jobs", "", k_image, {{"Idempotency-Key", key}});
}
std::string accepted(const Told& told) {
  EXPECT_EQ(told.status, 202u) << told.body;
  return told.status == 202 ? std::string(told.json().at("id").as_string()) : "";
}
ScriptedServer::Reply full(const ScriptedServer::Request& /*request*/) {
  return {std::string("HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n")};
}

TEST(Holders, AreTheNextInTheRingOfNames) {
  FleetSnapshot fleet;
  for (const char* name : {"a", "c", "d", "f"}) fleet.members.push_back({.name = name, .identity = identity_of(name)});
  const auto names = [&](const char* self) {
    fleet.self = self;
    std::string out;
    for (const auto& holder : holders(fleet)) out += holder.name;
    return out;
  };
  EXPECT_EQ(names("a"), "cdf");
  EXPECT_EQ(names("d"), "fac");
  EXPECT_EQ(names("f"), "acd");
  EXPECT_EQ(names("b"), "cdfa") << "not a member yet";
  EXPECT_EQ(names("g"), "acdf");
  fleet.members[1].identity.clear();
  EXPECT_EQ(names("a"), "df") << "nobody could say whose copy it has";
  fleet.members = {{.name = "a", .identity = "x"}};
  EXPECT_EQ(names("a"), "");
}

TEST(CopyField, ComesBackAsItWasSubmitted) {
  jobs::JobRecord record;
  record.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  record.owner = identity_of("N1");
  record.created_ms = 17;
  record.options = {{"rule", "exact"}};
  record.input = {4, std::string(64, 'a'), "", 0, 0, "räum \"e\".png", 3, std::string(64, 'b')};
  record.idempotency_sha256 = record.request_sha256 = std::string(64, 'c');
  record.dataset = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
  EXPECT_EQ(parse_copy_field(copy_field(record)).value(), record);
  jobs::JobRecord later = record;
  later.state = jobs::JobState::counted;
  later.counted = true;
  later.attempts = 3;
  later.planes.resize(1'000);
  later.holder = identity_of("N2");
  EXPECT_EQ(parse_copy_field(copy_field(later)).value(), record) << "what became of it is no part of a copy";
  record.input.filename = std::string(12'000, 'n');
  EXPECT_LT(copy_field(record).size(), 2'000u) << "what is for display only does not fill a header section";
  record.input.filename.clear();
  const std::string field = copy_field(record);
  for (std::size_t cut = 0; cut < field.size(); ++cut) EXPECT_FALSE(parse_copy_field(field.substr(0, cut)));
  for (const char* bad : {"====", "a===", "AAAA", "\x80\x80\x80\x80", "=AAA", "AA=A"})
    EXPECT_FALSE(parse_copy_field(bad));
  EXPECT_FALSE(parse_copy_field(std::string(20'000, 'A')));
}

TEST(CopiesTest, AcceptedIsOnAnotherNodesDiskToo) {
  FleetRig fleet(3);
  declare_metrics(fleet[0].services);
  const Told told = send(fleet[0]);
  const std::string id = accepted(told);
  EXPECT_THAT(told.field("Server-Timing"), HasSubstr("copy;dur="));
  EXPECT_EQ(copies(fleet[1]), (Copies{{identity_of("N1"), {id}}}));
  EXPECT_EQ(copies(fleet[2]), Copies());
  EXPECT_EQ(fleet[1].engine_rig.file("jobs/" + id + "/input"), k_image);
  EXPECT_EQ(fleet[1].engine_rig.record_on_disk(id).owner, identity_of("N1"));
  EXPECT_THAT(own_ids(fleet[1]), ElementsAre());
  EXPECT_EQ(fleet[0].engine_rig.get(id)->holder, identity_of("N2"));
  const std::string third = accepted(send(fleet[2]));
  EXPECT_EQ(copies(fleet[0]), (Copies{{identity_of("N3"), {third}}})) << "behind the last comes the first";
  const std::string text = fleet[0].get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("histod_copies_sent_total 1\n"));
  EXPECT_THAT(text, HasSubstr("histod_copies_failed_total 0\n"));
  EXPECT_THAT(text, HasSubstr("histod_copies_sent_bytes_total 15\n"));
}

TEST(CopiesTest, AMaskGoesWithItsImage) {
  FleetRig fleet(2);
  const auto part = [](const std::string& name, const std::string& body) {
    return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"a.pgm\"\r\n\r\n" + body + "\r\n";
  };
  const std::string id =
      accepted(fleet[0].post("/v1/jobs", "", part("mask", k_mask) + part("image", k_image) + "--b--\r\n",
                             {{"Content-Type", "multipart/form-data; boundary=b"}}));
  EXPECT_EQ(fleet[1].engine_rig.file("jobs/" + id + "/input"), k_image);
  EXPECT_EQ(fleet[1].engine_rig.file("jobs/" + id + "/mask"), k_mask);
  EXPECT_EQ(fleet[1].engine_rig.record_on_disk(id).input.filename, "a.pgm");
}

TEST(CopiesTest, WhoDoesNotTakeItIsFollowedByTheNext) {
  FleetRig fleet(2);
  ScriptedServer refusing(full);
  fleet.publish({{"N1A", url_of(refusing)}, {"N1B", "http://127.0.0.1:1"}, {"N1C", "nonsense"}});
  const std::string id = accepted(send(fleet[0]));
  EXPECT_EQ(refusing.requests(), 1);
  EXPECT_EQ(copies(fleet[1]), (Copies{{identity_of("N1"), {id}}}));
  EXPECT_EQ(fleet[0].services.copies.failed, 3u);
  EXPECT_EQ(fleet[0].services.copies.kept, 1u);
}

TEST(CopiesTest, AreSentInTheTraceOfTheRequest) {
  FleetRig fleet(1);
  std::vector<std::string> heads;
  ScriptedServer holder([&](const ScriptedServer::Request& request) {
    heads.push_back(request.head);
    return ScriptedServer::Reply("HTTP/1.1 204 No Content\r\n\r\n");
  });
  fleet.publish({{"N2", url_of(holder)}});
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", sent = "00-" + trace + "-00f067aa0ba902b7-01";
  const auto post = [&](const Fields& fields) { return fleet[0].post("/v1/jobs", "", k_image, fields); };
  EXPECT_EQ(post({{"Traceparent", sent}}).json().at("trace_id").as_string(), trace);
  EXPECT_FALSE(post({}).json().contains("trace_id"));
  EXPECT_FALSE(post({{"traceparent", sent}, {"TraceParent", sent}}).json().contains("trace_id")) << "two of them";
  ASSERT_EQ(heads.size(), 3u);
  const auto told = [&](std::size_t i) {
    const auto at = heads[i].find("\r\ntraceparent: ");
    return at == std::string::npos ? "none" : parse_traceparent(heads[i].substr(at + 15, 55));
  };
  EXPECT_EQ(trace_id(told(0)), trace);
  EXPECT_NE(told(0), sent) << "a parent of its own";
  EXPECT_TRUE(is_sampled(told(0)));
  for (const std::size_t i : {1, 2}) {
    EXPECT_FALSE(told(i).empty()) << "the nodes' own";
    EXPECT_NE(trace_id(told(i)), trace);
  }
  const auto field = heads[0].find("Histod-Record: ") + 15;
  const auto record = parse_copy_field(heads[0].substr(field, heads[0].find('\r', field) - field));
  EXPECT_EQ(record.value().traceparent, sent);
}

TEST(CopiesTest, WhatNobodyTakesIsNotAccepted) {
  FleetRig fleet(1);
  ScriptedServer one(full), other(full);
  fleet.publish({{"N2", url_of(one)}, {"N3", url_of(other)}});
  const Told told = send(fleet[0], "key");
  EXPECT_EQ(told.status, 503u);
  EXPECT_EQ(told.code(), "no-replica");
  EXPECT_EQ(told.field("Retry-After"), "1");
  EXPECT_EQ(told.json().at("value").to_number<int>(), 2) << "were asked";
  EXPECT_THAT(own_ids(fleet[0]), ElementsAre());
  EXPECT_EQ(fleet[0].services.copies.refused, 1u);
  fleet.publish();
  const Told again = send(fleet[0], "key");
  accepted(again);
  EXPECT_EQ(again.field("Idempotency-Replayed"), "") << "the first one is forgotten";
}

TEST(CopiesTest, AsManyNodesKeepItAsAreAskedFor) {
  FleetRig fleet(3);
  fleet[0].options.replicas = 3;
  accepted(send(fleet[0]));
  EXPECT_EQ(copies(fleet[1]).size() + copies(fleet[2]).size(), 2u);
  fleet[1].options.replicas = 1;
  EXPECT_EQ(accepted(send(fleet[1])).size(), 26u);
  EXPECT_EQ(fleet[1].services.copies.kept, 0u);
  FleetRig two(2);
  two[0].options.replicas = 3;
  accepted(send(two[0]));
  EXPECT_EQ(copies(two[1]).size(), 1u) << "more there are not";
  FleetRig one(1);
  EXPECT_EQ(accepted(send(one[0])).size(), 26u) << "a fleet of one";
}

TEST(CopiesTest, ARepeatedRequestSeesToItsCopy) {
  FleetRig fleet(3);
  const std::string id = accepted(send(fleet[0], "key"));
  Told again = send(fleet[0], "key");
  EXPECT_EQ(accepted(again), id);
  EXPECT_EQ(again.field("Idempotency-Replayed"), "true");
  EXPECT_EQ(fleet[0].services.copies.kept, 1u) << "its holder is there";
  ScriptedServer refusing(full);
  // N2 has come back with another spool.
  FleetSnapshot changed = *fleet[0].services.fleet.read();
  changed.members[1].identity = identity_of("ANEW");
  changed.members[1].address = url_of(refusing);
  fleet[0].services.fleet.publish(std::make_shared<const FleetSnapshot>(changed));
  EXPECT_EQ(accepted(send(fleet[0], "key")), id);
  EXPECT_EQ(copies(fleet[2]), (Copies{{identity_of("N1"), {id}}}));
  changed.members.resize(2);
  fleet[0].services.fleet.publish(std::make_shared<const FleetSnapshot>(changed));
  EXPECT_EQ(send(fleet[0], "key").code(), "no-replica");
  EXPECT_THAT(own_ids(fleet[0]), ElementsAre(id)) << "somebody was told that it is accepted";
  fleet[0].engine_rig.engine->resume();
  fleet[0].engine_rig.finish(fleet[0].engine_rig.attempts.next().id);
  EXPECT_EQ(accepted(send(fleet[0], "key")), id) << "what has ended needs no copy";
}

TEST(CopiesTest, ARemovedJobIsRemovedFromItsHoldersToo) {
  FleetRig fleet(3);
  fleet[0].options.replicas = 3;
  test::make_dataset(fleet[1]);
  const std::string images = "/v1/datasets/" + test::make_dataset(fleet[0]) + "/images";
  const auto remove = [&](ApiRig& asked, const std::string& id) {
    return asked.ask({.method = "DELETE", .path = "/v1/jobs/" + id}).status;
  };
  for (const std::size_t asked : {0u, 2u}) {
    const std::string job = accepted(send(fleet[0]));
    const std::string image = accepted(fleet[0].post(images, "", k_image));
    EXPECT_EQ(copies(fleet[1]).at(identity_of("N1")).size(), 2u);
    EXPECT_EQ(copies(fleet[2]).at(identity_of("N1")).size(), 2u);
    EXPECT_EQ(remove(fleet[asked], job), 204u);
    EXPECT_EQ(copies(fleet[1]), (Copies{{identity_of("N1"), {image}}}));
    EXPECT_EQ(remove(fleet[asked], image), 204u);
    EXPECT_EQ(copies(fleet[1]), Copies());
    EXPECT_EQ(copies(fleet[2]), Copies());
    EXPECT_EQ(remove(fleet[asked], image), 404u);
  }
  EXPECT_EQ(fleet[0].services.copies.unreleased, 0u);
}

TEST(CopiesTest, AHolderThatDoesNotAnswerDoesNotPreventARemoval) {
  FleetRig fleet(1);
  declare_metrics(fleet[0].services);
  std::string asked;
  ScriptedServer holder([&](const ScriptedServer::Request& request) {
    if (request.head.starts_with("PUT")) return ScriptedServer::Reply("HTTP/1.1 204 No Content\r\n\r\n");
    asked = request.head;
    return ScriptedServer::Reply("");
  });
  fleet.publish({{"N2", url_of(holder)}});
  const std::string id = accepted(send(fleet[0]));
  EXPECT_EQ(fleet[0].ask({.method = "DELETE", .path = "/v1/jobs/" + id}).status, 204u);
  EXPECT_THAT(asked, HasSubstr("DELETE /v1/peer/copies/" + id + "?removed=1 HTTP/1.1\r\n"));
  EXPECT_THAT(asked, HasSubstr("Histod-Peer-Version: 1\r\n"));
  EXPECT_THAT(asked, HasSubstr("Authorization: Bearer " + std::string(test::k_peer_token)));
  EXPECT_THAT(own_ids(fleet[0]), ElementsAre());
  EXPECT_THAT(fleet[0].get("/metrics").body, HasSubstr("histod_copies_unreleased_total 1\n"));
}

TEST(CopiesTest, WhatIsNotAcceptedLeavesNoCopies) {
  FleetRig fleet(2);
  fleet[0].options.replicas = 3;
  std::atomic<int> dropped = 0;
  // It has taken the copy, and that is not what arrives.
  ScriptedServer unclear([&](const ScriptedServer::Request& request) {
    dropped += request.head.starts_with("DELETE") ? 1 : 0;
    return full(request);
  });
  fleet.publish({{"N3", url_of(unclear)}});
  EXPECT_EQ(send(fleet[0]).code(), "no-replica");
  EXPECT_EQ(fleet[0].services.copies.kept, 1u);
  EXPECT_EQ(copies(fleet[1]), Copies());
  EXPECT_EQ(dropped, 1);
}

TEST(CopiesTest, WhatAnotherRequestWasToldOfKeepsItsCopies) {
  FleetRig fleet(2);
  fleet[0].options.replicas = 3;
  std::string id;
  ScriptedServer slow([&](const ScriptedServer::Request& request) {
    if (id.empty() && request.head.starts_with("PUT")) id = accepted(send(fleet[0], "key"));
    return full(request);
  });
  fleet.publish({{"N3", url_of(slow)}});
  EXPECT_EQ(send(fleet[0], "key").code(), "no-replica");
  EXPECT_THAT(own_ids(fleet[0]), ElementsAre(id));
  EXPECT_EQ(copies(fleet[1]), (Copies{{identity_of("N1"), {id}}}));
}

/// A PUT of a copy as a node would send it, and with what is wrong.
test::Ask copy_of(const jobs::JobRecord& record, const std::string& body) {
  return {.method = "PUT",
          .path = "/v1/peer/copies/" + record.id,
          .token = std::string(test::k_peer_token),
          .fields = {{std::string(k_copy_field), copy_field(record)}, {std::string(k_peer_version_field), "1"}},
          .body = body};
}

TEST(PeerRoutes, ACopyIsWhatItsRecordSays) {
  FleetRig fleet(2);
  fleet[0].options.replicas = 1;
  jobs::JobRecord record = fleet[0].engine_rig.get(accepted(send(fleet[0]))).value();
  record.owner = identity_of("N1");
  ApiRig& holder = fleet[1];
  EXPECT_EQ(holder.ask(copy_of(record, k_image + "x")).code(), "bad-request");
  EXPECT_EQ(holder.ask(copy_of(record, k_image.substr(1))).code(), "bad-request");
  EXPECT_EQ(holder.ask(copy_of(record, "x" + k_image.substr(1))).code(), "bad-request");
  test::Ask ask = copy_of(record, k_image);
  ask.path.back() = ask.path.back() == '0' ? '1' : '0';
  EXPECT_EQ(holder.ask(ask).code(), "bad-request");
  ask = copy_of(record, k_image);
  ask.fields[0].second = "AAAA";
  EXPECT_THAT(holder.ask(ask).body, HasSubstr("Histod-Record: "));
  jobs::JobRecord huge = record;
  huge.input.bytes = ~std::uint64_t{0};
  huge.input.mask_bytes = k_image.size() + 1;
  huge.input.mask_sha256 = std::string(64, 'a');
  EXPECT_EQ(holder.ask(copy_of(huge, k_image)).code(), "bad-request");
  record.owner.clear();
  EXPECT_EQ(holder.ask(copy_of(record, k_image)).code(), "bad-request");
  record.owner = identity_of("N1");
  EXPECT_EQ(copies(holder), Copies());
  for (int i = 0; i < 2; ++i) {
    const Told told = holder.ask(copy_of(record, k_image));
    EXPECT_EQ(told.status, 204u) << told.body;
    EXPECT_EQ(told.field("Histod-Peer-Version"), "1");
  }
  EXPECT_EQ(copies(holder).size(), 1u);
  EXPECT_EQ(fleet[0].ask(copy_of(record, k_image)).code(), "conflict") << "whose own it is";
  ask = copy_of(record, {});
  ask.method = "DELETE";
  EXPECT_EQ(holder.ask(ask).status, 204u);
  EXPECT_EQ(copies(holder), Copies());
  ask.method = "POST";
  ask.path = "/v1/peer/keep";
  ask.body = R"({"ids":[]})";
  for (const char* const query : {"", "from=N1"}) {
    ask.query = query;
    EXPECT_EQ(holder.ask(ask).code(), "bad-request") << "who lets go must be told by its identity";
  }
}

TEST(PeerRoutes, AnotherVersionIsRefused) {
  FleetRig fleet(1);
  for (const char* version : {"", "0", "2", "1.0", "one"}) {
    for (const auto& [method, path] :
         {std::pair{"PUT", "/v1/peer/copies/01ARZ3NDEKTSV4RRFFQ69G5FAV"},
          std::pair{"DELETE", "/v1/peer/copies/01ARZ3NDEKTSV4RRFFQ69G5FAV"}, std::pair{"POST", "/v1/peer/owned"},
          std::pair{"POST", "/v1/peer/keep"}, std::pair{"POST", "/v1/peer/disown"}}) {
      const Told told = fleet[0].ask({.method = method,
                                      .path = path,
                                      .token = std::string(test::k_peer_token),
                                      .fields = {{std::string(k_peer_version_field), version}}});
      EXPECT_EQ(told.status, 400u);
      EXPECT_EQ(told.code(), "peer-version") << path;
      EXPECT_EQ(told.field("Histod-Peer-Version"), "1") << "so that the other one knows";
    }
  }
}

TEST(PeerVersion, IsUnderstoodWhenItSaysSo) {
  EXPECT_EQ(peer_version(), "1");
  for (const char* good : {"1", "2; since=1", "99; since=1", "1; since=1"}) EXPECT_TRUE(understands_peer(good)) << good;
  for (const char* bad : {"", "0", "2", "2; since=2", "2; since=0", "2; since=", "0; since=1", "1; since=2",
                          "2;since=1", "1.0", "one", "-1", " 1", "1 ", "99999999999; since=1"})
    EXPECT_FALSE(understands_peer(bad)) << bad;
  FleetRig fleet(1);
  const auto ask = [&](const std::string& version) {
    return fleet[0].ask({.method = "POST",
                         .path = "/v1/peer/owned",
                         .token = std::string(test::k_peer_token),
                         .fields = {{std::string(k_peer_version_field), version}},
                         .body = R"({"ids":[],"later":1})"});
  };
  EXPECT_EQ(ask("2; since=1").status, 200u);
  EXPECT_EQ(ask("2").code(), "peer-version");
}

TEST(PeerRoutes, AreForNodesOnlyAndWhoeverElseComesIsCounted) {
  FleetRig fleet(1);
  declare_metrics(fleet[0].services);
  const auto knock = [&](std::string_view token) {
    return fleet[0].ask({.method = "POST", .path = "/v1/peer/owned", .token = std::string(token), .body = "{}"}).status;
  };
  EXPECT_EQ(knock(""), 401u);
  EXPECT_EQ(knock("wrong-token-0123456789"), 401u);
  EXPECT_EQ(knock(test::k_admin_token), 403u);
  EXPECT_EQ(knock(test::k_peer_token), 400u) << "but no version";
  EXPECT_EQ(fleet[0].get("/v1/jobs").status, 200u);
  EXPECT_THAT(fleet[0].get("/metrics").body, HasSubstr("histod_security_events_total{kind=\"peer\"} 3\n"));
}

}  // namespace
}  // namespace histod::daemon
