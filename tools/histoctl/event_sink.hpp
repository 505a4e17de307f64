// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "daemon/telemetry/event.hpp"
#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/settings.hpp"

namespace histod::ctl {

/// Where events go. Never more than a batch is held: who puts more waits until the daemon has taken it.
class EventSink {
 public:
  virtual ~EventSink() = default;

  /// An event without a time gets that of now.
  void put(daemon::telemetry::Event event);
  /// Sends what is held.
  virtual void flush() = 0;
  virtual bool holds_some() const = 0;
  /// Flushes, and says how it went: Exit::ok, or one failure that counts what was lost.
  virtual Result<Exit> finish() = 0;

 protected:
  virtual void put_text(std::string json) = 0;
};

/// Batches to POST /v1/events. After a batch that could not be delivered (tried as often as --retries says) the next
/// ones are tried once each until one arrives, so that whoever writes into our pipe does not wait for long; after a
/// refused token none.
std::unique_ptr<EventSink> sink_to_daemon(const Arguments& arguments, const Settings& settings);
/// Lines of JSON into a file that is made or emptied, "-" being standard output. Exit::usage.
Result<std::unique_ptr<EventSink>> sink_to_file(const std::string& path);

/// Milliseconds since 1970 as RFC 3339.
std::string time_text(std::int64_t ms);
/// 32 hexadecimal digits of the SHA-256 of the text.
std::string short_digest(std::string_view text);

}  // namespace histod::ctl
