// SPDX-License-Identifier: Apache-2.0
// The examples and rules of W3C Trace Context, sections 2.2 and 3.
#include "daemon/trace_context.hpp"

#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace histod::daemon {
namespace {

constexpr std::string_view k_sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view k_unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

std::array<std::byte, 24> bytes_of_one(std::byte value) {
  std::array<std::byte, 24> out{};
  out.fill(value);
  return out;
}

TEST(TraceContext, IsReadAsItIsWritten) {
  EXPECT_EQ(parse_traceparent(k_sampled), k_sampled);
  EXPECT_EQ(parse_traceparent(k_unsampled), k_unsampled);
  EXPECT_EQ(trace_id(k_sampled), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_TRUE(is_sampled(k_sampled));
  EXPECT_FALSE(is_sampled(k_unsampled));
  EXPECT_FALSE(is_sampled(""));
  EXPECT_EQ(trace_id(""), "");
}

TEST(TraceContext, OnlyKnownFlagsArePassedOn) {
  const std::string head(k_sampled.substr(0, 53));
  EXPECT_EQ(parse_traceparent(head + "03"), head + "03");
  EXPECT_EQ(parse_traceparent(head + "ff"), head + "03");
  EXPECT_EQ(parse_traceparent(head + "fc"), head + "00");
}

TEST(TraceContext, WhatIsNotValidIsNone) {
  const std::string good(k_sampled);
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_EQ(parse_traceparent(good.substr(0, length)), "") << length;
  const auto with = [&](std::size_t at, std::string_view text) {
    return std::string(good).replace(at, text.size(), text);
  };
  const std::string zeros(32, '0');
  const std::string bad[] = {good + "-",
                             good + "0",
                             good + " ",
                             " " + good,
                             with(0, "ff"),
                             with(0, "0g"),
                             with(0, "0A"),
                             with(2, "_"),
                             with(35, "_"),
                             with(52, "_"),
                             with(3, zeros),
                             with(36, zeros.substr(16)),
                             with(3, "4B"),
                             with(36, "0F"),
                             with(53, "0A"),
                             with(53, "-1"),
                             with(10, std::string_view("\0", 1)),
                             with(10, "\xc3"),
                             std::string(1'000, '0')};
  for (const std::string& text : bad) EXPECT_EQ(parse_traceparent(text), "") << text;
}

TEST(TraceContext, LaterVersionsAreReadAsFarAsTheyAreKnown) {
  const std::string rest(k_sampled.substr(2));
  EXPECT_EQ(parse_traceparent("01" + rest), k_sampled);
  EXPECT_EQ(parse_traceparent("cc" + rest + "-what-the-future-will-be-like"), k_sampled);
  EXPECT_EQ(parse_traceparent("cc" + rest + ".what"), "");
  EXPECT_EQ(parse_traceparent("cc" + rest.substr(0, 51) + "fe"), k_unsampled) << "their other flags are not known";
}

TEST(TraceContext, EachRequestHasAParentOfItsOwn) {
  const std::string next = next_traceparent(k_sampled, bytes_of_one(std::byte{0xab}));
  EXPECT_EQ(next, "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01");
  EXPECT_EQ(next_traceparent("", bytes_of_one(std::byte{0xab})),
            "00-abababababababababababababababab-abababababababab-02");
  EXPECT_EQ(next_traceparent("", bytes_of_one(std::byte{0})),
            "00-00000000000000000000000000000001-0000000000000001-02");
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    const std::string made = next_traceparent(k_sampled);
    EXPECT_EQ(parse_traceparent(made), made);
    EXPECT_EQ(trace_id(made), trace_id(k_sampled));
    EXPECT_TRUE(seen.insert(made).second);
    EXPECT_TRUE(seen.insert(next_traceparent("")).second);
  }
}

TEST(TraceContext, IsInTheLogWhereThereIsOne) {
  EXPECT_EQ(format_log_line(LogFormat::logfmt, 0, LogLevel::info, "m", {{"a", 1}, trace_field(""), {"b", 2}}),
            format_log_line(LogFormat::logfmt, 0, LogLevel::info, "m", {{"a", 1}, {"b", 2}}));
  EXPECT_EQ(
      format_log_line(LogFormat::logfmt, 0, LogLevel::info, "m", {trace_field(k_sampled)}),
      format_log_line(LogFormat::logfmt, 0, LogLevel::info, "m", {{"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}}));
  EXPECT_EQ(trace_level(k_sampled), LogLevel::info);
  EXPECT_EQ(trace_level(k_unsampled), LogLevel::debug);
  EXPECT_EQ(trace_level(""), LogLevel::debug);
}

}  // namespace
}  // namespace histod::daemon
