// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/console.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace histod::ctl {
namespace {

void print_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::size_t terminal_columns() {
  winsize size = {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::string_view kind_of(Exit exit) {
  switch (exit) {
    case Exit::usage:
      return "usage";
    case Exit::unreachable:
      return "unreachable";
    case Exit::refused:
      return "refused";
    case Exit::busy:
      return "busy";
    case Exit::interrupted:
      return "interrupted";
    default:
      return "failed";
  }
}

}  // namespace

std::string bytes_text(double bytes) {
  constexpr std::array<std::string_view, 5> k_units = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < k_units.size()) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, k_units[unit]);
}

std::string columns_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

Console::Console(const Options& options, std::size_t items) : items_(items) {
  const bool person = ::isatty(STDERR_FILENO) == 1 && !options.quiet;
  bar_ = person && !options.json;
  summarize_ = person;
}

Console::~Console() { erase(); }

void Console::erase() {
  if (drawn_) print_error("\r\033[K");
  drawn_ = false;
}

double Console::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Console::set_progress(std::size_t done, std::size_t items) {
  items_ = items;
  done_ = std::min(done, items);
  if (!done_before_) done_before_ = done_;
}

void Console::draw(std::uint64_t bytes_moved) {
  if (!bar_ || items_ == 0) return;
  const double elapsed = std::max(elapsed_s(), 0.001);
  std::string tail = fmt::format(" {}/{}  {}/s", done_, items_, bytes_text(static_cast<double>(bytes_moved) / elapsed));
  const std::size_t done_here = done_ - std::min(done_, done_before_.value_or(0));
  if (done_here > 0 && done_ < items_) {
    tail +=
        fmt::format("  {:.0f} s left", elapsed / static_cast<double>(done_here) * static_cast<double>(items_ - done_));
  }
  const std::size_t columns = terminal_columns();
  const std::size_t width = columns > tail.size() + 13 ? std::min<std::size_t>(columns - tail.size() - 3, 40) : 10;
  const std::size_t full = width * done_ / items_;
  print_error(fmt::format("\r\033[K[{:=<{}}{: <{}}]{}", "", full, "", width - full, tail));
  drawn_ = true;
}

void Console::report(std::string_view subject, const Failure& failure) {
  erase();
  const std::string who = subject.empty() ? std::string() : one_line(subject) + ": ";
  print_error(fmt::format("histoctl: {}{}\n", who, render(failure)));
}

void Console::summary(std::string_view text) {
  erase();
  if (summarize_) print_error(fmt::format("{}\n", text));
}

std::string to_text(const boost::json::value& value) {
  if (value.is_double()) return fmt::format("{}", value.get_double());
  std::string out;
  if (value.is_array()) {
    for (const auto& each : value.get_array()) out += (out.empty() ? "" : ",") + to_text(each);
    return "[" + out + "]";
  }
  if (value.is_object()) {
    for (const auto& [key, each] : value.get_object()) {
      out += fmt::format("{}{}:{}", out.empty() ? "" : ",", boost::json::serialize(key), to_text(each));
    }
    return "{" + out + "}";
  }
  return boost::json::serialize(value);
}

boost::json::object to_json(const Failure& failure) {
  boost::json::object out;
  out["kind"] = kind_of(failure.exit);
  out["detail"] = failure.text;
  if (failure.status) out["status"] = failure.status;
  if (!failure.code.empty()) out["code"] = failure.code;
  if (failure.value) out["value"] = *failure.value;
  if (failure.limit) out["limit"] = *failure.limit;
  return out;
}

void Verdict::add(const Failure& failure) {
  ++failed_;
  if (failure.exit == Exit::busy) ++busy_;
  const bool ends = failure.exit == Exit::unreachable || failure.exit == Exit::refused;
  if (ends && hopeless_ == Exit::ok) hopeless_ = failure.exit;
}

Exit Verdict::exit() const {
  if (hopeless_ != Exit::ok) return hopeless_;
  if (failed_ == 0) return Exit::ok;
  return busy_ == failed_ && succeeded_ == 0 ? Exit::busy : Exit::some_failed;
}

}  // namespace histod::ctl
