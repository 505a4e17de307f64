// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "control/commit.hpp"
#include "control/election.hpp"
#include "control/record.hpp"
#include "control/session.hpp"

namespace histod::control {

/// A job or a dataset. What the fleet keeps of it is small; lists of images, histograms and pixels stay in the spools.
struct Entry {
  std::string path;
  boost::json::object fields;  ///< the whole record, with what this release does not know
  std::int32_t version = 0;
  std::int32_t shards = 0;
};

/// A batch of an entry's work.
struct Shard {
  std::string path;
  boost::json::object fields;  ///< `worker` and `attempts`: of the last claim; `done` and `result`: once finished
  std::int32_t version = 0;
  bool claimed = false;  ///< somebody is at it
  bool done() const { return fields.contains("done"); }
};

/// Proof of working on a shard. Each claim raises the shard's version, so that a claim which has been taken over since,
/// by whomever, finishes nothing.
struct Claim {
  std::string shard;
  boost::json::object fields;
  std::int32_t version = 0;
};

/// Who asks for a write that only a leader may do hands in his leadership; it then carries the fence.
using Fence = std::optional<Leadership>;

/// Jobs, datasets and their shards. Every write is a version-checked multi, carried through lost answers by commit(); a
/// reply comes once, unless the session object goes before. Errors besides commit()'s: newer_format and bad_record.
///
/// Who is to notice that a worker has gone must watch the claim itself, by watch_claim(): nothing above it changes.
class Catalog {
 public:
  /// worker: this node's name, as in Membership.
  Catalog(Session& session, RecordFormat format, std::string worker);

  /// The entry with all its shards or nothing; node_exists when there is one, too_large when they do not fit one
  /// request.
  void publish(const std::string& path, boost::json::object entry, std::vector<boost::json::object> shards,
               Reply<void> reply);
  void read(const std::string& path, Reply<Entry> reply, Watch watch);
  /// Replies with the version after. bad_version: somebody has written since entry was read, or leads since.
  void update(const Entry& entry, const Fence& fence, CommitReply reply);
  /// The entry with its shards and claims, at once. After bad_version, not_empty or an ambiguous error try again, until
  /// it is done or there is no_node.
  void remove(const std::string& path, const Fence& fence, Reply<void> reply);

  /// All shards of an entry, in order: one read for each.
  void shards(const std::string& path, Reply<std::vector<Shard>> reply);
  /// node_exists: somebody is at it. bad_version: it has been claimed or finished since it was read.
  void claim(const Shard& shard, Reply<Claim> reply);
  /// bad_version or no_node: the claim has ended, and with it the right to finish.
  void finish(const Claim& claim, boost::json::object result, Reply<void> reply);
  /// Gives it back unfinished.
  void release(const Claim& claim, Reply<void> reply);
  /// Replies whether somebody is at it; the watch fires when that changes, whether by finish, release or death.
  void watch_claim(const std::string& shard, Reply<bool> reply, Watch watch);

 private:
  struct Scan;
  void scan_next(const std::shared_ptr<Scan>& scan);
  void end_claim(const Claim& claim, boost::json::object fields, Reply<void> reply);
  void remove_all(const Entry& entry, const std::vector<Shard>& shards, const Fence& fence, Reply<void> reply);
  /// The record with a new token, and the question whether some data is that very record.
  Commit signed_commit(boost::json::object& fields, const char* token_field);

  Session& session_;
  const RecordFormat format_;
  const std::string worker_;
};

}  // namespace histod::control
