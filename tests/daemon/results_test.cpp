// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/results.hpp"

#include <numeric>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace histod::daemon::api {
namespace {

namespace json = boost::json;
using compute::Errc;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

ImageFailure failure(Errc code, bool busy = false) {
  return {{compute::make_error_code(code), "what was wrong", 7, 5}, busy};
}

TEST(ProblemOf, EachErrorHasItsStatus) {
  const struct {
    Errc error;
    unsigned status;
    const char* code;
  } cases[] = {{Errc::unknown_format, 415, "unknown-format"},
               {Errc::unsupported_feature, 415, "unsupported"},
               {Errc::truncated, 422, "broken-image"},
               {Errc::corrupt, 422, "broken-image"},
               {Errc::pixels_over_limit, 413, "limit-exceeded"},
               {Errc::dimension_over_limit, 413, "limit-exceeded"},
               {Errc::pages_over_limit, 413, "limit-exceeded"},
               {Errc::bytes_over_limit, 413, "limit-exceeded"},
               {Errc::ratio_over_limit, 413, "limit-exceeded"},
               {Errc::scans_over_limit, 413, "limit-exceeded"},
               {Errc::ancillary_over_limit, 413, "limit-exceeded"},
               {Errc::bad_option, 400, "bad-option"},
               {Errc::sample_out_of_range, 422, "sample-out-of-range"},
               {Errc::output_full, 500, "internal"}};
  int expected = 0;
  for (const auto& c : cases) {
    EXPECT_EQ(static_cast<int>(c.error), ++expected) << "an error is missing from this table";
    const Problem problem = problem_of(failure(c.error));
    EXPECT_EQ(problem.status, c.status) << c.code;
    EXPECT_EQ(problem.code, c.code);
    EXPECT_EQ(problem.detail, "what was wrong");
    EXPECT_EQ(problem.value, amount(7));
    EXPECT_EQ(problem.limit, amount(5));
    const Problem busy = problem_of(failure(c.error, true));
    EXPECT_EQ(busy.status, 503u) << "what is only busy now is nobody's fault";
    EXPECT_EQ(busy.code, "overloaded");
  }
  EXPECT_EQ(expected, static_cast<int>(Errc::output_full));
}

TEST(Responses, AProblemIsOneAndSaysWhenToComeBack) {
  for (const unsigned status : {400u, 401u, 413u, 429u, 500u, 503u, 507u}) {
    Problem problem;
    problem.status = status;
    problem.code = "some-code";
    problem.detail = "why";
    const net::http::Response response = problem_response(problem);
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_THAT(response.fields, Contains(Pair("Cache-Control", "no-store")));
    const auto retry = Contains(Pair("Retry-After", "1"));
    if (status == 429 || status == 503)
      EXPECT_THAT(response.fields, retry);
    else
      EXPECT_THAT(response.fields, Not(retry));
    const json::object body = json::parse(std::get<std::string>(response.body)).as_object();
    EXPECT_EQ(body.at("type").as_string(), "urn:histod:problem:some-code");
    EXPECT_EQ(body.at("status").to_number<unsigned>(), status);
    EXPECT_EQ(body.at("detail").as_string(), "why");
    EXPECT_FALSE(response.close);
  }
}

TEST(Responses, JsonIsALineOfItsOwn) {
  const net::http::Response response = json_response(201, json::object{{"a", 1}});
  EXPECT_EQ(response.status, 201u);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(std::get<std::string>(response.body), "{\"a\":1}\n");
}

TEST(ServerTiming, IsInMillisecondsInTheOrderOfTheSteps) {
  Timings t;
  t.receive_ns = 1'000'000;
  t.wait_ns = 2'345'678;
  t.decode_ns = 3'000'400;
  t.count_ns = 4'000'000;
  t.rule_ns = 1'499;
  t.apply_ns = 6'000'000;
  t.encode_ns = 7'000'000;
  EXPECT_EQ(server_timing(t),
            "receive;dur=1.000, wait;dur=2.346, decode;dur=3.000, histogram;dur=4.000, lut;dur=0.001, "
            "apply;dur=6.000, encode;dur=7.000, total;dur=23.348");
  EXPECT_EQ(server_timing(t, false),
            "receive;dur=1.000, wait;dur=2.346, decode;dur=3.000, histogram;dur=4.000, lut;dur=0.001, apply;dur=6.000");
  EXPECT_EQ(timing_ms(t).at("wait"), 2.346);
  EXPECT_EQ(timing_ms(t).size(), 8u);
}

/// A result of one plane, whose counts are 1, 2, 3, ... and whose table counts down.
ImageResult ramp(std::uint8_t depth_bits) {
  ImageResult result;
  compute::codec::PageInfo page;
  page.width = 30;
  page.height = 20;
  page.format.depth_bits = depth_bits;
  result.input.format = compute::codec::FileFormat::tiff;
  result.input.pages = {page};
  result.lut_digest = "sha-256=ab";
  const std::uint32_t bins = page.format.bins();
  compute::PlaneReport plane;
  plane.levels = bins;
  plane.before = compute::Histogram(bins);
  plane.after = compute::Histogram(bins);
  for (std::uint32_t i = 0; i < bins; ++i) {
    plane.before.counts()[i] = i + 1;
    plane.after.counts()[bins - 1 - i] = i + 1;
    plane.lut.push_back(static_cast<std::uint16_t>(bins - 1 - i));
  }
  plane.counted = plane.before.total();
  plane.masked = 11;
  plane.first_count = 1;
  plane.nodata_collisions = 3;
  result.report.planes = {plane};
  return result;
}

std::uint64_t number(const json::object& object, const char* name) {
  return object.at(name).to_number<std::uint64_t>();
}

TEST(HistogramJson, SaysAllOfAnEightBitPlane) {
  ImageOptions options;
  options.equalize.rule = compute::Rule::exact;
  const json::object out = histogram_json(ramp(8), options, 256);
  EXPECT_EQ(out.at("format").as_string(), "tiff");
  EXPECT_EQ(number(out, "width"), 30u);
  EXPECT_EQ(number(out, "height"), 20u);
  EXPECT_EQ(number(out, "depth"), 8u);
  EXPECT_EQ(number(out, "channels"), 1u);
  EXPECT_EQ(number(out, "pages"), 1u);
  EXPECT_EQ(out.at("lut_digest").as_string(), "sha-256=ab");
  const json::object& plane = out.at("planes").as_array().at(0).as_object();
  EXPECT_EQ(plane.at("rule").as_string(), "exact");
  EXPECT_EQ(plane.at("method").as_string(), "global");
  EXPECT_EQ(number(plane, "counted"), 256u * 257 / 2);
  EXPECT_EQ(number(plane, "masked"), 11u);
  EXPECT_EQ(number(plane, "nodata_collisions"), 3u);
  EXPECT_EQ(number(plane, "first_count"), 1u);
  for (const char* name : {"histogram", "cdf", "lut", "after"})
    EXPECT_EQ(plane.at(name).as_array().size(), 256u) << name;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < 256; ++i) {
    sum += i + 1;
    EXPECT_EQ(plane.at("histogram").as_array()[i].to_number<std::uint64_t>(), i + 1);
    EXPECT_EQ(plane.at("cdf").as_array()[i].to_number<std::uint64_t>(), sum);
    EXPECT_EQ(plane.at("lut").as_array()[i].to_number<std::uint64_t>(), 255 - i);
    EXPECT_EQ(plane.at("after").as_array()[i].to_number<std::uint64_t>(), 256 - i);
  }
}

