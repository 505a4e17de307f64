// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// The files that are named, and of folders those that are named like images, in the order of their names.
Result<std::vector<std::string>> files_of(std::span<const std::string> operands, bool recursive);

}  // namespace histod::ctl
