// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/histobench/poller.hpp"
#include "tools/histobench/websocket_frames.hpp"

namespace histod::bench {

/// Any number of readers of the daemon's live feed, in groups, on one thread: whoever runs the poller. Each has a
/// socket of its own and answers pings.
class FeedReaders {
 public:
  /// What readers have in common.
  struct Group {
    std::string name;              ///< for what is wrong: "busy"
    std::string target;            ///< "/v1/events?type=..."
    int receive_buffer_bytes = 0;  ///< 0: the kernel's own choice
    bool deaf = false;             ///< once it has had its hello it never receives again
    /// Each message but the hello, from Poller::serve(). `reader` counts from 0 in its group.
    std::function<void(std::size_t reader, std::string_view text)> told;
  };

  FeedReaders(Poller& poller, std::uint16_t port, std::string authorization);
  ~FeedReaders();
  FeedReaders(const FeedReaders&) = delete;
  FeedReaders& operator=(const FeedReaders&) = delete;

  /// Returns when all have had their hello; some tens shake hands at a time. Throws Failure when one cannot, or when
  /// none could for half a minute.
  void open(Group group, std::size_t count);
  /// Says goodbye, and returns when the server has done so too, to all that are not deaf; those are cut.
  void close();

  /// What was wrong with the first reader that ended or was told what no server may say; empty: none.
  const std::string& wrong() const { return wrong_; }
  std::size_t pings() const { return pings_; }  ///< that were answered

 private:
  class Reader;
  void fail(const Reader& reader, std::string_view what);
  void wait_for(std::size_t& count, std::size_t most, std::string_view what);

  Poller& poller_;
  const std::uint16_t port_;
  const std::string authorization_;
  std::deque<Group> groups_;
  std::deque<Reader> readers_;
  std::vector<char> received_;
  std::size_t opening_ = 0, open_ = 0, pings_ = 0;
  bool closing_ = false;
  std::string wrong_;
};

}  // namespace histod::bench
