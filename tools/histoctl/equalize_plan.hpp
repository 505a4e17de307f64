// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tools/histoctl/cli.hpp"

namespace histod::ctl {

struct EqualizeItem {
  std::string input;   ///< "-": standard input
  std::string output;  ///< "-": standard output
};

struct EqualizePlan {
  std::vector<EqualizeItem> items;
  bool by_job = false;
};

/// Which input goes to which output, decided before anything is sent; makes the output folder where one is needed.
/// Exit::usage: no inputs, two results of one name, standard input twice, an image for a terminal.
Result<EqualizePlan> plan_equalize(const Arguments& arguments);

}  // namespace histod::ctl
