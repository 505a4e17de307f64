// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/measure.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/report.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

Row row_of(Judge judge, double target, std::vector<double> ours, std::vector<double> theirs) {
  return {.target = "P0",
          .work = "work",
          .input = "input",
          .peer = theirs.empty() ? "" : "peer",
          .values = {std::move(ours), std::move(theirs)},
          .judge = judge,
          .target_ratio = target};
}

TEST(Measure, QuantilesLieBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(median({7}), 7);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 0), 10);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 1), 50);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 0.99), 49.6);
  EXPECT_DOUBLE_EQ(spread({10, 20, 30, 40, 50}), 20.0 / 30);
  EXPECT_DOUBLE_EQ(spread({0, 0}), 0);
}

/// Against the definition: as many values at or below it as there should be.
TEST(Measure, PercentilesOfManyValuesAreExact) {
  std::mt19937 random(5);
  std::vector<double> values(10'001);
  for (double& value : values) value = std::exp(std::normal_distribution(0.0, 2.0)(random));
  for (const double part : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const double at = quantile(values, part);
    const auto below = std::ranges::count_if(values, [&](double value) { return value <= at; });
    EXPECT_NEAR(static_cast<double>(below), part * 10'000 + 1, 1) << part;
  }
}

TEST(Measure, TheRatioIsTheMedianOfThePairs) {
  // The medians alone would say 20 / 10; a machine that slowed down in the last round slowed both.
  EXPECT_DOUBLE_EQ(ratio(row_of(Judge::faster, 0, {10, 10, 100}, {30, 20, 300})), 3);
  EXPECT_DOUBLE_EQ(ratio(row_of(Judge::more, 0, {30, 20, 300}, {10, 10, 100})), 3);
  EXPECT_DOUBLE_EQ(ratio(row_of(Judge::within, 0, {11}, {10})), 1.1);
}

TEST(Measure, TargetsAreMetFromTheirOwnSide) {
  EXPECT_TRUE(met(row_of(Judge::faster, 2, {10}, {20})));
  EXPECT_FALSE(met(row_of(Judge::faster, 2, {10}, {19})));
  EXPECT_TRUE(met(row_of(Judge::more, 0.5, {5}, {10})));
  EXPECT_FALSE(met(row_of(Judge::more, 0.5, {4.9}, {10})));
  EXPECT_TRUE(met(row_of(Judge::within, 1.5, {15}, {10})));
  EXPECT_FALSE(met(row_of(Judge::within, 1.5, {15.1}, {10})));
}

TEST(Measure, BothTakeTurnsAndOneRoundIsNotCounted) {
  std::string order;
  const Series series = take_turns({[&] { order += '('; }, [&] { order += 'a'; }}, {{}, [&] { order += 'b'; }}, 3);
  EXPECT_EQ(order, "(ab(ab(ab(ab");
  EXPECT_EQ(series.ours.size(), 3u);
  EXPECT_EQ(series.theirs.size(), 3u);
}

TEST(Verdict, SaysWhyThereIsNoRatio) {
  EXPECT_EQ(verdict(row_of(Judge::faster, 2, {10}, {20})), "met");
  EXPECT_EQ(verdict(row_of(Judge::faster, 2, {10}, {10})), "missed");
  EXPECT_EQ(verdict(row_of(Judge::faster, 0, {10}, {10})), "no target");
  EXPECT_EQ(verdict(row_of(Judge::faster, 0, {10}, {})), "no target");
  Row missing = row_of(Judge::faster, 2, {10}, {});
  missing.missing = "install it";
  EXPECT_EQ(verdict(missing), "peer not found");
  EXPECT_THAT(line(missing), HasSubstr("peer not found: install it"));
  Row wrong = row_of(Judge::faster, 2, {10}, {20});
  wrong.wrong = "a sample differs";
  EXPECT_EQ(verdict(wrong), "wrong output");
  EXPECT_THAT(line(wrong), HasSubstr("wrong output: a sample differs"));
  EXPECT_THAT(line(wrong), Not(HasSubstr(" 2.00"))) << "a ratio of wrong outputs is no ratio";
}

TEST(Report, TheTablesColumnsStandUnderOneAnother) {
  const std::string head = heading();
  for (const auto& [ours, theirs] : {std::pair(0.00123, 1.0), std::pair(12.3456, 99999.4), std::pair(123456.7, 5.0)}) {
    const Row row = row_of(Judge::faster, 2, {ours, ours, ours}, {theirs, theirs, theirs});
    const std::string text = line(row);
    EXPECT_EQ(text.find("input"), head.find("input"));
    EXPECT_EQ(text.find("peer"), head.find("peer"));
    EXPECT_EQ(text.find(" ms "), head.find(" unit ")) << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  }
  EXPECT_THAT(line(row_of(Judge::within, 1.15, {1}, {1})), HasSubstr("<=1.15  met"));
  EXPECT_THAT(line(row_of(Judge::more, 0.6, {1}, {2})), HasSubstr(">=0.60  missed"));
  EXPECT_THAT(line(row_of(Judge::faster, 0, {1}, {})), HasSubstr("no target"));
}

TEST(Report, JsonHoldsEveryValue) {
  Report report{.facts = {{"cpu", "a \"cpu\""}}, .inputs = {{"noise", "00ff"}}, .notes = {"left out"}, .rows = {}};
  report.rows.push_back(row_of(Judge::within, 1.15, {1.25, 123456.789}, {1, 100000}));
  report.rows.push_back(row_of(Judge::faster, 0, {}, {}));
  report.rows.back().missing = "install it";
  const auto read = boost::json::parse(to_json(report)).as_object();
  EXPECT_EQ(read.at("machine").at("cpu"), "a \"cpu\"");
  EXPECT_EQ(read.at("inputs").at("noise"), "00ff");
  EXPECT_EQ(read.at("notes").at(0), "left out");
  const auto& first = read.at("rows").at(0).as_object();
  EXPECT_DOUBLE_EQ(first.at("ours").at(0).as_double(), 1.25);
  EXPECT_NEAR(first.at("ours").at(1).as_double(), 123456.789, 1);
  EXPECT_EQ(first.at("target_is"), "at most");
  EXPECT_EQ(first.at("verdict"), "missed");
  EXPECT_FALSE(first.contains("reason"));
  const auto& second = read.at("rows").at(1).as_object();
  EXPECT_FALSE(second.contains("ratio"));
  EXPECT_EQ(second.at("reason"), "install it");
}

class CompareTest : public testing::Test {
 protected:
  /// The row that comes of it.
  Row compared(const std::function<void()>& ours, const std::function<std::string()>& check) {
    Row got;
    const Sink sink{.input = {}, .row = [&](Row row) { got = std::move(row); }, .note = {}, .fact = {}};
    compare(sink, {.work = "w"}, {{}, ours}, {{}, [] {}}, 2, check);
    return got;
  }
};

TEST_F(CompareTest, TimesNothingThatIsWrong) {
  int runs = 0;
  const Row row = compared([&] { ++runs; }, [] { return std::string("a sample differs"); });
  EXPECT_EQ(row.wrong, "a sample differs");
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(row.values.ours.empty());
}

TEST_F(CompareTest, LooksAgainAfterwards) {
  int checks = 0;
  const Row row = compared([] {}, [&] { return checks++ == 0 ? std::string() : std::string("it went wrong later"); });
  EXPECT_EQ(row.wrong, "it went wrong later");
}

TEST_F(CompareTest, WhatIsKnownOfTheRowStays) {
  Row got;
  const Sink sink{.input = {}, .row = [&](Row row) { got = std::move(row); }, .note = {}, .fact = {}};
  Row row = row_of(Judge::within, 1.15, {}, {});
  row.peer = "peer";
  int ours = 0, theirs = 0;
  compare(sink, row, {{}, [&] { ++ours; }}, {{}, [&] { ++theirs; }}, 5, [] { return std::string(); });
  EXPECT_EQ(got.target, "P0");
  EXPECT_EQ(got.judge, Judge::within);
  EXPECT_DOUBLE_EQ(got.target_ratio, 1.15);
  EXPECT_EQ(got.values.ours.size(), 5u);
  EXPECT_EQ(ours, 6) << "one more to warm up";
  EXPECT_EQ(theirs, 6);
}

TEST_F(CompareTest, AFailureIsTheRowsAndNotTheProgramsEnd) {
  EXPECT_EQ(compared([] { throw Failure("gone"); }, [] { return std::string(); }).wrong, "gone");
  const Row fine = compared([] {}, [] { return std::string(); });
  EXPECT_EQ(fine.wrong, "");
  EXPECT_EQ(fine.values.ours.size(), 2u);
}

}  // namespace
}  // namespace histod::bench
