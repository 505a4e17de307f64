// SPDX-License-Identifier: Apache-2.0
// Who may be called, what is sent, and what is made of the answers. The oracle of the signature is Python's hmac.
#include "daemon/webhooks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/executor.hpp"
#include "daemon/http_webhooks.hpp"
#include "tests/daemon/fleet_rig.hpp"

namespace histod::daemon {
namespace {

using jobs::Outcome;
using test::Answer;
using test::ScriptedServer;
using testing::HasSubstr;

const std::string k_key = "0123456789abcdef-key", k_body = R"({"dataset":"01ARZ3NDEKTSV4RRFFQ69G5FAV","revision":3})";
/// python3 -c 'import hmac; print(hmac.new(KEY, BODY, "sha256").hexdigest())'
constexpr std::string_view k_signature = "sha256=2a0ef405ba346eb135f045abcf5e65bd2e32b3cdc6ea9329d54e58e4408c7d95";

Webhooks webhooks(const std::string& allowed) { return {Webhooks::parse_allowed(allowed).value(), k_key}; }

TEST(WebhookUrl, IsAnEndpointAndAPath) {
  const auto url = parse_webhook("https://ci.example:8443/done/a%20b?job=7&x=y");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->endpoint, (net::http::Endpoint{true, "ci.example", 8443}));
  EXPECT_EQ(url->target, "/done/a%20b?job=7&x=y");
  EXPECT_EQ(parse_webhook("http://[::1]:81").value().target, "/");
  EXPECT_EQ(webhook_host("http://ci.example/secret"), "http://ci.example:80");
  EXPECT_EQ(webhook_host("nonsense"), "");
  for (const std::string& bad :
       {std::string(), std::string("ci.example/done"), std::string("ftp://ci.example/"), std::string("//ci.example/"),
        std::string("http:///done"), std::string("http://user@ci.example/"), std::string("http://ci.example/a b"),
        std::string("http://ci.example/a\r\nX: y"), std::string("http://ci.example/#x"), std::string("http://0x7f.1/"),
        std::string("http://2130706433/"), std::string("http://ci.example?x"), std::string("http://ci.example:0/"),
        std::string("http://ci.example/\xc3\xa9"), "http://ci.example/" + std::string(1'000, 'x')})
    EXPECT_FALSE(parse_webhook(bad)) << bad;
}

TEST(Webhooks, CallOnlyWhomTheyMay) {
  const Webhooks some = webhooks("ci.example,10.0.0.7:8080,[fd00::1]:90,[fd00::2]");
  for (const char* good :
       {"http://ci.example/x", "https://ci.example/x", "http://CI.Example:80/", "https://ci.example:443",
        "http://10.0.0.7:8080/", "https://10.0.0.7:8080/", "http://[fd00::1]:90/", "http://[fd00::2]/"})
    EXPECT_TRUE(some.check(good)) << good;
  for (const char* bad :
       {"http://ci.example:8080/", "http://ci.example:443/", "http://ci.example.evil/", "http://evil.ci.example/",
        "http://10.0.0.7/", "http://10.0.0.70:8080/", "http://127.0.0.1/", "http://[fd00::1]/", "http://[::1]/"})
    EXPECT_THAT(some.check(bad).error(), HasSubstr("--webhook-allow")) << bad;
  EXPECT_THAT(some.check("gopher://ci.example/").error(), HasSubstr("http://"));
  for (const char* bad : {"", "a,", ",a", "a/b", "http://a", "a:0", "a:b", "a b", "*", "[::1"})
    EXPECT_FALSE(Webhooks::parse_allowed(bad)) << bad;
}

TEST(Webhooks, SignWhatTheySend) {
  EXPECT_EQ(webhooks("ci.example").signature(k_body), k_signature);
  EXPECT_EQ(webhooks("ci.example").signature(""),
            "sha256=942eddd2266f86edc87930cc7bf27dcad3ac45fbdc02f0c334f04e47cde34b46");
}

TEST(Webhooks, AreKeptInTheRecord) {
  jobs::DatasetRecord record;
  record.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  EXPECT_THAT(jobs::encode_dataset(record), testing::Not(HasSubstr("webhook")))
      << "as releases before this one wrote it";
  record.webhook = "http://ci.example/done";
  record.notified_revision = 7;
  EXPECT_EQ(jobs::decode_dataset(jobs::encode_dataset(record)).value(), record);
}

TEST(Webhooks, TellWhatIsDone) {
  EXPECT_EQ(announcement({"01ARZ3NDEKTSV4RRFFQ69G5FAV", "http://ci.example/", 3, "sha-256=ab", 12, 1}),
            R"({"dataset":"01ARZ3NDEKTSV4RRFFQ69G5FAV","revision":3,"digest":"sha-256=ab","images":12,"failed":1})");
}

class HttpWebhooksTest : public testing::Test {
 protected:
  HttpWebhooksTest() { allow({}); }
  void allow(const std::string& host) {
    services().webhooks = std::make_unique<const Webhooks>(webhooks(host.empty() ? url_of(server_).substr(7) : host));
  }
  Services& services() { return node_.rig.services; }
  Outcome<void> call(const std::string& url) {
    Answer<void> answer;
    executor_.post([&] { http_.call(url, k_body, "", answer.reply()); });
    return answer.get();
  }
  std::string url() const { return url_of(server_) + "/done?job=7"; }
  std::pair<std::uint64_t, std::uint64_t> counts() {
    return {services().webhook_stats.sent.load(), services().webhook_stats.failed.load()};
  }

  std::string answer_ = test::ok_answer("");
  ScriptedServer::Request heard_;
  ScriptedServer server_{[this](const ScriptedServer::Request& request) {
    heard_ = request;
    return ScriptedServer::Reply(answer_);
  }};
  test::ListeningRig node_{"N1"};
  ThreadExecutor executor_{"fleet"};
  HttpWebhooks http_{services(), executor_};
};

TEST_F(HttpWebhooksTest, AReceiverIsTold) {
  for (const char* status : {"200 OK", "201 Created", "204 No Content"}) {
    const std::string length = std::string_view(status).starts_with("204") ? "" : "Content-Length: 0\r\n";
    answer_ = "HTTP/1.1 " + std::string(status) + "\r\n" + length + "\r\n";
    EXPECT_TRUE(call(url())) << status;
  }
  EXPECT_TRUE(heard_.head.starts_with("POST /done?job=7 HTTP/1.1\r\n")) << heard_.head;
  EXPECT_THAT(heard_.head, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(heard_.head, HasSubstr("Histod-Signature: " + std::string(k_signature) + "\r\n"));
  EXPECT_THAT(heard_.head, testing::Not(HasSubstr("Authorization")));
  EXPECT_EQ(heard_.body, k_body);
  EXPECT_EQ(counts(), std::pair(std::uint64_t{3}, std::uint64_t{0}));
}

TEST_F(HttpWebhooksTest, WhoDoesNotTakeItIsTold) {
  const std::string elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
  for (const std::string& answer :
       {std::string("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), elsewhere, std::string("nonsense\r\n\r\n"),
        std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")}) {
    answer_ = answer;
    const auto failed = call(url());
    ASSERT_FALSE(failed) << answer;
    EXPECT_EQ(failed.error().code, "webhook-failed");
  }
  EXPECT_EQ(counts(), std::pair(std::uint64_t{0}, std::uint64_t{5}));
}

TEST_F(HttpWebhooksTest, NobodyElseIsCalled) {
  allow("ci.example");
  const auto refused = call(url());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("--webhook-allow"));
  EXPECT_EQ(server_.requests(), 0);
}

TEST_F(HttpWebhooksTest, DatasetsMayAskForIt) {
  const auto refusal = [&](const std::string& url) {
    const test::Told told = node_.rig.post("/v1/datasets", "webhook=" + url, {});
    EXPECT_EQ(told.status, 400u) << told.body;
    return told.body;
  };
  EXPECT_THAT(refusal("http://127.0.0.1:1/"), HasSubstr("none of those"));
  EXPECT_THAT(refusal("nowhere"), HasSubstr("must begin with http"));
  services().webhooks = nullptr;
  EXPECT_THAT(refusal(url_of(server_)), HasSubstr("--webhook-allow is not set"));
}

}  // namespace
}  // namespace histod::daemon
