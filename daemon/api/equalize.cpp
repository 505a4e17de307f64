// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "daemon/api/api.hpp"
#include "daemon/api/growing_image.hpp"
#include "daemon/api/input.hpp"
#include "daemon/api/results.hpp"
#include "daemon/spread.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

namespace codec = compute::codec;
namespace http = net::http;

namespace {

constexpr std::uint32_t k_bins_default = 256;

/// A request whose image is in the pipeline: its lease must outlive the work.
struct Pending final : Pipeline::Listener {
  Pending(Context context_, const ImageOptions& options_) : context(std::move(context_)), options(options_) {}

  void begun(const ImageResult& so_far, net::Lease lease) override;
  void grown(std::size_t bytes) override { growing->grown(bytes); }
  void done(std::expected<ImageResult, ImageFailure> result);

  Context context;
  ImageInput input = {};
  ImageOptions options;
  std::shared_ptr<FleetSpread> spread = {};  ///< of `options`; or null
  std::uint32_t bins = k_bins_default;       ///< of a histogram
  std::shared_ptr<GrowingImage> growing = std::make_shared<GrowingImage>(context.worker.mailbox());
};

std::expected<ImageOptions, Problem> with_accept(ImageOptions options, const http::RequestHead& head) {
  if (options.format) return options;
  const auto format = accepted_format(head.field("Accept"));
  if (!format) return std::unexpected(format.error());
  options.format = *format;
  return options;
}

/// All of the answer but its body.
http::Response image_response(const Pending& pending, const ImageResult& result, std::string timing) {
  http::Response response;
  response.content_type = codec::media_type(result.format);
  response.fields = {{"Cache-Control", "no-store"},
                     {"Histod-Lut-Digest", result.lut_digest},
                     {"Histod-Version", HISTOD_VERSION},
                     {"Server-Timing", std::move(timing)}};
  if (pending.spread) response.fields.emplace_back("Histod-Placement", placement_field(pending.spread->placement()));
  if (!pending.input.filename.empty())
    response.fields.emplace_back(
        "Content-Disposition",
        content_disposition("inline", result_filename(pending.input.filename, codec::extension(result.format))));
  return response;
}

void answer_image(Pending& pending, ImageResult result) {
  http::Response response = image_response(pending, result, server_timing(result.timings));
  net::Lease& lease = result.lease ? result.lease : pending.context.request.lease;
  const auto offset = static_cast<std::size_t>(result.bytes.data() - lease.data());
  response.body = http::LeasedBytes{std::move(lease), offset, result.bytes.size()};
  pending.context.send(std::move(response));
}

void answer_histogram(Pending& pending, const ImageResult& result) {
  http::Response response = json_response(200, histogram_json(result, pending.options, pending.bins));
  response.fields.emplace_back("Histod-Lut-Digest", result.lut_digest);
  response.fields.emplace_back("Server-Timing", server_timing(result.timings));
  pending.context.send(std::move(response));
}

void Pending::begun(const ImageResult& so_far, net::Lease lease) {
  Timings timings = so_far.timings;
  timings.receive_ns = context.request.receive_ns;
  http::Response response = image_response(*this, so_far, server_timing(timings, false));
  growing->send(context.responder, std::move(response), std::move(lease));
}

void Pending::done(std::expected<ImageResult, ImageFailure> result) {
  if (result && spread) spread->learn(*result);
  if (growing->sending()) {
    if (result) return growing->finish(result->bytes.size(), result->timings);
    context.services.log.error("a result that was being sent broke off",
                               {{"error", result.error().error.detail}, trace_field(context.traceparent)});
    return growing->fail();
  }
  if (!result) return context.fail(problem_of(result.error()));
  options.histogram_only ? answer_histogram(*this, *result) : answer_image(*this, std::move(*result));
}

void start(std::unique_ptr<Pending> pending) {
  auto input = image_input(pending->context.request);
  if (!input) return pending->context.fail(input.error());
  pending->input = std::move(*input);
  Pending& p = *pending;
  auto early_decode = std::move(p.context.early_decode);
  Pipeline::Listener* const listener = p.options.makes_image() ? &p : nullptr;
  p.context.worker.pipeline().run(
      p.input.image, p.input.mask, p.options,
      [pending = std::move(pending)](std::expected<ImageResult, ImageFailure> result) {
        if (result) result->timings.receive_ns = pending->context.request.receive_ns;
        pending->done(std::move(result));
      },
      std::move(early_decode), listener);
}

}  // namespace

void equalize(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  auto options = image_options(*query, {"placement"});
  if (options) options = with_accept(std::move(*options), context.request.head);
  if (!options) return context.fail(options.error());
  const auto placement = placement_option(*query);
  if (!placement) return context.fail(placement.error());
  if (const auto refused = refuse_placement(context.services, *placement, options->equalize))
    return context.fail(*refused);
  auto spread = make_spread(context.services, context.worker, *placement, context.traceparent);
  options->spread = spread;
  auto pending = std::make_unique<Pending>(std::move(context), *options);
  pending->spread = std::move(spread);
  start(std::move(pending));
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
  auto pending = std::make_unique<Pending>(std::move(context), *options);
  pending->bins = static_cast<std::uint32_t>(bins);
  start(std::move(pending));
}

}  // namespace histod::daemon::api
