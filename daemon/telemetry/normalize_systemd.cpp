// SPDX-License-Identifier: Apache-2.0
// The state of systemd's units: `journalctl -o json` (the messages of the manager about units, and the units' own), or
// the blocks of NAME=VALUE that `systemctl show -p Id,ActiveState,SubState,Result UNIT...` prints, told on change.
#include <array>
#include <charconv>
#include <chrono>
#include <map>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct UnitMessage {
  std::string_view id;
  std::string_view verb;
  Severity severity;
  std::string_view status;
};
/// MESSAGE_ID of systemd's catalogue.
constexpr std::array<UnitMessage, 9> k_unit_messages{{
    {"7d4958e842da4a758f6c1cdc7b36dcc5", "unit_starting", Severity::info, "started"},
    {"39f53479d3a045ac8e11786248231fbf", "unit_started", Severity::ok, "succeeded"},
    {"de5b426a63be47a7b6ac3eaac82e2f6f", "unit_stopping", Severity::info, "progress"},
    {"9d1aaa27d60140bd96365438aad20286", "unit_stopped", Severity::info, "progress"},
    {"be02cf6855d2428ba40df7e9d022f03d", "unit_failed", Severity::error, "failed"},
    {"d34d037fff1847e6ae669a370e694725", "unit_reloading", Severity::info, "progress"},
    {"7b05ebc668384222baa8881179cfda54", "unit_reloaded", Severity::ok, "succeeded"},
    {"7ad2d189f7e94e70a38c781354912448", "unit_succeeded", Severity::info, "succeeded"},
    {"d9b373ed55a64feb8242e02dbe79a49c", "unit_result", Severity::error, "failed"},
}};

Severity syslog_severity(std::string_view priority) {
  if (priority.size() != 1 || priority[0] < '0' || priority[0] > '7') return Severity::info;
  if (priority[0] <= '3') return Severity::error;
  if (priority[0] == '4') return Severity::warning;
  return priority[0] == '7' ? Severity::debug : Severity::info;
}

std::string_view unit_layer(std::string_view unit) {
  return unit.starts_with("histod") || unit.starts_with("zookeeper") ? "workload" : "os";
}

/// The journal writes what is no UTF-8 as an array of bytes.
std::string journal_text(const json::object& entry, std::string_view name) {
  std::string out = text_at(entry, {name});
  for (const json::value& byte : array_at(entry, {name})) {
    if (out.size() == 8'192 || !byte.is_int64()) break;
    out += static_cast<char>(byte.get_int64());
  }
  return out;
}

/// Microseconds since 1970 as RFC 3339; empty when they are none.
std::string journal_time(std::string_view microseconds) {
  std::int64_t us = 0;
  const auto [end, error] = std::from_chars(microseconds.data(), microseconds.data() + microseconds.size(), us);
  constexpr std::int64_t k_year_9999_s = 253'402'300'799;
  if (error != std::errc() || end == microseconds.data() || us < 0 || us / 1'000'000 > k_year_9999_s) return {};
  const std::chrono::sys_time<std::chrono::microseconds> at{std::chrono::microseconds(us)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

class SystemdStream final : public ToolStream {
 public:
  explicit SystemdStream(NormalizerOptions options) : ToolStream("systemd", std::move(options)) {}

 private:
  void take(const json::object& entry) override {
    std::string unit = text_at(entry, {"UNIT"});
    const bool managers = !unit.empty();
    if (unit.empty()) unit = text_at(entry, {"_SYSTEMD_UNIT"});
    Fact fact{.verb = managers ? "unit" : "log",
              .message = journal_text(entry, "MESSAGE"),
              .severity = syslog_severity(text_at(entry, {"PRIORITY"})),
              .time = journal_time(text_at(entry, {"__REALTIME_TIMESTAMP"})),
              .node = text_at(entry, {"_HOSTNAME"}),
              .layer = unit_layer(unit),
              .resource = unit,
              .status = "progress"};
    const std::string id = text_at(entry, {"MESSAGE_ID"});
    for (const UnitMessage& known : k_unit_messages) {
      if (known.id != id) continue;
      fact.verb = known.verb;
      fact.severity = known.severity;
      fact.status = known.status;
    }
    if (fact.status == "failed") fact.error = fact.message;
    if (fact.message.empty()) fact.message = fmt::format("{}: an entry without a message", unit);
    fact.raw = raw_of(entry);
    tell(std::move(fact));
  }

  /// Of the sixty fields of an entry those that say something: others hold command lines, and may hold anything.
  static json::value raw_of(const json::object& entry) {
    json::object out;
    for (const std::string_view name : {"MESSAGE_ID", "PRIORITY", "JOB_TYPE", "JOB_RESULT", "UNIT_RESULT", "CODE_FUNC",
                                        "EXIT_CODE", "EXIT_STATUS", "SYSLOG_IDENTIFIER", "_PID"}) {
      if (const json::value* value = entry.if_contains(name)) out[name] = *value;
    }
    return out;
  }

  void take_text(std::string_view line) override {
    const std::size_t equals = line.find('=');
    constexpr std::array<std::string_view, 6> k_known{"Id",     "ActiveState",    "SubState",
                                                      "Result", "ExecMainStatus", "NRestarts"};
    const std::string_view name = line.substr(0, std::min(equals, line.size()));
    if (equals == std::string_view::npos || std::ranges::find(k_known, name) == k_known.end()) {
      return ToolStream::take_text(line);
    }
    if (block_.contains(name)) tell_block();  // the next unit's, or the next look at the same one
    block_[std::string(name)] = seen_text(std::string(line.substr(equals + 1)));
    if (block_.size() == 6) tell_block();
  }

  void take_blank() override { tell_block(); }
  void take_end() override { tell_block(); }

  void tell_block() {
    const auto block = std::exchange(block_, {});
    const auto value = [&](std::string_view name) {
      const auto found = block.find(name);
      return found == block.end() ? std::string() : found->second;
    };
    const std::string unit = value("Id").empty() ? unit_ : value("Id");
    const std::string active = value("ActiveState");
    if (active.empty()) return;
    unit_ = unit;
    const std::string state = fmt::format("{} ({})", active, value("SubState"));
    const std::string result = value("Result");
    make_room(seen_);
    if (std::exchange(seen_[unit], state + result) == state + result) return;
    const bool failed = active == "failed";
    const bool restarting = value("SubState") == "auto-restart";
    tell({.verb = "unit_" + active,
          .message = fmt::format("{}: {}{}{}", unit, state, failed ? ", result " : "", failed ? result : ""),
          .severity = failed               ? Severity::error
                      : restarting         ? Severity::warning
                      : active == "active" ? Severity::ok
                                           : Severity::info,
          .layer = unit_layer(unit),
          .resource = unit,
          .status = failed                   ? "failed"
                    : active == "active"     ? "succeeded"
                    : active == "activating" ? "started"
                                             : "progress",
          .error = failed ? result : ""});
  }

  std::map<std::string, std::string, std::less<>> block_;
  std::map<std::string, std::string> seen_;
  std::string unit_;
};

}  // namespace

std::unique_ptr<Normalizer> make_systemd(NormalizerOptions options) {
  return std::make_unique<SystemdStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
