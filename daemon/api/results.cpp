// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/results.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/core.h>

#include "daemon/log.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon::api {

namespace codec = compute::codec;
namespace json = boost::json;
using compute::Errc;

namespace {

constexpr std::size_t k_stem_bytes_max = 200;

struct Kind {
  unsigned status;
  std::string_view code;
};

Kind kind_of(Errc code) {
  switch (code) {
    case Errc::unknown_format:
      return {415, "unknown-format"};
    case Errc::unsupported_feature:
      return {415, "unsupported"};
    case Errc::truncated:
    case Errc::corrupt:
      return {422, "broken-image"};
    case Errc::pixels_over_limit:
    case Errc::dimension_over_limit:
    case Errc::pages_over_limit:
    case Errc::bytes_over_limit:
    case Errc::ratio_over_limit:
    case Errc::scans_over_limit:
    case Errc::ancillary_over_limit:
      return {413, "limit-exceeded"};
    case Errc::bad_option:
      return {400, "bad-option"};
    case Errc::sample_out_of_range:
      return {422, "sample-out-of-range"};
    case Errc::output_full:
      break;
  }
  return {500, "internal"};
}

/// Moments and quantiles of a histogram; doubles are for people to read, and nothing is computed from them.
struct Statistics {
  std::uint64_t total = 0;
  std::uint32_t min = 0, max = 0, median = 0;
  double mean = 0, stddev = 0, entropy_bits = 0;
};

Statistics statistics(const compute::Histogram& histogram) {
  Statistics out;
  out.total = histogram.total();
  if (out.total == 0) return out;
  const auto n = static_cast<double>(out.total);
  std::uint64_t below = 0;
  bool first = true;
  double squares = 0;
  for (std::uint32_t i = 0; i < histogram.bins(); ++i) {
    if (histogram[i] == 0) continue;
    if (std::exchange(first, false)) out.min = i;
    out.max = i;
    const auto count = static_cast<double>(histogram[i]);
    if (below * 2 < out.total) out.median = i;
    below += histogram[i];
    out.mean += i * (count / n);
    squares += double(i) * i * (count / n);
    out.entropy_bits -= count / n * std::log2(count / n);
  }
  out.stddev = std::sqrt(std::max(0.0, squares - out.mean * out.mean));
  return out;
}

json::array folded_counts(const compute::Histogram& histogram, std::uint32_t bins) {
  const std::uint32_t width = histogram.bins() / std::min(bins, histogram.bins());
  json::array out;
  for (std::uint32_t i = 0; i < histogram.bins(); i += width) {
    std::uint64_t sum = 0;
    for (std::uint32_t k = i; k < i + width; ++k) sum += histogram[k];
    out.emplace_back(sum);
  }
  return out;
}

/// The value at the end of each range of the folded arrays.
template <class At>
json::array sampled(std::uint32_t entries, std::uint32_t bins, At at) {
  const std::uint32_t width = entries / std::min(bins, entries);
  json::array out;
  for (std::uint32_t i = width - 1; i < entries; i += width) out.emplace_back(at(i));
  return out;
}

json::array cumulated(const compute::Histogram& histogram, std::uint32_t bins) {
  std::vector<std::uint64_t> cdf(histogram.counts().begin(), histogram.counts().end());
  for (std::size_t i = 1; i < cdf.size(); ++i) cdf[i] += cdf[i - 1];
  return sampled(histogram.bins(), bins, [&](std::uint32_t i) { return cdf[i]; });
}

json::object statistics_json(const compute::Histogram& histogram) {
  const Statistics s = statistics(histogram);
  return {{"min", s.min},       {"max", s.max},       {"mean", s.mean},
          {"stddev", s.stddev}, {"median", s.median}, {"entropy_bits", s.entropy_bits}};
}

json::object plane_json(const compute::PlaneReport& plane, const ImageOptions& options, std::uint32_t bins) {
  json::object out{{"page", plane.page},
                   {"channel", plane.channel},
                   {"levels", plane.levels},
                   {"rule", compute::name(options.equalize.rule)},
                   {"method", compute::name(options.equalize.method)},
                   {"counted", plane.counted},
                   {"masked", plane.masked},
                   {"nodata_collisions", plane.nodata_collisions},
                   {"first_bin", statistics(plane.before).min},
                   {"first_count", plane.first_count}};
  const json::object before = statistics_json(plane.before);
  out.insert(before.begin(), before.end());
  out["histogram"] = folded_counts(plane.before, bins);
  out["cdf"] = cumulated(plane.before, bins);
  out["after"] = folded_counts(plane.after, bins);
  out["after_statistics"] = statistics_json(plane.after);
  const auto entries = static_cast<std::uint32_t>(plane.lut.size());
  out["lut"] = entries == plane.before.bins() ? sampled(entries, bins, [&](std::uint32_t i) { return plane.lut[i]; })
                                              : json::array{};
  return out;
}

json::value time_json(std::int64_t ms) { return ms == 0 ? json::value(nullptr) : json::value(format_time(ms)); }

}  // namespace

