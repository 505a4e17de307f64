// SPDX-License-Identifier: Apache-2.0
// What nodes say to each other of an image that several of them have, and the door at which they say it.
#include "daemon/part_message.hpp"

#include "tests/daemon/spread_rig.hpp"

namespace histod::daemon {
namespace {

using test::as_bytes;
using test::FleetRig;
using test::NaiveImage;
using test::picture;
using test::Told;
using testing::HasSubstr;

TEST(PartMessage, ComesBackAsItWas) {
  PartHead head{.width = 17, .rows = 3, .format = {}, .levels = 0, .nodata = {}, .options = {}};
  const auto again = [&] {
    const auto read = parse_part_query(part_query(head)).value();
    return read.width == head.width && read.rows == head.rows && read.format == head.format &&
           read.levels == head.levels && read.nodata == head.nodata && read.options.color == head.options.color &&
           read.options.rule == head.options.rule && read.options.range == head.options.range &&
           read.kind() == head.kind() && read.bytes() == head.bytes();
  };
  EXPECT_TRUE(again());
  head.format = {.colors = 3, .extras = 2, .alpha = true, .depth_bits = 16};
  head.levels = 4'096;
  head.options = {.rule = compute::Rule::vips, .color = compute::Color::lab};
  for (const double nodata : {0.0, -9999.0, 0.1, 1e300, 5e-324}) {
    head.nodata = nodata;
    EXPECT_TRUE(again()) << part_query(head);
  }
  head.options.range = compute::RangeMode::fixed;
  head.options.range_levels = 1'000;
  EXPECT_TRUE(again());
  EXPECT_EQ(head.bytes(), 17u * 3 * 5 * 2);
}

TEST(PartMessage, MayBeAnything) {
  const std::string good = "width=2&rows=2&colors=1&extras=0&alpha=0&depth=8&levels=0";
  ASSERT_TRUE(parse_part_query(good));
  for (const auto& [from, to] : {std::pair{"width=2", "width=0"},
                                 {"width=2", "width=16777217"},
                                 {"width=2", "width=-1"},
                                 {"width=2", "x=2"},
                                 {"rows=2", "rows=0"},
                                 {"rows=2", "rows=99999999999999999999"},
                                 {"colors=1", "colors=0"},
                                 {"colors=1", "colors=5"},
                                 {"extras=0", "extras=252"},
                                 {"alpha=0", "alpha=1"},
                                 {"depth=8", "depth=12"},
                                 {"depth=8", "depth=0"},
                                 {"levels=0", "levels=1"},
                                 {"levels=0", "levels=257"},
                                 {"levels=0", "levels=0&range=auto"},
                                 {"levels=0", "levels=0&range=300"},
                                 {"levels=0", "levels=0&method=clahe"},
                                 {"levels=0", "levels=0&moon=1"},
                                 {"levels=0", "levels=0&nodata=x"},
                                 {"&levels=0", ""},
                                 {"levels=0", "levels=0&levels=0"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), std::string_view(from).size(), to);
    const auto read = parse_part_query(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().status, 400u);
  }
}

TEST(PartMessage, CountsAreOfThesePixelsEachOnce) {
  compute::Arena arena{{{}, 1}};
  NaiveImage image = picture(test::gray_format(8), 5, 4);
  const compute::EqualizePage page{image.view()};
  const auto bytes = compute::tally_of({&page, 1}, {}, arena)->to_bytes();
  PartHead head{.width = 5, .rows = 4, .format = image.format(), .levels = 0, .nodata = {}, .options = {}};
  EXPECT_TRUE(parse_part_tally(bytes, head));
  head.rows = 3;
  EXPECT_THAT(parse_part_tally(bytes, head).error(), HasSubstr("20 pixels"));
  head.rows = 5;
  EXPECT_FALSE(parse_part_tally(bytes, head));
  head.rows = 4;
  head.levels = 200;
  EXPECT_THAT(parse_part_tally(bytes, head).error(), HasSubstr("another kind"));
  head.levels = 0;
  const compute::EqualizePage twice[] = {page, page};
  EXPECT_FALSE(parse_part_tally(compute::tally_of(twice, {}, arena)->to_bytes(), head));
  EXPECT_FALSE(parse_part_tally(compute::Tally().to_bytes(), head));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_FALSE(parse_part_tally(std::span(bytes).first(cut), head));
}

TEST(PartRoutes, TakeRowsAndNothingElse) {
  FleetRig fleet(1);
  const std::string good = "width=3&rows=2&colors=1&extras=0&alpha=0&depth=8&levels=0", rows = "abcabc";
  const auto ask = [&](const std::string& path, const std::string& query, const std::string& body,
                       std::string_view token = test::k_peer_token, const char* version = "1") {
    return fleet[0].ask({.method = "POST",
                         .path = path,
                         .query = query,
                         .token = std::string(token),
                         .fields = {{std::string(k_peer_version_field), version}},
                         .body = body});
  };
  const std::string count(k_part_count_path), apply(k_part_apply_path);
  const Told counted = ask(count, good, rows);
  ASSERT_EQ(counted.status, 200u) << counted.body;
  EXPECT_EQ(counted.field("Histod-Part-Digest"), part_digest(as_bytes(counted.body)));
  EXPECT_EQ(counted.field("Histod-Peer-Version"), "1");
  const auto tally = parse_part_tally(as_bytes(counted.body), parse_part_query(good).value());
  ASSERT_TRUE(tally) << tally.error();
  EXPECT_EQ(tally->entries().front().planes.front()['b'], 2u);
  const auto tables = tables_message(compute::make_tables(compute::Rule::exact, *tally).value());
  const Told applied = ask(apply, good, rows + tables);
  EXPECT_EQ(applied.body, std::string("\0\x80\xff\0\x80\xff", 6)) << "3 values, evenly";
  EXPECT_EQ(applied.field("Histod-Part-Digest"), part_digest(as_bytes(applied.body)));
  for (const std::string& body : {std::string("abcab"), std::string("abcabca")})
    EXPECT_EQ(ask(count, good, body).code(), "bad-request");
  for (const std::string& body : {rows, rows + tables.substr(1), rows + tables.substr(0, tables.size() - 1)})
    EXPECT_GE(ask(apply, good, body).status, 400u);
  EXPECT_EQ(ask(count, "width=3", rows).code(), "bad-option");
  EXPECT_EQ(ask(apply, "width=3&rows=9999999&colors=1&extras=0&alpha=0&depth=8&levels=0", rows).code(), "bad-request");
  EXPECT_EQ(ask(count, good + "&range=98", rows).status, 422u) << "a sample is out of range";
  for (const std::string& path : {count, apply}) {
    EXPECT_EQ(ask(path, good, rows, test::k_peer_token, "2").code(), "peer-version");
    EXPECT_EQ(ask(path, good, rows, test::k_submit_token).status, 403u);
    EXPECT_EQ(ask(path, good, rows, "").status, 401u);
  }
  EXPECT_EQ(fleet[0].services.peer_intrusions, 4u);
  EXPECT_EQ(fleet[0].services.spread.received, 2u);
}

}  // namespace
}  // namespace histod::daemon
