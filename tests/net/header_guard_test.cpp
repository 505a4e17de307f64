// SPDX-License-Identifier: Apache-2.0
#include "net/http/header_guard.hpp"

#include <set>

#include <gtest/gtest.h>

#include "net/http/head_parser.hpp"
#include "tests/net/guard_corpus.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

using net::http::find_header_end;
using net::http::guard_header;
using net::http::GuardLimits;
using net::http::split_target;

TEST(HeaderGuard, TheCorpusIsLargeAndItsNamesAreUnique) {
  std::set<std::string> names;
  std::size_t refused = 0;
  for (const GuardCase& guard_case : guard_corpus()) {
    EXPECT_TRUE(names.insert(guard_case.name).second) << guard_case.name;
    refused += guard_case.status != 0;
  }
  EXPECT_GE(refused, 60u);
}

/// Every payload over a socket with an innocent request behind it: refused ones get one response and the connection
/// ends, good ones get two. What was hidden in a body is never taken for a request.
TEST(HeaderGuard, NothingOfTheCorpusIsAcceptedAndDesynced) {
  TestServer server;
  for (const GuardCase& guard_case : guard_corpus()) {
    SCOPED_TRACE(guard_case.name);
    server.on_loop([&] { server.handler().handled.clear(); });
    HttpClient client(server.port());
    client.send(guard_case.bytes + k_innocent);
    const auto first = client.read();
    ASSERT_TRUE(first);
    std::vector<std::string> expected;
    if (guard_case.status == 0) {
      EXPECT_EQ(first->status, 200u) << first->body;
      const auto second = client.read();
      ASSERT_TRUE(second);
      EXPECT_EQ(second->field("x-path"), "/innocent");
      expected = {first->field("x-path"), "/innocent"};
    } else {
      EXPECT_EQ(first->status, guard_case.status) << first->body;
      EXPECT_EQ(first->field("connection"), "close");
      EXPECT_EQ(client.read_to_end(), "");
    }
    server.on_loop([&] { EXPECT_EQ(server.handler().handled, expected); });
  }
}

TEST(HeaderGuard, TheCorpusByteByByteIsRefusedAsWell) {
  TestServer server;
  for (const GuardCase& guard_case : guard_corpus()) {
    SCOPED_TRACE(guard_case.name);
    if (guard_case.bytes.size() > 500) continue;
    HttpClient client(server.port());
    for (const char c : guard_case.bytes + k_innocent) {
      if (!client.send({&c, 1})) break;
    }
    const auto first = client.read();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, guard_case.status == 0 ? 200u : guard_case.status);
  }
}

TEST(HeaderGuard, ReadsWhatBearsOnFraming) {
  const auto head = guard_header(
      "PUT /a/b%20c?d=e?f HTTP/1.1\r\nHost: h:80\r\nCONTENT-LENGTH: 007\r\nExpect: 100-Continue\r\n\r\n", {});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "PUT");
  EXPECT_EQ(head->target, "/a/b%20c?d=e?f");
  EXPECT_EQ(head->path, "/a/b%20c");
  EXPECT_EQ(head->query, "d=e?f");
  EXPECT_EQ(head->host, "h:80");
  EXPECT_EQ(head->content_length, 7u);
  EXPECT_TRUE(head->expect_continue);
  EXPECT_FALSE(head->chunked);
  EXPECT_EQ(head->fields, 3u);
  const auto old = guard_header("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", {});
  ASSERT_TRUE(old);
  EXPECT_EQ(old->version_minor, 0u);
  EXPECT_FALSE(old->expect_continue) << "HTTP/1.0 knows no expectations";
}

TEST(HeaderGuard, TheEndIsFoundAtEverySplit) {
  const std::string section = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  const std::string data = section + "body\n\n";
  for (std::size_t split = 0; split < section.size(); ++split) {
    std::size_t scanned = 0;
    const auto first = find_header_end(std::string_view(data).substr(0, split), scanned, {});
    ASSERT_TRUE(first) << split;
    EXPECT_EQ(*first, 0u) << split;
    const auto whole = find_header_end(data, scanned, {});
    ASSERT_TRUE(whole) << split;
    EXPECT_EQ(*whole, section.size()) << split;
  }
}

