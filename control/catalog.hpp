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

/// A record that is changed by versions only.
struct Entry {
  std::string path;
  boost::json::object fields;  ///< the whole record, with what this release does not know
  std::int32_t version = 0;
};

/// Who asks for a write that only a leader may do hands in his leadership; it then carries the fence.
using Fence = std::optional<Leadership>;

/// Writes the entry over the version that was read. Replies with the version after. bad_version: somebody has written
/// since, or leads since.
void update(Session& session, RecordFormat format, const Entry& entry, const Fence& fence, CommitReply reply);

/// Datasets, and the nodes that may have images of them: a part each, by the identity of the node. What the fleet keeps
/// of a dataset is small; lists of images, histograms, tables and pixels stay in the spools. Every write is a
/// version-checked multi, carried through lost answers by commit(); a reply comes once, unless the session object goes
/// before. Errors besides commit()'s: newer_format and bad_record.
class Catalog {
 public:
  Catalog(Session& session, RecordFormat format) : session_(session), format_(format) {}

  /// node_exists when there is one.
  void publish(const std::string& path, boost::json::object fields, Reply<void> reply);
  void read(const std::string& path, Reply<Entry> reply);
  void update(const Entry& entry, const Fence& fence, CommitReply reply) {
    control::update(session_, format_, entry, fence, std::move(reply));
  }
  /// The entry with its parts, at once. After bad_version, not_empty or an ambiguous error try again, until it is done
  /// or there is no_node.
  void remove(const std::string& path, const Fence& fence, Reply<void> reply);

  /// From now on there is a part of that name; no error if there was.
  void enroll(const std::string& path, const std::string& part, Reply<void> reply);
  /// All parts, by name: one read for each. What is no record is none.
  void parts(const std::string& path, Reply<std::vector<Entry>> reply);

 private:
  struct Scan;
  void scan_next(const std::shared_ptr<Scan>& scan);
  void remove_all(const Entry& entry, const std::vector<Entry>& parts, const Fence& fence, Reply<void> reply);

  Session& session_;
  const RecordFormat format_;
};

}  // namespace histod::control
