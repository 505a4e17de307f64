// SPDX-License-Identifier: Apache-2.0
#include "compute/rule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace histod::compute {
namespace {

__extension__ using Wide = unsigned __int128;
using Counts = std::span<const std::uint64_t>;

constexpr std::array<std::pair<Rule, std::string_view>, 5> k_names{{{Rule::opencv, "opencv"},
                                                                    {Rule::exact, "exact"},
                                                                    {Rule::reference, "reference"},
                                                                    {Rule::pillow, "pillow"},
                                                                    {Rule::vips, "vips"}}};

/// What the rules need to know of the counts below `levels`.
struct Shape {
  std::uint32_t first = 0;  ///< m, the first bin that is not empty
  std::uint32_t last = 0;
  std::uint64_t total = 0;
};

Shape shape_of(Counts counts) {
  Shape shape;
  for (std::uint32_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    if (shape.total == 0) shape.first = i;
    shape.last = i;
    shape.total += counts[i];
  }
  return shape;
}

void fill_identity(std::span<std::uint16_t> lut) { std::iota(lut.begin(), lut.end(), std::uint16_t{0}); }

/// The float32 product, rounded half to even and saturated, in the order of operations that cv::equalizeHist has.
void fill_opencv(std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  if (shape.first == shape.last) return fill_identity(lut);
  const auto top = static_cast<float>(lut.size() - 1);
  const float scale = top / static_cast<float>(shape.total - counts[shape.first]);
  std::uint64_t sum = 0;
  for (std::size_t i = shape.first + 1; i < lut.size(); ++i) {
    sum += counts[i];
    const float value = std::nearbyint(static_cast<float>(sum) * scale);
    lut[i] = static_cast<std::uint16_t>(std::min(value, top));
  }
}

/// `round` 0 is the floor, 1 rounds to nearest.
void fill_integer(std::span<std::uint16_t> lut, Counts counts, const Shape& shape, unsigned round) {
  const std::uint64_t span = shape.total - counts[shape.first];
  const Wide half = round == 0 ? 0 : span / 2;
  std::uint64_t sum = 0;
  for (std::size_t i = shape.first + 1; i < lut.size(); ++i) {
    sum += counts[i];
    lut[i] = static_cast<std::uint16_t>((Wide{sum} * (lut.size() - 1) + half) / span);
  }
}

void fill_exact(std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  if (shape.first == shape.last) return fill_identity(lut);
  fill_integer(lut, counts, shape, 1);
}

/// One level only stays all zeros: the masked array of the original has nothing left in it then.
void fill_reference(std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  if (shape.first != shape.last) fill_integer(lut, counts, shape, 0);
}

void fill_pillow(std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  const std::uint64_t top = lut.size() - 1;
  const std::uint64_t step = (shape.total - counts[shape.last]) / top;
  if (step == 0) return fill_identity(lut);
  std::uint64_t running = step / 2;
  for (std::size_t i = 0; i < lut.size(); ++i) {
    lut[i] = static_cast<std::uint16_t>(std::min(top, running / step));
    running += counts[i];
  }
}

void fill_vips(std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  const double top = static_cast<double>(lut.size() - 1);
  const auto scale = static_cast<float>(top / static_cast<double>(shape.total));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < lut.size(); ++i) {
    sum += counts[i];
    const float value = static_cast<float>(sum) * scale;
    lut[i] = static_cast<std::uint16_t>(std::min(value, static_cast<float>(top)));
  }
}

/// Both sums only grow, so the search goes on from where it found the entry before.
void fill_match(std::span<std::uint16_t> lut, Counts source, const Shape& shape, Counts reference,
                std::uint64_t total) {
  std::uint64_t source_sum = 0;
  std::uint64_t reference_sum = reference[0];
  std::uint32_t j = 0;
  for (std::size_t i = 0; i < lut.size(); ++i) {
    source_sum += source[i];
    while (Wide{reference_sum} * shape.total < Wide{source_sum} * total) reference_sum += reference[++j];
    lut[i] = static_cast<std::uint16_t>(j);
  }
}

