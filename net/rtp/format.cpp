// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/format.hpp"

#include <array>
#include <cassert>

namespace histod::net::rtp {

namespace {

constexpr std::array<std::string_view, 4> k_names{"YCbCr-4:2:2", "YCbCr-4:2:0", "RGB", "RGBA"};

// The samples of one unit, and as many more units as a pgroup of any depth has: a pgroup is the smallest number of
// units that ends on an octet, so that it is a front part of these.
constexpr std::array<Sample, 4> k_422{
    {{Component::cb, 0, 0}, {Component::y, 0, 0}, {Component::cr, 0, 0}, {Component::y, 1, 0}}};
constexpr std::array<Sample, 12> k_420{{{Component::y, 0, 0},
                                        {Component::y, 1, 0},
                                        {Component::y, 0, 1},
                                        {Component::y, 1, 1},
                                        {Component::cb, 0, 0},
                                        {Component::cr, 0, 0},
                                        {Component::y, 2, 0},
                                        {Component::y, 3, 0},
                                        {Component::y, 2, 1},
                                        {Component::y, 3, 1},
                                        {Component::cb, 2, 0},
                                        {Component::cr, 2, 0}}};
constexpr std::array<Sample, 12> k_rgb{{{Component::r, 0, 0},
                                        {Component::g, 0, 0},
                                        {Component::b, 0, 0},
                                        {Component::r, 1, 0},
                                        {Component::g, 1, 0},
                                        {Component::b, 1, 0},
                                        {Component::r, 2, 0},
                                        {Component::g, 2, 0},
                                        {Component::b, 2, 0},
                                        {Component::r, 3, 0},
                                        {Component::g, 3, 0},
                                        {Component::b, 3, 0}}};
constexpr std::array<Sample, 4> k_rgba{
    {{Component::r, 0, 0}, {Component::g, 0, 0}, {Component::b, 0, 0}, {Component::a, 0, 0}}};

struct Unit {
  std::span<const Sample> samples;  ///< of all units that a pgroup may have
  unsigned unit_samples = 0;
  unsigned width = 0;
  unsigned height = 0;
};

Unit unit_of(Sampling sampling) {
  switch (sampling) {
    case Sampling::ycbcr_422:
      return {k_422, 4, 2, 1};
    case Sampling::ycbcr_420:
      return {k_420, 6, 2, 2};
    case Sampling::rgb:
      return {k_rgb, 3, 1, 1};
    case Sampling::rgba:
      return {k_rgba, 4, 1, 1};
  }
  assert(false);
  return {};
}

}  // namespace

std::string_view name_of(Sampling sampling) { return k_names[static_cast<std::size_t>(sampling)]; }

std::optional<Sampling> sampling_of(std::string_view name) {
  for (std::size_t i = 0; i < k_names.size(); ++i) {
    if (k_names[i] == name) return static_cast<Sampling>(i);
  }
  return std::nullopt;
}

std::optional<Pgroup> pgroup_of(Sampling sampling, unsigned depth) {
  if (depth != 8 && depth != 10 && depth != 12 && depth != 16) return std::nullopt;
  const Unit unit = unit_of(sampling);
  unsigned units = 1;
  while (units * unit.unit_samples * depth % 8 != 0) units *= 2;
  return Pgroup{units * unit.unit_samples * depth / 8, units * unit.width, unit.height};
}

std::span<const Sample> samples_of(Sampling sampling, unsigned depth) {
  const auto pgroup = pgroup_of(sampling, depth);
  if (!pgroup) return {};
  return unit_of(sampling).samples.first(pgroup->octets * 8 / depth);
}

Result<Raster> Raster::make(const VideoFormat& format) {
  const auto pgroup = pgroup_of(format.sampling, format.depth);
  if (!pgroup) {
    return fail(Errc::unsupported, "depth of " + std::to_string(format.depth) + " bits, which is not 8, 10, 12 or 16",
                format.depth);
  }
  for (const auto& [name, value] : {std::pair("width", format.width), std::pair("height", format.height)}) {
    if (value < 1 || value > k_dimension_max) {
      return fail(Errc::out_of_range,
                  std::string(name) + " of " + std::to_string(value) + " pixels, which is not 1 to " +
                      std::to_string(k_dimension_max),
                  value, k_dimension_max);
    }
  }
  if (format.interlaced && format.height < 2) {
    return fail(Errc::out_of_range, "interlaced video of 1 line has no second field", format.height, 2);
  }
  return Raster(format, *pgroup);
}

}  // namespace histod::net::rtp
