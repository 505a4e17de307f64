// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/api.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/api_rig.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::Ask;
using test::Told;
using testing::HasSubstr;

struct Promise {
  const char* method;
  const char* path;  ///< an example
  Role role;         ///< the least that it takes
  BodyKind body;
};

/// The routes as they are promised; written down here a second time on purpose.
constexpr Promise k_promises[] = {
    {"POST", "/v1/equalize", Role::submit, BodyKind::image},
    {"POST", "/v1/histogram", Role::submit, BodyKind::image},
    {"POST", "/v1/echo", Role::submit, BodyKind::image},
    {"POST", "/v1/jobs", Role::submit, BodyKind::image},
    {"GET", "/v1/jobs", Role::read, BodyKind::none},
    {"GET", "/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::read, BodyKind::none},
    {"GET", "/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/result", Role::read, BodyKind::none},
    {"DELETE", "/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::submit, BodyKind::none},
    {"POST", "/v1/datasets", Role::submit, BodyKind::none},
    {"GET", "/v1/datasets", Role::read, BodyKind::none},
    {"GET", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::read, BodyKind::none},
    {"DELETE", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::submit, BodyKind::none},
    {"POST", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/images", Role::submit, BodyKind::image},
    {"GET", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/images", Role::read, BodyKind::none},
    {"POST", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/finalize", Role::submit, BodyKind::none},
    {"POST", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/apply", Role::submit, BodyKind::none},
    {"GET", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/lut", Role::read, BodyKind::none},
    {"PUT", "/v1/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/lut", Role::submit, BodyKind::tables},
    {"PUT", "/v1/peer/copies/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::peer, BodyKind::copy},
    {"DELETE", "/v1/peer/copies/01ARZ3NDEKTSV4RRFFQ69G5FAV", Role::peer, BodyKind::none},
    {"GET", "/v1/peer/keys/0123", Role::peer, BodyKind::none},
    {"POST", "/v1/peer/owned", Role::peer, BodyKind::ids},
    {"POST", "/v1/peer/keep", Role::peer, BodyKind::ids},
    {"POST", "/v1/peer/disown", Role::peer, BodyKind::ids},
    {"GET", "/v1/peer/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/share", Role::peer, BodyKind::none},
    {"GET", "/v1/peer/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/tables", Role::peer, BodyKind::none},
    {"PUT", "/v1/peer/datasets/01ARZ3NDEKTSV4RRFFQ69G5FAV/tables", Role::peer, BodyKind::tables},
    {"POST", "/v1/peer/parts/count", Role::peer, BodyKind::image},
    {"POST", "/v1/peer/parts/apply", Role::peer, BodyKind::image},
    {"GET", "/v1/streams", Role::read, BodyKind::none},
    {"GET", "/v1/streams/cam-1", Role::read, BodyKind::none},
    {"PUT", "/v1/streams/cam-1", Role::admin, BodyKind::settings},
    {"PATCH", "/v1/streams/cam-1", Role::admin, BodyKind::settings},
    {"DELETE", "/v1/streams/cam-1", Role::admin, BodyKind::none},
    {"GET", "/v1/streams/cam-1/preview", Role::read, BodyKind::none},
    {"GET", "/v1/streams/cam-1/sdp", Role::read, BodyKind::none},
    {"GET", "/v1/cluster", Role::read, BodyKind::none},
    {"GET", "/v1/node", Role::read, BodyKind::none},
    {"GET", "/v1/nodes", Role::read, BodyKind::none},
    {"POST", "/upload", Role::submit, BodyKind::image},
    {"GET", "/download/01ARZ3NDEKTSV4RRFFQ69G5FAV_final.png", Role::read, BodyKind::none},
    {"GET", "/health", Role::none, BodyKind::none},
    {"GET", "/ready", Role::none, BodyKind::none},
    {"POST", "/v1/peer/events", Role::peer, BodyKind::events},
    {"POST", "/v1/events", Role::events, BodyKind::events},
    {"GET", "/v1/events", Role::read, BodyKind::none},
    {"OPTIONS", "/v1/events", Role::none, BodyKind::none},
    {"POST", "/v1/tickets", Role::read, BodyKind::none},
    {"GET", "/healthz", Role::none, BodyKind::none},
    {"GET", "/readyz", Role::none, BodyKind::none},
    {"GET", "/metrics", Role::none, BodyKind::none},
    {"GET", "/openapi.yaml", Role::none, BodyKind::none},
    {"GET", "/", Role::none, BodyKind::none},
    {"GET", "/assets/page-0123.js", Role::none, BodyKind::none},
};

TEST(MatchRoute, FindsEveryPromisedRouteAndThereIsNoOther) {
  std::map<const Route*, int> found;
  for (const Promise& promise : k_promises) {
    const Match match = match_route(promise.method, promise.path);
    ASSERT_NE(match.route, nullptr) << promise.path;
    EXPECT_EQ(match.route->method, promise.method) << promise.path;
    EXPECT_EQ(match.route->role, promise.role) << promise.path;
    EXPECT_EQ(match.route->body, promise.body) << promise.path;
    ++found[match.route];
  }
  EXPECT_EQ(found.size(), routes().size()) << "a route without a promise, or two promises for one";
  EXPECT_EQ(found.size(), std::size(k_promises));
}

TEST(MatchRoute, HeadIsAsGet) {
  for (const Promise& promise : k_promises) {
    const Match head = match_route("HEAD", promise.path);
    const Match get = match_route("GET", promise.path);
    EXPECT_EQ(head.route, get.route) << promise.path;
    EXPECT_EQ(head.allowed, get.allowed) << promise.path;
  }
}

TEST(MatchRoute, SaysWhichMethodsThereAreWhenOnlyTheMethodIsWrong) {
  const std::pair<const char*, const char*> cases[] = {{"/v1/equalize", "POST"},
                                                       {"/v1/jobs", "POST, GET, HEAD"},
                                                       {"/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", "GET, HEAD, DELETE"},
                                                       {"/healthz", "GET, HEAD"},
                                                       {"/", "GET, HEAD"}};
  for (const auto& [path, allowed] : cases) {
    for (const char* method : {"PUT", "PATCH", "OPTIONS", "TRACE", "get", ""}) {
      const Match match = match_route(method, path);
      EXPECT_EQ(match.route, nullptr) << method << ' ' << path;
      EXPECT_EQ(match.allowed, allowed) << method << ' ' << path;
    }
  }
}

TEST(MatchRoute, KnowsNoOtherPath) {
  for (const char* path : {"",
                           "//",
                           "/v1",
                           "/v1/",
                           "/v1/jobs/",
                           "/v1/jobs//result",
                           "/v1/jobs/a/b",
                           "/v1/jobs/a/result/",
                           "/v1/jobs/a/results",
                           "/V1/jobs",
                           "/v1/equalize/",
                           "/v2/jobs",
                           "/assets/",
                           "/assets/a/b",
                           "/download/",
                           "/healthz/",
                           "/v1/%6Aobs",
                           "/v1/jobs/%",
                           "/v1/jobs/%zz",
                           "*"}) {
    const Match match = match_route("GET", path);
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_EQ(match.allowed, "") << path;
  }
}

TEST(MatchRoute, DecodesWhatStandsInThePath) {
  EXPECT_EQ(match_route("GET", "/v1/jobs/a%2Fb").parameter, "a/b");
  EXPECT_EQ(match_route("GET", "/v1/jobs/a+b/result").parameter, "a+b");
  EXPECT_EQ(match_route("GET", "/v1/jobs/..").parameter, "..");
}

class ApiTest : public testing::Test {
 protected:
  ApiTest() { rig_.options.bench = true; }
  ApiRig rig_;
};

TEST_F(ApiTest, EachRouteTakesItsRoleAndThoseAboveAndNobodyElse) {
  const std::pair<std::string_view, Role> senders[] = {{"", Role::none},
                                                       {test::k_read_token, Role::read},
                                                       {test::k_submit_token, Role::submit},
                                                       {test::k_admin_token, Role::admin}};
  for (const Promise& promise : k_promises) {
    for (const auto& [token, role] : senders) {
      const auto admission = rig_.admit({.method = promise.method, .path = promise.path, .token = std::string(token)});
      const std::string what = std::string(promise.method) + ' ' + promise.path + " as " + std::string(role_name(role));
      if (may_do(role, promise.role)) {
        ASSERT_TRUE(admission) << what << ": " << admission.error().body;
        const std::uint64_t bytes_max = promise.body == BodyKind::image      ? rig_.options.max_upload_bytes
                                        : promise.body == BodyKind::tables   ? std::uint64_t{32} << 20
                                        : promise.body == BodyKind::events   ? std::uint64_t{1} << 20
                                        : promise.body == BodyKind::settings ? std::uint64_t{64} << 10
                                                                             : 0;
        EXPECT_EQ(admission->bytes_max, bytes_max) << what;
        continue;
      }
      ASSERT_FALSE(admission) << what;
      EXPECT_EQ(admission.error().status, token.empty() ? 401u : 403u) << what;
      EXPECT_EQ(admission.error().code(), token.empty() ? "unauthorized" : "forbidden") << what;
      EXPECT_EQ(admission.error().content_type, "application/problem+json") << what;
    }
  }
}

TEST_F(ApiTest, AWrongTokenIsNobodyWhereverARoleIsNeeded) {
  int peer = 0;
  for (const Promise& promise : k_promises) {
    const auto admission = rig_.admit({.method = promise.method,
                                       .path = promise.path,
                                       .token = "wrong-token-0123456789",
                                       .peer = "192.0.2." + std::to_string(++peer)});
    if (promise.role == Role::none) {
      EXPECT_TRUE(admission) << promise.path;
      continue;
    }
    ASSERT_FALSE(admission) << promise.path;
    EXPECT_EQ(admission.error().status, 401u);
    EXPECT_EQ(admission.error().field("WWW-Authenticate"), "Bearer realm=\"histod\"");
  }
}

TEST_F(ApiTest, MetricsMayBeGuarded) {
  rig_.options.metrics_public = false;
  EXPECT_EQ(rig_.admit({.path = "/metrics", .token = ""}).error().status, 401u);
  EXPECT_TRUE(rig_.admit({.path = "/metrics", .token = std::string(test::k_read_token)}));
  EXPECT_TRUE(rig_.admit({.path = "/healthz", .token = ""}));
}

TEST_F(ApiTest, SaysWhyItRefuses) {
  const Told missing = rig_.admit({.path = "/v1/jobs", .token = ""}).error();
  EXPECT_EQ(missing.field("WWW-Authenticate"), "Bearer realm=\"histod\"");
  EXPECT_THAT(missing.body, HasSubstr("Authorization: Bearer"));
  const Told forbidden =
      rig_.admit({.method = "POST", .path = "/v1/jobs", .token = std::string(test::k_read_token)}).error();
  EXPECT_THAT(forbidden.body, HasSubstr("the token's role is read; this takes submit"));
  EXPECT_EQ(forbidden.field("WWW-Authenticate"), "");
  const Told unknown = rig_.admit({.path = "/nothing"}).error();
  EXPECT_EQ(unknown.status, 404u);
  EXPECT_EQ(unknown.code(), "not-found");
  EXPECT_EQ(unknown.field("Allow"), "");
  const Told method = rig_.admit({.method = "PUT", .path = "/v1/jobs"}).error();
  EXPECT_EQ(method.status, 405u);
  EXPECT_EQ(method.code(), "method-not-allowed");
  EXPECT_EQ(method.field("Allow"), "POST, GET, HEAD");
}

TEST_F(ApiTest, WhoeverGuessesTokensIsSlowedDownAndNobodyElse) {
  const Ask guess{.path = "/v1/jobs", .token = "wrong-token-0123456789", .peer = "198.51.100.7"};
  for (std::uint64_t i = 0; i < rig_.options.auth_failures_per_minute; ++i)
    EXPECT_EQ(rig_.admit(guess).error().status, 401u) << i;
  const Told limited = rig_.admit(guess).error();
  EXPECT_EQ(limited.status, 429u);
  EXPECT_EQ(limited.code(), "rate-limited");
  const int wait_s = std::stoi(limited.field("Retry-After"));
  EXPECT_GE(wait_s, 1);
  EXPECT_LE(wait_s, 60);
  EXPECT_EQ(limited.json().at("limit").to_number<std::uint64_t>(), rig_.options.auth_failures_per_minute);
  Ask right = guess;
  right.token = test::k_read_token;
  EXPECT_EQ(rig_.admit(right).error().status, 429u) << "a right guess must not be told from a wrong one";
  EXPECT_TRUE(rig_.admit({.path = "/healthz", .peer = guess.peer})) << "what is public stays so";
  right.peer = "198.51.100.8";
  EXPECT_TRUE(rig_.admit(right));
  right.peer = guess.peer;
  rig_.auth_now += std::chrono::seconds(wait_s);
  EXPECT_TRUE(rig_.admit(right));
}

TEST_F(ApiTest, ARefusedBodyClosesItsConnection) {
  const Ask refused[] = {{.method = "POST", .path = "/nothing"},
                         {.method = "PUT", .path = "/v1/jobs"},
                         {.method = "POST", .path = "/v1/jobs", .token = ""},
                         {.method = "POST", .path = "/v1/jobs", .token = std::string(test::k_read_token)}};
  for (Ask ask : refused) {
    EXPECT_FALSE(rig_.admit(ask).error().close) << "there is no body: the connection can go on";
    ask.body = "body";
    EXPECT_TRUE(rig_.admit(ask).error().close) << ask.method << ' ' << ask.path;
    ask.chunked = true;
    EXPECT_TRUE(rig_.admit(ask).error().close) << ask.method << ' ' << ask.path;
  }
}

TEST_F(ApiTest, AnUploadOverTheLimitIsRefusedWithIt) {
  rig_.options.max_upload_bytes = 10;
  const Told refused = rig_.post("/v1/equalize", "", "eleven bytes");
  EXPECT_EQ(refused.status, 413u);
  EXPECT_EQ(refused.code(), "too-large");
  EXPECT_EQ(refused.json().at("limit").to_number<int>(), 10);
  EXPECT_FALSE(refused.admitted);
  EXPECT_TRUE(rig_.post("/v1/equalize", "", "ten bytes!").admitted);
  EXPECT_EQ(rig_.ask({.path = "/v1/jobs", .body = "x"}).status, 413u) << "nothing is expected here";
}

/// Keeps the response, lease and all.
class KeepingSink final : public net::http::Responder::Sink {
 public:
  void respond(net::http::Response response) override { kept = std::move(response); }
  bool peer_gone() const override { return false; }
  void body_grew() override {}
  net::http::Response kept;
};

TEST_F(ApiTest, EchoAnswersWithTheBytesWhereTheyLie) {
  rig_.at_worker([&] {
    net::http::Request request;
    request.head.method = "POST";
    request.head.path = "/v1/echo";
    request.lease = rig_.worker().pool().lease(1'000);
    request.body = request.lease.bytes().subspan(100, 500);
    const std::byte* const at = request.body.data();
    const auto sink = std::make_shared<KeepingSink>();
    rig_.api().handle(std::move(request), net::http::Responder(sink));
    const auto& body = std::get<net::http::LeasedBytes>(sink->kept.body);
    EXPECT_EQ(body.lease.data() + body.offset, at);
    EXPECT_EQ(body.size, 500u);
    sink->kept = {};
  });
}

TEST_F(ApiTest, EchoAnswersWithAnyBytes) {
  for (const std::string& sent : {std::string(), std::string("\0\xff", 2), std::string(100'000, 'x')}) {
    const Told got = rig_.post("/v1/echo", "", sent);
    EXPECT_EQ(got.status, 200u);
    EXPECT_EQ(got.body, sent);
    EXPECT_EQ(got.content_type, "application/octet-stream");
  }
}

TEST_F(ApiTest, WithoutBenchThereIsNoEcho) {
  rig_.options.bench = false;
  for (const char* method : {"POST", "GET", "PUT"}) {
    const Told refused = rig_.admit({.method = method, .path = "/v1/echo", .body = "body"}).error();
    EXPECT_EQ(refused.status, 404u) << method;
    EXPECT_EQ(refused.code(), "not-found");
    EXPECT_TRUE(refused.close);
  }
}

TEST_F(ApiTest, ABusyWorkerRefusesImagesBeforeTheirBodies) {
  rig_.options.max_requests_queued = 1;
  net::Lease held;
  rig_.at_worker([&] { held = rig_.worker().pool().lease(ApiRig::k_budget_bytes - (2u << 16)); });
  auto first =
      rig_.begin({.method = "POST", .path = "/v1/equalize", .query = "format=png", .body = "P5\n2 2\n255\n1234"});
  while (rig_.at_worker([&] { return rig_.worker().pipeline().stats().memory_waits; }) == 0) std::this_thread::yield();
  for (const char* path : {"/v1/equalize", "/v1/histogram", "/v1/jobs", "/upload"}) {
    const auto admission = rig_.admit({.method = "POST", .path = path, .body = "image"});
    ASSERT_FALSE(admission) << path;
    EXPECT_EQ(admission.error().status, 503u);
    EXPECT_EQ(admission.error().code(), "overloaded");
    EXPECT_NE(admission.error().field("Retry-After"), "");
    EXPECT_TRUE(admission.error().close);
  }
  EXPECT_EQ(rig_.get("/healthz").status, 200u) << "what needs no memory is still answered";
  EXPECT_EQ(rig_.get("/v1/jobs").status, 200u);
  rig_.at_worker([&] { held.reset(); });
  EXPECT_EQ(first.get().status, 200u);
  EXPECT_TRUE(rig_.admit({.method = "POST", .path = "/v1/equalize", .body = "image"}));
}

TEST_F(ApiTest, WhatTheConnectionRefusesIsAProblemToo) {
  const auto response = rig_.at_worker([&] {
    return test::told(
        rig_.api().refusal(431, "too-large", "the header is too large, in bytes", 20'000, 16'384, nullptr), false);
  });
  EXPECT_EQ(response.status, 431u);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(response.code(), "too-large");
  EXPECT_EQ(response.json().at("value").to_number<int>(), 20'000);
  EXPECT_EQ(response.json().at("limit").to_number<int>(), 16'384);
}

}  // namespace
}  // namespace histod::daemon::api
