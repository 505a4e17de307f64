// SPDX-License-Identifier: Apache-2.0
// What the resources answer, from the query to the bytes of the response.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/node_metrics.hpp"
#include "tests/daemon/api_rig.hpp"
#include "tests/support/naive_equalize.hpp"

namespace histod::daemon::api {
namespace {

using test::ApiRig;
using test::Told;
using testing::HasSubstr;
using testing::MatchesRegex;

/// A gray image as PGM, and what becomes of it by rule=exact.
struct Sample {
  Sample() {
    const test::NaiveImage image = test::naive_image(test::gray_format(8), 24, 18, test::Texture::narrow, 200, 7);
    file = pgm(image);
    equalized = pgm(test::naive_equalize_channels(image, "exact", 256));
  }
  static std::string pgm(const test::NaiveImage& image) {
    std::string out = "P5\n" + std::to_string(image.width()) + ' ' + std::to_string(image.height()) + "\n255\n";
    for (const std::uint32_t sample : image.samples()) out += static_cast<char>(sample);
    return out;
  }
  std::string file, equalized;
};

std::string form_part(const std::string& name, const std::string& filename, const std::string& body) {
  return "--limit\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + filename +
         "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + body + "\r\n";
}

class ResourcesTest : public testing::Test {
 protected:
  Told post_form(const std::string& path, const std::string& query, const std::string& parts) {
    return rig_.post(path, query, parts + "--limit--\r\n", {{"Content-Type", "multipart/form-data; boundary=limit"}});
  }
  /// The id of a job that the API made of the sample.
  std::string submit(test::Fields fields = {}) {
    const Told told = rig_.post("/v1/jobs", "rule=exact", sample_.file, std::move(fields));
    EXPECT_EQ(told.status, 202u) << told.body;
    return std::string(told.json().at("id").as_string());
  }
  test::Attempts& attempts() { return rig_.engine_rig.attempts; }
  void finish_next(std::string_view result) {
    rig_.engine_rig.engine->resume();
    rig_.engine_rig.finish(attempts().next().id, result);
  }
  ApiRig rig_;
  Sample sample_;
};

TEST_F(ResourcesTest, EqualizeAnswersWithTheImage) {
  const Told told = rig_.post("/v1/equalize", "rule=exact", sample_.file);
  ASSERT_EQ(told.status, 200u) << told.body;
  EXPECT_EQ(told.body, sample_.equalized);
  EXPECT_EQ(told.content_type, "image/x-portable-graymap");
  EXPECT_EQ(told.field("Cache-Control"), "no-store");
  EXPECT_EQ(told.field("Histod-Version"), HISTOD_VERSION);
  EXPECT_THAT(told.field("Histod-Lut-Digest"), MatchesRegex("sha-256=[0-9a-f]{64}"));
  EXPECT_THAT(told.field("Server-Timing"), HasSubstr("receive;dur=5.000, wait;dur="));
  EXPECT_EQ(told.field("Content-Disposition"), "") << "there was no name";
}

TEST_F(ResourcesTest, EqualizeTakesTheFormatFromTheQueryThenFromAccept) {
  const auto type = [&](const std::string& query, const std::string& accept) {
    return rig_.post("/v1/equalize", query, sample_.file, {{"Accept", accept}}).content_type;
  };
  EXPECT_EQ(type("", "image/png"), "image/png");
  EXPECT_EQ(type("format=tiff", "image/png"), "image/tiff");
  EXPECT_EQ(type("", "*/*"), "image/x-portable-graymap");
  const Told refused = rig_.post("/v1/equalize", "", sample_.file, {{"Accept", "text/html"}});
  EXPECT_EQ(refused.status, 406u);
  EXPECT_EQ(refused.code(), "not-acceptable");
}

TEST_F(ResourcesTest, EqualizeTakesAFormWithAMask) {
  const test::NaiveImage image = test::naive_image(test::gray_format(8), 24, 18, test::Texture::narrow, 200, 7);
  test::NaiveImage mask(test::gray_format(8), 24, 18);
  test::NaiveSelection selection;
  for (std::uint32_t i = 0; i < 24 * 18; ++i) {
    selection.mask.push_back(i % 5 == 0 ? 0 : 255);
    mask.set(i % 24, i / 24, 0, selection.mask.back());
  }
  const Told told =
      post_form("/v1/equalize", "rule=exact",
                form_part("image", "my photo.pgm", sample_.file) + form_part("mask", "", Sample::pgm(mask)));
  ASSERT_EQ(told.status, 200u) << told.body;
  EXPECT_EQ(told.body, Sample::pgm(test::naive_equalize_channels(image, "exact", 256, selection)));
  EXPECT_THAT(told.field("Content-Disposition"), HasSubstr("inline; filename=\"my photo_equalized.pgm\""));
  EXPECT_EQ(post_form("/v1/equalize", "", form_part("picture", "a", sample_.file)).status, 400u);
  EXPECT_EQ(post_form("/v1/equalize", "", form_part("mask", "a", sample_.file)).status, 400u);
}

TEST_F(ResourcesTest, ImagesAndOptionsThatAreWrongSaySo) {
  const struct {
    std::string query, body;
    unsigned status;
    const char* code;
  } cases[] = {{"rule=best", sample_.file, 400, "bad-option"},
               {"rule=exact&rule=vips", sample_.file, 400, "bad-option"},
               {"bins=4", sample_.file, 400, "bad-option"},
               {"format=ppm", sample_.file, 400, "bad-option"},
               {"", "", 400, "bad-request"},
               {"", "not an image", 415, "unknown-format"},
               {"", sample_.file.substr(0, 100), 422, "broken-image"},
               {"", "P5\n70000 1\n255\n", 413, "limit-exceeded"},
               {"range=100", sample_.file, 422, "sample-out-of-range"}};
  rig_.options.max_requests_queued = 2;
  for (const auto& c : cases) {
    const Told told = rig_.post("/v1/equalize", c.query, c.body);
    EXPECT_EQ(told.status, c.status) << c.query << ": " << told.body;
    EXPECT_EQ(told.code(), c.code) << c.query;
    EXPECT_EQ(told.content_type, "application/problem+json");
  }
  EXPECT_EQ(rig_.at_worker([&] { return rig_.worker().pipeline().in_hand(); }), 0u);
}

TEST_F(ResourcesTest, HistogramAnswersWithNumbers) {
  const Told told = rig_.post("/v1/histogram", "rule=exact&bins=16", sample_.file);
  ASSERT_EQ(told.status, 200u) << told.body;
  EXPECT_EQ(told.content_type, "application/json");
  const auto json = told.json();
  const auto& plane = json.at("planes").as_array().at(0);
  EXPECT_EQ(plane.at("histogram").as_array().size(), 16u);
  EXPECT_EQ(plane.at("counted").to_number<int>(), 24 * 18);
  EXPECT_EQ(told.field("Histod-Lut-Digest"),
            rig_.post("/v1/equalize", "rule=exact", sample_.file).field("Histod-Lut-Digest"));
  for (const char* bins : {"0", "1", "3", "100", "131072", "x", ""})
    EXPECT_EQ(rig_.post("/v1/histogram", std::string("bins=") + bins, sample_.file).status, 400u) << bins;
}

TEST_F(ResourcesTest, AJobIsMadeFoundDoneAndRemoved) {
  const Told made = rig_.post("/v1/jobs", "rule=exact&format=png", sample_.file);
  ASSERT_EQ(made.status, 202u) << made.body;
  const std::string id(made.json().at("id").as_string());
  EXPECT_EQ(made.field("Location"), "/v1/jobs/" + id);
  EXPECT_EQ(made.json().at("options").at("format").as_string(), "png");
  EXPECT_EQ(made.json().at("input").at("sha256").as_string(), jobs::sha256_hex(sample_.file));
  EXPECT_EQ(rig_.get("/v1/jobs/" + id).json().at("state").as_string(), "queued");
  const Told early = rig_.get("/v1/jobs/" + id + "/result");
  EXPECT_EQ(early.status, 409u);
  EXPECT_THAT(early.body, HasSubstr("queued"));
  finish_next("result bytes");
  const Told result = rig_.get("/v1/jobs/" + id + "/result");
  ASSERT_EQ(result.status, 200u) << result.body;
  EXPECT_EQ(result.body, "result bytes");
  EXPECT_EQ(result.content_type, "image/png");
  EXPECT_EQ(result.field("Content-Disposition"), "attachment; filename=\"" + id + "_equalized.png\"");
  EXPECT_EQ(result.field("Histod-Lut-Digest"), "sha-256=00");
  const Told removed = rig_.ask({.method = "DELETE", .path = "/v1/jobs/" + id});
  EXPECT_EQ(removed.status, 204u);
  EXPECT_EQ(removed.body, "");
  for (const std::string& path : {"/v1/jobs/" + id, "/v1/jobs/" + id + "/result", std::string("/v1/jobs/..")})
    EXPECT_EQ(rig_.get(path).status, 404u) << path;
  EXPECT_EQ(rig_.ask({.method = "DELETE", .path = "/v1/jobs/" + id}).status, 404u);
}

TEST_F(ResourcesTest, AFailedJobHasNoResultButAReason) {
  const std::string id = submit();
  rig_.engine_rig.engine->resume();
  attempts().next();
  jobs::Finished failed;
  failed.error = make_problem(422, "broken-image", "the file ends early");
  rig_.engine_rig.end(id, std::move(failed));
  const Told told = rig_.get("/v1/jobs/" + id + "/result");
  EXPECT_EQ(told.status, 410u);
  EXPECT_THAT(told.body, HasSubstr("the file ends early"));
  EXPECT_EQ(rig_.get("/v1/jobs/" + id).json().at("error").at("status").to_number<int>(), 422);
}

TEST_F(ResourcesTest, AKeyMakesARequestSafeToRepeat) {
  const std::string id = submit({{"Idempotency-Key", "k-1"}});
  const Told again = rig_.post("/v1/jobs", "rule=exact", sample_.file, {{"idempotency-key", "k-1"}});
  EXPECT_EQ(again.status, 202u);
  EXPECT_EQ(again.field("Idempotency-Replayed"), "true");
  EXPECT_EQ(again.json().at("id").as_string(), id);
  const Told other = rig_.post("/v1/jobs", "rule=vips", sample_.file, {{"Idempotency-Key", "k-1"}});
  EXPECT_EQ(other.status, 409u);
  EXPECT_EQ(other.code(), "conflict");
  for (const std::string& key : {std::string("two words"), std::string("\xc3\xa4"), std::string(256, 'k')})
    EXPECT_EQ(rig_.post("/v1/jobs", "", sample_.file, {{"Idempotency-Key", key}}).status, 400u) << key;
  EXPECT_EQ(rig_.post("/v1/jobs", "", sample_.file, {{"Idempotency-Key", std::string(255, 'k')}}).status, 202u);
}

TEST_F(ResourcesTest, AJobThatCouldNeverBeDoneIsNotTaken) {
  EXPECT_EQ(rig_.post("/v1/jobs", "", "not an image").status, 415u);
  EXPECT_EQ(rig_.post("/v1/jobs", "rule=best", sample_.file).status, 400u);
  EXPECT_EQ(rig_.post("/v1/jobs", "", "").status, 400u);
  EXPECT_TRUE(rig_.get("/v1/jobs").json().at("jobs").as_array().empty());
}

TEST_F(ResourcesTest, TheListIsNewestFirstAndMayBeCut) {
  const std::string a = submit(), b = submit();
  const auto ids = [&](const std::string& query) {
    std::vector<std::string> out;
    const auto json = rig_.get("/v1/jobs", query).json();
    for (const auto& job : json.at("jobs").as_array()) out.emplace_back(job.at("id").as_string());
    return out;
  };
  EXPECT_THAT(ids(""), testing::ElementsAre(b, a));
  EXPECT_THAT(ids("limit=1"), testing::ElementsAre(b));
  EXPECT_THAT(ids("state=queued&limit=1000"), testing::ElementsAre(b, a));
  EXPECT_TRUE(ids("state=done").empty());
  for (const char* query : {"limit=0", "limit=1001", "limit=x", "state=gone", "rule=exact", "limit=1&limit=2"})
    EXPECT_EQ(rig_.get("/v1/jobs", query).status, 400u) << query;
}

TEST_F(ResourcesTest, TheOriginalInterfaceStillWorks) {
  const Told uploaded = post_form("/upload", "", form_part("image", "cat.pgm", sample_.file));
  ASSERT_EQ(uploaded.status, 200u) << uploaded.body;
  const std::string id(uploaded.json().at("job_id").as_string());
  const auto options = rig_.get("/v1/jobs/" + id).json().at("options").as_object();
  EXPECT_EQ(options.at("rule").as_string(), "reference");
  EXPECT_EQ(options.at("color").as_string(), "gray");
  auto download = rig_.begin({.path = "/download/" + id + "_final.png"});
  finish_next("final bytes");
  const Told told = download.get();
  EXPECT_EQ(told.status, 200u) << told.body;
  EXPECT_EQ(told.body, "final bytes");
  EXPECT_EQ(told.field("Content-Disposition"), "attachment; filename=\"cat_equalized.png\"");
  for (const char* path : {"/download/01ARZ3NDEKTSV4RRFFQ69G5FAV_final.png", "/download/x", "/download/_final.png"})
    EXPECT_EQ(rig_.get(path).status, 404u) << path;
  const Told overridden = post_form("/upload", "rule=vips", form_part("image", "cat.pgm", sample_.file));
  const std::string other(overridden.json().at("job_id").as_string());
  EXPECT_EQ(rig_.get("/v1/jobs/" + other).json().at("options").at("rule").as_string(), "vips");
  rig_.engine_rig.finish(attempts().next().id);
  EXPECT_EQ(rig_.get("/health").body, "{\"status\":\"healthy\"}\n");
  EXPECT_EQ(rig_.get("/ready").body, "{\"status\":\"ready\",\"zookeeper\":\"embedded\"}\n");
}

TEST_F(ResourcesTest, ADownloadIsAnsweredWhenItsTimeIsOver) {
  const std::string id = submit();
  auto download = rig_.begin({.path = "/download/" + id + "_final.png"});
  rig_.at_worker([] {});  // the worker has asked the engine by now, and the engine has heard it after settle()
  rig_.engine_rig.settle();
  rig_.engine_rig.now_ms += 31'000;
  const Told told = download.get();
  EXPECT_EQ(told.status, 503u);
  EXPECT_EQ(told.code(), "not-finished");
  EXPECT_NE(told.field("Retry-After"), "");
}

TEST_F(ResourcesTest, ReadinessFollowsTheNode) {
  EXPECT_EQ(rig_.get("/healthz").body, "ok\n");
  EXPECT_EQ(rig_.get("/readyz").status, 503u);
  rig_.services.ready = true;
  EXPECT_EQ(rig_.get("/readyz").status, 200u);
  rig_.services.draining = true;
  const Told draining = rig_.get("/readyz");
  EXPECT_EQ(draining.status, 503u);
  EXPECT_TRUE(draining.json().at("draining").as_bool());
  EXPECT_EQ(rig_.get("/healthz").status, 200u);
}

TEST_F(ResourcesTest, TheNodeDescribesItself) {
  const auto node = rig_.get("/v1/node").json();
  EXPECT_EQ(node.at("version").as_string(), HISTOD_VERSION);
  EXPECT_EQ(node.at("isa").as_string(), "scalar");
  EXPECT_EQ(node.at("backend").as_string(), net::http::io_backend());
  ASSERT_EQ(node.at("workers").as_array().size(), 1u);
  EXPECT_EQ(node.at("workers").as_array()[0].at("budget_bytes").to_number<std::size_t>(), ApiRig::k_budget_bytes);
  EXPECT_EQ(node.at("limits").at("upload_bytes").to_number<std::uint64_t>(), rig_.options.max_upload_bytes);
}

TEST_F(ResourcesTest, ThePageAndTheDescriptionAreServedAsTheyAre) {
  const Told page = rig_.ask({.path = "/", .token = "", .fields = {{"Accept-Encoding", "identity"}}});
  EXPECT_EQ(page.status, 200u);
  EXPECT_THAT(page.content_type, HasSubstr("text/html"));
  EXPECT_THAT(page.field("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_EQ(page.field("X-Content-Type-Options"), "nosniff");
  const Told same = rig_.ask({.path = "/", .token = "", .fields = {{"If-None-Match", page.field("ETag")}}});
  EXPECT_EQ(same.status, 304u);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(rig_.get("/assets/nothing.js").status, 404u);
  const Told yaml = rig_.get("/openapi.yaml");
  EXPECT_EQ(yaml.content_type, "application/yaml");
  EXPECT_THAT(yaml.body, HasSubstr("openapi: 3"));
  declare_metrics(rig_.services);
  const Told metrics = rig_.get("/metrics");
  EXPECT_EQ(metrics.status, 200u);
  EXPECT_THAT(metrics.content_type, HasSubstr("text/plain"));
  for (const char* of_copies :
       {"\nhistod_job_copies 0\n", "\nhistod_jobs_adopted_total 0\n", "\nhistod_jobs_disowned_total 0\n"})
    EXPECT_THAT(metrics.body, HasSubstr(of_copies));
}

}  // namespace
}  // namespace histod::daemon::api
