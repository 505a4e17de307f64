// SPDX-License-Identifier: Apache-2.0
// The rows of one page on several nodes: counted, then mapped by the table of all.
#include <algorithm>
#include <cassert>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "daemon/elapsed.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/services.hpp"
#include "daemon/spread.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"
#include "net/copy.hpp"

namespace histod::daemon {

namespace http = net::http;
using Clock = std::chrono::steady_clock;
using Redone = SpreadStats::Redone;

namespace {

constexpr std::chrono::milliseconds k_connect{1'000};
/// Other nodes that are asked for one part in one phase: so an image does not wait for all of them, one after the
/// other.
constexpr unsigned k_tries_max = 2;

/// What a node says that the work itself took; nothing that it says makes it less than none.
std::uint64_t told_work_ns(const http::PeerAnswer& answer) {
  const std::string_view timing = answer.field("Server-Timing");
  const auto at = timing.find("dur=");
  double ms = 0;
  if (at != std::string_view::npos) std::from_chars(timing.data() + at + 4, timing.data() + timing.size(), ms);
  return ms > 0 && ms < 1e9 ? static_cast<std::uint64_t>(ms * 1e6) : 0;
}

/// Some rows, which lie in the image. One node has them at a time.
struct Part {
  PartHead head;
  std::span<std::byte> rows;
  std::string node = {};  ///< empty: this one
  unsigned failures = 0;  ///< of nodes, in this phase
  compute::Tally tally = {};
};

/// An answer on its way through the arena.
struct Heard {
  http::PeerAnswer answer;
  std::uint64_t ns = 0;  ///< from the request's first byte on
  std::uint64_t copied_bytes = 0;
  std::string wrong = {};  ///< a clause; empty: it is in its place
};

/// One image. Held by whatever it waits for; on the worker's thread, but for what the arena does to one part.
class Run final : public std::enable_shared_from_this<Run> {
 public:
  Run(Services& services, Worker& worker, std::vector<std::string> nodes, std::chrono::milliseconds deadline,
      const compute::EqualizePage& page, const compute::EqualizeOptions& options, std::string_view traceparent,
      Spread::Done done)
      : services_(services),
        worker_(worker),
        nodes_(std::move(nodes)),
        deadline_(deadline),
        page_(page),
        options_(options),
        traceparent_(traceparent.empty() ? next_traceparent({}) : traceparent),
        done_(std::move(done)) {
    options_.pages = compute::PagesMode::each;
  }

  void begin() {
    assert(page_.image.stride_bytes == page_.image.row_bytes());
    ++services_.spread.images;
    cut();
    start_all();
  }

 private:
  enum class Phase : std::uint8_t { count, apply };

  void cut();
  void start_all();
  void start(std::size_t index);
  /// Runs work(*this) in the arena, then next(*this, what it said) here.
  template <class Work, class Next>
  void in_arena(Work work, Next next);
  std::optional<compute::Error> work(std::size_t index);
  void send_rows(std::size_t index);
  void send_rows_and_tables(std::size_t index);
  void ask(std::size_t index, std::span<const std::byte> body, net::Lease lease);
  void hear(std::size_t index, Clock::time_point asked, std::expected<http::PeerAnswer, http::PeerError> answer);
  void check(std::size_t index, Heard& heard);
  void taken(std::size_t index, const Heard& heard);
  void again(std::size_t index, Redone reason, std::string_view why);
  void part_ended(std::optional<compute::Error> error);
  std::optional<compute::Error> make_tables();
  void alone();
  void finish();
  void end(compute::Result<compute::EqualizeReport> outcome);

  Services& services_;
  Worker& worker_;
  const std::vector<std::string> nodes_;
  const std::chrono::milliseconds deadline_;
  compute::EqualizePage page_;
  compute::EqualizeOptions options_;
  const std::string traceparent_;
  Spread::Done done_;
  std::set<std::string> failed_;  ///< nodes that are not asked again for this image
  std::vector<Part> parts_;       ///< the first is this node's own
  Phase phase_ = Phase::count;
  std::size_t left_ = 0;  ///< parts that are not done in this phase
  std::optional<compute::Error> error_;
  Clock::time_point phase_from_;
  std::uint64_t count_ns_ = 0, rule_ns_ = 0;
  compute::Tally total_;
  std::vector<compute::KindTables> tables_;
  std::string tables_message_;
  compute::EqualizeReport report_;
};

void Run::cut() {
  const std::uint32_t height = page_.image.height;
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(nodes_.size() + 1, height));
  std::uint32_t first = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t rows = height / count + (i < height % count ? 1 : 0);
    PartHead head{page_.image.width, rows, page_.image.format, page_.levels, page_.nodata, options_};
    parts_.push_back({head, {page_.image.row(first), head.bytes()}, i == 0 ? std::string() : nodes_[i - 1]});
    first += rows;
  }
}

template <class Work, class Next>
void Run::in_arena(Work work, Next next) {
  worker_.arena().enqueue([run = shared_from_this(), work = std::move(work), next = std::move(next)]() mutable {
    auto outcome = work(*run);
    Mailbox& home = run->worker_.mailbox();
    // Nothing of the run is left behind on this thread: its leases belong to the worker's.
    home.complete([run = std::move(run), next = std::move(next), outcome = std::move(outcome)]() mutable {
      next(*run, std::move(outcome));
    });
  });
}

void Run::start_all() {
  phase_from_ = Clock::now();
  left_ = parts_.size();
  for (Part& part : parts_) part.failures = 0;
  // Those that go furthest first.
  for (std::size_t i = parts_.size(); i-- > 0;) start(i);
}

void Run::start(std::size_t index) {
  if (!parts_[index].node.empty()) return phase_ == Phase::count ? send_rows(index) : send_rows_and_tables(index);
  in_arena([index](Run& run) { return run.work(index); },
           [](Run& run, std::optional<compute::Error> error) { run.part_ended(std::move(error)); });
}

std::optional<compute::Error> Run::work(std::size_t index) {
  Part& part = parts_[index];
  compute::EqualizePage page = part.head.page(part.rows.data());
  if (phase_ == Phase::count) {
    auto tally = compute::tally_of({&page, 1}, options_, worker_.arena());
    if (!tally) return std::move(tally.error());
    part.tally = std::move(*tally);
    return std::nullopt;
  }
  auto report = compute::apply_tables({&page, 1}, tables_, options_, worker_.arena());
  if (!report) return std::move(report.error());
  if (index == 0) report_ = std::move(*report);
  return std::nullopt;
}

void Run::send_rows(std::size_t index) { ask(index, parts_[index].rows, {}); }

void Run::send_rows_and_tables(std::size_t index) {
  const std::size_t bytes = parts_[index].rows.size() + tables_message_.size();
  net::Lease lease = worker_.pool().lease(bytes);
  if (!lease) return again(index, Redone::memory, "no memory is free here to send rows from");
  const std::span<std::byte> body = lease.bytes().first(bytes);
  in_arena(
      [index, body](Run& run) {
        net::Counter moved;
        const std::span<const std::byte> rows = run.parts_[index].rows;
        const auto tables = std::as_bytes(std::span(run.tables_message_));
        net::move_bytes(body.data(), rows.data(), rows.size(), moved);
        net::move_bytes(body.data() + rows.size(), tables.data(), tables.size(), moved);
        return moved.get();
      },
      [index, body, lease = std::move(lease)](Run& run, std::uint64_t moved) mutable {
        run.worker_.copied_bytes().add(moved);
        run.ask(index, body, std::move(lease));
      });
}

void Run::ask(std::size_t index, std::span<const std::byte> body, net::Lease lease) {
  const Part& part = parts_[index];
  const bool counts = phase_ == Phase::count;
  http::PeerRequest request;
  request.method = "POST";
  request.target = std::string(counts ? k_part_count_path : k_part_apply_path) + "?" + part_query(part.head);
  request.fields = {{std::string(k_peer_version_field), peer_version()}};
  request.body = body;
  request.lease = std::move(lease);
  request.response_bytes_max = counts ? k_part_tally_bytes_max : part.rows.size();
  request.idempotent = true;
  request.deadlines = {std::min(k_connect, deadline_), deadline_, deadline_};
  if (const auto addressed = services_.peers->address(request, part.node, traceparent_); !addressed)
    return again(index, Redone::silent, addressed.error());
  worker_.client().request(std::move(request),
                           [run = shared_from_this(), index, asked = Clock::now()](auto answer) mutable {
                             run->hear(index, asked, std::move(answer));
                           });
}

void Run::hear(std::size_t index, Clock::time_point asked, std::expected<http::PeerAnswer, http::PeerError> answer) {
  if (!answer) return again(index, Redone::silent, answer.error().text);
  if (!understands_peer(answer->field(k_peer_version_field)))
    return again(index, Redone::refused, "its answer is of another version");
  if (answer->status != 200) return again(index, Redone::refused, "it answers with " + std::to_string(answer->status));
  const std::uint64_t ns = elapsed_ns(asked);
  in_arena(
      [index, heard = Heard{std::move(*answer), ns}](Run& run) mutable {
        run.check(index, heard);
        return std::move(heard);
      },
      [index](Run& run, const Heard& heard) { run.taken(index, heard); });
}

/// The rows are put where they belong only when they are known to be what the node has sent.
void Run::check(std::size_t index, Heard& heard) {
  Part& part = parts_[index];
  const std::span<const std::byte> body = heard.answer.body;
  if (phase_ == Phase::apply && body.size() != part.rows.size()) {
    heard.wrong = "its rows have another length";
  } else if (heard.answer.field(k_part_digest_field) != part_digest(body)) {
    heard.wrong = "its answer has another digest than it says";
  } else if (phase_ == Phase::count) {
    auto tally = parse_part_tally(body, part.head);
    if (tally)
      part.tally = std::move(*tally);
    else
      heard.wrong = "its counts are wrong: " + tally.error();
  } else {
    net::Counter moved;
    net::move_bytes(part.rows.data(), body.data(), body.size(), moved);
    heard.copied_bytes = moved.get();
  }
}

void Run::taken(std::size_t index, const Heard& heard) {
  worker_.copied_bytes().add(heard.copied_bytes);
  if (!heard.wrong.empty()) return again(index, Redone::wrong, heard.wrong);
  const Part& part = parts_[index];
  const std::uint64_t sent = part.rows.size() + (phase_ == Phase::apply ? tables_message_.size() : 0);
  ++services_.spread.sent;
  services_.spread.sent_bytes += sent + heard.answer.body.size();
  const std::uint64_t work_ns = std::min(told_work_ns(heard.answer), heard.ns);
  services_.speeds.carried(part.node, sent + heard.answer.body.size(), heard.ns - work_ns);
  part_ended(std::nullopt);
}

void Run::again(std::size_t index, Redone reason, std::string_view why) {
  Part& part = parts_[index];
  ++services_.spread.redone[static_cast<std::size_t>(reason)];
  if (reason == Redone::memory) {
    part.node.clear();
  } else {
    services_.log.once("part-" + part.node, LogLevel::warn, "a node does not do its part of an image; another one does",
                       {{"node", part.node}, {"why", why}, trace_field(traceparent_)});
    failed_.insert(part.node);
    const auto next = std::ranges::find_if(nodes_, [this](const auto& node) { return !failed_.contains(node); });
    part.node = next == nodes_.end() || ++part.failures == k_tries_max ? std::string() : *next;
  }
  start(index);
}

void Run::part_ended(std::optional<compute::Error> error) {
  if (error && !error_) error_ = std::move(error);
  if (--left_ > 0) return;
  if (phase_ == Phase::apply) return error_ ? end(std::unexpected(std::move(*error_))) : finish();
  if (error_) return alone();
  count_ns_ = elapsed_ns(phase_from_);
  phase_from_ = Clock::now();
  in_arena([](Run& run) { return run.make_tables(); },
           [](Run& run, const std::optional<compute::Error>& failed) {
             if (failed) return run.alone();
             run.rule_ns_ = elapsed_ns(run.phase_from_);
             run.phase_ = Phase::apply;
             run.start_all();
           });
}

std::optional<compute::Error> Run::make_tables() {
  for (const Part& part : parts_)
    if (auto merged = total_.merge(part.tally); !merged) return std::move(merged.error());
  auto tables = compute::make_tables(options_.rule, total_);
  if (!tables) return std::move(tables.error());
  tables_ = std::move(*tables);
  tables_message_ = tables_message(tables_);
  return std::nullopt;
}

/// What is wrong with one part is wrong with the image: it is told as if nobody else had been asked.
void Run::alone() {
  in_arena([](Run& run) { return compute::equalize({&run.page_, 1}, run.options_, run.worker_.arena()); },
           [](Run& run, compute::Result<compute::EqualizeReport> report) { run.end(std::move(report)); });
}

void Run::finish() {
  const compute::TallyEntry& all = total_.entries().front();
  for (std::size_t p = 0; p < report_.planes.size(); ++p) {
    compute::PlaneReport& plane = report_.planes[p];
    plane.before = all.planes[p];
    plane.counted = all.counted;
    plane.masked = all.masked;
    const auto counts = std::as_const(plane.before).counts();
    const auto first = std::ranges::find_if(counts, [](std::uint64_t count) { return count != 0; });
    plane.first_count = first == counts.end() ? 0 : *first;
  }
  report_.count_ns = count_ns_;
  report_.rule_ns = rule_ns_;
  report_.apply_ns = elapsed_ns(phase_from_);
  end(std::move(report_));
}

void Run::end(compute::Result<compute::EqualizeReport> outcome) {
  Spread::Done done = std::move(done_);
  done(std::move(outcome));
}

}  // namespace

void spread_rows(Services& services, Worker& worker, std::vector<std::string> nodes, std::chrono::milliseconds deadline,
                 const compute::EqualizePage& page, const compute::EqualizeOptions& options,
                 std::string_view traceparent, Spread::Done done) {
  std::make_shared<Run>(services, worker, std::move(nodes), deadline, page, options, traceparent, std::move(done))
      ->begin();
}

}  // namespace histod::daemon
