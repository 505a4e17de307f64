// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/events.hpp"

#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"

namespace histod::ctl {
namespace {

/// Options of other words are mistakes.
Result<void> check_event_options(const Arguments& arguments, std::string_view word) {
  struct Owner {
    std::string_view option;
    std::string_view words;
  };
  constexpr Owner k_owners[] = {{"source", "send"},   {"file", "send"},  {"rollout", "send replay"}, {"out", "send"},
                                {"speed", "replay"},  {"gap", "replay"}, {"type", "tail"},           {"node", "tail"},
                                {"severity", "tail"}, {"limit", "tail"}, {"follow", "tail"}};
  for (const Owner& owner : k_owners) {
    if (arguments.has(owner.option) && !owner.words.contains(word)) {
      return fail(Exit::usage, fmt::format("--{}: not an option of events {}", owner.option, word));
    }
  }
  return {};
}

/// The settings are read only where a daemon is asked.
Result<Exit> with_sink(const Arguments& arguments, bool replay) {
  if (arguments.has("out")) {
    const auto sink = sink_to_file(arguments.get("out"));
    if (!sink) return std::unexpected(sink.error());
    return send_events(arguments, **sink);
  }
  const auto settings = load_settings(arguments, TokenUse::post_events);
  if (!settings) return std::unexpected(settings.error());
  const auto sink = sink_to_daemon(arguments, *settings);
  return replay ? replay_events(arguments, *settings, *sink) : send_events(arguments, *sink);
}

}  // namespace

Result<Exit> run_events(const Arguments& arguments) {
  const std::string word = arguments.operands.empty() ? "" : arguments.operands[0];
  if (word != "send" && word != "tail" && word != "replay") {
    return fail(Exit::usage, "events: what to do: send, tail or replay");
  }
  if (const auto fits = check_event_options(arguments, word); !fits) return std::unexpected(fits.error());
  if (word != "tail") return with_sink(arguments, word == "replay");
  const auto settings = load_settings(arguments);
  if (!settings) return std::unexpected(settings.error());
  return tail_events(arguments, *settings);
}

}  // namespace histod::ctl
