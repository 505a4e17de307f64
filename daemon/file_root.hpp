// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "daemon/jobs/outcome.hpp"

/// Files on shared volumes: directories that the operator names, and nothing outside of them. What is below a root may
/// be anybody's work, so every path is resolved by the kernel beneath the root's descriptor, and no link is followed.
/// All of it blocks: SharedFiles calls it from a thread of its own.
namespace histod::daemon {

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// ROOT/PATH. Parts of the path are names: not empty, not "." or "..".
struct FileName {
  std::string root;
  std::string path;  ///< ends with '/' or is empty: a directory
  bool is_directory() const { return path.empty() || path.ends_with('/'); }
  std::string text() const { return root + '/' + path; }
  bool operator==(const FileName&) const = default;
};

/// Takes "file:ROOT/PATH" as well; a directory only with a '/' at its end, or as ROOT alone. 400 for what is none.
jobs::Outcome<FileName> parse_file_name(std::string_view text);

struct FileRootOption {
  std::string name, folder;
  bool writable = false;
};
/// "NAME=DIR,NAME=DIR:rw". The error is a clause without the option's name.
std::expected<std::vector<FileRootOption>, std::string> parse_file_roots(std::string_view text);

/// An open file and what it was when it was opened.
struct SourceFile {
  FileName name;
  UniqueFd fd;
  struct stat status{};
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(status.st_size); }
};

struct ResultFile {
  FileName name;
  std::span<const std::byte> bytes;  ///< stay until it is written
  std::string temporary;             ///< the name, in the same directory, under which it is written first
  std::string ours_sha256;           ///< of what this job wrote there before: that may be replaced
  bool overwrite = false;            ///< anything may be
};

class FileRoot {
 public:
  /// Called with each piece that is read or written: it goes on.
  using Progress = std::function<void()>;

  /// The error is one sentence.
  static std::expected<FileRoot, std::string> open(const FileRootOption& option);

  const std::string& name() const { return name_; }
  bool writable() const { return writable_; }

  /// A regular file that is not empty. 404: there is none; 422: a link is in the way, or it is something else.
  jobs::Outcome<SourceFile> open_source(const FileName& name) const;
  /// Fills `into`, which has as many bytes as the file. 409: it has changed since it was opened.
  static jobs::Outcome<void> read(const SourceFile& source, std::span<std::byte> into, const Progress& progress);
  /// Whether a result could be written there; gives a directory's name its '/'. 403: nothing is written in this root.
  jobs::Outcome<FileName> check_target(FileName name) const;
  /// Writes the file under its name at once, and returns when it is on the disk: its SHA-256. What is there already is
  /// left alone, unless it has the same bytes, was written for this job before, or may be overwritten: else 409.
  jobs::Outcome<std::string> write(const ResultFile& result, const Progress& progress) const;

 private:
  FileRoot(std::string name, UniqueFd folder, bool writable)
      : name_(std::move(name)), folder_(std::move(folder)), writable_(writable) {}
  jobs::Outcome<UniqueFd> open_beneath(const FileName& name, int flags) const;
  jobs::Outcome<UniqueFd> open_parent(const FileName& name) const;

  std::string name_;
  UniqueFd folder_;
  bool writable_;
};

}  // namespace histod::daemon
