// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compute/arena.hpp"
#include "compute/clahe.hpp"
#include "compute/equalize.hpp"
#include "compute/planes.hpp"

/// Tables back onto pixels.
namespace histod::compute {

/// How the mapped samples of the planes become pixels again.
enum class Target : std::uint8_t {
  channels,  ///< each plane is a channel: written where it was read
  luma,      ///< one plane; its change is added to the three colors
  ycrcb,     ///< one plane, within OpenCV's round trip
  lab,
  gray,  ///< one plane, which replaces the three colors
};

struct ApplyJob {
  const EqualizePage* page = nullptr;
  Target target = Target::channels;
  std::span<const Plane> planes;
  std::span<const Lut* const> tables;  ///< one for each plane
  std::optional<ClaheGrid> grid;       ///< set: the tables are those of its tiles
  std::uint32_t levels = 0;
  bool write = true;          ///< false: only find out what the outcome would be
  bool count_mapped = false;  ///< fill ApplyOutcome::mapped (CLAHE: no table says where the counts went)
};

struct ApplyOutcome {
  std::vector<Histogram> mapped;    ///< counts of the mapped samples, one for each plane, if asked for
  std::uint64_t nodata_pixels = 0;  ///< counted pixels all of whose resulting colors are the nodata value; for the
                                    ///< targets luma, ycrcb and lab, else 0
  bool healthy = true;              ///< false: OpenCV had no memory for a conversion; the pixels are no use
};

/// For Target::gray with `write` the rows are packed afterwards: `view` becomes the gray image, at the same address.
ApplyOutcome apply_job(const ApplyJob& job, ImageView& view, Arena& arena);

}  // namespace histod::compute
