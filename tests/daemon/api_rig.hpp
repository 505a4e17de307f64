// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <future>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/parse.hpp>

#include "daemon/api/api.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/worker.hpp"
#include "tests/daemon/engine_rig.hpp"

/// The API on a real worker, without sockets: the test is the connection.
namespace histod::test {

inline constexpr std::string_view k_read_token = "read-token-0123456789";
inline constexpr std::string_view k_submit_token = "submit-token-0123456789";
inline constexpr std::string_view k_admin_token = "admin-token-0123456789";
inline constexpr std::string_view k_peer_token = "peer-token-0123456789";
inline constexpr std::string_view k_events_token = "events-token-0123456789";
inline constexpr std::string_view k_rig_identity = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string bearer(std::string_view token) { return "Bearer " + std::string(token); }

/// A request as the test writes it.
struct Ask {
  std::string method = "GET";
  std::string path = "/";
  std::string query = {};
  std::string token = std::string(k_admin_token);  ///< empty: none is sent
  Fields fields = {};
  std::string body = {};
  std::string peer = "192.0.2.1";
  bool chunked = false;
};

/// A response whose body was taken out of its lease.
struct Told {
  unsigned status = 0;
  std::string content_type;
  Fields fields = {};
  std::string body = {};
  bool close = false;
  bool admitted = false;  ///< the handler, not the admission, answered
  bool grew = false;      ///< it began before anybody knew its length
  std::string trailer = {};

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields)
      if (key == name) return value;
    return {};
  }
  boost::json::object json() const { return boost::json::parse(body).as_object(); }
  std::string code() const { return std::string(json().at("type").as_string()).substr(19); }
};

