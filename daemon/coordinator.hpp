// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/catalog.hpp"
#include "control/mirror.hpp"
#include "daemon/custody.hpp"
#include "daemon/jobs/finalize.hpp"
#include "daemon/jobs/ulid.hpp"

namespace histod::daemon {

struct NewDataset {
  std::string name;
  std::map<std::string, std::string> options;
  std::string reference;     ///< the dataset to be matched; empty: none
  std::string webhook = {};  ///< empty: nobody is told
  std::string traceparent = {};
};

/// All images of a dataset are made by its tables.
struct Completion {
  std::string dataset, webhook;
  std::uint64_t revision = 0;
  std::string digest;
  std::uint64_t images = 0, failed = 0;
  std::string traceparent = {};  ///< of the request that it is done for
};

/// The datasets of the fleet. ZooKeeper has one record of each, whose version decides who changes it; every node makes
/// its own part what that record says, whenever it sees another one. What is asked of one node is done for all.
///
/// An operation that the fleet cannot do now, for want of ZooKeeper or of a node, waits and is tried again, and ends
/// with what it waited for when that takes too long: 503 zookeeper-unavailable, node-away or peer-failed, 503
/// too-few-nodes at once. All on the fleet's thread.
class Coordinator {
 public:
  struct Settings {
    std::uint64_t min_nodes = 1;
    std::chrono::milliseconds patience{120'000};    ///< how long an operation may wait
    std::chrono::milliseconds ttl{24 * 3'600'000};  ///< of a dataset that nobody uses
    std::chrono::milliseconds tombstone{7 * 24 *
                                        3'600'000};  ///< how long a node may be away and still hear of a removal
    std::size_t staged_min = 1;  ///< other nodes that must keep tables before they come into force, if there are others
  };
  using NowMs = std::function<std::int64_t()>;  ///< since 1970
  using Status = jobs::DatasetStatus;

  Coordinator(control::Session& session, control::Paths paths, const control::Membership& membership,
              const control::Election& election, Custody& custody, jobs::Engine& engine, PeerLink& link, Log& log,
              NowMs now, Settings settings);
  ~Coordinator();  ///< whoever waits is told
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// After make_layout().
  void start();
  /// Each second.
  void tick();

  // Each replies with what this node has of the dataset. `traceparent`: of the request, or empty; who is asked and told
  // for its sake is so in its trace.
  void create(NewDataset dataset, jobs::Reply<Status> reply);
  void remove(const std::string& id, jobs::Reply<Status> reply, std::string traceparent = {});
  /// Makes the tables of all that is counted, on all nodes. 409: something is not yet, or nothing is there.
  void finalize(const std::string& id, jobs::Reply<Status> reply, std::string traceparent = {});
  void set_tables(const std::string& id, std::vector<compute::KindTables> tables, jobs::Reply<Status> reply,
                  std::string traceparent = {});
  /// From now on each image that is counted is made by the tables in force. 409: there are none.
  void apply(const std::string& id, jobs::Reply<Status> reply, std::string traceparent = {});

  /// Operations that have not ended yet.
  std::size_t pending() const { return operations_.size(); }

  /// Datasets that are applied, and of which somebody is to be told when they are done.
  std::vector<jobs::DatasetRecord> unannounced() const;
  /// What is to be told of it; 409: not all is made yet, or nothing is there, or it has been told.
  void completion(const std::string& id, jobs::Reply<Completion> reply);
  /// It has been told, or given up.
  void announced(const std::string& id, std::uint64_t revision, jobs::Reply<Status> reply);

 private:
  /// A dataset as the fleet has it.
  struct Known {
    control::Entry entry;
    jobs::DatasetRecord record;
    std::map<std::string, std::string> shares;  ///< what the tables were made of: by identity, a tally's SHA-256
    std::string maker;                          ///< of the tables: the name of a node that has them
  };
  struct Operation;
  using OperationPtr = std::shared_ptr<Operation>;
  struct Gathering;
  using GatheringPtr = std::shared_ptr<Gathering>;
  struct Fetch;

