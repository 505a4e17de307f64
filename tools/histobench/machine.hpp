// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace histod::bench {

/// What a figure depends on besides the code: name and value, in the order in which they are to be shown.
std::vector<std::pair<std::string, std::string>> machine_facts();

}  // namespace histod::bench