Problem problem_of(const ImageFailure& failure) {
  Kind kind = kind_of(static_cast<Errc>(failure.error.code.value()));
  if (failure.busy) kind = {503, "overloaded"};
  Problem problem;
  problem.status = kind.status;
  problem.code = kind.code;
  problem.detail = failure.error.detail;
  problem.value = amount(failure.error.value);
  problem.limit = amount(failure.error.limit);
  return problem;
}

net::http::Response problem_response(const Problem& problem) {
  net::http::Response response = text_response(problem.status, k_problem_type, problem_json(problem));
  if (problem.status == 503 || problem.status == 429) response.fields.emplace_back("Retry-After", "1");
  return response;
}

net::http::Response json_response(unsigned status, const json::value& body) {
  return text_response(status, "application/json", json::serialize(body) + "\n");
}

net::http::Response text_response(unsigned status, std::string_view media_type, std::string text) {
  net::http::Response response;
  response.status = status;
  response.content_type = media_type;
  response.fields.emplace_back("Cache-Control", "no-store");
  response.body = std::move(text);
  return response;
}

std::map<std::string, double> timing_ms(const Timings& t) {
  const auto ms = [](std::uint64_t ns) { return std::round(static_cast<double>(ns) / 1e3) / 1e3; };
  return {{"receive", ms(t.receive_ns)}, {"wait", ms(t.wait_ns)},    {"decode", ms(t.decode_ns)},
          {"histogram", ms(t.count_ns)}, {"lut", ms(t.rule_ns)},     {"apply", ms(t.apply_ns)},
          {"encode", ms(t.encode_ns)},   {"total", ms(t.total_ns())}};
}

void append_server_timing(std::string& out, const Timings& t, bool encoded) {
  const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  fmt::format_to(std::back_inserter(out),
                 "receive;dur={:.3f}, wait;dur={:.3f}, decode;dur={:.3f}, histogram;dur={:.3f}, lut;dur={:.3f}, "
                 "apply;dur={:.3f}",
                 ms(t.receive_ns), ms(t.wait_ns), ms(t.decode_ns), ms(t.count_ns), ms(t.rule_ns), ms(t.apply_ns));
  if (encoded)
    fmt::format_to(std::back_inserter(out), ", encode;dur={:.3f}, total;dur={:.3f}", ms(t.encode_ns), ms(t.total_ns()));
}

std::string server_timing(const Timings& timings, bool encoded) {
  std::string out;
  append_server_timing(out, timings, encoded);
  return out;
}

json::object histogram_json(const ImageResult& result, const ImageOptions& options, std::uint32_t bins) {
  const codec::PageInfo& page = result.input.pages.front();
  json::array planes;
  for (const compute::PlaneReport& plane : result.report.planes) planes.push_back(plane_json(plane, options, bins));
  return {{"format", codec::name(result.input.format)},
          {"width", page.width},
          {"height", page.height},
          {"depth", page.format.depth_bits},
          {"channels", page.format.channels()},
          {"pages", result.input.pages.size()},
          {"lut_digest", result.lut_digest},
          {"program_version", HISTOD_VERSION},
          {"planes", std::move(planes)}};
}

std::vector<jobs::JobPlane> job_planes(const ImageResult& result, const ImageOptions& options) {
  std::vector<jobs::JobPlane> planes;
  for (const compute::PlaneReport& plane : result.report.planes)
    planes.push_back({plane.counted, plane.masked, plane.first_count, plane.levels,
                      std::string(compute::name(options.equalize.rule))});
  return planes;
}