Result<void> check_levels(std::uint32_t levels, std::uint32_t bins) {
  if (levels >= 2 && levels <= bins) return {};
  return fail(Errc::bad_option, "levels must be 2 to the number of bins", levels, bins);
}

Result<void> check_range(const Shape& shape, std::uint32_t levels) {
  if (shape.total == 0 || shape.last < levels) return {};
  return fail(Errc::sample_out_of_range, "a sample is at or above the number of levels", shape.last, levels);
}

void fill(Rule rule, std::span<std::uint16_t> lut, Counts counts, const Shape& shape) {
  switch (rule) {
    case Rule::opencv:
      return fill_opencv(lut, counts, shape);
    case Rule::exact:
      return fill_exact(lut, counts, shape);
    case Rule::reference:
      return fill_reference(lut, counts, shape);
    case Rule::pillow:
      return fill_pillow(lut, counts, shape);
    case Rule::vips:
      return fill_vips(lut, counts, shape);
  }
}

}  // namespace

std::string_view name(Rule rule) { return k_names[static_cast<std::size_t>(rule)].second; }

std::optional<Rule> rule_from_name(std::string_view name) {
  for (const auto& [rule, text] : k_names) {
    if (text == name) return rule;
  }
  return std::nullopt;
}

Result<Lut> make_lut(Rule rule, const Histogram& histogram, std::uint32_t levels) {
  Lut lut;
  if (auto made = make_lut(rule, histogram, levels, lut); !made) return std::unexpected(std::move(made.error()));
  return lut;
}

Result<void> make_lut(Rule rule, const Histogram& histogram, std::uint32_t levels, Lut& lut) {
  const std::uint32_t bins = histogram.bins();
  if (auto checked = check_levels(levels, bins); !checked) return checked;
  if (rule == Rule::pillow && levels > 256) {
    return fail(Errc::bad_option, "the pillow rule is for 8 bit: it takes at most 256 levels", levels, 256);
  }
  const Shape shape = shape_of(histogram.counts());
  if (auto checked = check_range(shape, levels); !checked) return checked;
  lut.resize(bins);
  fill_identity(lut);
  if (shape.total == 0) return {};
  // vips counts samples of more than 8 bits in a histogram that ends at the largest one present, whatever the range is.
  const std::uint32_t used = rule == Rule::vips && bins > 256 ? shape.last + 1 : levels;
  const std::span table = std::span(lut).first(used);
  std::fill(table.begin(), table.end(), std::uint16_t{0});
  fill(rule, table, histogram.counts().first(used), shape);
  return {};
}

Result<Lut> match_lut(const Histogram& source, const Histogram& reference, std::uint32_t levels) {
  const std::uint32_t bins = source.bins();
  if (auto checked = check_levels(levels, bins); !checked) return std::unexpected(std::move(checked.error()));
  if (reference.bins() != bins) {
    return fail(Errc::bad_option, "the reference's samples are of another depth, in bins", reference.bins(), bins);
  }
  const Shape shape = shape_of(source.counts());
  const Shape reference_shape = shape_of(reference.counts());
  for (const Shape& either : {shape, reference_shape}) {
    if (auto checked = check_range(either, levels); !checked) return std::unexpected(std::move(checked.error()));
  }
  Lut lut(bins);
  fill_identity(lut);
  if (shape.total == 0 || reference_shape.total == 0) return lut;
  fill_match(std::span(lut).first(levels), source.counts(), shape, reference.counts(), reference_shape.total);
  return lut;
}

std::vector<std::byte> canonical_bytes(const Lut& lut) {
  std::vector<std::byte> out;
  out.reserve(lut.size() * 2);
  for (const std::uint16_t entry : lut) {
    out.push_back(static_cast<std::byte>(entry & 0xff));
    if (lut.size() != 256) out.push_back(static_cast<std::byte>(entry >> 8));
  }
  return out;
}

}  // namespace histod::compute
