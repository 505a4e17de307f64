// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "compute/histogram.hpp"
#include "tests/support/naive_image.hpp"

/// The definitions of equalization, written a second time and a pixel at a time, with nothing of compute/ but formats.
namespace histod::test {

/// What compute/ counted, to be compared with.
inline std::vector<std::uint64_t> counts_of(const compute::Histogram& histogram) {
  return {histogram.counts().begin(), histogram.counts().end()};
}

using NaiveCounts = std::vector<std::uint64_t>;
using NaiveLut = std::vector<std::uint32_t>;

/// `rule` by its name. The table has counts.size() entries: L = levels of them by the rule, then the identity.
NaiveLut naive_lut(std::string_view rule, const NaiveCounts& counts, std::uint32_t levels);

/// What to leave out. `mask` is empty or has one entry a pixel, 0 for left out.
struct NaiveSelection {
  std::vector<std::uint8_t> mask;
  std::optional<double> nodata;
};
bool naive_keeps(const NaiveImage& image, const NaiveSelection& selection, std::uint32_t x, std::uint32_t y);

/// A value for each pixel, made of its colors.
using NaiveValue = std::function<std::uint32_t(const NaiveImage&, std::uint32_t x, std::uint32_t y)>;
std::uint32_t naive_luma(const NaiveImage& image, std::uint32_t x, std::uint32_t y);         ///< Y of YCrCb
std::uint32_t naive_gray(const NaiveImage& image, std::uint32_t x, std::uint32_t y);         ///< OpenCV's gray
std::uint32_t naive_gray_pillow(const NaiveImage& image, std::uint32_t x, std::uint32_t y);  ///< Pillow's L
NaiveValue naive_channel(unsigned channel);

NaiveCounts naive_count(const NaiveImage& image, const NaiveValue& value, const NaiveSelection& selection = {});

/// Pixels by tables that are given: each channel by its own; the change of the luma added to R, G and B, which stay
/// below `levels`; one channel of `value` (and the extras) in the place of three.
NaiveImage naive_apply_channels(const NaiveImage& image, const std::vector<NaiveLut>& luts,
                                const NaiveSelection& selection = {});
NaiveImage naive_apply_luma(const NaiveImage& image, const NaiveLut& lut, std::uint32_t levels,
                            const NaiveSelection& selection = {});
NaiveImage naive_apply_gray(const NaiveImage& image, const NaiveLut& lut, const NaiveValue& value,
                            const NaiveSelection& selection = {});

/// Each channel by a table of its own counts.
NaiveImage naive_equalize_channels(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                                   const NaiveSelection& selection = {});
/// The luma's change added to R, G and B.
NaiveImage naive_equalize_luma(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                               const NaiveSelection& selection = {});
/// One channel (and the extras) in the place of three.
NaiveImage naive_equalize_gray(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                               const NaiveSelection& selection = {});

}  // namespace histod::test
