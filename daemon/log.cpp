// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

#include <fmt/core.h>
#include <unistd.h>

#include "daemon/utf8.hpp"
#include "daemon/wall_clock.hpp"

namespace histod::daemon {
namespace {

void write_stderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody left to tell
    line.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Controls (C0, DEL, C1), line separators and what reorders text on a terminal.
bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// Escapes as JSON does; invalid UTF-8 becomes U+FFFD.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.bytes == 0) {
      out += "\\ufffd";
    } else if (point.value == '"' || point.value == '\\') {
      out += '\\';
      out += text[0];
    } else if (is_unsafe(point.value)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(point.value));
    } else {
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(std::max<std::size_t>(point.bytes, 1));
  }
  out += '"';
}

bool is_bare(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; });
}

void append_value(std::string& out, LogFormat format, const LogField::Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    if (format == LogFormat::logfmt && is_bare(*text)) {
      out += *text;
    } else {
      append_quoted(out, *text);
    }
  } else if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) {
    append_quoted(out, fmt::format("{}", *number));  // JSON has no such number
  } else {
    std::visit([&](const auto& v) { out += fmt::format("{}", v); }, value);
  }
}

void append_field(std::string& out, LogFormat format, std::string_view key, const LogField::Value& value) {
  if (format == LogFormat::json) {
    if (out.size() > 1) out += ',';
    append_quoted(out, key);
    out += ':';
  } else {
    if (!out.empty()) out += ' ';
    out += key;
    out += '=';
  }
  append_value(out, format, value);
}

}  // namespace

std::string_view level_name(LogLevel level) {
  static constexpr std::string_view k_names[] = {"debug", "info", "warn", "error"};
  return k_names[static_cast<std::size_t>(level)];
}

std::string format_time(std::int64_t ms_since_1970) {
  std::int64_t seconds = ms_since_1970 / 1000;
  std::int64_t ms = ms_since_1970 % 1000;
  if (ms < 0) {
    ms += 1000;
    --seconds;
  }
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms);
}

std::string format_log_line(LogFormat format, std::int64_t now_ms, LogLevel level, std::string_view message,
                            LogFields fields) {
  std::string line = format == LogFormat::json ? "{" : "";
  append_field(line, format, "ts", std::string_view(format_time(now_ms)));
  append_field(line, format, "level", level_name(level));
  append_field(line, format, "msg", message);
  for (const LogField& field : fields)
    if (!field.key.empty()) append_field(line, format, field.key, field.value);
  if (format == LogFormat::json) line += '}';
  return line + '\n';
}

Log::Log(LogLevel level, LogFormat format) : Log(level, format, write_stderr, wall_clock_ms) {}

Log::Log(LogLevel level, LogFormat format, Write write, NowMs now)
    : level_(level), format_(format), write_(std::move(write)), now_(std::move(now)) {}

void Log::write(LogLevel level, std::string_view message, LogFields fields) {
  if (!enabled(level)) return;
  const std::string line = format_log_line(format_, now_(), level, message, fields);
  {
    const std::lock_guard lock(mutex_);
    write_(line);
  }
  static thread_local bool telling = false;
  LogTap* const tap = tap_;
  if (tap == nullptr || level < LogLevel::info || telling) return;
  telling = true;
  tap->line(level, message, fields);
  telling = false;
}

bool Log::once(std::string_view key, LogLevel level, std::string_view message, LogFields fields) {
  {
    const std::lock_guard lock(mutex_);
    if (!seen_.emplace(key).second) return false;
  }
  write(level, message, fields);
  return true;
}

}  // namespace histod::daemon