TEST(HistogramJson, FoldsSixteenBitsIntoEqualRanges) {
  constexpr std::uint64_t k_all = 65'536;
  for (const std::uint64_t bins : {std::uint64_t{256}, std::uint64_t{2}, k_all}) {
    const json::object out = histogram_json(ramp(16), {}, static_cast<std::uint32_t>(bins));
    const json::object& plane = out.at("planes").as_array().at(0).as_object();
    const std::uint64_t width = k_all / bins;
    ASSERT_EQ(plane.at("histogram").as_array().size(), bins);
    ASSERT_EQ(plane.at("cdf").as_array().size(), bins);
    ASSERT_EQ(plane.at("lut").as_array().size(), bins);
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < bins; ++i) {
      const std::uint64_t first = i * width, end = first + width;
      const std::uint64_t sum = (first + 1 + end) * width / 2;  // of the counts first + 1 ... end
      total += sum;
      ASSERT_EQ(plane.at("histogram").as_array()[i].to_number<std::uint64_t>(), sum) << i;
      ASSERT_EQ(plane.at("cdf").as_array()[i].to_number<std::uint64_t>(), total) << i;
      ASSERT_EQ(plane.at("lut").as_array()[i].to_number<std::uint64_t>(), k_all - end) << i;
      ASSERT_EQ(plane.at("after").as_array()[bins - 1 - i].to_number<std::uint64_t>(), sum) << i;
    }
    EXPECT_EQ(total, number(plane, "counted"));
  }
}

