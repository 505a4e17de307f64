// SPDX-License-Identifier: Apache-2.0
#include "tests/net/test_server.hpp"

#include <chrono>
#include <future>
#include <stdexcept>

#include <boost/asio/post.hpp>

namespace histod::test {

using net::http::BodyAdmission;
using net::http::LeasedBytes;
using net::http::Request;
using net::http::RequestHead;
using net::http::Responder;
using net::http::Response;

namespace {

constexpr std::string_view k_static = "static bytes";

Response plain(unsigned status, std::string body) {
  Response response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

}  // namespace

std::expected<BodyAdmission, Response> TestHandler::admit(const RequestHead& head) {
  admitted.push_back(std::string(head.method) + " " + std::string(head.target));
  last_peer = head.peer;
  if (head.path == "/denied") return std::unexpected(plain(401, "denied"));
  if (head.path == "/nobody") return BodyAdmission{0};
  const bool watched = head.path == "/watched" && head.content_length.value_or(0) > 0;
  const std::uint8_t kind = head.path == "/echo" ? 7 : 1;
  return BodyAdmission{body_bytes_max, watched ? watcher : nullptr, kind};
}

void TestHandler::handle(Request request, Responder responder) {
  handled.emplace_back(request.head.path);
  if (request.head.path == "/drop") return;
  if (request.head.path == "/later") {
    pending.push_back({std::move(request), std::move(responder)});
    if (on_pending) on_pending();
    return;
  }
  if (request.head.path == "/streamed") {
    Response response;
    response.more_fields = "X-Streamed: yes\r\n";
    response.body = net::http::StreamedBody(&growing);
    growing_for = responder.send_streamed(std::move(response));
    return;
  }
  if (request.head.path.starts_with("/socket")) return responder.send(upgrade(request.head));
  answer(std::move(request), std::move(responder));
}

Response TestHandler::upgrade(const RequestHead& head) {
  const auto trouble = net::http::websocket_trouble(head);
  if (trouble && head.path == "/socket") return net::http::websocket_refusal(*this, head, *trouble);
  Response response;
  response.status = 101;
  response.fields.emplace_back("X-Path", std::string(head.path));
  response.websocket = make_socket();
  return response;
}

void TestHandler::answer(Request request, Responder responder) {
  const auto path = request.head.path;
  Response response = plain(200, "hello");
  response.fields.emplace_back("X-Path", std::string(path));
  if (request.head.field("x-close") == "yes") response.close = true;
  last_body_in_lease = request.body.empty() ||
                       (request.body.data() >= request.lease.data() &&
                        request.body.data() + request.body.size() <= request.lease.data() + request.lease.size());
  if (path == "/echo") {
    const auto offset = static_cast<std::size_t>(request.body.data() - request.lease.data());
    response.body = LeasedBytes{std::move(request.lease), offset, request.body.size()};
  } else if (path == "/leased") {
    net::Lease lease = pool_.lease(k_static.size());
    std::ranges::copy(std::as_bytes(std::span(k_static)), lease.data());
    response.body = LeasedBytes{std::move(lease), 7, 5};
  } else if (path == "/static") {
    response.body = std::as_bytes(std::span(k_static));
  } else if (path == "/empty") {
    response.status = 204;
    response.body = std::monostate();
  } else if (path != "/hello" && path != "/nobody") {
    response.status = 404;
  }
  responder.send(std::move(response));
}

Response TestHandler::refusal(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
                              std::uint64_t limit, const RequestHead* head) {
  std::string body(code);
  body.append("|").append(detail).append("|" + std::to_string(value) + "|" + std::to_string(limit));
  if (head != nullptr && !head->target.empty()) body.append("|").append(head->target);
  return plain(status, std::move(body));
}

TestServer::TestServer(const TestServerOptions& options)
    : pool_(std::make_unique<net::BufferPool>(options.pool)), handler_(std::make_unique<TestHandler>(*pool_)) {
  server_ = std::make_unique<net::http::Server>(io_, *pool_, *handler_, options.limits, stats_);
  if (options.register_pool) {
    auto registration = net::register_pool(io_, *pool_);
    if (registration) {
      registration_ = std::move(*registration);
      server_->use_registered(*registration_);
    } else {
      registration_error_ = registration.error();
    }
  }
  auto listener = net::http::Listener::open(io_, options.address, 0,
                                            [this, tls = options.tls](int fd) { server_->adopt(fd, tls); });
  if (!listener) throw std::runtime_error("cannot listen: " + listener.error().message());
  listener_ = std::move(*listener);
  port_ = listener_->port();
  handler_->on_pending = [this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  };
  thread_ = std::thread([this] { io_.run(); });
}

TestServer::~TestServer() {
  on_loop([this] {
    handler_->pending.clear();
    handler_->growing_for.reset();
  });
  start_drain();
  on_loop([this] { server_->abort(); });
  wait_drained();
  on_loop([this] {
    listener_.reset();
    server_.reset();
    registration_.reset();
  });
  guard_.reset();
  thread_.join();
}

void TestServer::on_loop(std::function<void()> work) {
  std::promise<void> done;
  boost::asio::post(io_, [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

bool TestServer::eventually(std::function<bool()> condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (bool holds = false; std::chrono::steady_clock::now() < end; std::this_thread::yield()) {
    on_loop([&] { holds = condition(); });
    if (holds) return true;
  }
  return false;
}

bool TestServer::wait_pending(std::size_t count) {
  return eventually([this, count] { return handler_->pending.size() >= count; });
}

void TestServer::answer_pending(std::string body) {
  on_loop([this, &body] {
    for (auto& pending : handler_->pending) {
      pending.request.lease.reset();
      pending.responder.send(plain(200, body));
    }
    handler_->pending.clear();
  });
}

void TestServer::start_drain() {
  if (std::exchange(draining_, true)) return;
  on_loop([this] {
    listener_->stop();
    server_->drain([this] {
      const std::lock_guard lock(mutex_);
      drained_ = true;
      changed_.notify_all();
    });
  });
}

bool TestServer::wait_drained() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [this] { return drained_; });
}

}  // namespace histod::test
