// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/problem.hpp"

#include <string>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/utf8.hpp"

namespace histod::daemon::api {
namespace {

using testing::HasSubstr;

TEST(Problem, HasTheMembersOfTheRfc) {
  const Problem problem{413,       "too-large", "the body has too many bytes", std::uint64_t{600}, std::uint64_t{512},
                        "/v1/jobs"};
  const auto json = boost::json::parse(problem_json(problem)).as_object();
  EXPECT_EQ(json.at("type").as_string(), "urn:histod:problem:too-large");
  EXPECT_EQ(json.at("title").as_string(), "The body is too large");
  EXPECT_EQ(json.at("status").as_int64(), 413);
  EXPECT_EQ(json.at("detail").as_string(), "the body has too many bytes");
  EXPECT_EQ(json.at("value").as_int64(), 600);
  EXPECT_EQ(json.at("limit").as_int64(), 512);
  EXPECT_EQ(json.at("instance").as_string(), "/v1/jobs");
}

TEST(Problem, LeavesOutWhatThereIsNot) {
  const auto json = boost::json::parse(problem_json({404, "not-found", "no such job", {}, {}, ""})).as_object();
  EXPECT_FALSE(json.contains("value"));
  EXPECT_FALSE(json.contains("limit"));
  EXPECT_FALSE(json.contains("instance"));
  EXPECT_EQ(amount(0), Amount{});
  EXPECT_EQ(amount(5), Amount{std::uint64_t{5}});
}

TEST(Problem, HostileTextStaysInsideItsString) {
  const std::string hostile = "\",\"status\":200,\"x\":\"\r\n\xff\x80 \xc3\xa9";
  const auto json = boost::json::parse(problem_json({400, "bad-option", hostile, hostile, {}, ""})).as_object();
  EXPECT_EQ(json.at("status").as_int64(), 400);
  EXPECT_EQ(json.at("detail").as_string(), "\",\"status\":200,\"x\":\"\r\n?? \xc3\xa9");
  EXPECT_EQ(json.at("value"), json.at("detail"));
  EXPECT_FALSE(json.contains("x"));
}

TEST(Problem, UnknownCodesHaveATitleToo) { EXPECT_EQ(problem_title("some-new-code"), "some new code"); }

TEST(Problem, ComesBackAsItWas) {
  for (const Problem& problem : {Problem{413, "too-large", "d", std::uint64_t{1}, std::string("8 MiB"), "/i"},
                                 Problem{500, "internal", "", {}, {}, ""}, Problem{599, "x", "\xc3\xa9", {}, {}, ""}}) {
    const auto again = parse_problem(problem_object(problem));
    ASSERT_TRUE(again) << again.error();
    EXPECT_EQ(*again, problem);
  }
}

TEST(Problem, WhatIsNoneIsRefused) {
  const auto error_of = [](std::string_view json) {
    const auto problem = parse_problem(boost::json::parse(json));
    return problem ? std::string("(accepted)") : problem.error();
  };
  EXPECT_THAT(error_of("[]"), HasSubstr("object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("type"));
  EXPECT_THAT(error_of(R"({"type":"urn:histod:problem:x"})"), HasSubstr("status"));
  EXPECT_THAT(error_of(R"({"type":"urn:histod:problem:x","status":200})"), HasSubstr("status"));
  EXPECT_THAT(error_of(R"({"type":"urn:histod:problem:x","status":"400"})"), HasSubstr("status"));
  EXPECT_THAT(error_of(R"({"type":"urn:histod:problem:x","status":400,"detail":5})"), HasSubstr("wrong type"));
  EXPECT_THAT(error_of(R"({"type":"urn:histod:problem:x","status":400,"value":-5})"), HasSubstr("wrong type"));
}

/// UTF-8 of a code point, made the other way round.
std::string encoded(char32_t c) {
  const auto low = [](char32_t v) { return static_cast<char>(0x80 | (v & 0x3f)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0 | c >> 6), low(c)};
  if (c < 0x10000) return {static_cast<char>(0xe0 | c >> 12), low(c >> 6), low(c)};
  return {static_cast<char>(0xf0 | c >> 18), low(c >> 12), low(c >> 6), low(c)};
}

TEST(Utf8, EveryCodePointAndOnlyThoseAreValid) {
  for (char32_t c = 0; c < 0x120000; ++c) {
    const std::string text = encoded(c);
    const CodePoint point = first_code_point(text);
    const bool valid = c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
    ASSERT_EQ(point.bytes, valid ? text.size() : 0u) << std::uint32_t{c};
    ASSERT_TRUE(!valid || point.value == c) << std::uint32_t{c};
    ASSERT_TRUE(text.size() == 1 || first_code_point(std::string_view(text).substr(0, text.size() - 1)).bytes == 0);
  }
}

TEST(Utf8, OverlongFormsAreInvalid) {
  for (const char* text : {"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80",
                           "\xf0\x8f\xbf\xbf", "\x80", "\xff"}) {
    EXPECT_EQ(first_code_point(text).bytes, 0u);
    EXPECT_EQ(valid_utf8(text), std::string(std::string_view(text).size(), '?'));
  }
}

}  // namespace
}  // namespace histod::daemon::api
