// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/histobench/measure.hpp"

namespace histod::bench {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Report {
  Pairs facts;   ///< of the machine, of histod, and of the peers that were found
  Pairs inputs;  ///< label and digest
  std::vector<std::string> notes;
  std::vector<Row> rows;
};

std::string heading();                ///< of the table
std::string line(const Row& row);     ///< of the table; a row whose outputs are wrong says so and has no ratio
std::string verdict(const Row& row);  ///< "met", "missed", "no target", "peer not found", "wrong output"
std::string to_json(const Report& report);

}  // namespace histod::bench
