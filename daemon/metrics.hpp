// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace histod::daemon {

/// Counts observations in fixed buckets. One thread observes, any thread reads.
class MetricHistogram {
 public:
  /// `bounds`: upper bounds, ascending, at most 24; +Inf is implied.
  explicit MetricHistogram(std::initializer_list<double> bounds);
  void observe(double value);

  struct Snapshot {
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;  ///< per bucket, not cumulated; one more than bounds
    double sum = 0;
    std::uint64_t count() const;
    void merge(const Snapshot& other);  ///< same bounds (asserted)
  };
  Snapshot snapshot() const;

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

/// What a scraper reads: Prometheus' text format 0.0.4, or OpenMetrics 1.0.
enum class MetricsFormat : std::uint8_t { text, openmetrics };

/// By the value of the field Accept: OpenMetrics where it is named, in version 1.0.0 or none, and wanted no less than
/// the text format. Whoever names neither reads the text format.
MetricsFormat metrics_format(std::string_view accept);
std::string_view metrics_content_type(MetricsFormat format);

/// Renders metrics. Values are asked for at each scrape, on the scraping thread: callbacks must be cheap and
/// thread-safe. Families are declared at start; declaring is not thread-safe, render() is. Both formats have the same
/// samples, so that a dashboard does not depend on which of them was scraped; a family's unit is the end of its name.
class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  /// Called by a family's callback once for each of its samples.
  using Emit = std::function<void(const Labels& labels, double value)>;
  using EmitHistogram = std::function<void(const Labels& labels, const MetricHistogram::Snapshot& value)>;
  using EmitState = std::function<void(std::string_view state, bool is_in)>;

  /// Names are valid metric names and distinct (asserted). A counter's name ends in _total, an info's in _info, and no
  /// other in either (asserted).
  void counter(std::string name, std::string help, std::function<double()> value);
  void counter(std::string name, std::string help, std::function<void(const Emit&)> samples);
  void gauge(std::string name, std::string help, std::function<double()> value);
  void gauge(std::string name, std::string help, std::function<void(const Emit&)> samples);
  void histogram(std::string name, std::string help, std::function<void(const EmitHistogram&)> samples);
  /// One sample of value 1, whose labels say something.
  void info(std::string name, std::string help, std::function<Labels()> labels);
  /// All states that there are, each with whether it is the case; the label has the family's name.
  void state_set(std::string name, std::string help, std::function<void(const EmitState&)> states);

  std::string render(MetricsFormat format = MetricsFormat::text) const;

 private:
  struct Family {
    std::string name, help, type;
    std::function<void(const std::string& name, std::string& out)> render;
  };
  void add(Family family);
  std::vector<Family> families_;
};

}  // namespace histod::daemon
