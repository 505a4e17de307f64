// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/suites.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/histobench/cli.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/opencv.hpp"

namespace histod::bench {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// Runs suites with the smallest inputs and keeps what they tell.
class SuitesTest : public testing::Test {
 protected:
  SuitesTest() {
    settings.scale = Scale::tiny;
    settings.rounds = 2;
    settings.daemon_program = FAKE_HISTOD;
    settings.photo = "/nonexistent";  // noise only: the same on every machine
    sink = {.input = [this](const std::string& label, std::uint64_t) { inputs.push_back(label); },
            .row = [this](Row row) { rows.push_back(std::move(row)); },
            .note = [this](const std::string& note) { notes.push_back(note); },
            .fact = [this](const std::string& name, const std::string& value) { facts.emplace_back(name, value); }};
  }
  void TearDown() override { ::unsetenv("FAKE"); }

  std::vector<Row> with_target(std::string_view target) const {
    std::vector<Row> out;
    std::ranges::copy_if(rows, std::back_inserter(out), [&](const Row& row) { return row.target == target; });
    return out;
  }

  Settings settings;
  Sink sink;
  std::vector<Row> rows;
  std::vector<std::string> inputs, notes;
  std::vector<std::pair<std::string, std::string>> facts;
};

TEST_F(SuitesTest, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Suite& suite : suites()) {
    EXPECT_TRUE(names.insert(suite.name).second) << suite.name;
    EXPECT_FALSE(suite.says.empty());
  }
  EXPECT_THAT(names, Contains("kernel"));
}

TEST_F(SuitesTest, TheSoakRunsOnlyWhenItIsNamed) {
  const std::string program = FAKE_HISTOD;
  const auto chosen = [&](std::vector<const char*> words) {
    words.insert(words.end(), {"--histod", program.c_str()});
    const auto arguments = parse_arguments(words);
    EXPECT_TRUE(arguments.has_value()) << (arguments ? "" : arguments.error());
    return arguments ? arguments->settings.suites : std::vector<std::string>{};
  };
  EXPECT_THAT(chosen({}), testing::AllOf(SizeIs(suites().size() - 1), Not(Contains("soak")), Contains("node")));
  EXPECT_THAT(chosen({"--suite", "soak"}), ElementsAre("soak"));
  EXPECT_THAT(chosen({"--quick", "--suite", "soak,kernel"}), ElementsAre("soak", "kernel"));
  EXPECT_THAT(help_text(), HasSubstr("soak"));
  EXPECT_THAT(parse_arguments(std::vector<const char*>{"--suite", "bath"}).error(), HasSubstr("only kernel"));
}

TEST_F(SuitesTest, ShorterScalesMeasureForLessTime) {
  const double tiny = settings.seconds();
  settings.scale = Scale::quick;
  const double quick = settings.seconds();
  settings.scale = Scale::full;
  EXPECT_LT(tiny, quick);
  EXPECT_LT(quick, settings.seconds());
}

TEST_F(SuitesTest, WithoutAPhotographThereIsNoiseAndANote) {
  EXPECT_THAT(gray_inputs(settings, sink, k_tiny, false), SizeIs(1));
  EXPECT_THAT(gray_inputs(settings, sink, k_tiny, true), SizeIs(1)) << "the same noise twice says nothing";
  EXPECT_EQ(color_input(settings, sink, k_tiny).pixels.channels(), 3);
  EXPECT_THAT(notes, Each(HasSubstr("lomiri-wallpapers")));
  EXPECT_THAT(inputs, ElementsAre("dim noise 400x300 8-bit", "dim noise 400x300 8-bit", "dim noise 400x300 RGB 8-bit"));
}

TEST_F(SuitesTest, TheKernelsTargetsDependOnTheInput) {
  run_kernel_suite(settings, sink);
  EXPECT_THAT(rows, SizeIs(4));
  for (const Row& row : rows) {
    EXPECT_EQ(row.wrong, "") << row.work;
    EXPECT_THAT(row.values.ours, SizeIs(2));
    EXPECT_THAT(inputs, Contains(row.input)) << "its digest is told";
    EXPECT_TRUE(row.target != "P6" || row.target_ratio == 1.5);
  }
  const auto kernels = with_target("P1");
  ASSERT_THAT(kernels, SizeIs(2));
  EXPECT_DOUBLE_EQ(kernels[0].target_ratio, 2.5) << kernels[0].input;
  EXPECT_DOUBLE_EQ(kernels[1].target_ratio, 2) << kernels[1].input;
}

TEST_F(SuitesTest, CodecsAreComparedBothWays) {
  run_codec_suite(settings, sink);
  EXPECT_THAT(rows, SizeIs(12)) << "gray and coloured; PNG, JPEG and TIFF; both ways";
  for (const Row& row : rows) {
    EXPECT_EQ(row.wrong, "") << row.work << ' ' << row.input;
    EXPECT_EQ(row.missing, opencv_codecs_missing());
    EXPECT_EQ(row.target_ratio, 0) << "targets are for whole requests";
    EXPECT_TRUE(!row.missing.empty() || ratio(row) > 0);
  }
}

