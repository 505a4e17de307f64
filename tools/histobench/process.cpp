// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr int k_patience_s = 5;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> child_environment(const Command& command) {
  std::vector<std::string> out = command.environment;
  for (char** each = ::environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("HISTOD_")) out.emplace_back(*each);
  }
  return out;
}

/// Between fork and exec: system calls only.
[[noreturn]] void become(const char* output_path, int handed_fd, char** words, char** environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int output = ::open(output_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (output < 0 || nothing < 0) ::_exit(126);
  ::dup2(nothing, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  if (handed_fd >= 0) {
    if (handed_fd == 3) ::fcntl(3, F_SETFD, 0);
    ::dup2(handed_fd, 3);
  }
  ::execvpe(words[0], words, environment);
  ::_exit(127);
}

}  // namespace

Process::Process(const Command& command) {
  std::vector<std::string> words = command.words, environment = child_environment(command);
  const auto argv = pointers(words), envp = pointers(environment);
  const std::string output = command.output_path.empty() ? "/dev/null" : command.output_path;
  pid_ = ::fork();
  if (pid_ < 0) throw Failure(fmt::format("cannot start {}: {}", command.words.front(), std::strerror(errno)));
  if (pid_ == 0)
    become(output.c_str(), command.handed_fd, const_cast<char**>(argv.data()), const_cast<char**>(envp.data()));
}

// Asked first: a server that is killed leaves its workers behind.
Process::~Process() { stop(k_patience_s); }

bool Process::reap(bool block) {
  int status = 0;
  if (code_ || ::waitpid(pid_, &status, block ? 0 : WNOHANG) != pid_) return code_.has_value();
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

bool Process::running() { return !reap(false); }

int Process::wait() {
  reap(true);
  return code_.value_or(-1);
}

std::optional<int> Process::stop(int patience_s) {
  if (running()) ::kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(patience_s);
  while (running()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid_, SIGKILL);
      wait();
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return wait();
}

void run_program(const Command& command) {
  Process process(command);
  if (const int code = process.wait(); code != 0)
    throw Failure(fmt::format("{} ended with {}", command.words.front(), code));
}

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  std::string found;
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string file = fmt::format("{}/{}", folder, name);
    if (::access(file.c_str(), X_OK) != 0) continue;
    if (folder == "/usr/bin") return file;
    if (found.empty()) found = std::move(file);
  }
  return found;
}

std::string first_line_of(const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  Process(Command{.words = words, .environment = {}, .output_path = folder.file("out")}).wait();
  const std::string text = text_of(folder.file("out"));
  return text.substr(0, text.find('\n'));
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "histobench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw Failure(fmt::format("cannot make {}: {}", name, std::strerror(errno)));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Listening::Listening() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || ::bind(fd, generic, bytes) != 0 || ::listen(fd, 511) != 0 || ::getsockname(fd, generic, &bytes) != 0)
    throw Failure(fmt::format("cannot listen on 127.0.0.1: {}", std::strerror(errno)));
  port = ntohs(address.sin_port);
}

Listening::~Listening() { ::close(fd); }

}  // namespace histod::bench
