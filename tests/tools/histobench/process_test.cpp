// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/process.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/histobench/cli.hpp"
#include "tools/histobench/failure.hpp"

namespace histod::bench {
namespace {

using testing::HasSubstr;

Command shell(const std::string& script) {
  return {.words = {"sh", "-c", script}, .environment = {}, .output_path = {}};
}

TEST(Process, TellsHowItEnded) {
  EXPECT_EQ(Process(shell("exit 3")).wait(), 3);
  EXPECT_EQ(Process(shell("kill -9 $$")).wait(), 128 + SIGKILL);
  EXPECT_EQ(Process({.words = {"/nonexistent/program"}, .environment = {}, .output_path = {}}).wait(), 127);
  EXPECT_NO_THROW(run_program(shell("true")));
  EXPECT_THROW(run_program(shell("false")), Failure);
}

TEST(Process, ItsOutputGoesIntoTheFile) {
  const TemporaryFolder folder;
  Command command = shell("echo out; echo err >&2; echo \"$GIVEN\"; cat");
  command.environment = {"GIVEN=a value"};
  command.output_path = folder.file("log");
  EXPECT_EQ(Process(command).wait(), 0) << "stdin is empty, not ours";
  EXPECT_EQ(text_of(folder.file("log")), "out\nerr\na value\n");
  EXPECT_EQ(first_line_of({"sh", "-c", "echo one; echo two"}), "one");
  EXPECT_EQ(first_line_of({"/nonexistent"}), "");
}

TEST(Process, OurOwnSettingsAreNotHandedOn) {
  ::setenv("HISTOD_MAX_PAGES", "7", 1);
  EXPECT_EQ(first_line_of({"sh", "-c", "echo \"<$HISTOD_MAX_PAGES>\""}), "<>");
  ::unsetenv("HISTOD_MAX_PAGES");
}

TEST(Process, StopAsksFirstAndKillsThen) {
  Process polite(shell("trap 'exit 5' TERM; while :; do sleep 0.01; done"));
  Process stubborn(shell("trap '' TERM; while :; do sleep 0.01; done"));
  EXPECT_TRUE(polite.running());
  const auto code = polite.stop(20);
  EXPECT_TRUE(code == 5 || code == 128 + SIGTERM) << "the signal may come before the trap is set";
  EXPECT_FALSE(polite.running());
  EXPECT_TRUE(stubborn.running());
  stubborn.stop(0);
  EXPECT_FALSE(stubborn.running());
}

TEST(Process, EndsWithItsObject) {
  pid_t pid = 0;
  {
    const Process endless(shell("while :; do sleep 0.01; done"));
    pid = endless.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0) << "it was killed, and waited for";
}

TEST(Process, HandsASocketOn) {
  const Listening listening;
  EXPECT_NE(listening.port, 0);
  Command command = shell("test -S /proc/self/fd/3");
  command.handed_fd = listening.fd;
  EXPECT_EQ(Process(command).wait(), 0);
  command.handed_fd = -1;
  EXPECT_NE(Process(command).wait(), 0) << "nothing of ours is inherited otherwise";
}

TEST(Process, ProgramsAreFoundAsTheShellDoes) {
  EXPECT_THAT(find_program("sh"), HasSubstr("/sh"));
  EXPECT_EQ(find_program("no-such-program"), "");
}

TEST(TemporaryFolder, IsRemovedWithAllThatIsInIt) {
  std::string path;
  {
    const TemporaryFolder folder;
    path = folder.file("sub");
    std::filesystem::create_directories(path + "/deeper");
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(path).parent_path()));
}

TEST(Arguments, AreReadInFull) {
  const char* const words[] = {"--suite", "kernel", "--tiny",  "--rounds", "4",        "--json", "a.json",
                               "--chart", "c.svg",  "--photo", "p.jpg",    "--histod", "/bin/sh"};
  const auto read = parse_arguments(words);
  ASSERT_TRUE(read) << read.error();
  EXPECT_THAT(read->settings.suites, testing::ElementsAre("kernel"));
  EXPECT_EQ(read->settings.scale, Scale::tiny);
  EXPECT_EQ(read->settings.rounds, 4u);
  EXPECT_EQ(read->json_path, "a.json");
  EXPECT_EQ(read->chart_path, "c.svg");
  EXPECT_EQ(read->settings.photo, "p.jpg");
  EXPECT_EQ(read->settings.daemon_program, "/bin/sh");
}

TEST(Arguments, WithoutAnyEverySuiteRunsInFull) {
  const auto read = parse_arguments({});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->settings.suites.size(), suites().size());
  EXPECT_EQ(read->settings.scale, Scale::full);
  EXPECT_GT(read->settings.rounds, 10u);
  for (const Suite& suite : suites()) EXPECT_THAT(help_text(), HasSubstr(std::string(suite.name)));
}

TEST(Arguments, SeveralSuitesMayBeNamedInOneWordOrInMore) {
  const char* const words[] = {"--suite", "kernel,kernel", "--suite", "kernel", "--quick"};
  const auto read = parse_arguments(words);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->settings.suites.size(), 3u) << "each runs once all the same";
  EXPECT_EQ(read->settings.scale, Scale::quick);
  const char* const half[] = {"--suite"};
  EXPECT_EQ(parse_arguments(half).error(), "--suite needs a value");
}

}  // namespace
}  // namespace histod::bench
