// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/api/events_query.hpp"
#include "daemon/mailbox.hpp"
#include "daemon/telemetry/bus.hpp"
#include "net/http/message.hpp"

namespace histod::daemon::api {

/// Of the feeds of all workers.
struct FeedStats {
  std::atomic<std::uint64_t> slow{0};      ///< readers that were closed because they did not keep up
  std::atomic<std::uint64_t> messages{0};  ///< sent to readers
};

/// The live feed: the WebSockets of one worker's connections that read the bus. A reader has no queue but its cursor
/// into the bus's ring; who falls too far behind is closed, and may resume from where it was. Used on the worker's
/// thread only. All readers are gone before its end.
class Feed {
 public:
  /// A reader that is this much further behind than when it came, while a message is on its way to it, is slow.
  static constexpr std::uint64_t k_lag_events_max = 4'096, k_lag_bytes_max = 4u << 20;
  static constexpr std::size_t k_message_bytes_max = 64 * 1024;  ///< but at least one event
  static constexpr std::size_t k_message_events_max = 512;
  /// Who reads at once gets what was published meanwhile in one message, not one for each event.
  static constexpr std::chrono::milliseconds k_pause{50};
  static constexpr std::string_view k_subprotocol = "histod.events";

  /// Of the mailbox, room for one message is its own.
  Feed(boost::asio::io_context& io, Mailbox& mailbox, FeedStats& stats);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  /// The answer to a request for the feed without websocket_trouble(). `bus` outlives all its readers.
  net::http::Response answer(telemetry::Bus& bus, EventsQuery query, const net::http::RequestHead& head);

 private:
  class Reader;
  using Text = std::shared_ptr<const std::string>;
  /// What is behind a cursor: the next message, and the cursor after it. Null: nothing is.
  struct Behind {
    Text text;
    std::uint64_t next = 0, missed = 0;
  };

  void add(Reader& reader, telemetry::Bus& bus);
  void remove(Reader& reader);
  Behind behind(const telemetry::Bus& bus, std::uint64_t after, const telemetry::EventFilter& filter);
  void woken();
  void read_all();

  Mailbox& mailbox_;
  FeedStats& stats_;
  boost::asio::steady_timer timer_;
  std::vector<Reader*> readers_;
  std::unique_ptr<telemetry::Bus::Subscription> subscription_;  ///< while there are readers
  std::atomic<bool> posted_{false};                             ///< a message to this is in the mailbox
  bool pausing_ = false;
  std::chrono::steady_clock::time_point read_at_{};
  /// The message that was made last: readers that keep up all get the same.
  std::uint64_t latest_after_ = 0;
  telemetry::EventFilter latest_filter_;
  Behind latest_;
};

/// The one-time ticket that a browser offers as a subprotocol, `ticket.` before it; empty: none.
std::string_view offered_ticket(const net::http::RequestHead& head);
/// Whether a page of another site asks: its Origin is not this host. Programs send none.
bool foreign_origin(const net::http::RequestHead& head);

}  // namespace histod::daemon::api
