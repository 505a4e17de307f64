// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/histobench/report.hpp"

namespace histod::bench {

/// The ratios as an SVG picture: a bar for each row that has one, on a logarithmic scale, its target as a tick; colour
/// and words say whether it is met.
std::string to_svg(const Report& report);

}  // namespace histod::bench
