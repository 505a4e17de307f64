// SPDX-License-Identifier: Apache-2.0
#include "tests/control/zookeeper_servers.hpp"

#include <atomic>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace histod::control::tests {

ZooKeeperServers::ZooKeeperServers(std::size_t count) {
  int to_child[2], from_child[2];
  if (::pipe2(to_child, O_CLOEXEC) != 0 || ::pipe2(from_child, O_CLOEXEC) != 0) return;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to_child[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, from_child[1], 1);
  std::string script = HISTOD_ZOOKEEPER_SERVERS, number = std::to_string(count);
  char* const arguments[] = {script.data(), number.data(), nullptr};
  const int failed = ::posix_spawn(&pid_, script.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(to_child[0]);
  ::close(from_child[1]);
  in_ = ::fdopen(to_child[1], "w");
  out_ = ::fdopen(from_child[0], "r");
  if (failed != 0) {
    pid_ = -1;
    why_ = "cannot start " + script;
    return;
  }
  const std::string first = line();
  const std::string key = "{\"servers\": \"";
  if (first.starts_with(key)) {
    address_ = first.substr(key.size(), first.find('"', key.size()) - key.size());
  } else {
    why_ = first;
    for (std::string more = line(); !more.empty(); more = line()) why_ += "\n" + more;
  }
}

ZooKeeperServers::~ZooKeeperServers() {
  std::fclose(in_);
  std::fclose(out_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

std::string ZooKeeperServers::line() {
  std::string text;
  for (int c = std::fgetc(out_); c != EOF && c != '\n'; c = std::fgetc(out_)) text.push_back(static_cast<char>(c));
  return text;
}

std::string ZooKeeperServers::address(std::size_t index) const {
  std::size_t from = 0;
  for (; index > 0; --index) from = address_.find(',', from) + 1;
  return address_.substr(from, address_.find(',', from) - from);
}

bool ZooKeeperServers::tell(const std::string& word, std::size_t index) {
  std::fprintf(in_, "%s %zu\n", word.c_str(), index);
  std::fflush(in_);
  const std::string answer = line();
  if (answer != "ok") why_ = answer;
  return answer == "ok";
}

ZooKeeperServers& ZooKeeperServers::shared() {
  static ZooKeeperServers servers(1);
  return servers;
}

ZooKeeperRig::ZooKeeperRig(std::string servers) : servers_(std::move(servers)) {}

OpenStore ZooKeeperRig::opener(std::string identity, std::chrono::milliseconds timeout_ms) {
  return zookeeper_opener(loop_, {servers_, timeout_ms, {std::move(identity)}});
}

std::string ZooKeeperRig::root() {
  static std::atomic<int> roots = 0;
  return "/histod-" + std::to_string(++roots);
}

}  // namespace histod::control::tests
