// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "net/http/client.hpp"

namespace histod::test {

/// What came of a request, without its lease.
struct Outcome {
  unsigned status = 0;  ///< 0: there is an error
  std::map<std::string, std::string> fields;
  std::string body;
  net::http::PeerError error;
  std::size_t leased_bytes = 0;  ///< of the pool, when the reply came
  bool body_in_lease = true;
  std::string kind() const { return status > 0 ? "answer" : std::string(net::http::kind_name(error.kind)); }
};

/// A client whose loop the test turns itself, one handler at a time. The end asserts, through the pool, that all leases
/// came home, and that every request had its one reply.
class ClientRig {
 public:
  explicit ClientRig(net::http::ClientOptions options = {}, std::size_t budget_bytes = 256u << 20)
      : pool({.budget_bytes = budget_bytes, .resident_bytes = std::min<std::size_t>(budget_bytes, 4u << 20)}) {
    client.emplace(io, pool, std::move(options), stats);
  }
  ~ClientRig() {
    client.reset();
    while (stats.in_flight.get() > 0 && turn()) {
    }
    EXPECT_EQ(stats.in_flight.get(), 0u);
    EXPECT_EQ(pool.stats().leases, 0u);
  }

  /// Runs one handler; waits for one. False when there is nothing to wait for.
  bool turn() {
    io.restart();
    return io.run_one() > 0;
  }

  /// Begins a request whose reply goes to `outcome`, which must live until then.
  net::http::Client::Call begin(net::http::PeerRequest request, std::optional<Outcome>& outcome) {
    return client->request(std::move(request), [this, &outcome](auto answer) {
      EXPECT_FALSE(outcome) << "one reply";
      Outcome& out = outcome.emplace();
      out.leased_bytes = pool.stats().leased_bytes;
      if (!answer) {
        out.error = answer.error();
        return;
      }
      out.status = answer->status;
      for (const auto& field : answer->fields) out.fields.emplace(field.name, field.value);
      out.body.assign(reinterpret_cast<const char*>(answer->body.data()), answer->body.size());
      const auto lease = answer->lease.bytes();
      out.body_in_lease =
          answer->body.empty() || (answer->body.data() >= lease.data() &&
                                   answer->body.data() + answer->body.size() <= lease.data() + lease.size());
    });
  }
  Outcome wait(std::optional<Outcome>& outcome) {
    while (!outcome && turn()) {
    }
    EXPECT_TRUE(outcome) << "no reply";
    return outcome.value_or(Outcome());
  }
  Outcome ask(net::http::PeerRequest request) {
    std::optional<Outcome> outcome;
    begin(std::move(request), outcome);
    EXPECT_FALSE(outcome) << "the reply comes from the loop";
    return wait(outcome);
  }

  net::BufferPool pool;
  boost::asio::io_context io{1};
  net::http::ClientStats stats;
  std::optional<net::http::Client> client;
};

/// A request to 127.0.0.1 with generous limits; `body` must outlive it.
inline net::http::PeerRequest to(std::uint16_t port, std::string method, std::string target,
                                 std::string_view body = {}) {
  net::http::PeerRequest request;
  request.endpoint = {false, "127.0.0.1", port};
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::as_bytes(std::span(body));
  request.response_bytes_max = 64u << 20;
  return request;
}

}  // namespace histod::test
