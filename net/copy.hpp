// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "net/stats.hpp"

namespace histod::net {

/// The only place in net/ that moves payload bytes in user space. The ranges may overlap.
void move_bytes(std::byte* to, const std::byte* from, std::size_t bytes, Counter& copied_bytes);

}  // namespace histod::net
