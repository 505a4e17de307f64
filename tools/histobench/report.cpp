// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/report.hpp"

#include <cmath>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace histod::bench {

namespace json = boost::json;

namespace {

constexpr const char* k_format = "{:<4} {:<24} {:<30} {:<20} {:>9} {:>9} {:>7} {:>6} {:>6}  {}\n";

std::string milliseconds(const std::vector<double>& times_ns) { return fmt::format("{:.2f}", median(times_ns) / 1e6); }

json::array rounded(const std::vector<double>& times_ns) {
  json::array out;
  for (const double ns : times_ns) out.emplace_back(static_cast<std::int64_t>(std::llround(ns)));
  return out;
}

json::object pairs(const std::vector<std::pair<std::string, std::string>>& named) {
  json::object out;
  for (const auto& [name, value] : named) out[name] = value;
  return out;
}

json::object row_json(const Row& row) {
  json::object out{{"target", row.target},
                   {"work", row.work},
                   {"input", row.input},
                   {"peer", row.peer},
                   {"exact", row.exact},
                   {"ours_ns", rounded(row.times.ours_ns)},
                   {"peer_ns", rounded(row.times.peer_ns)}};
  if (row.exact) out["ratio"] = ratio(row.times);
  if (row.target_ratio > 0) out["target_ratio"] = row.target_ratio;
  if (const std::string said = verdict(row); !said.empty()) out["verdict"] = said;
  return out;
}

}  // namespace

std::string heading() {
  return fmt::format(k_format, "", "work", "input", "peer", "ours ms", "peer ms", "spread", "ratio", "target", "");
}

std::string verdict(const Row& row) {
  if (!row.exact) return "wrong bytes";
  if (row.target_ratio <= 0) return "";
  return ratio(row.times) >= row.target_ratio ? "met" : "missed";
}

std::string line(const Row& row) {
  const std::string shown = row.exact ? fmt::format("{:.2f}", ratio(row.times)) : "-";
  const std::string target = row.target_ratio > 0 ? fmt::format("{:.2f}", row.target_ratio) : "";
  return fmt::format(k_format, row.target, row.work, row.input, row.peer, milliseconds(row.times.ours_ns),
                     milliseconds(row.times.peer_ns), fmt::format("{:.0f}%", 100 * spread(row.times.ours_ns)), shown,
                     target, verdict(row));
}

std::string to_json(const Report& report) {
  json::array rows, notes;
  for (const Row& row : report.rows) rows.push_back(row_json(row));
  for (const std::string& note : report.notes) notes.emplace_back(note);
  return json::serialize(json::object{
      {"machine", pairs(report.facts)}, {"inputs", pairs(report.inputs)}, {"notes", notes}, {"rows", rows}});
}

}  // namespace histod::bench
