// SPDX-License-Identifier: Apache-2.0
#include "compute/tables.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace histod::compute {
namespace {

Lut identity(std::uint32_t bins) {
  Lut lut(bins);
  std::iota(lut.begin(), lut.end(), std::uint16_t{0});
  return lut;
}

std::uint64_t value_of(const KindTables& tables) {
  const auto checked = check(tables);
  EXPECT_FALSE(checked);
  if (checked) return 0;
  EXPECT_EQ(checked.error().code, Errc::corrupt);
  return checked.error().value;
}

TEST(Tables, NamesComeBack) {
  for (const Quantity quantity : {Quantity::brightness, Quantity::lightness, Quantity::channels}) {
    EXPECT_EQ(quantity_from_name(name(quantity)), quantity);
  }
  EXPECT_FALSE(quantity_from_name("luma"));
  EXPECT_FALSE(quantity_from_name(""));
}

TEST(Tables, AKindIsDescribedInWords) {
  EXPECT_EQ(describe({}), "brightness, 8 bit, 256 levels");
  EXPECT_EQ(describe({Quantity::channels, 3, 65536, 4096}), "3 channels, 16 bit, 4096 levels");
}

TEST(Tables, KindsThatNoImageHasAreRefused) {
  for (const TableKind& good : {TableKind{},
                                {Quantity::lightness, 1, 65536, 65536},
                                {Quantity::channels, 2, 256, 2},
                                {Quantity::channels, 255, 65536, 300}}) {
    EXPECT_TRUE(check(good)) << describe(good);
  }
  for (const TableKind& bad : {TableKind{Quantity::brightness, 3, 256, 256},
                               {Quantity::lightness, 0, 256, 256},
                               {Quantity::channels, 1, 256, 256},
                               {Quantity::channels, 256, 256, 256},
                               {Quantity::brightness, 1, 512, 256},
                               {Quantity::brightness, 1, 256, 257},
                               {Quantity::brightness, 1, 65536, 1},
                               {Quantity::brightness, 1, 0, 0}}) {
    const auto checked = check(bad);
    ASSERT_FALSE(checked) << describe(bad);
    EXPECT_EQ(checked.error().code, Errc::corrupt);
  }
}

TEST(Tables, AnyTableWithinItsLevelsIsTaken) {
  KindTables tables{.kind = {Quantity::brightness, 1, 65536, 1000}, .tables = {identity(65536)}};
  EXPECT_TRUE(check(tables));
  for (std::uint32_t i = 0; i < 1000; ++i) tables.tables[0][i] = static_cast<std::uint16_t>(999 - i);
  EXPECT_TRUE(check(tables));  // not monotone
}

TEST(Tables, WhatWouldLeaveTheLevelsIsRefused) {
  KindTables tables{.kind = {Quantity::channels, 2, 256, 100}, .tables = {identity(256), identity(256)}};
  EXPECT_TRUE(check(tables));
  tables.tables[1][99] = 100;
  EXPECT_EQ(value_of(tables), 100u);
  tables.tables[1] = identity(256);
  tables.tables[0][200] = 7;
  EXPECT_EQ(value_of(tables), 200u);
  tables.tables[0] = identity(65536);
  EXPECT_EQ(value_of(tables), 65536u);
  tables.tables = {identity(256)};
  EXPECT_EQ(value_of(tables), 1u);
  tables.tables = {};
  EXPECT_EQ(value_of(tables), 0u);
}

}  // namespace
}  // namespace histod::compute
