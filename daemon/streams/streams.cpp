// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/streams.hpp"

#include <algorithm>
#include <cassert>
#include <future>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>

#include "daemon/streams/note_events.hpp"
#include "daemon/wall_clock.hpp"

namespace histod::daemon::streams {

namespace {

using telemetry::Severity;

constexpr int k_look_ms = 100;
constexpr std::chrono::seconds k_retry{5};

std::string sentence(const net::udp::Failure& failure) {
  return fmt::format("{}: {}", failure.what, failure.code.message());
}

api::Problem gone() { return jobs::problem(503, "overloaded", "the node is stopping"); }
api::Problem unknown(const std::string& name) {
  return jobs::problem(404, "not-found", fmt::format("there is no stream {}", name));
}

api::Problem conflict_over(std::string_view member, const api::Amount& value, const std::string& text,
                           const std::string& owner) {
  api::Problem out = jobs::problem(409, "conflict", fmt::format("{} {} is that of stream {}", member, text, owner));
  out.value = value;
  return out;
}

/// Whether threads of others may run there, too; all may where they are not pinned.
bool is_shared(const Placement& placement, int cpu) {
  const auto of_worker = [cpu](const WorkerPlace& worker) { return worker.cpu < 0 || worker.cpu == cpu; };
  const auto of_arena = [cpu](const ArenaPlace& arena) {
    return arena.cpus.empty() || std::ranges::find(arena.cpus, cpu) != arena.cpus.end();
  };
  return std::ranges::any_of(placement.workers, of_worker) || std::ranges::any_of(placement.arenas, of_arena);
}

}  // namespace

api::Problem problem_of(const ConfigErrors& errors) {
  assert(!errors.empty());
  api::Problem out = jobs::problem(422, "bad-stream", "");
  for (const ConfigError& error : errors) out.detail += (out.detail.empty() ? "" : "; ") + text_of(error);
  if (!errors.front().value.empty()) out.value = errors.front().value;
  if (!errors.front().limit.empty()) out.limit = errors.front().limit;
  return out;
}

Streams::Streams(Options options, Log& log, telemetry::Sources& sources)
    : options_(std::move(options)),
      log_(log),
      sources_(sources),
      dpdk_(options_.dpdk),
      mailbox_(options_.mailbox_messages + 2 * k_streams_max),
      thread_([this] { main(); }) {}

Streams::~Streams() { stop(); }

void Streams::main() {
  ::pthread_setname_np(::pthread_self(), "histod-streams");
  while (!stopping_) {
    pollfd waiting{mailbox_.fd(), POLLIN, 0};
    ::poll(&waiting, 1, entries_.empty() ? -1 : k_look_ms);
    mailbox_.drain();
    look();
  }
  for (auto& [name, entry] : entries_) close(entry);
  mailbox_.drain();
  const std::lock_guard lock(mutex_);
  records_.clear();
}

/// The room is that of requests in hand, of which each asks once.
template <class T, class Op>
void Streams::call(jobs::Reply<T> reply, Op op) {
  std::unique_lock lock(mutex_);
  if (!stopped_) return mailbox_.complete([op = std::move(op), reply = std::move(reply)]() mutable { op(reply); });
  lock.unlock();
  reply(std::unexpected(gone()));
}

void Streams::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    mailbox_.complete([this] { stopping_ = true; });
  }
  thread_.join();
  mailbox_.drain();
}

void Streams::begin(std::vector<StreamConfig> configs) {
  std::promise<void> tried;
  auto all_tried = tried.get_future();
  mailbox_.complete([&] {
    // Those that ask for no CPU take what is left.
    std::ranges::stable_partition(configs, [](const StreamConfig& config) { return config.cpu.has_value(); });
    for (StreamConfig& config : configs) {
      const std::string name = config.name;
      Entry& entry = entries_[name];
      entry.config = std::move(config);
      if (const auto failure = open(entry)) mark_failed(entry, sentence(*failure));
      show(entry);
    }
    tried.set_value();
  });
  all_tried.get();
}

void Streams::put(StreamConfig config, jobs::Reply<bool> reply) {
  call<bool>(std::move(reply),
             [this, config = std::move(config)](jobs::Reply<bool>& to) mutable { to(put_now(std::move(config))); });
}

