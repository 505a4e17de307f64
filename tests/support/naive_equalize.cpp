// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_equalize.hpp"

#include <algorithm>
#include <cmath>

namespace histod::test {
namespace {

std::uint64_t sum_to(const NaiveCounts& counts, std::size_t last) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= last; ++i) sum += counts[i];
  return sum;
}

struct Facts {
  std::size_t first = 0, last = 0;
  std::uint64_t total = 0;
};

Facts facts_of(const NaiveCounts& counts) {
  Facts facts;
  facts.total = sum_to(counts, counts.size() - 1);
  while (facts.first < counts.size() && counts[facts.first] == 0) ++facts.first;
  for (std::size_t i = 0; i < counts.size(); ++i) facts.last = counts[i] != 0 ? i : facts.last;
  return facts;
}

/// One entry from the running sum, by the rules that subtract the first count. The test's totals are small enough for
/// 64 bits and for the float64 of the course system.
std::uint32_t entry(std::string_view rule, std::uint64_t above, std::uint64_t span, std::uint32_t top) {
  if (rule == "opencv") {
    const float scale = static_cast<float>(top) / static_cast<float>(span);
    return std::min(top, static_cast<std::uint32_t>(std::lrint(static_cast<float>(above) * scale)));
  }
  if (rule == "exact") {
    const std::uint64_t twice = 2 * above * top / span;
    return static_cast<std::uint32_t>((twice + 1) / 2);
  }
  return static_cast<std::uint32_t>(
      std::floor(static_cast<double>(above) * static_cast<double>(top) / static_cast<double>(span)));
}

NaiveLut pillow_lut(const NaiveCounts& counts, const Facts& facts, std::uint32_t top) {
  NaiveLut lut;
  const std::uint64_t step = (facts.total - counts[facts.last]) / top;
  std::uint64_t n = step / 2;
  for (std::size_t i = 0; i < counts.size(); n += counts[i++]) {
    lut.push_back(step == 0 ? static_cast<std::uint32_t>(i)
                            : static_cast<std::uint32_t>(std::min<std::uint64_t>(top, n / step)));
  }
  return lut;
}

NaiveLut ruled_lut(std::string_view rule, const NaiveCounts& counts) {
  const Facts facts = facts_of(counts);
  const auto top = static_cast<std::uint32_t>(counts.size() - 1);
  if (rule == "pillow") return pillow_lut(counts, facts, top);
  const bool one_level = facts.first == facts.last;
  NaiveLut lut(counts.size(), 0);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sum += counts[i];
    if (rule == "vips") {
      const float scale = static_cast<float>(static_cast<double>(top) / static_cast<double>(facts.total));
      lut[i] = std::min(top, static_cast<std::uint32_t>(static_cast<float>(sum) * scale));
    } else if (one_level) {
      lut[i] = rule == "reference" ? 0 : static_cast<std::uint32_t>(i);
    } else if (i > facts.first) {
      lut[i] = entry(rule, sum - counts[facts.first], facts.total - counts[facts.first], top);
    }
  }
  return lut;
}

std::uint32_t weighted(const NaiveImage& image, std::uint32_t x, std::uint32_t y, double r, double g, double b,
                       double whole) {
  const double sum = r * image.get(x, y, 0) + g * image.get(x, y, 1) + b * image.get(x, y, 2);
  return static_cast<std::uint32_t>(std::floor(sum / whole + 0.5));
}

}  // namespace

NaiveLut naive_lut(std::string_view rule, const NaiveCounts& counts, std::uint32_t levels) {
  const std::uint64_t total = sum_to(counts, counts.size() - 1);
  NaiveLut lut;
  if (total != 0) {
    NaiveCounts used(counts.begin(), counts.begin() + levels);
    if (rule == "vips" && counts.size() == 65536) used.resize(facts_of(counts).last + 1);
    lut = ruled_lut(rule, used);
  }
  while (lut.size() < counts.size()) lut.push_back(static_cast<std::uint32_t>(lut.size()));
  return lut;
}

bool naive_keeps(const NaiveImage& image, const NaiveSelection& selection, std::uint32_t x, std::uint32_t y) {
  const auto& format = image.format();
  if (!selection.mask.empty() && selection.mask[std::size_t{y} * image.width() + x] == 0) return false;
  if (format.alpha && image.get(x, y, format.colors) == 0) return false;
  if (!selection.nodata) return true;
  for (unsigned c = 0; c < format.colors; ++c) {
    if (image.get(x, y, c) != *selection.nodata) return true;
  }
  return false;
}

