// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/events.hpp"
#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace {

namespace json = boost::json;

constexpr std::uint64_t k_shown_first = 50;
constexpr std::uint64_t k_page_max = 1'000;
constexpr std::chrono::milliseconds k_look_again{1'000};

std::string_view color_of(std::string_view severity) {
  if (severity == "error") return "\033[31m";
  if (severity == "warning") return "\033[33m";
  if (severity == "ok") return "\033[32m";
  if (severity == "debug") return "\033[2m";
  return "\033[34m";
}

std::string short_type(std::string_view type) {
  constexpr std::string_view k_ours = "io.histod.";
  return one_line(type.starts_with(k_ours) ? type.substr(k_ours.size()) : type);
}

class Tail {
 public:
  Tail(const Arguments& arguments, const Settings& settings)
      : arguments_(arguments), settings_(settings), client_(settings_), colored_(output_is_terminal()) {
    for (const std::string_view name : {"type", "node", "severity"}) {
      if (arguments.has(name)) filter_ += fmt::format("&{}={}", name, percent_encoded(arguments.get(name)));
    }
  }

  Result<Exit> run() {
    const bool follow = arguments_.has("follow");
    Result<bool> more = look(arguments_.number("limit", k_shown_first));
    for (;;) {
      if (!more && !(follow && more.error().exit == Exit::unreachable && shown_any_)) {
        return std::unexpected(more.error());
      }
      if (!follow) return Exit::ok;
      if (!more || !*more) {
        if (!more) Console({.json = true, .quiet = true}, 0).report("", more.error());
        client_.after(k_look_again, [] {});
        client_.run();
      }
      if (interrupted()) return Exit::ok;  // it was asked to end
      more = look(k_page_max);
      if (!more && more.error().exit == Exit::interrupted) return Exit::ok;
    }
  }

 private:
  /// Shows what came behind the last one; says whether there is more at once.
  Result<bool> look(std::uint64_t limit) {
    std::string target = fmt::format("/v1/events?limit={}{}", limit, filter_);
    if (after_) target += fmt::format("&after={}", *after_);
    const auto answer = fetch_json(client_, std::move(target));
    if (!answer) return std::unexpected(answer.error());
    if (!answer->is_object()) return fail(Exit::some_failed, "the server's answer is not a JSON object");
    const json::object& object = answer->get_object();
    const std::string identity = text_field(*answer, "identity");
    // Another daemon answers now, or the same one with an empty spool: its numbers are others.
    const bool other = after_ && identity != identity_;
    identity_ = identity;
    shown_any_ = true;
    if (other) {
      after_.reset();
      return true;
    }
    std::uint64_t events = 0;
    std::uint64_t last = after_.value_or(0);
    for_each_object(object, "events", [&](const json::object& event) {
      show(event);
      last = std::max(last, number_field(event, "sequence"));
      ++events;
    });
    // Where a filter holds back events the cursor still goes on, but not past what a full page left out.
    after_ = events < limit ? std::max(last, number_field(*answer, "last")) : last;
    return events >= limit;
  }

  void show(const json::object& event) const {
    if (arguments_.has("json")) return print(to_text(event) + "\n");
    const json::value value = event;
    const std::string severity = field(event, "severity");
    std::string message = text_field(value, "data", "message");
    if (message.empty()) message = text_field(value, "subject");
    const std::string line =
        fmt::format("{} {:7} {:12} {}: {}{}", field(event, "time"), severity, field(event, "node"),
                    short_type(text_field(value, "type")), flag(event, "replay") ? "(replay) " : "", one_line(message));
    print(colored_ ? fmt::format("{}{}\033[0m\n", color_of(severity), line) : line + "\n");
  }

  const Arguments& arguments_;
  const Settings& settings_;
  Client client_;
  const bool colored_;
  std::string filter_;
  std::optional<std::uint64_t> after_;
  std::string identity_;
  bool shown_any_ = false;
};

}  // namespace

Result<Exit> tail_events(const Arguments& arguments, const Settings& settings) {
  if (arguments.operands.size() != 1) return fail(Exit::usage, "events tail: takes no operand");
  return Tail(arguments, settings).run();
}

}  // namespace histod::ctl
