// SPDX-License-Identifier: Apache-2.0
#include "daemon/preflight.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;
using testing::Not;

std::error_code system_error(int number) { return {number, std::system_category()}; }

/// A check is complete: one sentence, and a cure if and only if something is wrong.
void expect(const Check& check, CheckState state, const std::string& what) {
  EXPECT_EQ(check.state, state) << check.what;
  EXPECT_THAT(check.what, HasSubstr(what));
  EXPECT_EQ(check.cure.empty(), state == CheckState::ok) << check.cure;
  EXPECT_FALSE(check.what.ends_with('.'));
}

TEST(Preflight, ARefusedRingIsFatalUnlessEpollIsAllowed) {
  expect(judge_uring({}, Io::uring), CheckState::ok, "works");
  expect(judge_uring(system_error(EPERM), Io::uring), CheckState::fail, "Operation not permitted");
  expect(judge_uring(system_error(EPERM), Io::automatic), CheckState::warn, "falls back to epoll");
  expect(judge_uring(system_error(ENOSYS), Io::epoll), CheckState::ok, "not used");
}

TEST(Preflight, EachReasonHasItsCure) {
  EXPECT_THAT(uring_cure(system_error(ENOSYS)), HasSubstr("Linux 6.1"));
  EXPECT_THAT(uring_cure(system_error(ENOMEM)), HasSubstr("LimitMEMLOCK"));
  EXPECT_THAT(uring_cure(system_error(EMFILE)), HasSubstr("LimitNOFILE"));
  EXPECT_THAT(uring_cure(system_error(EPERM)), testing::AnyOf(HasSubstr("seccomp"), HasSubstr("sysctl")));
  EXPECT_THAT(uring_cure(system_error(EINVAL)), HasSubstr("--io=auto"));
}

TEST(Preflight, LimitsAreComparedWithWhatIsWanted) {
  expect(judge_memlock(std::nullopt, 1), CheckState::ok, "any amount");
  expect(judge_memlock(64 << 20, 64 << 20), CheckState::ok, "64MiB");
  expect(judge_memlock(8 << 20, 64 << 20), CheckState::warn, "8MiB may be locked, but 64MiB are wanted");
  expect(judge_huge_pages(32, 32), CheckState::ok, "32 pages");
  expect(judge_huge_pages(0, 32), CheckState::warn, "0 pages of 2 MiB are free, but 32");
  EXPECT_THAT(judge_huge_pages(0, 32).cure, HasSubstr("=32"));
  expect(judge_open_files(4160, 4160), CheckState::ok, "4160");
  expect(judge_open_files(1024, 4160), CheckState::warn, "1024 files may be open, but 4160");
  expect(judge_pinning(0), CheckState::ok, "run on their CPUs");
  expect(judge_pinning(2), CheckState::warn, "2 computing threads");
  expect(judge_free_space(10ull << 30, 10ull << 30, "/s"), CheckState::ok, "10GiB");
  expect(judge_free_space((1ull << 30) + 5, 10ull << 30, "/s's"), CheckState::warn,
         "1GiB are free, but the spool may take 10GiB");
  EXPECT_THAT(judge_free_space(0, 1, "/s's").cure, HasSubstr("'/s'\\''s'"));
}

TEST(Preflight, TheClockIsLookedAt) {
  expect(judge_clock(1'767'225'600'000, true), CheckState::ok, "plausible");
  expect(judge_clock(1'767'225'600'000, false), CheckState::warn, "not synchronised");
  expect(judge_clock(0, true), CheckState::warn, "before 2025");
}

TEST(Preflight, TheSpoolIsTriedOut) {
  const TemporaryFolder folder;
  const std::string spool = (folder.path() / "spool").string();
  expect(check_spool(spool, 1), CheckState::ok, "can be written and synced");  // its parent is there
  EXPECT_FALSE(std::filesystem::exists(spool));
  std::filesystem::create_directory(spool);
  expect(check_spool(spool, 1), CheckState::ok, spool);
  EXPECT_TRUE(std::filesystem::is_empty(spool));
  expect(check_spool(spool, 1ull << 62), CheckState::warn, "can fill up");
  expect(check_spool(folder.file("file", ""), 1), CheckState::fail, "is no directory");
  expect(check_spool((folder.path() / "no" / "such" / "spool").string(), 1), CheckState::fail, "cannot be written");
  expect(check_spool("/proc/histod-spool", 1), CheckState::fail, "cannot be written");
}

TEST(Preflight, TheTokenFileIsRead) {
  const TemporaryFolder folder;
  const std::string good = "admin 0123456789abcdef\n";
  expect(check_token_file(""), CheckState::fail, "no token file is set");
  expect(check_token_file((folder.path() / "none").string()), CheckState::fail, "No such file");
  expect(check_token_file(folder.path().string()), CheckState::fail, "cannot be read");
  expect(check_token_file(folder.file("good", good)), CheckState::ok, "holds 1 token");
  expect(check_token_file(folder.file("bad", "admin short\n")), CheckState::fail, "line 1: the token has 5 characters");
  for (const unsigned mode : {0620u, 0604u, 0644u, 0660u}) {
    const Check check = check_token_file(folder.file("open", good, mode));
    expect(check, CheckState::warn, "can be read by others");
    EXPECT_THAT(check.cure, HasSubstr("chmod 0600"));
  }
  EXPECT_THAT(check_token_file(folder.file("bad", "admin short\n")).what, Not(HasSubstr("short")));
}

