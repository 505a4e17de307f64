// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/auth.hpp"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon::api {
namespace {

using namespace std::chrono_literals;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string k_read = "reader-0123456789abcdef", k_submit = "submit-0123456789abcdef",
                  k_admin = "admins-0123456789abcdef";
const std::string k_file =
    "# comment\n\nread " + k_read + " grafana\nsubmit\t" + k_submit + "\r\n  admin " + k_admin + " root\n";

std::string bearer(const std::string& token) { return "Bearer " + token; }

TEST(Tokens, AreReadLineByLine) {
  const auto tokens = parse_tokens(k_file);
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->size(), 3u);
  EXPECT_EQ(tokens->at(0).role, Role::read);
  EXPECT_EQ(tokens->at(0).name, "grafana");
  EXPECT_EQ(tokens->at(1).role, Role::submit);
  EXPECT_EQ(tokens->at(1).name, "");
  EXPECT_EQ(tokens->at(2).role, Role::admin);
}

TEST(Tokens, EveryErrorIsToldWithItsLineAndWithoutTheToken) {
  const std::string secret = "do-not-show-this-secret";
  const auto tokens = parse_tokens("root " + secret + "\n" + secret + "\nread short\nread " + std::string(513, 'x') +
                                   "\nadmin\nsubmit " + secret + "\xc3\xa9\nread " + secret + " name more\nread " +
                                   k_read + "\nadmin " + k_read + "\n");
  ASSERT_FALSE(tokens);
  EXPECT_THAT(tokens.error(),
              ElementsAre(HasSubstr("line 1: the first word"), HasSubstr("line 2: the first word"),
                          HasSubstr("line 3: the token has 5 characters, but must have 16 to 512"),
                          HasSubstr("line 4: the token has 513"), HasSubstr("line 5: the token is missing"),
                          HasSubstr("line 6: the token must be visible"), HasSubstr("line 7: there is more"),
                          HasSubstr("line 9: the same token")));
  for (const std::string& error : tokens.error()) EXPECT_THAT(error, Not(HasSubstr(secret)));
}

TEST(Tokens, NoneAtAllIsAnError) {
  EXPECT_FALSE(parse_tokens(""));
  EXPECT_FALSE(parse_tokens("# only a comment\n"));
}

class AuthTest : public testing::Test {
 protected:
  void SetUp() override {
    path = folder.file("tokens", k_file);
    auto opened = Auth::open({path, 3, 4}, [this] { return now; });
    ASSERT_TRUE(opened);
    auth = std::move(*opened);
  }
  Access access(const std::string& authorization, Role needed = Role::read, const std::string& peer = "192.0.2.1") {
    return auth->check(authorization, peer, needed).access;
  }
  void fail(const std::string& peer, int times) {
    for (int i = 0; i < times; ++i)
      EXPECT_EQ(access("Bearer wrong-wrong-wrong-wrong", Role::read, peer), Access::wrong);
  }

  TemporaryFolder folder;
  std::string path;
  std::chrono::steady_clock::time_point now{1000s};
  std::unique_ptr<Auth> auth;
};

TEST_F(AuthTest, RolesIncludeTheLowerOnes) {
  const Role roles[] = {Role::read, Role::submit, Role::admin};
  const std::string tokens[] = {k_read, k_submit, k_admin};
  for (int has = 0; has < 3; ++has) {
    for (int needs = 0; needs < 3; ++needs) {
      EXPECT_EQ(access(bearer(tokens[has]), roles[needs]), has >= needs ? Access::granted : Access::forbidden);
    }
  }
  const Verdict verdict = auth->check(bearer(k_read), "192.0.2.1", Role::admin);
  EXPECT_EQ(verdict.name, "grafana");
  EXPECT_EQ(verdict.role, Role::read);
}

TEST_F(AuthTest, WhoMayTellEventsMayDoNothingElse) {
  const std::string teller = "events-0123456789abcdef";
  auto opened =
      Auth::open({folder.file("with-events", k_file + "events " + teller + " argocd\n"), 3, 4}, [this] { return now; });
  ASSERT_TRUE(opened);
  auth = std::move(*opened);
  EXPECT_EQ(access(bearer(teller), Role::events), Access::granted);
  for (const Role role : {Role::read, Role::submit, Role::admin, Role::peer})
    EXPECT_EQ(access(bearer(teller), role), Access::forbidden) << role_name(role);
  EXPECT_EQ(access(bearer(k_read), Role::events), Access::forbidden);
  for (const std::string& other : {k_submit, k_admin})
    EXPECT_EQ(access(bearer(other), Role::events), Access::granted) << "who may submit may tell, too";
  EXPECT_TRUE(may_do(Role::peer, Role::events));
  EXPECT_FALSE(may_do(Role::none, Role::events));
}

