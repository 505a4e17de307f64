// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/express.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "daemon/api/api.hpp"
#include "daemon/api/input.hpp"
#include "daemon/api/results.hpp"

namespace histod::daemon::api {

namespace codec = compute::codec;
namespace http = net::http;
using codec::FileFormat;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t k_decided_by_bytes = 8;
/// What a worker may do itself; larger work belongs to the arena.
constexpr std::size_t k_inline_bytes = 256u << 10;
/// Less than this is not worth a hop into the arena while the body comes in.
constexpr std::size_t k_early_bytes = 1u << 20;
/// Counted or changed at once: stays in the second-level cache.
constexpr std::size_t k_piece_bytes = 256u << 10;

}  // namespace

Express::Express(ExpressLane& lane, unsigned hands) : lane_(lane), stream_(hands) {
  hands_.reserve(hands);
  for (unsigned i = 0; i < hands; ++i) hands_.emplace_back(*this, i);
}

void Express::board(bool plain, compute::Rule rule, bool ignore_nodata, std::uint64_t body_bytes) {
  plain_ = plain;
  body_bytes_ = body_bytes;
  rule_ = rule;
  ignore_nodata_ = ignore_nodata;
  decided_ = early_ = gone_ = inspected_ = has_table_ = answered_ = false;
  taken_ = available_ = 0;
  mark_.reset();
  timings_ = {};
  if (plain) stream_.begin(body_bytes);
}

void Express::received(std::span<std::byte> so_far) {
  if (data_ == nullptr) data_ = so_far.data();
  available_.store(so_far.size(), std::memory_order_release);
  if (!decided_ && so_far.size() >= k_decided_by_bytes) decide(so_far);
  if (early_decode_) return early_decode_->received(so_far);
  count_early();
}

void Express::decide(std::span<const std::byte> so_far) {
  decided_ = true;
  const auto format = codec::sniff(so_far);
  const bool plain_file =
      (format == FileFormat::pgm && lane_.plain_pgm_) || (format == FileFormat::tiff && lane_.plain_tiff_);
  early_ = lane_.apart_ && plain_ && plain_file;
  if (format == FileFormat::png && body_bytes_ >= EarlyDecode::k_file_bytes_min)
    early_decode_ = std::make_unique<EarlyDecode>(lane_.pipeline_, body_bytes_);
}

void Express::count_early() {
  const std::size_t available = available_.load(std::memory_order_relaxed);
  if (early_ && !running_ && available >= taken_ + k_early_bytes) start(Step::count, taken_, available);
}

void Express::handle(http::Request request, http::Responder responder) {
  enter();
  request_ = std::move(request);
  responder_.emplace(std::move(responder));
  if (early_decode_) return early_decode_->when_idle([this] { hand_over(); });
  if (!plain_) return hand_over();
  file_ = request_.body;
  if (data_ == nullptr) data_ = file_.data();
  if (!running_) proceed();
}

/// To the ordinary way: off the lane before that begins, for it may end at once.
void Express::hand_over() {
  http::Request request = std::move(request_);
  http::Responder responder = std::move(*responder_);
  auto early_decode = std::move(early_decode_);
  leave();
  lane_.api_.go_on(std::move(request), std::move(responder), std::move(early_decode));
}

void Express::abandoned(net::Lease lease) {
  lease_ = std::move(lease);
  gone_ = true;
  if (!running_ && !early_decode_) return leave();
  enter();
  if (!early_decode_) return;
  early_decode_->give_up();
  early_decode_->when_idle([this] { leave(); });
}

/// An upload that is still coming in does not count as an image in hand: slow ones must not shut out the others.
void Express::enter() {
  entered_ = true;
  lane_.pipeline_.enter();
}

/// Small work is done here and now. All that follows the raster goes with its last piece.
void Express::start(Step step, std::size_t from, std::size_t end) {
  step_ = step;
  step_from_ = Clock::now();
  taken_ = from;
  available_.store(end, std::memory_order_release);
  running_ = true;
  if (end - from <= k_inline_bytes) {
    hands_left_ = 2;  // work() must not report to the worker, which is here
    work(0);
    return ended();
  }
  const unsigned hands = lane_.apart_ ? 1 : static_cast<unsigned>(hands_.size());
  hands_left_ = hands;
  for (unsigned i = 0; i < hands; ++i) lane_.arena_.enqueue(hands_[i]);
}

/// In the arena, or on the worker for small work.
void Express::work(unsigned hand) {
  for (std::size_t from = taken_.load();;) {
    const std::size_t end = std::min(available_.load(std::memory_order_acquire), from + k_piece_bytes);
    if (end <= from) break;
    if (!taken_.compare_exchange_weak(from, end)) continue;
    const std::span<std::byte> piece(data_ + from, end - from);
    step_ == Step::count ? stream_.count(hand, piece) : stream_.apply(piece);
    if (step_ == Step::apply && lane_.apart_) {
      if (mark_.raise(end)) lane_.mailbox_.complete([this] { tell_sender(); });
    }
    from = taken_.load();
  }
  if (--hands_left_ == 0) lane_.mailbox_.complete([this] { ended(); });
}

void Express::tell_sender() {
  if (sink_) sink_->body_grew();
}

/// Back on the worker.
void Express::ended() {
  running_ = false;
  (step_ == Step::count ? timings_.count_ns : timings_.apply_ns) +=
      static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - step_from_).count());
  if (step_ == Step::apply) {
    if (mark_.raise(file_.size())) tell_sender();
  }
  if (gone_) return leave();
  if (answered_) return;  // release() comes when it is sent
  responder_ ? proceed() : count_early();
}

