// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "net/buffer_pool.hpp"
#include "net/http/server.hpp"
#include "net/registered.hpp"
#include "net/stats.hpp"

namespace histod::test {

/// A body that grows when the test says so.
struct GrowingBody final : net::http::BodySource {
  std::span<const std::byte> bytes() const override { return std::as_bytes(std::span(text)); }
  std::size_t ready(std::size_t) override { return ready_bytes; }
  std::optional<std::size_t> length() const override {
    return known ? std::optional(text.size() - spare_bytes) : std::nullopt;
  }
  bool failed() const override { return broken; }
  std::string_view trailer_name() const override { return known_from_start ? "" : "X-At-The-End"; }
  std::string_view trailer_value() const override { return "it was long"; }
  void release() override { ++releases; }
  std::string text;
  std::size_t spare_bytes = 0;  ///< of the memory, behind the body
  bool known = true, known_from_start = true, broken = false;
  std::size_t ready_bytes = 0;
  int releases = 0;
};

/// Answers by path: /echo the body, /streamed `growing`, /watched as its `watcher` says, /hello a greeting, /later when
/// the test says so, /drop never, /leased and /static other kinds of bodies, /nobody admits no body, /denied refuses
/// with 401, /empty 204, /socket a WebSocket of `make_socket`, /socket-anyway that to any request. Anything else: 404.
/// Requests to /echo are of kind 7, others of kind 1.
class TestHandler final : public net::http::Handler {
 public:
  explicit TestHandler(net::BufferPool& pool) : pool_(pool) {}

  std::expected<net::http::BodyAdmission, net::http::Response> admit(const net::http::RequestHead& head) override;
  void handle(net::http::Request request, net::http::Responder responder) override;
  net::http::Response refusal(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
                              std::uint64_t limit, const net::http::RequestHead* head) override;

  struct Pending {
    net::http::Request request;
    net::http::Responder responder;
  };

  std::uint64_t body_bytes_max = 64u << 20;
  std::vector<Pending> pending;       ///< requests to /later; touched on the loop's thread only
  std::function<void()> on_pending;   ///< called on the loop's thread
  std::vector<std::string> handled;   ///< paths in order; touched on the loop's thread only
  std::vector<std::string> admitted;  ///< "METHOD target" in order; touched on the loop's thread only
  GrowingBody growing;
  std::shared_ptr<net::http::Responder::Sink> growing_for;  ///< who sends it
  net::http::BodyWatcher* watcher = nullptr;
  std::function<std::unique_ptr<net::http::WebSocketHandler>()> make_socket;
  std::string last_peer;
  bool last_body_in_lease = true;

 private:
  void answer(net::http::Request request, net::http::Responder responder);
  net::http::Response upgrade(const net::http::RequestHead& head);

  net::BufferPool& pool_;
};

struct TestServerOptions {
  net::http::Limits limits;
  net::BufferPool::Options pool{.budget_bytes = 256u << 20, .resident_bytes = 4u << 20};
  std::shared_ptr<boost::asio::ssl::context> tls;
  std::string address = "127.0.0.1";
  bool register_pool = false;
};

/// A real server on a free port, its event loop on a thread of its own. The destructor drains it, then aborts what is
/// left, and asserts (through the pool) that all memory came home.
class TestServer {
 public:
  explicit TestServer(const TestServerOptions& options = {});
  ~TestServer();

  std::uint16_t port() const { return port_; }
  const net::http::Stats& stats() const { return stats_; }
  net::http::Server& server() { return *server_; }
  net::BufferPool& pool() { return *pool_; }
  TestHandler& handler() { return *handler_; }
  /// Why the pool is not registered; no error when it is, or was not to be.
  std::error_code registration_error() const { return registration_error_; }
  net::http::Listener& listener() { return *listener_; }
  boost::asio::io_context& io() { return io_; }
  /// Runs on the loop's thread and waits for the end.
  void on_loop(std::function<void()> work);
  /// Waits until `condition`, looked at on the loop's thread, holds; false after ten seconds.
  bool eventually(std::function<bool()> condition);
  /// Waits until that many requests are pending at /later.
  bool wait_pending(std::size_t count);
  void answer_pending(std::string body);
  void start_drain();
  bool wait_drained();

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  net::http::Stats stats_;
  std::unique_ptr<net::BufferPool> pool_;
  std::unique_ptr<net::Registration> registration_;
  std::error_code registration_error_;
  std::unique_ptr<TestHandler> handler_;
  std::unique_ptr<net::http::Server> server_;
  std::unique_ptr<net::http::Listener> listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool drained_ = false;
  bool draining_ = false;
  std::thread thread_;
};

}  // namespace histod::test