/// Also where JPEG, or a tool of another rule, leaves room for doubt: the fake's answer is the request's own image.
TEST_F(SuitesTest, WrongPixelsAreNotTimed) {
  ::setenv("FAKE", "wrong", 1);
  run_http_suite(settings, sink);
  EXPECT_THAT(rows, Not(IsEmpty()));
  for (const Row& row : rows) {
    if (!row.missing.empty()) continue;
    EXPECT_THAT(row.wrong, testing::ContainsRegex("differs from the oracle's|off the (oracle's|peer's)"))
        << row.work << row.input << row.peer;
    EXPECT_THAT(row.values.ours, IsEmpty());
  }
  EXPECT_THAT(facts, Contains(std::pair<std::string, std::string>("back-end", "fake")));
}

/// The fake answers with the image as it came: no rate of such answers is worth a line.
TEST_F(SuitesTest, RatesOfWrongAnswersAreNotMeasured) {
  ::setenv("FAKE", "wrong", 1);
  EXPECT_THROW(run_small_suite(settings, sink), Failure);
  EXPECT_THAT(rows, IsEmpty());
}

/// What goes on for ten minutes begins with answers that are right.
TEST_F(SuitesTest, WrongAnswersAreNotSoaked) {
  if (!opencv_codecs_missing().empty()) GTEST_SKIP() << opencv_codecs_missing();
  ::setenv("FAKE", "wrong", 1);
  EXPECT_THROW(run_soak_suite(settings, sink), Failure);
  EXPECT_THAT(rows, IsEmpty());
}

TEST_F(SuitesTest, ADaemonWithoutAFeedHasNoReaders) {
  EXPECT_THROW(run_feed_suite(settings, sink), Failure);
  ASSERT_THAT(rows, SizeIs(1)) << "what it takes before any came";
  EXPECT_EQ(rows[0].work, "resident");
}

TEST_F(SuitesTest, ReadersForWhomThereAreNoFilesAreNotBegun) {
  const pid_t child = ::fork();  // a hard limit cannot be raised again
  if (child == 0) {
    const rlimit few{200, 200};
    ::setrlimit(RLIMIT_NOFILE, &few);
    try {
      run_feed_suite(settings, sink);
    } catch (const Failure& failure) {
      const std::string what = failure.what();
      ::_exit(what.contains("the hard limit is 200") ? 7 : 8);
    }
    ::_exit(9);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(SuitesTest, MemoryIsHeldAgainstFixedLimits) {
  ::setenv("FAKE", "wrong", 1);
  run_memory_suite(settings, sink);
  ASSERT_THAT(rows, SizeIs(3));
  for (const Row& row : rows) {
    EXPECT_EQ(row.target, "P8");
    EXPECT_EQ(row.judge, Judge::within);
    EXPECT_THAT(row.values.ours, SizeIs(2)) << "a daemon of its own for each round";
    EXPECT_THAT(row.values.theirs, Each(row.values.theirs.front())) << "a limit does not change";
  }
  EXPECT_EQ(rows[0].unit, "ms");
  EXPECT_THAT(rows[0].values.theirs, Each(200));
  EXPECT_THAT(rows[1].values.theirs, Each(40));
  EXPECT_EQ(rows[1].wrong, "") << "an idle daemon has answered nothing";
  EXPECT_THAT(rows[2].wrong, HasSubstr("differs from the oracle's"));
}

TEST_F(SuitesTest, ScalingIsMeasuredAgainstOneThread) {
  run_scaling_suite(settings, sink);
  if (!notes.empty() && rows.empty()) GTEST_SKIP() << notes.back();
  ASSERT_THAT(with_target("P9"), SizeIs(2));
  EXPECT_DOUBLE_EQ(with_target("P9")[0].target_ratio, 1.8);
  EXPECT_DOUBLE_EQ(with_target("P9")[1].target_ratio, 1.3);
  EXPECT_THAT(rows[0].work, HasSubstr("nothing shared")) << "the machine's own gain stands before ours";
  for (const Row& row : rows) {
    EXPECT_EQ(row.wrong, "") << row.work;
    EXPECT_EQ(row.peer, "1 thread");
    EXPECT_GT(ratio(row), 0);
  }
}

TEST_F(SuitesTest, ANodesLimitsAreFiguresByThemselves) {
  ::setenv("FAKE", "wrong", 1);
  run_node_suite(settings, sink);
  const auto find = [&](std::string_view work, std::string_view peer) {
    return *std::ranges::find_if(rows, [&](const Row& row) { return row.work == work && row.peer == peer; });
  };
  for (const char* work : {"memory read, 1 thread", "memcpy, 1 thread"}) {
    const Row limit = find(work, "");
    EXPECT_EQ(limit.unit, "GB/s");
    EXPECT_EQ(limit.wrong, "");
    EXPECT_FALSE(has_ratio(limit));
    EXPECT_THAT(limit.values.ours, Each(testing::Gt(0)));
  }
  EXPECT_EQ(find("POST echo", "plain loopback echo").wrong, "") << "the fake's echo is right";
  EXPECT_THAT(find("POST equalize", "plain loopback echo").wrong, HasSubstr("differs from the oracle's"));
  EXPECT_THAT(find("POST equalize", "its codecs alone").wrong, HasSubstr("not those of its own codecs"));
}

TEST_F(SuitesTest, ADaemonThatDoesNotEndWellIsAFailure) {
  ::setenv("FAKE", "stubborn", 1);
  EXPECT_THROW(run_http_suite(settings, sink), Failure);
  ::setenv("FAKE", "dies", 1);
  EXPECT_THROW(run_http_suite(settings, sink), Failure);
  settings.daemon_program = "";
  EXPECT_THROW(run_http_suite(settings, sink), Failure);
}

}  // namespace
}  // namespace histod::bench