std::uint32_t naive_luma(const NaiveImage& image, std::uint32_t x, std::uint32_t y) {
  return weighted(image, x, y, 4899, 9617, 1868, 16384);
}
std::uint32_t naive_gray(const NaiveImage& image, std::uint32_t x, std::uint32_t y) {
  return weighted(image, x, y, 9798, 19235, 3735, 32768);
}
std::uint32_t naive_gray_pillow(const NaiveImage& image, std::uint32_t x, std::uint32_t y) {
  return weighted(image, x, y, 19595, 38470, 7471, 65536);
}
NaiveValue naive_channel(unsigned channel) {
  return [channel](const NaiveImage& image, std::uint32_t x, std::uint32_t y) { return image.get(x, y, channel); };
}

NaiveCounts naive_count(const NaiveImage& image, const NaiveValue& value, const NaiveSelection& selection) {
  NaiveCounts counts(image.format().bins());
  for (std::uint32_t y = 0; y < image.height(); ++y) {
    for (std::uint32_t x = 0; x < image.width(); ++x) {
      if (naive_keeps(image, selection, x, y)) ++counts[value(image, x, y)];
    }
  }
  return counts;
}

NaiveImage naive_apply_channels(const NaiveImage& image, const std::vector<NaiveLut>& luts,
                                const NaiveSelection& selection) {
  NaiveImage result = image;
  for (unsigned c = 0; c < image.format().colors; ++c) {
    for (std::uint32_t y = 0; y < image.height(); ++y) {
      for (std::uint32_t x = 0; x < image.width(); ++x) {
        if (naive_keeps(image, selection, x, y)) result.set(x, y, c, luts[c][image.get(x, y, c)]);
      }
    }
  }
  return result;
}

NaiveImage naive_apply_luma(const NaiveImage& image, const NaiveLut& lut, std::uint32_t levels,
                            const NaiveSelection& selection) {
  NaiveImage result = image;
  const auto top = static_cast<std::int64_t>(levels) - 1;
  for (std::uint32_t y = 0; y < image.height(); ++y) {
    for (std::uint32_t x = 0; x < image.width(); ++x) {
      if (!naive_keeps(image, selection, x, y)) continue;
      const std::uint32_t luma = naive_luma(image, x, y);
      for (unsigned c = 0; c < 3; ++c) {
        const std::int64_t moved = std::int64_t{image.get(x, y, c)} + lut[luma] - luma;
        result.set(x, y, c, static_cast<std::uint32_t>(std::clamp<std::int64_t>(moved, 0, top)));
      }
    }
  }
  return result;
}

NaiveImage naive_apply_gray(const NaiveImage& image, const NaiveLut& lut, const NaiveValue& value,
                            const NaiveSelection& selection) {
  compute::PixelFormat format = image.format();
  format.colors = 1;
  NaiveImage result(format, image.width(), image.height());
  for (std::uint32_t y = 0; y < image.height(); ++y) {
    for (std::uint32_t x = 0; x < image.width(); ++x) {
      const std::uint32_t gray = value(image, x, y);
      result.set(x, y, 0, naive_keeps(image, selection, x, y) ? lut[gray] : gray);
      for (unsigned e = 0; e < format.extras; ++e) result.set(x, y, 1 + e, image.get(x, y, 3 + e));
    }
  }
  return result;
}

NaiveImage naive_equalize_channels(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                                   const NaiveSelection& selection) {
  std::vector<NaiveLut> luts;
  for (unsigned c = 0; c < image.format().colors; ++c) {
    luts.push_back(naive_lut(rule, naive_count(image, naive_channel(c), selection), levels));
  }
  return naive_apply_channels(image, luts, selection);
}

NaiveImage naive_equalize_luma(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                               const NaiveSelection& selection) {
  const NaiveLut lut = naive_lut(rule, naive_count(image, naive_luma, selection), levels);
  return naive_apply_luma(image, lut, levels, selection);
}

NaiveImage naive_equalize_gray(const NaiveImage& image, std::string_view rule, std::uint32_t levels,
                               const NaiveSelection& selection) {
  const auto value = rule == "reference" ? naive_gray_pillow : naive_gray;
  return naive_apply_gray(image, naive_lut(rule, naive_count(image, value, selection), levels), value, selection);
}

}  // namespace histod::test
