// SPDX-License-Identifier: Apache-2.0
// A node of the fleet as a process of its own, to be stopped and killed by tests:
//
//     control_node SERVERS ROOT NAME TIMEOUT_MS
//
// contends for the lead, and as long as it leads, writes its epoch into ROOT/log, one entry after the other. On
// standard output a line for each change: the session's state, or `leads EPOCH`. It ends with its standard input.
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include <sys/prctl.h>
#include <unistd.h>

#include "control/zk_store.hpp"
#include "tests/control/fleet_rig.hpp"

namespace histod::control::tests {

namespace {

class ServersRig final : public StoreRig {
 public:
  ServersRig(std::string servers, std::string root) : servers_(std::move(servers)), root_(std::move(root)) {}
  TestLoop& loop() override { return loop_; }
  OpenStore opener(std::string identity, std::chrono::milliseconds timeout_ms) override {
    return zookeeper_opener(loop_, {servers_, timeout_ms, {std::move(identity)}});
  }
  std::string root() override { return root_; }

 private:
  std::string servers_, root_;
  TestLoop loop_{TestLoop::Time::real, static_cast<std::uint64_t>(::getpid())};
};

class Process {
 public:
  Process(ServersRig& rig, const std::string& name, std::chrono::milliseconds timeout_ms)
      : rig_(rig), node_(rig, Paths(rig.root()), {name, name, "", "", 1}, timeout_ms) {
    node_.session.listen([](SessionState state) { say(std::string(state_name(state))); });
    look();
  }

 private:
  static void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
  /// Leads without a pause and without asking again: the fence alone keeps it from writing when it must not.
  void look() {
    if (const auto leadership = node_.election.leadership(); leadership && leadership->epoch != epoch_) {
      epoch_ = leadership->epoch;
      say("leads " + std::to_string(epoch_));
      write(*leadership);
    }
    rig_.loop().after(std::chrono::milliseconds(5), [this] { look(); });
  }
  void write(const Leadership& leadership) {
    node_.session.store().multi(
        {leadership.fence(),
         Create{rig_.root() + "/log/n_", std::to_string(leadership.epoch), CreateMode::persistent_sequential}},
        [this, leadership](const auto& done) {
          if (!done && done.error().error == Errc::bad_version)
            return say("fenced " + std::to_string(leadership.epoch));
          rig_.loop().after(std::chrono::milliseconds(20), [this, leadership] { write(leadership); });
        });
  }

  ServersRig& rig_;
  FleetNode node_;
  std::int32_t epoch_ = 0;
};

}  // namespace

}  // namespace histod::control::tests

int main(int argc, char** argv) {
  using namespace std::chrono;
  namespace tests = histod::control::tests;
  if (argc != 5) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // even when it stands still: whoever waits for its output would wait for ever
  int timeout_ms = 0;
  std::from_chars(argv[4], argv[4] + std::strlen(argv[4]), timeout_ms);
  tests::ServersRig rig(argv[1], argv[2]);
  tests::Process process(rig, argv[3], milliseconds(timeout_ms));
  bool ended = false;
  std::jthread input([&rig, &ended] {
    for (char c = 0; ::read(0, &c, 1) > 0;) {
    }
    rig.loop().post([&ended] { ended = true; });
  });
  rig.loop().drive([&ended] { return ended; }, hours(1));
  return 0;
}
