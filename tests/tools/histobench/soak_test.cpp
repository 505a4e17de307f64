// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/soak.hpp"

#include <atomic>
#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scripted_server.hpp"

namespace histod::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

const std::string k_small(1000, 's'), k_small_answer(1000, 'S');
const std::string k_large(300 * 1024, 'l'), k_large_answer(300 * 1024, 'L');
const std::vector<SoakRequest> k_requests{{"/small", bytes(k_small), bytes(k_small_answer), 3},
                                          {"/large", bytes(k_large), bytes(k_large_answer), 1}};

std::string right_answer(const test::ScriptedServer::Request& request) {
  return test::ok_answer(request.head.contains("/small") ? k_small_answer : k_large_answer);
}

SoakTarget target_of(const test::ScriptedServer& server) {
  return {server.port(), "Bearer x", [] { return SoakSample{100, 20}; }};
}

TEST(SoakTest, MixesRequestsByTheirWeightsOverAllClients) {
  std::mutex mutex;
  std::map<std::string, int> seen;
  const test::ScriptedServer server([&](const test::ScriptedServer::Request& request) {
    const std::lock_guard lock(mutex);
    ++seen[request.head.substr(0, request.head.find(" HTTP"))];
    return right_answer(request);
  });
  const SoakResult result = soak(target_of(server), k_requests, 3, 0.5);
  EXPECT_EQ(result.wrong, "");
  EXPECT_EQ(result.refused, 0u);
  EXPECT_EQ(server.connections(), 3) << "each client keeps its connection";
  EXPECT_THAT(result.small_ms, SizeIs(static_cast<std::size_t>(seen["POST /small"])));
  EXPECT_THAT(result.large_ms, SizeIs(static_cast<std::size_t>(seen["POST /large"])));
  EXPECT_GT(seen["POST /small"], seen["POST /large"]) << "three to one";
  EXPECT_GE(result.seconds, 0.5);
}

TEST(SoakTest, LooksAtTheDaemonAllTheTime) {
  const test::ScriptedServer server(right_answer);
  std::atomic<int> looked = 0;
  const SoakTarget target{server.port(), "", [&] { return SoakSample{static_cast<double>(++looked), 1}; }};
  const SoakResult result = soak(target, k_requests, 1, 0.2);
  ASSERT_THAT(result.samples, SizeIs(4)) << "at least four, however short";
  EXPECT_EQ(result.samples.back().resident_mib, 4);
}

TEST(SoakTest, ARefusalIsCountedAndNotTimed) {
  const test::ScriptedServer server([](const test::ScriptedServer::Request& request) {
    if (request.number % 2 == 0) return std::string("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    return right_answer(request);
  });
  const SoakResult result = soak(target_of(server), k_requests, 1, 0.3);
  EXPECT_EQ(result.wrong, "");
  EXPECT_GT(result.refused, 0u);
  EXPECT_GE(static_cast<std::size_t>(server.requests()),
            result.refused + result.small_ms.size() + result.large_ms.size());
}

TEST(SoakTest, EndsAtTheFirstAnswerThatIsWrong) {
  const auto wrong_of = [](const std::string& answer) {
    const test::ScriptedServer server([&](const test::ScriptedServer::Request& request) {
      return request.number == 5 ? answer : right_answer(request);
    });
    const SoakResult result = soak(target_of(server), k_requests, 2, 2);
    EXPECT_LT(result.seconds, 1.9) << "it does not go on";
    return result.wrong;
  };
  EXPECT_THAT(wrong_of(test::ok_answer("short")), HasSubstr("answers 5 bytes that differ"));
  EXPECT_THAT(wrong_of(test::ok_answer(std::string(1000, 'x'))), HasSubstr("1000 bytes that differ"));
  EXPECT_THAT(wrong_of("HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\nwhat"), HasSubstr("answers 500: what"));
  EXPECT_THAT(wrong_of(""), HasSubstr("closed the connection"));
}

TEST(SoakTest, DriftLeavesTheFirstQuarterOut) {
  std::vector<SoakSample> samples;
  for (const double resident : {500., 400., 10., 12., 11., 30., 20., 20., 21., 14., 19., 15.})
    samples.push_back({resident, resident / 2});
  const Drift drift = drift_of(samples);
  EXPECT_DOUBLE_EQ(drift.before.resident_mib, 12);
  EXPECT_DOUBLE_EQ(drift.before.descriptors, 6);
  EXPECT_DOUBLE_EQ(drift.after.resident_mib, 15);
}

TEST(SoakTest, DriftOfFourSamplesIsThatOfTwo) {
  const std::vector<SoakSample> samples{{1, 1}, {2, 2}, {3, 3}, {4, 4}};
  EXPECT_DOUBLE_EQ(drift_of(samples).before.resident_mib, 2);
  EXPECT_DOUBLE_EQ(drift_of(samples).after.descriptors, 4);
}

}  // namespace
}  // namespace histod::bench
