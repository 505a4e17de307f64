// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <string>
#include <thread>
#include <vector>

namespace histod::control::tests {

/// The network of one node: forwards connections to servers, until it is told to lose what goes one way or both. Then
/// nothing is refused and nothing arrives, as when packets are dropped; what was on its way comes when the cut is
/// healed.
class TcpProxy {
 public:
  enum class Cut { none, requests, answers, both };

  explicit TcpProxy(const std::string& targets);  ///< "127.1.2.3:2181,..."
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  const std::string& address() const { return address_; }  ///< as many as targets
  void cut(Cut cut);                                       ///< any thread

 private:
  struct Gate {
    int listener = -1;
    std::string host;
    std::uint16_t port = 0;
  };
  struct Pipe {
    std::array<int, 2> ends{-1, -1};  ///< client, server
    bool broken = false;
  };
  void run();
  void accept(const Gate& gate);
  bool forwards(std::size_t from) const;
  void forward(Pipe& pipe, std::size_t from);

  std::vector<Gate> gates_;
  std::list<Pipe> pipes_;
  std::string address_;
  std::atomic<Cut> cut_ = Cut::none;
  std::atomic<bool> stopping_ = false;
  int wake_ = -1;
  std::jthread thread_;
};

}  // namespace histod::control::tests
