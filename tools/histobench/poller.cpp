// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/poller.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"

namespace histod::bench {

namespace {

[[noreturn]] void fail_with_errno(std::string_view what) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) fail_with_errno("there is no epoll");
}

Poller::~Poller() { ::close(epoll_); }

void Poller::watch(int fd, std::uint32_t events, Client& client) {
  epoll_event event{.events = events, .data = {.ptr = &client}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) return;
  if (errno != EEXIST || ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) fail_with_errno("cannot watch a socket");
}

void Poller::forget(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Poller::serve(Clock::time_point until) {
  const auto left = std::max<std::chrono::nanoseconds>(until - Clock::now(), std::chrono::nanoseconds(0));
  const timespec wait{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
  std::array<epoll_event, 256> events{};
  const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (count < 0 && errno != EINTR) fail_with_errno("cannot wait");
  for (int i = 0; i < count; ++i) static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr)->ready();
}

int begin_connecting(std::uint16_t port, int receive_buffer_bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail_with_errno("cannot open a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer_bytes > 0)
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    errno = error;
    fail_with_errno("cannot connect");
  }
  return fd;
}

void send_some(int fd, std::string& out) {
  while (!out.empty()) {
    const ssize_t sent = ::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (sent < 0) fail_with_errno("cannot send");
    out.erase(0, static_cast<std::size_t>(sent));
  }
}

AskLine::~AskLine() { hang_up(); }

void AskLine::hang_up() {
  if (fd_ < 0) return;
  poller_.forget(fd_);
  ::close(std::exchange(fd_, -1));
}

void AskLine::ask(std::string request, Answered answered) {
  if (fd_ < 0) fd_ = begin_connecting(port_);
  line_.push_back({std::move(request), std::move(answered)});
  if (line_.size() == 1) send();
}

void AskLine::send() {
  send_some(fd_, line_.front().request);
  poller_.watch(fd_, line_.front().request.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, *this);
}

/// False: it is not whole.
bool AskLine::take_answer() {
  const auto head = parse_reply_head(received_);
  if (!head) return false;
  if (!head->body_bytes) throw Failure("no answer in chunks is expected");
  const std::size_t whole = head->bytes + *head->body_bytes;
  if (received_.size() < whole) return false;
  const Question question = std::move(line_.front());
  line_.pop_front();
  const std::string answer = std::exchange(received_, received_.substr(whole));
  question.answered(head->status, std::string_view(answer).substr(head->bytes, whole - head->bytes));
  return true;
}

void AskLine::ready() {
  std::array<char, 65'536> some;
  const ssize_t got = ::recv(fd_, some.data(), some.size(), 0);
  if (got < 0 && errno != EAGAIN) fail_with_errno("cannot receive");
  if (got == 0 && line_.empty()) return hang_up();  // it may: nothing was asked for long
  if (got == 0) throw Failure("the server closed the connection without an answer");
  if (got > 0) received_.append(some.data(), static_cast<std::size_t>(got));
  const bool answered = !received_.empty() && !line_.empty() && take_answer();
  if (!received_.empty() && line_.empty()) throw Failure("the server sent more than its answers");
  if (!line_.empty() && (answered || !line_.front().request.empty())) send();
}

}  // namespace histod::bench
