// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fleets.hpp"

#include <fmt/core.h>

namespace histod::sim {

World::Options fleet_of(std::uint64_t seed) {
  World::Options options;
  options.seed = seed;
  options.nodes = 3 + seed % 3;
  options.images = 8 + seed % 13;
  if (seed % 200 == 0) options.nodes = 10;
  if (seed % 1'000 == 0) options.nodes = 50;
  return options;
}

std::pair<World::Report, std::string> run(const World::Options& options) {
  World world(options);
  World::Report report = world.run();
  std::string story;
  if (report.failures.empty()) return {std::move(report), std::move(story)};
  story = fmt::format(
      "seed {} ({} nodes, {} images) went wrong; to see all of it: fleet_sim --first {} --seeds 1 --trace\n",
      options.seed, options.nodes, options.images, options.seed);
  for (const std::string& failure : report.failures) story += "  " + failure + "\n";
  if (options.trace) return {std::move(report), std::move(story)};
  story += "  the last that happened:\n";
  for (const std::string& event : world.events()) story += "    " + event + "\n";
  return {std::move(report), std::move(story)};
}

std::string summary(const World::Report& sum, std::uint64_t seeds, std::uint64_t wrong, double took_s) {
  return fmt::format(
      R"({{"seeds":{},"wrong":{},"seconds":{:.1f},"virtual_hours":{:.1f},"accepted":{},"refused":{},"unknown":{},)"
      R"("removed":{},"finalized":{},"crashes":{},"deaths":{},"stops":{},"cuts":{},"takeovers":{},"disk_failures":{},)"
      R"("lost":{},"twice":{},"late":{},"leader_writes":{},"adopted":{},"disowned":{}}})",
      seeds, wrong, took_s, sum.virtual_s / 3'600, sum.accepted, sum.refused, sum.unknown, sum.removed, sum.finalized,
      sum.crashes, sum.deaths, sum.stops, sum.cuts, sum.takeovers, sum.disk_failures, sum.lost, sum.twice, sum.late,
      sum.leader_writes, sum.adopted, sum.disowned);
}

}  // namespace histod::sim
