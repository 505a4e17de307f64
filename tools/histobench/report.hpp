// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/histobench/measure.hpp"

namespace histod::bench {

struct Report {
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::pair<std::string, std::string>> inputs;  ///< label and digest
  std::vector<std::string> notes;
  std::vector<Row> rows;
};

std::string heading();                ///< of the table
std::string line(const Row& row);     ///< of the table; a row whose bytes differ says so and has no ratio
std::string verdict(const Row& row);  ///< "met", "missed", "wrong bytes", or "" without a target
std::string to_json(const Report& report);

}  // namespace histod::bench
