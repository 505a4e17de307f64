// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "tools/histobench/inputs.hpp"
#include "tools/histobench/measure.hpp"

namespace histod::bench {

struct Settings {
  bool quick = false;   ///< one size, few rounds: seconds, and no figures to quote
  bool tiny = false;    ///< smallest inputs, one round: does it run at all
  std::string photo;    ///< file; empty: where Debian's wallpapers are
  unsigned rounds = 0;  ///< of each comparison; not 0 when a suite runs
};

/// Where a suite tells what it measured, as it goes along.
struct Sink {
  std::function<void(const Input&)> input;
  std::function<void(Row)> row;
  std::function<void(const std::string&)> note;  ///< what was left out, and why
};

/// Counting, tables, applying, CLAHE: in process, beside OpenCV with as many threads.
void run_kernel_suite(const Settings& settings, const Sink& sink);

}  // namespace histod::bench
