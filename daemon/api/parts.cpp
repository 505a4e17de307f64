// SPDX-License-Identifier: Apache-2.0
// Parts of images that another node spreads over the fleet. Nothing is kept between two of its requests.
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "daemon/api/api.hpp"
#include "daemon/api/peer.hpp"
#include "daemon/api/results.hpp"
#include "daemon/part_message.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/worker.hpp"
#include "net/copy.hpp"

namespace histod::daemon::api {

namespace http = net::http;
using Clock = std::chrono::steady_clock;

namespace {

/// One part. Its rows are counted, or mapped, where the request has brought them.
struct PartWork {
  PartWork(Context context_, PartHead head_) : context(std::move(context_)), head(std::move(head_)) {}

  void count();
  void apply();
  void end();

  Context context;
  PartHead head;
  std::optional<Problem> problem;
  std::vector<std::byte> tally;
  std::span<std::byte> rows;
  std::string digest;
  std::uint64_t copied_bytes = 0;
  std::uint64_t work_ns = 0;

 private:
  /// At an even address, where 16-bit samples must lie.
  void place_rows();
};

void PartWork::place_rows() {
  rows = context.request.body.first(head.bytes());
  if (head.format.depth_bits == 8 || reinterpret_cast<std::uintptr_t>(rows.data()) % 2 == 0) return;
  // A lease begins at an even address, so before the body lies its request's header section, which has been read.
  net::Counter moved;
  net::move_bytes(rows.data() - 1, rows.data(), rows.size(), moved);
  copied_bytes += moved.get();
  rows = {rows.data() - 1, rows.size()};
}

void PartWork::count() {
  place_rows();
  const compute::EqualizePage page = head.page(rows.data());
  const auto counted = compute::tally_of({&page, 1}, head.options, context.worker.arena());
  if (!counted) {
    problem = problem_of({counted.error(), false});
    return;
  }
  tally = counted->to_bytes();
  digest = part_digest(tally);
}

void PartWork::apply() {
  // What lies behind the rows first: placing them may move them.
  const auto tables = parse_tables_message(context.request.body.subspan(head.bytes()));
  if (!tables) {
    problem = make_problem(422, "bad-lut", tables.error());
    return;
  }
  place_rows();
  compute::EqualizePage page = head.page(rows.data());
  const auto applied = compute::apply_tables({&page, 1}, *tables, head.options, context.worker.arena());
  if (!applied) problem = problem_of({applied.error(), false});
  digest = part_digest(rows);
}

void PartWork::end() {
  context.worker.copied_bytes().add(copied_bytes);
  if (problem) return peer_refuse(std::move(context), *problem);
  SpreadStats& stats = context.services.spread;
  ++stats.received;
  stats.received_bytes += rows.size();
  http::Response response;
  response.content_type = "application/octet-stream";
  response.fields = {{std::string(k_part_digest_field), std::move(digest)},
                     {"Server-Timing", fmt::format("part;dur={:.3f}", static_cast<double>(work_ns) / 1e6)}};
  if (!tally.empty()) {
    response.body = std::string(reinterpret_cast<const char*>(tally.data()), tally.size());
  } else {
    net::Lease& lease = context.request.lease;
    const auto offset = static_cast<std::size_t>(rows.data() - lease.data());
    response.body = http::LeasedBytes{std::move(lease), offset, rows.size()};
  }
  peer_answer(std::move(context), std::move(response));
}

void in_arena(Context context, void (PartWork::*work)(), bool with_tables) {
  if (!peer_understands(context)) return;
  auto head = parse_part_query(context.request.head.query);
  if (!head) return peer_refuse(std::move(context), head.error());
  const std::uint64_t bytes = context.request.body.size();
  if (with_tables ? bytes <= head->bytes() : bytes != head->bytes())
    return peer_refuse(
        std::move(context),
        make_problem(400, "bad-request", "the body is not as long as its rows, in bytes", bytes, head->bytes()));
  Worker& worker = context.worker;
  if (const Pipeline& pipeline = worker.pipeline(); pipeline.in_hand() >= pipeline.options().requests_max)
    return peer_refuse(std::move(context), make_problem(503, "overloaded", "images are in hand on this worker",
                                                        pipeline.in_hand(), pipeline.options().requests_max));
  worker.pipeline().enter();
  auto part = std::make_unique<PartWork>(std::move(context), std::move(*head));
  worker.arena().enqueue([part = std::move(part), work]() mutable {
    const auto began = Clock::now();
    (part.get()->*work)();
    part->work_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - began).count());
    Mailbox& home = part->context.worker.mailbox();
    home.complete([part = std::move(part)]() mutable {
      part->context.worker.pipeline().leave();
      part->end();
    });
  });
}

}  // namespace

void peer_part_count(Context context) { in_arena(std::move(context), &PartWork::count, false); }

void peer_part_apply(Context context) { in_arena(std::move(context), &PartWork::apply, true); }

}  // namespace histod::daemon::api
