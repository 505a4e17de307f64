// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace histod::daemon::api {

namespace codec = compute::codec;

namespace {

constexpr std::size_t k_names_max = 32;
constexpr std::array<std::string_view, 11> k_image_names{"method", "rule",  "color",  "clip",    "tiles", "nodata",
                                                         "range",  "pages", "format", "quality", "png"};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

using Outcome = std::expected<void, Problem>;

std::unexpected<Problem> refuse(std::string_view name, std::string_view allowed) {
  return std::unexpected(bad_option(fmt::format("{} takes {}", name, allowed)));
}

template <class T, class Parse>
Outcome set_named(std::string_view name, const std::string& text, std::string_view allowed, Parse parse, T& out) {
  const auto value = parse(text);
  if (!value) return refuse(name, allowed);
  out = *value;
  return {};
}

Outcome set_tiles(const std::string& text, compute::EqualizeOptions& out) {
  const auto cross = text.find('x');
  const auto x = parse_number<std::uint32_t>(std::string_view(text).substr(0, cross));
  const auto y = cross == std::string::npos ? x : parse_number<std::uint32_t>(std::string_view(text).substr(cross + 1));
  if (!x || !y || *x < 1 || *y < 1 || *x > 256 || *y > 256) return refuse("tiles", "N or COLUMNSxROWS, each 1 to 256");
  out.tiles_x = *x;
  out.tiles_y = *y;
  return {};
}

Outcome set_range(const std::string& text, compute::EqualizeOptions& out) {
  if (text == "full") {
    out.range = compute::RangeMode::full;
  } else if (text == "auto") {
    out.range = compute::RangeMode::automatic;
  } else if (const auto levels = parse_number<std::uint32_t>(text); levels && *levels >= 2 && *levels <= 65536) {
    out.range = compute::RangeMode::fixed;
    out.range_levels = *levels;
  } else {
    return refuse("range", "full, auto, or the number of levels, 2 to 65536");
  }
  return {};
}

Outcome set_nodata(const std::string& text, ImageOptions& out) {
  if (text == "none") {
    out.nodata_none = true;
    return {};
  }
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) return refuse("nodata", "a number, or none");
  out.nodata = value;
  return {};
}

Outcome set_format(const std::string& text, ImageOptions& out) {
  out.format = codec::format_from_name(text);
  if (!out.format) return refuse("format", "png, jpeg, tiff, pgm, ppm or pam");
  return {};
}

Outcome set_clip(const std::string& text, compute::EqualizeOptions& out) {
  const auto value = parse_number<double>(text);
  if (!value || !(*value >= 0 && *value <= 1000)) return refuse("clip", "a number from 0 to 1000");
  out.clip = *value;
  return {};
}

Outcome set_pages(const std::string& text, compute::EqualizeOptions& out) {
  if (text != "each" && text != "stack") return refuse("pages", "each or stack");
  out.pages = text == "stack" ? compute::PagesMode::stack : compute::PagesMode::each;
  return {};
}

Outcome set_png(const std::string& text, ImageOptions& out) {
  if (text != "fast" && text != "small") return refuse("png", "fast or small");
  out.png_small = text == "small";
  return {};
}

Outcome set_option(const std::string& name, const std::string& text, ImageOptions& out) {
  compute::EqualizeOptions& e = out.equalize;
  if (name == "method") return set_named(name, text, "global or clahe", compute::method_from_name, e.method);
  if (name == "rule")
    return set_named(name, text, "opencv, exact, reference, pillow or vips", compute::rule_from_name, e.rule);
  if (name == "color")
    return set_named(name, text, "luma, ycrcb, lab, channels or gray", compute::color_from_name, e.color);
  if (name == "format") return set_format(text, out);
  if (name == "tiles") return set_tiles(text, e);
  if (name == "range") return set_range(text, e);
  if (name == "nodata") return set_nodata(text, out);
  if (name == "clip") return set_clip(text, e);
  if (name == "pages") return set_pages(text, e);
  if (name == "png") return set_png(text, out);
  const auto quality = number_option("quality", text, 1, 100);
  if (!quality) return std::unexpected(quality.error());
  out.quality = static_cast<int>(*quality);
  return {};
}

