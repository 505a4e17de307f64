// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tools/histobench/poller.hpp"

namespace histod::bench {

/// Posts numbered events of one type at a constant rate, whatever the answers do, a hundred batches a second at most.
/// Each says when it was to be posted.
class EventSource {
 public:
  struct Options {
    std::uint16_t port = 0;
    std::string authorization;
    std::string type;              ///< also the beginning of their ids
    std::size_t filler_bytes = 0;  ///< in each
  };
  EventSource(Poller& poller, const Options& options);

  void start(double per_second);
  void stop() { due_ = Poller::Clock::time_point::max(); }
  void go_on();                                           ///< posts what is due
  Poller::Clock::time_point due() const { return due_; }  ///< when the next ones are to be posted
  std::uint64_t posted() const { return posted_; }        ///< since it was made
  std::size_t unanswered() const { return line_.waiting(); }
  const std::string& wrong() const { return wrong_; }  ///< about the first batch that was not accepted; empty: none

 private:
  std::string request(std::size_t events) const;

  const Options options_;
  const std::string filler_;
  AskLine line_;
  std::uint64_t posted_ = 0;
  std::size_t batch_events_ = 1;
  std::chrono::nanoseconds interval_{};
  Poller::Clock::time_point due_ = Poller::Clock::time_point::max();
  std::string wrong_;
};

/// What readers of an EventSource were told: every one all events, each once and in order.
class Deliveries {
 public:
  explicit Deliveries(std::size_t readers) : next_(readers) {}
  void told(std::size_t reader, std::string_view text);
  /// Whether all readers have had the first `events`, given that nothing is wrong.
  bool complete(std::uint64_t events) const { return delivered_ == events * next_.size(); }
  std::uint64_t delivered() const { return delivered_; }
  /// Of each event for each reader, in milliseconds from when it was to be posted, since they were last taken.
  std::vector<double> take_delays_ms();
  const std::string& wrong() const { return wrong_; }

 private:
  struct Posted {
    std::uint64_t number = 0;
    Poller::Clock::time_point due;
  };
  /// Readers that keep up are told the same texts: these are read once.
  struct Read {
    std::string text;
    std::vector<Posted> events;
  };
  const std::vector<Posted>& read(std::string_view text);

  std::vector<std::uint64_t> next_;  ///< for each reader
  std::deque<Read> latest_;
  std::uint64_t delivered_ = 0;
  std::vector<double> delays_ms_;
  std::string wrong_;
};

}  // namespace histod::bench
