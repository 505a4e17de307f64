// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/report.hpp"

#include <cmath>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace histod::bench {

namespace json = boost::json;

namespace {

constexpr const char* k_format = "{:<4} {:<39} {:<36} {:<24} {:>9} {:>9} {:<4} {:>6} {:>6} {:>7}  {}\n";

std::string shown(const std::vector<double>& values) {
  if (values.empty()) return "-";
  const double middle = median(values);
  return fmt::format("{:.{}f}", middle, middle < 10 ? 3 : middle < 1000 ? 2 : 0);
}

/// Six digits: more than any clock gives.
json::array rounded(const std::vector<double>& values) {
  json::array out;
  for (const double value : values) {
    const double unit = value == 0 ? 1 : std::pow(10, std::floor(std::log10(std::abs(value))) - 5);
    out.emplace_back(std::round(value / unit) * unit);
  }
  return out;
}

json::object object_of(const Pairs& named) {
  json::object out;
  for (const auto& [name, value] : named) out[name] = value;
  return out;
}

std::string reason(const Row& row) { return row.wrong.empty() ? row.missing : row.wrong; }

json::object row_json(const Row& row) {
  json::object out{{"target", row.target},
                   {"work", row.work},
                   {"input", row.input},
                   {"peer", row.peer},
                   {"unit", row.unit},
                   {"checked", row.wrong.empty()},
                   {"ours", rounded(row.values.ours)},
                   {"theirs", rounded(row.values.theirs)},
                   {"verdict", verdict(row)}};
  if (has_ratio(row)) out["ratio"] = ratio(row);
  if (row.target_ratio > 0) {
    out["target_ratio"] = row.target_ratio;
    out["target_is"] = row.judge == Judge::within ? "at most" : "at least";
  }
  if (const std::string why = reason(row); !why.empty()) out["reason"] = why;
  return out;
}

}  // namespace

std::string heading() {
  return fmt::format(k_format, "", "work", "input", "peer", "ours", "theirs", "unit", "spread", "ratio", "target", "");
}

std::string verdict(const Row& row) {
  if (!row.wrong.empty()) return "wrong output";
  if (!row.missing.empty()) return "peer not found";
  if (row.target_ratio <= 0 || row.values.theirs.empty()) return "no target";
  return met(row) ? "met" : "missed";
}

std::string line(const Row& row) {
  const std::string target =
      row.target_ratio > 0 ? fmt::format("{}{:.2f}", row.judge == Judge::within ? "<=" : ">=", row.target_ratio) : "";
  const std::string why = reason(row);
  return fmt::format(
      k_format, row.target, row.work, row.input, row.peer, shown(row.values.ours), shown(row.values.theirs), row.unit,
      row.values.ours.empty() ? "-" : fmt::format("{:.0f}%", 100 * spread(row.values.ours)),
      has_ratio(row) ? fmt::format("{:.2f}", ratio(row)) : "-", target, verdict(row) + (why.empty() ? "" : ": " + why));
}

std::string to_json(const Report& report) {
  json::array rows, notes;
  for (const Row& row : report.rows) rows.push_back(row_json(row));
  for (const std::string& note : report.notes) notes.emplace_back(note);
  return json::serialize(json::object{
      {"machine", object_of(report.facts)}, {"inputs", object_of(report.inputs)}, {"notes", notes}, {"rows", rows}});
}

}  // namespace histod::bench
