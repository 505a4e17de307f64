// SPDX-License-Identifier: Apache-2.0
// What ties the process to its surroundings: signals, systemd, and the exec of the other build.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/reexec.hpp"
#include "daemon/signals.hpp"
#include "daemon/systemd.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using test::TemporaryFolder;

/// Runs `body` in a child, for what changes a whole process; its exit status.
template <class Body>
int in_child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(SignalsTest, ComeOutOfTheDescriptor) {
  EXPECT_EQ(in_child([] {
              auto signals = Signals::open({SIGTERM, SIGHUP});
              if (!signals || signals->next()) return 1;
              ::raise(SIGHUP);
              ::raise(SIGTERM);
              ::raise(SIGPIPE);  // would end the process
              pollfd readable{signals->fd(), POLLIN, 0};
              if (::poll(&readable, 1, 10'000) != 1) return 2;
              Signals moved = std::move(*signals);
              const int first = moved.next().value_or(0), second = moved.next().value_or(0);
              if (first + second != SIGHUP + SIGTERM || moved.next()) return 3;
              return 0;
            }),
            0);
}

TEST(SignalsTest, NumbersThatAreNoneAreRefused) { EXPECT_FALSE(Signals::open({12345})); }

/// The socket that systemd would listen on.
class NotifySocket {
 public:
  NotifySocket() {
    const std::string path = (folder_.path() / "notify").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(path, address.sun_path);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd_);
  }
  std::string next() const {
    std::array<char, 512> buffer{};
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return n < 0 ? "(nothing)" : std::string(buffer.data(), static_cast<std::size_t>(n));
  }

 private:
  TemporaryFolder folder_;
  int fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST(Systemd, HearsOfEachState) {
  const NotifySocket socket;
  systemd::ready("serving\nREADY=0");
  EXPECT_EQ(socket.next(), "READY=1\nSTATUS=serving READY=0");
  systemd::status("7 jobs");
  EXPECT_EQ(socket.next(), "STATUS=7 jobs");
  systemd::watchdog();
  EXPECT_EQ(socket.next(), "WATCHDOG=1");
  systemd::reloading();
  EXPECT_THAT(socket.next(), testing::MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  systemd::stopping("draining");
  EXPECT_EQ(socket.next(), "STOPPING=1\nSTATUS=draining");
  EXPECT_EQ(socket.next(), "(nothing)");
}

TEST(Systemd, IsNotMissed) {
  systemd::ready("nobody listens");
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt);
  EXPECT_TRUE(systemd::listen_fds().value().empty());
}

TEST(Systemd, TheWatchdogIsFedTwiceAsOften) {
  ::setenv("WATCHDOG_USEC", "10000000", 1);
  EXPECT_EQ(systemd::watchdog_interval(), std::chrono::seconds(5));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt);
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}

/// What listen_fds() says in a process that got `socket` as systemd passes it: the number of sockets, or 100.
int listen_fds_with(int socket) {
  return in_child([socket] {
    if (::dup2(socket, 3) != 3) return 101;
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    const auto fds = systemd::listen_fds();
    return fds ? static_cast<int>(fds->size()) : 100;
  });
}

TEST(Systemd, ListeningSocketsAreTakenOver) {
  const int tcp = ::socket(AF_INET6, SOCK_STREAM, 0);
  EXPECT_EQ(listen_fds_with(tcp), 100);  // it does not listen yet
  ASSERT_EQ(::listen(tcp, 1), 0);
  EXPECT_EQ(listen_fds_with(tcp), 1);
  const int udp = ::socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT_EQ(listen_fds_with(udp), 100);
  ::close(tcp);
  ::close(udp);
}

TEST(Reexec, TheSiblingIsBesideThisProgram) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  EXPECT_EQ(epoll_sibling_path(), (self.parent_path() / "histod-epoll").string());
}

TEST(Reexec, TheSecondProgramKnowsWhyAndHasTheSameArguments) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "out").string();
  const std::string program =
      folder.file("second", "#!/bin/sh\necho \"$HISTOD_FALLBACK_REASON|$KEPT|$1|$2\" > \"$3\"\n", 0700);
  std::string arguments[] = {"histod", "--io=auto", "a b", out};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), arguments[3].data(), nullptr};
  EXPECT_EQ(in_child([&] {
              ::setenv("KEPT", "yes", 1);
              return exec_fallback(program, argv, "io_uring is refused").value();
            }),
            0);
  std::string line;
  std::getline(std::ifstream(out) >> std::ws, line);
  EXPECT_EQ(line, "io_uring is refused|yes|--io=auto|a b");
}

TEST(Reexec, AMissingProgramIsAnErrorAndNotALoop) {
  std::string name = "histod";
  char* argv[] = {name.data(), nullptr};
  EXPECT_EQ(fallback_reason(), std::nullopt);
  EXPECT_EQ(exec_fallback("/no/such/program", argv, "why"), std::errc::no_such_file_or_directory);
  EXPECT_EQ(fallback_reason(), std::nullopt);
  ::setenv(k_fallback_variable, "why", 1);
  EXPECT_EQ(fallback_reason(), "why");
  EXPECT_EQ(exec_fallback("/bin/true", argv, "again"), std::errc::too_many_symbolic_link_levels);
  ::unsetenv(k_fallback_variable);
}

}  // namespace
}  // namespace histod::daemon
