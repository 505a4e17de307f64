// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "daemon/api/api.hpp"
#include "daemon/api/input.hpp"
#include "daemon/api/results.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

namespace codec = compute::codec;
namespace http = net::http;

namespace {

constexpr std::uint32_t k_bins_default = 256;

/// A request whose image is in the pipeline: its lease must outlive the work.
struct Pending {
  Context context;
  ImageInput input;
  ImageOptions options;
  std::uint32_t bins = k_bins_default;
  void (*answer)(Pending& pending, ImageResult result) = nullptr;
};

std::expected<ImageOptions, Problem> with_accept(ImageOptions options, const http::RequestHead& head) {
  if (options.format) return options;
  const auto format = accepted_format(head.field("Accept"));
  if (!format) return std::unexpected(format.error());
  options.format = *format;
  return options;
}

void answer_image(Pending& pending, ImageResult result) {
  http::Response response;
  response.content_type = codec::media_type(result.format);
  response.fields = {{"Cache-Control", "no-store"},
                     {"Histod-Lut-Digest", result.lut_digest},
                     {"Histod-Version", HISTOD_VERSION},
                     {"Server-Timing", server_timing(result.timings)}};
  if (!pending.input.filename.empty())
    response.fields.emplace_back(
        "Content-Disposition",
        content_disposition("inline", result_filename(pending.input.filename, codec::extension(result.format))));
  net::Lease& lease = result.lease ? result.lease : pending.context.request.lease;
  const auto offset = static_cast<std::size_t>(result.bytes.data() - lease.data());
  response.body = http::LeasedBytes{std::move(lease), offset, result.bytes.size()};
  pending.context.send(std::move(response));
}

void answer_histogram(Pending& pending, ImageResult result) {
  http::Response response = json_response(200, histogram_json(result, pending.options, pending.bins));
  response.fields.emplace_back("Histod-Lut-Digest", result.lut_digest);
  response.fields.emplace_back("Server-Timing", server_timing(result.timings));
  pending.context.send(std::move(response));
}

void start(std::unique_ptr<Pending> pending) {
  auto input = image_input(pending->context.request);
  if (!input) return pending->context.fail(input.error());
  pending->input = std::move(*input);
  Pending& p = *pending;
  auto early_decode = std::move(p.context.early_decode);
  p.context.worker.pipeline().run(
      p.input.image, p.input.mask, p.options,
      [pending = std::move(pending)](std::expected<ImageResult, ImageFailure> result) {
        if (!result) return pending->context.fail(problem_of(result.error()));
        result->timings.receive_ns = pending->context.request.receive_ns;
        pending->answer(*pending, std::move(*result));
      },
      std::move(early_decode));
}

}  // namespace

void equalize(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  auto options = image_options(*query);
  if (options) options = with_accept(std::move(*options), context.request.head);
  if (!options) return context.fail(options.error());
  start(std::make_unique<Pending>(std::move(context), ImageInput{}, *options, 0u, answer_image));
}

void histogram(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  auto options = image_options(*query, {"bins"});
  if (!options) return context.fail(options.error());
  options->histogram_only = true;
  std::uint64_t bins = k_bins_default;
  if (const auto given = query->find("bins"); given != query->end()) {
    const auto number = number_option("bins", given->second, 2, 65536);
    if (!number) return context.fail(number.error());
    if ((*number & (*number - 1)) != 0) return context.fail(bad_option("bins takes a power of two from 2 to 65536"));
    bins = *number;
  }
  start(std::make_unique<Pending>(std::move(context), ImageInput{}, *options, static_cast<std::uint32_t>(bins),
                                  answer_histogram));
}

}  // namespace histod::daemon::api
