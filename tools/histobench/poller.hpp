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

namespace histod::bench {

/// One epoll for any number of sockets, on one thread.
class Poller {
 public:
  using Clock = std::chrono::steady_clock;

  /// Whoever has a socket in it. Outlives that, or forgets it first; neither is done inside of serve().
  class Client {
   public:
    virtual void ready() = 0;  ///< reads and writes what goes without waiting

   protected:
    ~Client() = default;
  };

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// `events`: EPOLLIN, EPOLLOUT. Again with others to change them. Throws Failure.
  void watch(int fd, std::uint32_t events, Client& client);
  void forget(int fd);
  /// Serves what is ready once, and waits for it until `until` at most.
  void serve(Clock::time_point until);

 private:
  int epoll_;
};

/// A socket that is connecting to 127.0.0.1 without waiting. `receive_buffer_bytes`: 0 is the kernel's own choice.
/// Throws Failure.
int begin_connecting(std::uint16_t port, int receive_buffer_bytes = 0);

/// Sends what goes without waiting and takes it off. Throws Failure.
void send_some(int fd, std::string& out);

/// Requests on one keep-alive connection, each sent when the one before it is answered. It connects when it must.
class AskLine final : public Poller::Client {
 public:
  using Answered = std::function<void(unsigned status, std::string_view body)>;

  AskLine(Poller& poller, std::uint16_t port) : poller_(poller), port_(port) {}
  ~AskLine();
  AskLine(const AskLine&) = delete;
  AskLine& operator=(const AskLine&) = delete;

  /// `request`: head and body. `answered` comes from serve(), which throws Failure where no answer can come any more.
  void ask(std::string request, Answered answered);
  std::size_t waiting() const { return line_.size(); }  ///< without an answer so far

  void ready() override;

 private:
  struct Question {
    std::string request;
    Answered answered;
  };
  void send();
  bool take_answer();
  void hang_up();

  Poller& poller_;
  const std::uint16_t port_;
  int fd_ = -1;
  std::deque<Question> line_;
  std::string received_;
};

}  // namespace histod::bench
