// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/process.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

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

TEST(Process, DebiansOwnProgramsGoFirst) {
  const TemporaryFolder folder;
  for (const char* name : {"env", "ours-alone"}) {
    std::ofstream(folder.file(name)) << "#!/bin/sh\n";
    std::filesystem::permissions(folder.file(name), std::filesystem::perms::owner_all);
  }
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder.file("") + ":/usr/bin").c_str(), 1);
  EXPECT_EQ(find_program("env"), "/usr/bin/env");
  EXPECT_EQ(find_program("ours-alone"), folder.file("") + "/ours-alone");
  ::setenv("PATH", folder.file("").c_str(), 1);
  EXPECT_EQ(find_program("env"), folder.file("") + "/env") << "a folder that PATH does not name is not looked into";
  ::unsetenv("PATH");
  EXPECT_EQ(find_program("env"), "");
  ::setenv("PATH", path.c_str(), 1);
}

TEST(Process, ManyAtOnceEachTellTheirOwnEnd) {
  std::vector<std::unique_ptr<Process>> processes;
  for (int code = 0; code < 20; ++code)
    processes.push_back(std::make_unique<Process>(shell("exit " + std::to_string(code))));
  for (int code = 0; code < 20; ++code) {
    EXPECT_EQ(processes[code]->wait(), code);
    EXPECT_EQ(processes[code]->wait(), code) << "asking twice does not change it";
    EXPECT_FALSE(processes[code]->running());
    EXPECT_EQ(processes[code]->stop(0), code) << "stopping what has ended tells the same";
  }
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

TEST(Arguments, WhatIsWrongIsSaidInASentence) {
  const std::pair<std::vector<const char*>, const char*> calls[] = {
      {{"--fast"}, "unknown option --fast"},
      {{"kernel"}, "unknown option kernel"},
      {{"--rounds"}, "--rounds needs a value"},
      {{"--rounds", "0"}, "--rounds takes 1 to 1000, not \"0\""},
      {{"--rounds", "1001"}, "--rounds takes 1 to 1000, not \"1001\""},
      {{"--rounds", "-1"}, "--rounds takes 1 to 1000, not \"-1\""},
      {{"--rounds", "3x"}, "--rounds takes 1 to 1000, not \"3x\""},
      {{"--rounds", ""}, "--rounds takes 1 to 1000, not \"\""},
      {{"--json"}, "--json needs a value"},
      {{"--chart"}, "--chart needs a value"},
      {{"--photo"}, "--photo needs a value"},
      {{"--histod", "/nonexistent/histod"}, "--histod /nonexistent/histod: there is no such program"},
      {{"--suite", "kernel,speed"}, "there is no suite \"speed\", only kernel, packed"},
      {{"--suite", ""}, "--suite needs a name of kernel, packed"},
  };
  for (const auto& [words, said] : calls) {
    const auto read = parse_arguments(words);
    ASSERT_FALSE(read) << words.front();
    EXPECT_THAT(read.error(), testing::StartsWith(said));
    EXPECT_EQ(read.error().find('\n'), std::string::npos);
  }
}

TEST(Arguments, TheScaleDecidesHowManyRounds) {
  const auto rounds = [](std::vector<const char*> words) { return parse_arguments(words)->settings.rounds; };
  EXPECT_EQ(rounds({"--tiny"}), 1u);
  EXPECT_GT(rounds({"--quick"}), 1u);
  EXPECT_GT(rounds({}), rounds({"--quick"}));
  EXPECT_EQ(rounds({"--quick", "--rounds", "9"}), 9u);
  EXPECT_TRUE(parse_arguments(std::vector{"--help"})->help);
  EXPECT_TRUE(parse_arguments(std::vector{"-h"})->help);
}

TEST(Arguments, WithoutAnyEverySuiteRunsInFull) {
  const auto read = parse_arguments({});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->settings.suites.size(), suites().size() - 1) << "but for the soak, which takes ten minutes";
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
