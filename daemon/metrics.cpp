// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

namespace histod::daemon {
namespace {

constexpr std::size_t k_bounds_max = 24;

bool is_name(std::string_view name, bool colon_allowed) {
  const auto letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon_allowed && c == ':');
  };
  return !name.empty() && letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  constexpr double k_exact_max = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::abs(value) <= k_exact_max) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  return fmt::format("{}", value);
}

/// Backslash and line feed are escaped everywhere, quotes only in label values.
std::string escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

/// An upper bound as every client library writes it, so that a series has one name in both formats: 1.0, not 1.
std::string bound_text(double bound) {
  std::string out = number(bound);
  if (std::isfinite(bound) && out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

std::string label_text(const Metrics::Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    assert(is_name(name, false));
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "{" : ",", name, escape(value, true));
  }
  return out.empty() ? out : out + '}';
}

void append_sample(std::string& out, const std::string& name, const Metrics::Labels& labels, double value) {
  out += fmt::format("{}{} {}\n", name, label_text(labels), number(value));
}

void append_histogram(std::string& out, const std::string& name, const Metrics::Labels& labels,
                      const MetricHistogram::Snapshot& value) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < value.counts.size(); ++i) {
    below += value.counts[i];
    Metrics::Labels with_bound = labels;
    with_bound.emplace_back("le", i < value.bounds.size() ? bound_text(value.bounds[i]) : "+Inf");
    append_sample(out, name + "_bucket", with_bound, static_cast<double>(below));
  }
  append_sample(out, name + "_sum", labels, value.sum);
  append_sample(out, name + "_count", labels, static_cast<double>(below));
}

constexpr std::string_view k_total = "_total", k_info = "_info";

/// As OpenMetrics names a family: without what its samples add.
std::string_view family_name(std::string_view name) {
  for (const std::string_view end : {k_total, k_info})
    if (name.ends_with(end)) name.remove_suffix(end.size());
  return name;
}

std::string_view unit_of(std::string_view family) {
  for (const std::string_view unit : {"seconds", "bytes", "ratio"})
    if (family.size() > unit.size() && family.ends_with(unit) && family[family.size() - unit.size() - 1] == '_')
      return unit;
  return {};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_blanks = " \t";
  const auto first = text.find_first_not_of(k_blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(k_blanks) - first + 1);
}

/// What stands before the next `mark`; `rest` then begins behind it.
std::string_view next_of(std::string_view& rest, char mark) {
  const auto end = std::min(rest.find(mark), rest.size());
  const std::string_view out = trimmed(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

struct MediaRange {
  std::string type, version;
  double quality = 1;
};

MediaRange media_range(std::string_view text) {
  MediaRange out{lower(next_of(text, ';')), ""};
  while (!text.empty()) {
    std::string_view value = next_of(text, ';');
    const std::string name = lower(next_of(value, '='));
    if (name == "version") out.version = value;
    if (name != "q") continue;
    double quality = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), quality);
    out.quality = error == std::errc() && end == value.data() + value.size() ? quality : 0;
  }
  return out;
}

auto samples_renderer(std::function<void(const Metrics::Emit&)> samples) {
  return [samples = std::move(samples)](const std::string& name, std::string& out) {
    const Metrics::Emit emit = [&](const Metrics::Labels& labels, double value) {
      append_sample(out, name, labels, value);
    };
    samples(emit);
  };
}

auto value_renderer(std::function<double()> value) {
  return
      [value = std::move(value)](const std::string& name, std::string& out) { append_sample(out, name, {}, value()); };
}

}  // namespace

MetricHistogram::MetricHistogram(std::initializer_list<double> bounds)
    : bounds_(bounds), counts_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds.size() + 1)) {
  assert(bounds_.size() <= k_bounds_max);
  assert(std::ranges::is_sorted(bounds_, std::less_equal<>{}) || bounds_.size() < 2);
}

