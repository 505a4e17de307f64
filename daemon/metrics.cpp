// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.hpp"

#include <algorithm>
#include <cassert>
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
    with_bound.emplace_back("le", i < value.bounds.size() ? number(value.bounds[i]) : "+Inf");
    append_sample(out, name + "_bucket", with_bound, static_cast<double>(below));
  }
  append_sample(out, name + "_sum", labels, value.sum);
  append_sample(out, name + "_count", labels, static_cast<double>(below));
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

std::string Metrics::render() const {
  std::string out;
  for (const Family& family : families_) {
    out +=
        fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, escape(family.help, false), family.name, family.type);
    family.render(family.name, out);
  }
  return out;
}

}  // namespace histod::daemon
