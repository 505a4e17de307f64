// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "daemon/wall_clock.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/event_sink.hpp"
#include "tools/histoctl/events.hpp"
#include "tools/histoctl/interrupt.hpp"
#include "tools/histoctl/line_source.hpp"

namespace histod::ctl {
namespace {

using daemon::telemetry::Event;
using std::chrono::milliseconds;

constexpr double k_gap_default_s = 5;

double real_number(const Arguments& arguments, std::string_view name, double otherwise) {
  const std::string text = arguments.get(name);
  std::from_chars(text.data(), text.data() + text.size(), otherwise);
  return otherwise;
}

/// Milliseconds since 1970 of a time in UTC; others are not written by us. None where it is no time.
std::optional<std::int64_t> time_ms(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%lf", &year, &month, &day, &hour, &minute, &second) != 6) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || !(second >= 0 && second < 61)) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60'000LL + static_cast<std::int64_t>(second * 1'000);
}

Result<Event> read_recorded(const std::string& line, std::uint64_t number) {
  boost::system::error_code error;
  boost::json::parse_options how;
  how.max_depth = daemon::telemetry::k_json_depth_max;
  const boost::json::value value = boost::json::parse(line, error, {}, how);
  if (error) return fail(Exit::some_failed, fmt::format("line {}: not JSON", number));
  auto event = daemon::telemetry::read_event(value);
  if (!event) return fail(Exit::some_failed, fmt::format("line {}: {}", number, one_line(event.error())));
  return std::move(*event);
}

class Replay {
 public:
  Replay(const Arguments& arguments, const Settings& settings, EventSink& sink)
      : client_(settings),
        sink_(sink),
        speed_(real_number(arguments, "speed", 1)),
        gap_max_ms_(real_number(arguments, "gap", k_gap_default_s) * 1'000),
        run_(arguments.get("rollout", fmt::format("replay-{}", daemon::wall_clock_ms()))) {}

  Result<void> run(LineSource& source) {
    std::string line;
    for (std::uint64_t number = 1;; ++number) {
      const auto got = source.next(line, std::nullopt);
      if (!got) return std::unexpected(got.error());
      if (*got == LineSource::Got::end) return {};
      if (line.empty()) continue;
      auto event = read_recorded(line, number);
      if (!event) return std::unexpected(event.error());
      if (const auto waited = wait_for(*event); !waited) return waited;
      tell_again(std::move(*event), number);
    }
  }

 private:
  /// As long as the recording took between the event before and this one, sped up.
  Result<void> wait_for(const Event& event) {
    const auto at = time_ms(event.time);
    const double gap_ms = at && before_ms_ ? std::max<double>(0, static_cast<double>(*at - *before_ms_)) / speed_ : 0;
    if (at) before_ms_ = std::max(*at, before_ms_.value_or(*at));
    const milliseconds wait(static_cast<std::int64_t>(std::min(gap_ms, gap_max_ms_)));
    if (wait.count() == 0) return {};
    sink_.flush();
    client_.after(wait, [] {});
    if (!client_.run()) return fail(Exit::interrupted, "interrupted");
    return {};
  }

  void tell_again(Event event, std::uint64_t number) {
    event.id = short_digest(fmt::format("{}\n{}\n{}", run_, number, event.id));
    event.rolloutid = run_;
    event.replay = true;
    event.extensions.erase("sequence");  // of the daemon that it was recorded from
    if (!event.time.empty() && event.extensions.size() < daemon::telemetry::k_extensions_max) {
      event.extensions["recordedtime"] = event.time;
    }
    event.time.clear();
    sink_.put(std::move(event));
  }

  Client client_;
  EventSink& sink_;
  const double speed_;
  const double gap_max_ms_;
  const std::string run_;
  std::optional<std::int64_t> before_ms_;
};

}  // namespace

Result<Exit> replay_events(const Arguments& arguments, const Settings& settings, EventSink& sink) {
  if (arguments.operands.size() != 2) return fail(Exit::usage, "events replay: name one file of recorded events");
  LineSource source(2 * daemon::telemetry::k_event_bytes_max);
  if (const auto opened = source.open(arguments.operands[1]); !opened) return std::unexpected(opened.error());
  Replay replay(arguments, settings, sink);
  if (const auto done = replay.run(source); !done) {
    sink.flush();
    return std::unexpected(done.error());
  }
  return sink.finish();
}

}  // namespace histod::ctl