TEST_F(AuthTest, APeerMayWhatIsBetweenNodesAndNobodyElse) {
  const std::string peer = "peer-0123456789abcdef";
  auto opened =
      Auth::open({folder.file("with-peer", k_file + "peer " + peer + " node-2\n"), 3, 4}, [this] { return now; });
  ASSERT_TRUE(opened);
  auth = std::move(*opened);
  for (const Role role : {Role::read, Role::submit, Role::peer})
    EXPECT_EQ(access(bearer(peer), role), Access::granted) << role_name(role);
  EXPECT_EQ(access(bearer(peer), Role::admin), Access::forbidden);
  for (const std::string& other : {k_read, k_submit, k_admin})
    EXPECT_EQ(access(bearer(other), Role::peer), Access::forbidden);
  EXPECT_EQ(auth->check(bearer(peer), "192.0.2.1", Role::peer).name, "node-2");
  EXPECT_EQ(access("", Role::peer), Access::missing);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(access(bearer("peer-0123456789abcdeg"), Role::peer), Access::wrong);
  EXPECT_EQ(access(bearer(peer), Role::peer), Access::limited) << "as others are";
  const Auth::Counts counts = auth->counts();
  EXPECT_EQ(counts.granted, 4u);
  EXPECT_EQ(counts.forbidden, 4u);
  EXPECT_EQ(counts.wrong, 3u);
  EXPECT_EQ(counts.missing, 1u);
  EXPECT_EQ(counts.limited, 1u);
}

TEST_F(AuthTest, OnlyTheWholeTokenCounts) {
  EXPECT_EQ(access("bearer " + k_read), Access::granted);
  EXPECT_EQ(access("BEARER   " + k_read), Access::granted);
  EXPECT_EQ(access(""), Access::missing);
  EXPECT_EQ(access("Bearer"), Access::missing);
  EXPECT_EQ(access("Bearer "), Access::missing);
  EXPECT_EQ(access("Basic " + k_read), Access::missing);
  EXPECT_EQ(access(k_read), Access::missing);
  EXPECT_EQ(access(bearer(k_read + "x")), Access::wrong);
  EXPECT_EQ(access(bearer(k_read.substr(1))), Access::wrong);
  EXPECT_EQ(access(bearer(k_read + " ")), Access::wrong);
}

TEST_F(AuthTest, TooManyFailuresAreMadeToWait) {
  fail("192.0.2.7", 3);
  Verdict verdict = auth->check(bearer(k_admin), "192.0.2.7", Role::read);
  EXPECT_EQ(verdict.access, Access::limited);
  EXPECT_EQ(verdict.retry_after, 60s);
  EXPECT_EQ(access(bearer(k_admin), Role::read, "192.0.2.8"), Access::granted);
  now += 59s + 500ms;
  verdict = auth->check(bearer(k_admin), "192.0.2.7", Role::read);
  EXPECT_EQ(verdict.access, Access::limited);
  EXPECT_EQ(verdict.retry_after, 1s);
  now += 500ms;
  EXPECT_EQ(access(bearer(k_admin), Role::read, "192.0.2.7"), Access::granted);
}

TEST_F(AuthTest, TheMinuteSlides) {
  fail("192.0.2.7", 1);
  now += 30s;
  fail("192.0.2.7", 2);
  now += 30s;  // the first failure is forgotten, the others are not
  fail("192.0.2.7", 1);
  EXPECT_EQ(auth->check("Bearer whatever-whatever", "192.0.2.7", Role::read).retry_after, 30s);
}

TEST_F(AuthTest, AMissingTokenIsNoFailure) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(access(""), Access::missing);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(access(bearer(k_read), Role::admin), Access::forbidden);
  EXPECT_EQ(access(bearer(k_read)), Access::granted);
}

TEST_F(AuthTest, AnIpv6HostIsItsNetwork) {
  fail("2001:db8::1", 2);
  fail("2001:db8::ffff:1", 1);
  EXPECT_EQ(access(bearer(k_read), Role::read, "2001:db8::2"), Access::limited);
  EXPECT_EQ(access(bearer(k_read), Role::read, "2001:db8:0:1::2"), Access::granted);
  fail("::ffff:192.0.2.1", 3);
  EXPECT_EQ(access(bearer(k_read), Role::read, "::ffff:192.0.2.1"), Access::limited);
  EXPECT_EQ(access(bearer(k_read), Role::read, "::ffff:192.0.2.2"), Access::granted);
}

