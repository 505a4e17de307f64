// SPDX-License-Identifier: Apache-2.0
// fleet_sim [--first SEED] [--seeds N] [--nodes N] [--images N] [--trace]
// Runs simulated fleets; exit 1 when one went wrong, with its seed and its last events.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/sim/fleets.hpp"

namespace {

using namespace histod::sim;

struct Arguments {
  std::uint64_t first = 1, seeds = 1'000, nodes = 0, images = 0;
  bool trace = false;
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
    else if (number != nullptr && i + 1 < count)
      *number = std::strtoull(values[++i], nullptr, 10);
    else
      return false;
  }
  return true;
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!parse(count, values, arguments)) {
    std::fputs("usage: fleet_sim [--first SEED] [--seeds N] [--nodes N] [--images N] [--trace]\n", stderr);
    return 2;
  }
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
