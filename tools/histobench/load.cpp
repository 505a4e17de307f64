// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/load.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"

namespace histod::bench {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t k_compare_each = 64, k_load_receive_bytes = 256 * 1024;
constexpr std::chrono::seconds k_answer_patience{10};

struct Connection {
  int fd = -1;
  bool busy = false;
  std::size_t sent = 0;
  std::vector<std::byte> received = std::vector<std::byte>(k_load_receive_bytes);
  std::size_t have = 0;
  std::optional<ReplyHead> head;
  Clock::time_point due;  ///< when its request was to be sent
};

/// Load::punctual, for this thread.
class Punctual {
 public:
  explicit Punctual(bool wanted) {
    const sched_param first{.sched_priority = 1};
    granted_ = wanted && ::sched_setscheduler(0, SCHED_FIFO, &first) == 0;
  }
  ~Punctual() {
    const sched_param ordinary{.sched_priority = 0};
    if (granted_) ::sched_setscheduler(0, SCHED_OTHER, &ordinary);
  }
  Punctual(const Punctual&) = delete;
  Punctual& operator=(const Punctual&) = delete;

 private:
  bool granted_ = false;
};

class Generator {
 public:
  explicit Generator(const Load& load);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  LoadResult run_closed(double seconds);
  LoadResult run_open(double per_second, double seconds);

 private:
  void begin(Connection& connection, Clock::time_point due);
  void send_more(Connection& connection);
  void receive_more(Connection& connection);
  void finish(Connection& connection);
  void judge(const Connection& connection);
  /// Serves what is ready, waiting for it until `until` at most.
  void serve(Clock::time_point until);
  void serve_or_give_up(Clock::time_point since);
  void drain();

