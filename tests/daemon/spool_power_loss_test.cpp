// SPDX-License-Identifier: Apache-2.0
// A process that works on a spool is killed at arbitrary moments. What it acknowledged must be there afterwards: on the
// disk as the kernel left it (a crash of the process), and in what a shim kept that forgets all that was not synced (a
// crash of the machine).
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/jobs/spool.hpp"
#include "tests/daemon/job_samples.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::test {
namespace {

using namespace daemon::jobs;
namespace fs = std::filesystem;

/// What the driver's last word on each job was.
using Words = std::map<std::string, std::string>;

std::vector<std::string> driver_environment(const fs::path& root, const fs::path& shadow) {
  std::vector<std::string> out{
      "LD_PRELOAD=" HISTOD_LOSSY_DISK, "HISTOD_LOSSY_ROOT=" + root.string(), "HISTOD_LOSSY_SHADOW=" + shadow.string(),
      // The shim comes before the sanitizer's library; leaks of a killed process are no matter.
      "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"};
  if (const char* path = std::getenv("PATH")) out.push_back(std::string("PATH=") + path);
  return out;
}

/// Starts the driver, kills it when it has said `lines` lines, and returns all that it said until it was dead.
std::string run_and_kill(const std::string& mode, const fs::path& root, const fs::path& shadow, unsigned lines) {
  int pipe[2];
  EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::vector<std::string> arguments{HISTOD_SPOOL_DRIVER, root.string(), mode};
  std::vector<std::string> environment = driver_environment(root, shadow);
  std::vector<char*> argv, envp;
  for (std::string& s : arguments) argv.push_back(s.data());
  for (std::string& s : environment) envp.push_back(s.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t pid = 0;
  EXPECT_EQ(::posix_spawn(&pid, HISTOD_SPOOL_DRIVER, &actions, nullptr, argv.data(), envp.data()), 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::string said;
  bool killed = false;
  char buffer[4096];
  for (ssize_t n; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(n));
    if (killed || std::ranges::count(said, '\n') < lines) continue;
    killed = ::kill(pid, SIGKILL) == 0;
  }
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(killed && WIFSIGNALED(status)) << "the driver ended by itself: " << status;
  return said;
}

Words last_words(const std::string& said) {
  Words words;
  std::istringstream lines(said.substr(0, said.rfind('\n') + 1));
  for (std::string word, id; lines >> word >> id;) words[id] = word;
  return words;
}

bool input_is_right(Spool& spool, const JobRecord& record) {
  const std::string wanted = content_of(record.id, "input");
  std::string found(record.input.bytes, '\0');
  return spool.read_input(record, std::as_writable_bytes(std::span(found))) && found == wanted;
}

bool result_is_right(Spool& spool, const JobRecord& record) {
  const std::string wanted = content_of(record.id, "result");
  std::string found(wanted.size(), '\0');
  return record.state == JobState::done && spool.read_result(record.id, std::as_writable_bytes(std::span(found))) &&
         found == wanted;
}

/// What is wrong with the spool in `root`, given what was acknowledged.
std::vector<std::string> violations(const fs::path& root, const Words& words) {
  std::vector<std::string> wrong;
  auto disk = open_posix_disk(root.string());
  EXPECT_TRUE(disk) << disk.error().message();
  Spool spool(**disk, 1u << 30);
  const auto scan = spool.open();
  EXPECT_TRUE(scan) << scan.error().message();
  std::map<std::string, JobRecord> found;
  for (const JobRecord& record : scan->jobs) found[record.id] = record;
  for (const auto& broken : scan->quarantined) wrong.push_back("quarantined " + broken.id + ": " + broken.reason);
  for (const auto& [id, word] : words) {
    const auto job = found.find(id);
    const bool there = job != found.end();
    if (word == "removed" && there) wrong.push_back("came back: " + id);
    if (word == "created" && !there) wrong.push_back("lost: " + id);
    if (word == "done" && !there) wrong.push_back("lost when done: " + id);
    if (there && !input_is_right(spool, job->second)) wrong.push_back("wrong input: " + id);
    if (there && word == "done" && !result_is_right(spool, job->second)) wrong.push_back("wrong result: " + id);
  }
  return wrong;
}

fs::path restore(const fs::path& shadow, const fs::path& target) {
  const std::string command = "python3 " HISTOD_LOSSY_RESTORE " '" + shadow.string() + "' '" + target.string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
  return target;
}

struct Outcome {
  std::size_t acknowledged = 0;
  std::vector<std::string> after_crash, after_power_loss;
};

Outcome round(const std::string& mode, unsigned lines) {
  const TemporaryFolder folder;
  const fs::path root = folder.path() / "spool", shadow = folder.path() / "shadow";
  fs::create_directory(shadow);
  const Words words = last_words(run_and_kill(mode, root, shadow, lines));
  Outcome outcome;
  outcome.acknowledged = words.size();
  outcome.after_crash = violations(root, words);
  outcome.after_power_loss = violations(restore(shadow, folder.path() / "restored"), words);
  return outcome;
}

TEST(SpoolPowerLoss, NothingThatWasAcknowledgedIsLost) {
  std::mt19937 random(20260101);
  std::size_t acknowledged = 0;
  for (int i = 0; i < 10; ++i) {
    const Outcome outcome = round("full", 1 + static_cast<unsigned>(random() % 40));
    EXPECT_EQ(outcome.after_crash, std::vector<std::string>{});
    EXPECT_EQ(outcome.after_power_loss, std::vector<std::string>{});
    acknowledged += outcome.acknowledged;
  }
  EXPECT_GT(acknowledged, 50u);
}

TEST(SpoolPowerLoss, AMissingSyncOfFilesIsCaught) {
  const Outcome outcome = round("no-file-sync", 20);
  EXPECT_EQ(outcome.after_crash, std::vector<std::string>{});  // the kernel still had it all
  EXPECT_FALSE(outcome.after_power_loss.empty());
}

TEST(SpoolPowerLoss, AMissingSyncOfDirectoriesIsCaught) {
  const Outcome outcome = round("no-directory-sync", 20);
  EXPECT_EQ(outcome.after_crash, std::vector<std::string>{});
  EXPECT_FALSE(outcome.after_power_loss.empty());
}

}  // namespace
}  // namespace histod::test