void Streams::change(std::string name, boost::json::object change, jobs::Reply<RecordPtr> reply) {
  call<RecordPtr>(std::move(reply), [this, name = std::move(name), change = std::move(change)](
                                        jobs::Reply<RecordPtr>& to) { change_now(name, change, std::move(to)); });
}

void Streams::remove(std::string name, jobs::Reply<void> reply) {
  call<void>(std::move(reply), [this, name = std::move(name)](jobs::Reply<void>& to) { to(remove_now(name)); });
}

std::optional<api::Problem> Streams::conflict(const StreamConfig& config) const {
  for (const auto& [name, entry] : entries_) {
    if (name == config.name) continue;
    if (config.listen.port != 0 && entry.config.listen == config.listen)
      return conflict_over("listen", config.listen.text(), config.listen.text(), name);
    if (config.cpu && entry.has_cpu(*config.cpu))
      return conflict_over("cpu", static_cast<std::uint64_t>(*config.cpu), std::to_string(*config.cpu), name);
  }
  if (entries_.size() < k_streams_max || entries_.contains(config.name)) return std::nullopt;
  return jobs::problem(409, "too-many-streams", "a node has no more streams", entries_.size() + 1, k_streams_max);
}

jobs::Outcome<bool> Streams::put_now(StreamConfig config) {
  if (auto problem = conflict(config)) return std::unexpected(std::move(*problem));
  const std::string name = config.name;
  const auto found = entries_.find(name);
  const bool created = found == entries_.end();
  Entry next;
  next.config = std::move(config);
  if (!created) close(found->second);
  if (const auto failure = open(next)) {
    if (!created) {
      Entry& before = found->second;
      if (const auto again = open(before)) mark_failed(before, sentence(*again));
      show(before);
    }
    return std::unexpected(jobs::problem(409, "stream-unavailable", sentence(*failure)));
  }
  show(next);
  entries_[name] = std::move(next);
  return created;
}

void Streams::change_now(const std::string& name, const boost::json::object& change, jobs::Reply<RecordPtr> reply) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return reply(std::unexpected(unknown(name)));
  Entry& entry = found->second;
  auto next = changed(entry.config, change);
  if (!next) return reply(std::unexpected(problem_of(next.error())));
  const auto record = entry.record;
  // Replies come on this thread, which the stream's own does not wait for.
  auto waiting = std::make_shared<jobs::Reply<RecordPtr>>(std::move(reply));
  if (entry.stream && !entry.stream->change(*next, [this, record, waiting] {
        mailbox_.complete([record, waiting] { (*waiting)(record); });
      }))
    return (*waiting)(std::unexpected(jobs::problem(503, "overloaded", "changes of the stream wait already")));
  entry.config = *next;
  auto status = record->status();
  status.config = std::move(*next);
  record->set_status(std::move(status));
  if (!entry.stream) (*waiting)(record);
}

jobs::Outcome<void> Streams::remove_now(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::unexpected(unknown(name));
  close(found->second);
  entries_.erase(found);
  const std::lock_guard lock(mutex_);
  records_.erase(name);
  return {};
}

void Streams::show(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  records_[entry.config.name] = entry.record;
}

int Streams::choose_cpu(const StreamConfig& config) const {
  if (config.cpu) return *config.cpu;
  for (const StreamPlace& place : options_.placement.streams) {
    const auto taken = [&](const auto& each) { return each.first != config.name && each.second.has_cpu(place.cpu); };
    if (std::ranges::none_of(entries_, taken)) return place.cpu;
  }
  return -1;
}

compute::Arena& Streams::arena_of(int cpu) const {
  const auto& places = options_.placement.streams;
  const auto found = std::ranges::find(places, cpu, &StreamPlace::cpu);
  return *options_.arenas[found == places.end() ? 0 : found->arena];
}