inline Told told(net::http::Response response, bool admitted) {
  struct Text {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(std::span<const std::byte> bytes) const {
      return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    std::string operator()(const net::http::LeasedBytes& l) const {
      return {reinterpret_cast<const char*>(l.lease.data()) + l.offset, l.size};
    }
    std::string operator()(const net::http::StreamedBody& streamed) const {
      return (*this)(streamed->bytes().first(streamed->length().value_or(0)));
    }
  };
  for (std::string_view rest = response.more_fields; !rest.empty(); rest = rest.substr(rest.find('\n') + 1)) {
    const std::string_view line = rest.substr(0, rest.find('\r'));
    const std::size_t colon = line.find(": ");
    response.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    if (response.fields.back().first == "Content-Type") response.content_type = response.fields.back().second;
  }
  return {response.status, response.content_type, response.fields, std::visit(Text(), response.body), response.close,
          admitted};
}

class FakeSink final : public net::http::Responder::Sink, public std::enable_shared_from_this<FakeSink> {
 public:
  FakeSink(std::promise<Told>& promise, daemon::Mailbox& mailbox) : promise_(promise), mailbox_(mailbox) {}
  void respond(net::http::Response response) override {
    if (!std::holds_alternative<net::http::StreamedBody>(response.body))
      return promise_.set_value(told(std::move(response), true));
    streamed_ = std::move(response);
    body_grew();
  }
  bool peer_gone() const override { return false; }
  /// Takes what is ready as a connection would, and lets go of the body from the event loop.
  void body_grew() override {
    if (!streamed_) return;
    const auto& body = std::get<net::http::StreamedBody>(streamed_->body);
    if (!body->length()) grows_ = true;
    for (std::size_t ready = 0; body->length() != taken_ && (ready = body->ready(taken_)) > taken_;) taken_ = ready;
    if (body->length() != taken_ && !body->failed()) return;
    mailbox_.complete([self = shared_from_this()] {
      net::http::Response whole = std::move(*self->streamed_);
      self->streamed_.reset();
      const auto& source = *std::get<net::http::StreamedBody>(whole.body);
      std::string trailer(source.trailer_value());
      Told told = test::told(std::move(whole), true);
      told.grew = self->grows_;
      told.trailer = std::move(trailer);
      self->promise_.set_value(std::move(told));
    });
  }

 private:
  std::promise<Told>& promise_;
  daemon::Mailbox& mailbox_;
  std::optional<net::http::Response> streamed_;
  std::size_t taken_ = 0;
  bool grows_ = false;
};

class ApiRig {
 public:
  /// `arena_apart`: as if the arena had other CPUs than the worker.
  explicit ApiRig(bool arena_apart = false)
      : engine_rig(folder_.path() / "spool"),
        log_(
            daemon::LogLevel::error, daemon::LogFormat::logfmt, [](std::string_view) {}, [] { return 0; }),
        auth_(daemon::api::Auth::open({folder_.file("tokens", tokens()), options.auth_failures_per_minute},
                                      [this] { return auth_now; })
                  .value()),
        services{options, log_, *auth_, *engine_rig.engine, metrics_, {}, {}, {}, "scalar"} {
    begin_events(std::string(k_rig_identity));
    daemon::Worker::Options worker;
    worker.arena_apart = arena_apart;
    worker.pool.budget_bytes = k_budget_bytes;
    worker.pool.resident_bytes = 1u << 20;
    worker.pool.try_huge_pages = false;
    worker.pipeline.memory_wait = std::chrono::hours(1);
    daemon::FleetSnapshot alone;
    alone.state = control::SessionState::connected;
    services.fleet.publish(std::make_shared<const daemon::FleetSnapshot>(alone));
    services.workers.push_back(std::make_unique<daemon::Worker>(worker, arena_, [this](daemon::Worker& w) {
      auto handler = std::make_unique<daemon::api::Api>(services, w);
      api_ = handler.get();
      return handler;
    }));
  }

  /// Begins a request; its answer comes later.
  std::future<Told> begin(Ask ask) {
    Exchange& exchange = exchanges_.emplace_back();
    exchange.ask = std::move(ask);
    worker().mailbox().complete([this, &exchange] { serve(exchange); });
    return exchange.promise.get_future();
  }
  Told ask(Ask request) {
    auto answer = begin(std::move(request));
    if (answer.wait_for(k_patience) != std::future_status::ready) throw std::runtime_error("no answer");
    return answer.get();
  }
  Told get(const std::string& path, const std::string& query = {}) { return ask({.path = path, .query = query}); }
  Told post(const std::string& path, const std::string& query, const std::string& body, Fields fields = {}) {
    return ask({.method = "POST", .path = path, .query = query, .fields = std::move(fields), .body = body});
  }
  /// Runs on the worker's thread.
  template <class Work>
  auto at_worker(Work work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    worker().mailbox().complete([&task] { task(); });
    return result.get();
  }
  /// What is asked at the header section, with nothing sent behind it.
  std::expected<net::http::BodyAdmission, Told> admit(const Ask& ask) {
    return at_worker([&]() -> std::expected<net::http::BodyAdmission, Told> {
      Exchange exchange;
      exchange.ask = ask;
      auto admission = api_->admit(exchange.head());
      if (!admission) return std::unexpected(told(std::move(admission.error()), false));
      if (admission->watcher) std::exchange(admission->watcher, nullptr)->abandoned({});
      return *admission;
    });
  }
  /// Anew, without a spool.
  void begin_events(std::string identity) {
    services.events = std::make_unique<daemon::telemetry::Bus>(
        daemon::telemetry::Bus::Options{.identity = std::move(identity), .node = options.node_name},
        [] { return EngineRig::k_start_ms; }, nullptr, [](const std::string&) {});
    services.sources = std::make_unique<daemon::telemetry::Sources>(*services.events);
    services.streams = std::make_unique<daemon::streams::Streams>(
        daemon::streams::Streams::Options{.placement = services.placement, .arenas = {&arena_}, .dpdk = {}}, log_,
        *services.sources);
  }
  daemon::api::Api& api() { return *api_; }
  daemon::Worker& worker() { return *services.workers.front(); }

  static constexpr std::size_t k_budget_bytes = 16u << 20;
  static constexpr std::size_t k_received_bytes = 100'000;  ///< at once, of a body that is watched
  daemon::Options options;
  std::chrono::steady_clock::time_point auth_now{std::chrono::hours(1)};

 private:
  struct Exchange {
    Ask ask;
    std::vector<net::http::Field> fields;
    std::promise<Told> promise;
    net::http::RequestHead head() {
      fields.clear();
      for (const auto& [name, value] : ask.fields) fields.push_back({name, value});
      authorization = bearer(ask.token);
      if (!ask.token.empty()) fields.push_back({"authorization", authorization});
      net::http::RequestHead out;
      out.method = ask.method;
      out.path = ask.path;
      out.query = ask.query;
      out.fields = fields;
      out.peer = ask.peer;
      out.chunked = ask.chunked;
      if (!ask.body.empty() && !ask.chunked) out.content_length = ask.body.size();
      return out;
    }
    std::string authorization;
  };

  static std::string tokens() {
    return "read " + std::string(k_read_token) + " reader\nsubmit " + std::string(k_submit_token) + " sender\nadmin " +
           std::string(k_admin_token) + " boss\npeer " + std::string(k_peer_token) + " node\nevents " +
           std::string(k_events_token) + " teller\n";
  }
  void serve(Exchange& exchange) {
    net::http::Request request;
    request.head = exchange.head();
    auto admission = api_->admit(request.head);
    if (!admission) return exchange.promise.set_value(told(std::move(admission.error()), false));
    if (exchange.ask.body.size() > admission->bytes_max) {
      auto refusal = api_->refusal(413, "too-large", "the body is too large, in bytes", exchange.ask.body.size(),
                                   admission->bytes_max, &request.head);
      return exchange.promise.set_value(told(std::move(refusal), false));
    }
    if (!exchange.ask.body.empty()) {
      request.lease = worker().pool().lease(exchange.ask.body.size());
      request.body = request.lease.bytes().first(exchange.ask.body.size());
      std::ranges::copy(bytes_of(exchange.ask.body), request.body.begin());
    }
    request.receive_ns = 5'000'000;
    net::http::Responder responder(std::make_shared<FakeSink>(exchange.promise, worker().mailbox()));
    if (!admission->watcher) return api_->handle(std::move(request), std::move(responder));
    for (std::size_t in = 0; in < request.body.size();) {
      in = std::min(request.body.size(), in + k_received_bytes);
      admission->watcher->received(request.body.first(in));
    }
    admission->watcher->handle(std::move(request), std::move(responder));
  }

  TemporaryFolder folder_;

 public:
  EngineRig engine_rig;

 private:
  daemon::Log log_;
  std::unique_ptr<daemon::api::Auth> auth_;
  daemon::Metrics metrics_;
  compute::Arena arena_{{{}, 1}};
  daemon::api::Api* api_ = nullptr;
  std::list<Exchange> exchanges_;

 public:
  daemon::Services services;
};

}  // namespace histod::test
