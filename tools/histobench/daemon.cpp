// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/daemon.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::chrono::seconds k_start_patience{60};
constexpr int k_stop_patience_s = 40;

std::string random_token() {
  std::random_device random;
  std::string token;
  for (int i = 0; i < 8; ++i) token += fmt::format("{:08x}", random());
  return token;
}

void write_private(const std::string& path, const std::string& text) {
  std::ofstream(path) << "";
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  if (!(std::ofstream(path) << text)) throw Failure("cannot write " + path);
}

/// Where the daemon says that it is ready, as it would to systemd: to the microsecond, and without asking again and
/// again.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw Failure("TMPDIR is too long a path");
    path.copy(address.sun_path, path.size());
    if (fd_ < 0 || ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw Failure("cannot bind " + path);
  }
  ~NotifySocket() { ::close(fd_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

bool says_ready(int fd) {
  std::array<char, 4096> message{};
  const ssize_t got = ::recv(fd, message.data(), message.size(), 0);
  return got > 0 && std::string_view(message.data(), static_cast<std::size_t>(got)).contains("READY=1");
}

/// The value of `name=` in a line of the log.
std::string field_of(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(fmt::format(" {}=", name));
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + name.size() + 2);
  return std::string(line.substr(0, line.find_first_of(" \n")));
}

double pool_mib(pid_t pid) {
  std::istringstream maps(text_of(fmt::format("/proc/{}/smaps", pid)));
  double size_kib = 0, sum_kib = 0;
  bool has_file = false;
  for (std::string line; std::getline(maps, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) {  // "FROM-TO MODE ... [FILE]" begins a mapping
      has_file = line.find('/') != std::string::npos || line.find('[') != std::string::npos;
      continue;
    }
    double kib = 0;
    std::istringstream(line.substr(colon + 1)) >> kib;
    if (line.starts_with("Size:")) size_kib = kib;
    if (line.starts_with("Rss:") && !has_file && size_kib >= 65536) sum_kib += kib;
  }
  return sum_kib / 1024;
}

std::string last_lines(const std::string& log) {
  const std::size_t bytes = std::min<std::size_t>(log.size(), 600);
  return log.substr(log.size() - bytes);
}

}  // namespace

Daemon::Daemon(const std::string& program, const std::vector<std::string>& flags) {
  if (program.empty()) throw Failure("there is no histod beside histobench: give --histod FILE");
  const std::string token = random_token();
  authorization_ = "Bearer " + token;
  write_private(folder_.file("tokens"), "admin " + token + "\n");
  Command command{.words = {program, "--listen", "127.0.0.1:0", "--token-file", folder_.file("tokens"), "--spool",
                            folder_.file("spool"), "--io", "auto", "--bench"},
                  .environment = {"NOTIFY_SOCKET=" + folder_.file("notify")},
                  .output_path = folder_.file("log")};
  command.words.insert(command.words.end(), flags.begin(), flags.end());
  const NotifySocket notify(folder_.file("notify"));
  const auto started = std::chrono::steady_clock::now();
  process_ = std::make_unique<Process>(command);
  wait_until_ready(notify.fd());
  start_ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
  std::istringstream log(text_of(folder_.file("log")));
  for (std::string line; std::getline(log, line) && port_ == 0;) {
    if (!line.contains("msg=listening")) continue;
    const std::string port = field_of(line, "port");
    std::from_chars(port.data(), port.data() + port.size(), port_);
    backend_ = field_of(line, "backend");
  }
  if (port_ == 0) throw Failure(program + " does not say where it listens");
}

void Daemon::wait_until_ready(int notify_fd) {
  const auto deadline = std::chrono::steady_clock::now() + k_start_patience;
  while (process_->running() && std::chrono::steady_clock::now() < deadline) {
    pollfd waiting{notify_fd, POLLIN, 0};
    if (::poll(&waiting, 1, 100) == 1 && says_ready(notify_fd)) return;
  }
  throw Failure("the daemon did not become ready: " + last_lines(text_of(folder_.file("log"))));
}

void Daemon::stop() {
  const auto code = process_->stop(k_stop_patience_s);
  if (code != 0)
    throw Failure(
        fmt::format("the daemon ended with {}: {}", code.value_or(-1), last_lines(text_of(folder_.file("log")))));
}

Daemon::~Daemon() { process_->stop(k_stop_patience_s); }

Daemon::Memory Daemon::memory() const {
  std::istringstream status(text_of(fmt::format("/proc/{}/status", process_->pid())));
  Memory memory;
  for (std::string line; std::getline(status, line);) {
    double kib = 0;
    if (line.starts_with("VmRSS:") || line.starts_with("VmHWM:")) std::istringstream(line.substr(6)) >> kib;
    if (line.starts_with("VmRSS:")) memory.resident = kib / 1024;
    if (line.starts_with("VmHWM:")) memory.resident_peak = kib / 1024;
  }
  memory.pool = pool_mib(process_->pid());
  return memory;
}

double Daemon::cpu_seconds() const {
  const std::string stat = text_of(fmt::format("/proc/{}/stat", process_->pid()));
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));  // its name may have spaces
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user_ticks = 0, system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  return (user_ticks + system_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void Daemon::reset_peak() { std::ofstream(fmt::format("/proc/{}/clear_refs", process_->pid())) << "5"; }

unsigned Daemon::descriptors() const {
  std::error_code none;
  const std::filesystem::directory_iterator open(fmt::format("/proc/{}/fd", process_->pid()), none);
  return static_cast<unsigned>(std::distance(begin(open), end(open)));
}

std::string daemon_beside_us() {
  std::error_code none;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  for (const char* name : {"histod", "histod-epoll"}) {
    if (const auto path = folder / name; ::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace histod::bench
