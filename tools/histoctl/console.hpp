// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// "3.4 MB"
std::string bytes_text(double bytes);

/// A line for each row, columns as wide as they must be; all rows have as many as the first.
std::string columns_text(const std::vector<std::vector<std::string>>& rows);

bool output_is_terminal();

/// Prints to standard output, at once.
void print(std::string_view text);

/// Standard error: one line for each failure, and on a terminal a progress bar below them.
class Console {
 public:
  struct Options {
    bool json = false;   ///< no bar
    bool quiet = false;  ///< no bar, no summary
  };
  Console(const Options& options, std::size_t items);
  ~Console();

  bool has_bar() const { return bar_; }
  void item_done() { ++done_; }
  /// For items that are done elsewhere: some may have been before.
  void set_progress(std::size_t done, std::size_t items);
  void draw(std::uint64_t bytes_moved);
  /// `histoctl: SUBJECT: what was wrong (value, limit)`; the subject may be empty.
  void report(std::string_view subject, const Failure& failure);
  /// A last line for a person at a terminal; dropped elsewhere.
  void summary(std::string_view text);
  double elapsed_s() const;
  /// Takes the bar away, for other output to follow.
  void erase();

 private:
  bool bar_ = false;
  bool drawn_ = false;
  bool summarize_ = false;
  std::size_t items_ = 0;
  std::size_t done_ = 0;
  std::optional<std::size_t> done_before_;  ///< the first that set_progress() was told
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// JSON in one line, numbers as people write them (Boost.JSON writes 1.5 as 1.5E0).
std::string to_text(const boost::json::value& value);

/// {"kind", "detail", "status"?, "code"?, "value"?, "limit"?}
boost::json::object to_json(const Failure& failure);

/// What a run of many items ends with: the first failure that ended it early, else 5 if all failures were "busy",
/// else 1.
class Verdict {
 public:
  void add_success() { ++succeeded_; }
  void add(const Failure& failure);
  /// Whether going on makes no sense: nobody there, or nobody lets us in.
  bool hopeless() const { return hopeless_ != Exit::ok; }
  std::size_t succeeded() const { return succeeded_; }
  std::size_t failed() const { return failed_; }
  Exit exit() const;

 private:
  Exit hopeless_ = Exit::ok;
  std::size_t succeeded_ = 0;
  std::size_t failed_ = 0;
  std::size_t busy_ = 0;
};

}  // namespace histod::ctl
