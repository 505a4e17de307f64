// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/feed.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace histod::daemon::api {

namespace http = net::http;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view k_ticket_prefix = "ticket.";
constexpr std::uint16_t k_try_again_later = 1013, k_policy = 1008;
constexpr unsigned k_client_messages_max = 100;
constexpr std::size_t k_client_message_bytes_max = 4 * 1024;

bool same_text(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

class Feed::Reader final : public http::WebSocketHandler {
 public:
  Reader(Feed& feed, telemetry::Bus& bus, EventsQuery query, std::string subprotocol)
      : feed_(feed), bus_(bus), query_(std::move(query)), subprotocol_(std::move(subprotocol)) {}

  http::WebSocketOptions options() const override {
    http::WebSocketOptions out;
    out.message_bytes_max = k_client_message_bytes_max;
    out.subprotocol = subprotocol_;
    return out;
  }

  void opened(http::WebSocket& socket) override {
    socket_ = &socket;
    feed_.add(*this, bus_);
    const std::uint64_t missed = find_beginning();
    const telemetry::EventLag lag = bus_.lag(cursor_);
    lag_max_ = {lag.events + k_lag_events_max, lag.bytes + k_lag_bytes_max};
    const boost::json::object hello{
        {"identity", bus_.identity()}, {"node", bus_.node()}, {"last", bus_.last()}, {"missed", missed}};
    send(std::make_shared<const std::string>(boost::json::serialize(boost::json::object{{"hello", hello}})));
  }

  void message(std::string_view, bool) override {
    if (++messages_ > k_client_messages_max) close(k_policy, "the feed takes no messages");
  }
  void writable() override { go_on(); }
  void closed(http::WebSocketEnd) override { feed_.remove(*this); }

  void go_on() {
    if (closing_) return;
    if (socket_->pending()) {
      const telemetry::EventLag lag = bus_.lag(cursor_);
      if (lag.events > lag_max_.events || lag.bytes > lag_max_.bytes) too_slow();
      return;
    }
    Behind next = feed_.behind(bus_, cursor_, query_.filter);
    if (next.missed > 0 && !std::exchange(first_, false)) return too_slow();
    first_ = false;
    cursor_ = next.next;
    if (next.text) send(std::move(next.text));
  }

 private:
  /// How many events it has missed since where it wants to resume.
  std::uint64_t find_beginning() {
    if (query_.after && (query_.identity.empty() || query_.identity == bus_.identity())) {
      cursor_ = *query_.after;
      return bus_.read(cursor_, 1, 1).missed;
    }
    const telemetry::EventsRead last =
        bus_.read_last(static_cast<std::size_t>(query_.limit), k_lag_bytes_max, query_.filter);
    cursor_ = last.events.empty() ? last.next : last.events.front()->sequence - 1;
    return 0;
  }
  void send(Text text) {
    feed_.stats_.messages.fetch_add(1, std::memory_order_relaxed);
    socket_->send(std::move(text));
  }
  void too_slow() {
    feed_.stats_.slow.fetch_add(1, std::memory_order_relaxed);
    close(k_try_again_later, "too slow: resume from the last event that came");
  }
  void close(std::uint16_t code, std::string_view reason) {
    if (!std::exchange(closing_, true)) socket_->close(code, reason);
  }

  Feed& feed_;
  telemetry::Bus& bus_;
  const EventsQuery query_;
  const std::string subprotocol_;
  http::WebSocket* socket_ = nullptr;
  std::uint64_t cursor_ = 0;
  telemetry::EventLag lag_max_;
  unsigned messages_ = 0;
  bool first_ = true, closing_ = false;
};

Feed::Feed(boost::asio::io_context& io, Mailbox& mailbox, FeedStats& stats)
    : mailbox_(mailbox), stats_(stats), timer_(io) {}

Feed::~Feed() = default;

http::Response Feed::answer(telemetry::Bus& bus, EventsQuery query, const http::RequestHead& head) {
  const auto subprotocols = http::websocket_subprotocols(head);
  const bool offered = std::ranges::find(subprotocols, k_subprotocol) != subprotocols.end();
  http::Response response;
  response.status = 101;
  response.websocket =
      std::make_unique<Reader>(*this, bus, std::move(query), offered ? std::string(k_subprotocol) : std::string());
  return response;
}

void Feed::add(Reader& reader, telemetry::Bus& bus) {
  readers_.push_back(&reader);
  if (subscription_) return;
  subscription_ = bus.subscribe([this] {
    if (!posted_.exchange(true)) mailbox_.complete([this] { woken(); });
  });
}

void Feed::remove(Reader& reader) {
  std::erase(readers_, &reader);
  if (!readers_.empty()) return;
  subscription_.reset();
  latest_ = {};
}

void Feed::woken() {
  posted_ = false;
  if (pausing_) return;
  const auto next = read_at_ + k_pause;
  if (Clock::now() >= next) return read_all();
  pausing_ = true;
  timer_.expires_at(next);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    pausing_ = false;
    read_all();
  });
}

/// Whoever is told something may be gone with it: from the last to the first, none is passed over.
void Feed::read_all() {
  read_at_ = Clock::now();
  if (subscription_) subscription_->reading();
  for (std::size_t i = readers_.size(); i > 0; --i)
    if (i <= readers_.size()) readers_[i - 1]->go_on();
}

Feed::Behind Feed::behind(const telemetry::Bus& bus, std::uint64_t after, const telemetry::EventFilter& filter) {
  if (latest_.text && after == latest_after_ && filter == latest_filter_) return latest_;
  const telemetry::EventsRead read = bus.read(after, k_message_events_max, k_message_bytes_max, filter);
  Behind out{nullptr, read.next, read.missed};
  if (read.events.empty()) return out;
  std::string text = "[";
  for (const telemetry::EventPtr& event : read.events) {
    if (text.size() > 1) text += ',';
    text += event->json;
  }
  text += ']';
  out.text = std::make_shared<const std::string>(std::move(text));
  latest_after_ = after;
  latest_filter_ = filter;
  latest_ = out;
  return out;
}

std::string_view offered_ticket(const http::RequestHead& head) {
  for (const std::string_view offered : http::websocket_subprotocols(head))
    if (offered.starts_with(k_ticket_prefix)) return offered.substr(k_ticket_prefix.size());
  return {};
}

bool foreign_origin(const http::RequestHead& head) {
  std::string_view origin = head.field("Origin");
  if (origin.empty()) return false;
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos || !same_text(origin.substr(scheme + 3), head.field("Host"));
}

}  // namespace histod::daemon::api