  // coordinator.cpp: operations
  void begin(std::string id, jobs::Reply<Status> reply, std::function<void(const OperationPtr&)> attempt,
             std::string traceparent = {});
  void run(const OperationPtr& operation);
  void again(const OperationPtr& operation, api::Problem why);
  void finish(const OperationPtr& operation, jobs::Outcome<Status> outcome);
  bool refuse(const OperationPtr& operation, std::error_code error);
  void with_known(const OperationPtr& operation, std::function<void(Known)> then);
  void publish(const OperationPtr& operation, const jobs::DatasetRecord& record);
  void await_others(const OperationPtr& operation, const Status& status, std::vector<std::string> nodes,
                    control::Executor::Clock::time_point deadline);
  void commit(const OperationPtr& operation, Known known, jobs::SharedTables tables);
  void answer(const OperationPtr& operation, const Known& known, jobs::SharedTables tables);
  void remove_now(const OperationPtr& operation, Known known);
  void apply_now(const OperationPtr& operation, Known known);
  void make_now(const OperationPtr& operation, Known known, const jobs::SharedTables& given);
  void stage(const OperationPtr& operation, Known known, jobs::SharedTables tables);
  // coordinator_gather.cpp: what all nodes have of a dataset
  void gather(const OperationPtr& operation, AskedDataset dataset,
              std::function<void(std::map<std::string, jobs::Share>)> then);
  void ask_all(const GatheringPtr& gathering, const std::vector<control::Entry>& parts);
  void gathered(const GatheringPtr& gathering);
  std::optional<std::pair<std::string, std::vector<std::string>>> twice(const Gathering& gathering) const;
  // coordinator_parts.cpp: this node's part
  void reconcile();
  void release_strays();
  void bring(const Known& known, jobs::SharedTables tables, std::function<void(jobs::Outcome<Status>)> then);
  void enroll(const Known& known, jobs::SharedTables tables, std::function<void(jobs::Outcome<Status>)> then);
  void put(const Known& known, jobs::SharedTables tables, std::function<void(jobs::Outcome<Status>)> then);
  void find_tables(const Known& known, std::function<void(jobs::SharedTables)> then);
  void fetch_next(const std::shared_ptr<Fetch>& fetch);
  void remove_part(const std::string& id, std::int32_t version);
  void publish_own(const jobs::DatasetRecord& record);
  void expire();
  void expire_now(const OperationPtr& operation, const Known& known);
  void bury();
  std::optional<Known> known_of(const std::string& id, const boost::json::object& fields, std::int32_t version) const;
  control::Entry entry_of(const Known& known) const;
  jobs::DatasetRecord part_of(const Known& known) const;

  template <class T, class F>
  jobs::Reply<T> here(F then) {
    return at_executor<T>(session_.executor(), lifetime_, std::move(then));
  }

  control::Session& session_;
  const control::Paths paths_;
  const control::Membership& membership_;
  const control::Election& election_;
  Custody& custody_;
  jobs::Engine& engine_;
  PeerLink& link_;
  Log& log_;
  const NowMs now_;
  const Settings settings_;
  jobs::UlidSource ulids_;
  std::set<OperationPtr> operations_;
  std::map<std::string, jobs::DatasetRecord> own_;  ///< parts of this node, as the engine has them
  std::map<std::string, std::int32_t> settled_;     ///< by id: the version that this node's part is
  std::set<std::string> enrolled_, busy_;           ///< by id
  std::uint64_t session_number_ = 0;
  bool listed_ = false;            ///< own_ is what the engine had at start
  std::set<std::string> removed_;  ///< datasets of which the fleet still says that they are
  control::Executor::Clock::time_point strays_at_{};
  std::map<std::string, control::Executor::Clock::time_point> aged_at_;  ///< when it was last asked who uses it
  control::Catalog catalog_;
  control::Mirror mirror_;
  control::Lifetime lifetime_;
};

}  // namespace histod::daemon
