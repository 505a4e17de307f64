// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

#include "daemon/telemetry/normalizer.hpp"
#include "daemon/wall_clock.hpp"
#include "tools/histoctl/event_sink.hpp"
#include "tools/histoctl/events.hpp"
#include "tools/histoctl/line_source.hpp"

namespace histod::ctl {
namespace {

using Clock = LineSource::Clock;
constexpr std::chrono::milliseconds k_flush_after{500};

/// A tool's lines that are JSON name its run: the first one has a time, or a version of the objects. Text has none.
/// Ansible's lines have a name themselves.
std::string default_rollout(std::string_view tool, std::string_view first_line) {
  if (tool == "ansible") return {};
  const std::string what = first_line.starts_with('{') && first_line.size() > 1
                               ? std::string(first_line)
                               : fmt::format("{} {}", daemon::wall_clock_ms(), ::getpid());
  return fmt::format("{}-{}", tool, short_digest(what).substr(0, 12));
}

class Sending {
 public:
  Sending(std::string tool, std::string rollout, EventSink& sink)
      : tool_(std::move(tool)), rollout_(std::move(rollout)), sink_(sink) {}

  Result<void> run(LineSource& source) {
    std::string line;
    for (;;) {
      const auto got = source.next(line, flush_at_);
      if (!got) return std::unexpected(got.error());
      if (*got == LineSource::Got::end) break;
      if (*got == LineSource::Got::line) take(line);
      if (flush_at_ && Clock::now() >= *flush_at_) sink_.flush();
      if (!sink_.holds_some()) flush_at_.reset();
    }
    if (normalizer_) put(normalizer_->end());
    return {};
  }

 private:
  void take(const std::string& line) {
    if (!normalizer_) {
      if (line.empty()) return;
      if (rollout_.empty()) rollout_ = default_rollout(tool_, line);
      normalizer_ = daemon::telemetry::make_normalizer(tool_, {.rolloutid = rollout_});
    }
    put(normalizer_->feed(line));
  }

  void put(std::vector<daemon::telemetry::Event> events) {
    for (auto& event : events) sink_.put(std::move(event));
    if (!flush_at_ && sink_.holds_some()) flush_at_ = Clock::now() + k_flush_after;
  }

  const std::string tool_;
  std::string rollout_;
  EventSink& sink_;
  std::unique_ptr<daemon::telemetry::Normalizer> normalizer_;
  std::optional<Clock::time_point> flush_at_;
};

}  // namespace

Result<Exit> send_events(const Arguments& arguments, EventSink& sink) {
  if (arguments.operands.size() != 1)
    return fail(Exit::usage, "events send: takes no operand; name a file with --file");
  if (!arguments.has("source")) return fail(Exit::usage, "events send: --source says which tool's lines they are");
  // Ctrl-C is for the tool before the pipe: what it says when it stops is sent, too. The pipe then ends.
  if (!arguments.has("file") && ::isatty(STDIN_FILENO) != 1) ::signal(SIGINT, SIG_IGN);
  LineSource source(daemon::telemetry::k_line_bytes_max);
  if (const auto opened = source.open(arguments.get("file")); !opened) return std::unexpected(opened.error());
  Sending sending(arguments.get("source"), arguments.get("rollout"), sink);
  if (const auto sent = sending.run(source); !sent) return std::unexpected(sent.error());
  return sink.finish();
}

}  // namespace histod::ctl
