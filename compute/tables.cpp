// SPDX-License-Identifier: Apache-2.0
#include "compute/tables.hpp"

#include <array>
#include <utility>

namespace histod::compute {
namespace {

constexpr std::array<std::pair<Quantity, std::string_view>, 3> k_quantities{
    {{Quantity::brightness, "brightness"}, {Quantity::lightness, "lightness"}, {Quantity::channels, "channels"}}};

Result<void> check_lut(const Lut& lut, const TableKind& kind) {
  if (lut.size() != kind.bins) return fail(Errc::corrupt, "a table has other than its entries", lut.size(), kind.bins);
  for (std::uint32_t i = 0; i < kind.bins; ++i) {
    if (i < kind.levels && lut[i] >= kind.levels) {
      return fail(Errc::corrupt, "an entry of a table is at or above its levels", lut[i], kind.levels);
    }
    if (i >= kind.levels && lut[i] != i) {
      return fail(Errc::corrupt, "a table changes what is at or above its levels, entry", i, kind.levels);
    }
  }
  return {};
}

}  // namespace

std::string_view name(Quantity quantity) { return k_quantities[static_cast<std::size_t>(quantity)].second; }

std::optional<Quantity> quantity_from_name(std::string_view name) {
  for (const auto& [quantity, text] : k_quantities) {
    if (text == name) return quantity;
  }
  return std::nullopt;
}

std::string describe(const TableKind& kind) {
  const std::string count = kind.quantity == Quantity::channels ? std::to_string(kind.planes) + " " : "";
  return count + std::string(name(kind.quantity)) + ", " + (kind.bins == 256 ? "8" : "16") + " bit, " +
         std::to_string(kind.levels) + " levels";
}

Result<void> check(const TableKind& kind) {
  const bool several = kind.quantity == Quantity::channels;
  if (several && (kind.planes < 2 || kind.planes > 255)) {
    return fail(Errc::corrupt, "channels are 2 to 255 planes", kind.planes, 255);
  }
  if (!several && kind.planes != 1)
    return fail(Errc::corrupt, "brightness and lightness are one plane", kind.planes, 1);
  if (kind.bins != 256 && kind.bins != 65536) return fail(Errc::corrupt, "bins are 256 or 65536", kind.bins, 65536);
  if (kind.levels < 2 || kind.levels > kind.bins) {
    return fail(Errc::corrupt, "levels are 2 to the number of bins", kind.levels, kind.bins);
  }
  return {};
}

Result<void> check(const KindTables& tables) {
  if (auto checked = check(tables.kind); !checked) return checked;
  if (tables.tables.size() != tables.kind.planes) {
    return fail(Errc::corrupt, "there is not one table for each plane, tables", tables.tables.size(),
                tables.kind.planes);
  }
  for (const Lut& lut : tables.tables) {
    if (auto checked = check_lut(lut, tables.kind); !checked) return checked;
  }
  return {};
}

}  // namespace histod::compute
