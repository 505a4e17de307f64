// SPDX-License-Identifier: Apache-2.0
// Nodes as processes on a real server: the leader is stopped for longer than his session, and killed.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/record.hpp"
#include "tests/control/store_rig.hpp"
#include "tests/control/zookeeper_servers.hpp"

namespace histod::control::tests {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

class NodeProcess {
 public:
  NodeProcess(const std::string& root, const std::string& name) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::array<std::string, 5> words{HISTOD_CONTROL_NODE, ZooKeeperServers::shared().address(), root, name, "2000"};
    std::array<char*, 6> arguments{};
    std::ranges::transform(words, arguments.begin(), [](std::string& word) { return word.data(); });
    EXPECT_EQ(::posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~NodeProcess() {
    ::close(in_);
    signal(SIGCONT);
    if (pid_ > 0) {
      // What it says is read to its end: it closes its output when it ends.
      const auto until = steady_clock::now() + k_patience;
      while (!await("", until).empty()) {
      }
      const bool ended = steady_clock::now() < until;
      EXPECT_TRUE(ended) << "process " << pid_ << " did not end with its input";
      if (!ended) signal(SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
  }
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;

  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
  }
  void kill() {
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// The next line that begins so; empty when none comes in a minute.
  std::string await(const std::string& begin) { return await(begin, steady_clock::now() + k_patience); }

 private:
  static constexpr std::chrono::minutes k_patience{1};

  std::string await(const std::string& begin, steady_clock::time_point until) {
    for (;;) {
      const std::size_t end = text_.find('\n');
      if (end != std::string::npos) {
        const std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        if (line.starts_with(begin)) return line;
        continue;
      }
      pollfd readable{out_, POLLIN, 0};
      std::array<char, 512> buffer;
      const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
      if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) return "";
      const ssize_t got = ::read(out_, buffer.data(), buffer.size());
      if (got <= 0) return "";
      text_.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string text_;
};

}  // namespace

/// The processes may lose their sessions for want of CPU at any time: what is held true here does not depend on it.
struct ZkProcesses : testing::Test {
  ZkProcesses() {
    EXPECT_TRUE(client.create(root, RecordFormat().write({})));
    EXPECT_TRUE(client.create(root + "/log"));
    first = std::make_unique<NodeProcess>(root, "first");
    epoch = lead_of(*first);
    await_an_entry();
    second = std::make_unique<NodeProcess>(root, "second");
    EXPECT_EQ(second->await("CONNECTED"), "CONNECTED");
  }
  /// The epoch in which it leads, from now on.
  static int lead_of(NodeProcess& process) {
    const std::string line = process.await("leads ");
    EXPECT_FALSE(line.empty());
    return line.empty() ? 0 : std::stoi(line.substr(6));
  }
  std::vector<int> log() {
    std::vector<int> epochs;
    const auto names = client.children(root + "/log");
    EXPECT_TRUE(names) << names.error().message();
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
      const auto entry = client.get(root + "/log/" + name);
      EXPECT_TRUE(entry) << entry.error().message();
      if (entry) epochs.push_back(std::stoi(entry->data));
    }
    return epochs;
  }
  /// Of the present epoch, or a later one.
  void await_an_entry() {
    bool found = false;
    for (int tries = 0; tries < 600 && !found; ++tries) {
      const auto epochs = log();
      found = !epochs.empty() && epochs.back() >= epoch;
      rig.loop().pass(milliseconds(50));
    }
    EXPECT_TRUE(found) << "no entry of epoch " << epoch;
  }
  void check_log() {
    const auto epochs = log();
    EXPECT_TRUE(std::ranges::is_sorted(epochs)) << testing::PrintToString(epochs);
  }

  ZooKeeperRig rig;
  std::string root = rig.root();
  Client client{rig, "histod:0123456789abcdef"};
  std::unique_ptr<NodeProcess> first, second;
  int epoch = 0;
};

TEST_F(ZkProcesses, AStoppedLeaderIsReplacedAndWritesNothingWhenHeWakesUp) {
  first->signal(SIGSTOP);
  const int next = lead_of(*second);
  EXPECT_GT(next, epoch);
  epoch = next;
  await_an_entry();
  first->signal(SIGCONT);
  EXPECT_EQ(first->await("LOST"), "LOST");
  EXPECT_TRUE(first->await("fenced ").starts_with("fenced "));  // he goes on as if nothing had been
  check_log();
}

TEST_F(ZkProcesses, AKilledLeaderIsReplacedAndComesBackUnderItsName) {
  first->kill();
  const int next = lead_of(*second);
  EXPECT_GT(next, epoch);
  epoch = next;
  await_an_entry();
  first = std::make_unique<NodeProcess>(root, "first");
  EXPECT_EQ(first->await("CONNECTED"), "CONNECTED");
  second->kill();
  epoch = lead_of(*first);
  EXPECT_GT(epoch, next);
  await_an_entry();
  check_log();
}

}  // namespace histod::control::tests
