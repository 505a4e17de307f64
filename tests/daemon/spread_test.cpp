// SPDX-License-Identifier: Apache-2.0
// One image on several nodes: what comes of it, and what is chosen when.
#include "daemon/spread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/runner.hpp"
#include "daemon/node_metrics.hpp"
#include "tests/daemon/spread_rig.hpp"
#include "tests/support/naive_equalize.hpp"

namespace histod::daemon {
namespace {

using test::ApiRig;
using test::equalized;
using test::FleetRig;
using test::NaiveImage;
using test::netpbm_of;
using test::picture;
using test::Told;
using testing::HasSubstr;
using testing::StartsWith;

TEST(SpreadTest, ResultsAreThoseOfOneNodeAndOfTheDefinition) {
  FleetRig fleet(4);
  for (const auto& format : {test::gray_format(8), test::gray_format(16), test::rgb_format(8), test::rgb_format(16)}) {
    for (const auto& [width, height] : {std::pair{97u, 61u}, {64u, 4u}, {31u, 3u}, {8u, 2u}, {1u, 7u}}) {
      const NaiveImage image = picture(format, width, height);
      const std::string file = netpbm_of(image);
      for (const char* how : {"rule=opencv", "rule=exact&color=channels", "color=lab", "nodata=100"}) {
        const std::string query = how;
        const Told alone = equalized(fleet[0], query + "&placement=local", file);
        const Told spread = equalized(fleet[0], query + "&placement=fleet", file);
        ASSERT_EQ(spread.status, 200u) << spread.body;
        EXPECT_EQ(spread.body, alone.body) << query << ' ' << width << 'x' << height;
        EXPECT_EQ(spread.field("Histod-Lut-Digest"), alone.field("Histod-Lut-Digest"));
        EXPECT_THAT(spread.field("Histod-Placement"), StartsWith("fleet; asked=fleet"));
        if (format.colors == 3) {
          EXPECT_THAT(alone.field("Histod-Placement"), StartsWith("local; asked=local"));
        }
      }
      const Told exact = equalized(fleet[0], "rule=exact&color=channels&placement=fleet", file);
      EXPECT_EQ(exact.body, netpbm_of(test::naive_equalize_channels(image, "exact", format.bins())));
    }
  }
  for (const auto& redone : fleet[0].services.spread.redone) EXPECT_EQ(redone, 0u);
  EXPECT_EQ(fleet[0].services.spread.under_way, 0u);
  for (const std::size_t other : {1u, 2u, 3u}) EXPECT_GT(fleet[other].services.spread.received, 0u);
}

TEST(SpreadTest, FilesThatAreDecodedAndEncodedTakePartToo) {
  FleetRig fleet(3);
  declare_metrics(fleet[0].services);
  declare_metrics(fleet[1].services);
  const NaiveImage image = picture(test::rgb_format(16), 211, 131);
  const Told png = equalized(fleet[0], "format=png&placement=local", netpbm_of(image));
  for (const std::string query : {"format=png", "format=tiff&rule=exact", "color=gray", "color=ycrcb"}) {
    const Told alone = equalized(fleet[0], query + "&placement=local", png.body);
    const Told spread = equalized(fleet[0], query + "&placement=fleet", png.body);
    ASSERT_EQ(spread.status, 200u) << spread.body;
    EXPECT_EQ(spread.body, alone.body) << query;
  }
  const std::string text = fleet[0].get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("histod_spread_images_total 3\n")) << "color=gray stays here";
  EXPECT_THAT(text, HasSubstr("histod_spread_parts_sent_total 12\n"));
  EXPECT_THAT(text, HasSubstr("histod_spread_parts_redone_total{reason=\"silent\"} 0\n"));
  EXPECT_THAT(fleet[1].get("/metrics").body, HasSubstr("histod_spread_parts_received_total 6\n"));
}

TEST(SpreadTest, WhatCannotBeSpreadIsDoneHereAndSaysWhy) {
  FleetRig fleet(2);
  const std::string file = netpbm_of(picture(test::rgb_format(8), 20, 10));
  const auto why = [&](const Told& told) {
    EXPECT_EQ(told.status, 200u) << told.body;
    EXPECT_THAT(told.field("Histod-Placement"), StartsWith("local; asked=fleet"));
    return told.field("Histod-Placement");
  };
  EXPECT_THAT(why(equalized(fleet[0], "placement=fleet&color=gray", file)), HasSubstr("color=gray"));
  EXPECT_THAT(why(equalized(fleet[0], "placement=fleet", netpbm_of(picture(test::rgb_format(8), 20, 1)))),
              HasSubstr("one row"));
  const std::string form = "--B\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n" + file +
                           "\r\n--B\r\nContent-Disposition: form-data; name=\"mask\"\r\n\r\n" +
                           netpbm_of(picture(test::gray_format(8), 20, 10)) + "\r\n--B--\r\n";
  EXPECT_THAT(why(equalized(fleet[0], "placement=fleet", form, {{"Content-Type", "multipart/form-data; boundary=B"}})),
              HasSubstr("mask"));
  fleet[0].options.max_upload_bytes = 1'000;
  EXPECT_THAT(why(equalized(fleet[0], "placement=fleet", netpbm_of(picture(test::gray_format(8), 5, 6)))),
              HasSubstr("more than a node takes in"));
  fleet[0].options.max_upload_bytes = 512u << 20;
  fleet[0].services.spread.under_way = FleetSpread::k_images_max;
  EXPECT_THAT(why(equalized(fleet[0], "placement=fleet", file)), HasSubstr("as many images"));
  fleet[0].services.spread.under_way = 0;
  EXPECT_EQ(fleet[0].services.spread.images, 0u);
}

/// A TIFF of 4 x 2 gray samples whose only page says that it is an overview (1) or a mask (4).
std::string tiff_of_kind(char kind) {
  const auto entry = [](char tag, char type, char value) {
    return std::string{tag, tag == '\xfe' ? '\0' : '\1', type, 0, 1, 0, 0, 0, value, 0, 0, 0};
  };
  std::string out("II*\0\x08\0\0\0\x09\0", 10);
  out += entry('\xfe', 4, kind) + entry('\0', 3, 4) + entry('\1', 3, 2) + entry('\2', 3, 8) + entry('\3', 3, 1) +
         entry('\6', 3, 1) + entry('\x11', 4, 122) + entry('\x16', 3, 2) + entry('\x17', 4, 8);
  return out + std::string(4, '\0') + "abcdabcd";
}

TEST(SpreadTest, AnOverviewOrMaskAloneIsNoImageToSpread) {
  FleetRig fleet(2);
  for (const char kind : {'\0', '\1', '\4'}) {
    const Told alone = equalized(fleet[0], "placement=local&format=png", tiff_of_kind(kind));
    const Told spread = equalized(fleet[0], "placement=fleet&format=png", tiff_of_kind(kind));
    EXPECT_EQ(spread.status, alone.status) << spread.body;
    EXPECT_EQ(spread.body, alone.body) << int{kind};
  }
  EXPECT_EQ(fleet[0].services.spread.images, 1u) << "the plain one";
}

TEST(SpreadTest, WhatCanNeverBeSpreadIsRefused) {
  FleetRig fleet(2), alone(1);
  ApiRig nobody;
  const std::string file = netpbm_of(picture(test::gray_format(8), 9, 9));
  for (const std::string path : {"/v1/equalize", "/v1/jobs"}) {
    for (const char* query : {"placement=fleet&method=clahe", "placement=fleet&range=auto"}) {
      const Told told = fleet[0].post(path, query, file);
      EXPECT_EQ(told.status, 409u);
      EXPECT_EQ(told.code(), "cannot-spread");
    }
    for (ApiRig* node : {&alone[0], &nobody}) {
      const Told told = node->post(path, "placement=fleet", file);
      EXPECT_EQ(told.status, 503u);
      EXPECT_EQ(told.code(), "no-peers");
      EXPECT_EQ(node->post(path, "placement=moon", file).code(), "bad-option");
      EXPECT_LT(node->post(path, "placement=auto", file).status, 300u);
    }
  }
  EXPECT_EQ(fleet[0].post("/v1/histogram", "placement=local", file).code(), "bad-option");
  EXPECT_EQ(nobody.post("/v1/equalize", "format=png", file).field("Histod-Placement"), "");
}

TEST(SpreadTest, WhatIsWrongWithTheImageIsToldAsIfNobodyElseHadBeenAsked) {
  FleetRig fleet(3);
  std::string file = "P5\n4 6\n99\n" + std::string(24, 'a');
  file.back() = '\x96';
  file[file.size() - 14] = '\x78';
  const Told alone = equalized(fleet[0], "placement=local", file);
  const Told spread = equalized(fleet[0], "placement=fleet", file);
  EXPECT_EQ(alone.status, 422u);
  EXPECT_EQ(spread.body, alone.body);
  EXPECT_EQ(fleet[0].services.spread.under_way, 0u);
}

/// As if this node needed that long for a byte, and the link to the other one.
void measure(ApiRig& node, std::uint64_t own_ns, std::uint64_t link_ns) {
  constexpr std::uint64_t k_bytes = 4u << 20;
  node.services.speeds.worked(test::rgb_format(8), compute::Color::luma, k_bytes, own_ns * k_bytes);
  if (link_ns > 0) node.services.speeds.carried("N2", k_bytes, link_ns * k_bytes);
}

TEST(SpreadAuto, TakesWhatIsFasterByTheMeasuredSpeeds) {
  const std::string file = netpbm_of(picture(test::rgb_format(8), 700, 600)),
                    small = netpbm_of(picture(test::rgb_format(8), 70, 60));
  const auto chosen = [&](std::uint64_t own_ns, std::uint64_t link_ns, const std::string& image) {
    FleetRig fleet(2);
    if (own_ns > 0) measure(fleet[0], own_ns, link_ns);
    const Told told = equalized(fleet[0], "", image);
    EXPECT_EQ(told.status, 200u);
    EXPECT_EQ(told.body, equalized(fleet[0], "placement=local", image).body);
    return told.field("Histod-Placement");
  };
  EXPECT_EQ(chosen(0, 0, file), "local; asked=auto; why=\"the speeds are not measured yet\"");
  EXPECT_EQ(chosen(10, 0, file), "local; asked=auto; local-ms=12.6; why=\"the speeds are not measured yet\"");
  // 1.26 MB: alone 10 ns a byte; of two each counts half, and half goes three times through a link of 1 ns a byte.
  EXPECT_EQ(chosen(10, 1, file), "fleet; asked=auto; local-ms=12.6; fleet-ms=8.2; why=\"faster by the estimates\"");
  EXPECT_EQ(chosen(2, 1, file), "local; asked=auto; local-ms=2.5; fleet-ms=3.1; why=\"faster alone by the estimates\"");
  EXPECT_THAT(chosen(100, 1, small), HasSubstr("why=\"it is small\""));
}

TEST(SpreadAuto, MeasuresItsOwnWorkAndCopiesAndParts) {
  FleetRig fleet(2);
  const std::string file = netpbm_of(picture(test::rgb_format(8), 700, 600));
  const auto own = [&] {
    return fleet[0].services.speeds.own_ns_per_byte(test::rgb_format(8), compute::Color::luma).has_value();
  };
  equalized(fleet[0], "method=clahe", file);
  EXPECT_FALSE(own()) << "another kind of work";
  equalized(fleet[0], "placement=fleet", file);
  EXPECT_FALSE(own());
  EXPECT_TRUE(fleet[0].services.speeds.link("N2"));
  equalized(fleet[0], "", file);
  EXPECT_TRUE(own());
  EXPECT_FALSE(fleet[1].services.speeds.link("N1"));
  EXPECT_EQ(fleet[1].post("/v1/jobs", "", file).status, 202u);
  EXPECT_TRUE(fleet[1].services.speeds.link("N1")) << "by the copy";
  EXPECT_THAT(equalized(fleet[0], "", file).field("Histod-Placement"), HasSubstr("fleet-ms="));
}

/// The attempt that the engine has begun, on the node's worker.
void attempt(ApiRig& node) {
  const jobs::JobRecord record = node.engine_rig.attempts.next();
  node.at_worker([&] { jobs::run_attempt(node.services, node.worker(), record, nullptr); });
  test::Answer<jobs::JobRecord> ended;
  node.engine_rig.engine->wait(record.id, std::chrono::hours(1), ended.reply());
  EXPECT_TRUE(ended.get());
}

TEST(SpreadJobs, RememberWhereTheyWereDoneAndWhy) {
  FleetRig fleet(2);
  fleet[0].engine_rig.engine->resume();
  const std::string file = netpbm_of(picture(test::rgb_format(16), 33, 21));
  const Told direct = equalized(fleet[0], "rule=exact&placement=local", file);
  for (const auto& [query, asked, chosen] : {std::tuple{"rule=exact&placement=fleet", "fleet", "fleet"},
                                             {"rule=exact&placement=local", "local", "local"},
                                             {"rule=exact", "auto", "local"}}) {
    const Told told = fleet[0].post("/v1/jobs", query, file);
    ASSERT_EQ(told.status, 202u) << told.body;
    const std::string id(told.json().at("id").as_string());
    EXPECT_FALSE(told.json().at("options").as_object().contains("placement"));
    attempt(fleet[0]);
    const auto job = fleet[0].get("/v1/jobs/" + id).json();
    EXPECT_EQ(job.at("state").as_string(), "done");
    const auto& placement = job.at("placement").as_object();
    EXPECT_EQ(placement.at("asked").as_string(), asked);
    EXPECT_EQ(placement.at("chosen").as_string(), chosen);
    EXPECT_FALSE(placement.at("why").as_string().empty());
    EXPECT_TRUE(placement.contains("local_ms") && placement.contains("fleet_ms"));
    EXPECT_EQ(fleet[0].get("/v1/jobs/" + id + "/result").body, direct.body);
    EXPECT_EQ(fleet[0].engine_rig.record_on_disk(id).placement, fleet[0].engine_rig.get(id)->placement);
  }
  EXPECT_EQ(fleet[1].services.spread.received, 2u);
}

TEST(SpreadJobs, AreTheSameWhereverTheyAreDone) {
  FleetRig fleet(2);
  const std::string file = netpbm_of(picture(test::gray_format(8), 9, 9));
  const Told first = fleet[0].post("/v1/jobs", "rule=exact&placement=fleet", file, {{"Idempotency-Key", "k"}});
  const Told again = fleet[0].post("/v1/jobs", "placement=local&rule=exact", file, {{"Idempotency-Key", "k"}});
  EXPECT_EQ(again.status, 202u) << again.body;
  EXPECT_EQ(again.json().at("id"), first.json().at("id"));
  EXPECT_EQ(again.json().at("placement").at("asked").as_string(), "fleet");
  EXPECT_TRUE(again.json().at("placement").at("chosen").is_null());
  const std::string id(first.json().at("id").as_string());
  EXPECT_EQ(fleet[1].engine_rig.record_on_disk(id).placement.asked, "fleet") << "so that whoever adopts it knows";
}

}  // namespace
}  // namespace histod::daemon