struct MediaRange {
  std::string_view type;
  double q = 1;
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The weight among the parameters behind a media type; 1 when there is none that can be read.
double quality_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto end = parameters.find(';');
    const std::string_view parameter = trim(parameters.substr(0, end));
    parameters = end == std::string_view::npos ? "" : parameters.substr(end + 1);
    if (parameter.starts_with("q=") || parameter.starts_with("Q="))
      return parse_number<double>(trim(parameter.substr(2))).value_or(1);
  }
  return 1;
}

bool same_type(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::vector<MediaRange> media_ranges(std::string_view accept) {
  std::vector<MediaRange> ranges;
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    const std::string_view part = trim(accept.substr(0, comma));
    accept = comma == std::string_view::npos ? "" : accept.substr(comma + 1);
    const auto semicolon = part.find(';');
    const MediaRange range{trim(part.substr(0, semicolon)),
                           semicolon == std::string_view::npos ? 1 : quality_of(part.substr(semicolon + 1))};
    if (!range.type.empty() && range.q > 0) ranges.push_back(range);
  }
  std::ranges::stable_sort(ranges, [](const MediaRange& a, const MediaRange& b) { return a.q > b.q; });
  return ranges;
}

}  // namespace

Problem bad_option(std::string detail) {
  Problem problem;
  problem.status = 400;
  problem.code = "bad-option";
  problem.detail = std::move(detail);
  return problem;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::expected<Query, Problem> parse_query(std::string_view query) {
  Query out;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query = end == std::string_view::npos ? "" : query.substr(end + 1);
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const auto name = percent_decode(part.substr(0, equals), true);
    const auto value = percent_decode(equals == std::string_view::npos ? "" : part.substr(equals + 1), true);
    const auto visible = [](const std::string& text) {
      return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    };
    if (!name || !value || !visible(*name) || !visible(*value))
      return std::unexpected(bad_option("the query has a bad percent escape or a control character"));
    if (!out.emplace(*name, *value).second) return std::unexpected(bad_option(fmt::format("{} is given twice", *name)));
    if (out.size() > k_names_max) return std::unexpected(bad_option("the query has more than 32 names"));
  }
  return out;
}

std::expected<std::uint64_t, Problem> number_option(std::string_view name, std::string_view text, std::uint64_t min,
                                                    std::uint64_t max) {
  const auto value = parse_number<std::uint64_t>(text);
  if (!value || *value < min || *value > max)
    return std::unexpected(bad_option(fmt::format("{} takes a whole number from {} to {}", name, min, max)));
  return *value;
}

std::expected<ImageOptions, Problem> image_options(const Query& query, std::initializer_list<std::string_view> also) {
  ImageOptions out;
  for (const auto& [name, value] : query) {
    if (std::ranges::find(also, name) != also.end()) continue;
    if (std::ranges::find(k_image_names, name) == k_image_names.end())
      return std::unexpected(
          bad_option(fmt::format("there is no option {}; there are {}", name, fmt::join(k_image_names, ", "))));
    if (auto set = set_option(name, value, out); !set) return std::unexpected(set.error());
  }
  const bool clahe = out.equalize.method == compute::Method::clahe;
  if (!clahe && (query.contains("clip") || query.contains("tiles")))
    return std::unexpected(bad_option("clip and tiles belong to method=clahe"));
  if (out.quality && out.format && *out.format != codec::FileFormat::jpeg)
    return std::unexpected(bad_option("quality belongs to format=jpeg"));
  if (query.contains("png") && out.format && *out.format != codec::FileFormat::png)
    return std::unexpected(bad_option("png belongs to format=png"));
  return out;
}

std::expected<std::optional<codec::FileFormat>, Problem> accepted_format(std::string_view accept) {
  if (trim(accept).empty()) return std::nullopt;
  using enum codec::FileFormat;
  for (const MediaRange& range : media_ranges(accept)) {
    if (range.type == "*/*" || same_type(range.type, "image/*")) return std::nullopt;
    for (const codec::FileFormat format : {png, jpeg, tiff, pgm, ppm, pam})
      if (same_type(range.type, codec::media_type(format))) return format;
  }
  Problem problem;
  problem.status = 406;
  problem.code = "not-acceptable";
  problem.detail = "Accept admits none of image/png, image/jpeg, image/tiff and the netpbm formats";
  return std::unexpected(problem);
}

}  // namespace histod::daemon::api
