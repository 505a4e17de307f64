// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/jobs/datasets.hpp"
#include "daemon/jobs/outcome.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/jobs/share.hpp"

namespace histod::daemon {

/// A dataset, and the trace of the request for whose sake it is asked about; empty: none.
struct AskedDataset {
  AskedDataset(std::string id_, std::string traceparent_ = {})  // the id alone says all where there is no trace
      : id(std::move(id_)), traceparent(std::move(traceparent_)) {}
  std::string id, traceparent;
};

/// Asks other nodes of the fleet, by their names as members. All calls and replies are on the fleet's thread; a reply
/// comes once, never from within the call. What the other node refuses comes as its problem; 502 peer-failed: it gave
/// no answer that could be used.
class PeerLink {
 public:
  template <class T>
  using Reply = jobs::Reply<T>;

  virtual ~PeerLink() = default;
  /// 404: the dataset is not known there yet.
  virtual void share(std::string node, AskedDataset dataset, Reply<jobs::Share> reply) = 0;
  virtual void stage(std::string node, AskedDataset dataset, std::uint64_t revision, jobs::SharedTables tables,
                     Reply<void> reply) = 0;
  /// In force or staged there. 404: neither.
  virtual void tables(std::string node, AskedDataset dataset, std::uint64_t revision,
                      Reply<jobs::SharedTables> reply) = 0;
  virtual void disown(std::string node, std::vector<std::string> ids, Reply<void> reply) = 0;
  /// Those of the jobs that are that node's own.
  virtual void owned(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) = 0;
  /// The same; and for a minute it does not let go of them, so that this node may.
  virtual void keep(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) = 0;
  /// Sends a copy of a job of this node to a member that it chooses, and tells the engine.
  virtual void copy(jobs::JobRecord record, Reply<void> reply) = 0;
};

}  // namespace histod::daemon
