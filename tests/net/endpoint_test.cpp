// SPDX-License-Identifier: Apache-2.0
#include "net/http/endpoint.hpp"

#include <string>

#include <gtest/gtest.h>

namespace histod::test {
namespace {

using net::http::Endpoint;
using net::http::parse_endpoint;

TEST(Endpoint, ReadsUrls) {
  struct Case {
    const char* url;
    Endpoint endpoint;
    const char* authority;
  };
  const Case cases[] = {
      {"http://127.0.0.1:8080", {false, "127.0.0.1", 8080}, "127.0.0.1:8080"},
      {"https://node-1.example:1", {true, "node-1.example", 1}, "node-1.example:1"},
      {"http://a_b", {false, "a_b", 80}, "a_b:80"},
      {"https://3fa9b2c1d0e4", {true, "3fa9b2c1d0e4", 443}, "3fa9b2c1d0e4:443"},
      {"http://[::1]:65535", {false, "::1", 65535}, "[::1]:65535"},
      {"https://[fd00::2]", {true, "fd00::2", 443}, "[fd00::2]:443"},
      {"http://10.0.0.1.example:80", {false, "10.0.0.1.example", 80}, "10.0.0.1.example:80"},
  };
  for (const Case& one : cases) {
    const auto endpoint = parse_endpoint(one.url);
    ASSERT_TRUE(endpoint) << one.url << ": " << endpoint.error();
    EXPECT_EQ(*endpoint, one.endpoint) << one.url;
    EXPECT_EQ(endpoint->authority(), one.authority);
    EXPECT_EQ(parse_endpoint(endpoint->url()), endpoint);
  }
}

TEST(Endpoint, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* url : {"",
                          "http://",
                          "https://",
                          "ftp://a:1",
                          "HTTP://a:1",
                          "//a:1",
                          "a:1",
                          "http:/a:1",
                          "http://a:1/",
                          "http://a/x",
                          "http://a?b",
                          "http://a#b",
                          "http://u@a:1",
                          "http://u:p@a",
                          "http://a:",
                          "http://a:0",
                          "http://a:65536",
                          "http://a:+1",
                          "http://a:-1",
                          "http://a:01",
                          "http://a: 1",
                          "http://a:1 ",
                          " http://a",
                          "http://a:1:2",
                          "http://:1",
                          "http://[::1",
                          "http://::1",
                          "http://[]:1",
                          "http://[::1]1",
                          "http://[::1]x:1",
                          "http://[1.2.3.4]",
                          "http://[fe80::1%eth0]",
                          "http://1.2.3",
                          "http://256.1.1.1",
                          "http://01.2.3.4",
                          "http://2130706433",
                          "http://0x7f000001",
                          "http://a.0x7f",
                          "http://a..b",
                          "http://.a",
                          "http://a.",
                          "http://-a",
                          "http://a-",
                          "http://a\r\nb",
                          "http://\xc3\xa4",
                          "http://a\t"}) {
    const auto endpoint = parse_endpoint(url);
    EXPECT_FALSE(endpoint) << url;
  }
  EXPECT_FALSE(parse_endpoint(std::string_view("http://a\0b", 10)));
  EXPECT_TRUE(parse_endpoint("http://" + std::string(63, 'a')));
  EXPECT_FALSE(parse_endpoint("http://" + std::string(64, 'a')));
  std::string labels = "http://a";
  for (int i = 0; i < 126; ++i) labels += ".a";
  EXPECT_TRUE(parse_endpoint(labels)) << "253 characters";
  EXPECT_FALSE(parse_endpoint(labels + "a"));
}

}  // namespace
}  // namespace histod::test
