// SPDX-License-Identifier: Apache-2.0
#include <cassert>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/jobs/disk.hpp"

namespace histod::daemon::jobs {
namespace {

std::unexpected<std::error_code> failed(int error = errno) {
  return std::unexpected(std::error_code(error, std::system_category()));
}

DiskResult<void> checked(int result) {
  if (result != 0) return failed();
  return {};
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

class PosixFile final : public DiskFile {
 public:
  explicit PosixFile(Fd fd) : fd_(std::move(fd)) {}

  DiskResult<void> write(Bytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed();
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  DiskResult<void> sync() override { return checked(::fsync(fd_.get())); }

 private:
  Fd fd_;
};

class PosixDisk final : public Disk {
 public:
  PosixDisk(Fd root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  DiskResult<void> make_directory(const std::string& path) override {
    return checked(::mkdirat(root_.get(), path.c_str(), 0700));
  }
  DiskResult<std::unique_ptr<DiskFile>> create_file(const std::string& path) override {
    Fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (!fd) return failed();
    return std::make_unique<PosixFile>(std::move(fd));
  }
  DiskResult<void> sync_directory(const std::string& path) override {
    const Fd fd = open(path, O_RDONLY | O_DIRECTORY);
    if (!fd) return failed();
    return checked(::fsync(fd.get()));
  }
  DiskResult<void> rename(const std::string& from, const std::string& to) override {
    return checked(::renameat(root_.get(), from.c_str(), root_.get(), to.c_str()));
  }
  DiskResult<std::uint64_t> file_bytes(const std::string& path) override {
    struct stat status{};
    if (::fstatat(root_.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return failed();
    if (!S_ISREG(status.st_mode)) return failed(EINVAL);
    return static_cast<std::uint64_t>(status.st_size);
  }
  DiskResult<void> read_file(const std::string& path, std::span<std::byte> into) override;
  DiskResult<std::vector<DiskEntry>> list(const std::string& path) override;
  DiskResult<void> remove_file(const std::string& path) override {
    return checked(::unlinkat(root_.get(), path.c_str(), 0));
  }
  DiskResult<void> remove_directory(const std::string& path) override {
    return checked(::unlinkat(root_.get(), path.c_str(), AT_REMOVEDIR));
  }
  DiskResult<std::uint64_t> free_bytes() override {
    struct statvfs space{};
    if (::fstatvfs(root_.get(), &space) != 0) return failed();
    return std::uint64_t{space.f_bavail} * space.f_frsize;
  }

 private:
  Fd open(const std::string& path, int flags) const {
    return Fd(::openat(root_.get(), path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  }
  bool is_directory(int folder, const dirent& entry) const {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    struct stat status{};
    return ::fstatat(folder, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
  }
  Fd root_, lock_;
};

DiskResult<void> PosixDisk::read_file(const std::string& path, std::span<std::byte> into) {
  const Fd fd = open(path, O_RDONLY);
  if (!fd) return failed();
  while (!into.empty()) {
    const ssize_t n = ::read(fd.get(), into.data(), into.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed();
    if (n == 0) return failed(EIO);  // shorter than it was said to be
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

DiskResult<std::vector<DiskEntry>> PosixDisk::list(const std::string& path) {
  Fd fd = open(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return failed();
  struct Close {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder(::fdopendir(fd.get()));
  if (!folder) return failed();
  const int number = fd.release();
  std::vector<DiskEntry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") entries.push_back({std::string(name), is_directory(number, *entry)});
    errno = 0;
  }
  if (errno != 0) return failed();
  return entries;
}

}  // namespace

DiskResult<std::unique_ptr<Disk>> open_posix_disk(const std::string& root) {
  const bool made = ::mkdir(root.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return failed();
  Fd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return failed();
  if (made) {
    const Fd parent(::openat(folder.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || ::fsync(parent.get()) != 0) return failed();
  }
  Fd lock(::openat(folder.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return failed();
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return failed(errno == EWOULDBLOCK ? EBUSY : errno);
  return std::make_unique<PosixDisk>(std::move(folder), std::move(lock));
}

}  // namespace histod::daemon::jobs