/// Makes a certificate and its key with the openssl program.
void make_certificate(const std::string& cert, const std::string& key, const std::string& days) {
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days " + days +
      " -keyout '" + key + "' -out '" + cert + "' 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
}

TEST(Preflight, CertificateAndKeyMustFit) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  make_certificate(path("a.crt"), path("a.key"), "2");
  make_certificate(path("b.crt"), path("b.key"), "2");
  expect(check_tls("", ""), CheckState::ok, "not configured");
  expect(check_tls(path("a.crt"), path("a.key")), CheckState::ok, "fit together");
  expect(check_tls(path("a.crt"), path("b.key")), CheckState::fail, "is no key of");
  expect(check_tls(path("a.key"), path("a.key")), CheckState::fail, "is no certificate chain");
  expect(check_tls(path("none"), path("a.key")), CheckState::fail, "is no certificate chain");
  expect(check_tls(path("a.crt"), folder.file("junk", "junk")), CheckState::fail, "is no key of");
}

TEST(Preflight, TheFleetNeedsACredentialAndAnAddress) {
  const TemporaryFolder folder;
  Options options;
  expect(check_fleet(options), CheckState::ok, "works alone");
  options.zookeeper = "zk1:2181";
  expect(check_fleet(options), CheckState::warn, "open to all");
  options.zookeeper_credential_file = (folder.path() / "none").string();
  expect(check_fleet(options), CheckState::fail, "No such file");
  options.zookeeper_credential_file = folder.file("open", "histod:0123456789abcdef", 0604);
  expect(check_fleet(options), CheckState::fail, "others may use it");
  options.zookeeper_credential_file = folder.file("good", "histod:0123456789abcdef");
  expect(check_fleet(options), CheckState::warn, "http://127.0.0.1:8080");
  options.advertise_url = "http://node1:8080";
  expect(check_fleet(options), CheckState::ok, "zk1:2181, and its nodes reach this one at http://node1:8080");
  options.peer_token_file = folder.file("peer", "0123456789abcdef\n", 0660);
  expect(check_fleet(options), CheckState::fail, "its group or others may use it (mode 660)");
  options.peer_token_file = folder.file("peer", "0123456789abcdef\n");
  expect(check_fleet(options), CheckState::ok, "zk1:2181");
}

TEST(Preflight, FileRootsAreDirectoriesThatCanBeOpened) {
  const TemporaryFolder folder;
  const std::string here = folder.path(), file = folder.file("file", "x");
  expect(check_file_roots(""), CheckState::ok, "not taken by name");
  expect(check_file_roots("a=" + here), CheckState::ok, "1 directory can");
  expect(check_file_roots("a=" + here + ",b=" + here + ":rw"), CheckState::ok, "2 directories can");
  expect(check_file_roots("a=" + here + ",b=" + file), CheckState::fail, "b cannot be used: " + file);
  expect(check_file_roots("a"), CheckState::fail, "NAME=DIR");
}

TEST(Preflight, RunsAllChecksInOrder) {
  const TemporaryFolder folder;
  Options options;
  options.spool_path = (folder.path() / "spool").string();
  options.token_file = folder.file("tokens", "admin 0123456789abcdef\n");
  options.spool_budget_bytes = 1;
  int rings = 0;
  const Probes probes{[&] { return ++rings, system_error(EPERM); }, [] { return std::uint64_t{1}; }};
  const auto names = [](const std::vector<Check>& checks) {
    std::string out;
    for (const Check& check : checks) out += check.name + ' ';
    return out;
  };
  const auto checks = run_preflight(options, probes);
  EXPECT_EQ(names(checks), "io_uring memlock huge-pages pinning spool tokens tls fleet file-roots open-files clock ");
  EXPECT_EQ(rings, 1);
  EXPECT_EQ(worst(checks), CheckState::fail);
  options.io = Io::automatic;
  EXPECT_EQ(worst(run_preflight(options, probes)), CheckState::warn);
  options.io = Io::epoll;
  options.pin = false;
  EXPECT_EQ(names(run_preflight(options, probes)),
            "io_uring memlock huge-pages spool tokens tls fleet file-roots open-files clock ");
  EXPECT_EQ(rings, 2);  // a ring that is not wanted is not tried
  EXPECT_EQ(names(run_preflight(options, {})),
            "memlock huge-pages spool tokens tls fleet file-roots open-files clock ");
}

TEST(Preflight, IsPrintedALineEach) {
  const Check checks[] = {{"clock", CheckState::ok, "the clock is plausible", ""},
                          {"memlock", CheckState::warn, "too little", "ulimit -l unlimited"},
                          {"spool", CheckState::fail, "no such directory", "mkdir x"}};
  EXPECT_EQ(format_checks(checks),
            "ok    clock        the clock is plausible.\n"
            "warn  memlock      too little.\n"
            "                   cure: ulimit -l unlimited\n"
            "FAIL  spool        no such directory.\n"
            "                   cure: mkdir x\n");
  EXPECT_EQ(worst(checks), CheckState::fail);
  EXPECT_EQ(worst({}), CheckState::ok);
}

}  // namespace
}  // namespace histod::daemon
