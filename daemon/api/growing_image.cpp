// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/growing_image.hpp"

#include <utility>

#include "daemon/api/results.hpp"

namespace histod::daemon::api {

namespace {
/// Less is not worth waking the worker: where it shares its CPU with the arena, that holds up the encoding.
constexpr std::size_t k_growth_bytes = 256u << 10;
}  // namespace

void GrowingImage::send(net::http::Responder& responder, net::http::Response response, net::Lease lease) {
  lease_ = std::move(lease);
  self_ = shared_from_this();
  response.body = net::http::StreamedBody(this);
  sink_ = responder.send_streamed(std::move(response));
}

void GrowingImage::grown(std::size_t bytes) {
  if (bytes < next_bytes_) return;
  next_bytes_ = bytes + k_growth_bytes;
  if (!mark_.raise(bytes)) return;
  mailbox_.complete([self = shared_from_this()] { self->sink_->body_grew(); });
}

void GrowingImage::finish(std::size_t bytes, const Timings& timings) {
  timing_ = server_timing(timings);
  length_ = bytes;
  mark_.raise(bytes);
  sink_->body_grew();
}

void GrowingImage::fail() {
  failed_ = true;
  sink_->body_grew();
}

/// The lease stays: it may still be written to.
void GrowingImage::release() { self_.reset(); }

}  // namespace histod::daemon::api
