// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace histod::bench {

/// Wall times of two competitors that took turns (A B A B ...), in nanoseconds; round i of one ran right beside round i
/// of the other.
struct Times {
  std::vector<double> ours_ns;
  std::vector<double> peer_ns;
};

/// One side of a comparison. `prepare` is not timed.
struct Competitor {
  std::function<void()> prepare;
  std::function<void()> work;
};

double median(std::vector<double> values);  ///< of an even number of values the mean of the middle two; not empty

/// The distance between the quartiles, as a part of the median.
double spread(std::vector<double> values);

/// The median of peer / ours, round by round: what is asked for is how many times faster ours is, and rounds that a
/// noisy machine disturbed disturb both.
double ratio(const Times& times);

/// One unmeasured round of each first.
Times take_turns(const Competitor& ours, const Competitor& peer, unsigned rounds);

/// What one line of the table says.
struct Row {
  std::string target;  ///< "P1", as in the list of targets; empty where there is none
  std::string work;
  std::string input;
  std::string peer;
  Times times;
  double target_ratio = 0;  ///< 0: none
  bool exact = false;       ///< both made the same bytes; without it no ratio is printed
};

}  // namespace histod::bench