/// The whole file is in, and nothing of it is in the arena. Each step comes back to here.
void Express::proceed() {
  if (!inspected_) {
    inspected_ = true;
    const bool plain = find_raster();
    if (codec::sniff(file_) == FileFormat::pgm) lane_.plain_pgm_ = plain;
    if (codec::sniff(file_) == FileFormat::tiff) lane_.plain_tiff_ = plain;
    if (!plain) return hand_over();
    early_ = taken_ > 0;
    if (!early_) taken_ = raster_;
  }
  const std::size_t count_end = early_ ? file_.size() : raster_end_;
  if (!has_table_ && taken_ < count_end) return start(Step::count, taken_, count_end);
  if (!has_table_) make_table();
  if (lane_.apart_ || step_ == Step::apply) return answer();
  start(Step::apply, raster_, raster_end_);
}

bool Express::find_raster() {
  auto info = codec::probe(file_, lane_.pipeline_.options().limits, {}, std::move(info_));
  if (!info) return false;
  info_ = std::move(*info);
  const codec::PageInfo& page = info_.pages.front();
  if (info_.rasters.size() != 1 || page.format != compute::PixelFormat{} || page.levels != 0) return false;
  if (page.nodata && !ignore_nodata_) return false;
  raster_ = info_.rasters.front().offset;
  raster_end_ = raster_ + page.pixel_bytes();
  return true;
}

void Express::make_table() {
  const auto started = Clock::now();
  if (early_) {
    stream_.discount(file_.first(raster_));
    stream_.discount(file_.subspan(raster_end_));
  }
  stream_.make_table(rule_);
  has_table_ = true;
  timings_.rule_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - started).count());
}

void Express::answer() {
  timings_.receive_ns = request_.receive_ns;
  compose_fields();
  http::Response response;
  response.more_fields = fields_;
  response.body = http::StreamedBody(this);
  answered_ = true;
  running_ = true;  // send() may release() at once
  if (step_ == Step::count) mark_.raise(raster_);
  sink_ = responder_->send_streamed(std::move(response));
  responder_.reset();
  running_ = false;
  if (gone_) return leave();
  if (step_ == Step::count) start(Step::apply, raster_, raster_end_);
}

void Express::compose_fields() {
  fields_.clear();
  fmt::format_to(
      std::back_inserter(fields_),
      "Content-Type: {}\r\nCache-Control: no-store\r\nHistod-Lut-Digest: sha-256=", codec::media_type(info_.format));
  jobs::append_hex(fields_, jobs::sha256(std::as_bytes(stream_.table())));
  fields_ += "\r\nHistod-Version: " HISTOD_VERSION "\r\nServer-Timing: ";
  append_server_timing(fields_, timings_);
  fields_ += "\r\n";
}

void Express::release() {
  gone_ = true;
  if (!running_) leave();
}

void Express::leave() {
  if (answered_) lane_.pipeline_.count_image(timings_, raster_end_ - raster_);
  request_ = {};
  responder_.reset();
  sink_.reset();
  early_decode_.reset();
  lease_.reset();
  data_ = nullptr;
  file_ = {};
  lane_.free_.push_back(this);
  if (std::exchange(entered_, false)) lane_.pipeline_.leave();
}

ExpressLane::ExpressLane(Api& api, Pipeline& pipeline, compute::Arena& arena, Mailbox& mailbox, bool apart)
    : api_(api), pipeline_(pipeline), arena_(arena), mailbox_(mailbox), apart_(apart) {
  all_.reserve(k_images_max);
  free_.reserve(k_images_max);
}

const ExpressLane::Ticket& ExpressLane::ticket_for(const http::RequestHead& head) {
  const std::string_view accept = head.field("Accept");
  if (ticket_.known && ticket_.query == head.query && ticket_.accept == accept) return ticket_;
  ticket_.known = true;
  ticket_.query = head.query;
  ticket_.accept = accept;
  ticket_.valid = ticket_.plain = false;
  const auto query = parse_query(head.query);
  const auto options = query ? image_options(*query, {"placement"}) : std::unexpected(query.error());
  const auto format = accepted_format(accept);
  ticket_.valid = options && format;
  if (!ticket_.valid || *format || options->format || options->nodata) return ticket_;
  const compute::EqualizeOptions& how = options->equalize;
  const auto placement = query->find("placement");
  const bool here = placement == query->end() || placement->second == "auto" || placement->second == "local";
  ticket_.plain = here && how.method == compute::Method::global && how.range == compute::RangeMode::full;
  ticket_.rule = how.rule;
  ticket_.ignore_nodata = options->nodata_none;
  return ticket_;
}

http::BodyWatcher* ExpressLane::board(const http::RequestHead& head) {
  if (head.chunked || head.content_length.value_or(0) == 0 || is_multipart(head.field("Content-Type"))) return nullptr;
  const Ticket& ticket = ticket_for(head);
  if (!ticket.valid) return nullptr;
  if (free_.empty()) {
    if (all_.size() == k_images_max) return nullptr;
    free_.push_back(all_.emplace_back(std::make_unique<Express>(*this, arena_.threads())).get());
  }
  Express* const express = free_.back();
  free_.pop_back();
  express->board(ticket.plain, ticket.rule, ticket.ignore_nodata, *head.content_length);
  return express;
}

}  // namespace histod::daemon::api
