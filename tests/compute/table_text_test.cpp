// SPDX-License-Identifier: Apache-2.0
#include "compute/table_text.hpp"

#include <numeric>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

namespace histod::compute {
namespace {

constexpr std::string_view k_small =
    "# histod lut 1\n# quantity channels\n# planes 2\n# bins 256\n# levels 3\n0 2\n1 0\n2 2\n";

KindTables random_tables(const TableKind& kind, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  KindTables tables{.kind = kind, .tables = std::vector(kind.planes, Lut(kind.bins))};
  for (Lut& lut : tables.tables) {
    for (std::uint32_t i = 0; i < kind.bins; ++i) {
      lut[i] = static_cast<std::uint16_t>(i < kind.levels ? random() % kind.levels : i);
    }
  }
  return tables;
}

std::string replaced(std::string_view what, std::string_view by) {
  std::string text(k_small);
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

/// "line 7: corrupt image", or that it was read.
std::string refusal(std::string_view text) {
  const auto tables = tables_from_text(text);
  if (tables) return "none";
  const std::string& detail = tables.error().detail;
  return detail.substr(0, detail.find(": ") + 2) + tables.error().code.message();
}

TEST(TableText, IsAsTheHeaderSays) {
  const auto tables = tables_from_text(k_small);
  ASSERT_TRUE(tables) << tables.error().detail;
  EXPECT_EQ(tables->kind, (TableKind{Quantity::channels, 2, 256, 3}));
  EXPECT_TRUE(check(*tables));
  EXPECT_EQ(tables->tables[0][1], 1);
  EXPECT_EQ(tables->tables[1][0], 2);
  EXPECT_EQ(tables->tables[1][1], 0);
  EXPECT_EQ(tables->tables[1][3], 3);
  EXPECT_EQ(tables->tables[0][255], 255);
  EXPECT_EQ(to_text(*tables), k_small);
}

TEST(TableText, ComesBackTheSame) {
  std::uint64_t seed = 0;
  for (const TableKind& kind : {TableKind{},
                                {Quantity::lightness, 1, 65536, 65536},
                                {Quantity::channels, 3, 65536, 4096},
                                {Quantity::channels, 7, 256, 200},
                                {Quantity::brightness, 1, 65536, 2}}) {
    const KindTables tables = random_tables(kind, ++seed);
    const auto back = tables_from_text(to_text(tables));
    ASSERT_TRUE(back) << describe(kind) << " " << back.error().detail;
    EXPECT_EQ(*back, tables);
  }
}

/// Read as numpy.loadtxt would: lines that begin with # are skipped, the rest are numbers.
TEST(TableText, IsPlainNumbersToOthers) {
  const KindTables tables = random_tables({Quantity::channels, 3, 256, 100}, 9);
  std::istringstream lines(to_text(tables));
  std::uint32_t value = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream numbers(line);
    for (std::size_t p = 0; p < 3; ++p) {
      std::uint32_t number = 0;
      ASSERT_TRUE(numbers >> number) << line;
      ASSERT_EQ(number, tables.tables[p][value]);
    }
    EXPECT_EQ(numbers.peek(), std::istringstream::traits_type::eof());
    ++value;
  }
  EXPECT_EQ(value, 100u);
}

TEST(TableText, LinesMayEndInOtherWays) {
  const auto expected = tables_from_text(k_small);
  std::string with_cr;
  for (const char c : k_small) with_cr += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(tables_from_text(with_cr).value(), *expected);
  EXPECT_EQ(tables_from_text(k_small.substr(0, k_small.size() - 1)).value(), *expected);
  EXPECT_EQ(tables_from_text(with_cr.substr(0, with_cr.size() - 1)).value(), *expected);
}

TEST(TableText, ErrorsNameTheLine) {
  EXPECT_EQ(refusal(""), "line 1: truncated image");
  EXPECT_EQ(refusal("0\n1\n2\n"), "line 1: corrupt image");
  EXPECT_EQ(refusal(replaced("lut 1", "lut 2")), "line 1: unsupported image feature");
  EXPECT_EQ(refusal(replaced("lut 1", "lut one")), "line 1: corrupt image");
  EXPECT_EQ(refusal(replaced("channels", "colors")), "line 2: corrupt image");
  EXPECT_EQ(refusal(replaced("# quantity channels\n", "")), "line 2: corrupt image");
  EXPECT_EQ(refusal(replaced("# planes 2\n", "\n# planes 2\n")), "line 3: corrupt image");
  EXPECT_EQ(refusal(replaced("planes 2", "planes -2")), "line 3: corrupt image");
  EXPECT_EQ(refusal(replaced("bins 256", "bins 256 ")), "line 4: corrupt image");
  EXPECT_EQ(refusal(replaced("bins 256", "bins 512")), "line 5: corrupt image");
  EXPECT_EQ(refusal(replaced("planes 2", "planes 1")), "line 5: corrupt image");
  EXPECT_EQ(refusal(replaced("levels 3", "levels 257")), "line 5: corrupt image");
  EXPECT_EQ(refusal(replaced("levels 3", "levels 4294967299")), "line 5: corrupt image");
  EXPECT_EQ(refusal(replaced("0 2\n", "0 3\n")), "line 6: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1\n0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1 0 0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1  0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1\t0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1 00\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "+1 0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "1.5 0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("1 0\n", "# 1 0\n")), "line 7: corrupt image");
  EXPECT_EQ(refusal(replaced("2 2\n", "2 99999999999\n")), "line 8: corrupt image");
  EXPECT_EQ(refusal(replaced("2 2\n", "2 2\n\n")), "line 9: corrupt image");
  EXPECT_EQ(refusal(replaced("2 2\n", "2 2\n0 0\n")), "line 9: corrupt image");
  EXPECT_EQ(refusal(replaced("levels 3", "levels 2")), "line 6: corrupt image");
}

TEST(TableText, EveryTruncationIsAnError) {
  for (std::size_t size = 0; size + 1 < k_small.size(); ++size) {
    EXPECT_FALSE(tables_from_text(k_small.substr(0, size))) << size;
  }
}

TEST(TableText, ErrorsHoldNothingOfTheText) {
  const auto tables = tables_from_text(replaced("1 0\n", "1 <script>\n"));
  ASSERT_FALSE(tables);
  EXPECT_EQ(tables.error().detail.find("script"), std::string::npos);
}

TEST(TableText, NoMemoryIsTakenForWhatCannotBeThere) {
  const std::string header = "# histod lut 1\n# quantity channels\n# planes 255\n# bins 65536\n# levels 65536\n";
  const auto tables = tables_from_text(header + "1 2 3\n");
  ASSERT_FALSE(tables);
  EXPECT_EQ(tables.error().code, Errc::truncated);
  EXPECT_EQ(tables.error().value, 6u);
  EXPECT_EQ(tables.error().limit, 2u * 255 * 65536 - 1);
}

TEST(TableText, AnyOtherByteIsAnErrorOrAnotherTable) {
  const auto original = tables_from_text(k_small);
  for (std::size_t at = 0; at < k_small.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(k_small);
      const bool other_end = at + 1 == k_small.size() && byte == '\r';
      if (other_end || text[at] == static_cast<char>(byte)) continue;
      text[at] = static_cast<char>(byte);
      const auto tables = tables_from_text(text);
      if (!tables) continue;
      ASSERT_NE(*tables, *original) << at << " " << byte;
      ASSERT_EQ(to_text(*tables), text);
    }
  }
}

}  // namespace
}  // namespace histod::compute