std::optional<net::udp::Failure> Streams::open(Entry& entry) {
  const StreamConfig& config = entry.config;
  entry.cpu = choose_cpu(config);
  // Larger than that of any stream before this process, too, whatever was served of it.
  epoch_ = std::max<std::uint64_t>(epoch_ + 1, static_cast<std::uint64_t>(wall_clock_ms()));
  entry.record = std::make_shared<StreamRecord>(config, epoch_);
  auto stream = Stream::start(entry.record, entry.cpu, arena_of(entry.cpu), dpdk_);
  if (!stream) return std::move(stream.error());
  entry.stream = std::move(*stream);
  const std::string local = entry.record->status().local;
  log_.info("stream opened", {{"stream", config.name}, {"listen", local}, {"cpu", entry.cpu}});
  sources_.stream("started", Severity::ok, config.name, fmt::format("stream {} listens on {}", config.name, local));
  if (entry.cpu < 0)
    fall_back({"stream shares CPUs", "all CPUs are workers' and computing threads': see --stream-cpus"});
  else if (is_shared(options_.placement, entry.cpu))
    fall_back({"stream shares CPUs",
               fmt::format("cpu {} of stream {} is workers' or computing threads', too: see --stream-cpus", entry.cpu,
                           config.name)});
  for (const std::string& absent : entry.stream->absent()) {
    const auto colon = std::min(absent.find(": "), absent.size());
    fall_back({"live video without " + absent.substr(0, colon), absent.substr(std::min(colon + 2, absent.size()))});
  }
  return std::nullopt;
}

void Streams::close(Entry& entry) {
  if (!entry.stream) return;
  entry.stream->stop();
  tell_notes(entry);
  entry.stream.reset();
  log_.info("stream closed", {{"stream", entry.config.name}});
  sources_.stream("stopped", Severity::info, entry.config.name, fmt::format("stream {} is closed", entry.config.name));
}

void Streams::mark_failed(Entry& entry, const std::string& error) {
  auto status = entry.record->status();
  const bool told = std::exchange(status.error, error) == error;
  status.since_ms = wall_clock_ms();
  entry.record->set_status(std::move(status));
  entry.retry = std::chrono::steady_clock::now() + k_retry;
  if (told) return;
  log_.error("stream failed", {{"stream", entry.config.name}, {"error", error}});
  sources_.stream("failed", Severity::error, entry.config.name,
                  fmt::format("stream {} cannot be opened: {}", entry.config.name, error));
}

void Streams::fall_back(const Fallback& fallback) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = [&](const Fallback& each) { return each.what == fallback.what; };
    if (std::ranges::any_of(fallbacks_, known)) return;
    fallbacks_.push_back(fallback);
  }
  log_.warn("fallback", {{"what", fallback.what}, {"why", fallback.why}});
  sources_.security("fallback", Severity::warning, fallback.what, fallback.what + ": " + fallback.why);
}

void Streams::look() {
  for (auto& [name, entry] : entries_) {
    if (entry.stream) tell_notes(entry);
    if (entry.stream && entry.stream->notes().lost() > 0)
      log_.once("stream-notes", LogLevel::warn, "more happens to live streams than is told: notes had no room");
    if (entry.stream || std::chrono::steady_clock::now() < entry.retry) continue;
    const std::string error = entry.record->status().error;
    if (const auto failure = open(entry)) {
      // The same failure again is no news.
      auto status = entry.record->status();
      status.error = error;
      entry.record->set_status(std::move(status));
      mark_failed(entry, sentence(*failure));
    }
    show(entry);
  }
}

/// As many as there can be at once: a stream may make them faster than they are told, and others wait.
void Streams::tell_notes(const Entry& entry) {
  for (std::size_t i = 0; i < NoteRing::k_notes; ++i) {
    const auto note = entry.stream->notes().pop();
    if (!note) return;
    tell(entry.config.name, *note);
  }
}

void Streams::tell(const std::string& name, const Note& note) {
  if (note.kind == Note::Kind::uncut)
    return fall_back(
        {"live video without UDP_SEGMENT",
         "stream " + name + ": the way out cannot cut what is sent in one piece; each datagram is sent by itself"});
  NoteText text = text_of(note, name);
  log_.write(text.level, text.message, {{"stream", name}});
  sources_.stream(text.kind, text.severity, name, text.message, std::move(text.data));
}

Streams::RecordPtr Streams::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(name);
  return found == records_.end() ? nullptr : found->second;
}

std::vector<Streams::RecordPtr> Streams::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<RecordPtr> out;
  for (const auto& [name, record] : records_) out.push_back(record);
  return out;
}

std::vector<Fallback> Streams::fallbacks() const {
  const std::lock_guard lock(mutex_);
  return fallbacks_;
}

}  // namespace histod::daemon::streams
