// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/options.hpp"

namespace histod::daemon {

/// A key and its value. Views only: made inside the call that logs it. Keys are ours: lower case and underscores; a
/// field without a key is left out.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;
  std::string_view key;
  Value value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, std::floating_point auto v) : key(k), value(static_cast<double>(v)) {}
  LogField(std::string_view k, std::signed_integral auto v) : key(k), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view k, std::unsigned_integral auto v) : key(k), value(static_cast<std::uint64_t>(v)) {}
};

using LogFields = std::initializer_list<LogField>;

/// Hears what is logged at info and above, on the thread that logs. What it logs itself it does not hear.
class LogTap {
 public:
  virtual ~LogTap() = default;
  virtual void line(LogLevel level, std::string_view message, LogFields fields) = 0;
};

/// One line per event, written with one write(2), so that lines of several threads never mix. Values are escaped:
/// whatever a client sends stays inside its value and on its line. Never hand it a token or a key. Thread-safe.
class Log {
 public:
  using NowMs = std::function<std::int64_t()>;  ///< milliseconds since 1970, UTC
  using Write = std::function<void(std::string_view line)>;

  /// Lines go to stderr.
  Log(LogLevel level, LogFormat format);
  Log(LogLevel level, LogFormat format, Write write, NowMs now);

  void debug(std::string_view message, LogFields fields = {}) { write(LogLevel::debug, message, fields); }
  void info(std::string_view message, LogFields fields = {}) { write(LogLevel::info, message, fields); }
  void warn(std::string_view message, LogFields fields = {}) { write(LogLevel::warn, message, fields); }
  void error(std::string_view message, LogFields fields = {}) { write(LogLevel::error, message, fields); }
  void write(LogLevel level, std::string_view message, LogFields fields);
  /// Writes the first time that `key` comes by; true if it did. For fallbacks: said once, counted by a metric.
  bool once(std::string_view key, LogLevel level, std::string_view message, LogFields fields = {});
  bool enabled(LogLevel level) const { return level >= level_; }
  /// Null: nobody. The one before is no more called by lines that begin after this.
  void set_tap(LogTap* tap) { tap_ = tap; }

 private:
  LogLevel level_;
  LogFormat format_;
  Write write_;
  NowMs now_;
  std::atomic<LogTap*> tap_{nullptr};
  std::mutex mutex_;
  std::set<std::string, std::less<>> seen_;
};

/// One line with its line feed, as Log writes it.
std::string format_log_line(LogFormat format, std::int64_t now_ms, LogLevel level, std::string_view message,
                            LogFields fields);
/// RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z.
std::string format_time(std::int64_t ms_since_1970);
std::string_view level_name(LogLevel level);

}  // namespace histod::daemon