TEST(HistogramJson, AnEightBitPlaneTakesFewerBinsToo) {
  const json::object out = histogram_json(ramp(8), {}, 4);
  const json::object& plane = out.at("planes").as_array().at(0).as_object();
  EXPECT_EQ(json::serialize(plane.at("lut")), "[192,128,64,0]");
  EXPECT_EQ(json::serialize(plane.at("cdf")), "[2080,8256,18528,32896]");
  EXPECT_EQ(histogram_json(ramp(8), {}, 65'536).at("planes").as_array()[0].at("lut").as_array().size(), 256u);
}

json::object statistics_of(std::initializer_list<std::pair<std::uint32_t, std::uint64_t>> counts) {
  ImageResult result = ramp(8);
  compute::Histogram histogram(256);
  for (const auto& [value, count] : counts) histogram.counts()[value] = count;
  result.report.planes[0].before = histogram;
  return histogram_json(result, {}, 256).at("planes").as_array().at(0).as_object();
}

TEST(HistogramJson, DescribesTheCounts) {
  const json::object two = statistics_of({{10, 1}, {30, 3}});
  EXPECT_EQ(number(two, "first_bin"), 10u);
  EXPECT_EQ(number(two, "min"), 10u);
  EXPECT_EQ(number(two, "max"), 30u);
  EXPECT_EQ(number(two, "median"), 30u);
  EXPECT_DOUBLE_EQ(two.at("mean").as_double(), 25.0);
  EXPECT_NEAR(two.at("stddev").as_double(), 8.660254037844386, 1e-9);
  EXPECT_NEAR(two.at("entropy_bits").as_double(), 0.8112781244591328, 1e-12);
  const json::object one = statistics_of({{255, 9}});
  EXPECT_EQ(number(one, "min"), 255u);
  EXPECT_EQ(one.at("stddev").as_double(), 0.0);
  EXPECT_EQ(one.at("entropy_bits").as_double(), 0.0);
  EXPECT_EQ(number(one, "median"), 255u);
  const json::object none = statistics_of({});
  EXPECT_EQ(number(none, "min") + number(none, "max") + number(none, "first_bin"), 0u);
  EXPECT_EQ(none.at("mean").as_double(), 0.0);
}

TEST(HistogramJson, TheTablesOfTilesAreLeftOut) {
  ImageResult result = ramp(8);
  result.report.planes[0].lut.resize(4 * 256);
  const json::object out = histogram_json(result, {}, 256);
  EXPECT_TRUE(out.at("planes").as_array()[0].at("lut").as_array().empty());
}

jobs::JobRecord done_record() {
  jobs::JobRecord record;
  record.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  record.state = jobs::JobState::done;
  record.created_ms = 1'767'225'600'001;
  record.started_ms = 1'767'225'600'002;
  record.finished_ms = 1'767'225'600'003;
  record.options = {{"rule", "exact"}};
  record.input = {9, "aa", "pgm", 3, 2, "a\xff.pgm", 0, ""};
  record.result = jobs::JobResult{12, "image/png", "png", "sha-256=cc"};
  record.planes = {{6, 1, 2, 256, "exact"}};
  record.attempts = 1;
  record.program_version = "0.1.0";
  record.timing_ms = {{"total", 1.25}};
  return record;
}

TEST(JobJson, SaysAllOfADoneJob) {
  const json::object out = job_json(done_record(), "n1");
  EXPECT_EQ(out.at("id").as_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(out.at("state").as_string(), "done");
  EXPECT_EQ(out.at("created_at").as_string(), "2026-01-01T00:00:00.001Z");
  EXPECT_EQ(out.at("finished_at").as_string(), "2026-01-01T00:00:00.003Z");
  EXPECT_EQ(out.at("options").at("rule").as_string(), "exact");
  EXPECT_EQ(out.at("input").at("filename").as_string(), "a?.pgm") << "JSON is UTF-8";
  EXPECT_EQ(out.at("input").at("width").to_number<int>(), 3);
  EXPECT_EQ(out.at("result").at("href").as_string(), "/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/result");
  EXPECT_EQ(out.at("result").at("bytes").to_number<int>(), 12);
  EXPECT_EQ(out.at("planes").as_array().at(0).at("first_count").to_number<int>(), 2);
  EXPECT_EQ(out.at("timing_ms").at("total").as_double(), 1.25);
  EXPECT_FALSE(out.contains("error"));
}

TEST(JobJson, SaysWhatIsNotKnownYetAsNothing) {
  jobs::JobRecord record = done_record();
  record.state = jobs::JobState::queued;
  record.started_ms = record.finished_ms = 0;
  record.result.reset();
  record.planes.clear();
  record.timing_ms.clear();
  record.input.format.clear();
  const json::object out = job_json(record, "n1");
  EXPECT_TRUE(out.at("started_at").is_null());
  EXPECT_TRUE(out.at("finished_at").is_null());
  for (const char* name : {"result", "planes", "timing_ms", "error"}) EXPECT_FALSE(out.contains(name)) << name;
  EXPECT_FALSE(out.at("input").as_object().contains("format"));
}

TEST(JobJson, AFailedJobSaysWhy) {
  jobs::JobRecord record = done_record();
  record.state = jobs::JobState::failed;
  record.result.reset();
  record.error.emplace();
  record.error->status = 422;
  record.error->code = "broken-image";
  const json::object out = job_json(record, "n1");
  EXPECT_EQ(out.at("error").at("type").as_string(), "urn:histod:problem:broken-image");
}

TEST(JobPlanes, CarryWhatTheReportSays) {
  ImageOptions options;
  options.equalize.rule = compute::Rule::vips;
  const auto planes = job_planes(ramp(8), options);
  ASSERT_EQ(planes.size(), 1u);
  EXPECT_EQ(planes[0], (jobs::JobPlane{256 * 257 / 2, 11, 1, 256, "vips"}));
}

TEST(ContentDisposition, QuotesPlainNamesAndEncodesTheOthers) {
  EXPECT_EQ(content_disposition("inline", "photo_equalized.png"), "inline; filename=\"photo_equalized.png\"");
  EXPECT_EQ(content_disposition("attachment", "my photo.png"),
            "attachment; filename=\"my photo.png\"; filename*=UTF-8''my%20photo.png");
  EXPECT_EQ(content_disposition("inline", "\xc3\xa4.png"), "inline; filename=\"__.png\"; filename*=UTF-8''%C3%A4.png");
}

TEST(ContentDisposition, LetsNothingOutOfItsQuotes) {
  const std::string hostile[] = {"a\"; filename=\"evil.exe",
                                 "a\r\nSet-Cookie: x=1",
                                 std::string("a\0b", 3),
                                 "../../etc/passwd",
                                 "C:\\windows\\evil",
                                 "a;b=c,d",
                                 "%0d%0aX: y",
                                 "\xff\xfe.png",
                                 "\xc3",
                                 "\x7f\x01",
                                 "'\"`$(rm)",
                                 ""};
  for (const std::string& name : hostile) {
    const std::string field = content_disposition("inline", name);
    EXPECT_TRUE(field.starts_with("inline; filename=\"")) << field;
    const std::string rest = field.substr(18);
    const auto quote = rest.find('"');
    ASSERT_NE(quote, std::string::npos);
    const std::string tail = rest.substr(quote + 1);
    EXPECT_TRUE(tail.empty() || tail.starts_with("; filename*=UTF-8''")) << field;
    for (const char c : field) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << field;
    for (const char c : rest.substr(0, quote)) EXPECT_EQ(std::string("\\/;,%'").find(c), std::string::npos) << field;
    if (tail.empty()) continue;
    for (const char c : tail.substr(19)) EXPECT_TRUE(std::isalnum(c) || std::string("%.-_").contains(c)) << field;
  }
  EXPECT_THAT(content_disposition("inline", "\xff.png"), HasSubstr("%3F.png")) << "what says UTF-8 is UTF-8";
}

TEST(ResultFilename, TakesTheStemOfTheLastPartOfAPath) {
  EXPECT_EQ(result_filename("photo.tiff", "png"), "photo_equalized.png");
  EXPECT_EQ(result_filename("photo", "png"), "photo_equalized.png");
  EXPECT_EQ(result_filename("archive.tar.gz", "pgm"), "archive.tar_equalized.pgm");
  EXPECT_EQ(result_filename("/home/me/photo.tiff", "png"), "photo_equalized.png");
  EXPECT_EQ(result_filename("C:\\photos\\photo.tiff", "png"), "photo_equalized.png");
  EXPECT_EQ(result_filename("../../etc/passwd", "png"), "passwd_equalized.png");
  for (const char* nothing : {"", ".png", "/", "photos/", "\\"}) {
    EXPECT_EQ(result_filename(nothing, "png"), "image_equalized.png") << nothing;
  }
}

TEST(ResultFilename, CutsLongNamesBetweenCharacters) {
  EXPECT_EQ(result_filename(std::string(1'000, 'x') + ".png", "png"), std::string(200, 'x') + "_equalized.png");
  std::string umlauts = "x";
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xa4";
  const std::string name = result_filename(umlauts, "png");
  EXPECT_EQ(valid_utf8(name), name);
  EXPECT_EQ(name.size(), 199 + std::string("_equalized.png").size());
}

}  // namespace
}  // namespace histod::daemon::api
