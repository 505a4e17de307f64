// SPDX-License-Identifier: Apache-2.0
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/telemetry/redact.hpp"

namespace histod::daemon::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Redaction {
  std::string_view from;
  std::string_view to;
};

TEST(RedactText, takes_secrets_and_leaves_the_rest) {
  constexpr Redaction k_cases[] = {
      {"nothing to see: 3 of 4 pods", "nothing to see: 3 of 4 pods"},
      {"password=hunter2 then", "password=[redacted] then"},
      {"PASSWORD = \"two words\", then", "PASSWORD = \"[redacted]\", then"},
      {"db_password: 'it''s', x", "db_password: '[redacted]', x"},
      {"token: abc, next", "token: [redacted], next"},
      {"(token=a,b,c)", "(token=[redacted])"},
      {R"({"apiKey":"abc","n":1})", R"({"apiKey":"[redacted]","n":1})"},
      {R"(text {\"secret\":\"a\\\"b\",\"n\":1})", R"(text {\"secret\":\"[redacted]\",\"n\":1})"},
      {"kubeadm join --token abc.def --x y", "kubeadm join --token [redacted] --x y"},
      {R"(["--token", "abc", "--x"])", R"(["--token", "[redacted]", "--x"])"},
      {R"(["--token" "abc" "--x"])", R"(["--token" "[redacted]" "--x"])"},
      {"--from-literal=password=abc", "--from-literal=password=[redacted]"},
      {"curl -u me:secret1 https://x", "curl -u [redacted] https://x"},
      {"curl -u me https://x", "curl -u me https://x"},
      {"Authorization: Basic dTpw, more\nnext", "Authorization: [redacted]\nnext"},
      {"curl -H 'Authorization: Bearer abc def' url", "curl -H 'Authorization: [redacted]' url"},
      {"sent Bearer eyabc. done", "sent Bearer [redacted] done"},
      {"token bearer abc", "token bearer [redacted]"},
      {"auth: bearer abc def", "auth: [redacted] def"},
      {"https://u:p@host/x and redis://:p@h:1", "https://[redacted]@host/x and redis://[redacted]@h:1"},
      {"https://host/@x?y=user@z", "https://host/@x?y=user@z"},
      {"https://h/?access_token=abc&x=1 y", "https://h/?access_token=[redacted] y"},
      {"id AKIAIOSFODNN7EXAMPLE.", "id [redacted]"},
      {"use abcdef.0123456789abcdef now", "use [redacted] now"},
      {"ghp_0123456789abcdefghij", "[redacted]"},
      {"jwt eyJhbGciOi.eyJzdWIiOiIx.sig-x_y", "jwt [redacted]"},
      {"x-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\ny", "x[redacted]\ny"},
      {"-----BEGIN PRIVATE KEY----- abc", "[redacted]"},
      {"-----BEGIN CERTIFICATE-----\nabc", "-----BEGIN CERTIFICATE-----\nabc"},
      {"password=\"never closed abc", "password=\"[redacted]"},
      {"automountServiceAccountToken: false", "automountServiceAccountToken: false"},
      {"token: null, key: true", "token: null, key: true"},
      {"tokens: [a, b] c", "tokens: [redacted] c"},
      {"public_key=abc token_file=/run/t key=abc", "public_key=abc token_file=/run/t key=[redacted]"},
      {"the token is expired", "the token is expired"},
      {"secret \"x\" created", "secret \"x\" created"},
      {"password=", "password="},
      {"token=bearer", "token=[redacted]"},
  };
  for (const Redaction& each : k_cases) {
    const std::string once = redact_text(each.from);
    EXPECT_EQ(once, each.to);
    EXPECT_EQ(redact_text(once), once) << "again";
  }
}

