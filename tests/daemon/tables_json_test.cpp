// SPDX-License-Identifier: Apache-2.0
#include "daemon/tables_json.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using compute::KindTables;
using compute::Quantity;

KindTables random_tables(const compute::TableKind& kind, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  KindTables tables{.kind = kind, .tables = std::vector(kind.planes, compute::Lut(kind.bins))};
  for (compute::Lut& lut : tables.tables) {
    for (std::uint32_t i = 0; i < kind.bins; ++i) {
      lut[i] = static_cast<std::uint16_t>(i < kind.levels ? random() % kind.levels : i);
    }
  }
  return tables;
}

std::vector<KindTables> several_kinds() {
  return {random_tables({Quantity::brightness, 1, 256, 256}, 1),
          random_tables({Quantity::brightness, 1, 256, 100}, 2),
          random_tables({Quantity::brightness, 1, 65536, 4096}, 3),
          random_tables({Quantity::lightness, 1, 256, 256}, 4),
          random_tables({Quantity::channels, 3, 256, 256}, 5),
          random_tables({Quantity::channels, 4, 65536, 65536}, 6)};
}

std::vector<KindTables> sorted(std::vector<KindTables> kinds) {
  std::ranges::sort(kinds, {}, &KindTables::kind);
  return kinds;
}

/// A list of 256 entries that begins so and goes on as the identity.
std::string list_of(std::string_view begin, std::uint32_t count) {
  std::string out = "[" + std::string(begin);
  for (std::uint32_t i = count; i < 256; ++i) out += "," + std::to_string(i);
  return out + "]";
}

/// Two levels, which change places.
std::string small() {
  return R"({"histod_lut":1,"kinds":[{"quantity":"brightness","planes":1,"bins":256,"levels":2,"tables":[)" +
         list_of("1,0", 2) + "]}]}";
}

std::string replaced(std::string_view what, std::string_view by, std::string text = small()) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

std::string refusal(std::string_view text) {
  const auto tables = tables_from_json(text);
  if (tables) return "none";
  return fmt::format("{}: {} ({}, {})", tables.error().code.message(), tables.error().detail, tables.error().value,
                     tables.error().limit);
}

/// What `script` prints of the file, run by Python.
std::string python(const std::string& script, const std::string& file) {
  const std::string command = "python3 -c '" + script + "' '" + file + "'";
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string out;
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    out.append(buffer.data(), got);
  }
  EXPECT_EQ(pclose(pipe), 0) << command;
  return out;
}

TEST(TablesJson, IsAsTheHeaderSays) {
  const auto tables = tables_from_json(small());
  ASSERT_TRUE(tables) << tables.error().detail;
  ASSERT_EQ(tables->size(), 1u);
  EXPECT_EQ(tables->front().kind, (compute::TableKind{Quantity::brightness, 1, 256, 2}));
  compute::Lut expected(256);
  std::iota(expected.begin(), expected.end(), std::uint16_t{0});
  std::swap(expected[0], expected[1]);
  EXPECT_EQ(tables->front().tables, std::vector<compute::Lut>{expected});
}

TEST(TablesJson, ComesBackTheSame) {
  const std::vector<KindTables> kinds = sorted(several_kinds());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const std::vector one{kinds[i]};
    const auto back = tables_from_json(tables_to_json(one));
    ASSERT_TRUE(back) << back.error().detail;
    EXPECT_EQ(*back, one);
  }
  const std::string text = tables_to_json(kinds);
  ASSERT_LE(text.size(), k_tables_json_bytes_max);
  EXPECT_EQ(tables_from_json(text).value(), kinds);
}

TEST(TablesJson, KindsComeInTheirOrder) {
  std::vector<KindTables> kinds = several_kinds();
  const std::vector<KindTables> expected = sorted(kinds);
  std::ranges::reverse(kinds);
  // Their digest is that of the tables in order, too.
  const std::string text = replaced(lut_digest(kinds), lut_digest(expected), tables_to_json(kinds));
  EXPECT_EQ(tables_from_json(text).value(), expected);
  EXPECT_EQ(refusal(tables_to_json(kinds)), "corrupt image: the digest is not that of the tables (0, 0)");
}

