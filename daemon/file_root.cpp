// SPDX-License-Identifier: Apache-2.0
#include "daemon/file_root.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/paths.hpp"
#include "daemon/jobs/digest.hpp"

namespace histod::daemon {

using jobs::Outcome;
using jobs::problem;

namespace {

constexpr std::size_t k_path_bytes_max = 1'024, k_part_bytes_max = 255, k_roots_max = 64;
constexpr std::size_t k_piece_bytes = 1u << 20;
constexpr int k_open_tries = 8;
constexpr std::string_view k_scheme = "file:", k_writable = ":rw";

std::unexpected<api::Problem> bad_name(std::string_view what) {
  return std::unexpected(problem(400, "bad-option", fmt::format("the name of a file {}", what)));
}

std::unexpected<api::Problem> refused(const FileName& name, std::string_view why) {
  return std::unexpected(problem(422, "file-refused", fmt::format("{}: {}", name.text(), why)));
}

std::unexpected<api::Problem> missing(const FileName& name) {
  return std::unexpected(problem(404, "not-found", fmt::format("{}: there is no such file", name.text())));
}

std::unexpected<api::Problem> failed(const FileName& name, std::string_view doing, int error = errno) {
  return std::unexpected(problem(503, "file-failed",
                                 fmt::format("{}: {}: {}", name.text(), doing, std::system_category().message(error))));
}

std::unexpected<api::Problem> changed(const FileName& name) {
  return std::unexpected(
      problem(409, "file-changed", fmt::format("{}: it was changed while it was read", name.text())));
}

std::unexpected<api::Problem> not_opened(const FileName& name, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return missing(name);
    case ELOOP:
      return refused(name, "a symbolic link is in the way, and none is followed");
    case EXDEV:
      return refused(name, "it leads out of its root");
    case EACCES:
    case EPERM:
      return refused(name, "this daemon may not open it");
    case ENXIO:  // of a socket, or a device that is not there
      return refused(name, "it is no regular file");
    case ENAMETOOLONG:
      return bad_name("is longer than its volume takes");
    default:
      return failed(name, "opening it", error);
  }
}

bool is_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.size() <= k_part_bytes_max;
}

int open_beneath_once(int folder, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
}

