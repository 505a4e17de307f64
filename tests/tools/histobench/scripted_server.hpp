// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tools/histobench/process.hpp"

namespace histod::test {

/// Answers each request on 127.0.0.1 with the bytes that the test gives, well-formed or not. One thread a connection,
/// blocking sockets; shares no code with histod or with the client under test but for the listening socket.
class ScriptedServer {
 public:
  struct Request {
    std::string head;
    std::string body;
    int connection = 0;  ///< 0 for the first that was accepted, and so on
    int number = 0;      ///< of the request, over all connections
  };
  /// The raw answer; an empty one closes the connection.
  using Answer = std::function<std::string(const Request& request)>;

  /// `piece_bytes`: how much of an answer is sent at a time; each piece is a packet of its own.
  explicit ScriptedServer(Answer answer, std::size_t piece_bytes = 1u << 30);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return listening_.port; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  void accept_all();
  void serve(int fd, int connection);

  bench::Listening listening_;
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
