// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace histod::bench {

/// What was measured of two competitors that took turns (A B A B ...): value i of one belongs to value i of the other.
struct Series {
  std::vector<double> ours;
  std::vector<double> theirs;
};

/// One side of a comparison. `prepare`, which may be empty, is not timed.
struct Competitor {
  std::function<void()> prepare;
  std::function<void()> work;
};

/// Which way better lies, and so what the ratio is.
enum class Judge : unsigned char {
  faster,  ///< theirs / ours, at least the target: times, where less is better
  more,    ///< ours / theirs, at least the target: rates
  within,  ///< ours / theirs, at most the target: a limit, or what something costs on top of something else
};

/// What one line of the table says.
struct Row {
  std::string target = {};  ///< "P1", as in the list of targets; empty where there is none
  std::string work = {};
  std::string input = {};
  std::string peer = {};  ///< empty: a figure by itself
  std::string unit = "ms";
  Series values = {};  ///< theirs is as long as ours, or empty where there is no peer
  Judge judge = Judge::faster;
  double target_ratio = 0;   ///< 0: none
  std::string wrong = {};    ///< why the outputs are not believed; then no ratio is printed. Empty: they were checked
  std::string missing = {};  ///< why the peer did not run
};

double median(std::vector<double> values);  ///< of an even number of values the mean of the middle two; not empty

/// Between the two neighbours of a fractional position; `part` is 0 to 1, `values` not empty.
double quantile(std::vector<double> values, double part);

/// The distance between the quartiles, as a part of the median.
double spread(const std::vector<double>& values);

/// The median of the ratios, pair by pair: rounds that a noisy machine disturbed disturb both. Needs a peer's values.
double ratio(const Row& row);
bool has_ratio(const Row& row);
bool met(const Row& row);  ///< of a row that has a ratio and a target

/// Wall times in milliseconds; one unmeasured round of each first.
Series take_turns(const Competitor& ours, const Competitor& theirs, unsigned rounds);

}  // namespace histod::bench
