// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "compute/equalize.hpp"
#include "compute/tally.hpp"
#include "daemon/api/problem.hpp"

/// What nodes send each other of an image whose rows several of them have. A request's body begins with the rows, one
/// behind the other, samples in the order of bytes that all machines which run this have: lowest first.
namespace histod::daemon {

inline constexpr std::string_view k_part_count_path = "/v1/peer/parts/count",
                                  k_part_apply_path = "/v1/peer/parts/apply";
/// Of an answer's body: "sha-256=<hex>".
inline constexpr std::string_view k_part_digest_field = "Histod-Part-Digest";
/// More bands stay where they are: each has a histogram and a table of its own.
inline constexpr std::uint32_t k_part_colors_max = 4;
/// A tally's bytes of so many 16-bit planes, and their memory.
inline constexpr std::uint64_t k_part_tally_bytes_max = 8u << 20,
                               k_part_tally_memory_max = k_part_colors_max * 65'536ull * 8;

/// Some rows of a page, and how they are counted and mapped.
struct PartHead {
  std::uint32_t width = 0, rows = 0;
  compute::PixelFormat format;
  std::uint32_t levels = 0;  ///< that the page declares; 0: the whole depth
  std::optional<double> nodata;
  compute::EqualizeOptions options;  ///< of which color, rule and range are told

  std::uint64_t pixels() const { return std::uint64_t{width} * rows; }
  std::uint64_t bytes() const { return pixels() * format.bytes_per_pixel(); }
  compute::TableKind kind() const;
  /// These rows, which begin at `data`.
  compute::EqualizePage page(std::byte* data) const;
};

/// As a query, which takes the image's options under their own names.
std::string part_query(const PartHead& head);
std::expected<PartHead, api::Problem> parse_part_query(std::string_view query);

/// Of bytes that anybody may have written: only counts of all these pixels, each once.
std::expected<compute::Tally, std::string> parse_part_tally(std::span<const std::byte> bytes, const PartHead& head);

std::string part_digest(std::span<const std::byte> body);

}  // namespace histod::daemon