/// A rename beside it makes the kernel give up now and then: EAGAIN.
int open_beneath_at(int folder, const char* path, int flags) {
  int fd = -1;
  for (int i = 0; i < k_open_tries; ++i) {
    fd = open_beneath_once(folder, path, flags);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

bool same_file(const struct stat& a, const struct stat& b) {
  const auto same_time = [](const timespec& x, const timespec& y) {
    return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
  };
  return a.st_size == b.st_size && same_time(a.st_mtim, b.st_mtim) && same_time(a.st_ctim, b.st_ctim);
}

/// As read(2), but begins again when a signal came.
ssize_t read_some(int fd, std::span<std::byte> into) {
  ssize_t got = 0;
  do {
    got = ::read(fd, into.data(), std::min(into.size(), k_piece_bytes));
  } while (got < 0 && errno == EINTR);
  return got;
}

/// Of the regular file `name` in that directory; empty for anything else that is there. None: it is gone.
Outcome<std::optional<std::string>> digest_at(int folder, const FileName& shown, const std::string& name,
                                              const FileRoot::Progress& progress) {
  const UniqueFd fd(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::string();
  jobs::Sha256 digest;
  std::vector<std::byte> piece(k_piece_bytes);
  ssize_t got = 0;
  while ((got = read_some(fd.get(), piece)) > 0) {
    digest.update(std::span(piece).first(static_cast<std::size_t>(got)));
    progress();
  }
  if (got < 0) return failed(shown, "reading what is there");
  return jobs::hex(digest.finish());
}

Outcome<void> write_all(const FileName& name, int fd, std::span<const std::byte> bytes,
                        const FileRoot::Progress& progress) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), std::min(bytes.size(), k_piece_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed(name, "writing the result");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    progress();
  }
  if (::fsync(fd) != 0) return failed(name, "writing the result");
  return {};
}

/// 0, or the error: EEXIST when there is a file of that name. Volumes that know no such renaming know hard links.
int rename_new(int folder, const char* from, const char* to) {
  if (::renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::linkat(folder, from, folder, to, 0) != 0) return errno;
  return ::unlinkat(folder, from, 0) == 0 ? 0 : errno;
}

/// A file that is written under another name first, which is gone at the end.
class Temporary {
 public:
  Temporary(int folder, std::string name) : folder_(folder), name_(std::move(name)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { ::unlinkat(folder_, name_.c_str(), 0); }

  /// One that was left by an attempt that did not end goes first.
  UniqueFd create() const {
    constexpr int k_flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd(::openat(folder_, name_.c_str(), k_flags, 0666));
    if (fd || errno != EEXIST) return fd;
    ::unlinkat(folder_, name_.c_str(), 0);
    return UniqueFd(::openat(folder_, name_.c_str(), k_flags, 0666));
  }
  const char* name() const { return name_.c_str(); }

 private:
  int folder_;
  std::string name_;
};

/// The written file gets its name, if that is free or what is there may go.
Outcome<void> put_in_place(int folder, const Temporary& written, const ResultFile& result, const std::string& sha256,
                           const FileRoot::Progress& progress) {
  const std::string leaf = result.name.path.substr(result.name.path.rfind('/') + 1);
  const auto replace = [&]() -> Outcome<void> {
    if (::renameat(folder, written.name(), folder, leaf.c_str()) != 0) return failed(result.name, "naming the result");
    return {};
  };
  if (result.overwrite) return replace();
  for (int i = 0; i < k_open_tries; ++i) {
    const int error = rename_new(folder, written.name(), leaf.c_str());
    if (error == 0) return {};
    if (error != EEXIST) return failed(result.name, "naming the result", error);
    const auto there = digest_at(folder, result.name, leaf, progress);
    if (!there) return std::unexpected(there.error());
    if (!*there) continue;
    if (**there == sha256) return {};
    if (!result.ours_sha256.empty() && **there == result.ours_sha256) return replace();
    break;
  }
  return std::unexpected(
      problem(409, "file-exists",
              fmt::format("{}: another file is there, and overwrite=true was not given", result.name.text())));
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Outcome<FileName> parse_file_name(std::string_view text) {
  if (text.starts_with(k_scheme)) text.remove_prefix(k_scheme.size());
  if (text.size() > k_path_bytes_max) return bad_name(fmt::format("has at most {} bytes", k_path_bytes_max));
  if (text.starts_with('/')) return bad_name("is ROOT/PATH, ROOT being one of --file-root, and never begins with a /");
  if (std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return bad_name("has no control characters");
  if (api::valid_utf8(text) != text) return bad_name("is UTF-8");
  const std::size_t slash = std::min(text.find('/'), text.size());
  FileName name{std::string(text.substr(0, slash)), std::string(text.substr(std::min(slash + 1, text.size())))};
  if (!control::is_name(name.root)) return bad_name("begins with the name of a --file-root");
  for (std::string_view rest = name.path; !rest.empty();) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    if (!is_part(rest.substr(0, end)))
      return bad_name(fmt::format("has parts of 1 to {} bytes, of which none is . or ..", k_part_bytes_max));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return name;
}

std::expected<std::vector<FileRootOption>, std::string> parse_file_roots(std::string_view text) {
  std::vector<FileRootOption> roots;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view entry = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const auto wrong = [&](std::string_view what) {
      return std::unexpected(fmt::format("{}, not \"{}\"", what, entry));
    };
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) return wrong("takes NAME=DIR or NAME=DIR:rw");
    std::string_view folder = entry.substr(equals + 1);
    const bool writable = folder.ends_with(k_writable);
    if (writable) folder.remove_suffix(k_writable.size());
    FileRootOption root{std::string(entry.substr(0, equals)), std::string(folder), writable};
    if (!control::is_name(root.name))
      return wrong("takes as NAME 1 to 64 of letters, digits, dot, dash and underscore");
    if (!folder.starts_with('/')) return wrong("takes as DIR a path from / on");
    if (std::ranges::find(roots, root.name, &FileRootOption::name) != roots.end()) return wrong("has a name twice");
    if (roots.size() == k_roots_max) return wrong(fmt::format("takes at most {} roots", k_roots_max));
    roots.push_back(std::move(root));
  }
  return roots;
}

std::expected<FileRoot, std::string> FileRoot::open(const FileRootOption& option) {
  const auto why = [&](std::string_view what) { return std::unexpected(fmt::format("{}: {}", option.folder, what)); };
  UniqueFd folder(::open(option.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return why(std::system_category().message(errno));
  const UniqueFd probe(open_beneath_once(folder.get(), ".", O_PATH | O_DIRECTORY));
  if (!probe && (errno == ENOSYS || errno == EPERM))
    return why(fmt::format(
        "openat2, which keeps paths inside of it, is refused ({}): it needs Linux 5.6, and a seccomp filter that "
        "allows it",
        std::system_category().message(errno)));
  if (!probe) return why(std::system_category().message(errno));
  return FileRoot(option.name, std::move(folder), option.writable);
}

Outcome<UniqueFd> FileRoot::open_beneath(const FileName& name, int flags) const {
  UniqueFd fd(open_beneath_at(folder_.get(), name.path.empty() ? "." : name.path.c_str(), flags));
  if (!fd) return not_opened(name, errno);
  return fd;
}

Outcome<UniqueFd> FileRoot::open_parent(const FileName& name) const {
  const std::size_t slash = name.path.rfind('/');
  const FileName parent{name.root, slash == std::string::npos ? "" : name.path.substr(0, slash + 1)};
  return open_beneath(parent, O_RDONLY | O_DIRECTORY);
}

Outcome<SourceFile> FileRoot::open_source(const FileName& name) const {
  if (name.is_directory()) return bad_name("of an image does not end with a /");
  // A FIFO's writer is not waited for, and no terminal becomes this process's own.
  auto fd = open_beneath(name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return std::unexpected(std::move(fd.error()));
  SourceFile source{name, std::move(*fd)};
  if (::fstat(source.fd.get(), &source.status) != 0) return failed(name, "looking at it");
  if (!S_ISREG(source.status.st_mode)) return refused(name, "it is no regular file");
  if (source.status.st_size == 0) return refused(name, "it is empty");
  return source;
}

Outcome<void> FileRoot::read(const SourceFile& source, std::span<std::byte> into, const Progress& progress) {
  while (!into.empty()) {
    const ssize_t got = read_some(source.fd.get(), into);
    if (got < 0) return failed(source.name, "reading it");
    if (got == 0) return changed(source.name);
    into = into.subspan(static_cast<std::size_t>(got));
    progress();
  }
  struct stat now{};
  if (::fstat(source.fd.get(), &now) != 0) return failed(source.name, "looking at it");
  if (!same_file(source.status, now)) return changed(source.name);
  return {};
}

Outcome<FileName> FileRoot::check_target(FileName name) const {
  if (!writable_)
    return std::unexpected(
        problem(403, "no-file-root", fmt::format("nothing is written to {}: its --file-root is without :rw", name_)));
  if (!name.is_directory()) {
    if (open_beneath(name, O_PATH | O_DIRECTORY))
      name.path += '/';
    else if (auto parent = open_parent(name); !parent)
      return std::unexpected(std::move(parent.error()));
  } else if (auto folder = open_beneath(name, O_PATH | O_DIRECTORY); !folder) {
    return std::unexpected(std::move(folder.error()));
  }
  return name;
}

Outcome<std::string> FileRoot::write(const ResultFile& result, const Progress& progress) const {
  if (auto checked = check_target(result.name); !checked) return std::unexpected(std::move(checked.error()));
  auto folder = open_parent(result.name);
  if (!folder) return std::unexpected(std::move(folder.error()));
  const Temporary temporary(folder->get(), result.temporary);
  std::string sha256 = jobs::sha256_hex(result.bytes);
  {
    const UniqueFd fd = temporary.create();
    if (!fd) return failed(result.name, "making a file beside it");
    if (auto written = write_all(result.name, fd.get(), result.bytes, progress); !written)
      return std::unexpected(std::move(written.error()));
  }
  if (auto placed = put_in_place(folder->get(), temporary, result, sha256, progress); !placed)
    return std::unexpected(std::move(placed.error()));
  if (::fsync(folder->get()) != 0) return failed(result.name, "writing the result");
  return sha256;
}

}  // namespace histod::daemon