TEST(TablesJson, PythonReadsTheSameAndComputesTheSameDigest) {
  const test::TemporaryFolder folder;
  const std::vector<KindTables> kinds = sorted(several_kinds());
  const std::string file = folder.file("lut.json", tables_to_json(kinds));
  const std::string script = R"(
import hashlib, json, struct, sys
lut = json.load(open(sys.argv[1]))
digest = hashlib.sha256()
for kind in lut["kinds"]:
    assert len(kind["tables"]) == kind["planes"], kind
    for table in kind["tables"]:
        assert len(table) == kind["bins"], kind
        digest.update(struct.pack("<%d%s" % (len(table), "B" if len(table) == 256 else "H"), *table))
assert lut["digest"] == "sha-256=" + digest.hexdigest(), lut["digest"]
print(lut["histod_lut"], list(lut), list(lut["kinds"][0]), lut["kinds"][4]["quantity"], lut["kinds"][5]["tables"][3][9])
)";
  EXPECT_EQ(python(script, file),
            fmt::format("1 ['histod_lut', 'digest', 'kinds'] ['quantity', 'planes', 'bins', 'levels', 'tables'] "
                        "channels {}\n",
                        kinds[5].tables[3][9]));
}

TEST(TablesJson, ReadsWhatPythonWrites) {
  const test::TemporaryFolder folder;
  const std::string file = folder.file("lut.json", tables_to_json(several_kinds()));
  const std::string script = R"(
import json, sys
lut = json.load(open(sys.argv[1]))
del lut["digest"]
lut["kinds"] = [dict(sorted(kind.items(), reverse=True)) for kind in lut["kinds"][:3]]
print(json.dumps(lut, indent=1, sort_keys=False))
)";
  std::vector<KindTables> expected = several_kinds();
  expected.resize(3);
  EXPECT_EQ(tables_from_json(python(script, file)).value(), sorted(expected));
}

TEST(TablesJson, LargeTablesOfManyPlanes) {
  const std::vector kinds{random_tables({Quantity::channels, 255, 256, 256}, 7)};
  EXPECT_EQ(tables_from_json(tables_to_json(kinds)).value(), kinds);
  const std::string too_long = tables_to_json(std::vector{random_tables({Quantity::channels, 12, 65536, 65536}, 8)});
  EXPECT_EQ(refusal(too_long),
            fmt::format("too many decoded bytes: the JSON is too long, bytes ({}, 4194304)", too_long.size()));
}

TEST(TablesJson, SpellingMayDiffer) {
  const auto expected = tables_from_json(small()).value();
  EXPECT_EQ(tables_from_json(" \t\r\n" + small() + "\n \n").value(), expected);
  EXPECT_EQ(tables_from_json(replaced("quantity", R"(quant\u0069ty)")).value(), expected);
  EXPECT_EQ(tables_from_json(replaced("brightness", R"(\u0062rightness)")).value(), expected);
  const std::string digest = R"("digest":")" + lut_digest(expected) + "\",";
  EXPECT_EQ(tables_from_json(replaced("\"kinds\"", digest + "\"kinds\"")).value(), expected);
}

