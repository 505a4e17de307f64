// SPDX-License-Identifier: Apache-2.0
#include "daemon/mailbox.hpp"

#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace histod::daemon {

Mailbox::Mailbox(std::size_t capacity, std::size_t reserved)
    : reserved_(reserved), ring_(capacity), event_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(capacity > reserved);
  if (event_fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
}

Mailbox::Mailbox(std::size_t capacity, Unwatched) : reserved_(0), ring_(capacity) { assert(capacity > 0); }

Mailbox::~Mailbox() {
  if (event_fd_ >= 0) ::close(event_fd_);
}

bool Mailbox::push(Message& message, std::size_t room) {
  if (count_ >= room) return false;
  ring_[(head_ + count_) % ring_.size()] = std::move(message);
  // Only the first message wakes the reader: it takes all that are there when it comes.
  if (count_++ == 0 && event_fd_ >= 0) ::eventfd_write(event_fd_, 1);
  return true;
}

bool Mailbox::post(Message&& message) {
  const std::lock_guard lock(mutex_);
  return !closed_ && push(message, ring_.size() - reserved_);
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void Mailbox::complete(Message&& message) {
  const std::lock_guard lock(mutex_);
  const bool pushed = push(message, ring_.size());
  assert(pushed);
}

std::size_t Mailbox::drain() {
  std::size_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    waiting = count_;
  }
  for (std::size_t i = 0; i < waiting; ++i) {
    Message message;
    {
      const std::lock_guard lock(mutex_);
      message = std::move(ring_[head_]);
      ring_[head_] = nullptr;
      head_ = (head_ + 1) % ring_.size();
      // The wake-up is reset with the last message, and set again when others came meanwhile.
      if (--count_ == 0 && event_fd_ >= 0) {
        eventfd_t value = 0;
        ::eventfd_read(event_fd_, &value);
      }
    }
    message();
  }
  return waiting;
}

}  // namespace histod::daemon
