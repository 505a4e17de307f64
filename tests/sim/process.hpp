// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "control/memory_store.hpp"
#include "daemon/fleet_work.hpp"
#include "daemon/jobs/engine.hpp"
#include "tests/control/store_rig.hpp"
#include "tests/daemon/memory_disk.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/wire.hpp"

namespace histod::sim {

class Process;
struct Sending;

/// What all nodes have in common.
struct Settings {
  milliseconds session_timeout{4'000};
  milliseconds takeover_after{8'000};
  milliseconds patience{15'000};  ///< of an operation on datasets
  std::size_t replicas = 2;
};
struct Surroundings {
  TestLoop& loop;
  std::mt19937_64& random;
  Network& network;
  control::MemoryServer& server;
  control::Faults& faults;
  Fenced& fenced;
  const Settings& settings;
  std::function<std::size_t(const std::string& name)> index_of;
  std::function<void(const std::string& line)> log;  ///< null: nobody reads it
};

/// A machine: what outlives its processes.
struct Machine {
  Machine(Surroundings& around, std::size_t number);
  Surroundings& around;
  const std::size_t number;
  const std::string name;
  Wire wire;
  Asked asked;
  std::unique_ptr<daemon::jobs::Disk> disk;
  test::MemoryDisk* memory = nullptr;  ///< the disk, where its power may fail
  std::string identity;
  std::int64_t clock_ms = 0;  ///< how much its wall clock is ahead
  bool perhaps_given_up = false;
  milliseconds disk_ms{2};  ///< a round of the engine, at most
  control::Executor::Clock::time_point slow_until{};
  std::uint64_t starts = 0;
  bool gone = false;  ///< for good
  std::unique_ptr<Process> process;
};

/// histod, less its sockets and pixels: the job engine, its attempts, and the node's part in the fleet.
class Process {
 public:
  Process(Machine& machine, NodeExecutor& executor);
  ~Process();  ///< without a word to anybody
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  daemon::jobs::Engine& engine() { return *engine_; }
  daemon::Coordinator* coordinator() { return coordinator_; }
  NodeExecutor& executor() { return executor_; }
  std::shared_ptr<const daemon::FleetSnapshot> fleet() const { return board_.read(); }
  std::size_t attempts() const { return attempts_; }

  /// As POST does: 202 when it is on enough disks.
  void accept(std::string content, std::string dataset, std::string key, Reply<daemon::jobs::JobRecord> reply);
  /// As DELETE does: with the copies at the members.
  void remove(const std::string& id, Reply<void> reply);
  /// To `wanted` of the members behind this one in the ring of names; how many keep it.
  void send_copies(daemon::jobs::JobRecord record, std::string content, std::size_t wanted,
                   std::function<void(std::size_t kept)> done);
  /// What the engine answers, now: for looking on, while nobody else does anything.
  template <class T, class Call, class... Arguments>
  Outcome<T> look(Call call, Arguments... arguments);
  /// After each task: the engine may have been asked something.
  void ran();

 private:
  struct Attempt;
  class Link;
  bool begin(const daemon::jobs::JobRecord& record, const daemon::jobs::SharedTables& tables);
  void work(const std::shared_ptr<Attempt>& attempt);
  void wake();  ///< a round of the engine's thread, soon
  void step();
  void tick();
  void say(const std::string& what) const;  ///< to who follows the run
  std::vector<control::Member> holders() const;
  void send_next(const std::shared_ptr<Sending>& sending);
  void drop_withdrawn(const std::string& id, std::function<void()> done);
  void drop_copies(const std::string& id, bool removed, std::function<void()> done);

  Machine& machine_;
  Surroundings& around_;
  NodeExecutor& executor_;
  daemon::Log log_;
  daemon::jobs::Spool spool_;
  std::unique_ptr<daemon::jobs::Engine> engine_;
  daemon::FleetBoard board_;
  daemon::Coordinator* coordinator_ = nullptr;
  std::unique_ptr<daemon::FleetNode> fleet_;
  bool waking_ = false, stepped_ = false, followed_ = false;
  std::size_t attempts_ = 0;  ///< under way
};

template <class T, class Call, class... Arguments>
Outcome<T> Process::look(Call call, Arguments... arguments) {
  auto answer = std::make_shared<std::optional<Outcome<T>>>();
  (engine_.get()->*call)(std::move(arguments)..., [answer](Outcome<T> outcome) { *answer = std::move(outcome); });
  for (int i = 0; i < 1'000 && !*answer; ++i) engine_->step();
  if (!*answer) return peer_failed("the engine does not answer");
  return std::move(**answer);
}

}  // namespace histod::sim
