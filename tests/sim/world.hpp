// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/process.hpp"

namespace histod::sim {

/// A fleet on one clock, from a seed: its machines, what befalls them, its clients, and what they were told.
class World {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::size_t nodes = 3, images = 15, plain = 4;
    bool faults = true;
    std::chrono::seconds quiet_spread{2};  ///< over which images are sent when there are no faults
    bool trace = false;
    Settings settings;
  };
  /// What a run was, for tests that it was one.
  struct Report {
    std::vector<std::string> failures;
    std::uint64_t hash = 0;  ///< of all events
    std::uint64_t accepted = 0, removed = 0, unknown = 0, refused = 0;
    std::uint64_t crashes = 0, deaths = 0, stops = 0, cuts = 0, takeovers = 0, disk_failures = 0, finalized = 0;
    std::uint64_t lost = 0, twice = 0, late = 0, leader_writes = 0, adopted = 0, disowned = 0;
    double virtual_s = 0;
    void add(const Report& other);
  };

  /// A large fleet's needs. Operations: what ZooKeeper was asked, reads and writes.
  struct Scale {
    std::vector<std::string> failures;
    std::size_t nodes = 0, images = 0;
    std::uint64_t operations_to_form = 0, adopted = 0;
    double idle_per_node_and_second = 0;
    double work_s = 0;                             ///< virtual: uploads, tables, results
    double operations_for_images = 0;              ///< above idle
    double leader_share = 0;                       ///< of the operations while there was work
    double recovery_s = 0, leader_recovery_s = 0;  ///< virtual: from a death until every job has an owner and a copy
    std::string text() const;                      ///< one JSON line
  };

  explicit World(const Options& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Report run();
  /// Instead: all goes well, but that a node dies for good, and then the leader.
  Scale measure();
  /// The last events, or all of them if the run was traced.
  const std::deque<std::string>& events() const { return events_; }

 private:
  using ByOwner = std::map<std::string, std::vector<std::string>>;
  friend class Faults;
  struct Sent {  ///< an image, under however many ids it was accepted
    std::string content;
    std::size_t dataset = 0;  ///< k_plain: a job by itself
    unsigned tries = 0;
    std::set<std::string> ids;
    bool refused = false;
  };
  struct Set {
    std::string id;
    bool removing = false, removed = false;
  };
  static constexpr std::size_t k_plain = ~std::size_t{0};

  // world.cpp
  void note(std::string event);
  void fail(std::string what);
  std::uint64_t drawn(std::uint64_t below) { return random_() % below; }
  void start(Machine& machine);
  void crash(Machine& machine, bool for_good);
  std::vector<Machine*> up();  ///< whose process is there, stopped or not
  Machine& some();
  bool drive(const std::function<bool()>& done, std::chrono::seconds at_most, std::string_view what);
  void heal();
  std::string missing();
  std::string unrest();
  void come_to_rest();

  // scale.cpp
  std::uint64_t asked() const;
  Machine* leader();
  double bury(Machine& machine);

  // clients.cpp
  void begin_clients();
  void create_dataset(std::size_t which);
  void send(std::size_t number);
  void answered(std::size_t number, std::size_t node, const Outcome<daemon::jobs::JobRecord>& outcome);
  void remove_some();
  void remove_image(const std::string& id, std::vector<std::size_t> nodes, bool known);
  void remove_dataset(std::size_t which);
  void finalize_some();
  using Status = daemon::jobs::DatasetStatus;
  void finalize(std::size_t which, std::function<void(Outcome<Status>)> then);
  template <class F>
  void on_dataset(F op, Reply<Status> reply);
  std::size_t certain(std::size_t dataset) const;
  bool clients_done() const;

  // verdict.cpp
  void finish_datasets();
  bool ask_until(std::size_t which, bool applies);
  std::string unmade(std::size_t which);
  bool all_removed();
  void judge();
  void judge_owners();
  void judge_dataset(std::size_t which);
  void judge_removed(std::size_t which);
  void judge_image(Machine& machine, const daemon::jobs::JobRecord& record, const compute::Lut& table,
                   std::uint64_t revision);
  std::map<std::string, Machine*> owners();
  void remember_ended(Machine& machine);

  const Options options_;
  std::mt19937_64 random_;
  TestLoop loop_;
  control::MemoryServer server_{loop_};
  control::Faults store_faults_;
  Fenced fenced_;
  Network network_;
  Surroundings around_;
  std::vector<std::unique_ptr<NodeExecutor>> executors_;
  NodeExecutor client_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<Set> sets_;
  std::vector<Sent> sent_;
  std::map<std::string, std::size_t> number_of_;  ///< images, by SHA-256
  std::map<std::string, std::size_t> accepted_;   ///< by id; 202 was told
  std::map<std::string, Machine*> removed_;       ///< by id: where
  std::set<std::string> perhaps_removed_;
  std::set<std::string> ended_;  ///< plain jobs of machines that are gone: their results need no copy
  std::size_t open_ = 0;         ///< requests of clients that have no answer yet
  bool trouble_ = true;
  std::deque<std::string> events_;
  Report report_;
};

/// What goes wrong, and when.
class Faults {
 public:
  explicit Faults(World& world);
  void begin();

 private:
  enum class Long : std::uint8_t { none, death, outage, stop, cut };
  void next();
  void one();
  void short_fault(Machine& machine);
  bool long_fault(Machine& machine);
  void end_long(Machine& machine, milliseconds after);
  void restart(Machine& machine, milliseconds after);
  void go_on(Machine& machine, milliseconds after);
  void heal_wire(Machine& machine, milliseconds after);
  void cut_peers(Machine& machine);
  void join();

  World& world_;
  unsigned enabled_;    ///< a bit for each kind of short fault
  milliseconds pause_;  ///< between two, at most
  std::set<std::size_t> busy_;
  bool long_under_way_ = false;
  bool joined_ = false;
};

}  // namespace histod::sim