TEST(TablesJson, WrongMembersAreErrors) {
  const std::string corrupt = "corrupt image: ";
  EXPECT_EQ(refusal(replaced("\"planes\":1,", "")), corrupt + "kind 0: \"planes\" is missing (0, 0)");
  EXPECT_EQ(refusal(replaced("\"histod_lut\":1,", "")), corrupt + "\"histod_lut\" is missing (0, 0)");
  EXPECT_EQ(refusal("{}"), corrupt + "\"histod_lut\" is missing (0, 0)");
  EXPECT_EQ(refusal(R"({"histod_lut":1})"), corrupt + "\"kinds\" is missing (0, 0)");
  EXPECT_EQ(refusal(R"({"histod_lut":1,"kinds":[]})"), corrupt + "there is no kind of tables (0, 0)");
  EXPECT_EQ(refusal(R"({"histod_lut":1,"kinds":[{}]})"), corrupt + "kind 0: \"quantity\" is missing (0, 0)");
  EXPECT_EQ(refusal(replaced("\"planes\"", "\"plains\"")),
            corrupt + "kind 0: there is a member of an unknown name (0, 0)");
  EXPECT_EQ(refusal(replaced("\"planes\"", "\"digest\"")),
            corrupt + "kind 0: there is a member of an unknown name (0, 0)");
  EXPECT_EQ(refusal(replaced("\"planes\":1", "\"planes\":1,\"planes\":1")),
            corrupt + "kind 0: \"planes\" stands there twice (0, 0)");
  EXPECT_EQ(refusal(replaced("\"kinds\"", "\"histod_lut\":1,\"kinds\"")),
            corrupt + "\"histod_lut\" stands there twice (0, 0)");
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":2")), "unsupported image feature: unknown version (2, 1)");
  const std::string kind =
      small().substr(small().find("{\"quantity"), small().size() - small().find("{\"quantity") - 2);
  EXPECT_EQ(refusal(replaced(kind, kind + "," + kind)),
            corrupt + "a kind stands there twice: brightness, 8 bit, 2 levels (0, 0)");
}

TEST(TablesJson, WrongValuesAreErrors) {
  const std::string corrupt = "corrupt image: ";
  const std::string whole = "only whole numbers may stand here (0, 0)";
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":1.0")), corrupt + whole);
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":\"1\"")), corrupt + "a text has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":[1]")), corrupt + "a list has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":{}")), corrupt + "an object has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":null")), corrupt + "null has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("lut\":1", "lut\":true")), corrupt + "true and false have no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("\"brightness\"", "1")), corrupt + "kind 0: a number has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("brightness", "colors")),
            corrupt + "kind 0: the quantity is brightness, lightness or channels (0, 0)");
  EXPECT_EQ(refusal(replaced("256", "512")), corrupt + "kind 0: bins are 256 or 65536 (512, 65536)");
  EXPECT_EQ(refusal(replaced("256", "4294967552")), corrupt + "kind 0: a number is too large (4294967552, 65536)");
  EXPECT_EQ(refusal(replaced("256", "-256")), corrupt + "kind 0: a number is below 0 (0, 0)");
  EXPECT_EQ(refusal(replaced("256", "256e0")), corrupt + "kind 0: " + whole);
  EXPECT_EQ(refusal(replaced("256", "99999999999999999999999")), corrupt + "kind 0: " + whole);
  EXPECT_EQ(refusal(replaced("levels\":2", "levels\":257")),
            corrupt + "kind 0: levels are 2 to the number of bins (257, 256)");
  EXPECT_EQ(refusal(replaced("planes\":1", "planes\":2")),
            corrupt + "kind 0: brightness and lightness are one plane (2, 1)");
  EXPECT_EQ(refusal(replaced("[1,0,", "[1,2,")),
            corrupt + "kind 0: an entry of a table is at or above its levels (2, 2)");
  EXPECT_EQ(refusal(replaced(",77,", ",78,")),
            corrupt + "kind 0: a table changes what is at or above its levels, entry (77, 2)");
  EXPECT_EQ(refusal(replaced(",77,", ",")), corrupt + "kind 0: a table has other than its entries (255, 256)");
  EXPECT_EQ(refusal(replaced(",77,", ",65536,")),
            corrupt + "kind 0: table 0, entry 77: the entry is too large (65536, 65535)");
  EXPECT_EQ(refusal(replaced(",77,", ",7.5,")), corrupt + "kind 0: table 0, entry 77: " + whole);
  EXPECT_EQ(refusal(replaced(",77,", ",[77],")),
            corrupt + "kind 0: table 0, entry 77: a list has no place here (0, 0)");
  EXPECT_EQ(refusal(replaced("]}]}", ",[]]}]}")),
            corrupt + "kind 0: there is not one table for each plane, tables (2, 1)");
  EXPECT_EQ(refusal(replaced("\"kinds\"", "\"digest\":\"sha-256=00\",\"kinds\"")),
            corrupt + "the digest is not that of the tables (0, 0)");
}

