// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <span>
#include <string>

#include "tools/histobench/suites.hpp"

namespace histod::bench {

struct Arguments {
  Settings settings;
  std::string json_path, chart_path;
  bool help = false;
};

/// `words` is the command line without the program's name. Otherwise what is wrong with it, in a sentence.
std::expected<Arguments, std::string> parse_arguments(std::span<const char* const> words);
std::string help_text();

}  // namespace histod::bench