json::object placement_json(const jobs::JobPlacement& placement) {
  const auto known = [](const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); };
  const auto ms = [](std::optional<double> value) { return value ? json::value(*value) : json::value(nullptr); };
  return {{"asked", placement.asked},
          {"chosen", known(placement.chosen)},
          {"why", known(placement.why)},
          {"local_ms", ms(placement.local_ms)},
          {"fleet_ms", ms(placement.fleet_ms)}};
}

std::string placement_field(const jobs::JobPlacement& placement) {
  std::string out = fmt::format("{}; asked={}", placement.chosen, placement.asked);
  if (placement.local_ms) out += fmt::format("; local-ms={:.1f}", *placement.local_ms);
  if (placement.fleet_ms) out += fmt::format("; fleet-ms={:.1f}", *placement.fleet_ms);
  return out + fmt::format("; why=\"{}\"", placement.why);
}

json::object job_json(const jobs::JobRecord& record, std::string_view node) {
  json::object options, timing;
  for (const auto& [name, value] : record.options) options[name] = valid_utf8(value);
  for (const auto& [step, ms] : record.timing_ms) timing[step] = ms;
  json::object input{
      {"bytes", record.input.bytes}, {"sha256", record.input.sha256}, {"filename", valid_utf8(record.input.filename)}};
  if (!record.files.source.empty()) input["file"] = record.files.source;
  if (!record.input.format.empty()) {
    input["format"] = record.input.format;
    input["width"] = record.input.width;
    input["height"] = record.input.height;
  }
  json::array planes;
  for (const jobs::JobPlane& plane : record.planes)
    planes.push_back(json::object{{"counted", plane.counted},
                                  {"masked", plane.masked},
                                  {"first_count", plane.first_count},
                                  {"levels", plane.levels},
                                  {"rule", plane.rule}});
  json::object out{{"id", record.id},
                   {"node", node},
                   {"state", jobs::state_name(record.state)},
                   {"created_at", time_json(record.created_ms)},
                   {"started_at", time_json(record.started_ms)},
                   {"finished_at", time_json(record.finished_ms)},
                   {"options", std::move(options)},
                   {"input", std::move(input)},
                   {"attempts", record.attempts},
                   {"program_version", record.program_version}};
  if (!record.dataset.empty()) {
    out["dataset"] = record.dataset;
    out["revision"] = record.revision;
  }
  if (!record.traceparent.empty()) out["trace_id"] = trace_id(record.traceparent);
  if (record.result)
    out["result"] = json::object{{"bytes", record.result->bytes},
                                 {"media_type", record.result->media_type},
                                 {"lut_digest", record.result->lut_digest},
                                 {"href", "/v1/jobs/" + record.id + "/result"}};
  if (record.placement != jobs::JobPlacement()) out["placement"] = placement_json(record.placement);
  if (!record.files.result.empty()) out["result_file"] = record.files.result;
  if (!planes.empty()) out["planes"] = std::move(planes);
  if (!timing.empty()) out["timing_ms"] = std::move(timing);
  if (record.error) out["error"] = problem_object(*record.error);
  return out;
}

std::string content_disposition(std::string_view kind, std::string_view filename) {
  std::string plain, encoded;
  for (const char c : valid_utf8(filename)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool token = std::isalnum(byte) || c == '.' || c == '-' || c == '_';
    plain.push_back(token || c == ' ' ? c : '_');
    if (token)
      encoded.push_back(c);
    else
      encoded += fmt::format("%{:02X}", byte);
  }
  if (encoded == plain) return fmt::format("{}; filename=\"{}\"", kind, plain);
  return fmt::format("{}; filename=\"{}\"; filename*=UTF-8''{}", kind, plain, encoded);
}

std::string result_filename(std::string_view original, std::string_view extension) {
  if (const auto slash = original.find_last_of("/\\"); slash != std::string_view::npos)
    original.remove_prefix(slash + 1);
  std::string_view stem = original.substr(0, original.rfind('.'));
  if (stem.empty()) stem = "image";
  if (stem.size() > k_stem_bytes_max) {
    std::size_t end = k_stem_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(stem[end]) & 0xc0) == 0x80) --end;  // not within a character
    stem = stem.substr(0, end);
  }
  return fmt::format("{}_equalized.{}", stem, extension);
}

}  // namespace histod::daemon::api
