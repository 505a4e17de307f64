// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compute/arena.hpp"
#include "compute/equalize.hpp"
#include "compute/histogram.hpp"
#include "compute/planes.hpp"

/// Rows to counts on an arena: each task starts with empty tables, scans its rows, and at its stop adds them to the
/// sum. Integers only, so that no order of tasks shows.
namespace histod::compute {

struct PlaneCount {
  Histogram histogram;
  std::uint64_t masked = 0;
};

/// One count for each of `planes`. `levels` matters to PlaneKind::lab only.
std::vector<PlaneCount> count_planes(const EqualizePage& page, std::span<const Plane> planes, std::uint32_t levels,
                                     Arena& arena);

/// The largest color sample among the pixels that count; 0 when there is none.
std::uint32_t largest_sample(const EqualizePage& page, Arena& arena);

/// The counts after `lut` has moved them: never split.
Histogram moved_by(const Lut& lut, const Histogram& before);

}  // namespace histod::compute
