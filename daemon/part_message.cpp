// SPDX-License-Identifier: Apache-2.0
#include "daemon/part_message.hpp"

#include <bit>

#include <fmt/core.h>

#include "daemon/api/query.hpp"
#include "daemon/jobs/digest.hpp"

namespace histod::daemon {

static_assert(std::endian::native == std::endian::little);

namespace {

/// Whole numbers of the query, and what is wrong with the first that is wrong.
struct Numbers {
  const api::Query& query;
  std::optional<api::Problem> problem;

  template <class T>
  void take(std::string_view name, std::uint64_t min, std::uint64_t max, T& out) {
    const auto given = query.find(std::string(name));
    const auto number = api::number_option(name, given == query.end() ? "" : given->second, min, max);
    if (number)
      out = static_cast<T>(*number);
    else if (!problem)
      problem = number.error();
  }
};

}  // namespace

compute::TableKind PartHead::kind() const {
  const bool fixed = options.range == compute::RangeMode::fixed;
  return compute::table_kind(format, options.color,
                             fixed         ? options.range_levels
                             : levels == 0 ? format.bins()
                                           : levels);
}

compute::EqualizePage PartHead::page(std::byte* data) const {
  return {{data, width, rows, width * format.bytes_per_pixel(), format}, levels, nodata};
}

std::string part_query(const PartHead& head) {
  const compute::PixelFormat& format = head.format;
  std::string out =
      fmt::format("width={}&rows={}&colors={}&extras={}&alpha={}&depth={}&levels={}&color={}&rule={}", head.width,
                  head.rows, format.colors, format.extras, format.alpha ? 1 : 0, format.depth_bits, head.levels,
                  compute::name(head.options.color), compute::name(head.options.rule));
  if (head.options.range == compute::RangeMode::fixed) out += fmt::format("&range={}", head.options.range_levels);
  if (head.nodata) out += fmt::format("&nodata={}", *head.nodata);
  // A plus would be read as a space; the exponent of a number may have one.
  for (std::size_t at = 0; (at = out.find('+', at)) != std::string::npos;) out.replace(at, 1, "%2B");
  return out;
}

std::expected<PartHead, api::Problem> parse_part_query(std::string_view text) {
  const auto query = api::parse_query(text);
  if (!query) return std::unexpected(query.error());
  const auto image = api::image_options(*query, {"width", "rows", "colors", "extras", "alpha", "depth", "levels"});
  if (!image) return std::unexpected(image.error());
  PartHead head;
  head.options = image->equalize;
  head.nodata = image->nodata;
  Numbers from{*query, {}};
  constexpr std::uint64_t k_side_max = 1u << 24;  // so that a product with the bytes of a pixel has 64 bits
  from.take("width", 1, k_side_max, head.width);
  from.take("rows", 1, k_side_max, head.rows);
  from.take("colors", 1, k_part_colors_max, head.format.colors);
  from.take("extras", 0, 255 - k_part_colors_max, head.format.extras);
  from.take("alpha", 0, head.format.extras > 0 ? 1 : 0, head.format.alpha);
  from.take("depth", 8, 16, head.format.depth_bits);
  if (from.problem) return std::unexpected(*from.problem);
  if (head.format.depth_bits != 8 && head.format.depth_bits != 16)
    return std::unexpected(api::bad_option("depth takes 8 or 16"));
  from.take("levels", 0, head.format.bins(), head.levels);
  if (from.problem) return std::unexpected(*from.problem);
  const bool fixed = head.options.range == compute::RangeMode::fixed;
  if (head.options.method != compute::Method::global || head.options.range == compute::RangeMode::automatic ||
      (fixed && head.options.range_levels > head.format.bins()) || head.levels == 1)
    return std::unexpected(api::bad_option("this cannot be done in parts"));
  return head;
}

std::expected<compute::Tally, std::string> parse_part_tally(std::span<const std::byte> bytes, const PartHead& head) {
  auto tally = compute::Tally::from_bytes(bytes, k_part_tally_memory_max);
  if (!tally) return std::unexpected(tally.error().detail);
  const compute::TallyEntry* const entry = tally->find(head.kind());
  if (tally->entries().size() != 1 || entry == nullptr) return std::unexpected("it is of another kind of image");
  // What is read back has the same total in each plane.
  if (entry->images != 1 || entry->counted > head.pixels() || entry->masked != head.pixels() - entry->counted)
    return std::unexpected(
        fmt::format("it counts {} pixels and leaves out {}, of {}", entry->counted, entry->masked, head.pixels()));
  return std::move(*tally);
}

std::string part_digest(std::span<const std::byte> body) { return "sha-256=" + jobs::sha256_hex(body); }

}  // namespace histod::daemon
