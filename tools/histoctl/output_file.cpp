// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/output_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace {

constexpr std::string_view k_exists = "exists already (--overwrite replaces it)";

int rename_to(const std::string& from, const std::string& to, bool overwrite) {
  if (overwrite) return ::rename(from.c_str(), to.c_str());
  const int renamed = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (renamed == 0 || (errno != EINVAL && errno != ENOSYS)) return renamed;
  // A file system without RENAME_NOREPLACE: link() refuses an existing name too.
  if (::link(from.c_str(), to.c_str()) != 0) return -1;
  return ::unlink(from.c_str());
}

}  // namespace

OutputFile::OutputFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  temporary_ = std::exchange(other.temporary_, {});
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

OutputFile::~OutputFile() { discard(); }

void OutputFile::discard() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  fd_ = -1;
  temporary_.clear();
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  const std::filesystem::path target(path);
  const std::filesystem::path hidden = "." + target.filename().string() + ".histoctl-XXXXXX";
  std::string temporary = (target.parent_path() / hidden).string();
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return fail(Exit::some_failed, fmt::format("cannot create {}: {}", path, std::strerror(errno)));
  // mkostemp makes it 0600; the umask is what the user wants for new files.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
  return OutputFile(path, std::move(temporary), fd);
}

Result<void> OutputFile::commit(bool overwrite) {
  if (::fsync(fd_) != 0 && errno != EINVAL) {
    return fail(Exit::some_failed, fmt::format("cannot write {}: {}", path_, std::strerror(errno)));
  }
  if (rename_to(temporary_, path_, overwrite) != 0) {
    if (errno == EEXIST) return fail(Exit::some_failed, fmt::format("{} {}", path_, k_exists));
    return fail(Exit::some_failed, fmt::format("cannot name {}: {}", path_, std::strerror(errno)));
  }
  temporary_.clear();
  return {};
}

Result<void> write_standard_output(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR && !interrupted()) continue;
    if (written < 0) {
      return fail(Exit::some_failed, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> read_standard_input() {
  std::string data;
  char buffer[64 << 10];
  for (;;) {
    // A signal between a check and the read would be missed by the read alone; the poll sees it.
    pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {wake_fd(), POLLIN, 0}};
    ::poll(ready, 2, -1);
    if (interrupted()) return fail(Exit::interrupted, "interrupted");
    if (ready[0].revents == 0) continue;
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Exit::some_failed, fmt::format("cannot read: {}", std::strerror(errno)));
    if (got == 0) return data;
    data.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace histod::ctl