TEST(HeaderGuard, RefusesAsSoonAsNothingGoodCanFollow) {
  for (const std::string bad : {"\n", "\r", " ", "GET / HTTP/1.1\n", "GET\r ", "GET /\x01", "{"}) {
    std::size_t scanned = 0;
    EXPECT_FALSE(find_header_end(bad, scanned, {})) << bad;
  }
}

TEST(HeaderGuard, NamesValueAndLimit) {
  const GuardLimits limits{.header_bytes = 100, .header_fields = 2, .target_bytes = 10};
  const auto large = guard_header("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100, 'x') + "\r\n\r\n", limits);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().status, 431u);
  EXPECT_EQ(large.error().limit, 100u);
  EXPECT_GT(large.error().value, 100u);
  const auto many = guard_header("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n", limits);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().value, 3u);
  EXPECT_EQ(many.error().limit, 2u);
  const auto longer = guard_header("GET /0123456789 HTTP/1.1\r\nHost: a\r\n\r\n", limits);
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().status, 414u);
  EXPECT_EQ(longer.error().value, 11u);
}

TEST(HeaderGuard, EveryByteIsEitherAllowedInATargetOrRefused) {
  const std::string bad = "\"#<>\\^`{|}";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool good = byte > 0x20 && byte < 0x7f && bad.find(c) == std::string::npos && c != '%';
    EXPECT_EQ(split_target("GET", std::string("/a") + c + "b").has_value(), good) << byte;
  }
}

TEST(HeaderGuard, EveryByteIsEitherATokenOrRefusedInAName) {
  const std::string tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string section =
        std::string("GET / HTTP/1.1\r\nHost: a\r\nX") + static_cast<char>(byte) + "Y: z\r\n\r\n";
    // A colon ends the name and is part of the value.
    const bool good = tokens.find(static_cast<char>(byte)) != std::string::npos || byte == ':';
    EXPECT_EQ(guard_header(section, {}).has_value(), good && byte != 0) << byte;
  }
}

TEST(HeaderGuard, SplitsTargets) {
  EXPECT_EQ(split_target("OPTIONS", "*")->path, "*");
  EXPECT_FALSE(split_target("GET", "*"));
  EXPECT_FALSE(split_target("GET", ""));
  EXPECT_EQ(split_target("GET", "/?")->query, "");
  EXPECT_EQ(split_target("GET", "HTTPS://h:1/p?q")->authority, "h:1");
  EXPECT_EQ(split_target("GET", "http://h/p?q")->path, "/p");
  EXPECT_FALSE(split_target("GET", "http://h"));
  EXPECT_FALSE(split_target("GET", "http://user@h/"));
  EXPECT_FALSE(split_target("GET", "/%"));
  EXPECT_FALSE(split_target("GET", "/a?%1"));
}

TEST(HeadParser, GivesTheFieldsWithoutCopyingThem) {
  const std::string section =
      "GET /x HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Long:  some value \t\r\nx-long: again\r\n\r\n";
  std::vector<net::http::Field> fields;
  const auto parsed = net::http::parse_head(section, {}, fields);
  ASSERT_TRUE(parsed);
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(fields[1].value, "");
  EXPECT_EQ(fields[2].value, "some value");
  EXPECT_GE(fields[2].value.data(), section.data());
  EXPECT_LT(fields[2].value.data(), section.data() + section.size());
  EXPECT_TRUE(parsed->keep_alive);
  net::http::RequestHead head;
  head.fields = fields;
  EXPECT_EQ(head.field("X-LONG"), "some value") << "the first of that name";
  EXPECT_EQ(head.field("absent"), "");
}

}  // namespace
}  // namespace histod::test