TEST(FailureLimiterTest, RemembersTheLatestPeersOnly) {
  FailureLimiter limiter(1, 3);
  const FailureLimiter::Clock::time_point now{100s};
  for (const char* peer : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) limiter.failed(peer, now);
  limiter.failed("10.0.0.1", now);
  limiter.failed("10.0.0.4", now);
  EXPECT_EQ(limiter.peers(), 3u);
  EXPECT_EQ(limiter.wait("10.0.0.1", now), 60s);
  EXPECT_EQ(limiter.wait("10.0.0.2", now), 0s);
  for (int i = 0; i < 10'000; ++i)
    limiter.failed("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256), now);
  EXPECT_EQ(limiter.peers(), 3u);
}

TEST_F(AuthTest, AChangedFileIsReadAgain) {
  EXPECT_EQ(auth->poll().poll, Auth::Poll::unchanged);
  folder.file("new", "read another-0123456789abcdef\n");
  std::filesystem::rename(folder.path() / "new", path);
  const auto result = auth->poll();
  EXPECT_EQ(result.poll, Auth::Poll::reloaded);
  EXPECT_EQ(result.tokens, 1u);
  EXPECT_EQ(access(bearer("another-0123456789abcdef")), Access::granted);
  EXPECT_EQ(access(bearer(k_admin)), Access::wrong);
  EXPECT_EQ(auth->poll().poll, Auth::Poll::unchanged);
}

TEST_F(AuthTest, ABrokenFileKeepsTheOldTokensAndIsToldOnce) {
  folder.file("tokens", "nonsense\n");
  const auto result = auth->poll();
  EXPECT_EQ(result.poll, Auth::Poll::failed);
  EXPECT_THAT(result.errors, ElementsAre(HasSubstr("line 1")));
  EXPECT_EQ(auth->poll().poll, Auth::Poll::unchanged);
  EXPECT_EQ(access(bearer(k_admin)), Access::granted);
  std::filesystem::remove(path);
  EXPECT_EQ(auth->poll().poll, Auth::Poll::failed);
  EXPECT_EQ(auth->poll().poll, Auth::Poll::unchanged);
  EXPECT_EQ(access(bearer(k_admin)), Access::granted);
  folder.file("tokens", k_file + "read one-more-0123456789\n");
  EXPECT_EQ(auth->poll().poll, Auth::Poll::reloaded);
  EXPECT_EQ(auth->token_count(), 4u);
  EXPECT_EQ(auth->counts().reloads, 1u);
  EXPECT_EQ(auth->counts().reload_failures, 2u);
}

TEST(AuthOpen, NeedsAFileThatIsRight) {
  const TemporaryFolder folder;
  EXPECT_THAT(Auth::open({"", 3, 4}).error(), ElementsAre(HasSubstr("--token-file")));
  EXPECT_THAT(Auth::open({(folder.path() / "none").string(), 3, 4}).error(), ElementsAre(HasSubstr("cannot be read")));
  EXPECT_THAT(Auth::open({folder.file("bad", "x\ny\n"), 3, 4}).error().size(), 2u);
  EXPECT_THAT(Auth::open({folder.file("big", std::string(2u << 20, '#')), 3, 4}).error(),
              ElementsAre(HasSubstr("1048576")));
}

TEST_F(AuthTest, CountsWhatItAnswered) {
  access(bearer(k_read));
  access(bearer(k_read), Role::admin);
  access("");
  fail("192.0.2.9", 3);
  access(bearer(k_read), Role::read, "192.0.2.9");
  const Auth::Counts counts = auth->counts();
  EXPECT_EQ(counts.granted, 1u);
  EXPECT_EQ(counts.forbidden, 1u);
  EXPECT_EQ(counts.missing, 1u);
  EXPECT_EQ(counts.wrong, 3u);
  EXPECT_EQ(counts.limited, 1u);
}

TEST_F(AuthTest, ManyThreadsMayAskWhileTheFileChanges) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        auth->check(bearer(i % 2 == 0 ? k_read : k_admin), "10.0.0." + std::to_string(t), Role::read);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    folder.file("next", k_file + "# " + std::string(static_cast<std::size_t>(i), 'x') + "\n");
    std::filesystem::rename(folder.path() / "next", path);
    auth->poll();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(auth->counts().granted, 2000u);
  EXPECT_EQ(auth->counts().reload_failures, 0u);
}

}  // namespace
}  // namespace histod::daemon::api
