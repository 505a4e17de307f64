// SPDX-License-Identifier: Apache-2.0
#include "compute/equalize.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <chrono>
#include <cmath>
#include <utility>

#include "compute/apply.hpp"
#include "compute/clahe.hpp"
#include "compute/planes.hpp"
#include "compute/reduce.hpp"

namespace histod::compute {
namespace {

/// What the reports of one call may hold: a small file can declare many pages of many bands, or ask for many tiles.
constexpr std::uint64_t k_report_bytes_max = 1536ull << 20;

constexpr std::array<std::pair<Method, std::string_view>, 2> k_methods{
    {{Method::global, "global"}, {Method::clahe, "clahe"}}};
constexpr std::array<std::pair<Color, std::string_view>, 5> k_colors{{{Color::luma, "luma"},
                                                                      {Color::ycrcb, "ycrcb"},
                                                                      {Color::lab, "lab"},
                                                                      {Color::channels, "channels"},
                                                                      {Color::gray, "gray"}}};

/// Pages that share their tables. Followers take them without being counted.
struct Group {
  std::vector<std::size_t> counted;
  std::vector<std::size_t> followers;
  Target target = Target::channels;
  std::vector<Plane> planes;
  std::uint32_t levels = 0;
  std::size_t first_report = 0;
  std::span<const Lut> given;  ///< one for each plane; empty: the tables are made of the counts
};

class Stopwatch {
 public:
  explicit Stopwatch(std::uint64_t& total_ns) : total_ns_(total_ns) {}
  ~Stopwatch() {
    const auto elapsed = std::chrono::steady_clock::now() - start_;
    total_ns_ += static_cast<std::uint64_t>(std::chrono::nanoseconds(elapsed).count());
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::uint64_t& total_ns_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::uint32_t declared_levels(const EqualizePage& page) {
  return page.levels == 0 ? page.image.format.bins() : page.levels;
}

Target target_of(const PixelFormat& format, Color color) {
  if (format.colors != 3) return Target::channels;
  switch (color) {
    case Color::luma:
      return Target::luma;
    case Color::ycrcb:
      return Target::ycrcb;
    case Color::lab:
      return Target::lab;
    case Color::gray:
      return Target::gray;
    case Color::channels:
      break;
  }
  return Target::channels;
}

std::vector<Plane> planes_of(const PixelFormat& format, Target target, Rule rule) {
  switch (target) {
    case Target::luma:
    case Target::ycrcb:
      return {Plane{PlaneKind::luma, 0, k_luma_ycrcb}};
    case Target::gray:
      return {Plane{PlaneKind::luma, 0, rule == Rule::reference ? k_luma_pillow : k_luma_gray}};
    case Target::lab:
      return {Plane{PlaneKind::lab}};
    case Target::channels:
      break;
  }
  std::vector<Plane> planes(format.colors);
  for (std::uint32_t c = 0; c < format.colors; ++c) planes[c].channel = c;
  return planes;
}

Result<void> check_options(const EqualizeOptions& options) {
  if (options.range == RangeMode::fixed && (options.range_levels < 2 || options.range_levels > 65536)) {
    return fail(Errc::bad_option, "range must be 2 to 65536 levels", options.range_levels, 65536);
  }
  if (options.method != Method::clahe) return {};
  if (options.rule != Rule::opencv && options.rule != Rule::exact) {
    return fail(Errc::bad_option, "CLAHE takes the rule opencv or exact");
  }
  if (!(options.clip >= 0 && options.clip <= 1000)) return fail(Errc::bad_option, "clip must be 0 to 1000");
  for (const std::uint32_t tiles : {options.tiles_x, options.tiles_y}) {
    if (tiles < 1 || tiles > 256) return fail(Errc::bad_option, "tiles must be 1 to 256 on each side", tiles, 256);
  }
  return {};
}

Result<void> check_page(const EqualizePage& page, const EqualizeOptions& options) {
  const PixelFormat& format = page.image.format;
  assert(format.colors >= 1 && (format.depth_bits == 8 || format.depth_bits == 16));
  assert(page.image.pixels() == 0 || page.image.stride_bytes >= page.image.row_bytes());
  if (format.colors != 1 && format.colors != 3 && options.color != Color::channels) {
    return fail(Errc::bad_option, "an image of several bands takes color=channels only, bands", format.colors);
  }
  if (!page.mask.empty() && page.mask.size() != page.image.pixels()) {
    return fail(Errc::bad_option, "the mask is not of the image's size, in pixels", page.mask.size(),
                page.image.pixels());
  }
  const std::uint32_t levels = declared_levels(page);
  if (levels < 2 || levels > format.bins()) {
    return fail(Errc::bad_option, "the declared levels do not fit the depth", levels, format.bins());
  }
  if (options.range == RangeMode::fixed && options.range_levels > levels) {
    return fail(Errc::bad_option, "range is above what the image's samples can hold", options.range_levels, levels);
  }
  if (options.rule == Rule::pillow && format.depth_bits != 8) {
    return fail(Errc::bad_option, "the pillow rule is for 8 bit, depth", format.depth_bits, 8);
  }
  return {};
}

/// Whether the tables of `page` can be applied to `other`, and their counts be added.
bool alike(const EqualizePage& page, const EqualizePage& other) {
  const PixelFormat& a = page.image.format;
  const PixelFormat& b = other.image.format;
  return a.colors == b.colors && a.depth_bits == b.depth_bits && declared_levels(page) == declared_levels(other);
}

struct Given {
  std::span<const KindTables> tables;
  bool count = false;
};

class Equalization {
 public:
  Equalization(std::span<EqualizePage> pages, const EqualizeOptions& options, Arena& arena,
               const std::optional<Given>& given = std::nullopt)
      : pages_(pages), options_(options), arena_(arena), given_(given) {}

  Result<void> plan() {
    if (auto checked = check_options(options_); !checked) return checked;
    for (const EqualizePage& page : pages_) {
      if (auto checked = check_page(page, options_); !checked) return checked;
    }
    make_groups();
    if (auto checked = check_groups(); !checked) return checked;
    const Stopwatch watch(report_.count_ns);
    for (Group& group : groups_) {
      auto levels = levels_of(group);
      if (!levels) return std::unexpected(levels.error());
      group.levels = *levels;
      if (!given_) continue;
      if (auto found = find_tables(group); !found) return found;
    }
    return {};
  }

  Result<void> make_tables() {
    for (Group& group : groups_) {
      group.first_report = report_.planes.size();
      count(group);
      for (std::size_t p = 0; p < group.planes.size(); ++p) {
        const Stopwatch watch(report_.rule_ns);
        if (auto made = make_table(group, p); !made) return made;
      }
    }
    return {};
  }

  /// With `write` false only what the reports still lack is found out.
  Result<void> apply(bool write) {
    const Stopwatch watch(report_.apply_ns);
    for (const Group& group : groups_) {
      for (const std::size_t page : group.counted) {
        if (!write && !needs_dry_run(group, pages_[page])) continue;
        if (auto applied = apply_page(group, page, counts_pages(), write); !applied) return applied;
      }
      for (const std::size_t page : group.followers) {
        if (!write) continue;
        if (auto applied = apply_page(group, page, false, write); !applied) return applied;
      }
      for (std::size_t p = 0; p < group.planes.size(); ++p) finish_plane(group, report_.planes[group.first_report + p]);
    }
    return {};
  }

  EqualizeReport take_report() { return std::move(report_); }

 private:
  void make_groups() {
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (!pages_[i].counted) continue;
      if (groups_.empty() || options_.pages == PagesMode::each) {
        Group& group = groups_.emplace_back();
        const PixelFormat& format = pages_[i].image.format;
        group.target = target_of(format, options_.color);
        group.planes = planes_of(format, group.target, options_.rule);
      }
      groups_.back().counted.push_back(i);
    }
    for (std::size_t i = 0; i < pages_.size() && !groups_.empty(); ++i) {
      if (!pages_[i].counted) groups_.front().followers.push_back(i);
    }
  }

  Result<void> check_groups() const {
    std::uint64_t bytes = 0;
    for (const Group& group : groups_) {
      const EqualizePage& first = pages_[group.counted.front()];
      const std::uint64_t tables = is_clahe() ? std::uint64_t{options_.tiles_x} * options_.tiles_y : 1;
      bytes += group.planes.size() * first.image.format.bins() * (16 + 2 * tables);
      for (const std::size_t i : group.counted) {
        if (auto checked = check_stackable(first, pages_[i], i); !checked) return checked;
      }
      for (const std::size_t i : group.followers) {
        if (!alike(first, pages_[i]))
          return fail(Errc::bad_option, "an overview is not of its image's format, page", i);
      }
    }
    if (bytes > k_report_bytes_max) {
      return fail(Errc::bad_option, "the tables of all pages, channels and tiles would be too large, in bytes", bytes,
                  k_report_bytes_max);
    }
    return {};
  }

  Result<void> check_stackable(const EqualizePage& first, const EqualizePage& page, std::size_t index) const {
    if (!alike(first, page) || selection_of(first).nodata != selection_of(page).nodata) {
      return fail(Errc::bad_option, "the pages of a stack differ in format, levels or nodata, page", index);
    }
    const bool same_size = first.image.width == page.image.width && first.image.height == page.image.height;
    if (is_clahe() && !same_size) {
      return fail(Errc::bad_option, "CLAHE of a stack needs pages of one size, page", index);
    }
    return {};
  }

  Result<std::uint32_t> levels_of(const Group& group) const {
    const std::uint32_t declared = declared_levels(pages_[group.counted.front()]);
    const bool fixed = options_.range == RangeMode::fixed;
    const std::uint32_t allowed = fixed ? options_.range_levels : declared;
    const bool whole_depth = allowed == pages_[group.counted.front()].image.format.bins();
    if (whole_depth && options_.range != RangeMode::automatic) return allowed;
    std::uint32_t largest = 0;
    for (const std::size_t i : group.counted) largest = std::max(largest, largest_sample(pages_[i], arena_));
    if (largest >= allowed) {
      return fail(Errc::sample_out_of_range, "a sample is at or above the range", largest, allowed);
    }
    if (options_.range != RangeMode::automatic) return allowed;
    return std::min(declared, std::max(2u, std::bit_ceil(largest + 1)));
  }

  Result<void> find_tables(Group& group) const {
    const std::size_t page = group.counted.front();
    const TableKind kind = table_kind(pages_[page].image.format, options_.color, group.levels);
    const auto found = std::ranges::find(given_->tables, kind, &KindTables::kind);
    if (found == given_->tables.end()) {
      return fail(Errc::bad_option, "no table is for what a page is (" + describe(kind) + "), page", page);
    }
    group.given = found->tables;
    return {};
  }

  void count(const Group& group) {
    const Stopwatch watch(report_.count_ns);
    const std::uint32_t bins = pages_[group.counted.front()].image.format.bins();
    for (std::size_t p = 0; p < group.planes.size(); ++p) {
      PlaneReport& plane = report_.planes.emplace_back();
      plane.page = static_cast<std::uint32_t>(group.counted.front());
      plane.channel = group.planes[p].channel;
      plane.levels = group.levels;
      plane.before = Histogram(bins);
      plane.after = Histogram(bins);
    }
    if (!counts_pages() || tiles_count_all(group)) return;
    for (const std::size_t i : group.counted) {
      const std::vector<PlaneCount> counts = count_planes(pages_[i], group.planes, group.levels, arena_);
      for (std::size_t p = 0; p < counts.size(); ++p) {
        PlaneReport& plane = report_.planes[group.first_report + p];
        plane.before.merge(counts[p].histogram);
        plane.masked += counts[p].masked;
      }
    }
  }

  Result<void> make_table(const Group& group, std::size_t p) {
    PlaneReport& plane = report_.planes[group.first_report + p];
    if (is_clahe()) {
      std::vector<const EqualizePage*> pages;
      for (const std::size_t i : group.counted) pages.push_back(&pages_[i]);
      Histogram* const all = tiles_count_all(group) ? &plane.before : nullptr;
      plane.lut = clahe_tables(pages, group.planes[p], options_, group.levels, arena_, all);
    }
    plane.counted = plane.before.total();
    const auto counts = std::as_const(plane.before).counts();
    const auto first = std::find_if(counts.begin(), counts.end(), [](std::uint64_t count) { return count != 0; });
    plane.first_count = first == counts.end() ? 0 : *first;
    if (is_clahe()) return {};
    if (group.given.empty()) {
      if (auto made = make_lut(options_.rule, plane.before, group.levels, plane.lut); !made) return made;
    } else {
      plane.lut = group.given[p];
    }
    plane.after = moved_by(plane.lut, plane.before);
    return {};
  }

  static bool has_nodata_pixels(const Group& group, const EqualizePage& page) {
    const bool colors = group.target != Target::channels && group.target != Target::gray;
    return colors && selection_of(page).nodata.has_value();
  }
  bool needs_dry_run(const Group& group, const EqualizePage& page) const { return has_nodata_pixels(group, page); }

  Result<void> apply_page(const Group& group, std::size_t index, bool counted, bool write) {
    EqualizePage& page = pages_[index];
    const std::span reports = std::span(report_.planes).subspan(group.first_report, group.planes.size());
    std::vector<const Lut*> tables;
    for (const PlaneReport& plane : reports) tables.push_back(&plane.lut);
    const EqualizePage before = page;
    ApplyJob job{.page = &before,
                 .target = group.target,
                 .planes = group.planes,
                 .tables = tables,
                 .grid = std::nullopt,
                 .levels = group.levels,
                 .write = write,
                 .count_mapped = counted && is_clahe()};
    if (is_clahe()) {
      job.grid = clahe_grid(page.image.width, page.image.height, options_.tiles_x, options_.tiles_y);
    }
    const ApplyOutcome outcome = apply_job(job, page.image, arena_);
    if (!outcome.healthy) return fail(Errc::bad_option, "no memory for the conversion of colors, page", index);
    if (!counted) return {};
    for (std::size_t p = 0; p < outcome.mapped.size(); ++p) reports[p].after.merge(outcome.mapped[p]);
    if (has_nodata_pixels(group, before)) reports[0].nodata_collisions += outcome.nodata_pixels;
    return {};
  }

  void finish_plane(const Group& group, PlaneReport& plane) const {
    const EqualizePage& page = pages_[group.counted.front()];
    const auto nodata = selection_of(page).nodata;
    if (nodata && !has_nodata_pixels(group, page)) plane.nodata_collisions = plane.after[*nodata];
  }

  bool is_clahe() const { return options_.method == Method::clahe; }
  bool counts_pages() const { return !given_ || given_->count; }

  /// Whether the counts of the pages are found out with those of the tiles.
  bool tiles_count_all(const Group& group) const {
    return is_clahe() &&
           std::ranges::all_of(group.counted, [this](std::size_t i) { return clahe_counts_all(pages_[i], options_); });
  }

  const std::span<EqualizePage> pages_;
  const EqualizeOptions& options_;
  Arena& arena_;
  const std::optional<Given> given_;
  std::vector<Group> groups_;
  EqualizeReport report_;
};

Result<EqualizeReport> run(Equalization& equalization, bool write) {
  if (auto planned = equalization.plan(); !planned) return std::unexpected(std::move(planned.error()));
  if (auto made = equalization.make_tables(); !made) return std::unexpected(std::move(made.error()));
  if (auto applied = equalization.apply(write); !applied) return std::unexpected(std::move(applied.error()));
  return equalization.take_report();
}

Result<void> check_given(std::span<const KindTables> tables, const EqualizeOptions& options) {
  if (options.method == Method::clahe) {
    return fail(Errc::bad_option, "CLAHE makes tables for the tiles of each image, and takes none that are given");
  }
  if (options.range == RangeMode::automatic) {
    return fail(Errc::bad_option, "a given table has its own range: say full, or a number of levels");
  }
  for (const KindTables& some : tables) {
    if (auto checked = check(some); !checked) return checked;
  }
  return {};
}

}  // namespace

std::string_view name(Method method) { return k_methods[static_cast<std::size_t>(method)].second; }
std::string_view name(Color color) { return k_colors[static_cast<std::size_t>(color)].second; }

std::optional<Method> method_from_name(std::string_view name) {
  for (const auto& [method, text] : k_methods) {
    if (text == name) return method;
  }
  return std::nullopt;
}

std::optional<Color> color_from_name(std::string_view name) {
  for (const auto& [color, text] : k_colors) {
    if (text == name) return color;
  }
  return std::nullopt;
}

Result<EqualizeReport> equalize(std::span<EqualizePage> pages, const EqualizeOptions& options, Arena& arena) {
  Equalization equalization(pages, options, arena);
  return run(equalization, true);
}

Result<EqualizeReport> analyze(std::span<const EqualizePage> pages, const EqualizeOptions& options, Arena& arena) {
  if (auto checked = check_options(options); !checked) return std::unexpected(std::move(checked.error()));
  std::vector<EqualizePage> views(pages.begin(), pages.end());
  EqualizeOptions global = options;
  global.method = Method::global;
  Equalization equalization(views, global, arena);
  return run(equalization, false);
}

TableKind table_kind(const PixelFormat& format, Color color, std::uint32_t levels) {
  const Target target = target_of(format, color);
  TableKind kind{.bins = format.bins(), .levels = levels};
  if (target == Target::lab) kind.quantity = Quantity::lightness;
  if (target == Target::channels && format.colors > 1) {
    kind.quantity = Quantity::channels;
    kind.planes = format.colors;
  }
  return kind;
}

Result<EqualizeReport> apply_tables(std::span<EqualizePage> pages, std::span<const KindTables> tables,
                                    const EqualizeOptions& options, Arena& arena, bool count) {
  if (auto checked = check_given(tables, options); !checked) return std::unexpected(std::move(checked.error()));
  EqualizeOptions each = options;
  each.pages = PagesMode::each;
  Equalization equalization(pages, each, arena, Given{tables, count});
  return run(equalization, true);
}

}  // namespace histod::compute
