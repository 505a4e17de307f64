// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/histobench/report.hpp"

namespace histod::bench {

/// What a figure depends on besides the code: name and value, in the order in which they are to be shown.
Pairs machine_facts();

}  // namespace histod::bench