TEST(RedactText, is_linear_in_time) {
  std::string text;
  for (const std::string_view part : {"-----BEGIN ", "://", "token=\\\\\\", "bearer  ", "aaaa-----", "[{[{", "'\"'"}) {
    std::string many;
    while (many.size() < 300'000) many += part;
    text = redact_text(many);
  }
  EXPECT_FALSE(text.empty());
}

TEST(RedactText, finds_a_key_over_several_lines) {
  LineRedactor lines;
  EXPECT_EQ(lines.line("key follows -----BEGIN EC PRIVATE KEY-----"), "key follows [redacted]");
  EXPECT_EQ(lines.line("MHcCAQEE"), "[redacted]");
  EXPECT_EQ(lines.line("-----END EC PRIVATE KEY----- done"), "[redacted] done");
  EXPECT_EQ(lines.line("plain"), "plain");
  EXPECT_EQ(lines.line("[upload-certs] Using certificate key:"), "[upload-certs] Using certificate key:");
  EXPECT_EQ(lines.line("0123456789abcdef"), "[redacted]");
  EXPECT_EQ(lines.line("then: "), "then: ");
  EXPECT_EQ(lines.line("-----BEGIN CERTIFICATE-----"), "-----BEGIN CERTIFICATE-----");
  EXPECT_EQ(lines.line("abc"), "abc");
}

TEST(RedactNames, by_their_words) {
  for (const std::string_view name : {"password", "db_password", "DB-PASSWORD", "adminPasswd", "clientSecret", "apikey",
                                      "api_key", "key", "client-key-data", "aws_secret_access_key", "authorization",
                                      "Set-Cookie", "credentials", "--token", "id_token", "tls.key", "pwd"}) {
    EXPECT_TRUE(is_secret_name(name)) << name;
  }
  for (const std::string_view name : {"", "name", "public_key", "publicKey", "resource_key", "id_key", "token_file",
                                      "passwordPath", "secretName", "monkey", "keyboard", "passenger", "path"}) {
    EXPECT_FALSE(is_secret_name(name)) << name;
  }
}

boost::json::value redacted(std::string_view text, const JsonBounds& bounds = {}) {
  return redact_json(boost::json::parse({text.data(), text.size()}), bounds);
}

TEST(RedactJson, by_names_and_neighbours) {
  EXPECT_EQ(
      redacted(R"({"a":"b","password":"x","nested":{"token":{"deep":1},"n":[1,true,null]}})"),
      boost::json::parse(R"({"a":"b","password":"[redacted]","nested":{"token":"[redacted]","n":[1,true,null]}})"));
  EXPECT_EQ(redacted(R"([{"name":"DB_PASSWORD","value":"x"},{"name":"HOME","value":"/"}])"),
            boost::json::parse(R"([{"name":"DB_PASSWORD","value":"[redacted]"},{"name":"HOME","value":"/"}])"));
  EXPECT_EQ(redacted(R"({"sensitive":true,"value":"x","type":"string"})"),
            boost::json::parse(R"({"sensitive":true,"value":"[redacted]","type":"string"})"));
  EXPECT_EQ(redacted(R"(["run","--token","x","--flag","y"])"),
            boost::json::parse(R"(["run","--token","[redacted]","--flag","y"])"));
  EXPECT_EQ(redacted(R"({"kind":"Secret","metadata":{"name":"n","managedFields":[1]},"data":{"a":"b"}})"),
            boost::json::parse(R"({"kind":"Secret","metadata":{"name":"n"},"data":"[redacted]"})"));
  EXPECT_EQ(redacted(R"({"automountServiceAccountToken":false,"token":null,"pin":1234})"),
            boost::json::parse(R"({"automountServiceAccountToken":false,"token":null,"pin":"[redacted]"})"));
}

TEST(RedactJson, stays_within_its_bounds) {
  std::string deep;
  for (int i = 0; i < 30; ++i) deep += "[";
  deep += "\"x\"";
  for (int i = 0; i < 30; ++i) deep += "]";
  EXPECT_EQ(boost::json::serialize(redacted(deep, {.depth_max = 2})), R"([["[cut]"]])");
  EXPECT_EQ(boost::json::serialize(redacted("[1,2,3,4]", {.members_max = 2})), R"([1,2,"[2 more]"])");
  EXPECT_EQ(boost::json::serialize(redacted(R"(["abcdefgh"])", {.string_bytes_max = 6})), R"(["abc…"])");
  boost::json::array many;
  for (int i = 0; i < 90; ++i) many.emplace_back(std::string(2'000, 'x'));
  EXPECT_LT(boost::json::serialize(redact_json(many)).size(), 16'384u);
}

TEST(CleanText, cannot_drive_a_terminal_and_is_utf8) {
  EXPECT_EQ(clean_text("\x1b[31mred\x1b[0m\ttab\r\nnext\x07", 100), "red tab next");
  EXPECT_EQ(clean_text("a\nb", 100, true), "a\nb");
  EXPECT_EQ(clean_text("h\xc3\xa4\xff", 100), "hä\xef\xbf\xbd");
  EXPECT_EQ(clean_text("\xe2\x80\xae"
                       "evil",
                       100),
            "evil");
  EXPECT_EQ(clean_text("ääääää", 8), "ää…");
  EXPECT_EQ(clean_text("abc", 3), "abc");
  EXPECT_EQ(clean_text("abcd", 2), "");
}

}  // namespace
}  // namespace histod::daemon::telemetry