TEST(TablesJson, WhatIsNoJsonIsAnError) {
  for (const std::string_view text :
       {"", " ", "[]", "1", "\"text\"", "null", "{", "{\"histod_lut\"", "\xff", "nonsense"}) {
    EXPECT_TRUE(refusal(text).starts_with("corrupt image: ")) << text;
  }
  EXPECT_TRUE(refusal(small() + "x").starts_with("corrupt image: "));
  EXPECT_TRUE(refusal(small() + small()).starts_with("corrupt image: "));
  EXPECT_TRUE(refusal(replaced("brightness", std::string("bright\0ness", 11))).starts_with("corrupt image: "));
  EXPECT_TRUE(refusal(replaced("{\"histod_lut\"", "// words\n{\"histod_lut\"")).starts_with("corrupt image: "));
  EXPECT_TRUE(refusal(replaced("]}]}", "],}]}")).starts_with("corrupt image: "));
}

TEST(TablesJson, EveryTruncationIsAnError) {
  const std::string text = small();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(tables_from_json(std::string_view(text).substr(0, size))) << size;
  }
}

TEST(TablesJson, ErrorsHoldNothingOfTheText) {
  for (const std::string_view what : {"brightness", "planes", ",77"}) {
    EXPECT_EQ(refusal(replaced(what, "<script>")).find("script"), std::string::npos);
  }
}

/// All of them at the limit of the text's length: what does not end early must not take much memory either.
TEST(TablesJson, HostileTextsAreErrors) {
  const auto many = [](std::string_view piece, std::string begin = "") {
    while (begin.size() + piece.size() <= k_tables_json_bytes_max) begin += piece;
    return begin;
  };
  const std::string kinds = R"({"histod_lut":1,"kinds":[)";
  const std::string tables = kinds + R"({"quantity":"channels","planes":255,"bins":256,"levels":2,"tables":[)";
  for (const std::string& text :
       {many("["), many("{\"kinds\":["), many("["), many("{}", kinds), many("{},", kinds), many("[],", tables),
        many("0,", tables + "["), many("[0],", tables), many("[1,0],", tables), many("\"\":0,", "{"), many("a", "{\""),
        many("a", "{\"digest\":\""), many("\\u0061", "{\"digest\":\""), many("9", "{\"histod_lut\":"),
        many("1e9", "{\"histod_lut\":"), many(" "), many("0", "{\"histod_lut\":0.")}) {
    EXPECT_FALSE(tables_from_json(text)) << text.substr(0, 100);
  }
  EXPECT_EQ(refusal(many("[],", tables)), "corrupt image: kind 0: too many tables (256, 255)");
  EXPECT_FALSE(tables_from_json(many("0,", tables + "[")));
}

TEST(TablesJson, AnyOtherByteIsAnErrorOrGoodTables) {
  const auto expected = tables_from_json(small()).value();
  const std::string original = tables_to_json(expected);
  std::mt19937_64 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string text = original;
    // Nearly all bytes are in the table's list: half of the changes are before it.
    const std::size_t range = round % 2 == 0 ? 180 : text.size();
    text[random() % range] = static_cast<char>(random());
    const auto tables = tables_from_json(text);
    if (!tables) continue;
    for (const KindTables& kind : *tables) ASSERT_TRUE(check(kind)) << text;
    // The digest sees every change of the tables, but says nothing of their kind.
    ASSERT_EQ(tables->size(), 1u);
    ASSERT_EQ(tables->front().tables, expected.front().tables) << text;
  }
}

/// The daemon's digests of one image are of the same bytes.
TEST(LutDigest, IsOverTheTablesInOrder) {
  const std::vector<KindTables> kinds = several_kinds();
  std::string bytes;
  for (const KindTables& kind : kinds) {
    for (const compute::Lut& lut : kind.tables) {
      for (const std::uint16_t entry : lut) {
        bytes += static_cast<char>(entry);
        if (lut.size() > 256) bytes += static_cast<char>(entry >> 8);
      }
    }
  }
  EXPECT_EQ(lut_digest(kinds), "sha-256=" + jobs::sha256_hex(bytes));
  EXPECT_EQ(lut_digest({}), "sha-256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace histod::daemon
