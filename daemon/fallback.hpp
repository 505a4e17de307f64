// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace histod::daemon {

/// A thing that runs in another way than it should, and why: logged once, a metric, and on the page.
struct Fallback {
  std::string what;
  std::string why;
};

}  // namespace histod::daemon
