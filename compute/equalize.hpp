// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compute/arena.hpp"
#include "compute/error.hpp"
#include "compute/histogram.hpp"
#include "compute/pixels.hpp"
#include "compute/rule.hpp"
#include "compute/tables.hpp"

namespace histod::compute {

enum class Method : std::uint8_t { global, clahe };
/// What is equalized in a colour image. Gray images ignore it; bands (colors other than 1 and 3) take only `channels`.
enum class Color : std::uint8_t { luma, ycrcb, lab, channels, gray };
enum class PagesMode : std::uint8_t { each, stack };
/// What L is: the whole depth; the smallest power of two above the largest sample present; or a number.
enum class RangeMode : std::uint8_t { full, automatic, fixed };

std::string_view name(Method method);
std::string_view name(Color color);
std::optional<Method> method_from_name(std::string_view name);
std::optional<Color> color_from_name(std::string_view name);

struct EqualizeOptions {
  Method method = Method::global;
  Rule rule = Rule::opencv;
  Color color = Color::luma;
  PagesMode pages = PagesMode::each;
  RangeMode range = RangeMode::full;
  std::uint32_t range_levels = 0;  ///< L for RangeMode::fixed, 2..65536
  double clip = 2.0;               ///< CLAHE: the clip limit as in cv::createCLAHE; 0: no clipping
  std::uint32_t tiles_x = 8;       ///< CLAHE: 1..256
  std::uint32_t tiles_y = 8;
};

/// One page to be equalized in place.
struct EqualizePage {
  ImageView image;
  std::uint32_t levels = 0;              ///< L that the file declares (netpbm maxval + 1, ...); 0: the whole depth
  std::optional<double> nodata = {};     ///< a pixel all of whose colors have this value is not counted, not changed
  std::span<const std::byte> mask = {};  ///< empty, or width*height bytes: where it is 0 nothing is counted or changed
  bool counted = true;                   ///< false (an overview): takes the table of the first counted page
};

/// How one table came to be. Planes that share a table (PagesMode::stack) make one report.
struct PlaneReport {
  std::uint32_t page = 0;
  std::uint32_t channel = 0;            ///< 0 but for Color::channels and bands
  std::uint32_t levels = 0;             ///< the L that was used
  std::uint64_t counted = 0;            ///< N
  std::uint64_t masked = 0;             ///< pixels left out: mask, nodata, alpha 0
  std::uint64_t nodata_collisions = 0;  ///< counted pixels whose result equals the nodata value
  std::uint64_t first_count = 0;        ///< h[m]; 0 when nothing was counted
  Histogram before;
  Histogram after;  ///< the counts moved by the table; for CLAHE counted from the result
  Lut lut;          ///< for CLAHE: the tables of all tiles, row by row
};

struct EqualizeReport {
  std::vector<PlaneReport> planes;
  std::uint64_t count_ns = 0;  ///< wall time spent counting, making tables, and applying them
  std::uint64_t rule_ns = 0;
  std::uint64_t apply_ns = 0;
};

/// Equalizes all pages in place on `arena`. With Color::gray a page of three colors becomes one of one color: its view
/// is rewritten (same data pointer, smaller stride). Bit-exact for any arena. The pages must not overlap.
/// Errc::bad_option, Errc::sample_out_of_range; then the pixels are unchanged.
Result<EqualizeReport> equalize(std::span<EqualizePage> pages, const EqualizeOptions& options, Arena& arena);

/// Counts only: the reports that `equalize` would give, with the pixels left as they are (for CLAHE: the counts of the
/// global method). Scratch memory: O(bins * threads), except Color::lab and Color::ycrcb which convert row bands.
Result<EqualizeReport> analyze(std::span<const EqualizePage> pages, const EqualizeOptions& options, Arena& arena);

/// The kind of table that a page of `format` takes.
TableKind table_kind(const PixelFormat& format, Color color, std::uint32_t levels);

/// As equalize() with PagesMode::each, by `tables` that were made elsewhere: each page by those of its kind. The rule
/// says only what gray is (see Color::gray). Unless `count`, the pages are not counted, and the reports hold tables
/// without counts. Errc::bad_option also: a page of a kind that no tables are for, Method::clahe, RangeMode::automatic.
/// Errc::corrupt: tables that check() refuses. The pixels are unchanged then, too.
Result<EqualizeReport> apply_tables(std::span<EqualizePage> pages, std::span<const KindTables> tables,
                                    const EqualizeOptions& options, Arena& arena, bool count = false);

}  // namespace histod::compute