void MetricHistogram::observe(double value) {
  if (std::isnan(value)) return;
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  auto& count = counts_[static_cast<std::size_t>(bucket)];
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

MetricHistogram::Snapshot MetricHistogram::snapshot() const {
  Snapshot out{bounds_, {}, sum_.load(std::memory_order_relaxed)};
  for (std::size_t i = 0; i <= bounds_.size(); ++i) out.counts.push_back(counts_[i].load(std::memory_order_relaxed));
  return out;
}

std::uint64_t MetricHistogram::Snapshot::count() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void MetricHistogram::Snapshot::merge(const Snapshot& other) {
  assert(bounds == other.bounds);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  sum += other.sum;
}

void Metrics::add(Family family) {
  assert(is_name(family.name, true));
  assert(std::ranges::find(families_, family.name, &Family::name) == families_.end());
  assert(family.name.ends_with(k_total) == (family.type == "counter"));
  assert(family.name.ends_with(k_info) == (family.type == "info"));
  families_.push_back(std::move(family));
}

void Metrics::counter(std::string name, std::string help, std::function<double()> value) {
  add({std::move(name), std::move(help), "counter", value_renderer(std::move(value))});
}

void Metrics::counter(std::string name, std::string help, std::function<void(const Emit&)> samples) {
  add({std::move(name), std::move(help), "counter", samples_renderer(std::move(samples))});
}

void Metrics::gauge(std::string name, std::string help, std::function<double()> value) {
  add({std::move(name), std::move(help), "gauge", value_renderer(std::move(value))});
}

void Metrics::gauge(std::string name, std::string help, std::function<void(const Emit&)> samples) {
  add({std::move(name), std::move(help), "gauge", samples_renderer(std::move(samples))});
}

void Metrics::histogram(std::string name, std::string help, std::function<void(const EmitHistogram&)> samples) {
  add({std::move(name), std::move(help), "histogram",
       [samples = std::move(samples)](const std::string& family, std::string& out) {
         const EmitHistogram emit = [&](const Labels& labels, const MetricHistogram::Snapshot& value) {
           append_histogram(out, family, labels, value);
         };
         samples(emit);
       }});
}

void Metrics::info(std::string name, std::string help, std::function<Labels()> labels) {
  add({std::move(name), std::move(help), "info",
       [labels = std::move(labels)](const std::string& full, std::string& out) {
         append_sample(out, full, labels(), 1);
       }});
}

void Metrics::state_set(std::string name, std::string help, std::function<void(const EmitState&)> states) {
  add({std::move(name), std::move(help), "stateset",
       [states = std::move(states)](const std::string& family, std::string& out) {
         const EmitState emit = [&](std::string_view state, bool is_in) {
           append_sample(out, family, {{family, std::string(state)}}, is_in ? 1 : 0);
         };
         states(emit);
       }});
}

std::string Metrics::render(MetricsFormat format) const {
  const bool open = format == MetricsFormat::openmetrics;
  std::string out;
  for (const Family& family : families_) {
    const std::string_view name = open ? family_name(family.name) : std::string_view(family.name);
    const bool plain_gauge = !open && (family.type == "info" || family.type == "stateset");
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escape(family.help, open), name,
                       plain_gauge ? "gauge" : family.type);
    if (const auto unit = unit_of(name); open && !unit.empty()) out += fmt::format("# UNIT {} {}\n", name, unit);
    family.render(family.name, out);
  }
  if (open) out += "# EOF\n";
  return out;
}

MetricsFormat metrics_format(std::string_view accept) {
  double open = 0, text = 0;
  while (!accept.empty()) {
    const MediaRange range = media_range(next_of(accept, ','));
    if (range.type == "application/openmetrics-text" && (range.version.empty() || range.version == "1.0.0"))
      open = std::max(open, range.quality);
    if (range.type == "text/plain") text = std::max(text, range.quality);
  }
  return open > 0 && open >= text ? MetricsFormat::openmetrics : MetricsFormat::text;
}

std::string_view metrics_content_type(MetricsFormat format) {
  return format == MetricsFormat::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                              : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace histod::daemon
