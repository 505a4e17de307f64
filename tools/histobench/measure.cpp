// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/measure.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace histod::bench {

namespace {

double timed_ns(const Competitor& competitor) {
  competitor.prepare();
  const auto started = std::chrono::steady_clock::now();
  competitor.work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - started).count();
}

/// Between the two neighbours of a fractional position.
double quantile(std::vector<double>& values, double part) {
  assert(!values.empty());
  std::ranges::sort(values);
  const double at = part * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

}  // namespace

double median(std::vector<double> values) { return quantile(values, 0.5); }

double spread(std::vector<double> values) {
  const double middle = quantile(values, 0.5);
  return (quantile(values, 0.75) - quantile(values, 0.25)) / middle;
}

double ratio(const Times& times) {
  assert(times.ours_ns.size() == times.peer_ns.size());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < times.ours_ns.size(); ++i) ratios.push_back(times.peer_ns[i] / times.ours_ns[i]);
  return median(std::move(ratios));
}

Times take_turns(const Competitor& ours, const Competitor& peer, unsigned rounds) {
  timed_ns(ours);
  timed_ns(peer);
  Times times;
  for (unsigned i = 0; i < rounds; ++i) {
    times.ours_ns.push_back(timed_ns(ours));
    times.peer_ns.push_back(timed_ns(peer));
  }
  return times;
}

}  // namespace histod::bench
