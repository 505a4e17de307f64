// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "tests/sim/world.hpp"

namespace histod::sim {

/// The fleet of a seed: 3 to 5 nodes for most, up to 50 for a few.
World::Options fleet_of(std::uint64_t seed);
/// What came of it; and, if it went wrong, the story: seed, what was wrong, what happened last.
std::pair<World::Report, std::string> run(const World::Options& options);
/// One JSON line.
std::string summary(const World::Report& sum, std::uint64_t seeds, std::uint64_t wrong, double took_s);

}  // namespace histod::sim
