// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/measure.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace histod::bench {

namespace {

double timed_ms(const Competitor& competitor) {
  if (competitor.prepare) competitor.prepare();
  const auto started = std::chrono::steady_clock::now();
  competitor.work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
}

}  // namespace

double quantile(std::vector<double> values, double part) {
  assert(!values.empty());
  std::ranges::sort(values);
  const double at = part * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double spread(const std::vector<double>& values) {
  const double middle = median(values);
  return middle == 0 ? 0 : (quantile(values, 0.75) - quantile(values, 0.25)) / middle;
}

bool has_ratio(const Row& row) { return row.wrong.empty() && row.missing.empty() && !row.values.theirs.empty(); }

double ratio(const Row& row) {
  const auto& [ours, theirs] = row.values;
  assert(ours.size() == theirs.size());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < ours.size(); ++i)
    ratios.push_back(row.judge == Judge::faster ? theirs[i] / ours[i] : ours[i] / theirs[i]);
  return median(std::move(ratios));
}

bool met(const Row& row) {
  return row.judge == Judge::within ? ratio(row) <= row.target_ratio : ratio(row) >= row.target_ratio;
}

Series take_turns(const Competitor& ours, const Competitor& theirs, unsigned rounds) {
  timed_ms(ours);
  timed_ms(theirs);
  Series series;
  for (unsigned i = 0; i < rounds; ++i) {
    series.ours.push_back(timed_ms(ours));
    series.theirs.push_back(timed_ms(theirs));
  }
  return series;
}

}  // namespace histod::bench
