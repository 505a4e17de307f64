// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/error.hpp"
#include "compute/rule.hpp"

namespace histod::compute {

/// What the samples are that a table maps.
enum class Quantity : std::uint8_t {
  brightness,  ///< a gray image's samples or a color image's luma, which are the same thing: one table
  lightness,   ///< L* of a color image: one table
  channels,    ///< two channels or more, each by itself: a table for each
};

std::string_view name(Quantity quantity);
std::optional<Quantity> quantity_from_name(std::string_view name);

/// Images of one kind can share their tables. Those of another depth, of another L, or of other channels have tables of
/// their own, so that no sample is ever scaled or cut off to fit.
struct TableKind {
  Quantity quantity = Quantity::brightness;
  std::uint32_t planes = 1;  ///< 1, or for Quantity::channels 2 to 255
  std::uint32_t bins = 256;  ///< 256 or 65 536, by the depth
  std::uint32_t levels = 256;

  friend auto operator<=>(const TableKind&, const TableKind&) = default;
};

/// "brightness, 16 bit, 4096 levels"
std::string describe(const TableKind& kind);
/// Errc::corrupt: no image is of this kind.
Result<void> check(const TableKind& kind);

/// Tables that may have been made anywhere.
struct KindTables {
  TableKind kind;
  std::vector<Lut> tables;  ///< one for each plane

  friend bool operator==(const KindTables&, const KindTables&) = default;
};

/// One table for each plane, of an entry for each bin, no entry above the levels, and from there on the identity. They
/// need not be monotone. Errc::corrupt.
Result<void> check(const KindTables& tables);

}  // namespace histod::compute
