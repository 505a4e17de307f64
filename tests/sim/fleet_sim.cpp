// SPDX-License-Identifier: Apache-2.0
// fleet_sim [--first SEED] [--seeds N] [--nodes N] [--images N] [--trace]
// Runs simulated fleets; exit 1 when one went wrong, with its seed and its last events.
// fleet_sim --scale [--nodes N] [--images N]
// Runs a large one without trouble, and prints what it asks of ZooKeeper and how long it takes to get over a death.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/sim/fleets.hpp"

namespace {

using namespace histod::sim;

struct Arguments {
  std::uint64_t first = 1, seeds = 1'000, nodes = 0, images = 0;
  bool trace = false, scale = false;
};

bool parse(int count, char** values, Arguments& out) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    std::uint64_t* const number = name == "--first"    ? &out.first
                                  : name == "--seeds"  ? &out.seeds
                                  : name == "--nodes"  ? &out.nodes
                                  : name == "--images" ? &out.images
                                                       : nullptr;
    if (name == "--trace")
      out.trace = true;
    else if (name == "--scale")
      out.scale = true;
    else if (number != nullptr && i + 1 < count)
      *number = std::strtoull(values[++i], nullptr, 10);
    else
      return false;
  }
  return true;
}

/// With the times that a daemon has if it is told nothing.
int scale(const Arguments& arguments) {
  World::Options options;
  options.seed = arguments.first;
  options.nodes = arguments.nodes > 0 ? arguments.nodes : 100;
  options.images = arguments.images > 0 ? arguments.images : 100'000;
  options.plain = 0;
  options.faults = false;
  options.quiet_spread = std::chrono::seconds(300);
  options.trace = arguments.trace;
  options.settings.session_timeout = milliseconds(10'000);
  options.settings.takeover_after = milliseconds(60'000);
  const World::Scale out = World(options).measure();
  for (const std::string& failure : out.failures) std::printf("%s\n", failure.c_str());
  std::printf("%s\n", out.text().c_str());
  return out.failures.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!parse(count, values, arguments)) {
    std::fputs("usage: fleet_sim [--scale] [--first SEED] [--seeds N] [--nodes N] [--images N] [--trace]\n", stderr);
    return 2;
  }
  if (arguments.scale) return scale(arguments);
  World::Report sum;
  std::uint64_t wrong = 0;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    World::Options options = fleet_of(seed);
    if (arguments.nodes > 0) options.nodes = arguments.nodes;
    if (arguments.images > 0) options.images = arguments.images;
    options.trace = arguments.trace;
    const auto [report, story] = run(options);
    sum.add(report);
    if (report.failures.empty()) continue;
    ++wrong;
    std::fputs(story.c_str(), stdout);
    std::fflush(stdout);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%s\n", summary(sum, arguments.seeds, wrong, took.count()).c_str());
  return wrong == 0 ? 0 : 1;
}
