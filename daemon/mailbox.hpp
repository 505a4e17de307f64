// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace histod::daemon {

/// The one way for work to cross threads: a bounded queue of closures with one reader, which sleeps on `fd()`, or comes
/// by of itself. A closure that captures up to two pointers costs no allocation.
class Mailbox {
 public:
  using Message = std::move_only_function<void()>;

  /// `capacity`: how many messages may wait; the creator writes it as a sum, one line a reason. Of it, `reserved` is
  /// room that only complete() takes: without it whoever posts could fill the box and leave a completion no place.
  /// Throws std::system_error where there is no fd to be had.
  explicit Mailbox(std::size_t capacity, std::size_t reserved = 0);
  /// Without an fd: the reader looks now and then.
  struct Unwatched {};
  Mailbox(std::size_t capacity, Unwatched);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Any thread. False, and the message is left alone, when the box is full but for the reserved room.
  [[nodiscard]] bool post(Message&& message);
  /// Any thread. For completions, for which room was reserved in the capacity: a full box is a bug (asserted).
  void complete(Message&& message);
  /// Any thread. post() fails from now on; what waits can still be drained.
  void close();
  /// The reader's thread: runs what is waiting, in order; returns how many. Messages posted meanwhile wait.
  std::size_t drain();
  /// An eventfd, readable while messages wait. The reader polls it; drain() resets it. -1: Unwatched.
  int fd() const { return event_fd_; }

 private:
  bool push(Message& message, std::size_t room);  ///< with the mutex held

  const std::size_t reserved_;
  std::mutex mutex_;
  std::vector<Message> ring_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
  bool closed_ = false;
  int event_fd_ = -1;
};

}  // namespace histod::daemon