  const Load& load_;
  std::vector<std::byte> request_;
  std::vector<Connection> connections_;
  std::deque<Clock::time_point> line_;  ///< due, but all connections are busy
  std::vector<Connection*> idle_;
  int epoll_;
  bool again_ = false;  ///< closed loop: an answer is followed by the next request
  Clock::time_point deadline_, last_answer_;
  std::size_t in_time_ = 0;
  LoadResult result_;
};

Generator::Generator(const Load& load)
    : load_(load), connections_(load.connections), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  const std::string head = request_head("POST", load.target, load.authorization, load.body.size());
  std::ranges::copy(std::as_bytes(std::span(head)), std::back_inserter(request_));
  request_.insert(request_.end(), load.body.begin(), load.body.end());
  for (Connection& connection : connections_) {
    connection.fd = connect_to(load.port);
    ::fcntl(connection.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    idle_.push_back(&connection);
  }
}

Generator::~Generator() {
  for (const Connection& connection : connections_) ::close(connection.fd);
  ::close(epoll_);
}

void Generator::begin(Connection& connection, Clock::time_point due) {
  connection.busy = true;
  connection.sent = connection.have = 0;
  connection.head.reset();
  connection.due = due;
  send_more(connection);
}

void Generator::send_more(Connection& connection) {
  while (connection.busy && connection.sent < request_.size()) {
    const ssize_t sent =
        ::send(connection.fd, request_.data() + connection.sent, request_.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) throw Failure(fmt::format("cannot send: {}", std::strerror(errno)));
    connection.sent += static_cast<std::size_t>(sent);
  }
}

void Generator::receive_more(Connection& connection) {
  while (true) {
    std::vector<std::byte>& in = connection.received;
    const ssize_t got = ::recv(connection.fd, in.data() + connection.have, in.size() - connection.have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) throw Failure(fmt::format("cannot receive: {}", std::strerror(errno)));
    if (got == 0) throw Failure("the server closed a connection");
    connection.have += static_cast<std::size_t>(got);
    if (!connection.head) connection.head = parse_reply_head({reinterpret_cast<char*>(in.data()), connection.have});
    if (!connection.head) continue;
    if (!connection.head->body_bytes) throw Failure("the load generator takes no answers in chunks");
    const std::size_t whole = connection.head->bytes + *connection.head->body_bytes;
    if (in.size() <= whole) in.resize(whole + 1);  // never full: an empty receive would look like the end
    if (connection.have > whole || !connection.busy) throw Failure("the server sent more than its answer");
    if (connection.have == whole) finish(connection);
  }
}

void Generator::judge(const Connection& connection) {
  const auto body = std::span(connection.received).subspan(connection.head->bytes, *connection.head->body_bytes);
  if (connection.head->status != 200)
    result_.wrong = fmt::format("an answer has status {}", connection.head->status);
  else if (body.size() != load_.expected.size())
    result_.wrong = fmt::format("an answer has {} bytes, not {}", body.size(), load_.expected.size());
  else if (result_.latencies_ms.size() % k_compare_each == 0 && !std::ranges::equal(body, load_.expected))
    result_.wrong = "the bytes of an answer differ";
}

void Generator::finish(Connection& connection) {
  last_answer_ = Clock::now();
  if (result_.wrong.empty()) judge(connection);
  result_.latencies_ms.push_back(std::chrono::duration<double, std::milli>(last_answer_ - connection.due).count());
  if (again_ || last_answer_ <= deadline_) ++in_time_;
  connection.busy = false;
  if (!line_.empty()) {
    const auto due = line_.front();
    line_.pop_front();
    begin(connection, due);
  } else if (again_) {
    begin(connection, last_answer_);
  } else {
    idle_.push_back(&connection);
  }
}

void Generator::serve(Clock::time_point until) {
  const auto left = std::max<std::chrono::nanoseconds>(until - Clock::now(), std::chrono::nanoseconds(0));
  const timespec wait{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
  std::array<epoll_event, 64> events{};
  const int ready = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (ready < 0 && errno != EINTR) throw Failure(fmt::format("cannot wait: {}", std::strerror(errno)));
  for (int i = 0; i < ready; ++i) {
    auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
    receive_more(connection);
    send_more(connection);
  }
}

void Generator::serve_or_give_up(Clock::time_point since) {
  serve(Clock::now() + std::chrono::milliseconds(100));
  if (Clock::now() - since > k_answer_patience) throw Failure("no answer came for ten seconds");
}

void Generator::drain() {
  last_answer_ = Clock::now();
  while (idle_.size() < connections_.size()) serve_or_give_up(last_answer_);
}

LoadResult Generator::run_closed(double seconds) {
  const auto started = Clock::now();
  deadline_ = started + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  again_ = true;
  for (Connection* const connection : std::exchange(idle_, {})) begin(*connection, Clock::now());
  while (Clock::now() < deadline_) serve(deadline_);
  // A busy machine may not have answered once by then: a rate is of something.
  while (in_time_ == 0) serve_or_give_up(started);
  const std::size_t answers = in_time_;
  const Seconds took = Clock::now() - started;
  again_ = false;
  drain();
  result_.per_second = static_cast<double>(answers) / took.count();
  return std::move(result_);
}

LoadResult Generator::run_open(double per_second, double seconds) {
  const auto count = static_cast<std::size_t>(std::max(1.0, std::round(per_second * seconds)));
  const auto started = Clock::now();
  const auto due_of = [&](std::size_t i) {
    return started + std::chrono::duration_cast<Clock::duration>(Seconds(static_cast<double>(i) / per_second));
  };
  deadline_ = due_of(count);
  for (std::size_t next = 0; next < count;) {
    for (; next < count && due_of(next) <= Clock::now(); ++next) {
      if (idle_.empty()) {
        line_.push_back(due_of(next));
        continue;
      }
      Connection& connection = *idle_.back();
      idle_.pop_back();
      begin(connection, due_of(next));
    }
    serve(next < count ? due_of(next) : Clock::now());
  }
  drain();
  result_.per_second = static_cast<double>(in_time_) / seconds;
  return std::move(result_);
}

}  // namespace

LoadResult closed_loop(const Load& load, double seconds) { return Generator(load).run_closed(seconds); }

LoadResult open_loop(const Load& load, double per_second, double seconds) {
  const Punctual punctual(load.punctual);
  return Generator(load).run_open(per_second, seconds);
}

}  // namespace histod::bench
