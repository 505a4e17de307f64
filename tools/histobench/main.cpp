// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "tools/histobench/chart.hpp"
#include "tools/histobench/cli.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/machine.hpp"
#include "tools/histobench/report.hpp"

namespace {

using namespace histod::bench;

bool write_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

void show_fact(const std::string& name, const std::string& value) { fmt::print("{:<13} {}\n", name, value); }

/// A fact, a note, an input is told once, whichever suites have it.
template <class T>
bool is_new(const std::vector<T>& known, const T& value) {
  return std::ranges::find(known, value) == known.end();
}

Sink sink_into(Report& report) {
  return {.input =
              [&](const std::string& label, std::uint64_t hash) {
                std::pair pair{label, fmt::format("{:016x}", hash)};
                if (is_new(report.inputs, pair)) report.inputs.push_back(std::move(pair));
              },
          .row =
              [&](Row row) {
                fmt::print("{}", line(row));
                std::fflush(stdout);
                report.rows.push_back(std::move(row));
              },
          .note =
              [&](const std::string& note) {
                if (is_new(report.notes, note)) report.notes.push_back(note);
              },
          .fact =
              [&](const std::string& name, const std::string& value) {
                std::pair pair{name, value};
                if (is_new(report.facts, pair)) report.facts.push_back(std::move(pair));
              }};
}

/// False when a suite could not be finished; what was measured before stays.
bool measure(const Settings& settings, Report& report) {
  for (const auto& [name, value] : report.facts) show_fact(name, value);
  const std::size_t facts_shown = report.facts.size();
  fmt::print("\n{}", heading());
  const Sink sink = sink_into(report);
  bool finished = true;
  for (const Suite& suite : suites()) {
    if (std::ranges::find(settings.suites, suite.name) == settings.suites.end()) continue;
    try {
      suite.run(settings, sink);
    } catch (const Failure& failure) {
      finished = false;
      fmt::print(stderr, "histobench: suite {}: {}\n", suite.name, failure.what());
    }
  }
  fmt::print("\n");
  for (std::size_t i = facts_shown; i < report.facts.size(); ++i)
    show_fact(report.facts[i].first, report.facts[i].second);
  for (const std::string& note : report.notes) fmt::print("note          {}\n", note);
  for (const auto& [label, hash] : report.inputs) fmt::print("input         {} {}\n", hash, label);
  return finished;
}

int fail(const std::string& what, int code) {
  fmt::print(stderr, "histobench: {}\n", what);
  return code;
}

int run(const Arguments& arguments) {
  Report report{.facts = machine_facts(), .inputs = {}, .notes = {}, .rows = {}};
  const bool finished = measure(arguments.settings, report);
  if (!arguments.json_path.empty() && !write_file(arguments.json_path, to_json(report) + "\n"))
    return fail(fmt::format("cannot write {}: {}", arguments.json_path, std::strerror(errno)), 2);
  if (!arguments.chart_path.empty() && !write_file(arguments.chart_path, to_svg(report)))
    return fail(fmt::format("cannot write {}: {}", arguments.chart_path, std::strerror(errno)), 2);
  for (const Row& row : report.rows) {
    if (!row.wrong.empty()) return fail(fmt::format("{}, {}: {}", row.work, row.input, row.wrong), 1);
  }
  return finished ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse_arguments({argv + 1, static_cast<std::size_t>(argc - 1)});
  if (!arguments) return fail(arguments.error() + "; see histobench --help", 2);
  if (arguments->help) {
    fmt::print("{}", help_text());
    return 0;
  }
  try {
    return run(*arguments);
  } catch (const std::exception& error) {  // what no suite expects: memory, a peer's library
    return fail(error.what(), 1);
  }
}
