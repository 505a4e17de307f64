// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace histod::test {

/// Answers each request on 127.0.0.1 with the bytes that the test gives, well-formed or not. One thread a connection,
/// blocking sockets; shares no code with histod or with the client under test.
class ScriptedServer {
 public:
  struct Request {
    std::string head;
    std::string body;
    int connection = 0;  ///< 0 for the first that was accepted, and so on
    int number = 0;      ///< of the request, over all connections
  };
  /// What is sent for a request, and what then happens to the connection.
  struct Reply {
    enum class End : std::uint8_t { keep, close, reset };
    /// Closes after an empty answer and after one that says so.
    Reply(std::string raw)  // NOLINT(google-explicit-constructor): tests return strings
        : bytes(std::move(raw)),
          end(bytes.empty() || bytes.find("Connection: close") != std::string::npos ? End::close : End::keep) {}
    Reply(std::string raw, End then) : bytes(std::move(raw)), end(then) {}
    std::string bytes;
    End end;
    std::chrono::milliseconds pause{0};  ///< between pieces
    bool forever = false;                ///< sent again and again until the client has gone
  };
  using Answer = std::function<Reply(const Request& request)>;

  /// `piece_bytes`: how much of an answer is sent at a time; each piece is a packet of its own.
  explicit ScriptedServer(Answer answer, std::size_t piece_bytes = 1u << 30);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  void accept_all();
  void serve(int fd, int connection);
  bool send(int fd, const Reply& reply);

  int listening_ = -1;
  std::uint16_t port_ = 0;
  Answer answer_;
  std::size_t piece_bytes_;
  std::atomic<int> connections_{0}, requests_{0};
  std::mutex mutex_;  ///< of what follows
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// "HTTP/1.1 200 OK" with its length and this body.
std::string ok_answer(const std::string& body);

}  // namespace histod::test
