// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/line_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace {

constexpr std::size_t k_read_bytes = 64u << 10;

}  // namespace

LineSource::~LineSource() {
  if (fd_ > 0) ::close(fd_);
}

Result<void> LineSource::open(const std::string& path) {
  if (path.empty() || path == "-") return {};
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) return fail(Exit::usage, fmt::format("{}: cannot read: {}", one_line(path), std::strerror(errno)));
  return {};
}

bool LineSource::take_line(std::string& line) {
  const std::size_t newline = buffer_.find('\n', searched_);
  if (newline == std::string::npos && !(ended_ && begin_ < buffer_.size())) {
    searched_ = buffer_.size();
    return false;
  }
  const std::size_t end = newline == std::string::npos ? buffer_.size() : newline;
  line.assign(buffer_, begin_, end - begin_);
  begin_ = searched_ = std::min(end + 1, buffer_.size());
  return true;
}

Result<void> LineSource::wait_and_read(std::optional<Clock::time_point> until) {
  int wait_ms = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now()).count();
    wait_ms = static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
  }
  pollfd watched[] = {{fd_, POLLIN, 0}, {wake_fd(), POLLIN, 0}};
  const int ready = ::poll(watched, 2, wait_ms);
  if (interrupted()) return fail(Exit::interrupted, "interrupted");
  if (ready <= 0 || watched[0].revents == 0) return {};
  buffer_.erase(0, begin_);
  begin_ = 0;
  if (buffer_.size() > line_bytes_max_) {
    buffer_.resize(line_bytes_max_ + 1);
    dropping_ = true;
  }
  const std::size_t had = searched_ = buffer_.size();
  buffer_.resize(had + k_read_bytes);
  const ssize_t got = ::read(fd_, buffer_.data() + had, k_read_bytes);
  buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && errno != EINTR && errno != EAGAIN) {
    return fail(Exit::some_failed, fmt::format("the input cannot be read: {}", std::strerror(errno)));
  }
  if (got == 0) ended_ = true;
  if (dropping_) {
    const std::size_t newline = std::min(buffer_.find('\n', had), buffer_.size());
    dropping_ = newline == buffer_.size();
    buffer_.erase(had, newline - had);
  }
  return {};
}

Result<LineSource::Got> LineSource::next(std::string& line, std::optional<Clock::time_point> until) {
  while (!take_line(line)) {
    if (ended_) return Got::end;
    if (until && Clock::now() >= *until) return Got::idle;
    if (const auto read = wait_and_read(until); !read) return std::unexpected(read.error());
  }
  return Got::line;
}

}  // namespace histod::ctl
