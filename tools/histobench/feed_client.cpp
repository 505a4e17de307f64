// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/feed_client.hpp"

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::size_t k_opening_max = 64, k_answer_bytes_max = 16 * 1024, k_received_bytes = 256 * 1024;
constexpr std::chrono::seconds k_silence_max{30};
constexpr std::string_view k_goodbye("\x03\xe8", 2);  // 1000

}  // namespace

class FeedReaders::Reader final : public Poller::Client {
 public:
  Reader(FeedReaders& all, const Group& group, std::size_t index)
      : all_(all), group_(group), index_(index), fd_(begin_connecting(all.port_, group.receive_buffer_bytes)) {
    out_ = websocket_request(group_.target, all_.authorization_, key_);
    watch();
  }
  ~Reader() { leave(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string name() const { return fmt::format("{} reader {}", group_.name, index_); }

  void ready() override {
    try {
      if (!out_.empty()) send();
      receive();
    } catch (const Failure& failure) {
      end(failure.what());
    }
  }

  void say_goodbye() {
    if (fd_ < 0) return;
    if (group_.deaf) return end({});
    try {
      out_ += client_frame(Opcode::close, k_goodbye, std::random_device()());
      send();
    } catch (const Failure& failure) {
      end(failure.what());
    }
  }

 private:
  void watch() { all_.poller_.watch(fd_, out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, *this); }

  void send() {
    const bool waited = !out_.empty();
    send_some(fd_, out_);
    if (waited) watch();
  }

  void receive() {
    const ssize_t got = ::recv(fd_, all_.received_.data(), all_.received_.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (got < 0) return end(std::strerror(errno));
    if (got == 0) return end("the server closed the connection");
    const std::string_view bytes(all_.received_.data(), static_cast<std::size_t>(got));
    if (shaken_) return take(bytes);
    answer_ += bytes;
    const std::size_t head = answer_.find("\r\n\r\n");
    if (head == std::string::npos && answer_.size() < k_answer_bytes_max) return;
    if (std::string refusal = websocket_refusal(answer_, key_); !refusal.empty()) return end(refusal);
    shaken_ = true;
    key_ = {};
    const std::string answer = std::exchange(answer_, {});
    take(std::string_view(answer).substr(head + 4));
  }

  void take(std::string_view bytes) {
    frames_.take(bytes, [this](Opcode opcode, std::string_view payload) { told(opcode, payload); });
  }

  void told(Opcode opcode, std::string_view payload) {
    if (fd_ < 0) return;
    switch (opcode) {
      case Opcode::text:
        if (!greeted_) return greet(payload);
        if (!group_.deaf) group_.told(index_, payload);
        return;
      case Opcode::ping:
        ++all_.pings_;
        out_ += client_frame(Opcode::pong, payload, std::random_device()());
        return send();
      case Opcode::close:
        return end(payload.size() < 2 ? std::string("it was closed")
                                      : fmt::format("it was closed with {}: {}",
                                                    static_cast<unsigned char>(payload[0]) * 256 +
                                                        static_cast<unsigned char>(payload[1]),
                                                    payload.substr(2)));
      default:
        return end("the server sent something else than text");
    }
  }

  void greet(std::string_view payload) {
    if (!payload.starts_with("{\"hello\":")) return end("the first message is no hello");
    greeted_ = true;
    --all_.opening_;
    ++all_.open_;
    if (group_.deaf) all_.poller_.forget(fd_);
  }

  void end(std::string_view what) {
    if (fd_ < 0) return;
    if (!all_.closing_) all_.fail(*this, what);
    --(greeted_ ? all_.open_ : all_.opening_);
    leave();
  }

  void leave() {
    if (fd_ < 0) return;
    all_.poller_.forget(fd_);
    ::close(std::exchange(fd_, -1));
  }

  FeedReaders& all_;
  const Group& group_;
  const std::size_t index_;
  int fd_;
  std::string key_ = websocket_key(), answer_, out_;
  bool shaken_ = false, greeted_ = false;
  MessageReader frames_;
};

FeedReaders::FeedReaders(Poller& poller, std::uint16_t port, std::string authorization)
    : poller_(poller), port_(port), authorization_(std::move(authorization)), received_(k_received_bytes) {}

FeedReaders::~FeedReaders() = default;

void FeedReaders::fail(const Reader& reader, std::string_view what) {
  if (wrong_.empty()) wrong_ = fmt::format("{}: {}", reader.name(), what);
}

/// Until `count` is no more than that, or there is something wrong.
void FeedReaders::wait_for(std::size_t& count, std::size_t most, std::string_view what) {
  auto since = Poller::Clock::now();
  for (std::size_t before = count; count > most && (closing_ || wrong_.empty());) {
    poller_.serve(Poller::Clock::now() + std::chrono::milliseconds(100));
    if (std::exchange(before, count) != count) since = Poller::Clock::now();
    if (Poller::Clock::now() - since > k_silence_max)
      throw Failure(fmt::format("{} readers {} for {} seconds", count, what, k_silence_max.count()));
  }
}

void FeedReaders::open(Group group, std::size_t count) {
  const Group& shared = groups_.emplace_back(std::move(group));
  for (std::size_t i = 0; i < count; ++i) {
    wait_for(opening_, k_opening_max - 1, "wait for their hello");
    ++opening_;
    readers_.emplace_back(*this, shared, i);
    if (!wrong_.empty()) break;
  }
  wait_for(opening_, 0, "wait for their hello");
  if (!wrong_.empty()) throw Failure(wrong_);
}

void FeedReaders::close() {
  closing_ = true;
  for (Reader& reader : readers_) reader.say_goodbye();
  wait_for(open_, 0, "wait for the end of their connection");
}

}  // namespace histod::bench
