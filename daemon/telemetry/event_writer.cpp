// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/event_writer.hpp"

#include <utility>

#include <pthread.h>

namespace histod::daemon::telemetry {

EventWriter::EventWriter(EventLog log, const Options& options, std::function<void(std::error_code)> failed)
    : log_(std::move(log)), options_(options), failed_(std::move(failed)), thread_([this] { main(); }) {}

EventWriter::~EventWriter() { stop(); }

void EventWriter::offer(LogEntry entry) {
  const std::uint64_t bytes = entry.event ? entry.event->bytes() : 0;
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= options_.waiting_max || waiting_bytes_ + bytes > options_.waiting_bytes_max || stopping_) {
    ++counts_.failed;
    return;
  }
  waiting_bytes_ += bytes;
  waiting_.push_back(std::move(entry));
  offered_.notify_one();
}

void EventWriter::main() {
  ::pthread_setname_np(::pthread_self(), "histod-events");
  std::unique_lock lock(mutex_);
  while (true) {
    offered_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::vector<LogEntry> batch = std::exchange(waiting_, {});
    waiting_bytes_ = 0;
    writing_ = true;
    lock.unlock();
    const auto written = log_.append(batch);
    if (!written) failed_(written.error());
    lock.lock();
    writing_ = false;
    (written ? counts_.written : counts_.failed) += batch.size();
    if (waiting_.empty()) idle_.notify_all();
    // A disk that is full is not asked for each event.
    if (!written) offered_.wait_for(lock, options_.pause, [this] { return stopping_; });
  }
}

void EventWriter::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return waiting_.empty() && !writing_; });
}

void EventWriter::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    offered_.notify_one();
  }
  thread_.join();
}

EventWriter::Counts EventWriter::counts() const {
  const std::lock_guard lock(mutex_);
  Counts out = counts_;
  out.waiting = waiting_.size();
  return out;
}

}  // namespace histod::daemon::telemetry
