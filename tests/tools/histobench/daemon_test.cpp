// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/daemon.hpp"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"

namespace histod::bench {
namespace {

using testing::HasSubstr;

/// A daemon that does one thing wrong: see fake_histod.py.
class FakeDaemon : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv("FAKE"); }
  static Daemon start(const char* fault) {
    ::setenv("FAKE", fault, 1);
    return Daemon(FAKE_HISTOD);
  }
  static std::string failure_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const Failure& failure) {
      return failure.what();
    }
    return "no failure";
  }
};

TEST_F(FakeDaemon, IsStartedAskedAndStopped) {
  Daemon daemon = start("wrong");
  EXPECT_EQ(daemon.backend(), "fake");
  EXPECT_GT(daemon.start_ms(), 0);
  HttpClient client(daemon.port(), daemon.authorization());
  const std::string sent = "bytes";
  EXPECT_EQ(client.post("/v1/echo", std::as_bytes(std::span(sent))).text(), sent);
  HttpClient stranger(daemon.port(), "Bearer somebody-else");
  EXPECT_EQ(stranger.post("/v1/echo", std::as_bytes(std::span(sent))).status, 401u);
  EXPECT_NO_THROW(daemon.stop());
}

TEST_F(FakeDaemon, TwoHaveDifferentTokens) {
  const Daemon one = start("wrong"), other = start("wrong");
  EXPECT_NE(one.authorization(), other.authorization());
  EXPECT_NE(one.port(), other.port());
}

TEST_F(FakeDaemon, ItsMemoryIsReadFromTheKernel) {
  Daemon daemon = start("wrong");
  daemon.reset_peak();
  const Daemon::Memory memory = daemon.memory();
  EXPECT_GT(memory.resident, 1);
  EXPECT_GE(memory.resident_peak, memory.resident - 1);
  EXPECT_LT(memory.resident_peak, 1000);
}

TEST_F(FakeDaemon, ItsCpuTimeIsReadFromTheKernel) {
  const Daemon daemon = start("wrong");
  const double before = daemon.cpu_seconds();
  EXPECT_GE(before, 0);
  HttpClient client(daemon.port(), daemon.authorization());
  const std::string sent(1000, 'x');
  while (daemon.cpu_seconds() == before) client.post("/v1/echo", std::as_bytes(std::span(sent)));
  EXPECT_GT(daemon.cpu_seconds(), before);
}

TEST_F(FakeDaemon, ItsDescriptorsAreCounted) {
  const Daemon daemon = start("wrong");
  const std::string sent = "bytes";
  HttpClient first(daemon.port(), daemon.authorization()), second(daemon.port(), daemon.authorization());
  first.post("/v1/echo", std::as_bytes(std::span(sent)));
  const unsigned with_one = daemon.descriptors();
  second.post("/v1/echo", std::as_bytes(std::span(sent)));
  EXPECT_GE(with_one, 4u);
  EXPECT_EQ(daemon.descriptors(), with_one + 1);
}

TEST_F(FakeDaemon, OfItsMemoryOnlyLargeMappingsWithoutAFileAreThePool) {
  const Daemon daemon = start("wrong");
  EXPECT_GE(daemon.memory().pool, 0);
  EXPECT_LT(daemon.memory().pool, 1) << "a Python program has none";
}

TEST_F(FakeDaemon, IsGoneWithItsObjectAndLeavesNothing) {
  const TemporaryFolder folder;
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TMPDIR", folder.file("").c_str(), 1);
  std::uint16_t port = 0;
  {
    const Daemon daemon = start("wrong");
    port = daemon.port();
    EXPECT_FALSE(std::filesystem::is_empty(folder.file("")));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.file(""))) << "tokens and spool are removed";
  EXPECT_THROW(connect_to(port), Failure);
  if (kept.empty()) {
    ::unsetenv("TMPDIR");
  } else {
    ::setenv("TMPDIR", kept.c_str(), 1);
  }
}

TEST_F(FakeDaemon, ItsLastWordsAreQuoted) {
  EXPECT_THAT(failure_of([] { start("dies"); }), HasSubstr("no memory for anything"));
  EXPECT_THAT(failure_of([] { start("portless"); }), HasSubstr("does not say where it listens"));
  EXPECT_THAT(failure_of([] { start("stubborn").stop(); }), HasSubstr("ended with 9"));
  EXPECT_THAT(failure_of([] { Daemon("/nonexistent"); }), HasSubstr("did not become ready"));
}

}  // namespace
}  // namespace histod::bench
